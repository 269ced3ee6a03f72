"""Distances and similarities of vectors, and the losses made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numgrad import ops
from numgrad.errors import ShapeError
from numgrad.tensor import arguments, clamping, comparison, creation, grids, indexing, pointwise, reductions
from numgrad.tensor.losses import check_reduction, legacy_reduction, reduced
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_e = ops.elementwise
_FLOOR = 1e-12  # added to squared lengths, as torch does


@public("function", "functional", known=True)
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension; the shapes broadcast.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.nn.functional.pairwise_distance(ng.tensor([[3.0, 4.0]]), ng.zeros(1, 2))
    tensor([5.0000])
    """
    arguments.check_tensor("pairwise_distance", "x1", x1)
    arguments.check_tensor("pairwise_distance", "x2", x2)
    return reductions.norm(pointwise.add(pointwise.sub(x1, x2), eps), p, -1, keepdim)


@public("function", "functional", known=True)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The scalar product along ``dim`` of x1 and x2, each divided by its length or, if that is larger, by eps.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast, or the dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.cosine_similarity(ng.tensor([[1.0, 0.0]]), ng.tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """
    dtype = arguments.result_type(
        arguments.check_tensor("cosine_similarity", "x1", x1), arguments.check_tensor("cosine_similarity", "x2", x2)
    )
    if not dtype.is_floating_point:
        raise RuntimeError(
            f"cosine_similarity: expected common dtype to be floating point, yet common dtype is {dtype}"
        )
    sides = []
    for side in grids.broadcast_tensors(x1, x2):
        side = arguments.cast(side, dtype)
        length = reductions.norm(side, 2, dim, keepdim=True)
        sides.append(pointwise.div(side, clamping.clamp(length, min=eps)))
    return reductions.sum(pointwise.mul(*sides), dim)


@public("function", "functional", known=True)
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norms of the differences of every two rows of input [N, M], in the order (0, 1), (0, 2), ..., (1, 2), ...

    Raises
    ------
    RuntimeError
        The input is not a matrix, or p is negative.

    >>> import numgrad as ng
    >>> ng.pdist(ng.tensor([[0.0], [1.0], [3.0]]))
    tensor([1., 3., 2.])
    """
    if arguments.check_tensor("pdist", "input", input).ndim != 2:
        raise ShapeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not p >= 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = (creation.tensor(rows) for rows in np.triu_indices(input.shape[0], 1))
    gaps = pointwise.sub(indexing.index_select(input, 0, first), indexing.index_select(input, 0, second))
    return reductions.norm(gaps, p, 1)


# ---- losses -----------------------------------------------------------------------------------------------------


@public("function", "functional", known=True)
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1; inputs [N, D] or [D].

    Raises
    ------
    RuntimeError
        The shapes do not fit.
    ValueError
        The reduction is unknown.

    >>> import numgrad as ng
    >>> x, y = ng.tensor([[1.0, 0.0], [1.0, 0.0]]), ng.tensor([[1.0, 0.0], [3.0, 4.0]])
    >>> ng.cosine_embedding_loss(x, y, ng.tensor([1, -1]), reduction="none")
    tensor([0.0000, 0.6000])
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    dims = arguments.check_tensor("cosine_embedding_loss", "target", target).ndim
    if dims > 1 or input1.ndim != dims + 1 or input2.ndim != dims + 1:
        raise ShapeError(
            f"{'1D' if dims == 1 else '0D' if dims == 0 else '0D or 1D'} target tensor expects {dims + 1}D input tensors, but "
            f"found inputs with sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    squares = [pointwise.add(reductions.sum(pointwise.square(x), dims), _FLOOR) for x in (input1, input2)]
    product = reductions.sum(pointwise.mul(input1, input2), dims)
    cosine = pointwise.div(product, pointwise.of_specs["sqrt"](pointwise.mul(*squares)))
    apart = clamping.clamp(pointwise.sub(cosine, margin), min=0)
    loss = pointwise.where(
        comparison.eq(target, 1),
        pointwise.sub(1, cosine),
        pointwise.where(comparison.eq(target, -1), apart, 0),
    )
    return reduced(loss, reduction)


@public("function", "functional", known=True)
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.
    ValueError
        The reduction is unknown.

    >>> import numgrad as ng
    >>> ng.hinge_embedding_loss(ng.tensor([0.5, 0.5]), ng.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.5000])
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    apart = clamping.clamp(pointwise.sub(margin, input), min=0)
    loss = pointwise.add(
        pointwise.where(comparison.ne(target, 1), apart, 0), pointwise.where(comparison.ne(target, -1), input, 0)
    )
    return reduced(loss, reduction)


@public("function", "functional", known=True)
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target * (input1 - input2)), for targets 1 (input1 is to be larger) and -1.

    Raises
    ------
    RuntimeError
        The tensors have different numbers of dimensions, or do not broadcast.
    ValueError
        The reduction is unknown.

    >>> import numgrad as ng
    >>> ng.margin_ranking_loss(ng.tensor([1.0]), ng.tensor([3.0]), ng.tensor([1.0]))
    tensor(2.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if input1.ndim != input2.ndim or input1.ndim != target.ndim:
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: {input1.shape}, input2: "
            f"{input2.shape}, target: {target.shape} "
        )
    gaps = pointwise.mul(_e.neg(target), pointwise.sub(input1, input2))
    return reduced(clamping.clamp(pointwise.add(gaps, margin), min=0), reduction)


@public("function", "functional", known=True)
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + distance of anchor and positive - distance of anchor and negative), by `pairwise_distance`.

    With ``swap`` the negative's distance is that to the positive, where this is smaller.

    Raises
    ------
    ValueError
        The margin is not positive, or the reduction is unknown.
    RuntimeError
        The tensors have different numbers of dimensions, or do not broadcast.

    >>> import numgrad as ng
    >>> a, b = ng.zeros(1, 2), ng.tensor([[3.0, 4.0]])
    >>> ng.triplet_margin_loss(a, b, a)
    tensor(6.0000)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps), margin=margin, swap=swap, reduction=reduction,
    )  # fmt: skip


@public("functional", known=True)
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with another distance than `pairwise_distance`.

    Raises
    ------
    ValueError
        The margin is not positive, or the reduction is unknown.
    RuntimeError
        The tensors have different numbers of dimensions, or do not broadcast.

    >>> import numgrad as ng
    >>> a, b = ng.zeros(1, 2), ng.tensor([[3.0, 4.0]])
    >>> distance = lambda x, y: (x - y).abs().sum(1)
    >>> ng.nn.functional.triplet_margin_with_distance_loss(a, b, a, distance_function=distance)
    tensor(8.)
    """
    check_reduction(reduction)
    if not margin > 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor "
            f"{anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = pointwise.minimum(far, distance(positive, negative))
    return reduced(clamping.clamp(pointwise.sub(pointwise.add(near, margin), far), min=0), reduction)
