"""A line search by cubic interpolation: Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.5 and 3.6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numgrad.tensor.tensor import Tensor

_MOST_STEPS = 25
_SUFFICIENT, _FLATTER = 1e-4, 0.9  # of the slope at the start: the decrease that is enough, and the slope that is
_TOLERANCE = 1e-9  # of what the bracket's width may change in the arguments


class Point(NamedTuple):
    """A step along the direction, the loss there, its gradient, and its slope along the direction."""

    step: Any
    loss: float
    grad: Tensor
    slope: Any


def minimum_of_cubic(x1: Any, f1: float, g1: Any, x2: Any, f2: float, g2: Any, bounds: Any = None) -> Any:
    """Where the cubic of these values and slopes at two positions is smallest within the bounds, by default both positions."""
    low, high = bounds or ((x1, x2) if x1 <= x2 else (x2, x1))
    mean = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = mean**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    root = square**0.5
    if x1 <= x2:
        position = x2 - (x2 - x1) * ((g2 + root - mean) / (g2 - g1 + 2 * root))
    else:
        position = x1 - (x1 - x2) * ((g1 + root - mean) / (g1 - g2 + 2 * root))
    return min(max(position, low), high)


def strong_wolfe(
    evaluate: Callable[[Any], Point], first: Any, start: Point, direction: Tensor, most: int = _MOST_STEPS
) -> tuple[Point, int]:
    """A point with a sufficient decrease and a flat slope, the conditions of Wolfe, and how often the loss was evaluated.

    ``evaluate`` gives the point of a step, ``first`` is the first step to try, ``start`` the point of the step 0. After
    ``most`` steps the best point so far is returned.
    """
    point, before, count, steps = evaluate(first), start, 1, 0
    bracket: list[Point] = []
    while steps < most:
        too_high = point.loss > start.loss + _SUFFICIENT * point.step * start.slope
        if too_high or (steps > 1 and point.loss >= before.loss):
            bracket = [before, point]
            break
        if abs(point.slope) <= -_FLATTER * start.slope:
            return point, count
        if point.slope >= 0:
            bracket = [before, point]
            break
        bounds = point.step + 0.01 * (point.step - before.step), point.step * 10
        step = minimum_of_cubic(before.step, before.loss, before.slope, point.step, point.loss, point.slope, bounds)
        before, point = point, evaluate(step)
        count += 1
        steps += 1
    if steps == most:
        bracket = [start, point]
    return _within(evaluate, bracket, start, direction, count, steps, most)


def _within(
    evaluate: Callable[[Any], Point],
    bracket: list[Point],
    start: Point,
    direction: Tensor,
    count: int,
    steps: int,
    most: int,
) -> tuple[Point, int]:
    """Narrow a bracket of two points until the lower one fulfils the conditions."""
    longest = direction.abs().max()
    was_near_end = False
    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    while steps < most:
        one, two = bracket
        if abs(two.step - one.step) * longest < _TOLERANCE:
            break
        step = minimum_of_cubic(one.step, one.loss, one.slope, two.step, two.loss, two.slope)
        begin, end = min(one.step, two.step), max(one.step, two.step)
        margin = 0.1 * (end - begin)
        # Twice near an end, or once outside: away from it by a tenth of the bracket.
        is_near_end = min(end - step, step - begin) < margin
        if is_near_end and (was_near_end or step >= end or step <= begin):
            step = end - margin if abs(step - end) < abs(step - begin) else begin + margin
            is_near_end = False
        was_near_end = is_near_end
        point = evaluate(step)
        count += 1
        steps += 1
        if point.loss > start.loss + _SUFFICIENT * step * start.slope or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        if abs(point.slope) <= -_FLATTER * start.slope:
            bracket[low] = point
            break
        if point.slope * (bracket[high].step - bracket[low].step) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = point
    return bracket[low], count
