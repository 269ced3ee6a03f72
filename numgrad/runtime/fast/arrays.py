"""`run_over`: a tensor over the memory of a NumPy array of a kind that is known, for `from_numpy`.

A table has the spec and the bytes by dtype and shape of the array. Where an array keeps its flags and its address is measured.
"""

from __future__ import annotations

import numpy as np

from numgrad.errors import KernelError
from numgrad.runtime.fast.edges import new_none, new_pair
from numgrad.runtime.fast.known import class_of
from numgrad.runtime.fast.layout import (
    ARG_ARRAY,
    ARG_TABLE,
    ARRAY_CLASS,
    ARRAY_DATA,
    ARRAY_FLAGS,
    DTYPE_NAME,
    SHAPE_NAME,
    STORAGE_ADDRESS,
    STORAGE_NBYTES,
    STORAGE_OWNER,
    STORAGE_TEMPLATE,
    TENSOR_TEMPLATE,
)
from numgrad.runtime.fast.results import fill_tensor
from numgrad.runtime.kernel import device
from numgrad.runtime.objects import (
    decref,
    dict_get,
    error_occurred,
    get_attribute,
    incref,
    new_like,
    put,
    put_new,
    tuple_get,
    words_of,
)
from numgrad.runtime.words import peek, word_to_python

_PLAIN = 0x0001 | 0x0100 | 0x0400  # NumPy's flags: row-major, aligned, writeable


@device
def over_array(words, args):
    """The tensor over an array's memory; None where Python has to make it, 0 for an error."""
    array = peek(args + ARG_ARRAY)
    if class_of(words, array) != peek(words + ARRAY_CLASS):
        return new_none(words)
    flags = peek(array + (peek(words + ARRAY_FLAGS) & -8)) >> 8 * (peek(words + ARRAY_FLAGS) & 7)
    if flags & _PLAIN != _PLAIN:
        return new_none(words)
    dtype = get_attribute(array, peek(words + DTYPE_NAME))
    key = new_pair(dtype, get_attribute(array, peek(words + SHAPE_NAME)) if dtype else 0)
    if key == 0:
        return 0
    entry = dict_get(peek(args + ARG_TABLE), key)
    decref(key)
    if entry == 0:
        return 0 if error_occurred() else new_none(words)
    incref(entry)
    address = word_to_python(peek(array + peek(words + ARRAY_DATA)))
    storage = new_like(words + peek(words + STORAGE_TEMPLATE))
    tensor = new_like(words + peek(words + TENSOR_TEMPLATE))
    if address and storage and tensor:
        put(storage + peek(words + STORAGE_ADDRESS), address)
        put(storage + peek(words + STORAGE_NBYTES), tuple_get(entry, 1))
        incref(array)
        put_new(storage + peek(words + STORAGE_OWNER), array)
        fill_tensor(words, tensor, storage, tuple_get(entry, 0), address)
    else:
        decref(tensor)
        tensor = 0
    decref(storage)
    decref(address)
    decref(entry)
    return tensor


def places() -> dict[str, int]:
    """Bytes from the start of an array to its flags and to its address.

    Raises
    ------
    KernelError
        One is not found: this NumPy lays out its arrays in another way.
    """
    arrays: list[np.ndarray] = [
        np.zeros((2, 3)),
        np.zeros((4, 5), np.float32),
        np.zeros((2, 3)).T,
        np.zeros((3, 2))[::2],
    ]
    arrays[1].flags.writeable = False
    words = [words_of(array) for array in arrays]
    data = [k for k in range(len(words[0])) if all(w[k] == a.ctypes.data for w, a in zip(words, arrays, strict=True))]
    flags = [
        4 * k
        for k in range(2 * len(words[0]))
        if all(
            w.view(np.int32)[k] & ~_OTHER_FLAGS == _flags_of(a) and w.view(np.int32)[k] > 0
            for w, a in zip(words, arrays, strict=True)
        )
    ]
    if len(data) != 1 or len(flags) != 1:
        raise KernelError("the address or the flags of an array are not found in its memory")
    return {"array_data": 8 * data[0], "array_flags": flags[0]}


_OTHER_FLAGS = 0x0004  # that it owns its memory


def _flags_of(array: np.ndarray) -> int:
    flags = array.flags
    return flags.c_contiguous * 0x1 + flags.f_contiguous * 0x2 + flags.aligned * 0x100 + flags.writeable * 0x400
