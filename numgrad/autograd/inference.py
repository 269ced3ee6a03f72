"""`inference_mode`: no recording, and results that no graph may save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.autograd.modes import _GradMode
from numgrad.engine import dispatch
from numgrad.engine.tape import modes
from numgrad.runtime.scope import Demand
from numgrad.tensor.inference import mark


class _Marker:
    """A recorder that marks what the threads in inference mode make."""

    def applied(self, op: Any, inputs: tuple[Any, ...], outputs: list[Any]) -> None:
        """Told by dispatch."""
        if modes.inference:
            for output in outputs:
                if not any(tensor is not None and tensor._storage is output._storage for tensor in inputs):
                    mark(output)


_marker = _Marker()


def _mark() -> None:
    if _marker not in dispatch.recorders:
        dispatch.recorders.append(_marker)


def _mark_no_more() -> None:
    if _marker in dispatch.recorders:
        dispatch.recorders.remove(_marker)


_marking = Demand(_mark, _mark_no_more)


class inference_mode(_GradMode):  # noqa: N801 (torch's name)
    """As `no_grad`, and tensors made inside cannot be used in a graph outside: a mistake is an error, not a wrong gradient.

    A context, or a decorator with or without parentheses.

    Parameters
    ----------
    mode
        False: an ordinary stretch inside an inference mode.

    >>> import numgrad as ng
    >>> with ng.inference_mode():
    ...     y = ng.ones(2) * 2
    >>> y.is_inference(), y.requires_grad
    (True, False)
    """

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        made = super().__new__(cls)
        if isinstance(mode, bool):
            return made
        inference_mode.__init__(made, True)
        return made(mode)

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None:
        super().__init__(not mode)
        self.mode = bool(mode)

    def __enter__(self) -> None:
        token = _marking.token()
        before = (modes, "grad_enabled", modes.grad_enabled, modes, "inference", modes.inference)
        self._undo = (before, self._undo, _marking.tidy, token)
        modes.inference = self.mode
        modes.grad_enabled = not self.mode

    def _again(self) -> inference_mode:
        return inference_mode(self.mode)


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return modes.inference
