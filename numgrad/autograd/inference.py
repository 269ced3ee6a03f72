"""`inference_mode`: switches recording off, and marks its results so that no graph may save them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.autograd.modes import _GradMode
from numgrad.engine import dispatch
from numgrad.engine.tape import modes
from numgrad.runtime import locks
from numgrad.tensor.inference import mark


class _Marker:
    """A recorder that marks the results of threads in inference mode."""

    def applied(self, op: Any, inputs: tuple[Any, ...], outputs: list[Any], plan: Any, params: Any) -> None:
        """Called by dispatch after each op."""
        if modes.inference:
            for output in outputs:
                if not any(tensor is not None and tensor._storage is output._storage for tensor in inputs):
                    mark(output)


_marker = _Marker()


_marking = locks.Membership((dispatch.recorders, _marker))


class inference_mode(_GradMode):  # noqa: N801 (torch's name)
    """As `no_grad`, but using the results in a graph outside is an error, where `no_grad` would give wrong gradients silently.

    A context, or a decorator with or without parentheses.

    Parameters
    ----------
    mode
        False: leave the surrounding inference mode for this context.

    >>> import numgrad as ng
    >>> with ng.inference_mode():
    ...     y = ng.ones(2) * 2
    >>> y.is_inference(), y.requires_grad
    (True, False)
    """

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        context = super().__new__(cls)
        if isinstance(mode, bool):
            return context
        inference_mode.__init__(context, True)
        return context(mode)

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None:
        super().__init__(not mode)
        self.mode = bool(mode)

    def __enter__(self) -> None:
        token = _marking.token()
        before = (modes, "grad_enabled", modes.grad_enabled, modes, "inference", modes.inference)
        self._undo = (before, self._undo, _marking.settle, token)
        modes.inference = self.mode
        modes.grad_enabled = not self.mode

    def _again(self) -> inference_mode:
        return inference_mode(self.mode)


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode.

    >>> import numgrad as ng
    >>> with ng.inference_mode():
    ...     ng.is_inference_mode_enabled()
    True
    """
    return modes.inference
