"""TorchScript's names: what they mark stays the Python that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class Script:
    """The part of `numgrad.jit` that programs for torch know.

    TorchScript is a part of Python, and a function in it means what it means in Python. So what `script` and `trace` are given
    they give back, and the kernels that it calls are compiled in any case.
    """

    def script(self, obj: _T, *args: Any, **kwargs: Any) -> _T:
        """``obj``, a function, a class or a module, as it is; also as a decorator.

        The other arguments are accepted and have no effect. `numgrad.jit` captures a whole step and replays it.

        Raises
        ------
        TypeError
            ``obj`` cannot be called.

        >>> import numgrad as ng
        >>> @ng.jit.script
        ... def squash(x: ng.Tensor) -> ng.Tensor:
        ...     return x / (1 + x.abs())
        >>> squash(ng.tensor([1.0, -3.0]))
        tensor([ 0.5000, -0.7500])
        """
        if not callable(obj):
            raise TypeError(f"jit.script: expected a function, a class or a module, got {type(obj).__name__}")
        return obj

    def trace(self, func: _T, example_inputs: Any = None, **kwargs: Any) -> _T:
        """``func``, a function or a module, as it is, after a call with the examples, which shows whether it takes them.

        A branch that depends on numbers goes on depending on them. The other arguments have no effect.

        Raises
        ------
        TypeError
            ``func`` cannot be called.

        >>> import numgrad as ng
        >>> model = ng.nn.Linear(2, 1)
        >>> ng.jit.trace(model, ng.ones(3, 2)) is model
        True
        """
        if not callable(func):
            raise TypeError(f"jit.trace: expected a function or a module, got {type(func).__name__}")
        if example_inputs is not None:
            func(*(example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)))
        return func

    def script_method(self, fn: _T) -> _T:
        """``fn``, a method that TorchScript would compile, as it is."""
        return fn

    def export(self, fn: _T) -> _T:
        """``fn``, a method that a compiled module would have as well, as it is."""
        return fn

    def ignore(self, fn: _T | None = None, *, drop: bool = False) -> Any:
        """``fn``, a function that TorchScript would leave to Python, as it is; also as a decorator with arguments.

        >>> import numgrad as ng
        >>> @ng.jit.ignore
        ... def size(x):
        ...     return x.numel()
        >>> size(ng.ones(3))
        3
        """
        return _same if fn is None or isinstance(fn, bool) else fn

    def unused(self, fn: _T) -> _T:
        """``fn``, a function that compiled code would not call, as it is."""
        return fn

    def annotate(self, the_type: Any, the_value: _T) -> _T:
        """``the_value``: the type was for TorchScript's compiler."""
        return the_value

    def is_scripting(self) -> bool:
        """False: nothing runs as TorchScript."""
        return False

    def is_tracing(self) -> bool:
        """False: a capture of `numgrad.jit` sees what an eager call sees."""
        return False


def _same(fn: Callable[..., Any]) -> Callable[..., Any]:
    return fn
