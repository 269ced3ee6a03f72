"""The in-place forms of elementwise ops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad.errors import ShapeError
from numgrad.kernels.elementwise import broadcast_shapes
from numgrad.registry import Op, Saving
from numgrad.runtime.plan import Operand, PlanBuilder

if TYPE_CHECKING:
    from numgrad.ops.family import Elementwise


class InPlace(Op):
    """The in-place form of an elementwise op (``add_`` of ``add``): the result is written over the first input."""

    def __init__(self, base: Elementwise) -> None:
        super().__init__(
            f"{base.name}_", base.inputs, base.defaults._asdict(), differentiable=base.differentiable, register=False,
            mutates=True, elementwise=True,
        )  # fmt: skip
        self.base = base
        self.plan_function = self._plan
        self.prepare_function = lambda record: None if base.prepare_function is None else base.prepare_function(record)

    def take_backward(self) -> None:
        """Save and differentiate as the base op does."""
        base = self.base
        self.saves, self.ties = base.saves, base.ties
        self.backward_function, self.jvp_function = base.backward_function, base.jvp_function

    def graph_node(self, specs: Any, needs: Any, params: Any) -> tuple[str, tuple[int | None, ...] | None]:
        """As the base op's."""
        return self.base.graph_node(specs, needs, params)

    def saving(self, needs: tuple[bool, ...]) -> Saving:
        """As the base op's."""
        return self.base.saving(needs)

    def saved_names(self) -> dict[str, int]:
        """As the base op's."""
        return self.base.saved_names()

    def _plan(self, b: PlanBuilder, *inputs: Operand, **params: Any) -> None:
        compute = self.base._common_dtype(inputs)
        shape = broadcast_shapes(self.name, *(x.spec.shape for x in inputs))
        target = inputs[0]
        if shape != tuple(target.spec.shape):
            raise ShapeError(
                f"{self.name}: output with shape {list(target.spec.shape)} doesn't match the broadcast shape {list(shape)}"
            )
        b.in_place(target)
        self.base.plan_into(b, inputs, target, compute)
