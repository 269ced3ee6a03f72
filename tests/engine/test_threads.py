"""Backward passes of several Python threads at once: each has its own modes, and the bits do not change."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import numgrad as ng


def step(seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    w = ng.tensor(rng.normal(size=(40, 50)), dtype=ng.float32, requires_grad=True)
    b = ng.tensor(rng.normal(size=50), dtype=ng.float32, requires_grad=True)
    for _ in range(5):
        x = ng.tensor(rng.normal(size=(60, 40)), dtype=ng.float32)
        loss = ((x @ w + b).relu().exp() * 0.01).tanh().mean()
        loss.backward()
    return [w.grad.numpy().tobytes(), b.grad.numpy().tobytes()]


def test_independent_backwards_give_the_same_bits() -> None:
    alone = [step(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(step, range(8))) == alone


def test_leaves_of_one_graph_are_added_to_by_all() -> None:
    x = ng.ones(1000, dtype=ng.float64, requires_grad=True)

    def work(_: int) -> None:
        for _ in range(20):
            (x * 1.0).sum().backward()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    np.testing.assert_array_equal(x.grad.numpy(), np.full(1000, 160.0))


def test_modes_belong_to_threads() -> None:
    inside, seen = threading.Event(), []

    def other() -> None:
        inside.wait(20)
        seen.append(ng.is_grad_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    with ng.no_grad():
        inside.set()
        thread.join()
    assert seen == [True]
