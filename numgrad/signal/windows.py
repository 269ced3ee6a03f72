"""Windows of M points, after ``torch.signal.windows``: symmetric ones, or with ``sym=False`` one period of M + 1 points.

All take ``sym``, ``dtype`` (float32 or float64, by default the default dtype), ``layout``, ``device`` and ``requires_grad``, by
name. They are computed in float64 and rounded once.

>>> import numgrad as ng
>>> cosine(3)
tensor([0.5000, 1.0000, 0.5000])
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.devices import on_cpu, strided
from numgrad.tensor import arguments, creation
from numgrad.tensor.tensor import Tensor

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(
    name: str, m: Any, values: Callable[[np.ndarray, float], np.ndarray], sym: bool, options: dict[str, Any]
) -> Tensor:
    """The window whose values are a function of the numbers 0 to M - 1 and of the distance from the first to the last point.

    Raises
    ------
    ValueError
        M is negative, the layout is not strided, or the dtype is neither float32 nor float64.
    TypeError
        There is no such option.
    """
    given = {"dtype": None, "layout": strided, "device": None, "requires_grad": False}
    for option in options.keys() - given.keys():
        raise TypeError(f"{name}() got an unexpected keyword argument '{option}'")
    dtype, layout, device, requires_grad = (given | options).values()
    dtype = dtypes.get_default_dtype() if dtype is None else dtype
    m = arguments.as_int(name, "M", m)
    if m < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={m}")
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    on_cpu(name, device)
    array = values(np.arange(m, dtype=np.float64), float(m - 1 if sym or m < 2 else m)) if m else np.zeros(0)
    return creation.tensor(array, dtype=dtype, requires_grad=requires_grad)


def _one_if_alone(values: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, float], np.ndarray]:
    """Of places from 0 to 1; of a single point the value is 1."""
    return lambda k, width: values(k / width) if len(k) > 1 else np.ones(1)


def exponential(M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """exp(-abs(k - center) / tau); the centre is the middle, and can be given of a periodic window.

    Raises
    ------
    ValueError
        tau is not positive, a centre is given of a symmetric window; or as all of these functions.

    >>> exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    return _window(
        "exponential", M, lambda k, w: np.exp(-abs(k - (w / 2 if center is None else center)) / tau), sym, options
    )


def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """sin(pi (k + 1/2) / M).

    Raises
    ------
    ValueError
        As all of these functions.

    >>> cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    return _window("cosine", M, lambda k, w: np.sin(math.pi * (k + 0.5) / (w + 1)), sym, options)


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """exp(-(k - middle)**2 / (2 std**2)).

    Raises
    ------
    ValueError
        std is not positive; or as all of these functions.

    >>> gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _window("gaussian", M, lambda k, w: np.exp(-(((k - w / 2) / std) ** 2) / 2), sym, options)


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:
    """I0(beta sqrt(1 - (2 t - 1)**2)) / I0(beta) for t from 0 to 1.

    Raises
    ------
    ValueError
        beta is negative; or as all of these functions.

    >>> kaiser(3, beta=1.0)
    tensor([0.7898, 1.0000, 0.7898])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    square = _one_if_alone(lambda t: np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0.0))) / np.i0(beta))
    return _window("kaiser", M, square, sym, options)


def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """1 - abs(2 t - 1) for t from 0 to 1, a triangle.

    Raises
    ------
    ValueError
        As all of these functions.

    >>> bartlett(3)
    tensor([0., 1., 0.])
    """
    return _window("bartlett", M, _one_if_alone(lambda t: 1 - abs(2 * t - 1)), sym, options)


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **options: Any) -> Tensor:
    """a[0] - a[1] cos(2 pi t) + a[2] cos(4 pi t) - ... for t from 0 to 1.

    Raises
    ------
    TypeError
        The coefficients are no sequence.
    ValueError
        There are none; or as all of these functions.

    >>> general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    return _sum_of_cosines("general_cosine", M, a, sym, options)


def _sum_of_cosines(name: str, m: int, a: Any, sym: bool, options: dict[str, Any]) -> Tensor:
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    weights = [float(weight) * (-1) ** order for order, weight in enumerate(a)]
    if not weights:
        raise ValueError("Coefficients cannot be empty")

    def values(t: np.ndarray) -> np.ndarray:
        return np.cos(2 * math.pi * np.outer(t, np.arange(len(weights)))) @ np.array(weights)

    return _window(name, m, _one_if_alone(values), sym, options)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi t) for t from 0 to 1.

    Raises
    ------
    ValueError
        As all of these functions.

    >>> general_hamming(3, alpha=0.5)
    tensor([0., 1., 0.])
    """
    return _sum_of_cosines("general_hamming", M, (alpha, 1 - alpha), sym, options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi t) for t from 0 to 1.

    Raises
    ------
    ValueError
        As all of these functions.

    >>> hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return _sum_of_cosines("hamming", M, (0.54, 0.46), sym, options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """(1 - cos(2 pi t)) / 2 for t from 0 to 1.

    Raises
    ------
    ValueError
        As all of these functions.

    >>> hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _sum_of_cosines("hann", M, (0.5, 0.5), sym, options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t) for t from 0 to 1.

    Raises
    ------
    ValueError
        As all of these functions.

    >>> blackman(5)[1]
    tensor(0.3400)
    """
    return _sum_of_cosines("blackman", M, (0.42, 0.5, 0.08), sym, options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Nuttall's minimum of four terms with a continuous first derivative.

    Raises
    ------
    ValueError
        As all of these functions.

    >>> nuttall(3)[1]
    tensor(1.)
    """
    return _sum_of_cosines("nuttall", M, (0.3635819, 0.4891775, 0.1365995, 0.0106411), sym, options)
