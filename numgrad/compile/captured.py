"""`Captured`: a step as a program, which runs again by one call of machine code."""

from __future__ import annotations

import ctypes
import gc
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import chain, repeat, starmap
from typing import Any, NamedTuple

import numpy as np

from numgrad.compile import arena, passes
from numgrad.compile.at_once import AtOnce, Kept, is_possible
from numgrad.compile.capture import Again, Applied, Block, Capture, Place
from numgrad.compile.passes.graph import Graph
from numgrad.compile.results import results_of
from numgrad.engine import dispatch
from numgrad.engine.tape import TensorBase, modes, tensor_over
from numgrad.errors import CaptureError
from numgrad.layout import Spec
from numgrad.runtime import locks, memory, replay, versions
from numgrad.runtime.memory import Storage
from numgrad.runtime.guards import SLOT, Guard, Guards
from numgrad.runtime.replay import BoundCalls, Failure, Operand, Slot

replay.connect(lambda: tensor_over(dispatch.tensor_class, None, None, None))  # type: ignore[arg-type]


class UnstableError(Exception):
    """The state after a captured step is of another kind than before it, so that only a later capture can be replayed."""


class Gradient(NamedTuple):
    """What a step does with a leaf's gradient: ``before`` it had one (None: either way), and ``kind`` says what follows.

    ``same``
        It stays what it is, changed in place or not.
    ``made``
        It becomes a new tensor.
    ``dropped``
        There is none any more.
    ``found``
        The one that was there before is read, and then is ``made`` anew or ``dropped``.
    """

    leaf: Any  # a tensor, or the number of an argument
    before: bool | None
    kind: str
    spec: Spec | None
    block: Block | None
    offset: int

    def of(self, arguments: Sequence[TensorBase]) -> Any:
        """The leaf."""
        return arguments[self.leaf] if self.leaf.__class__ is int else self.leaf


_REPLAYS_BEFORE = 3  # in Python, before a replay at once is prepared: gradients are kept by then
_GRAD, _NONE = repeat("_grad"), repeat(None)


class Captured:
    """The program of one capture, and what has to hold for its replay; ``names`` are the passes that it goes through.

    Raises
    ------
    CaptureError
        The step did something that a replay could not do again.
    UnstableError
        A later capture may be replayed.
    """

    def __init__(self, capture: Capture, result: Any, names: tuple[str, ...]) -> None:
        self.visible = capture.visible
        seen = self.visible.finish()
        _check(capture)
        self.gradients = list(chain.from_iterable(map(_Gradients(capture).of, capture.leaves.values())))
        self.results = results_of(result, capture)
        kept = {*self.results.blocks, *[each.block for each in self.gradients if each.block is not None]}
        graph = Graph(capture.steps, kept)
        passes.run(graph, names)
        self.steps, self.notes = graph.steps, graph.notes
        self._let_go(capture, kept)
        self.pinned = [
            (block.slot, capture.arguments[block.slot]._address)
            for block in capture.blocks
            if block.kind == "argument" and _is_pinned(block, capture)
        ]
        self.inplace = [each for each in self.gradients if each.kind in ("same", "found") and each.block is not None]
        gradient_blocks = [each.block for each in self.gradients if each.kind == "made"]
        fresh = list(
            dict.fromkeys([*gradient_blocks, *[block for block in self.results.blocks if block.kind == "made"]])
        )
        slots = self._slots_of(capture, fresh)  # type: ignore[arg-type]
        self._bind(slots)
        self.held = {
            id(block.root): block.root for block in capture.blocks if block.kind == "held" and block not in slots
        }
        self.seen = [
            (tensor, address, spec) for weak, address, spec in capture.seen.values() if (tensor := weak()) is not None
        ]
        self._prepare(fresh, capture, slots)  # type: ignore[arg-type]
        without = [each.leaf for each in self.gradients if each.before is False and not isinstance(each.leaf, int)]
        seen += [Guard(SLOT, t, name, getattr(t, name)) for t, *_ in self.seen for name in ("_address", "_spec")]
        seen += [Guard(SLOT, leaf, "_grad", None) for leaf in without]
        self.guards = Guards(seen, lambda _, name: replay.offset_of(name))
        self.at_once: AtOnce | None = None
        self.replays = 0
        for block in capture.blocks:
            if block.kind == "argument":
                block.root = None
        capture.arguments = []  # blocks keep the capture alive, and it must not keep these
        self._lock = locks.renewed()
        self.is_inference = modes.inference

    def _slots_of(self, capture: Capture, fresh: Sequence[Block]) -> dict[Block, Slot]:
        """The slots: the arguments, gradients that are changed in place, new memory."""
        pinned = {number for number, _ in self.pinned}
        count = len(capture.arguments)
        slots: dict[Block, Slot] = {}
        for block in capture.blocks:
            if block.kind == "argument" and block.slot not in pinned:
                argument = capture.arguments[block.slot]
                slots[block] = Slot(block.slot, argument._storage.root.address - argument._address)
        for number, gradient in enumerate(self.inplace):
            slots[gradient.block] = Slot(count + number, -gradient.offset)  # type: ignore[index]
        for number, block in enumerate(fresh):
            slots[block] = Slot(count + len(self.inplace) + number, 0)
        return slots

    # ---- making -------------------------------------------------------------------------------------------------

    def _let_go(self, capture: Capture, kept: set[Block]) -> None:
        """Refuse tensors that outlive the step elsewhere than in its results: a replay would not renew them."""
        capture.gradients.clear()
        capture.leaves.clear()
        host = [(id(root), block) for root in capture.host_made() if (block := capture.by_root.get(id(root)))]
        suspects = [block for block in capture.blocks if block.kind == "made" and block not in kept]
        if any(block.weak() is not None for block in suspects):
            gc.collect()
        for block in suspects:
            if block.weak() is not None:
                raise UnstableError(
                    f"the tensor {block.spec} made at {block.maker} is kept elsewhere than in the results of the step; "
                    "return it, or copy it with copy_() into a tensor that was there before"
                )
        begun_inside = {key for key, block in host if block.kind == "begun"}
        for block in capture.blocks:
            if block.kind == "begun" and (root := block.weak()) is not None:
                if id(root) in begun_inside:
                    raise UnstableError("a tensor that Python made within the step is kept, and changed in place")
                block.kind, block.root, block.initial = "held", root, None

    def _bind(self, slots: dict[Block, Slot]) -> None:
        """Lay out the memory, and bind every program to it."""
        lives: dict[Block, list[int]] = {}
        for number, step in enumerate(self.steps):
            for block in step.blocks() if isinstance(step, Applied) else ():
                if block not in slots and block.kind == "made":
                    lives.setdefault(block, [number, number])[1] = number
        blocks = list(lives)
        spans = [arena.Life(block.nbytes, *lives[block]) for block in blocks]
        self.layout = arena.lay_out(spans)
        arena.verify(spans, self.layout)
        self._arena = memory.allocate(self.layout.nbytes)
        addresses = {b: self._arena.address + o for b, o in zip(blocks, self.layout.offsets, strict=True)}
        self.begun: list[tuple[int, bytes]] = []
        self._memory: list[Any] = []
        words: list[tuple[int, Slot]] = []

        def at(where: Place | None) -> Operand:
            if where is None:
                return 0
            block, offset = where
            if block in slots:
                number, begin = slots[block]
                return Slot(number, begin + offset)
            if block not in addresses:
                addresses[block] = self._address(block, at, words)
            return addresses[block] + offset

        calls: list[tuple[Any, list[Operand]]] = []
        self.before: list[Again] = []
        self._of_call: list[Applied | Again] = []
        is_later = False
        for step in self.steps:
            if isinstance(step, Applied):
                calls.append((step.program, [at(where) for where in step.places]))
            elif step.after or is_later:
                calls.append((step.call, []))
                is_later = True
            else:  # what does not depend on the step runs before all launches, which then are one call
                self.before.append(step)
                continue
            self._of_call.append(step)
        self.calls = BoundCalls(calls, words)

    def _address(self, block: Block, at: Callable[[Place], Operand], words: list[tuple[int, Slot]]) -> int:
        """The address of a block with memory of its own."""
        if block.kind in ("held", "argument"):
            assert block.root is not None
            return block.root.address
        own = np.frombuffer(bytearray(block.initial or bytes(block.nbytes)), np.uint8)
        self._memory.append(own)
        address: int = own.ctypes.data
        if block.kind == "begun":
            self.begun.append((address, block.initial or b""))
        table = own.view(np.int64) if block.kind == "table" else None
        for index, other, offset in block.words:
            where = at((other, offset))
            if isinstance(where, Slot):
                words.append((address + 8 * index, where))
            else:
                table[index] = where  # type: ignore[index]
        return address

    # ---- guards -------------------------------------------------------------------------------------------------

    def fits(self, arguments: Sequence[TensorBase], roots: Sequence[Storage]) -> bool:
        """Whether this program may run now, for arguments whose memory belongs to the storages ``roots``."""
        for root in roots:
            if id(root) in self.held:
                return self.difference(arguments) is None
        if self.with_gradient or self.pinned or self.guards.changed() or self.visible.array_difference():
            return self.difference(arguments) is None
        return True

    def difference(self, arguments: Sequence[TensorBase]) -> str | None:
        """Why this program must not run for these arguments now; None if it may."""
        if (difference := self.visible.difference()) is not None:
            return difference
        for tensor, address, spec in self.seen:
            if tensor._address != address or tensor._spec is not spec:
                return f"a tensor {spec} that the step uses has other memory or another layout"
        for gradient in self.gradients:
            leaf = gradient.of(arguments)
            if gradient.before is not None and (leaf._grad is not None) is not gradient.before:
                had, has = ("a gradient", "none") if gradient.before else ("no gradient", "one")
                return f"a tensor {leaf._spec} had {had} and has {has}"
        for gradient in self.inplace:
            gradient_now = gradient.of(arguments)._grad
            if gradient_now._spec is not gradient.spec:
                return f"a gradient was {gradient.spec} and is {gradient_now._spec}"
            if any(argument._storage.root is gradient_now._storage.root for argument in arguments):
                return "an argument shares memory with a gradient"
        for number, argument in enumerate(arguments):
            if id(argument._storage.root) in self.held and (number, argument._address) not in self.pinned:
                return f"tensor {number} of the arguments shares memory with a tensor that the step uses"
        for number, address in self.pinned:
            if arguments[number]._address != address:
                return f"tensor {number} of the arguments was a tensor that the step sees"
        return None

    # ---- running ------------------------------------------------------------------------------------------------

    def _prepare(self, fresh: Sequence[Block], capture: Capture, slots: dict[Block, Slot]) -> None:
        """Write down what each replay needs."""
        for number, block in enumerate(fresh):
            block.slot = number
        gradients = {each.block for each in self.gradients if each.kind == "made"}
        self.gradient_sizes = [block.nbytes for block in fresh if block in gradients]
        self.result_sizes = [block.nbytes for block in fresh if block not in gradients]
        self._kept: _Kept | None = None
        is_apart = not any(isinstance(each.leaf, int) for each in self.gradients)
        self.keeps = 4 if gradients and is_apart and not gradients & {*self.results.blocks} else 0
        self._renewed = [each for each in self.gradients if each.kind in ("made", "dropped")]
        self.dropped = [each.leaf for each in self._renewed if each.kind == "dropped" and not isinstance(each.leaf, int)]
        self._renewed_by = [each for each in self.gradients if each.kind == "made"]
        self.with_gradient = any(each.before or isinstance(each.leaf, int) for each in self.gradients)
        self._leaves = None if self.with_gradient else [each.leaf for each in self._renewed]
        self._of_made = [(each.block.slot, each.spec, each.offset) for each in self._renewed_by]  # type: ignore[union-attr]
        times = Counter(map(id, capture.counted))
        self.counted = [(each, times.pop(id(each))) for each in capture.counted if id(each) in times]
        bumped: list[Storage] = []
        self.bumped_arguments: list[int] = []
        for block, weak in capture.bumped:
            storage: Storage | None = weak()
            if block.kind == "argument":
                self.bumped_arguments.append(block.slot)
            elif storage is not None and block.kind == "held" and block not in slots:
                bumped.append(storage)
        self.bumped = bumped

    def replay(self, arguments: Sequence[TensorBase]) -> Any:
        """Run the program; the results of the step.

        Raises
        ------
        Exception
            What the op raises whose kernel left a status. What ran before it has been done, as in eager code.
        """
        with self._lock:
            self.replays += 1
            return self._replay(arguments)

    def _replay(self, arguments: Sequence[TensorBase]) -> Any:
        for step in self.before:
            step.call()
        for begun, initial in self.begun:
            ctypes.memmove(begun, initial, len(initial))
        leaves = self._leaves
        if leaves is None:
            leaves = [each.of(arguments) for each in self._renewed]
        slots = [each._address for each in arguments]
        inplace = [each.of(arguments)._grad for each in self.inplace]
        slots += [each._address for each in inplace]
        kept = self._kept
        if kept is not None and kept.is_free():
            mine, changes, bumped = kept.storages, kept.changes[:0], kept.storages + self.bumped
        else:
            mine, changes = self._new_gradients(leaves, arguments)
            kept, bumped = None, self.bumped
        storages = mine + list(map(memory.allocate, self.result_sizes))
        slots += [each.address for each in storages]
        if inplace or self.bumped_arguments:
            bumped = bumped + [arguments[number]._storage for number in self.bumped_arguments]
            bumped += [tensor._storage for tensor in inplace]
        counts = [(each, "_step_count", each._step_count + times) for each, times in self.counted]
        # As in `tensor.changes`: nothing can interrupt a loop in C over functions in C.
        ending = chain(starmap(setattr, chain(changes, counts)), map(versions.counter(), (bumped,)))
        if self.calls.is_one_call:
            run, operands = self.calls.prepared(slots)
            row, *_ = chain((run(*operands),), ending)  # type: ignore[arg-type]
            failure = self.calls.failure(row)  # type: ignore[arg-type]
        else:
            failure = self.calls.run(slots)
            deque(() if failure else ending, maxlen=0)
        if failure is not None:
            self._drop(leaves)
            raise self._error(failure)
        result = self.results.of_replay(arguments, storages, self.is_inference)
        if kept is None and self.keeps > 0:
            del storages, ending
            self._keep(Kept(changes, mine, self.dropped))
        return result

    def run_at_once(self, arguments: tuple[Any, ...]) -> Sequence[TensorBase] | None:
        """The tensors of the result for a call's arguments; None if `fits` has to be asked, and `replay` be called.

        Raises
        ------
        Exception
            As `replay`.
        """
        with self._lock:
            if self.at_once is None:
                return None
            made = self.at_once.run(*arguments)
            if made.__class__ is not int:
                return made  # type: ignore[no-any-return]
            self._drop([each.leaf for each in self._renewed])
            raise self._error(self.calls.failure(made))  # type: ignore[arg-type]

    def prepare_at_once(self, arguments: tuple[Any, ...]) -> None:
        """Let the next calls with arguments like these, which fit, be replayed at once, if that can be."""
        if self.at_once is not None:
            self.at_once.renew_guards()
        elif self.replays == _REPLAYS_BEFORE and is_possible(self):
            self.at_once = AtOnce(self, arguments)
            self.at_once.keep(self._kept)

    def _drop(self, leaves: Sequence[TensorBase]) -> None:
        """Drop the gradients."""
        self._keep(None)
        deque(map(setattr, leaves, _GRAD, _NONE), maxlen=0)

    def _keep(self, kept: Kept | None) -> None:
        self._kept = kept
        if self.at_once is not None:
            self.at_once.keep(kept)

    def _new_gradients(
        self, leaves: Sequence[TensorBase], arguments: Sequence[TensorBase]
    ) -> tuple[list[Storage], list[tuple[TensorBase, str, TensorBase]]]:
        """New memory, and the new gradients as arguments of `setattr`."""
        self.keeps -= self._kept is not None  # where somebody holds them again and again, it does not pay
        self._drop(leaves)  # their memory is used again
        storages = list(map(memory.allocate, self.gradient_sizes))
        over = replay.tensor_maker()
        changes = []
        for gradient, (number, spec, offset) in zip(self._renewed_by, self._of_made, strict=True):
            tensor = over(storages[number], spec, storages[number].address + offset)
            changes.append((gradient.of(arguments), "_grad", tensor))
        return storages, changes

    def _error(self, failure: Failure) -> Exception:
        step = self._of_call[failure.call]
        assert isinstance(step, Applied)
        return dispatch._status_error(step.op, failure.status, step.params)


def _check(capture: Capture) -> None:
    """Refuse what the whole step did."""
    if capture.problem is not None:
        raise CaptureError(f"jit: {capture.problem}")
    if capture.met_a_new_thread:  # it need not be the step's
        raise UnstableError("it computes in other threads, whose launches are not seen; compute in one thread")
    if capture.drawn():
        raise CaptureError(
            "jit: the step draws from the random numbers of Python or NumPy, and a replay would draw none; draw from "
            "numgrad's, or pass what was drawn as a tensor"
        )
    for tensor in capture.arguments:
        if tensor._node is not None and tensor._base is None:
            raise CaptureError(
                "jit: an argument was changed in place so that it has a graph, which a replay would not make; return the result"
            )
    if (difference := capture.visible.difference()) is not None:
        raise UnstableError(
            f"the step changed what it sees, and a replay would not: {difference}; change it outside of the step, or in a "
            "function of jit.host, or take fallback='eager'"
        )


class _Gradients:
    """What the step did with the gradients of its leaves."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.numbers = {id(tensor): number for number, tensor in enumerate(capture.arguments)}
        self.used = {block for step in capture.steps if isinstance(step, Applied) for block in step.blocks()}

    def of(self, leaf: TensorBase) -> list[Gradient]:
        """What it did with a leaf's; nothing if the leaf has none and needs none."""
        capture = self.capture
        before, now = capture.gradients[id(leaf)], leaf._grad
        if before is None and now is None and not leaf._requires_grad:
            return []
        who: Any = self.numbers.get(id(leaf), leaf)
        had: bool | None = before is not None
        if (id(leaf) in capture.cleared or (had and self._used(before) is None)) and id(leaf) not in capture.looked:
            had = None
        if now is None:
            return [*self._from_before(who, before), Gradient(who, had, "dropped", *_NO)]
        block = capture.by_root.get(id(now._storage.root))
        offset = now._address - now._storage.root.address
        if before is not None and before._storage.root is now._storage.root:
            used = self._used(before)
            return [Gradient(who, True, "same", now._spec, used, offset)]
        if block is None or block.kind != "made":
            raise CaptureError("jit: a gradient was set to a tensor from outside of the step; copy into it, or pass it")
        return [*self._from_before(who, before), Gradient(who, had, "made", now._spec, block, offset)]

    def _from_before(self, who: Any, before: TensorBase | None) -> list[Gradient]:
        """The gradient that was there before, if the step reads it."""
        block = self._used(before)
        if before is None or block is None:
            return []
        return [Gradient(who, True, "found", before._spec, block, before._address - before._storage.root.address)]

    def _used(self, gradient: TensorBase | None) -> Block | None:
        """The block of the gradient that was there before, if an op of the step touches it."""
        block = None if gradient is None else self.capture.by_root.get(id(gradient._storage.root))
        if block not in self.used:
            return None
        if block is not None and block.kind == "argument":
            raise CaptureError("jit: an argument is the gradient of a tensor; pass another tensor")
        return block


_NO = (None, None, 0)


def _is_pinned(block: Block, capture: Capture) -> bool:
    """Whether an argument is, or shares memory with, a tensor that the step sees otherwise."""
    argument = capture.arguments[block.slot]
    return any(each._storage.root is argument._storage.root for each in capture.visible.tensors.values())
