"""The memory of tensors as an object: `UntypedStorage`, which is bytes, and `TypedStorage`, which is elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numgrad.devices import CPU
from numgrad.devices import device as Device
from numgrad.dtypes import dtype as Dtype
from numgrad.engine import private
from numgrad.engine.tape import modes
from numgrad.tensor import creation, sharing
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


class UntypedStorage:
    """The bytes that a tensor and its views share; made by `Tensor.untyped_storage`.

    Two are equal if they are the same memory. Bytes are read and not written: a tensor is there for that.

    >>> import numgrad as ng
    >>> x = ng.zeros(2, 3)
    >>> x[1].untyped_storage() == x.untyped_storage(), x.untyped_storage().nbytes()
    (True, 24)
    """

    def __init__(self, tensor: Tensor) -> None:
        private.expose(tensor)
        if modes.capture is not None:
            modes.capture.reads(tensor)
        self._root = tensor._storage.root

    @property
    def device(self) -> Device:
        """The CPU."""
        return CPU

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._root.address

    def nbytes(self) -> int:
        """The number of bytes, as `size` and `len`."""
        return self._root.nbytes

    size = nbytes

    def __len__(self) -> int:
        return self._root.nbytes

    def element_size(self) -> int:
        """1, since the elements are bytes."""
        return 1

    def is_shared(self) -> bool:
        """Whether processes that are forked from this one see what changes; see `Module.share_memory`."""
        return sharing.is_shared(self._root)

    def __getitem__(self, index: int) -> int:
        if not isinstance(index, (int, np.integer)) or isinstance(index, bool):
            raise TypeError(f"can't index a numgrad.UntypedStorage with {type(index).__name__}")
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} out of range for storage of size {len(self)}")
        return int(np.asarray(self._root)[index])

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def tolist(self) -> list[int]:
        """The bytes as ints."""
        return np.asarray(self._root).tolist()  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other._root is self._root

    def __hash__(self) -> int:
        return hash(id(self._root))

    def __repr__(self) -> str:
        return f"[numgrad.UntypedStorage(device=cpu) of size {len(self)}]"


class TypedStorage:
    """The elements that a tensor and its views share, in the order of memory; made by `Tensor.storage`.

    >>> import numgrad as ng
    >>> ng.tensor([[1.0, 2.0], [3.0, 4.0]]).t().storage().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, tensor: Tensor) -> None:
        self._bytes = UntypedStorage(tensor)
        self._dtype = tensor.dtype

    @property
    def device(self) -> Device:
        """The CPU."""
        return CPU

    @property
    def dtype(self) -> Dtype:
        """The type of the elements."""
        return self._dtype

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return self._bytes

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._bytes.data_ptr()

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._bytes.nbytes()

    def size(self) -> int:
        """The number of elements, as `len`."""
        return self.nbytes() // self.element_size()

    def __len__(self) -> int:
        return self.size()

    def element_size(self) -> int:
        """The bytes of one element."""
        return self._dtype.itemsize

    def is_shared(self) -> bool:
        """As `UntypedStorage.is_shared`."""
        return self._bytes.is_shared()

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        if not isinstance(index, (int, np.integer)) or isinstance(index, bool):
            raise RuntimeError(f"can't index a numgrad.TypedStorage with {type(index).__name__}")
        return self.tolist()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        elements = creation.empty(self.size(), dtype=self._dtype)
        elements._array().view(np.uint8)[...] = np.asarray(self._bytes._root)[: elements.nbytes]
        return elements.tolist()  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedStorage) and (other._bytes, other._dtype) == (self._bytes, self._dtype)

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __repr__(self) -> str:
        return f"[numgrad.TypedStorage(dtype={self._dtype}, device=cpu) of size {len(self)}]"


@public("method", asks=True)
def untyped_storage(input: Tensor) -> UntypedStorage:
    """The memory that this tensor shares with its views, as bytes.

    >>> import numgrad as ng
    >>> x = ng.zeros(3)
    >>> x[1:].untyped_storage().data_ptr() == x.data_ptr()
    True
    """
    return UntypedStorage(input)


@public("method", asks=True)
def storage(input: Tensor) -> TypedStorage:
    """The memory that this tensor shares with its views, as elements.

    >>> import numgrad as ng
    >>> len(ng.zeros(2, 3)[0].storage())
    6
    """
    return TypedStorage(input)


@public("function", asks=True)
def is_storage(obj: Any) -> bool:
    """Whether an object is the memory of a tensor.

    >>> import numgrad as ng
    >>> x = ng.zeros(2)
    >>> ng.is_storage(x.untyped_storage()), ng.is_storage(x)
    (True, False)
    """
    return isinstance(obj, (UntypedStorage, TypedStorage))


@public("method")
def is_set_to(input: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors are the same window on the same memory.

    Raises
    ------
    TypeError
        The other is no tensor.

    >>> import numgrad as ng
    >>> x = ng.zeros(2)
    >>> x.is_set_to(x[:]), x.is_set_to(x[1:])
    (True, False)
    """
    check_tensor("is_set_to", "tensor", tensor)
    if input._storage.root is not tensor._storage.root or input._address != tensor._address:
        return False
    return bool(input.shape == tensor.shape and input.stride() == tensor.stride())


@public("method", asks=True)
def is_shared(input: Tensor) -> bool:
    """Whether processes that are forked from this one see what changes in the tensor; see `Module.share_memory`.

    >>> import numgrad as ng
    >>> ng.zeros(2).is_shared(), ng.nn.Linear(2, 2).share_memory().weight.is_shared()
    (False, True)
    """
    return sharing.is_shared(input._storage)


@public("method")
def to_dense(input: Tensor, dtype: Dtype | None = None, *, masked_grad: bool | None = None) -> Tensor:
    """The tensor itself, since it is dense; in another dtype, if one is given.

    Raises
    ------
    TypeError
        The dtype is none.

    >>> import numgrad as ng
    >>> x = ng.ones(2)
    >>> x.to_dense() is x
    True
    """
    return input if dtype is None else input.to(dtype)


@public("method", asks=True)
def dense_dim(input: Tensor) -> int:
    """The number of dimensions, all of which are dense.

    >>> import numgrad as ng
    >>> ng.ones(2, 3).dense_dim(), ng.ones(2, 3).sparse_dim()
    (2, 0)
    """
    return input._spec.ndim


@public("method", asks=True)
def sparse_dim(input: Tensor) -> int:
    """The number of sparse dimensions: 0.

    >>> import numgrad as ng
    >>> ng.ones(2, 3).sparse_dim()
    0
    """
    return 0
