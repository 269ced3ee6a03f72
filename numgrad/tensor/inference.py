"""Memory that was made in inference mode: it is never part of a graph, and who tries gets told."""

from __future__ import annotations

import weakref
from typing import Any

from numgrad.engine import dispatch, private
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import GradError
from numgrad.runtime import locks
from numgrad.runtime.memory import Storage

_storages: weakref.WeakSet[Storage] = weakref.WeakSet()
_guarding = locks.renewed()  # one that has just been marked must not find a guard that is about to go


def mark(tensor: TensorBase) -> None:
    """This tensor's memory was made in inference mode."""
    _storages.add(tensor._storage)
    with _guarding:
        if _guard not in dispatch.guards:
            dispatch.guards.append(_guard)


def carry(old: TensorBase, new: TensorBase) -> None:
    """``new`` has come in the place of ``old``, or is another name of its memory."""
    if old._storage in _storages:
        _storages.add(new._storage)


private.listeners.append(carry)


def is_inference(tensor: TensorBase) -> bool:
    """Whether the tensor's memory was made in inference mode."""
    return bool(_storages) and tensor._storage in _storages


def refuse_saving(tensor: TensorBase) -> None:
    """Raise if the tensor cannot be saved for a backward."""
    if is_inference(tensor):
        raise GradError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
            "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in "
            "autograd, or use no_grad() instead of inference_mode()."
        )


def refuse_requires_grad(tensor: TensorBase) -> None:
    """Raise if the tensor cannot become one that requires a gradient."""
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
        if inputs[position]._storage in _storages:
            raise GradError(
                f"{op.name}: Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to "
                "get a normal tensor before doing inplace update."
            )
    if edges is not None:
        for number in op.saving(tuple([edge is not None for edge in edges])).inputs:
            if number is not None:
                refuse_saving(inputs[number])
