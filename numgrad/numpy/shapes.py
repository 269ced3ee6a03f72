"""Arrays in other shapes, joined, split, repeated and reordered."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.numpy.arrays import axes_of, axis_of, common_dtype, dtype_of, is_int, ng, operands, tensor, values_of
from numgrad.numpy.places import moved
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


@implements("reshape")
def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Tensor:
    """The elements in another shape, a view where that is possible."""
    x = tensor(a)
    extents = (shape,) if is_int(shape) else tuple(shape)
    if order == "F":
        reversed_shape = ng.reshape(transpose(x), _checked(x, extents)[::-1])
        return transpose(reversed_shape)
    result = ng.reshape(x, _checked(x, extents))
    return ng.clone(result) if copy else result  # type: ignore[no-any-return]


def _checked(x: Tensor, extents: tuple[Any, ...]) -> tuple[int, ...]:
    extents = tuple(n.__index__() for n in extents)
    known = int(np.prod([n for n in extents if n != -1]))
    if extents.count(-1) > 1:
        raise ValueError("can only specify one unknown dimension")
    if x.numel() % known if -1 in extents and known else x.numel() != known:
        raise ValueError(f"cannot reshape array of size {x.numel()} into shape {extents}")
    return tuple(x.numel() // known if n == -1 and known else n for n in extents)


@implements("ravel")
def ravel(a: Any, order: str = "C") -> Tensor:
    """The elements in one dimension, a view where that is possible."""
    return reshape(tensor(a), -1, order)


@implements("transpose", "permute_dims")
def transpose(a: Any, axes: Any = None) -> Tensor:
    """A view with the axes in another order, by default the reverse."""
    x = tensor(a)
    if axes is None:
        return ng.permute(x, tuple(range(x.ndim))[::-1]) if x.ndim else x  # type: ignore[no-any-return]
    order = axes_of(axes, x.ndim)
    if len(order) != x.ndim:
        raise ValueError("axes don't match array")
    return ng.permute(x, order)  # type: ignore[no-any-return]


@implements("matrix_transpose", "linalg.matrix_transpose")
def matrix_transpose(x: Any, /) -> Tensor:
    """A view with the last two axes exchanged."""
    x = tensor(x)
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return ng.swapaxes(x, -1, -2)  # type: ignore[no-any-return]


@implements("swapaxes")
def swapaxes(a: Any, axis1: int, axis2: int) -> Tensor:
    """A view with two axes exchanged."""
    x = tensor(a)
    return ng.swapaxes(x, axis_of(axis1, x.ndim), axis_of(axis2, x.ndim))  # type: ignore[no-any-return]


@implements("moveaxis")
def moveaxis(a: Any, source: Any, destination: Any) -> Tensor:
    """A view with axes at other places."""
    x = tensor(a)
    sources, targets = axes_of(source, x.ndim), axes_of(destination, x.ndim)
    if len(sources) != len(targets):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    return ng.movedim(x, sources, targets)  # type: ignore[no-any-return]


@implements("rollaxis")
def rollaxis(a: Any, axis: int, start: int = 0) -> Tensor:
    """A view with an axis moved before another."""
    x = tensor(a)
    axis = axis_of(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return moveaxis(x, axis, start - 1 if axis < start else start)


@implements("expand_dims")
def expand_dims(a: Any, axis: Any) -> Tensor:
    """A view with new axes of one element."""
    x = tensor(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    for n in sorted(axes_of(axis, x.ndim + count)):
        x = ng.unsqueeze(x, n)
    return x


@implements("squeeze")
def squeeze(a: Any, axis: Any = None) -> Tensor:
    """A view without axes of one element."""
    x = tensor(a)
    axes = [n for n, extent in enumerate(x.shape) if extent == 1] if axis is None else axes_of(axis, x.ndim)
    if any(x.shape[n] != 1 for n in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return ng.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))  # type: ignore[no-any-return]


def _at_least(count: int) -> Any:
    def computed(*arys: Any) -> Any:
        results = []
        for value in arys:
            x = tensor(value)
            if count == 3 and x.ndim == 2:
                x = ng.unsqueeze(x, -1)
            elif count == 3 and x.ndim == 1:
                x = ng.reshape(x, (1, -1, 1))
            results.append(ng.reshape(x, (1,) * (count - x.ndim) + tuple(x.shape)) if x.ndim < count else x)
        return results[0] if len(results) == 1 else tuple(results)

    computed.__name__ = f"atleast_{count}d"
    computed.__doc__ = f"Each array with at least {count} dimensions."
    return computed


atleast_1d, atleast_2d, atleast_3d = (implements(f"atleast_{n}d")(_at_least(n)) for n in (1, 2, 3))


@implements("broadcast_to")
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Tensor:
    """A view in a larger shape, which should not be written to."""
    x = tensor(array)
    extents = (shape,) if is_int(shape) else tuple(shape)
    if np.broadcast_shapes(tuple(x.shape), extents) != extents:
        raise ValueError(
            f"operands could not be broadcast together with remapped shapes: {tuple(x.shape)} and {extents}"
        )
    return ng.broadcast_to(x, extents)  # type: ignore[no-any-return]


@implements("broadcast_arrays")
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Tensor, ...]:
    """Views in the common shape."""
    xs = [tensor(a) for a in args]
    shape = np.broadcast_shapes(*(tuple(x.shape) for x in xs))
    return tuple(ng.broadcast_to(x, shape) for x in xs)


# ---- joining ----------------------------------------------------------------------------------------------------


def _parts(arrays: Any) -> list[Any]:
    return list(arrays) if isinstance(arrays, (tuple, list)) else list(ng.unbind(tensor(arrays), 0))


@implements("concatenate", "concat")
def concatenate(
    arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Tensor:
    """Arrays one after the other along an axis; with None all their elements.

    >>> import numgrad.numpy as np
    >>> np.concatenate([np.ones((1, 2)), np.zeros((1, 2))])
    array([[1., 1.],
           [0., 0.]])
    """
    if not len(arrays):
        raise ValueError("need at least one array to concatenate")
    xs = operands([tensor(a) for a in _parts(arrays)], dtype)
    if axis is None:
        return ng.cat([ng.reshape(x, (-1,)) for x in xs], 0)  # type: ignore[no-any-return]
    if any(x.ndim == 0 for x in xs):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = axis_of(axis, xs[0].ndim)
    shapes = {(*x.shape[:axis], *x.shape[axis + 1 :]) for x in xs}
    if len(shapes) > 1:
        raise ValueError(f"concatenate: the shapes {[tuple(x.shape) for x in xs]} differ in other axes than {axis}")
    return ng.cat(xs, axis)  # type: ignore[no-any-return]


@implements("stack")
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    """Arrays of one shape along a new axis."""
    xs = operands([tensor(a) for a in _parts(arrays)], dtype)
    if not xs:
        raise ValueError("need at least one array to stack")
    if len({tuple(x.shape) for x in xs}) > 1:
        raise ValueError("all input arrays must have the same shape")
    return ng.stack(xs, axis_of(axis, xs[0].ndim + 1))  # type: ignore[no-any-return]


@implements("vstack", "row_stack")
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    """Rows one below the other."""
    return concatenate([atleast_2d(a) for a in _parts(tup)], 0, dtype=dtype)


@implements("hstack")
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    """Arrays beside each other."""
    parts = [atleast_1d(a) for a in _parts(tup)]
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1, dtype=dtype)


@implements("dstack")
def dstack(tup: Any) -> Tensor:
    """Arrays along the third axis."""
    return concatenate([atleast_3d(a) for a in _parts(tup)], 2)


@implements("column_stack")
def column_stack(tup: Any) -> Tensor:
    """Vectors as columns."""
    parts = [tensor(a) for a in _parts(tup)]
    return concatenate([transpose(atleast_2d(x)) if x.ndim < 2 else x for x in parts], 1)


@implements("block")
def block(arrays: Any) -> Tensor:
    """Blocks of nested lists as one array: the innermost lists along the last axis."""

    def depth_of(value: Any) -> int:
        return 1 + max(map(depth_of, value)) if isinstance(value, list) else 0

    def most_dims(value: Any) -> int:
        return max(map(most_dims, value)) if isinstance(value, list) else tensor(value).ndim

    depth, ndim = depth_of(arrays), max(most_dims(arrays), depth_of(arrays))

    def joined(value: Any, level: int) -> Tensor:
        if not isinstance(value, list):
            x = tensor(value)
            return reshape(x, (1,) * (ndim - x.ndim) + tuple(x.shape))
        if not value:
            raise ValueError("block: lists cannot be empty")
        return concatenate([joined(v, level + 1) for v in value], level - depth)

    return ng.clone(joined(arrays, 0))  # type: ignore[no-any-return]


@implements("append")
def append(arr: Any, values: Any, axis: int | None = None) -> Tensor:
    """The array with values at its end."""
    if axis is None:
        return concatenate([ravel(arr), ravel(values)])
    return concatenate([tensor(arr), tensor(values)], axis)


def _along(a: Any, axis: int | None) -> tuple[Tensor, int]:
    """An array and its axis; without an axis all elements in one line, and theirs."""
    if axis is None:
        return ravel(a), 0
    x = tensor(a)
    return x, axis_of(axis, x.ndim)


@implements("insert")
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Tensor:
    """The array with values before the places ``obj``."""
    x, axis = _along(arr, axis)
    where = values_of(obj)
    added = tensor(values, dtype_of(x))
    single = not isinstance(where, slice) and np.ndim(where) == 0
    if single and added.ndim:  # one place takes the values as they are, along the axis
        added = ng.movedim(added, 0, axis) if added.ndim == x.ndim else added
        if added.ndim == x.ndim - 1:
            added = ng.unsqueeze(added, axis) if x.ndim > 1 else added
    # Places of the old elements are their numbers, of new ones their negatives.
    old = np.arange(x.shape[axis])
    if single:
        count = added.shape[axis] if added.ndim == x.ndim else 1
        order = np.insert(old, int(where), -1 - np.arange(count))
    else:
        numbers = np.arange(old.size)[where] if isinstance(where, slice) else np.asarray(where)
        count = int(numbers.sum()) if numbers.dtype == bool else numbers.size
        order = np.insert(old, where, -1 - np.arange(count))
    shape = tuple(count if i == axis else n for i, n in enumerate(x.shape))
    both = ng.cat([x, ng.broadcast_to(added, shape)], axis)
    return ng.index_select(both, axis, tensor(np.where(order >= 0, order, old.size - 1 - order)))  # type: ignore[no-any-return]


@implements("delete")
def delete(arr: Any, obj: Any, axis: int | None = None) -> Tensor:
    """The array without the elements at the places ``obj``."""
    x, axis = _along(arr, axis)
    return ng.index_select(x, axis, tensor(np.delete(np.arange(x.shape[axis]), values_of(obj))))  # type: ignore[no-any-return]


@implements("trim_zeros")
def trim_zeros(filt: Any, trim: Any = "fb", axis: Any = None) -> Tensor:
    """The array without zeros at its ends."""
    x = tensor(filt)
    options = {} if axis is None else {"axis": axis}  # this argument is newer than NumPy 2.0
    positions = np.arange(1, x.numel() + 1).reshape(tuple(x.shape))
    kept = np.trim_zeros(np.where(values_of(x) != 0, positions, 0), trim, **options)
    if kept.ndim != 1:
        raise TypeError("trim_zeros: arrays of several dimensions are refused; take slices")
    if not kept.size:
        return x[:0]
    start = int(kept[kept != 0][0]) - 1 - int(np.argmax(kept != 0))
    return ng.narrow(x, 0, start, kept.size)  # type: ignore[no-any-return]


# ---- splitting --------------------------------------------------------------------------------------------------


@implements("array_split")
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts along an axis, a number of them or between places."""
    x = tensor(ary)
    axis = axis_of(axis, x.ndim)
    parts = np.array_split(np.arange(x.shape[axis]), values_of(indices_or_sections))
    return [ng.narrow(x, axis, int(p[0]) if p.size else 0, p.size) for p in parts]


@implements("split")
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """As `array_split`, in equal parts."""
    x = tensor(ary)
    if is_int(indices_or_sections) and x.shape[axis_of(axis, x.ndim)] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(x, indices_or_sections, axis)


def _split_along(name: str, axis: int, least: int) -> None:
    @implements(name)
    def computed(ary: Any, indices_or_sections: Any) -> list[Tensor]:
        x = tensor(ary)
        if x.ndim < least:
            raise ValueError(f"{name} only works on arrays of {least} or more dimensions")
        return split(x, indices_or_sections, 0 if x.ndim == 1 else axis)


_split_along("hsplit", 1, 1)
_split_along("vsplit", 0, 2)
_split_along("dsplit", 2, 3)


@implements("unstack")
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts along an axis."""
    x = tensor(x)
    return tuple(ng.unbind(x, axis_of(axis, x.ndim)))


# ---- repeating and reordering -----------------------------------------------------------------------------------


@implements("tile")
def tile(A: Any, reps: Any) -> Tensor:  # noqa: N803 (NumPy's name)
    """The array, beside itself."""
    return ng.tile(tensor(A), (reps.__index__(),) if is_int(reps) else tuple(n.__index__() for n in reps))  # type: ignore[no-any-return]


@implements("repeat")
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element several times."""
    x, axis = _along(a, axis)
    return ng.index_select(x, axis, tensor(np.repeat(np.arange(x.shape[axis]), values_of(repeats))))  # type: ignore[no-any-return]


@implements("roll")
def roll(a: Any, shift: Any, axis: Any = None) -> Tensor:
    """Elements shifted along axes; what leaves at one end comes in at the other."""
    x = tensor(a)
    if axis is None:
        return ng.reshape(ng.roll(ng.reshape(x, (-1,)), int(np.sum(shift)), 0), x.shape)  # type: ignore[no-any-return]
    shifts, axes = np.broadcast_arrays(np.atleast_1d(shift), np.atleast_1d(axis))
    for s, n in zip(shifts.tolist(), axes.tolist(), strict=True):
        x = ng.roll(x, s, axis_of(n, x.ndim))
    return x


@implements("flip")
def flip(m: Any, axis: Any = None) -> Tensor:
    """Elements in the reverse order along axes, by default all. It is a copy: tensors have no negative steps."""
    x = tensor(m)
    return ng.flip(x, list(axes_of(axis, x.ndim)))  # type: ignore[no-any-return]


@implements("flipud")
def flipud(m: Any) -> Tensor:
    """As `flip` along the first axis."""
    return flip(m, 0)


@implements("fliplr")
def fliplr(m: Any) -> Tensor:
    """As `flip` along the second axis."""
    return flip(m, 1)


@implements("rot90")
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """The array turned by quarters of a turn in the plane of two axes."""
    return moved(tensor(m), lambda positions: np.rot90(positions, k, axes))


# ---- functions along axes ---------------------------------------------------------------------------------------


@implements("apply_along_axis")
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Tensor:
    """What a function gives for each row along an axis."""
    from numgrad.numpy.array_type import ndarray

    x = tensor(arr)
    axis = axis_of(axis, x.ndim)
    rows = ng.movedim(x, axis, -1)
    outside = tuple(rows.shape[:-1])
    results = [func1d(ndarray(row), *args, **kwargs) for row in ng.reshape(rows, (-1, rows.shape[-1]))]
    if not results:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    parts = [r.tensor if isinstance(r, ndarray) else tensor(r) for r in results]
    stacked = ng.reshape(ng.stack(operands(parts)), (*outside, *parts[0].shape))
    inner = parts[0].ndim
    return ng.movedim(stacked, tuple(range(-inner, 0)), tuple(range(axis, axis + inner))) if inner else stacked  # type: ignore[no-any-return]


@implements("apply_over_axes")
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """A function of an array and an axis, applied over several."""
    from numgrad.numpy.array_type import ndarray

    x = ndarray(tensor(a))
    for n in axes_of(axes, x.ndim):
        result = func(x, n)
        x = result if result.ndim == x.ndim else ndarray(ng.unsqueeze(result.tensor, n))
    return x.tensor


@implements("lib.stride_tricks.sliding_window_view")
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Tensor:
    """All windows of a shape along axes, which come last.

    Raises
    ------
    ValueError
        A window is longer than its axis, there are not as many as axes, or ``writeable`` is True.
    """
    if writeable:
        raise ValueError("sliding_window_view: windows overlap, and cannot be written to; write to the array itself")
    value = tensor(x)
    windows = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    axes = _axes_in_order(axis, value.ndim)
    if len(windows) != len(axes):
        raise ValueError(f"sliding_window_view: window_shape {windows} has {len(windows)} extents for {len(axes)} axes")
    for along, extent in zip(axes, windows, strict=True):
        if not 0 <= extent <= value.shape[along]:
            raise ValueError(
                f"sliding_window_view: a window of {extent} along an axis of {value.shape[along]} elements"
            )
        value = value.unfold(along, extent, 1)
    return value


def _axes_in_order(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, of which one may come twice; None means all."""
    given = range(ndim) if axis is None else axis if np.iterable(axis) else (axis,)
    return tuple(axis_of(a, ndim) for a in given)


@implements("copyto", writes=True)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write values over an array, where a mask is True."""
    from numgrad.numpy.arrays import write

    value = tensor(src, dtype_of(dst) if isinstance(src, (bool, int, float)) else None)
    if where is not True:
        value = ng.where(tensor(where, np.bool_), value, tensor(dst, common_dtype((value, dst))))
    write(dst, ng.broadcast_to(value, tuple(dst.shape)), "copyto", casting)
