"""The way of an op to the engine: through wrappers, such as a profile, a `vmap` or a dual level.

Wrappers change `dispatch` and `apply_saved` while a program runs. So they are read here, as ``chain.dispatch``:
a name imported from this module would keep its old value.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numgrad.runtime import locks

if TYPE_CHECKING:
    from numgrad.registry.op import Op
    from numgrad.registry.saved_calls import SavedCall

# Applies an op to tensors, through the wrappers; so ops call each other without importing the engine.
dispatch: Callable[[Op, tuple[Any, ...], tuple[Any, ...]], Any]
# Runs a `SavedCall`: ``apply_saved(call, node, grads)``.
apply_saved: Callable[[SavedCall, Any, Any], Any]

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], Any], Any]  # (inner, op, inputs, params)
_engine: Callable[..., Any]
wrappers: list[tuple[int, Wrapper]] = []  # by rank; always this list, at which machine code looks
_wrapping = locks.awaited()


def set_engine(function: Callable[..., Any], saved: Callable[[SavedCall, Any, Any], Any]) -> None:
    """Set the function that applies ops at the end of the chain, and the one that runs a `SavedCall`."""
    global _engine, apply_saved
    _engine, apply_saved = function, saved
    _link()


def wrap_dispatch(rank: int, wrapper: Wrapper) -> None:
    """Put ``wrapper(inner, op, inputs, params)`` between all ops and the engine; of two the higher rank is outside.

    It sees the ops of all threads. Without wrappers the chain costs nothing.
    """
    with _wrapping:
        others = [pair for pair in wrappers if pair[1] is not wrapper]
        wrappers[:] = sorted([*others, (rank, wrapper)], key=lambda pair: pair[0])
        _link()


def unwrap_dispatch(wrapper: Wrapper) -> None:
    """Take a wrapper away."""
    with _wrapping:
        wrappers[:] = [pair for pair in wrappers if pair[1] is not wrapper]
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
