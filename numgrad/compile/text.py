"""A captured program as text."""

from __future__ import annotations

from numgrad.compile.captured import Captured
from numgrad.compile.steps import Again, Block
from numgrad.layout import Spec
from numgrad.ops.chains import Chain


def text_of(captured: Captured, number: int = 0) -> str:
    """One line for each op: what it makes, its name and inputs, what it changes, its kernels."""
    names = _Names()
    count = len(captured.calls)
    lines = [f"program {number}: {count} launch{'es' * (count != 1)}, arena of {captured.layout.nbytes} bytes"]
    for step in captured.steps:
        if isinstance(step, Again):
            lines.append(f"  again: {step.name}")
            continue
        left = ", ".join(f"{names.of(block)} {_spec(block.spec)}" for block in step.makes if block.spec is not None)
        given = ", ".join(
            "none" if where is None else names.of(where[0]) for where in step.places[: len(step.specs[0])]
        )
        changed = [names.of(block) for block in dict.fromkeys(step.changes)]
        line = f"  {left} = " if left else "  "
        line += f"{step.op.name}({given})"
        if changed:
            line += f" changes {', '.join(changed)}"
        lines.append(f"{line}  [{', '.join(step.program.names())}]")
        if isinstance(step.op, Chain):
            results = [block for block in step.makes if block.spec is not None]
            lines += _formulas(step.op, [names.of(where[0]) for where in step.places if where], results, names)
    return "\n".join(lines)


def _formulas(chain: Chain, given: list[str], results: list[Block], names: _Names) -> list[str]:
    """A line for each op of a chain; values that are not written have a dot before their number."""
    inputs = len(chain.inputs)
    written = dict(zip(chain.results, [names.of(block) for block in results], strict=False))
    values, lines = given[:inputs], []
    for link in chain.links:
        reads = ", ".join([values[k] for k in link.reads])
        new = [written.get(len(values) + k, f".{len(values) + k - inputs}") for k in range(len(link.makes))]
        values += new
        lines.append(f"    {', '.join(new)} = {link.name}({reads})")
    if chain.fold is not None:
        lines.append(f"    {names.of(results[-1])} = {chain.fold.name}({values[chain.fold.value]})")
    return lines


class _Names:
    """Short names of blocks, in the order in which they appear."""

    def __init__(self) -> None:
        self._names: dict[Block, str] = {}

    def of(self, block: Block) -> str:
        if block not in self._names:
            number = sum(name.startswith(self._prefix(block)) for name in self._names.values())
            self._names[block] = f"{self._prefix(block)}{block.slot if block.kind == 'argument' else number}"
        return self._names[block]

    def _prefix(self, block: Block) -> str:
        return "%" if block.kind == "made" else f"{block.kind} "


def _spec(spec: Spec) -> str:
    return f"{str(spec.dtype).removeprefix('numgrad.')}[{', '.join(map(str, spec.shape))}]"
