"""Tensors in memory that processes share."""

from __future__ import annotations

import mmap
import weakref

import numpy as np

from numgrad.engine.tape import tensor_over
from numgrad.layout import spec_of
from numgrad.runtime.memory import Storage
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

# Not a WeakSet; see `inference`.
_storages: set[weakref.ref[Storage]] = set()


def is_shared(storage: Storage) -> bool:
    """Whether the memory is what `shared` has made."""
    return weakref.ref(storage.root) in _storages


def shared(tensor: Tensor) -> Tensor:
    """The values in new memory, which this process shares with those that are forked from it later.

    >>> import numgrad as ng
    >>> shared(ng.ones(2))
    tensor([1., 1.])
    """
    nbytes = tensor.numel() * tensor.element_size()
    if not nbytes:
        return tensor
    memory = creation.from_numpy(np.frombuffer(mmap.mmap(-1, nbytes), np.uint8))
    _storages.add(weakref.ref(memory._storage.root, _storages.discard))
    copied: Tensor = tensor_over(Tensor, memory._storage, spec_of(tensor.dtype, tensor.shape), memory._address)
    return copied.copy_(tensor.detach())
