"""Unregistered ops: one launch of a derived scalar function."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.elementwise import Formula, broadcast_shapes, formula, plan_elementwise
from numgrad.layout import Spec, output_strides
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


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
