"""Hooks of all modules: of their calls, of their backwards, and of what they register."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from numgrad.engine.hooks import RemovableHandle, add_hook

_global_forward_pre_hooks: OrderedDict[int, Any] = OrderedDict()
_global_forward_hooks: OrderedDict[int, Any] = OrderedDict()
_global_forward_hooks_with_kwargs: OrderedDict[int, bool] = OrderedDict()
_global_forward_hooks_always_called: OrderedDict[int, bool] = OrderedDict()
_global_backward_pre_hooks: OrderedDict[int, Any] = OrderedDict()
_global_backward_hooks: OrderedDict[int, Any] = OrderedDict()
_global_buffer_registration_hooks: OrderedDict[int, Any] = OrderedDict()
_global_module_registration_hooks: OrderedDict[int, Any] = OrderedDict()
_global_parameter_registration_hooks: OrderedDict[int, Any] = OrderedDict()
_global_is_full_backward_hook: bool | None = (
    None  # of which of two kinds those of the backward are; None: there was none
)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_forward_pre_hook` for all modules; these hooks are called before a module's own.

    >>> from numgrad import nn
    >>> names = []
    >>> with register_module_forward_pre_hook(lambda module, args: names.append(type(module).__name__)):
    ...     nn.Sequential(nn.Identity())(1)
    1
    >>> names
    ['Sequential', 'Identity']
    """
    return add_hook(_global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """`Module.register_forward_hook` for all modules; these hooks are called before a module's own.

    >>> from numgrad import nn
    >>> with register_module_forward_hook(lambda module, args, output: output + 1):
    ...     nn.Identity()(1)
    2
    """
    flags = [_global_forward_hooks_with_kwargs] * bool(with_kwargs) + [_global_forward_hooks_always_called] * bool(
        always_call
    )
    return add_hook(_global_forward_hooks, hook, False, *flags)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_pre_hook` for all modules; these hooks are called before a module's own.

    >>> register_module_full_backward_pre_hook(lambda module, grad_output: None).remove()
    """
    return add_hook(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_hook` for all modules; these hooks are called before a module's own.

    Raises
    ------
    RuntimeError
        There was a `register_module_backward_hook`.

    >>> register_module_full_backward_hook(lambda module, grad_input, grad_output: None).remove()
    """
    global _global_is_full_backward_hook
    check_kind(_global_is_full_backward_hook is False, "as a global Module hook")
    _global_is_full_backward_hook = True
    return add_hook(_global_backward_hooks, hook)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_backward_hook` for all modules. `register_module_full_backward_hook` is the better one.

    Raises
    ------
    RuntimeError
        There was a `register_module_full_backward_hook`.
    """
    global _global_is_full_backward_hook
    check_kind(_global_is_full_backward_hook is True, "as a global Module hook")
    _global_is_full_backward_hook = False
    return add_hook(_global_backward_hooks, hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` when a module gets a buffer; what it returns, unless None, is registered.

    >>> register_module_buffer_registration_hook(lambda module, name, buffer: None).remove()
    """
    return add_hook(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, submodule)`` when a module gets a submodule; what it returns, unless None, is registered.

    >>> register_module_module_registration_hook(lambda module, name, submodule: None).remove()
    """
    return add_hook(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, param)`` when a module gets a parameter; what it returns, unless None, is registered.

    >>> register_module_parameter_registration_hook(lambda module, name, param: None).remove()
    """
    return add_hook(_global_parameter_registration_hooks, hook)


def check_kind(is_other: bool, where: str) -> None:
    if is_other:
        raise RuntimeError(
            f"Cannot use both regular backward hooks and full backward hooks {where}. Please use only one of them."
        )


def registered(hooks: OrderedDict[int, Any], module: Any, name: str, value: Any) -> Any:
    """What a module registers under a name, after the hooks of all modules."""
    for hook in tuple(hooks.values()):
        changed = hook(module, name, value)
        value = value if changed is None else changed
    return value
