"""Inert records of a pickle's storages and tensors, checked with plain integers before any data are read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numgrad.serialization.dtypes import StoredDtype
from numgrad.serialization.errors import shortened

MAX_DIMS = 64


@dataclass(frozen=True, eq=False)
class StorageRecord:
    """A run of elements in the file; ``dtype`` is None where the file holds untyped bytes.

    ``location`` is the device from which it was saved.
    """

    key: str
    dtype: StoredDtype | None
    numel: int
    location: str = "cpu"

    @property
    def nbytes(self) -> int:
        """Bytes that the storage takes in the file."""
        return self.numel * (self.dtype.itemsize if self.dtype else 1)


@dataclass(frozen=True, eq=False)
class StorageView:
    """A run of a storage's elements; torch before 0.4 treated it as a storage of its own."""

    root: StorageRecord
    key: str
    offset: int
    numel: int

    dtype = property(lambda self: self.root.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes that the view takes."""
        return self.numel * self.root.nbytes // max(self.root.numel, 1)


@dataclass(frozen=True, eq=False)
class TensorRecord:
    """A strided view of a storage; offset and strides count elements of ``dtype``."""

    storage: StorageRecord
    dtype: StoredDtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.size)

    @property
    def covers_storage(self) -> bool:
        """Whether the elements are the whole storage in C order, so that no copy is needed."""
        return (
            self.offset == 0
            and self.numel * self.dtype.itemsize == self.storage.nbytes
            and self.stride == c_strides(self.size)
        )


def c_strides(size: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array; 0 for dimensions of extent 1, which are never stepped.

    Examples
    --------
    >>> c_strides((2, 1, 3))
    (3, 0, 1)
    """
    strides = []
    step = 1
    for extent in reversed(size):
        strides.append(step if extent > 1 else 0)
        step *= extent
    return tuple(reversed(strides))


def why_not_a_view(
    storage: StorageRecord | StorageView, dtype: StoredDtype, offset: object, size: object, stride: object
) -> str:
    """The reason why these fields do not describe a safe view of the storage, or '' if they do.

    NumPy's as_strided checks nothing, so only this function keeps a file from reaching foreign memory. All arithmetic uses
    Python's unbounded integers. ``type(x) is int`` excludes bools.

    Examples
    --------
    >>> from numgrad.serialization.dtypes import by_name
    >>> storage = StorageRecord("0", by_name("float32"), 6)
    >>> why_not_a_view(storage, by_name("float32"), 0, (2, 3), (3, 1))
    ''
    >>> why_not_a_view(storage, by_name("float32"), 1, (2, 3), (3, 1))
    'a tensor reaches element 6 of storage 0, which has 6'
    """
    if type(offset) is not int or offset < 0:
        return f"a tensor's storage offset is {_shown(offset)}, expected an integer of 0 or more"
    for label, values in (("size", size), ("stride", stride)):
        if type(values) is not tuple or not all(type(value) is int and value >= 0 for value in values):
            return f"a tensor's {label} is {_shown(values)}, expected a tuple of integers of 0 or more"
    assert isinstance(size, tuple)
    assert isinstance(stride, tuple)
    if len(size) != len(stride) or len(size) > MAX_DIMS:
        return f"a tensor has {len(size)} sizes and {len(stride)} strides, expected as many, and at most {MAX_DIMS}"
    if storage.nbytes % dtype.itemsize:
        return (
            f"storage {storage.key} has {storage.nbytes} bytes, which are not a whole number of {dtype.name} elements"
        )
    elements = storage.nbytes // dtype.itemsize
    if 0 in size:
        if math.prod(max(extent, 1) for extent in size) * max(dtype.itemsize, 8) >= 2**63:
            return f"a tensor has the shape {_shown(size)}, larger than an array can be"
        return ""
    last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
    if last >= elements:
        return f"a tensor reaches element {_shown(last)} of storage {storage.key}, which has {elements}"
    if math.prod(size) > elements:
        return (
            f"a tensor of shape {_shown(size)} repeats the elements of storage {storage.key}, which has {elements}; "
            "expanded tensors are not read: save x.clone()"
        )
    return ""


def without_idle_strides(size: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    """The strides with 0 for dimensions that are never stepped, where files may hold any number."""
    return tuple(step if extent > 1 else 0 for extent, step in zip(size, stride, strict=True))


def _shown(value: object) -> str:
    if type(value) is tuple and len(value) <= MAX_DIMS:
        return "(" + ", ".join(shortened(item) for item in value) + ("," if len(value) == 1 else "") + ")"
    return shortened(value)
