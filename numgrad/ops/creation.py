"""Ops that create, copy and convert tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.elementwise import broadcast_shapes
from numgrad.kernels.fill import plan_fill, plan_line, plan_ramp, plan_unit, plan_window
from numgrad.layout import output_strides, product
from numgrad.ops.family import elementwise
from numgrad.ops.layouts import copied, plan_copy
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

full = Op(
    "full",
    (),
    {"size": (), "value": 0.0, "dtype": float32},
    differentiable=False,
    doc="A tensor filled with one value.",
)


@full.plan
def _(b: PlanBuilder, size: tuple[int, ...], value: float, dtype: Dtype) -> None:
    plan_fill(b, b.output(dtype, size), value)


@full.oracle
def _(size, value, dtype):
    return np.full(size, value, dtype.numpy)


zeros_like = Op(
    "zeros_like", ("input",), differentiable=False, doc="Zeros in the input's shape, dtype and dense layout."
)


@zeros_like.plan
def _(b: PlanBuilder, input: Operand) -> None:
    shape = tuple(input.spec.shape)
    plan_fill(b, b.output(input.spec.dtype, shape, output_strides(shape, [input.spec])), 0)


@zeros_like.batch
def _(batch, x):
    return zeros_like(x)


zeros_like.oracle(np.zeros_like)

arange = Op(
    "arange",
    (),
    {"start": 0, "step": 1, "count": 0, "dtype": float32},
    differentiable=False,
    doc="``count`` numbers: start, start + step, …",
)


@arange.plan
def _(b: PlanBuilder, start: float, step: float, count: int, dtype: Dtype) -> None:
    if dtype.is_bool:
        raise DtypeError(f"\"arange\" not implemented for '{dtype.torch_name}'; convert with .to(numgrad.bool)")
    plan_ramp(b, b.output(dtype, (count,)), start, step)


@arange.oracle
def _(start, step, count, dtype):
    return (start + step * np.arange(count)).astype(dtype.numpy)


eye = Op(
    "eye",
    (),
    {"rows": 0, "columns": 0, "dtype": float32},
    differentiable=False,
    doc="A matrix with ones on its diagonal, and zeros elsewhere.",
)


@eye.plan
def _(b: PlanBuilder, rows: int, columns: int, dtype: Dtype) -> None:
    plan_unit(b, b.output(dtype, (rows, columns)))


@eye.oracle
def _(rows, columns, dtype):
    return np.eye(rows, columns, dtype=dtype.numpy)


linspace = Op(
    "linspace",
    (),
    {"start": 0.0, "end": 1.0, "steps": 0, "dtype": float32},
    differentiable=False,
    doc="``steps`` numbers at even distances from start to end, both included; integers are rounded towards 0, except the ends.",
)
_EXACT = 1 << 53  # up to here all integers are floating-point numbers


@linspace.plan
def _(b: PlanBuilder, start: float, end: float, steps: int, dtype: Dtype) -> None:
    if dtype.is_bool:
        raise DtypeError(f"\"linspace\" not implemented for '{dtype.torch_name}'; convert with .to(numgrad.bool)")
    for name, value in (("start", start), ("end", end)):
        if dtype.category == 1 and not dtype.smallest <= value <= dtype.largest:
            raise RuntimeError(f"linspace: {name} {value} cannot be converted to type {dtype.name} without overflow")
        if dtype.category == 1 and steps > 2 and abs(value) > _EXACT:
            raise RuntimeError(
                f"linspace: {name} is {value}, expected within 2**53, where distances of integers are exact"
            )
    plan_line(b, b.output(dtype, (steps,)), start, end)


@linspace.oracle
def _(start, end, steps, dtype):
    return np.linspace(start, end, steps).astype(dtype.numpy)


signal_window = Op(
    "signal_window",
    (),
    {"shape": "sine", "numbers": (0.0, 1.0, 0.0), "count": 0, "period": 1, "dtype": float32},
    differentiable=False,
    doc="""``count`` places k of a symmetric window of ``period`` steps, computed in float64.

    'sine': ``a + b u + c u**2`` for ``u = sin(pi k / period)**2``; 'triangle': from 0 to 1 and back; 'kaiser': of one number,
    beta, ``i0(beta sqrt(1 - (2 k / period - 1)**2)) / i0(beta)``.
    """,
)
_NUMBERS = {"sine": 3, "triangle": 0, "kaiser": 1}


@signal_window.plan
def _(b: PlanBuilder, shape: str, numbers: tuple[float, ...], count: int, period: int, dtype: Dtype) -> None:
    if not dtype.is_floating_point or dtype.is_half:
        raise DtypeError(f"\"signal_window\" not implemented for '{dtype.torch_name}'; pass dtype=numgrad.float32")
    if _NUMBERS.get(shape) != len(numbers) or period < 1:
        raise RuntimeError(
            f"signal_window: got shape {shape!r}, numbers {numbers} and period {period}, expected one of {_NUMBERS}"
        )
    plan_window(b, b.output(dtype, (count,)), shape, float(period), numbers)


@signal_window.oracle
def _(shape, numbers, count, period, dtype):
    t = np.arange(count) / period
    if shape == "sine":
        u = np.sin(np.pi * t) ** 2
        values = numbers[0] + numbers[1] * u + numbers[2] * u * u
    elif shape == "triangle":
        values = 1 - np.abs(2 * t - 1)
    else:
        values = np.i0(numbers[0] * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0.0))) / np.i0(numbers[0])
    return values.astype(dtype.numpy)


cast = elementwise(
    "cast",
    accepts="bif",
    result="param",
    params={"dtype": float32},
    node_name="ToCopyBackward0",
    oracle=lambda x, dtype: x.astype(dtype.numpy),
    doc="The input converted to ``dtype``; to bool: whether it is not 0; to integers: truncated.",
)
cast.forward(copied)


def _cast_backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
    return (cast(grad, dtype=ctx.input_specs[0].dtype),)


cast.backward_function = _cast_backward
cast.linear_in("input")
cast.halves = True

to_strides = Op(
    "to_strides",
    ("input",),
    {"strides": ()},
    node_name="CloneBackward0",
    doc="A copy whose elements lie in memory by the given dense strides; the values do not change.",
)


@to_strides.plan
def _(b: PlanBuilder, input: Operand, strides: tuple[int, ...]) -> None:
    out = b.output(input.spec.dtype, tuple(input.spec.shape), strides)
    if not out.spec.is_dense:
        raise ShapeError(f"to_strides: strides {strides} are not dense for shape {list(input.spec.shape)}")
    plan_copy(b, input, out)


@to_strides.backward
def _(ctx, grad):
    return grad


to_strides.linear_in("input")
to_strides.cheap()
to_strides.halves = True


@to_strides.batch
def _(batch, x, strides):
    return to_strides(x, strides=(max(1, product(x._spec.shape[1:])), *strides))


@to_strides.oracle
def _(x, strides):
    return x.copy()


copy_ = Op(
    "copy_",
    ("input", "src"),
    doc="Copy ``src``, broadcast and converted, into the memory of ``input``, which it returns.",
    node_name="CopyBackwards",
    overwrites=True,
    elementwise=True,
)


@copy_.plan
def _(b: PlanBuilder, input: Operand, src: Operand) -> None:
    shape = tuple(input.spec.shape)
    if broadcast_shapes("copy_", shape, src.spec.shape) != shape:
        raise ShapeError(f"copy_: src has shape {list(src.spec.shape)}, which does not broadcast to {list(shape)}")
    plan_copy(b, src, b.in_place(input))


copy_.halves = True


@copy_.backward
def _(ctx, grad):
    from numgrad.ops.reduce import sum_to_size

    src = ctx.input_specs[1]
    to_src = None
    if ctx.needs[1]:
        to_src = sum_to_size(grad, size=tuple(src.shape))
        to_src = to_src if src.dtype is grad._spec.dtype else cast(to_src, dtype=src.dtype)
    return zeros_like(grad) if ctx.needs[0] else None, to_src


@copy_.jvp
def _(ctx, _, to_src):
    if to_src is None:
        return None
    dtype = ctx.inputs[0]._spec.dtype
    return to_src if to_src._spec.dtype is dtype else cast(to_src, dtype=dtype)


@copy_.oracle
def _(x, src):
    return np.broadcast_to(src, x.shape).astype(x.dtype)
