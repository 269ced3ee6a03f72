"""The sizes of a convolution, and properties derived from them."""

from __future__ import annotations

from dataclasses import dataclass

from numgrad.kernels.grid import Grid

FEW_CHANNELS = 8  # up to so many, a row of the kernel is one run
PADDED_PIXELS, MOST_PADDED = 512, 8  # how many pixels an image with its padding may have, and how many times more


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
        """Pixels of the output, over all images."""
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
        """True if it is a product of matrices: each pixel sees only itself."""
        return (self.r, self.s, self.groups) == (1, 1, 1) and self.stride == (1, 1) and self.padding == (0, 0)

    @property
    def folds(self) -> bool:
        """True if the channels are so few that a row of the kernel is taken as one run of ``s * c`` elements.

        The input is then copied with its padding, which must not be much more than the memory read and written anyway.
        """
        padded = (self.h + 2 * self.padding[0]) * (self.w + 2 * self.padding[1])
        return (
            self.groups == 1
            and self.c <= FEW_CHANNELS
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
