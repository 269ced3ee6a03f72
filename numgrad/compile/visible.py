"""`Visible`: all that a step's function can see, and whether it is still what it was.

A replay does again what launches did, and nothing that Python did. So what Python may have decided by has to be the same at
each replay: closures, globals that the code names, attributes, the items of containers, modules, optimizers, and the memory of
each tensor among them. Everything is compared by identity (numbers and texts also by value), in a few loops in C.

What cannot be seen: what C code reaches, what is looked up by a computed name, and the values of arrays. Containers with very
many items are compared as a whole.

Classes above this layer say what of them needs no guard, by attributes of the class:

``_replay_skips``
    Names of attributes that a replay advances itself.
``_replay_options``
    Of an optimizer, the options that are read again before each replay.
``_replay_opaque``
    Nothing of the object is looked at: its methods are called again at each replay (`Capture.again`).
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections.abc import Callable, Iterable
from itertools import chain
from operator import attrgetter, call, is_
from typing import Any

from numgrad.engine.tape import TensorBase
from numgrad.layout import Spec
from numgrad.runtime.replay import Items, Slots

_MOST_ITEMS = 1000  # of a container that is looked into
_MOST_OBJECTS = 20_000
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_DONE = object()


class Code:
    """What a function's code names: globals, and attributes of anything."""

    def __init__(self, code: types.CodeType) -> None:
        self.globals: set[str] = set()
        self.attributes: set[str] = set()
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                self.globals.add(instruction.argval)
            elif "ATTR" in instruction.opname or "METHOD" in instruction.opname:
                self.attributes.add(instruction.argval)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                inner = code_of(constant)
                self.globals |= inner.globals
                self.attributes |= inner.attributes


code_of = functools.lru_cache(1024)(Code)


@functools.lru_cache(1024)
def is_library(module: str | None) -> bool:
    """Whether a module is none of the user's: its globals do not change a step."""
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return True
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return top in ("numgrad", "numpy", "builtins") or "site-packages" in file or "dist-packages" in file


def is_foreign(thing: Any) -> bool:
    """Whether a function or class is the user's."""
    return not is_library(getattr(thing, "__module__", None))


class Visible:
    """What can be seen from some objects. `differences` says what has changed since they were looked at."""

    def __init__(self) -> None:
        self.tensors: dict[int, TensorBase] = {}
        self._memory: list[tuple[TensorBase, int, Spec, bool, str]] = []  # of the tensors
        self._seen: dict[int, Any] = {}
        self._attributes: set[str] = set()
        self._named: dict[int, set[str]] = {}  # by the id of an object, those that were looked up
        self._waiting: list[tuple[Any, str]] = []  # objects of the user's classes, for more names of attributes
        self._containers: list[Any] = []
        self._paths: list[str] = []
        self._lengths: list[int] = []
        self._items: list[tuple[Any, ...]] = []
        self._singles: list[tuple[Callable[[], Any], Any, str]] = []

    # ---- looking ------------------------------------------------------------------------------------------------

    def look(self, value: Any, path: str) -> None:
        """Add all that can be seen from an object; ``path`` is its name in messages."""
        stack = [(value, path)]
        while True:
            while stack:
                value, path = stack.pop()
                stack += self._into(value, path)
            before, waiting, self._waiting = len(self._attributes), self._waiting, []
            for value, path in waiting:
                stack += self._attributes_of(value, path)
            if not stack and before == len(self._attributes):
                return

    def _into(self, value: Any, path: str) -> Iterable[tuple[Any, str]]:
        """Note an object; what is to be looked at next."""
        if isinstance(value, _PLAIN) or id(value) in self._seen or len(self._seen) > _MOST_OBJECTS:
            return ()
        self._seen[id(value)] = value
        if isinstance(value, TensorBase):
            self.tensors[id(value)] = value
            self._memory.append((value, value._address, value._spec, value._requires_grad, path))
            return ()
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return self._container(value, path)
        if isinstance(value, types.FunctionType):
            return self._function(value, path) if is_foreign(value) else ()
        if isinstance(value, types.MethodType):
            return [(value.__self__, path.rpartition(".")[0] or path), (value.__func__, path)]
        if isinstance(value, functools.partial):
            return [(value.func, path), (value.args, path), (value.keywords, path)]
        return self._object(value, path)

    def _container(self, value: Any, path: str) -> Iterable[tuple[Any, str]]:
        if not isinstance(value, (tuple, frozenset)):
            self._watch(value, path)
        if len(value) > _MOST_ITEMS:
            return ()
        if isinstance(value, dict):
            return [(each, f"{path}[{key!r}]" if isinstance(key, _PLAIN) else path) for key, each in value.items()]
        return [(each, f"{path}[{index}]") for index, each in enumerate(value)]

    def _watch(self, container: Any, path: str) -> None:
        self._containers.append(container)
        self._lengths.append(len(container))
        self._paths.append(path)
        items = container.values() if isinstance(container, dict) else container
        self._items.append(tuple(items) if len(container) <= _MOST_ITEMS else ())

    def _single(self, get: Callable[[], Any], path: str) -> Any:
        value = get()
        self._singles.append((get, value, path))
        return value

    def _function(self, function: types.FunctionType, path: str) -> Iterable[tuple[Any, str]]:
        code = code_of(function.__code__)
        self._attributes |= code.attributes
        self._single(functools.partial(attrgetter("__code__"), function), f"the code of {path}")
        inside: list[tuple[Any, str]] = [(function.__defaults__, f"the defaults of {path}")]
        inside.append((function.__kwdefaults__, f"the defaults of {path}"))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            get = functools.partial(_contents if _contents(cell) is _DONE else attrgetter("cell_contents"), cell)
            inside.append((self._single(get, name), name))
        for name in sorted(code.globals):
            if name in function.__globals__:
                get = functools.partial(function.__globals__.get, name, _DONE)
                inside += self._global(self._single(get, f"the global {name}"), name)
        return inside

    def _global(self, value: Any, name: str) -> Iterable[tuple[Any, str]]:
        """What is seen through a global name."""
        if isinstance(value, types.ModuleType):
            if not is_library(value.__name__):
                self._waiting.append((value, name))
            return ()
        return () if isinstance(value, type) else [(value, name)]

    def _object(self, value: Any, path: str) -> Iterable[tuple[Any, str]]:
        cls = type(value)
        if getattr(cls, "_replay_opaque", False) or isinstance(value, (type, types.ModuleType)):
            return ()
        attributes = getattr(value, "__dict__", None)
        if hasattr(cls, "_replay_options"):
            return self._optimizer(value, path)
        if hasattr(cls, "_parameters"):
            return self._module(value, path)
        if attributes is not None and is_foreign(cls):
            self._waiting.append((value, path))
        return ()

    def _module(self, module: Any, path: str) -> Iterable[tuple[Any, str]]:
        """A module: its tables, its numbers, and what else the code names."""
        attributes, inside = module.__dict__, []
        if not is_foreign(type(module)):
            self._watch(attributes, f"{path}.")
            skipped = type(module)._replay_skips
            return [(each, _joined(path, name)) for name, each in attributes.items() if name not in skipped]
        for name, each in list(attributes.items()):
            if name in type(module)._replay_skips:
                continue
            if name.startswith("_") or isinstance(each, (*_PLAIN, TensorBase)):
                self._single(functools.partial(attributes.get, name, _DONE), f"{path}.{name}")
                inside.append((each, _joined(path, name)))
        self._waiting.append((module, path))
        return inside

    def _optimizer(self, optimizer: Any, path: str) -> Iterable[tuple[Any, str]]:
        inside: list[tuple[Any, str]] = [(optimizer.state, f"{path}.state")]
        self._watch(optimizer.param_groups, f"{path}.param_groups")
        for name in ("param_groups", "state"):
            self._single(functools.partial(optimizer.__dict__.get, name), f"{path}.{name}")
        for number, group in enumerate(optimizer.param_groups):
            for name in group:
                if name not in optimizer._replay_options:
                    where = f"{path}.param_groups[{number}][{name!r}]"
                    inside.append((self._single(functools.partial(group.get, name, _DONE), where), where))
        return inside

    def _attributes_of(self, value: Any, path: str) -> Iterable[tuple[Any, str]]:
        """The attributes that the code names, of an object of the user's class or of a Python module."""
        inside: list[tuple[Any, str]] = []
        known = self._named.setdefault(id(value), set())
        attributes = vars(value)
        for name in (self._attributes & attributes.keys()) - known:
            known.add(name)
            if name not in getattr(type(value), "_replay_skips", ()):
                get = functools.partial(attributes.get, name, _DONE)
                inside += self._global(self._single(get, f"{path}.{name}"), f"{path}.{name}")
        called = self._attributes | {"forward", "__call__"}
        for cls in filter(is_foreign, () if isinstance(value, types.ModuleType) else type(value).__mro__):
            for name in called & vars(cls).keys():
                function = vars(cls)[name]
                function = getattr(function, "__func__", None) or getattr(function, "fget", None) or function
                if isinstance(function, types.FunctionType) and id(function) not in self._seen:
                    inside.append((function, f"{path}.{name}"))
        self._waiting.append((value, path))
        return inside

    # ---- comparing ----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Prepare `is_same`, after the last `look`."""
        known = [
            (each, length, items)
            for each, length, items in zip(self._containers, self._lengths, self._items, strict=True)
            if items or not length
        ]
        self._empty = [each for each, length, _ in known if not length]
        named = [(each, items) for each, _, items in known if items and _is_named(each)]
        self._named_items = Items([(d, k, v) for d, items in named for k, v in zip(d, items, strict=False)])
        dicts = [(d, items) for d, _, items in known if items and isinstance(d, dict) and not _is_named(d)]
        others = [(each, items) for each, _, items in known if items and not isinstance(each, dict)]
        self._dicts, self._others = [each for each, _ in dicts], [each for each, _ in others]
        self._full = [each for each, length in zip(self._containers, self._lengths, strict=True) if length]
        self._sizes = [length for length in self._lengths if length]
        self._flat = list(chain.from_iterable(items for _, items in (*dicts, *others)))
        self._gets, self._values = [get for get, *_ in self._singles], [value for _, value, _ in self._singles]
        names = ("_address", "_spec", "_requires_grad")
        self._slots = Slots([(tensor, name) for tensor, *_ in self._memory for name in names])
        self._waiting = []

    def is_same(self) -> bool:
        """Whether each thing is the very one that it was."""
        if (
            not any(self._empty)
            and list(map(len, self._full)) == self._sizes
            and self._named_items.changed() < 0
            and self._slots.changed() < 0
        ):
            now = chain(chain.from_iterable(map(dict.values, self._dicts)), chain.from_iterable(self._others))
            if all(map(is_, now, self._flat)) and all(map(is_, map(call, self._gets), self._values)):
                return True
        return self.difference() is None

    def difference(self) -> str | None:
        """The first thing that is not what it was, and how; None if everything is."""
        for get, value, path in self._singles:
            now = get()
            if not _same(now, value):
                return f"{path} was {_short(value)} and is {_short(now)}"
        for container, path, items in zip(self._containers, self._paths, self._items, strict=True):
            if len(container) <= _MOST_ITEMS or items:
                now = tuple(container.values()) if isinstance(container, dict) else tuple(container)
                if len(now) != len(items):
                    return f"{path.rstrip('.')} had {len(items)} items and has {len(now)}"
                for index, (one, other) in enumerate(zip(items, now, strict=True)):
                    if not _same(one, other):
                        key = list(container)[index] if isinstance(container, dict) else index
                        where = f"{path}{key}" if path.endswith(".") else f"{path}[{_short(key)}]"
                        return f"{where} was {_short(one)} and is {_short(other)}"
        for container, length, path in zip(self._containers, self._lengths, self._paths, strict=True):
            if len(container) != length:
                return f"{path} had {length} items and has {len(container)}"
        for tensor, address, spec, requires_grad, path in self._memory:
            if tensor._address != address or tensor._spec is not spec:
                return f"{path} has other memory or another layout"
            if tensor._requires_grad is not requires_grad:
                return f"requires_grad of {path} was {requires_grad}"
        return None


def _contents(cell: Any) -> Any:
    """What a cell holds, if it holds anything yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return _DONE


def _is_named(container: Any) -> bool:
    return isinstance(container, dict) and all(type(key) is str for key in container)


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and isinstance(one, _PLAIN) and one == other)


def _joined(path: str, name: str) -> str:
    return path if name in ("_parameters", "_buffers", "_modules") else f"{path}.{name}"


def _short(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)[:60]
    if value is _DONE:
        return "absent"
    if isinstance(value, TensorBase):
        return f"a tensor of {list(value._spec.shape)}"
    return f"another {type(value).__name__}"
