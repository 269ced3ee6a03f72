"""Sorting along a dimension, and searching in what is sorted. All of it is stable, and NaN comes last."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase
from numgrad.tensor.arguments import as_int, as_number, cast, check_tensor, result_type, wrap_dim
from numgrad.tensor.creation import full, tensor
from numgrad.tensor.indexing import gather
from numgrad.tensor.results import KthvalueResult, SortResult, TopkResult
from numgrad.tensor.scans import along
from numgrad.tensor.shaping import clone
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_s = ops.sort


def flag(op: str, name: str, value: Any) -> builtins.bool:
    """An argument that has to be a bool."""
    if not isinstance(value, builtins.bool):
        raise TypeError(f"{op}(): argument '{name}' must be bool, not {type(value).__name__}")
    return value


@public("function", "method", known=True)
def sort(
    input: Tensor, dim: int = -1, descending: builtins.bool = False, *, stable: builtins.bool | None = None
) -> Any:
    """The elements along a dimension in order, and where they were, as a pair (values, indices).

    Equal elements keep their order, whether ``stable`` is asked for or not. NaN is larger than all numbers.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> values, indices = ng.sort(ng.tensor([3.0, 1.0, 2.0]))
    >>> values, indices
    (tensor([1., 2., 3.]), tensor([1, 2, 0]))
    """
    if stable is not None:
        flag("sort", "stable", stable)
    return SortResult(along(_s.sort, input, dim, descending=flag("sort", "descending", descending)))


@public("function", "method", known=True)
def argsort(
    input: Tensor, dim: int = -1, descending: builtins.bool = False, *, stable: builtins.bool | None = None
) -> Tensor:
    """The indices of `sort`.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.argsort(ng.tensor([[3, 1], [2, 4]]), dim=0, descending=True)
    tensor([[0, 1],
            [1, 0]])
    """
    if stable is not None:
        flag("argsort", "stable", stable)
    return along(_s.sort, input, dim, descending=flag("argsort", "descending", descending))[1]  # type: ignore[no-any-return]


@public("function", "method", known=True)
def msort(input: Tensor) -> Tensor:
    """The elements along the first dimension in order.

    >>> import numgrad as ng
    >>> ng.msort(ng.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return along(_s.sort, input, 0, descending=False)[0]  # type: ignore[no-any-return]


@public("function", "method", known=True)
def topk(
    input: Tensor, k: int, dim: int = -1, largest: builtins.bool = True, sorted: builtins.bool = True
) -> Any:  # fmt: skip
    """The k largest (or smallest) elements along a dimension, and where they are, as a pair (values, indices).

    They are in order, whether ``sorted`` or not; of equal ones the first come first. NaN is larger than all numbers.

    Raises
    ------
    RuntimeError
        There are fewer than k elements.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> values, indices = ng.topk(ng.tensor([1.0, 5.0, 3.0]), 2)
    >>> values, indices
    (tensor([5., 3.]), tensor([1, 2]))
    """
    k, largest = as_int("topk", "k", k), flag("topk", "largest", largest)
    flag("topk", "sorted", sorted)
    if not check_tensor("topk", "input", input)._spec.ndim and k == 0:
        return TopkResult((clone(input), full((), 0, dtype=dtypes.int64)))
    return TopkResult(along(_s.topk, input, dim, k=k, largest=largest))


@public("function", "method", known=True)
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: builtins.bool = False) -> Any:
    """The k-th smallest element along a dimension, counted from 1, and where it is, as a pair (values, indices).

    Raises
    ------
    RuntimeError
        k is less than 1, or there are fewer elements.
    IndexError
        There is no such dimension, or it has no elements.

    >>> import numgrad as ng
    >>> ng.kthvalue(ng.tensor([4.0, 1.0, 3.0]), 2).values
    tensor(3.)
    """
    k, keepdim = as_int("kthvalue", "k", k), flag("kthvalue", "keepdim", keepdim)
    axis = wrap_dim("kthvalue", dim, check_tensor("kthvalue", "input", input)._spec.ndim)
    refuse_empty("kthvalue", input, axis)
    return KthvalueResult(along(_s.kthvalue, input, axis, k=k, keepdim=keepdim))


def refuse_empty(op: str, input: Tensor, axis: int) -> None:
    """Refuse to choose from no elements."""
    if input._spec.ndim and input._spec.shape[axis] == 0:
        raise IndexError(
            f"{op}(): Expected reduction dim {axis} to have non-zero size; the input has shape {list(input.shape)}"
        )


# ---- searching --------------------------------------------------------------------------------------------------


def _search(name: str, lines: Tensor, values: Any, out_int32: Any, right: Any, side: Any, sorter: Any) -> Tensor:
    flag(name, "out_int32", out_int32)
    flag(name, "right", right)
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{name}: side and right can't be set to opposites, got side of left while right was True")
    spec = lines._spec
    if sorter is not None:
        if check_tensor(name, "sorter", sorter)._spec.shape != spec.shape:
            raise RuntimeError(
                f"{name}: boundary and sorter must have the same size, but got boundary tensor {list(lines.shape)} and sorter "
                f"tensor {list(sorter.shape)}"
            )
        if sorter._spec.dtype is not dtypes.int64:
            raise RuntimeError(f"{name}: sorter must be a tensor of long dtype but got dtype {sorter.dtype}")
    if not isinstance(values, TensorBase):
        if (number := as_number(values)) is None:
            raise TypeError(f"{name}(): argument 'input' must be Tensor or Number, not {type(values).__name__}")
        values = tensor(number)
    if spec.ndim != 1 and not values._spec.ndim:
        raise RuntimeError(
            f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor "
            f"dim({spec.ndim})"
        )
    common = result_type(lines, values)
    lines, values = cast(lines, common), cast(values, common)
    if sorter is not None:
        lines = gather(lines, -1, sorter)
    positions = _s.searchsorted(lines.detach(), values.detach(), right=right or side == "right")
    return cast(positions, dtypes.int32) if out_int32 else positions


@public("function", known=True)
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: builtins.bool = False,
    right: builtins.bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each value would have to be inserted to keep a sorted sequence sorted: before equal elements, or behind them.

    sorted_sequence
        One sequence, or one along the last dimension for each line of ``input``. With ``sorter``, the indices that sort it,
        it need not be sorted.
    input
        A tensor, or a number. It and the sequence are promoted to one dtype.
    right, side
        True or 'right': behind equal elements. A NaN comes behind all.
    out_int32
        The result is of int32 instead of int64.

    Raises
    ------
    RuntimeError
        Shapes do not fit, or ``side`` and ``right`` contradict each other.

    >>> import numgrad as ng
    >>> steps = ng.tensor([1, 3, 5, 7, 9])
    >>> ng.searchsorted(steps, ng.tensor([3, 6, 9])), ng.searchsorted(steps, ng.tensor([3, 6, 9]), right=True)
    (tensor([1, 3, 4]), tensor([2, 3, 5]))
    """
    check_tensor("searchsorted", "sorted_sequence", sorted_sequence)
    return _search("searchsorted", sorted_sequence, input, out_int32, right, side, sorter)


@public("function", known=True)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: builtins.bool = False, right: builtins.bool = False
) -> Tensor:  # fmt: skip
    """The number of the bucket that each value falls into: boundaries[i - 1] < value <= boundaries[i], or with ``right`` <= and <.

    Raises
    ------
    RuntimeError
        The boundaries are no vector.

    >>> import numgrad as ng
    >>> ng.bucketize(ng.tensor([0.5, 1.0, 4.0]), ng.tensor([1.0, 2.0, 3.0]))
    tensor([0, 0, 3])
    """
    if check_tensor("bucketize", "boundaries", boundaries)._spec.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return _search("bucketize", boundaries, input, out_int32, right, None, None)
