"""Convolutions in two dimensions, channels last: forward and the gradient of the input.

Activations lie as N H W C, weights as K R S C/groups (torch's channels_last), dense. Both directions are
products of rows (`gemm_rows`): the output's pixels are rows, and a tap reads a pixel of the source. The weight is read in
place or packed into panels, whichever is cheaper for the number of pixels.
"""

from __future__ import annotations

import functools

from numgrad.kernels import conv_depthwise, conv_few, conv_folded, conv_planes, winograd
from numgrad.kernels.conv_choice import choose
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.gemm import plan_gemm
from numgrad.kernels.gemm_layout import Matrices, Right, TapSteps
from numgrad.kernels.gemm_pack import plan_pack
from numgrad.kernels.gemm_rows import lanes, plan_rows, tile_shape
from numgrad.runtime.plan import Operand, PlanBuilder

FEW_PIXELS = 512  # packing the weight pays beyond so many
FEW_SINGLE = 8  # the same for a gradient through a single tap


def _check(geometry: Conv2dGeometry, x: Operand, weight: Operand, out: Operand) -> None:
    """Prove that the operands have the sizes of the geometry."""
    g = geometry
    x.array(g.n * g.h * g.w * g.c)
    weight.array(g.k * g.filter_size)
    out.array(g.pixels * g.k)


def plan_conv2d_forward(
    b: PlanBuilder, x: Operand, weight: Operand, bias: Operand | None, out: Operand, geometry: Conv2dGeometry,
    policy: str | None = None,
) -> None:  # fmt: skip
    """``out = conv2d(x, weight) + bias``; see the module's text for layouts.

    ``policy`` is one of `conv_choice.POLICIES`; None: the process's.
    """
    g = geometry
    _check(g, x, weight, out)
    if g.pixels * g.k == 0:
        return
    if side := choose(g, "forward", x.code, policy).side:
        winograd.plan_winograd(b, side, x, weight, out, g, turned=False, bias=bias)
        return
    if g.is_depthwise:
        conv_depthwise.plan_filter_channels(b, x, weight, bias, out, g.forward_grid, g.c)
        return
    if g.is_product:
        filters = Matrices(weight, 0, 1, g.c)
        plan_gemm(b, Matrices(x, 0, g.c), filters, Matrices(out, 0, g.k), m=g.pixels, n=g.k, k=g.c, bias=bias)
        return
    if g.folds:
        conv_folded.plan_forward(b, x, weight, bias, out, g)
        return
    one = conv_planes.fills_a_vector(g.groups, g.group_k, g.group_c, x.code)
    if not one and conv_planes.fits(g, x.code):
        steps = TapSteps(g.group_k * g.filter_size, g.group_c, 1, g.filter_size)
        source, goal = Matrices(x, 0, g.c), Matrices(out, 0, g.k)
        conv_planes.plan_planes(
            b, g.forward_grid, source, weight, steps, bias, goal, g, channels=g.group_c, columns=g.group_k
        )
        return
    size, width = g.filter_size, tile_shape(x.code, "many")[1]
    source, goal, grid = Matrices(x, g.group_c, g.c), Matrices(out, g.group_k, g.k), g.forward_grid
    right = Right(weight, g.group_k * size, g.group_c, 1, size)
    taps, channels = g.r * g.s, g.group_c
    multiply = functools.partial(
        plan_rows, b, batch=g.groups, channels=channels, columns=g.group_k,
        bias=Matrices(bias, g.group_k, 0) if bias else None,
    )  # fmt: skip
    if one:
        packed = plan_pack(b, right, batch=g.groups, taps=taps, channels=channels, columns=g.group_k, width=g.group_k)
        multiply("narrow", grid, source, packed, goal)
    elif channels % lanes(x.code) == 0 and (g.pixels <= FEW_PIXELS or 2 * g.group_k <= width):
        multiply("dot", grid, source, right, goal)
    else:
        packed = plan_pack(b, right, batch=g.groups, taps=taps, channels=channels, columns=g.group_k, width=width)
        multiply("many", grid, source, packed, goal)


def plan_conv2d_backward_input(
    b: PlanBuilder, grad_out: Operand, weight: Operand, grad_x: Operand, geometry: Conv2dGeometry,
    policy: str | None = None,
) -> None:  # fmt: skip
    """``grad_x``, from the gradient of the output."""
    g = geometry
    _check(g, grad_x, weight, grad_out)
    if grad_x.extent == 0:
        return
    if side := choose(g, "input", grad_out.code, policy).side:
        winograd.plan_winograd(b, side, grad_out, weight, grad_x, g, turned=True)
        return
    if g.is_depthwise:
        conv_depthwise.plan_filter_channels(b, grad_out, weight, None, grad_x, g.backward_grid, g.c)
        return
    if conv_few.fits(g, "input", grad_out.code):
        conv_few.plan_input(b, grad_out, weight, grad_x, g)
        return
    if g.is_product:
        filters = Matrices(weight, 0, g.c)
        plan_gemm(b, Matrices(grad_out, 0, g.k), filters, Matrices(grad_x, 0, g.c), m=g.pixels, n=g.c, k=g.k)
        return
    size, taps = g.filter_size, g.r * g.s
    source, goal, grid = Matrices(grad_out, g.group_k, g.k), Matrices(grad_x, g.group_c, g.c), g.backward_grid
    width = tile_shape(grad_out.code, "many")[1]
    multiply = functools.partial(plan_rows, b, batch=g.groups, channels=g.group_k, columns=g.group_c)
    right = Right(weight, g.group_k * size, g.group_c, size, 1)
    few_rows, few_columns = tile_shape(grad_out.code, "few")
    if conv_planes.fills_a_vector(g.groups, g.group_c, g.group_k, grad_out.code):
        packed = plan_pack(b, right, batch=g.groups, taps=taps, channels=g.group_k, columns=g.group_c, width=g.group_c)
        multiply("narrow", grid, source, packed, goal)
        return
    narrow = conv_planes.fits(g, grad_out.code)
    if narrow or (2 * g.group_c <= width and g.group_k % lanes(grad_out.code) == 0):
        view = Right(weight, g.group_k * size, g.group_c, 1, size)  # packed as [tap, c, k]
        turned = plan_pack(b, view, batch=g.groups, taps=taps, channels=g.group_c, columns=g.group_k, width=g.group_k)
        right = Right(turned, g.group_k * size, g.group_c * g.group_k, 1, g.group_k)
        if narrow:
            steps = TapSteps(right.batch, right.tap, 1, right.column)
            source, goal = Matrices(grad_out, 0, g.k), Matrices(grad_x, 0, g.c)
            conv_planes.plan_planes(
                b, grid, source, turned, steps, None, goal, g, channels=g.group_k, columns=g.group_c
            )
            return
        multiply("dot", grid, source, right, goal)
    elif g.group_c % few_columns == 0 and grid.rows // (g.stride[0] * g.stride[1]) <= few_rows:
        multiply("few", grid, source, right, goal)
    else:
        # Of strided taps, a row sees only some; the fewer it sees, the more often unpacked sums go to memory.
        few = FEW_PIXELS if taps > 1 else FEW_SINGLE * g.stride[0] * g.stride[1]
        if g.group_c % width != 0 or grid.rows > few:
            packed = plan_pack(b, right, taps=taps, width=width, batch=g.groups, channels=g.group_k, columns=g.group_c)
            multiply("many", grid, source, packed, goal)
        else:
            multiply("many", grid, source, right, goal)
