"""A plan: what one op does for one signature, as outputs to allocate and launches to run.

An op's shape rule is a planning function: from the specs of its inputs it derives those of its outputs, proves every
shape, and lists kernel launches. A plan is made once per signature and kept, so planning may be slow and thorough.
Running one is a look-up, the allocation of outputs and one call into compiled code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numgrad import symbols
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import KernelError, ProofError, ShapeError
from numgrad.layout import Spec, product, spec_of
from numgrad.runtime import memory, program, threads
from numgrad.runtime.fast.layout import PLAN_USED
from numgrad.runtime.fast.write import plan_words
from numgrad.runtime.host import HostArray, HostCall
from numgrad.runtime.kernel import Kernel
from numgrad.runtime.launches import Address, Array, Constant, Launch, Pair
from numgrad.runtime.program import Program

STATUS = Array(Address(program.STATUS_ADDRESS), (1,))  # argument for a kernel's parameter "status: i8[:]"
WEIGHED = 64  # operands that weigh as much as the rest of a plan
ENDLESS_COST = 1 << 56  # elementary operations: months of them, and a running kernel cannot be interrupted
GRAIN_COST = 1 << 15  # elementary operations in a chunk: about 10 us of work against 0.3 us for a region
# Elementary operations from which columns of the same rows are divided. Below, the lines of these rows, which lie in another CPU's
# cache, take longer to come than the operations: softmax over the rows of 100 x 100 took 13 us on one CPU and 34 on two (Zen 4).
SHARED_COST = 1 << 19


def grain_of(unit_cost: int) -> int:
    """Units in a chunk of work."""
    return max(1, GRAIN_COST // max(unit_cost, 1))


def column_grain(blocks: int, units: int, unit_cost: int) -> int:
    """`grain_of`, where each ``blocks`` of the units are columns of the same rows."""
    return max(1, units) if blocks > 1 and units * unit_cost < SHARED_COST else grain_of(unit_cost)


@dataclass(frozen=True)
class Operand:
    """Memory that launches of a plan may address: an input, an output, or scratch."""

    index: int
    spec: Spec
    extent: int  # elements that may be touched, from ``offset`` on
    offset: int = 0  # elements

    @property
    def code(self) -> str:
        """dtype as kernels name it."""
        return self.spec.dtype.code

    @property
    def flat(self) -> Array:
        """All elements of a dense operand, in memory order."""
        return self.array(self.extent)

    def array(self, *shape: int, offset: int = 0) -> Array:
        """A C-contiguous array over this memory from element ``offset`` on; proves that it lies inside."""
        if any(number.__class__ is not int for number in (offset, *shape)):
            raise ProofError(f"an array of shape {shape} at {offset}: expected ints")
        if offset < 0 or min(shape, default=0) < 0 or offset + product(shape) > self.extent:
            raise ProofError(
                f"an array of shape {shape} at {offset} reaches beyond an operand of {self.extent} elements"
            )
        return Array(Address(self.index, (self.offset + offset) * self.spec.dtype.itemsize), shape)

    def view(self, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Operand:
        """Part of this memory as an operand of its own; proves that it lies inside."""
        spec = spec_of(self.spec.dtype, shape, strides)
        if offset < 0 or min(strides, default=0) < 0 or offset + spec.extent > self.extent:
            raise ProofError(
                f"a view of shape {shape} and strides {strides} at {offset} reaches beyond {self.extent} elements"
            )
        return Operand(self.index, spec, spec.extent, self.offset + offset)


class Output(NamedTuple):
    """How one output of a plan comes about.

    ``source`` is None for new memory; otherwise the input that the output is a view of, from element ``offset`` on, or,
    with ``spec`` None, the input itself, changed in place.
    """

    spec: Spec | None
    source: int | None = None
    offset: int = 0
    nbytes: int = 0  # of new memory


class PrivateOperandError(Exception):
    """A plan needs the input ``position`` in the layout that users see; the caller converts it and plans again."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class PlanBuilder:
    """Collects a plan's outputs, scratch memory and launches."""

    def __init__(self, inputs: tuple[Spec | None, ...]) -> None:
        self.inputs = tuple(
            None if spec is None else Operand(index, spec, spec.extent) for index, spec in enumerate(inputs)
        )
        self.outputs: list[Output] = []
        self.changed: list[int] = []  # inputs whose memory the launches change
        self.launches: list[Launch | Pair] = []
        self.call: HostCall | None = None  # in the place of launches
        self.moves: tuple[tuple[int, int], ...] = ()  # see `window`
        self.addresses = len(inputs)  # operands: the inputs, and what is allocated
        self.allocations: list[int | None] = []  # see `Plan`
        self._codes: list[str] = []  # of their dtypes
        self.workers = threads.get_num_threads()

    def _new_operand(self, nbytes: int | None, spec: Spec, extent: int) -> Operand:
        self.allocations.append(nbytes)
        self._codes.append(spec.dtype.code)
        self.addresses += 1
        return Operand(self.addresses - 1, spec, extent)

    def output(self, dtype: Dtype, shape: tuple[int, ...], strides: tuple[int, ...] | None = None) -> Operand:
        """A new output; contiguous if no strides are given. Its content is undefined until a launch writes it."""
        spec = spec_of(dtype, shape, strides)
        self.outputs.append(Output(spec, nbytes=spec.extent * dtype.itemsize))
        return self._new_operand(None, spec, spec.extent)

    def view(self, source: Operand, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> None:
        """An output that shares an input's memory, from element ``offset`` (of the input) on."""
        self.exposed(source)
        spec = spec_of(source.spec.dtype, shape, strides)
        if offset.__class__ is not int:
            raise TypeError(f"a view begins at element {offset!r}, expected an int")
        if spec.numel and (offset < 0 or min(strides, default=0) < 0):
            raise ProofError(f"a view may not reach before its source: offset {offset}, strides {strides}")
        if spec.numel and offset + spec.extent > source.extent:
            raise ProofError(
                f"a view of shape {shape}, strides {strides} at {offset} reaches beyond {source.extent} elements"
            )
        self.outputs.append(Output(spec, source.index, offset))

    def window(self, room: Sequence[int], strides: Sequence[int]) -> None:
        """Declare that the last view may begin elsewhere, for an op that moves.

        In each dimension it may begin at ``range(room)``, each one a stride from the one before.
        """
        self.moves = tuple(zip(room, strides, strict=True))
        view = self.outputs.pop()
        self.outputs.append(Output(view.spec, view.source))

    def exposed(self, source: Operand) -> None:
        """Declare that this plan exposes an input's memory, not only its values: the layout must not be private."""
        if source.spec.is_private:
            raise PrivateOperandError(source.index)

    def in_place(self, source: Operand) -> Operand:
        """Declare that the output is this input, changed in place.

        Raises
        ------
        ShapeError
            Several elements of it are one place in memory.
        """
        if any(n > 1 and s == 0 for n, s in zip(source.spec.shape, source.spec.strides, strict=True)):
            raise ShapeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please "
                "clone() the tensor before performing the operation."
            )
        self.alias(source)
        return self.changes(source)

    def alias(self, source: Operand) -> None:
        """Declare that the output is this input itself."""
        self.outputs.append(Output(None, source.index))

    def changes(self, source: Operand) -> Operand:
        """Declare that launches change this input's memory."""
        self.changed.append(source.index)
        return source

    def scratch(self, dtype: Dtype, count: int, *, per_worker: bool = False) -> Operand:
        """Memory for this plan's launches alone, undefined at first; ``per_worker``: ``count`` elements for each worker.

        A kernel with a ``worker`` parameter finds its part of the latter at ``worker * count``.
        """
        extent = count * self.workers if per_worker else count
        return self._new_operand(extent * dtype.itemsize, spec_of(dtype, (extent,)), extent)

    def enlarged(self, scratch: Operand, count: int) -> Operand:
        """The same scratch memory with room for so many elements, for launches after those that have used it."""
        self.allocations[scratch.index - len(self.inputs)] = count * scratch.spec.dtype.itemsize
        return Operand(scratch.index, spec_of(scratch.spec.dtype, (count,)), count)

    @property
    def table(self) -> Array:
        """The table of the inputs' addresses, for a kernel that takes any number of them."""
        return Array(Address(program.TABLE_ADDRESS), (len(self.inputs),))

    def constant(self, words: np.ndarray | Sequence[Any]) -> Constant:
        """An array of int64, or nested sequences of ints, that a kernel reads at each call."""
        array = np.ascontiguousarray(words, object if symbols.traces else np.int64)
        if array.dtype == object and not symbols.are_in(array.flat):
            array = array.astype(np.int64)
        return Constant(array)

    def launch(
        self,
        kernel: Kernel,
        *arguments: Any,
        work: int,
        grain: int,
        cost: int | None = None,
        binding: tuple[str, ...] = (),
        prepares: bool = False,
    ) -> None:
        """Add a launch of ``kernel`` over ``range(work)``, in chunks of ``grain``.

        Arguments are arrays (`Operand.array`), `STATUS`, `table`, constants, records or Python numbers, in the order of
        the kernel's declaration; type variables are bound by the arrays' dtypes, or by ``binding``. ``cost`` is a rough count
        of elementary operations for all of the work (default: one for each unit). ``prepares`` says that the launch reads
        inputs, or what such launches before it wrote, and writes scratch memory that no other launch writes: a replay runs it
        once for inputs that stay the same (`compile.passes.freeze`).

        Raises
        ------
        RuntimeError
            It would run for months. Elements that are repeated without a copy can be so many.
        """
        if work.__class__ is not int:
            raise KernelError(f"{kernel.name}: {work!r} units of work, expected an int")
        if work <= 0:
            return
        if (cost or work) > ENDLESS_COST:
            raise RuntimeError(
                f"{kernel.name}: {cost or work} elementary operations would take months; the operands have that many elements "
                "only because they are repeated by expand(): reduce them before"
            )
        bound = binding or self._binding(kernel, arguments)
        # A kernel that has no memory for each worker takes as many as there are when it runs.
        workers = self.workers if kernel.takes_worker else threads.MOST_THREADS
        self.launches.append(Launch(kernel, bound, arguments, work, max(1, grain), cost or work, workers, prepares))

    def host_call(
        self, function: Callable[..., int | None], inputs: Sequence[Operand], outputs: Sequence[Operand], **params: Any
    ) -> None:
        """Let the plan be one call of ``function(*inputs, *outputs, **params)`` over NumPy arrays; see `runtime.host`.

        Raises
        ------
        KernelError
            The plan has launches, or a call already.
        """
        if self.launches or self.call is not None:
            raise KernelError(f"{function.__name__}: a plan is either one call of the host or launches of kernels")
        arrays = [
            HostArray(each.index, each.offset * each.spec.dtype.itemsize, each.spec, writable)
            for operands, writable in ((inputs, False), (outputs, True))
            for each in operands
        ]
        self.call = HostCall(function, arrays, params)

    def together(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Add the launches of two functions that do not depend on each other.

        The costliest launch of the one runs beside the costliest of the other (see `Pair`), and so do those before and
        after them, two by two. Small launches run by themselves.
        """
        before, sides = self.launches, []
        for plan in (first, second):
            self.launches = []
            plan()
            sides.append(self.launches)
        self.launches = before
        costliest = [max(range(len(side)), key=lambda k: side[k].cost, default=0) for side in sides]
        end = max(len(side) - middle for side, middle in zip(sides, costliest, strict=True))
        for k in range(-max(costliest), end):
            indices = [middle + k for middle in costliest]
            beside = [side[index] for side, index in zip(sides, indices, strict=True) if 0 <= index < len(side)]
            if len(beside) == 2 and min(launch.cost for launch in beside) >= GRAIN_COST:
                self.launches.append(Pair((*beside[0].parts, *beside[1].parts)))  # type: ignore[arg-type]
            else:
                self.launches += beside

    def _binding(self, kernel: Kernel, arguments: tuple[Any, ...]) -> tuple[str, ...]:
        table: dict[str, str] = {}
        for parameter, argument in zip(kernel.parameters, arguments, strict=True):
            if not isinstance(argument, Array) or argument.address.index < 0:
                continue
            index = argument.address.index  # of the operand that it lies in
            code = self.inputs[index].code if index < len(self.inputs) else self._codes[index - len(self.inputs)]  # type: ignore[union-attr]
            if parameter.type in kernel.variables:
                if table.setdefault(parameter.type, code) != code:
                    raise ProofError(f"{kernel.name}: {parameter.type} is both {table[parameter.type]} and {code}")
            elif parameter.type != code:
                raise ProofError(f"{kernel.name}: {parameter.name} is of type {code}, expected {parameter.type}")
        return tuple(table[name] for name in kernel.variables)

    def finish(self) -> Plan:
        """The finished plan."""
        program: Program | HostCall | None = self.call
        if self.launches:
            program = Program(self.launches, self.addresses)
        allocations, changed = tuple(self.allocations), tuple(self.changed)
        return Plan(tuple(self.outputs), program, allocations, changed, self.moves, len(self.inputs))


class Plan:
    """The outputs and launches of an op for one signature; `run` launches them.

    Attributes
    ----------
    outputs
        How each output comes about.
    program
        The launches, or the call of the host; None for an op that only makes views.
    allocations
        Operands that the plan allocates, in the order of their addresses, which follow the inputs': bytes of scratch memory, or
        None for an output.
    changed
        Numbers of the inputs whose memory the launches change.
    writes_last
        Whether no input is read once one is changed, so that they may share memory.
    moves
        Of a view that may begin elsewhere, for each dimension how many beginnings there are, and their stride.
    records
        The engine's records for this signature: what nodes share, by the pattern of needed gradients, as bits.
    needs
        What the verifier of programs found its launches to need of each operand, if it was asked.
    used
        The number of its last use by Python.
    weight
        Its share of the room for plans; mostly 1.
    fast
        For a plan of the common kind, the address of the words that `fast.apply` reads; else None.
    """

    __slots__ = (
        "_fast_words",
        "_inputs",
        "allocations",
        "changed",
        "fast",
        "moves",
        "needs",
        "outputs",
        "program",
        "records",
        "used",
        "weight",
        "writes_last",
    )

    def __init__(
        self,
        outputs: tuple[Output, ...],
        program: Program | HostCall | None,
        allocations: tuple[int | None, ...],
        changed: tuple[int, ...],
        moves: tuple[tuple[int, int], ...],
        inputs: int,
    ) -> None:
        self.outputs, self.program, self.allocations = outputs, program, allocations
        self.changed, self.moves, self._inputs = changed, moves, inputs
        self.weight = 1 + (inputs + len(outputs)) // WEIGHED
        self.records: dict[int, Any] = {}
        self.needs: Any = None
        self.writes_last = False
        self.fast: int | None = None
        self._fast_words: Any = None
        self.used = 0

    def prepare(self, public: int, differentiable: bool) -> None:
        """Set `fast`, for an op that returns ``public`` of its outputs."""
        words = plan_words(self, public, differentiable)
        if words is not None:
            self._fast_words = np.array(words, np.int64)
            self.fast = self._fast_words.ctypes.data

    def last_use(self) -> int:
        """The number of the last use: plans with small ones are forgotten first."""
        return (
            self.used if self.fast is None else max(self.used, ctypes.c_int64.from_address(self.fast + PLAN_USED).value)
        )

    def begin(self, starts: Any) -> int | None:
        """The element of the source where a view with these starts begins; None if it may not begin there."""
        if not isinstance(starts, tuple) or len(starts) != len(self.moves):
            return None
        element = 0
        for start, (room, stride) in zip(starts, self.moves, strict=True):
            if start.__class__ is not int or not 0 <= start < room:
                return None
            element += start * stride
        return element

    def run(self, addresses: list[int]) -> int:
        """Launch, given the addresses of the inputs and the new outputs; the launch's status word."""
        assert self.program is not None
        if len(self.allocations) + self._inputs == len(addresses):
            return program.launch(self.program, *addresses)
        scratch = []  # held until the launch is done
        outputs = iter(addresses[self._inputs :])
        del addresses[self._inputs :]
        for nbytes in self.allocations:
            if nbytes is None:
                addresses.append(next(outputs))
            else:
                scratch.append(memory.allocate(nbytes))
                addresses.append(scratch[-1].address)
        return program.launch(self.program, *addresses)
