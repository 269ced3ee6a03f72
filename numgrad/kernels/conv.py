"""Convolutions in two dimensions, channels last: forward and the gradient of the input.

Activations lie as N H W C, weights as K R S C/groups (what torch calls channels_last), dense. Both directions are
products of rows (`gemm_rows`): the output's pixels are rows, a tap looks at a pixel of the source, and the weight is
read where it lies or packed into panels, whichever the number of pixels makes cheaper.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from numgrad.kernels import conv_depthwise, conv_few, conv_folded, conv_groups, winograd
from numgrad.kernels.conv_choice import choose
from numgrad.kernels.gemm import plan_gemm
from numgrad.kernels.gemm_pack import Right, plan_pack
from numgrad.kernels.gemm_rows import Grid, Rows, lanes, plan_rows, tile_shape
from numgrad.runtime.plan import Operand, PlanBuilder

FEW_PIXELS = 512  # up to which packing the weight costs more than it gains
FEW_SINGLE = 8  # the same for a gradient through a single tap
PADDED_PIXELS, MOST_PADDED = 512, 8  # how many pixels an image with its padding may have, and how many times more
NARROW = 16  # channels up to which a vector of them would be mostly empty


@dataclass(frozen=True)
class Conv2dGeometry:
    """Sizes of a convolution: input n c h w, k output channels, kernel r x s; pairs are (height, width)."""

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def out_h(self) -> int:
        """Height of the output."""
        return (self.h + 2 * self.padding[0] - self.dilation[0] * (self.r - 1) - 1) // self.stride[0] + 1

    @property
    def out_w(self) -> int:
        """Width of the output."""
        return (self.w + 2 * self.padding[1] - self.dilation[1] * (self.s - 1) - 1) // self.stride[1] + 1

    @property
    def pixels(self) -> int:
        """Places of the output, over all images."""
        return self.n * self.out_h * self.out_w

    @property
    def group_c(self) -> int:
        """Input channels of a group."""
        return self.c // self.groups

    @property
    def group_k(self) -> int:
        """Output channels of a group."""
        return self.k // self.groups

    @property
    def filter_size(self) -> int:
        """Elements of the weight for one output channel."""
        return self.r * self.s * self.group_c

    @property
    def is_depthwise(self) -> bool:
        """True if every channel has a filter of its own."""
        return 1 < self.groups == self.c == self.k

    @property
    def is_product(self) -> bool:
        """True if it is a product of matrices: every pixel by itself."""
        return (self.r, self.s, self.groups) == (1, 1, 1) and self.stride == (1, 1) and self.padding == (0, 0)

    @property
    def folds(self) -> bool:
        """True if the channels are so few that a row of the kernel is taken as one run of ``s * c`` elements.

        The input is copied with its padding then, which may not be much more than what is read and written anyway.
        """
        padded = (self.h + 2 * self.padding[0]) * (self.w + 2 * self.padding[1])
        return (
            self.groups == 1
            and self.c <= NARROW // 2
            and self.s > 1
            and self.dilation[1] == 1
            and padded <= MOST_PADDED * (PADDED_PIXELS + self.h * self.w + self.out_h * self.out_w)
        )

    @property
    def forward_grid(self) -> Grid:
        """Rows are the output's pixels, their sources the input's."""
        (scale_h, scale_w), (pad_h, pad_w), (step_h, step_w) = self.stride, self.padding, self.dilation
        return Grid(
            self.n, self.out_h, self.out_w, self.h, self.w, self.r, self.s, scale_h, scale_w, step_h, step_w,
            -pad_h, -pad_w,
        )  # fmt: skip

    @property
    def backward_grid(self) -> Grid:
        """Rows are the input's pixels, their sources the output's."""
        return Grid(
            self.n, self.h, self.w, self.out_h, self.out_w, self.r, self.s, 1, 1,
            -self.dilation[0], -self.dilation[1], self.padding[0], self.padding[1], *self.stride,
        )  # fmt: skip


def _check(geometry: Conv2dGeometry, x: Operand, weight: Operand, out: Operand) -> None:
    """Prove that the operands hold what the geometry says."""
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
        winograd.plan_winograd(
            b, side, x, weight, out, images=g.n, source_size=(g.h, g.w), goal_size=(g.out_h, g.out_w),
            padding=g.padding[0], channels=g.c, outputs=g.k, turned=False, bias=bias,
        )  # fmt: skip
        return
    if g.is_depthwise:
        conv_depthwise.plan_filter_channels(b, x, weight, bias, out, g.forward_grid, g.c)
        return
    if g.is_product:
        plan_gemm(
            b, x, weight, out, m=g.pixels, n=g.k, k=g.c, a_strides=(g.c, 1), b_strides=(1, g.c), out_stride=g.k,
            bias=bias,
        )  # fmt: skip
        return
    if g.folds:
        conv_folded.plan_forward(b, x, weight, bias, out, g)
        return
    narrow, own_weight, count = g, weight, conv_groups.merged_groups(g, x.code)
    if count > 1:
        weight, g = conv_groups.plan_spread(b, weight, g, count), conv_groups.merge(g, count)
    size, width = g.filter_size, tile_shape(x.code, "many")[1]
    goal = Rows(out, g.group_k, g.k)
    source, grid = Rows(x, g.group_c, g.c), g.forward_grid
    right = Right(weight, g.group_k * size, g.group_c, 1, size)
    taps, channels = g.r * g.s, g.group_c
    multiply = functools.partial(
        plan_rows,
        b,
        batch=g.groups,
        channels=channels,
        columns=g.group_k,
        bias=bias,
        bias_batch=g.group_k,
        watch=count > 1,
    )
    if channels % lanes(x.code) == 0 and (g.pixels <= FEW_PIXELS or 2 * g.group_k <= width):
        watched = multiply("dot", grid, source, right, goal)
    else:
        packed = plan_pack(b, right, batch=g.groups, taps=taps, channels=channels, columns=g.group_k, width=width)
        watched = multiply("many", grid, source, Right(packed, 0, 0, 0, 0), goal, packed=True)
    conv_groups.plan_repair(b, watched, source, own_weight, bias, goal, grid, narrow, count, turned=False)


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
        winograd.plan_winograd(
            b, side, grad_out, weight, grad_x, images=g.n, source_size=(g.out_h, g.out_w), goal_size=(g.h, g.w),
            padding=2 - g.padding[0], channels=g.k, outputs=g.c, turned=True,
        )  # fmt: skip
        return
    if g.is_depthwise:
        conv_depthwise.plan_filter_channels(b, grad_out, weight, None, grad_x, g.backward_grid, g.c)
        return
    if conv_few.fits(g, "input", grad_out.code):
        conv_few.plan_input(b, grad_out, weight, grad_x, g)
        return
    if g.is_product:
        plan_gemm(
            b,
            grad_out,
            weight,
            grad_x,
            m=g.pixels,
            n=g.c,
            k=g.k,
            a_strides=(g.k, 1),
            b_strides=(g.c, 1),
            out_stride=g.c,
        )
        return
    narrow, own_weight, count = g, weight, conv_groups.merged_groups(g, grad_out.code)
    if count > 1:
        weight, g = conv_groups.plan_spread(b, weight, g, count), conv_groups.merge(g, count)
    size, taps = g.filter_size, g.r * g.s
    source, goal, grid = Rows(grad_out, g.group_k, g.k), Rows(grad_x, g.group_c, g.c), g.backward_grid
    width = tile_shape(grad_out.code, "many")[1]
    multiply = functools.partial(
        plan_rows, b, batch=g.groups, channels=g.group_k, columns=g.group_c, watch=count > 1
    )  # fmt: skip
    right = Right(weight, g.group_k * size, g.group_c, size, 1)
    few_rows, few_columns = tile_shape(grad_out.code, "few")
    if 2 * g.group_c <= width and g.group_k % lanes(grad_out.code) == 0:
        view = Right(weight, g.group_k * size, g.group_c, 1, size)  # packed as [tap, c, k]
        turned = plan_pack(b, view, batch=g.groups, taps=taps, channels=g.group_c, columns=g.group_k, width=g.group_k)
        right = Right(turned, g.group_k * size, g.group_c * g.group_k, 1, g.group_k)
        watched = multiply("dot", grid, source, right, goal)
    elif g.group_c % few_columns == 0 and grid.rows // (g.stride[0] * g.stride[1]) <= few_rows:
        watched = multiply("few", grid, source, right, goal)
    else:
        # Of strided taps, a row sees one in so many; the fewer it sees, the more often unpacked sums go to memory.
        few = FEW_PIXELS if taps > 1 else FEW_SINGLE * g.stride[0] * g.stride[1]
        packed = g.group_c % width != 0 or grid.rows > few
        if packed:
            panels = plan_pack(b, right, taps=taps, width=width, batch=g.groups, channels=g.group_k, columns=g.group_c)
            right = Right(panels, 0, 0, 0, 0)
        watched = multiply("many", grid, source, right, goal, packed=packed)
    conv_groups.plan_repair(b, watched, source, own_weight, None, goal, grid, narrow, count, turned=True)
