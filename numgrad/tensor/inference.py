"""Memory that was made in inference mode. It must not become part of a graph; a guard raises an error if it would."""

from __future__ import annotations

import weakref
from typing import Any

from numgrad.engine import dispatch, private
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import GradError
from numgrad.runtime import locks
from numgrad.runtime.memory import Storage

# Not a WeakSet: an interrupt could keep its Python code from dropping an entry. Here the callback is written in C.
_storages: set[weakref.ref[Storage]] = set()


def _add(storage: Storage) -> None:
    _storages.add(weakref.ref(storage, _storages.discard))


def _has(storage: Storage) -> bool:
    return weakref.ref(storage) in _storages


_guarding = locks.renewed()  # `mark` must not rely on a guard that is about to be removed


def mark(tensor: TensorBase) -> None:
    """Mark a tensor's memory as made in inference mode."""
    _add(tensor._storage)
    with _guarding:
        if _guard not in dispatch.guards:
            dispatch.guards.append(_guard)


def carry(old: TensorBase, new: TensorBase) -> None:
    """Mark ``new``, which replaces ``old`` or shares its memory, if ``old`` is marked."""
    if _has(old._storage):
        _add(new._storage)


private.listeners.append(carry)


def is_inference(tensor: TensorBase) -> bool:
    """Whether the tensor's memory was made in inference mode."""
    return bool(_storages) and _has(tensor._storage)


def exists() -> bool:
    """Whether there is any tensor whose memory was made in inference mode."""
    return bool(_storages)


def refuse_saving(tensor: TensorBase) -> None:
    """Raise an error if the tensor must not be saved for a backward."""
    if is_inference(tensor):
        raise GradError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
            "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in "
            "autograd, or use no_grad() instead of inference_mode()."
        )


def refuse_requires_grad(tensor: TensorBase) -> None:
    """Raise an error if the tensor must not start to require a gradient."""
    if not modes.inference and is_inference(tensor):
        raise GradError(
            "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed; clone() it first."
        )


def _guard(op: Any, inputs: tuple[Any, ...], plan: Any, edges: Any) -> None:
    if not _storages:
        with _guarding:
            if not _storages and _guard in dispatch.guards:
                dispatch.guards.remove(_guard)  # nothing to guard any more
        return
    if modes.inference:
        return
    for position in plan.changed:
        if _has(inputs[position]._storage):
            raise GradError(
                f"{op.name}: Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to "
                "get a normal tensor before doing inplace update."
            )
    if edges is not None:
        for number in op.saving(tuple([edge is not None for edge in edges])).inputs:
            if number is not None and inputs[number] is not None:
                refuse_saving(inputs[number])
