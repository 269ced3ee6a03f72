"""New arrays, by the standard."""

from __future__ import annotations

import builtins
import operator
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.array_api.functions import ng
from numgrad.array_api.promotion import promoted
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase
from numgrad.tensor.arguments import as_int
from numgrad.tensor.tensor import Tensor


def asarray(
    obj: Any, /, *, dtype: Dtype | None = None, device: Any = None, copy: builtins.bool | None = None
) -> Tensor:
    """An object as an array: a Tensor, an array of NumPy's, what has ``__dlpack__`` or a buffer, a number, nested sequences.

    Its memory is shared where that is possible; with ``copy=True`` it never is, with ``copy=False`` anything else is an error.

    Raises
    ------
    ValueError
        The memory cannot be shared, with ``copy=False``.
    TypeError
        The object, or something in it, is none of these; a complex number is none.
    RuntimeError
        The device is not the CPU.

    >>> asarray([[1, 2], [3, 4]], dtype=dtypes.float32)
    tensor([[1., 2.],
            [3., 4.]])
    """
    on_cpu("asarray", device)
    if not isinstance(obj, (TensorBase, np.ndarray, np.generic)):
        if hasattr(obj, "__dlpack__"):
            obj, copy = ng.from_dlpack(obj, copy=copy), None
        elif (view := _buffer(obj)) is not None:
            array = np.asarray(view)
            if view.readonly and copy is False:
                raise ValueError("asarray: the buffer is read-only, and arrays can be written to; leave out copy=False")
            obj, copy = ng.from_numpy(array.copy() if copy or view.readonly else array), None
    if isinstance(obj, np.generic):
        obj = np.asarray(obj)
        obj, copy = ng.from_numpy(obj.copy()) if copy is not False else obj, None if copy is not False else copy
    return ng.asarray(obj, dtype=dtype, copy=copy)  # type: ignore[no-any-return]


def _buffer(obj: Any) -> memoryview | None:
    try:
        return memoryview(obj)
    except TypeError:
        return None


def from_dlpack(x: Any, /, *, device: Any = None, copy: builtins.bool | None = None) -> Tensor:
    """An array over the memory of another library's array; see `numgrad.from_dlpack`.

    >>> import numpy as np
    >>> from_dlpack(np.arange(3.0))
    tensor([0., 1., 2.], dtype=numgrad.float64)
    """
    return ng.from_dlpack(x, device=device, copy=copy)  # type: ignore[no-any-return]


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)


def empty(shape: Any, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """An array of this shape, an int or a tuple, whose elements are whatever the memory held.

    >>> empty((2, 3)).shape
    numgrad.Size([2, 3])
    """
    on_cpu("empty", device)
    return ng.empty(_shape(shape), dtype=dtype)  # type: ignore[no-any-return]


def zeros(shape: Any, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """An array of this shape, an int or a tuple, of zeros.

    >>> zeros(2)
    tensor([0., 0.])
    """
    on_cpu("zeros", device)
    return ng.zeros(_shape(shape), dtype=dtype)  # type: ignore[no-any-return]


def ones(shape: Any, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """An array of this shape, an int or a tuple, of ones.

    >>> ones((2, 1))
    tensor([[1.],
            [1.]])
    """
    on_cpu("ones", device)
    return ng.ones(_shape(shape), dtype=dtype)  # type: ignore[no-any-return]


def full(shape: Any, fill_value: Any, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """An array of this shape, an int or a tuple, of one number, whose kind decides the dtype if none is given.

    >>> full(2, 7), full((), 0.5)
    (tensor([7, 7]), tensor(0.5000))
    """
    on_cpu("full", device)
    return ng.full(_shape(shape), fill_value, dtype=dtype)  # type: ignore[no-any-return]


def empty_like(x: Tensor, /, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """An array of the shape and, unless one is given, dtype of another, whose elements are whatever the memory held.

    >>> empty_like(zeros((2, 3))).shape
    numgrad.Size([2, 3])
    """
    on_cpu("empty_like", device)
    return ng.empty_like(x, dtype=dtype)  # type: ignore[no-any-return]


def zeros_like(x: Tensor, /, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """Zeros in the shape and, unless one is given, dtype of another array.

    >>> zeros_like(ones(2))
    tensor([0., 0.])
    """
    on_cpu("zeros_like", device)
    return ng.zeros_like(x, dtype=dtype)  # type: ignore[no-any-return]


def ones_like(x: Tensor, /, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """Ones in the shape and, unless one is given, dtype of another array.

    >>> ones_like(zeros(2))
    tensor([1., 1.])
    """
    on_cpu("ones_like", device)
    return ng.ones_like(x, dtype=dtype)  # type: ignore[no-any-return]


def full_like(x: Tensor, /, fill_value: Any, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """One number in the shape and, unless one is given, dtype of another array.

    >>> full_like(zeros(2), 7)
    tensor([7., 7.])
    """
    on_cpu("full_like", device)
    return ng.full_like(x, fill_value, dtype=dtype)  # type: ignore[no-any-return]


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """The numbers from ``start`` (0, if there is only one argument) to ``stop``, which is left out, in steps of ``step``.

    It is empty if no step leads from one to the other.

    Raises
    ------
    ValueError
        The step is 0.

    >>> arange(3), arange(3, 0, -1), arange(3, 0)
    (tensor([0, 1, 2]), tensor([3, 2, 1]), tensor([], dtype=numgrad.int64))
    """
    on_cpu("arange", device)
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("arange: step is 0, expected another number")
    if (stop - start) / step <= 0:
        whole = all(isinstance(value, int) for value in (start, stop, step))
        return ng.empty(0, dtype=dtype or (dtypes.int64 if whole else None))  # type: ignore[no-any-return]
    return ng.arange(start, stop, step, dtype=dtype)  # type: ignore[no-any-return]


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Dtype | None = None,
    device: Any = None,
    endpoint: builtins.bool = True,
) -> Tensor:
    """``num`` numbers at equal distances from ``start`` to ``stop``, which is left out without ``endpoint``.

    Raises
    ------
    ValueError
        ``num`` is negative.

    >>> linspace(0, 1, 3), linspace(0, 1, 2, endpoint=False)
    (tensor([0.0000, 0.5000, 1.0000]), tensor([0.0000, 0.5000]))
    """
    on_cpu("linspace", device)
    num = as_int("linspace", "num", num)
    if num < 0:
        raise ValueError(f"linspace: num is {num}, expected 0 or more")
    if endpoint or not num:
        return ng.linspace(start, stop, num, dtype=dtype)  # type: ignore[no-any-return]
    return ng.linspace(start, stop, num + 1, dtype=dtype)[:-1]  # type: ignore[no-any-return]


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Dtype | None = None, device: Any = None
) -> Tensor:
    """A matrix of ``n_rows`` and ``n_cols`` (by default as many) with ones in its diagonal ``k``, counted upwards, else zeros.

    >>> eye(2, 3, k=1)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    on_cpu("eye", device)
    n_rows, k = as_int("eye", "n_rows", n_rows), operator.index(k)
    n_cols = n_rows if n_cols is None else as_int("eye", "n_cols", n_cols)
    matrix: Tensor = ng.zeros(n_rows, n_cols, dtype=dtype)
    if -n_rows < k < n_cols:
        matrix.diagonal(k).fill_(1)  # type: ignore[attr-defined]
    return matrix


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The matrices in the last two dimensions with zeros above diagonal ``k``.

    >>> tril(ones((2, 2)))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return ng.tril(x, k)  # type: ignore[no-any-return]


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The matrices in the last two dimensions with zeros below diagonal ``k``.

    >>> triu(ones((2, 2)))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return ng.triu(x, k)  # type: ignore[no-any-return]


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Arrays of coordinates on the grid of vectors: the first counts along rows ('xy') or along the first dimension ('ij').

    Raises
    ------
    ValueError
        ``indexing`` is another word.

    >>> meshgrid(asarray([1, 2]), asarray([3, 4]))[0]
    tensor([[1, 2],
            [1, 2]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}, expected 'xy' or 'ij'")
    return tuple(ng.meshgrid(*promoted("meshgrid", arrays), indexing=indexing)) if arrays else ()
