"""`jit`: whatever a step sees is noticed when it changes, wherever it is kept; hooks that come later are refused."""

from __future__ import annotations

import argparse
import array
import collections
import contextvars
import copy
import dataclasses
import functools
import operator
import random
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.errors import CaptureError
from numgrad.nn import global_hooks
from numgrad.optim import optimizer as optimizers
from tests.compile.steps import bits

Case = tuple[Callable[[], Any], Callable[[float], Any]]  # reads the number, and sets it


class Options:
    factor = 2.0
    numbers: ClassVar = [2.0]

    @staticmethod
    def read() -> float:
        return Options.numbers[0]


class Tripled(Options):
    factor = 3.0


@dataclasses.dataclass
class Record:
    factor: float


class Slotted:
    __slots__ = ("factor",)


class Hidden:
    """Its methods name what the step does not."""

    def __init__(self) -> None:
        self.table = {"factor": 2.0}

    def __getitem__(self, name: str) -> float:
        return self.table[name]

    def __len__(self) -> int:
        return int(self.table["factor"])


class Cached:
    @functools.cached_property
    def factor(self) -> float:
        return 2.0


def helper() -> float:
    return helper.factor  # type: ignore[attr-defined, no-any-return]


def attribute_of(thing: Any) -> Case:
    """An attribute that is read by name, and set from outside."""
    thing.factor = 2.0
    return (lambda: thing.factor), functools.partial(setattr, thing, "factor")


def item_of(container: Any, key: Any) -> Case:
    """An item of a container."""
    return (lambda: container[key]), functools.partial(container.__setitem__, key)


def hidden(read: Callable[[Hidden], Any]) -> Case:
    """What the methods of a class read."""
    thing = Hidden()
    return (lambda: read(thing)), lambda value: thing.table.update(factor=value)


def keyed(key: Any, other: Any) -> Case:
    """A key that is changed for another one with the same value."""
    table = {key: 2.0}
    return (lambda: 2.0 if key in table else 3.0), lambda _: table.update({other: table.pop(key)})


def of_class() -> Case:
    thing = Options()
    Options.factor = 2.0
    return (lambda: thing.factor), functools.partial(setattr, Options, "factor")


def of_helper() -> Case:
    _, change = attribute_of(helper)
    return (lambda: helper()), change


def by_text() -> Case:
    thing = types.SimpleNamespace(factor=2.0)
    return (lambda: getattr(thing, "factor")), functools.partial(setattr, thing, "factor")  # noqa: B009


def that_comes_later() -> Case:
    thing = types.SimpleNamespace()
    return (lambda: getattr(thing, "factor", 2.0)), functools.partial(setattr, thing, "factor")


def cached() -> Case:
    thing: Any = Cached()
    return (lambda: thing.factor), functools.partial(setattr, thing, "factor")


def behind_a_cache() -> Case:
    numbers = [2.0]

    @functools.lru_cache(1)
    def found() -> list[float]:
        return numbers

    return (lambda: found()[0]), functools.partial(numbers.__setitem__, 0)


def imported() -> Case:
    module: Any = sys.modules.setdefault("settings_of_a_step", types.ModuleType("settings_of_a_step"))
    module.factor = 2.0

    def read() -> float:
        import settings_of_a_step  # type: ignore[import-not-found]

        return settings_of_a_step.factor  # type: ignore[no-any-return]

    return read, functools.partial(setattr, module, "factor")


def imported_from() -> Case:
    _, change = imported()

    def read() -> float:
        from settings_of_a_step import factor

        return factor  # type: ignore[no-any-return]

    return read, change


def of_another_class() -> Case:
    thing = Options()
    Options.factor = 2.0
    return (lambda: thing.factor), lambda _: setattr(thing, "__class__", Tripled)


def signed() -> Case:
    values = [0.0]
    return (lambda: values[0]), lambda _: values.__setitem__(0, -0.0)


def of_a_global_that_comes_later() -> Case:
    globals().pop("LATER", None)

    def read() -> float:
        try:
            return LATER  # type: ignore[name-defined,no-any-return]
        except NameError:
            return 2.0

    return read, functools.partial(globals().__setitem__, "LATER")


def over_a_builtin() -> Case:
    globals().pop("max", None)
    return (lambda: max(1.0, 2.0)), lambda value: globals().update(max=lambda *_: value)


def of_a_module_that_comes_later() -> Case:
    module: Any = types.ModuleType("later_of_a_step")
    sys.modules["later_of_a_step"] = module
    return (lambda: getattr(module, "factor", 2.0)), functools.partial(setattr, module, "factor")


def all_at_once(reads: Callable[[Any], dict[str, Any]]) -> Case:
    """All attributes of an object together, of which the code names none."""
    thing: Any = Record(2.0)
    return (lambda: next(iter(reads(thing).values()))), lambda value: setattr(thing, "factor", value)


def proxied() -> Case:
    table = {"factor": 2.0}
    proxy = types.MappingProxyType(table)
    return (lambda: proxy["factor"]), functools.partial(table.__setitem__, "factor")


def in_a_context() -> Case:
    variable = contextvars.ContextVar("variable", default=2.0)
    return variable.get, variable.set


def by_a_bound_method() -> Case:
    table = {"factor": 2.0}
    get = table.get
    return (lambda: get("factor")), functools.partial(table.__setitem__, "factor")


def behind_a_reference() -> Case:
    thing = Options()
    thing.factor = 2.0
    reference, alive = weakref.ref(thing), [thing]
    return (lambda: reference().factor), lambda value: setattr(alive[0], "factor", value)  # type: ignore[union-attr]


def by_a_getter() -> Case:
    thing = Options()
    thing.factor = 2.0
    get = operator.attrgetter("factor")
    return (lambda: get(thing)), functools.partial(setattr, thing, "factor")


def ordered(table: Any, turn: Callable[[Any], Any]) -> Case:
    table.update(a=2.0, b=3.0)
    return (lambda: next(iter(table.values()))), lambda _: turn(table)


CASES: dict[str, Callable[[], Case]] = {
    "a global that comes later": of_a_global_that_comes_later,
    "a global that hides a built-in": over_a_builtin,
    "an attribute of a module that comes later": of_a_module_that_comes_later,
    "all attributes": lambda: all_at_once(vars),
    "all fields": lambda: all_at_once(lambda thing: dataclasses.asdict(thing)),
    "an item of a library's mapping": lambda: item_of(collections.UserDict(factor=2.0), "factor"),
    "an item of a chain of mappings": lambda: item_of(collections.ChainMap({"factor": 2.0}), "factor"),
    "an item behind a proxy": proxied,
    "an item of numbers in memory": lambda: item_of(array.array("d", [2.0]), 0),
    "a byte": lambda: (lambda case: (case[0], lambda value: case[1](int(value))))(item_of(bytearray(b"\2"), 0)),
    "a variable of the context": in_a_context,
    "an item by a bound method": by_a_bound_method,
    "an attribute behind a weak reference": behind_a_reference,
    "an attribute by a getter": by_a_getter,
    "the order of a dict": lambda: ordered({}, lambda table: table.update(a=table.pop("a"))),
    "the order of an ordered dict": lambda: ordered(collections.OrderedDict(), lambda table: table.move_to_end("a")),
    "an attribute of a class": lambda: attribute_of(Options),
    "an attribute of an object's class": of_class,
    "an attribute of a namespace": lambda: attribute_of(types.SimpleNamespace()),
    "an attribute of parsed arguments": lambda: attribute_of(argparse.Namespace()),
    "the class of an object": of_another_class,
    "a slot": lambda: attribute_of(Slotted()),
    "an attribute of a function": of_helper,
    "an attribute of a tensor": lambda: attribute_of(ng.ones(3)),
    "a cached property": cached,
    "an attribute by its text": by_text,
    "an attribute that comes later": that_comes_later,
    "what a static method reads": lambda: (Options.read, functools.partial(Options.numbers.__setitem__, 0)),
    "what an item's method reads": lambda: hidden(lambda thing: thing["factor"]),
    "a length": lambda: hidden(len),
    "what a cached function returned": behind_a_cache,
    "an attribute of an imported module": imported,
    "a name that is imported": imported_from,
    "an item of a deque": lambda: item_of(collections.deque([2.0]), 0),
    "an item of a long list": lambda: item_of([2.0] * 5000, 4000),
    "a value of an array": lambda: item_of(np.array([2.0]), 0),
    "the sign of a zero": signed,
    "a key that is a text": lambda: keyed("a", "b"),
    "a key that is a number": lambda: keyed(1, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_step_sees_is_never_frozen(name: str) -> None:
    read, change = CASES[name]()
    x = ng.tensor([1.0, -1.0, 2.0])
    step = ng.jit(lambda x: x * float(read()))
    before = bits(x * float(read()))
    assert [bits(step(x)) for _ in range(4)] == [before] * 4
    change(3.0)
    after = bits(x * float(read()))
    assert after != before
    assert [bits(step(x)) for _ in range(4)] == [after] * 4
    assert ng.jit.stats(step).replays >= 5


def test_what_no_code_names_may_change() -> None:
    class Trainer:
        factor = 2.0

        def __init__(self) -> None:
            self.epoch = 0

    trainer = Trainer()
    step = ng.jit(lambda x: x * trainer.factor)
    for trainer.epoch in range(5):
        assert step(ng.ones(2)).tolist() == [2.0, 2.0]
    assert ng.jit.stats(step)[:2] == (1, 4)

    class Layer(nn.Module):
        def forward(self, x: ng.Tensor) -> ng.Tensor:
            return x * 2

    layer: Any = Layer().eval()
    layer.history, replayed = [], ng.jit(layer)
    for number in range(5):
        layer.history = [*layer.history, number]
        layer.history.append(number)
        assert replayed(ng.ones(2)).tolist() == [2.0, 2.0]
    assert ng.jit.stats(replayed)[:2] == (1, 4)


def doubles(*_: Any) -> None:
    """A hook of the user's."""


HOOKS: dict[str, Callable[[nn.Module, Any], Any]] = {
    "of a parameter": lambda model, _: model.weight.register_hook(doubles),
    "of a parameter's sum": lambda model, _: model.weight.register_post_accumulate_grad_hook(doubles),
    "of an optimizer": lambda _, optimizer: optimizer.register_step_post_hook(doubles),
    "of all optimizers": lambda *_: optimizers.register_optimizer_step_post_hook(doubles),
    "of all modules": lambda *_: global_hooks.register_module_forward_hook(doubles),
}


@pytest.mark.parametrize("with_removed", [False, True])
@pytest.mark.parametrize("name", HOOKS)
def test_hooks_that_come_later_are_refused(name: str, with_removed: bool) -> None:
    model = nn.Linear(2, 1)
    optimizer = ng.optim.SGD(model.parameters(), lr=0.1)
    if with_removed:
        HOOKS[name](model, optimizer).remove()

    @ng.jit
    def step(x: ng.Tensor) -> None:
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    for _ in range(4):
        step(ng.ones(3, 2))
    assert ng.jit.stats(step).replays == 3
    with HOOKS[name](model, optimizer), pytest.raises(CaptureError, match="the hook doubles"):
        step(ng.ones(3, 2))


def test_a_hook_of_an_argument_is_refused() -> None:
    step = ng.jit(lambda x: x.square().sum().backward())
    for _ in range(3):
        step(ng.ones(2, requires_grad=True))
    x = ng.ones(2, requires_grad=True)
    x.register_hook(doubles)
    with pytest.raises(CaptureError, match="the hook doubles"):
        step(x)


@pytest.mark.parametrize(
    "draws", [random.Random(1).random, np.random.default_rng(1).random, np.random.RandomState(1).rand]
)
def test_generators_of_the_users_are_refused(draws: Callable[[], float]) -> None:
    generator: Any = draws.__self__  # type: ignore[attr-defined]
    name = draws.__name__
    step = ng.jit(lambda x: x * getattr(generator, name)())
    with pytest.raises(CaptureError, match="draws from the random numbers of Python or NumPy"):
        step(ng.ones(2))


def test_an_argument_that_is_given_twice_is_not_two_that_share_memory() -> None:
    def plain(x: ng.Tensor, y: ng.Tensor) -> list[ng.Tensor]:
        x.grad = y.grad = None
        ((x * 3).sum() + (y * y).sum()).backward()
        return [x.grad * 1, y.grad * 1]

    x = ng.ones(3, requires_grad=True)
    twin = x.detach().requires_grad_()
    step = ng.jit(plain)
    for pair in [(x, x), (x, x), (x, twin), (x, twin), (x, x)]:
        assert bits(step(*pair)) == bits(plain(*pair))


def test_the_class_of_an_argument_is_part_of_its_signature() -> None:
    step = ng.jit(lambda x: x.detach() * (2 if isinstance(x, nn.Parameter) else 3))
    tensor = ng.ones(2, requires_grad=True)
    seen = [step(each).tolist() for each in (tensor, tensor, nn.Parameter(tensor.detach()), tensor)]
    assert seen == [[3, 3], [3, 3], [2, 2], [3, 3]]


def test_containers_of_results_are_new_ones() -> None:
    def plain(x: ng.Tensor) -> Any:
        groups: Any = collections.defaultdict(list)
        groups["a"].append(x * 2)
        return groups, [], [1, 2]

    step = ng.jit(plain)
    for _ in range(4):
        groups, empty, numbers = step(ng.ones(1))
        assert groups["a"][0].tolist() == [2.0]
        assert groups["b"] == empty == []
        assert numbers == [1, 2]
        empty.append(numbers.pop())


def grown(arguments: list[ng.Tensor]) -> ng.Tensor:
    arguments.append(arguments[0] * 2)
    return arguments[-1]


def replaced(arguments: dict[str, ng.Tensor]) -> ng.Tensor:
    arguments["x"] = arguments["x"] * 2
    return arguments["x"]


def without_gradients(x: ng.Tensor) -> ng.Tensor:
    ng.set_grad_enabled(False)
    return x * 2


CHANGING: dict[str, tuple[Callable[..., Any], Callable[[], Any], str]] = {
    "grad mode": (without_gradients, lambda: ng.ones(2), "the grad mode"),
    "requires_grad": (lambda x: x.requires_grad_().detach() * 2, lambda: ng.ones(2), "requires_grad of an argument"),
    "size": (lambda x: x.resize_(1) * 2, lambda: ng.ones(2), "an argument's memory or layout"),
    "layout": (lambda x: x.t_() * 2, lambda: ng.ones(2, 3), "an argument's memory or layout"),
    "list": (grown, lambda: [ng.ones(2)], "the items of an argument"),
    "dict": (replaced, lambda: {"x": ng.ones(2)}, "the items of an argument"),
}


@pytest.mark.parametrize("name", CHANGING)
def test_a_step_that_changes_what_replays_would_not_is_refused(name: str) -> None:
    plain, make, what = CHANGING[name]
    with ng.enable_grad(), pytest.raises(CaptureError, match=f"the step changes {what}, and a replay would not"):
        ng.jit(plain)(make())
    step = ng.jit(plain, fallback="eager")
    with ng.enable_grad():
        assert [bits(step(make())) for _ in range(3)] == [bits(plain(make()))] * 3


def test_a_step_is_copied_as_functions_are() -> None:
    model: Any = nn.Linear(2, 1)
    model.run = ng.jit(lambda x: model(x).detach())
    assert copy.deepcopy(model).run is model.run
