"""The standard's Fourier extension, as far as its results are real: frequencies and shifts.

The transforms are refused by name: one side of each is complex, and numgrad has no complex dtypes.
"""

from __future__ import annotations

from typing import Any

from numgrad import dtypes
from numgrad.array_api.functions import ng
from numgrad.array_api.manipulation import roll
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.tensor.arguments import as_int
from numgrad.tensor.tensor import Tensor

__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn", "rfft",
    "rfftfreq", "rfftn",
]  # fmt: skip


def _refuse(name: str) -> Any:
    raise NotImplementedError(
        f"fft.{name}: one side of the transform is complex, and numgrad has no complex dtypes; take numpy.fft.{name} of "
        "tensor.numpy(), without gradients"
    )


def fft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its result is complex.

    >>> fft(ng.ones(2))
    Traceback (most recent call last):
    NotImplementedError: fft.fft: one side of the transform is complex, and numgrad has no complex dtypes; take ...
    """
    return _refuse("fft")  # type: ignore[no-any-return]


def ifft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its result is complex."""
    return _refuse("ifft")  # type: ignore[no-any-return]


def fftn(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Tensor:
    """Refused: its result is complex."""
    return _refuse("fftn")  # type: ignore[no-any-return]


def ifftn(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Tensor:
    """Refused: its result is complex."""
    return _refuse("ifftn")  # type: ignore[no-any-return]


def rfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its result is complex."""
    return _refuse("rfft")  # type: ignore[no-any-return]


def irfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its argument is complex."""
    return _refuse("irfft")  # type: ignore[no-any-return]


def rfftn(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Tensor:
    """Refused: its result is complex."""
    return _refuse("rfftn")  # type: ignore[no-any-return]


def irfftn(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Tensor:
    """Refused: its argument is complex."""
    return _refuse("irfftn")  # type: ignore[no-any-return]


def hfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its argument is complex."""
    return _refuse("hfft")  # type: ignore[no-any-return]


def ihfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """Refused: its result is complex."""
    return _refuse("ihfft")  # type: ignore[no-any-return]


def _frequencies(name: str, n: int, first: int, last: int, d: float, dtype: Dtype | None, device: Any) -> Tensor:
    on_cpu(name, device)
    dtype = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(name, dtype)
    if not dtype.is_floating_point:
        raise TypeError(f"{name}: dtype is {dtype}, expected floating point")
    return ng.arange(first, last, dtype=dtype) / (n * d)  # type: ignore[no-any-return]


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """The frequencies of a transform of ``n`` samples at distance ``d``: 0 and the positive ones, then the negative ones.

    Raises
    ------
    TypeError
        The dtype is not floating point.
    RuntimeError
        The device is not the CPU.

    >>> fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    n = as_int("fftfreq", "n", n)
    return ifftshift(_frequencies("fftfreq", n, -(n // 2), (n + 1) // 2, d, dtype, device))


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """The frequencies of a transform of ``n`` real samples at distance ``d``: 0 and the positive ones.

    Raises
    ------
    TypeError
        The dtype is not floating point.
    RuntimeError
        The device is not the CPU.

    >>> rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    n = as_int("rfftfreq", "n", n)
    return _frequencies("rfftfreq", n, 0, n // 2 + 1, d, dtype, device)


def _shifted(x: Tensor, axes: Any, back: int) -> Tensor:
    axes = tuple(range(x.ndim)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    return roll(x, tuple((x.shape[axis] + back) // 2 for axis in axes), axis=axes) if axes else x


def fftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """The elements with the frequency 0 in the middle of these axes, by default of all.

    >>> fftshift(ng.arange(4))
    tensor([2, 3, 0, 1])
    """
    return _shifted(x, axes, 0)


def ifftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """What `fftshift` did, undone.

    >>> ifftshift(fftshift(ng.arange(5)))
    tensor([0, 1, 2, 3, 4])
    """
    return _shifted(x, axes, 1)
