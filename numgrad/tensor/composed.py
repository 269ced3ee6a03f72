"""`composed`: a composition of ops over small tensors as one op, which takes one dispatch in the place of many.

    @composed(tensors=1)
    def _shifted(input: Tensor, dim: int) -> Tensor: ...

The second call of the same specs and parameters is watched: its ops' plans, one after the other, with everything in between as
scratch memory, become the plan of one op. So later calls launch the same kernels on the same numbers, and have the same bits.
Whatever else there is of a composition (gradients, transforms, profiles, captured steps, large operands, whose parts in between
would live longer than they have to) goes by its ops as ever.

A function that is composed is made of ops alone: it looks at specs and parameters, never at numbers, nor at which tensors are the
same; its parameters are hashable, and were checked before. Errors that numbers cause come from its ops, which are applied once
more for that. With ``fills`` it writes over its first tensor, which it returns, and which needs no gradient.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from numgrad.engine import dispatch
from numgrad.engine.constants import is_constant
from numgrad.engine.tape import modes
from numgrad.errors import KernelError
from numgrad.layout import Spec
from numgrad.registry import Op, chain, plans
from numgrad.runtime import kernel, program
from numgrad.runtime.fast import start as fast
from numgrad.runtime.launches import Address, Array, Constant, Launch, Pair
from numgrad.runtime.plan import Output, Plan
from numgrad.runtime.program import Program

LARGEST = 1 << 13  # elements of an operand: beyond, kernels take longer than what is saved
_MOST_SEEN = 1 << 10  # signatures that an op remembers without a plan
_LINE = 64  # bytes: where a value begins in scratch memory

F = TypeVar("F", bound=Callable[..., Any])


def composed(tensors: int = 1, results: int = 1, fills: bool = False) -> Callable[[F], F]:
    """Let a function of so many tensors, and of parameters, be one op where it can."""

    def declare(function: F) -> F:
        op = Op(
            function.__name__.strip("_"), [f"x{k}" for k in range(tensors)], {"params": ()},
            outputs=[f"y{k}" for k in range(results)], public=results, differentiable=False, register=False, mutates=fills,
            doc=function.__doc__ or "",
        )  # fmt: skip
        known, seen = op.plans, dict[Any, bool]()

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            if chain.wrappers:
                return function(*args)
            inputs = args[:tensors]
            for each in inputs:
                if each.__class__ is not dispatch.tensor_class or (
                    (each._node is not None or each._requires_grad or each._base is not None) and _needs_grad(each)
                ):
                    return function(*args)
            result = fast.run(known, args[tensors:], *inputs)
            if result is not None and result.__class__ is not int:
                return result
            return _by_its_ops(op, seen, function, args, inputs) if result is None else function(*args)

        return call  # type: ignore[return-value]

    return declare


def _needs_grad(tensor: Any) -> bool:
    """Whether a tensor, or the base of a view, needs a gradient now."""
    base = tensor if tensor._base is None else tensor._base
    return modes.grad_enabled and (
        tensor._node is not None or tensor._requires_grad or base._node is not None or base._requires_grad
    )


def _by_its_ops(op: Op, seen: dict[Any, bool], function: Any, args: Any, inputs: Any) -> Any:
    """Apply the function, and make its plan if this is the second time; ``seen`` says of a signature whether it was tried."""
    key = (args[len(inputs) :], *[each._spec for each in inputs])
    is_second = seen.get(key) is False
    if key not in seen and key not in op.plans:
        if len(seen) >= _MOST_SEEN:
            seen.clear()
        seen[key] = False
    if not is_second or dispatch.recorders or dispatch.guards or program.observers or kernel.rehearsal is not None:
        return function(*args)
    if max([each._spec.numel for each in inputs]) > LARGEST or len({each._storage for each in inputs}) < len(inputs):
        return function(*args)
    seen[key] = True
    watch = _Watch()
    dispatch.recorders.append(watch)
    try:
        result = function(*args)
    finally:
        dispatch.recorders.remove(watch)
    results = result if isinstance(result, tuple) else (result,)
    plan = _joined(watch.steps, inputs, results) if len(results) == op.public else None
    if plan is not None and key == (key[0], *[each._spec for each in inputs]):
        plan.prepare(op.public, False)
        if plan.fast is not None:
            plans.keep(op, key, plan)
            seen.pop(key, None)
    return result


class _Step(NamedTuple):
    """An op that was applied."""

    inputs: tuple[Any, ...]
    outputs: list[Any]
    plan: Plan


class _Watch:
    """Notes the ops that this thread applies."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.thread = threading.get_ident()

    def applied(self, op: Op, inputs: tuple[Any, ...], outputs: list[Any], plan: Plan, params: Any) -> None:
        """Called by `dispatch` after each op of any thread."""
        if threading.get_ident() == self.thread:
            self.steps.append(_Step(inputs, list(outputs), plan))


class _Unfit(Exception):
    """These ops cannot be one."""


class _Place(NamedTuple):
    """Where a value lies: bytes after the beginning of an input, of the memory that an op made, or of a constant."""

    input: int
    memory: Any
    offset: int


class _Joiner:
    """Lays the launches of ops one after the other."""

    def __init__(self, inputs: tuple[Any, ...], results: tuple[Any, ...]) -> None:
        self.inputs = inputs
        self.starts = {each._storage: number for number, each in enumerate(inputs)}
        self.made: dict[Any, Address] = {}  # by storage
        self.launches: list[Launch | Pair] = []
        self.changed: set[int] = set()
        self.scratch = 0
        self.outputs: list[Output] = []
        self.result_of: dict[Any, int] = {}  # numbers of results by their storage
        for result in results:
            number = self.starts.get(result._storage)
            if number is not None:
                if result is not inputs[number]:
                    raise _Unfit
                self.outputs.append(Output(None, number))
            else:
                begins = result._address == result._storage.address
                if result._storage in self.result_of or result._spec.is_private or not begins:
                    raise _Unfit
                self.result_of[result._storage] = len(self.result_of)
                self.outputs.append(Output(result._spec, nbytes=result._spec.nbytes))
        self.room = len(inputs) + len(self.result_of)  # the number of the scratch memory

    def block(self, nbytes: int) -> Address:
        """A part of the scratch memory."""
        begin = self.scratch
        self.scratch = begin + -(-nbytes // _LINE) * _LINE
        return Address(self.room, begin)

    def address_of(self, tensor: Any) -> Address | Constant:
        """Where an operand of an op lies."""
        spec, storage = tensor._spec, tensor._storage
        number = self.starts.get(storage)
        if number is not None:
            source = self.inputs[number]
            offset = tensor._address - source._address
            if offset < 0 or offset + spec.nbytes > source._spec.nbytes:
                raise _Unfit
            return Address(number, offset)
        begin = self.made.get(storage)
        if begin is not None:
            return Address(begin.index, begin.offset + tensor._address - storage.address)
        if is_constant(tensor):
            return Constant(np.asarray(storage).view(spec.dtype.numpy)[:1])
        raise _Unfit

    def add(self, step: _Step) -> None:
        """Add an op's launches."""
        plan = step.plan
        if plan.program is not None and not isinstance(plan.program, Program):
            raise _Unfit  # a call of NumPy's
        places: list[Any] = [None if each is None else self.address_of(each) for each in step.inputs]
        for position in plan.changed:
            place = places[position]
            if isinstance(place, Constant):
                raise _Unfit
            if place.index < len(self.inputs):
                self.changed.add(place.index)
        new = [made for made, output in zip(step.outputs, plan.outputs, strict=True) if output.source is None]
        numbers = iter(zip(new, [each for each in plan.outputs if each.source is None], strict=True))
        for nbytes in plan.allocations:
            if nbytes is not None:
                places.append(self.block(nbytes))
                continue
            tensor, output = next(numbers)
            number = self.result_of.get(tensor._storage)
            if number is None:
                place = self.block(output.nbytes)
            elif output.nbytes != self._nbytes_of(number):
                raise _Unfit
            else:
                place = Address(len(self.inputs) + number)
            self.made[tensor._storage] = place
            places.append(place)
        if plan.program is not None:
            self.launches += [_moved(launch, places) for launch in plan.program.launches]

    def _nbytes_of(self, number: int) -> int:
        return [each.nbytes for each in self.outputs if each.source is None][number]

    def plan(self) -> Plan:
        """The plan of all."""
        if not self.launches or not self.result_of.keys() <= self.made.keys():
            raise _Unfit
        news = len(self.result_of)
        allocations = (*(None,) * news, *((self.scratch,) if self.scratch else ()))
        joined = Program(self.launches, len(self.inputs) + len(allocations))
        return Plan(tuple(self.outputs), joined, allocations, tuple(sorted(self.changed)), (), len(self.inputs))


def _moved(launch: Launch | Pair, places: list[Any]) -> Launch | Pair:
    """A launch on operands elsewhere."""
    if isinstance(launch, Pair):
        return Pair(tuple(_moved(part, places) for part in launch.parts))  # type: ignore[arg-type]
    arguments = []
    for argument in launch.arguments:
        if isinstance(argument, Array) and argument.address.index >= 0:
            place = places[argument.address.index]
            if isinstance(place, Constant):
                if argument.address.offset:
                    raise _Unfit
                argument = Constant(place.words.reshape(argument.shape))
            else:
                argument = Array(Address(place.index, place.offset + argument.address.offset), argument.shape)
        elif isinstance(argument, Array) and argument.address.index == program.TABLE_ADDRESS:
            if places[: argument.shape[0]] != [Address(number) for number in range(argument.shape[0])]:
                raise _Unfit
        arguments.append(argument)
    return Launch(
        launch.kernel, launch.binding, tuple(arguments), launch.work, launch.grain, launch.cost, launch.workers
    )


def _joined(steps: list[_Step], inputs: tuple[Any, ...], results: tuple[Any, ...]) -> Plan | None:
    """One plan of the plans of ops; None if they cannot be one."""
    if any(each._spec.is_private for each in inputs):
        return None
    try:
        joiner = _Joiner(inputs, results)
        for step in steps:
            joiner.add(step)
        return joiner.plan()
    except (_Unfit, KernelError):  # an operand from elsewhere, or too many words
        return None
