"""Calls that tables know, where something comes between: other threads, Ctrl-C, forks, memory that is shared, modes."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.engine import dispatch
from numgrad.engine.constants import constant
from numgrad.engine.tape import modes
from numgrad.nn import functional as F
from numgrad.runtime import memory
from numgrad.runtime.fast import start as fast
from numgrad.tensor import known
from tests.tensor.test_joined import often


def test_operands_may_lie_in_lists_and_tuples() -> None:
    x, y, z = (ng.rand(2, 3) for _ in range(3))
    for tensors in ([x, y], (x, y), [y, x], [x, x], (z, y)):
        expected = [*tensors[0].tolist(), *tensors[1].tolist()]
        assert often(lambda: ng.cat(tensors)).tolist() == expected  # noqa: B023
        assert ng.stack(tensors).tolist() == [each.tolist() for each in tensors]
    with pytest.raises(RuntimeError):
        ng.cat([x, ng.rand(2, 4)])
    rows, columns = ng.tensor([0, 1]), ng.tensor([2, 0])
    assert often(lambda: x[rows, columns]).tolist() == [x[0, 2].item(), x[1, 0].item()]
    assert x[columns % 2, rows].tolist() == [x[0, 0].item(), x[0, 1].item()]
    changing = [x, y]
    for others in ([y, z], [x, y, z], [z], [x, ng.rand(1, 3)]):
        changing[:] = others
        assert ng.cat(changing).tolist() == [row for each in others for row in each.tolist()]


def test_a_list_that_another_thread_changes() -> None:
    x, y, big = ng.ones(2, 3), ng.ones(2, 3), ng.ones(4, 3)
    often(lambda: ng.cat([x, y]))
    tensors, is_over = [x, y], threading.Event()

    def change() -> None:
        while not is_over.is_set():
            tensors[1:] = [big]
            tensors[1:] = []
            tensors[1:] = [y]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3000):
            joined_rows = ng.cat(tensors)
            assert len(joined_rows) in (2, 4, 6)
            assert joined_rows.sum().item() == 3 * len(joined_rows)
    finally:
        is_over.set()
        thread.join()


def test_whether_a_gradient_is_needed_is_part_of_the_call() -> None:
    x = ng.rand(3, 4, dtype=ng.float64)
    leaf = x.clone().requires_grad_()
    for _ in range(4):
        for function in (lambda t: ng.logsumexp(t, 1), lambda t: t.tanh(), lambda t: ng.sort(t, 0).values, ng.var):
            assert not function(x).requires_grad
            result = function(leaf)
            assert result.requires_grad
            (gradient,) = ng.autograd.grad(result.sum(), leaf)
            assert gradient.shape == x.shape
            with ng.no_grad():
                assert not function(leaf).requires_grad
            assert ng.equal(function(x), result)
    still = ng.rand(2, 3)
    view = still[0]
    often(lambda: ng.nanmean(view))
    still.requires_grad_()
    assert not ng.nanmean(view).requires_grad
    assert ng.nanmean(still[0]).requires_grad


def test_results_that_are_named_keep_their_class() -> None:
    x = ng.rand(3, 4)
    for function in (lambda: ng.max(x, 1), lambda: ng.sort(x), lambda: ng.aminmax(x), lambda: ng.median(x, 1)):
        kinds = {type(function()) for _ in range(4)}
        assert len(kinds) == 1
        assert kinds.pop().__name__.endswith("Result")
    assert [type(ng.max(x)) for _ in range(4)] == [ng.Tensor] * 4


def test_memory_that_is_shared() -> None:
    """What is written may not be read as something else."""
    x, y = ng.arange(6.0), ng.arange(6.0) + 1
    out = ng.zeros(6)
    for _ in range(4):
        assert ng.addcmul(x, y, y, value=2, out=out) is out
        assert out.tolist() == (x + 2 * y * y).tolist()
    both = ng.arange(6.0)
    expected = (both + 2 * y * y).tolist()
    assert ng.addcmul(both, y, y, value=2, out=both).tolist() == expected
    array = np.arange(6.0, dtype=np.float32)
    one, two = ng.from_numpy(array), ng.from_numpy(array)
    ng.addcmul(y, one, two, out=one)
    assert one.tolist() == (y + ng.arange(6.0) ** 2).tolist()
    history = x.clone().requires_grad_() * 1
    with pytest.raises(RuntimeError, match="arguments don't support automatic differentiation"):
        ng.addcmul(history, y, y, value=2, out=out)


def test_inputs_and_versions() -> None:
    x = ng.zeros(3)
    for count in range(1, 6):
        assert ng.nn.functional.relu(x, inplace=True) is x
        assert x._version == count
    leaf = ng.zeros(3, requires_grad=True)
    for _ in range(4):
        with pytest.raises(RuntimeError, match="leaf"):
            ng.nn.functional.relu(leaf, inplace=True)
        with ng.no_grad():
            ng.nn.functional.relu(leaf, inplace=True)


def test_inference_mode() -> None:
    x = ng.rand(3, 4)
    expected = often(lambda: ng.nanmean(x, 0)).tolist()
    with ng.inference_mode():
        inside = [ng.nanmean(x, 0) for _ in range(4)]
    assert all(each.is_inference() for each in inside)
    assert not ng.nanmean(x, 0).is_inference()
    assert {tuple(each.tolist()) for each in inside} == {tuple(expected)}


@pytest.mark.filterwarnings("ignore")
def test_profiles_and_anomalies_see_the_ops() -> None:
    x = ng.rand(3, 4)
    often(lambda: ng.logsumexp(x, 1))
    with ng.profiler.profile() as profile:
        ng.logsumexp(x, 1)
    assert {"amax", "exp"} <= {row.name for row in profile.rows()} or len(profile.rows()) > 1
    leaf = x.clone().requires_grad_()
    with ng.autograd.detect_anomaly():
        ng.logsumexp(leaf, 1).sum().backward()
    assert ng.allclose(leaf.grad, ng.softmax(x, 1))


def test_an_interrupted_call_leaves_nothing() -> None:
    fast.load()
    x, raises = ng.rand(3), [KeyboardInterrupt()]

    @known.knowing
    def interrupted(x: Any) -> Any:
        doubled = x * 2
        if raises:
            raise raises[0]
        return doubled + 1

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            interrupted(x)
        assert not dispatch.recorders
        assert modes.capture is None
    raises.clear()
    assert interrupted(x).tolist() == (x * 2 + 1).tolist()
    raises.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        interrupted(x)
    raises.clear()
    assert often(lambda: interrupted(x)).tolist() == (x * 2 + 1).tolist()
    assert not dispatch.recorders


def test_two_threads_learn_one_call() -> None:
    fast.load()
    wrong: list[Any] = []

    def work(number: int) -> None:
        for size in range(2, 40):
            x = ng.full((size, 3), float(number))
            for _ in range(4):
                result = ng.logsumexp(x, 0) * 2, ng.std(x * ng.arange(3.0), 0)
                if not np.allclose(result[0].tolist(), 2 * (number + np.log(size)), rtol=1e-4) or result[1].any():
                    wrong.append((number, size))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore")
def test_a_child_of_a_fork_knows_calls() -> None:
    x = ng.rand(3, 4)
    expected = often(lambda: ng.logsumexp(x, 1)).tolist()
    child = os.fork()
    if not child:
        y = ng.rand(2, 5)
        same = [ng.nanmean(y, 0).tolist() for _ in range(4)]
        os._exit(0 if ng.logsumexp(x, 1).tolist() == expected and same == [same[0]] * 4 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_no_references_are_lost() -> None:
    x, y = ng.rand(3, 4), ng.rand(3, 4)
    pair = [x, y]

    def calls() -> None:
        for _ in range(50):
            (
                ng.cat(pair),
                ng.max(x, 1),
                ng.clamp(x, 0.0, 1.0),
                ng.addcmul(x, y, y),
                x.exponential_(),
                x[:, ng.tensor([0])],
            )

    for _ in range(3):
        calls()
    gc.collect()
    before = sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(x._spec), memory.memory_stats()["live"]
    for _ in range(10):
        calls()
    gc.collect()
    assert (sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(x._spec), memory.memory_stats()["live"]) == before


def test_arguments_that_have_no_key_go_by_the_function() -> None:
    x = ng.rand(3, 4)
    often(lambda: ng.nansum(x, (0, 1)))
    assert ng.nansum(x, (np.int64(0), 1)).tolist() == ng.nansum(x, (0, 1)).tolist()
    assert ng.cat([x] * 70).shape == (210, 4)
    with pytest.raises(TypeError):
        ng.cat([x, 3])
    with pytest.raises(TypeError):
        ng.cat([[x], [x]])
    never = object.__new__(ng.Tensor)
    for _ in range(3):
        with pytest.raises(TypeError, match="initialized"):
            ng.nansum(never)


def test_hooks_that_functions_register_stay() -> None:
    fast.load()
    weight, index = ng.ones(4, 3, requires_grad=True), ng.tensor([[1, 3], [3, 3]])
    for _ in range(4):
        bags = F.embedding_bag(index, weight, scale_grad_by_freq=True, mode="sum")
        (grad,) = ng.autograd.grad(bags.sum(), weight)
        assert grad[:, 0].tolist() == [0, 1, 0, 1]


def test_a_number_among_the_arguments_is_not_taken_for_the_functions_own() -> None:
    """The backward of ``0 ** x`` asks whether the base is 0; both zeros are one tensor, the cached one."""
    fast.load()
    zero, two = constant(0.0, ng.float64), constant(2.0, ng.float64)
    assert [ng.eq(zero, 0).item() for _ in range(3)] == [True] * 3
    assert [ng.eq(two, 0).item() for _ in range(3)] == [False] * 3
    x = ng.tensor([0.5, 1.5], dtype=ng.float64, requires_grad=True)
    for base in (0, 0, 0, 2, 2):
        (grad,) = ng.autograd.grad((base**x)[:1], x, ng.ones(1, dtype=ng.float64), create_graph=True)
        assert grad.tolist() == pytest.approx([2**0.5 * np.log(2.0), 0] if base else [0, 0])
