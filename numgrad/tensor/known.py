"""Calls of functions that machine code makes without the function (`runtime/fast/known.py`).

Many functions check and convert their arguments, and then return what one op or a few give for the tensors among these. Which ops
and which parameters depends on the specs of the tensors, on the other arguments, and on whether a gradient is needed, but not on
numbers in tensors: such functions are declared so (``known=`` in `surface.public`, or `knowing`). A call of one is looked up in the
function's table. What is not there runs as ever, and when it comes for the second time it is watched:

- If it applied one op (or one op for each tensor of a tuple) to its own tensors, the table knows it from then on.
- If it applied several, the next such call is followed by a rehearsal of it on copies of small operands, whose ops become one
  plan (`joined`); where a gradient is needed, one node (`known_graphs`).
- All other calls are the function's own from then on.

So are errors, wrappers such as `vmap`, recorders such as a capture, and all calls of another kind.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from numgrad import config, dtypes, errors, ops
from numgrad.engine import dispatch
from numgrad.engine.constants import is_constant
from numgrad.engine.tape import TensorBase, modes, tensor_over
from numgrad.layout import Size, Spec
from numgrad.registry import EVERY, chain, memo
from numgrad.registry.memo import Table, table
from numgrad.runtime import kernel, locks
from numgrad.runtime.fast import start as fast
from numgrad.runtime.fast.layout import ITEM, MOST_ITEMS
from numgrad.runtime.memory import allocate, filled_stack
from numgrad.runtime.plan import Plan, PlanBuilder
from numgrad.tensor import joined

_PAUSE: tuple[Any, ...] = (object(),)  # a key that no call has, for the number of calls of which nothing is learned
_PAUSED = 1 << 6  # after one further number
_MOST_NUMBERS = 1 << 5  # floats with which a call is learned; others are the function's own, since they vary
_NO_NAMES: dict[str, Any] = {}
# What is known of a function: that it applies an op, for calls with at most so many arguments (True: all); that it returns a
# tensor of numbers which depend on its arguments alone, and on no tensor; that it returns a tensor whose numbers are undefined.
CONSTANT, UNDEFINED = -1, -2
_LARGEST_CONSTANT = 1 << 12  # bytes
graph_step: Any = None  # makes the step of a call of several ops that needs a gradient; `known_graphs` sets it
lasting: list[TensorBase] = []  # tensors that functions give to ops, and that stay for ever: states of random numbers
_MOST_NAMES = 1 << 4  # kinds of calls with keywords
F = TypeVar("F", bound=Callable[..., Any])


dtypes.when_default_changes.append(memo.forget)


class Tables:
    """The tables of a function: of calls without keywords, and by the names of these."""

    def __init__(self) -> None:
        self.positional, self.by_names = table(), dict[tuple[str, ...], Table]()


def knowing(function: F, kind: int = True, tables: Tables | None = None) -> F:
    """A function that does what ``function`` does, by tables where these know the call; ``kind`` says what can be known.

    Functions that differ only in how they explain errors may share their tables.
    """
    tables = tables or Tables()
    positional, by_names = tables.positional, tables.by_names

    @functools.wraps(function)
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

    return call  # type: ignore[return-value]


# ---- learning ----------------------------------------------------------------------------------------------------


class _Call:
    """Lives as long as a call is watched."""

    __slots__ = ("__weakref__",)


class _Watcher:
    """Notes the ops that this thread applies during a call, new tensors with numbers of NumPy's, and whether any numbers are read.

    It is a recorder, and to functions what the capture of a step is. It removes itself where Ctrl-C has kept it in the list.
    """

    def __init__(self, call: _Call) -> None:
        self.thread = threading.get_ident()
        self.call = weakref.ref(call)
        self.steps: list[tuple[Any, ...]] = []
        self.launched: list[tuple[Any, ...]] = []  # as `joined.plan_of` takes them: private tensors may move later
        self.filled: set[Any] = set()  # storages
        self.fits = True

    def applied(self, op: Any, inputs: tuple[Any, ...], outputs: list[Any], plan: Any, params: Any) -> None:
        """Called by dispatch after each op."""
        if self.call() is None:
            _remove(self)
        elif threading.get_ident() == self.thread:
            self.steps.append((op, inputs, outputs, plan, params))
            self.launched.append((op.overwrites, *map(_as_they_lie, (inputs, outputs)), plan))

    def fills(self, tensor: Any, data: Any = None) -> None:
        """A new tensor has numbers of Python's or NumPy's, which are the same at each call."""
        self.filled.add(tensor._storage)

    def hook(self, hook: Any) -> Any:
        """A hook is registered, which a step would not do again."""
        self.fits = False
        return hook

    def _refused(self, *_: Any) -> None:
        self.fits = False

    def __getattr__(self, name: str) -> Any:
        return self._refused  # numbers are read, or something happens that no op does


def _as_they_lie(tensors: Sequence[Any]) -> list[Any]:
    return [None if each is None else TensorBase(each._storage, each._spec, each._address) for each in tensors]


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
    varying: tuple[type, ...] = (float,),
) -> Any:
    """The result of a call that a table does not know; if it can, it will know it from now on.

    Of numbers of the ``varying`` classes a few are learned; they may be others each time.
    """
    values = (*args, *kwargs.values())
    if calls and (rest := calls.get(_PAUSE)):
        calls[_PAUSE] = rest - 1
        return function(*args, **kwargs)
    key = _key(values) if is_free() else None
    if key is None:
        return function(*args, **kwargs)
    call = id(calls), _content(key)
    since, again = memo.met(call)
    if since is None and not _is_of_few_numbers(calls, key, varying):
        calls[_PAUSE] = _PAUSED
    if since is None or not memo.has_room(since):
        return function(*args, **kwargs)  # watching takes as long as planning, and shapes may never come again
    if kind is not True and 0 <= kind < len(values):
        memo.keep(calls, key, False)
        return function(*args, **kwargs)
    times_forgotten, warned = memo.times_forgotten, errors.warned
    watcher, result = watch(function, args, kwargs)  # the second time, too, so that no function within is learned
    if again:
        entry = _key(values) == key and _rehearsed(function, args, kwargs, len(key) > len(values))
    else:
        is_plain = watcher.fits and errors.warned == warned
        entry = is_plain and _entry(watcher, result, values, len(key) > len(values), kind)
    # Where a layout was private, and is no more, the same happens at each such call.
    entry = _key(values) == key and entry
    if memo.times_forgotten == times_forgotten:
        if entry is True:
            memo.rehearse(call)
        else:
            memo.keep(calls, key, entry)
    return result


def watch(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[_Watcher, Any]:
    """What a call does, and its result."""
    call = _Call()
    watcher = _Watcher(call)
    dispatch.recorders.append(watcher)
    before, modes.capture = modes.capture, watcher
    try:
        result = function(*args, **kwargs)
    finally:
        modes.capture = before
        _remove(watcher)
    return watcher, result


def _entry(watcher: _Watcher, result: Any, values: Sequence[Any], needs_grad: bool, kind: int) -> Any:
    """What a table keeps of a call after it was watched; True: it has to be rehearsed."""
    if kind < 0:
        is_given = any(result is tensor for _, tensor in tensors_of(values))  # as ``out``
        return (
            not is_given and _is_new(result) and (_constant(result) if kind == CONSTANT else _undefined(result._spec))
        )
    tensors = [tensor for _, tensor in tensors_of(values)]
    if len({id(tensor) for tensor in tensors}) == len(tensors):  # f(x, x) does not say which of the two an op has taken
        entry = _by_one_op(watcher.steps, result, values)
        if entry is not False:
            return entry
    elif needs_grad and len(watcher.steps) == 1:
        return not watcher.steps[0][3].changed
    return _may_be_joined(watcher.steps, tensors, needs_grad)


def _may_be_joined(steps: list[tuple[Any, ...]], tensors: list[Any], needs_grad: bool) -> bool:
    read = [each for step in steps if step[3].program is not None for each in (*step[1], *step[2]) if each is not None]
    small = max([tensor._spec.numel for tensor in (tensors if needs_grad else read)], default=0) <= joined.LARGEST
    given = {id(tensor) for tensor in tensors}
    own = not any(_lasts(tensor) and id(tensor) not in given for step in steps for tensor in step[1])
    return bool(steps) and small and own and not any(tensor._spec.is_private for tensor in tensors)


def _rehearsed(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], needed: bool) -> Any:
    """What a table keeps of a call, after it was done once more on copies of its tensors."""
    values = (*args, *kwargs.values())
    copies = [copy_of(tensor) for _, tensor in tensors_of(values)]
    specs = [copy._spec for copy in copies]
    others = replaced(values, iter(copies))
    try:
        watcher, result = watch(function, others[: len(args)], dict(zip(kwargs, others[len(args) :], strict=True)))
    except Exception:  # the call itself was right; a form in place has changed numbers, which now may be refused
        return False
    results = result if isinstance(result, tuple) else (result,)
    if not watcher.fits or [copy._spec for copy in copies] != specs:
        return False
    if needed:
        return _by_one_op(watcher.steps, result, others) or graph_step(function, args, kwargs)
    sources = [source for source, _ in tensors_of(others)]
    plan = joined.plan_of(watcher.launched, copies, results, watcher.filled)  # type: ignore[arg-type]
    if plan is None:
        return False
    make_ready(plan, EVERY if isinstance(result, tuple) else 1)
    return plan.fast is not None and (plan, (), 0, None, class_of(result), *sources)


def make_ready(plan: Plan, public: int) -> None:
    """Let machine code run a joined plan, where no gradient is needed, since it has no records."""
    for nbytes in [nbytes for nbytes in plan.allocations if nbytes is not None]:
        filled_stack(nbytes)  # machine code takes blocks, but makes none
    plan.prepare(public, True)


def copy_of(tensor: Any) -> Any:
    """A tensor of the same spec over memory of its own, with the same numbers."""
    spec = tensor._spec
    storage = allocate(spec.nbytes)
    ctypes.memmove(storage.address, tensor._address, spec.nbytes)
    copy = tensor_over(dispatch.tensor_class, storage, spec, storage.address)
    copy._requires_grad = modes.grad_enabled and needs_grad(tensor)
    return copy


def tensors_of(values: Sequence[Any]) -> list[tuple[int, Any]]:
    """The tensors among the arguments, each with its number as a source (`runtime/fast/known.py`)."""
    tensors = []
    for number, value in enumerate(values):
        if isinstance(value, TensorBase):
            tensors.append((number, value))
        elif value.__class__ is tuple or value.__class__ is list:
            items = enumerate(value, 1)
            tensors += [
                (number + ITEM * item_number, item) for item_number, item in items if isinstance(item, TensorBase)
            ]
    return tensors


def replaced(values: Any, tensors: Iterator[Any]) -> Any:
    """The arguments with other tensors in their places."""
    others = []
    for value in values:
        if isinstance(value, TensorBase):
            others.append(next(tensors))
        else:
            has_items = value.__class__ is tuple or value.__class__ is list
            others.append(replaced(value, tensors) if has_items else value)
    return values.__class__(others)


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
    return plan.fast is not None and (plan, (), 0, None, None)


def _constant(result: TensorBase) -> Any:
    """The step that copies a tensor of the same numbers, which nobody else has."""
    if result._spec.numel * result._spec.dtype.itemsize > _LARGEST_CONSTANT:
        return False
    clone = ops.elementwise.clone
    kept = clone(result)
    plan = clone.plans.get((clone.defaults, kept._spec)) or clone.make_plan((kept._spec,), clone.defaults)
    return plan.fast is not None and (plan, clone.defaults, 0, None, None, kept)


def _is_of_few_numbers(calls: Table, key: tuple[Any, ...], varying: tuple[type, ...]) -> bool:
    """Whether a new call may be learned: a step size that changes gives new keys for ever, and none of them comes back."""
    rest = tuple([_without_numbers(piece, varying) for piece in key])
    if rest == key:
        return True
    return memo.count((id(calls), _content(rest))) <= _MOST_NUMBERS


def _content(piece: Any) -> Any:
    """A piece of a key with what specs say in their place, which stays the same where they are not kept."""
    if piece.__class__ is Spec:
        return piece.dtype, piece.shape, piece.strides
    return tuple(map(_content, piece)) if piece.__class__ is tuple else piece


def _without_numbers(piece: Any, varying: tuple[type, ...]) -> Any:
    """A piece of a key with classes in the place of numbers, also of those of an index."""
    if piece.__class__ in varying:
        return piece.__class__
    if piece.__class__ is not tuple or piece[:1] == (slice,):
        return piece
    if piece[:1] == (float,):
        return float
    return tuple([_without_numbers(each, varying) for each in piece]) if int in varying else piece


def is_free() -> bool:
    """Whether nobody but the engine sees ops, and machine code is there."""
    listeners = chain.wrappers or dispatch.recorders or dispatch.guards or dispatch.node_watchers
    return (
        fast.run_known not in (fast.unknown, fast.nothing)
        and modes.capture is None
        and not (listeners or kernel.rehearsal is not None or config.DEBUG.is_set())
    )


def _key(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """The key of a call, as machine code makes it; None where it would not say all."""
    tensors = [tensor for _, tensor in tensors_of(values)]
    if len(values) >= ITEM:
        return None
    for tensor in tensors:
        # A number that an op may also have from elsewhere, so that nobody knows which it took.
        if is_constant(tensor) or (modes.grad_enabled and _may_be_stale(tensor)):
            return None
    pieces = [_piece(value) for value in values]
    if _NO_PIECE in pieces:
        return None
    return (*pieces, TensorBase) if modes.grad_enabled and any(map(needs_grad, tensors)) else (*pieces,)


def _may_be_stale(tensor: Any) -> bool:
    """As `runtime/fast/edges.py: may_be_stale`."""
    base, view_node = tensor._base, tensor._view_node
    if base is None or base._node is view_node:
        return False
    return view_node.__class__ is not tuple or view_node[0] != tensor._storage.version


def needs_grad(tensor: Any) -> bool:
    """Whether a gradient is needed for a tensor, or for the base of a view."""
    base = tensor if tensor._base is None else tensor._base
    return tensor._node is not None or tensor._requires_grad or base._node is not None or base._requires_grad  # type: ignore[no-any-return]


_NO_PIECE = object()
_ALIKE = {int, str, type(None), type(...), dtypes.dtype}


def _piece(value: Any) -> Any:
    """What stands in a key for an argument, as `runtime/fast/known.py: piece_of` makes it."""
    cls = value.__class__
    if cls is tuple or cls is Size or cls is list:
        if len(value) > MOST_ITEMS and not (cls is not list and {int}.issuperset([item.__class__ for item in value])):
            return _NO_PIECE
        pieces = tuple([_simple_piece(item) for item in value])
        return _NO_PIECE if _NO_PIECE in pieces else (list, *pieces) if cls is list else pieces
    return _simple_piece(value)


def _simple_piece(value: Any) -> Any:
    if isinstance(value, TensorBase):
        return getattr(value, "_spec", _NO_PIECE)
    cls = value.__class__
    if cls in _ALIKE:
        return value
    if cls is bool:
        return bool if value else dtypes.dtype
    if cls is float:
        return float, struct.unpack("q", struct.pack("d", value))[0]
    if cls is slice and {int, type(None)}.issuperset(
        [each.__class__ for each in (value.start, value.stop, value.step)]
    ):
        return slice, value.start, value.stop, value.step
    return _NO_PIECE


def _by_one_op(steps: list[tuple[Any, ...]], result: Any, values: Sequence[Any]) -> Any:
    """The step for a call that applied one op, or None and steps, one for each tensor of a tuple; False if it did not."""
    places = {id(tensor): source for source, tensor in tensors_of(values)}
    if not steps:
        return False
    if not isinstance(result, tuple):
        return len(steps) == 1 and steps[0][0].public == 1 and _step(steps[0], (result,), places, None)
    if len(steps) == 1 and steps[0][0].public != 1:
        return _step(steps[0], result, places, class_of(result))
    if len(steps) != len(result) or any(step[0].public != 1 for step in steps) or result.__class__ is not tuple:
        return False
    entry = [_step(step, (each,), places, None) for step, each in zip(steps, result, strict=True)]
    return (None, *entry) if all(entry) else False


def class_of(result: Any) -> Any:
    """What makes the result of a tuple of outputs, if it is not one: its class, or the function that its pickle calls."""
    if result.__class__ is tuple or not isinstance(result, tuple):
        return None
    if "__reduce__" not in vars(result.__class__):
        return result.__class__
    pickled: Any = result.__reduce__()
    function, (*names, _) = pickled
    return functools.partial(function, *names)


def _step(applied: tuple[Any, ...], results: Any, places: dict[int, int], cls: Any) -> Any:
    """The step for an op that gave these results; False if there is none, since something else was done besides."""
    op, inputs, outputs, plan, params = applied
    same = len(results) == min(op.public, len(outputs)) and all(map(_is_same, results, outputs))
    lasts = [_lasts(tensor) for tensor in inputs]
    if not same or plan.fast is None or op.aliases or any(not lasts[number] for number in plan.changed):
        return False
    sources: list[Any] = []
    for tensor, last in zip(inputs, lasts, strict=True):
        if not (last or tensor is None or id(tensor) in places or is_constant(tensor)):
            return False
        sources.append(tensor if tensor is None else places.get(id(tensor), tensor))
    distance = plan.begin(params[0]) * inputs[0]._spec.dtype.itemsize if op.moving else 0
    nodes = [each._view_node for each in results]
    # A view of a view that cannot be followed has its reason from that, which the same call of another tensor has not.
    marks = [node[1:] for node in nodes if node.__class__ is tuple and op.public != 1]
    is_view = any(each._base is not None for each in results)
    if len(marks) not in (0, len(nodes)) or (op.public != 1 and is_view and not modes.grad_enabled):
        return False
    return plan, params, distance, tuple(marks) or None, cls, *sources


def _lasts(tensor: Any) -> bool:
    return tensor is not None and any(tensor is each for each in lasting)


def _is_same(result: Any, output: Any) -> bool:
    return result is output and not result._requires_grad
