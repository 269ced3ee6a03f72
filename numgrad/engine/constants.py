"""Python numbers as 0-d tensors, cached: ``x * 2`` costs no more than ``x * y``."""

from __future__ import annotations

from typing import Any

from numgrad import dtypes, registry
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32
from numgrad.engine import dispatch
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.layout import spec_of
from numgrad.runtime.memory import allocate

_MOST_CONSTANTS, _MARK = 1 << 12, object()
_constants: dict[tuple[Any, ...], TensorBase] = {}


def constant(value: float, dtype: Dtype) -> TensorBase:
    """A 0-d tensor of this value. It is shared: never change it."""
    key = (dtype, value.__class__, value or repr(value))  # tells 1 from True, and -0.0 from 0.0
    tensor = _constants.get(key)
    if tensor is None:
        if dtype.is_half:
            cast = registry.find("cast")
            storage = dispatch.dispatch(cast, (constant(value, float32),), cast.Params(dtype))._storage
        else:
            storage = allocate(dtype.itemsize)
            dtypes.write(storage.address, value, dtype)
        storage._owner = _MARK  # graphs may still use one that has left the cache
        tensor = tensor_over(dispatch.tensor_class, storage, spec_of(dtype, ()), storage.address)
        if len(_constants) >= _MOST_CONSTANTS:
            _constants.clear()
        _constants[key] = tensor
    return tensor


def is_constant(tensor: TensorBase) -> bool:
    """Whether this tensor is a cached Python number, which others may use as well."""
    return getattr(tensor._storage, "_owner", None) is _MARK
