"""Python numbers as 0-d tensors, kept, so that ``x * 2`` costs no more than ``x * y``."""

from __future__ import annotations

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.engine import dispatch
from numgrad.engine.tape import TensorBase
from numgrad.layout import spec_of
from numgrad.runtime.memory import allocate

_MOST_KEPT = 1 << 12
_kept: dict[tuple[Dtype, str], TensorBase] = {}


def constant(value: float, dtype: Dtype) -> TensorBase:
    """A 0-d tensor of this value. It is shared: never change it."""
    key = (dtype, repr(value))  # repr tells -0.0 from 0.0
    found = _kept.get(key)
    if found is None:
        storage = allocate(dtype.itemsize)
        with np.errstate(over="ignore"):
            np.asarray(storage).view(dtype.numpy)[0] = _wrapped(value, dtype)
        found = dispatch.tensor_class(storage, spec_of(dtype, ()), storage.address)
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = found
    return found


def _wrapped(value: float, dtype: Dtype) -> float:
    """An int that an integer dtype does not have counts on from its other end, as sums and products of that dtype do.

    Raises
    ------
    OverflowError
        The int has more than 64 bits.
    """
    if dtype.category != 1 or dtype.smallest <= value <= dtype.largest or not isinstance(value, int):
        return value
    if not -(1 << 63) <= value < 1 << 64:
        raise OverflowError(f"int too big to convert: {value} has more than 64 bits")
    bits = 8 * dtype.itemsize
    wrapped = value & ((1 << bits) - 1)
    return wrapped - (1 << bits) if wrapped > dtype.largest else wrapped


def is_constant(tensor: TensorBase) -> bool:
    """Whether this tensor is a Python number that others may be using as well."""
    return tensor._spec.ndim == 0 and any(tensor is kept for kept in tuple(_kept.values()))
