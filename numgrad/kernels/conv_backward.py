"""The gradient of a convolution's weight."""

from __future__ import annotations

from numgrad.kernels import conv_depthwise, conv_few, conv_folded, conv_planes, winograd
from numgrad.kernels.conv_choice import choose
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.conv_outer import plan_outer
from numgrad.kernels.conv_planes_weight import plan_planes_weight
from numgrad.kernels.gemm_layout import Matrices
from numgrad.kernels.gemm_pack import plan_bias
from numgrad.runtime.plan import Operand, PlanBuilder


def plan_conv2d_backward_weight(
    b: PlanBuilder, grad_out: Operand, x: Operand, grad_weight: Operand, geometry: Conv2dGeometry,
    policy: str | None = None,
) -> None:  # fmt: skip
    """``grad_weight`` (K R S C/groups), written without being read."""
    g = geometry
    x.array(g.n * g.h * g.w * g.c)
    grad_weight.array(g.k * g.filter_size)
    grad_out.array(g.pixels * g.k)
    if grad_weight.extent == 0:
        return
    if g.pixels == 0:
        nothing = b.scratch(grad_weight.spec.dtype, 0).array(0)
        plan_bias(b, nothing, Matrices(grad_weight, 0, 0), rows=1, columns=g.k * g.filter_size)
        return
    if g.is_depthwise:
        conv_depthwise.plan_sum_channels(b, grad_out, x, grad_weight, g.forward_grid, g.c)
        return
    if side := choose(g, "weight", x.code, policy).side:
        winograd.plan_winograd_weight(b, side, grad_out, x, grad_weight, g)
        return
    if conv_few.fits(g, "weight", x.code):
        conv_few.plan_weight(b, grad_out, x, grad_weight, g)
        return
    if g.folds:
        conv_folded.plan_weight(b, grad_out, x, grad_weight, g)
        return
    if conv_planes.fits(g, x.code, most=4):
        plan_planes_weight(b, grad_out, x, grad_weight, g)
        return
    plan_outer(
        b, g.forward_grid, Matrices(grad_out, g.group_k, g.k), Matrices(x, g.group_c, g.c), grad_weight,
        batch=g.groups, rows=g.group_k, columns=g.group_c, out_row=g.filter_size, out_tap=g.group_c,
    )  # fmt: skip
