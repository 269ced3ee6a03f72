"""Containers: what they hold, how they print, what they refuse; torch's words."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import ours, outcome, theirs


def _pair(lib: Any) -> Any:
    return lib.nn.Sequential(lib.nn.Linear(1, 1), lib.nn.ReLU())


def _named(lib: Any) -> Any:
    return lib.nn.ParameterDict({"b": lib.t.ones(2), "a": lib.t.zeros(1, 3), "c": 5})


def _names(table: Any) -> Any:
    return list(table), [n for n, _ in table.named_parameters()], len(table), str(table)


def _changed(change: Any) -> Any:
    """A case: what a change of a ParameterDict gives, and what is in it afterwards."""

    def case(lib: Any) -> Any:
        table = _named(lib)
        result = change(lib, table)
        return _names(table), _names(result) if isinstance(result, lib.nn.ParameterDict) else str(result)

    return case


TABLES: dict[str, Any] = {
    "empty": lambda lib, t: lib.nn.ParameterDict(),
    "ordered": lambda lib, t: lib.nn.ParameterDict(OrderedDict([("z", lib.t.ones(1)), ("y", lib.t.ones(1))])),
    "pairs": lambda lib, t: lib.nn.ParameterDict([("z", lib.t.ones(1)), ("y", None)]),
    "triples": lambda lib, t: lib.nn.ParameterDict([("z", 1, 2)]),
    "numbers": lambda lib, t: lib.nn.ParameterDict([1]),
    "of int": lambda lib, t: lib.nn.ParameterDict(3),
    "no key": lambda lib, t: t["z"],
    "set": lambda lib, t: t.__setitem__("z", lib.t.ones(4)),
    "replace": lambda lib, t: t.__setitem__("b", lib.t.ones(4)),
    "delete": lambda lib, t: t.__delitem__("b"),
    "delete nothing": lambda lib, t: t.__delitem__("z"),
    "contains": lambda lib, t: ["a" in t, "z" in t],
    "reversed": lambda lib, t: list(reversed(t)),
    "copy": lambda lib, t: t.copy(),
    "setdefault": lambda lib, t: [tuple(t.setdefault("a", 3).shape), t.setdefault("z"), t.setdefault("y", 4)],
    "clear": lambda lib, t: t.clear(),
    "pop": lambda lib, t: tuple(t.pop("a").shape),
    "pop nothing": lambda lib, t: t.pop("z"),
    "popitem": lambda lib, t: t.popitem(),
    "popitem of nothing": lambda lib, t: lib.nn.ParameterDict().popitem(),
    "get": lambda lib, t: [tuple(t.get("a").shape), t.get("z"), t.get("z", 3)],
    "fromkeys": lambda lib, t: t.fromkeys(["x", "y"], 1),
    "views": lambda lib, t: [list(t.keys()), len(list(t.values())), [k for k, _ in t.items()]],
    "or": lambda lib, t: t | lib.nn.ParameterDict({"z": lib.t.ones(1)}),
    "or dict": lambda lib, t: {"z": 1} | t,
    "or in place": lambda lib, t: t.__ior__(lib.nn.ParameterDict({"z": lib.t.ones(1)})),
    "attribute": lambda lib, t: setattr(t, "z", lib.t.ones(1)),
    "called": lambda lib, t: t(1),
}

CASES: dict[str, Any] = {
    "index": lambda lib: _pair(lib)[2],
    "negative": lambda lib: _pair(lib)[-1],
    "string": lambda lib: _pair(lib)["a"],
    "slice": lambda lib: _pair(lib)[1:],
    "add": lambda lib: _pair(lib) + _pair(lib),
    "add int": lambda lib: _pair(lib) + 3,
    "append": lambda lib: _pair(lib).append(lib.nn.Tanh()),
    "append int": lambda lib: _pair(lib).append(3),
    "insert": lambda lib: _pair(lib).insert(1, lib.nn.Tanh()),
    "insert beyond": lambda lib: _pair(lib).insert(9, lib.nn.ReLU()),
    "pop": lambda lib: _pair(lib).pop(0),
    "pop beyond": lambda lib: _pair(lib).pop(5),
    "of int": lambda lib: lib.nn.Sequential(3),
    "list": lambda lib: lib.nn.ModuleList([*[lib.nn.Linear(1, 1) for _ in range(3)], lib.nn.ReLU(), _pair(lib)]),
    "list empty": lambda lib: lib.nn.ModuleList(),
    "list call": lambda lib: lib.nn.ModuleList()(1),
    "list of int": lambda lib: lib.nn.ModuleList([3]),
    "list extend int": lambda lib: lib.nn.ModuleList().extend(3),
    "list sum": lambda lib: lib.nn.ModuleList([lib.nn.ReLU()]) + lib.nn.ModuleList([lib.nn.Tanh()]),
    "list slice": lambda lib: lib.nn.ModuleList([lib.nn.ReLU(), lib.nn.Tanh()])[1:],
    "dict": lambda lib: lib.nn.ModuleDict({"a": lib.nn.ReLU(), "b": _pair(lib)}),
    "dict of int": lambda lib: lib.nn.ModuleDict({"a": 3}),
    "dict update int": lambda lib: lib.nn.ModuleDict().update(3),
    "parameters": lambda lib: lib.nn.ParameterList([lib.t.ones(2, 2), lib.t.ones(3)]),
    "parameters index": lambda lib: lib.nn.ParameterList([lib.t.ones(2)])[1],
    "parameters of all kinds": lambda lib: lib.nn.ParameterList([lib.t.ones(2, 2), 3, "a"]),
    **{f"table {name}": _changed(change) for name, change in TABLES.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_words_are_torchs(name: str, torch_says: Any) -> None:
    assert list(outcome(CASES[name], ours())) == torch_says(lambda torch: outcome(CASES[name], theirs(torch)))


def test_sequential_runs_in_order_and_takes_names() -> None:
    model = nn.Sequential({"twice": nn.Linear(1, 1, bias=False), "relu": nn.ReLU()})
    with ng.no_grad():
        model.twice.weight.fill_(-2)
    assert model(ng.tensor([[3.0], [-3.0]])).tolist() == [[0], [6]]
    assert list(model.state_dict()) == ["twice.weight"]
    assert list(model[1:]._modules) == ["relu"]


def test_deleting_renumbers() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Linear(1, 1), nn.Tanh())
    del model[0]
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    del model[:1]
    assert len(model) == 1
    model[0] = nn.Identity()
    assert isinstance(model[0], nn.Identity)


def test_module_list_is_found() -> None:
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
    layers += [nn.Linear(2, 2)]
    assert len(list(layers.parameters())) == 6
    assert [type(layer) for layer in layers] == [nn.Linear] * 3


def test_module_dict() -> None:
    table = nn.ModuleDict([("a", nn.Linear(1, 1))])
    table["b"] = nn.ReLU()
    table.update(nn.ModuleDict({"a": nn.Tanh()}))
    assert list(table) == list(table.keys()) == ["a", "b"]
    assert isinstance(table["a"], nn.Tanh)
    assert "b" in table
    assert isinstance(table.pop("b"), nn.ReLU)
    del table["a"]
    table["c"] = nn.ReLU()
    table.clear()
    assert len(table) == len(list(table.values())) == len(list(table.items())) == 0


def test_parameter_list_is_found() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList([ng.ones(2)])

    model = Model()
    model.weights.append(nn.Parameter(ng.zeros(1)))
    model.weights[0] = ng.zeros(3)
    assert [tuple(p.shape) for p in model.parameters()] == [(3,), (1,)]
    assert list(model.state_dict()) == ["weights.0", "weights.1"]
    assert len(model.weights[:1]) == 1


def test_keys_of_parameters_are_strings() -> None:
    table = nn.ParameterDict()
    with pytest.raises(TypeError, match=r"it is not a string \(type is 'int'\)"):
        table[1] = 2  # type: ignore[index]
    with pytest.raises(TypeError, match=r"it is not a string \(type is 'int'\)"):
        table[1]  # type: ignore[index]
    assert len(table) == 0
