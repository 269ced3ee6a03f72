"""`array_of`: nested sequences of numbers as arrays, each number with all of its digits. `creation.tensor` uses it."""

from __future__ import annotations

import ctypes
import itertools
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase
from numgrad.layout import product
from numgrad.tensor.arguments import as_number, dtype_of_number, number_within

_PYTHONS = {bool, int, float}


def array_of(data: Any, chosen: Dtype | None) -> tuple[np.ndarray, Dtype]:
    """The array of a number, or of nested sequences of numbers, arrays and tensors of one element; and its dtype.

    That is ``chosen`` or, if it is None, the dtype to which all dtypes in the data are promoted. Python numbers count as the
    default dtype, int64 or bool; everything else has its own dtype.

    Raises
    ------
    ValueError
        The sequences differ in length, or hold a tensor of more than one element or an int of more than 64 bits.
    TypeError
        Numbers and sequences are mixed, or an item has no dtype.
    RuntimeError
        An item is not a number, or the dtype does not have it.
    """
    reader = _Reader(chosen)
    values, _ = reader.read(data, 0)
    dtype = chosen or (reduce(dtypes.promote_types, reader.kinds) if reader.kinds else dtypes.get_default_dtype())
    if dtype.category == 1:
        return _integers(values, dtype, reader.has_floats), dtype
    if dtype is not dtypes.float32:
        return np.array(values, dtype.numpy), dtype
    with np.errstate(over="ignore"):
        return np.array(values, np.float32), dtype


def _integers(values: Any, dtype: Dtype, has_floats: bool) -> np.ndarray:
    if has_floats:
        objects = np.array(values, object)
        numbers = [number_within("tensor", value, dtype) for value in objects.ravel().tolist()]
        return np.array(numbers, np.int64).astype(dtype.numpy).reshape(objects.shape)
    try:
        integers = np.array(values, np.int64)
    except OverflowError:
        raise ValueError("tensor: Overflow when unpacking long long: an int has more than 64 bits") from None
    if dtype is dtypes.int64:
        return integers
    lowest = -dtype.largest if dtype.smallest == 0 else dtype.smallest
    if integers.size and (integers.min() < lowest or integers.max() > dtype.largest):
        raise RuntimeError(f"tensor: value cannot be converted to type {dtype.name} without overflow")
    return integers.astype(dtype.numpy)


class _Reader:
    """Reads nested sequences once, and notes the dtypes of their items."""

    def __init__(self, chosen: Dtype | None) -> None:
        self.chosen = chosen
        self.kinds: set[Dtype] = set()
        self.has_floats = False

    def read(self, data: Any, depth: int) -> tuple[Any, tuple[int, ...]]:
        """The data in lists and numbers of Python, and its shape."""
        if not _is_sequence(data):
            return self._read_item(data, depth)
        types = set(map(type, data))
        if types <= _PYTHONS:
            for kind in types:
                self.kinds.add(dtype_of_number(kind()))
            self.has_floats |= float in types
            return (data if isinstance(data, (list, tuple)) else list(data)), (len(data),)
        pairs = [self.read(item, depth + 1) for item in data]
        shape = pairs[0][1]
        for _, other in pairs:
            if len(other) != len(shape):
                raise TypeError(
                    f"tensor: numbers and sequences, or sequences of two depths, are mixed at dim {depth + 1}"
                )
            for dim, (extent, expected) in enumerate(zip(other, shape, strict=True), depth + 1):
                if extent != expected:
                    raise ValueError(f"tensor: expected sequence of length {expected} at dim {dim} (got {extent})")
        return [values for values, _ in pairs], (len(pairs), *shape)

    def _read_item(self, item: Any, depth: int) -> tuple[Any, tuple[int, ...]]:
        if isinstance(item, TensorBase):
            if item._spec.numel != 1:
                raise ValueError(
                    "tensor: only one element tensors can be converted to Python scalars; use stack or cat"
                )
            item = np.asarray(item._array().reshape(()))  # type: ignore[attr-defined]
        if isinstance(item, (np.ndarray, np.generic)):
            if self.chosen is None or item.dtype.kind not in "biuf":
                self.kinds.add(dtypes.from_numpy_dtype(item.dtype))
            self.has_floats |= item.dtype.kind == "f"
            # NumPy's longest floats remain its own in `tolist`.
            return item.astype("f8").tolist() if item.dtype.char == "g" else item.tolist(), item.shape
        number = as_number(item)
        if number is None:
            raise self._refusal(item, depth)
        self.kinds.add(dtype_of_number(number))
        self.has_floats |= isinstance(number, float)
        return number, ()

    def _refusal(self, item: Any, depth: int) -> Exception:
        name = type(item).__name__
        if isinstance(item, (str, bytes)):
            return (
                ValueError(f"too many dimensions '{name}'")
                if depth
                else TypeError(f"tensor: invalid data type '{name}'")
            )
        if self.chosen is not None or isinstance(item, complex):
            return TypeError(f"tensor: data holds a {name}, expected numbers (bool, int, float)")
        return RuntimeError(f"Could not infer dtype of {name}; tensor() takes numbers, sequences of them, and arrays")


def _is_sequence(data: Any) -> bool:
    """Whether torch would index the data: lists, tuples, ranges and similar classes, but no text, mapping or set."""
    if isinstance(data, (list, tuple)):
        return True
    if isinstance(data, (str, bytes, Mapping, TensorBase, np.ndarray, np.generic)):
        return False
    return isinstance(data, Sequence) or (hasattr(data, "__getitem__") and hasattr(data, "__len__"))


# ---- a few numbers -----------------------------------------------------------------------------------------------

_FEW = 64  # numbers for which the way through NumPy would take longer than they do
_EXACT = 1 << 53  # up to which ints are float64, and so are rounded but once to float32
_WRITERS: dict[Dtype, Callable[[int], Any]] = {
    dtypes.float32: ctypes.c_float.from_address,
    dtypes.float64: ctypes.c_double.from_address,
    dtypes.int64: ctypes.c_int64.from_address,
}
_CODES = {dtypes.float32: "f", dtypes.float64: "d", dtypes.int64: "q"}  # of `array`


def of_few(data: Any, chosen: Dtype | None, new: Callable[..., Any]) -> Any:
    """The tensor of a float or an int, or of a list, or list of lists, of a few of them; None for all else.

    ``new(dtype, shape, None)`` makes one without values.
    """
    kind = data.__class__
    if kind is float or kind is int:
        chosen = chosen or (dtypes.get_default_dtype() if kind is float else dtypes.int64)
        writer = _WRITERS.get(chosen)
        if (
            writer is None
            or (kind is int and not -_EXACT <= data <= _EXACT)
            or (kind is float and chosen.category == 1)
        ):
            return None
        single = new(chosen, (), None)
        writer(single._address).value = data
        return single
    shape: tuple[int, ...] = ()
    if kind is list:
        shape = (len(data),)
        if data and data[0].__class__ is list:
            shape = (len(data), len(data[0]))
            if any(row.__class__ is not list or len(row) != shape[1] for row in data) or product(shape) > _FEW:
                return None
            data = [*itertools.chain.from_iterable(data)]
    else:
        return None
    kinds = set(map(type, data)) if len(data) <= _FEW else set()
    if not kinds <= {int, float}:
        return None
    if kinds == {float}:
        chosen = chosen or dtypes.get_default_dtype()
    elif kinds == {int}:
        chosen = chosen or dtypes.int64
    code = _CODES.get(chosen) if kinds and chosen is not None else None
    if code is None or (code == "q" and kinds != {int}):
        return None
    if code != "q" and int in kinds and any(abs(each) > _EXACT for each in data):  # would be rounded twice
        return None
    try:
        numbers = array(code, data)
    except OverflowError:  # of whose text others know more
        return None
    tensor = new(chosen, shape, None)
    ctypes.memmove(tensor._address, numbers.buffer_info()[0], len(numbers) * numbers.itemsize)
    return tensor
