"""Plain values as JSON, which has only integers, texts, lists and objects here: everything else is an object with one key.

=====================  ===========================================================
JSON                   value
=====================  ===========================================================
integer, text, true    itself; so is null
``{"float": text}``    a float, in hexadecimal digits: all bits of it
``[...]``              a tuple
``{"dtype": name}``    a dtype
=====================  ===========================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.layout import PrivateStrides, Size, Spec, spec_of
from numgrad.registry import OPS, Op
from numgrad.serialization.errors import shortened

DTYPES = {
    each.name: each
    for each in (
        dtypes.bool_, dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64,
        dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64,
    )
}  # fmt: skip
MOST_DEPTH = 32
_MOST_DIMS = 64


class UnsavableError(Exception):
    """A value that a file cannot hold; the message says what it is."""


class MisfitError(Exception):
    """Something in a file that is not what a program has there; the message says what."""


def encoded(value: Any) -> Any:
    """A value for JSON.

    >>> encoded((1, 0.5, None, dtypes.float32))
    [1, {'float': '0x1.0000000000000p-1'}, None, {'dtype': 'float32'}]
    """
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if isinstance(value, float):
        return {"float": float.hex(float(value))}
    if type(value) in (tuple, Size):
        return [encoded(each) for each in value]
    if isinstance(value, Dtype):
        return {"dtype": value.name}
    raise UnsavableError(f"a {type(value).__name__}")


def decoded(value: Any, depth: int = 0) -> Any:
    """The value of `encoded`."""
    if depth > MOST_DEPTH:
        raise MisfitError("a value is nested too deeply")
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        if not -(1 << 63) <= value < 1 << 64:
            raise MisfitError("an integer has more than 64 bits")
        return value
    if type(value) is list:
        return tuple([decoded(each, depth + 1) for each in value])
    if type(value) is dict and len(value) == 1:
        ((kind, text),) = value.items()
        if kind == "float" and type(text) is str:
            return _float(text)
        if kind == "dtype" and type(text) is str and text in DTYPES:
            return DTYPES[text]
    raise MisfitError(f"{shortened(value)} is no value")


def _float(text: str) -> float:
    try:
        value = float.fromhex(text)
    except (ValueError, OverflowError):
        raise MisfitError(f"{shortened(text)} is no float") from None
    if float.hex(value) != text and not math.isnan(value):
        raise MisfitError(f"{shortened(text)} is no float of 64 bits")
    return value


def encoded_spec(spec: Spec) -> Any:
    """A spec for JSON: dtype, extents, strides, and whether the layout is private."""
    return [spec.dtype.name, list(spec.shape), list(spec.strides), spec.is_private]


def decoded_spec(value: Any) -> Spec:
    """The spec of `encoded_spec`, with strides that are not negative."""
    dtype, shape, strides, is_private = expect_list(value, "a spec", 4)
    if type(dtype) is not str or dtype not in DTYPES:
        raise MisfitError(f"{shortened(dtype)} is no dtype")
    extents, steps = (tuple([size(each, "an extent") for each in expect_list(v, "a spec")]) for v in (shape, strides))
    if len(extents) > _MOST_DIMS or len(extents) != len(steps):
        raise MisfitError("a spec has other strides than extents")
    try:
        spec = spec_of(DTYPES[dtype], extents, PrivateStrides(steps) if is_private is True else steps)
    except (RuntimeError, TypeError) as error:
        raise MisfitError(str(error)) from None
    if is_private is not False and not (is_private is True and spec.is_dense):
        raise MisfitError("a private layout is not dense")
    return spec


# ---- names of ops ---------------------------------------------------------------------------------------------------


def name_of(op: Op) -> list[Any]:
    """An op's name in the registry, and the keys that lead from there to an op that belongs to it.

    Raises
    ------
    UnsavableError
        It belongs to no op of the registry.
    """
    if OPS.get(op.name) is op:
        return [op.name]
    if op.origin is None:
        raise UnsavableError(f"the op {op.name}, which is not in the registry of ops")
    owner, key = op.origin
    return [*name_of(owner), encoded(key)]


def op_of(name: Any) -> Op:
    """The op of `name_of`."""
    first, *keys = expect_list(name, "the name of an op") or [None]
    if type(first) is not str or first not in OPS:
        raise MisfitError(
            f"there is no op {shortened(first)}; import what defines it before, or it is of another version of numgrad"
        )
    op = OPS[first]
    for key in keys:
        try:
            op = op.part(*expect_list(decoded_key(key), "the key of an op"))
        except (KeyError, TypeError, AttributeError, IndexError):
            raise MisfitError(f"the op {op.name} has no part {shortened(key)}") from None
    return op


def decoded_key(key: Any) -> list[Any]:
    """The key of an op that belongs to another one."""
    return list(decoded(expect_list(key, "the key of an op")))


# ---- expectations ---------------------------------------------------------------------------------------------------


def expect_list(value: Any, what: str, length: int | None = None) -> list[Any]:
    """The list, of this length."""
    if type(value) is not list or (length is not None and len(value) != length):
        raise MisfitError(
            f"{what} is {shortened(value)}, expected a list" + (f" of {length}" if length is not None else "")
        )
    return value


def expect_object(value: Any, what: str, keys: set[str]) -> dict[str, Any]:
    """The JSON object with exactly these keys."""
    if type(value) is not dict or set(value) != keys:
        raise MisfitError(f"{what} is {shortened(value)}, expected an object with {', '.join(sorted(keys))}")
    return value


def one_of(value: Any, what: str, check: Callable[[Any], bool]) -> Any:
    """The value, if the check says so."""
    if not check(value):
        raise MisfitError(f"{what} is {shortened(value)}")
    return value


def truth(value: Any, what: str) -> bool:
    """The bool."""
    return bool(one_of(value, what, lambda each: type(each) is bool))


def size(value: Any, what: str) -> int:
    """The integer, from 0 to 2**62."""
    return int(one_of(value, what, lambda each: type(each) is int and 0 <= each < 1 << 62))


def index(value: Any, what: str, count: int) -> int:
    """The integer, below ``count``."""
    return int(one_of(value, what, lambda each: type(each) is int and 0 <= each < count))
