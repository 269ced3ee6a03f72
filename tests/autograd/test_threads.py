"""Forward and backward in several Python threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numgrad as ng
from numgrad import nn

THREADS = 8


def in_threads(work: Callable[[int], Any]) -> list[Any]:
    results: list[Any] = [None] * THREADS
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            start.wait()
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return results


def test_independent_passes_give_the_bits_of_one_thread() -> None:
    starts = [(ng.rand(16, 8), ng.rand(8, 4)) for _ in range(THREADS)]

    def work(number: int) -> list[bytes]:
        x, w = starts[number]
        found = []
        for step in range(200):
            leaf = (w * (1 + step / 100)).requires_grad_()
            ng.tanh(x @ leaf).exp().sum().backward()
            found.append(leaf.grad.numpy().tobytes())
        return found

    assert in_threads(work) == [work(number) for number in range(THREADS)]


def test_no_update_of_a_shared_leaf_is_lost() -> None:
    shared = ng.zeros(1000, requires_grad=True)
    steps = 200

    def work(number: int) -> None:
        for _ in range(steps):
            (shared * (number + 1)).sum().backward()

    in_threads(work)
    assert shared.grad.tolist() == [float(steps * sum(range(1, THREADS + 1)))] * 1000


def test_grad_of_a_shared_leaf_always_finds_it() -> None:
    for _ in range(20):
        shared = ng.ones(3, requires_grad=True)
        found = in_threads(lambda number, shared=shared: ng.autograd.grad((shared * number).sum(), shared)[0].tolist())
        assert found == [[float(number)] * 3 for number in range(THREADS)]


def test_threads_share_a_model() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = ng.rand(6, 4)
    model(x).sum().backward()
    once = [p.grad.double() for p in model.parameters()]
    for p in model.parameters():
        p.grad = None

    def work(number: int) -> None:
        for _ in range(25):
            model(x).sum().backward()

    in_threads(work)
    for p, single in zip(model.parameters(), once, strict=True):
        assert ng.allclose(p.grad.double(), single * 25 * THREADS, rtol=1e-4)


def test_modes_and_hooks_are_each_thread_s_own() -> None:
    def work(number: int) -> list[bool]:
        found = []
        x = ng.ones(2, requires_grad=True)
        for _ in range(50):
            if number % 2:
                with ng.no_grad():
                    found.append((x * 2).requires_grad)
            else:
                with ng.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
                    y = x.exp()
                y.sum().backward()
                found.append(y.requires_grad)
        return found

    for number, found in enumerate(in_threads(work)):
        assert found == [not number % 2] * 50
