"""Patches of images as columns, the sum of such columns, and values at the positions where pooling took them."""

from __future__ import annotations

from numgrad.kernels.windows import Boxes, Window, end_inside, first_inside
from numgrad.layout import product
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder


@kernel("T[:, :, :], T[:, :, :, :], Boxes", Boxes)
def take_patches(x, out, windows, start, stop):
    """Work: taps of planes. ``out[c, i * s + j, p, q] = x[c, row p's tap i, column q's tap j]``, 0 in the padding."""
    r, step_h, pad_h, dil_h = windows.rows
    s, step_w, pad_w, dil_w = windows.columns
    height, width = x.shape[1], x.shape[2]
    rows, columns = out.shape[2], out.shape[3]
    for unit in range(start, stop):
        c = unit // (r * s)
        t = unit - c * (r * s)
        i = t // s
        at = (t - i * s) * dil_w - pad_w
        first = min(first_inside(at, step_w), columns)
        end = max(first, end_inside(at, step_w, width, columns))
        for p in range(rows):
            h = p * step_h - pad_h + i * dil_h
            y = out[c, t, p]
            begin, stop_at = (first, end) if 0 <= h < height else (0, 0)
            before, inside, behind = y[:begin], y[begin:stop_at], y[stop_at:]
            for q in range(before.shape[0]):
                before[q] = 0
            if inside.shape[0]:
                v = x[c, h, at + begin * step_w :]
                if step_w == 1:
                    for q in range(inside.shape[0]):
                        inside[q] = v[q]
                else:
                    for q in range(inside.shape[0]):
                        inside[q] = v[q * step_w]
            for q in range(behind.shape[0]):
                behind[q] = 0


@kernel("T[:, :, :, :], T[:, :, :], Boxes", Boxes)
def add_patches(x, out, windows, start, stop):
    """Work: rows of ``out``, each the sum of the columns that `take_patches` reads there, tap by tap."""
    r, step_h, pad_h, dil_h = windows.rows
    s, step_w, pad_w, dil_w = windows.columns
    height, width = out.shape[1], out.shape[2]
    rows, columns = x.shape[2], x.shape[3]
    for unit in range(start, stop):
        c = unit // height
        h = unit - c * height
        y = out[c, h]
        for w in range(y.shape[0]):
            y[w] = 0
        for i in range(r):
            reach = h + pad_h - i * dil_h
            p = reach // step_h
            if reach < 0 or reach % step_h or p >= rows:
                continue
            for j in range(s):
                at = j * dil_w - pad_w
                first, end = first_inside(at, step_w), end_inside(at, step_w, width, columns)
                if first >= end:
                    continue
                v, into = x[c, i * s + j, p, first:end], y[at + first * step_w :]
                if step_w == 1:
                    for q in range(v.shape[0]):
                        into[q] += v[q]
                else:
                    for q in range(v.shape[0]):
                        into[q * step_w] += v[q]


@kernel("T[:, :], i8[:, :], T[:, :], i8[:]")
def put_back(x, indices, out, status, start, stop):
    """Work: planes of zeros with each value at its index, of several the last; the status is 1 for an index beyond a plane."""
    for n in range(start, stop):
        v, where, y = x[n], indices[n], out[n]
        for i in range(y.shape[0]):
            y[i] = 0
        for i in range(v.shape[0]):
            if 0 <= where[i] < y.shape[0]:
                y[where[i]] = v[i]
            else:
                status[0] = 1


def plan_take_patches(b: PlanBuilder, x: Operand, out: Operand, window: Window, blocks: tuple[int, int]) -> None:
    """Images [..., H, W] as columns [..., R * S, P * Q], for ``blocks`` (P, Q); both contiguous."""
    *lead, height, width = x.spec.shape
    planes, taps = product(lead), product(window.kernel_size)
    cost = product(blocks) + 8
    b.launch(
        take_patches, x.array(planes, height, width), out.array(planes, taps, *blocks), window.record,
        work=planes * taps, grain=GRAIN_COST // cost + 1, cost=planes * taps * cost,
    )  # fmt: skip


def plan_add_patches(b: PlanBuilder, x: Operand, out: Operand, window: Window, blocks: tuple[int, int]) -> None:
    """The transpose of `plan_take_patches`."""
    *lead, height, width = out.spec.shape
    planes, taps = product(lead), product(window.kernel_size)
    cost = width + taps * blocks[1] + 8
    b.launch(
        add_patches, x.array(planes, taps, *blocks), out.array(planes, height, width), window.record,
        work=planes * height, grain=GRAIN_COST // cost + 1, cost=planes * height * cost,
    )  # fmt: skip


def plan_put_back(b: PlanBuilder, x: Operand, indices: Operand, out: Operand, planes: int) -> None:
    """Values go to their indices in each of ``planes``, of zeros else; all contiguous."""
    values, elements = x.spec.numel // max(planes, 1), out.spec.numel // max(planes, 1)
    cost = elements + 2 * values + 8
    b.launch(
        put_back, x.array(planes, values), indices.array(planes, values), out.array(planes, elements), STATUS,
        work=planes, grain=GRAIN_COST // cost + 1, cost=planes * cost,
    )  # fmt: skip
