"""How the sweeps of functions with loops are written as kernels: indices, sums and reverse loops that work in vectors."""

from __future__ import annotations

import ast
import warnings

import numpy as np
import pytest

import numgrad as ng
from numgrad.ops.loops.indices import Lowest, lowest_of, without_negative

LOOPS = """
def f(a, rows, n, p, tape):
    bound = n - 1
    low = 2
    low = -2
    for k in range(n):
        first = k + 1
        for i in range({range}):
            q = rows[i]
            a[{index}] = 0.0
"""


def is_unsigned(index: str, over: str) -> bool:
    """Whether an index in a loop over a range is written as one that is never negative."""
    tree = ast.parse(LOOPS.format(index=index, range=over))
    [function] = tree.body
    assert isinstance(function, ast.FunctionDef)
    without_negative(function, Lowest(function), {"tape"})
    return f"a[np.uint64({index})] = 0.0" in ast.unparse(tree)


@pytest.mark.parametrize(
    ("index", "over"),
    [("i", "n"), ("i + 1", "n"), ("i - 1", "1, n"), ("k", "n"), ("i", "bound, first - 1, -1"),
     ("i + k", "n - 1, -1, -1"), ("i", "first, n, 2"), ("i", "a.shape[0] + 1")],
)  # fmt: skip
def test_indices_that_are_never_negative_are_unsigned(index, over):
    assert is_unsigned(index, over)


@pytest.mark.parametrize(
    ("index", "over"),
    [("i - 1", "n"), ("p", "n"), ("q", "n"), ("low", "n"), ("n - 1", "n"), ("-1", "n"), ("i", "p, n"), ("i", "n, p, -1"),
     ("i", "0, n, p"), ("i + p", "n"), ("i * p", "n"), ("bound", "n"), ("i", "low, n")],
)  # fmt: skip
def test_other_indices_stay_as_they_are(index, over):
    assert not is_unsigned(index, over)


def test_parts_know_what_the_sweep_gives_them_unless_they_change_it():
    text = """
def turns(part, n, first, changed, p):
    changed -= 1

def f(n, p):
    first = 2
    changed = 2
    fork_parts(turns, n, (n, first, changed, p))
"""
    (turns, lowest), _ = lowest_of(ast.parse(text), "f")
    assert turns.name == "turns"
    assert [lowest.of(ast.Name(name)) for name in ("part", "first")] == [0, 2]
    assert all(lowest.of(ast.Name(name)) < 0 for name in ("changed", "p", "n"))


def around(x, k):
    """Differences on a ring, and an element from the end."""
    total = 0.0
    for i in range(x.shape[0]):
        d = x[i] - x[i - 1]
        total += d * d * x[k]
    return total


@pytest.mark.parametrize("k", [-1, -3, 2])
def test_negative_indices_count_from_the_end(k):
    x = ng.tensor([0.5, -1.0, 2.0, 0.25, 3.0], dtype=ng.float64, requires_grad=True)
    (grad,) = ng.autograd.grad(ng.differentiable(around)(x, k), x)
    a = x.detach().numpy()
    d = a - np.roll(a, 1)
    expected = 2.0 * a[k] * (d - np.roll(d, -1))
    expected[k] += (d * d).sum()
    np.testing.assert_allclose(grad.numpy(), expected, rtol=1e-13)


def eliminated(m, x):
    """Rows times factors, as in an elimination: the adjoint of each factor is a sum over its row."""
    total = 0.0
    y = np.zeros(m.shape[1])
    for i in range(m.shape[0]):
        factor = x[i] * x[i]
        for j in range(i, m.shape[1]):
            y[j] += factor * m[i, j]
    for j in range(m.shape[1]):
        total += y[j]
    return total


@pytest.mark.parametrize("width", [1, 5, 37, 64])
def test_adjoints_that_a_loop_sums_are_complete(width):
    rng = np.random.default_rng(width)
    m, x = rng.normal(size=(4, width)), rng.normal(size=4)
    given = [ng.tensor(each, dtype=ng.float64, requires_grad=True) for each in (m, x)]
    by_m, by_x = ng.autograd.grad(ng.differentiable(eliminated)(*given), given)
    used = np.triu(np.ones((4, width)))
    np.testing.assert_allclose(by_x.numpy(), 2.0 * x * (used * m).sum(1), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(by_m.numpy(), used * (x * x)[:, None], rtol=1e-13)


def upwind(u, speed, steps):
    """A front by upwind differences: neighbours are read, and which of them a branch decides."""
    n, m = u.shape
    old = u.copy()
    new = u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                west = old[i, j] - old[i, j - 1]
                east = old[i, j + 1] - old[i, j]
                north = old[i - 1, j] - old[i + 1, j]
                if speed[i, j] > 0.0:
                    g = west * west
                else:
                    g = east * east * east
                new[i, j] = old[i, j] - 0.1 * speed[i, j] * (g + north * north)
        old, new = new, old
    return old


def test_a_stencil_with_branches_has_the_gradient_of_differences():
    rng = np.random.default_rng(3)
    u, speed = rng.normal(size=(5, 23)), rng.normal(size=(5, 23))
    given = [ng.tensor(each, dtype=ng.float64, requires_grad=True) for each in (u, speed)]
    op = ng.differentiable(upwind)
    weights, ways = rng.normal(size=(5, 23)), [rng.normal(size=(5, 23)) for _ in range(2)]
    grads = ng.autograd.grad(op(*given, 3), given, ng.tensor(weights, dtype=ng.float64))
    along = sum(float((g.numpy() * way).sum()) for g, way in zip(grads, ways, strict=True))
    h = 1e-6
    ahead, behind = (upwind(u + s * h * ways[0], speed + s * h * ways[1], 3) for s in (1.0, -1.0))
    assert along == pytest.approx(float(((ahead - behind) * weights).sum()) / (2.0 * h), rel=1e-7)


def divided(x):
    total = 0.0
    for i in range(x.shape[0]):
        v = x[i]
        if v > 1.0:
            w = v * v
        else:
            w = v / (v - v)
        total += w
    return total


def test_a_nan_is_named_by_the_line_of_the_branch_that_was_taken():
    x = ng.tensor([2.0, 0.0], dtype=ng.float64, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError, match="DividedBackward0.*nan"), ng.autograd.detect_anomaly():
            ng.differentiable(divided)(x).backward()
    assert "from the derivative of divided" in str(caught[-1].message)
    assert "`w = v / (v - v)`" in str(caught[-1].message)
