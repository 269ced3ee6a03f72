"""`clamp`, `clamp_min`, `clamp_max` and their in-place forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import requires_grad
from numgrad.registry import find
from numgrad.tensor.arguments import as_input, as_number, cast, check_tensor
from numgrad.tensor.changes import Changes
from numgrad.tensor.in_place import apart, assign, check_result, joint_dtype, overwrite
from numgrad.tensor.pointwise import binary
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_e = ops.elementwise


@public("function", "method", known=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input, at least min and at most max; each is a number or a tensor that broadcasts, and one of them may be None.

    All operands are promoted to one dtype. Where min is above max, the result is max.

    Raises
    ------
    RuntimeError
        Neither bound is given, or the dtype does not have one of them.

    >>> import numgrad as ng
    >>> ng.clamp(ng.tensor([-2.0, 0.5, 3.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    dtype = _bounded("clamp", check_tensor("clamp", "input", input), min, max)
    result = cast(input, dtype)
    if as_number(min) is not None and as_number(max) is not None and not dtype.is_bool:
        return _e.clamp(result, as_input(_e.clamp, 1, min, dtype), as_input(_e.clamp, 2, max, dtype))  # type: ignore[no-any-return]
    if min is not None:
        result = binary(_e.maximum if dtype.is_bool else _e.clamp_min, result, min)
    if max is not None:
        result = binary(_e.minimum if dtype.is_bool else _e.clamp_max, result, max)
    return result


@public("function", "method", known=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """input, at least min, a number or a tensor that broadcasts.

    Raises
    ------
    TypeError
        min is None.
    RuntimeError
        The dtype does not have this bound.

    >>> import numgrad as ng
    >>> ng.clamp_min(ng.tensor([-2, 5]), 0)
    tensor([0, 5])
    """
    return clamp(input, _require_bound("clamp_min", "min", min))


@public("function", "method", known=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """input, at most max, a number or a tensor that broadcasts.

    Raises
    ------
    TypeError
        max is None.
    RuntimeError
        The dtype does not have this bound.

    >>> import numgrad as ng
    >>> ng.clamp_max(ng.tensor([1.0, 5.0]), ng.tensor([2.0, 9.0]))
    tensor([1., 5.])
    """
    return clamp(input, max=_require_bound("clamp_max", "max", max))


def _require_bound(op: str, name: str, bound: Any) -> Any:
    if bound is None:
        raise TypeError(f"{op}(): argument '{name}' must be Tensor or Number, not None")
    return bound


def _bounded(name: str, input: Tensor, min: Any, max: Any) -> Dtype:
    """The common dtype of a tensor and its bounds.

    Raises
    ------
    RuntimeError
        There is no bound, or the dtype does not have one of them.
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
    """Whether a change of or by one of these values may have to be recorded; numbers never need that."""
    tensors = [value for value in values if isinstance(value, TensorBase)]
    return modes.grad_enabled and any(tensor._base is not None or requires_grad(tensor) for tensor in tensors)


@public("function", "method")
def clamp_(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`clamp`, written over this tensor, which is returned.

    Raises
    ------
    RuntimeError
        Neither bound is given, the tensor's dtype does not have one of them, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([-2.0, 0.5]).clamp_(min=0)
    tensor([0.0000, 0.5000])
    """
    dtype = _bounded("clamp_", input, min, max)
    check_result("clamp_", input, dtype)
    if dtype is not input._spec.dtype or dtype.is_half:
        return assign("clamp_", input, clamp(input, min, max))
    for bound in (min, max):  # refuse everything before the first of the two changes
        if isinstance(bound, TensorBase):
            ops.view.expand(bound, size=tuple(input._spec.shape))
    names = ("maximum", "minimum") if dtype.is_bool else ("clamp_min", "clamp_max")
    if min is not None and max is not None and not _is_followed(input, min, max):
        changes = Changes()
        for name, bound in zip(names, (min, max), strict=True):
            op: Any = find(name)
            operand = apart(input, as_input(op, 1, bound, dtype))
            changes.apply(op.in_place, (input, operand), op.in_place.defaults)
        changes.make()
        return input
    if min is not None:
        overwrite(names[0], input, min)
    return input if max is None else overwrite(names[1], input, max)


@public("function", "method", known=True)
def clamp_min_(input: Tensor, min: Any) -> Tensor:
    """`clamp_min`, written over this tensor, which is returned.

    Raises
    ------
    TypeError, RuntimeError
        As `clamp_min`, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([-2, 5]).clamp_min_(0)
    tensor([0, 5])
    """
    return clamp_(input, min=_require_bound("clamp_min_", "min", min))


@public("function", "method", known=True)
def clamp_max_(input: Tensor, max: Any) -> Tensor:
    """`clamp_max`, written over this tensor, which is returned.

    Raises
    ------
    TypeError, RuntimeError
        As `clamp_max`, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([-2, 5]).clamp_max_(0)
    tensor([-2,  0])
    """
    return clamp_(input, max=_require_bound("clamp_max_", "max", max))
