"""`no_grad`, `enable_grad` and `set_grad_enabled`: contexts and decorators that switch recording off and on."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from numgrad.engine.tape import modes
from numgrad.runtime.scope import Scope

_F = TypeVar("_F", bound=Callable[..., Any])


class _GradMode(Scope):
    """A context, or a decorator, in which recording is on or off. Modes belong to the thread."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._undo = ()

    def __enter__(self) -> None:
        self._undo = ((modes, "grad_enabled", modes.grad_enabled), self._undo)
        modes.grad_enabled = self.enabled

    def __call__(self, function: _F) -> _F:
        if inspect.isgeneratorfunction(function):
            return self._around_steps(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _around_steps(self, function: Any) -> Any:
        """A generator that runs in this mode; between its steps the caller's mode holds."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            steps = function(*args, **kwargs)
            resume: Callable[..., Any] = steps.send
            sent: Any = None
            try:
                while True:
                    try:
                        with self._again():
                            value = resume(sent)
                    except StopIteration as end:
                        return end.value
                    try:
                        sent, resume = (yield value), steps.send
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        sent, resume = error, steps.throw
            finally:
                with self._again():
                    steps.close()

        return wrapped

    def _again(self) -> _GradMode:
        return _GradMode(self.enabled)


class no_grad(_GradMode):  # noqa: N801 (torch's name)
    """A context, or a decorator, in which ops are not recorded: results require no gradient.

    >>> import numgrad as ng
    >>> x = ng.ones(2, requires_grad=True)
    >>> with ng.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        mode = super().__new__(cls)
        if function is None:  # `__init__` follows
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self.enabled, self._undo = False, ()


class enable_grad(_GradMode):  # noqa: N801
    """A context, or a decorator, in which ops are recorded, even within `no_grad`.

    >>> import numgrad as ng
    >>> x = ng.ones(2, requires_grad=True)
    >>> with ng.no_grad(), ng.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        mode = super().__new__(cls)
        if function is None:  # `__init__` follows
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self.enabled, self._undo = True, ()


class set_grad_enabled(_GradMode):  # noqa: N801
    """Switch recording on or off; as a context, until its end.

    The call itself switches, as in torch: Ctrl-C between the call and the entry of its ``with`` leaves the mode as set.
    `no_grad` and `enable_grad` switch on entry.

    >>> import numgrad as ng
    >>> x = ng.ones(2, requires_grad=True)
    >>> with ng.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self.enabled = bool(mode)
        self._undo = ((modes, "grad_enabled", modes.grad_enabled), ())
        modes.grad_enabled = self.enabled

    def __enter__(self) -> None:
        if not self._undo:
            self._undo = ((modes, "grad_enabled", modes.grad_enabled), ())
        modes.grad_enabled = self.enabled

    def __call__(self, function: _F) -> _F:
        self.__exit__()
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether this thread records ops.

    >>> import numgrad as ng
    >>> with ng.no_grad():
    ...     ng.is_grad_enabled()
    False
    """
    return modes.grad_enabled
