"""Conversions by NumPy's rules: what becomes a tensor, of which dtype (NEP 50), and how a result reaches ``out``.

All functions of this package are written over tensors. `table.implements` takes `ndarray` apart before they are called, and
puts it together afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
from numgrad.errors import OperandError
from numgrad.tensor import arguments
from numgrad.tensor.surface import functions_of
from numgrad.tensor.tensor import Tensor

# The functions with torch's names, and those of linear algebra.
ng: Any = SimpleNamespace(**functions_of("function"))
linalg: Any = SimpleNamespace(**functions_of("linalg"))

Axis = int | tuple[int, ...] | None

# The public functions by NumPy's names, such as "sin" and "linalg.solve"; `table` fills it.
BY_NAME: dict[str, Any] = {}


def dtype_of(value: Any) -> np.dtype:
    """NumPy's dtype of a tensor, an array or a number.

    Raises
    ------
    TypeError
        It is bfloat16, which NumPy does not have.
    """
    if isinstance(value, TensorBase):
        dtype = value._spec.dtype
        if dtype is dtypes.bfloat16:
            raise TypeError("NumPy has no bfloat16; convert the tensor with .float() first")
        return dtype.numpy  # type: ignore[no-any-return]
    return np.asarray(value).dtype


def numgrad_dtype(dtype: Any) -> Dtype:
    """numgrad's dtype for anything that NumPy takes as a dtype, or for one of numgrad's.

    Raises
    ------
    TypeError
        numgrad does not have it, as complex numbers, text and objects.

    >>> numgrad_dtype("float32"), numgrad_dtype(int)
    (numgrad.float32, numgrad.int64)
    """
    if isinstance(dtype, Dtype):
        return dtype
    numpy_dtype = np.dtype(dtype)
    try:
        return dtypes.from_numpy_dtype(numpy_dtype)
    except TypeError:
        raise TypeError(
            f"numgrad has no dtype {numpy_dtype}; it has bool, uint8, int8, int16, int32, int64, float16, float32 and float64"
        ) from None


def cast(x: Tensor, dtype: Any) -> Tensor:
    """The tensor in a dtype of NumPy's or numgrad's; itself if it has it, or if none is given."""
    return x if dtype is None else arguments.cast(x, numgrad_dtype(dtype))


def tensor(value: Any, dtype: Any = None) -> Tensor:
    """A tensor, number, array or nested sequence of these as a tensor, with NumPy's dtypes: numbers are float64 and int64.

    Raises
    ------
    TypeError
        The value is none of these.

    >>> tensor([1.0, 2]).dtype, tensor([[1], [2]]).shape
    (numgrad.float64, numgrad.Size([2, 1]))
    """
    if isinstance(value, TensorBase):
        return cast(value, dtype)  # type: ignore[arg-type]
    if isinstance(value, (np.ndarray, np.generic)):
        arguments.refuse_own_rules(value)
        chosen = numgrad_dtype(value.dtype)
        return cast(arguments.as_operand(np.asarray(value), chosen) if value.ndim else _scalar(value, chosen), dtype)
    if isinstance(value, (bool, int, float)):
        chosen = numgrad_dtype(np.result_type(value) if dtype is None else dtype)
        return constant(value, chosen)  # type: ignore[return-value]
    if holds_tensors(value):
        parts = [tensor(part) for part in value]
        common = np.result_type(*(dtype_of(part) for part in parts))
        return cast(ng.stack([cast(part, common) for part in parts]), dtype)
    if isinstance(value, (str, bytes, dict, set)) or value is None:
        raise OperandError(f"expected a number, an array or a nested sequence of these, got {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise OperandError(f"expected numbers, got {type(value).__name__}, which NumPy makes an array of {array.dtype}")
    return cast(arguments.as_operand(array, numgrad_dtype(array.dtype)), dtype)


def _scalar(value: Any, dtype: Dtype) -> Tensor:
    return arguments.as_operand(value[()], dtype)


def holds_tensors(value: Any) -> bool:
    """Whether a sequence has a tensor in it, at any depth.

    >>> holds_tensors([1, [2, tensor(3)]]), holds_tensors([1, 2])
    (True, False)
    """
    return isinstance(value, (list, tuple)) and any(isinstance(v, TensorBase) or holds_tensors(v) for v in value)


def floating(dtype: np.dtype) -> np.dtype:
    """The dtype in which NumPy computes a sine of this dtype.

    >>> floating(np.dtype("int64")), floating(np.dtype("int16")), floating(np.dtype("bool"))
    (dtype('float64'), dtype('float32'), dtype('float16'))
    """
    if dtype.kind == "f":
        return dtype
    return np.dtype("f2" if dtype.itemsize == 1 else "f4" if dtype.itemsize == 2 else "f8")


def common_dtype(values: Sequence[Any], *, to_float: bool = False) -> np.dtype:
    """What NumPy's promotion makes of operands. Python's numbers adapt to the arrays beside them; all else has its dtype."""
    if len(values) == 2 and isinstance(values[0], TensorBase) and isinstance(values[1], TensorBase):
        first, second = dtype_of(values[0]), dtype_of(values[1])
        dtype = first if first is second else np.promote_types(first, second)
    else:
        dtype = np.result_type(*(v if type(v) in (int, float, bool) else dtype_of(v) for v in values))
    return floating(dtype) if to_float else dtype


def operands(values: Sequence[Any], dtype: Any = None, *, to_float: bool = False) -> list[Tensor]:
    """Operands as tensors of their common dtype, or of the one that is given.

    Raises
    ------
    OverflowError
        A Python int is not in the dtype of the arrays beside it.
    """
    prepared: list[Any] = [
        v if isinstance(v, (TensorBase, bool, int, float, np.generic)) else tensor(v) for v in values
    ]
    chosen = numgrad_dtype(common_dtype(prepared, to_float=to_float) if dtype is None else dtype)
    for value in prepared:
        if type(value) is int and chosen.category == 1 and not chosen.smallest <= value <= chosen.largest:
            raise OverflowError(f"Python integer {value} out of bounds for {chosen.name}")
    return [
        arguments.cast(v, chosen) if isinstance(v, TensorBase) else arguments.as_operand(v, chosen)  # type: ignore[arg-type]
        for v in prepared
    ]


def as_floats(value: Any, dtype: Any = None) -> Tensor:
    """The value as a tensor of floating point."""
    x = tensor(value)
    return cast(x, floating(dtype_of(x)) if dtype is None else dtype)


def values_of(value: Any) -> Any:
    """The numbers of a value as an array of NumPy's, without gradients; what is no tensor stays as it is.

    >>> values_of([tensor(1.0), 2.0])
    [array(1.), 2.0]
    """
    if isinstance(value, Tensor):
        return value.detach().numpy()
    if isinstance(value, (list, tuple)) and holds_tensors(value):
        return type(value)(values_of(v) for v in value)
    return value


def refuse_gradient(name: str, *values: Any) -> None:
    """Refuse tensors that require a gradient, for a function that has none by these arguments.

    Raises
    ------
    TypeError
        One requires a gradient.
    """
    for value in values:
        if isinstance(value, (list, tuple)):
            refuse_gradient(name, *value)
        elif isinstance(value, TensorBase) and value.requires_grad:  # type: ignore[attr-defined]
            raise TypeError(
                f"numpy.{name}: an argument requires a gradient, which this function does not have by it; pass x.detach()"
            )


def is_int(value: Any) -> bool:
    """Whether a value counts as an int: not an array of several, though this has ``__index__`` as well.

    >>> is_int(3), is_int(np.int64(3)), is_int(np.arange(2)), is_int((3,))
    (True, True, False, False)
    """
    return hasattr(value, "__index__") and not getattr(value, "ndim", 0)


def axis_of(axis: Any, ndim: int) -> int:
    """An axis counted from the front.

    Raises
    ------
    numpy.exceptions.AxisError
        There is no such axis.
    """
    return int(np.lib.array_utils.normalize_axis_index(axis.__index__(), ndim))


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front; None means all. An array without dimensions may be reduced along its first and last.

    Raises
    ------
    numpy.exceptions.AxisError, ValueError
        There is no such axis, or one is given twice.
    """
    if axis is None:
        return tuple(range(ndim))
    if not ndim and is_int(axis) and axis in (0, -1):
        return ()
    return tuple(int(a) for a in np.lib.array_utils.normalize_axis_tuple(axis, ndim))


def stored(result: Any, out: Any, name: str, casting: str = "same_kind", mask: Any = True) -> Any:
    """A result written into ``out`` where a mask is True; ``out`` is returned. None means that there is none.

    Raises
    ------
    TypeError
        ``out`` is an array of NumPy's and the result requires a gradient, or the dtypes do not fit.
    ValueError
        The shapes differ.
    """
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    if out is None:
        return result
    if isinstance(out, tuple):
        if not isinstance(result, tuple) or len(out) != len(result):
            raise TypeError(f"numpy.{name}: out has {len(out)} arrays, and the results are others")
        return tuple(stored(each, target, name, casting, mask) for each, target in zip(result, out, strict=True))
    if not isinstance(out, (Tensor, np.ndarray)):
        raise TypeError(f"numpy.{name}: out has to be an array, got {type(out).__name__}")
    result = tensor(result)
    if tuple(result.shape) != tuple(out.shape):
        raise ValueError(f"numpy.{name}: out has shape {tuple(out.shape)}, the result {tuple(result.shape)}")
    if mask is not True:
        result = ng.where(tensor(mask, np.bool_), result, tensor(out, dtype_of(result)))
    write(out, result, name, casting)
    return out


def write(target: Any, value: Tensor, name: str, casting: str = "same_kind") -> None:
    """Write values over an array of the same or a larger shape.

    Raises
    ------
    TypeError
        A gradient or more than NumPy's casting rule allows would be lost.
    """
    if not np.can_cast(dtype_of(value), dtype_of(target), casting):  # type: ignore[arg-type]
        raise TypeError(
            f"numpy.{name}: cannot cast from {dtype_of(value)} to {dtype_of(target)} by the rule {casting!r}"
        )
    if isinstance(target, np.ndarray):
        if value.requires_grad:
            raise TypeError(
                f"numpy.{name}: the result requires a gradient, which an array of NumPy's would lose; make the target an array of "
                "numgrad (numgrad.numpy.zeros and the like), or write out of place"
            )
        target[...] = value.numpy()
        return
    if value.requires_grad and not target._spec.dtype.is_floating_point:
        raise TypeError(
            f"numpy.{name}: the values require a gradient, which an array of {target._spec.dtype.name} would lose"
        )
    target.copy_(value)
