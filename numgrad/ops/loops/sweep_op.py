"""`SweepOp`: an op whose plan is one launch of a sweep, for one example or for many."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad import config
from numgrad.dtypes import by_code
from numgrad.errors import OutOfRangeError, ShapeError, TapeError
from numgrad.layout import product
from numgrad.loops.sweeps import FIRST_FAILURE, Extent, Line, Memory, Parameter, Sweep, Sweeps
from numgrad.ops.layouts import contiguous
from numgrad.ops.loops.kernels import Passing, kernel_of
from numgrad.ops.rules import Batch, folded, repeated
from numgrad.ops.view import expand, reshape, unsqueeze
from numgrad.registry import Op, chain
from numgrad.runtime import pool, threads
from numgrad.runtime.kernel import BAD_INDEX
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

BATCH, FLAGS, ROOM = "batch__", "flags__", "room__"  # parameters of the ops, beside the function's numbers
WHERE = "where__"  # a parameter of sweeps that are run again to find where something went wrong
_FIRST_ROOM = 1 << 10  # elements, where only a run can tell how many are needed
_LONG_ROOM = 1 << 16  # elements, from which on the sweep that counts is worth compiling
_MOST_ROOMS = 1 << 12
_COST = 16  # elementary operations for each element that a sweep sees, in the estimate by which work is split
_LEAST_COST = (1 << 15) + 1  # so that other threads of Python run meanwhile: a loop may be long
SAVED = ("kept", "tape", "used")  # roles of what the recording sweep leaves for the reverse
TAPES = ("f8", "i8", "b1")  # in the order of the role ``used``


class Case(NamedTuple):
    """What is beside the tensors when an op is applied.

    ``numbers`` are the values of integers and bools; ``batch`` is the number of examples, or None for one without a dimension
    of its own; ``flags`` say for each input whether it has the examples in dimension 0 (without a batch there are none).
    """

    numbers: tuple[Any, ...]
    batch: int | None = None
    flags: tuple[bool, ...] = ()

    def extended(self, count: int) -> Case:
        """For an op of ``count`` inputs, of which those that follow belong to one example each."""
        return self._replace(flags=(*self.flags, *[True] * (count - len(self.flags)))) if self.flags else self


class ShortError(RuntimeError):
    """A sweep's memory did not suffice; it is run again with more, except by a replay."""


class SweepOp:
    """An op whose plan is one launch of a sweep.

    Its inputs are the tensors among the function's arguments, then gradients, tangents or what was saved. Its parameters are
    the numbers among the arguments, the number of examples (None for one without a dimension of its own), for each input
    whether it has the examples in dimension 0, and the room of memory that only a run can tell.
    """

    def __init__(
        self, tensors: Sequence[str], numbers: Sequence[str], checked: bool, sweeps: Sweeps, sweep: Sweep,
        counter: SweepOp | None = None, source: Sweep | None = None, **options: Any,
    ) -> None:  # fmt: skip
        self.source = source or sweep  # as it was written: its lines are known
        self.sweeps, self.sweep, self.checked, self.counter = sweeps, sweep, checked, counter
        self.tensors, self.numbers = tuple(tensors), tuple(numbers)
        reads_saved = any(each.role == "grad_argument" for each in sweep.parameters)
        read = ("grad_result", "tangent", *SAVED * reads_saved, WHERE)
        written = ("result", "grad_argument", "result_tangent", *SAVED * (not reads_saved))
        self.more = tuple([each.name for each in sweep.parameters if each.role in read])
        outputs = [each.name for role in written for each in sweep.parameters if each.role == role]
        self.blocks: dict[str, Memory] = {each.name: each for each in (*sweeps.saved, *sweep.memory)}
        used = len(TAPES) + len(sweeps.rooms)
        extent = Extent(str(used), lambda shapes, numbers: used)
        self.blocks |= {
            each.name: Memory(each.name, each.dtype, extent) for each in sweep.parameters if each.role == "used"
        }
        names = [each.name for each in sweep.parameters if each.role in ("work", *SAVED) and each.name not in self.more]
        self.unknown = tuple([name for name in names if self.blocks[name].room is None])
        self.unknown += tuple([each.name for each in sweep.parameters if each.role == "room"])
        self._results = {each.name: each for each in sweeps.results}
        self._is_number = {name: kind.ndim == 0 for name, kind in sweeps.arguments}
        self._is_number |= {each.name: not each.shape for each in sweeps.results}
        self._rooms: dict[Any, tuple[int, ...]] = {}
        self._variants: dict[Any, SweepOp] = {}
        self.op = Op(
            sweep.name, [*tensors, *self.more], {**dict.fromkeys(numbers, 0), BATCH: None, FLAGS: (), ROOM: ()},
            outputs=outputs, doc=f"The sweep {sweep.name} of {sweeps.name}.", register=False, **options,
        )  # fmt: skip
        self.op.plan(self._plan)
        self.op.on_status(self._error)
        self.op.batch(self._batch)

    # ---- use -----------------------------------------------------------------------------------------------------

    def params(self, case: Case, room: tuple[int, ...] = ()) -> Any:
        """The op's parameters."""
        return self.op.Params(*case.numbers, case.batch, case.flags, room)

    def case_of(self, params: Any) -> Case:
        """What the op was applied with."""
        return Case(tuple(params[: len(self.numbers)]), getattr(params, BATCH), getattr(params, FLAGS))

    def apply(self, inputs: tuple[Any, ...], case: Case) -> Any:
        """The public outputs; where memory did not suffice, the sweep is run again with more."""
        if not self.unknown:
            return chain.dispatch(self.op, inputs, self.params(case))
        key = (case, *[None if each is None else each._spec.shape for each in inputs])
        while True:
            known = self._rooms.get(key)
            room = known or (_FIRST_ROOM,) * len(self.unknown)
            try:
                return chain.dispatch(self.op, inputs, self.params(case, room))
            except ShortError:
                if len(self._rooms) >= _MOST_ROOMS:
                    self._rooms.clear()
                more = self._more_room(room, inputs, case)
                if known:
                    more = tuple(map(max, more, room))  # for these values and for those before
                if more == room:  # the largest tape of the one, and the largest parts of the other
                    more = tuple([each * (1 + (n in self.blocks)) for n, each in zip(self.unknown, room, strict=True)])
                self._rooms[key] = more

    def _more_room(self, room: tuple[int, ...], inputs: tuple[Any, ...], case: Case) -> tuple[int, ...]:
        """Twice the room; where a tape is long or has parts, what a run that counts finds to be enough for it and its parts."""
        is_counted = max(room) >= _LONG_ROOM or len(self.sweeps.rooms) > 0
        used = self.counter.counts(inputs, case) if self.counter is not None and is_counted else {}
        return tuple([
            used[name] + (used[name] >> 3) if name in used else 2 * before
            for name, before in zip(self.unknown, room, strict=True)
        ])  # fmt: skip

    def counts(self, inputs: tuple[Any, ...], case: Case) -> dict[str, int]:
        """Of the sweep that counts: how much of each tape is used, at most by one example, and `Sweeps.rooms`."""
        used = self.apply(inputs, case).tolist()
        columns = {
            each.name: TAPES.index(each.dtype) for each in self.sweeps.record.parameters if each.role == "tape"
        } | {name: number for number, name in enumerate(self.sweeps.rooms, len(TAPES))}
        return {name: max([row[column] for row in used], default=0) for name, column in columns.items()}

    def role_of(self, name: str) -> str:
        """The role of one of the sweep's parameters."""
        return next(each.role for each in self.sweep.parameters if each.name == name)

    def shapes(self, inputs: Sequence[Any], case: Case) -> dict[str, tuple[int, ...]]:
        """The shapes of one example's tensor arguments."""
        own = case.flags or (False,) * len(self.tensors)
        return {
            name: tuple(each._spec.shape)[is_own:]
            for name, each, is_own in zip(self.tensors, inputs, own, strict=False)
        }

    def variant(self, written: Callable[[Sweep], Sweep]) -> SweepOp:
        """The same for another text of the sweep."""
        other = self._variants.get(written)
        if other is None:
            other = SweepOp(
                self.tensors, self.numbers, True, self.sweeps, written(self.source), public=len(self.op.outputs)
            )
            other = self._variants.setdefault(written, other)
        return other

    def _batch(self, batch: Batch, /, *values: Any, **params: Any) -> Any:
        """The batching rule: a loop over the examples in the same kernel."""
        inner, flags = params[BATCH], params[FLAGS]
        case = Case(tuple([params[name] for name in self.numbers]), batch.size, batch.flags)
        if inner is None:
            return self._placed(values, case)
        flat, owns = [], []
        for value, outer, own in zip(values, batch.flags, flags, strict=True):
            owns.append(outer or own)
            if outer and not own:
                value = _spread(value, inner)
            elif own and not outer:
                value = repeated(value, batch.size)
            flat.append(folded(value) if outer or own else value)
        results = self._placed(tuple(flat), case._replace(batch=batch.size * inner, flags=tuple(owns)))
        if isinstance(results, tuple):
            return tuple([_unfolded(each, batch.size, inner) for each in results])
        return _unfolded(results, batch.size, inner)

    def _placed(self, values: tuple[Any, ...], case: Case) -> Any:
        """The outputs for a batch; an index that is out of range is reported with its line."""
        from numgrad.ops.loops.tracing import index_line

        try:
            return self.apply(values, case)
        except OutOfRangeError as error:
            line = index_line(self, values, case)
            raise OutOfRangeError(f"{error}{'' if line is None else f', in {shown(line)}'}") from None

    def _error(self, status: int, params: Any) -> Exception:
        if status >= FIRST_FAILURE:
            failure = self.sweeps.failures[status - FIRST_FAILURE]
            return failure.error(f"{failure.message}, in {shown(failure.line)}")
        if status != BAD_INDEX:
            return ShortError(
                f"{self.sweeps.name}: its loops take more turns than in the run that was recorded, whose tape is too short for "
                "them; record it again with these values"
            )
        return OutOfRangeError(
            f"{self.sweeps.name}: an index is out of range; nothing outside of an array was read or written, and nothing "
            "was changed"
        )

    # ---- plan ----------------------------------------------------------------------------------------------------

    def _plan(self, b: PlanBuilder, /, *operands: Operand, **params: Any) -> None:
        batch, flags, room = params.pop(BATCH), params.pop(FLAGS), params.pop(ROOM)
        count, lead = (1, ()) if batch is None else (batch, (batch,))
        own = dict(zip(self.op.inputs, flags, strict=True)) if flags else dict.fromkeys(self.op.inputs, False)
        given = dict(zip(self.op.inputs, operands, strict=True))
        shapes = {name: tuple(given[name].spec.shape)[own[name] :] for name in self.tensors}
        rooms = dict(zip(self.unknown, room, strict=True))
        for name in self.blocks:
            extent = self.blocks[name].room
            if extent is not None:
                rooms[name] = max(0, extent.evaluate(shapes, params))
        again = [] if "result" not in {each.role for each in self.sweep.parameters} else self.sweeps.again
        parts = sum([
            each.room.evaluate(shapes, params) * by_code(each.dtype).itemsize for each in again if each.room is not None
        ])  # fmt: skip
        self._prove_room(count, rooms, parts)

        def shape_of(parameter: Parameter) -> tuple[int, ...]:
            if parameter.of in shapes:
                return shapes[parameter.of]
            result = self._results[parameter.of]
            shape = tuple([each.evaluate(shapes, params) for each in result.shape])
            if min(shape, default=0) < 0:
                raise ShapeError(f"{self.sweeps.name}: a result has shape {list(shape)}, expected extents not below 0")
            return shape

        parameters = {each.name: each for each in self.sweep.parameters}
        written: dict[str, Operand] = {}
        for name in self.op.outputs:
            each = parameters[name]
            if each.role in SAVED:
                written[name] = b.output(by_code(each.dtype), (count, rooms[name]))
            else:
                written[name] = b.output(by_code(each.dtype), (*lead, *shape_of(each)))
        passings, arguments = [], []
        for each in self.sweep.parameters:
            is_number = each.role not in (*SAVED, "work", "status", "room", WHERE) and self._is_number[each.of]
            name = each.of if each.role == "argument" else each.name
            passing = Passing(each, is_number, own.get(name, True))
            passings.append(passing)
            if passing.is_scalar:
                arguments.append(rooms[name] if each.role == "room" else params[name])
                continue
            if each.role == "status":
                arguments.append(STATUS)
                continue
            if each.role == "work":
                scratch = b.scratch(by_code(each.dtype), rooms[name], per_worker=True)
                arguments.append(scratch.array(b.workers, rooms[name]))
                continue
            if each.role == WHERE:
                arguments.append(b.changes(given[name]).array(1))
                continue
            if name in given:
                operand = contiguous(b, given[name])
                shape = tuple(operand.spec.shape)
                shape = shape[-1:] if each.role in SAVED else shape[len(lead) :] if passing.is_own else shape
            else:
                operand = written[name]
                shape = tuple(operand.spec.shape)[1 if each.role in SAVED else len(lead) :]
            leading = (count,) if passing.is_own else (1,) if is_number else ()
            arguments.append(operand.array(*leading, *shape))
        seen = sum([product(argument.shape) for argument in arguments if hasattr(argument, "shape")])
        each_cost = _COST * seen // max(count, 1)
        kernel = kernel_of(self.sweep, tuple(passings), self.checked or config.checks_indices())
        if kernel.forks:
            arguments.append(b.constant(np.array([threads.ADDRESS, pool.region.address()])))
        b.launch(
            kernel, *arguments, work=count,
            grain=max(1, GRAIN_COST // max(each_cost, 1)), cost=max(_LEAST_COST, each_cost * count),
        )  # fmt: skip

    def _prove_room(self, count: int, rooms: dict[str, int], parts: int) -> None:
        """Refuse a tape beyond the limit; ``parts`` are bytes that the backward will need beside it."""
        saved = [name for name in self.op.outputs if name in rooms]
        nbytes = count * sum([rooms[name] * by_code(self.blocks[name].dtype).itemsize for name in saved])
        nbytes += parts if saved else 0
        limit = int(config.TAPE_MB()) << 20
        if nbytes > limit:
            raise TapeError(
                f"{self.sweeps.name}: its tape would take {nbytes >> 20} MB, expected at most NUMGRAD_TAPE_MB={limit >> 20}; "
                "name the variable of its outermost loop in checkpoint=, so that the tape of that loop is written in parts, with "
                "a small number of snapshots, as checkpoint={'t': 2}, or allow more"
            )


def shown(line: Line) -> str:
    """A line of the user's, for a message."""
    return f"{line.function} ({line.file}:{line.number}): `{linecache.getline(line.file, line.number).strip()}`"


def _unfolded(value: Any, size: int, inner: int) -> Any:
    """[size * inner, ...] as [size, inner, ...]; either may be 0."""
    return reshape(value, (size, inner, *value._spec.shape[1:]))


def _spread(value: Any, inner: int) -> Any:
    """[B, ...] as [B, inner, ...], without a copy."""
    size, *rest = value._spec.shape
    return expand(unsqueeze(value, dim=1), size=(size, inner, *rest))
