"""The micro-kernels against their specifications, written out here as plain sums, for all vector widths."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgrad.runtime import simd, simd_norms, simd_transforms, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.program import Address, Array, Launch, Program, launch
from numgrad.runtime.simd import ADD, STORE, STREAM, address_of

CODES = ["f4", "f8"]
FORMS = ["many", "few"]
rng = np.random.default_rng(0)


@functools.cache
def products_kernel(code: str, form: str) -> Kernel:
    """A kernel that calls one of the tiles that multiply rows, once."""
    rows, vectors = getattr(target.host_target().tiles, form)
    if form == "dot":
        dots = simd.dot_tile(code, rows, vectors)

        @kernel("i8, " * 12)
        def call(
            table, segments, steps, rest, shift, b, b_step, ahead, out_rows, out_shift, columns, mode, start, stop
        ):
            dots(table, segments, steps, rest, shift, b, b_step, ahead, out_rows, out_shift, columns, mode)
    else:
        tile = simd.broadcast_tile(code, rows, vectors)

        @kernel("i8, " * 11)
        def call(table, segments, steps, shift, b, b_step, ahead, out_rows, out_shift, columns, mode, start, stop):
            tile(table, segments, steps, shift, b, b_step, ahead, out_rows, out_shift, columns, mode)

    return call


@functools.cache
def strided_kernel(code: str) -> Kernel:
    """A kernel that calls the tile of fixed distances, once."""
    tile = simd.strided_tile(code, *target.host_target().tiles.many)

    @kernel("i8, " * 11)
    def call(a, a_row, a_step, wanted, b, b_step, steps, out, out_row, columns, mode, start, stop):
        tile(a, a_row, a_step, wanted, b, b_step, steps, out, out_row, columns, mode)

    return call


@functools.cache
def window_kernel(code: str) -> Kernel:
    """A kernel that calls the tile of windows, once."""
    tile = simd.window_tile(code, *target.host_target().tiles.many)

    @kernel("i8, " * 13)
    def call(
        table, shift, step, segment, segments, wanted, b, b_step, steps, out, out_row, columns, mode, start, stop
    ):  # fmt: skip
        tile(table, shift, step, segment, segments, wanted, b, b_step, steps, out, out_row, columns, mode)

    return call


@functools.cache
def transpose_kernel(code: str) -> Kernel:
    """A kernel that transposes one square."""
    tile = simd.transpose_tile(code)

    @kernel("i8, " * 4)
    def call(source, source_row, goal, goal_row, start, stop):
        tile(source, source_row, goal, goal_row)

    return call


@functools.cache
def transform_kernel(code: str, matrix: tuple[tuple[float, ...], ...]) -> Kernel:
    """A kernel that transforms one tile."""
    tile = simd_transforms.transform_tile(code, [matrix], [False])

    @kernel("i8, " * 4)
    def call(sources, source_shift, goals, goal_shift, start, stop):
        tile(0, sources, source_shift, goals, goal_shift, 0, 0)

    return call


@functools.cache
def watching_kernel(code: str, matrix: tuple[tuple[float, ...], ...], lane_by_lane: bool) -> Kernel:
    """A kernel that transforms one tile and watches it, then says whether its squares are of one size."""
    tile, even = simd_transforms.transform_tile(code, [matrix], [True]), simd_norms.even_tile(code, lane_by_lane)

    @kernel(f"i8[:], {code}[:], i8, i8, i8, i8, i8, {code}, {code}")
    def call(verdict, sums, sources, source_shift, goals, goal_shift, few, least, most, start, stop):
        tile(0, sources, source_shift, goals, goal_shift, few, address_of(sums, 0))
        verdict[0] = even(address_of(sums, 0), least, most)

    return call


@functools.cache
def norm_kernel(code: str) -> Kernel:
    """A kernel that sums squares."""
    norm = simd_norms.norm_tile(code)

    @kernel(f"{code}[:], i8, i8")
    def call(out, address, vectors, start, stop):
        out[0] = norm(address, vectors)

    return call


def run(called: Kernel, *arguments: int) -> None:
    assert launch(Program([Launch(called, (), arguments, 1, 1, 1, 1)], 0)) == 0


def numbers(code: str, *shape: int) -> np.ndarray:
    return rng.integers(-9, 10, shape).astype(code)  # sums of such are exact, whatever their order


def aligned(code: str, rows: int, columns: int) -> np.ndarray:
    room = np.zeros(rows * columns + 16, code)
    skip = -room.ctypes.data // room.itemsize % (64 // room.itemsize)
    return room[skip : skip + rows * columns].reshape(rows, columns)


def addresses(array: np.ndarray, count: int) -> np.ndarray:
    return np.array([array[i].ctypes.data for i in range(count)], np.int64)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("form", [*FORMS, "dot"])
@pytest.mark.parametrize("mode", [STORE, ADD, STREAM])
@pytest.mark.parametrize("segments", [0, 1, 3])
@pytest.mark.parametrize("steps", [0, 1, 5])
@pytest.mark.parametrize("missing", [0, 1])
def test_products_of_rows(code: str, form: str, mode: int, segments: int, steps: int, missing: int) -> None:
    if form == "dot" and mode == STREAM:
        pytest.skip("dot products are written one by one")
    item = np.dtype(code).itemsize
    lanes = target.host_target().lanes(item)
    rows, across = getattr(target.host_target().tiles, form)
    width = across if form == "dot" else across * lanes
    rest = missing * (lanes // 2)  # elements of a dot product behind its whole vectors
    length = steps * lanes + rest if form == "dot" else steps
    wanted = width - missing
    skip = 3  # elements by which a's rows and the output are shifted
    a = numbers(code, max(segments, 1) * rows, length + skip)
    out = aligned(code, rows, width + 64 // item)
    out[...] = before = numbers(code, *out.shape)
    if form == "dot":
        b = numbers(code, max(segments, 1), width, length)  # [segment, column, k]
        step, apart = length * item, width * length * item
        right = b.swapaxes(1, 2)
    else:
        b = right = numbers(code, max(segments, 1), length, width)
        step, apart = width * item, width * length * item
    table = np.array(
        [[s * apart, *(a[s * rows + i].ctypes.data for i in range(rows))] for s in range(segments)], np.int64
    )
    goals = addresses(out, rows)
    shift = 64
    run(
        products_kernel(code, form), table.ctypes.data, segments, steps, *([rest] if form == "dot" else []), skip * item,
        b.ctypes.data, step, b.ctypes.data, goals.ctypes.data, shift, wanted, mode,
    )  # fmt: skip
    expected = before.copy()
    product = sum(
        (a[s * rows : (s + 1) * rows, skip:] @ right[s] for s in range(segments)), np.zeros((rows, width), code)
    )
    part = expected[:, shift // item : shift // item + wanted]
    part[...] = product[:, :wanted] + (part if mode == ADD else 0)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("mode", [STORE, ADD, STREAM])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 7])
@pytest.mark.parametrize(("fewer_rows", "fewer_columns"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_strided_products(code: str, mode: int, turned: bool, steps: int, fewer_rows: int, fewer_columns: int) -> None:
    item = np.dtype(code).itemsize
    rows, vectors = target.host_target().tiles.many
    width = vectors * target.host_target().lanes(item)
    wanted, columns = rows - fewer_rows, width - fewer_columns
    a = numbers(code, 9, rows).T if turned else numbers(code, rows, 9)
    b, out = numbers(code, 9, width + 3), aligned(code, rows, width + 64 // item)
    out[...] = expected = numbers(code, *out.shape)
    run(
        strided_kernel(code), a.ctypes.data, *a.strides, wanted, b.ctypes.data, b.strides[0], steps, out.ctypes.data,
        out.strides[0], columns, mode,
    )  # fmt: skip
    part = expected[:wanted, :columns]
    part[...] = a[:wanted, :steps] @ b[:steps, :columns] + (part if mode == ADD else 0)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("mode", [STORE, ADD, STREAM])
@pytest.mark.parametrize(("segments", "steps"), [(0, 2), (1, 0), (1, 1), (3, 4)])
@pytest.mark.parametrize(("fewer_rows", "fewer_columns"), [(0, 0), (1, 0), (0, 1), (2, 3)])
def test_windows(code: str, mode: int, segments: int, steps: int, fewer_rows: int, fewer_columns: int) -> None:
    item = np.dtype(code).itemsize
    rows, vectors = target.host_target().tiles.many
    width = vectors * target.host_target().lanes(item)
    wanted, columns = rows - fewer_rows, max(1, width - fewer_columns)
    line, step, shift = 40, 3, 2  # elements between segments, between steps, and before the first
    a, b = numbers(code, rows, 4 * line), numbers(code, segments * steps + 1, width + 3)
    out = aligned(code, rows, width + 64 // item)
    out[...] = expected = numbers(code, *out.shape)
    table = addresses(a, rows)[::-1].copy()
    run(
        window_kernel(code), table.ctypes.data, shift * item, step * item, line * item, segments, wanted, b.ctypes.data,
        b.strides[0], steps, out.ctypes.data, out.strides[0], columns, mode,
    )  # fmt: skip
    seen = [shift + s * line + k * step for s in range(segments) for k in range(steps)]
    part = expected[:wanted, :columns]
    part[...] = a[::-1][:wanted, seen] @ b[: len(seen), :columns] + (part if mode == ADD else 0)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("past_caches", [False, True])
@pytest.mark.parametrize("code", CODES)
def test_copied_vectors_and_squares(code: str, past_caches: bool) -> None:
    tile, width = simd.copy_tile(code, 2, past_caches), 2 * target.host_target().lanes(np.dtype(code).itemsize)

    @kernel("i8, i8")
    def call(source, goal, start, stop):
        tile(source, goal)
        simd.fence()

    memory = np.zeros(width + 1 + 64, code)
    begin = -memory.ctypes.data % 64 // memory.itemsize
    source, goal = numbers(code, 1, width + 1), memory[None, begin : begin + width + 1]
    run(call, source.ctypes.data, goal.ctypes.data)
    np.testing.assert_array_equal(goal[0, :-1], source[0, :-1])
    assert goal[0, -1] == 0


@pytest.mark.parametrize("code", CODES)
def test_part_of_a_line(code: str) -> None:
    tile, lanes = simd.line_tile(code), target.host_target().lanes(np.dtype(code).itemsize)

    @kernel("i8, i8, i8, i8")
    def call(source, goal, used, room, start, stop):
        tile(source, goal, used, room)

    for used in {0, 1, lanes // 2, lanes}:
        for room in {used, lanes, lanes + 3}:
            source, goal = numbers(code, lanes + 4), numbers(code, lanes + 4)
            expected = goal.copy()
            expected[: min(room, lanes)] = 0
            expected[:used] = source[:used]
            run(call, source.ctypes.data, goal.ctypes.data, used, room)
            np.testing.assert_array_equal(goal, expected)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("lines", "terms"), [(1, 4), (2, 4), (4, 3)])
@pytest.mark.parametrize("vectors", [0, 1, 3])
def test_updated_lines(code: str, lines: int, terms: int, vectors: int) -> None:
    tile, item = simd.update_tile(code, lines, terms), np.dtype(code).itemsize
    width = vectors * target.host_target().lanes(item)

    @kernel("i8, " * 6)
    def call(table, factor_shift, line_shift, b, b_row, vectors, start, stop):
        tile(table, factor_shift, line_shift, b, b_row, vectors)

    factors, b, goal = numbers(code, lines, terms + 2), numbers(code, terms, width + 3), numbers(code, lines, width + 2)
    table = np.stack([addresses(factors, lines), addresses(goal, lines)], 1)
    expected = goal.copy()
    expected[:, 1 : width + 1] += factors[:, 2:] @ b[:, :width]
    run(call, table.ctypes.data, 2 * item, item, b.ctypes.data, b.strides[0], vectors)
    np.testing.assert_array_equal(goal, expected)


@pytest.mark.parametrize("code", CODES)
def test_transposed_squares(code: str) -> None:
    lanes = target.host_target().lanes(np.dtype(code).itemsize)
    source, goal = numbers(code, lanes, lanes + 3), np.zeros((lanes, lanes + 2), code)
    run(transpose_kernel(code), source.ctypes.data, source.strides[0], goal.ctypes.data, goal.strides[0])
    np.testing.assert_array_equal(goal[:, :lanes], source[:, :lanes].T)
    assert not goal[:, lanes:].any()


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "matrix",
    [
        ((1.0, 2.0, -3.0), (1.0, -2.0, -3.0), (0.0, 0.0, 1.0), (-1.0, 2.0, 3.0)),  # pairs that differ in signs
        ((0.0, 4.0), (0.0, -4.0), (3.0, 1.0)),
        ((1.0, 0.0, 5.0), (2.0, -1.0, 0.0)),
    ],
)
def test_transforms(code: str, matrix: tuple[tuple[float, ...], ...]) -> None:
    item = np.dtype(code).itemsize
    rows, columns, lanes = len(matrix), len(matrix[0]), target.host_target().lanes(item)
    source, goal = numbers(code, columns * columns, lanes + 1), np.zeros((rows * rows, lanes + 2), code)
    tables = addresses(source, columns * columns), addresses(goal, rows * rows)
    run(transform_kernel(code, matrix), tables[0].ctypes.data, item, tables[1].ctypes.data, 2 * item)
    by = np.array(matrix)
    tile = source[:, 1:].reshape(columns, columns, lanes)
    expected = np.einsum("ij,jkc,lk->ilc", by, tile, by).reshape(rows * rows, lanes)
    np.testing.assert_array_equal(goal[:, 2:], expected.astype(code))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("lane_by_lane", [False, True])
def test_watching_transforms(code: str, lane_by_lane: bool) -> None:
    item, matrix = np.dtype(code).itemsize, ((1.0, 2.0, -3.0), (1.0, -2.0, 0.0))
    lanes = target.host_target().lanes(item)
    source, few, goal = (numbers(code, count, lanes + 1) for count in (9, 4, 4))
    few[:, 1:][few[:, 1:] == 0] = 1
    tables = [addresses(each, len(each)) for each in (source, goal, few)]
    begin = numbers(code, 5, lanes) ** 2
    total = begin[0] + (source[:, 1:] ** 2).sum(0)
    watched = begin[1:] + few[:, 1:] ** 2
    smallest = watched.min(0).sum() if lane_by_lane else watched.sum(1).min()
    ratio = float(np.ceil(total.sum() / smallest))
    call = watching_kernel(code, matrix, lane_by_lane)

    def verdict(least: float, most: float) -> bool:
        made, sums = np.full(1, 7), begin.copy()
        pointers = [tables[0].ctypes.data, item, tables[1].ctypes.data, item, tables[2].ctypes.data]
        arrays = [Array(Address(0), (1,)), Array(Address(1), (5 * lanes,))]
        program = Program([Launch(call, (), (*arrays, *pointers, least, most), 1, 1, 1, 1)], 2)
        assert launch(program, made.ctypes.data, sums.ctypes.data) == 0
        np.testing.assert_array_equal(sums, [total, *watched])
        return bool(made[0])

    by = np.array(matrix)
    assert verdict(ratio, 1e9)
    expected = np.einsum("ij,jkc,lk->ilc", by, source[:, 1:].reshape(3, 3, lanes), by).reshape(4, lanes)
    np.testing.assert_array_equal(goal[:, 1:], expected.astype(code))
    assert not verdict(ratio - 1, 1e9)
    assert not verdict(ratio, float(total.max()) - 0.5)
    source[4, 1] = np.nan
    total = begin[0] + (source[:, 1:] ** 2).sum(0)
    assert not verdict(1e9, 1e9)


@pytest.mark.parametrize("code", CODES)
def test_norms(code: str) -> None:
    lanes = target.host_target().lanes(np.dtype(code).itemsize)
    source, out = numbers(code, 3 * lanes), np.zeros(1, code)
    arguments = (Array(Address(0), (1,)), source.ctypes.data, 3)
    assert launch(Program([Launch(norm_kernel(code), (), arguments, 1, 1, 1, 1)], 1), out.ctypes.data) == 0
    assert out[0] == (source**2).sum()


def test_tiles_fit_into_the_registers() -> None:
    for row in target.TARGETS.values():
        for rows, vectors in (row.tiles.many, row.tiles.few):
            assert rows * vectors + vectors + 1 <= row.registers
        rows, columns = row.tiles.dot
        assert rows * columns + rows <= row.registers
        assert 4 * row.tiles.update + 4 + 1 <= row.registers


def narrower_targets() -> list[str]:
    return [
        name
        for name in ("avx2", "scalar")
        if target.host_target().name in ("avx512", "avx2") and name != target.host_target().name
    ]


def in_a_process_of_its_own(name: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *arguments],
        env={**os.environ, "NUMGRAD_SIMD": name}, cwd=Path(__file__).parents[2], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


forced: Callable[[Any], Any] = pytest.mark.skipif("NUMGRAD_SIMD" in os.environ, reason="this process is forced already")


@forced
@pytest.mark.parametrize("name", narrower_targets())
def test_narrower_vectors(name: str) -> None:
    in_a_process_of_its_own(
        name, "tests/runtime/test_simd.py", "-k", "products or squares or transforms or updated or norms"
    )


@forced
@pytest.mark.parametrize("name", narrower_targets())
def test_kernels_on_narrower_vectors(name: str) -> None:
    in_a_process_of_its_own(name, "tests/kernels/test_gemm.py", "tests/kernels/test_conv.py", "-k", "sample")
