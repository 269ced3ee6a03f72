"""Initial values of parameters, written in place without being recorded. Formulas and names are torch's."""

from __future__ import annotations

import math
import threading
import warnings

from numgrad import ops
from numgrad.autograd import no_grad
from numgrad.dtypes import float64
from numgrad.layout import product
from numgrad.runtime.scope import Scope
from numgrad.tensor import clamping, creation, pointwise
from numgrad.tensor.tensor import Tensor

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


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
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
        return tensor.uniform_(a, b)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
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
        return tensor.normal_(mean, std)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
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
        drawn = creation.empty(tensor.shape, dtype=float64).uniform_(low, high)
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


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Drawn evenly from (-bound, bound), bound = gain * sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, 2010.

    >>> import numgrad as ng
    >>> xavier_uniform_(ng.empty(2, 3)).shape
    numgrad.Size([2, 3])
    """
    bound = gain * math.sqrt(2.0 / sum(fans(tensor))) * math.sqrt(3.0)
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with std = gain * sqrt(2 / (fan_in + fan_out)): Glorot and Bengio, 2010.

    >>> import numgrad as ng
    >>> xavier_normal_(ng.empty(2, 3)).shape
    numgrad.Size([2, 3])
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ["fan_in", "fan_out"]
    if not isinstance(mode, str) or mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    fan = fans(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
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
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Normal with std = gain / sqrt(fan); arguments and errors of `kaiming_uniform_`.

    >>> import numgrad as ng
    >>> kaiming_normal_(ng.empty(2, 3), mode="fan_out").shape
    numgrad.Size([2, 3])
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))
