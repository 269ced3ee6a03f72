"""Hooks of optimizers: around steps, saving and loading; of one optimizer, and around the steps of all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from numgrad.engine.hooks import RemovableHandle, add_hook

before_every_step: OrderedDict[int, Any] = OrderedDict()
after_every_step: OrderedDict[int, Any] = OrderedDict()

TABLES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of every optimizer; see `Optimizer.register_step_pre_hook`.

    >>> import numgrad as ng
    >>> from numgrad.optim.optimizer import register_optimizer_step_pre_hook
    >>> optimizer = ng.optim.SGD([ng.ones(1, requires_grad=True)])
    >>> with register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("before")):
    ...     optimizer.step()
    before
    """
    return add_hook(before_every_step, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after each step of every optimizer.

    >>> import numgrad as ng
    >>> from numgrad.optim.optimizer import register_optimizer_step_post_hook
    >>> optimizer = ng.optim.SGD([ng.ones(1, requires_grad=True)])
    >>> with register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("after")):
    ...     optimizer.step()
    after
    """
    return add_hook(after_every_step, hook)


class HookedOptimizer:
    """The part of `Optimizer` that registers hooks. Each method returns a handle that removes the hook again.

    Copies and pickles of an optimizer have no hooks.
    """

    _optimizer_step_pre_hooks: OrderedDict[int, Any]
    _optimizer_step_post_hooks: OrderedDict[int, Any]
    _optimizer_state_dict_pre_hooks: OrderedDict[int, Any]
    _optimizer_state_dict_post_hooks: OrderedDict[int, Any]
    _optimizer_load_state_dict_pre_hooks: OrderedDict[int, Any]
    _optimizer_load_state_dict_post_hooks: OrderedDict[int, Any]

    def _make_tables(self) -> None:
        for name in TABLES:
            setattr(self, name, OrderedDict())

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step.

        ``args`` begins with the optimizer itself. The hook may return other arguments as a pair ``(args, kwargs)``.
        """
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before each `state_dict`; ``prepend``: before the other hooks."""
        return add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after each `state_dict`; what it returns, unless None, is the result."""
        return add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before each `load_state_dict`, with a copy of the dict that is not deep.

        What the hook returns, unless None, is loaded instead.
        """
        return add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after each `load_state_dict`."""
        return add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)
