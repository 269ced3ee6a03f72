"""What programs ask of the CPU as they would of another device.

>>> import numgrad as ng
>>> ng.cpu.is_available(), ng.cpu.device_count()
(True, 1)
"""

from __future__ import annotations

from typing import Any

from numgrad.cpu import amp

__all__ = ["amp", "current_device", "device_count", "is_available", "set_device", "synchronize"]


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1: all cores are one device."""
    return 1


def current_device() -> str:
    """'cpu'."""
    return "cpu"


def set_device(device: Any) -> None:
    """Nothing: there is one device."""


def synchronize(device: Any = None) -> None:
    """Nothing: a call returns when its numbers are there."""
