"""Translations in plain Python: what the sweeps take and leave, and that they agree with each other and with NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numgrad.errors import TranslationError
from numgrad.loops.randomness import normal, uniform
from numgrad.loops.sweeps import FIRST_FAILURE, Kind
from numgrad.loops.translation import translate
from numgrad.loops.vocabulary import declare_rule
from tests.loops.running import Run

FACTOR = 2.5
TABLE = np.array([0.5, -1.0, 2.0])


def agree(run: Run, rng: np.random.Generator, expected: tuple[object, ...] = ()) -> dict[str, np.ndarray]:
    """The gradients for random gradients of the results: their product with a direction is the tangent's with them."""
    plain = {name: a.copy() for name, a in run.plain().items()}
    for got, want in zip(plain.values(), expected, strict=False):
        np.testing.assert_allclose(got, np.reshape(np.asarray(want, got.dtype), got.shape), rtol=1e-12, atol=1e-12)
    for name, a in run.record().items():
        np.testing.assert_array_equal(a, plain[name])
    weights = {name: rng.normal(size=a.shape) for name, a in plain.items()}
    grads = run.reverse(weights)
    np.testing.assert_equal(run.reverse(weights), grads)  # what was saved can be read again
    ways = {name: rng.normal(size=g.shape) for name, g in grads.items()}
    tangents = run.tangent(ways)
    forward = sum(float(np.sum(weights[name] * t)) for name, t in tangents.items())
    backward = sum(float(np.sum(g * ways[name])) for name, g in grads.items())
    assert forward == pytest.approx(backward, rel=1e-10, abs=1e-12)
    return grads


def returned_kinds(x, n):
    """A number, a new array, a view of one, and an argument that changes."""
    rows = np.zeros((n, x.shape[0]))
    for i in range(n):
        rows[i] = x * (i + 1.0)
    x[0] = rows[n - 1, 1] * x[0]
    return rows.sum(), rows, rows[:, 1]


def whole_arrays(w, b):
    h = b.copy()
    for _ in range(3):
        h = np.tanh(w @ h + b) * FACTOR
    best = h.max()
    spread = np.sum((h - h.mean()) ** 2, axis=0) + np.dot(h, TABLE) + np.linalg.norm(h)
    return h[::-1], best * spread, np.cumsum(h)[1:], np.where(h > 0.0, h, h * h), w.T @ w


def left_early(x, limit):
    total = 0.0
    for i in range(x.shape[0]):
        if x[i] < 0.0:
            continue
        total += math.sqrt(x[i])
        if total > limit:
            return total * x[i]
    else:
        total = total * 3.0
    while total < 10.0:
        total = total * total + 1.0
    return total


def with_tuples(x, k):
    pair = (x[0], x[1])
    low, high = min(pair), max(pair)
    quotient, rest = divmod(k, 3)
    for i, row in enumerate(x):
        low, high = high, low + row * i
    return low * quotient + rest * high if k > 2 and x[0] < 5.0 else abs(low)


def swapped(x, steps):
    a, b = np.zeros_like(x), np.zeros_like(x)
    a[:] = x
    for t in range(steps):  # noqa: B007 (named by a checkpoint)
        for i in range(1, x.shape[0]):
            b[i] = a[i] * a[i - 1] + 0.1 * b[i]
        a, b = b, a
    return a


CASES = {
    "returned kinds": (returned_kinds, (np.array([0.3, -1.2, 2.0]), 2)),
    "whole arrays": (whole_arrays, (np.linspace(-1, 1, 9).reshape(3, 3), np.array([0.1, 0.7, -0.4]))),
    "left early": (left_early, (np.array([1.0, -2.0, 3.0, 0.5]), 2.0)),
    "left at the end": (left_early, (np.array([1.0, -2.0, 0.5]), 20.0)),
    "tuples": (with_tuples, (np.array([0.3, 1.7, -0.6]), 7)),
    "tuples, the other way": (with_tuples, (np.array([0.3, 1.7, -0.6]), 2)),
    "swapped": (swapped, (np.array([0.3, 1.7, -0.6, 0.2]), 3)),
    "swapped never": (swapped, (np.array([0.3, 1.7]), 0)),
    "no elements": (left_early, (np.zeros(0), 2.0)),
}


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", CASES)
def test_sweeps_agree(name: str, dtype: str) -> None:
    function, args = CASES[name]
    args = tuple(a.astype(dtype) if isinstance(a, np.ndarray) else a for a in args)
    run = Run(function, args)
    if dtype == "f4":  # elements are rounded, so that sums differ
        before = {k: a.copy() for k, a in run.plain().items()}
        for k, a in run.record().items():
            np.testing.assert_array_equal(a, before[k])
        return
    want = function(*[a.copy() if isinstance(a, np.ndarray) else a for a in args])
    agree(run, np.random.default_rng(0), want if isinstance(want, tuple) else (want,))


def test_second_derivatives_are_translations_of_the_gradient() -> None:
    x, way = np.array([0.3, 1.7, -0.6, 0.2]), np.array([0.5, -1.0, 0.25, 2.0])
    first = Run(recurrence, (x,))
    first.record()
    rooms = [int(n) + 1 for n in first.used]
    gradient = first.sweeps.gradient()
    second = Run(gradient, (x, 1.0, *rooms), needs=["x"])
    second.record()
    product = second.reverse({second.sweeps.results[0].name: way})["x"]
    step = 1e-5
    up, down = (gradient(x + s * way, 1.0, *rooms)[0] for s in (step, -step))
    np.testing.assert_allclose(product, (up - down) / (2 * step), rtol=1e-7)


def recurrence(x):
    total = 0.0
    for i in range(x.shape[0]):
        total = math.exp(0.3 * total) * x[i] + math.sin(total * x[i])
    return total


def guarded(x, k):
    if k <= 0:
        raise ValueError("k is positive")
    if x[0] > 4.0:
        raise ArithmeticError("too large")
    return x[k - 1] * x[0]


@pytest.mark.parametrize(
    ("x", "k", "error"), [([1.0, 2.0], 0, ValueError), ([5.0, 2.0], 1, ArithmeticError), ([1.0, 2.0], 2, None)]
)
def test_a_run_ends_with_the_users_exception(x: list[float], k: int, error: type[Exception] | None) -> None:
    sweeps = translate(guarded, [Kind("f8", 1), Kind("i8")])
    status, out = np.zeros(1, np.int64), np.zeros(1)
    sweeps.plain.function(np.array(x), k, out, status)
    if error is None:
        assert status[0] == 0
        assert out[0] == x[k - 1] * x[0]
    else:
        failure = sweeps.failures[status[0] - FIRST_FAILURE]
        assert failure.error is error
        assert failure.line.function == "guarded"


def test_texts_are_the_same_each_time_and_know_the_users_lines() -> None:
    one, two = (translate(whole_arrays, [Kind("f8", 2), Kind("f8", 1)]) for _ in range(2))
    for name in ("plain", "record", "count", "reverse", "tangent"):
        first, second = getattr(one, name), getattr(two, name)
        assert first.text == second.text
        lines = first.text.splitlines()
        tanh = [k for k, line in enumerate(lines, 1) if " = tanh(" in line]
        assert all(first.lines[k].number == whole_arrays.__code__.co_firstlineno + 3 for k in tanh)
    assert "recorded" in one.report


def noisy(x, seed):
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * uniform(seed, i) + math.sin(x[i]) * normal(seed, i)
    return total


def test_random_numbers_of_a_counter_are_found_again() -> None:
    x = np.array([0.3, 1.7, -0.6])
    run = Run(noisy, (x, 5))
    grads = agree(run, np.random.default_rng(0), (noisy(x, 5),))
    assert set(grads) == {"x"}
    run.reverse({"out_0": 1.0})
    want = [uniform(5, i) + math.cos(x[i]) * normal(5, i) for i in range(3)]
    np.testing.assert_allclose(run.reverse({"out_0": 1.0})["x"], want, rtol=1e-12)


def test_random_numbers_are_uniform_and_normal() -> None:
    count = 4000
    u = np.array([uniform(7, i) for i in range(count)])
    assert ((u >= 0) & (u < 1)).all()
    histogram = np.histogram(u, 20, (0, 1))[0]
    assert ((histogram - count / 20) ** 2 / (count / 20)).sum() < 44  # 19 degrees of freedom, one in a thousand
    z = np.array([normal(7, i) for i in range(count)])
    assert abs(z.mean()) < 0.06
    assert abs(z.var() - 1) < 0.08
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.06


def opaque(u, v):
    return float(np.exp(u) * v)


def calls_opaque(x):
    total = 0.0
    for i in range(x.shape[0]):
        total += opaque(x[i], total + 1.0)
    return total


def test_a_rule_stands_for_a_function_that_is_not_read() -> None:
    declare_rule(opaque, lambda u, v: (np.exp(u) * v, np.exp(u)))
    x = np.array([0.3, -1.2, 0.5])
    grads = agree(Run(calls_opaque, (x,)), np.random.default_rng(0), (calls_opaque(x),))
    assert set(grads) == {"x"}


def test_an_integer_has_64_bits() -> None:
    with pytest.raises(TranslationError, match="64 bits"):
        translate(lambda x: x * 1000000000000000000000, [Kind("f8")])


def test_gradients_of_gradients_of_a_checkpointed_loop_keep_the_whole_tape() -> None:
    args = (np.array([0.3, 1.7, -0.6, 0.2]), 5)
    run = Run(swapped, args, checkpoint=("t",))
    run.record()
    weights = np.array([1.0, -0.5, 2.0, 0.1])
    gradient = run.sweeps.gradient()(*args, weights, 500, 50, 50)
    np.testing.assert_allclose(gradient[0], run.reverse({"out_0": weights})["x"], rtol=1e-12)


def parts_by_index(x, k):
    inner = x[1:-1]
    back = x[::-1]
    total = 0.0
    for i in range(inner.shape[0]):
        total += inner[i] * back[-1 - i] + inner[k] * back[k]
    return total * inner[-1] + x[:3][k] * x[:3][-1]


@pytest.mark.parametrize("k", [1, 0, -1, -2])
def test_an_index_of_a_part_counts_from_its_own_end(k: int) -> None:
    x = np.array([0.3, 1.7, -0.6, 0.2])
    agree(Run(parts_by_index, (x, k)), np.random.default_rng(0), (parts_by_index(x, k),))


@pytest.mark.parametrize("k", [2, -3, 3])
def test_an_index_beyond_a_part_is_refused_though_the_array_has_it(k: int) -> None:
    sweeps = translate(parts_by_index, [Kind("f8", 1), Kind("i8")])
    status = np.zeros(1, np.int64)
    sweeps.plain.function(np.array([0.3, 1.7, -0.6, 0.2]), k, np.zeros(1), status)
    assert sweeps.failures[status[0] - FIRST_FAILURE].error is IndexError


def chosen(x):
    total = 0.0
    for i in range(x.shape[0]):
        v = x[i] * 2.0
        if v > 2.0:
            w = 3
        elif v > 0.0:
            w = v * v
        else:
            w = v - v * v * v
        total += w * w
    return total


def test_a_number_that_branches_choose_is_computed_again_and_needs_no_tape() -> None:
    x = np.array([0.3, 1.7, -0.6, 0.0])
    run = Run(chosen, (x,))
    agree(run, np.random.default_rng(0), (chosen(x),))
    assert "tape_f8[" not in run.sweeps.record.text
    v = 2.0 * x
    slopes = np.where(v > 2.0, 0.0, np.where(v > 0.0, 4.0 * v**3, 2.0 * (v - v**3) * (1.0 - 3.0 * v * v)))
    np.testing.assert_allclose(run.reverse({"out_0": np.ones(1)})["x"], 2.0 * slopes, rtol=1e-12)


def divided(x, n, k):
    total = n // 3 + n % 7
    for i in range(x.shape[0]):
        total += (i + n) % k if x[i] > 0.0 else 0
    total //= k
    quotient, rest = divmod(n, k + 1)
    return x.sum() * total + quotient - rest


@pytest.mark.parametrize(("k", "status"), [(3, None), (-2, None), (0, 3), (-1, 5)])
def test_integers_are_not_divided_by_0(k: int, status: int | None) -> None:
    """As in Python; the exception names the line, counted from that of the function."""
    x = np.array([-0.3, 1.7])
    if status is None:
        agree(Run(divided, (x, 5, k)), np.random.default_rng(0), (divided(x, 5, k),))
        return
    sweeps = translate(divided, [Kind("f8", 1), Kind("i8"), Kind("i8")])
    for name in ("plain", "count"):
        found = np.zeros(1, np.int64)
        more = (np.zeros(1),) if name == "plain" else (np.zeros(3, np.int64),)
        getattr(sweeps, name).function(x, 5, k, *more, found)
        failure = sweeps.failures[found[0] - FIRST_FAILURE]
        assert failure.error is ZeroDivisionError
        assert failure.line.number == divided.__code__.co_firstlineno + status


def test_a_range_has_no_step_of_0() -> None:
    sweeps = translate(stepped, [Kind("f8"), Kind("i8")])
    status = np.zeros(1, np.int64)
    sweeps.plain.function(1.0, 0, np.zeros(1), status)
    assert sweeps.failures[status[0] - FIRST_FAILURE].error is ValueError


def stepped(x, k):
    for i in range(0, 5, k):
        x = x * 0.5 + i
    return x


def filled(x, v):
    before = x.sum()
    x[1:].fill(v * before)
    return before


def test_an_argument_that_is_filled_is_changed() -> None:
    run = Run(filled, (np.array([0.3, 1.7, -0.6]), 0.5))
    agree(run, np.random.default_rng(0), (1.4,))
    run.plain()
    np.testing.assert_allclose(run.results["out_1"], [0.3, 0.7, 0.7])


def positive(x, scale):
    """Arrays whose extents a loop finds."""
    count = 0
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            count += 1
    found = np.empty(count)
    k = 0
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            found[k] = math.sin(x[i]) * scale
            k += 1
    total = 0.0
    for t in range(count):
        found[t] = found[t] * found[t - 1]
        total += found[t] * found[t]
    if total > 0.0:
        table = np.zeros((count, 2))
        for j in range(count):
            table[j, 1] = found[j] * total
            table[j, 0] += found[count - 1 - j]
        total += table.sum() + np.dot(found, table[:, 0])
    return total


POINTS = ([0.3, -1.0, 1.7, 2.0, -0.2], [-0.3, -1.0], [])


@pytest.mark.parametrize("checkpoint", [{}, {"t": None}, {"t": 2}])
@pytest.mark.parametrize("point", POINTS)
def test_extents_that_a_loop_finds(point: list[float], checkpoint: dict[str, int | None]) -> None:
    x = np.array(point)
    run = Run(positive, (x, 0.7), checkpoint=checkpoint)
    grads = agree(run, np.random.default_rng(0), (positive(x, 0.7),))
    assert np.count_nonzero(grads["x"]) == np.count_nonzero(x > 0.0)


def test_second_derivatives_with_extents_that_a_loop_finds() -> None:
    x, way, step = np.array(POINTS[0]), np.array([0.5, -1.0, 0.25, 2.0, 0.3]), 1e-6

    def gradient(x: np.ndarray) -> Run:
        run = Run(positive, (x, 0.7), needs=["x"])
        run.record()
        return run

    turned = gradient(x).turned({"out_0": 1.0}, {"x": way})["x"]
    up, down = (gradient(x + s * way).reverse({"out_0": 1.0})["x"] for s in (step, -step))
    np.testing.assert_allclose(turned, (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


def made_in_a_loop(x):
    total = 0.0
    for i in range(3):
        n = int(x * i)
        a = np.zeros(n)
        total += a.sum()
    return total


def returned_as_found(x):
    a = np.zeros(int(x))
    return a


def too_large(x, n):
    a = np.zeros((int(x), n))
    return a.sum() * x


def test_extents_that_are_found_are_refused_in_loops_and_results_and_checked() -> None:
    for function in (made_in_a_loop, returned_as_found):
        with pytest.raises(
            TranslationError, match=r"the extents of a are not known.*and it is (made in a loop|returned)"
        ):
            translate(function, [Kind("f8")])
    sweeps = translate(too_large, [Kind("f8"), Kind("i8")])
    for x, n in ((-1.0, 2), (2.0, -1), (2.0**31, 1 << 33), (2.0**33, 1 << 31)):
        status = np.zeros(1, np.int64)
        sweeps.plain.function(x, n, np.zeros(1), np.zeros(0), status)
        assert sweeps.failures[status[0] - FIRST_FAILURE].error is ValueError
