"""Arguments in torch's forms: dimensions counted from the end, shapes in one or many, numbers, type promotion."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def wrap_dim(op: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front.

    Raises
    ------
    IndexError
        There is no such dimension.
    """
    if isinstance(dim, builtins.bool) or not isinstance(dim, (int, np.integer)):
        raise TypeError(f"{op}(): argument 'dim' must be int, not {type(dim).__name__}")
    low, high = (-ndim, ndim - 1) if ndim else (-1, 0)
    if not low <= dim <= high:
        raise IndexError(f"{op}: Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")
    return int(dim) % builtins.max(ndim, 1)


def reduced_dims(op: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """Sorted dimensions of a reduction; all for None and for an empty list, as in torch."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    wrapped = [wrap_dim(op, d, ndim) for d in given]
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"{op}: dim {wrapped[-1]} appears multiple times in the list of dims {tuple(given)}")
    return tuple(sorted(wrapped)) if ndim else ()


def size_of(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as ``f(2, 3)`` or ``f((2, 3))``.

    Raises
    ------
    TypeError
        An extent is not an int.
    """
    given = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    for extent in given:
        if extent.__class__ is not int:
            break
    else:
        return tuple(given)
    for extent in given:
        if isinstance(extent, (float, str)) or not hasattr(extent, "__index__"):
            raise TypeError(
                f"{op}(): argument 'size' must be tuple of ints, but found element of type {type(extent).__name__}"
            )
    return tuple(int(extent) for extent in given)


def check_tensor(op: str, name: str, value: Any) -> Any:
    """``value``, if it is a tensor.

    Raises
    ------
    TypeError
        It is not.
    """
    if not isinstance(value, TensorBase):
        raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    return value


def _category(value: Any) -> int:
    return 0 if isinstance(value, builtins.bool) else 1 if isinstance(value, builtins.int) else 2


def as_operand(value: Any, dtype: Dtype) -> Tensor:
    """A number, array or tensor as a tensor of this dtype."""
    if isinstance(value, TensorBase):
        return cast(value, dtype)  # type: ignore[arg-type]
    if isinstance(value, (builtins.bool, builtins.int, builtins.float)):
        return constant(value, dtype)  # type: ignore[return-value]
    if isinstance(value, np.generic):
        return constant(value.item(), dtype)  # type: ignore[return-value]
    if isinstance(value, np.ndarray):
        from numgrad.tensor import creation

        return cast(creation.from_numpy(np.ascontiguousarray(value)), dtype)
    raise TypeError(f"expected a Tensor, a number or a NumPy array, got {type(value).__name__}")


def result_type(*values: Any) -> Dtype:
    """The dtype of an operation between tensors and numbers, by torch's rules.

    A tensor without dimensions, and a Python number still less, changes the dtype only if it is of a higher category
    (bool, integer, floating point).

    >>> import numgrad as ng
    >>> ng.result_type(ng.ones(2), 1.5), ng.result_type(ng.arange(2), 1.5)
    (numgrad.float32, numgrad.float32)
    """
    best: list[Dtype | None] = [None, None, None]  # tensors with dimensions, without, numbers
    for value in values:
        if isinstance(value, TensorBase):
            rank, found = (0 if value._spec.ndim else 1), value._spec.dtype
        elif isinstance(value, (np.ndarray, np.generic)) and value.ndim:
            rank, found = 0, dtypes.from_numpy_dtype(value.dtype)
        else:
            rank = 2
            found = (dtypes.bool_, dtypes.int64, dtypes.get_default_dtype())[_category(value)]
        before = best[rank]
        best[rank] = found if before is None else dtypes.promote_types(before, found)
    result: Dtype | None = None
    for found in best:  # type: ignore[assignment]
        if found is not None and (result is None or found.category > result.category):
            result = found
    assert result is not None
    return result


def cast(input: Tensor, dtype: Dtype) -> Tensor:
    """In another dtype; the tensor itself if it has that already."""
    return input if input._spec.dtype is dtype else ops.creation.cast(input, dtype=dtype)  # type: ignore[no-any-return]
