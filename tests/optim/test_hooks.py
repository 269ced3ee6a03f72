"""Hooks of optimizers, in torch's order and with torch's arguments; and optimizers that are written for torch."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import numgrad as ng
from numgrad import optim
from numgrad.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from tests.nn.twins import Library, ours, theirs
from tests.recorded import plain


def _optimizer(lib: Library, kind: Any = None) -> Any:
    p = lib.nn.Parameter(lib.t.ones(2))
    p.grad = lib.t.ones(2)
    return (kind or lib.optim.SGD)([p], lr=0.5)


def _every_kind(lib: Library) -> list[Any]:
    """What hooks of each kind were told, in the order in which they were."""
    told: list[Any] = []
    optimizer = _optimizer(lib)
    module = __import__(f"{lib.optim.__name__}.optimizer", fromlist=["Optimizer"])

    def note(kind: str, count: int) -> Any:
        return lambda *args: told.append([kind, len(args), args[0] is optimizer, [type(a).__name__ for a in args[1:]]])

    handles = [
        optimizer.register_step_pre_hook(note("before", 3)),
        optimizer.register_step_post_hook(note("after", 3)),
        module.register_optimizer_step_pre_hook(note("before all", 3)),
        module.register_optimizer_step_post_hook(note("after all", 3)),
        optimizer.register_state_dict_pre_hook(note("saving", 1)),
        optimizer.register_state_dict_pre_hook(note("saving first", 1), prepend=True),
        optimizer.register_state_dict_post_hook(note("saved", 2)),
        optimizer.register_state_dict_post_hook(note("saved first", 2), prepend=True),
        optimizer.register_load_state_dict_pre_hook(note("loading", 2)),
        optimizer.register_load_state_dict_pre_hook(note("loading first", 2), prepend=True),
        optimizer.register_load_state_dict_post_hook(note("loaded", 1)),
        optimizer.register_load_state_dict_post_hook(note("loaded first", 1), prepend=True),
    ]
    for _ in range(2):
        optimizer.step()
        optimizer.step(lambda: 1.0)
        optimizer.load_state_dict(optimizer.state_dict())
        for handle in handles:
            handle.remove()
    return told


def test_hooks_are_called_as_by_torch(torch_says: Any) -> None:
    assert plain(_every_kind(ours())) == torch_says(lambda torch: _every_kind(theirs(torch)))


def _replacing(lib: Library) -> list[Any]:
    """Hooks that give something else."""
    optimizer = _optimizer(lib)
    optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: ((args[0], lambda: 7.0), kwargs))
    results = [optimizer.step()]
    optimizer.register_state_dict_post_hook(lambda optimizer, state: {**state, "more": 1})
    saved = optimizer.state_dict()
    results.append(sorted(saved))

    def doubled(optimizer: Any, state: Any) -> Any:
        return {**state, "param_groups": [{**group, "lr": 2 * group["lr"]} for group in state["param_groups"]]}

    optimizer.register_load_state_dict_pre_hook(doubled)
    optimizer.load_state_dict(saved)
    return [*results, optimizer.param_groups[0]["lr"]]


def test_what_hooks_return_is_taken(torch_says: Any) -> None:
    assert plain(_replacing(ours())) == torch_says(lambda torch: _replacing(theirs(torch)))


def test_other_results_are_refused() -> None:
    optimizer = _optimizer(ours())
    optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: 3)
    with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 3"):
        optimizer.step()
    assert optimizer.param_groups[0]["params"][0].tolist() == [1, 1]


def test_copies_have_no_hooks() -> None:
    told: list[Any] = []
    optimizer = _optimizer(ours(), optim.Adam)
    optimizer.register_step_post_hook(lambda *args: told.append(args))
    optimizer.step()
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(copy.deepcopy(optimizer)))):
        twin.register_step_pre_hook(lambda *args: None).remove()
        twin.param_groups[0]["params"][0].grad = ng.ones(2)
        twin.step()
        assert repr(twin) == repr(optimizer)
    assert len(told) == 1


def _of_ones_own(lib: Library) -> list[Any]:
    """An optimizer as programs write it for torch: it defines `step`, and calls super() with a dict of defaults."""

    class Descent(lib.optim.Optimizer):  # type: ignore[name-defined, misc]
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr, "momentum": 0.5})

        def __setstate__(self, state: Any) -> None:
            super().__setstate__(state)
            for group in self.param_groups:
                group.setdefault("added", True)

        def step(self, closure: Any = None) -> Any:
            loss = None
            if closure is not None:
                with lib.t.enable_grad():
                    loss = closure()
            with lib.t.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is None:
                            continue
                        state = self.state[p]
                        if "buffer" not in state:
                            state["buffer"] = lib.t.zeros_like(p)
                        state["buffer"].mul_(group["momentum"]).add_(p.grad)
                        p.add_(state["buffer"], alpha=-group["lr"])
            return loss

    told: list[Any] = []
    optimizer = _optimizer(lib, Descent)
    optimizer.register_step_post_hook(lambda *args: told.append(len(args)))
    scheduler = lib.schedulers.ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        optimizer.step(lambda: 2.0)
        scheduler.step()  # warns if it thinks that no step was taken
    other = _optimizer(lib, Descent)
    other.load_state_dict(optimizer.state_dict())
    p, q = optimizer.param_groups[0]["params"][0], other.param_groups[0]["params"][0]
    return [p.tolist(), told, other.state[q]["buffer"].tolist(), other.param_groups[0]["added"], repr(other)]


def test_optimizers_written_for_torch_work(torch_says: Any) -> None:
    assert plain(_of_ones_own(ours())) == torch_says(lambda torch: _of_ones_own(theirs(torch)))


def test_hooks_of_all_optimizers_see_those_of_ones_own() -> None:
    class Idle(optim.Optimizer):
        def step(self, closure: Any = None) -> Any:
            return 5

    told: list[str] = []
    optimizer = Idle([ng.ones(1, requires_grad=True)], {})
    with (
        register_optimizer_step_pre_hook(lambda *args: told.append("before")),
        register_optimizer_step_post_hook(lambda *args: told.append("after")),
    ):
        assert optimizer.step() == 5
    optimizer.step()
    assert told == ["before", "after"]


def test_programs_find_each_class_where_torch_has_it() -> None:
    import numgrad.optim.lr_scheduler as schedulers
    from numgrad.optim.adam import Adam
    from numgrad.optim.adamw import AdamW
    from numgrad.optim.lbfgs import LBFGS
    from numgrad.optim.lr_scheduler import LRScheduler, SequentialLR, _LRScheduler
    from numgrad.optim.optimizer import Optimizer, required
    from numgrad.optim.sgd import SGD
    from numgrad.optim.swa_utils import AveragedModel, update_bn

    assert (Adam, AdamW, LBFGS, SGD) == (optim.Adam, optim.AdamW, optim.LBFGS, optim.SGD)
    assert Optimizer is optim.Optimizer
    assert issubclass(_LRScheduler, LRScheduler)
    assert schedulers.SequentialLR is SequentialLR
    assert repr(required) == "<required parameter>"
    assert optim.swa_utils.AveragedModel is AveragedModel
    assert callable(update_bn)
