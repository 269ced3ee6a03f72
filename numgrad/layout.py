"""Shapes and strides: what a tensor is apart from its memory. Strides count elements; pure functions, no kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from numgrad.dtypes import dtype


class Size(tuple[int, ...]):
    """A shape; prints and counts as torch's.

    >>> Size((2, 3))
    numgrad.Size([2, 3])
    >>> Size((2, 3)).numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements."""
        return product(self)

    def __repr__(self) -> str:
        return f"numgrad.Size({list(self)})"


def product(numbers: Sequence[int]) -> int:
    """The product of ints; 1 for none."""
    result = 1
    for number in numbers:
        result *= number
    return result


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides.

    >>> contiguous_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return tuple(strides)


def strides_in_order(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Dense strides when the axes lie in memory in this order, outermost first.

    >>> strides_in_order((2, 3, 4, 5), (0, 2, 3, 1))
    (60, 1, 15, 3)
    """
    strides = [1] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def channels_last_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a tensor N C H W that lies in memory as N H W C."""
    return strides_in_order(shape, (0, *range(2, len(shape)), 1))


class Spec:
    """dtype, shape and strides of a tensor, interned: equal specs are usually one object, so they hash by identity.

    Two equal specs that are two objects cost a plan made twice, nothing else.
    """

    __slots__ = ("dtype", "extent", "is_contiguous", "is_dense", "ndim", "numel", "shape", "strides")

    def __init__(self, dtype: dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = Size(shape)
        self.strides = strides
        self.ndim = len(shape)
        self.numel = product(shape)
        self.extent = 0 if self.numel == 0 else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        self.is_contiguous = self.numel <= 1 or _same_order(shape, strides, contiguous_strides(shape))
        self.is_dense = self.is_contiguous or (self.extent == self.numel and not _overlaps(shape, strides))

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last element."""
        return self.extent * self.dtype.itemsize

    def is_channels_last(self) -> bool:
        """True if a tensor of four dimensions lies in memory as N H W C."""
        return self.ndim == 4 and (
            self.numel <= 1 or _same_order(self.shape, self.strides, channels_last_strides(self.shape))
        )

    def __repr__(self) -> str:
        return f"Spec({self.dtype.name}, {tuple(self.shape)}, strides={self.strides})"


_MOST_INTERNED: Final = 1 << 16
_interned: dict[tuple[dtype, tuple[int, ...], tuple[int, ...]], Spec] = {}


def spec_of(dtype: dtype, shape: Sequence[int], strides: Sequence[int] | None = None) -> Spec:
    """The spec with these facts; contiguous if no strides are given."""
    shape = tuple(shape)
    strides = contiguous_strides(shape) if strides is None else tuple(strides)
    key = (dtype, shape, strides)
    found = _interned.get(key)
    if found is None:
        if len(_interned) >= _MOST_INTERNED:
            _interned.clear()
        found = _interned[key] = Spec(dtype, shape, strides)
    return found


def output_strides(shape: tuple[int, ...], inputs: Sequence[Spec]) -> tuple[int, ...]:
    """Strides of a new result: those of the first dense input of this shape, else row-major."""
    for spec in inputs:
        if tuple(spec.shape) == shape and spec.is_dense and not spec.is_contiguous:
            return strides_in_order(shape, sorted(range(len(shape)), key=lambda axis: (-spec.strides[axis], axis)))
        if tuple(spec.shape) == shape and spec.is_contiguous:
            break
    return contiguous_strides(shape)


def _same_order(shape: Sequence[int], strides: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))


def _overlaps(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """True unless the strides are those of some dense order of the axes."""
    step = 1
    for stride, extent in sorted((s, n) for s, n in zip(strides, shape, strict=True) if n != 1):
        if stride != step:
            return True
        step *= extent
    return False
