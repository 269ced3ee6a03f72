"""What programs ask of Apple's graphics processors before they use them: numgrad computes on the CPU."""

from __future__ import annotations

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed"]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no generator of another device. `numgrad.manual_seed` seeds the CPU's."""


def empty_cache() -> None:
    """Nothing."""
