"""Calls of public functions that machine code makes without the function (`runtime/fast/known.py`).

Many functions check and convert their arguments, and then return what one op gives for the tensors among these. Which op and
which parameters depends on the specs of the tensors and on the other arguments alone: such functions are declared so
(``known=`` in `surface.public`). A call of one is looked up in the function's table; what is not there runs as ever, and is
watched: if it applied one op (or one op for each tensor of a tuple) to its own tensors, the table knows it from then on.

So errors, wrappers such as `vmap`, recorders such as a capture, and all calls of any other kind are the function's own.
"""

from __future__ import annotations

import operator
import struct
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from numgrad import config, dtypes, ops
from numgrad.engine import dispatch, private
from numgrad.engine.constants import is_constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.layout import Size, Spec
from numgrad.registry import chain, plans
from numgrad.runtime import kernel, locks
from numgrad.runtime.fast import start as fast
from numgrad.runtime.plan import PlanBuilder

# By key, a step or several (see `runtime/fast/known.py`); False for a call that is left to the function.
Table = dict[tuple[Any, ...], Any]

_MOST_CALLS = 1 << 9  # of a table; then nothing is learned until so many calls were not there
_PATIENCE = 1 << 13
_MISSES: tuple[Any, ...] = (object(),)  # a key that no call has, for the number of these calls
_NO_NAMES: dict[str, Any] = {}
# What is known of a function: that it applies an op, for calls with at most so many arguments (True: all); that it returns a
# tensor of numbers which depend on its arguments alone, and on no tensor; that it returns a tensor whose numbers are undefined.
CONSTANT, UNDEFINED = -1, -2
_LARGEST_CONSTANT = 1 << 12  # bytes
lasting: list[TensorBase] = []  # tensors that functions give to ops, and that stay for ever: states of random numbers
_MOST_NAMES = 1 << 4  # kinds of calls with keywords


def table() -> Table:
    """A table for the calls of a function; it is emptied where plans are forgotten, or the default dtype changes."""
    made: Table = {}
    plans.tables.append(made)
    return made


dtypes.when_default_changes.append(plans.forget_calls)


def by_table(calls: Table, function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, without the function if the table knows the call."""
    result = fast.run_known(calls, *args)
    if result is None:
        return watched(calls, function, args)
    return function(*args) if result is NotImplemented else result


def knowing(function: Callable[..., Any], kind: int = True) -> Callable[..., Any]:
    """A function that does what ``function`` does, by tables where these know the call; ``kind`` says what can be known."""
    positional, by_names = table(), dict[tuple[str, ...], Table]()

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            names = (*kwargs,)
            calls = by_names.get(names)
            if calls is None:
                if len(by_names) >= _MOST_NAMES:
                    return function(*args, **kwargs)
                calls = by_names[names] = table()
            result = fast.run_known(calls, *args, *kwargs.values())
        else:
            calls = positional
            result = fast.run_known(calls, *args)
        if result is None:
            return watched(calls, function, args, kwargs, kind)
        return function(*args, **kwargs) if result is NotImplemented else result

    return call


# ---- learning ----------------------------------------------------------------------------------------------------


class _Call:
    """Lives as long as a call is watched."""

    __slots__ = ("__weakref__",)


class _Watcher:
    """A recorder of the ops that this thread applies during a call. It removes itself where Ctrl-C has kept it in the list."""

    def __init__(self, call: _Call) -> None:
        self.thread = threading.get_ident()
        self.call = weakref.ref(call)
        self.steps: list[tuple[Any, ...]] = []

    def applied(self, op: Any, inputs: tuple[Any, ...], outputs: list[Any], plan: Any, params: Any) -> None:
        """Called by dispatch after each op."""
        if self.call() is None:
            _remove(self)
        elif threading.get_ident() == self.thread:
            self.steps.append((op, inputs, outputs, plan, params))


def _remove(watcher: _Watcher) -> None:
    if watcher in dispatch.recorders:
        dispatch.recorders.remove(watcher)


def _forget_other_threads() -> None:
    """In the child of a fork their calls never end."""
    thread = threading.get_ident()
    for each in [each for each in dispatch.recorders if isinstance(each, _Watcher) and each.thread != thread]:
        _remove(each)


locks.at_fork(_forget_other_threads)


def watched(
    calls: Table,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] = _NO_NAMES,
    kind: int = True,
) -> Any:
    """The result of a call that a table does not know; if it can, it will know it from now on."""
    values = (*args, *kwargs.values())
    key = _key(values) if _has_room(calls) and _is_free() else None
    if key is None:
        return function(*args, **kwargs)
    if kind is not True and 0 <= kind < len(values):
        calls[key] = False
        return function(*args, **kwargs)
    if len(set(map(id, values))) < len(values) and (others := _told_apart(values)) is not values:
        watched(calls, function, others[: len(args)], dict(zip(kwargs, others[len(args) :], strict=True)), kind)
        return function(*args, **kwargs)
    call = _Call()
    watcher = _Watcher(call)
    dispatch.recorders.append(watcher)
    try:
        result = function(*args, **kwargs)
    finally:
        _remove(watcher)
    if _key(values) == key:  # else a layout was private, and is no more
        if kind < 0:
            calls[key] = _is_new(result) and (_constant(result) if kind == CONSTANT else _undefined(result._spec))
        else:
            calls[key] = _entry(watcher.steps, result, values)
    return result


def _told_apart(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with an alias for a tensor that comes again: f(x, x) does not say which of the two an op takes.

    The same arguments, if no tensor comes again.
    """
    seen: set[int] = set()
    apart: list[Any] = []
    for value in values:
        again = isinstance(value, TensorBase) and id(value) in seen
        seen.add(id(value))
        apart.append(private.alias(value, type(value)) if again else value)
    return values if len(seen) == len(values) or all(map(operator.is_, apart, values)) else tuple(apart)


def _is_new(result: Any) -> bool:
    """Whether this is a tensor over memory of its own, as a plan allocates it."""
    is_plain = isinstance(result, TensorBase) and not result._requires_grad and result._base is None
    return is_plain and not result._spec.is_private and result._spec.extent == result._spec.numel  # type: ignore[no-any-return]


def _undefined(spec: Spec) -> Any:
    """The step that makes memory."""
    builder = PlanBuilder(())
    builder.output(spec.dtype, tuple(spec.shape), spec.strides)
    plan = builder.finish()
    plan.prepare(1, False)
    return plan.fast is not None and (plan, (), 0, None)


def _constant(result: TensorBase) -> Any:
    """The step that copies a tensor of the same numbers, which nobody else has."""
    if result._spec.numel * result._spec.dtype.itemsize > _LARGEST_CONSTANT:
        return False
    clone = ops.elementwise.clone
    kept = clone(result)
    plan = clone.plans.get((clone.defaults, kept._spec)) or clone.make_plan((kept._spec,), clone.defaults)
    return plan.fast is not None and (plan, clone.defaults, 0, None, kept)


def _has_room(calls: Table) -> bool:
    if len(calls) < _MOST_CALLS:
        return True
    calls[_MISSES] = misses = calls.get(_MISSES, 0) + 1
    if misses >= _PATIENCE:
        calls.clear()
    return misses >= _PATIENCE


def _is_free() -> bool:
    """Whether nobody but the engine sees ops, and machine code is there."""
    listeners = chain.wrappers or dispatch.recorders or dispatch.guards or dispatch.node_watchers
    return fast.run_known is not fast.nothing and not (
        listeners or kernel.rehearsal is not None or config.DEBUG.is_set()
    )


def _key(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """The key of a call, as machine code makes it; None where it would not say all."""
    for value in values:
        if isinstance(value, TensorBase) and value._view_node.__class__ is tuple:  # of one that cannot be followed
            return None
    key = tuple([_piece(value) for value in values])
    return None if _NO_PIECE in key else key


_NO_PIECE = object()
_ALIKE = {int, str, type(None), type(...), dtypes.dtype}


def _piece(value: Any) -> Any:
    """What stands in a key for an argument, as `runtime/fast/known.py: piece_of` makes it."""
    cls = value.__class__
    if cls is tuple or cls is Size:
        pieces = tuple([_simple_piece(item) for item in value])
        return _NO_PIECE if _NO_PIECE in pieces else pieces
    if cls is list:
        return (list, *value) if {int}.issuperset([item.__class__ for item in value]) else _NO_PIECE
    return getattr(value, "_spec", _NO_PIECE) if isinstance(value, TensorBase) else _simple_piece(value)


def _simple_piece(value: Any) -> Any:
    cls = value.__class__
    if cls in _ALIKE:
        return value
    if cls is bool:
        return bool if value else float
    if cls is float:
        return float, struct.unpack("q", struct.pack("d", value))[0]
    if cls is slice and {int, type(None)}.issuperset(
        [each.__class__ for each in (value.start, value.stop, value.step)]
    ):
        return slice, value.start, value.stop, value.step
    return _NO_PIECE


def _entry(steps: list[tuple[Any, ...]], result: Any, values: Sequence[Any]) -> Any:
    """What a table keeps of a call that applied these ops: a step, None and several steps, or False if it is of another kind."""
    places = {id(value): place for place, value in enumerate(values) if isinstance(value, TensorBase)}
    if not steps:
        return False
    if result.__class__ is not tuple:
        return len(steps) == 1 and steps[0][0].public == 1 and _step(steps[0], (result,), places)
    if len(steps) == 1 and steps[0][0].public != 1:
        return _step(steps[0], result, places)
    if len(steps) != len(result) or any(step[0].public != 1 for step in steps):
        return False
    entry = [_step(step, (each,), places) for step, each in zip(steps, result, strict=True)]
    return (None, *entry) if all(entry) else False


def _step(applied: tuple[Any, ...], results: Any, places: dict[int, int]) -> Any:
    """The step for an op that gave these results; False if there is none, since something else was done besides."""
    op, inputs, outputs, plan, params = applied
    same = len(results) == min(op.public, len(outputs)) and all(map(_is_same, results, outputs))
    lasts = [tensor is not None and any(tensor is each for each in lasting) for tensor in inputs]
    if not same or plan.fast is None or op.aliases or any(not lasts[number] for number in plan.changed):
        return False
    sources: list[Any] = []
    for tensor, last in zip(inputs, lasts, strict=True):
        if not (last or tensor is None or id(tensor) in places or is_constant(tensor)):
            return False
        sources.append(tensor if tensor is None else places.get(id(tensor), tensor))
    distance = plan.begin(params[0]) * inputs[0]._spec.dtype.itemsize if op.moving else 0
    nodes = [each._view_node for each in results]
    marks = [node[1:] for node in nodes if node.__class__ is tuple]
    if len(marks) not in (0, len(nodes)) or (op.public != 1 and not modes.grad_enabled):
        return False
    return plan, params, distance, tuple(marks) or None, *sources


def _is_same(result: Any, output: Any) -> bool:
    return result is output and not result._requires_grad
