"""Private layouts: how a tensor in a private order of memory becomes row-major, as users see it.

A private tensor (`layout.PrivateStrides`) fills its storage, and has no views: every function that makes a view calls
`expose` first, and so do those that show memory itself (``numpy()``, ``data_ptr()``). `expose` copies the elements into
row-major order, and lays the tensor over the copy. Tensors that share a private storage, by ``detach()`` or saved by a node,
are `alias`es of each other and move together, so that a change in place through one is seen through all.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numgrad.engine.tape import TensorBase, modes, tensor_over
from numgrad.layout import Spec, contiguous_strides
from numgrad.registry import OPS
from numgrad.runtime import locks
from numgrad.runtime.memory import Storage

# Called with a tensor over the old memory and one over the new.
listeners: list[Callable[[TensorBase, TensorBase], None]] = []
_moving = locks.renewed()
moves = 0  # counts moves to other memory; addresses read before a move are stale


def alias(tensor: TensorBase, cls: type[TensorBase], storage: Storage | None = None) -> Any:
    """A tensor of class ``cls`` over the same memory, outside of the graph; ``storage`` replaces its storage."""
    new = tensor_over(cls, tensor._storage if storage is None else storage, tensor._spec, tensor._address)
    if tensor._spec.is_private:
        moves_with(tensor, new)
    return new


def moves_with(tensor: TensorBase, other: TensorBase) -> None:
    """Register ``other`` as a tensor over the private memory of ``tensor``."""
    with _moving:
        group = tensor._storage.aliases
        if group is None:
            group = tensor._storage.aliases = [weakref.ref(tensor)]
        elif len(group) > 8:  # aliases that come and go, one a step
            group[:] = [reference for reference in group if reference() is not None]
        group.append(weakref.ref(other))
        other._storage.aliases = group


def expose(tensor: TensorBase) -> None:
    """Make a private tensor row-major in memory, with all tensors that share its memory. Other tensors stay as they are.

    Another thread may be reading the old memory in a kernel. So if there are other threads, the old memory lives as long as
    the new.
    """
    global moves
    if not tensor._spec.is_private:
        return
    with _moving:
        spec, storage = tensor._spec, tensor._storage
        if not spec.is_private:  # another thread was faster
            return
        row_major = _row_major(tensor)
        group = {id(tensor): tensor}
        for reference in storage.aliases or ():
            other = reference()  # it may have moved to other memory since
            if other is not None and other._spec.is_private and other._address == storage.address:
                group[id(other)] = other
        for saved in [saved for other in group.values() for saved in _saved(other)]:
            group[id(saved)] = saved
        moved: dict[Storage, Storage] = {storage: row_major._storage}
        row_major._storage.version = storage.version
        if len(sys._current_frames()) > 1:
            row_major._storage.keep_alive(storage)
        for other in group.values():  # those of ``tensor.data`` have storages of their own over this memory
            if other._storage not in moved:
                new = moved[other._storage] = row_major._storage.share()
                new.version = other._storage.version
        targets = [(each, moved[each._storage], row_major._spec, row_major._address) for each in group.values()]
        _move_all(targets)
        moves += 1
        for old, new in moved.items():
            for listener in listeners:
                listener(TensorBase(old, spec, old.address), TensorBase(new, row_major._spec, new.address))


def _move_all(targets: Sequence[tuple[TensorBase, Storage, Spec, int]]) -> None:
    """Lay tensors over other memory, all at once: no thread sees, and no Ctrl-C leaves, only a part of the moves.

    CPython switches threads and handles signals between steps of Python code; here the loop is in C.
    """
    tensors, storages, specs, addresses = zip(*targets, strict=True)
    slots = ("_storage", "_spec", "_address")
    values = (*storages, *specs, *addresses)
    names = [name for name in slots for _ in tensors]
    deque(map(setattr, tensors * len(slots), names, values), maxlen=0)


def _row_major(tensor: TensorBase) -> TensorBase:
    """A copy in row-major order, by an op that recorders of launches see, but no graph or transform."""
    from numgrad.engine import dispatch

    op = OPS["to_strides"]
    grad_enabled = modes.grad_enabled
    try:
        modes.grad_enabled = False
        params = op.Params(strides=contiguous_strides(tensor._spec.shape))
        copied: TensorBase = dispatch.dispatch(op, (tensor,), params)
        return copied
    finally:
        modes.grad_enabled = grad_enabled


def _saved(tensor: TensorBase) -> Iterator[TensorBase]:
    """Saved tensors of this tensor's node in the same memory."""
    node = tensor._node
    if node is not None and node.saved.__class__ is list and node.saving is not None:
        for position, _ in node.saving.outputs:
            saved = node.saved[position]  # type: ignore[index]
            if saved is not None and saved._storage is tensor._storage:
                yield saved
