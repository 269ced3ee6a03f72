"""Views and changes in place: how the history of a tensor follows changes through any of its aliases.

A view knows its base, the tensor that is no view itself, and the node that the base had when the view's own node was
made. After a change in place through another alias the base has another node; the view is then *stale*, and before it
is used again it gets a new node: that of the same window (``as_strided``) on the base as it is now.

A change in place of a view is a change of its base: the op runs on the view's memory and is recorded on the view, then
the base gets a node that means "as before, except in this window" (``copy_slices``). From then on every view is stale.

Three kinds of views cannot be followed: those made while nothing was recorded, and (`fix`) those of a function that returns
several views, and those that a user's Function returns. Instead of the base's node they keep the version of the storage at
that time; the last two kinds keep the reason, too. While gradients are recorded, such a view must not change, nor be used
once its memory has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import GradError
from numgrad.registry import Op, find

MULTIPLE = (
    "This view is the output of a function that returns multiple views. Such functions do not allow the output views to be "
    "modified inplace. You should replace the inplace operation by an out-of-place one, or take the pieces one by one, with "
    "narrow() or an index."
)
CUSTOM = (
    "This view was created inside a custom Function (or because an input was returned as-is) and the autograd logic to handle "
    "view+inplace would override the custom backward associated with the custom Function, leading to incorrect gradients. This "
    "behavior is forbidden. You can fix this by cloning the output of the custom Function."
)


def refresh(tensor: TensorBase) -> None:
    """Give a stale view the node of its window on the base as it is now.

    Raises
    ------
    RuntimeError
        The view cannot be followed, and its memory has changed since it was made.
    """
    base, view_node = tensor._base, tensor._view_node
    if base is None or base._node is view_node:
        return
    version = tensor._storage.version
    if isinstance(view_node, (int, tuple)):
        if (view_node if isinstance(view_node, int) else view_node[0]) != version and _needs_grad(base):
            raise GradError(_unfollowed(view_node, "its base or another view of its base has been"))
        return
    if base._node is None and base._view_node == version:
        return  # detach_() took the base out of its graph, not this view
    before, modes.grad_enabled = modes.grad_enabled, True
    try:
        window = find("as_strided")(base, **_window(tensor, base))
    finally:
        modes.grad_enabled = before
    tensor._node, tensor._output_nr, tensor._view_node = window._node, window._output_nr, base._node


def fix(view: TensorBase, maker: str, reason: str) -> None:
    """Mark a view that cannot be followed; ``maker`` says where it comes from, such as 'Output 0 of Split'."""
    if view._base is not None:
        view._view_node = (view._storage.version, maker, reason)


def requires_grad(tensor: TensorBase) -> bool:
    """Whether gradients flow to this tensor, even a stale view; views made while nothing was recorded need none."""
    if isinstance(tensor._view_node, tuple):
        return _needs_grad(tensor) or _needs_grad(tensor._base)  # type: ignore[arg-type]
    if not isinstance(tensor._view_node, int):
        refresh(tensor)
    return _needs_grad(tensor)


def change_in_place(op: Op, target: TensorBase, *others: TensorBase, **params: Any) -> Any:
    """Apply an in-place op to ``target``, a view or not, and update the history of its base.

    Raises
    ------
    RuntimeError
        Gradients are recorded, and the change would make one wrong. Nothing has been changed.
    """
    for tensor in (target, *others):
        if modes.grad_enabled and (_needs_grad(tensor) or (tensor._base is not None and _needs_grad(tensor._base))):
            break
    else:
        return op(target, *others, **params)
    check_in_place(op.name, target, others, True)
    for tensor in (target, *others):
        refresh(tensor)
    original = _saved_original(op, target, others)
    result = op(target, *others, **params)
    if original is not None and target._node is not None:
        slot = target._node.saving.inputs.index(0)
        target._node.saved[slot], target._node.versions[slot] = original, original._storage.version  # type: ignore[index]
    follow(target)
    return result


def follow(target: TensorBase) -> None:
    """Update the history of the base after a recorded change of ``target``."""
    base = target._base
    if base is not None and target._node is not None:
        find("copy_slices")(base, target, **_window(target, base))
    for changed in (target, base):
        if changed is not None and changed._retains_grad:
            from numgrad.engine.hooks import retain

            retain(changed)


def check_in_place(name: str, target: TensorBase, others: Sequence[TensorBase], recording: bool | None = None) -> None:
    """Refuse a change that autograd could not follow, if one is ``recording``; the texts are torch's."""
    if not (modes.grad_enabled if recording is None else recording):
        return
    base, view_node = target._base, target._view_node
    tracked = requires_grad(target) or (base is not None and _needs_grad(base))
    if not (tracked or any(requires_grad(other) for other in others)):
        return
    if base is not None:
        if isinstance(view_node, (int, tuple)):
            raise GradError(f"{name}: {_unfollowed(view_node, 'is being')}")
        if tracked and base._node is None:
            raise GradError(
                f"{name}: a view of a leaf Variable that requires grad is being used in an in-place operation. Do it in "
                "no_grad(), or on a clone()"
            )
        if base._spec.extent < base._spec.numel:
            raise GradError(
                f"{name}: the target is a view of a tensor with strides {base._spec.strides} (shape "
                f"{list(base._spec.shape)}), several elements of which share memory; clone() that first"
            )
    if target._requires_grad and target._node is None:
        raise GradError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place operation. Do it in no_grad(), or on a "
            "clone()"
        )


def _needs_grad(tensor: TensorBase) -> bool:
    return tensor._node is not None or tensor._requires_grad


def _window(view: TensorBase, base: TensorBase) -> dict[str, Any]:
    offset = (view._address - base._address) // base._spec.dtype.itemsize
    return {"size": tuple(view._spec.shape), "strides": view._spec.strides, "offset": offset}


def _saved_original(op: Op, target: TensorBase, others: tuple[TensorBase, ...]) -> Any:
    """A copy of the target's old value, if the backward reads it; else None."""
    needs = tuple([_needs_grad(tensor) for tensor in (target, *others)])
    return find("clone")(target) if any(needs) and 0 in op.saving(needs).inputs else None


def _unfollowed(view_node: int | tuple[int, str, str], is_being: str) -> str:
    if isinstance(view_node, int):
        return (
            f"A view was created in no_grad mode and {is_being} modified inplace with grad mode enabled. Given that this use "
            "case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the "
            "inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both outside (if you "
            "want the inplace to be tracked)."
        )
    return f"{view_node[1]} is a view and {is_being} modified inplace. {view_node[2]}"
