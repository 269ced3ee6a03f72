"""Nested sequences of numbers as arrays: the dtype by what is in them, and each number with all of its digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase
from numgrad.tensor.arguments import as_number, dtype_of_number, number_within

_PYTHONS = {bool, int, float}


def array_of(data: Any, chosen: Dtype | None) -> tuple[np.ndarray, Dtype]:
    """A number, or sequences of numbers, arrays, and tensors of one element, as an array, and its dtype: ``chosen``.

    Without that, it is the one to which all dtypes in the data are promoted: numbers of Python have the default dtype, int64
    or bool, all else has its own.

    Raises
    ------
    ValueError
        The sequences are not of one length, hold tensors of more than one element, or an int of more than 64 bits.
    TypeError
        Numbers and sequences are mixed, or something has no dtype.
    RuntimeError
        Something is no number, or the dtype does not have it.
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
    """Goes through nested sequences once, and notes the dtypes of what is in them."""

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
            for dim, (extent, wanted) in enumerate(zip(other, shape, strict=True), depth + 1):
                if extent != wanted:
                    raise ValueError(f"tensor: expected sequence of length {wanted} at dim {dim} (got {extent})")
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
    """Whether torch would index it: lists, tuples, ranges, and classes that behave so; no text, mapping or set."""
    if isinstance(data, (list, tuple)):
        return True
    if isinstance(data, (str, bytes, Mapping, TensorBase, np.ndarray, np.generic)):
        return False
    return isinstance(data, Sequence) or (hasattr(data, "__getitem__") and hasattr(data, "__len__"))
