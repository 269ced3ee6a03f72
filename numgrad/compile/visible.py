"""`Visible`: all that a step's function can see, and whether it is still what it was.

A replay does again what launches did, and nothing that Python did. So what Python may have decided by has to be the same at
each replay: closures, globals that the code names, attributes, the items of containers, modules, optimizers, and the memory of
each tensor among them. Everything is compared by identity (numbers and texts also by value), in a few loops in C.

What cannot be seen: what C code reaches, what is looked up by a computed name, the values of large arrays, and what lies below
the items of very large containers.

Classes above this layer say what of them needs no guard, by attributes of the class:

``_replay_skips``
    Names of attributes that a replay advances itself.
``_replay_tables``
    Of a module, tables of hooks that run for all modules.
``_replay_options``
    Of an optimizer, the options that are read again before each replay.
``_replay_switches``
    And those of which it matters only whether they are on; their numbers are read again as well.
``_replay_opaque``
    Nothing of the object, or function, is looked at: it is called again at each replay (`Capture.again`, `jit.host`).
"""

from __future__ import annotations

import functools
import gc
import random
import sys
import types
import weakref
from array import array
from collections import OrderedDict, deque
from collections.abc import Iterable
from contextvars import ContextVar
from operator import attrgetter, is_, methodcaller
from typing import Any

import numpy as np

from numgrad.compile.code import code_of, is_foreign, is_library
from numgrad.engine.tape import TensorBase
from numgrad.layout import Spec
from numgrad.runtime.guards import ABSENT, AT, CALL, CELL, CODE, ITEM, SIZE, SLOT, SWITCH, Guard, same

_MOST_ITEMS = 1000  # of a container that is looked into
_MOST_OBJECTS = 20_000
_MOST_BYTES = 1 << 16  # of an array whose values are compared
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_SEQUENCES = (list, tuple, set, frozenset, deque)
_CONTAINERS = (dict, *_SEQUENCES)
_PLAIN_CLASSES = frozenset(_PLAIN)
# The way to an object, of which a text is made when a message needs it: a text, or the way to what holds the object, the key or the
# name of the attribute, and whether it is an item.
_Path = str | tuple[Any, Any, bool]
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)
# Methods that run when an object is made, and no later.
_MAKING = frozenset(
    {"__init__", "__new__", "__post_init__", "__init_subclass__", "__del__", "__repr__", "__setstate__"}
)


_READ_ALL = frozenset({"vars", "__dict__", "asdict", "astuple"})  # what reads all attributes of an object


class Visible:
    """What can be seen from some objects. `differences` says what has changed since they were looked at."""

    def __init__(self) -> None:
        self.tensors: dict[int, TensorBase] = {}
        self.named: list[tuple[Any, str]] = []  # modules and optimizers, with their paths
        self._memory: list[tuple[TensorBase, int, Spec, bool, Any, _Path]] = []  # of the tensors
        self._seen: dict[int, Any] = {}
        self._attributes: set[str] = set()
        self._named: dict[int, set[str]] = {}  # by the id of an object, those that were looked up
        self._waiting: list[tuple[Any, str]] = []  # objects of the user's classes, for more names of attributes
        self._containers: list[Any] = []
        self._paths: list[_Path] = []
        self._lengths: list[int] = []
        self._items: list[tuple[Any, ...]] = []
        self._keys: list[tuple[Any, ...]] = []
        self._singles: list[tuple[Guard, str]] = []
        self._counted: list[tuple[Any, int, str]] = []  # of which only the number of items matters
        self._arrays: list[tuple[Any, bytes, str]] = []
        self._generators: list[tuple[Any, Any]] = []  # of random numbers, not numgrad's, with their states

    # ---- looking ------------------------------------------------------------------------------------------------

    def look(self, value: Any, path: str) -> None:
        """Add all that can be seen from an object; ``path`` is its name in messages."""
        stack: list[tuple[Any, _Path]] = [(value, path)]
        while True:
            while stack:
                value, where = stack.pop()
                if value.__class__ not in _PLAIN_CLASSES and id(value) not in self._seen:
                    stack += self._into(value, where)
            before, waiting, self._waiting = len(self._attributes), self._waiting, []
            for value, path in waiting:
                stack += self._attributes_of(value, path)
            if not stack and before == len(self._attributes):
                return

    def _into(self, value: Any, way: _Path) -> Iterable[tuple[Any, _Path]]:
        """Note an object that was not seen; what is to be looked at next."""
        if isinstance(value, _PLAIN) or len(self._seen) > _MOST_OBJECTS:
            return ()
        self._seen[id(value)] = value
        if isinstance(value, TensorBase):
            self.tensors[id(value)] = value
            self._memory.append((value, value._address, value._spec, value._requires_grad, value._hooks, way))
            if value._hooks is not None:
                self._hooks_of(value, _text(way))
            if getattr(value, "__dict__", None):
                self._waiting.append((value, _text(way)))
            return ()
        if isinstance(value, _CONTAINERS):
            return self._container(value, way)
        path = _text(way)
        if isinstance(value, types.FunctionType):
            is_opaque = not is_foreign(value) or "_replay_opaque" in vars(value)
            return () if is_opaque else self._function(value, path)
        if isinstance(value, types.MethodType):
            return [(value.__self__, path.rpartition(".")[0] or path), (value.__func__, path)]
        if isinstance(value, (types.BuiltinMethodType, types.MethodWrapperType)):
            return [] if isinstance(value.__self__, (types.ModuleType, type)) else [(value.__self__, path)]
        if isinstance(value, np.ndarray):
            if value.nbytes <= _MOST_BYTES:
                self._arrays.append((value, value.tobytes(), path))
            return ()
        if isinstance(value, _GENERATORS):
            self._generators.append((value, _state_of(value)))
            return ()
        if isinstance(value, functools.partial):
            return [(value.func, path), (value.args, path), (value.keywords, path)]
        if isinstance(value, (bytearray, array)):
            self._arrays.append((value, bytes(value), path))
            return ()
        if isinstance(value, types.MappingProxyType):
            return [(each, path) for each in gc.get_referents(value)]
        if isinstance(value, (ContextVar, weakref.ref)):
            get = functools.partial(value.get, ABSENT) if isinstance(value, ContextVar) else value
            return self._global(self._single(CALL, get, None, path), path)
        if isinstance(value, (attrgetter, methodcaller)):
            names = value.__reduce__()[1] if isinstance(value, attrgetter) else value.__reduce__()[1][:1]
            self._attributes |= {part for name in names for part in name.split(".")}
            return ()
        return self._object(value, path)

    def _container(self, value: Any, path: _Path) -> Iterable[tuple[Any, _Path]]:
        if not isinstance(value, (tuple, frozenset)):
            self._watch(value, path)
        if getattr(value, "__dict__", None):
            self._waiting.append((value, _text(path)))
        if len(value) > _MOST_ITEMS:
            return ()
        if isinstance(value, dict):
            return [(each, (path, key, True)) for key, each in value.items()]
        return [(each, (path, index, True)) for index, each in enumerate(value)]

    def _watch(self, container: Any, path: _Path) -> None:
        self._containers.append(container)
        self._lengths.append(len(container))
        self._paths.append(path)
        items = container.values() if isinstance(container, dict) else container
        self._items.append(tuple(items))
        self._keys.append(tuple(container) if isinstance(container, dict) else ())

    def count(self, container: Any, path: str) -> None:
        """Note the number of a container's items, such as hooks that would run."""
        self._counted.append((container, len(container), path))

    def paths(self) -> Iterable[tuple[TensorBase, str]]:
        """The tensors with their names: of those that a function names itself this name, of others the path to them."""
        named = {id(value): path.removeprefix("the global ") for (*_, value), path in self._singles}
        paths = [(tensor, _text(way)) for tensor, *_, way in self._memory]
        return [(tensor, min(path, named.get(id(tensor), path), key=len)) for tensor, path in paths]

    def _hooks_of(self, tensor: TensorBase, path: str) -> None:
        hooks = tensor._hooks
        for table in (*hooks.tensor.values(), hooks.tensor, hooks.before, hooks.after, hooks.accumulated):
            self.count(table, f"the hooks of {path}")

    def _single(self, kind: int, thing: Any, key: Any, path: str) -> Any:
        """Note one place; what it holds."""
        guard = Guard(kind, thing, key, None)
        value = guard.now()
        self._singles.append((guard._replace(value=value), path))
        return value

    def _item(self, attributes: Any, name: str, path: str) -> Any:
        """Note an item of a dict, or of what stands for one; `ABSENT` if there is none."""
        if isinstance(attributes, dict):
            return self._single(ITEM, attributes, name, path)
        return self._single(CALL, functools.partial(attributes.get, name, ABSENT), None, path)

    def _function(self, function: types.FunctionType, path: str) -> Iterable[tuple[Any, str]]:
        code = code_of(function.__code__)
        self._attributes |= code.attributes | (code.globals & _READ_ALL)
        self._single(CODE, function, None, f"the code of {path}")
        inside: list[tuple[Any, str]] = [(function.__defaults__, f"the defaults of {path}")]
        inside.append((function.__kwdefaults__, f"the defaults of {path}"))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            inside.append((self._single(CELL, cell, None, name), name))
        if vars(function):
            self._waiting.append((function, path))
            inside.append((vars(function).get("__wrapped__"), path))
        package = function.__globals__.get("__package__") or ""
        for name in sorted(code.imports):
            for module in filter(None, map(sys.modules.get, (name, name.partition(".")[0], f"{package}.{name}"))):
                inside += self._global(module, name)
        for name in sorted(code.globals):  # one that is not there may come, and hide a built-in
            inside += self._global(self._item(function.__globals__, name, f"the global {name}"), name)
        return inside

    def _global(self, value: Any, name: str) -> Iterable[tuple[Any, str]]:
        """What is seen through a global name."""
        if isinstance(value, types.ModuleType):
            if not is_library(value.__name__):
                self._waiting.append((value, name))
            return ()
        return () if value is ABSENT else [(value, name)]

    def _object(self, value: Any, path: str) -> Iterable[tuple[Any, _Path]]:
        cls = type(value)
        if getattr(cls, "_replay_opaque", False):
            return ()
        if isinstance(value, types.ModuleType):
            return self._global(value, path)
        if isinstance(value, type):
            if is_foreign(value):
                self._waiting.append((value, path))
            return ()
        attributes = getattr(value, "__dict__", None)
        if hasattr(cls, "_replay_options"):
            self.named.append((value, path))
            return self._optimizer(value, path)
        if hasattr(cls, "_parameters"):
            self.named.append((value, path))
            return self._module(value, path)
        if is_foreign(cls) or (attributes is not None and cls.__module__.partition(".")[0] != "numgrad"):
            self._waiting.append((value, path))
        return [(value.__wrapped__, path)] if attributes and "__wrapped__" in attributes else ()

    def _module(self, module: Any, path: str) -> Iterable[tuple[Any, _Path]]:
        """A module: its tables, its numbers, and what else the code names."""
        attributes = module.__dict__
        inside: list[tuple[Any, _Path]] = []
        for table in type(module)._replay_tables:
            if id(table) not in self._seen:
                self._seen[id(table)] = table
                self.count(table, "the hooks of all modules")
        if not is_foreign(type(module)):
            self._watch(attributes, (path, "", False))
            skipped = type(module)._replay_skips
            return [(each, (path, name, False)) for name, each in attributes.items() if name not in skipped]
        for name, each in list(attributes.items()):
            if name in type(module)._replay_skips:
                continue
            if name.startswith("_") or isinstance(each, (*_PLAIN, TensorBase)):
                self._item(attributes, name, f"{path}.{name}")
                inside.append((each, (path, name, False)))
        self._waiting.append((module, path))
        return inside

    def _optimizer(self, optimizer: Any, path: str) -> Iterable[tuple[Any, str]]:
        inside: list[tuple[Any, str]] = [(optimizer.state, f"{path}.state")]
        self._watch(optimizer.param_groups, f"{path}.param_groups")
        for name in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
            self.count(getattr(optimizer, name), f"{path}.{name}")
        self._item(optimizer.__dict__, "step", f"{path}.step")
        if is_foreign(type(optimizer)):
            self._waiting.append((optimizer, path))
        for name in ("param_groups", "state"):
            self._item(optimizer.__dict__, name, f"{path}.{name}")
        for number, group in enumerate(optimizer.param_groups):
            for name in group:
                where = f"{path}.param_groups[{number}][{name!r}]"
                if name in optimizer._replay_switches:
                    self._single(SWITCH, group, name, where)
                elif name not in optimizer._replay_options:
                    inside.append((self._item(group, name, where), where))
        return inside

    def _attributes_of(self, value: Any, path: str) -> Iterable[tuple[Any, str]]:
        """The attributes that the code names, of an object of the user's, its class, or a Python module."""
        inside: list[tuple[Any, str]] = []
        known = self._named.get(id(value))
        attributes = getattr(value, "__dict__", {})
        if known is None:
            known = self._named[id(value)] = set()
            if not isinstance(value, types.ModuleType):
                self.count(attributes, f"the attributes of {path}")
            if isinstance(value, type):
                inside += [(each, each.__name__) for each in value.__mro__[1:]]
            elif not isinstance(value, (types.ModuleType, types.FunctionType)):
                self._single(CALL, functools.partial(getattr, value, "__class__"), None, f"the class of {path}")
                inside += [(each, each.__name__) for each in type(value).__mro__]
        if isinstance(value, types.ModuleType):
            named = self._attributes - known if attributes else set()  # what is not there may come
        elif self._attributes & _READ_ALL or _is_looked_up_by_libraries(value.__class__):
            named = attributes.keys() - known
        else:
            named = (self._attributes & attributes.keys()) - known
        if isinstance(value, type):
            bases = [each for each in value.__mro__ if each is not object and not is_foreign(each)]
            called = {name for name in attributes if name.startswith("__") or any(name in vars(each) for each in bases)}
            named |= {name for name in called if isinstance(_function_of(attributes[name]), types.FunctionType)} - known
            named -= _MAKING - self._attributes
        for name in named:
            known.add(name)
            if name not in getattr(type(value), "_replay_skips", ()):
                each = self._item(attributes, name, f"{path}.{name}")
                if isinstance(value, type):
                    each = _function_of(each)
                inside += self._global(each, f"{path}.{name}")
        for name in () if isinstance(value, type) else (self._attributes & _slots_of(value.__class__)) - known:
            known.add(name)
            get = functools.partial(getattr, value, name, ABSENT)
            inside.append((self._single(CALL, get, None, f"{path}.{name}"), f"{path}.{name}"))
        self._waiting.append((value, path))
        return inside

    # ---- comparing ----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Called after the last `look`."""
        self._waiting = []

    def guards(self) -> list[Guard]:
        """The guards of all that was seen, but for arrays."""
        guards = [guard for guard, _ in self._singles]
        for container, length, items, keys in zip(
            self._containers, self._lengths, self._items, self._keys, strict=True
        ):
            guards.append(Guard(SIZE, container, None, length))
            if keys and isinstance(container, OrderedDict):  # it has an order of its own
                guards.append(Guard(CALL, functools.partial(_has_order, container, keys), None, True))
            if isinstance(container, list) and length <= _MOST_ITEMS:
                guards += [Guard(AT, container, index, each) for index, each in enumerate(items)]
            elif keys and length <= _MOST_ITEMS:
                guards += [Guard(ITEM, container, key, each) for key, each in zip(keys, items, strict=True)]
            elif items:  # it is seldom
                guards.append(Guard(CALL, functools.partial(_is_made_of, container, keys, items), None, True))
        guards += [Guard(SIZE, container, None, length) for container, length, _ in self._counted]
        for tensor, address, spec, requires_grad, hooks, _ in self._memory:
            held = {"_address": address, "_spec": spec, "_requires_grad": requires_grad, "_hooks": hooks}
            guards += [Guard(SLOT, tensor, name, value) for name, value in held.items()]
        return guards

    @property
    def has_arrays(self) -> bool:
        """Whether values of arrays are compared."""
        return bool(self._arrays)

    def has_drawn(self) -> bool:
        """Whether a generator of Python's or NumPy's, which the step sees, is in another state."""
        return any(_state_of(each) != state for each, state in self._generators)

    def array_difference(self) -> str | None:
        for each, values, path in self._arrays:
            if (each.tobytes() if isinstance(each, np.ndarray) else bytes(each)) != values:
                return f"the values of the array {path} have changed"
        return None

    def difference(self) -> str | None:
        """The first thing that is not what it was, and how; None if everything is."""
        for guard, path in self._singles:
            now, value = guard.now(), guard.value
            if now is not value and not same(now, value):
                return f"{path} was {_short(value)} and is {_short(now)}"
        for container, way, items, keys in zip(self._containers, self._paths, self._items, self._keys, strict=True):
            if _is_made_of(container, keys, items):
                continue
            now, path = tuple(container.values() if isinstance(container, dict) else container), _text(way)
            if len(now) != len(items):
                return f"{path.rstrip('.')} had {len(items)} items and has {len(now)}"
            for one, other in zip(keys, container if keys else (), strict=True):
                if not same(one, other):
                    return f"{path.rstrip('.')} had the key {_short(one)} and has {_short(other)}"
            for index, (one, other) in enumerate(zip(items, now, strict=True)):
                if not same(one, other):
                    key = keys[index] if keys else index
                    where = f"{path}{key}" if path.endswith(".") else f"{path}[{_short(key)}]"
                    return f"{where} was {_short(one)} and is {_short(other)}"
        for container, length, path in self._counted:
            if len(container) != length:
                return f"{path} were {length} and are {len(container)}"
        for tensor, address, spec, requires_grad, hooks, way in self._memory:
            if tensor._address != address or tensor._spec is not spec:
                return f"{_text(way)} has other memory or another layout"
            if tensor._requires_grad is not requires_grad:
                return f"requires_grad of {_text(way)} was {requires_grad}"
            if tensor._hooks is not hooks:
                return f"hooks of {_text(way)} have changed"
        return self.array_difference()


def _is_made_of(container: Any, keys: tuple[Any, ...], items: tuple[Any, ...]) -> bool:
    """Whether a container has these very items, and keys if it is a dict."""
    now = container.values() if isinstance(container, dict) else container
    return len(container) == len(items) and all(map(is_, now, items)) and all(map(is_, container if keys else (), keys))


def _has_order(container: Any, keys: tuple[Any, ...]) -> bool:
    """Whether a dict has these keys in this order."""
    return len(container) == len(keys) and all(map(same, container, keys))


def _function_of(member: Any) -> Any:
    """The function of a method or a property of a class; other members as they are."""
    for name in ("__func__", "fget", "func"):
        member = getattr(member, name, None) or member
    return member


@functools.lru_cache(1024)
def _is_looked_up_by_libraries(cls: type) -> bool:
    """Whether methods of a library's class, which are not looked into, return what its objects keep by keys or names."""
    for name in ("__getitem__", "__getattr__", "__call__"):
        base = next((each for each in cls.__mro__ if name in vars(each)), cls)
        if not is_foreign(base) and base.__module__.partition(".")[0] != "numgrad" and name in vars(base):
            return True
    return False


@functools.lru_cache(1024)
def _slots_of(cls: type) -> frozenset[str]:
    """The slots of the user's classes among a class and its bases."""
    members = [(name, each) for base in cls.__mro__ if is_foreign(base) for name, each in vars(base).items()]
    return frozenset(name for name, each in members if isinstance(each, types.MemberDescriptorType))


def _state_of(generator: Any) -> str:
    """The state of a generator of Python's or NumPy's."""
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    return repr(generator.getstate() if isinstance(generator, random.Random) else generator.get_state())


def _text(way: _Path) -> str:
    """A way to an object as messages have it."""
    if isinstance(way, str):
        return way
    path, key, is_item = _text(way[0]), way[1], way[2]
    if is_item:
        return f"{path}[{key!r}]" if isinstance(key, _PLAIN) else path
    return path if key in ("_parameters", "_buffers", "_modules") else f"{path}.{key}"


def _short(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)[:60]
    if value is ABSENT:
        return "absent"
    if isinstance(value, TensorBase):
        return f"a tensor of {list(value._spec.shape)}"
    return f"another {type(value).__name__}"


def random_states() -> Any:
    """The states of the global generators of Python and NumPy, as something to compare."""
    state: Any = np.random.get_state()
    return random.getstate(), state[1].tobytes(), state[2:]
