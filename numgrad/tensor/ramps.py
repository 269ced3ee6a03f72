"""Further new tensors: `linspace`, `logspace`, `range`, windows, `empty_strided`; and functions applied in Python."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import DtypeError, warn
from numgrad.layout import contiguous_strides
from numgrad.registry import chain
from numgrad.tensor import creation, in_place
from numgrad.tensor.arguments import as_int, as_number, check_tensor, number_within, size_of
from numgrad.tensor.known import CONSTANT, UNDEFINED
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


def _real(op: str, name: str, value: Any) -> float:
    number = as_number(value.item() if isinstance(value, TensorBase) and value._spec.numel == 1 else value)  # type: ignore[attr-defined]
    if number is None:
        raise TypeError(f"{op}(): argument '{name}' must be Number, not {type(value).__name__}")
    return float(number)


@public("function", known=True)
def linspace(
    start: float, end: float, steps: int, *, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """``steps`` evenly spaced numbers from start to end, both included; integer dtypes cut them towards 0.

    Raises
    ------
    RuntimeError
        ``steps`` is negative, the dtype does not have one of the ends, or it is bool.

    >>> import numgrad as ng
    >>> ng.linspace(0, 5, 3, dtype=ng.int64)
    tensor([0, 2, 5])
    """
    count = as_int("linspace", "steps", steps)
    if count < 0:
        raise RuntimeError("linspace: number of steps must be non-negative")
    chosen = creation.chosen_dtype("linspace", dtype)
    ends = [creation.bound("linspace", name, value) for name, value in (("start", start), ("end", end))]
    first, last = [number if chosen.is_bool else number_within("linspace", number, chosen) for number in ends]
    return creation.finished(ops.creation.linspace(start=first, end=last, steps=count, dtype=chosen), requires_grad)


@public("function", known=True)
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Dtype | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """``steps`` powers of ``base``, with exponents evenly spaced from start to end, both included.

    Raises
    ------
    RuntimeError
        ``steps`` is negative.

    >>> import numgrad as ng
    >>> ng.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    count = as_int("logspace", "steps", steps)
    if count < 0:
        raise RuntimeError("logspace: number of steps must be non-negative")
    first, last = _real("logspace", "start", start), _real("logspace", "end", end)
    with np.errstate(all="ignore"):
        numbers = np.power(float(base), np.linspace(first, last, count))
    return creation.tensor(numbers, dtype=creation.chosen_dtype("logspace", dtype), requires_grad=requires_grad)


@public("function")
def range(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Dtype | None = None, requires_grad: builtins.bool = False
) -> Tensor:
    """start, start + step, … up to end, which is included; of the default dtype. `arange` is its successor.

    Raises
    ------
    RuntimeError
        step is 0, or leads away from end.

    >>> import warnings
    >>> import numgrad as ng
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     ng.range(1, 3)
    tensor([1., 2., 3.])
    """
    warn(
        "range is deprecated, since its behavior is inconsistent with Python's range builtin. Use arange, which leaves out the end."
    )
    if end is None:
        start, end = 0, start
    first, last, stride = (
        _real("range", name, each) for name, each in (("start", start), ("end", end), ("step", step))
    )
    if stride == 0:
        raise RuntimeError("range: step must be nonzero")
    if not math.isfinite(first) or not math.isfinite(last):
        raise RuntimeError(f"range: unsupported range: {start} -> {end}")
    if (last - first) * stride < 0:
        raise RuntimeError(f"range: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    count = int((last - first) / stride + 1)
    drawn = ops.creation.arange(start=first, step=stride, count=count, dtype=creation.chosen_dtype("range", dtype))
    return creation.finished(drawn, requires_grad)


@public("function", known=CONSTANT)
def scalar_tensor(s: Any, *, dtype: Dtype | None = None, requires_grad: builtins.bool = False) -> Tensor:
    """A number as a tensor without dimensions, of the default dtype unless another is given.

    Raises
    ------
    TypeError
        ``s`` is not a number.

    >>> import numgrad as ng
    >>> ng.scalar_tensor(3)
    tensor(3.)
    """
    number = as_number(s)
    if number is None:
        raise TypeError(f"scalar_tensor(): argument 's' must be Number, not {type(s).__name__}")
    return creation.tensor(number, dtype=creation.chosen_dtype("scalar_tensor", dtype), requires_grad=requires_grad)


@public("function", known=UNDEFINED)
def empty_strided(
    size: Any, stride: Any, *, dtype: Dtype | None = None, requires_grad: builtins.bool = False
) -> Tensor:
    """An uninitialised tensor of this shape and these strides.

    Raises
    ------
    RuntimeError
        There are not as many strides as sizes, or one is negative.

    >>> import numgrad as ng
    >>> ng.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    shape, strides = creation.checked_size("empty_strided", (tuple(size),)), size_of("empty_strided", (tuple(stride),))
    if len(shape) != len(strides):
        raise RuntimeError(
            f"empty_strided: dimensionality of sizes ({len(shape)}) must match that of strides ({len(strides)})"
        )
    if builtins.min(strides, default=0) < 0:
        raise RuntimeError(f"empty_strided: strides must be non-negative, got {list(strides)}")
    chosen = creation.chosen_dtype("empty_strided", dtype)
    return creation.finished(creation.uninitialized(chosen, shape, strides), requires_grad)


@public("function", known=UNDEFINED)
def empty_permuted(
    size: Any, physical_layout: Any, *, dtype: Dtype | None = None, requires_grad: builtins.bool = False
) -> Tensor:
    """An uninitialised tensor of this shape, whose dimensions lie in memory in the order given, the outermost first.

    Raises
    ------
    RuntimeError
        ``physical_layout`` is no permutation of the dimensions.

    >>> import numgrad as ng
    >>> ng.empty_permuted((2, 3, 5), (0, 2, 1)).stride()
    (15, 1, 3)
    """
    shape, order = (
        creation.checked_size("empty_permuted", (tuple(size),)),
        size_of("empty_permuted", (tuple(physical_layout),)),
    )
    if len(shape) != len(order):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = "
            f"{len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for index, axis in enumerate(order):
        if not 0 <= axis < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {axis} at index {index}).  NB: "
                "negative dims not currently supported"
            )
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    strides = [0] * len(shape)
    for axis, stride in zip(order, contiguous_strides(tuple(shape[axis] for axis in order)), strict=True):
        strides[axis] = stride
    return empty_strided(
        shape, strides, dtype=creation.chosen_dtype("empty_permuted", dtype), requires_grad=requires_grad
    )


@public("method", known=UNDEFINED)
def new_empty_strided(
    input: Tensor, size: Any, stride: Any, *, dtype: Dtype | None = None, requires_grad: builtins.bool = False
) -> Tensor:
    """`empty_strided` with this tensor's dtype, unless another is given.

    Raises
    ------
    RuntimeError
        As `empty_strided`.

    >>> import numgrad as ng
    >>> ng.ones(1).new_empty_strided((2, 3), (1, 2)).shape
    numgrad.Size([2, 3])
    """
    return empty_strided(size, stride, dtype=dtype or input.dtype, requires_grad=requires_grad)


# ---- windows ----------------------------------------------------------------------------------------------------


def _window(
    name: str,
    length: int,
    periodic: builtins.bool,
    dtype: Dtype | None,
    requires_grad: builtins.bool,
    shape: str,
    *numbers: float,
) -> Tensor:
    """A window of `ops.creation.signal_window`; a periodic one lacks its last value."""
    count = as_int(name, "window_length", length)
    if count < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={count}")
    chosen = creation.chosen_dtype(name, dtype)
    if not chosen.is_floating_point:
        raise DtypeError(f"{name} expects floating point dtypes, got: {chosen.torch_name}; pass dtype=numgrad.float32")
    if count < 2:
        return creation.ones(count, dtype=chosen, requires_grad=requires_grad)
    computed = float32 if chosen.is_half else chosen
    result = ops.creation.signal_window(
        shape=shape,
        numbers=tuple(map(float, numbers)),
        count=count,
        period=count if periodic else count - 1,
        dtype=computed,
    )
    result = result if computed is chosen else result.to(chosen)
    return result.requires_grad_() if requires_grad else result


@public("function")
def hann_window(
    window_length: int,
    periodic: builtins.bool = True,
    *,
    dtype: Dtype | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """Hann's window, (1 - cos(2 pi t)) / 2 for t from 0 to 1; a periodic one lacks its last value.

    Raises
    ------
    RuntimeError
        The length is negative, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("hann_window", window_length, periodic, dtype, requires_grad, "sine", 0.0, 1.0, 0.0)


@public("function")
def hamming_window(
    window_length: int,
    periodic: builtins.bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Dtype | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """Hamming's window, alpha - beta cos(2 pi t) for t from 0 to 1; a periodic one lacks its last value.

    Raises
    ------
    RuntimeError
        The length is negative, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _window(
        "hamming_window", window_length, periodic, dtype, requires_grad, "sine", alpha - beta, 2.0 * beta, 0.0
    )


@public("function")
def blackman_window(
    window_length: int,
    periodic: builtins.bool = True,
    *,
    dtype: Dtype | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """Blackman's window, 0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t) for t from 0 to 1; a periodic one lacks its last value.

    Raises
    ------
    RuntimeError
        The length is negative, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.blackman_window(5, periodic=False)[2]
    tensor(1.)
    """
    return _window("blackman_window", window_length, periodic, dtype, requires_grad, "sine", 0.0, 0.36, 0.64)


@public("function")
def bartlett_window(
    window_length: int,
    periodic: builtins.bool = True,
    *,
    dtype: Dtype | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """Bartlett's window, a triangle from 0 to 1 and back; a periodic one lacks its last value.

    Raises
    ------
    RuntimeError
        The length is negative, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("bartlett_window", window_length, periodic, dtype, requires_grad, "triangle")


@public("function")
def kaiser_window(
    window_length: int,
    periodic: builtins.bool = True,
    beta: float = 12.0,
    *,
    dtype: Dtype | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """Kaiser's window, I0(beta sqrt(1 - (2 t - 1)^2)) / I0(beta) for t from 0 to 1; a periodic one lacks its last value.

    Raises
    ------
    RuntimeError
        The length is negative, or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.kaiser_window(5, False)[2]
    tensor(1.)
    """
    return _window("kaiser_window", window_length, periodic, dtype, requires_grad, "kaiser", beta)


# ---- functions applied in Python --------------------------------------------------------------------------------


def _mapped(name: str, target: Tensor, function: Any, *others: Any) -> Tensor:
    for tensor in (target, *others):
        if check_tensor(name, "tensor", tensor).requires_grad:
            raise RuntimeError(
                f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead."
            )
    if not callable(function):
        raise TypeError(f"{name}(): argument 'callable' must be a function, not {type(function).__name__}")
    columns = [np.broadcast_to(each._array(), tuple(target._spec.shape)).ravel().tolist() for each in (target, *others)]
    numbers = np.array([function(*each) for each in zip(*columns, strict=True)], target._spec.dtype.numpy)
    return in_place.copy_(target, creation.from_numpy(numbers.reshape(tuple(target._spec.shape))))


@public("method")
def apply_(input: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by what a Python function makes of it. It is slow. Returns this tensor.

    Raises
    ------
    RuntimeError
        The tensor requires a gradient.

    >>> import numgrad as ng
    >>> ng.tensor([1.0, 2.0]).apply_(lambda x: x * x + 1)
    tensor([2., 5.])
    """
    return _mapped("apply_", input, callable)


@public("method")
def map_(input: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by what a Python function makes of it and that of another tensor. Returns this tensor.

    Raises
    ------
    RuntimeError
        A tensor requires a gradient.

    >>> import numgrad as ng
    >>> ng.tensor([1.0, 2.0]).map_(ng.tensor([3.0, 4.0]), lambda x, y: x + y)
    tensor([4., 6.])
    """
    return _mapped("map_", input, callable, tensor)


@public("method")
def map2_(input: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by what a Python function makes of it and those of two other tensors. Returns this tensor.

    Raises
    ------
    RuntimeError
        A tensor requires a gradient.

    >>> import numgrad as ng
    >>> ng.tensor([1.0]).map2_(ng.tensor([2.0]), ng.tensor([3.0]), lambda a, b, c: a + b * c)
    tensor([7.])
    """
    return _mapped("map2_", input, callable, x, y)


# ---- filled -----------------------------------------------------------------------------------------------------


@public("function", known=True)
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor in the shape and dtype of the input, of one value, a number or a tensor without dimensions.

    Raises
    ------
    RuntimeError
        The dtype does not have the number, or ``value`` has dimensions.

    >>> import numgrad as ng
    >>> ng.fill(ng.zeros(2), 7)
    tensor([7., 7.])
    """
    check_tensor("fill", "input", input)
    followed = chain.wrappers or modes.forward is not None or (modes.grad_enabled and input.requires_grad)
    # Nothing is read of an input whose graph nobody follows.
    copied = ops.elementwise.clone(input) if followed else creation.empty_like(input)
    return in_place.fill_(copied, value)


@public("function", known=True)
def fill_(input: Tensor, value: Any) -> Tensor:
    """`Tensor.fill_` as a function.

    Raises
    ------
    RuntimeError
        As `Tensor.fill_`.

    >>> import numgrad as ng
    >>> ng.fill_(ng.zeros(2), 7)
    tensor([7., 7.])
    """
    return in_place.fill_(check_tensor("fill_", "input", input), value)


@public("function", known=True)
def zero_(input: Tensor) -> Tensor:
    """`Tensor.zero_` as a function.

    Raises
    ------
    RuntimeError
        As `Tensor.zero_`.

    >>> import numgrad as ng
    >>> ng.zero_(ng.ones(2))
    tensor([0., 0.])
    """
    return in_place.fill_(check_tensor("zero_", "input", input), 0)
