"""Private layouts: how a tensor whose memory is in an order that nobody asked for becomes the row-major one that it seems.

A private tensor (`layout.PrivateStrides`) is all of its storage, and no view of it exists: what makes a view asks for
`expose` first, and so does all that shows memory itself (``numpy()``, ``data_ptr()``). Then its elements are copied into
row-major order, and the tensor is laid over the copy. Tensors that share a private storage, by ``detach()`` or saved by
a node, are `alias`es of each other and move together, so that a change in place through one is seen through all.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numgrad.engine.tape import TensorBase, modes
from numgrad.layout import Spec, contiguous_strides
from numgrad.registry import OPS
from numgrad.runtime import locks
from numgrad.runtime.memory import Storage

# Told of tensors over the memory that was left, and over that in its place.
listeners: list[Callable[[TensorBase, TensorBase], None]] = []
_moving = locks.renewed()


def alias(tensor: TensorBase, cls: type[TensorBase], storage: Storage | None = None) -> Any:
    """A tensor of class ``cls`` over the same memory, outside of the graph; ``storage`` is another one over that memory."""
    made = cls(tensor._storage if storage is None else storage, tensor._spec, tensor._address)
    if tensor._spec.is_private:
        moves_with(tensor, made)
    return made


def moves_with(tensor: TensorBase, other: TensorBase) -> None:
    """Say that ``other`` has the private memory of ``tensor``."""
    with _moving:
        group = tensor._storage.aliases
        if group is None:
            group = tensor._storage.aliases = [weakref.ref(tensor)]
        elif len(group) > 8:  # aliases that come and go, one a step
            group[:] = [reference for reference in group if reference() is not None]
        group.append(weakref.ref(other))
        other._storage.aliases = group


def expose(tensor: TensorBase) -> None:
    """Make a private tensor row-major in memory, and with it all that share its memory. Others stay as they are.

    Another thread may be reading the old memory in a kernel, so where there are other threads the old memory lives as
    long as the new.
    """
    if not tensor._spec.is_private:
        return
    with _moving:
        spec, storage = tensor._spec, tensor._storage
        if not spec.is_private:  # another thread was faster
            return
        laid = _row_major(tensor)
        group = {id(tensor): tensor}
        for reference in storage.aliases or ():
            other = reference()  # which may have been given other memory since
            if other is not None and other._spec.is_private and other._address == storage.address:
                group[id(other)] = other
        for saved in [saved for other in group.values() for saved in _saved(other)]:
            group[id(saved)] = saved
        moved: dict[Storage, Storage] = {storage: laid._storage}
        laid._storage.version = storage.version
        if len(sys._current_frames()) > 1:
            laid._storage.keep_alive(storage)
        for other in group.values():  # those of ``tensor.data`` have storages of their own over this memory
            if other._storage not in moved:
                new = moved[other._storage] = laid._storage.share()
                new.version = other._storage.version
        places = [(each, moved[each._storage], laid._spec, laid._address) for each in group.values()]
        _move_all(places)
        for old, new in moved.items():
            for listener in listeners:
                listener(TensorBase(old, spec, old.address), TensorBase(new, laid._spec, new.address))


def _move_all(places: Sequence[tuple[TensorBase, Storage, Spec, int]]) -> None:
    """Lay tensors over other memory, all at once: no thread sees, and no Ctrl-C leaves, a part of it.

    CPython switches threads and handles signals between steps of Python code; here the loop is in C.
    """
    tensors, storages, specs, addresses = zip(*places, strict=True)
    slots = ("_storage", "_spec", "_address")
    values = (*storages, *specs, *addresses)
    names = [name for name in slots for _ in tensors]
    deque(map(setattr, tensors * len(slots), names, values), maxlen=0)


def _row_major(tensor: TensorBase) -> TensorBase:
    """A copy in row-major order, by an op that those see who record what is launched, but no graph or transform."""
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
    """What the node of this tensor saved of it: other tensors in the same memory."""
    node = tensor._node
    if node is not None and node.saved.__class__ is list and node.saving is not None:
        for position, _ in node.saving.outputs:
            saved = node.saved[position]  # type: ignore[index]
            if saved is not None and saved._storage is tensor._storage:
                yield saved
