"""Losses of margins between the scores of classes, and their gradients; a margin that is NaN counts for nothing."""

from __future__ import annotations

from numgrad.kernels.reduce import plan_reduce
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder


@kernel("T[:, :], i8[:], T[:], i8, T, i8[:]", reassociate=True)
def multi_margin(x, targets, out, p, margin, status, start, stop):
    """Work: rows. ``out[n]`` is the mean over all classes of the other classes' positive margins, to the power p."""
    for n in range(start, stop):
        row, target, count = x[n], targets[n], x.shape[1]
        if not 0 <= target < count:
            status[0] = 1 + n
            continue
        score = row[target]
        total, own = out.dtype.type(0), out.dtype.type(0)
        if p == 1:
            for c in range(row.shape[0]):
                gap = (row[c] - score) + margin
                total += gap if gap > 0 else 0
            own = (score - score) + margin
        else:
            for c in range(row.shape[0]):
                gap = (row[c] - score) + margin
                total += gap * gap if gap > 0 else 0
            own = ((score - score) + margin) * margin
        out[n] = (total - (own if margin > 0 and own == own else 0)) / out.dtype.type(count)


@kernel("T[:], T[:, :], i8[:], T[:, :], i8, T, T, i8[:]")
def multi_margin_backward(grad, x, targets, out, p, margin, share, status, start, stop):
    """Work: rows; ``grad`` has one number for each or for all, and ``share`` is what it is divided by."""
    for n in range(start, stop):
        row, target, y = x[n], targets[n], out[n]
        if not 0 <= target < row.shape[0]:
            status[0] = 1 + n
            continue
        score, g = row[target], grad[n if grad.shape[0] > 1 else 0] / share
        for c in range(y.shape[0]):
            gap = (row[c] - score) + margin
            y[c] = (g if p == 1 else g * (2 * gap)) if gap > 0 else 0
        y[target] = 0
        total = out.dtype.type(0)
        for c in range(y.shape[0]):
            total += y[c]
        y[target] = -total


@device
def split_classes(row, names, others, listed):
    """Mark the classes that are listed before the first negative name, and gather the scores of the others.

    (how many are listed, how many are not, whether the list ends at a class that there is not)
    """
    count = row.shape[0]
    for c in range(count):
        listed[c] = 0
    length = 0
    while length < count and 0 <= names[length] < count:
        listed[names[length]] = 1
        length += 1
    rest = 0
    for c in range(count):
        if not listed[c]:
            others[rest] = row[c]
            rest += 1
    return length, rest, length < count and names[length] >= count


@kernel("T[:, :], i8[:, :], T[:], T[:], i8[:], i8[:]", reassociate=True)
def multilabel_margin(x, targets, out, others, listed, status, start, stop, worker):
    """Work: rows. ``out[n]`` is the mean over all classes of the positive margins between listed classes and the others."""
    count = x.shape[1]
    others, listed = others[worker * count : (worker + 1) * count], listed[worker * count : (worker + 1) * count]
    for n in range(start, stop):
        row, names = x[n], targets[n]
        length, rest, wrong = split_classes(row, names, others, listed)
        if wrong:
            status[0] = 1 + n * count + length
        total, apart = out.dtype.type(0), others[:rest]
        for k in range(length):
            score, part = row[names[k]], out.dtype.type(0)
            for c in range(apart.shape[0]):
                gap = (apart[c] - score) + 1
                part += gap if gap > 0 else 0
            total += part
        out[n] = total / out.dtype.type(count)


@kernel("T[:], T[:, :], i8[:, :], T[:, :], T, T[:], T[:], i8[:], i8[:]")
def multilabel_margin_backward(grad, x, targets, out, share, others, sums, listed, status, start, stop, worker):
    """Work: rows; ``grad`` has one number for each or for all, and ``share`` is what it is divided by."""
    count = x.shape[1]
    others, sums = others[worker * count : (worker + 1) * count], sums[worker * count : (worker + 1) * count]
    listed = listed[worker * count : (worker + 1) * count]
    for n in range(start, stop):
        row, names, y = x[n], targets[n], out[n]
        g = grad[n if grad.shape[0] > 1 else 0] / share
        length, rest, wrong = split_classes(row, names, others, listed)
        if wrong:
            status[0] = 1 + n * count + length
        for c in range(count):
            y[c] = 0
            sums[c] = 0
        apart, steps = others[:rest], sums[:rest]
        for k in range(length):
            score, larger = row[names[k]], 0
            for c in range(apart.shape[0]):
                steps[c] += g if (apart[c] - score) + 1 > 0 else 0
            for c in range(apart.shape[0]):
                larger += 1 if (apart[c] - score) + 1 > 0 else 0
            if larger:
                y[names[k]] -= g * out.dtype.type(larger)
        rest = 0
        for c in range(count):
            if not listed[c]:
                y[c] = sums[rest]
                rest += 1


def plan_multi_margin(
    b: PlanBuilder, x: Operand, targets: Operand, out: Operand, reduction: str, p: int, margin: float
) -> None:
    """The loss of ``x`` [N, C] or [C] and int64 targets, one for each row; all contiguous."""
    rows, count = _rows(x)
    losses = out if reduction == "none" else b.scratch(x.spec.dtype, rows)
    b.launch(
        multi_margin, x.array(rows, count), targets.array(rows), losses.array(rows), p, margin, STATUS,
        work=rows, grain=GRAIN_COST // (count + 8) + 1, cost=rows * (count + 8),
    )  # fmt: skip
    _reduce(b, losses, out, reduction)


def plan_multi_margin_backward(
    b: PlanBuilder, grad: Operand, x: Operand, targets: Operand, out: Operand, reduction: str, p: int, margin: float
) -> None:
    """The gradient of `plan_multi_margin`'s input."""
    rows, count = _rows(x)
    b.launch(
        multi_margin_backward, grad.array(grad.spec.numel), x.array(rows, count), targets.array(rows),
        out.array(rows, count), p, margin, _share(rows, count, reduction), STATUS,
        work=rows, grain=GRAIN_COST // (3 * count + 8) + 1, cost=rows * (3 * count + 8),
    )  # fmt: skip


def plan_multilabel_margin(b: PlanBuilder, x: Operand, targets: Operand, out: Operand, reduction: str) -> None:
    """The loss of ``x`` [N, C] or [C] and int64 targets of its shape; all contiguous."""
    rows, count = _rows(x)
    losses = out if reduction == "none" else b.scratch(x.spec.dtype, rows)
    cost = count * count // 16 + 8 * count + 8
    b.launch(
        multilabel_margin, x.array(rows, count), targets.array(rows, count), losses.array(rows),
        b.scratch(x.spec.dtype, count, per_worker=True).flat, b.scratch(targets.spec.dtype, count, per_worker=True).flat,
        STATUS, work=rows, grain=GRAIN_COST // cost + 1, cost=rows * cost,
    )  # fmt: skip
    _reduce(b, losses, out, reduction)


def plan_multilabel_margin_backward(
    b: PlanBuilder, grad: Operand, x: Operand, targets: Operand, out: Operand, reduction: str
) -> None:
    """The gradient of `plan_multilabel_margin`'s input."""
    rows, count = _rows(x)
    cost = count * count // 8 + 8 * count + 8
    b.launch(
        multilabel_margin_backward, grad.array(grad.spec.numel), x.array(rows, count), targets.array(rows, count),
        out.array(rows, count), _share(rows, count, reduction), b.scratch(x.spec.dtype, count, per_worker=True).flat,
        b.scratch(x.spec.dtype, count, per_worker=True).flat, b.scratch(targets.spec.dtype, count, per_worker=True).flat,
        STATUS, work=rows, grain=GRAIN_COST // cost + 1, cost=rows * cost,
    )  # fmt: skip


def _rows(x: Operand) -> tuple[int, int]:
    return (1, x.spec.numel) if x.spec.ndim < 2 else (x.spec.shape[0], x.spec.shape[1])


def _share(rows: int, count: int, reduction: str) -> float:
    return 1.0 * count * (rows if reduction == "mean" else 1)


def _reduce(b: PlanBuilder, losses: Operand, out: Operand, reduction: str) -> None:
    if reduction != "none":
        plan_reduce(b, reduction, losses, out, (0,))
