"""Unregistered ops: one launch of a derived scalar function."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.elementwise import broadcast_shapes, plan_elementwise
from numgrad.layout import output_strides
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


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
    op = Op(
        name, reads, outputs=outputs, public=len(outputs), differentiable=differentiable, register=False, elementwise=True
    )  # fmt: skip

    @op.plan
    def _(b: PlanBuilder, *inputs: Operand) -> None:
        dtype = next(x.spec.dtype for x in inputs if x.spec.dtype.is_floating_point)
        shape = broadcast_shapes(op.name, *(x.spec.shape for x in inputs))
        order = (
            sorted(range(len(inputs)), key=lambda position: reads[position] not in leads)
            if leads
            else range(len(inputs))
        )
        strides = output_strides(shape, [inputs[position].spec for position in order])
        outs = [b.output(dtype, shape, strides) for _ in outputs]
        plan_elementwise(b, op.name, part, literals(dtype), inputs, outs, items, cost=cost)

    return op
