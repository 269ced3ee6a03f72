"""Initial values of parameters, written in place without being recorded. Formulas and names are torch's."""

from __future__ import annotations

import functools
import math
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad import ops
from numgrad.autograd import no_grad
from numgrad.dtypes import float64
from numgrad.errors import warn
from numgrad.layout import product
from numgrad.runtime.scope import Scope
from numgrad.tensor import clamping, creation, decompositions, diagonals, pointwise, random, shaping
from numgrad.tensor.random import Generator
from numgrad.tensor.tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_PLAIN = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid")

_e = ops.elementwise


class _Skipping(threading.local):
    skips = False


_local = _Skipping()


class skipped(Scope):  # noqa: N801 (a context)
    """While entered, the functions of this module leave this thread's tensors as they are.

    For modules whose values come from elsewhere, such as a checkpoint.

    >>> import numgrad as ng
    >>> with skipped():
    ...     ones_(ng.zeros(2))
    tensor([0., 0.])
    """

    def __enter__(self) -> None:
        self._undo = ((_local, "skips", _local.skips), self._undo)
        _local.skips = True


def _skips() -> bool:
    return _local.skips


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which the weights before a nonlinearity have to be larger, since it shrinks standard deviations.

    Raises
    ------
    ValueError
        The nonlinearity is unknown, or ``param`` (the slope of 'leaky_relu') is not a number.

    >>> calculate_gain("relu") == 2**0.5
    True
    """
    if nonlinearity in _PLAIN:
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        if isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def fans(tensor: Tensor) -> tuple[int, int]:
    """Fan in and fan out of a weight [out, in, ...]: inputs for each output, outputs for each input.

    Raises
    ------
    ValueError
        The tensor has fewer than two dimensions.

    >>> import numgrad as ng
    >>> fans(ng.ones(4, 2, 3, 3))
    (18, 36)
    """
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = product(shape[2:])
    return shape[1] * field, shape[0] * field


def _is_empty(tensor: Tensor) -> bool:
    if tensor.numel() == 0:
        warnings.warn("Initializing zero-element tensors is a no-op", UserWarning, stacklevel=3)
        return True
    return False


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers drawn evenly from [a, b).

    Raises
    ------
    RuntimeError
        a is larger than b.

    >>> import numgrad as ng
    >>> uniform_(ng.empty(2, 3), -1.0, 1.0).shape
    numgrad.Size([2, 3])
    """
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    if _skips():
        return tensor
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers drawn from a normal distribution.

    Raises
    ------
    RuntimeError
        std is negative.

    >>> import numgrad as ng
    >>> normal_(ng.empty(2, 3), std=0.1).shape
    numgrad.Size([2, 3])
    """
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if _skips():
        return tensor
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers drawn from a normal distribution cut off at a and b.

    By inversion: numbers drawn evenly between the distribution's values at a and b go through its inverse.

    Raises
    ------
    ValueError
        std is 0.

    >>> import numgrad as ng
    >>> bool((trunc_normal_(ng.empty(100)).abs() <= 2).all())
    True
    """
    if std == 0:
        raise ValueError(
            "trunc_normal_: std is 0, expected another number; for one value everywhere there is constant_"
        )
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            UserWarning,
            stacklevel=2,
        )
    if _skips():
        return tensor
    low, high = (math.erf((bound - mean) / (std * math.sqrt(2.0))) for bound in (a, b))
    with no_grad():
        drawn = creation.empty(tensor.shape, dtype=float64).uniform_(low, high, generator=generator)
        values = pointwise.add(pointwise.mul(_inverse_erf(drawn), std * math.sqrt(2.0)), mean)
        return tensor.copy_(clamping.clamp(values, a, b))


def _inverse_erf(y: Tensor) -> Tensor:
    """x with erf(x) = y, for float64: Winitzki's closed form (2e-3), made exact by three steps of Newton's method."""
    y = clamping.clamp(y, -1 + 2**-52, 1 - 2**-52)
    constant = 0.147
    log = _e.log1p(_e.neg(pointwise.square(y)))
    half = pointwise.add(pointwise.mul(log, 0.5), 2 / (math.pi * constant))
    x = pointwise.mul(
        pointwise.sign(y),
        _e.sqrt(pointwise.sub(_e.sqrt(pointwise.sub(pointwise.square(half), pointwise.div(log, constant))), half)),
    )
    for _ in range(3):
        slope = pointwise.mul(_e.exp(_e.neg(pointwise.square(x))), 2 / math.sqrt(math.pi))
        x = pointwise.sub(x, pointwise.div(pointwise.sub(_e.erf(x), y), slope))
    return x


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere.

    >>> import numgrad as ng
    >>> constant_(ng.empty(2), 3.0)
    tensor([3., 3.])
    """
    if _skips():
        return tensor
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones.

    >>> import numgrad as ng
    >>> ones_(ng.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros.

    >>> import numgrad as ng
    >>> zeros_(ng.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Ones on the diagonal of a matrix, zeros elsewhere.

    Raises
    ------
    ValueError
        The tensor is not two-dimensional.

    >>> import numgrad as ng
    >>> eye_(ng.empty(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    if _skips():
        return tensor
    with no_grad():
        return tensor.copy_(creation.eye(*tensor.shape, dtype=tensor.dtype))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Drawn evenly from (-bound, bound), bound = gain * sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, 2010.

    >>> import numgrad as ng
    >>> xavier_uniform_(ng.empty(2, 3)).shape
    numgrad.Size([2, 3])
    """
    bound = gain * math.sqrt(2.0 / sum(fans(tensor))) * math.sqrt(3.0)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with std = gain * sqrt(2 / (fan_in + fan_out)): Glorot and Bengio, 2010.

    >>> import numgrad as ng
    >>> xavier_normal_(ng.empty(2, 3)).shape
    numgrad.Size([2, 3])
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ["fan_in", "fan_out"]
    if not isinstance(mode, str) or mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    fan = fans(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Drawn evenly from (-bound, bound), bound = gain * sqrt(3 / fan): He et al., 2015.

    Parameters
    ----------
    tensor
        The weight [out, in, ...] to fill.
    a
        Slope of the leaky ReLU that follows.
    mode
        'fan_in' keeps the size of activations, 'fan_out' that of gradients.
    nonlinearity
        What follows; see `calculate_gain`.
    generator
        The generator to draw from; None: the default one. All functions of this module that draw take it.

    Raises
    ------
    ValueError
        The mode or the nonlinearity is unknown, or the tensor has fewer than two dimensions.

    >>> import numgrad as ng
    >>> kaiming_uniform_(ng.empty(2, 3), nonlinearity="relu").shape
    numgrad.Size([2, 3])
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with std = gain / sqrt(fan); arguments and errors of `kaiming_uniform_`.

    >>> import numgrad as ng
    >>> kaiming_normal_(ng.empty(2, 3), mode="fan_out").shape
    numgrad.Size([2, 3])
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A random matrix [out, in * ...] whose rows or columns, whichever are fewer, are orthonormal, times gain.

    Saxe, McClelland and Ganguli, 2013.

    Raises
    ------
    ValueError
        The tensor has fewer than two dimensions.

    >>> import numgrad as ng
    >>> weight = orthogonal_(ng.empty(2, 3))
    >>> ng.allclose(weight @ weight.T, ng.eye(2), atol=1e-5)
    True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if _skips() or tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    with no_grad():
        drawn = creation.empty(rows, columns, dtype=tensor.dtype).normal_(0, 1, generator=generator)
        q, r = decompositions.qr(shaping.t(drawn) if rows < columns else drawn)
        q = pointwise.mul(q, pointwise.sign(diagonals.diagonal(r)))
        q = shaping.t(q) if rows < columns else q
        return tensor.copy_(pointwise.mul(shaping.reshape(q, tensor.shape), gain))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal numbers, of which in each column of a matrix a part of ``sparsity`` is 0: Martens, 2010.

    Raises
    ------
    ValueError
        The tensor is not two-dimensional.

    >>> import numgrad as ng
    >>> (sparse_(ng.empty(10, 3), 0.7) == 0).sum(0)
    tensor([7, 7, 7])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    if _skips():
        return tensor
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        normal_(tensor, 0, std, generator)
        for column in range(columns):
            tensor[random.randperm(rows, generator=generator)[:zeros], column] = 0
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The weight [out, in, ...] of a convolution, of one to three dimensions, that passes as many channels as it can.

    Raises
    ------
    ValueError
        The tensor has another number of dimensions, or ``out`` is not divisible by groups.

    >>> import numgrad as ng
    >>> dirac_(ng.empty(2, 2, 3))[1]
    tensor([[0., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if groups <= 0 or tensor.shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    if _skips():
        return tensor
    of_group = tensor.shape[0] // groups
    values = np.zeros(tensor.shape)
    centre = tuple(extent // 2 for extent in tensor.shape[2:])
    for group in range(groups):
        for channel in range(min(of_group, tensor.shape[1])):
            values[(group * of_group + channel, channel, *centre)] = 1
    with no_grad():
        return tensor.copy_(creation.tensor(values, dtype=tensor.dtype))


# ---- older names ------------------------------------------------------------------------------------------------


def _older(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function by its name without the underscore, which warns of that."""
    new = function.__name__
    old = new.removesuffix("_")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = old
    call.__doc__ = f"`{new}` by its older name, of which it warns."
    return call


uniform = _older(uniform_)
normal = _older(normal_)
constant = _older(constant_)
eye = _older(eye_)
dirac = _older(dirac_)
xavier_uniform = _older(xavier_uniform_)
xavier_normal = _older(xavier_normal_)
kaiming_uniform = _older(kaiming_uniform_)
kaiming_normal = _older(kaiming_normal_)
orthogonal = _older(orthogonal_)
sparse = _older(sparse_)

_calculate_fan_in_and_fan_out = fans  # by which programs know it
