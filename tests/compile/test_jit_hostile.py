"""What may happen to a step that is replayed in one call of machine code: it has the bits of eager steps, or is captured anew."""

from __future__ import annotations

import _thread
import copy
import os
import pickle
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.engine.tape import modes
from numgrad.errors import CaptureError
from numgrad.runtime.at_once import run_at_once
from tests.compile.steps import bits
from tests.compile.test_jit import batches, perceptron, trained

run_at_once.address()  # it is stored from now on
WARM = 8  # calls until a replay is one call of machine code


def _momentum() -> tuple[Any, list[Any]]:
    ng.manual_seed(1)
    model = perceptron(0.0)
    return trained(model, ng.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


def _warm(step: Any, calls: Any) -> Any:
    """A step whose replays are one call of machine code by now."""
    replayed = ng.jit(step)
    for call in calls:
        replayed(*call)
    assert replayed.programs()[-1].at_once is not None
    return replayed


# What is done to a model, its optimizer and the arguments of a call between two calls.
CHANGES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "nothing": lambda model, optimizer, x, y: None,
    "rate": lambda model, optimizer, x, y: optimizer.param_groups[0].update(lr=0.01),
    "rate, the same": lambda model, optimizer, x, y: optimizer.param_groups[0].update(lr=float("0.1")),
    "eval": lambda model, optimizer, x, y: model.eval(),
    "parameter replaced": lambda model, optimizer, x, y: setattr(model[0], "bias", nn.Parameter(ng.ones(8))),
    "parameter loaded": lambda model, optimizer, x, y: model[0].bias.data.fill_(0.5),
    "memory replaced": lambda model, optimizer, x, y: setattr(model[0].bias, "data", ng.ones(8)),
    "frozen": lambda model, optimizer, x, y: model[0].bias.requires_grad_(False),
    "gradient": lambda model, optimizer, x, y: setattr(model[0].bias, "grad", ng.ones(8)),
    "gradient changed": lambda model, optimizer, x, y: model[0].bias.grad.fill_(3),
    "gradient dropped": lambda model, optimizer, x, y: setattr(model[0].bias, "grad", None),
    "layer replaced": lambda model, optimizer, x, y: model.__setitem__(1, nn.Tanh()),
    "buffer": lambda model, optimizer, x, y: model[3].running_mean.fill_(0.25),
    "argument in place": lambda model, optimizer, x, y: x.mul_(2),
    "argument's layout": lambda model, optimizer, x, y: setattr(x, "data", x.t().contiguous().t()),
    "argument's memory": lambda model, optimizer, x, y: setattr(x, "data", x * 3),
    "argument's gradient": lambda model, optimizer, x, y: x.requires_grad_(),
    "argument is a view": lambda model, optimizer, x, y: setattr(x, "data", ng.ones(10, 4)[1:9]),
    "no gradients": lambda model, optimizer, x, y: ng.set_grad_enabled(False),
    "dtype": lambda model, optimizer, x, y: ng.set_default_dtype(ng.float64),
    "threads": lambda model, optimizer, x, y: ng.set_num_threads(1),
    "anomalies": lambda model, optimizer, x, y: ng.autograd.set_detect_anomaly(True),
}


def _run(wrap: Callable[..., Any], change: Callable[..., Any]) -> tuple[list[Any], Any]:
    step, (model, optimizer) = _momentum()
    calls = [(x.clone(), y) for x, y in batches(WARM + 6, 8, 4)]
    wrapped, results = wrap(step), []
    threads = ng.get_num_threads()
    try:
        for number, (x, y) in enumerate(calls):
            if number == WARM:
                change(model, optimizer, x, y)
            try:
                results.append(bits(wrapped(x, y).detach()))
            except RuntimeError as error:  # without gradients there is no backward
                results.append("element 0 of tensors does not require grad" in str(error) or repr(error))
            results.append(bits([model, optimizer, x]))
    finally:
        ng.set_grad_enabled(True)
        ng.set_default_dtype(ng.float32)
        ng.set_num_threads(threads)
        ng.autograd.set_detect_anomaly(False)
    return results, wrapped


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_between_two_replays_is_seen(name: str) -> None:
    expected, _ = _run(lambda step: step, CHANGES[name])
    got, wrapped = _run(ng.jit, CHANGES[name])
    assert got == expected
    assert wrapped.programs()[0].at_once is not None
    assert ng.jit.stats(wrapped).replays >= WARM - 2


def test_a_gradient_of_what_the_step_does_not_use_is_dropped_as_it_would_be() -> None:
    model = nn.ModuleDict({"used": nn.Linear(4, 3), "other": nn.Linear(4, 3)})
    optimizer = ng.optim.SGD(model.parameters(), lr=0.1)

    def step(x: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = model["used"](x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    replayed = _warm(step, [(ng.ones(2, 4),)] * WARM)
    for _ in range(3):
        model["other"].weight.grad = ng.ones(3, 4)
        before = bits(model["other"].weight)
        replayed(ng.ones(2, 4))
        assert model["other"].weight.grad is None
        assert bits(model["other"].weight) == before


def test_an_interrupt_leaves_a_whole_number_of_steps() -> None:
    calls = batches(4, 8, 4)
    step, (model, optimizer) = _momentum()
    replayed = _warm(step, [calls[number % 4] for number in range(WARM)])
    taken, seen = threading.Event(), 0

    def interrupt() -> None:
        for _ in range(20):
            time.sleep(0.003)  # so that the last one has been dealt with: outside of the block nothing would catch it
            taken.clear()
            _thread.interrupt_main()
            taken.wait(60)

    thread = threading.Thread(target=interrupt)
    thread.start()
    while seen < 20:
        try:
            while True:
                replayed(*calls[optimizer._step_count % 4])
        except KeyboardInterrupt:
            seen += 1
            taken.set()
    thread.join()
    assert seen == 20
    assert modes.capture is None
    count = optimizer._step_count
    eager, (expected, other) = _momentum()
    for number in range(count):
        eager(*calls[number % 4])
    assert bits([model, optimizer]) == bits([expected, other])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_replays_what_was_captured_before() -> None:
    calls = batches(WARM + 4, 8, 4)
    step, state = _momentum()
    replayed = _warm(step, calls[:WARM])
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            for call in calls[WARM:]:
                replayed(*call)
            os.write(writing, repr(bits(state)).encode()[-4000:])
        finally:
            os._exit(0)
    os.close(writing)
    for call in calls[WARM:]:
        replayed(*call)
    with os.fdopen(reading, "rb") as answer:
        assert answer.read() == repr(bits(state)).encode()[-4000:]
    os.waitpid(child, 0)


def test_a_replay_while_other_threads_record_and_capture() -> None:
    replayed = _warm(lambda x: (x * 2 + 1).sum(), [(ng.ones(100),)] * WARM)
    failures: list[Any] = []
    ended = threading.Event()

    def record() -> None:
        while not ended.is_set():
            with ng.compile.Recording() as recording:
                y = ng.ones(3) * 2
            recording.replay()
            step = ng.jit(lambda x: x * 3)
            if [step(y).tolist() for _ in range(3)] != [[6.0] * 3] * 3:
                failures.append(y)

    thread = threading.Thread(target=record)
    thread.start()
    for k in range(300):
        if replayed(ng.full((100,), float(k))).item() != 100 * (2 * k + 1):
            failures.append(k)
    ended.set()
    thread.join()
    assert not failures
    assert ng.jit.stats(replayed).captures == 1


def test_a_callback_may_call_the_step_that_runs() -> None:
    results: list[float] = []

    @ng.jit.host
    def again(y: ng.Tensor) -> None:
        if y.item() < 100:
            results.append(step(y * 10).item())

    @ng.jit
    def step(x: ng.Tensor) -> ng.Tensor:
        y = x + 1
        again(y)
        return y * 2

    for _ in range(4):
        results.clear()
        assert step(ng.tensor(1.0)).item() == 4
        assert results == [422.0, 42.0]


def test_results_and_gradients_of_replays_are_freed() -> None:
    step, (model, _) = _momentum()
    calls = batches(2, 8, 4)
    replayed = _warm(step, calls * WARM)
    held = [replayed(*calls[0]) for _ in range(3)]
    values = [each.item() for each in held]
    grad = model[0].weight.grad
    kept = grad.numpy().copy()
    for _ in range(3):
        replayed(*calls[1])
    assert [each.item() for each in held] == values
    assert (grad.numpy() == kept).all()
    assert grad is not model[0].weight.grad


def test_a_shared_step_refuses_what_has_a_graph_outside() -> None:
    replayed = _warm(lambda x: x * 2, [(ng.ones(3),)] * WARM)
    with pytest.raises(CaptureError, match="has a graph from outside"):
        replayed(ng.ones(3, requires_grad=True) * 1)
    assert replayed(ng.ones(3)).tolist() == [2] * 3


@pytest.mark.parametrize("kind", ["numbers", "tensors", "dict", "nested"])
def test_the_items_of_an_argument_may_change_between_replays(kind: str) -> None:
    """The container is the same object: its identity says nothing about what is in it."""
    box: Any = {"numbers": [2.0], "tensors": [ng.full((3,), 2.0)], "dict": {0: 2.0}, "nested": ([2.0],)}[kind]
    replayed = ng.jit(lambda x, box: x * (box[0][0] if kind == "nested" else box[0]))
    for number in range(2 * WARM):
        value = float(number // WARM + 2)
        inner = box[0] if kind == "nested" else box
        inner[0] = ng.full((3,), value) if kind == "tensors" else value
        assert replayed(ng.ones(3), box).tolist() == [value] * 3
    assert ng.jit.stats(replayed).replays >= WARM - 1


def test_a_gradient_that_is_a_result_stays_what_it_was() -> None:
    weight = ng.ones(3, requires_grad=True)

    def step(x: ng.Tensor) -> tuple[ng.Tensor, Any]:
        weight.grad = None
        (weight * x).sum().backward()
        return weight.detach() * x, weight.grad

    replayed, held = ng.jit(step), []
    for number in range(2 * WARM):
        held.append(replayed(ng.full((3,), float(number))))
        if number == WARM:
            held[-1][1].mul_(2)
    assert [each[1][0].item() for each in held] == [number * (1 + (number == WARM)) for number in range(2 * WARM)]


def test_what_cannot_be_kept_does_not_grow() -> None:
    """Fresh objects, numbers and arrays among the arguments: no call leaves anything for good."""

    class Option:
        pass

    alive: weakref.WeakSet[Option] = weakref.WeakSet()
    plain = ng.jit(lambda x, option: x * 2, fallback="eager", limit=2)
    reads = ng.jit(lambda x, number: x * x.sum().item() * number, fallback="eager", limit=2)
    array = ng.jit(lambda x: ng.tensor(x) * 2, fallback="eager", limit=2)

    def call(number: int) -> None:
        alive.add(option := Option())
        plain(ng.ones(2), option)
        assert reads(ng.ones(2), float(number)).tolist() == [2.0 * number] * 2
        array(np.ones(2))

    with pytest.warns(UserWarning, match="its limit"):
        deque(map(call, range(20)), maxlen=0)
    assert len(alive) <= 2
    assert [len(ng.jit.stats(step).reasons) for step in (plain, reads, array)] == [0, 1, 1]
    assert len(reads._given_up) == 2


COUNTED = [0]


@ng.jit
def decorated(x: ng.Tensor) -> ng.Tensor:
    return 2 * x


def test_a_step_that_changes_what_it_sees_for_each_signature_is_refused() -> None:
    @ng.jit
    def step(x: ng.Tensor, number: int) -> ng.Tensor:
        COUNTED[0] += 1
        return x * number

    with pytest.raises(CaptureError, match="COUNTED"):
        deque((step(ng.ones(2), number) for number in range(20)), maxlen=0)


def test_a_module_under_jit_is_copied_and_pickled_with_its_weights() -> None:
    ng.manual_seed(1)
    holder = nn.ModuleDict({"inner": nn.Linear(2, 1)}).eval()
    holder.run = ng.jit(holder["inner"])  # type: ignore[assignment]
    x = ng.ones(3, 2)
    before, *_ = [bits(holder.run(x)) for _ in range(4)]  # type: ignore[operator]
    copies = [copy.deepcopy(holder), pickle.loads(pickle.dumps(holder))]
    for each in copies:
        assert each.run.function is each["inner"]
        assert bits(each.run(x)) == before
        nn.init.zeros_(each["inner"].weight)
        assert bits(each.run(x)) != before
    assert bits(holder.run(x)) == before  # type: ignore[operator]
    assert pickle.loads(pickle.dumps(decorated)) is decorated


def test_a_leaf_that_only_the_graph_of_a_result_holds_is_no_secret() -> None:
    """A penalty of a gradient: the returned loss keeps the leaf that the step made."""
    weight = ng.ones(3, requires_grad=True)

    def step(x: ng.Tensor) -> ng.Tensor:
        weight.grad = None
        leaf = x.clone().requires_grad_()
        (grad,) = ng.autograd.grad((weight * leaf).square().sum(), leaf, create_graph=True)
        loss = grad.square().sum()
        loss.backward()
        return loss

    replayed = ng.jit(step)
    for number in range(4):
        x = ng.full((3,), float(number))
        expected = bits([step(x), weight.grad])
        assert bits([replayed(x), weight.grad]) == expected
    assert ng.jit.stats(replayed).replays == 3


@pytest.mark.parametrize("drops", [True, False])
def test_a_gradient_that_is_given_to_a_frozen_parameter_is_seen(drops: bool) -> None:
    def run(wrap: Callable[..., Any]) -> list[Any]:
        free, frozen = ng.ones(3, requires_grad=True), ng.ones(3)
        optimizer = ng.optim.SGD([free, frozen], lr=0.5)

        def step(x: ng.Tensor) -> None:
            if drops:
                optimizer.zero_grad()
            (free * frozen * x).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

        wrapped, seen = wrap(step), []
        for number in range(2 * WARM):
            if number in (WARM, WARM + 2):
                frozen.grad = ng.full((3,), 2.0)
            wrapped(ng.ones(3))
            seen.append([bits(free), bits(frozen), frozen.grad is None])
        return seen

    assert run(ng.jit) == run(lambda step: step)


class Batch(list):  # type: ignore[type-arg]
    """A list with attributes."""


def test_attributes_and_keys_of_containers_are_part_of_the_signature() -> None:
    batch: Any = Batch([ng.ones(2)])
    given, seen = ng.jit(lambda batch: batch[0] * batch.scale), ng.jit(lambda x: x * batch.scale)
    keyed = ng.jit(lambda table: table["x"] * (3.0 if any(key is True for key in table) else 2.0))
    for number in range(2 * WARM):
        batch.scale = float(number // WARM)
        assert given(batch).tolist() == seen(ng.ones(2)).tolist() == [batch.scale] * 2
        key: Any = bool(number % 2) or 1
        assert keyed({"x": ng.ones(2), key: 0}).tolist() == [3.0 if key is True else 2.0] * 2
    assert [ng.jit.stats(step).captures for step in (given, seen, keyed)] == [2, 2, 2]
