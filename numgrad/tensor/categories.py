"""Functions of categories and of pairs of vectors: one-hot vectors, bags of embeddings, bilinear maps."""

from __future__ import annotations

import contextlib

import numpy as np

from numgrad import ops
from numgrad.dtypes import int32, int64
from numgrad.engine.constants import constant
from numgrad.engine.tape import modes
from numgrad.errors import DtypeError, OutOfRangeError, ShapeError
from numgrad.registry import chain
from numgrad.tensor import arguments, comparison, creation, indexing, layers, network, pointwise, reductions, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.joined import LARGEST
from numgrad.tensor.known import knowing
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


@knowing
def _ones_at(input: Tensor, count: int) -> Tensor:
    """Zeros, but for a 1 at each of the numbers."""
    zeros = creation.zeros((*input._spec.shape, count), dtype=int64)
    places = shaping.unsqueeze(input, -1)
    ones = shaping.expand(constant(1, int64), tuple(places._spec.shape))  # type: ignore[arg-type]
    return ops.scatter.scatter(zeros, places, ones, dim=input._spec.ndim)  # type: ignore[no-any-return]


@public("functional")
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """For each class of an int64 tensor a row of ``num_classes`` zeros with a 1 at the class, in int64.

    -1 classes are as many as the largest needs. Under `vmap`, where values cannot be looked at, they have to be given, and a
    class beyond them has a row of zeros.

    Raises
    ------
    RuntimeError
        The dtype is not int64, a class is negative or too large, or the number of classes cannot be told.

    >>> import numgrad as ng
    >>> ng.nn.functional.one_hot(ng.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if arguments.check_tensor("one_hot", "input", input).dtype is not int64:
        raise DtypeError(
            f"one_hot is only applicable to index tensor of type LongTensor, but got {input.dtype}; convert with .long()"
        )
    count = as_int("one_hot", "num_classes", num_classes)
    if count < -1 or (count == 0 and input.numel()):
        raise RuntimeError(f"one_hot: num_classes is {count}, expected a positive number, or -1 to infer it")
    if input.numel() == 0:
        if count <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    elif count > 0 and not chain.wrappers and modes.capture is None and input.numel() * count <= LARGEST:
        with contextlib.suppress(OutOfRangeError):  # the words for which are below
            return _ones_at(input, count)
    # Of one example of many the values are not to be had.
    if input.numel() and (count == -1 or type(input)._array is Tensor._array):
        if int(reductions.min(input)) < 0:
            raise RuntimeError("Class values must be non-negative.")
        largest = int(reductions.max(input))
        if count == -1:
            count = largest + 1
        elif largest >= count:
            raise RuntimeError(f"Class values must be smaller than num_classes, but {largest} is not below {count}.")
    return comparison.eq(shaping.unsqueeze(input, -1), creation.arange(count)).to(int64)


@public("function", "functional", known=True)
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The sum over i and j of input1[..., i] * weight[k, i, j] * input2[..., j], plus bias[k]: [..., K].

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.bilinear(ng.tensor([[1.0, 2.0]]), ng.tensor([[3.0]]), ng.ones(1, 2, 1))
    tensor([[9.]])
    """
    for name, value in (("input1", input1), ("input2", input2), ("weight", weight)):
        arguments.check_tensor("bilinear", name, value)
    lead = tuple(input1.shape[:-1])
    if weight.ndim != 3 or not input1.ndim or lead != tuple(input2.shape[:-1]):
        raise ShapeError(
            f"bilinear(): input1 {list(input1.shape)} and input2 {list(input2.shape)} must have one shape but for the last "
            f"dimension, and weight {list(weight.shape)} three dimensions"
        )
    k, i, j = weight.shape
    if (input1.shape[-1], input2.shape[-1]) != (i, j):
        raise ShapeError(
            f"bilinear(): input1 size {input1.shape[-1]} and input2 size {input2.shape[-1]} do not match weight size "
            f"{list(weight.shape)}, expected {i} and {j}"
        )
    if bias is not None and tuple(bias.shape) != (k,):
        raise ShapeError(f"bilinear(): bias size {list(bias.shape)} does not match weight size {k} at dimension 0")
    matrix = shaping.reshape(shaping.permute(weight, 1, 0, 2), (i, k * j))
    partial = shaping.reshape(layers.matmul(shaping.reshape(input1, (-1, i)), matrix), (*lead, k, j))
    out = reductions.sum(pointwise.mul(partial, shaping.unsqueeze(input2, -2)), -1)
    return out if bias is None else pointwise.add(out, bias)


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[np.ndarray, int]:
    """The bag of each index, and their number.

    Raises
    ------
    ValueError, RuntimeError
        The offsets do not fit.
    """
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
                f"However, found offsets of type {type(offsets)}"
            )
        return np.arange(input.shape[0]).repeat(input.shape[1]), input.shape[0]
    if input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if offsets is None or offsets.ndim != 1:
        raise ValueError(f"offsets has to be a 1D Tensor but got {None if offsets is None else list(offsets.shape)}")
    starts = np.asarray(offsets.tolist(), np.int64)
    count = len(input)
    if include_last_offset:
        if not len(starts):
            raise RuntimeError("include_last_offset: number of offsets should be at least 1")
        count, starts = int(starts[-1]), starts[:-1]
    if len(starts) and (starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > len(input)):
        raise RuntimeError(
            f"embedding_bag: offsets are {starts.tolist()}, expected the first to be 0, i.e. the first sequence in the mini-batch "
            f"to start at position 0, and the others to rise up to {len(input)}"
        )
    return np.arange(len(starts)).repeat(np.diff([*starts, max(count, starts[-1] if len(starts) else 0)])), len(starts)


@public("functional", known=True)
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sums, means or maxima of bags of rows of weight [num_embeddings, D]: [B, D]; an empty bag has zeros.

    The bags are the rows of input [B, N], or of input [N] the parts that begin at ``offsets`` [B]; with
    ``include_last_offset`` the last of these says where the last bag ends. Rows ``padding_idx`` do not count.
    ``per_sample_weights`` of input's shape scale the rows of sums. ``max_norm``, ``norm_type`` and ``scale_grad_by_freq`` are
    those of `embedding`.

    Raises
    ------
    ValueError
        The shapes do not fit, or there is no such mode.
    IndexError
        A row does not exist.
    NotImplementedError
        ``sparse`` is True; or ``per_sample_weights`` is given with another mode than 'sum'.
    RuntimeError
        The offsets do not begin with 0 and rise, or the input's dtype is neither int64 nor int32.

    >>> import numgrad as ng
    >>> rows = ng.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> ng.nn.functional.embedding_bag(ng.tensor([0, 1, 2]), rows, ng.tensor([0, 2]))
    tensor([[2., 3.],
            [5., 6.]])
    """
    if sparse:
        raise NotImplementedError("embedding_bag: sparse=True is not implemented; leave it False")
    arguments.check_tensor("embedding_bag", "input", input)
    if arguments.check_tensor("embedding_bag", "weight", weight).ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.dtype not in (int64, int32):
        raise DtypeError(
            f"embedding_bag: expected input of int64 or int32, but got {input.dtype}; convert with .long()"
        )
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if per_sample_weights is not None:
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must have the same "
                f"shape as the input ({list(input.shape)})"
            )
        if mode != "sum":
            raise NotImplementedError(
                f"embedding_bag: per_sample_weights is only supported for mode='sum' (got mode='{mode}')."
            )
    bags, count = _bags(input, offsets, include_last_offset)
    places = np.arange(len(bags))
    if padding_idx is not None:
        number = as_int("embedding_bag", "padding_idx", padding_idx)
        if not -weight.shape[0] <= number < weight.shape[0]:
            raise RuntimeError(f"embedding_bag: padding_idx must be within the number of embeddings, but got {number}")
        kept = np.asarray(input.tolist()).reshape(-1)[: len(bags)] != number % weight.shape[0]
        places, bags = places[kept], bags[kept]
    if max_norm is not None:
        network.shorten_rows(weight, input, max_norm, norm_type)
    index = shaping.reshape(input, -1)
    order = None if len(places) == len(index) else creation.tensor(places)
    index = index if order is None else indexing.index_select(index, 0, order)
    sizes = np.bincount(bags, minlength=count)
    if mode == "max":
        return _maxima(indexing.index_select(weight, 0, index), sizes)
    if per_sample_weights is None and not scale_grad_by_freq:
        # The rows are added where they lie: a copy of each may be more than the memory has.
        sums = ops.index.move_rows(weight, index, creation.from_numpy(bags), count=count)
    else:
        rows = indexing.index_select(weight, 0, index)
        if scale_grad_by_freq:
            layers.scaled_by_frequency(rows, index)
        if per_sample_weights is not None:
            factors = shaping.reshape(per_sample_weights, -1)
            factors = factors if order is None else indexing.index_select(factors, 0, order)
            rows = pointwise.mul(rows, shaping.unsqueeze(factors, 1))
        shape = (count, weight.shape[1])
        sums = ops.index.index_select_backward(rows, creation.from_numpy(bags), size=shape, dim=0)
    if mode == "sum":
        return sums  # type: ignore[no-any-return]
    return pointwise.div(sums, creation.tensor(np.maximum(sizes, 1)[:, None], dtype=weight.dtype))


def _maxima(rows: Tensor, sizes: np.ndarray) -> Tensor:
    """The maxima of bags of rows: each bag is as long as the longest, with its last row several times."""
    longest = int(sizes.max(initial=0))
    shape = (len(sizes), rows.shape[1])
    if longest == 0:
        return shaping.reshape(creation.zeros(shape, dtype=rows.dtype), shape)
    starts = np.cumsum(sizes) - sizes
    places = starts[:, None] + np.minimum(np.arange(longest), np.maximum(sizes, 1)[:, None] - 1)
    table = creation.tensor(np.minimum(places, max(rows.shape[0] - 1, 0)))
    best, _ = reductions.max(ops.index.index_select(rows, table, dim=0), 1)
    return pointwise.where(creation.tensor((sizes > 0)[:, None]), best, 0)
