"""`AtOnce`: a captured program whose whole replay is one call of machine code (`runtime.at_once`), while nothing changes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes
from numgrad.compile.capture import renew
from numgrad.compile.results import Described, Replayed
from numgrad.engine import backward
from numgrad.engine.tape import TensorBase, modes
from numgrad.registry import chain
from numgrad.runtime import at_once, memory, objects, program, replay, threads
from numgrad.runtime.guards import BARE, ITEM, SIZE, Guard, Guards, Words, count_offset
from numgrad.runtime.memory import Storage

if TYPE_CHECKING:
    from numgrad.compile.captured import Captured
    from numgrad.compile.steps import Again

_PATIENCE = 1 << 12
_OF_TENSOR = ("_storage", "_spec", "_node", "_requires_grad", "_hooks", "_grad", "_accumulator")
_MODES = ("grad_enabled", "inference", "capture", "saved_hooks", "forward")  # `inference` is off, see `is_possible`


class Kept:
    """The gradients of a replay, for the next one, if by then nobody else holds them or their memory.

    Holders are counted by comparison with the counts at the beginning, when there are none but these very lists and what
    numgrad made; so the caller holds nothing else at that time. ``dropped`` are leaves that have no gradient then.
    """

    def __init__(
        self,
        changes: list[tuple[TensorBase, str, TensorBase]],
        storages: list[Storage],
        dropped: Sequence[TensorBase],
    ) -> None:
        self.changes, self.storages, tensors = changes, storages, [tensor for *_, tensor in changes]
        self.held = [(leaf, "_grad", tensor) for leaf, _, tensor in changes] + [
            (leaf, "_grad", None) for leaf in dropped
        ]
        places: list[tuple[object, int]] = [(leaf, replay.offset_of(name)) for leaf, name, _ in self.held]
        places += [(tensor, replay.offset_of(name)) for tensor in tensors for name in _OF_TENSOR]
        places += [(thing, count_offset()) for thing in (*tensors, *storages)]
        self.words = Words(places)
        self.addresses = np.array([storage.address for storage in storages], np.int64)
        del tensors, places
        self.words.note()

    def is_free(self) -> bool:
        """Whether they are the gradients of their leaves, and nobody else has them."""
        return self.words.hold()


class AtOnce:
    """The words of a program for `run_at_once`, and that as a function of the call's arguments.

    Parameters
    ----------
    captured
        The program, for which `is_possible` is true.
    arguments
        Those of a call that fits.
    """

    def __init__(self, captured: Captured, arguments: Sequence[Any]) -> None:
        self._captured = captured
        self._alive: list[Any] = [arguments]
        self._options = Guards([], _offset)
        positions = [number for number, value in enumerate(arguments) if isinstance(value, TensorBase)]
        rows = [_argument(value) for value in arguments]
        self._alive = [value for value in arguments if not isinstance(value, TensorBase)]
        self._alive += [(type(value), value._spec) for value in arguments if isinstance(value, TensorBase)]
        bound, described = captured.calls, captured.results.described
        surroundings = [
            Guard(ITEM, vars(dtypes), "_default", dtypes.get_default_dtype()),
            Guard(ITEM, vars(threads), "_count", threads.get_num_threads()),
            Guard(ITEM, vars(backward), "monitor", None),
            Guard(BARE, vars(chain), "wrappers", 0),
            Guard(SIZE, program.observers, None, 0),
        ]
        self._surroundings = Guards([*surroundings, *captured.guards.guards], _offset)
        words: dict[str, int] = dict.fromkeys(at_once.STEP.fields, 0)

        def table(name: str, count: str, of: Sequence[Any]) -> None:
            array = np.array(of, np.int64)
            self._alive.append(array)
            words[name], words[count] = array.ctypes.data, len(of)

        stacks = [memory.stack_of(nbytes) for nbytes in captured.result_sizes]
        sizes = list(captured.result_sizes)
        self._alive += [stacks, sizes, described, captured.bumped, captured.counted]
        table("memories", "memory_count", [
            at_once.MEMORY.filled(stack=id(stack), nbytes=id(size)) for stack, size in zip(stacks, sizes, strict=True)
        ])  # fmt: skip
        first = len(captured.gradient_sizes)
        table("results", "result_count", [self._result(each, positions, first) for each in described])
        table("bumped", "bumped_count", [id(each) for each in captured.bumped])
        table("bumped_arguments", "bumped_argument_count", [positions[each] for each in captured.bumped_arguments])
        name = sys.intern("_step_count")
        table("counts", "count_count", [
            at_once.COUNT.filled(owner=id(each), name=id(name), times=times) for each, times in captured.counted
        ])  # fmt: skip
        table("own_roots", "own_root_count", list(captured.held))
        table("arguments", "argument_count", rows)
        names = [sys.intern(each) for each in _MODES]
        defaults = [getattr(type(modes), each) for each in _MODES]
        values = [getattr(modes, each) for each in _MODES]
        self._alive += [names, defaults, values]
        table("mode_rows", "mode_count", [
            at_once.MODE.filled(name=id(n), value=id(v), default=id(d))
            for n, v, d in zip(names, values, defaults, strict=True)
        ])  # fmt: skip
        example = replay.example_storage()
        slots = {f"of{name}": replay.offset_of(name) for name in (
            "_spec", "_address", "_storage", "_grad", "_hooks", "_node", "_requires_grad"
        )}  # fmt: skip
        renew = self._renew
        dictionary = sys.intern("__dict__")
        self._alive += [renew, dictionary]
        words |= {
            "list": bound.address,
            "row_count": len(bound),
            "releases": int(bound.cost > program.GIL_COST),
            "splits": int(bound.splits),
            "pool": threads.ADDRESS,
            "storages": memory.WORDS,
            "storage_template": memory.template_address(),
            "tensor_template": replay.tensor_words(),
            "none": id(None),
            "storage_class": id(Storage),
            **slots,
            "of_owner": objects.offset_of(example, "_owner"),
            "of_version": objects.offset_of(example, "version"),
            "modes": id(modes),
            "dict_name": id(dictionary),
            "renew": id(renew),
            "guards": self._surroundings.address,
            "guard_count": len(self._surroundings),
            "slot_count": len(positions) + len(captured.gradient_sizes) + len(sizes),
        }
        self._words = np.array(at_once.STEP.filled(**words), np.int64)
        self._set_options()
        self.keep(None)
        self.run: Callable[..., Any] = objects.built_in(
            at_once.run_at_once, self._words.ctypes.data, rehearsed=_nothing
        )

    def _result(self, result: Described, positions: Sequence[int], first: int) -> list[int]:
        """The words of a result; ``first`` is the number of new blocks before those of the results."""
        kind, of, spec, offset, requires_grad, had_graph = result
        words = dict.fromkeys(at_once.RESULT.fields, 0)
        if kind == "made":
            node = Replayed(spec) if had_graph else None  # type: ignore[arg-type]
            self._alive.append(node)
            words |= {"kind": at_once.NEW, "number": of.slot - first, "offset": offset, "spec": id(spec)}
            words |= {"node": id(node), "requires_grad": id(requires_grad)}
        elif kind == "argument":
            words |= {"kind": at_once.GIVEN, "number": positions[of]}
        else:
            words |= {"kind": at_once.HELD, "number": id(of), "offset": replay.offset_of("_grad")}
        return at_once.RESULT.filled(**words)

    def _set(self, **words: int) -> None:
        for name, value in words.items():
            self._words[getattr(at_once, name.upper()) // 8] = value

    def keep(self, kept: Kept | None) -> None:
        """Use these gradients from now on; None: nothing can be replayed at once."""
        needs_none = not self._captured.gradient_sizes
        self._dropped = Words(
            [(leaf, replay.offset_of("_grad")) for leaf in self._captured.dropped] if needs_none else []
        )
        self._dropped.rows[:, 3] = id(None)
        words = self._dropped if kept is None else kept.words
        addresses = np.zeros(0, np.int64) if kept is None else kept.addresses
        self._addresses = addresses
        self._set(
            kept=words.address if kept is not None or needs_none else 0,
            kept_count=len(words),
            kept_addresses=addresses.ctypes.data,
            kept_address_count=len(addresses),
        )
        kept_storages = [] if kept is None else kept.storages
        self._bumped = np.array([id(each) for each in (*kept_storages, *self._captured.bumped)], np.int64)
        self._set(bumped=self._bumped.ctypes.data, bumped_count=len(self._bumped))

    def renew_guards(self) -> bool:
        """Look at the guards in Python, where equal numbers are the same; whether they hold."""
        return self._surroundings.changed() is None

    def _renew(self) -> None:
        """Called when an option of an optimizer is another object."""
        for step in self._captured.before:
            step.call()
        self._set_options()

    def _set_options(self) -> None:
        guards: list[Guard] = []
        for step in self._captured.before:
            guards += _unchanged(step)
        self._options = Guards(guards, _offset)
        self._set(options=self._options.address, option_count=len(self._options))


def is_possible(captured: Captured, arguments: Sequence[Any]) -> bool:
    """Whether a program can be replayed at once: one call, and neither arguments nor gradients that need a look by Python.

    A container among the arguments may have other items by the next call, which its identity does not show.
    """
    return (
        not any(isinstance(value, (tuple, list, dict)) for value in arguments)
        and captured.calls.is_one_call
        and not (captured.with_gradient or captured.pinned or captured.is_inference or captured.inplace)
        and not (captured.begun or captured.visible.has_arrays)
        and all(step.function is renew for step in captured.before)
        and (not captured.gradient_sizes or captured.keeps > 0)
        and all(map(_is_known, captured.results.described))
        and getattr(sys, "_is_gil_enabled", lambda: True)()
    )


def is_worth_it(replays: int) -> bool:
    """Whether the machine code is stored; compiling it takes a second, which pays after many replays in Python."""
    return replays >= _PATIENCE or at_once.run_at_once.job().is_at_hand()


def _unchanged(step: Again) -> list[Guard]:
    """Guards that hold as long as another call of a step would do nothing; one that never holds if it is to be called."""
    renewed = step.args[1] if len(step.args) == 2 else None
    if renewed is None or not renewed.before:
        return [Guard(SIZE, step.args, None, -1)]
    return [
        Guard(SIZE, renewed.group, None, len(renewed.before)),
        *[Guard(ITEM, renewed.group, name, value) for name, value in zip(renewed.group, renewed.before, strict=True)],
    ]


def _argument(value: Any) -> list[int]:
    if not isinstance(value, TensorBase):
        return at_once.ARGUMENT.filled(kind=at_once.OBJECT, class_=id(value), spec=0, requires_grad=0)
    spec, requires_grad = id(value._spec), id(value._requires_grad)
    return at_once.ARGUMENT.filled(kind=at_once.TENSOR, class_=id(type(value)), spec=spec, requires_grad=requires_grad)


def _is_known(result: Described) -> bool:
    return result.kind in ("made", "argument") or (result.kind == "gradient" and not isinstance(result.of, int))


def _offset(_: Any, name: str) -> int:
    return replay.offset_of(name)


def _nothing(*_: Any) -> None:
    """In a rehearsal."""
