"""One plan of the plans of several ops: what a function of small tensors does in one launch of machine code (`known`).

The ops' launches lie one after the other, and all that they pass on lies in one block of scratch memory. They are the same kernels
on the same numbers, so the bits are the same. What cannot be joined: a result that is a view, an operand from elsewhere, a plan
that calls NumPy or reads the table of its inputs' addresses.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from numgrad.engine import dispatch
from numgrad.engine.constants import is_constant
from numgrad.errors import KernelError
from numgrad.layout import product
from numgrad.runtime import program
from numgrad.runtime.launches import Address, Array, Constant, Launch, Pair
from numgrad.runtime.plan import Output, Plan
from numgrad.runtime.program import Program, laid_out

# Elements of an operand: beyond, kernels take longer than what is saved, and what is between lives longer.
LARGEST = 1 << 16
_MOST_CONSTANT = 1 << 14  # bytes of numbers that a function makes itself
_MOST_SCRATCH = 1 << 20  # bytes
_WORDS_WEIGHED = 1 << 8  # as much as a plan of an op
_LINE = 64  # bytes: where a value begins in scratch memory


class _UnfitError(Exception):
    """These ops cannot be one."""


class _Joiner:
    """Lays the launches of ops one after the other."""

    def __init__(self, inputs: Sequence[Any], results: tuple[Any, ...], filled: set[Any], views: bool) -> None:
        self.inputs, self.filled, self.views = inputs, filled, views
        self.starts = {each._storage: number for number, each in enumerate(inputs) if each is not None}
        self.memory: dict[Any, Address] = {}  # by storage
        self.launches: list[Launch | Pair] = []
        self.changed: set[int] = set()
        self.writes_last = True
        self.scratch = 0
        self.outputs: list[Output] = []
        self.result_of: dict[Any, int] = {}  # numbers of results by their storage
        for result in results:
            if result.__class__ is not dispatch.tensor_class or result._requires_grad or result._node is not None:
                raise _UnfitError
            number = self.starts.get(result._storage)
            if number is not None:
                self.outputs.append(Output(None, number) if result is inputs[number] else self.view_of(result, number))
            else:
                begins = result._address == result._storage.address
                if result._storage in self.result_of or result._spec.is_private or not begins:
                    raise _UnfitError
                self.result_of[result._storage] = len(self.result_of)
                self.outputs.append(Output(result._spec, nbytes=result._spec.nbytes))
        self.room = len(inputs) + len(self.result_of)  # the number of the scratch memory

    def view_of(self, result: Any, number: int) -> Output:
        """A result that is a view of an input."""
        spec, distance = result._spec, result._address - self.inputs[number]._address
        if not self.views or distance < 0 or distance + spec.nbytes > self.inputs[number]._spec.nbytes:
            raise _UnfitError
        return Output(spec, number, distance // spec.dtype.itemsize)

    def block(self, nbytes: int) -> Address:
        """A part of the scratch memory."""
        begin = self.scratch
        self.scratch = begin + -(-max(nbytes, 1) // _LINE) * _LINE  # also what is empty has an address
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

    def add(self, overwrites: bool, inputs: Sequence[Any], outputs: Sequence[Any], plan: Plan) -> None:
        """Add the launches of an op, which may have written over its first input."""
        if plan.program is not None and not isinstance(plan.program, Program):
            raise _UnfitError  # a call of NumPy's
        if overwrites and inputs[0]._storage in self.result_of and inputs[0]._storage not in self.memory:
            self.new(inputs[0], inputs[0]._spec.nbytes)  # memory that nobody has written before
        places: list[Any] = [None if each is None else self.address_of(each) for each in inputs]
        goals = set()
        for position in plan.changed:
            goal = places[position]
            if isinstance(goal, Constant):
                raise _UnfitError
            if goal.index < len(self.inputs):
                goals.add(goal.index)
        self.changed |= goals
        if self.changed:  # other inputs, which may lie where these lie
            reads = {each.index for each in places if isinstance(each, Address)} - goals
            self.writes_last &= len(self.changed) == 1 and not any(index < len(self.inputs) for index in reads)
        new = [each for each, output in zip(outputs, plan.outputs, strict=True) if output.source is None]
        numbers = iter(zip(new, [each for each in plan.outputs if each.source is None], strict=True))
        for nbytes in plan.allocations:
            if nbytes is not None:
                places.append(self.block(nbytes))
                continue
            tensor, output = next(numbers)
            places.append(self.new(tensor, output.nbytes))
        if plan.program is not None:
            self.launches += [_moved(launch, places) for launch in _launches_of(plan.program)]

    def new(self, tensor: Any, nbytes: int) -> Address:
        """Memory for a tensor that has its own: that of a result, or a part of the scratch memory."""
        number = self.result_of.get(tensor._storage)
        if tensor._address != tensor._storage.address or (number is not None and nbytes != self._nbytes_of(number)):
            raise _UnfitError
        begin = self.block(nbytes) if number is None else Address(len(self.inputs) + number)
        self.memory[tensor._storage] = begin
        return begin

    def _nbytes_of(self, number: int) -> int:
        return [each.nbytes for each in self.outputs if each.source is None][number]

    def plan(self) -> Plan:
        """The plan of all."""
        if self.scratch > _MOST_SCRATCH or not self.result_of.keys() <= self.memory.keys():
            raise _UnfitError
        if not self.result_of and not self.changed:
            self.launches, self.scratch = [], 0  # inputs and views of them: nobody reads what was written
        elif not self.launches or any(each.source is not None and each.spec is not None for each in self.outputs):
            raise _UnfitError  # machine code makes no views beside other results
        news = len(self.result_of)
        allocations = (*(None,) * news, *((self.scratch,) if self.scratch else ()))
        joined = _program_of(self.launches, len(self.inputs) + len(allocations)) if self.launches else None
        plan = Plan(tuple(self.outputs), joined, allocations, tuple(sorted(self.changed)), (), len(self.inputs))
        plan.writes_last = self.writes_last
        if joined is not None:
            plan.weight += len(joined._held) // _WORDS_WEIGHED
        return plan


def _program_of(launches: Sequence[Launch | Pair], address_count: int) -> Program:
    """The words alone: whoever looks at launches listens, so that no joined plan runs; and they would be most of its memory."""
    laid = laid_out(launches, address_count, stepped=False)
    words, begins = array("q", laid.words), []
    for _, constant in laid.constants:
        begins.append(8 * len(words))
        words.frombytes(constant.words.tobytes() + bytes(-constant.words.nbytes % 8))
    address = words.buffer_info()[0]
    for (word, _), begin in zip(laid.constants, begins, strict=True):
        words[word] = address + begin
    joined = object.__new__(Program)
    joined.fill(words, address, (), address_count, laid.splits, laid.cost)
    return joined


def _launches_of(program: Program) -> Sequence[Launch | Pair]:
    """The launches of a program, which it does not keep where it can make them anew."""
    launches = program._launches
    return launches() if callable(launches) else launches  # type: ignore[no-any-return]


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


def plan_of(
    steps: Sequence[tuple[bool, Sequence[Any], Sequence[Any], Plan]],
    inputs: Sequence[Any],
    results: tuple[Any, ...],
    filled: set[Any],
    views: bool = False,
) -> Plan | None:
    """One plan of the plans of ops; None if they cannot be one.

    Parameters
    ----------
    steps
        Of each op that was applied whether it overwrites its first input, the inputs, the outputs and the plan.
    inputs
        The tensors that all began with, in storages of their own, or None.
    results
        What came out in the end.
    filled
        Storages with numbers that are the same each time.
    views
        Whether results may be views of inputs, if all are inputs or views of them.
    """
    try:
        joiner = _Joiner(inputs, results, filled, views)
        for step in steps:
            joiner.add(*step)
        return joiner.plan()
    except (_UnfitError, KernelError):  # an operand from elsewhere, or too many words
        return None
