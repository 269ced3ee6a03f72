"""Ops applied in machine code: the same as in Python, and no reference too many or too few."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

import numgrad as ng
from numgrad import registry
from numgrad.engine import dispatch
from numgrad.engine.tape import gradient_edge
from numgrad.errors import KernelError
from numgrad.ops import elementwise
from numgrad.ops.view import slice_
from numgrad.runtime import memory, objects
from numgrad.runtime.fast import start as fast
from tests.runtime import processes


@pytest.fixture(autouse=True, scope="module")
def _machine_code():
    fast.load()


def _leaf(*shape, dtype=ng.float32):
    return (ng.arange(int(np.prod(shape))).reshape(shape).to(dtype) / 7 + 0.5).requires_grad_()


CASES = {
    "one input that needs a gradient": lambda x, y: x * y.detach(),
    "both": lambda x, y: x * y,
    "the same twice": lambda x, y: x * x,
    "none": lambda x, y: x.detach() * y.detach(),
    "a saved output": lambda x, y: (x * y).tanh(),
    "several outputs": lambda x, y: ng.max(x * y, dim=1),
    "an input that is left out": lambda x, y: ng.nn.functional.linear(x, y),
    "a broadcast": lambda x, y: x + y[0],
    "a stale view": lambda x, y: _stale(x, y),
    "no gradient mode": lambda x, y: _without(x, y),
    "a view": lambda x, y: x.view(2, 6).t()[1:],
    "views that begin elsewhere": lambda x, y: tuple(
        each[i:, i + 1 : i + 3] for each in (x, x * y, y.detach()) for i in range(2)
    ),
    "a view that begins elsewhere, without recording": lambda x, y: _slice_without(x, y),
    "a view that begins elsewhere, of a stale one": lambda x, y: _stale_rows(x)[1:],
    "a view of a view that has a node": lambda x, y: (x * y).view(-1)[3:].view(3, 3),
    "a view made without recording": lambda x, y: _view_without(x),
    "a matrix product with scratch memory": lambda x, y: ng.nn.functional.linear(x, y, y[:, 0]),
    "more inputs than a word has bits": lambda x, y: ng.cat([x, y] * 40),
    "no elements": lambda x, y: x[:0] * y[:0],
    "a number": lambda x, y: 2 * x,
    "an integer result": lambda x, y: (x > y, ng.argmax(x * y, dim=0)),
    "changed in place": lambda x, y: (x * 2).mul_(y),
    "changed in place, nothing is recorded": lambda x, y: x.detach().clone().add_(y.detach()),
    "a view that is changed": lambda x, y: _changed_view(x, y),
    "a counter": lambda x, y: ng.tensor(41).add_(1),
    "a saved value that is changed": lambda x, y: _changed_after(x, y),
    "running statistics": lambda x, y: _normed(x, y),
    "outputs that are left out": lambda x, y: _normed(x, y.detach()),
    "gradients that add up": lambda x, y: _accumulated(x, y),
}


def _stale(x, y):
    base = x * 2
    view = base.view(-1)
    base.mul_(3)
    return view * 2


def _without(x, y):
    with ng.no_grad():
        return x * y


def _view_without(x):
    with ng.no_grad():
        view = x.view(-1)
    return view[2:], view * 2


def _slice_without(x, y):
    with ng.no_grad():
        view = x[1:]
    return view, view[1:], view[:, 2:]


def _stale_rows(x):
    base = x * 2
    view = base.view(-1)
    base.mul_(3)
    return view


def _changed_view(x, y):
    base = x * 1
    base[1:].mul_(y[0])
    return base


def _changed_after(x, y):
    changed = y * 1
    out = x * changed
    with ng.no_grad():
        changed.add_(1)
    with pytest.raises(RuntimeError, match="is at version 1; expected version 0"):
        out.sum().backward()
    return out.detach(), changed


def _normed(x, y):
    mean, var = ng.zeros(4), ng.ones(4)
    out = ng.nn.functional.batch_norm(x, mean, var, y[0], y[1], training=True)
    return out, mean, var


def _accumulated(x, y):
    for _ in range(3):
        (x * y).sum().backward()
    grad, x.grad = x.grad, None
    return grad, y.grad


def _described(value):
    if isinstance(value, tuple):
        return [_described(each) for each in value]
    node = value.grad_fn
    graph = None
    if node is not None:
        graph = (
            node.name(),
            node.params,
            [(each and each.name(), number) for each, number in node.next_functions],
            [None if each is None else each.tolist() for each in node.saved],
            list(node.versions),
            [spec.shape for spec in node.output_specs],
        )
    slots = [value._output_nr, value.requires_grad, value._grad, value._base is None, value._version]
    return value.detach().numpy().tobytes(), value.stride(), value.dtype, slots, graph


@pytest.mark.parametrize("case", CASES)
def test_machine_code_does_what_dispatch_does(case, monkeypatch):
    function = CASES[case]
    results = []
    for in_python in (False, True):
        if in_python:
            monkeypatch.setattr(fast, "run", fast.nothing)
            monkeypatch.setattr(fast, "run_saved", fast.nothing)
            monkeypatch.setattr(fast, "run_moved", fast.nothing)
            monkeypatch.setattr(fast, "run_known", fast.unknown)
        for _ in range(3):  # the first of them makes plans and records
            x, y = _leaf(3, 4), _leaf(3, 4)
            out = function(x, y)
            described = _described(out)
            for each in out if isinstance(out, tuple) else (out,):
                if each.requires_grad:
                    each.sum().backward(retain_graph=True)
            grads = [None if leaf.grad is None else leaf.grad.numpy().tobytes() for leaf in (x, y)]
            results.append((described, grads))
    assert all(result == results[0] for result in results)


def _step(x, y, z):
    out = ng.max((x * y).tanh() + z, dim=1)[0]
    (out.sum() + (x * z).mean()).backward()
    x.grad = None
    with pytest.raises(RuntimeError):
        _ = x * ng.ones(5)
    with pytest.raises(IndexError):
        ng.nn.functional.embedding(ng.tensor([7]), z)
    with pytest.raises(TypeError):
        elementwise.mul(x, "y")
    w = x * z
    saved = w.tanh()
    w.add_(1)
    (saved * 1).sum().backward()
    w = (x * 2).mul_(y)
    _ = y[1:, 2:], y[2:, :2]
    (x[1] * x[3, 1:2]).sum().backward()
    with pytest.raises(IndexError):
        _ = w[4]
    ng.nn.functional.batch_norm(w, z[0], z[1], x[2], training=True).sum().backward()
    x.grad = None


def test_no_reference_is_lost_or_kept():
    x, y, z = _leaf(4, 4), ng.ones(4, 4), ng.ones(4, 4)
    for _ in range(20):
        _step(x, y, z)
    plan = next(iter(elementwise.mul.plans.values()))
    watched = [
        None,
        True,
        False,
        x,
        y,
        z,
        y._storage,
        x._spec,
        elementwise.mul.defaults,
        plan,
        *plan.records.values(),
        ng.Tensor,
    ]

    def counts():
        gc.collect()
        return [sys.getrefcount(each) for each in watched], len(gc.get_objects()), memory.memory_stats()

    counts()
    before = counts()
    for _ in range(300):
        _step(x, y, z)
    references, objects_, stats = counts()
    assert max(abs(a - b) for a, b in zip(references, before[0], strict=True)) < 30  # a leak would make 300
    assert abs(objects_ - before[1]) < 30
    assert stats == before[2]


def test_memory_that_runs_out_is_an_error_and_nothing_else():
    testing = pytest.importorskip("_testcapi")
    x, y = _leaf(4, 4), ng.ones(4, 4)
    w = x * y
    gc.collect()  # what earlier tests have left refers to the spec
    before = sys.getrefcount(y), sys.getrefcount(x._spec)
    live = memory.memory_stats()["live"]
    failures = 0
    plans, params = elementwise.mul.plans, elementwise.mul.defaults
    for allocation in range(40):
        out = None
        testing.set_nomemory(allocation, allocation + 1)
        try:
            out = fast.run(plans, params, w, y)
        except MemoryError:
            failures += 1
        finally:
            testing.remove_mem_hooks()
        assert out is None or (out.tolist() == w.tolist() and out.grad_fn is not None)
    del out
    gc.collect()
    assert failures > 5
    assert (sys.getrefcount(y), sys.getrefcount(x._spec)) == before
    assert memory.memory_stats()["live"] == live


def test_memory_that_runs_out_during_a_change_in_place():
    testing = pytest.importorskip("_testcapi")
    y = _leaf(4, 4)
    op = elementwise.mul.in_place
    op(y * 1, y)  # constants are kept
    assert ng.allclose(y, y)
    gc.collect()
    live = memory.memory_stats()["live"]
    failures = 0
    for allocation in range(40):
        w = y * 1
        w._storage.version = 1000  # an int that has to be made
        op(w, y)
        before, changed = sys.getrefcount(w), None
        testing.set_nomemory(allocation, allocation + 1)
        try:
            changed = fast.run(op.plans, op.defaults, w, y)
        except MemoryError:
            failures += 1
        finally:
            testing.remove_mem_hooks()
        times = (w / y).detach()
        assert changed is None or (changed is w and w._version == 1002 and w.grad_fn.versions[:1] == [1001])
        assert ng.allclose(times, y if changed is None else y * y) or (changed is None and w._version == 1001)
        saves = changed is not None  # its new node holds what it was, which is itself
        del changed
        assert sys.getrefcount(w) == before + saves
        del w, times
    gc.collect()
    assert failures > 5
    assert memory.memory_stats()["live"] == live


def test_memory_that_runs_out_during_a_view_that_begins_elsewhere():
    testing = pytest.importorskip("_testcapi")
    base = _leaf(40, 4) * 1
    params = slice_.Params(starts=(30, 1), steps=(1, 1), sizes=(3, 2))
    for _ in range(3):
        expected = slice_(base, **params._asdict())
    plan, spec = slice_.plans[params[1:], base._spec], base._spec
    watched = base, base._storage, base._node, plan, spec, params, *plan.records.values()
    gc.collect()
    before = [sys.getrefcount(each) for each in watched]
    failures, size = 0, 4 * (30 * 4 + 1)
    for allocation in range(20):
        out = None
        testing.set_nomemory(allocation, allocation + 1)
        try:
            out = fast.run_moved(plan, params, spec, size, base)
        except MemoryError:
            failures += 1
        finally:
            testing.remove_mem_hooks()
        assert out is None or (out.tolist() == expected.tolist() and out.grad_fn.params is params)
    del out
    gc.collect()
    assert failures > 3
    assert [sys.getrefcount(each) for each in watched] == before


def test_a_view_that_begins_elsewhere_is_left_to_python_if_the_input_has_changed():
    x = ng.ones(4, 4)
    params = slice_.Params(starts=(1, 1), steps=(1, 1), sizes=(3, 2))
    for _ in range(2):
        slice_(x, **params._asdict())
    plan = slice_.plans[params[1:], x._spec]
    assert fast.run_moved(plan, params, x._spec, 20, x).shape == (3, 2)
    for spec, input in [(x._spec, x.t()), (x._spec, 1), (x._spec, object.__new__(ng.Tensor)), (None, x), (None, None)]:
        assert fast.run_moved(plan, params, spec, 20, input) is None


def test_graphs_share_the_accumulator_that_the_garbage_collector_made_meanwhile():
    y, kept = ng.ones(4, 4), []
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    _ = _leaf(4, 4) * y
    for first in range(1, 30):  # at each of the objects that are made
        x = _leaf(4, 4)
        gc.collect()
        gc.callbacks.append(lambda phase, info, x=x: kept.append(gradient_edge(x)[0]))
        gc.set_threshold(first)
        try:
            out = x * y
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks[:] = callbacks
        assert {id(out.grad_fn.next_functions[0][0])} | {id(each) for each in kept} == {id(x._accumulator())}
        kept.clear()


def test_plans_may_be_forgotten_by_another_thread():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    errors, done = [], threading.Event()

    def forget():
        while not done.is_set():
            registry.forget_plans()

    def work(seed):
        try:
            x = ng.full((4, 4), float(seed), requires_grad=True)
            for step in range(150):
                ((x * x) * x)[step % 4].sum().backward()
                assert x.grad.tolist() == [[3.0 * seed * seed * (row == step % 4)] * 4 for row in range(4)]
                x.grad = None
        except BaseException as error:
            errors.append(error)

    forgetting = threading.Thread(target=forget)
    running = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 4)]
    forgetting.start()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    done.set()
    forgetting.join()
    sys.setswitchinterval(interval)
    assert not errors


def test_who_listens_is_told():
    names = []

    class Recorder:
        def applied(self, op, inputs, outputs, plan, params):
            names.append(op.name)

    x = ng.ones(3)
    _ = x * x
    recorder = Recorder()
    dispatch.recorders.append(recorder)
    try:
        _ = x * x
    finally:
        dispatch.recorders.remove(recorder)
    assert names == ["mul"]


def test_what_is_no_tensor_is_left_to_python():
    _ = ng.ones(3) * ng.ones(3)
    plans, params = elementwise.mul.plans, elementwise.mul.defaults
    for inputs in [(1, 2), ("a", "b"), (ng.ones(3), 2.0), (object.__new__(ng.Tensor), ng.ones(3)), (), (None, None)]:
        assert fast.run(plans, params, *inputs) is None


def test_a_storage_gives_its_block_back_once():
    before = memory.memory_stats()["live"]
    storage = memory.allocate(64)
    storage.__del__()
    storage.__del__()
    del storage
    assert memory.memory_stats()["live"] == before
    first, second = memory.allocate(64), memory.allocate(64)
    assert first.address != second.address


def test_slots_are_found_where_they_are():
    class Two:
        __slots__ = ("first", "second")

    class Three(Two):
        __slots__ = ("third",)

    places = [objects.offset_of(Three(), name) for name in ("first", "second", "third")]
    assert len(set(places)) == 3
    assert places[:2] == [objects.offset_of(Two(), name) for name in ("first", "second")]

    class Open:
        pass

    with pytest.raises(KernelError, match="is not found"):
        objects.offset_of(Open(), "anything")


def test_python_serves_until_machine_code_is_stored(tmp_path):
    script = """
import numgrad as ng
from numgrad.runtime.fast import start as fast
x = ng.ones(2, requires_grad=True)
for _ in range(100):
    (x * x).sum().backward()
print(type(fast.run).__name__, x.grad.tolist())
fast.load()
x.grad = None
(x * x).sum().backward()
print(type(fast.run).__name__, x.grad.tolist())
"""
    for at_first in ("function", "builtin_function_or_method"):
        done = processes.run(script, NUMGRAD_KERNEL_STORE=str(tmp_path / "store"))
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{at_first} [200.0, 200.0]\nbuiltin_function_or_method [2.0, 2.0]\n"


def test_an_unknown_interpreter_is_served_by_python(monkeypatch, caplog):
    def refuse(*_):
        raise KernelError("the slot _spec of Tensor is not found in its memory")

    monkeypatch.setattr("numgrad.runtime.fast.write.load", refuse)
    assert [function(1, 2) for function in fast._loaded(lambda: ())] == [None, None, None, NotImplemented, None]
    assert "ops are applied by Python" in caplog.text
