"""`composed`: a function of small tensors as one op, which takes one dispatch in the place of many, and no Python between.

    @public("function", "method")
    @composed()
    def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor: ...

The second call of the same signature is watched: its ops' plans, one after the other, with everything in between as scratch
memory, become the plan of one op. So later calls launch the same kernels on the same numbers, and have the same bits. A signature
is specs, other arguments and the classes of all, so that what a function refuses or converts stays refused or converted.
Whatever else there is (gradients, transforms, profiles, captured steps, arguments of other classes, large operands, whose parts
in between would live longer than they have to) goes by the function as ever.

A function that is composed is made of ops alone: it looks at specs and arguments, never at numbers, nor at which tensors are the
same. Errors that numbers cause come from its ops, which are applied once more for that.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from numgrad import dtypes, errors
from numgrad.engine import dispatch
from numgrad.engine.constants import is_constant
from numgrad.engine.tape import modes
from numgrad.errors import KernelError
from numgrad.layout import product
from numgrad.ops.elementwise import clone
from numgrad.registry import EVERY, Op, chain, plans
from numgrad.runtime import kernel, program
from numgrad.runtime.fast import start as fast
from numgrad.runtime.launches import Address, Array, Constant, Launch, Pair
from numgrad.runtime.plan import Output, Plan
from numgrad.runtime.program import Program

LARGEST = 1 << 13  # elements of an operand: beyond, kernels take longer than what is saved
_MOST_ITEMS = 32  # of a sequence among the arguments
_MOST_SEEN = 1 << 10  # signatures that an op remembers without a plan
_PLAIN = frozenset(
    {type(None), bool, int, float, str, dtypes.dtype}
)  # classes of arguments that are part of a signature
_INT_OR_NONE = frozenset({int, type(None)})
_ONCE, _UNFIT, _ONE, _SEVERAL = range(
    4
)  # of a signature: seen once, by its ops for ever, a plan of a result or of a tuple
_MOST_CONSTANT = 1 << 14  # bytes of numbers that a function makes itself
_MOST_SCRATCH = 1 << 20  # bytes
_LINE = 64  # bytes: where a value begins in scratch memory

_all: list[tuple[dict[Any, Any], dict[Any, int]]] = []  # plans and signatures of all functions
F = TypeVar("F", bound=Callable[..., Any])


def composed(tensors: int = 0, kind: Any = None, fills: bool = False) -> Callable[[F], F]:
    """Let a function be one op where it can.

    Parameters
    ----------
    tensors
        The first so many arguments are tensors, and the others hashable and checked before: a function of this package's own.
        0: any arguments, by name or not.
    kind
        The class of the tuple that it returns, if it returns one, and that is not `tuple`.
    fills
        It writes over its first tensor, which needs no gradient, and returns it.
    """

    def declare(function: F) -> F:
        op = Op(
            function.__name__.strip("_"), ("input",), {"params": ()}, public=EVERY, differentiable=False, register=False,
            variadic=True, mutates=fills, doc=function.__doc__ or "",
        )  # fmt: skip
        op.on_status(_status_error)
        known, seen = op.plans, dict[Any, int]()
        _all.append((known, seen))

        def call(*args: Any, **kwargs: Any) -> Any:
            if chain.wrappers:
                return function(*args, **kwargs)
            tensor_class, inputs, words = dispatch.tensor_class, [], []
            for each in (*args, *kwargs.values()) if kwargs else args:
                its = each.__class__
                words.append(its)
                if its is tensor_class:
                    if (each._node is not None or each._requires_grad or each._base is not None) and _needs_grad(each):
                        return function(*args, **kwargs)
                    inputs.append(each)
                elif its in _PLAIN:
                    words.append(each)
                elif not (its is tuple or its is list) or not _add_items(each, words, inputs):
                    return function(*args, **kwargs)
            if kwargs:
                words += kwargs
            key = tuple(words)
            result = fast.run(known, key, *inputs)
            if result.__class__ is tensor_class:
                return result
            if result is None:
                result = _by_its_ops(op, seen, function, args, kwargs, key, inputs)
            elif result.__class__ is int:  # a status, to which its ops know the error
                return function(*args, **kwargs)
            return kind(result) if kind is not None and result.__class__ is tuple else result

        def call_checked(*args: Any) -> Any:
            if chain.wrappers:
                return function(*args)
            inputs = args[:tensors]
            for each in inputs:
                if each.__class__ is not dispatch.tensor_class or (
                    (each._node is not None or each._requires_grad or each._base is not None) and _needs_grad(each)
                ):
                    return function(*args)
            result = fast.run(known, args[tensors:], *inputs)
            if result is None:
                result = _by_its_ops(op, seen, function, args, {}, args[tensors:], inputs)
            elif result.__class__ is int:
                return function(*args)
            return kind(result) if kind is not None and result.__class__ is tuple else result

        return functools.wraps(function)(call_checked if tensors else call)  # type: ignore[return-value]

    return declare


def _add_items(items: Any, words: list[Any], inputs: list[Any]) -> bool:
    """Add the ints, tensors and parts of an index to a signature; whether there is nothing else, nor too many of them."""
    words.append(len(items))
    if len(items) > _MOST_ITEMS:
        return False
    for each in items:
        its = each.__class__
        if its is int:
            words.append(each)
        elif its is dispatch.tensor_class and not _needs_grad(each):
            words.append(its)
            inputs.append(each)
        elif its is type(None) or its is type(Ellipsis):
            words.append(its)
        elif its is slice and _INT_OR_NONE.issuperset([each.start.__class__, each.stop.__class__, each.step.__class__]):
            words += (its, each.start, each.stop, each.step)
        else:
            return False
    return True


@dtypes.when_default_changes.append
def _forget() -> None:
    """Drop what is known of all functions, which may ask for the default dtype."""
    for known, seen in _all:
        known.clear()
        seen.clear()


def _needs_grad(tensor: Any) -> bool:
    """Whether a tensor, or the base of a view, needs a gradient now."""
    base = tensor if tensor._base is None else tensor._base
    return modes.grad_enabled and (
        tensor._node is not None or tensor._requires_grad or base._node is not None or base._requires_grad
    )


def _by_its_ops(
    op: Op, seen: dict[Any, int], function: Any, args: Any, kwargs: Any, params: Any, inputs: Sequence[Any]
) -> Any:
    """Apply the function, and make its plan if this is the second time; ``seen`` says of a signature what became of it."""
    if dispatch.recorders or dispatch.guards or program.observers or kernel.rehearsal is not None:
        return function(*args, **kwargs)
    key = (params, *[each._spec for each in inputs])
    before = seen.get(key)
    if key in op.plans:
        if before not in (_ONE, _SEVERAL):
            return function(*args, **kwargs)
        try:  # memory has to be allocated
            results = dispatch.dispatch(op, tuple(inputs), params)
        except _StatusError:
            return function(*args, **kwargs)
        return results[0] if before == _ONE else results
    if before is None:
        if len(seen) >= _MOST_SEEN:
            seen.clear()
        seen[key] = _ONCE
    if before is None or before == _UNFIT or max([each._spec.numel for each in inputs], default=0) > LARGEST:
        return function(*args, **kwargs)
    if len({each._storage for each in inputs}) < len(inputs):  # which of them an op reads is told by their memory
        copies = [each if number == 0 else clone(each) for number, each in enumerate(inputs)]
        if op.mutates or [each._spec for each in copies] != [*key[1:]]:
            return function(*args, **kwargs)
        rest = iter(copies)
        args, kwargs = _replaced(args, rest), dict(zip(kwargs, _replaced(tuple(kwargs.values()), rest), strict=True))
        inputs = copies
    seen[key] = _UNFIT
    watch, warned = _Watch(), errors.warned
    dispatch.recorders.append(watch)
    modes.capture = watch
    try:
        result = function(*args, **kwargs)
    finally:
        modes.capture = None
        dispatch.recorders.remove(watch)
    is_one = not isinstance(result, tuple)
    fits = watch.fits and warned == errors.warned
    plan = _joined(watch, inputs, (result,) if is_one else result) if fits else None
    if plan is not None and [each._spec for each in inputs] == [*key[1:]]:
        plan.prepare(1 if is_one else EVERY, False)
        if plan.fast is not None:
            plans.keep(op, key, plan)
            seen[key] = _ONE if is_one else _SEVERAL
    return result


def _replaced(arguments: Any, tensors: Iterator[Any]) -> Any:
    """The arguments with other tensors in their places."""
    if isinstance(arguments, (tuple, list)):
        return type(arguments)([_replaced(each, tensors) for each in arguments])
    return next(tensors) if arguments.__class__ is dispatch.tensor_class else arguments


class _Step(NamedTuple):
    """An op that was applied."""

    inputs: tuple[Any, ...]
    outputs: list[Any]
    plan: Plan


class _Watch:
    """Notes the ops that this thread applies, the memory that it fills with numbers of its own, and whether it reads any.

    To the functions it is what a capture of a step is.
    """

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.filled: set[Any] = set()  # storages
        self.fits = True
        self.thread = threading.get_ident()

    def applied(self, op: Op, inputs: tuple[Any, ...], outputs: list[Any], plan: Plan, params: Any) -> None:
        """Called by `dispatch` after each op of any thread."""
        if threading.get_ident() == self.thread:
            self.steps.append(_Step(inputs, list(outputs), plan))

    def fills(self, tensor: Any, data: Any = None) -> None:
        """A new tensor has numbers of Python's or NumPy's, which are the same at each call."""
        self.filled.add(tensor._storage)

    def _refused(self, *_: Any) -> None:
        self.fits = False

    def __getattr__(self, name: str) -> Any:
        return self._refused  # values are read, or something happens that no op does


class _StatusError(Exception):
    """A launch left a status, to which its op knows the error."""


def _status_error(status: int, params: Any) -> Exception:
    return _StatusError()


class _UnfitError(Exception):
    """These ops cannot be one."""


class _Joiner:
    """Lays the launches of ops one after the other."""

    def __init__(self, inputs: Sequence[Any], results: tuple[Any, ...], filled: set[Any]) -> None:
        self.inputs, self.filled = inputs, filled
        self.starts = {each._storage: number for number, each in enumerate(inputs)}
        self.memory: dict[Any, Address] = {}  # by storage
        self.launches: list[Launch | Pair] = []
        self.changed: set[int] = set()
        self.scratch = 0
        self.outputs: list[Output] = []
        self.result_of: dict[Any, int] = {}  # numbers of results by their storage
        for result in results:
            if result.__class__ is not dispatch.tensor_class:
                raise _UnfitError
            number = self.starts.get(result._storage)
            if number is not None:
                if result is not inputs[number]:
                    raise _UnfitError
                self.outputs.append(Output(None, number))
            else:
                begins = result._address == result._storage.address
                if result._storage in self.result_of or result._spec.is_private or not begins:
                    raise _UnfitError
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
                raise _UnfitError
            return Address(number, offset)
        begin = self.memory.get(storage)
        if begin is not None:
            return Address(begin.index, begin.offset + tensor._address - storage.address)
        if is_constant(tensor) or (storage in self.filled and spec.nbytes <= _MOST_CONSTANT):
            return Constant(_numbers_of(tensor))
        raise _UnfitError

    def add(self, step: _Step) -> None:
        """Add an op's launches."""
        plan = step.plan
        if plan.program is not None and not isinstance(plan.program, Program):
            raise _UnfitError  # a call of NumPy's
        places: list[Any] = [None if each is None else self.address_of(each) for each in step.inputs]
        for position in plan.changed:
            goal = places[position]
            if isinstance(goal, Constant):
                raise _UnfitError
            if goal.index < len(self.inputs):
                self.changed.add(goal.index)
        new = [each for each, output in zip(step.outputs, plan.outputs, strict=True) if output.source is None]
        numbers = iter(zip(new, [each for each in plan.outputs if each.source is None], strict=True))
        for nbytes in plan.allocations:
            if nbytes is not None:
                places.append(self.block(nbytes))
                continue
            tensor, output = next(numbers)
            number = self.result_of.get(tensor._storage)
            if number is None:
                begin = self.block(output.nbytes)
            elif output.nbytes != self._nbytes_of(number):
                raise _UnfitError
            else:
                begin = Address(len(self.inputs) + number)
            self.memory[tensor._storage] = begin
            places.append(begin)
        if plan.program is not None:
            self.launches += [_moved(launch, places) for launch in plan.program.launches]

    def _nbytes_of(self, number: int) -> int:
        return [each.nbytes for each in self.outputs if each.source is None][number]

    def plan(self) -> Plan:
        """The plan of all."""
        if self.scratch > _MOST_SCRATCH or not self.launches or not self.result_of.keys() <= self.memory.keys():
            raise _UnfitError
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
            begin = places[argument.address.index]
            if isinstance(begin, Constant):
                first = argument.address.offset // begin.words.itemsize
                count = product(argument.shape)
                argument = Constant(begin.words[first : first + count].reshape(argument.shape))
            else:
                argument = Array(Address(begin.index, begin.offset + argument.address.offset), argument.shape)
        elif isinstance(argument, Array) and argument.address.index == program.TABLE_ADDRESS:
            _check_table(places, argument.shape[0])
        arguments.append(argument)
    return Launch(
        launch.kernel, launch.binding, tuple(arguments), launch.work, launch.grain, launch.cost, launch.workers
    )


def _numbers_of(tensor: Any) -> np.ndarray:
    """A copy of a tensor's memory."""
    spec = tensor._spec
    memory: Any = (ctypes.c_char * spec.nbytes).from_address(tensor._address)
    return np.frombuffer(memory, spec.dtype.numpy).copy()


def _check_table(places: list[Any], count: int) -> None:
    """Refuse an op that reads the table of its inputs' addresses, unless it is that of all."""
    if places[:count] != [Address(number) for number in range(count)]:
        raise _UnfitError


def _joined(watch: _Watch, inputs: Sequence[Any], results: tuple[Any, ...]) -> Plan | None:
    """One plan of the plans of ops; None if they cannot be one."""
    if any(each._spec.is_private for each in inputs):
        return None
    try:
        joiner = _Joiner(inputs, results, watch.filled)
        for step in watch.steps:
            joiner.add(step)
        return joiner.plan()
    except (_UnfitError, KernelError):  # an operand from elsewhere, or too many words
        return None
