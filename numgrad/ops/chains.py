"""Unregistered ops: several elementwise ops as one launch, and a sum of what they compute with it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.elementwise import Formula, plan_formula
from numgrad.kernels.folded import plan_folded
from numgrad.kernels.quick import Quick
from numgrad.kernels.source import NUMPY_TYPE, free_name, function_from
from numgrad.layout import Spec
from numgrad.registry import Op
from numgrad.runtime.kernel import Device
from numgrad.runtime.plan import Plan, PlanBuilder


class Link(NamedTuple):
    """An op of a chain: its name and formula, the numbers of the values that it reads, and the dtypes of those that it makes.

    Values are counted from the chain's inputs on, and then in the order in which they are made.
    """

    name: str
    formula: Formula
    reads: tuple[int, ...]
    makes: tuple[Dtype, ...]


class Fold(NamedTuple):
    """A sum of a chain's value: the name of its op, the value, for each axis that of the result or None, and the divisor."""

    name: str
    value: int
    axes: tuple[int | None, ...]
    divisor: float


class Chain(Op):
    """An op of several formulas in one launch; ``results`` are the numbers of the values that it writes.

    With a ``fold``, its last output is a sum of one value.
    """

    def __init__(self, links: tuple[Link, ...], inputs: int, results: tuple[int, ...], fold: Fold | None) -> None:
        names = [*[link.name for link in links], *([fold.name] if fold else [])]
        outputs = [*[f"v{k}" for k in results], *(["folded"] if fold else [])]
        super().__init__(
            "_".join(names)[:48], [f"x{k}" for k in range(inputs)], outputs=outputs, public=len(outputs),
            differentiable=False, register=False, elementwise=fold is None,
        )  # fmt: skip
        self.links, self.results, self.fold = links, results, fold
        self.scalar = _function_of(self.name, links, inputs, [*results, *([fold.value] if fold else [])])

    def planned_for(self, inputs: Sequence[Spec], outputs: Sequence[Spec], shape: Spec | None = None) -> Plan | None:
        """The plan for operands of these specs; its outputs lie as ``outputs`` do, and the values as ``shape``.

        None if the operands of a sum do not lie in rows of one length.

        Raises
        ------
        ShapeError
            They do not have one shape, to which the inputs broadcast.
        """
        b = PlanBuilder(tuple(inputs))
        outs = [b.output(spec.dtype, tuple(spec.shape), spec.strides) for spec in outputs]
        if self.fold is None:
            plan_formula(b, self.name, self.scalar, b.inputs, outs)  # type: ignore[arg-type]
        elif shape is None or not plan_folded(
            b, self.name, self.scalar, b.inputs, outs[:-1], outs[-1], shape, self.fold.axes, self.fold.divisor  # type: ignore[arg-type]
        ):  # fmt: skip
            return None
        return b.finish()

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec], params: Any) -> Formula | None:
        """That of the whole chain."""
        return None if self.fold else self.scalar


@functools.lru_cache(4096)
def chain(links: tuple[Link, ...], inputs: int, results: tuple[int, ...], fold: Fold | None = None) -> Chain:
    """The `Chain`; equal ones share their kernels."""
    return Chain(links, inputs, results, fold)


def _function_of(name: str, links: Sequence[Link], inputs: int, results: Sequence[int]) -> Formula:
    """One scalar function; each value is rounded to the dtype in which its own op would have stored it."""
    values = [f"x{k}" for k in range(inputs)]
    names: dict[str, Any] = {}
    lines: list[str] = []
    quick_lines: list[str] = []
    conditions: list[str] = []
    for number, (_, each, reads, makes) in enumerate(links):
        arguments = ", ".join([values[k] for k in reads])
        names[f"f{number}"] = names[f"q{number}"] = each.function
        if each.quick is not None:
            names[f"q{number}"], names[f"h{number}"] = each.quick
            conditions.append(f"h{number}({arguments})")
        several = each.items != (None,)
        if several:
            lines.append(f"    r{number} = f{number}({arguments})")
            quick_lines.append(f"    r{number} = q{number}({arguments})")
        for item, dtype in zip(each.items, makes, strict=True):
            names[f"to_{dtype.code}"] = NUMPY_TYPE[dtype.code]
            values.append(f"v{len(values)}")
            for kind, into in (("f", lines), ("q", quick_lines)):
                value = f"r{number}[{item}]" if several else f"{kind}{number}({arguments})"
                into.append(f"    {values[-1]} = to_{dtype.code}({value})")

    def function(suffix: str, body: list[str], result: str) -> Device:
        own_name = free_name(f"chain_{name}{suffix}", ())
        head = f"def {own_name}({', '.join(values[:inputs])}):"
        return Device(function_from("\n".join([head, *body, f"    return {result}\n"]), own_name, dict(names)))

    written = ", ".join([values[k] for k in results])
    quick = None
    if conditions:
        # Beyond the domain of one quick form the values after it mean nothing, and are not taken.
        holds = function("_holds", quick_lines, " & ".join(conditions))
        quick = Quick(function("_quick", quick_lines, written), holds)
    items = (None,) if len(results) == 1 else tuple(range(len(results)))
    return Formula(function("", lines, written), items, sum(each.formula.cost for each in links), quick)
