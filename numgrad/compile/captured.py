"""`Captured`: a step as a program, which runs again by one call of machine code."""

from __future__ import annotations

import ctypes
import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from itertools import chain, repeat, starmap
from typing import Any

import numpy as np

from numgrad.compile import arena, passes
from numgrad.compile.at_once import AtOnce, Kept, is_possible, is_worth_it
from numgrad.compile.capture import Again, Applied, Block, Place
from numgrad.compile.passes.graph import Graph
from numgrad.compile.prepared import Prepared
from numgrad.compile.recorded import Recorded
from numgrad.compile.verifier import Spot, verify
from numgrad.engine import dispatch
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.runtime import locks, memory, replay, versions
from numgrad.runtime.guards import SLOT, Guard, Guards
from numgrad.runtime.memory import Storage
from numgrad.runtime.replay import BoundCalls, Failure, Operand, Slot

replay.connect(lambda: tensor_over(dispatch.tensor_class, None, None, None))  # type: ignore[arg-type]


_LOOK = 64  # replays in Python from one look for the machine code to the next
_REPLAYS_BEFORE = 3  # in Python, before a replay at once is prepared: gradients are kept by then
_GRAD, _NONE = repeat("_grad"), repeat(None)


class Captured:
    """The program of one capture, and what has to hold for its replay; ``names`` are the passes that it goes through."""

    def __init__(self, recorded: Recorded, names: tuple[str, ...]) -> None:
        self.recorded = recorded
        self.visible, self.seen, self.pinned = recorded.visible, recorded.seen, recorded.pinned
        self.gradients, self.results = recorded.gradients, recorded.results
        graph = Graph(recorded.steps, recorded.kept)
        passes.run(graph, names)
        self.steps, self.notes = graph.steps, graph.notes
        self.inplace = [each for each in self.gradients if each.kind in ("same", "found") and each.block is not None]
        gradient_blocks = [each.block for each in self.gradients if each.kind == "made"]
        fresh = list(
            dict.fromkeys([*gradient_blocks, *[block for block in self.results.blocks if block.kind == "made"]])
        )
        slots = self._slots_of(fresh)  # type: ignore[arg-type]
        self._bind(dict(slots), graph)
        self.held = {
            id(block.root): block.root for block in recorded.blocks if block.kind == "held" and block not in slots
        }
        if graph.prepared:
            tensors = [*self.visible.tensors.values(), *[tensor for tensor, *_ in self.seen]]
            self.before.insert(
                0, Again(Prepared(graph.prepared, tensors).refresh, (), False, "what weights alone decide")
            )
        self._prepare(fresh, slots)  # type: ignore[arg-type]
        self.at_once: AtOnce | None = None
        self.replays = 0
        self._user = 0  # the thread that replays it
        self._lock = locks.renewed()
        self._guards: Guards | None = None  # made at the first look at it
        self.is_inference = recorded.is_inference

    def _slots_of(self, fresh: Sequence[Block]) -> dict[Block, Slot]:
        """The slots: the arguments, gradients that are changed in place, new memory."""
        pinned = {number for number, _ in self.pinned}
        begins = self.recorded.begins
        slots: dict[Block, Slot] = {}
        for block in self.recorded.blocks:
            if block.kind == "argument" and block.slot not in pinned:
                slots[block] = Slot(block.slot, begins[block.slot])
        for number, gradient in enumerate(self.inplace):
            slots[gradient.block] = Slot(len(begins) + number, -gradient.offset)  # type: ignore[index]
        for number, block in enumerate(fresh):
            slots[block] = Slot(len(begins) + len(self.inplace) + number, 0)
        return slots

    # ---- making -------------------------------------------------------------------------------------------------

    def _bind(self, slots: dict[Block, Slot], graph: Graph) -> None:
        """Lay out the memory, and bind every program to it."""
        kept = self.recorded.kept
        every = graph.lives
        lives = {block: life for block, life in every.items() if block not in slots}
        later = {block: every[block] for block in slots if block.kind == "made" and block in every}
        for block, (home, offset) in graph.homes.items():
            slots[block] = Slot(slots[home].number, offset)
            del lives[block]
        self.layout = arena.lay_out(list(lives.values()))
        spots: dict[Block, Spot] = {
            block: ("the arena", o) for block, o in zip(lives, self.layout.offsets, strict=True)
        }
        spots |= {block: (slot.number, slot.offset) for block, slot in slots.items() if block.kind == "made"}
        regions: dict[Hashable, int] = {slots[block].number: block.nbytes for block in later}
        regions["the arena"] = self.layout.nbytes
        self.planned = sum(regions[region] for region in {region for region, _ in spots.values()})
        verify(self.recorded.steps, self.steps, kept, spots, regions)
        self._arena = memory.allocate(self.layout.nbytes)
        addresses = {b: self._arena.address + o for b, o in zip(lives, self.layout.offsets, strict=True)}
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

    @property
    def guards(self) -> Guards:
        """What `difference` looks at, but for arguments and arrays, to be compared in machine code."""
        if self._guards is None:
            self._guards = self._new_guards()
        return self._guards

    def _new_guards(self) -> Guards:
        without = [each.leaf for each in self.gradients if each.before is False and not isinstance(each.leaf, int)]
        guards = self.visible.guards()
        guards += [Guard(SLOT, t, name, getattr(t, name)) for t, *_ in self.seen for name in ("_address", "_spec")]
        guards += [Guard(SLOT, leaf, "_grad", None) for leaf in without]
        return Guards(guards, lambda _, name: replay.offset_of(name))

    def difference_of_seen(self) -> str | None:
        """What the step sees, apart from arguments and gradients, that is not what it was; None if all is."""
        if (difference := self.visible.difference()) is not None:
            return difference
        for tensor, address, spec in self.seen:
            if tensor._address != address or tensor._spec is not spec:
                return f"a tensor {spec} that the step uses has other memory or another layout"
        return None

    def difference(self, arguments: Sequence[TensorBase]) -> str | None:
        """Why this program must not run for these arguments now; None if it may."""
        if (difference := self.difference_of_seen()) is not None:
            return difference
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

    def _prepare(self, fresh: Sequence[Block], slots: dict[Block, Slot]) -> None:
        """Write down what each replay needs."""
        for number, block in enumerate(fresh):
            block.slot = number
        gradients = {each.block for each in self.gradients if each.kind == "made"}
        self.gradient_sizes = [block.nbytes for block in fresh if block in gradients]
        self.result_sizes = [block.nbytes for block in fresh if block not in gradients]
        self._kept: Kept | None = None
        is_apart = not any(isinstance(each.leaf, int) for each in self.gradients)
        self.keeps = 4 if gradients and is_apart and not gradients & {*self.results.blocks} else 0
        self._renewed = [each for each in self.gradients if each.kind in ("made", "dropped")]
        self.dropped = [
            each.leaf for each in self._renewed if each.kind == "dropped" and not isinstance(each.leaf, int)
        ]
        self._renewed_by = [each for each in self.gradients if each.kind == "made"]
        self.with_gradient = any(each.before or isinstance(each.leaf, int) for each in self.gradients)
        self._leaves = None if self.with_gradient else [each.leaf for each in self._renewed]
        self._of_made = [(each.block.slot, each.spec, each.offset) for each in self._renewed_by]  # type: ignore[union-attr]
        counted = self.recorded.counted
        times = Counter(map(id, counted))
        self.counted = [(each, times.pop(id(each))) for each in counted if id(each) in times]
        bumped: list[Storage] = []
        self.bumped_arguments: list[int] = []
        for block, storage in self.recorded.bumped:
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
            self._user = threading.get_ident()
            try:
                return self._replay(arguments)
            finally:
                self._user = 0

    def is_in_use(self) -> bool:
        """Whether it is this thread that replays it: a callback in the middle calls the step again."""
        return self._user == threading.get_ident()

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
            kept = None  # its memory is used again
            mine, changes = self._new_gradients(leaves, arguments)
            bumped = self.bumped
        fresh = list(map(memory.allocate, self.result_sizes))
        slots += [each.address for each in chain(mine, fresh)]
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
        if kept is None and self.keeps > 0:  # before the results are made, which may be gradients
            del ending
            self._keep(Kept(changes, mine, self.dropped))
        return self.results.of_replay(arguments, mine + fresh, self.is_inference)

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
            outcome = self.at_once.run(*arguments)
            if outcome.__class__ is not int:
                return outcome  # type: ignore[no-any-return]
            self._drop([each.leaf for each in self._renewed])
            raise self._error(self.calls.failure(outcome))  # type: ignore[arg-type]

    def prepare_at_once(self, arguments: tuple[Any, ...]) -> None:
        """Let the next calls with arguments like these, which fit, be replayed at once, if that can be."""
        if self.at_once is not None:
            self.at_once.renew_guards()
        elif self.replays % _LOOK == _REPLAYS_BEFORE and is_possible(self, arguments) and is_worth_it(self.replays):
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
