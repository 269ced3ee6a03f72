"""`Derived`: an elementwise op whose backward is found from its forward; see `derive`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.ops.family import Elementwise, Part
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
        """The derivative by an input: an op, as a function of all inputs, of which those that it does not read may be None."""
        found = self._ops.get(number)
        if found is None:
            program = self._derivatives[number]
            if not program.parameters:
                found = _constant(program.result)
            else:
                op, places = (
                    Derived(program, self.wide),
                    [self._argument_names().index(name) for name in program.parameters],
                )
                found = _of_some(op, places)
            self._ops[number] = found
        return found  # type: ignore[no-any-return]

    def _part(self, needs: tuple[bool, ...], create_graph: bool) -> Part:
        known = self._parts.get((needs, create_graph))
        if known is not None:
            return known
        part = super()._part(needs, create_graph)
        wanted = [n for n, source in enumerate(part.sources) if source is not None and source >= 0]
        if not create_graph or not part.reads:
            return part

        def composite(grad: Any, *saved: Any) -> tuple[Any, ...]:
            values = dict(zip(self.saves, saved, strict=True))
            inputs = [values.get(name) for name in self._argument_names()]
            return tuple(_times(grad, self.derivative(n)(*inputs)) for n in wanted)

        part = Part(composite, tuple(range(len(self.saves) + 1)), bool(self.saves), part.sources, None)
        self._parts[needs, create_graph] = part
        return part

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


def _of_some(op: Op, places: Sequence[int]) -> Callable[..., Any]:
    return lambda *inputs: op(*[inputs[place] for place in places])
