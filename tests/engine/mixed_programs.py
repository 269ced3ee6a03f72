"""Random programs of all dtypes, in numgrad and in torch: after each statement both have to show the same.

What is compared: which statements are refused, and with which class of exception; of every tensor, after every statement,
its dtype, shape, strides, version, values (so that memory which is shared in one library is shared in the other); in the
end who requires a gradient and who is a leaf, the gradients of the leaves, and the gradients of those.

    python -m tests.engine.mixed_programs --count 3000
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import numgrad as ng
from tests.engine import templates  # noqa: F401 - registers what programs are made of
from tests.engine.statements import Names, Statement, Writer


class Mismatch(NamedTuple):
    """What the libraries do not agree about, and after which statement."""

    what: str
    kind: str
    text: str
    at: int  # the statement's position; that behind the last one for gradients


class Excuse(NamedTuple):
    """A difference that docs/autograd.md tells of, or that lies in torch."""

    reason: str
    statement: str = ""  # patterns of the statement's text, and of the two errors; "-" is no error
    ours: str = ""
    theirs: str = ""

    def holds(self, statement: Statement, ours: Exception | None, theirs: Exception | None) -> bool:
        return all(
            re.search(pattern, text)
            for pattern, text in (
                (self.statement, statement.text),
                (self.ours, "-" if ours is None else f"{type(ours).__name__}: {ours}"),
                (self.theirs, "-" if theirs is None else f"{type(theirs).__name__}: {theirs}"),
            )
        )


EXCUSES = [
    Excuse(
        "to torch a view made before its base required a gradient is a leaf",
        "",
        "^-$",
        "a leaf Variable that requires grad",
    ),
    Excuse(
        "numgrad reads an operand that overlaps with what it writes as it was before",
        "",
        "^-$",
        "unsupported operation: (some elements of|the input tensor)",
    ),
    Excuse(
        "what an expanded view shows many times is written by fill_ alone",
        "",
        "more than one element of the written-to tensor",
        "^-$",
    ),
    Excuse("numgrad's backward reads less than torch's", "", "^-$", "modified by an inplace operation"),
]


def builtin(error: BaseException) -> type[BaseException]:
    """The class of Python's own that an error is of."""
    return next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")


def run(names: Names, text: str) -> Exception | None:
    try:
        names.run(text)
    except Exception as error:
        return error
    return None


def array_of(value: Any) -> np.ndarray:
    """The values of a tensor without a look at its memory; torch's zeros may have none."""
    if isinstance(value, np.ndarray):
        return value
    return value._array() if isinstance(value, ng.Tensor) else value.detach().numpy(force=True)


def facts(value: Any) -> dict[str, Any]:
    """What a user sees of a tensor or an array, but for its values and its place in a graph."""
    if isinstance(value, np.ndarray):
        return {"dtype": str(value.dtype), "shape": value.shape, "strides": value.strides if value.size else ()}
    if not hasattr(value, "numel"):
        return {"value": repr(value)}
    strides = tuple(s for s, n in zip(value.stride(), value.shape, strict=True) if n != 1)
    return {
        "dtype": str(value.dtype).rpartition(".")[2],
        "shape": tuple(value.shape),
        "strides": strides if value.numel() else (),
        "contiguous": value.is_contiguous(),
        "version": value._version,
    }


TOLERANCE = {"float32": 2e-5, "float64": 1e-10}


def agree(ours: np.ndarray, theirs: np.ndarray, slack: float = 1.0) -> bool:
    """Equal to about the precision of the dtype, given the sizes of the numbers."""
    if ours.dtype.kind != "f":
        return bool(np.array_equal(ours, theirs))
    tolerance = TOLERANCE[str(ours.dtype)] * slack
    sizes = np.abs(theirs[np.isfinite(theirs)])
    size = min(max(1.0, float(np.max(sizes, initial=0.0))), 1e6)
    with np.errstate(all="ignore"):
        return bool(np.allclose(ours, theirs, rtol=tolerance, atol=tolerance * size, equal_nan=True))


def shared(names: Sequence[str], ours: Names, theirs: Names) -> str | None:
    """Compare all tensors; where they differ in rounding only, ours get torch's values.

    So what jumps (``floor``, ``>``) gets the same input in both.
    """
    for name in names:
        mine, his = ours[name], theirs[name]
        if (
            type(mine).__module__.partition(".")[0].replace("numgrad", "torch")
            != type(his).__module__.partition(".")[0]
        ):
            return f"type: {name} is {type(mine)}, torch's {type(his)}"
        seen, there = facts(mine), facts(his)
        for fact, value in there.items():
            if seen[fact] != value:
                return f"{fact}: {name} has {seen[fact]}, torch's {value}"
        if "value" in there:
            continue
        a, b = array_of(mine), array_of(his)
        if not agree(a, b):
            return (
                f"values: {name} is\n{np.array2string(a, threshold=200)}\ntorch's\n{np.array2string(b, threshold=200)}"
            )
    for name in names:
        if hasattr(ours[name], "numel") or isinstance(ours[name], np.ndarray):
            a, b = array_of(ours[name]), array_of(theirs[name])
            if a.dtype.kind == "f" and a.size and a.flags.writeable:
                a[...] = b
    return None


FINALE = """\
roots = [t for t in ({tensors}) if t.dtype.is_floating_point and t.requires_grad and t.numel()]
leaves = [t for t in ({tensors}) if t.requires_grad and t.is_leaf]
grads = lib.autograd.grad(roots, leaves, [lib.full_like(t, 0.5 + 0.25 * k) for k, t in enumerate(roots)], \
create_graph=True, allow_unused=True) if roots else []
parts = [g * g for g in grads if g is not None and g.requires_grad]
second = lib.autograd.grad(parts, leaves, [lib.ones_like(p) for p in parts], allow_unused=True) if parts else []
"""


def finale(ours: Names, theirs: Names, tensors: Sequence[str], at: int) -> Mismatch | None:
    """Compare requires_grad and is_leaf, ``.grad``, gradients and second derivatives."""
    for fact in ("requires_grad", "is_leaf"):
        for name in tensors:
            mine, his = getattr(ours[name], fact), getattr(theirs[name], fact)
            if mine != his:
                return Mismatch(fact, fact, f"{fact}: {name} has {mine}, torch's {his}", at)
    for name in tensors:
        if not ours[name].is_leaf:
            continue
        mine, his = ours[name].grad, theirs[name].grad
        if (mine is None) != (his is None):
            return Mismatch(".grad", ".grad", f"{name}.grad is {mine}, torch's {his}", at)
        if mine is not None:
            difference = differs(f"{name}.grad", mine, his)
            if difference:
                return Mismatch(".grad", ".grad", difference, at)
    for line in FINALE.format(tensors=", ".join(tensors) + ",").splitlines():
        mine, his = run(ours, line), run(theirs, line)
        if his is not None and mine is None and "modified by an inplace operation" in str(his):
            return None
        if (mine is None) != (his is None):
            return Mismatch("backward", "backward", f"{line}\n  ours:  {mine!r}\n  torch: {his!r}", at)
        if mine is not None:
            if not isinstance(mine, builtin(his)):
                return Mismatch("backward class", "backward", f"{line}\n  ours:  {mine!r}\n  torch: {his!r}", at)
            return None
    for what in ("grads", "second"):
        for k, (mine, his) in enumerate(zip(ours[what], theirs[what], strict=False)):
            if mine is None or his is None:
                if any(g is not None and bool((g != 0).any()) for g in (mine, his)):
                    return Mismatch(what, what, f"{what}[{k}] is {mine}, torch's {his}", at)
                continue
            difference = differs(f"{what}[{k}]", mine, his)
            if difference:
                return Mismatch(what, what, difference, at)
    return None


def differs(name: str, mine: Any, his: Any) -> str | None:
    seen, there = facts(mine), facts(his)
    for fact in ("dtype", "shape"):
        if seen[fact] != there[fact]:
            return f"{name}: {fact} {seen[fact]}, torch's {there[fact]}"
    a, b = array_of(mine), array_of(his)
    return None if agree(a, b, 20.0) else f"{name} is\n{a}\ntorch's\n{b}"


def defined(statements: Sequence[Statement], ours: Names, theirs: Names) -> list[str]:
    names = dict.fromkeys(s.defines for s in statements if s.defines)
    return [n for n in names if n in ours and n in theirs]


def compare(torch: ModuleType, statements: Sequence[Statement]) -> Mismatch | None:
    """Run the program in both libraries; what is excused is left out of it."""
    statements = list(statements)
    while True:
        ours, theirs = Names(ng), Names(torch)
        for k, statement in enumerate(statements):
            mine, his = run(ours, statement.text), run(theirs, statement.text)
            if (mine is None) != (his is None) or (mine is not None and not isinstance(mine, builtin(his))):
                if any(excuse.holds(statement, mine, his) for excuse in EXCUSES):
                    statements = without(statements, k)
                    break
                what = "refused by us" if his is None else "refused by torch" if mine is None else "class of error"
                text = f"ours:  {mine!r}\ntorch: {his!r}"
                return Mismatch(what, statement.kind, text, k)
            difference = shared(defined(statements[: k + 1], ours, theirs), ours, theirs)
            if difference is not None:
                return Mismatch(difference.partition(":")[0], statement.kind, difference, k)
        else:
            tensors = [n for n in defined(statements, ours, theirs) if isinstance(ours[n], ng.Tensor)]
            return finale(ours, theirs, tensors, len(statements))


def without(statements: Sequence[Statement], k: int) -> list[Statement]:
    """The program without a statement, and without those that need what it defines."""
    kept = list(statements[:k])
    lost = {statements[k].defines} - {""} - {s.defines for s in kept}
    for statement in statements[k + 1 :]:
        if lost & set(re.findall(r"\b[tn]\d+\b", statement.text)):
            lost |= {statement.defines} - {""} - {s.defines for s in kept}
        else:
            kept.append(statement)
    return kept


def smallest(torch: ModuleType, statements: list[Statement], mismatch: Mismatch) -> tuple[list[Statement], Mismatch]:
    """A program with fewer statements that shows a mismatch of the same kind."""
    statements = statements[: mismatch.at + 1]
    k = len(statements) - 1
    while k >= 0:
        fewer = without(statements, k)
        again = compare(torch, fewer) if fewer else None
        if again is not None and (again.what, again.kind) == (mismatch.what, mismatch.kind):
            statements, mismatch = fewer[: again.at + 1], again
        k = min(k - 1, len(statements) - 1)
    return statements, mismatch


def as_program(statements: Sequence[Statement], mismatch: Mismatch) -> str:
    """The program as Python that runs by itself: ``python program.py numgrad`` or ``python program.py torch``."""
    names = dict.fromkeys(s.defines for s in statements if s.defines.startswith("t"))
    lines = [
        "import sys, importlib, numpy as np",
        "from math import inf, nan",
        "lib = importlib.import_module(sys.argv[1]); F = lib.nn.functional",
        *(s.text for s in statements),
    ]
    if mismatch.at >= len(statements):
        lines += FINALE.format(tensors=", ".join(names) + ",").splitlines()
        lines += ["print(grads, second)"]
    elif names:
        lines += [f"print({', '.join(names)})"]
    return "\n".join(lines)


def mismatches(torch: ModuleType, seeds: Iterable[int], shrink: bool = True) -> list[tuple[Mismatch, str]]:
    """Mismatches of the programs of these seeds, each with a text."""
    found = []
    for seed in seeds:
        statements = Writer(torch, seed).write()
        mismatch = compare(torch, statements)
        if mismatch is not None:
            if shrink:
                statements, mismatch = smallest(torch, statements, mismatch)
            text = f"# seed {seed}: {mismatch.what} ({mismatch.kind})\n{as_program(statements, mismatch)}\n"
            text += "".join(f"# {line}\n" for line in mismatch.text.splitlines())
            found.append((mismatch, text))
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--most", type=int, default=10, help="stop after so many mismatches")
    parser.add_argument("--kinds", action="store_true", help="count the mismatches by kind, with one example each")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    wrong: list[tuple[Mismatch, str]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(given.start, given.start + given.count):
        for mismatch, text in mismatches(torch, [seed]):
            wrong.append((mismatch, text))
            key = mismatch.what, mismatch.kind
            seen[key] += 1
            if not given.kinds or seen[key] == 1:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
        if len(wrong) >= given.most:
            break
    for (what, kind), count in seen.most_common():
        sys.stdout.write(f"{count:5} {what}: {kind}\n")
    sys.stdout.write(f"{seed + 1 - given.start} programs, {len(wrong)} mismatches\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
