"""Calls that need company: modules that are made and then called, optimizers that step, transforms of functions, files.

A scene is a generator that gets a library and arguments. It yields before each step that may be refused, so that the walk
can tell what that step changed, and returns what is to be compared.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from tests.walk import recipes

Steps = Generator[None, None, Any]
SCENES: dict[str, Callable[..., Steps]] = {}


def scene(function: Callable[..., Steps]) -> Callable[..., Steps]:
    """Register a scene under its name, which is the kind of the targets that it plays."""
    SCENES[function.__name__] = function
    return function


def leaf_gradients(outputs: Any, leaves: list[Any]) -> list[Any]:
    """Gradients of the leaves after backward from all outputs that have one."""
    tensors = [each for each in flat(outputs) if hasattr(each, "requires_grad") and each.requires_grad]
    for number, each in enumerate(tensors):
        each.sum().backward(retain_graph=number < len(tensors) - 1)
    return [leaf.grad for leaf in leaves]


def flat(value: Any) -> list[Any]:
    """The leaves of tuples, lists and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if type(value) in (tuple, list) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return [leaf for each in value for leaf in flat(each)]
    return [value]


@scene
def module(lib: Any, name: str, args: Any, kwargs: Any, training: Any, inputs: Any) -> Steps:
    """Make a module, give its parameters known numbers, call it, and go backward."""
    made = getattr(lib.nn, name)(*args, **kwargs)
    recipes.filled(lib, made)
    yield
    made.train(training)
    yield
    out = made(*inputs) if inputs else None  # lists of modules are not called
    yield
    parameters = list(made.parameters())
    grads = leaf_gradients(out, parameters)
    repr(made)
    if name.startswith("Lazy") or (training and name.startswith(("MultiheadAttention", "Transformer"))):  # random
        return [lib.zeros_like(each) for each in flat(out) if isinstance(each, lib.Tensor)]
    return out, grads, list(made.buffers())


_FACTORIES: dict[str, Callable[[Any], Any]] = {
    "Module": lambda lib: _small_network(lib),
    "Sequential": lambda lib: _small_network(lib),
    "ModuleList": lambda lib: lib.nn.ModuleList([lib.nn.ReLU(), lib.nn.Linear(2, 2), lib.nn.Tanh()]),
    "ModuleDict": lambda lib: lib.nn.ModuleDict({"a": lib.nn.ReLU(), "b": lib.nn.Linear(2, 2)}),
    "ParameterList": lambda lib: lib.nn.ParameterList([lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(3, 2))]),
    "Parameter": lambda lib: lib.nn.Parameter(lib.ones(2, 3)),
    "SGD": lambda lib: lib.optim.SGD([lib.ones(2, requires_grad=True)], lr=0.1, momentum=0.9),
    "Adam": lambda lib: lib.optim.Adam([{"params": [lib.ones(2, requires_grad=True)], "lr": 0.5}]),
    "Size": lambda lib: lib.Size((2, 3, 4)),
    "Generator": lambda lib: lib.Generator(),
    "dtype": lambda lib: lib.float32,
    "memory_format": lambda lib: lib.channels_last,
}  # fmt: skip
OBJECTS = tuple(_FACTORIES)


@functools.cache
def kind_of(lib: Any, name: str) -> type:
    """The class of one of these objects."""
    return type(_FACTORIES[name](lib))


def _small_network(lib: Any) -> Any:
    nn = lib.nn
    return recipes.filled(lib, nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Sequential(nn.ReLU())))


@scene
def object(lib: Any, name: str, args: Any, kwargs: Any) -> Steps:
    """Call a method of something that is not a tensor, and look at what is left."""
    kind, _, method = name.partition(".")
    owner = _FACTORIES[kind](lib)
    yield
    result = getattr(owner, method)(*args, **kwargs)
    yield
    if hasattr(result, "__next__"):
        result = list(itertools.islice(result, 50))
    if kind in ("SGD", "Adam"):
        return None  # torch's states have more options
    if kind in ("Module", "Sequential"):
        return result, [each.shape for each in owner.parameters()]
    return result


@scene
def attribute(lib: Any, name: str, owner: Any, value: Any) -> Steps:
    """Set an attribute of a tensor, and read it back."""
    setattr(owner, name, value)
    yield
    return owner, getattr(owner, name)


@scene
def made(lib: Any, name: str, args: Any, kwargs: Any) -> Steps:
    """A class of the library that is no module, called."""
    part, _, kind = name.rpartition(".")
    owner = getattr(lib, part) if part else lib
    result = getattr(owner, kind)(*args, **kwargs)
    yield
    return result


@scene
def optimizer(lib: Any, name: str, params: Any, kwargs: Any, grads: Any, entry: Any) -> Steps:
    """Make an optimizer, give gradients, step, save and load its state, spoil an option, step again."""
    given = [each for each in flat(params) if isinstance(each, lib.Tensor)]
    kind = getattr(lib.optim, name)
    stepper = kind(params, **kwargs)
    step = (lambda: stepper.step(lambda: 1.0)) if name == "LBFGS" else stepper.step
    yield
    for parameter, grad in zip(given, grads, strict=False):
        parameter.grad = grad
    yield
    for _ in range(2):
        step()
        yield
    state = stepper.state_dict()
    stepper.load_state_dict(state)
    yield
    option, value = entry
    if option in ("state", "param_groups"):
        stepper.load_state_dict({**state, option: value})
    elif option in state["param_groups"][0]:
        state["param_groups"][0][option] = value
        stepper.load_state_dict(state)
    elif option == "moments":
        for of_parameter in state["state"].values():
            of_parameter[sorted(of_parameter)[0]] = value
        stepper.load_state_dict(state)
    yield
    step()
    yield
    repr(stepper)
    stepper.zero_grad()
    if name == "Muon":
        return None  # half of whose digits are torch's
    return [each.detach() for each in given]


@scene
def scheduler(lib: Any, name: str, kwargs: Any, metric: Any, entry: Any) -> Steps:
    """Make a scheduler, step it a few times, save and load it, step again: the rates."""
    parameter = lib.ones(2, requires_grad=True)
    parameter.grad = lib.ones(2)
    stepper = lib.optim.SGD([parameter], lr=0.1, momentum=0.9)
    plan = getattr(lib.optim.lr_scheduler, name)(stepper, **kwargs)
    yield
    rates = []
    for turn in range(5):
        stepper.step()
        yield
        plan.step(metric) if name == "ReduceLROnPlateau" else plan.step()
        yield
        rate = stepper.param_groups[0]["lr"]
        rates.append(rate.item() if isinstance(rate, lib.Tensor) and rate.numel() == 1 else rate)
        if turn == 2:
            state = plan.state_dict()
            if entry is not None and entry[0] in state:
                state = {**state, entry[0]: entry[1]}
            plan.load_state_dict(state)
            yield
    plan.get_last_lr()
    return rates


def _called(result: Any, inputs: Any) -> Steps:
    """What a transform returned, called if it is a function, or if one is in it."""
    calls = [each for each in flat(result) if callable(each) and not hasattr(each, "shape")]
    outputs: list[Any] = [each for each in flat(result) if not callable(each) or hasattr(each, "shape")]
    for function in calls:
        yield
        outputs.append(function(*inputs))
    yield
    return outputs


@scene
def func(lib: Any, name: str, args: Any, kwargs: Any, inputs: Any) -> Steps:
    """A transform, and the function that it returns."""
    return (yield from _called(getattr(lib.func, name)(*args, **kwargs), inputs))


@scene
def autograd(lib: Any, name: str, args: Any, kwargs: Any) -> Steps:
    """A function of `autograd` or of a module in it."""
    owner = lib.autograd
    for part in name.split("."):
        owner = getattr(owner, part)
    with contextlib.redirect_stdout(io.StringIO()):
        result = owner(*args, **kwargs)
    yield
    return [each for each in flat(result) if hasattr(each, "shape")]


@scene
def gradient(lib: Any, name: str, function: Any, inputs: Any, kwargs: Any) -> Steps:
    """``autograd.grad`` or ``backward`` of a function's result by its inputs."""
    outputs = function(*inputs)
    yield
    if name == "grad":
        return lib.autograd.grad(outputs, inputs, **kwargs)
    lib.autograd.backward(outputs, **kwargs)
    yield
    return [each.grad for each in flat(inputs)]


@scene
def forward_mode(lib: Any, name: str, function: Any, primal: Any, tangent: Any) -> Steps:
    """A dual number through a function."""
    forward_ad = lib.autograd.forward_ad
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(primal, tangent)
        yield
        result = function(dual)
        yield
        if not isinstance(result, lib.Tensor):
            return None
        return tuple(each.clone() for each in forward_ad.unpack_dual(result) if each is not None)


@scene
def hook(lib: Any, name: str, owner: Any, function: Any) -> Steps:
    """A hook on a tensor that a gradient comes to."""
    y = owner * 2.0 if name == "leaf" else owner * 1.0
    (owner if name == "leaf" else y).register_hook(function)
    yield
    y.sum().backward()
    yield
    return owner.grad


@scene
def checkpoint(lib: Any, name: str, args: Any, kwargs: Any) -> Steps:
    """Recomputing a function in backward."""
    owner = __import__(f"{lib.__name__}.utils.checkpoint", fromlist=["checkpoint"])
    out = getattr(owner, name)(*args, **kwargs)
    yield
    leaf_gradients(out, [])
    return out


@scene
def in_utils(lib: Any, name: str, params: Any, grads: Any, args: Any, kwargs: Any) -> Steps:
    """A function of `nn.utils` over parameters that have gradients."""
    for parameter, grad in zip(flat(params), flat(grads), strict=False):
        if isinstance(parameter, lib.Tensor):
            parameter.grad = grad
    yield
    return getattr(lib.nn.utils, name)(*args, params, **kwargs)


@scene
def file(lib: Any, name: str, content: Any, kwargs: Any, position: int, byte: int, load: Any) -> Steps:
    """Write a file, spoil it, and read it. torch is not asked: what it reads of damaged files is its own affair."""
    target = io.BytesIO()
    lib.save(content, target, **kwargs)
    yield
    data = bytearray(target.getvalue())
    if name == "spoiled" and data:
        data[position % len(data)] = byte
    elif name == "cut":
        del data[position % max(len(data), 1) :]
    result = lib.load(io.BytesIO(bytes(data)), **load)
    yield
    return result


@scene
def op(lib: Any, name: str, inputs: Any, params: Any) -> Steps:
    """An op of the registry called directly: nothing stands between these numbers and its plan."""
    from numgrad.registry import OPS

    result = OPS[name](*inputs, **params)
    yield
    return result


def numbers_differ(mine: Any, his: Any) -> bool:
    """Whether two numbers that are no tensors are others."""
    kinds = (bool, int, float, np.number)
    if not isinstance(mine, kinds) or not isinstance(his, kinds):
        return False
    return not (math.isclose(mine, his, rel_tol=1e-6, abs_tol=1e-9) or (mine != mine and his != his))
