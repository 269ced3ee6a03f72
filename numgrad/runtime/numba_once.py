"""What Numba asks again and again while it compiles a kernel, asked once: each function makes a stand-in from the original.

`numba_changes` has the table of them, with the reasons. Numba is imported when a stand-in is made.
"""

from __future__ import annotations

import contextlib
import dis
import operator
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any

# What is remembered while one kernel is compiled, and forgotten after it (`numba_changes.applied`).
attributes_seen: dict[Any, Any] = {}
values_seen: dict[int, tuple[Any, Any]] = {}


def forget() -> None:
    """Let go of what was remembered for one kernel."""
    attributes_seen.clear()
    values_seen.clear()


def without_caches(original: Any) -> Any:
    cache = dis.opmap.get("CACHE")

    def _unpack_opargs(code: bytes) -> Iterator[Any]:
        before = None
        for offset, operation, argument, following in original(code):
            if operation == cache and before is not None:
                before = (*before[:3], following)
                continue
            if before is not None:
                yield before
            before = offset, operation, argument, following
        if before is not None:
            yield before

    return _unpack_opargs


def leave_as_it_is(original: Any) -> Any:
    def peephole(func_ir: Any) -> Any:
        return func_ir

    return peephole


def by_class(original: Any) -> Any:
    from numba.core import ir

    ways: dict[type, int] = {}

    def way_of(kind: type) -> int:
        order = (ir.Var, ir.Inst, (list, tuple), dict)
        ways[kind] = next((way for way, each in enumerate(order) if issubclass(kind, each)), 4)
        return ways[kind]

    def collect(value: Any, variables: list[Any]) -> None:
        kind = type(value)
        way = ways.get(kind)
        if way is None:
            way = way_of(kind)
        if way == 4:
            return
        if way == 0:
            variables.append(value)
        elif way == 1:
            variables += value.list_vars()
        else:
            for each in value if way == 2 else value.values():
                collect(each, variables)

    def _rec_list_vars(self: Any, val: Any) -> list[Any]:
        variables: list[Any] = []
        collect(val, variables)
        return variables

    return _rec_list_vars


class _Context:
    """`numba.core.errors.new_error_context`, which does its work where there is an error."""

    __slots__ = ("arguments", "original", "words")

    def __init__(self, original: Any, arguments: tuple[Any, ...], words: dict[str, Any]) -> None:
        self.original, self.arguments, self.words = original, arguments, words

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            with self.original(*self.arguments, **self.words):
                raise error


def only_for_errors(original: Any) -> Any:
    def new_error_context(fmt_: str, *args: Any, **kwargs: Any) -> Any:
        return _Context(original, (fmt_, *args), kwargs)

    return new_error_context


def as_they_come(original: Any) -> Any:
    nothing = contextlib.nullcontext()

    def catch_warnings(self: Any, filename: Any = None, lineno: Any = None) -> Any:
        return nothing

    return catch_warnings


def one_attribute_once(original: Any) -> Any:
    def resolve_getattr(self: Any, typ: Any, attr: str) -> Any:
        key = self, typ, attr
        if key not in attributes_seen:
            kind = original(self, typ, attr)
            if kind is None:
                return None
            attributes_seen[key] = kind
        return attributes_seen[key]

    return resolve_getattr


def one_function_once(original: Any) -> Any:
    def resolve_value_type(self: Any, val: Any) -> Any:
        if not isinstance(val, (BuiltinFunctionType, FunctionType, type)):
            return original(self, val)
        seen = values_seen.get(id(val))
        if seen is None:
            values_seen[id(val)] = seen = val, original(self, val)
        return seen[1]

    return resolve_value_type


def if_something_is_new(original: Callable[..., None]) -> Any:
    from numba.core import types

    recursion: Any = types.RecursiveCall  # what it returns may change meanwhile

    def resolve(self: Any, typeinfer: Any, typevars: Any, fnty: Any) -> None:
        names = [each.name for each in self.args] + [each.name for _, each in self.kws]
        if self.vararg is not None:
            names.append(self.vararg.name)
        kinds = [typevars, fnty, *(typevars[name].type for name in names)]
        before = vars(self).get("_numgrad_kinds")
        if self.signature is not None and before is not None and all(map(operator.is_, before, kinds)):
            return
        original(self, typeinfer, typevars, fnty)
        self._numgrad_kinds = None if isinstance(fnty, recursion) else kinds

    return resolve
