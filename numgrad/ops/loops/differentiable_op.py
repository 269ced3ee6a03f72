"""`DifferentiableOp`: the op of a function with loops for given arguments that need a gradient, and its rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from numgrad.dtypes import by_code
from numgrad.loops.sweeps import Sweep
from numgrad.ops.creation import full
from numgrad.ops.loops.splitting import split
from numgrad.ops.loops.sums import take_apart
from numgrad.ops.loops.sweep_op import SAVED, TAPES, Case, SweepOp, shown
from numgrad.ops.reduce import sum_
from numgrad.registry import SavedCall, chain, find

if TYPE_CHECKING:
    from numgrad.ops.loops.program import Program

Tensors = Sequence[Any]


class DifferentiableOp:
    """The op of a program for the arguments ``needs`` that need a gradient.

    Attributes
    ----------
    forward
        The sweep that records, as an op; the plain function if nothing needs a gradient or no result depends on it.
    returned, are_numbers, is_tuple
        How many results are returned, which of them are numbers, and whether they are returned as a tuple.
    changed
        The arguments that the function changes. What it leaves in them are the results behind the returned ones.
    """

    def __init__(self, program: Program, needs: tuple[str, ...]) -> None:
        self.program, self.needs = program, needs
        self.sweeps = sweeps = program.sweeps(needs)
        self.results = [each.name for each in sweeps.results]
        returned = [each for each in sweeps.results if each.changes is None]
        self.returned, self.are_numbers = len(returned), [not each.shape for each in returned]
        self.is_tuple = not sweeps.single and bool(returned)
        self.changed = tuple([each.changes for each in sweeps.results if each.changes is not None])
        self.counter: SweepOp | None = None
        self._tangent: SweepOp | None = None
        options: dict[str, Any] = {"public": len(self.results), "node_name": _node_name(sweeps.name)}
        if sweeps.needs:
            self._make_reverse(options)
        else:
            self.forward = self._sweep_op(sweeps.plain, differentiable=not needs, **options)
        self.forward.op.jvp(self._jvp)

    def _sweep_op(self, sweep: Sweep, counter: SweepOp | None = None, **options: Any) -> SweepOp:
        program = self.program
        checked = program.checked and (sweep is not self.sweeps.reverse or self._reads_indices())
        compiled = sweep
        if not checked and sweep is self.sweeps.reverse:
            compiled = split(sweep)
        elif sweep is self.sweeps.record or sweep is self.sweeps.plain:
            compiled = take_apart(sweep)
        return SweepOp(program.tensors, program.numbers, checked, self.sweeps, compiled, counter, sweep, **options)

    def _reads_indices(self) -> bool:
        """Whether the reverse has indices that the forward, whose indices are checked, may not have had.

        Without integers in arrays, indices follow from shapes, numbers and tapes, which nobody can change in between.
        """
        given = [kind for kind in self.program.kinds if kind.ndim and not kind.is_real]
        return bool(given) or "int(" in self.sweeps.reverse.text

    def _make_reverse(self, options: dict[str, Any]) -> None:
        sweeps, tensors = self.sweeps, self.program.tensors
        if any(each.room is None for each in sweeps.saved):
            self.counter = self._sweep_op(sweeps.count, differentiable=False)
        self.saved = [each.name for role in SAVED for each in sweeps.record.parameters if each.role == role]
        self.forward = self._sweep_op(sweeps.record, self.counter, saves=[*tensors, *self.saved], **options)
        self.reverse = self._sweep_op(sweeps.reverse, public=len(sweeps.needs))
        sources = [each.of for each in sweeps.reverse.parameters if each.role == "grad_result"]
        self.sources = [self.results.index(name) for name in sources]  # results whose gradients the reverse reads
        read = [each.name for each in sweeps.reverse.parameters if each.role in SAVED]
        self._reads = [*range(len(tensors)), *[-1 - number for number in self.sources]]
        self._reads += [len(tensors) + self.saved.index(name) for name in self.reverse.more if name in read]
        self.forward.op.backward(self._backward)
        self.forward.op.finds_nan(self._place_of_nan)
        if not self.reverse.unknown:
            self.forward.op.prepares(self._prepared)

    def apply(self, inputs: Tensors, case: Case) -> tuple[Any, ...]:
        """The results, returned ones first, from the tensor arguments."""
        results = self.forward.apply(tuple(inputs), case)
        return results if isinstance(results, tuple) else (results,)

    def last_contents(self, results: Tensors) -> Iterator[tuple[str, Any]]:
        """The arguments that the function changes, with what it leaves in them."""
        return zip(self.changed, results[self.returned :], strict=True)

    def place_of_index(self, inputs: Tensors, case: Case) -> str:
        """Where an index is out of range, for a message; '' if that cannot be found."""
        from numgrad.ops.loops.tracing import index_line

        line = index_line(self.program.op(()).forward, inputs, case)
        return "" if line is None else f", in {shown(line)}"

    # ---- reverse mode ----------------------------------------------------------------------------------------------

    def _backward(self, ctx: Any, *incoming: Any) -> tuple[Any, ...]:
        case, saved = self.forward.case_of(ctx.params), ctx.saved
        seeds = [_filled(incoming[number], ctx.node.output_specs[number]) for number in self.sources]
        if ctx.create_graph and self.program.is_recorded():
            rooms = [0] * len(TAPES)
            for name, block in zip(self.saved, saved[len(self.program.tensors) :], strict=True):
                if self.forward.role_of(name) == "tape":
                    rooms[TAPES.index(block._spec.dtype.code)] = block._spec.shape[-1]
            gradients = self.gradients(saved[: len(self.program.tensors)], seeds, rooms, case)
        else:
            inputs = self._read(saved, seeds)
            gradients = self.reverse.apply(inputs, case.extended(len(inputs)))
        return self._given_out(gradients, ctx.needs, case, ctx.input_specs)

    def _read(self, saved: Tensors, seeds: Tensors) -> tuple[Any, ...]:
        """The inputs of the reverse sweep."""
        grads = dict(zip(self.sources, seeds, strict=True))
        return tuple([saved[read] if read >= 0 else grads[-1 - read] for read in self._reads])

    def _given_out(self, gradients: Any, needs: Sequence[bool], case: Case, specs: Any) -> tuple[Any, ...]:
        """A gradient for each tensor argument; of what the examples share it is their sum."""
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        by_name = dict(zip(self.sweeps.needs, gradients, strict=True))
        given: list[Any] = [None] * len(self.program.tensors)
        for position, name in enumerate(self.program.tensors):
            if name in by_name and needs[position]:
                grad = by_name[name]
                if case.flags and not case.flags[position]:
                    grad = sum_(grad, dims=(0,), keepdim=False)
                given[position] = (
                    grad if grad._spec.dtype is specs[position].dtype else _cast(grad, specs[position].dtype)
                )
        return tuple(given)

    def _prepared(self, record: Any) -> Any:
        """The backward that is not recorded itself, with all that is the same for each node of a record worked out."""
        case = self.forward.case_of(record.params)
        call = SavedCall(self.reverse.op, self._reads, self.reverse.params(case.extended(len(self._reads))))
        specs, needs, sources = record.input_specs, record.needs, self.sources

        def run(node: Any, incoming: list[Any]) -> tuple[Any, ...]:
            for number in sources:
                if incoming[number] is None:
                    incoming[number] = _filled(None, record.output_specs[number])
            return self._given_out(chain.apply_saved(call, node, incoming), needs, case, specs)

        return run

    def gradients(self, arguments: Tensors, seeds: Tensors, rooms: Sequence[int], case: Case) -> tuple[Any, ...]:
        """The gradients of `sweeps.needs` by the program of the gradient's text, which is recorded itself.

        The text records all turns: for a program with tapes in parts, which need less room, it is that of the program without.
        """
        if self.program.checkpoint:
            whole = self.program.whole().op(self.needs)
            return whole.gradients(arguments, seeds, whole.rooms(arguments, case), case)
        program = self.program.gradient(self.needs)
        inputs = (*arguments, *seeds)
        more = case.extended(len(inputs))._replace(numbers=(*case.numbers, *[room + 1 for room in rooms]))
        return program.op(program.needed(inputs)).apply(inputs, more)

    def _place_of_nan(self, node: Any, incoming: Sequence[Any]) -> str:
        """The line whose reverse made the first NaN, for anomaly mode; '' if that cannot be found."""
        from numgrad.ops.loops.tracing import nan_line

        seeds = [_filled(incoming[number], node.output_specs[number]) for number in self.sources]
        program = self.program
        whole = SweepOp(
            program.tensors, program.numbers, False, self.sweeps, self.sweeps.reverse, public=len(self.sweeps.needs)
        )  # fmt: skip
        line = nan_line(whole, self._read(node.unpack(False), seeds), self.forward.case_of(node.params))
        return "" if line is None else f"\nThe first NaN comes from the derivative of {shown(line)}."

    # ---- memory ----------------------------------------------------------------------------------------------------

    def rooms(self, inputs: Tensors, case: Case) -> list[int]:
        """How much room the tapes of reals, integers and truth values need; a run counts what cannot be computed."""
        shapes, numbers = self.forward.shapes(inputs, case), dict(zip(self.program.numbers, case.numbers, strict=True))
        counts = {} if self.counter is None else self.counter.counts(tuple(inputs), case)
        rooms = [0] * len(TAPES)
        for each in self.sweeps.saved:
            if self.forward.role_of(each.name) == "tape":
                room = counts.get(each.name, 0) if each.room is None else each.room.evaluate(shapes, numbers)
                rooms[TAPES.index(each.dtype)] = room
        return rooms

    def block_sizes(self, inputs: Tensors, case: Case) -> dict[str, tuple[int, int]]:
        """For each block that the forward saves, how many elements it has, and its bytes."""
        shapes, numbers = self.forward.shapes(inputs, case), dict(zip(self.program.numbers, case.numbers, strict=True))
        tapes = self.rooms(inputs, case)
        sizes = {}
        for each in self.sweeps.saved:
            is_tape = self.forward.role_of(each.name) == "tape"
            if each.room is None and not is_tape:
                continue  # local arrays whose extents the function computes
            count = (
                tapes[TAPES.index(each.dtype)] if is_tape or each.room is None else each.room.evaluate(shapes, numbers)
            )
            sizes[each.name] = (count, count * by_code(each.dtype).itemsize)
        return sizes

    def checkpoints(self, inputs: Tensors, case: Case) -> list[str]:
        """Lines about the loops whose tapes are made in parts."""
        shapes, numbers = self.forward.shapes(inputs, case), dict(zip(self.program.numbers, case.numbers, strict=True))
        lines = [each.said(shapes, numbers) for each in self.sweeps.checkpoints]
        for each in self.sweeps.again:
            if each.room is None:
                lines.append(f"in the backward, {each.name}: as much as a part records")
                continue
            count = each.room.evaluate(shapes, numbers)
            lines.append(
                f"in the backward, {each.name}: {count} elements, {count * by_code(each.dtype).itemsize} bytes"
            )
        return lines

    # ---- forward mode ----------------------------------------------------------------------------------------------

    def _jvp(self, ctx: Any, *tangents: Any) -> tuple[Any, ...]:
        given = {
            name: each for name, each in zip(self.program.tensors, tangents, strict=True) if each is not None
        }  # fmt: skip
        op = self.program.op(tuple(given))
        push = op.push_by_gradients if ctx.differentiable else op.push
        return push(ctx.inputs, [given[name] for name in op.sweeps.needs], self.forward.case_of(ctx.params))

    def push(self, inputs: Tensors, tangents: Tensors, case: Case) -> tuple[Any, ...]:
        """The tangents of the results, given those of the arguments in `sweeps.needs`; None for a result that has none."""
        sweep = self.sweeps.tangent
        moved = [each.of for each in sweep.parameters if each.role == "result_tangent"]
        if not moved:
            return (None,) * len(self.results)
        if self._tangent is None:
            self._tangent = self._sweep_op(sweep, public=len(self.results) + len(moved))
        own = dict(zip(self.program.tensors, case.flags, strict=False))
        flags = (*case.flags, *[own[name] for name in self.sweeps.needs]) if case.flags else ()
        outputs = self._tangent.apply((*inputs, *tangents), case._replace(flags=flags))
        pushed = dict(zip(moved, outputs[len(self.results) :], strict=True))
        return tuple([pushed.get(name) for name in self.results])

    def push_by_gradients(self, inputs: Tensors, tangents: Tensors, case: Case) -> tuple[Any, ...]:
        """The same, computed so that it can be differentiated again.

        The gradients are linear in the seeds, by the transposed Jacobian. Their gradients by the seeds, where the tangents are
        seeds themselves, are the Jacobian times the tangents.
        """
        if not self.sweeps.needs:
            return (None,) * len(self.results)
        if self.program.checkpoint:
            return self.program.whole().op(self.needs).push_by_gradients(inputs, tangents, case)
        program = self.program.gradient(self.needs)
        named = program.tensors[len(self.program.tensors) :]
        transposed = program.op(named)
        shapes, numbers = self.forward.shapes(inputs, case), dict(zip(self.program.numbers, case.numbers, strict=True))
        lead = () if case.batch is None else (case.batch,)
        zeros = [
            full(size=(*lead, *[extent.evaluate(shapes, numbers) for extent in each.shape]), value=0.0, dtype=by_code(each.dtype))
            for each in [self.sweeps.results[number] for number in self.sources]
        ]  # fmt: skip
        arguments = (*inputs, *zeros)
        rooms = [room + 1 for room in self.rooms(inputs, case)]
        more = case.extended(len(arguments))._replace(numbers=(*case.numbers, *rooms))
        own = dict(zip(self.program.tensors, case.flags, strict=False))
        seeds = []
        for number in transposed.sources:
            tangent = tangents[number]
            if case.flags and not own[self.sweeps.needs[number]]:
                tangent = find("expand")(find("unsqueeze")(tangent, dim=0), size=(*lead, *tangent._spec.shape))
            dtype = by_code(transposed.sweeps.results[number].dtype)
            seeds.append(tangent if tangent._spec.dtype is dtype else _cast(tangent, dtype))
        pushed = transposed.gradients(arguments, seeds, transposed.rooms(arguments, more), more)
        by_name = dict(zip(transposed.sweeps.needs, pushed, strict=True))
        of = {self.sources[k]: by_name.get(name) for k, name in enumerate(named)}
        return tuple([
            None if of.get(k) is None else _cast(of[k], by_code(each.dtype)) for k, each in enumerate(self.sweeps.results)
        ])  # fmt: skip


def _filled(grad: Any, spec: Any) -> Any:
    """A gradient of an output; zeros where none arrived."""
    return full(size=tuple(spec.shape), value=0.0, dtype=spec.dtype) if grad is None else grad


def _cast(x: Any, dtype: Any) -> Any:
    return x if x._spec.dtype is dtype else find("cast")(x, dtype=dtype)


def _node_name(name: str) -> str:
    return "".join([part.capitalize() for part in name.split("_")]) + "Backward0"
