"""Normalisation, dropout and embedding with the arguments of `nn.functional`; `layers` has ``torch``'s forms of them."""

from __future__ import annotations

import numpy as np

from numgrad import ops
from numgrad.layout import product
from numgrad.tensor import (
    arguments,
    clamping,
    creation,
    indexing,
    layers,
    pointwise,
    random,
    reductions,
    shaping,
    statistics,
)
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import flag, real
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


@public("functional")
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of input [N, C, ...], by the batch's statistics (``training``) or by the running ones.

    In training the running statistics, unless None, move towards the batch's by ``momentum``, in place.

    Raises
    ------
    ValueError
        There is only one value for each channel in training.
    RuntimeError
        The sizes do not fit, or running statistics are missing without ``training``.

    >>> import numgrad as ng
    >>> batch_norm(ng.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    if training:
        check_batch_size(input.shape)
    return layers.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def check_batch_size(shape: tuple[int, ...]) -> None:
    """Refuse a batch with only one value for each channel, which has no variance.

    Raises
    ------
    ValueError
        There is only one value for each channel.
    """
    if len(shape) > 1 and shape[0] * product(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shape}")


@public("function", "functional", known=True)
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each of ``num_groups`` groups of the channels of input [N, C, ...]; then scale and shift each channel.

    Raises
    ------
    RuntimeError
        The number of channels is not divisible by ``num_groups``.

    >>> import numgrad as ng
    >>> group_norm(ng.tensor([[1.0, 3.0]]), 1)
    tensor([[-1.0000,  1.0000]])
    """
    shape = tuple(arguments.check_tensor("group_norm", "input", input).shape)
    num_groups, eps = as_int("group_norm", "num_groups", num_groups), real("group_norm", "eps", eps)
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    # The statistics of a group are taken over as many values as those of a channel in this batch.
    check_batch_size((shape[0] * shape[1] // num_groups, num_groups, *shape[2:]))
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is None:
            continue
        if tuple(parameter.shape) != shape[1:2]:
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(parameter.shape)} and input of shape {list(shape)}"
            )
        if parameter.dtype is not input.dtype:
            raise RuntimeError(f"group_norm: {name} is of {parameter.dtype}, expected the input's dtype, {input.dtype}")
    rows = shaping.reshape(input, shape[0], num_groups, product(shape[1:]) // num_groups)
    out = shaping.drop_base_of_copy(shaping.reshape(layers.layer_norm(rows, rows.shape[2:], eps=eps), shape), input)
    form = (1, shape[1], *(1,) * (len(shape) - 2))
    if weight is not None:
        out = pointwise.mul(out, shaping.reshape(weight, form))
    return out if bias is None else pointwise.add(out, shaping.reshape(bias, form))


@public("functional", known=True)
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """input divided by its p-norm along ``dim``, or by eps where that is larger; for p see `numgrad.norm`.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> normalize(ng.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return pointwise.div(input, clamping.clamp(reductions.norm(input, p, dim, keepdim=True), min=eps))


@public("functional")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each element with probability p and divide the others by 1 - p; else the input.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> dropout(ng.ones(2), 0.5, training=False)
    tensor([1., 1.])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not flag("dropout", "training", training) or p == 0:
        return input
    out = random.dropout(input, p, True)
    return input.copy_(out) if inplace else out


@public("functional")
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of weight [num_embeddings, embedding_dim] selected by input (int64 or int32, any shape).

    Row ``padding_idx`` gets no gradient. Rows whose ``norm_type``-norm is larger than ``max_norm`` are first made as long as
    that, in ``weight`` itself. With ``scale_grad_by_freq`` the gradient of a row is divided by the number of times it is
    selected.

    Raises
    ------
    RuntimeError
        The input's dtype is neither int64 nor int32.
    IndexError
        A row does not exist.
    AssertionError
        padding_idx is not a row.
    NotImplementedError
        ``sparse`` is True.

    >>> import numgrad as ng
    >>> embedding(ng.tensor([1, 1]), ng.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [3., 4.]])
    """
    if padding_idx is not None:
        rows = arguments.check_tensor("embedding", "weight", weight).shape[0]
        padding_idx = as_int("embedding", "padding_idx", padding_idx)
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    if sparse:
        raise NotImplementedError("embedding: sparse=True is not implemented; leave it False")
    if max_norm is not None:
        shorten_rows(weight, input, max_norm, norm_type)
    return layers.embedding(weight, input, -1 if padding_idx is None else padding_idx, scale_grad_by_freq, sparse)


def shorten_rows(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    """Make the rows of a table that indices select at most as long as ``max_norm``, in place.

    Raises
    ------
    IndexError
        A row does not exist; nothing is changed.

    >>> import numgrad as ng
    >>> table = ng.tensor([[3.0, 4.0], [6.0, 8.0]])
    >>> shorten_rows(table, ng.tensor([0]), 1.0, 2.0)
    >>> table
    tensor([[0.6000, 0.8000],
            [6.0000, 8.0000]])
    """
    table = weight.detach()
    numbers = creation.tensor(np.unique(indices._array()).astype(np.int64))
    short = statistics.renorm(indexing.index_select(table, 0, numbers), float(norm_type), 0, float(max_norm))
    table.index_copy_(0, numbers, short)
