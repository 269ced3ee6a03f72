"""Layers as ``torch`` itself has them: products, convolution, norms, softmax.

`network` has those whose form in ``torch.nn.functional`` differs; `activations`, `pooling`, `losses` and `attention` the
other functions of networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import ops
from numgrad.dtypes import int32, int64
from numgrad.engine.constants import constant
from numgrad.errors import ShapeError
from numgrad.layout import product
from numgrad.ops.linalg import broadcast_batch
from numgrad.registry import chain
from numgrad.tensor import arguments, comparison, margins, pointwise, reductions, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import flag, pair, real
from numgrad.tensor.shaping import drop_base_of_copy
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


# ---- products ---------------------------------------------------------------------------------------------------


@public("function", "method", known=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Matrix product of [M, K] and [K, N], of one dtype.

    Raises
    ------
    RuntimeError
        An input is not a matrix or is of bools, or the shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.mm(ng.tensor([[1.0, 2.0]]), ng.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    for name, value in (("input", input), ("mat2", mat2)):
        if arguments.check_tensor("mm", name, value)._spec.ndim != 2:
            raise ShapeError(f"mm: {name} must be a matrix, but it has shape {list(value.shape)}")
    return ops.linalg.mm(input, mat2)  # type: ignore[no-any-return]


@public("function")
def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """`mm`, which is what torch's function for sparse matrices is for dense ones.

    Raises
    ------
    RuntimeError
        As `mm`.

    >>> import numgrad as ng
    >>> ng.spmm(ng.tensor([[1.0, 2.0]]), ng.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    return mm(input, mat2)


@public("function", "method", known=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Matrix products of a batch: [B, M, K] and [B, K, N], of one dtype. Batches do not broadcast; see `matmul`.

    Raises
    ------
    RuntimeError
        An input is not three-dimensional or is of bools, or the shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.bmm(ng.ones(4, 2, 3), ng.ones(4, 3, 5)).shape
    numgrad.Size([4, 2, 5])
    """
    for name, value in (("input", input), ("mat2", mat2)):
        if arguments.check_tensor("bmm", name, value)._spec.ndim != 3:
            raise ShapeError(f"bmm: {name} must be a 3D tensor, but it has shape {list(value.shape)}")
    return ops.linalg.bmm(input, mat2)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def dot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of the products of two vectors of one length and dtype, as a tensor without dimensions.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.dot(ng.tensor([1, 2]), ng.tensor([3, 4]))
    tensor(11)
    """
    arguments.check_tensor("dot", "other", other)
    return ops.vectors.dot(input, other)  # type: ignore[no-any-return]


@public("function", "method", "linalg", known=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product by NumPy's rules: vectors, matrices, and batches of matrices that broadcast.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.matmul(ng.ones(2, 3), ng.ones(3))
    tensor([3., 3.])
    """
    arguments.check_tensor("matmul", "input", input)
    arguments.check_tensor("matmul", "other", other)
    first, second = input._spec.shape, other._spec.shape
    if not first or not second:
        raise ShapeError(
            f"both arguments to matmul need to be at least 1D, but they are {len(first)}D and {len(second)}D"
        )
    m, k, n = first[-2] if len(first) > 1 else 1, first[-1], second[-1] if len(second) > 1 else 1
    if k != second[-2 if len(second) > 1 else 0]:
        left, right = first if len(first) > 1 else (1, k), second if len(second) > 1 else (*second, 1)
        raise ShapeError(
            f"mat1 and mat2 shapes cannot be multiplied ({'x'.join(map(str, left))} and {'x'.join(map(str, right))})"
        )
    if len(second) == 1:
        if len(first) == 1:
            return ops.vectors.dot(input, other)  # type: ignore[no-any-return]
        rows = input if len(first) == 2 else shaping.reshape(input, (product(first[:-1]), k))
        products = ops.vectors.mv(rows, other)
        return _shaped(products, tuple(first[:-1]), input)
    if len(second) == 2:
        if len(first) == 1:
            return ops.vectors.mv(shaping.transpose(other, 0, 1), input)  # type: ignore[no-any-return]
        if len(first) == 2:
            return ops.linalg.mm(input, other)  # type: ignore[no-any-return]
        flat = ops.linalg.mm(shaping.reshape(input, (product(first[:-1]), k)), other)
        return _shaped(flat, (*first[:-1], n), input)
    batch = broadcast_batch(tuple(first[:-2]), tuple(second[:-2]))
    rows = shaping.unsqueeze(input, 0) if len(first) == 1 else input
    whole = [_one_batch(rows, batch, (m, k)), _one_batch(other, batch, (k, n))]
    result = ops.linalg.bmm(*whole)
    shape = (*batch, n) if len(first) == 1 else (*batch, m, n)
    return _shaped(result, shape, input)


def _shaped(out: Tensor, shape: tuple[int, ...], input: Tensor) -> Tensor:
    """A new tensor in another shape, which is no view: nobody else has it in its own."""
    return out if out._spec.shape == shape else shaping.drop_base_of_copy(shaping.reshape(out, shape), input)


def _one_batch(matrices: Tensor, batch: tuple[int, ...], matrix: tuple[int, int]) -> Tensor:
    """The matrices as a batch of one dimension, which broadcasts to ``batch``."""
    if tuple(matrices._spec.shape[:-2]) != batch:
        matrices = shaping.expand(matrices, (*batch, *matrix))
    return matrices if len(batch) == 1 else shaping.reshape(matrices, (product(batch), *matrix))


@public("function", "functional", known=True)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input [..., in] times the transpose of weight [out, in], plus bias [out]: [..., out].

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> weight = ng.tensor([[1.0, 1.0], [0.0, 2.0], [1.0, 0.0]])
    >>> linear(ng.tensor([1.0, 2.0]), weight, bias=ng.tensor([0.0, 0.0, 10.0]))
    tensor([ 3.,  4., 11.])
    """
    arguments.check_tensor("linear", "input", input)
    if arguments.check_tensor("linear", "weight", weight).ndim != 2 or input.ndim == 0:
        raise ShapeError(
            f"linear: got input {list(input.shape)} and weight {list(weight.shape)}, expected [..., in] and [out, in]"
        )
    shape = tuple(input.shape)
    flat = input if input.ndim == 2 else shaping.reshape(input, (product(shape[:-1]), shape[-1]))
    out = ops.linalg.linear(flat, weight, bias)
    return _shaped(out, (*shape[:-1], weight.shape[0]), input)


# ---- convolution -------------------------------------------------------------


@public("function", "functional", known=True)
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input [N, C, H, W] (or [C, H, W]) with weight [K, C/groups, R, S].

    ``padding`` is a number of zeros, or two numbers, 'valid' (none), or 'same' (as many as keep the extents, for stride 1).

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.conv2d(ng.ones(1, 1, 3, 3), ng.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    arguments.check_tensor("conv2d", "input", input)
    arguments.check_tensor("conv2d", "weight", weight)
    steps, spread = pair("conv2d", "stride", stride), pair("conv2d", "dilation", dilation)
    if isinstance(padding, str):
        input, pads = _named_padding(input, weight, padding, steps, spread)
    else:
        pads = pair("conv2d", "padding", padding)
    if groups.__class__ is not int:
        groups = as_int("conv2d", "groups", groups)
    unbatched = input._spec.ndim == 3
    batched = shaping.unsqueeze(input, 0) if unbatched else input
    if not weight._spec.numel and batched._spec.ndim == 4 and batched._spec.shape[1] == 0:
        out = _convolved_nothing(batched, weight, bias, steps, pads, spread, groups)
    else:
        out = ops.conv.conv2d.apply((batched, weight, bias), steps, pads, spread, groups)
    return shaping.drop_base_of_copy(shaping.squeeze(out, 0), input) if unbatched else out


def _convolved_nothing(input: Tensor, weight: Tensor, bias: Tensor | None, *window: Any) -> Tensor:
    """The convolution of an input without channels. By torch's rule the output has none either, whatever the weight's shape."""
    extents = ops.conv.output_extents(tuple(input.shape), tuple(weight.shape), *window)
    out = shaping.reshape(input, (input.shape[0], 0, *extents))
    for parameter in (weight, bias):
        if parameter is not None:  # the parameter is part of the graph, with a gradient of zeros
            out = pointwise.mul(out, reductions.sum(parameter))
    return out


def _named_padding(
    input: Tensor, weight: Tensor, padding: str, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    if padding == "valid":
        return input, (0, 0)
    if padding != "same":
        raise RuntimeError(f"conv2d: Invalid padding string: {padding!r}, expected 'valid', 'same', an int or two")
    if stride != (1, 1):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (extent - 1) for d, extent in zip(dilation, weight.shape[2:], strict=True)]
    odd = [amount % 2 for amount in total]
    if any(odd):  # the extra zero goes to the far side
        input = margins.pad(input, (0, odd[1], 0, odd[0]))
    return input, (total[0] // 2, total[1] // 2)


# ---- norms ------------------------------------------------------------------------------------------------------


@public("function")
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = False,
) -> Tensor:
    """Normalise each channel of [N, C, ...], in training by the batch's statistics, otherwise by the running ones.

    The order of the arguments is that of ``torch.batch_norm``; `nn.functional.batch_norm` has another. In training the
    running statistics, if given, are updated in place, with the unbiased variance. ``cudnn_enabled`` has no effect.

    Raises
    ------
    ValueError
        Training with only one value for each channel.
    RuntimeError
        The shapes or dtypes do not fit, or statistics are missing.

    >>> import numgrad as ng
    >>> mean, variance = ng.tensor([1.0]), ng.tensor([4.0])
    >>> ng.batch_norm(ng.tensor([[1.0], [3.0]]), None, None, mean, variance, training=False, momentum=0.1, eps=0.0)
    tensor([[0.],
            [1.]])
    """
    arguments.check_tensor("batch_norm", "input", input)
    if training is True or (training is not False and flag("batch_norm", "training", training)):
        if momentum.__class__ is not float:
            momentum = real("batch_norm", "momentum", momentum)
        inputs = input, weight, bias, running_mean, running_var
        return ops.norm.batch_norm_training.apply(inputs, momentum, eps)  # type: ignore[no-any-return]
    _require_statistics(running_mean, running_var)
    return ops.norm.batch_norm_eval(input, weight, bias, running_mean, running_var, eps=eps)  # type: ignore[no-any-return]


def count_batch(counter: Tensor) -> None:
    """Add 1 to a counter of batches. For an int64 tensor that is not a view, `add_` comes down to the dispatch of its op."""
    if counter._spec.dtype is int64 and counter._base is None:
        op: Any = ops.elementwise.add.in_place
        chain.dispatch(op, (counter, constant(1, int64)), op.defaults)
    else:
        counter.add_(1)


def _require_statistics(running_mean: Tensor | None, running_var: Tensor | None) -> None:
    if running_mean is None or running_var is None:
        raise RuntimeError("batch_norm: Expected running_mean and running_var to be defined when training=False")


def batch_norm_relu(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual: Tensor | None = None,
) -> Tensor:
    """``relu(batch_norm(input, ...) + residual)`` in one pass; the residual has the input's shape, or is None.

    Raises
    ------
    ValueError, RuntimeError
        As `batch_norm`, or the residual's shape or dtype is wrong.
    """
    arguments.check_tensor("batch_norm", "input", input)
    inputs = input, weight, bias, running_mean, running_var, residual
    if training:
        return ops.norm.batch_norm_relu_training.apply(inputs, momentum, eps)  # type: ignore[no-any-return]
    _require_statistics(running_mean, running_var)
    return ops.norm.batch_norm_relu_eval(*inputs, eps=eps)  # type: ignore[no-any-return]


def normed_shape(name: str, input: Tensor, normalized_shape: Any) -> tuple[int, ...]:
    """The shape of the last dimensions, over which is normalised.

    Raises
    ------
    RuntimeError
        The input's shape does not end in it.
    TypeError
        It is no tuple of ints.
    """
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(f"{name}(): argument 'normalized_shape' is {normalized_shape!r}, must be tuple of ints")
    shape = tuple([as_int(name, "normalized_shape", extent) for extent in normalized_shape])
    if tuple(input.shape[input.ndim - len(shape) :]) != shape or not shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but got input of "
            f"size{list(input.shape)}"
        )
    return shape


@public("function", "functional", known=True)
def layer_norm(
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions, of shape ``normalized_shape``; then scale by weight and shift by bias.

    Raises
    ------
    RuntimeError
        The input's shape does not end in ``normalized_shape``, its dtype is not floating point, or weight or bias has another
        shape or dtype.
    TypeError
        ``normalized_shape`` is not a tuple.

    >>> import numgrad as ng
    >>> layer_norm(ng.tensor([[1.0, 3.0], [0.0, 4.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    shape = normed_shape("layer_norm", input, normalized_shape)
    eps = real("layer_norm", "eps", eps)
    return ops.layer_norm.layer_norm(input, weight, bias, normalized=len(shape), eps=eps)  # type: ignore[no-any-return]


@public("function")
def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """The rows of weight [V, D] selected by indices (int64 or int32, any shape); row ``padding_idx`` gets no gradient.

    The order of the arguments is that of ``torch.embedding``; `nn.functional.embedding` has the indices first.

    Raises
    ------
    RuntimeError
        The indices are neither int64 nor int32, or the weight is not a matrix.
    IndexError
        An index is not that of a row.
    NotImplementedError
        ``sparse`` is True.

    With ``scale_grad_by_freq`` the gradient of a row is divided by the number of times it is selected.

    >>> import numgrad as ng
    >>> ng.embedding(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), ng.tensor([1, 0, 1]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    if arguments.check_tensor("embedding", "weight", weight).ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, got shape {list(weight.shape)}")
    arguments.check_tensor("embedding", "indices", indices)
    if sparse:
        raise NotImplementedError("embedding: sparse=True is not implemented; leave it False")
    if indices.dtype not in (int64, int32):
        raise RuntimeError(
            "Expected tensor for argument 'indices' of embedding to have one of the following scalar types: Long, "
            f"Int; but got {indices.dtype.torch_name} instead"
        )
    indices, padding_idx = arguments.cast(indices, int64), as_int("embedding", "padding_idx", padding_idx)
    out: Tensor = ops.index.index_select(weight, indices, dim=0)
    if scale_grad_by_freq:
        scaled_by_frequency(out, indices)
    if padding_idx < 0:
        return out
    return pointwise.where(shaping.unsqueeze(comparison.eq(indices, padding_idx), -1), out.detach(), out)


def scaled_by_frequency(rows: Tensor, indices: Tensor) -> None:
    """Let the gradient of rows, selected by indices, be divided by the number of times that each index is there.

    >>> import numgrad as ng
    >>> table = ng.ones(2, 1, requires_grad=True)
    >>> rows = table[ng.tensor([0, 0, 1])]
    >>> scaled_by_frequency(rows, ng.tensor([0, 0, 1]))
    >>> rows.sum().backward()
    >>> table.grad.flatten()
    tensor([1., 1.])
    """
    from numgrad.tensor import creation  # which needs tensors, which need this module

    if rows.requires_grad:
        _, inverse, counts = np.unique(indices._array(), return_inverse=True, return_counts=True)
        shares = creation.tensor((1 / counts)[inverse.reshape(indices.shape)], dtype=rows.dtype)
        rows.register_hook(lambda grad: pointwise.mul(grad, shaping.unsqueeze(shares, -1)))


# ---- softmax -------------------------------------------------------------------------------------------------------


def _along(op: Any, input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    axis = arguments.wrap_dim(op.name, dim, arguments.check_tensor(op.name, "input", input).ndim)
    if dtype is not None:
        input = input.to(dtype)
    if input.ndim == 0:
        return drop_base_of_copy(shaping.reshape(op(shaping.reshape(input, 1), dim=0), ()), input)
    return op(input, dim=axis)  # type: ignore[no-any-return]


@public("function", "method", "special", known=True)
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input) / sum(exp(input)) along a dimension; with ``dtype`` the input is converted first.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.softmax(ng.tensor([[1.0, 2.0, 3.0]]), dim=1)
    tensor([[0.0900, 0.2447, 0.6652]])
    """
    return _along(ops.loss.softmax, input, dim, dtype)


@public("function", "method", "special", known=True)
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`, exact where softmax underflows; with ``dtype`` the input is converted first.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.log_softmax(ng.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    return _along(ops.loss.log_softmax, input, dim, dtype)
