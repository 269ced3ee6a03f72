"""Elements written by index tensors: `scatter`, `scatter_reduce`, and `take_along_dim`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
from numgrad.tensor import comparison, in_place, pointwise, shaping
from numgrad.tensor.arguments import as_element, cast, check_tensor, wrap_dim
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_OLD = {"add": "sum", "multiply": "prod"}  # the names of `scatter` for reductions of `scatter_reduce`
REDUCES = ("sum", "prod", "mean", "amax", "amin")


def at_least_1d(tensor: Tensor) -> Tensor:
    """The tensor, with one dimension if it has none."""
    return tensor if tensor._spec.ndim else shaping.view(tensor, 1)


# ---- elements ---------------------------------------------------------------------------------------------------


@public("function", "method", "in_place", known=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of input with src[i][j][k], or one number, written to [i][index[i][j][k]][k] for dim 1, and so on.

    Of several values for one place the last is written, and its gradient goes to all of them, as in torch. With
    ``reduce='add'`` or 'multiply' they are added to, or multiplied with, what is there; see also `scatter_reduce`.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are).
    RuntimeError
        The index is neither int64 nor int32, ``src`` is not of the input's dtype, the index is larger than one of them, or
        ``reduce`` is another word.
    TypeError
        There is neither ``src`` nor ``value``, or there are both.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).scatter(1, ng.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if (src is None) == (value is None):
        raise TypeError("scatter(): expected either 'src' (Tensor) or 'value' (Number)")
    given = value if src is None else src
    if reduce is not None and reduce not in _OLD:
        raise RuntimeError(f"scatter: reduce argument must be either add or multiply, got {reduce!r}")
    axis, index = _checked("scatter", input, dim, index)
    if not isinstance(given, TensorBase):
        single = as_element("scatter", given, input._spec.dtype)
        given = shaping.expand(single, tuple(index._spec.shape))
        return _written("scatter", _OLD.get(reduce or "", ""), input, axis, index, given)
    if given._spec.ndim == 0 and index._spec.ndim:
        given = shaping.expand(cast(given, input._spec.dtype), tuple(index._spec.shape))  # type: ignore[arg-type]
    return _written("scatter", _OLD.get(reduce or "", ""), input, axis, index, given)  # type: ignore[arg-type]


def _checked(name: str, input: Tensor, dim: int, index: Any) -> tuple[int, Tensor]:
    check_tensor(name, "index", index)
    axis = wrap_dim(name, dim, input._spec.ndim)
    if index._spec.numel == 0 and index._spec.dtype.category != 1:
        index = cast(index, dtypes.int64)
    return axis, index


def _written(name: str, reduce: str, input: Tensor, axis: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with src reduced into it, or with no word written over it."""
    if src._spec.dtype is not input._spec.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype, got {input._spec.dtype} and {src._spec.dtype}; convert with "
            ".to(dtype)"
        )
    if index._spec.numel == 0:
        return shaping.clone(input)
    source, places = at_least_1d(src), at_least_1d(index)
    if source._spec.ndim != places._spec.ndim:
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as src tensor, got {list(index._spec.shape)} and "
            f"{list(src._spec.shape)}"
        )
    target = at_least_1d(input)
    for position, extent in enumerate(places._spec.shape):
        if extent > source._spec.shape[position]:
            raise RuntimeError(
                f"{name}(): Expected index {list(index._spec.shape)} to be no larger than src {list(src._spec.shape)}, and no "
                f"larger than self {list(input._spec.shape)} apart from dimension {axis}"
            )
        source = shaping.narrow(source, position, 0, extent) if extent < source._spec.shape[position] else source
    op = {
        "": ops.scatter.scatter, "sum": ops.index.scatter_add, "prod": ops.scatter.scatter_prod,
        "amax": ops.scatter.scatter_amax, "amin": ops.scatter.scatter_amin,
    }[reduce]  # fmt: skip
    result = op(target, places, source, dim=axis)
    return result if input._spec.ndim else shaping.reshape(result, ())  # type: ignore[no-any-return]


@public("function", "method", known=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of input where [i][index[i][j][k]][k] is reduced with all src[i][j][k] that go there, for dim 1, and so on.

    ``reduce`` is 'sum', 'prod', 'mean', 'amax' or 'amin'. Without ``include_self`` the input's own element does not count
    where a value comes. A mean of integers is rounded down.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are).
    RuntimeError
        The index is neither int64 nor int32, ``src`` is not of the input's dtype, the index is larger than one of them, or
        ``reduce`` is another word.

    >>> import numgrad as ng
    >>> ng.zeros(2).scatter_reduce(0, ng.tensor([0, 0, 1]), ng.tensor([3.0, 5.0, 1.0]), "amax")
    tensor([5., 1.])
    """
    return scatter_reduced("scatter_reduce", input, dim, index, src, reduce, include_self)


@public("method")
def scatter_reduce_(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`scatter_reduce` of this tensor, written over it. Returns this tensor.

    Raises
    ------
    IndexError, RuntimeError
        As `scatter_reduce`, or autograd cannot follow the change. Nothing has been changed.

    >>> import numgrad as ng
    >>> ng.ones(2).scatter_reduce_(0, ng.tensor([1, 1]), ng.tensor([2.0, 3.0]), "prod")
    tensor([1., 6.])
    """
    result = scatter_reduce(in_place.kept(input, src), dim, index, src, reduce, include_self=include_self)
    return in_place.assign("scatter_reduce_", input, result)


def scatter_reduced(
    name: str, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool
) -> Tensor:
    """`scatter_reduce` for the function ``name``."""
    if reduce not in REDUCES:
        raise RuntimeError(f"{name}: reduce argument must be one of {', '.join(REDUCES)}, got {reduce!r}")
    check_tensor(name, "src", src)
    axis, index = _checked(name, input, dim, index)
    dtype = input._spec.dtype
    start = input
    if not include_self:
        neutral = shaping.expand(_neutral(reduce, dtype), tuple(index._spec.shape))
        start = _written(name, "", input, axis, index, neutral)
    if reduce != "mean":
        return _written(name, reduce, start, axis, index, src)
    total = _written(name, "sum", start, axis, index, src)
    count = shaping.expand(constant(1, dtype), tuple(input._spec.shape))  # type: ignore[arg-type]
    ones = shaping.expand(constant(1, dtype), tuple(index._spec.shape))  # type: ignore[arg-type]
    if not include_self:
        nothing = shaping.expand(constant(0, dtype), tuple(index._spec.shape))  # type: ignore[arg-type]
        count = _written(name, "", count, axis, index, nothing)
    count = _written(name, "sum", count, axis, index, ones)
    return pointwise.div(total, count) if dtype.is_floating_point else pointwise.floor_divide(total, count)


def _neutral(reduce: str, dtype: Any) -> Tensor:
    """The number with which a reduction leaves every other number as it is."""
    number: float = 1 if reduce == "prod" else 0
    if reduce in ("amax", "amin"):
        lowest, highest = (float("-inf"), float("inf")) if dtype.is_floating_point else (dtype.smallest, dtype.largest)
        number = lowest if reduce == "amax" else highest
    return constant(number, dtype)  # type: ignore[return-value]


@public("function", "method", known=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with the other dimensions broadcast to each other; without ``dim`` the elements count as a vector.

    Along ``dim`` negative indices count from the end.

    Raises
    ------
    IndexError
        An index is out of range.
    RuntimeError
        The indices are not of int64, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> x = ng.tensor([[3, 1], [2, 4]])
    >>> ng.take_along_dim(x, ng.tensor([[0], [1]]), 1)
    tensor([[3],
            [4]])
    """
    from numgrad.tensor import grids, indexing

    check_tensor("take_along_dim", "indices", indices)
    if indices._spec.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {indices._spec.dtype}; convert with .long()"
        )
    if dim is None:
        flat = shaping.reshape(input, (input._spec.numel,))
        return indexing.gather(flat, 0, shaping.reshape(indices, (indices._spec.numel,)))
    if input._spec.ndim != indices._spec.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._spec.ndim} dimensions for input, and {indices._spec.ndim} dimensions for indices"
        )
    axis = wrap_dim("take_along_dim", dim, input._spec.ndim)
    shapes = [[*x._spec.shape] for x in (input, indices)]
    for shape in shapes:
        shape[axis : axis + 1] = [1]
    common = list(grids.broadcast_shapes(*map(tuple, shapes)))
    sizes = [(*common[:axis], x._spec.shape[axis], *common[axis + 1 :]) for x in (input, indices)]
    from_front = pointwise.where(comparison.lt(indices, 0), pointwise.add(indices, input._spec.shape[axis]), indices)
    return indexing.gather(shaping.expand(input, sizes[0]), axis, shaping.expand(from_front, sizes[1]))
