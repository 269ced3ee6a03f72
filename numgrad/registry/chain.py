"""The way of an op to the engine: through those who stand before it, a profile, a `vmap`, a dual level.

What changes while a program runs, `dispatch`, `wrappers` and `apply_saved`, is read here, as ``chain.dispatch``: a name that
was imported would be what it was then.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numgrad.runtime import locks

if TYPE_CHECKING:
    from numgrad.registry.op import Op
    from numgrad.registry.saved_calls import SavedCall

# Applies an op to tensors, by way of the wrappers; ops can so call each other without knowing the engine.
dispatch: Callable[[Op, tuple[Any, ...], tuple[Any, ...]], Any]
# Does a `SavedCall`: ``apply_saved(call, node, grads)``.
apply_saved: Callable[[SavedCall, Any, Any], Any]

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], Any], Any]  # (inner, op, inputs, params)
_engine: Callable[..., Any]
wrappers: list[tuple[int, Wrapper]] = []  # what stands before the engine; replaced as a whole
_wrapping = locks.awaited()


def set_engine(function: Callable[..., Any], saved: Callable[[SavedCall, Any, Any], Any]) -> None:
    """What applies ops in the end, and what does a `SavedCall`: ``saved(call, node, grads)``."""
    global _engine, apply_saved
    _engine, apply_saved = function, saved
    _link()


def wrap_dispatch(rank: int, wrapper: Wrapper) -> None:
    """Put ``wrapper(inner, op, inputs, params)`` between all ops and the engine; of two the higher rank is outside.

    It sees the ops of all threads. Where no wrapper is, nothing is paid for it.
    """
    global wrappers
    with _wrapping:
        others = [pair for pair in wrappers if pair[1] is not wrapper]
        wrappers = sorted([*others, (rank, wrapper)], key=lambda pair: pair[0])
        _link()


def unwrap_dispatch(wrapper: Wrapper) -> None:
    """Take a wrapper away again."""
    global wrappers
    with _wrapping:
        wrappers = [pair for pair in wrappers if pair[1] is not wrapper]
        _link()


def is_wrapped() -> bool:
    """Whether a wrapper stands before the engine."""
    return bool(wrappers)


def _link() -> None:
    global dispatch
    outermost = _engine
    for _, wrapper in wrappers:
        outermost = functools.partial(wrapper, outermost)
    dispatch = outermost
