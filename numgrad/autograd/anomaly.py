"""Anomaly mode: nodes remember the line of the forward that made them, and a NaN in a gradient is an error."""

from __future__ import annotations

import os
import sys
import threading
import traceback
import warnings
from typing import Any

import numpy as np

from numgrad.engine import backward, dispatch
from numgrad.engine.tape import Node
from numgrad.runtime.scope import Scope

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_enabled = False
_check_nan = True


class set_detect_anomaly(Scope):  # noqa: N801 (torch's name)
    """Switch anomaly mode on or off; as a context, until its end. The mode holds for all threads.

    While it is on, each op remembers where it was called, which is slow. When the backward of an op raises an error or,
    with ``check_nan``, returns NaN, a warning shows that traceback.

    Raises
    ------
    RuntimeError
        In the backward: a function returned NaN.

    >>> import numgrad as ng
    >>> with ng.autograd.set_detect_anomaly(True, check_nan=False):
    ...     ng.autograd.is_anomaly_enabled()
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        global _enabled, _check_nan
        mode, check_nan = bool(mode), bool(check_nan)
        before = _prepared(mode)
        self._undo = (before, (), _settle)
        _enabled, _check_nan = mode, check_nan
        backward.monitor = _run if mode else None
        _settle()

    def __enter__(self) -> None:
        return None


class detect_anomaly(set_detect_anomaly):  # noqa: N801
    """A context with anomaly mode on; see `set_detect_anomaly`.

    >>> import numgrad as ng
    >>> import warnings
    >>> x = ng.tensor([-1.0], requires_grad=True)
    >>> with warnings.catch_warnings(action="ignore"):
    ...     with ng.autograd.detect_anomaly():
    ...         ng.sqrt(x).sum().backward()
    Traceback (most recent call last):
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )
        self._undo = ()
        self._check = check_nan

    def __enter__(self) -> None:
        global _enabled, _check_nan
        before = _prepared(True)
        self._undo = (before, self._undo, _settle)  # only stores follow, which Ctrl-C cannot split; see `Scope`
        _enabled, _check_nan = True, self._check
        backward.monitor = _run


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on.

    >>> import numgrad as ng
    >>> ng.autograd.is_anomaly_enabled()
    False
    """
    return _enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode, when it is on, checks gradients for NaN.

    >>> import numgrad as ng
    >>> with ng.autograd.set_detect_anomaly(True, check_nan=False):
    ...     ng.autograd.is_anomaly_check_nan_enabled()
    False
    """
    return _check_nan


def _prepared(mode: bool) -> tuple[Any, ...]:
    """The present state, as a `Scope` restores it. If the mode is being switched on, watching begins first."""
    if mode:
        _watch()
    module = sys.modules[__name__]
    return module, "_enabled", _enabled, module, "_check_nan", _check_nan, backward, "monitor", backward.monitor


def _watch() -> None:
    """Make the engine call `_remember` for each new node."""
    if _remember not in dispatch.node_watchers:
        dispatch.node_watchers.append(_remember)


def _settle() -> None:
    """Watch new nodes exactly while anomaly mode is on."""
    if _enabled:
        _watch()
    elif _remember in dispatch.node_watchers:
        dispatch.node_watchers.remove(_remember)


class _Running(threading.local):
    nodes: tuple[Node, ...] = ()  # the nodes whose backwards this thread is running, the innermost last


_running = _Running()


def _remember(node: Node) -> None:
    if not _enabled:
        return
    frames = [
        (frame, line)
        for frame, line in traceback.walk_stack(sys._getframe(1))
        if not frame.f_code.co_filename.startswith(_PACKAGE)
    ]
    node.metadata["traceback_"] = traceback.StackSummary.extract(iter(reversed(frames))).format()
    if _running.nodes:
        node.metadata["parent_"] = _running.nodes[-1]


def _run(node: Node, grads: list[Any], create_graph: bool) -> tuple[Any, ...]:
    before, _running.nodes = _running.nodes, (*_running.nodes, node)
    try:
        outgoing = node.apply(grads, create_graph)
    except Exception:
        _warn_of(node)
        raise
    finally:
        _running.nodes = before
    if _check_nan:
        for number, grad in enumerate(outgoing):
            if grad is not None and grad.is_floating_point() and np.isnan(grad._array()).any():
                _warn_of(node, grads)
                raise RuntimeError(f"Function '{node.name()}' returned nan values in its {number}th output.")
    return outgoing


def _warn_of(node: Node, grads: list[Any] | None = None) -> None:
    origin = node.metadata.get("traceback_")
    if origin is None:
        text = (
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during forward "
            "pass for more information."
        )
    else:
        text = f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{''.join(origin)}"
    if grads is not None and node.op is not None and node.op.nan_function is not None:
        text += node.op.nan_function(node, grads)
    parent = node.metadata.get("parent_")
    if parent is not None:
        text += f"\nIt was made in the backward of {parent.name()}, whose forward call was:\n"
        text += "".join(parent.metadata.get("traceback_", ["(not recorded)"]))
    warnings.warn(text, stacklevel=2)
