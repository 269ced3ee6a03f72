"""`prange` as an op: the same bits for any number of threads, in batches and replays, and errors by their lines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numba import prange

import numgrad as ng
from numgrad.func import jvp, vmap
from tests.loops import parallel

N = 70


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = ng.get_num_threads()
    yield
    ng.set_num_threads(before)


@ng.differentiable
def everything(x, table, scale, n):
    """What all turns read, what neighbours read, own elements, an array of each turn, a loop of any length, reductions."""
    out = np.zeros_like(x)
    total, low = 0.0, 0.5
    for i in prange(1, x.shape[0] - 1):
        work = np.zeros(3)
        for k in range(3):
            work[k] = x[i - 1] * table[k] + x[i + 1] * scale
        v = math.tanh(work[0] + work[1] * work[2])
        while abs(v) > 0.3:
            v *= 0.7 + 0.05 * x[i]
        out[i] = v * table[n] + work[n]
        total += v * v
        low = min(low, out[i])
    return out, total * low


def values() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return rng.normal(size=N), np.array([0.3, -0.8, 0.5]), 0.4


def derivatives() -> dict[str, Any]:
    """Results, gradients, tangents and second derivatives, as bytes."""
    x, table, scale = (ng.tensor(v, dtype=ng.float64, requires_grad=True) for v in values())
    out, number = everything(x, table, scale, 2)
    weights = ng.tensor(np.cos(np.arange(N)))
    loss = (out * weights).sum() + number
    grads = ng.autograd.grad(loss, (x, table, scale), create_graph=True)
    second = ng.autograd.grad(sum([g.square().sum() for g in grads]), (x, table, scale))
    _, along = jvp(lambda x: everything(x, table.detach(), scale.detach(), 2), (x.detach(),), (weights,))
    found = {"out": out, "number": number, "tangent": along[0], "tangent of the number": along[1]}
    found |= {f"gradient {k}": g for k, g in enumerate(grads)} | {f"second {k}": g for k, g in enumerate(second)}
    return {name: each.detach().numpy().tobytes() for name, each in found.items()}


def test_the_same_bits_for_any_number_of_threads() -> None:
    found = []
    for count in (1, 2, 3, 4):
        ng.set_num_threads(count)
        found += [derivatives() for _ in range(3)]
    for each in found[1:]:
        assert each == found[0]


def test_gradients_of_all_orders() -> None:
    x, table, scale = (ng.tensor(v, dtype=ng.float64, requires_grad=True) for v in values())
    x = x.detach()[:9].requires_grad_()
    assert ng.autograd.gradcheck(lambda *args: everything(*args, 2), (x, table, scale))
    assert ng.autograd.gradgradcheck(lambda *args: everything(*args, 2), (x, table, scale))


def test_a_batch_runs_parts_where_its_threads_are() -> None:
    rng = np.random.default_rng(1)
    x = ng.tensor(rng.normal(size=(5, N)), requires_grad=True)
    _, table, scale = (ng.tensor(v, dtype=ng.float64, requires_grad=True) for v in values())
    out, number = vmap(everything, in_dims=(0, None, None, None))(x, table, scale, 2)
    grads = ng.autograd.grad(out.square().sum() + number.sum(), (x, table))
    singles = [everything(x[k], table, scale, 2) for k in range(5)]
    own = ng.autograd.grad(sum([o.square().sum() + s for o, s in singles]), (x, table))
    for k in range(5):
        assert ng.equal(out[k], singles[k][0])
    assert ng.equal(grads[0], own[0])
    assert ng.allclose(grads[1], own[1], rtol=1e-12)


def test_a_replay_takes_the_threads_that_there_are() -> None:
    ng.set_num_threads(2)
    x, table, scale = (ng.tensor(v, dtype=ng.float64, requires_grad=True) for v in values())

    def step() -> Any:
        out, number = everything(x, table, scale, 2)
        return ng.autograd.grad(out.square().sum() + number, (x, table, scale))

    eager = step()
    replayed = ng.jit(step)
    for _ in range(4):
        for got, want in zip(replayed(), eager, strict=True):
            assert ng.equal(got, want)


def test_an_index_out_of_range_in_one_part_is_named() -> None:
    ng.set_num_threads(2)
    with pytest.raises(
        IndexError, match=r"everything: an index is out of range.*prange.py:\d+\): `out\[i\] = v \* table\[n\]"
    ):
        everything(*[ng.tensor(v, dtype=ng.float64) for v in values()], 3)


def test_an_assertion_in_one_part_ends_the_run() -> None:
    ng.set_num_threads(2)
    x, asserted = np.ones(N), ng.differentiable(parallel.asserted)
    assert ng.allclose(asserted(ng.tensor(x)), ng.ones(N, dtype=ng.float64))
    x[N - 1] = -1.0
    with pytest.raises(AssertionError, match="it is negative"):
        asserted(ng.tensor(x))


def test_single_precision_and_checkpoints() -> None:
    """float32 is computed in float64; the tape of a loop round a `prange` may be made in parts."""
    x = ng.tensor(values()[0], dtype=ng.float32, requires_grad=True)
    out = ng.differentiable(parallel.in_single_precision)(x, 0.5)
    out.square().sum().backward()
    wide = x.detach().double().requires_grad_()
    (x_before, x_now) = (wide[:-1], wide[1:])
    expected = x_before * x_now + wide[0] * 0.5
    expected.square().sum().backward()
    assert ng.allclose(x.grad.double(), wide.grad, rtol=1e-5, atol=1e-5)
    grads = []
    for checkpoint in ((), "t"):
        u = ng.tensor(values()[0], requires_grad=True)
        ng.differentiable(parallel.stencil_in_time, checkpoint=checkpoint)(u, 6).square().sum().backward()
        grads.append(u.grad)
    assert ng.allclose(*grads, rtol=1e-10)
