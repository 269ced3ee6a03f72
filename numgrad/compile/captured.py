"""`Captured`: a step as a program, which runs again by one call of machine code."""

from __future__ import annotations

import ctypes
import gc
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, repeat, starmap
from typing import Any, NamedTuple

import numpy as np

from numgrad.compile import arena
from numgrad.compile.capture import Again, Applied, Block, Capture, Place
from numgrad.compile.results import Results, results_of
from numgrad.engine import dispatch
from numgrad.engine.tape import TensorBase, modes, tensor_over
from numgrad.errors import CaptureError
from numgrad.layout import Spec
from numgrad.runtime import locks, memory, versions
from numgrad.runtime.memory import Storage
from numgrad.runtime.program import Program
from numgrad.runtime.replay import BoundCalls, Failure, Operand, Slot
from numgrad.tensor.inference import mark


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
    """

    leaf: Any  # a tensor, or the number of an argument
    before: bool | None
    kind: str
    spec: Spec | None
    block: Block | None
    offset: int


class Captured:
    """The program of one capture, and what has to hold for its replay.

    Raises
    ------
    CaptureError
        The step did something that a replay could not do again.
    UnstableError
        A later capture may be replayed.
    """

    def __init__(self, capture: Capture, result: Any) -> None:
        self.visible, self._arguments = capture.visible, [(each._address, each._spec) for each in capture.arguments]
        capture.visible.finish()
        _check(capture)
        self.gradients = [each for each in map(_Gradients(capture).of, capture.leaves.values()) if each is not None]
        self.results: Results = results_of(result, capture)
        self.steps = _live(capture.steps, {*self.results.blocks, *[each.block for each in self.gradients if each.block]})
        self.dropped = len(capture.steps) - len(self.steps)
        self.counted = capture.counted
        count = len(capture.arguments)
        capture.gradients.clear()
        self._refuse_escapes(capture)
        self.pinned = [
            (block.slot, capture.arguments[block.slot]._address)
            for block in capture.blocks
            if block.kind == "argument" and _is_pinned(block, capture)
        ]
        pinned = {slot for slot, _ in self.pinned}
        self._inplace = [g for g in self.gradients if g.kind == "same" and g.block is not None]
        fresh: dict[Block, int] = {}
        for gradient in self.gradients:
            if gradient.kind == "made" and gradient.block is not None:
                fresh.setdefault(gradient.block, count + len(self._inplace) + len(fresh))
        for block in self.results.blocks:
            if block.kind == "made":
                fresh.setdefault(block, count + len(self._inplace) + len(fresh))
        self.fresh = list(fresh)
        slots: dict[Block, Slot] = {block: Slot(number, 0) for block, number in fresh.items()}
        for block in capture.blocks:
            if block.kind == "argument" and block.slot not in pinned:
                argument = capture.arguments[block.slot]
                slots[block] = Slot(block.slot, argument._storage.root.address - argument._address)
        for number, gradient in enumerate(self._inplace):
            slots[gradient.block] = Slot(count + number, -gradient.offset)  # type: ignore[index]
        self._bind(slots)
        self._bumped = _bumped(capture, slots)
        self.held = {id(block.root): block.root for block in capture.blocks if block.kind == "held"}
        for block in capture.blocks:
            if block.kind == "argument":
                block.root = None
        self.seen = [
            (tensor, address, spec) for weak, address, spec in capture.seen.values() if (tensor := weak()) is not None
        ]
        self._lock = locks.renewed()
        self._needs_inference_mark = modes.inference

    # ---- making -------------------------------------------------------------------------------------------------

    def _refuse_escapes(self, capture: Capture) -> None:
        """Refuse tensors that outlive the step elsewhere than in its results: a replay would not renew them."""
        kept = {*self.results.blocks, *[gradient.block for gradient in self.gradients]}
        capture.leaves.clear()
        host = [(id(root), block) for root in capture.host_made() if (block := capture.by_root.get(id(root)))]
        for block in capture.blocks:
            if block.kind == "argument":
                block.weak = _nothing
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
        self.layout = arena.place(spans)
        arena.verify(spans, self.layout)
        self._arena = memory.allocate(self.layout.nbytes)
        addresses = {b: self._arena.address + o for b, o in zip(blocks, self.layout.offsets, strict=True)}
        self._begun: list[tuple[int, bytes]] = []
        self._memory: list[Any] = []
        words: list[tuple[int, Slot]] = []

        def at(place: Place | None) -> Operand:
            if place is None:
                return 0
            block, offset = place
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
                calls.append((step.program, [at(place) for place in step.places]))
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
            self._begun.append((address, block.initial or b""))
        table = own.view(np.int64) if block.kind == "table" else None
        for index, other, offset in block.words:
            where = at((other, offset))
            if isinstance(where, Slot):
                words.append((address + 8 * index, where))
            else:
                table[index] = where  # type: ignore[index]
        return address

    # ---- guards -------------------------------------------------------------------------------------------------

    def difference(self, arguments: Sequence[TensorBase]) -> str | None:
        """Why this program must not run for these arguments now; None if it may."""
        if not self.visible.is_same():
            return self.visible.difference()
        for tensor, address, spec in self.seen:
            if tensor._address != address or tensor._spec is not spec:
                return f"a tensor {spec} that the step uses has other memory or another layout"
        for leaf, before, kind, spec, block, _ in self.gradients:
            grad = (arguments[leaf] if leaf.__class__ is int else leaf)._grad
            if before is not None and (grad is None) is before:
                return f"a tensor {(arguments[leaf] if isinstance(leaf, int) else leaf)._spec} had {_grads(before)} and has {_grads(not before)}"
            if kind == "same" and block is not None and grad._spec is not spec:
                return f"a gradient was {spec} and is {grad._spec}"
        for number, argument in enumerate(arguments):
            if id(argument._storage.root) in self.held and (number, argument._address) not in self.pinned:
                return f"tensor {number} of the arguments shares memory with a tensor that the step uses"
        for number, address in self.pinned:
            if arguments[number]._address != address:
                return f"tensor {number} of the arguments was a tensor that the step sees"
        return None

    # ---- running ------------------------------------------------------------------------------------------------

    def replay(self, arguments: Sequence[TensorBase]) -> Any:
        """Run the program; the results of the step.

        Raises
        ------
        Exception
            What the op raises whose kernel left a status. What ran before it has been done, as in eager code.
        """
        with self._lock:
            return self._replay(arguments)

    def _replay(self, arguments: Sequence[TensorBase]) -> Any:
        for step in self.before:
            step.call()
        for address, initial in self._begun:
            ctypes.memmove(address, initial, len(initial))
        leaves = [arguments[g.leaf] if g.leaf.__class__ is int else g.leaf for g in self.gradients]
        inplace = [(arguments[g.leaf] if g.leaf.__class__ is int else g.leaf)._grad for g in self._inplace]
        renewed = [leaf for leaf, g in zip(leaves, self.gradients, strict=True) if g.kind != "same"]
        deque(map(setattr, renewed, repeat("_grad"), repeat(None)), maxlen=0)  # their memory is used again
        storages = [memory.allocate(block.nbytes) for block in self.fresh]
        of_block = dict(zip(self.fresh, storages, strict=True))
        slots = [each._address for each in arguments]
        slots += [each._address for each in inplace]
        slots += [each.address for each in storages]
        after: list[tuple[Any, ...]] = []
        cls = dispatch.tensor_class
        for leaf, gradient in zip(leaves, self.gradients, strict=True):
            if gradient.kind == "made":
                storage = of_block[gradient.block]  # type: ignore[index]
                tensor = tensor_over(cls, storage, gradient.spec, storage.address + gradient.offset)  # type: ignore[arg-type]
                after.append((leaf, "_grad", tensor))
        bumped = [tensor._storage for tensor in inplace]
        bumped += [arguments[each]._storage if each.__class__ is int else each for each in self._bumped]
        counts = [(each, "_step_count", each._step_count + 1 + k) for k, each in self._steps_of_optimizers()]
        # As in `tensor.changes`: nothing can interrupt a loop in C over functions in C.
        ending = chain(map(versions.counter(), (bumped,)), starmap(setattr, chain(after, counts)))
        if self.calls.is_one_call:
            run, operands = self.calls.prepared(slots)
            row = next(chain(starmap(run, (operands,))))
            failure = self.calls.failure(row)
        else:
            failure = self.calls.run(slots)
        if failure is not None:
            raise self._error(failure)
        deque(ending, maxlen=0)
        return self.results.of_replay(arguments, of_block, self._needs_inference_mark and mark)

    def _steps_of_optimizers(self) -> list[tuple[int, Any]]:
        seen: dict[int, int] = {}
        steps = []
        for optimizer in self.counted:
            steps.append((seen.setdefault(id(optimizer), 0), optimizer))
            seen[id(optimizer)] += 1
        return steps

    def _error(self, failure: Failure) -> Exception:
        step = self._of_call[failure.call]
        assert isinstance(step, Applied)
        return dispatch._status_error(step.op, failure.status, step.params)


def _check(capture: Capture) -> None:
    """Refuse what the whole step did."""
    if capture.problem is not None:
        raise CaptureError(f"jit: {capture.problem}")
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
        raise UnstableError(f"the step changed what it sees, and a replay would not: {difference}")


class _Gradients:
    """What the step did with the gradients of its leaves."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.numbers = {id(tensor): number for number, tensor in enumerate(capture.arguments)}
        self.used = {block for step in capture.steps if isinstance(step, Applied) for block in step.blocks()}

    def of(self, leaf: TensorBase) -> Gradient | None:
        """What it did with a leaf's; None if the leaf has none and needs none."""
        capture = self.capture
        before, now = capture.gradients[id(leaf)], leaf._grad
        if before is None and now is None and not leaf._requires_grad:
            return None
        who: Any = self.numbers.get(id(leaf), leaf)
        had: bool | None = before is not None
        if now is None:
            return Gradient(who, had and not self._uses(before) or id(leaf) in capture.cleared and None, "dropped", *_NO)
        block = capture.by_root.get(id(now._storage.root))
        offset = now._address - now._storage.root.address
        if before is not None and before._storage.root is now._storage.root:
            used = block if block in self.used else None
            if used is not None and used.kind == "argument":
                raise CaptureError("jit: an argument is the gradient of a tensor; pass another tensor")
            return Gradient(who, True, "same", now._spec, used, offset)
        if block is None or block.kind != "made":
            raise CaptureError("jit: a gradient was set to a tensor from outside of the step; copy into it, or pass it")
        if id(leaf) in capture.cleared or (before is not None and not self._uses(before)):
            had = None
        return Gradient(who, had, "made", now._spec, block, offset)

    def _uses(self, gradient: TensorBase | None) -> bool:
        return gradient is not None and self.capture.by_root.get(id(gradient._storage.root)) in self.used


_NO = (None, None, 0)


def _nothing() -> None:
    return None


def _grads(has: bool) -> str:
    return "a gradient" if has else "no gradient"


def _is_pinned(block: Block, capture: Capture) -> bool:
    """Whether an argument is, or shares memory with, a tensor that the step sees otherwise."""
    argument = capture.arguments[block.slot]
    return any(each._storage.root is argument._storage.root for each in capture.visible.tensors.values())


def _bumped(capture: Capture, slots: dict[Block, Slot]) -> list[Any]:
    """The storages that count a change, or the numbers of the arguments that have them."""
    bumped: list[Any] = []
    for block, weak in capture.bumped:
        storage: Storage | None = weak()
        if storage is not None and block.kind == "held" and block not in slots:
            bumped.append(storage)
        elif block.kind == "argument":
            bumped.append(block.slot)
    return bumped


def _live(steps: Sequence[Applied | Again], kept: set[Block]) -> list[Applied | Again]:
    """The steps without the ops whose results nobody reads."""
    live, needed = set(kept), []
    for step in reversed(steps):
        if isinstance(step, Again):
            needed.append(step)
            continue
        lasting = any(block.kind != "made" or block in live for block in step.changes)
        effect = step.op.status_function is not None or not (isinstance(step.program, Program) or step.makes)
        if lasting or effect or any(block in live for block in step.makes):
            needed.append(step)  # type: ignore[arg-type]
            live.update(step.blocks())
    return needed[::-1]
