"""Shapes and strides: everything about a tensor but its memory. Strides count elements; pure functions, no kernels.

A layout is *private* if an op chose it for speed and no user asked for it: a convolution, say, writes its channels last.
Kernels see the private strides. Users see a row-major tensor, and it becomes one as soon as its memory itself is read
(`engine.private`).
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, SupportsIndex, overload

from numgrad import symbols
from numgrad.dtypes import dtype
from numgrad.errors import ShapeError


class Size(tuple[int, ...]):
    """A shape; prints and counts as torch's. Parts of it, and what is added to it, are shapes, too.

    Raises
    ------
    TypeError
        Something is no int.

    >>> Size((2, 3))
    numgrad.Size([2, 3])
    >>> Size((2, 3)).numel()
    6
    >>> (Size((2, 3, 4))[1:] + (5,)).numel()
    60
    """

    __slots__ = ()

    def __new__(cls, extents: Iterable[SupportsIndex] = ()) -> Size:
        numbers = tuple(extents)
        try:
            return tuple.__new__(cls, map(operator.index, numbers))
        except TypeError:
            for position, number in enumerate(numbers):
                if not hasattr(number, "__index__"):
                    raise TypeError(
                        f"numgrad.Size() takes an iterable of 'int' (item {position} is '{type(number).__name__}')"
                    ) from None
            raise

    def numel(self) -> int:
        """Number of elements.

        >>> Size((2, 3)).numel()
        6
        """
        return product(self)

    @overload  # type: ignore[override]
    def __getitem__(self, index: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> Size: ...

    def __getitem__(self, index: Any) -> Any:
        part = tuple.__getitem__(self, index)
        return tuple.__new__(Size, part) if type(part) is tuple else part

    def __add__(self, other: Any) -> Size:  # type: ignore[override]
        if not isinstance(other, tuple):
            raise TypeError(f"can only concatenate tuple (not {type(other).__name__}) to numgrad.Size")
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: Any) -> Size:
        return Size(other + tuple(self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: Any) -> Size:
        return tuple.__new__(Size, tuple.__mul__(self, count))

    __rmul__ = __mul__

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


class memory_format:  # noqa: N801 - torch's name
    """A layout that a user asks for: one of `contiguous_format`, `channels_last`, `preserve_format`.

    >>> channels_last
    numgrad.channels_last
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"numgrad.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")
preserve_format = memory_format("preserve_format")
_FORMATS: Final = {each.name: each for each in (contiguous_format, channels_last, preserve_format)}


def as_memory_format(name: str, value: Any, ndim: int) -> memory_format:
    """The memory format that the function ``name`` got as an argument, itself or as its name.

    Raises
    ------
    TypeError
        It is not a memory format.
    RuntimeError
        ``channels_last`` of a tensor without four dimensions.
    """
    chosen = _FORMATS.get(value) if isinstance(value, str) else value
    if not isinstance(chosen, memory_format):
        raise TypeError(
            f"{name}: memory_format is {value!r}, expected numgrad.contiguous_format, channels_last or preserve_format"
        )
    if chosen is channels_last and ndim != 4:
        raise RuntimeError(f"required rank 4 tensor to use channels_last format, got {ndim} dimensions")
    return chosen


class PrivateStrides(tuple[int, ...]):
    """Dense strides of a private layout; never equal to strides that are not private.

    >>> PrivateStrides((6, 1, 2)) == (6, 1, 2)
    False
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateStrides) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((PrivateStrides, *self))


def private_strides(shape: Sequence[int], strides: tuple[int, ...]) -> tuple[int, ...]:
    """These dense strides as a private layout; row-major ones if the order in memory is the same.

    >>> private_strides((2, 3, 4, 5), (60, 1, 15, 3)) == (60, 1, 15, 3)
    False
    >>> private_strides((2, 3, 1, 1), (3, 1, 3, 3))
    (3, 1, 1, 1)
    """
    row_major = contiguous_strides(shape)
    return row_major if _same_order(shape, strides, row_major) else PrivateStrides(strides)


class Kind(NamedTuple):
    """What specs have in common that differ in their numbers; ``is_exact``: the strides are those of `contiguous_strides`."""

    dtype: dtype
    ndim: int
    is_contiguous: bool
    is_dense: bool
    is_private: bool
    is_exact: bool


class Spec:
    """dtype, shape and strides of a tensor, interned: equal specs are usually one object, so they hash by identity.

    If two equal specs are two objects, only a plan is made twice.
    """

    __slots__ = (
        "dtype",
        "extent",
        "is_contiguous",
        "is_dense",
        "is_private",
        "kind",
        "ndim",
        "numel",
        "shape",
        "strides",
    )

    def __init__(self, dtype: dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        _prove(dtype, shape, strides)
        row_major = contiguous_strides(shape)
        is_private, is_exact, numel = isinstance(strides, PrivateStrides), strides == row_major, product(shape)
        is_contiguous = is_exact or numel <= 1 or _same_order(shape, strides, row_major)
        extent = numel
        if numel > 0 and not is_contiguous:
            extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        is_dense = is_contiguous or (extent == numel and not _overlaps(shape, strides))
        kind = Kind(dtype, len(shape), is_contiguous, is_dense, is_private, is_exact)
        self.fill(kind, shape, strides, numel, extent)

    def fill(self, kind: Kind, shape: tuple[int, ...], strides: tuple[int, ...], numel: int, extent: int) -> None:
        """Set all fields, which are proved."""
        self.shape, self.strides, self.numel, self.extent = tuple.__new__(Size, shape), strides, numel, extent
        self.dtype, self.ndim, self.is_contiguous, self.is_dense, self.is_private, _ = kind
        self.kind = _kinds.setdefault(kind, kind)

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last element."""
        return self.extent * self.dtype.itemsize

    @property
    def seen_strides(self) -> tuple[int, ...]:
        """The strides that a user sees: row-major ones for a private layout."""
        return contiguous_strides(self.shape) if self.is_private else self.strides

    def is_channels_last(self) -> bool:
        """True if a tensor of four dimensions lies in memory as N H W C, privately or not."""
        return self.ndim == 4 and (
            self.numel <= 1 or _same_order(self.shape, self.strides, channels_last_strides(self.shape))
        )

    def shows_channels_last(self) -> bool:
        """True if a user sees the channels last, having asked for it."""
        return self.is_channels_last() and not (self.is_contiguous or self.is_private)

    def lies_like(self, other: Spec) -> bool:
        """True if both have the same order in memory, privately or not."""
        return self.numel == 0 or _same_order(self.shape, self.strides, other.strides)

    def __repr__(self) -> str:
        return f"Spec({self.dtype.name}, {tuple(self.shape)}, strides={self.strides})"


_TOO_LARGE: Final = 1 << 62  # bytes; a few such numbers still add up within a word of a kernel


def _prove(dtype: dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """Refuse shapes and strides that no kernel may see: every address is computed from them.

    Raises
    ------
    TypeError
        An extent or a stride is not a Python int.
    ShapeError
        An extent is negative, or the memory is larger than any address.
    """
    for number in (*shape, *strides):
        if number.__class__ is not int:
            raise TypeError(f"shape {shape}, strides {tuple(strides)}: expected ints, got {type(number).__name__}")
    if len(shape) != len(strides):
        raise ShapeError(f"shape {list(shape)} and strides {list(strides)} have different lengths")
    if min(shape, default=0) < 0:
        raise ShapeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    elements, reach = product(shape), sum(n * abs(s) for n, s in zip(shape, strides, strict=True))
    if elements > _TOO_LARGE or (elements and dtype.itemsize * (1 + reach) > _TOO_LARGE):
        raise ShapeError(f"a tensor of shape {list(shape)} and {dtype} is larger than any memory")


_MOST_INTERNED: Final = 1 << 12  # beyond those that somebody else held, when this was looked at
_held_by_others = 0
_kinds: dict[Kind, Kind] = {}
_Key = tuple[dtype, tuple[int, ...], tuple[int, ...]]
_interned: dict[_Key, Spec] = {}
_row_major: dict[tuple[dtype, tuple[int, ...]], Spec] = {}  # those among them for which no strides were given


def spec_of(dtype: dtype, shape: Sequence[int], strides: Sequence[int] | None = None) -> Spec:
    """The interned spec; contiguous if no strides are given."""
    shape = tuple(shape)
    if strides is None:
        if not symbols.traces and (known := _row_major.get((dtype, shape))) is not None:
            return known
        row_major = spec_of(dtype, shape, contiguous_strides(shape))
        if not symbols.traces:
            _row_major[dtype, shape] = row_major
        return row_major
    if not isinstance(strides, tuple):
        strides = tuple(strides)
    if symbols.traces and symbols.are_in((*shape, *strides)):
        return Spec(dtype, shape, strides)
    key = (dtype, shape, strides)
    spec = _interned.get(key)
    return _interned_as(key, Spec(dtype, shape, strides)) if spec is None else spec


def _interned_as(key: _Key, spec: Spec) -> Spec:
    """Keep a spec under its key, for other users of it."""
    if len(_interned) >= _MOST_INTERNED + _held_by_others:
        _drop_unused()
    _interned[key] = spec
    return spec


def _drop_unused() -> None:
    """Drop the specs that nobody else holds: to plans and tensors, another object for the same spec would be another spec."""
    global _held_by_others
    _row_major.clear()
    for key in list(_interned):
        spec = _interned.get(key)
        if sys.getrefcount(spec) <= 3:  # the table, this function, and the call that asks
            _interned.pop(key, None)
    _held_by_others = len(_interned)


def proved_spec(key: _Key, kind: Kind, numel: int, extent: int) -> Spec:
    """The spec of a key of which all else is proved already."""
    spec = _interned.get(key)
    if spec is None:
        spec = object.__new__(Spec)
        spec.fill(kind, key[1], key[2], numel, extent)
        _interned_as(key, spec)
    return spec


def output_strides(shape: tuple[int, ...], inputs: Sequence[Spec]) -> tuple[int, ...]:
    """Strides of a new result of inputs that broadcast to this shape.

    The axes lie in memory in the order of the strides that users see, as in torch. If that order is row-major, they lie in
    the private order of the first input of this shape that has one, unless a row-major input comes before it.
    """
    same = [spec for spec in inputs if tuple(spec.shape) == shape]
    if all(spec.is_contiguous for spec in same) and len(same) == len(inputs):
        return contiguous_strides(shape)
    strides = strides_in_order(shape, _memory_order(shape, inputs))
    if not _same_order(shape, strides, contiguous_strides(shape)):
        return strides
    for spec in same:
        if spec.is_private:
            order = sorted(range(len(shape)), key=lambda axis: (-spec.strides[axis], axis))
            return private_strides(shape, strides_in_order(shape, order))
        if spec.is_contiguous:
            break
    return contiguous_strides(shape)


def _memory_order(shape: tuple[int, ...], inputs: Sequence[Spec]) -> list[int]:
    """The axes of a result, outermost first: torch's insertion sort by the strides of the first input that decides."""
    shown_strides = []
    for spec in inputs:
        missing = len(shape) - spec.ndim
        pairs = zip(spec.shape, spec.seen_strides, shape[missing:], strict=True)
        shown_strides.append([0] * missing + [0 if n == 1 and m != 1 else stride for n, stride, m in pairs])

    def compared(axis: int, other: int) -> int:
        """1 if ``axis`` has the larger steps, -1 if ``other`` has, 0 if no input decides."""
        for strides in shown_strides:
            if strides[axis] and strides[other]:
                if strides[axis] != strides[other]:
                    return 1 if strides[axis] > strides[other] else -1
                if shape[axis] > shape[other]:
                    return 1
        return 0

    order = list(range(len(shape)))[::-1]  # the innermost first
    for start in range(1, len(order)):
        position = start
        for before in range(start - 1, -1, -1):
            sign = compared(order[before], order[position])
            if sign > 0:
                order[before], order[position] = order[position], order[before]
                position = before
            elif sign < 0:
                break
    return order[::-1]


def strides_like(spec: Spec, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a result N C H W in the layout of ``spec``: channels last, or else row-major."""
    if not spec.is_channels_last():
        return contiguous_strides(shape)
    strides = channels_last_strides(shape)
    return strides if spec.shows_channels_last() else private_strides(shape, strides)


def convolved_strides(shape: tuple[int, ...], *inputs: Spec) -> tuple[int, ...]:
    """Strides of a convolution's result: channels last, privately unless a user sees them so in an input."""
    strides = channels_last_strides(shape)
    return strides if any(spec.shows_channels_last() for spec in inputs) else private_strides(shape, strides)


def _same_order(shape: Sequence[int], strides: Sequence[int], expected: Sequence[int]) -> bool:
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, expected, strict=True))


def _overlaps(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """True unless the strides are those of some dense order of the axes."""
    step = 1
    for stride, extent in sorted((s, n) for s, n in zip(strides, shape, strict=True) if n != 1):
        if stride != step:
            return True
        step *= extent
    return False


def repeats_elements(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether one element may be seen at several places.

    >>> repeats_elements((2, 3), (0, 1)), repeats_elements((2, 3), (1, 1)), repeats_elements((2, 3), (3, 1))
    (True, True, False)
    """
    reach = 0
    for stride, extent in sorted(zip(strides, shape, strict=True)):
        if extent > 1:
            if stride <= reach:
                return True
            reach += (extent - 1) * stride
    return False
