"""Views and changes in place: how the history of a tensor follows changes through any of its aliases.

A view knows its base, the tensor that is no view itself, and the node that the base had when the view's own node was
made. After a change in place through another alias the base has another node; the view is then *stale*, and before it
is used again it gets a new node: that of the same window (``as_strided``) on the base as it is now.

A change in place of a view is a change of its base: the op runs on the view's memory and is recorded on the view, then
the base gets a node that says "as before, but for this window" (``copy_slices``), and with that every view is stale.
"""

from __future__ import annotations

from typing import Any

from numgrad.engine.tape import NO_GRAD, TensorBase, modes
from numgrad.errors import GradError
from numgrad.registry import Op, find


def is_stale(tensor: TensorBase) -> bool:
    """Whether the base's history changed after this view's node was made."""
    base = tensor._base
    return base is not None and base._node is not tensor._view_node and tensor._view_node is not NO_GRAD


def refresh(tensor: TensorBase) -> None:
    """Give a stale view the node of its window on the base as it is now."""
    base = tensor._base
    if base is None or not is_stale(tensor):
        return
    before, modes.grad_enabled = modes.grad_enabled, True
    try:
        window = find("as_strided")(base, **_window(tensor, base))
    finally:
        modes.grad_enabled = before
    tensor._node, tensor._output_nr, tensor._view_node = window._node, window._output_nr, base._node


def _window(view: TensorBase, base: TensorBase) -> dict[str, Any]:
    offset = (view._address - base._address) // base._spec.dtype.itemsize
    return {"size": tuple(view._spec.shape), "strides": view._spec.strides, "offset": offset}


def change_in_place(op: Op, target: TensorBase, *others: TensorBase, **params: Any) -> Any:
    """Apply an in-place op to ``target``, a view or not, and let its base's history follow.

    Raises
    ------
    RuntimeError
        Gradients are recorded, and the change would make one wrong. Nothing has been changed then.
    """
    if not modes.grad_enabled:
        return op(target, *others, **params)
    check_in_place(op.name, target, others)
    base = target._base
    refresh(target)
    original = _saved_original(op, target, others)
    result = op(target, *others, **params)
    if original is not None and target._node is not None:
        place = target._node.saving.inputs.index(0)
        target._node.saved[place], target._node.versions[place] = original, original._storage.version  # type: ignore[index]
    if base is not None and target._node is not None and target._view_node is not NO_GRAD:
        find("copy_slices")(base, target, **_window(target, base))
    for changed in (target, base):
        if changed is not None and changed._retains_grad:
            from numgrad.engine.hooks import retain

            retain(changed)
    return result


def _saved_original(op: Op, target: TensorBase, others: tuple[TensorBase, ...]) -> Any:
    """A copy of what the backward will read of the target's old value, if it does."""
    needs = tuple([tensor._node is not None or tensor._requires_grad for tensor in (target, *others)])
    return find("clone")(target) if any(needs) and 0 in op.saving(needs).inputs else None


def check_in_place(name: str, target: TensorBase, others: tuple[TensorBase, ...]) -> None:
    """Refuse a change that autograd could not follow; the texts are torch's."""
    base = target._base
    if target._requires_grad and target._node is None:
        raise GradError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place operation. Do it in no_grad(), or on a "
            "clone()"
        )
    if base is None:
        return
    if base._requires_grad and base._node is None:
        raise GradError(
            f"{name}: a view of a leaf Variable that requires grad is being used in an in-place operation. Do it in no_grad(), "
            "or on a clone()"
        )
    tracked = base._node is not None or any(other._node is not None or other._requires_grad for other in others)
    if not tracked:
        return
    if target._view_node is NO_GRAD:
        raise GradError(
            f"{name}: A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that this "
            "use case is ambiguous and error-prone, it is forbidden. Make the view and the change both inside no_grad(), or both "
            "outside"
        )
    if not base._spec.is_dense:
        raise GradError(
            f"{name}: a view of a tensor with strides {base._spec.strides} (shape {list(base._spec.shape)}) is changed in place, "
            "which autograd follows for dense tensors only; clone() the base first"
        )
    if any(n > 1 and s == 0 for n, s in zip(target._spec.shape, target._spec.strides, strict=True)):
        raise GradError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
