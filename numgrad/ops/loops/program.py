"""`Program`: a function with loops for arguments of given kinds, as ops.

For each set of arguments that need a gradient there is one op. Its forward is the sweep that records, with what it saves as
further outputs, and its backward an op round the reverse sweep; where nothing needs a gradient the forward is the plain
function. A backward that is recorded itself is the program of the gradient's text; forward derivatives are the tangent
sweep; a batch is a loop over examples in the same kernels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numgrad.adjoint import Kind, Sweeps, translate
from numgrad.dtypes import by_code
from numgrad.ops.creation import full
from numgrad.ops.loops.sweep_op import BATCH, FLAGS, SAVED, SweepOp, shown
from numgrad.ops.reduce import sum_
from numgrad.registry import SavedCall, chain


class Program:
    """A function with loops for arguments of given kinds.

    Attributes
    ----------
    tensors, numbers
        Names of the arguments that are inputs of the ops (arrays, and numbers of floating point), and of the integers and
        bools, which are parameters. Constants are part of the text.
    """

    def __init__(
        self, function: Callable[..., Any], names: Sequence[str], kinds: Sequence[Kind], checked: bool = True,
        checkpoint: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.function, self.names, self.kinds = function, tuple(names), tuple(kinds)
        self.checked, self.checkpoint = checked, checkpoint
        passed = [(name, kind) for name, kind in zip(names, kinds, strict=True) if not kind.constant]
        self.tensors = tuple([name for name, kind in passed if kind.ndim or kind.is_real])
        self.numbers = tuple([name for name, kind in passed if not (kind.ndim or kind.is_real)])
        self._sweeps: dict[tuple[str, ...], Sweeps] = {}
        self._ops: dict[tuple[str, ...], DifferentiableOp] = {}
        self._derivatives: dict[tuple[str, ...], Program] = {}

    def sweeps(self, needs: tuple[str, ...]) -> Sweeps:
        """The translation for these arguments that need a gradient."""
        made = self._sweeps.get(needs)
        if made is None:
            made = translate(self.function, self.kinds, needs=needs, checkpoint=self.checkpoint)
            made = self._sweeps.setdefault(needs, made)
        return made

    def op(self, needs: tuple[str, ...]) -> DifferentiableOp:
        """The op for these arguments that need a gradient."""
        made = self._ops.get(needs)
        if made is None:
            made = self._ops.setdefault(needs, DifferentiableOp(self, needs))
        return made

    def gradient(self, needs: tuple[str, ...]) -> Program:
        """The program of the gradient's text: arguments, gradients of results, and the rooms of its three tapes."""
        made = self._derivatives.get(needs)
        if made is None:
            function = self.sweeps(needs).gradient()
            names = tuple(inspect.signature(function).parameters)
            given = [(name, kind) for name, kind in zip(self.names, self.kinds, strict=True) if not kind.constant]
            kinds = [kind for _, kind in given]
            results = {each.name: each for each in self.sweeps(needs).results}
            seeds = [each.of for each in self.sweeps(needs).reverse.parameters if each.role == "grad_result"]
            kinds += [Kind(results[name].dtype, len(results[name].shape)) for name in seeds]
            kinds += [Kind("i8")] * (len(names) - len(kinds))
            made = self._derivatives.setdefault(needs, Program(function, names, kinds, self.checked))
        return made

    def needed(self, inputs: Sequence[Any]) -> tuple[str, ...]:
        """The names of those tensor arguments that require a gradient."""
        return tuple([name for name, each in zip(self.tensors, inputs, strict=True) if each.requires_grad])


class DifferentiableOp:
    """The op of a program for the arguments ``needs`` that need a gradient, with its backward and its rules."""

    def __init__(self, program: Program, needs: tuple[str, ...]) -> None:
        self.program, self.needs = program, needs
        self.sweeps = program.sweeps(needs)
        sweeps = self.sweeps
        self.results = [each.name for each in sweeps.results]
        returned = [each for each in sweeps.results if each.changes is None]
        self.returned, self.are_numbers = len(returned), [not each.shape for each in returned]
        self.is_tuple = sweeps.returns == "tuple"
        self.changed = tuple([each.changes for each in sweeps.results if each.changes is not None])
        self.counter: SweepOp | None = None
        self.reverse: Any = None  # a `SweepOp`, if something needs a gradient
        options: dict[str, Any] = {"public": len(self.results), "node_name": f"{_camel(sweeps.name)}Backward0"}
        if not needs:
            self.forward = self._made(sweeps.plain, **options)
        else:
            if any(each.room is None for each in sweeps.saved):
                self.counter = self._made(sweeps.count, differentiable=False)
            saves = [*program.tensors, *[each.name for each in sweeps.saved]]
            self.forward = self._made(sweeps.record, self.counter, saves=saves, **options)
            self.forward.op.backward(self._backward)
            self.reverse = self._made(sweeps.reverse, public=len(sweeps.needs))
            self._sources = [each.of for each in sweeps.reverse.parameters if each.role == "grad_result"]
            self._saved = self.reverse.more[len(self._sources) :]
            self.forward.op.finds_nan(self._place_of_nan)
            if not self.reverse.unknown:
                self.forward.op.prepares(self._prepared)
        self.forward.op.jvp(self._jvp)
        self._tangent: SweepOp | None = None

    def _made(self, sweep: Any, counter: SweepOp | None = None, **options: Any) -> SweepOp:
        program = self.program
        return SweepOp(program.tensors, program.numbers, program.checked, self.sweeps, sweep, counter, **options)

    def apply(self, inputs: tuple[Any, ...], numbers: tuple[Any, ...], *batch: Any) -> tuple[Any, ...]:
        """The results, returned ones first, from the tensor arguments and the numbers."""
        results = self.forward.apply(inputs, numbers, *batch)
        return results if isinstance(results, tuple) else (results,)

    def place_of_index(self, inputs: tuple[Any, ...], numbers: tuple[Any, ...]) -> str:
        """Where an index is out of range, for a message; '' if that cannot be found."""
        from numgrad.ops.loops.tracing import index_line

        plain = self if not self.needs else self.program.op(())
        line = index_line(plain.forward, inputs, numbers)
        return "" if line is None else f", in {shown(line)}"

    def last_contents(self, results: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        """The arguments that the function changes, with what it leaves in them."""
        return zip(self.changed, results[self.returned :], strict=True)

    # ---- reverse mode ----------------------------------------------------------------------------------------------

    def _backward(self, ctx: Any, *incoming: Any) -> tuple[Any, ...]:
        params = ctx.params
        batch, flags = getattr(params, BATCH), getattr(params, FLAGS)
        numbers = tuple([getattr(params, name) for name in self.program.numbers])
        count = len(self.program.tensors)
        arguments = tuple(ctx.saved[:count])
        blocks = dict(zip([each.name for each in self.sweeps.saved], ctx.saved[count:], strict=True))
        seeds = {
            result.name: _filled(grad, spec)
            for result, grad, spec in zip(self.sweeps.results, incoming, ctx.node.output_specs, strict=True)
            if result.needs_grad
        }
        if ctx.create_graph and ctx.is_recorded:
            rooms = {name: each._spec.shape[-1] for name, each in blocks.items()}
            gradients = self._recorded(arguments, numbers, seeds, rooms, batch, flags)
        else:
            inputs = (*arguments, *[seeds[name] for name in self._sources], *[blocks[name] for name in self._saved])
            own = (*flags, *[True] * (len(inputs) - count)) if flags else ()
            gradients = self.reverse.apply(inputs, numbers, batch, own)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        found = dict(zip(self.sweeps.needs, gradients, strict=True))
        owned = dict(zip(self.program.tensors, flags or [True] * count, strict=True))
        return tuple([
            None if name not in found or not needed
            else found[name] if owned[name] else sum_(found[name], dims=(0,), keepdim=False)
            for name, needed in zip(self.program.tensors, ctx.needs, strict=True)
        ])  # fmt: skip

    def _place_of_nan(self, node: Any, incoming: Sequence[Any]) -> str:
        """The line whose reverse made the first NaN, for anomaly mode; '' if that cannot be found."""
        from numgrad.ops.loops.tracing import nan_line

        count = len(self.program.tensors)
        saved = node.unpack(False)
        blocks = dict(zip([each.name for each in self.sweeps.saved], saved[count:], strict=True))
        grads = [_filled(incoming[k], node.output_specs[k]) for k in map(self.results.index, self._sources)]
        inputs = (*saved[:count], *grads, *[blocks[name] for name in self._saved])
        numbers = tuple([getattr(node.params, name) for name in self.program.numbers])
        line = None if getattr(node.params, BATCH) is not None else nan_line(self.reverse, inputs, numbers)
        return "" if line is None else f"\nThe first NaN comes from the derivative of {shown(line)}."

    def _prepared(self, record: Any) -> Any:
        """The backward that is not recorded itself, with all that is the same for each node of a record worked out."""
        program, params = self.program, record.params
        batch, flags, count = getattr(params, BATCH), getattr(params, FLAGS), len(program.tensors)
        numbers = [getattr(params, name) for name in program.numbers]
        blocks = [each.name for each in self.sweeps.saved]
        incoming_of = [self.results.index(name) for name in self._sources]
        saved_of = [count + blocks.index(name) for name in self._saved]
        own = (*flags, *[True] * (len(incoming_of) + len(saved_of))) if flags else ()
        call = SavedCall(
            self.reverse.op, [*range(count), *[-1 - number for number in incoming_of], *saved_of],
            self.reverse.op.Params(*numbers, batch, own, ()),
        )  # fmt: skip
        single = len(self.sweeps.needs) == 1
        places = []  # the row of the result, the input, and whether the examples share it
        for row, name in enumerate(self.sweeps.needs):
            place = program.tensors.index(name)
            if record.needs[place]:
                places.append((row, place, bool(flags) and not flags[place]))

        def run(node: Any, incoming: list[Any]) -> list[Any]:
            for number in incoming_of:
                if incoming[number] is None:
                    incoming[number] = _filled(None, record.output_specs[number])
            computed = chain.apply_saved(call, node, incoming)
            gradients: list[Any] = [None] * count
            for row, place, is_shared in places:
                gradient = computed if single else computed[row]
                gradients[place] = sum_(gradient, dims=(0,), keepdim=False) if is_shared else gradient
            return gradients

        return run

    def _recorded(
        self, arguments: tuple[Any, ...], numbers: tuple[Any, ...], seeds: dict[str, Any], rooms: dict[str, int],
        batch: int | None, flags: tuple[bool, ...],
    ) -> tuple[Any, ...]:  # fmt: skip
        """The gradients by the program of the gradient's text, which is recorded itself."""
        program = self.program.gradient(self.needs)
        values = dict(zip(self.program.tensors, arguments, strict=True))
        values |= {f"grad_{name}": seed for name, seed in seeds.items()}
        known = dict(zip(self.program.numbers, numbers, strict=True)) | _room_numbers(rooms)
        inputs = tuple([values[name] for name in program.tensors])
        own = dict(zip(self.program.tensors, flags, strict=True)) if flags else {}
        return program.op(program.needed(inputs)).apply(
            inputs, tuple([known[name] for name in program.numbers]), batch,
            tuple([own.get(name, True) for name in program.tensors]) if flags else (),
        )  # fmt: skip

    # ---- memory ----------------------------------------------------------------------------------------------------

    def rooms(
        self, inputs: tuple[Any, ...], numbers: tuple[Any, ...], batch: int | None, flags: tuple[bool, ...]
    ) -> dict[str, int]:
        """How much room each block needs that the forward saves; a run counts what cannot be computed."""
        shapes, known = self._shapes(inputs, flags), dict(zip(self.program.numbers, numbers, strict=True))
        rooms = {each.name: each.room.evaluate(shapes, known) for each in self.sweeps.saved if each.room is not None}
        if self.counter is not None:
            rooms |= self.counter.counts(inputs, numbers, batch, flags)
        return rooms

    def _no_seeds(
        self, inputs: tuple[Any, ...], numbers: tuple[Any, ...], batch: int | None, flags: tuple[bool, ...]
    ) -> dict[str, Any]:
        """Zeros as gradients of the results."""
        shapes, known = self._shapes(inputs, flags), dict(zip(self.program.numbers, numbers, strict=True))
        lead = () if batch is None else (batch,)
        return {
            f"grad_{each.name}": full(
                size=(*lead, *[extent.evaluate(shapes, known) for extent in each.shape]), value=0.0,
                dtype=by_code(each.dtype),
            )
            for each in self.sweeps.results if each.needs_grad
        }  # fmt: skip

    def _shapes(self, inputs: tuple[Any, ...], flags: tuple[bool, ...]) -> dict[str, tuple[int, ...]]:
        own = flags or (False,) * len(inputs)
        return {
            name: tuple(each._spec.shape)[is_own:]
            for name, each, is_own in zip(self.program.tensors, inputs, own, strict=True)
        }

    # ---- forward mode ----------------------------------------------------------------------------------------------

    def _jvp(self, ctx: Any, *tangents: Any) -> tuple[Any, ...]:
        params = ctx.params
        batch, flags = getattr(params, BATCH), getattr(params, FLAGS)
        numbers = tuple([getattr(params, name) for name in self.program.numbers])
        needs = tuple([
            name for name, each in zip(self.program.tensors, tangents, strict=True) if each is not None
        ])  # fmt: skip
        op, given = self.program.op(needs), [each for each in tangents if each is not None]
        push = op.push_by_gradients if ctx.differentiable else op.push
        return push(ctx.inputs, numbers, given, batch, flags)

    def push(
        self, inputs: tuple[Any, ...], numbers: tuple[Any, ...], tangents: Sequence[Any], batch: int | None,
        flags: tuple[bool, ...],
    ) -> tuple[Any, ...]:  # fmt: skip
        """The tangents of the results, given those of the arguments ``needs``; None for a result that has none."""
        if self._tangent is None:
            sweep = self.sweeps.tangent
            moved = sum([each.role == "result_tangent" for each in sweep.parameters])
            self._tangent = self._made(sweep, public=len(self.results) + moved)
        given = dict(zip(self.needs, tangents, strict=True))
        of = [each.of for each in self.sweeps.tangent.parameters if each.role == "tangent"]
        own = (*flags, *[dict(zip(self.program.tensors, flags, strict=True))[name] for name in of]) if flags else ()
        outputs = self._tangent.apply((*inputs, *[given[name] for name in of]), numbers, batch, own)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        of_results = [each.of for each in self.sweeps.tangent.parameters if each.role == "result_tangent"]
        pushed = dict(zip(of_results, outputs[len(self.results) :], strict=True))
        return tuple([pushed.get(name) for name in self.results])

    def push_by_gradients(
        self, inputs: tuple[Any, ...], numbers: tuple[Any, ...], tangents: Sequence[Any], batch: int | None,
        flags: tuple[bool, ...],
    ) -> tuple[Any, ...]:  # fmt: skip
        """The same, computed so that it can be differentiated again.

        The gradients are linear in the seeds, by the transposed Jacobian. Their gradients by the seeds, where the tangents are
        seeds themselves, are the Jacobian times the tangents.
        """
        program = self.program.gradient(self.needs)
        moved = [each.name for each in self.sweeps.results if each.needs_grad]
        transposed = program.op(tuple([f"grad_{name}" for name in moved]))
        own = dict(zip(self.program.tensors, flags, strict=True)) if flags else {}
        values = dict(zip(self.program.tensors, inputs, strict=True))
        values |= self._no_seeds(inputs, numbers, batch, flags)
        known = dict(zip(self.program.numbers, numbers, strict=True))
        known |= _room_numbers(self.rooms(inputs, numbers, batch, flags))
        arguments = tuple([values[name] for name in program.tensors])
        others = tuple([known[name] for name in program.numbers])
        owned = tuple([own.get(name, True) for name in program.tensors]) if flags else ()
        given = dict(zip(self.needs, tangents, strict=True))
        columns = zip(transposed.sweeps.results, self.sweeps.needs, strict=True)
        seeds = {result.name: given[name] for result, name in columns if result.needs_grad}
        rooms = transposed.rooms(arguments, others, batch, owned)
        pushed = transposed._recorded(arguments, others, seeds, rooms, batch, owned)
        found = dict(zip(moved, pushed, strict=True))
        return tuple([found.get(name) for name in self.results])


def _filled(grad: Any, spec: Any) -> Any:
    """A gradient of an output; zeros where none arrived."""
    return full(size=tuple(spec.shape), value=0.0, dtype=spec.dtype) if grad is None else grad


def _room_numbers(rooms: dict[str, int]) -> dict[str, int]:
    """What the gradient's text calls the rooms of its tapes."""
    return {f"room_{name.partition('_')[2]}": room + 1 for name, room in rooms.items()}


def _camel(name: str) -> str:
    return "".join([part.capitalize() for part in name.split("_")])
