"""`jit`: replays have the bits of eager steps, and happen only where they may."""

from __future__ import annotations

import gc
import logging
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.engine import dispatch
from numgrad.engine.tape import modes
from numgrad.nn import functional as F
from numgrad.runtime import memory
from tests.compile.steps import bits, check


def batches(count: int, *shape: int, classes: int = 3) -> list[tuple[ng.Tensor, ng.Tensor]]:
    ng.manual_seed(5)
    return [(ng.randn(*shape), ng.randint(0, classes, (shape[0],))) for _ in range(count)]


def trained(
    model: nn.Module, optimizer: Any, *, at_end: bool = False, clip: bool = False, set_to_none: bool = True
) -> tuple[Any, list[Any]]:
    def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
        if not at_end:
            optimizer.zero_grad(set_to_none=set_to_none)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        if at_end:
            optimizer.zero_grad(set_to_none=set_to_none)
        return loss

    return step, [model, optimizer]


def perceptron(dropout: float = 0.3) -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.BatchNorm1d(8), nn.Linear(8, 3)
    )  # fmt: skip


OPTIMIZERS = {
    "sgd": lambda p: ng.optim.SGD(p, lr=0.1),
    "momentum": lambda p: ng.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: ng.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: ng.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: ng.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "nadam": lambda p: ng.optim.NAdam(p, lr=0.01),
    "tensor rate": lambda p: ng.optim.Adam(p, lr=ng.tensor(0.01)),
    "groups": lambda p: ng.optim.SGD([{"params": (each := list(p))[:1], "lr": 0.5}, {"params": each[1:]}], lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_and_their_states_advance_as_in_eager_steps(name: str) -> None:
    def build() -> Any:
        model = perceptron()
        return trained(model, OPTIMIZERS[name](model.parameters()), clip=True)

    stats = check(build, batches(12, 8, 4))
    assert stats.replays >= 9
    assert not stats.reasons


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("set_to_none", [False, True])
def test_gradients_are_dropped_or_zeroed_where_the_step_does_it(at_end: bool, set_to_none: bool) -> None:
    def build() -> Any:
        model = perceptron()
        return trained(model, ng.optim.SGD(model.parameters(), lr=0.1), at_end=at_end, set_to_none=set_to_none)

    assert check(build, batches(8, 8, 4)).replays >= 5


def test_gradients_accumulate_over_steps_that_do_not_drop_them() -> None:
    def build() -> Any:
        model = perceptron()

        def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss.detach()

        return step, [model]

    calls: list[Any] = batches(8, 8, 4)
    calls.insert(4, (lambda model: model.zero_grad(),))
    assert check(build, calls).replays >= 4


def test_rates_change_between_replays_without_a_new_capture() -> None:
    def build() -> Any:
        model = perceptron()
        optimizer = ng.optim.Adam(model.parameters(), lr=0.1)
        return *trained(model, optimizer)[:1], [model, optimizer, ng.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]

    def lower(model: Any, optimizer: Any, schedule: Any) -> None:
        optimizer.param_groups[0]["lr"] *= 0.5
        optimizer.param_groups[0]["betas"] = (0.8, 0.99)

    calls: list[Any] = batches(10, 8, 4)
    calls.insert(5, (lower,))
    calls.insert(8, (lambda model, optimizer, schedule: schedule.step(),))
    stats = check(build, calls)
    assert stats[:2] == (1, 8)


@pytest.mark.parametrize("schedule", ["before", "after"])
def test_schedules_advance_inside_of_the_step(schedule: str) -> None:
    def build() -> Any:
        model = perceptron()
        optimizer = ng.optim.SGD(model.parameters(), lr=0.1)
        cosine = ng.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7)
        inner, state = trained(model, optimizer)

        def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
            if schedule == "before":
                cosine.step()
            loss = inner(x, y)
            if schedule == "after":
                cosine.step()
            return loss

        return step, [*state, {"rates": optimizer.param_groups[0]}]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's order is after the optimizer's step
        assert check(build, batches(9, 8, 4)).replays >= 6


def test_train_and_eval_have_programs_of_their_own() -> None:
    def build() -> Any:
        model = perceptron()

        def step(x: ng.Tensor) -> ng.Tensor:
            with ng.no_grad():
                return model(x)

        return step, [model]

    xs = [(x,) for x, _ in batches(9, 8, 4)]
    train, evaluate = (lambda model: model.train(),), (lambda model: model.eval(),)
    calls = [*xs[:3], evaluate, *xs[3:5], train, *xs[5:7], evaluate, *xs[7:]]
    stats = check(build, calls)
    assert stats.captures == 2
    assert stats.replays >= 6


def test_a_model_in_use_is_replayed() -> None:
    model = perceptron().eval()
    replayed = ng.jit(model)
    with ng.no_grad():
        for x, _ in batches(4, 8, 4):
            assert bits(replayed(x)) == bits(model(x))
    with ng.inference_mode():
        outputs = [replayed(x) for x, _ in batches(3, 8, 4)]
        assert all(output.is_inference() for output in outputs)
    assert ng.jit.stats(replayed)[:2] == (2, 5)


def test_signatures_have_programs_of_their_own_up_to_the_limit(caplog: Any) -> None:
    double = ng.jit(lambda x, factor=2: factor * x, limit=3)
    for _ in range(3):
        assert double(ng.ones(3)).tolist() == [2] * 3
        assert double(ng.ones(3, dtype=ng.float64)).dtype is ng.float64
        assert double(ng.ones(2, 2).t(), factor=3).tolist() == [[3, 3], [3, 3]]
    assert ng.jit.stats(double)[:3] == (3, 6, 0)
    with pytest.warns(UserWarning, match="3 captures, its limit.*limit="):
        assert double(ng.ones(4)).tolist() == [2] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert double(ng.ones(5)).tolist() == [2] * 5
    assert ng.jit.stats(double)[:3] == (3, 6, 2)


def test_the_log_says_why_a_step_is_captured_anew(caplog: Any) -> None:
    model = perceptron()
    step = ng.jit(lambda x: model(x).detach())
    (x, _), *_ = batches(1, 8, 4)
    with caplog.at_level(logging.DEBUG, "numgrad.jit"):
        step(x)
        model[2].p = 0.5
        step(x)
        model[0].weight.requires_grad_(False)
        step(x)
        model[0].weight = nn.Parameter(ng.zeros(8, 4))
        step(x)
    text = caplog.text
    for expected in ("model['2'].p was 0.3 and is 0.5", "requires_grad of", "a tensor of [8, 4]"):
        assert expected in text


def test_results_are_new_tensors_and_containers_come_back() -> None:
    @ng.jit
    def step(x: ng.Tensor, options: dict[str, Any]) -> Any:
        y = x * options["factor"]
        return {"y": y, "pair": (y.sum(), [x, None, 3]), "view": y[0], "same": x.view(-1)}

    seen = [step(ng.full((2, 2), float(k)), {"factor": 2.0}) for k in range(4)]
    for k, result in enumerate(seen):
        assert result["y"].tolist() == [[2 * k] * 2] * 2
        assert (result["pair"][0].item(), result["pair"][1][1:]) == (8 * k, [None, 3])
        assert result["view"].tolist() == [2 * k] * 2
        result["same"].fill_(-1.0)
        assert result["pair"][1][0].tolist() == [[-1, -1], [-1, -1]]
        result["view"].fill_(7.0)
        assert result["y"][0].tolist() == [7, 7], "views of one result share its memory, as in eager code"
    assert ng.jit.stats(step).replays == 3


def test_gradients_that_somebody_holds_stay_what_they_were() -> None:
    def build() -> Any:
        model = perceptron(0.0)
        return trained(model, ng.optim.SGD(model.parameters(), lr=0.5))

    ng.manual_seed(1)
    step, (model, _) = build()
    replayed = ng.jit(step)
    held = []
    for x, y in batches(12, 8, 4):
        replayed(x, y)
        grad = model[0].weight.grad
        held += [(grad, grad.numpy().copy()), (grad.view(-1), grad.numpy().reshape(-1).copy())]
    for tensor, values in held:
        assert np.array_equal(tensor.numpy(), values)
    assert len({id(tensor) for tensor, _ in held}) == len(held)


def test_arguments_that_require_gradients_get_them() -> None:
    weight = ng.ones(3)

    @ng.jit
    def step(x: ng.Tensor) -> ng.Tensor:
        loss = (weight * x * x).sum()
        loss.backward()
        return loss.detach()

    for k in range(4):
        x = ng.full((3,), float(k), requires_grad=True)
        step(x)
        assert x.grad.tolist() == [2 * k] * 3
    for k in range(3):  # and again, on top
        step(x)
        assert x.grad.tolist() == [6 * (k + 2)] * 3
    assert ng.jit.stats(step).replays >= 4


def test_arguments_are_changed_in_place_where_they_lie() -> None:
    @ng.jit
    def step(x: ng.Tensor, y: ng.Tensor) -> None:
        x.add_(y)

    x = ng.zeros(3)
    for k in range(4):
        version = x._version
        step(x, ng.full((3,), float(k)))
        assert x._version > version
    assert x.tolist() == [6] * 3
    z = ng.ones(3)
    assert [step(z, z), step(z, z)] == [None, None]
    assert z.tolist() == [4] * 3
    both = ng.arange(6.0)
    for _ in range(2):
        step(both[:3], both[2:5])  # they overlap
    assert both.tolist() == _overlapping()


def _overlapping() -> list[float]:
    both = ng.arange(6.0)
    for _ in range(2):
        both[:3].add_(both[2:5])
    return both.tolist()


def test_an_argument_that_the_step_sees_is_known_by_its_memory() -> None:
    weight, other = ng.ones(3), ng.full((3,), 5.0)

    @ng.jit
    def step(x: ng.Tensor) -> ng.Tensor:
        weight.add_(1)
        return x + weight

    assert [step(weight).tolist()[0] for _ in range(3)] == [4, 6, 8]
    assert [step(other).tolist()[0] for _ in range(3)] == [10, 11, 12]
    assert step(weight).tolist()[0] == 16


def test_random_numbers_go_on_from_replay_to_replay() -> None:
    def build() -> Any:
        return lambda x: F.dropout(x, 0.5) + ng.rand(4) + ng.randn(4), []

    stats = check(build, [(ng.ones(4),)] * 6)
    assert stats.replays == 5


def test_zero_size_and_no_dimensions() -> None:
    def build() -> Any:
        return lambda x: ((x * 2).sum(), x + 1, x.exp()), []

    for shape in ((0,), (3, 0), ()):
        assert check(build, [(ng.ones(*shape),)] * 3).replays == 2


def test_an_error_of_a_kernel_is_the_ops_own_and_ends_the_step_before_the_optimizer() -> None:
    model = perceptron(0.0)
    step, _ = trained(model, ng.optim.SGD(model.parameters(), lr=0.5))
    replayed = ng.jit(step)
    (x, y), *more = batches(4, 8, 4)
    for each in more:
        replayed(*each)
    before = bits(model[0].weight)
    with pytest.raises(IndexError, match="is out of bounds"):
        replayed(x, ng.full((8,), 7))
    assert bits(model[0].weight) == before
    replayed(x, y)
    assert bits(model[0].weight) != before


def test_an_exception_in_the_step_is_the_callers() -> None:
    @ng.jit
    def step(x: ng.Tensor, fail: bool) -> ng.Tensor:
        if fail:
            raise KeyError("mine")
        return x + 1

    for fail in (False, True, False, True, False):
        if fail:
            with pytest.raises(KeyError, match="mine"):
                step(ng.ones(2), fail)
        else:
            assert step(ng.ones(2), fail).tolist() == [2, 2]
    assert ng.jit.stats(step)[:2] == (1, 2)


def test_calls_of_the_host_run_between_launches() -> None:
    def build() -> Any:
        return lambda x: ng.linalg.inv(x + ng.eye(3)) * 2, []

    ng.manual_seed(0)
    assert check(build, [(ng.rand(3, 3),) for _ in range(4)]).replays == 3
    step = ng.jit(lambda x: ng.linalg.inv(x))
    step(ng.eye(2))
    with pytest.raises(ng.linalg.LinAlgError, match="singular"):
        step(ng.zeros(2, 2))


def test_callbacks_see_copies_at_their_place() -> None:
    seen: list[Any] = []
    note = ng.jit.host(seen.append)

    @ng.jit
    def step(x: ng.Tensor) -> ng.Tensor:
        y = x * 2
        note(y)
        y += 1
        note(y)
        return y.sum()

    for k in range(4):
        step(ng.full((2,), float(k)))
    assert [each.tolist()[0] for each in seen] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert ng.jit.stats(step).replays == 3
    with pytest.raises(TypeError, match="expected a function"):
        ng.jit.host(3)


def test_profiles_recordings_and_other_captures_see_every_op() -> None:
    double = ng.jit(lambda x: 2 * x)
    for _ in range(3):
        double(ng.ones(3))
    replays = ng.jit.stats(double).replays
    x = ng.ones(3)
    with ng.compile.Recording() as recording:
        y = double(x)
    x.fill_(5)
    recording.replay()
    assert y.tolist() == [10] * 3
    outer = ng.jit(lambda x: double(x) + 1)
    assert [outer(ng.ones(2)).tolist() for _ in range(3)] == [[3, 3]] * 3
    assert ng.vmap(double)(ng.ones(2, 2)).tolist() == [[2, 2], [2, 2]]
    assert ng.jit.stats(double).replays == replays


def test_threads_replay_programs_of_their_own_and_one_together() -> None:
    ng.manual_seed(0)
    shared = ng.jit(lambda x: (x * 2 + 1).sum())
    shared(ng.ones(100))
    failures: list[Any] = []

    def run(number: int) -> None:
        own = ng.jit(lambda x: (x + number).mean())
        for k in range(50):
            value = float(k + number)
            if own(ng.full((100,), value)).item() != value + number:
                failures.append(("own", number, k))
            if shared(ng.full((100,), value)).item() != 100 * (2 * value + 1):
                failures.append(("shared", number, k))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_number_of_threads_is_part_of_the_signature(count: int) -> None:
    def build() -> Any:
        model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 3))
        return trained(model, ng.optim.AdamW(model.parameters(), lr=0.01))

    before = ng.get_num_threads()
    try:
        ng.set_num_threads(count)
        calls: list[Any] = batches(6, 128, 64)
        calls.insert(4, (lambda *_: ng.set_num_threads(3 - min(count, 2)),))
        assert check(build, calls).captures >= 1
    finally:
        ng.set_num_threads(before)


def test_methods_and_decorators_with_options() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.weight, self.history = ng.ones(2), []

        @ng.jit(limit=2)
        def step(self, x: ng.Tensor) -> ng.Tensor:
            """Add."""
            return self.weight + x

    one, two = Trainer(), Trainer()
    two.weight = ng.zeros(2)
    for _ in range(3):
        one.history.append(one.step(ng.ones(2)))  # of what the step does not name, nothing is watched
        assert two.step(ng.ones(2)).tolist() == [1, 1]
    assert [each.tolist() for each in one.history] == [[2, 2]] * 3
    assert Trainer.step.__doc__ == "Add."
    assert ng.jit.stats(one.step)[:2] == (2, 4)


def test_an_interrupt_ends_a_capture() -> None:
    @ng.jit
    def step(x: ng.Tensor, interrupted: bool) -> ng.Tensor:
        y = x * 2
        if interrupted:
            raise KeyboardInterrupt
        return y

    with pytest.raises(KeyboardInterrupt):
        step(ng.ones(2), True)
    assert modes.capture is None
    assert not [each for each in (*dispatch.recorders, *dispatch.guards) if "compile" in type(each).__module__]
    assert [step(ng.ones(2), False).tolist() for _ in range(3)] == [[2, 2]] * 3
    assert ng.jit.stats(step)[:2] == (1, 2)


def test_arguments_and_results_are_not_kept() -> None:
    step = ng.jit(lambda x: x * 2)
    x = ng.ones(3)
    references = [weakref.ref(x), weakref.ref(step(x)), weakref.ref(step(x)), weakref.ref(x._storage)]
    del x
    gc.collect()
    assert [reference() for reference in references] == [None] * 4


def test_programs_do_not_keep_what_they_need_not() -> None:
    model = perceptron()
    step, _ = trained(model, ng.optim.SGD(model.parameters(), lr=0.1))
    replayed = ng.jit(step)
    calls = batches(3, 8, 4)
    for each in calls:
        replayed(*each)
    gc.collect()
    before = memory.memory_stats()["live"]
    for _ in range(50):
        for each in calls:
            replayed(*each)
    gc.collect()
    assert memory.memory_stats()["live"] == before


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        ((3,), {}, TypeError, "expected a function or a module, got int"),
        ((abs,), {"fallback": "quiet"}, ValueError, "expected 'error' or 'eager'"),
        ((abs,), {"limit": 0}, ValueError, "at least 1"),
    ],
)
def test_wrong_arguments(arguments: Any, options: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        ng.jit(*arguments, **options)
    with pytest.raises(TypeError, match="expected what jit returned"):
        ng.jit.stats(abs)


def test_a_thread_of_others_that_begins_during_a_capture_does_no_harm() -> None:
    """Whose it is cannot be seen: this call is eager, and the next is captured."""
    begin, done = threading.Event(), threading.Event()

    def compute() -> None:
        ng.ones(3).sum()
        done.set()

    def start() -> None:
        begin.wait(60)
        threading.Thread(target=compute).start()

    def body(x: Any) -> Any:
        if not done.is_set():
            begin.set()
            done.wait(60)
        return x * 2

    starter = threading.Thread(target=start)
    starter.start()
    step = ng.jit(body)
    assert [step(ng.tensor([3.0])).item() for _ in range(4)] == [6.0] * 4
    starter.join()
    assert ng.jit.stats(step)[:3] == (1, 2, 1)
