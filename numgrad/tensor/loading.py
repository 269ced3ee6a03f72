"""`loaded`: values of a checkpoint as tensors, from arrays of any layout, byte order and width. Modules and optimizers use it."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

# NumPy's dtypes that numgrad lacks, with dtypes that hold all of their values.
_WIDER = {"f2": np.float32, "u2": np.int32, "u4": np.int64, "u8": np.int64}


def loadable(value: Any) -> bool:
    """Whether a value of a checkpoint is a tensor, an array or a NumPy scalar."""
    return isinstance(value, (Tensor, np.ndarray, np.generic))


def loaded(value: Any) -> Tensor:
    """A tensor, array or NumPy scalar of a checkpoint as a tensor, over the array's own memory if possible.

    Arrays that are read-only, unaligned, of the other byte order or with negative strides are copied; float16 becomes
    float32, long double float64, and unsigned integers of two and more bytes signed ones that hold their values.

    Raises
    ------
    TypeError
        The array does not hold real numbers (complex, objects, text, times, records), or is masked.
    OverflowError
        An integer is too large for int64.

    >>> loaded(np.array([1, 2], ">f2")).dtype
    numgrad.float32
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("a masked array is not a tensor; pass array.filled(...)")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array of dtype {array.dtype} cannot be loaded, expected real numbers or booleans")
    code = f"{array.dtype.kind}{array.dtype.itemsize}"
    if code == "u8" and array.size and array.max() > np.iinfo(np.int64).max:
        raise OverflowError(f"uint64 {array.max()} is too large for int64")
    if code in _WIDER:
        array = array.astype(_WIDER[code])
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    usable = array.flags.aligned and array.flags.writeable and isinstance(value, np.ndarray)
    if not usable or any(step < 0 or step % array.itemsize for step in array.strides):
        array = np.array(array, order="C")
    return creation.from_numpy(array)
