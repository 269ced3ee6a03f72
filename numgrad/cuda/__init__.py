"""What programs ask of CUDA before they use it: numgrad computes on the CPU, so there is none.

>>> import numgrad as ng
>>> ng.device("cuda" if ng.cuda.is_available() else "cpu")
device(type='cpu')
"""

from __future__ import annotations

from typing import Any

from numgrad.cuda import amp
from numgrad.errors import DeviceError

__all__ = [
    "amp",
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "get_device_properties",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device",
    "synchronize",
]


def _refusal(name: str) -> DeviceError:
    return DeviceError(
        f"cuda.{name}: numgrad computes on the CPU and has no CUDA; ask numgrad.cuda.is_available() first"
    )


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no generator of another device. `numgrad.manual_seed` seeds the CPU's."""


def manual_seed_all(seed: int) -> None:
    """Nothing, as `manual_seed`."""


def empty_cache() -> None:
    """Nothing."""


def ipc_collect() -> None:
    """Nothing."""


def memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing."""


def synchronize(device: Any = None) -> None:
    """Refused, as in torch without CUDA.

    Raises
    ------
    RuntimeError
        Always; the class is an AssertionError as well, as torch's.
    """
    raise _refusal("synchronize")


def current_device() -> int:
    """Refused, as `synchronize`."""
    raise _refusal("current_device")


def get_device_name(device: Any = None) -> str:
    """Refused, as `synchronize`."""
    raise _refusal("get_device_name")


def get_device_properties(device: Any = None) -> Any:
    """Refused, as `synchronize`."""
    raise _refusal("get_device_properties")


def set_device(device: Any) -> None:
    """Refused, as `synchronize`."""
    raise _refusal("set_device")
