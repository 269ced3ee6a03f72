"""`Recording` records the launches of a stretch of code and runs them again without Python in between.

The module can be called as torch's function of this name, which programs apply to their models:

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

__all__ = ["Recording"]


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
        """The model or function itself, since its kernels are compiled in any case; also as a decorator."""
        if model is None:
            return functools.partial(self, disable=disable)
        if not callable(model):
            raise TypeError(f"compile: expected a module or a function, got {type(model).__name__}")
        if not disable:
            _say_once()
        return model


@functools.cache
def _say_once() -> None:
    warn("compile: numgrad's kernels are compiled one by one; the model stays as it is, and runs op by op")


sys.modules[__name__].__class__ = _Module
