"""Switching the recording of gradients off and on, as a context or as a decorator."""

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
        """A generator that has the mode while it runs; between its steps its caller has his own."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            steps = function(*args, **kwargs)
            resume: Callable[..., Any] = steps.send
            given: Any = None
            try:
                while True:
                    try:
                        with self._again():
                            made = resume(given)
                    except StopIteration as end:
                        return end.value
                    try:
                        given, resume = (yield made), steps.send
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        given, resume = error, steps.throw
            finally:
                with self._again():
                    steps.close()

        return wrapped

    def _again(self) -> _GradMode:
        return _GradMode(self.enabled)


class no_grad(_GradMode):  # noqa: N801 (torch's name)
    """Ops are not recorded inside: results require no gradient.

    >>> import numgrad as ng
    >>> x = ng.ones(2, requires_grad=True)
    >>> with ng.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        if function is None:  # `__init__` follows
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self.enabled, self._undo = False, ()


class enable_grad(_GradMode):  # noqa: N801
    """Ops are recorded inside, also within `no_grad`."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        if function is None:  # `__init__` follows
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self.enabled, self._undo = True, ()


class set_grad_enabled(_GradMode):  # noqa: N801
    """Recording on or off from here on; as a context, until its end.

    The call itself switches, as in torch: Ctrl-C between it and the ``with`` that it stands in leaves the mode as set. `no_grad`
    and `enable_grad` switch in the ``with``.
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
    """Whether ops are recorded in this thread."""
    return modes.grad_enabled
