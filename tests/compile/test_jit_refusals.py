"""What a replay could not do again is refused, by its line and with a way out; and a fallback runs it eagerly."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.errors import CaptureError

ARRAY = np.ones(2, np.float32)
FACTOR = 2.0
COUNTER = {"calls": 0}
KEPT: list[Any] = []
HELD: dict[str, Any] = {"hidden": ng.zeros(2)}


def _hooked(x: ng.Tensor) -> ng.Tensor:
    y = x.clone().requires_grad_()
    y.register_hook(lambda grad: grad * 2)
    (y * y).sum().backward()
    return y.grad


def _counted(x: ng.Tensor) -> ng.Tensor:
    COUNTER["calls"] += 1
    return x * COUNTER["calls"]


def _kept(x: ng.Tensor) -> ng.Tensor:
    KEPT.append(x * 2)
    KEPT[:] = KEPT[-1:]
    return x + 1


def _hidden(x: ng.Tensor) -> ng.Tensor:
    HELD["hidden"] = HELD["hidden"] + x
    return x + 1


def _in_a_thread(x: ng.Tensor) -> ng.Tensor:
    found: list[ng.Tensor] = []
    thread = threading.Thread(target=lambda: found.append(x * 2))
    thread.start()
    thread.join()
    return found[0]


READS: dict[str, Callable[[ng.Tensor], Any]] = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: x if x.sum() > 0 else -x,
    "float": lambda x: x * float(x.sum()),
    "int": lambda x: x * int(x.sum()),
    "index": lambda x: x[x.long()[0].__index__() * 0],
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy().sum(),
    "array": lambda x: np.asarray(x).sum(),
    "repr": lambda x: len(repr(x)),
    "format": lambda x: f"{x.sum():.2f}",
    "iteration": lambda x: sum(x.tolist()),
    "equal": lambda x: ng.equal(x, x),
    "allclose": lambda x: ng.allclose(x, x + 0),
    "contains": lambda x: 1.0 in x,
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "masked_select": lambda x: ng.masked_select(x, x > 0),
    "unique": lambda x: ng.unique(x),
    "repeat_interleave": lambda x: x.repeat_interleave(x.long()),
    "multinomial": lambda x: ng.multinomial(x, 1),
    "storage": lambda x: x.untyped_storage()[0],
    "deepcopy": lambda x: __import__("copy").deepcopy(x),
    "pickle": lambda x: __import__("pickle").dumps(x),
    "tensor of a tensor": lambda x: ng.tensor(x.detach()),
    "write": lambda x: x.numpy().fill(3),
    "seed": lambda x: ng.initial_seed(),
}
OTHERS: dict[str, tuple[Callable[[ng.Tensor], Any], str]] = {
    "from_numpy": (lambda x: x + ng.from_numpy(ARRAY), "array of NumPy"),
    "tensor": (lambda x: x + ng.tensor(ARRAY), "array of NumPy"),
    "as_tensor": (lambda x: x + ng.as_tensor(ARRAY), "array of NumPy"),
    "operand": (lambda x: x + ARRAY, "array of NumPy"),
    "random": (lambda x: x * random.random(), "random numbers of Python or NumPy"),
    "numpy.random": (lambda x: x * float(np.random.rand()), "random numbers of Python or NumPy"),
    "hook": (_hooked, "hook"),
    "a counter": (_counted, "COUNTER"),
    "kept": (_kept, "KEPT|kept elsewhere"),
    "hidden state": (_hidden, "HELD"),
    "threads": (_in_a_thread, "other threads"),
    "graph": (lambda x: (x.clone().requires_grad_() * x).sum(), "still to be run"),
    "result": (lambda x: iter([x]), "of type list_iterator"),
}


@pytest.mark.parametrize("name", READS)
def test_a_value_that_is_read_is_an_error_at_its_line(name: str) -> None:
    step = ng.jit(READS[name])
    with pytest.raises(CaptureError, match=r"test_jit_refusals.py:\d+ reads the value of a tensor.*fallback='eager'"):
        step(ng.ones(2))
    eager = ng.jit(READS[name], fallback="eager")
    for _ in range(3):
        eager(ng.ones(2))
    stats = ng.jit.stats(eager)
    assert stats[:3] == (0, 0, 3)
    assert "reads the value" in stats.reasons[0]


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_python_does_is_an_error(name: str) -> None:
    function, match = OTHERS[name]
    step = ng.jit(function)
    with pytest.raises(CaptureError, match=match):
        [step(ng.ones(2)) for _ in range(4)]
    assert ng.jit.stats(step).replays == 0
    eager = ng.jit(function, fallback="eager")
    for _ in range(5):
        eager(ng.ones(2))
    stats = ng.jit.stats(eager)
    assert (stats.replays, stats.eager, len(stats.reasons)) == (0, 5, 1)


def test_arguments_that_would_be_frozen_are_refused() -> None:
    step = ng.jit(lambda x: x)
    with pytest.raises(CaptureError, match="array of NumPy .ndarray"):
        step(ARRAY)
    weight = ng.ones(2, requires_grad=True)
    with pytest.raises(CaptureError, match="graph from outside"):
        step(weight * 2)
    product = weight * 2
    with pytest.raises(CaptureError, match="graph was made outside"):
        ng.jit(lambda: (product * 2).sum().backward())()


@pytest.mark.parametrize("kind", ["module", "leaf", "optimizer"])
def test_hooks_of_the_users_are_refused(kind: str) -> None:
    model = nn.Linear(2, 1)
    optimizer = ng.optim.SGD(model.parameters(), lr=0.1)

    def step(x: ng.Tensor) -> None:
        model(x).sum().backward()
        optimizer.step()

    def noted(*args: Any) -> None:
        KEPT.clear()

    if kind == "module":
        model.register_forward_hook(noted)
    elif kind == "leaf":
        model.weight.register_hook(noted)
    else:
        optimizer.register_step_post_hook(noted)
    with pytest.raises(CaptureError, match="hook .*noted"):
        ng.jit(step)(ng.ones(3, 2))


def test_a_hook_that_comes_later_is_noticed() -> None:
    model = nn.Linear(2, 1)
    step = ng.jit(lambda x: model(x).detach())
    for _ in range(3):
        step(ng.ones(3, 2))
    model.register_forward_hook(lambda *_: None)
    with pytest.raises(CaptureError, match="hook"):
        step(ng.ones(3, 2))


def test_what_the_step_sees_may_change_between_calls_and_is_never_frozen() -> None:
    global FACTOR
    FACTOR = 2.0
    settings, model = {"bias": 1.0}, nn.Linear(2, 2)
    shift = 0.0

    def scaled(x: ng.Tensor) -> ng.Tensor:
        return x * FACTOR + settings["bias"]

    helper: Callable[[ng.Tensor], ng.Tensor] = scaled

    def plain(x: ng.Tensor) -> ng.Tensor:
        return model(helper(x)).detach() + shift

    step = ng.jit(plain, limit=100)

    def same() -> None:
        for x in (ng.ones(2, 2), ng.full((2, 2), 3.0)):
            for _ in range(2):
                assert step(x).tolist() == plain(x).tolist()

    same()
    FACTOR = 3.0
    same()
    settings["bias"] = 5.0
    same()
    shift = 4.0
    same()
    model.weight.data = ng.zeros(2, 2)
    same()
    model.weight = nn.Parameter(ng.full((2, 2), 7.0))
    same()
    model.bias = None
    same()
    model.weight.data.fill_(0.25)
    same()
    model.to(ng.float64).float()
    same()
    model.weight.requires_grad_(False)
    same()
    model = nn.Linear(2, 2)
    same()
    helper = ng.sin
    same()
    assert 8 <= ng.jit.stats(step).captures <= 14


def test_a_state_that_is_loaded_is_the_one_that_advances() -> None:
    model = nn.Linear(2, 1)
    optimizer = ng.optim.Adam(model.parameters(), lr=0.1)

    def plain(x: ng.Tensor) -> None:
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    step = ng.jit(plain)
    for _ in range(4):
        step(ng.ones(3, 2))
    model_state = {key: value.clone() for key, value in model.state_dict().items()}
    saved = ng.optim.Adam(model.parameters(), lr=0.1)
    saved.load_state_dict(optimizer.state_dict())
    state = saved.state_dict()
    plain(ng.ones(3, 2))
    expected = [p.tolist() for p in model.parameters()]
    model.load_state_dict(model_state)
    optimizer.load_state_dict(state)
    step(ng.ones(3, 2))
    assert [p.tolist() for p in model.parameters()] == expected


def test_a_tensor_that_is_moved_or_resized_is_noticed() -> None:
    table = ng.ones(4)
    step = ng.jit(lambda x: (table * x).sum())
    assert [step(ng.ones(())).item() for _ in range(3)] == [4, 4, 4]
    table.resize_(2)
    assert [step(ng.ones(())).item() for _ in range(3)] == [2, 2, 2]
    table.data = ng.full((3,), 2.0)
    assert [step(ng.ones(())).item() for _ in range(3)] == [6, 6, 6]


def test_a_step_that_changes_what_it_sees_is_told_where_to_do_it() -> None:
    seen: list[int] = []

    def step(x: Any) -> Any:
        seen.append(1)
        return x * 2.0

    jitted = ng.jit(step)
    with pytest.raises(
        CaptureError, match=r"seen had \d items and has \d; change it outside of the step, or in a function"
    ):
        [jitted(ng.ones(2)) for _ in range(3)]
