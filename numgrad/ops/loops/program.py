"""`Program`: a function with loops for arguments of given kinds, as ops.

For each set of arguments that need a gradient there is one op. Its forward is the sweep that records, with what it saves as
further outputs, and its backward an op round the reverse sweep; where nothing needs a gradient the forward is the plain
function. A backward that is recorded itself is the program of the gradient's text; forward derivatives are the tangent
sweep; a batch is a loop over examples in the same kernels.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from numgrad.errors import TranslationError
from numgrad.loops.scope import Surroundings, tree_of
from numgrad.loops.structure import outermost
from numgrad.loops.sweeps import Kind, Sweeps
from numgrad.loops.translation import translate
from numgrad.ops.loops.differentiable_op import DifferentiableOp

# How many states are kept on the tape, where those of a whole tape would be too many: the square root of the turns, or these.
_SNAPSHOTS = (None, 128, 32, 8, 2)


class Program:
    """A function with loops for arguments of given kinds.

    Attributes
    ----------
    tensors, numbers
        Names of the arguments that are inputs of the ops (arrays, and numbers of floating point), and of the integers and
        bools, which are parameters. Constants are part of the text.
    is_recorded
        Tells, in a backward, whether it may be differentiated itself.
    """

    def __init__(
        self, function: Callable[..., Any], names: Sequence[str], kinds: Sequence[Kind], checked: bool = True,
        checkpoint: Mapping[str, int | None] | None = None, is_recorded: Callable[[], bool] = lambda: True,
        surroundings: Surroundings | None = None,
    ) -> None:  # fmt: skip
        self.function, self.names, self.kinds = function, tuple(names), tuple(kinds)
        self.checked, self.checkpoint, self.is_recorded = checked, dict(checkpoint or {}), is_recorded
        self._surroundings = surroundings or Surroundings()
        passed = [(name, kind) for name, kind in zip(names, kinds, strict=True) if not kind.constant]
        self.tensors = tuple([name for name, kind in passed if kind.ndim or kind.is_real])
        self.numbers = tuple([name for name, kind in passed if not (kind.ndim or kind.is_real)])
        self._in_parts: dict[int | None, Program] = {}
        self._whole: Program | None = None
        self._loops: tuple[str, ...] | None = None
        self._sweeps: dict[tuple[str, ...], Sweeps] = {}
        self._ops: dict[tuple[str, ...], DifferentiableOp] = {}
        self._derivatives: dict[tuple[str, ...], Program] = {}

    def sweeps(self, needs: tuple[str, ...]) -> Sweeps:
        """The translation for these arguments that need a gradient."""
        sweeps = self._sweeps.get(needs)
        if sweeps is None:
            sweeps = translate(
                self.function, self.kinds, needs=needs, checkpoint=self.checkpoint, surroundings=self._surroundings
            )
            sweeps = self._sweeps.setdefault(needs, sweeps)
        return sweeps

    def op(self, needs: tuple[str, ...]) -> DifferentiableOp:
        """The op for these arguments that need a gradient."""
        op = self._ops.get(needs)
        if op is None:
            op = self._ops.setdefault(needs, DifferentiableOp(self, needs))
        return op

    def gradient(self, needs: tuple[str, ...]) -> Program:
        """The program of the gradient's text: arguments, gradients of results, and the rooms of its three tapes."""
        program = self._derivatives.get(needs)
        if program is None:
            function = self.sweeps(needs).gradient()
            names = tuple(inspect.signature(function).parameters)
            given = [(name, kind) for name, kind in zip(self.names, self.kinds, strict=True) if not kind.constant]
            kinds = [kind for _, kind in given]
            results = {each.name: each for each in self.sweeps(needs).results}
            seeds = [each.of for each in self.sweeps(needs).reverse.parameters if each.role == "grad_result"]
            kinds += [Kind(results[name].dtype, len(results[name].shape)) for name in seeds]
            kinds += [Kind("i8")] * (len(names) - len(kinds))
            program = self._derivatives.setdefault(
                needs, Program(function, names, kinds, self.checked, {}, self.is_recorded)
            )
        return program

    def whole(self) -> Program:
        """The same with no tape made in parts."""
        if self._whole is None:
            self._whole = Program(
                self.function, self.names, self.kinds, self.checked, {}, self.is_recorded, self._surroundings
            )
        return self._whole

    def in_parts(self) -> Iterator[Program]:
        """The same with tapes made in parts, each with less memory than the one before and more turns that are run again.

        The loops are those of `checkpoint` that have no number of snapshots, or else the function's outermost ones.
        """
        if self._loops is None:
            asked = [name for name, snapshots in self.checkpoint.items() if snapshots is None]
            self._loops = tuple(asked if self.checkpoint else filter(self._may_be_in_parts, self._outermost()))
        for snapshots in _SNAPSHOTS if self._loops else ():
            checkpoint = {**self.checkpoint, **dict.fromkeys(self._loops, snapshots)}
            if checkpoint == self.checkpoint:
                continue
            program = self._in_parts.get(snapshots)
            if program is None:
                program = Program(
                    self.function,
                    self.names,
                    self.kinds,
                    self.checked,
                    checkpoint,
                    self.is_recorded,
                    self._surroundings,
                )
                program = self._in_parts.setdefault(snapshots, program)
            yield program

    def _outermost(self) -> list[str]:
        return sorted(outermost(tree_of(self.function)))

    def _may_be_in_parts(self, name: str) -> bool:
        with contextlib.suppress(TranslationError):
            translate(self.function, self.kinds, checkpoint=(name,), surroundings=self._surroundings)
            return True
        return False

    def needed(self, inputs: Sequence[Any]) -> tuple[str, ...]:
        """The names of those tensor arguments that require a gradient."""
        return tuple([name for name, each in zip(self.tensors, inputs, strict=True) if each.requires_grad])
