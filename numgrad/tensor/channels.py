"""Functions of whole channels: dropout, normalisation of each image, pixels made of channels."""

from __future__ import annotations

import math
from typing import Any

from numgrad import ops
from numgrad.errors import ShapeError, warn
from numgrad.layout import product
from numgrad.tensor import arguments, creation, layers, margins, pointwise, pooling, random, reductions, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import flag, real
from numgrad.tensor.layers import normed_shape
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_e = ops.elementwise
_SELU_LIMIT = 1.7580993408473766  # minus what SELU has far below 0 (Klambauer et al. 2017)

# ---- dropout ----------------------------------------------------------------------------------------------------


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _of_channels(name: str, input: Tensor) -> tuple[int, ...]:
    """[N, C, 1, ...] of an input [N, C, ...]."""
    shape = arguments.check_tensor(name, "input", input).shape
    if len(shape) < 2:
        raise RuntimeError(f"{name}: Feature dropout requires at least 2 dimensions in the input")
    return (*shape[:2], *(1,) * (len(shape) - 2))


def _channel_dropout(name: str, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    _check_probability(p)
    shape = _of_channels(name, input)
    if not flag(name, "training", training) or p == 0 or input.numel() == 0:
        return input
    kept = random.dropout(creation.ones(shape, dtype=input.dtype), p, True)
    return input.mul_(kept) if inplace else pointwise.mul(input, kept)


@public("functional")
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each channel of [N, C, L] or [C, L] with probability p, and divide the others by 1 - p.

    Raises
    ------
    ValueError
        p is not between 0 and 1.
    RuntimeError
        The input has another number of dimensions.

    >>> import numgrad as ng
    >>> ng.nn.functional.dropout1d(ng.ones(1, 2, 2), training=False)
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    _check_probability(p)
    if arguments.check_tensor("dropout1d", "input", input).ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    if input.ndim == 3:
        return _channel_dropout("dropout1d", input, p, training, inplace)
    out = _channel_dropout("dropout1d", shaping.unsqueeze(input, 0), p, training, inplace)
    return input if inplace else shaping.squeeze(out, 0)


@public("functional")
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each channel of [N, C, H, W] with probability p, and divide the others by 1 - p.

    Three dimensions count as [N, C, L], with a warning, as in torch.

    Raises
    ------
    ValueError
        p is not between 0 and 1.
    RuntimeError
        The input has fewer than two dimensions.

    >>> import numgrad as ng
    >>> ng.nn.functional.dropout2d(ng.ones(1, 1, 1, 2), training=False)
    tensor([[[[1., 1.]]]])
    """
    _check_probability(p)
    ndim = arguments.check_tensor("dropout2d", "input", input).ndim
    if ndim == 3:
        warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input "
            "is interpreted as shape (N, C, L), where C is the channel dim. To maintain this behavior use dropout1d instead."
        )
    elif ndim != 4:
        warn(f"dropout2d: Received a {ndim}-D input to dropout2d, which is deprecated. Please use dropout instead.")
    return _channel_dropout("dropout2d", input, p, training, inplace)


@public("functional")
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each channel of [N, C, D, H, W] or [C, D, H, W] with probability p, and divide the others by 1 - p.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> ng.nn.functional.dropout3d(ng.ones(1, 1, 1, 1, 2), training=False)
    tensor([[[[[1., 1.]]]]])
    """
    _check_probability(p)
    ndim = arguments.check_tensor("dropout3d", "input", input).ndim
    if ndim not in (4, 5):
        warn(f"dropout3d: Received a {ndim}-D input to dropout3d, which is deprecated. Please use dropout instead.")
    if ndim == 5:
        return _channel_dropout("dropout3d", input, p, training, inplace)
    out = _channel_dropout("dropout3d", shaping.unsqueeze(input, 0), p, training, inplace)
    return input if inplace else shaping.squeeze(out, 0)


def _alpha_dropout(input: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...]) -> Tensor:
    """Elements drawn for ``shape`` become SELU's lowest value; then all are scaled so that mean and variance stay."""
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        out = pointwise.mul(input, 0)
    else:
        scale = 1 / math.sqrt((_SELU_LIMIT**2 * p + 1) * (1 - p))
        kept = random.bernoulli(creation.full(shape, 1 - p, dtype=input.dtype))
        shift = pointwise.add(pointwise.mul(kept, _SELU_LIMIT * scale), _SELU_LIMIT * scale * (p - 1))
        out = pointwise.add(pointwise.mul(input, pointwise.mul(kept, scale)), shift)
    return input.copy_(out) if inplace else out


@public("function", "functional")
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """In training, set each element with probability p to SELU's lowest value, and keep mean and variance by a linear map.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> ng.nn.functional.alpha_dropout(ng.ones(2))
    tensor([1., 1.])
    """
    _check_probability(p)
    shape = tuple(arguments.check_tensor("alpha_dropout", "input", input).shape)
    return _alpha_dropout(input, p, flag("alpha_dropout", "training", training), inplace, shape)


@public("function", "functional")
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of [N, C, ...].

    Raises
    ------
    ValueError
        p is not between 0 and 1.
    RuntimeError
        The input has fewer than two dimensions, in training.

    >>> import numgrad as ng
    >>> ng.nn.functional.feature_alpha_dropout(ng.ones(1, 2))
    tensor([[1., 1.]])
    """
    _check_probability(p)
    flag("feature_alpha_dropout", "training", training)
    drawn = training and 0 < p < 1
    shape = _of_channels("feature_alpha_dropout", input) if drawn else ()
    return _alpha_dropout(input, p, training, inplace, shape)


# ---- norms ------------------------------------------------------------------------------------------------------


@public("functional", known=True)
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each image of [N, C, ...], by its own statistics or by the running ones.

    With ``use_input_stats`` the running statistics, unless None, move towards the mean of the images' by ``momentum``.

    Raises
    ------
    ValueError
        There is only one value for each channel of an image.
    RuntimeError
        The sizes do not fit, or running statistics are missing without ``use_input_stats``.

    >>> import numgrad as ng
    >>> ng.nn.functional.instance_norm(ng.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """
    shape = tuple(arguments.check_tensor("instance_norm", "input", input).shape)
    if len(shape) < 2:
        raise RuntimeError(f"instance_norm: Expected at least 2 dimensions [N, C, ...], but got {list(shape)}")
    if use_input_stats and product(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(shape)}")
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    n, c = shape[:2]

    def repeated(parameter: Tensor | None) -> Any:
        return None if parameter is None else shaping.reshape(shaping.expand(parameter, (n, *parameter.shape)), -1)

    mean, var = repeated(running_mean), repeated(running_var)
    images = shaping.reshape(input, (1, n * c, *shape[2:]))
    scale, shift = repeated(weight), repeated(bias)
    out = layers.batch_norm(images, scale, shift, mean, var, use_input_stats, momentum, eps)
    if use_input_stats:
        for running, moved in ((running_mean, mean), (running_var, var)):
            if running is not None:
                running.copy_(reductions.mean(shaping.reshape(moved, (n, c)), 0))
    return shaping.reshape(out, shape)


@public("function", name="instance_norm")
def instance_norm_by_position(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = False,
) -> Tensor:
    """`nn.functional.instance_norm` in the order of ``torch.instance_norm``; the last argument has no meaning here.

    Raises
    ------
    ValueError, RuntimeError
        As there.

    >>> import numgrad as ng
    >>> ng.instance_norm(ng.tensor([[[1.0, 3.0]]]), None, None, None, None, True, 0.1, 1e-5)
    tensor([[[-1.0000,  1.0000]]])
    """
    flag("instance_norm", "cudnn_enabled", cudnn_enabled)
    return instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@public("function", "functional", known=True)
def rms_norm(
    input: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean(input²) + eps), the mean over the last dimensions, of shape ``normalized_shape``; times weight.

    ``eps`` is by default the distance of 1 to the next number of the input's dtype.

    Raises
    ------
    RuntimeError
        The input's shape does not end in ``normalized_shape``, the weight has another shape, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.rms_norm(ng.tensor([3.0, 4.0]), (2,))
    tensor([0.8485, 1.1314])
    """
    shape = normed_shape("rms_norm", arguments.check_tensor("rms_norm", "input", input), normalized_shape)
    if weight is not None and tuple(weight.shape) != shape:
        raise ShapeError(
            f"Expected weight to be of same shape as normalized_shape, but got weight of shape {list(weight.shape)} and "
            f"normalized_shape = {list(shape)}"
        )
    dims = tuple(range(input.ndim - len(shape), input.ndim))
    least = 2.0 ** (-23 if input.dtype.itemsize == 4 else -52) if eps is None else real("rms_norm", "eps", eps)
    square = reductions.mean(pointwise.square(input), dims, keepdim=True)
    out = pointwise.mul(input, _e.rsqrt(pointwise.add(square, least)))
    return out if weight is None else pointwise.mul(out, weight)


@public("functional", known=True)
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """input / (k + alpha * mean of the squares of ``size`` channels around each) ** beta, of input [N, C, ...].

    Raises
    ------
    ValueError
        The input has fewer than three dimensions.

    >>> import numgrad as ng
    >>> ng.nn.functional.local_response_norm(ng.ones(1, 2, 1), 2, alpha=2.0)
    tensor([[[0.5946],
             [0.4387]]])
    """
    ndim = arguments.check_tensor("local_response_norm", "input", input).ndim
    if ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {ndim} dimensions)")
    if input.numel() == 0:
        return input
    size = as_int("local_response_norm", "size", size)
    n, c = input.shape[:2]
    columns = shaping.reshape(pointwise.square(input), (n, 1, c, product(input.shape[2:])))
    around = margins.pad(columns, (0, 0, size // 2, (size - 1) // 2))
    means = shaping.reshape(pooling.avg_pool2d(around, (size, 1), 1), tuple(input.shape))
    return pointwise.div(input, pointwise.pow(pointwise.add(pointwise.mul(means, alpha), k), beta))


# ---- pixels and channels ------------------------------------------------------------------------------------------


@public("function", "functional", known=True)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """[..., C * r², H, W] as [..., C, H * r, W * r], for the factor r: each pixel's channels become r x r pixels.

    Raises
    ------
    RuntimeError
        The input has fewer than three dimensions, or the channels are not divisible by r².

    >>> import numgrad as ng
    >>> ng.pixel_shuffle(ng.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    r = as_int("pixel_shuffle", "upscale_factor", upscale_factor)
    shape = arguments.check_tensor("pixel_shuffle", "input", input).shape
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    *batch, channels, h, w = shape
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={channels} is not divisible by {r * r}"
        )
    c, b = channels // (r * r), len(batch)
    if input._spec.shows_channels_last():
        parts = shaping.reshape(shaping.permute(input, 0, 2, 3, 1), (*batch, h, w, c, r, r))
        moved = shaping.permute(parts, 0, 1, 4, 2, 5, 3)
        return shaping.permute(shaping.reshape(moved, (*batch, h * r, w * r, c)), 0, 3, 1, 2)
    parts = shaping.reshape(input, (*batch, c, r, r, h, w))
    moved = shaping.permute(parts, *range(b), b, b + 3, b + 1, b + 4, b + 2)
    return shaping.reshape(moved, (*batch, c, h * r, w * r))


@public("function", "functional", known=True)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """[..., C, H * r, W * r] as [..., C * r², H, W], for the factor r: `pixel_shuffle` undone.

    Raises
    ------
    RuntimeError
        The input has fewer than three dimensions, or an extent is not divisible by r.

    >>> import numgrad as ng
    >>> ng.pixel_unshuffle(ng.arange(4).reshape(1, 2, 2), 2).shape
    numgrad.Size([4, 1, 1])
    """
    r = as_int("pixel_unshuffle", "downscale_factor", downscale_factor)
    shape = arguments.check_tensor("pixel_unshuffle", "input", input).shape
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    *batch, c, height, width = shape
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    if height % r or width % r:
        raise RuntimeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but {height} x {width} is not "
            f"divisible by {r}"
        )
    h, w, b = height // r, width // r, len(batch)
    if input._spec.shows_channels_last():
        parts = shaping.reshape(shaping.permute(input, 0, 2, 3, 1), (*batch, h, r, w, r, c))
        moved = shaping.permute(parts, 0, 1, 3, 5, 2, 4)
        return shaping.permute(shaping.reshape(moved, (*batch, h, w, c * r * r)), 0, 3, 1, 2)
    parts = shaping.reshape(input, (*batch, c, h, r, w, r))
    moved = shaping.permute(parts, *range(b), b, b + 2, b + 4, b + 1, b + 3)
    return shaping.reshape(moved, (*batch, c * r * r, h, w))


@public("function", "functional", known=True)
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of [N, C, ...] in another order: the first of each of ``groups`` groups, then the second of each, ...

    Raises
    ------
    RuntimeError
        The input has fewer than three dimensions, or the channels are not divisible by ``groups``.

    >>> import numgrad as ng
    >>> ng.channel_shuffle(ng.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    groups = as_int("channel_shuffle", "groups", groups)
    shape = arguments.check_tensor("channel_shuffle", "input", input).shape
    if len(shape) < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}")
    if groups <= 0 or shape[1] % groups:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive, and channels divisible by it: got {groups} groups for "
            f"{shape[1]} channels"
        )
    parts = shaping.reshape(input, (shape[0], groups, shape[1] // groups, product(shape[2:])))
    return shaping.reshape(shaping.transpose(parts, 1, 2), tuple(shape))
