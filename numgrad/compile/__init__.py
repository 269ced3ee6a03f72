"""`jit` captures a step and replays it; `Recording` records the launches of a stretch of code and runs them again.

The module can be called as torch's function of this name, which programs apply to functions and to models:

>>> import numgrad as ng
>>> model = ng.nn.Linear(2, 2)
>>> ng.compile(model, disable=True) is model  # without it, there is a warning
True
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from numgrad.compile.jit import jit
from numgrad.compile.recording import Recording
from numgrad.errors import warn

__all__ = ["Recording", "jit"]


class _Module(ModuleType):
    """A module that is called as ``torch.compile``."""

    def __call__(
        self,
        model: Callable[..., Any] | None = None,
        *,
        fullgraph: bool = False,
        dynamic: bool | None = None,
        backend: Any = "inductor",
        mode: str | None = None,
        options: dict[str, Any] | None = None,
        disable: bool = False,
    ) -> Any:
        """`numgrad.jit` of a function, eager where it cannot be replayed, unless ``fullgraph``; also as a decorator.

        A module is returned as it is, since a program goes on to use its parameters and its graph. ``dynamic``, ``backend``,
        ``mode`` and ``options`` are accepted and have no effect.
        """
        if model is None:
            return functools.partial(self, fullgraph=fullgraph, disable=disable)
        if not callable(model):
            raise TypeError(f"compile: expected a module or a function, got {type(model).__name__}")
        if disable:
            return model
        if hasattr(model, "_parameters"):
            _say_once()
            return model
        return jit(model, fallback="error" if fullgraph else "eager")


@functools.cache
def _say_once() -> None:
    warn(
        "compile: numgrad's kernels are compiled one by one; the model stays as it is, and runs op by op. numgrad.jit(step) "
        "captures a whole training step, and numgrad.jit(model) a model that is in use, and replays it"
    )


sys.modules[__name__].__class__ = _Module
