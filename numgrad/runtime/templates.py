"""Templates: plans for shapes that were never seen, from one run of the planning function on symbols.

What plans of one op have in common, as long as dtypes and kinds of layouts are the same, is the *structure* of the call: all
but its ints. A `Template` is made for a structure when a second shape of it comes. It holds a function of these ints that is
written from the run's trace (`symbols`): its guards, then the arithmetic of sizes, then the words of the plan. So a new shape
takes some microseconds, its proofs are those of the planning function, and what the guards refuse is planned as ever.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from numgrad.layout import PrivateStrides, Spec, contiguous_strides, product, proved_spec
from numgrad.runtime import memory
from numgrad.runtime.fast.write import plan_words
from numgrad.runtime.plan import Output, Plan, PlanBuilder
from numgrad.runtime.program import Program, laid_out
from numgrad.symbols import Symbol, Trace

MOST_INPUTS = 16  # of a plan that is worth a template


def structure_of(specs: Sequence[Spec | None], params: tuple[Any, ...], numbers: list[int]) -> tuple[Any, ...]:
    """The call without its ints, which are appended to ``numbers``: a key."""
    kinds: list[Any] = []
    for spec in specs:
        if spec is None:
            kinds.append(None)
            continue
        kind = spec.kind
        kinds.append(kind)
        numbers.extend(spec.shape)
        if not kind.is_exact:
            numbers.extend(spec.strides)
            numbers.append(spec.extent)
    return *kinds, _without_ints(params, numbers) if params else ()


def _without_ints(value: Any, numbers: list[int]) -> Any:
    kind = value.__class__
    if kind is int:
        numbers.append(value)
        return int
    if isinstance(value, tuple):
        return kind, *[_without_ints(each, numbers) for each in value]
    return kind, value  # since True == 1


class Template:
    """The plans of one op for one structure, as a function of its ints.

    Parameters
    ----------
    planned
        ``(specs, params) -> PlanBuilder``, the planning function.
    specs, params, numbers
        A call and its ints.
    public, differentiable
        As for `Plan.prepare`.

    Raises
    ------
    TypeError, AttributeError, ValueError
        Something in the planning function has no rule for symbols.
    """

    def __init__(
        self,
        planned: Callable[[Any, Any], PlanBuilder],
        specs: Sequence[Spec | None],
        params: tuple[Any, ...],
        numbers: Sequence[int],
        public: int,
        differentiable: bool,
    ) -> None:
        self._planned = planned
        with Trace(numbers) as trace:
            arguments = iter(trace.arguments)
            symbolic = tuple([None if spec is None else _symbolic(spec, arguments) for spec in specs])
            builder = planned(symbolic, _with_symbols(params, arguments))
            self._function = self._written(trace, builder, public, differentiable)

    def plan(self, specs: Sequence[Spec | None], params: Any, numbers: Sequence[int]) -> Plan | None:
        """The plan for other ints of the same structure; None if the planning function would take another way."""
        try:
            values = self._function(*numbers)
        except (ArithmeticError, ValueError):  # beyond what words can say
            return None
        if values is None:
            return None
        outputs, allocations, moves, words, cost = values
        address = words.buffer_info()[0]
        for word, offset in self._constants:
            words[word] = address + 8 * offset
        program = None
        if self._plan_begin:
            program = object.__new__(Program)
            launches = functools.partial(self._launches, specs, params)
            program.fill(words, address, launches, self._addresses, self._splits, cost)
        plan = Plan(outputs, program, allocations, self._changed, moves, len(specs))
        if self._is_fast:
            plan.fast = address + 8 * self._plan_begin
            plan._fast_words = words
        return plan

    def _launches(self, specs: Sequence[Spec | None], params: Any) -> Sequence[Any]:
        """The launches of a plan, for those who look into it: a profile, a captured step."""
        return self._planned(specs, params).launches

    def _written(self, trace: Trace, builder: PlanBuilder, public: int, differentiable: bool) -> Callable[..., Any]:
        """The function of the ints, and what does not depend on them as attributes."""
        if builder.call is not None:
            raise ValueError("a call of the host has no words")
        words: list[Any] = []
        self._constants: list[tuple[int, int]] = []  # (word that holds the address, first word of the constant)
        self._changed, self._addresses, self._splits = tuple(builder.changed), builder.addresses, False
        cost: Any = 0
        if builder.launches:
            laid = laid_out(builder.launches, self._addresses, stepped=False)
            words, self._splits, cost = list(laid.words), laid.splits, laid.cost
            for word, constant in laid.constants:
                self._constants.append((word, len(words)))
                words += constant.words.ravel().tolist()
        self._plan_begin = len(words)
        writer = _Writer(trace)
        outputs = [writer.output(number, each) for number, each in enumerate(builder.outputs)]
        program: Any = None
        if builder.launches:
            program = object.__new__(Program)
            program.fill(None, 0, (), self._addresses, self._splits, cost)
        plan = Plan(tuple(builder.outputs), program, tuple(builder.allocations), self._changed, (), len(builder.inputs))
        fast = plan_words(plan, public, differentiable, writer.stack, writer.address)
        self._is_fast = fast is not None
        words += fast or ()
        if program is not None and fast is not None:  # which begin with the program's address
            self._constants.append((self._plan_begin, 0))
        values = [outputs, builder.allocations, builder.moves, words, cost]
        names = ("outputs", "allocations", "moves")
        ending = [*writer.lines, *(f"{name} = {writer.tuple(each)}" for name, each in zip(names, values, strict=False))]
        ending.append(f"return outputs, allocations, moves, array('q', {writer.tuple(words)}), {writer.text(cost)}")
        trace.globals.update(
            Output=Output,
            proved_spec=proved_spec,
            PrivateStrides=PrivateStrides,
            array=array,
            filled_stack=memory.filled_stack,
        )
        return trace.function("plan", ending, writer.read)


class _Code(str):
    """Text of a program among values."""


class _Writer:
    """Writes values that have symbols in them as text."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.read: list[Any] = []  # the symbols that the text has
        self.lines: list[str] = []
        self._specs: dict[int, _Code] = {}
        self._bytes: dict[str, _Code] = {}

    def text(self, value: Any) -> str:
        if isinstance(value, _Code):
            return value
        if isinstance(value, tuple) and type(value) is not Symbol:
            return self.tuple(value)
        self.read.append(value)
        return self._trace.text(value)

    def tuple(self, values: Sequence[Any]) -> str:
        inside = ", ".join(map(self.text, values))
        return f"({inside}{',' if len(values) == 1 else ''})"

    def _line(self, text: str) -> _Code:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return _Code(name)

    def _constant(self, value: Any) -> _Code:
        name = f"c{len(self._trace.globals)}"
        self._trace.globals[name] = value
        return _Code(name)

    def output(self, number: int, output: Output) -> _Code:
        """An `Output`; its spec and its bytes get names."""
        spec = None if output.spec is None else self._spec(output.spec)
        return self._line(f"Output({spec}, {output.source}, {self.text(output.offset)}, {self._nbytes(output.nbytes)})")

    def _spec(self, spec: Spec) -> _Code:
        code = self._specs.get(id(spec))
        if code is None:
            shape, strides = self.tuple(spec.shape), self.tuple(spec.strides)
            if spec.is_private:
                strides = f"PrivateStrides({strides})"
            key = f"({self._constant(spec.dtype)}, {shape}, {strides})"
            code = self._line(
                f"proved_spec({key}, {self._constant(spec.kind)}, {self.text(spec.numel)}, {self.text(spec.extent)})"
            )
            self._specs[id(spec)] = code
        return code

    def _nbytes(self, nbytes: Any) -> _Code:
        text = self.text(nbytes)
        if text not in self._bytes:
            self._bytes[text] = self._line(text)
        return self._bytes[text]

    def stack(self, nbytes: Any) -> _Code:
        """The address of a stack of free blocks."""
        return _Code(f"id(filled_stack({self.text(nbytes)}))")

    def address(self, value: Any) -> _Code:
        """The address of a spec or of an int that an `Output` holds."""
        return _Code(f"id({self._spec(value) if isinstance(value, Spec) else self._nbytes(value)})")


def _symbolic(spec: Spec, arguments: Any) -> Spec:
    """A spec with symbols for its numbers, which are those that `structure_of` appends."""
    shape = tuple([next(arguments) for _ in spec.shape])
    strides = contiguous_strides(shape)
    numel = extent = product(shape)
    if not spec.kind.is_exact:
        strides = type(spec.strides)([next(arguments) for _ in spec.strides])
        extent = next(arguments)
    symbolic = object.__new__(Spec)
    symbolic.fill(spec.kind, shape, strides, numel, extent)
    return symbolic


def _with_symbols(value: Any, arguments: Any) -> Any:
    """Parameters with symbols for their ints."""
    if value.__class__ is int:
        return next(arguments)
    if isinstance(value, tuple):
        return tuple.__new__(type(value), [_with_symbols(each, arguments) for each in value])
    return value
