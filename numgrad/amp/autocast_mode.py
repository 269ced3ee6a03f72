"""`autocast`: a region that may compute in 16 bits elsewhere, and computes in the operands' own dtype here."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from numgrad.devices import device
from numgrad.dtypes import bfloat16, dtype, float16

F = TypeVar("F", bound=Callable[..., Any])


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` takes the kind of device; it does nothing on any.

    >>> import numgrad as ng
    >>> ng.amp.autocast_mode.is_autocast_available("cpu")
    True
    """
    return device(device_type).type in ("cpu", "cuda", "xpu", "mps")


class autocast:  # noqa: N801 (torch's name)
    """A context, or a decorator, in which torch computes products and convolutions in 16 bits.

    numgrad has no kernels of 16 bits: a region computes in its operands' dtype, which is more exact and takes more memory, and
    says so once. A program that asks for it on a device that is not there gets torch's warning.

    Parameters
    ----------
    device_type
        'cpu'; or the kind of a device that is not there, with which nothing is done.
    dtype
        bfloat16 or float16; by default bfloat16.
    enabled
        False: do nothing, and say nothing.
    cache_enabled
        As torch's; nothing is cached.

    Raises
    ------
    RuntimeError
        The device has no autocast in torch.

    >>> import numgrad as ng
    >>> with ng.autocast("cpu", enabled=False):
    ...     (ng.ones(2, 2) @ ng.ones(2, 2)).dtype
    numgrad.float32
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device(device_type).type
        self.fast_dtype = bfloat16 if dtype is None else dtype
        self.cache_enabled = bool(cache_enabled)
        self._enabled = False
        if enabled and self.device != "cpu":
            warnings.warn(
                f"{self.device.upper()} is not available. Disabling autocast.",
                stacklevel=2,
            )
        elif enabled and self.fast_dtype not in (bfloat16, float16):
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of numgrad.bfloat16, numgrad.float16 currently.",
                stacklevel=2,
            )
        elif enabled:
            _say_once()

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        return None

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


@functools.cache
def _say_once() -> None:
    warnings.warn(
        "autocast: numgrad's kernels compute in float32 and float64; the region computes in its operands' own dtype",
        stacklevel=3,
    )


def custom_fwd(fwd: F | None = None, *, device_type: str, cast_inputs: dtype | None = None) -> Any:
    """A decorator for the ``forward`` of an `autograd.Function`: nothing is cast, so it returns its function.

    >>> import numgrad as ng
    >>> @ng.amp.custom_fwd(device_type="cpu")
    ... def forward(ctx, x):
    ...     return x
    """
    del device_type, cast_inputs
    return fwd if fwd is not None else lambda function: function


def custom_bwd(bwd: F | None = None, *, device_type: str) -> Any:
    """The same for its ``backward``."""
    del device_type
    return bwd if bwd is not None else lambda function: function
