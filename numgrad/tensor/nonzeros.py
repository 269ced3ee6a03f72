"""Where elements are not 0: `nonzero` and `argwhere`; positions in row-major order as indices: `unravel_index`."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.layout import product
from numgrad.tensor import comparison, index_arrays, joining, pointwise, shaping
from numgrad.tensor.arguments import as_int, check_tensor, size_of
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", "method")
def nonzero(input: Tensor, *, as_tuple: builtins.bool = False) -> Any:
    """The indices of the elements that are not 0, in row-major order, [count, ndim] of int64. NaN is not 0.

    With ``as_tuple`` a vector for each dimension, as an index of a tensor needs them; a scalar counts as a vector then.

    >>> import numgrad as ng
    >>> x = ng.tensor([[0, 1], [2, 0]])
    >>> ng.nonzero(x)
    tensor([[0, 1],
            [1, 0]])
    >>> x[ng.nonzero(x, as_tuple=True)]
    tensor([1, 2])
    """
    check_tensor("nonzero", "input", input)
    if as_tuple:
        return tuple(joining.unbind(_rows(input if input._spec.ndim else shaping.view(input, 1)), 1))
    return _rows(input)


def _rows(input: Tensor) -> Tensor:
    """The indices of the elements that are not 0, as rows."""
    mask = input if input._spec.dtype.is_bool else comparison.ne(input.detach(), 0)
    count = index_arrays.count_true(mask)
    if not mask._spec.ndim:
        from numgrad.tensor import creation

        return creation.empty(count, 0, dtype=dtypes.int64)
    return ops.masks.nonzero.apply((mask,), count, -1)  # type: ignore[no-any-return]


@public("function", "method")
def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not 0, in row-major order, [count, ndim] of int64, as `nonzero`.

    >>> import numgrad as ng
    >>> ng.argwhere(ng.tensor([0, 3, 0, 4]))
    tensor([[1],
            [3]])
    """
    return nonzero(input)  # type: ignore[no-any-return]


@public("function", "method")
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first ``size`` rows of `nonzero`, and rows of ``fill_value`` where there are fewer.

    Raises
    ------
    RuntimeError
        ``size`` is negative.

    >>> import numgrad as ng
    >>> ng.nonzero_static(ng.tensor([0, 3]), size=2)
    tensor([[ 1],
            [-1]])
    """
    count, fill = (as_int("nonzero_static", name, each) for name, each in (("size", size), ("fill_value", fill_value)))
    if count < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, got {count}")
    still = check_tensor("nonzero_static", "input", input).detach()
    if not still._spec.ndim:
        return shaping.narrow(ops.masks.nonzero(shaping.view(still, 1), count=count, fill=fill), 1, 0, 0)
    return ops.masks.nonzero(still, count=count, fill=fill)  # type: ignore[no-any-return]


@public("function", known=True)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Positions in the row-major order of a shape as indices, a tensor for each dimension.

    Raises
    ------
    TypeError
        The indices are not integers.
    ValueError
        An extent is negative.

    >>> import numgrad as ng
    >>> ng.unravel_index(ng.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    check_tensor("unravel_index", "indices", indices)
    if indices._spec.dtype.category != 1:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices._spec.dtype}")
    extents = size_of("unravel_index", (tuple(shape) if isinstance(shape, (tuple, list)) else (shape,),))
    if builtins.min(extents, default=0) < 0:
        raise ValueError(f"'shape' cannot have negative values, but got {extents}")
    wide = indices if indices._spec.dtype is dtypes.int64 else indices.long()
    parts = []
    for axis, extent in enumerate(extents):
        step = product(extents[axis + 1 :])
        parts.append(pointwise.remainder(pointwise.floor_divide(wide, step), extent))
    return tuple(parts)
