"""Python numbers as 0-d tensors, kept, so that ``x * 2`` costs no more than ``x * y``."""

from __future__ import annotations

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.engine import dispatch
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.layout import spec_of
from numgrad.runtime.memory import allocate

_MOST_KEPT, _MARK = 1 << 12, object()
_kept: dict[tuple[Dtype, str], TensorBase] = {}


def constant(value: float, dtype: Dtype) -> TensorBase:
    """A 0-d tensor of this value. It is shared: never change it."""
    key = (dtype, repr(value))  # repr tells -0.0 from 0.0
    tensor = _kept.get(key)
    if tensor is None:
        storage = allocate(dtype.itemsize)
        storage._owner = _MARK  # graphs go on using one that is not kept any more
        with np.errstate(over="ignore"):
            np.asarray(storage).view(dtype.numpy)[0] = dtype.wrapped(value)
        tensor = tensor_over(dispatch.tensor_class, storage, spec_of(dtype, ()), storage.address)
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = tensor
    return tensor


def is_constant(tensor: TensorBase) -> bool:
    """Whether this tensor is a Python number that others may be using as well."""
    return getattr(tensor._storage, "_owner", None) is _MARK
