"""What is replaced keeps its place: children, parameters and buffers, and with them state dicts and optimizers."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.nn.twins import ours, outcome, theirs


def _model(lib: Any) -> Any:
    """A module with three entries of each kind, named so that neither the alphabet nor the kind gives the order."""

    class Model(lib.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.b = lib.nn.Parameter(lib.t.zeros(2))
            self.z = lib.nn.Linear(1, 1)
            self.a = lib.nn.Parameter(lib.t.ones(3))
            self.register_buffer("v", lib.t.zeros(1))
            self.y = lib.nn.Linear(1, 2)
            self.c = lib.nn.Parameter(lib.t.ones(4))
            self.register_buffer("u", lib.t.zeros(2))
            self.x = lib.nn.Sequential(lib.nn.Linear(2, 1), lib.nn.Tanh(), lib.nn.Linear(1, 3))
            self.register_buffer("w", lib.t.zeros(3), persistent=False)
            self.tied = self.a

    return Model()


def _list(lib: Any) -> Any:
    return lib.nn.ModuleList([lib.nn.ReLU(), lib.nn.Tanh(), lib.nn.Sigmoid(), lib.nn.Identity()])


def _chain(lib: Any) -> Any:
    return lib.nn.Sequential(*_list(lib))


def _table(lib: Any) -> Any:
    return lib.nn.ModuleDict({"z": lib.nn.ReLU(), "a": lib.nn.Tanh(), "m": lib.nn.Sigmoid()})


def _parameters(lib: Any) -> Any:
    return lib.nn.ParameterList([lib.t.ones(n) for n in (1, 2, 3)])


def _set(name: str, value: Any) -> Any:
    def change(lib: Any, thing: Any) -> None:
        setattr(thing, name, value(lib))

    return change


def _item(index: Any, value: Any) -> Any:
    def change(lib: Any, thing: Any) -> None:
        thing[index] = value(lib)

    return change


def _without(index: Any) -> Any:
    def change(lib: Any, thing: Any) -> None:
        del thing[index]

    return change


def _insert(index: int) -> Any:
    def change(lib: Any, thing: Any) -> None:
        thing.insert(index, lib.nn.Softplus())  # what it returns is a Sequential's matter

    return change


def _twice(lib: Any, thing: Any) -> Any:
    thing *= 2
    return thing


def _more(lib: Any, thing: Any) -> Any:
    before = thing
    thing += type(thing)(*[lib.nn.ReLU()]) if isinstance(thing, lib.nn.Sequential) else [lib.nn.ReLU()]
    assert thing is before
    return thing


def _linear(lib: Any) -> Any:
    return lib.nn.Linear(5, 5)


def _elu(lib: Any) -> Any:
    return lib.nn.ELU()


def _parameter(lib: Any) -> Any:
    return lib.nn.Parameter(lib.t.zeros(7))


def _tensor(lib: Any) -> Any:
    return lib.t.ones(6)


def _none(lib: Any) -> Any:
    return None


CHANGES: dict[str, tuple[Any, Any]] = {
    **{f"parameter {name}": (_model, _set(name, _parameter)) for name in "bacd"},
    **{f"parameter none {name}": (_model, _set(name, _none)) for name in "bac"},
    **{f"tensor as parameter {name}": (_model, _set(name, _tensor)) for name in "bac"},
    **{f"module {name}": (_model, _set(name, _linear)) for name in "zyxt"},
    **{f"module none {name}": (_model, _set(name, _none)) for name in "zyx"},
    **{f"buffer {name}": (_model, _set(name, _tensor)) for name in "vuw"},
    **{f"buffer none {name}": (_model, _set(name, _none)) for name in "vuw"},
    "tied": (_model, lambda lib, m: setattr(m, "tied", m.c)),
    "tied first": (_model, lambda lib, m: setattr(m, "b", m.c)),
    "tied again": (_model, lambda lib, m: [setattr(m, "a", _parameter(lib)), setattr(m, "tied", m.a)]),
    "registered again": (_model, lambda lib, m: m.register_parameter("b", _parameter(lib))),
    "module registered again": (_model, lambda lib, m: m.register_module("z", _linear(lib))),
    "buffer registered again": (_model, lambda lib, m: m.register_buffer("v", _tensor(lib), persistent=False)),
    "none and back": (_model, lambda lib, m: [setattr(m, "b", None), setattr(m, "b", _parameter(lib))]),
    "deleted and back": (_model, lambda lib, m: [delattr(m, "b"), setattr(m, "b", _parameter(lib))]),
    "parameter over a module": (_model, _set("y", _parameter)),
    "parameter over a buffer": (_model, _set("u", _parameter)),
    "module over a buffer": (_model, _set("u", _linear)),
    "module over a parameter": (_model, _set("a", _linear)),
    "tensor over a module": (_model, _set("y", _tensor)),
    "module deep": (_model, lambda lib, m: m.x.__setitem__(0, _linear(lib))),
    "double": (_model, lambda lib, m: m.double()),
    **{f"list[{i}]": (_list, _item(i, _elu)) for i in (0, 1, -1, -4, 4, -5)},
    **{f"sequential[{i}]": (_chain, _item(i, _elu)) for i in (0, 1, -1, -4, 4, -5)},
    **{
        f"del list[{i}]": (_list, _without(i))
        for i in (0, 2, -1, 4, slice(1, 3), slice(None, None, 2), slice(-1, None))
    },
    **{f"del sequential[{i}]": (_chain, _without(i)) for i in (0, -2, 9, slice(1, 3), slice(None, None, 2))},
    **{f"insert list {i}": (_list, _insert(i)) for i in (0, 2, 4)},
    **{f"insert sequential {i}": (_chain, _insert(i)) for i in (0, 2, 4, -1, -4)},
    **{f"pop {i}": (_chain, lambda lib, s, i=i: s.pop(i)) for i in (0, -1, 3, 4)},
    **{f"pop list {i}": (_list, lambda lib, s, i=i: s.pop(i)) for i in (0, -1, slice(1, 3))},
    "insert named": (lambda lib: lib.nn.Sequential(_named(lib)), _insert(1)),
    "insert named at the end": (lambda lib: lib.nn.Sequential(_named(lib)), _insert(2)),
    "set named": (lambda lib: lib.nn.Sequential(_named(lib)), _item(0, _elu)),
    "delete named": (lambda lib: lib.nn.Sequential(_named(lib)), _without(0)),
    "append": (_chain, lambda lib, s: s.append(_elu(lib))),
    "extend": (_chain, lambda lib, s: s.extend([_elu(lib), _linear(lib)])),
    "add in place": (_chain, _more),
    "add in place to a list": (_list, _more),
    "times": (_chain, lambda lib, s: s * 2),
    "times from the left": (_chain, lambda lib, s: 2 * s),
    "times in place": (_chain, _twice),
    "times nothing": (_chain, lambda lib, s: s * 0),
    "times a word": (_chain, lambda lib, s: s * "a"),
    "table": (_table, _item("a", _elu)),
    "table first": (_table, _item("z", _elu)),
    "table new": (_table, _item("b", _elu)),
    "table update": (_table, lambda lib, t: t.update({"m": _elu(lib), "q": _elu(lib), "z": _elu(lib)})),
    "table pairs": (_table, lambda lib, t: t.update([("m", _elu(lib)), ["q", _elu(lib)]])),
    "table triple": (_table, lambda lib, t: t.update([("m", _elu(lib), 3)])),
    "table number": (_table, lambda lib, t: t.update([3])),
    "table pop": (_table, lambda lib, t: t.pop("a")),
    "table attribute": (_table, _set("a", _elu)),
    **{f"parameters[{i}]": (_parameters, _item(i, _parameter)) for i in (0, 1, -1, -3, 3)},
    "parameters tensor": (_parameters, _item(0, _tensor)),
    "parameters number": (_parameters, lambda lib, p: p.append(3)),
    "parameters append": (_parameters, lambda lib, p: p.append(_parameter(lib))),
    "parameters extend": (_parameters, lambda lib, p: p.extend([_parameter(lib), _tensor(lib)])),
    "parameters attribute": (_parameters, _set("extra", _parameter)),
    "parameters slice": (_parameters, lambda lib, p: p[::-1]),
    "parameters called": (_parameters, lambda lib, p: p(1)),
}


def _named(lib: Any) -> Any:
    from collections import OrderedDict

    return OrderedDict([("one", lib.nn.ReLU()), ("two", lib.nn.Tanh())])


def _order(name: str) -> Any:
    make, change = CHANGES[name]

    def case(lib: Any) -> Any:
        thing = make(lib)
        result = change(lib, thing)
        shown = [thing, result] if isinstance(result, lib.nn.Module) else [thing]
        return [
            (
                [(n, tuple(p.shape)) for n, p in each.named_parameters()],
                [(n, tuple(p.shape)) for n, p in each.named_parameters(remove_duplicate=False)],
                [(n, tuple(b.shape)) for n, b in each.named_buffers()],
                [(n, type(m).__name__) for n, m in each.named_modules()],
                list(each.state_dict()),
                len(each) if hasattr(each, "__len__") else 0,
                str(each),
            )
            for each in shown
        ]

    return case


@pytest.mark.parametrize("name", CHANGES)
def test_the_order_is_torchs(name: str, torch_says: Any) -> None:
    kind, text = outcome(_order(name), ours())
    expected, words = torch_says(lambda torch: outcome(_order(name), theirs(torch)))
    assert kind == expected, text
    assert kind or text == words  # of a refusal the class; the words name modules of the libraries


def test_what_replaces_runs_where_the_old_one_ran() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    model[0] = nn.Sigmoid()
    assert [type(layer) for layer in model] == [nn.Sigmoid, nn.Tanh]
    x = ng.tensor([-1.0, 2.0])
    assert ng.equal(model(x), x.sigmoid().tanh())


def test_an_optimizers_state_meets_the_same_parameters_after_a_replacement() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    shapes = [tuple(p.shape) for p in model.parameters()]
    optimizer = optim.Adam(model.parameters())
    model(ng.ones(1, 2)).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    model[0] = nn.Linear(2, 3)
    model[2].weight = nn.Parameter(ng.ones(1, 3))
    assert [tuple(p.shape) for p in model.parameters()] == shapes
    again = optim.Adam(model.parameters())
    again.load_state_dict(saved)
    model(ng.ones(1, 2)).sum().backward()
    again.step()


def test_a_refused_extension_adds_nothing() -> None:
    layers = nn.ModuleList([nn.ReLU()])
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        layers.extend([nn.Tanh(), 3])  # type: ignore[list-item]
    assert len(layers) == 1
    with pytest.raises(TypeError, match="ReLU is not a Module subclass"):
        nn.Sequential(nn.ReLU)  # type: ignore[arg-type]
