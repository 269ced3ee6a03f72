"""Arrays from nothing, from numbers and from other arrays. Numbers are float64 and int64, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.numpy.arrays import (
    as_floats,
    dtype_of,
    is_int,
    ng,
    numgrad_dtype,
    operands,
    refuse_gradient,
    tensor,
    values_of,
)
from numgrad.numpy.places import moved
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


def _on_cpu(name: str, device: Any) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f'{name}: Device not understood. Only "cpu" is allowed, but received: {device}')


def _extents(shape: Any) -> tuple[int, ...]:
    return (shape.__index__(),) if is_int(shape) else tuple(n.__index__() for n in shape)


@implements("array")
def array(
    object: Any, dtype: Any = None, *, copy: bool | None = True, order: str = "K", subok: bool = False, ndmin: int = 0,
    like: Any = None, ndmax: int = 0,
) -> Tensor:  # fmt: skip
    """An array of numbers, of nested sequences of them, or of arrays, through which gradients flow.

    Raises
    ------
    TypeError
        The elements are complex numbers, text or objects.

    >>> import numgrad.numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> np.array([x[1], x[0] * 3])
    array([2., 3.])
    """
    x = tensor(object, dtype)
    x = ng.clone(x) if copy and x is object else x
    return ng.reshape(x, (1,) * (ndmin - x.ndim) + tuple(x.shape)) if x.ndim < ndmin else x  # type: ignore[no-any-return]


@implements("asarray", "asanyarray", "require")
def asarray(a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: bool | None = None, like: Any = None, requirements: Any = None) -> Tensor:  # noqa: E501  # fmt: skip
    """The array itself where it is one already, and has the dtype; the order in memory is that of rows."""
    _on_cpu("asarray", device)
    x = tensor(a, dtype)
    return ng.clone(x) if copy and x is a else x  # type: ignore[no-any-return]


@implements("ascontiguousarray", "asfortranarray")
def ascontiguousarray(a: Any, dtype: Any = None, *, like: Any = None) -> Tensor:
    """The array itself if it is one whose memory is row-major, else a copy."""
    return tensor(a, dtype).contiguous()


@implements("asarray_chkfinite")
def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Tensor:
    """As `asarray`, of finite numbers.

    Raises
    ------
    ValueError
        One is NaN or infinite.
    """
    x = tensor(a, dtype)
    if x.dtype.is_floating_point and not bool(ng.isfinite(x).all()):
        raise ValueError("array must not contain infs or NaNs")
    return x


@implements("copy")
def copy(a: Any, order: str = "K", subok: bool = False) -> Tensor:
    """A copy, through which gradients flow."""
    return ng.clone(tensor(a))  # type: ignore[no-any-return]


@implements("astype")
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """The array in another dtype."""
    converted = tensor(x, dtype)
    return ng.clone(converted) if copy and converted is x else converted  # type: ignore[no-any-return]


def _to_be_filled(x: Tensor) -> Tensor:
    """New memory, which counts as written to from the start: views of it that are read are copied (`array_type.operand`)."""
    x._storage.version += 1
    return x


def _filled(name: str, function: Any) -> None:
    @implements(name)
    def made_of(shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None, like: Any = None) -> Tensor:
        _on_cpu(name, device)
        return _to_be_filled(function(_extents(shape), dtype=numgrad_dtype(float if dtype is None else dtype)))

    @implements(f"{name}_like")
    def made_like(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
    ) -> Tensor:
        _on_cpu(f"{name}_like", device)
        x = tensor(a)
        extents = tuple(x.shape) if shape is None else _extents(shape)
        return _to_be_filled(function(extents, dtype=x.dtype if dtype is None else numgrad_dtype(dtype)))


_filled("zeros", ng.zeros)
_filled("ones", ng.ones)
_filled("empty", ng.empty)


@implements("full")
def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None, like: Any = None
) -> Tensor:
    """An array of one value, which broadcasts and whose gradient is summed."""
    _on_cpu("full", device)
    return _to_be_filled(ng.clone(ng.broadcast_to(tensor(fill_value, dtype), _extents(shape))))


@implements("full_like")
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Tensor:
    """As `full`, with the shape and dtype of an array."""
    x = tensor(a)
    return full(x.shape if shape is None else shape, fill_value, dtype_of(x) if dtype is None else dtype, device=device)


@implements("arange")
def arange(*args: Any, dtype: Any = None, device: Any = None, like: Any = None, **ends: Any) -> Tensor:
    """Numbers from ``start`` up to ``stop`` by ``step``.

    Raises
    ------
    TypeError
        An argument requires a gradient.

    >>> import numgrad.numpy as np
    >>> np.arange(1, 2, 0.5)
    array([1. , 1.5])
    """
    _on_cpu("arange", device)
    refuse_gradient("arange", args, list(ends.values()))
    numbers = [values_of(a) for a in args]
    return tensor(np.arange(*numbers, dtype=dtype, **{k: values_of(v) for k, v in ends.items()}))


def _ramp(start: Any, stop: Any, num: int, endpoint: bool, axis: int, dtype: Any) -> Tensor:
    first, last = operands((start, stop), to_float=True)
    first, last = ng.broadcast_tensors(first, last)
    steps = max(num - 1 if endpoint else num, 1)
    fractions = tensor(np.arange(num) / steps, dtype_of(first)).reshape(num, *(1,) * first.ndim)
    ramp = first + (last - first) * fractions
    if endpoint and num > 1:
        ramp = ng.cat([ramp[:-1], ng.unsqueeze(last, 0)], 0)  # the end as it is
    return ng.movedim(ramp, 0, axis)  # type: ignore[no-any-return]


def _as_wanted(x: Tensor, dtype: Any) -> Tensor:
    if dtype is not None and np.dtype(dtype).kind in "iu":
        x = ng.floor(x)
    return tensor(x, dtype)


@implements("linspace")
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, *,
    device: Any = None,
) -> Any:  # fmt: skip
    """``num`` numbers at equal distances, differentiable by both ends.

    >>> import numgrad.numpy as np
    >>> np.linspace(0, 1, 5)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    _on_cpu("linspace", device)
    num = num.__index__()
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    ramp = _as_wanted(_ramp(start, stop, num, endpoint, axis, dtype), dtype)
    if not retstep:
        return ramp
    steps = num - 1 if endpoint else num
    first, last = operands((start, stop), to_float=True)
    return ramp, (last - first) / steps if steps else ng.full_like(last - first, float("nan"))


@implements("logspace")
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Tensor:
    """``base ** linspace(start, stop)``."""
    first, last, root = ng.broadcast_tensors(*operands((start, stop, base), to_float=True))
    powers = ng.movedim(_ramp(first, last, num.__index__(), endpoint, 0, None), 0, 0)
    return _as_wanted(ng.movedim(root**powers, 0, axis), dtype)


@implements("geomspace")
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Tensor:
    """``num`` numbers, each the same multiple of the one before."""
    first, last = ng.broadcast_tensors(*operands((start, stop), to_float=True))
    if bool((first == 0).any()) or bool((last == 0).any()):
        raise ValueError("Geometric sequence cannot include zero")
    if bool((first * last < 0).any()):
        raise ValueError("geomspace: the ends have different signs, and numbers between them would be complex")
    num = num.__index__()
    ramp = ng.sign(first.detach()) * ng.exp(_ramp(ng.log(ng.abs(first)), ng.log(ng.abs(last)), num, endpoint, 0, None))
    if num > 0:
        ends = [ng.unsqueeze(first, 0), ramp[1:-1] if endpoint else ramp[1:]]
        ramp = ng.cat([*ends, ng.unsqueeze(last, 0)] if endpoint and num > 1 else ends[: 2 if num > 1 else 1], 0)
    return _as_wanted(ng.movedim(ramp, 0, axis), dtype)


@implements("eye")
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: str = "C", *, device: Any = None, like: Any = None) -> Tensor:  # noqa: N803, E501  # fmt: skip
    """Ones on a diagonal, zeros elsewhere."""
    _on_cpu("eye", device)
    return tensor(np.eye(N, M, k, dtype=numgrad_dtype(dtype).numpy))


@implements("identity")
def identity(n: int, dtype: Any = None, *, like: Any = None) -> Tensor:
    """The unit matrix."""
    return eye(n, dtype=float if dtype is None else dtype)


@implements("tri")
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float, *, like: Any = None) -> Tensor:  # noqa: N803
    """Ones at and below a diagonal, zeros above."""
    return tensor(np.tri(N, M, k, dtype=numgrad_dtype(dtype).numpy))


@implements("meshgrid")
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of the points of a grid, one array for each axis."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    axes = [ng.reshape(tensor(x), (-1,)) for x in xi]
    order = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        order[0], order[1] = 1, 0
    shaped = [
        ng.reshape(x, tuple(-1 if i == n else 1 for i in range(len(axes)))) for x, n in zip(axes, order, strict=True)
    ]
    if not sparse and shaped:
        shape = np.broadcast_shapes(*(tuple(x.shape) for x in shaped))
        shaped = [ng.broadcast_to(x, shape) for x in shaped]
    return tuple(ng.clone(x) if copy else x for x in shaped)


@implements("ix_")
def ix_(*args: Any) -> tuple[Tensor, ...]:
    """Indices that pick the product of several lists of places."""
    return tuple(tensor(part) for part in np.ix_(*(values_of(tensor(a)) for a in args)))


@implements("indices")
def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """The indices of each element of a shape."""
    result: Any = np.indices(dimensions, numgrad_dtype(dtype).numpy, sparse)  # type: ignore[call-overload]
    return tuple(tensor(r) for r in result) if sparse else tensor(result)


@implements("fromfunction")
def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any
) -> Any:
    """What a function gives for the arrays of coordinates."""
    from numgrad.numpy.array_type import ndarray

    coordinates = indices(shape, dtype)
    return function(*(ndarray(row) for row in ng.unbind(coordinates, 0)), **kwargs)


@implements("fromiter")
def fromiter(iter: Any, dtype: Any, count: int = -1, *, like: Any = None) -> Tensor:
    """The numbers of an iterator in one dimension."""
    from itertools import islice

    numbers = list(iter if count < 0 else islice(iter, count))
    if len(numbers) < count:
        raise ValueError(f"iterator too short: Expected {count} but iterator had only {len(numbers)} items.")
    from numgrad.numpy.table import _Kinds

    return tensor(_Kinds().taken(numbers) if numbers else np.empty(0), dtype)


@implements("diag")
def diag(v: Any, k: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a diagonal."""
    x = tensor(v)
    if x.ndim not in (1, 2):
        raise ValueError("Input must be 1- or 2-d.")
    return ng.diag(x, k)  # type: ignore[no-any-return]


@implements("diagflat")
def diagflat(v: Any, k: int = 0) -> Tensor:
    """The matrix with all elements on a diagonal."""
    return ng.diag(ng.reshape(tensor(v), (-1,)), k)  # type: ignore[no-any-return]


def _triangle(name: str, function: Any) -> None:
    @implements(name)
    def computed(m: Any, k: int = 0) -> Tensor:
        x = tensor(m)
        return function(ng.broadcast_to(x, (x.shape[0], x.shape[0])) if x.ndim == 1 else x, k)  # type: ignore[no-any-return]


_triangle("tril", ng.tril)
_triangle("triu", ng.triu)


@implements("vander")
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:  # noqa: N803
    """The powers of each element, from the highest down."""
    powers = tensor(x)
    if powers.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    count = powers.shape[0] if N is None else N
    columns = [ng.ones_like(powers)]
    for _ in range(count - 1):
        columns.append(columns[-1] * powers)
    if not count:
        return ng.zeros(powers.shape[0], 0, dtype=powers.dtype)  # type: ignore[no-any-return]
    return ng.stack(columns if increasing else columns[::-1], 1)  # type: ignore[no-any-return]


def _window(name: str) -> None:
    @implements(name)
    def computed(M: int) -> Tensor:  # noqa: N803
        return tensor(getattr(np, name)(M))


for _name in ("bartlett", "blackman", "hamming", "hanning"):
    _window(_name)


@implements("kaiser")
def kaiser(M: int, beta: Any) -> Tensor:  # noqa: N803
    """Kaiser's window, differentiable by its shape."""
    shape = as_floats(beta)
    if M == 1:
        return tensor(np.ones(1))
    middle = (M - 1) / 2.0
    inside = tensor(1 - ((np.arange(M) - middle) / middle) ** 2 if M > 1 else np.ones(0))
    return ng.i0(shape * ng.sqrt(inside)) / ng.i0(shape)  # type: ignore[no-any-return]


@implements("resize")
def resize(a: Any, new_shape: Any) -> Tensor:
    """The elements, repeated as often as it takes, in another shape."""
    return moved(tensor(a), lambda positions: np.resize(positions, new_shape))
