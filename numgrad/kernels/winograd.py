"""Convolutions of 3 x 3 kernels with stride 1 by Winograd's minimal filtering, in all three directions.

An output tile of m x m pixels costs (m + 2)^2 multiplications for each pair of channels, where the direct sum takes
9 m^2: 2.25 times fewer for m = 2, four times for m = 4. With the matrices of `matrices`, for a tile d of the input, a
kernel g and a tile e of the gradient::

    output = A' [(G g G') * (B' d B)] A        grad_weight = G' [sum over tiles (A e A') * (B' d B)] G

(Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016), and the input's gradient is the output of
the kernel turned by 180 degrees. Products and the sum over channels or tiles are matrix products, one for each of the
(m + 2)^2 points.

The price is rounding. In float32, the L2 error as a part of the result's norm, for 256 channels of N(0, 1) numbers, by
the points of m = 4 (the choice of points is what decides: Barabasz, Anderson, Soodhalter and Gregg, "Error analysis and
improving the accuracy of Winograd convolution for deep neural networks", 2020):

==========================  ==================  ============
points, besides infinity    output, input       weight
==========================  ==================  ============
0, 1, -1, 2, -2 (textbook)  2.7e-6              1.6e-6
0, 1, -1, 1/2, -2           1.8e-6              1.1e-6
0, 3/4, -3/4, 3/2, -3/2     1.3e-6              0.8e-6
==========================  ==================  ============

The last are the best of fifteen sets that were tried. The largest error, as a part of the largest element, is 2e-6 with
them, 4e-7 for m = 2, and 2e-7 for the direct sum. An infinite element makes NaN of its tile's other outputs.
"""

from __future__ import annotations

import functools
from fractions import Fraction

from numgrad import dtypes
from numgrad.kernels.gemm_pack import Right, plan_pack
from numgrad.kernels.gemm_panels import plan_panels
from numgrad.kernels.gemm_rows import lanes, tile_shape
from numgrad.runtime import simd
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import address_of

Matrix = tuple[tuple[float, ...], ...]
POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2)),
}
BLOCK_BYTES = 1 << 22  # of transformed tiles that are in use at a time, so that they stay in a cache
LEAST_SUM = 256  # tiles that are summed before the sums go to memory
SOURCE, GOAL, NEITHER = 0, 1, 2  # which side of a transform is an image


@functools.cache
def matrices(m: int) -> tuple[Matrix, Matrix, Matrix]:
    """(A', G, B') by Toom and Cook, for outputs of m and kernels of 3.

    >>> [[int(x) for x in row] for row in matrices(2)[0]]
    [[1, 1, 1, 0], [0, 1, -1, 1]]
    """
    points = POINTS[m]
    size = m + 2

    def product(roots: list[Fraction]) -> list[Fraction]:
        """Coefficients of the polynomial with these roots, lowest first, ``size`` of them."""
        coefficients = [Fraction(1)]
        for root in roots:
            shifted, scaled = [Fraction(0), *coefficients], [*(-root * c for c in coefficients), Fraction(0)]
            coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
        return coefficients + [Fraction(0)] * (size - len(coefficients))

    output = [[point**i for point in points] + [Fraction(int(i == m - 1))] for i in range(m)]
    kernel_rows, input_rows = [], []
    for j, point in enumerate(points):
        others = [p for i, p in enumerate(points) if i != j]
        norm = Fraction(1)
        for other in others:
            norm *= point - other
        kernel_rows.append([point**i / norm for i in range(3)])
        input_rows.append(product(others))
    kernel_rows.append([Fraction(0), Fraction(0), Fraction(1)])
    input_rows.append(product(list(points)))

    def floats(rows: list[list[Fraction]]) -> Matrix:
        return tuple(tuple(float(x) for x in row) for row in rows)

    return floats(output), floats(kernel_rows), floats(input_rows)


def transposed(matrix: Matrix) -> Matrix:
    """The transpose."""
    return tuple(zip(*matrix, strict=True))


@functools.cache
def transform_kernel(code: str, matrix: Matrix) -> Kernel:
    """The kernel that applies ``matrix @ tile @ matrix.T`` to tiles, a vector of channels at a time."""
    rows, columns = len(matrix), len(matrix[0])
    tile = simd.transform_tile(code, matrix)
    vector, itemsize = lanes(code), 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], i8[:], {'i8, ' * 17}")
    def transform(
        source, goal, spare, words, image_side, height, width, tiles_h, tiles_w, step, origin, first_unit,
        source_base, source_plane, source_unit, goal_base, goal_plane, goal_unit, panel_width, panel_step, channels,
        start, stop, worker,
    ):  # fmt: skip
        entries = rows * rows + columns * columns
        words = words[worker * entries : (worker + 1) * entries]
        spare = spare[worker * 2 * channels : (worker + 1) * 2 * channels]  # a pixel of zeros, and one to write to
        for i in range(channels):
            spare[i] = 0
        side = columns if image_side == 0 else rows
        for unit in range(start, stop):
            begin = source_base + unit * source_unit
            for i in range(columns * columns):
                words[i] = address_of(source, begin + i * source_plane)
            begin = goal_base + unit * goal_unit
            for i in range(rows * rows):
                words[columns * columns + i] = address_of(goal, begin + i * goal_plane)
            if image_side != 2:
                place = unit + first_unit
                image = place // (tiles_h * tiles_w)
                rest = place - image * tiles_h * tiles_w
                top, left = rest // tiles_w * step + origin, rest % tiles_w * step + origin
                for i in range(side):
                    for j in range(side):
                        y, x = top + i, left + j
                        inside = 0 <= y < height and 0 <= x < width
                        pixel = ((image * height + y) * width + x) * channels
                        if image_side == 0:
                            words[i * side + j] = address_of(source, pixel) if inside else address_of(spare, 0)
                        else:
                            found = address_of(goal, pixel) if inside else address_of(spare, channels)
                            words[columns * columns + i * side + j] = found
            sources, goals = address_of(words, 0), address_of(words, columns * columns)
            for first in range(0, channels, panel_width):
                shift = first // panel_width * panel_step
                for c in range(0, min(panel_width, channels - first), vector):
                    tile(sources, (first + c) * itemsize, goals, (shift + c) * itemsize)

    return transform


@kernel("T[:], T[:], i8")
def add_bias(out, bias, columns, start, stop):
    """``out[m, :] += bias``; an item is a row."""
    for item in range(start, stop):
        line = out[item * columns : (item + 1) * columns]
        for j in range(line.shape[0]):
            line[j] += bias[j]


def _plan_transform(
    b: PlanBuilder, matrix: Matrix, source: Operand, goal: Operand, *, units: int, channels: int,
    image_side: int = NEITHER, image: tuple[int, int, int, int, int, int] = (1, 1, 1, 1, 1, 0), first_unit: int = 0,
    source_place: tuple[int, int, int] = (0, 0, 0), goal_place: tuple[int, int, int] = (0, 0, 0),
    panel: tuple[int, int] | None = None,
) -> None:  # fmt: skip
    """``image``: height, width, tiles in each, step between tiles and first one's origin; places: base, plane, unit.

    ``panel``: channels that lie side by side in the goal, and the distance of such panels.
    """
    size = len(matrix) ** 2 + len(matrix[0]) ** 2
    words = b.scratch(dtypes.int64, size, per_worker=True)
    spare = b.scratch(source.spec.dtype, 2 * channels, per_worker=True)
    cost = size * channels
    b.launch(
        transform_kernel(source.code, matrix), source.flat, goal.flat, spare.flat, words.flat, image_side, *image,
        first_unit, *source_place, *goal_place, *(panel or (channels, channels)), channels,
        work=units, grain=2 * GRAIN_COST // cost + 1, cost=units * cost,
    )  # fmt: skip


def fits(code: str, channels: int, outputs: int) -> bool:
    """True if the numbers of channels are whole vectors."""
    return code in ("f4", "f8") and channels % lanes(code) == 0 and outputs % lanes(code) == 0


def plan_winograd(
    b: PlanBuilder, m: int, source: Operand, weight: Operand, goal: Operand, *, images: int,
    source_size: tuple[int, int], goal_size: tuple[int, int], padding: int, channels: int, outputs: int, turned: bool,
    bias: Operand | None = None,
) -> None:  # fmt: skip
    """``goal = source`` filtered by ``weight``: the output, or (``turned``) the input's gradient.

    ``channels`` are the source's, ``outputs`` the goal's; the weight lies as [output, tap, channel], or as [channel,
    tap, output] if ``turned``.
    """
    dtype, code = source.spec.dtype, source.code
    output, filtering, entry = matrices(m)
    points, width = (m + 2) ** 2, tile_shape(code, "many")[1]
    tiles_h, tiles_w = -(-goal_size[0] // m), -(-goal_size[1] // m)
    tiles = images * tiles_h * tiles_w
    block = _block(tiles, points * (channels + outputs) * dtype.itemsize)
    part = _part(outputs, points * channels * dtype.itemsize, width) if block >= tiles else outputs
    # The transformed kernel lies as [point, panel of outputs, channel, output], so vectors run over outputs.
    plane = _apart(-(-part // width) * channels * width)
    tuned = b.scratch(dtype, points * plane)
    seen_row, made_row = _apart(channels), _apart(outputs)
    seen_plane, made_plane = _apart(block * seen_row), _apart(block * made_row)
    seen, made = b.scratch(dtype, points * seen_plane), b.scratch(dtype, points * made_plane)

    def tune(first: int, count: int) -> None:
        """Transform the kernel for some of the outputs."""
        if turned:  # by 180 degrees: the kernel, which lies as [channel, tap, output], is read from its last tap on
            place, weights = (8 * outputs + first, -outputs, 9 * outputs), weight
        else:
            weights = plan_pack(
                b, Right(weight, 0, channels, 1, 9 * channels, 9 * channels * first), batch=1, taps=9,
                channels=channels, columns=count, width=count,
            )  # fmt: skip
            place = (0, channels * count, count)
        _plan_transform(
            b, filtering, weights, tuned, units=channels, channels=count, source_place=place,
            goal_place=(0, plane, width), panel=(width, channels * width),
        )  # fmt: skip

    if part == outputs:
        tune(0, outputs)
    for first_tile in range(0, tiles, block):
        count = min(block, tiles - first_tile)
        _plan_transform(
            b, entry, source, seen, units=count, channels=channels, image_side=SOURCE, first_unit=first_tile,
            image=(*source_size, tiles_h, tiles_w, m, -padding), goal_place=(0, seen_plane, seen_row),
        )  # fmt: skip
        for first in range(0, outputs, part):
            columns = min(part, outputs - first)
            if part < outputs:
                tune(first, columns)
            plan_panels(
                b, code, seen.flat, tuned.flat, made.array(made.extent - first, offset=first), rows=count,
                columns=columns, steps=channels, batch=points, a_strides=(seen_plane, seen_row, 1),
                b_strides=(plane, channels * width, width), out_strides=(made_plane, made_row),
            )  # fmt: skip
        _plan_transform(
            b, output, made, goal, units=count, channels=outputs, image_side=GOAL, first_unit=first_tile,
            image=(*goal_size, tiles_h, tiles_w, m, 0), source_place=(0, made_plane, made_row),
        )  # fmt: skip
    if bias is not None:
        rows = images * goal_size[0] * goal_size[1]
        b.launch(
            add_bias, goal.flat, bias.flat, outputs, work=rows, grain=GRAIN_COST // outputs + 1, cost=rows * outputs
        )


def _apart(count: int) -> int:
    """Elements from one row or matrix to the next: a little more than ``count``, since a multiple of a large power of
    two would put the same place of all of them into the same few places of a cache.
    """
    return count + 16


def _block(tiles: int, tile_bytes: int, least: int = 64) -> int:
    """Tiles that are transformed and multiplied before the next ones: equal parts, whole register tiles."""
    most = max(least, BLOCK_BYTES // tile_bytes // 8 * 8)
    parts = -(-tiles // most)
    return -(-tiles // (parts * 8)) * 8


def _part(outputs: int, output_bytes: int, width: int) -> int:
    """Outputs whose kernels are transformed and used before the next ones, so that they stay in a cache."""
    most = max(4 * width, BLOCK_BYTES // output_bytes // width * width)
    parts = -(-outputs // most)
    return min(outputs, -(-outputs // (parts * width)) * width)


def plan_winograd_weight(
    b: PlanBuilder, m: int, grad_out: Operand, x: Operand, grad_weight: Operand, *, images: int,
    source_size: tuple[int, int], goal_size: tuple[int, int], padding: int, channels: int, outputs: int,
) -> None:  # fmt: skip
    """The gradient of the weight (K 3 3 C)."""
    dtype, code = x.spec.dtype, x.code
    output, filtering, entry = matrices(m)
    points, width = (m + 2) ** 2, tile_shape(code, "many")[1]
    tiles_h, tiles_w = -(-goal_size[0] // m), -(-goal_size[1] // m)
    tiles = images * tiles_h * tiles_w
    block = _block(tiles, points * (channels + outputs) * dtype.itemsize, LEAST_SUM)
    panel, row = block * width, _apart(outputs)  # seen lies as [point, panel of channels, tile, channel]
    seen_plane, wanted_plane = _apart(-(-channels // width) * panel), _apart(block * row)
    seen, wanted = b.scratch(dtype, points * seen_plane), b.scratch(dtype, points * wanted_plane)
    part = _part(outputs, points * channels * dtype.itemsize, width) if block >= tiles else outputs
    sums = b.scratch(dtype, points * part * channels)

    def finish(first: int, rows: int) -> None:
        """Transform the sums of some of the outputs."""
        _plan_transform(
            b, transposed(filtering), sums, grad_weight, units=rows, channels=channels,
            source_place=(0, part * channels, channels), goal_place=(9 * channels * first, channels, 9 * channels),
        )  # fmt: skip

    for first_tile in range(0, tiles, block):
        count = min(block, tiles - first_tile)
        _plan_transform(
            b, entry, x, seen, units=count, channels=channels, image_side=SOURCE, first_unit=first_tile,
            image=(*source_size, tiles_h, tiles_w, m, -padding), goal_place=(0, seen_plane, width), panel=(width, panel),
        )  # fmt: skip
        _plan_transform(
            b, transposed(output), grad_out, wanted, units=count, channels=outputs, image_side=SOURCE,
            first_unit=first_tile, image=(*goal_size, tiles_h, tiles_w, m, 0), goal_place=(0, wanted_plane, row),
        )  # fmt: skip
        for first in range(0, outputs, part):
            rows = min(part, outputs - first)
            plan_panels(
                b, code, wanted.array(wanted.extent - first, offset=first), seen.flat, sums.flat, rows=rows,
                columns=channels, steps=count, batch=points, a_strides=(wanted_plane, 1, row),
                b_strides=(seen_plane, panel, width), out_strides=(part * channels, channels),
                accumulate=first_tile > 0,
            )  # fmt: skip
            if part < outputs:
                finish(first, rows)
    if part == outputs:
        finish(0, outputs)
