"""What programs ask of any accelerator before they use it: numgrad computes on the CPU, so there is none.

>>> import numgrad as ng
>>> ng.accelerator.current_accelerator() if ng.accelerator.is_available() else ng.device("cpu")
device(type='cpu')
"""

from __future__ import annotations

from typing import Any

from numgrad.devices import device
from numgrad.errors import DeviceError

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "device_count",
    "is_available",
    "set_device_idx",
    "set_device_index",
    "synchronize",
]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """None: there is no accelerator."""
    return None


def _refusal(name: str) -> DeviceError:
    return DeviceError(
        f"accelerator.{name}: numgrad computes on the CPU; ask numgrad.accelerator.is_available() first. "
        "Cannot access accelerator device when none is available."
    )


def current_device_index() -> int:
    """Refused, as in torch without an accelerator.

    Raises
    ------
    RuntimeError
        Always.
    """
    raise _refusal("current_device_index")


def set_device_index(device: Any) -> None:
    """Refused, as `current_device_index`."""
    raise _refusal("set_device_index")


def synchronize(device: Any = None) -> None:
    """Refused, as `current_device_index`."""
    raise _refusal("synchronize")


current_device_idx, set_device_idx = current_device_index, set_device_index
