"""Bounds: `clamp` and its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import requires_grad
from numgrad.registry import find
from numgrad.tensor.arguments import as_input, as_number, cast, check_tensor
from numgrad.tensor.changes import Changes
from numgrad.tensor.pointwise import apart, assign, binary, check_result, in_place, joint_dtype

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_e = ops.elementwise


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input, at least min and at most max.

    Raises
    ------
    RuntimeError
        Neither bound is given, or the dtype does not have one of them.
    """
    dtype = _bounded("clamp", check_tensor("clamp", "input", input), min, max)
    result = cast(input, dtype)
    if min is not None:
        result = binary(_e.maximum if dtype.is_bool else _e.clamp_min, result, min)
    if max is not None:
        result = binary(_e.minimum if dtype.is_bool else _e.clamp_max, result, max)
    return result


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """input, at least min."""
    return clamp(input, _given("clamp_min", "min", min))


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """input, at most max."""
    return clamp(input, max=_given("clamp_max", "max", max))


def _given(op: str, name: str, bound: Any) -> Any:
    if bound is None:
        raise TypeError(f"{op}(): argument '{name}' must be Tensor or Number, not None")
    return bound


def _bounded(name: str, input: Tensor, min: Any, max: Any) -> Dtype:
    """The dtype of a tensor between bounds.

    Raises
    ------
    RuntimeError
        There are none, or one is a number that the dtype does not have and that would bound nothing right.
    """
    bounds = [bound for bound in (min, max) if bound is not None]
    if not bounds:
        raise RuntimeError(f"{name}: At least one of 'min' or 'max' must not be None")
    dtype = joint_dtype(name, input, *bounds)
    if dtype.category == 1:
        for number in map(as_number, bounds):
            if number is not None and not dtype.smallest <= number <= dtype.largest:
                raise RuntimeError(
                    f"{name}: the bound {number} cannot be converted to type {dtype.name} without overflow"
                )
    return dtype


def _is_followed(*values: Any) -> bool:
    """Whether a change of one of these tensors, or by them, may have to be recorded; numbers are no tensors."""
    tensors = [value for value in values if isinstance(value, TensorBase)]
    return modes.grad_enabled and any(tensor._base is not None or requires_grad(tensor) for tensor in tensors)


def clamp_(target: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`clamp` in place."""
    dtype = _bounded("clamp_", target, min, max)
    check_result("clamp_", target, dtype)
    if dtype is not target._spec.dtype:
        return assign("clamp_", target, clamp(target, min, max))
    for bound in (min, max):  # all that can be refused is refused before the first of two changes
        if isinstance(bound, TensorBase):
            ops.view.expand(bound, size=tuple(target._spec.shape))
    names = ("maximum", "minimum") if dtype.is_bool else ("clamp_min", "clamp_max")
    if min is not None and max is not None and not _is_followed(target, min, max):
        changes = Changes()
        for name, bound in zip(names, (min, max), strict=True):
            op: Any = find(name)
            operand = apart(target, as_input(op, 1, bound, dtype))
            changes.apply(op.in_place, (target, operand), op.in_place.defaults)
        changes.make()
        return target
    if min is not None:
        in_place(names[0], target, min)
    return target if max is None else in_place(names[1], target, max)
