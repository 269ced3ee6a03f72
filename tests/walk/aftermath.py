"""What has to hold after a call: its results can be read and used, nobody else's memory and no mode of the library has changed."""

from __future__ import annotations

from typing import Any

import numpy as np

import numgrad as ng
from tests.walk.scenes import flat

_MOST = 8  # results of a call that are looked at, and elements that are read
_MOST_ELEMENTS = 1 << 16
REFUSALS = (TypeError, ValueError, RuntimeError, IndexError, NotImplementedError, MemoryError)


class WrongError(Exception):
    """What is wrong with a call."""


def used(result: Any) -> None:
    """Read the results of a call, compute with them, go backward from them.

    Raises
    ------
    WrongError
        A result is no proper tensor, lies outside of its memory, or cannot be read or used.
    """
    for each in [each for each in flat(result) if isinstance(each, ng.Tensor)][:_MOST]:
        _proved(each)
        if each.numel() > _MOST_ELEMENTS:
            continue
        step = "reading"
        try:
            each._array().tobytes()
            repr(each)
            step = "an op on"
            (ng.logical_not(each) if each.dtype is ng.bool else each + each)._array().tobytes()
        except MemoryError:
            continue
        except Exception as error:
            raise WrongError(f"{step} the result: {type(error).__name__}: {error}") from error
        if each.requires_grad:
            try:
                each.sum().backward()
            except (*REFUSALS, LookupError) as error:  # such as one that a hook raised, or an op without a derivative
                if type(error).__name__ == "KernelError":
                    raise WrongError(f"backward from the result: {error}") from error
            except Exception as error:
                raise WrongError(f"backward from the result: {type(error).__name__}: {error}") from error


def _proved(tensor: ng.Tensor) -> None:
    """Shape and strides are ints that address nothing but the tensor's own storage."""
    spec, storage = tensor._spec, tensor._storage
    numbers = (*spec.shape, *spec.strides)
    if any(type(each) is not int for each in numbers) or type(tensor._address) is not int:
        raise WrongError(f"shape {spec.shape} and strides {spec.strides} are not all ints")
    if any(each < 0 for each in spec.shape):
        raise WrongError(f"shape {spec.shape} is negative")
    if spec.numel == 0:
        return
    pairs = [(extent - 1) * stride for extent, stride in zip(spec.shape, spec.strides, strict=True)]
    first = tensor._address + spec.dtype.itemsize * sum(min(each, 0) for each in pairs)
    last = tensor._address + spec.dtype.itemsize * (1 + sum(max(each, 0) for each in pairs))
    if first < storage.address or last > storage.address + storage.nbytes:
        raise WrongError(
            f"shape {spec.shape} and strides {spec.strides} go beyond the storage of {storage.nbytes} bytes"
        )


class Neighbours:
    """Blocks of the pool beside those that calls use, with contents that nothing has a right to change."""

    def __init__(self) -> None:
        self._blocks: list[tuple[ng.Tensor, bytes]] = []
        self._turn = 0

    def renew(self) -> None:
        """Put one neighbour elsewhere, so that other blocks are free in between."""
        self._turn += 1
        if len(self._blocks) > 24:
            del self._blocks[self._turn % len(self._blocks)]
        size = (1, 3, 8, 13, 17, 64, 200, 1000)[self._turn % 8]
        tensor = ng.full((size,), self._turn * 1.5)
        self._blocks.append((tensor, tensor._array().tobytes()))

    def disturb(self) -> None:
        """Change one, which is a fault that the walk's own test plants."""
        self._blocks[-1][0].data_ptr()
        self._blocks[-1][0].add_(1)

    def check(self) -> None:
        """Raise if the content of one has changed."""
        for tensor, content in self._blocks:
            if tensor._array().tobytes() != content:
                self._blocks.clear()
                raise WrongError(f"the memory of another tensor, of {tensor.numel()} elements, has changed")


def sane() -> None:
    """Modes are what they were, and simple things still are right: nothing that was refused lives on.

    Raises
    ------
    WrongError
        Something is not.
    """
    if not ng.is_grad_enabled() or ng.is_inference_mode_enabled() or ng.get_default_dtype() is not ng.float32:
        raise WrongError("grad mode, inference mode or the default dtype has changed")
    if ng.autograd.is_anomaly_enabled():
        raise WrongError("anomaly mode has changed")
    zeros = ng.zeros(13)
    if [type(each) for each in zeros.shape] != [int] or zeros.shape != (13,):
        raise WrongError(f"zeros(13) has shape {zeros.shape}")
    x = ng.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    ((x @ x).sum() + x[0].narrow(0, 1, 1).sum() * 2).backward()
    if not np.array_equal(x.grad._array(), [[7.0, 13.0], [9.0, 13.0]]):
        raise WrongError(f"a simple gradient is {x.grad.tolist()}")
