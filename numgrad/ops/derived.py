"""`Derived`: an elementwise op whose backward is found from its forward; see `derive`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.ops.family import Elementwise, ScalarFunction
from numgrad.registry import Op, find


class Derived(Elementwise):
    """An elementwise op whose backward is found from its forward; see `derive`.

    Its gradient is the incoming one times an op for each derivative, which is of this class again. With ``wide`` it
    computes in float64 also for float32.
    """

    def __init__(self, program: Any, wide: bool = True, **options: Any) -> None:
        options.setdefault("inputs", program.labels)
        super().__init__(program.name, register=False, **options)
        self.program, self.wide = program, wide
        self.forward(program.function())
        backward, self._derivatives = program.backward()
        self._ops: dict[int, Any] = {}
        self.backward(backward)

    def literals(self, dtype: Dtype) -> str:
        """Derived functions compute in the dtype of their literals; see `derive`."""
        return "f8" if self.wide and dtype.is_floating_point else dtype.code

    def derivative(self, number: int) -> Callable[..., Any]:
        """The derivative by an input: an op, as a function of all inputs; inputs that it does not read may be None."""
        derivative = self._ops.get(number)
        if derivative is None:
            program = self._derivatives[number]
            if program.parameters:
                positions = [self._argument_names().index(name) for name in program.parameters]
                derivative = _of_some(Derived(program, self.wide), positions)
            else:
                derivative = _constant(program.result)
            self._ops[number] = derivative
        return derivative  # type: ignore[no-any-return]

    def _composite(
        self, function: ScalarFunction, positions: tuple[int, ...], sources: tuple[int | None, ...]
    ) -> tuple[ScalarFunction, tuple[int, ...]]:
        """The incoming gradient times the derivatives, which are ops on the saved tensors."""
        numbers = [number for number, source in enumerate(sources) if source is not None and source >= 0]

        def composite(grad: Any, *saved: Any) -> tuple[Any, ...]:
            values = dict(zip(self.saves, saved, strict=True))
            inputs = [values.get(name) for name in self._argument_names()]
            return tuple(_times(grad, self.derivative(number)(*inputs)) for number in numbers)

        return composite, tuple(range(len(self.saves) + 1))

    def _run_jvp(self, ctx: Any, *tangents: Any) -> Any:
        if not ctx.differentiable:
            return super()._run_jvp(ctx, *tangents)
        total = None
        for number, tangent in enumerate(tangents):
            if tangent is not None:
                term = _times(tangent, self.derivative(number)(*ctx.inputs))
                total = term if total is None else find("add")(total, term)
        return total


def _times(grad: Any, slope: Any) -> Any:
    return find("mul")(grad, slope)


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *inputs: value


def _of_some(op: Op, positions: Sequence[int]) -> Callable[..., Any]:
    return lambda *inputs: op(*[inputs[position] for position in positions])
