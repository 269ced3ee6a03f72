"""What `interrupts` interrupts: actions, the state before and after which is compared bit by bit."""

from __future__ import annotations

import linecache
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import numgrad as ng
from numgrad import nn, optim
from numgrad.autograd import batched, duals
from numgrad.autograd import forward_ad as fwd
from numgrad.autograd.graph import (
    allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks,
    saved_tensors_hooks,
)
from numgrad.compile import Recording
from numgrad.engine import backward, dispatch
from numgrad.engine.tape import modes
from numgrad.nn import init
from numgrad.nn.utils import clip_grad_norm_, clip_grad_value_, parameters_to_vector, vector_to_parameters
from numgrad.optim import lr_scheduler
from numgrad.registry import chain
from numgrad.runtime import memory, program
from numgrad.utils.checkpoint import checkpoint


class Subject(NamedTuple):
    """Something to act on, made anew for each interrupt.

    ``state`` gives its parts: each has to be as before the action or as after it, and all of them the same unless the
    action is one that is ``loose``, which does several things one after the other.
    """

    act: Callable[[], Any]
    state: Callable[[], list[Any]]


def bits(value: Any) -> Any:
    """A value in a form that is equal only if all bits are."""
    if isinstance(value, ng.Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return [(str(key), bits(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return [bits(each) for each in value]
    return repr(value)


def _model() -> Any:
    ng.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 2))


def _with_gradients() -> Any:
    model = _model()
    (model(ng.ones(5, 3)) ** 2).sum().backward()
    return model


def _optimizer(make: Callable[[Any], Any], steps: int) -> Subject:
    model = _with_gradients()
    optimizer = make(
        [{"params": model[0].parameters()}, {"params": [*model[2].parameters(), *model[4].parameters()], "lr": 0.5}]
    )
    for _ in range(steps):
        optimizer.step()
    return Subject(
        optimizer.step,
        lambda: [bits([list(model.parameters()), optimizer.state_dict(), [p._version for p in model.parameters()]])],
    )


def _lbfgs() -> Subject:
    ng.manual_seed(1)
    model = nn.Linear(2, 1)
    optimizer = optim.LBFGS(model.parameters(), max_iter=2, line_search_fn="strong_wolfe")

    def closure() -> Any:
        loss = ((model.weight - 3) ** 2).sum() + (model.bias**4).sum()
        for parameter, grad in zip(model.parameters(), ng.autograd.grad(loss, list(model.parameters())), strict=True):
            parameter.grad = grad
        return loss

    return Subject(
        lambda: optimizer.step(closure), lambda: [bits([list(model.parameters()), optimizer.state_dict()["state"]])]
    )


def _optimizer_load() -> Subject:
    model = _with_gradients()
    other, optimizer = (optim.AdamW(model.parameters(), lr) for lr in (0.1, 0.2))
    other.step()
    optimizer.step()
    other.step()
    saved = other.state_dict()
    return Subject(lambda: optimizer.load_state_dict(saved), lambda: [bits(optimizer.state_dict())])


def _module_load(assign: bool, hook: bool = False) -> Subject:
    model, other = _model(), _model()
    model.append(nn.BatchNorm1d(2))
    other.append(nn.BatchNorm1d(2))
    saved = {name: (value + 1).detach() for name, value in other.state_dict().items()}
    if hook:
        del saved["4.bias"]
        model.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    return Subject(lambda: model.load_state_dict(saved, assign=assign), lambda: [bits(model.state_dict())])


def _scheduler(make: Callable[[Any], Any], *args: Any) -> Subject:
    parameters = [ng.ones(2, requires_grad=True) for _ in range(3)]
    optimizer = optim.SGD([{"params": [p], "lr": 1.0 + n} for n, p in enumerate(parameters)], momentum=0.9)
    scheduler = make(optimizer)
    optimizer.step()
    return Subject(
        lambda: scheduler.step(*args),
        lambda: [bits([optimizer.state_dict()["param_groups"], scheduler.state_dict()])],
    )


def _zero_grad(of_module: bool, set_to_none: bool) -> Subject:
    model = _with_gradients()
    owner = model if of_module else optim.SGD(model.parameters(), 0.1)
    return Subject(lambda: owner.zero_grad(set_to_none), lambda: [bits([p.grad for p in model.parameters()])])


def _backward(again: bool) -> Subject:
    model = _with_gradients() if again else _model()
    loss = (model(ng.ones(5, 3)) ** 2).sum()
    return Subject(lambda: loss.backward(retain_graph=True), lambda: [bits([p.grad]) for p in model.parameters()])


def _in_place(change: Callable[[Any], Any]) -> Subject:
    ng.manual_seed(2)
    x = ng.randn(300, 4)
    y = x.t()
    return Subject(lambda: change(x), lambda: [bits([x, y, x._version])])


def _clipped(clip: Callable[[Any], Any]) -> Subject:
    model = _with_gradients()
    return Subject(lambda: clip(list(model.parameters())), lambda: [bits([p.grad for p in model.parameters()])])


def _vector() -> Subject:
    model = _model()
    vector = parameters_to_vector(model.parameters()).detach() + 1
    return Subject(lambda: vector_to_parameters(vector, model.parameters()), lambda: [bits(list(model.parameters()))])


def _batch_norm() -> Subject:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    x = ng.arange(12.0).reshape(4, 3)
    # The count and the statistics of a layer are two changes.
    return Subject(
        lambda: model(x),
        lambda: [
            bits([part])
            for layer in model
            for part in ([layer.running_mean, layer.running_var], layer.num_batches_tracked)
        ],
    )


def _checkpointed() -> Subject:
    ng.manual_seed(3)
    model, dropout = _model(), nn.Dropout(0.5)
    loss = checkpoint(lambda x: (dropout(model(dropout(x))) ** 2).sum(), ng.ones(5, 3, requires_grad=True))
    state = bits(ng.get_rng_state())

    def unchanged() -> list[Any]:
        return [bits([p.grad]) for p in model.parameters()] + [bits(ng.get_rng_state()) == state]

    return Subject(lambda: loss.backward(), unchanged)


def _random(act: Callable[[], Any]) -> Subject:
    ng.manual_seed(4)
    return Subject(act, lambda: [bits(ng.get_rng_state())])


_FOLDER = tempfile.mkdtemp(prefix="numgrad-interrupts-")


def _save(suffix: str) -> Subject:
    path = os.path.join(_FOLDER, f"saved{suffix}")
    model = _model()
    ng.save({name: value + 1 for name, value in model.state_dict().items()}, path)

    def state() -> list[Any]:
        assert os.listdir(_FOLDER) == [os.path.basename(path)], os.listdir(_FOLDER)
        return [Path(path).read_bytes()]

    for name in os.listdir(_FOLDER):
        if name != os.path.basename(path):
            os.unlink(os.path.join(_FOLDER, name))
    saved = model.state_dict()
    return Subject(lambda: ng.save(saved, path), state)


def _load() -> Subject:
    subject = _save(".pth")
    path = os.path.join(_FOLDER, "saved.pth")
    return Subject(lambda: ng.load(path), subject.state)


@ng.no_grad()
def _decorated(x: Any) -> Any:
    return x * 2


@ng.inference_mode()
def _steps(x: Any) -> Any:
    yield x * 2
    yield x * 3


def _hook(of_module: bool) -> Subject:
    layer, x = nn.Linear(3, 1), ng.ones(3, requires_grad=True)
    handle = (layer.register_forward_hook if of_module else x.register_hook)(lambda *arguments: None)
    tables = [reference() for reference in handle._tables]

    def act() -> None:
        with handle:
            layer(x).backward()

    return Subject(act, lambda: [[len(table) for table in tables]])


def _contexts() -> Subject:
    x = ng.ones(3, requires_grad=True)

    def act() -> None:
        with ng.no_grad(), ng.enable_grad():
            y = x * 2
            with ng.inference_mode():
                _ = x * 2
            with ng.autograd.set_grad_enabled(True), saved_tensors_hooks(lambda t: t, lambda t: t):
                y = (y * y).sum()
            y.backward()
        with disable_saved_tensors_hooks("no"), allow_mutation_on_saved_tensors():
            y = x.exp()
            y.mul_(2)
        with ng.autograd.detect_anomaly(), init.skipped():
            (x * x).sum().backward()
        _decorated(x)
        for _ in _steps(x):
            pass
        with ng.profiler.profile(), ng.profiler.record_function("part"):
            _ = x * 2
        with ng.autograd.graph.save_on_cpu():
            (x * x).sum().backward()

    return Subject(act, lambda: [])


def _transforms() -> Subject:
    ng.manual_seed(5)
    x = ng.ones(2, 3)
    layer = nn.Linear(3, 1)
    weights = {"weight": ng.ones(1, 3), "bias": ng.zeros(1)}

    def act() -> None:
        with fwd.dual_level():
            dual = fwd.make_dual(x, x)
            fwd.unpack_dual((dual * dual).sin())
        ng.func.vmap(ng.func.grad(lambda v: (v * v).sum()))(x)
        ng.func.jvp(lambda v: v.exp() * v, (x,), (x,))
        ng.func.hessian(lambda v: (v**3).sum())(x[0])
        ng.func.functional_call(layer, weights, x)
        ng.autograd.functional.jacobian(lambda v: v * v, x[0])

    def state() -> list[Any]:
        return [bits(layer.state_dict())]

    return Subject(act, state)


def _recording() -> Subject:
    x = ng.arange(3.0)

    def act() -> None:
        with Recording() as recording:
            y = x * 2
        recording.replay()
        assert y.tolist() == [0.0, 2.0, 4.0]

    def state() -> list[Any]:
        _ = ng.ones(1) + 1  # a recording that could not leave does so with the next launch
        return [list(memory._keepers)]

    return Subject(act, state)


_constants = iter(range(1, 1 << 30))


def _compile() -> Subject:
    number = time.time_ns() % 10**12 / 1e12 + next(_constants)  # which the store has not
    source = f"def scaled(x):\n    return x * x + {number}\n"
    names: dict[str, Any] = {}
    filename = f"<interrupts {number}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), names)
    op = ng.elementwise(names["scaled"])
    x = ng.arange(3.0)

    def act() -> None:
        assert ng.allclose(op(x), x * x + number)

    return Subject(act, lambda: [])


class Scenario(NamedTuple):
    make: Callable[[], Subject]
    weight: int = 10
    loose: bool = False  # several things one after the other: each part is as before or as after
    again: bool = True  # acting once more after an interrupt that came before gives what one act gives


SCENARIOS: dict[str, Scenario] = {
    "sgd": Scenario(lambda: _optimizer(lambda p: optim.SGD(p, 0.1), 1)),
    "momentum, first step": Scenario(lambda: _optimizer(lambda p: optim.SGD(p, 0.1, momentum=0.9), 0)),
    "momentum": Scenario(lambda: _optimizer(lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True), 2)),
    "adam, first step": Scenario(lambda: _optimizer(lambda p: optim.Adam(p, 0.1), 0)),
    "amsgrad": Scenario(lambda: _optimizer(lambda p: optim.Adam(p, 0.1, amsgrad=True), 2)),
    "adamw": Scenario(lambda: _optimizer(lambda p: optim.AdamW(p, 0.1), 2)),
    "nadam, first step": Scenario(lambda: _optimizer(lambda p: optim.NAdam(p, 0.1), 0)),
    "adafactor, first step": Scenario(lambda: _optimizer(lambda p: optim.Adafactor(p, 0.1), 0)),
    "adafactor": Scenario(lambda: _optimizer(lambda p: optim.Adafactor(p, 0.1), 2)),
    "lbfgs": Scenario(_lbfgs),
    "optimizer load": Scenario(_optimizer_load),
    "module load": Scenario(lambda: _module_load(False)),
    "module load, hooks": Scenario(lambda: _module_load(False, True)),
    "module assign": Scenario(lambda: _module_load(True)),
    "step schedule": Scenario(lambda: _scheduler(lambda o: lr_scheduler.StepLR(o, 1))),
    "one cycle": Scenario(lambda: _scheduler(lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9))),
    "chained schedules": Scenario(
        lambda: _scheduler(
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 1), lr_scheduler.ExponentialLR(o, 0.5)])
        )
    ),
    "plateau": Scenario(
        lambda: _scheduler(lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, mode="max"), -np.inf)
    ),
    "zero_grad of an optimizer": Scenario(lambda: _zero_grad(False, True), 5),
    "zero_grad of a module": Scenario(lambda: _zero_grad(True, True), 5),
    "zero_grad to zeros": Scenario(lambda: _zero_grad(False, False), 5),
    "backward": Scenario(lambda: _backward(False), loose=True, again=False),
    "backward, accumulating": Scenario(lambda: _backward(True), loose=True, again=False),
    "mul_": Scenario(lambda: _in_place(lambda x: x.mul_(2)), 5),
    "clamp_": Scenario(lambda: _in_place(lambda x: x.clamp_(-1, 1)), 5),
    "index": Scenario(lambda: _in_place(lambda x: x.__setitem__(slice(1, 3), 7.0)), 5),
    "clip_grad_norm_": Scenario(lambda: _clipped(lambda p: clip_grad_norm_(p, 0.1))),
    "clip_grad_value_": Scenario(lambda: _clipped(lambda p: clip_grad_value_(p, 0.1))),
    "vector_to_parameters": Scenario(_vector),
    "batch norm": Scenario(_batch_norm, 5, loose=True, again=False),
    "checkpoint": Scenario(_checkpointed, 10, loose=True, again=False),
    "random": Scenario(lambda: _random(lambda: ng.randn(5)), 5),
    "manual_seed": Scenario(lambda: _random(lambda: ng.manual_seed(7)), 5),
    "save": Scenario(lambda: _save(".pth")),
    "save safetensors": Scenario(lambda: _save(".safetensors")),
    "load": Scenario(_load, 5),
    "hook of a module": Scenario(lambda: _hook(True), 5),
    "hook of a tensor": Scenario(lambda: _hook(False), 5),
    "recording": Scenario(_recording),
    "contexts": Scenario(_contexts, 30),
    "transforms": Scenario(_transforms, 30),
    "compile": Scenario(_compile, 1),
}


def unsettled() -> list[str]:
    """What is not as it is outside of all contexts."""
    found = {
        "grad mode": modes.grad_enabled is not True,
        "inference mode": modes.inference,
        "a backward": modes.backward is not None,
        "hooks of saved tensors": modes.saved_hooks != (),
        "forward mode": modes.forward is not None or duals.state.levels != (),
        "batches": batched._state.levels != (),
        "anomaly mode": ng.autograd.is_anomaly_enabled() or backward.monitor is not None,
        "initial values": init._skips(),
    }
    return [name for name, wrong in found.items() if wrong]


def listeners() -> list[Any]:
    """Who is told of what ops do, though nobody is there who wants to know."""
    return [*dispatch.recorders, *dispatch.guards, *dispatch.node_watchers, *chain.wrappers, *program.observers]
