"""Unregistered ops: one launch of a scalar function that is derived, or made of those of several ops."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.elementwise import Formula, broadcast_shapes, formula, plan_elementwise, plan_formula
from numgrad.kernels.source import NUMPY_TYPE, function_from
from numgrad.layout import Spec, output_strides
from numgrad.registry import Op
from numgrad.runtime.kernel import Device
from numgrad.runtime.plan import Operand, Plan, PlanBuilder


class _Derived(Op):
    """The op of `fused_op`."""

    def __init__(
        self,
        name: str,
        reads: Sequence[str],
        outputs: Sequence[str],
        part: Callable[..., Any],
        items: tuple[Any, ...],
        cost: int,
        literals: Callable[[Dtype], str],
        differentiable: bool,
        leads: Sequence[str],
    ) -> None:
        super().__init__(
            name, reads, outputs=outputs, public=len(outputs), differentiable=differentiable, register=False,
            elementwise=True,
        )  # fmt: skip
        self._launch = part, items, cost, literals
        # Positions of the inputs in the order in which their layouts decide.
        self._order = sorted(range(len(reads)), key=lambda position: reads[position] not in leads)
        self.plan_function = self._plan

    def _plan(self, b: PlanBuilder, *inputs: Operand) -> None:
        part, items, cost, literals = self._launch
        dtype = _floating([x.spec for x in inputs])
        shape = broadcast_shapes(self.name, *(x.spec.shape for x in inputs))
        strides = output_strides(shape, [inputs[position].spec for position in self._order])
        outs = [b.output(dtype, shape, strides) for _ in self.outputs]
        plan_elementwise(b, self.name, part, literals(dtype), inputs, outs, items, cost=cost)

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec], params: Any) -> Formula:
        """That of its launch."""
        part, items, cost, literals = self._launch
        types = [each.dtype for each in inputs], [each.dtype for each in outputs]
        return formula(self.name, part, literals(_floating(inputs)), *types, items, cost)


def _floating(specs: Sequence[Spec]) -> Dtype:
    return next(each.dtype for each in specs if each.dtype.is_floating_point)


def fused_op(
    name: str,
    reads: Sequence[str],
    outputs: Sequence[str],
    part: Callable[..., Any],
    items: tuple[Any, ...],
    cost: int,
    literals: Callable[[Dtype], str] = operator.attrgetter("code"),
    differentiable: bool = True,
    leads: Sequence[str] = (),
) -> Op:
    """An unregistered op: one launch of a derived scalar function. ``leads`` names inputs whose layout decides first."""
    return _Derived(name, reads, outputs, part, items, cost, literals, differentiable, leads)


# ---- chains: several elementwise ops as one ---------------------------------------------------------------------


class Link(NamedTuple):
    """An op of a chain: its name and formula, the numbers of the values that it reads, and the dtypes of those that it makes.

    Values are counted from the chain's inputs on, and then in the order in which they are made.
    """

    name: str
    formula: Formula
    reads: tuple[int, ...]
    makes: tuple[Dtype, ...]


class Chain(Op):
    """An op of several formulas in one launch; ``results`` are the numbers of the values that it writes."""

    def __init__(self, links: tuple[Link, ...], inputs: int, results: tuple[int, ...]) -> None:
        super().__init__(
            "_".join([link.name for link in links])[:48], [f"x{k}" for k in range(inputs)],
            outputs=[f"v{k}" for k in results], public=len(results), differentiable=False, register=False, elementwise=True,
        )  # fmt: skip
        self.links, self.results = links, results
        self.scalar = _function_of(self.name, links, inputs, results)

    def planned_for(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Plan:
        """The plan for operands of these specs; its outputs lie as ``outputs`` do.

        Raises
        ------
        ShapeError
            They do not have one shape, to which the inputs broadcast.
        """
        b = PlanBuilder(tuple(inputs))
        outs = [b.output(spec.dtype, tuple(spec.shape), spec.strides) for spec in outputs]
        plan_formula(b, self.name, self.scalar, b.inputs, outs)  # type: ignore[arg-type]
        return b.finish()

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec], params: Any) -> Formula:
        """That of the whole chain."""
        return self.scalar


@functools.lru_cache(4096)
def chain(links: tuple[Link, ...], inputs: int, results: tuple[int, ...]) -> Chain:
    """The `Chain`; equal ones share their kernels."""
    return Chain(links, inputs, results)


def _function_of(name: str, links: Sequence[Link], inputs: int, results: Sequence[int]) -> Formula:
    """One scalar function; each value is rounded to the dtype in which its own op would have stored it."""
    values = [f"x{k}" for k in range(inputs)]
    names: dict[str, Any] = {}
    lines = []
    for number, (_, each, reads, makes) in enumerate(links):
        names[f"f{number}"] = each.function
        call = f"f{number}({', '.join([values[k] for k in reads])})"
        if each.items != (None,):
            lines.append(f"    r{number} = {call}")
        for item, dtype in zip(each.items, makes, strict=True):
            names[f"to_{dtype.code}"] = NUMPY_TYPE[dtype.code]
            made = call if item is None else f"r{number}[{item}]"
            values.append(f"v{len(values)}")
            lines.append(f"    {values[-1]} = to_{dtype.code}({made})")
    written = ", ".join([values[k] for k in results])
    head = f"def chain_{name}({', '.join(values[:inputs])}):"
    function = function_from("\n".join([head, *lines, f"    return {written}\n"]), f"chain_{name}", names)
    items = (None,) if len(results) == 1 else tuple(range(len(results)))
    return Formula(Device(function), items, sum(each.formula.cost for each in links))
