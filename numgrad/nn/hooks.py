"""Handles by which a registered hook is taken away again."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from typing import Any

_numbers = itertools.count()


class RemovableHandle:
    """What registering a hook gives back: `remove` takes the hook away; as a context, its end does.

    The module is not kept alive by it.

    >>> from numgrad import nn
    >>> model = nn.Identity()
    >>> handle = model.register_forward_hook(lambda module, args, output: output + 1)
    >>> model(1)
    2
    >>> handle.remove()
    >>> model(1)
    1
    """

    def __init__(self, hooks: OrderedDict[int, Any]) -> None:
        self.id = next(_numbers)
        self._hooks = weakref.ref(hooks)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register(hooks: OrderedDict[int, Any], hook: Any, prepend: bool, with_kwargs: bool) -> RemovableHandle:
    """Add a hook, last or (``prepend``) first."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = (hook, with_kwargs)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A module's forward between its hooks; over copies of the tables, since a hook may remove itself."""
    for hook, with_kwargs in tuple(module._forward_pre_hooks.values()):
        changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if changed is None:
            continue
        if not with_kwargs:
            args = changed if isinstance(changed, tuple) else (changed,)
            continue
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
            )
        args, kwargs = changed
    output = module.forward(*args, **kwargs)
    for hook, with_kwargs in tuple(module._forward_hooks.values()):
        changed = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if changed is None else changed
    return output
