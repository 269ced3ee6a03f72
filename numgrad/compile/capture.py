"""`Capture`: listens to a step that runs op by op, and keeps what a replay needs."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numgrad.compile.code import is_foreign, is_library
from numgrad.compile.steps import Again, Applied, Block, Place
from numgrad.compile.visible import Visible, random_states
from numgrad.engine import dispatch, tape
from numgrad.engine.constants import is_constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import CaptureError
from numgrad.layout import Spec
from numgrad.registry import Op
from numgrad.runtime import program
from numgrad.runtime.host import HostCall
from numgrad.runtime.memory import Storage
from numgrad.runtime.plan import Plan
from numgrad.runtime.program import Program
from numgrad.runtime.scope import Scope
from numgrad.tensor import creation
from numgrad.tensor.updates import AddressTable

# Modules between a user's call that makes a tensor and the capture.
_MAKERS = ("numgrad.tensor.creation", "numgrad.tensor.surface", "numgrad.tensor.keywords", "numgrad.compile.capture")


class Capture(Scope):
    """A context that captures what this thread does.

    Parameters
    ----------
    arguments
        The tensors that the step is called with, whose memory is bound anew at each replay.
    visible
        What the step's function can see, looked at before it runs.
    lenient
        What is refused is no error, but the capture's ``problem``.
    """

    def __init__(self, arguments: list[TensorBase], visible: Visible, lenient: bool = False) -> None:
        super().__init__()
        self.arguments, self.visible, self.lenient = arguments, visible, lenient
        self.steps: list[Applied | Again] = []
        self.blocks: list[Block] = []
        self.problem: str | None = None  # why nothing can be replayed, if no error said so
        self.met_a_new_thread = False  # one that began after the capture has computed: the step's own, or another's
        self.counted: list[Any] = []  # optimizers, once for each of their steps
        self.bumped: list[
            tuple[Block, Any]
        ] = []  # blocks that change, and weak references to the storages that count it
        self.cleared: set[int] = set()  # ids of leaves whose gradient was dropped before anything used it
        self.looked: set[int] = set()  # ids of leaves of which the step asked for the gradient that was there before it
        self.gradients: dict[int, Any] = {}  # by the leaf's id: the gradient that it had before
        self.leaves: dict[int, TensorBase] = {}
        self.seen: dict[
            int, tuple[Any, int, Spec]
        ] = {}  # other tensors that ops read: a weak reference, address and spec
        self.by_root: dict[int, Block] = {}
        self._host: dict[int, Storage] = {}  # storages that Python filled during the step
        self._before: dict[int, bytes] = {}  # contents of storages before a launch changed them first
        self._launched: tuple[int, ...] | None = None
        self._reads_tensors = False  # whether options of the optimizer that steps now are tensors
        self._thread = threading.get_ident()
        self._threads = set(sys._current_frames())
        self._random = random_states()
        self._first_node = 0
        for number, tensor in enumerate(arguments):
            root = tensor._storage.root
            if id(root) not in self.by_root:
                block = self._new("argument", root.nbytes, root)
                block.slot, block.spec = number, tensor._spec
        self._note_visible()

    def __enter__(self) -> Capture:
        self._first_node = next(tape._sequence)
        try:
            program.observe(self)
            dispatch.recorders.append(self)
            dispatch.guards.append(self.guard)
            self._undo = ((modes, "capture", modes.capture), self._undo, self._withdraw)
            modes.capture = self
        except BaseException:
            self._withdraw()
            raise
        return self

    def _withdraw(self) -> None:
        program.stop_observing(self)
        dispatch.recorders[:] = [each for each in dispatch.recorders if each is not self]
        dispatch.guards[:] = [each for each in dispatch.guards if getattr(each, "__self__", None) is not self]

    # ---- what is seen ---------------------------------------------------------------------------------------------

    def _new(self, kind: str, nbytes: int, root: Storage | None) -> Block:
        block = Block(len(self.blocks), kind, nbytes, root)
        self.blocks.append(block)
        block.born = len(self.steps)
        if root is None:
            block.died = block.born + 1
        else:
            key = id(root)
            self.by_root[key] = block
            block.weak = weakref.ref(root, lambda _: self._forget(key, block))
        return block

    def _forget(self, key: int, block: Block) -> None:
        block.died = len(self.steps)
        if self.by_root.get(key) is block:
            del self.by_root[key]

    def _note_visible(self) -> None:
        """Know the memory and the gradients of the tensors that can be seen."""
        for key, tensor in self.visible.tensors.items():
            if key not in self.leaves:
                self._leaf(tensor)
                root = tensor._storage.root
                if id(root) not in self.by_root:
                    self._new("held", root.nbytes, root).spec = tensor._spec
                if tensor._hooks is not None:
                    self._refuse_hooks(tensor._hooks)
        for tensor in self.arguments:
            self._leaf(tensor)
            if tensor._hooks is not None:
                self._refuse_hooks(tensor._hooks)

    def _refuse_hooks(self, hooks: Any) -> None:
        for table in (*hooks.tensor.values(), hooks.before, hooks.after, hooks.accumulated):
            for hook in table.values():
                self.hook(hook)

    def _leaf(self, tensor: TensorBase) -> None:
        if id(tensor) not in self.leaves and tensor._node is None:
            self.leaves[id(tensor)] = tensor
            self.gradients[id(tensor)] = tensor._grad

    def steps_with(self, optimizer: Any, tables: Iterable[dict[int, Any]]) -> None:
        """Called when an optimizer begins a step; ``tables`` are the hooks of all optimizers."""
        for table in tables:
            self.visible.count(table, "the hooks of all optimizers")
        for table in (*tables, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks):
            for hook in table.values():
                self.hook(hook)
        self.visible.look(optimizer, type(optimizer).__name__)
        self._note_visible()
        self.counted.append(optimizer)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                self.looks(parameter)
        options = [value for group in optimizer.param_groups for key, value in group.items() if key != "params"]
        self._reads_tensors = any(
            isinstance(each, TensorBase)
            for value in options
            for each in (value if isinstance(value, tuple) else (value,))
        )

    def looks(self, leaf: TensorBase) -> None:
        """Called when Python asks for a leaf's gradient, and so may decide by whether there is one."""
        if leaf._node is None and id(leaf) not in self.cleared:
            self._leaf(leaf)
            if leaf._grad is self.gradients.get(id(leaf)):
                self.looked.add(id(leaf))

    def clears(self, leaves: Iterable[TensorBase]) -> None:
        """Called before the gradients of leaves are dropped."""
        for leaf in leaves:
            self._leaf(leaf)
            if leaf._grad is None and self.gradients.get(id(leaf)) is None:
                self.cleared.add(id(leaf))

    # ---- what is refused -------------------------------------------------------------------------------------------

    def refuse(self, what: str, instead: str) -> None:
        """Raise the error for something that a replay could not do again; a lenient capture keeps it as its problem."""
        problem = f"{user_line()} {what}, and a replay would not do it again; {instead}"
        if not self.lenient:
            raise CaptureError(f"jit: {problem}")
        self.problem = self.problem or problem

    def reads(self, tensor: TensorBase) -> None:
        """Called before Python reads, or writes, the memory of a tensor."""
        root = tensor._storage.root
        block = self.by_root.get(id(root))
        is_host_made = id(root) in self._host and (block is None or block.kind == "held")
        if not is_host_made and not is_constant(tensor):
            self.refuse(
                "reads the value of a tensor, or writes to its memory, in Python",
                "return the tensor and read it outside of the step, compute with tensors (where, clamp, index_select), do it in a "
                "function of jit.host, or take fallback='eager'",
            )

    def fills(self, tensor: TensorBase, data: Any = None) -> None:
        """Called for a tensor that Python filled, from ``data``."""
        if isinstance(data, np.ndarray) and not _is_internal():
            self.array(data)
        root = tensor._storage.root
        self._host[id(root)] = root

    def array(self, data: Any) -> None:
        """Called for an array of the user's that becomes a tensor."""
        self.refuse(
            "makes a tensor from an array of NumPy", "make it outside, and pass the tensor as an argument of the step"
        )

    def hook(self, hook: Any) -> Any:
        """The hook; called for each that runs, or is registered, during the step."""
        function = hook
        while hasattr(function, "func"):
            function = function.func
        if is_foreign(function if hasattr(function, "__qualname__") else type(function)):
            name = getattr(function, "__qualname__", type(function).__name__)
            self.refuse(
                f"runs or registers the hook {name}",
                "remove the hook, write what it does into the step, or take fallback='eager'",
            )
        return hook

    # ---- what is done again ----------------------------------------------------------------------------------------

    def again(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function now, with nothing captured, and at this place of each replay; ``name`` says what it is."""
        self.steps.append(Again(function, args, True, name))
        return paused(function, *args)

    def aside(self, function: Callable[..., Any]) -> Any:
        """Call a function now, with nothing captured, which no replay calls."""
        return paused(function)

    def options(self, values: tuple[float, ...], renewed: Callable[[], list[float] | None] | None) -> Any:
        """A tensor of these float64 numbers, which each replay fills with what ``renewed`` returns, unless that is None."""
        numbers = np.array(values, np.float64)
        tensor = creation.from_numpy(numbers)
        self._host[id(tensor._storage.root)] = tensor._storage.root
        if renewed is not None:
            name = f"the options of {type(self.counted[-1]).__name__}"
            self.steps.append(Again(renew, (numbers, renewed), self._reads_tensors, name))
        return tensor

    # ---- ops -------------------------------------------------------------------------------------------------------

    def guard(self, op: Op, inputs: tuple[Any, ...], plan: Plan, edges: Any) -> None:
        """Called by dispatch before an op changes anything."""
        if threading.get_ident() != self._thread:
            return
        for tensor in inputs:
            if tensor is not None and tensor._node is not None and edges is not None:
                self._refuse_history(tensor)
        for position in plan.changed:
            root = inputs[position]._storage.root
            if id(root) not in self.by_root and id(root) not in self._before:
                self._before[id(root)] = np.asarray(root).tobytes()

    def _refuse_history(self, tensor: TensorBase) -> None:
        node = tensor._node
        if node is not None and node.sequence < self._first_node:
            self.refuse(
                "uses a tensor whose graph was made outside of the step", "compute it inside, or pass its detach()"
            )

    def launched(self, run: Program | HostCall, addresses: tuple[int, ...]) -> None:
        """Called by the launch door after each program."""
        self._launched = addresses

    def applied(self, op: Op, inputs: tuple[Any, ...], outputs: list[Any], plan: Plan, params: Any) -> None:
        """Called by dispatch after each op."""
        if threading.get_ident() != self._thread:
            if threading.get_ident() not in self._threads:
                self.met_a_new_thread = True
            return
        addresses, self._launched = self._launched, None
        if plan.program is None or addresses is None:
            return
        self._add(op, inputs, outputs, plan, params, addresses)

    def _add(
        self, op: Op, inputs: tuple[Any, ...], outputs: list[Any], plan: Plan, params: Any, addresses: tuple[int, ...]
    ) -> None:
        places: list[Place | None] = []
        applied = Applied(op, params, plan, places, user_line())
        for tensor, address in zip(inputs, addresses, strict=False):
            if tensor is None:
                places.append(None)
                continue
            block = self._block_of(tensor)
            places.append((block, address - tensor._storage.root.address if block.kind != "table" else 0))
            applied.reads.append(block)
            applied.reads += block.inside()
        results = iter([each for each, output in zip(outputs, plan.outputs, strict=False) if output.source is None])
        for nbytes in plan.allocations:
            if nbytes is None:
                tensor = next(results)
                block = self._new("made", tensor._storage.nbytes, tensor._storage)
                block.spec, block.maker = tensor._spec, applied.line
                applied.specs[1].append(tensor._spec)
            else:
                block = self._new("made", nbytes, None)
            applied.makes.append(block)
            places.append((block, 0))
        for position in plan.changed:
            self._changes(applied, inputs[position])
        for tensor in inputs:
            if tensor is not None and isinstance(tensor._storage._owner, AddressTable):
                for changed in tensor._storage._owner.changed:
                    self._changes(applied, changed)
        applied.specs[0].extend([None if tensor is None else tensor._spec for tensor in inputs])
        self.steps.append(applied)

    def _changes(self, applied: Applied, tensor: TensorBase) -> None:
        block = self._block_of(tensor)
        applied.changes.append(block)
        if block.kind != "made":
            self.bumped.append((block, weakref.ref(tensor._storage)))

    def _block_of(self, tensor: TensorBase) -> Block:
        root = tensor._storage.root
        block = self.by_root.get(id(root))
        if block is not None:
            return block
        if isinstance(root._owner, AddressTable):
            return self._table(root)
        before = self._before.pop(id(root), None)
        block = self._new("held" if before is None else "begun", root.nbytes, root)
        block.initial, block.spec = before, tensor._spec
        self._leaf(tensor)
        self.seen.setdefault(id(tensor), (weakref.ref(tensor), tensor._address, tensor._spec))
        return block

    def _table(self, root: Storage) -> Block:
        """A table of addresses, with the block and offset of each."""
        table: AddressTable = root._owner
        block = self._new("table", root.nbytes, root)
        words = table.rows.reshape(-1)
        block.initial = words.tobytes()
        width = table.rows.shape[1]
        for number, tensors in enumerate(table.columns):
            column = number * table.step
            of = [self._block_of(tensor) for tensor in tensors]
            offsets = [each._address - each._storage.root.address for each in tensors]
            block.columns.append([(b, offset, t._spec) for b, offset, t in zip(of, offsets, tensors, strict=True)])
            order = sorted([pair for pair in zip(tensors, of, strict=True) if pair[0]._spec.numel], key=_address_of)
            begins = np.array([tensor._address for tensor, _ in order], np.int64)
            roots = np.array([tensor._storage.root.address for tensor, _ in order], np.int64)
            owners = np.searchsorted(begins, table.rows[:, column], "right") - 1
            inside = (table.rows[:, column] - roots[owners]).tolist()
            indices = range(column, len(words), width)
            block.words += zip(indices, [order[owner][1] for owner in owners.tolist()], inside, strict=True)
        return block

    # ---- the end ---------------------------------------------------------------------------------------------------

    def drawn(self) -> bool:
        """Whether random numbers of Python's or NumPy's were drawn."""
        return self._random != random_states() or self.visible.has_drawn()

    def is_filled(self, root: Storage) -> bool:
        """Whether Python filled this storage during the step."""
        return id(root) in self._host

    def host_made(self) -> Iterable[Storage]:
        """The storages that Python filled, which the capture lets go of."""
        storages, self._host = list(self._host.values()), {}
        return storages


def paused(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function while nothing is captured."""
    capture = modes.capture
    if capture is None:
        return function(*args)
    capture._withdraw()
    modes.capture = None
    try:
        return function(*args)
    finally:
        modes.capture = capture
        program.observe(capture)
        dispatch.recorders.append(capture)
        dispatch.guards.append(capture.guard)


def _address_of(pair: tuple[TensorBase, Block]) -> int:
    return pair[0]._address


def user_line() -> str:
    """File and number of the line of the user's code that runs now."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and is_library(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_internal() -> bool:
    """Whether the function that makes a tensor from an array was called by numgrad itself."""
    frame: Any = sys._getframe(2)
    while frame.f_globals.get("__name__") in _MAKERS:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "numgrad"


def renew(numbers: np.ndarray, renewed: Callable[[], list[float] | None]) -> None:
    """Fill the options of an optimizer with what they are now."""
    if (values := renewed()) is not None:
        numbers[:] = values
