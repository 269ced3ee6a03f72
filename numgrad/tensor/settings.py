"""torch's switches of how to compute. They are kept and not used: numgrad has one way, which is deterministic."""

from __future__ import annotations

from typing import Any

from numgrad.tensor.surface import public

_DEBUG_MODES = ("default", "warn", "error")
_PRECISIONS = ("highest", "high", "medium")

_mode, _precision = 0, "highest"


@public("function", asks=True)
def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for deterministic algorithms: all of numgrad's are, with the same bits for any number of threads.

    Raises
    ------
    TypeError
        ``mode`` is not a bool.

    >>> import numgrad as ng
    >>> ng.use_deterministic_algorithms(True)
    >>> ng.are_deterministic_algorithms_enabled()
    True
    >>> ng.use_deterministic_algorithms(False)
    """
    if mode is not True and mode is not False:
        raise TypeError(f"use_deterministic_algorithms(): argument 'mode' must be bool, not {type(mode).__name__}")
    set_deterministic_debug_mode(0 if not mode else 1 if warn_only else 2)


@public("function", asks=True)
def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` asked for them. There are no others, whatever it says.

    >>> import numgrad as ng
    >>> ng.are_deterministic_algorithms_enabled()
    False
    """
    return _mode > 0


@public("function", asks=True)
def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was called with ``warn_only``.

    >>> import numgrad as ng
    >>> ng.is_deterministic_algorithms_warn_only_enabled()
    False
    """
    return _mode == 1


@public("function", asks=True)
def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """As `use_deterministic_algorithms`: 'default' or 0, 'warn' or 1, 'error' or 2.

    Raises
    ------
    RuntimeError
        The mode is none of these.
    TypeError
        It is neither an int nor a string.

    >>> import numgrad as ng
    >>> ng.set_deterministic_debug_mode("default")
    """
    global _mode
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    mode = _DEBUG_MODES.index(debug_mode) if debug_mode in _DEBUG_MODES else debug_mode
    if mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, 2 or one of {_DEBUG_MODES}, but got {debug_mode}"
        )
    _mode = int(mode)


@public("function", asks=True)
def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: see `set_deterministic_debug_mode`.

    >>> import numgrad as ng
    >>> ng.get_deterministic_debug_mode()
    0
    """
    return _mode


@public("function", asks=True)
def set_float32_matmul_precision(precision: str) -> None:
    """'highest', 'high' or 'medium'. Products of float32 matrices have all digits of float32 with each of them.

    Raises
    ------
    RuntimeError
        ``precision`` is none of these.

    >>> import numgrad as ng
    >>> ng.set_float32_matmul_precision("high")
    >>> ng.get_float32_matmul_precision()
    'high'
    >>> ng.set_float32_matmul_precision("highest")
    """
    global _precision
    if precision not in _PRECISIONS:
        raise RuntimeError(f"set_float32_matmul_precision: precision is {precision!r}, expected one of {_PRECISIONS}")
    _precision = precision


@public("function", asks=True)
def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given.

    >>> import numgrad as ng
    >>> ng.get_float32_matmul_precision()
    'highest'
    """
    return _precision


@public("function", asks=True)
def set_flush_denormal(mode: bool) -> bool:
    """Whether numbers that are too small for all digits can become 0: they cannot, which False says.

    >>> import numgrad as ng
    >>> ng.set_flush_denormal(True)
    False
    """
    return False
