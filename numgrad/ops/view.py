"""View ops: other shapes and strides over the same memory. No launch, no copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels.fill import plan_fill
from numgrad.layout import Spec, contiguous_strides, product
from numgrad.ops.layouts import plan_copy
from numgrad.ops.proofs import prove_dim, prove_dims, prove_ints
from numgrad.registry import Op, find
from numgrad.runtime.plan import Operand, PlanBuilder


def view_strides(spec: Spec, shape: Sequence[int]) -> tuple[int, ...] | None:
    """Strides with which ``shape`` visits the elements of ``spec`` in order; None if there are none.

    Each run of axes that form one line can be divided anew; a new axis must not span two runs.
    """
    if spec.numel == 0:
        return contiguous_strides(shape)
    runs: list[list[int]] = []  # (elements, innermost stride), from the innermost run
    for extent, stride in reversed([(n, s) for n, s in zip(spec.shape, spec.strides, strict=True) if n != 1]):
        if runs and stride == runs[-1][1] * runs[-1][0]:
            runs[-1][0] *= extent
        else:
            runs.append([extent, stride])
    strides: list[int] = []
    current = 0
    left, step = (runs[0][0], runs[0][1]) if runs else (1, 1)
    for extent in reversed(shape):
        if extent == 1:
            strides.append(step)
            continue
        if left == 1 and current + 1 < len(runs):
            current += 1
            left, step = runs[current]
        if left % extent:
            return None
        strides.append(step)
        left //= extent
        step *= extent
    return tuple(reversed(strides))


# ---- one op for each kind of view -------------------------------------------------------------------------------

view = Op("view", ("input",), {"size": ()}, doc="The same elements in another shape, sharing memory.")


@view.plan
def _(b: PlanBuilder, input: Operand, size: tuple[int, ...]) -> None:
    if min(prove_ints("view", "size", size), default=0) < 0:
        raise ShapeError(f"invalid shape dimension {min(size)} in shape '{list(size)}'")
    if product(size) != input.spec.numel:
        raise ShapeError(f"shape '{list(size)}' is invalid for input of size {input.spec.numel}")
    b.exposed(input)
    strides = view_strides(input.spec, size)
    if strides is None:
        raise ShapeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces): shape {list(input.spec.shape)}, strides {input.spec.strides}, view "
            f"{list(size)}. Use .reshape(...) instead."
        )
    b.view(input, size, strides)


@view.backward
def _(ctx, grad):
    return reshape(grad, tuple(ctx.input_specs[0].shape))


view.linear_in("input")


@view.batch
def _(batch, x, size):
    return view(x, size=(batch.size, *size))


@view.oracle
def _(x, size):
    return x.reshape(size)


def reshape(tensor: Any, size: tuple[int, ...]) -> Any:
    """A view if possible, else a copy."""
    spec = tensor._spec
    is_simple = spec.kind.is_exact or spec.is_private
    if not is_simple and product(size) == spec.numel and view_strides(spec, size) is None:
        tensor = find("to_strides")(tensor, strides=contiguous_strides(spec.shape))
    return view.apply((tensor,), size)


permute = Op("permute", ("input",), {"dims": ()}, doc="The dimensions in another order.")


@permute.plan
def _(b: PlanBuilder, input: Operand, dims: tuple[int, ...]) -> None:
    spec = input.spec
    if sorted(prove_ints("permute", "dims", dims)) != list(range(spec.ndim)):
        raise ShapeError(f"permute: dims {list(dims)} are not an order of the {spec.ndim} dimensions of the input")
    b.view(input, tuple(spec.shape[d] for d in dims), tuple(spec.strides[d] for d in dims))


@permute.backward
def _(ctx, grad):
    return permute(grad, dims=tuple(int(d) for d in np.argsort(ctx.params.dims)))


permute.linear_in("input")


@permute.batch
def _(batch, x, dims):
    return permute(x, dims=(0, *(d + 1 for d in dims)))


@permute.oracle
def _(x, dims):
    return x.transpose(dims)


transpose = Op("transpose", ("input",), {"dim0": 0, "dim1": 1}, doc="Two dimensions exchanged.")


@transpose.plan
def _(b: PlanBuilder, input: Operand, dim0: int, dim1: int) -> None:
    prove_dim("transpose", dim0, input.spec.ndim)
    prove_dim("transpose", dim1, input.spec.ndim)
    order = list(range(input.spec.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    b.view(input, tuple(input.spec.shape[d] for d in order), tuple(input.spec.strides[d] for d in order))


@transpose.backward
def _(ctx, grad):
    return transpose(grad, dim0=ctx.params.dim0, dim1=ctx.params.dim1)


transpose.linear_in("input")


@transpose.batch
def _(batch, x, dim0, dim1):
    return transpose(x, dim0=dim0 + 1, dim1=dim1 + 1)


@transpose.oracle
def _(x, dim0, dim1):
    return x.swapaxes(dim0, dim1)


expand = Op("expand", ("input",), {"size": ()}, doc="Extents of 1, and new leading ones, repeated without a copy.")


@expand.plan
def _(b: PlanBuilder, input: Operand, size: tuple[int, ...]) -> None:
    spec = input.spec
    missing = len(prove_ints("expand", "size", size)) - spec.ndim
    if missing < 0:
        raise ShapeError(f"expand: size {list(size)} has fewer dimensions than the input, {list(spec.shape)}")
    strides = [0] * missing
    for axis, (extent, stride) in enumerate(zip(spec.shape, spec.strides, strict=True), missing):
        if extent not in (1, size[axis]):
            raise ShapeError(
                f"The expanded size of the tensor ({size[axis]}) must match the existing size ({extent}) at non-singleton "
                f"dimension {axis}.  Target sizes: {list(size)}.  Tensor sizes: {list(spec.shape)}"
            )
        strides.append(stride if extent == size[axis] else 0)
    for axis in range(missing - 1, -1, -1):
        if size[axis] == 1 and spec.ndim:  # not repeated: its stride spans all inner dimensions
            strides[axis] = strides[axis + 1] * size[axis + 1]
    b.view(input, size, tuple(strides))


@expand.backward
def _(ctx, grad):
    return find("sum_to_size")(grad, size=tuple(ctx.input_specs[0].shape))


expand.linear_in("input")


@expand.batch
def _(batch, x, size):
    b, *shape = x._spec.shape
    x = view(x, size=(b, *(1,) * (len(size) - len(shape)), *shape))
    return expand(x, size=(b, *size))


@expand.oracle
def _(x, size):
    return np.broadcast_to(x, size)


unsqueeze = Op("unsqueeze", ("input",), {"dim": 0}, doc="A new dimension of extent 1 at ``dim``.")


@unsqueeze.plan
def _(b: PlanBuilder, input: Operand, dim: int) -> None:
    spec = input.spec
    prove_dim("unsqueeze", dim, spec.ndim + 1)
    stride = spec.strides[dim] * spec.shape[dim] if dim < spec.ndim else 1
    b.view(input, (*spec.shape[:dim], 1, *spec.shape[dim:]), (*spec.strides[:dim], stride, *spec.strides[dim:]))


@unsqueeze.backward
def _(ctx, grad):
    return squeeze(grad, dims=(ctx.params.dim,))


unsqueeze.linear_in("input")


@unsqueeze.batch
def _(batch, x, dim):
    return unsqueeze(x, dim=dim + 1)


@unsqueeze.oracle
def _(x, dim):
    return np.expand_dims(x, dim)


squeeze = Op(
    "squeeze", ("input",), {"dims": ()}, doc="The input without those of the dimensions ``dims`` that have extent 1."
)


@squeeze.plan
def _(b: PlanBuilder, input: Operand, dims: tuple[int, ...]) -> None:
    spec = input.spec
    prove_dims("squeeze", dims, max(spec.ndim, 1))
    kept = [axis for axis in range(spec.ndim) if axis not in dims or spec.shape[axis] != 1]
    b.view(input, tuple(spec.shape[a] for a in kept), tuple(spec.strides[a] for a in kept))


@squeeze.backward
def _(ctx, grad):
    return reshape(grad, tuple(ctx.input_specs[0].shape))


squeeze.linear_in("input")


@squeeze.shown_as
def _(specs, needs, params):
    return f"SqueezeBackward{0 if len(params.dims) == specs[0].ndim else 1}", None


@squeeze.batch
def _(batch, x, dims):
    return squeeze(x, dims=tuple(d + 1 for d in dims))


@squeeze.oracle
def _(x, dims):
    return x.squeeze(tuple(d for d in dims if x.shape[d] == 1))


slice_ = Op(
    "slice",
    ("input",),
    {"starts": (), "steps": (), "sizes": (), "dropped": ()},
    doc="For each dimension ``sizes[d]`` elements from ``starts[d]`` on, ``steps[d]`` apart, without the dimensions ``dropped``, "
    "which have one element: basic indexing.",
    moving=True,
)


def _room(extent: int, step: int, size: int) -> int:
    """How many beginnings there are for ``size`` elements."""
    return extent - (size - 1) * step if size else extent + 1


def _slice_geometry(spec: Spec, starts: Any, steps: Any, sizes: Any) -> tuple[tuple[int, ...], int]:
    for name, numbers in (("starts", starts), ("steps", steps), ("sizes", sizes)):
        prove_ints("slice", name, numbers, spec.ndim)
    for axis, (start, step, size) in enumerate(zip(starts, steps, sizes, strict=True)):
        if size < 0 or step < 1 or not 0 <= start < _room(spec.shape[axis], step, size):
            raise ShapeError(
                f"slice: {size} elements from {start} on, {step} apart, reach beyond dimension {axis} of extent "
                f"{spec.shape[axis]}"
            )
    strides = tuple(stride * step for stride, step in zip(spec.strides, steps, strict=True))
    empty = 0 in sizes
    offset = 0 if empty else sum(start * stride for start, stride in zip(starts, spec.strides, strict=True))
    return strides, offset


def _without(numbers: Sequence[int], dropped: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([number for axis, number in enumerate(numbers) if axis not in dropped]) if dropped else tuple(numbers)


@slice_.plan
def _(b: PlanBuilder, input: Operand, starts: Any, steps: Any, sizes: Any, dropped: Any) -> None:
    strides, offset = _slice_geometry(input.spec, starts, steps, sizes)
    if any(sizes[axis] != 1 for axis in prove_dims("slice", dropped, input.spec.ndim)):
        raise ShapeError(
            f"slice: of sizes {sizes} the dimensions {dropped} cannot go, since they have not one element each"
        )
    b.view(input, _without(sizes, dropped), _without(strides, dropped), offset)
    room = [_room(*each) for each in zip(input.spec.shape, steps, sizes, strict=True)]
    b.window(room, (0,) * input.spec.ndim if 0 in sizes else input.spec.strides)


@slice_.backward
def _(ctx, grad):
    p = ctx.params
    shape = tuple(ctx.input_specs[0].shape)
    return slice_backward(grad, size=shape, starts=p.starts, steps=p.steps, dropped=p.dropped)


slice_.linear_in("input")


@slice_.shown_as
def _(specs, needs, params):
    return "SelectBackward0" if params.dropped else "SliceBackward0", None


@slice_.batch
def _(batch, x, starts, steps, sizes, dropped):
    return slice_(
        x, starts=(0, *starts), steps=(1, *steps), sizes=(batch.size, *sizes), dropped=tuple(d + 1 for d in dropped)
    )


@slice_.oracle
def _(x, starts, steps, sizes, dropped=()):
    taken = zip(starts, steps, sizes, strict=True)
    return x[tuple(slice(a, a + n * s, s) if n else slice(0, 0) for a, s, n in taken)].squeeze(dropped)


slice_backward = Op(
    "slice_backward",
    ("grad",),
    {"size": (), "starts": (), "steps": (), "dropped": ()},
    doc="Zeros of shape ``size`` with the gradient at the elements that `slice` took.",
)


def _slice_sizes(shape: Sequence[int], dropped: Sequence[int]) -> tuple[int, ...]:
    """The sizes of a slice of this shape, with those dimensions that it has dropped."""
    sizes = list(shape)
    for axis in dropped:
        sizes.insert(axis, 1)
    return tuple(sizes)


@slice_backward.plan
def _(b: PlanBuilder, grad: Operand, size: Any, starts: Any, steps: Any, dropped: Any) -> None:
    out = b.output(grad.spec.dtype, size)
    prove_dims("slice_backward", dropped, out.spec.ndim)
    strides, offset = _slice_geometry(out.spec, starts, steps, _slice_sizes(grad.spec.shape, dropped))
    plan_fill(b, out, 0)
    plan_copy(b, grad, out.view(tuple(grad.spec.shape), _without(strides, dropped), offset))


@slice_backward.backward
def _(ctx, grad):
    _, starts, steps, dropped = ctx.params
    sizes = _slice_sizes(ctx.input_specs[0].shape, dropped)
    return slice_(grad, starts=starts, steps=steps, sizes=sizes, dropped=dropped)


slice_backward.linear_in("grad")


@slice_backward.batch
def _(batch, grad, size, starts, steps, dropped):
    return slice_backward(
        grad, size=(batch.size, *size), starts=(0, *starts), steps=(1, *steps), dropped=tuple(d + 1 for d in dropped)
    )


@slice_backward.oracle
def _(g, size, starts, steps, dropped=()):
    out = np.zeros(size, g.dtype)
    g = np.expand_dims(g, dropped)
    taken = zip(starts, steps, g.shape, strict=True)
    out[tuple(slice(a, a + n * s, s) if n else slice(0, 0) for a, s, n in taken)] = g
    return out


def narrow(tensor: Any, dim: int, start: int, length: int) -> Any:
    """``length`` elements of one dimension from ``start`` on."""
    shape = tensor._spec.shape
    starts, sizes = [0] * len(shape), list(shape)
    starts[dim], sizes[dim] = start, length
    return slice_.apply_moved(tensor, tuple(starts), (1,) * len(shape), tuple(sizes), ())


def select(tensor: Any, dim: int, index: int) -> Any:
    """The slice at ``index`` of one dimension, from the start, without that dimension."""
    shape = tensor._spec.shape
    starts, sizes = [0] * len(shape), list(shape)
    starts[dim], sizes[dim] = index, 1
    return slice_.apply_moved(tensor, tuple(starts), (1,) * len(shape), tuple(sizes), (dim,))


# ---- a view that depends on another tensor ----------------------------------------------------------------------

tie_backward = Op(
    "tie_backward",
    ("input", "other"),
    {"zeros": False},
    doc="The input, recorded as depending on ``other``, whose gradient is zeros, or None.",
)


@tie_backward.plan
def _(b: PlanBuilder, input: Operand, other: Operand, zeros: bool) -> None:
    b.view(input, tuple(input.spec.shape), input.spec.strides)


@tie_backward.backward
def _(ctx, grad):
    if not ctx.params.zeros:
        return grad, None
    spec = ctx.input_specs[1]
    return grad, find("full")(size=tuple(spec.shape), value=0.0, dtype=spec.dtype)


tie_backward.linear_in("input")


@tie_backward.batch
def _(batch, x, other, zeros):
    return tie_backward(batch.all(x)[0], other, zeros=zeros)


@tie_backward.oracle
def _(x, other, zeros):
    return x
