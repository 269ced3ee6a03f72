"""A chain of very many nodes: forward, backward and its end, without recursion and in linear time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

import numgrad as ng
from numgrad.engine import tape


def chain(length: int, x: ng.Tensor) -> ng.Tensor:
    y = x
    for _ in range(length):
        y = y + 1.0
    return y


def python_calls(function: object) -> int:
    """Calls that Python makes while ``function`` runs: a measure of work that no other process disturbs."""
    count = 0

    def counting(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        function()  # type: ignore[operator]
    finally:
        sys.setprofile(None)
    return count


def test_work_is_linear_in_the_length() -> None:
    work = {}
    for length in (2_500, 10_000):
        x = ng.ones(1, requires_grad=True)
        y = chain(length, x)
        work[length] = python_calls(lambda y=y: y.sum().backward())
        assert x.grad.item() == 1.0
    assert work[10_000] / work[2_500] < 4.1


def test_work_is_linear_in_a_wide_graph() -> None:
    """A tensor that is used very often, and a sum of many terms."""
    work = {}
    for width in (1_000, 4_000):
        x = ng.ones(1, requires_grad=True)
        total = x
        for _ in range(width):
            total = total + x * 2.0
        work[width] = python_calls(lambda total=total: total.sum().backward())
        assert x.grad.item() == 1 + 2 * width
    assert work[4_000] / work[1_000] < 4.1


STACK, DEEP = 1 << 18, 40_000  # bytes, of which recursion would need some hundreds for each of so many nodes


def on_a_short_stack(function: Callable[[], None]) -> None:
    """Run in a thread whose stack ends soon: what recurses, in Python or in C, ends the process."""
    before, failures = threading.stack_size(STACK), []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert not failures, failures


@pytest.fixture
def compiled() -> None:
    """What the chains need, the machine code that applies ops included: compiling takes more stack."""
    chain(5_000, ng.ones(1, requires_grad=True)).exp().sum().backward()


@pytest.mark.usefixtures("compiled")
def test_many_nodes_for_a_short_stack() -> None:
    x = ng.ones(1, requires_grad=True)

    def backward_and_end() -> None:
        y = chain(DEEP, x)
        y.backward()
        del y

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        on_a_short_stack(backward_and_end)
    finally:
        sys.setrecursionlimit(limit)
    np.testing.assert_array_equal(x.grad.numpy(), [1.0])


@pytest.mark.usefixtures("compiled")
def test_a_long_chain_dies_without_a_backward() -> None:
    x = ng.ones(1, requires_grad=True)

    def end() -> None:
        y = chain(DEEP, x)
        del y
        z = chain(DEEP, x).exp().sum()
        (grad,) = ng.autograd.grad(z, x, retain_graph=True)
        assert np.isinf(grad.numpy()).all()
        del z

    on_a_short_stack(end)
    assert tape.modes.grad_enabled


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_million_nodes() -> None:
    x = ng.ones(1, requires_grad=True)
    chain(1_000_000, x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1.0])
