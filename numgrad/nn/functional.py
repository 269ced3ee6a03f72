"""The functions behind the layers: ``from numgrad.nn import functional as F``. Names and arguments are torch's."""

from __future__ import annotations

from collections.abc import Callable

from numgrad.dtypes import dtype as Dtype
from numgrad.errors import warn
from numgrad.layout import product
from numgrad.tensor import functional as T
from numgrad.tensor import layers, pointwise, random
from numgrad.tensor.arguments import as_int
from numgrad.tensor.attention import scaled_dot_product_attention
from numgrad.tensor.checked import flag, real
from numgrad.tensor.functional import gelu, sigmoid, tanh
from numgrad.tensor.guarded import guard as _guard
from numgrad.tensor.layers import (
    adaptive_avg_pool2d,
    avg_pool2d,
    conv2d,
    layer_norm,
    linear,
    max_pool2d,
    pad,
)
from numgrad.tensor.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from numgrad.tensor.tensor import Tensor

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "elu_",
    "embedding",
    "gelu",
    "group_norm",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "normalize",
    "pad",
    "relu",
    "relu_",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]

# ---- activations ------------------------------------------------------------------------------------------------


def _applied(name: str, function: Callable[..., Tensor], inplace: bool, input: Tensor, *numbers: float) -> Tensor:
    """An activation, in place or not."""
    return T.in_place(name, T.check_tensor(name, "input", input), *numbers) if inplace else function(input, *numbers)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, input); with ``inplace`` written over input.

    >>> import numgrad as ng
    >>> relu(ng.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return T.in_place("relu", T.check_tensor("relu", "input", input)) if inplace else T.relu(input)


def relu_(input: Tensor) -> Tensor:
    """max(0, input), written over input.

    >>> import numgrad as ng
    >>> relu_(ng.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_()


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input); with ``inplace`` written over input.

    >>> import numgrad as ng
    >>> silu(ng.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    return _applied("silu", T.silu, inplace, input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where it is positive, else negative_slope * input; with ``inplace`` written over input.

    >>> import numgrad as ng
    >>> leaky_relu(ng.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return (pointwise.leaky_relu_ if inplace else pointwise.leaky_relu)(input, negative_slope)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, written over input.

    >>> import numgrad as ng
    >>> leaky_relu_(ng.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return leaky_relu(input, negative_slope, True)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1); with ``inplace`` written over input.

    >>> import numgrad as ng
    >>> elu(ng.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _applied("elu", pointwise.elu, inplace, input, alpha)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, written over input.

    >>> import numgrad as ng
    >>> elu_(ng.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return elu(input, alpha, True)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-input))), exact on both sides.

    >>> import numgrad as ng
    >>> logsigmoid(ng.tensor([0.0, 1.0]))
    tensor([-0.6931, -0.3133])
    """
    return pointwise.log_sigmoid(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is above the threshold.

    >>> import numgrad as ng
    >>> softplus(ng.tensor([0.0, 1.0]))
    tensor([0.6931, 1.3133])
    """
    if (beta, threshold) == (1, 20):
        return T.softplus(input)  # which is the input there, but for rounding
    steep = T.mul(input, beta)
    # softplus(x) = -log(sigmoid(-x)), without a threshold of its own.
    return T.where(T.gt(steep, threshold), input, T.div(T.neg(pointwise.log_sigmoid(T.neg(steep))), beta))


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """exp(input), divided by its sum along ``dim``; with ``dtype`` the input is converted first.

    >>> import numgrad as ng
    >>> softmax(ng.zeros(1, 4), dim=1)
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return layers.softmax(input, implicit_dim("softmax", dim, input.ndim), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """The logarithm of `softmax`, exact where that underflows.

    >>> import numgrad as ng
    >>> log_softmax(ng.zeros(1, 2), dim=1)
    tensor([[-0.6931, -0.6931]])
    """
    return layers.log_softmax(input, implicit_dim("log_softmax", dim, input.ndim), dtype)


def implicit_dim(name: str, dim: int | None, ndim: int) -> int:
    """The dimension of a softmax that was left out: 0 for up to one dimension and for three, else 1; with a warning."""
    if dim is not None:
        return dim
    warn(f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.")
    return 0 if ndim in (0, 1, 3) else 1


# ---- layers -----------------------------------------------------------------------------------------------------


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
        In training, there is only one value per channel.
    RuntimeError
        The sizes do not fit, or without ``training`` there are no running statistics.

    >>> import numgrad as ng
    >>> batch_norm(ng.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    if training:
        check_batch_size(input.shape)
    return layers.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def check_batch_size(shape: tuple[int, ...]) -> None:
    """Refuse a batch whose statistics would be those of one value.

    Raises
    ------
    ValueError
        There is one value per channel.
    """
    if len(shape) > 1 and shape[0] * product(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shape}")


def _normed(input: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    centred = T.sub(input, T.mean(input, dims, keepdim=True))
    return T.mul(centred, T.rsqrt(T.add(T.mean(T.square(centred), dims, keepdim=True), eps)))


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each of ``num_groups`` groups of the channels of input [N, C, ...]; then scale and shift each channel.

    Raises
    ------
    RuntimeError
        The channels cannot be divided so.

    >>> import numgrad as ng
    >>> group_norm(ng.tensor([[1.0, 3.0]]), 1)
    tensor([[-1.0000,  1.0000]])
    """
    shape = tuple(T.check_tensor("group_norm", "input", input).shape)
    num_groups, eps = as_int("group_norm", "num_groups", num_groups), real("group_norm", "eps", eps)
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    # The statistics of a group are those of a batch of so many values.
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
    rows = T.reshape(input, shape[0], num_groups, product(shape[1:]) // num_groups)
    out = T.reshape(_normed(rows, (2,), eps), shape)
    form = (1, shape[1], *(1,) * (len(shape) - 2))
    if weight is not None:
        out = T.mul(out, T.reshape(weight, form))
    return out if bias is None else T.add(out, T.reshape(bias, form))


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """input divided by its p-norm along ``dim``, or by eps where that is larger; for p see `numgrad.norm`.

    >>> import numgrad as ng
    >>> normalize(ng.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return T.div(input, T.clamp(T.norm(input, p, dim, keepdim=True), min=eps))


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


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of weight [num_embeddings, embedding_dim] that input, of int64 or int32 and any shape, names.

    Row ``padding_idx`` gets no gradient. What follows it in torch is refused, unless it is the default.

    Raises
    ------
    RuntimeError
        The input is not of integers.
    IndexError
        A row does not exist.
    AssertionError
        padding_idx is no row.
    NotImplementedError
        ``max_norm``, ``scale_grad_by_freq`` or ``sparse``.

    >>> import numgrad as ng
    >>> embedding(ng.tensor([1, 1]), ng.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [3., 4.]])
    """
    if max_norm is not None:
        raise NotImplementedError("embedding: max_norm is not implemented; leave it None")
    if padding_idx is not None:
        rows = T.check_tensor("embedding", "weight", weight).shape[0]
        padding_idx = as_int("embedding", "padding_idx", padding_idx)
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    return layers.embedding(weight, input, -1 if padding_idx is None else padding_idx, scale_grad_by_freq, sparse)


# Activations are called often, and ask by themselves.
_guard(globals(), set(__all__) - {"relu", "silu", "gelu", "sigmoid", "tanh"})
