"""What is asked of arrays, and NumPy's objects that are indexed or called: ``r_``, ``mgrid``, ``vectorize``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.numpy.array_type import ndarray
from numgrad.numpy.arrays import axes_of, dtype_of, ng, operands, tensor
from numgrad.numpy.shapes import concatenate
from numgrad.numpy.table import by_values, implements, wrapped
from numgrad.tensor.tensor import Tensor

by_values("load", "loadtxt", "genfromtxt", "fromfile", "frombuffer", "fromstring", "fromregex")


@implements("shape")
def shape(a: Any) -> tuple[int, ...]:
    """The extents."""
    return tuple(tensor(a).shape)


@implements("ndim")
def ndim(a: Any) -> int:
    """The number of dimensions."""
    return tensor(a).ndim


@implements("size")
def size(a: Any, axis: Any = None) -> int:
    """The number of elements, or the extent of axes."""
    x = tensor(a)
    return int(np.prod([x.shape[n] for n in axes_of(axis, x.ndim)], dtype=np.int64))


@implements("result_type")
def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype of NumPy's promotion."""
    return np.result_type(*(dtype_of(v) if isinstance(v, TensorBase) else v for v in arrays_and_dtypes))


@implements("can_cast")
def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether a conversion keeps to a rule."""
    return bool(np.can_cast(dtype_of(from_) if isinstance(from_, TensorBase) else from_, to, casting))  # type: ignore[arg-type]


@implements("min_scalar_type")
def min_scalar_type(a: Any, /) -> np.dtype:
    """The dtype of an array, or the smallest that holds a number."""
    if isinstance(a, Tensor):
        return dtype_of(a) if a.ndim else np.min_scalar_type(a.item())
    return np.min_scalar_type(a)


@implements("common_type")
def common_type(*arrays: Any) -> type:
    """The floating-point type of NumPy's that all arrays fit into."""
    return np.common_type(*(np.empty(0, dtype_of(tensor(a))) for a in arrays))  # type: ignore[no-any-return]


@implements("isscalar")
def isscalar(element: Any) -> bool:
    """Whether it is a number of Python's or NumPy's, not an array."""
    return not isinstance(element, TensorBase) and np.isscalar(element)


@implements("iscomplexobj")
def iscomplexobj(x: Any) -> bool:
    """False, but for complex numbers of others."""
    return not isinstance(x, TensorBase) and np.iscomplexobj(x)


@implements("isrealobj")
def isrealobj(x: Any) -> bool:
    """True, but for complex numbers of others."""
    return not iscomplexobj(x)


@implements("isfortran")
def isfortran(a: Any) -> bool:
    """Whether the elements lie in the order of columns and not of rows."""
    x = tensor(a)
    return not x.is_contiguous() and ng.permute(x, tuple(range(x.ndim))[::-1]).is_contiguous()  # type: ignore[no-any-return]


@implements("iterable")
def iterable(y: Any) -> bool:
    """Whether it can be iterated over."""
    return np.iterable(y)


class _Grids:
    """``mgrid[0:2, 0:3]``: arrays of coordinates from slices."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getitem__(self, key: Any) -> Any:
        result = self._original[key]
        return wrapped(tuple(tensor(part) for part in result) if isinstance(result, tuple) else tensor(result))


class _Concatenation:
    """``r_[a, 0, 1:5]``: arrays, numbers and ranges one after the other, after an optional "axis,ndmin,place of the axes"."""

    def __init__(self, axis: int, ndmin: int, trans1d: int) -> None:
        self._directive = (axis, ndmin, trans1d)

    def __getitem__(self, key: Any) -> ndarray:
        items = list(key) if isinstance(key, tuple) else [key]
        axis, ndmin, trans1d = self._directive
        if isinstance(items[0], str):
            if items[0] in ("r", "c"):
                raise TypeError("r_['r'] makes a matrix, which is refused; leave it out")
            numbers = [int(n) for n in items.pop(0).split(",")]
            axis, ndmin, trans1d = (*numbers, *(1, -1)[len(numbers) - 1 :])[:3] if len(numbers) < 3 else numbers[:3]
        parts = [self._part(item, ndmin, trans1d) for item in items]
        return ndarray(concatenate(operands(parts), axis))

    @staticmethod
    def _part(item: Any, ndmin: int, trans1d: int) -> Tensor:
        if isinstance(item, slice):
            x = tensor(np.r_[item])
        else:
            x = item.tensor if isinstance(item, ndarray) else tensor(_taken(item))
        x = ng.reshape(x, (1,)) if x.ndim == 0 else x
        missing = ndmin - x.ndim
        if missing > 0:
            before = x.ndim
            x = ng.reshape(x, (1,) * missing + tuple(x.shape))
            first = trans1d if trans1d >= 0 else trans1d + missing + 1
            order = list(range(missing))
            order[first:first] = range(missing, missing + before)
            x = ng.permute(x, tuple(order))
        return x  # type: ignore[no-any-return]


def _taken(value: Any) -> Any:
    return [v.tensor if isinstance(v, ndarray) else v for v in value] if isinstance(value, (list, tuple)) else value


mgrid, ogrid = _Grids(np.mgrid), _Grids(np.ogrid)
r_, c_ = _Concatenation(0, 1, -1), _Concatenation(-1, 2, 0)


class ndenumerate:  # noqa: N801 (NumPy's name)
    """The places and the elements of an array.

    >>> import numgrad.numpy as np
    >>> list(np.ndenumerate(np.array([[1.5, 2.5]])))
    [((0, 0), array(1.5)), ((0, 1), array(2.5))]
    """

    def __init__(self, arr: Any) -> None:
        self._array = ndarray(arr.tensor if isinstance(arr, ndarray) else tensor(arr))

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], ndarray]]:
        return ((index, self._array[index]) for index in np.ndindex(*self._array.shape))


class vectorize:  # noqa: N801 (NumPy's name)
    """A function of numbers as one of arrays: it is called for each element, in Python, and gradients flow through it.

    Parameters
    ----------
    pyfunc
        Takes and returns numbers; for one element it gets arrays without dimensions.
    otypes
        The dtypes of the results, as a text or a list.
    excluded
        Positions and names of arguments that are passed as they are.

    Raises
    ------
    TypeError
        ``signature`` is given: call the function in a loop, and `stack`.

    >>> import numgrad.numpy as np
    >>> np.vectorize(lambda a, b: a - b if a > b else a + b)([1.0, 5.0], 3.0)
    array([4., 2.])
    """

    def __init__(
        self, pyfunc: Callable[..., Any], otypes: Any = None, doc: str | None = None, excluded: Any = None, cache: bool = False,
        signature: str | None = None,
    ) -> None:  # fmt: skip
        if signature is not None:
            raise TypeError("numpy.vectorize: signature= is refused; call the function in a loop, and take stack")
        self.pyfunc, self.excluded = pyfunc, set(excluded or ())
        self.otypes = [np.dtype(t) for t in otypes] if otypes is not None else None
        self.__doc__ = doc or pyfunc.__doc__
        self.__name__ = getattr(pyfunc, "__name__", "vectorize")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        keys: list[Any] = [n for n in range(len(args)) if n not in self.excluded]
        names = [k for k in kwargs if k not in self.excluded]
        given = [args[n] for n in keys] + [kwargs[k] for k in names]
        xs = [v.tensor if isinstance(v, ndarray) else tensor(v) for v in given]
        extents = np.broadcast_shapes(*(tuple(x.shape) for x in xs))
        flat = [ng.reshape(ng.broadcast_to(x, extents), (-1,)) for x in xs]
        count = int(np.prod(extents, dtype=np.int64))
        if not count and self.otypes is None:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        rows = []
        for i in range(count):
            positional, named = list(args), dict(kwargs)
            for x, n in zip(flat, keys, strict=False):
                positional[n] = ndarray(x[i])
            for x, k in zip(flat[len(keys) :], names, strict=True):
                named[k] = ndarray(x[i])
            rows.append(self.pyfunc(*positional, **named))
        several = bool(rows) and isinstance(rows[0], tuple)
        columns = list(zip(*rows, strict=True)) if several else [rows]
        results = []
        for n, column in enumerate(columns):
            dtype = self.otypes[n] if self.otypes else None
            values = (
                tensor([v.tensor if isinstance(v, ndarray) else v for v in column], dtype)
                if column
                else tensor(np.empty(0, dtype))
            )
            results.append(ndarray(ng.reshape(values, extents)))
        return tuple(results) if several else results[0]
