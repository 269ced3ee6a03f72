"""`jit`: a step that is captured once, and then replayed with no Python in between."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain as chain_of
from typing import Any, NamedTuple

import numpy as np

from numgrad import config
from numgrad.autograd import no_grad
from numgrad.compile.arguments import PLAIN, attributes_of, check_surroundings, others, requires_grad, surroundings
from numgrad.compile.callback import with_copies
from numgrad.compile.capture import Capture
from numgrad.compile.captured import Captured
from numgrad.compile.files import Files
from numgrad.compile.passes import chosen
from numgrad.compile.recorded import UnstableError, recorded_by
from numgrad.compile.script import Script
from numgrad.compile.text import text_of
from numgrad.compile.visible import Visible
from numgrad.dtypes import get_default_dtype
from numgrad.engine import backward
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import CaptureError, warn
from numgrad.registry import chain
from numgrad.runtime import kernel, locks, program, threads
from numgrad.runtime.memory import Storage

_log = logging.getLogger("numgrad.jit")
_MOST_UNSTABLE = 3  # captures in a row that cannot be kept


class Stats(NamedTuple):
    """What a step has done so far.

    ``planned`` are the bytes of its programs: their arenas, new gradients and results. ``eager_peak`` is the most new memory that
    the same steps had in use at once while they were captured; parameters and states of optimizers are in neither. ``launches``
    counts those of one replay of each program; ``passes`` says what each pass did, over all programs.
    """

    captures: int
    replays: int
    eager: int
    launches: int
    planned: int
    eager_peak: int
    reasons: tuple[str, ...]
    passes: dict[str, dict[str, float]]


class Step:
    """A function, or a module, whose calls are replayed where they can be; made by `jit`."""

    def __init__(self, function: Callable[..., Any], fallback: str, limit: int, names: tuple[str, ...]) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.fallback, self.limit, self.passes = function, fallback, limit, names
        self._programs: dict[Any, list[Captured]] = {}
        self._unstable: dict[Any, int] = {}
        self._given_up: set[Any] = set()
        self._keys: dict[int, Any] = {}  # objects whose ids stand in the keys of programs and refusals
        self._captures = self._replays = self._eager = 0
        self._reasons: list[str] = []
        self._last: Captured | None = None  # the program that was replayed last
        self._has_warned = False
        self._lock = locks.renewed()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _bound_step(self, instance)

    def __deepcopy__(self, memo: Any) -> Step:
        return self  # as functions are

    def __reduce__(self) -> str | tuple[Any, ...]:
        value: Any = sys.modules.get(getattr(self, "__module__", ""))
        for name in (path := getattr(self, "__qualname__", "")).split("."):
            value = getattr(value, name, None)
        if value is self:  # a decorated function is found by its name
            return path
        return type(self), (self.function, self.fallback, self.limit, self.passes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        last = self._last
        if last is not None and not kwargs and (results := last.run_at_once(args)) is not None:
            self._replays += 1
            return last.results.filled(results)
        if not listens_to_nobody():
            self._eager += 1
            return self.function(*args, **kwargs)
        tensors: list[TensorBase] = []
        roots: list[Storage] = []
        try:
            key = self._key(args, kwargs, tensors, roots)
        except CaptureError as error:
            if self.fallback == "error":
                raise
            self._give_reason(str(error))
            key = None
        if key is None:
            self._eager += 1
            return self.function(*args, **kwargs)
        programs = self._programs.get(key, ())
        for captured in programs:
            if not captured.is_in_use() and captured.fits(tensors, roots):
                self._replays += 1
                self._last = captured
                if not kwargs:
                    captured.prepare_at_once(args)
                return captured.replay(tensors)
        if key in self._given_up or any(captured.is_in_use() for captured in programs):  # or its memory is needed
            self._eager += 1
            return self.function(*args, **kwargs)
        reason = programs[-1].difference(tensors) if programs else "no capture has its signature"
        if kernel.rehearsal is not None or config.PYTHON.is_set():  # kernels are no machine code
            self._eager += 1
            return self.function(*args, **kwargs)
        if self._captures >= self.limit:
            self._eager += 1
            self._warn_of_limit(reason or "it was not the same before")
            return self.function(*args, **kwargs)
        if len(self._given_up) >= self.limit:  # another signature would hardly fare better
            self._eager += 1
            return self.function(*args, **kwargs)
        _log.debug("%s is captured: %s", self, reason)
        with self._lock:
            return self._capture(key, tensors, args, kwargs)

    def _capture(self, key: Any, tensors: list[TensorBase], args: Any, kwargs: Any) -> Any:
        with _not_collected():
            visible = Visible()
            visible.look(self.function, getattr(self.function, "__name__", "step"))
            objects = others(args, kwargs)
            visible.look(objects, "an argument")
            capture = Capture(tensors, visible, lenient=self.fallback == "eager")
            before = surroundings(args, kwargs)
        with capture:
            result = self.function(*args, **kwargs)
        self._keys |= {id(each): each for each in objects}
        try:
            check_surroundings(before, surroundings(args, kwargs))
            with _not_collected():
                captured = Captured(recorded_by(capture, result, args, kwargs), self.passes)
            self._programs.setdefault(key, []).append(captured)
            self._captures += 1
            self._unstable.pop(key, None)
        except UnstableError as error:
            self._eager += 1
            self._unstable[key] = self._unstable.get(key, 0) + 1
            is_final = self._unstable[key] >= _MOST_UNSTABLE or len(self._unstable) > self.limit
            self._note(key, str(error), is_final)
        except CaptureError as error:
            self._eager += 1
            self._note(key, str(error), True)
        return result

    def _note(self, key: Any, reason: str, final: bool) -> None:
        """Keep why a capture could not be kept; raise it if another one would not be kept either."""
        _log.debug("%s cannot be replayed: %s", self, reason)
        if final and self.fallback == "error":
            raise CaptureError(reason if reason.startswith("jit: ") else f"jit: {reason}")
        if final:
            self._unstable.pop(key, None)
            self._given_up.add(key)
            self._give_reason(reason)

    def _give_reason(self, reason: str) -> None:
        """Keep why calls run eagerly, each reason once, and as many as there may be captures."""
        if reason not in self._reasons and len(self._reasons) < self.limit:
            self._reasons.append(reason)

    def _warn_of_limit(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warn(
                f"jit: {self} has {self.limit} captures, its limit; calls that fit none of them run eagerly from now on, this "
                f"one because {reason}. Pass what changes as a tensor, or set limit="
            )

    def _key(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[TensorBase], roots: list[Storage]
    ) -> Any:
        """The signature of a call; its tensors, and the storages that have their memory, are appended to the lists."""
        key: list[Any] = [
            modes.grad_enabled, modes.inference, get_default_dtype(), threads.get_num_threads(), len(args),
        ]  # fmt: skip
        for value in args:
            self._add(value, key, tensors)
        for name, value in kwargs.items():
            key.append(name)
            self._add(value, key, tensors)
        roots += [tensor._storage.root for tensor in tensors]
        if len(tensors) > 1 and len(set(map(id, roots))) < len(roots):  # some share memory
            firsts = [roots.index(root) for root in roots]
            key += firsts
            ids = list(map(id, tensors))
            key += map(ids.index, ids)
            key += [t._address - tensors[first]._address for t, first in zip(tensors, firsts, strict=True)]
        return tuple(key)

    def _add(self, value: Any, key: list[Any], tensors: list[TensorBase]) -> None:
        if isinstance(value, TensorBase):
            if not hasattr(value, "_spec"):
                raise TypeError("jit: got a tensor that was never initialized")
            if value._node is not None and modes.grad_enabled:
                raise CaptureError(
                    "jit: an argument has a graph from outside of the step; compute it inside, or pass its detach()"
                )
            tensors.append(value)
            key += (value.__class__, value._spec, value._requires_grad, value._grad is None, value._hooks is None)
        elif isinstance(value, PLAIN):
            key += (value.__class__, value)
        elif isinstance(value, (float, complex)):
            key += (value.__class__, repr(value))  # zeros have a sign
        elif isinstance(value, (tuple, list)):
            key += (value.__class__, len(value))
            for each in value:
                self._add(each, key, tensors)
            key += attributes_of(value)
        elif isinstance(value, dict):
            key += (value.__class__, len(value))
            for name, each in value.items():
                key += (name.__class__, name)  # 1 and True are the same key of a dict
                self._add(each, key, tensors)
            key += attributes_of(value)
        elif isinstance(value, (np.ndarray, np.generic)):
            raise CaptureError(
                f"jit: an argument is an array of NumPy ({type(value).__name__}), whose values would be frozen; pass a tensor"
            )
        else:
            key.append(id(value))  # `_capture` keeps it alive

    def programs(self) -> list[Captured]:
        """All captured programs."""
        return [captured for several in self._programs.values() for captured in several]

    @property
    def stats(self) -> Stats:
        """What it has done so far."""
        programs = self.programs()
        return Stats(
            self._captures,
            self._replays,
            self._eager,
            sum(len(captured.calls) for captured in programs),
            sum(captured.planned for captured in programs),
            sum(captured.recorded.eager_peak for captured in programs),
            tuple(self._reasons),
            _total([captured.notes for captured in programs]),
        )

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", None) or type(self.function).__name__
        return f"<jit of {name}>"


@contextlib.contextmanager
def _not_collected() -> Iterator[None]:
    """A context without the garbage collector, which would look in vain at all that a capture makes: it stays."""
    collects = gc.isenabled()
    try:
        gc.disable()
        yield
    finally:
        if collects:
            gc.enable()


def _total(notes: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The sums of what passes did."""
    total: dict[str, dict[str, float]] = {}
    for name, counts in chain_of.from_iterable(each.items() for each in notes):
        for key, value in counts.items():
            total.setdefault(name, {})[key] = total.get(name, {}).get(key, 0) + value
    return total


class ModelStep(Step):
    """A module, in whose eval mode nothing is recorded: its results have no graph, unless an argument requires a gradient."""

    def __deepcopy__(self, memo: Any) -> Step:  # of the copied module
        return type(self)(copy.deepcopy(self.function, memo), self.fallback, self.limit, self.passes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if modes.grad_enabled and not self.function.training and not requires_grad((args, kwargs)):  # type: ignore[attr-defined]
            with no_grad():
                return super().__call__(*args, **kwargs)
        return super().__call__(*args, **kwargs)


def _bound_step(step: Step, instance: Any) -> Any:
    return functools.partial(step, instance)


def listens_to_nobody() -> bool:
    """Whether a call may be captured or replayed here: nothing else sees each op, and kernels are machine code."""
    if modes.capture is not None or chain.wrappers or modes.saved_hooks or backward.monitor is not None:
        return False
    if modes.forward is not None:
        return False
    if not program.observers:
        return True
    thread = locks.threading.get_ident()
    return all(observed != thread for observed, _ in program.observers)


# ---- the public function ----------------------------------------------------------------------------------------


class Jit(Files, Script):
    """The type of `numgrad.jit`, which captures a step and replays it, and of `stats`, `text`, `host`, `save` and `load`.

    `script`, `trace` and the like are torch's names, for what stays as it is.

    >>> import numgrad as ng
    >>> halve = ng.jit(lambda x: x / 2)
    >>> [halve(ng.tensor([4.0])).item() for _ in range(3)]
    [2.0, 2.0, 2.0]
    >>> ng.jit.stats(halve).captures
    1
    """

    def __call__(
        self,
        step: Callable[..., Any] | None = None,
        *,
        fallback: str = "error",
        limit: int = 8,
        passes: Mapping[str, bool] | None = None,
        fuse: bool = False,
        freeze: bool = False,
        fold: bool = False,
    ) -> Any:
        """``step``, a function or a module, such that its calls are captured and then replayed; also as a decorator.

        A captured call runs as ever, op by op, while its launches are noted. A later call with the same signature runs these
        launches alone, in one call of machine code, and gives the same bits: parameters, gradients, states of optimizers,
        running statistics and random numbers advance as they would. Arguments that are tensors are read where they lie, and
        results are new tensors. What is new, such as another shape, or eval mode, is captured anew; docs/replay.md has the
        rules.

        Parameters
        ----------
        step
            A function of tensors, numbers, modules and containers of these, which calls ``backward()`` itself if it needs
            gradients; it returns tensors without a graph, numbers and containers. A module in eval mode is replayed as under
            `no_grad`, unless an argument requires a gradient.
        fallback
            "error": what a replay could not do again, such as reading a value, is an error that names the line. "eager": such
            a step runs eagerly, and `stats` says so.
        limit
            The most captures that are kept; then there is a warning, and calls that fit none of them run eagerly.
        passes
            Switches a pass of `numgrad.compile.passes.PASSES` on or off, by its name.
        fuse
            Switches on the passes that compile kernels for this step, which may change its rounding.
        freeze
            What depends on weights alone, such as packing them, is computed once, and again when a weight was changed in place.
            Changes through ``data`` or an array of NumPy's are not seen, so this is for weights that are in use.
        fold
            Also fold batch norms in eval mode into the layers before them, where this saves a pass; it changes the rounding.

        Raises
        ------
        TypeError
            ``step`` cannot be called.
        ValueError
            ``fallback`` is neither "error" nor "eager", ``limit`` is below 1, or ``passes`` names no pass.
        CaptureError
            When the step is called: it cannot be replayed. It has then run to its end, or to the line that the error names.

        >>> import numgrad as ng
        >>> weight = ng.ones(2, requires_grad=True)
        >>> optimizer = ng.optim.SGD([weight], lr=0.5)
        >>> @ng.jit
        ... def step(x):
        ...     optimizer.zero_grad()
        ...     loss = (weight * x).sum()
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss.detach()
        >>> [step(ng.tensor([1.0, 2.0])).item() for _ in range(4)]
        [3.0, 0.5, -2.0, -4.5]
        >>> ng.jit.stats(step).replays
        3
        """
        if step is None:
            return functools.partial(
                self, fallback=fallback, limit=limit, passes=passes, fuse=fuse, freeze=freeze, fold=fold
            )
        if not callable(step):
            raise TypeError(f"jit: expected a function or a module, got {type(step).__name__}")
        if fallback not in ("error", "eager"):
            raise ValueError(f"jit: fallback is {fallback!r}, expected 'error' or 'eager'")
        if type(limit) is not int or limit < 1:
            raise ValueError(f"jit: limit is {limit!r}, expected an int of at least 1")
        kind = ModelStep if hasattr(type(step), "_parameters") else Step
        return kind(step, fallback, limit, chosen(passes, fuse, freeze, fold))

    def stats(self, step: Any) -> Stats:
        """What a step has done so far: captures, replays, eager calls, launches, and the bytes of its memory plan.

        Raises
        ------
        TypeError
            ``step`` was not made by `jit`.

        >>> import numgrad as ng
        >>> double = ng.jit(lambda x: 2 * x)
        >>> _ = [double(ng.ones(3)) for _ in range(5)]
        >>> ng.jit.stats(double)[:3]
        (1, 4, 0)
        """
        return step_of(step).stats

    def text(self, step: Any) -> str:
        """The captured programs of a step as text: an op a line, with its kernels and the memory that it reads and writes.

        Raises
        ------
        TypeError
            ``step`` was not made by `jit`.

        >>> import numgrad as ng
        >>> double = ng.jit(lambda x: 2 * x)
        >>> _ = double(ng.ones(3))
        >>> print(ng.jit.text(double))
        program 0: 1 launch, arena of 0 bytes
          %0 float32[3] = mul(argument 0, held 0)  [mul]
        """
        programs = step.programs() if hasattr(step, "programs") else step_of(step).programs()
        return "\n".join(text_of(captured, number) for number, captured in enumerate(programs))

    def host(self, function: Callable[..., None]) -> Callable[..., None]:
        """``function``, a callback of tensors, such that each replay calls it at its place between the launches.

        It is called with copies of its arguments, which have no graph; what it returns is not used. Outside of a captured step it
        is called in the same way.

        >>> import numgrad as ng
        >>> seen = []
        >>> note = ng.jit.host(lambda loss: seen.append(loss.item()))
        >>> @ng.jit
        ... def step(x):
        ...     loss = x.sum()
        ...     note(loss)
        ...     return loss
        >>> _ = [step(ng.full((2,), value)) for value in (1.0, 2.0, 3.0)]
        >>> seen
        [2.0, 4.0, 6.0]
        """
        if not callable(function):
            raise TypeError(f"jit.host: expected a function, got {type(function).__name__}")
        return with_copies(function)


def step_of(step: Any) -> Step:
    """The step that `jit` made, also through the method that it became."""
    if isinstance(step, functools.partial):
        step = step.func
    if not isinstance(step, Step):
        raise TypeError(f"jit: expected what jit returned, got {type(step).__name__}")
    return step


jit = Jit()
