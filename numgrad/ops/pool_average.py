"""Average pooling in two and three dimensions: over windows, and to given extents.

The result of images has the input's layout: channels last or row-major.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ShapeError
from numgrad.kernels.pool import plan_avg_pool
from numgrad.kernels.pool_backward import plan_avg_pool_backward
from numgrad.kernels.windows import Window
from numgrad.layout import product, spec_of
from numgrad.ops import rules
from numgrad.ops.pool import (
    as_read,
    oracle_shape,
    pooled_shape,
    pooled_strides,
    refuse_dtypes,
    size_of,
    values_of_taps,
    window_of,
    window_params,
)
from numgrad.ops.proofs import prove_int, prove_ints, prove_shapes
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_FARTHEST = (1 << 63) - 1


def _refuse_average(name: str, dtype: dtypes.dtype, divisor: Any) -> None:
    refuse_dtypes(name, dtype, not (dtype.is_floating_point or dtype is dtypes.int64))
    if divisor is not None and prove_int(name, "divisor_override", divisor, -_FARTHEST, _FARTHEST) == 0:
        raise ShapeError(f"{name}: divisor must be not zero")


def _transposed(forward: Any, grad: np.ndarray, size: Any, params: dict[str, Any]) -> np.ndarray:
    """The transpose of a linear map, applied to ``grad``: the map is probed with volumes that have a single 1."""
    elements = product(size[2:])
    out = np.zeros((*size[:2], elements), grad.dtype)
    for element in range(elements):
        probe = np.zeros((1, 1, elements))
        probe[..., element] = 1
        out[..., element] = (grad * forward(probe.reshape(1, 1, *size[2:]), **params)).reshape(*size[:2], -1).sum(-1)
    return out.reshape(size)


def _over_windows(ndim: int) -> tuple[Op, Op]:
    """Average pooling over ``ndim`` dimensions, and its gradient."""
    name = f"avg_pool{ndim}d"
    params = {**window_params(ndim), "ceil_mode": False, "count_include_pad": True, "divisor_override": None}
    avg_pool = Op(name, ("input",), params, node_name=f"AvgPool{ndim}DBackward0", doc="The mean of each window.")

    @avg_pool.plan
    def _(
        b: PlanBuilder, input: Operand, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, **counting: Any
    ) -> None:
        spec = input.spec
        window = window_of(name, spec, ndim, kernel_size, stride, padding)
        _refuse_average(name, spec.dtype, counting["divisor_override"])
        shape = pooled_shape(name, spec, window, ceil_mode)
        out = b.output(spec.dtype, shape, pooled_strides(spec, ndim, shape))
        plan_avg_pool(b, as_read(b, input, ndim), out, window, ndim, **counting)

    @avg_pool.backward
    def _(ctx, grad):
        return avg_pool_backward(grad, size=tuple(ctx.input_specs[0].shape), **ctx.params._asdict())

    avg_pool.tie(("input",), ("input",))
    avg_pool.linear_in("input")
    avg_pool.batch(rules.of_images)

    @avg_pool.oracle
    def _(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
        window = Window(kernel_size, stride, padding, (1,) * ndim)
        shape = oracle_shape(name, x, window, ceil_mode)
        total = values_of_taps(x, window, shape, 0).sum(-1)
        if divisor_override is not None:
            return total / divisor_override
        inside = np.ones((1, 1, *x.shape[2:]))
        if count_include_pad:
            around = [(pad, pad) for pad in padding]
            inside = np.pad(inside, ((0, 0), (0, 0), *around), constant_values=1)
            window = Window(kernel_size, stride, (0,) * ndim, (1,) * ndim)
        return total / values_of_taps(inside, window, shape, 0).sum(-1)

    avg_pool_backward = Op(
        f"{name}_backward",
        ("grad",),
        {"size": (), **params},
        doc=f"Gradient of `{name}` with respect to its input.",
    )

    @avg_pool_backward.plan
    def _(
        b: PlanBuilder, grad: Operand, size: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, **counting: Any
    ) -> None:  # fmt: skip
        own = f"{name}_backward"
        out_spec = spec_of(grad.spec.dtype, size_of(own, size, ndim))
        window = window_of(own, out_spec, ndim, kernel_size, stride, padding)
        _refuse_average(own, grad.spec.dtype, counting["divisor_override"])
        prove_shapes(own, ("grad",), (grad,), pooled_shape(own, out_spec, window, ceil_mode))
        out = b.output(grad.spec.dtype, size, pooled_strides(grad.spec, ndim, size))
        plan_avg_pool_backward(b, as_read(b, grad, ndim), out, window, ndim, **counting)

    @avg_pool_backward.backward
    def _(ctx, grad):
        p = ctx.params._asdict()
        del p["size"]
        return avg_pool(grad, **p)

    avg_pool_backward.linear_in("grad")
    avg_pool_backward.batch(rules.of_images)

    @avg_pool_backward.oracle
    def _(grad, size, **params):
        return _transposed(avg_pool.oracle_function, grad, size, params)

    return avg_pool, avg_pool_backward


def _to_extents(ndim: int) -> tuple[Op, Op]:
    """Average pooling over ``ndim`` dimensions to given extents, and its gradient."""
    name = f"adaptive_avg_pool{ndim}d"
    adaptive = Op(
        name,
        ("input",),
        {"output_size": (1,) * ndim},
        node_name=f"AdaptiveAvgPool{ndim}DBackward0",
        doc="Means of boxes that cut the image or volume into output_size parts.",
    )

    @adaptive.plan
    def _(b: PlanBuilder, input: Operand, output_size: Any) -> None:
        spec = input.spec
        if (
            spec.ndim not in (ndim + 1, ndim + 2)
            or 0 in spec.shape[1:]
            or min(prove_ints(name, "output_size", output_size, ndim)) < 0
        ):
            raise ShapeError(
                f"{name}(): Expected {ndim + 1}D or {ndim + 2}D tensor with non-zero size for non-batch dimensions and a "
                f"non-negative output_size, but got {list(spec.shape)} and {output_size}"
            )
        refuse_dtypes(name, spec.dtype, not spec.dtype.is_floating_point)
        shape = (*spec.shape[:-ndim], *output_size)
        out = b.output(spec.dtype, shape, pooled_strides(spec, ndim, shape))
        plan_avg_pool(b, as_read(b, input, ndim), out, None, ndim)

    @adaptive.backward
    def _(ctx, grad):
        return adaptive_backward(grad, size=tuple(ctx.input_specs[0].shape))

    adaptive.tie(("input",), ("input",))
    adaptive.linear_in("input")
    adaptive.batch(rules.of_images)

    @adaptive.oracle
    def _(x, output_size):
        out = np.empty((*x.shape[:2], *output_size), x.dtype)
        for index in np.ndindex(*output_size):
            box = [
                slice(i * n // o, -(-(i + 1) * n // o)) for i, n, o in zip(index, x.shape[2:], output_size, strict=True)
            ]
            out[(..., *index)] = x[(..., *box)].mean(tuple(range(2, x.ndim)))
        return out

    adaptive_backward = Op(
        f"{name}_backward",
        ("grad",),
        {"size": ()},
        doc=f"Gradient of `{name}` with respect to its input.",
    )

    @adaptive_backward.plan
    def _(b: PlanBuilder, grad: Operand, size: Any) -> None:
        own = f"{name}_backward"
        size_of(own, size, ndim)
        refuse_dtypes(own, grad.spec.dtype, not grad.spec.dtype.is_floating_point)
        if grad.spec.ndim != len(size) or tuple(grad.spec.shape[:-ndim]) != size[:-ndim] or 0 in size[-ndim - 1 :]:
            raise ShapeError(
                f"{own}: grad has shape {list(grad.spec.shape)}, expected that of an input of {list(size)}"
            )
        out = b.output(grad.spec.dtype, size, pooled_strides(grad.spec, ndim, size))
        plan_avg_pool_backward(b, as_read(b, grad, ndim), out, None, ndim)

    @adaptive_backward.backward
    def _(ctx, grad):
        return adaptive(grad, output_size=tuple(ctx.input_specs[0].shape[-ndim:]))

    adaptive_backward.linear_in("grad")
    adaptive_backward.batch(rules.of_images)

    @adaptive_backward.oracle
    def _(grad, size):
        return _transposed(adaptive.oracle_function, grad, size, {"output_size": grad.shape[2:]})

    return adaptive, adaptive_backward


avg_pool2d, avg_pool2d_backward = _over_windows(2)
avg_pool3d, avg_pool3d_backward = _over_windows(3)
adaptive_avg_pool2d, adaptive_avg_pool2d_backward = _to_extents(2)
adaptive_avg_pool3d, adaptive_avg_pool3d_backward = _to_extents(3)
