"""`TensorReader`: makes arrays of tensor records. It applies strides, and limits the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numgrad.serialization.records import TensorRecord
from numgrad.serialization.source import ByteSource

MakeTensor = Callable[[np.ndarray, str, bool], Any]

# Tensors that overlap in the file become separate copies, so a small file could need much memory. The growth of real files
# is near 1 (near 2 for bfloat16, which widens to float32).
MAX_GROWTH = 4
FREE_GROWTH_BYTES = 16 << 20


def keep_array(array: np.ndarray, dtype_name: str, requires_grad: bool) -> np.ndarray:
    """The default of ``make_tensor``: the array itself."""
    return array


@dataclass(frozen=True)
class Options:
    """Options of reading; `api.load` describes them."""

    make_tensor: MakeTensor = keep_array
    verify: bool = True
    skip: bool = False
    encoding: str | None = None
    locate: Callable[[str], None] | None = None


class TensorReader:
    """Makes the tensors of one checkpoint.

    Every array is C-contiguous, aligned, writable, in native byte order and independent of the file. Tensors that were the
    same view of one storage get the same array, so tied weights stay tied. Tensors that overlap in another way may become
    copies.
    """

    def __init__(
        self,
        source: ByteSource,
        storages: dict[str, np.ndarray],
        make_tensor: MakeTensor,
        byteorder: str = "little",
    ) -> None:
        self._source = source
        self._storages = storages
        self._make_tensor = make_tensor
        self._byteorder = byteorder
        self._arrays: dict[tuple[object, ...], np.ndarray] = {}
        self._budget = FREE_GROWTH_BYTES + MAX_GROWTH * source.size

    def __call__(self, record: TensorRecord) -> Any:
        """The tensor of a record."""
        identity = (record.storage.key, record.dtype.name, record.offset, record.size, record.stride)
        array = self._arrays.get(identity)
        if array is None:
            array = self._arrays[identity] = self._array(record)
        return self._make_tensor(array, record.dtype.name, record.requires_grad)

    def _array(self, record: TensorRecord) -> np.ndarray:
        dtype = record.dtype
        self._budget -= record.numel * dtype.array_dtype.itemsize
        if self._budget < 0:
            raise self._source.refusal(
                f"the tensors overlap so much that they would take more than {MAX_GROWTH} times the file's size; "
                "save x.clone() of each"
            )
        raw = self._storages[record.storage.key]
        try:
            if record.numel == 0:
                return np.empty(record.size, dtype.array_dtype)
            if record.covers_storage:
                return dtype.decode(raw, self._byteorder).reshape(record.size)
            first = record.offset * dtype.itemsize
            last = record.offset + sum(
                (extent - 1) * step for extent, step in zip(record.size, record.stride, strict=True)
            )
            elements = raw[first : (last + 1) * dtype.itemsize].view(dtype.code)
            strides = [step * dtype.itemsize for step in record.stride]
            view = np.lib.stride_tricks.as_strided(elements, record.size, strides, writeable=False)
            # One copy puts the elements in C order. Then they are decoded from bytes, as everywhere.
            in_order = np.array(view, order="C", copy=True).reshape(-1).view(np.uint8)
            return dtype.decode(in_order, self._byteorder).reshape(record.size)
        except ValueError as error:
            # Older versions of NumPy allow fewer dimensions than torch.
            raise self._source.refusal(f"NumPy has no array of {len(record.size)} dimensions: {error}") from None
