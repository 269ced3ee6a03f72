"""A state is loaded as a whole or not at all: one bad entry, wherever it stands, and nothing has changed."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import array

VALUES = np.array([[1.5, -2.0], [0.25, 3.0]])


def _model() -> Any:
    ng.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))


def _contents(model: Any) -> dict[str, list[Any]]:
    return {name: value.tolist() for name, value in model.state_dict().items()}


def _read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


def _unaligned(values: np.ndarray) -> np.ndarray:
    return np.frombuffer(b"x" + values.tobytes(), np.uint8)[1:].view(values.dtype).reshape(values.shape)


CONVERTED: dict[str, Any] = {
    "read-only": _read_only(VALUES),
    "float16": VALUES.astype("f2"),
    "big-endian": VALUES.astype(">f4"),
    "big-endian float16": VALUES.astype(">f2"),
    "long double": VALUES.astype(np.longdouble),
    "negative strides": VALUES[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": np.asfortranarray(VALUES),
    "unaligned": _unaligned(VALUES),
    "broadcast": np.broadcast_to(VALUES[0], (2, 2)),
    "every other": np.repeat(VALUES, 2, 1)[:, ::2],
    "float64": VALUES,
    "int8": VALUES.astype("i1"),
    "uint16": np.abs(VALUES).astype("u2"),
    "uint32": np.abs(VALUES).astype(">u4"),
    "uint64": np.abs(VALUES).astype("u8"),
    "bool": VALUES > 0,
    "tensor": ng.tensor(VALUES),
    "tensor of ints": ng.tensor([[1, -2], [0, 3]]),
    "tensor that requires a gradient": ng.tensor(VALUES, requires_grad=True),
    "tensor of a graph": ng.tensor(VALUES, requires_grad=True) * 1,
    "transposed tensor": ng.tensor(VALUES.T).t(),
    "expanded tensor": ng.tensor([[2.0]]).expand(2, 2),
}

REFUSED: dict[str, Any] = {
    "list": VALUES.tolist(),
    "number": 3.0,
    "none": None,
    "text": "abcd",
    "dict": {},
    "complex": VALUES.astype("c8"),
    "object": VALUES.astype(object),
    "text array": VALUES.astype(str),
    "times": np.zeros((2, 2), "M8[s]"),
    "records": np.zeros((2, 2), [("a", "f4")]),
    "masked": np.ma.array(VALUES, mask=VALUES > 0),
    "too large": np.full((2, 2), 2**63, "u8"),
    "wrong shape": VALUES[:1],
    "broadcastable": np.ones((1, 1)),
    "one more dimension": VALUES[None],
    "no elements": np.ones((0, 2)),
    "scalar": np.float32(1),
}


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("kind", CONVERTED)
def test_what_can_be_converted_is(kind: str, assign: bool) -> None:
    model, given = _model(), CONVERTED[kind]
    state = model.state_dict()
    state["2.weight"] = given
    if assign and kind not in ("tensor", "float64") and not np.issubdtype(array_of(given).dtype, np.floating):
        before = _contents(model)
        with pytest.raises(RuntimeError, match="floating point"):
            model.load_state_dict(state, assign=True)
        assert _contents(model) == before
        return
    model.load_state_dict(state, assign=assign)
    np.testing.assert_array_equal(array(model[2].weight), np.asarray(array_of(given), np.float64))
    assert model[2].weight.requires_grad
    assert model[2].weight.is_leaf
    assert assign or model[2].weight.dtype is ng.float32


def array_of(value: Any) -> np.ndarray:
    return array(value) if isinstance(value, ng.Tensor) else np.asarray(value)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("key", ["0.weight", "2.weight"])
@pytest.mark.parametrize("kind", REFUSED)
def test_one_bad_entry_changes_nothing(kind: str, key: str, assign: bool) -> None:
    model = _model()
    before = _contents(model)
    state = {name: value + 1 for name, value in model.state_dict().items()}
    state[key] = REFUSED[kind]
    tensors = [*model.parameters(), *model.buffers()]
    versions = [tensor._version for tensor in tensors]
    with pytest.raises(RuntimeError, match=rf"Error\(s\) in loading state_dict for Sequential:\n.*{key}"):
        model.load_state_dict(state, strict=False, assign=assign)
    assert _contents(model) == before
    assert all(a is b for a, b in zip([*model.parameters(), *model.buffers()], tensors, strict=True))
    assert [tensor._version for tensor in tensors] == versions


@pytest.mark.parametrize("kind", ["list", "none", "wrong shape", "one more dimension", "broadcastable"])
def test_the_class_of_the_refusal_is_torchs(kind: str, torch: ModuleType) -> None:
    given = REFUSED[kind]
    model = torch.nn.Linear(2, 2)
    value = torch.tensor(given) if isinstance(given, np.ndarray) else given
    with pytest.raises(RuntimeError):
        model.load_state_dict({"weight": value, "bias": torch.zeros(2)})


def test_every_error_is_listed() -> None:
    state = {**_model().state_dict(), "0.weight": [1], "0.bias": np.ones(3), "2.bias": np.ones(2, "c8"), "extra": 3}
    del state["1.weight"]
    with pytest.raises(RuntimeError) as caught:
        _model().load_state_dict(state)
    text = str(caught.value)
    assert all(word in text for word in ("Missing", "1.weight", "Unexpected", "extra", "0.weight", "0.bias"))


def test_a_target_that_cannot_be_written_changes_nothing() -> None:
    model = _model()
    with ng.no_grad():
        model[2].weight.data = ng.ones(1, 2).expand(2, 2)
    before = _contents(model)
    with pytest.raises(RuntimeError, match="single memory location"):
        model.load_state_dict({name: value + 1 for name, value in before_tensors(model).items()})
    assert _contents(model) == before


def before_tensors(model: Any) -> Any:
    return OrderedDict((name, value.clone()) for name, value in model.state_dict().items())


def test_inference_tensors_are_only_assigned_to() -> None:
    with ng.inference_mode():
        inner = nn.Linear(1, 1)
    model = nn.Sequential(nn.Linear(1, 1), inner)
    before = _contents(model)
    with pytest.raises(RuntimeError, match="inference tensor"):
        model.load_state_dict({name: ng.ones(*value.shape) for name, value in model.state_dict().items()})
    assert _contents(model) == before


def test_a_loaded_parameter_is_the_given_one_under_assign(torch: ModuleType) -> None:
    for lib in (ng, torch):
        model = lib.nn.Linear(2, 2)
        given = lib.nn.Parameter(lib.ones(2, 2), requires_grad=False)
        model.load_state_dict({"weight": given, "bias": lib.zeros(2)}, assign=True)
        assert model.weight is given
        assert given.requires_grad
        assert list(model.state_dict()) == ["weight", "bias"]


def _watching(lib: Any) -> Any:
    """What a hook after loading sees: the values are there."""
    model, seen = lib.nn.Sequential(lib.nn.Linear(1, 1, bias=False), lib.nn.Linear(1, 1)), []
    for each in (model, model[0]):
        each.register_load_state_dict_post_hook(lambda m, keys: seen.append([p.tolist() for p in m.parameters()]))
    model.load_state_dict({"0.weight": lib.ones(1, 1), "1.weight": lib.ones(1, 1) * 2, "1.bias": lib.ones(1) * 3})
    return [values for values in seen if len(values) == 3] + [values for values in seen if len(values) == 1]


def test_hooks_see_what_was_loaded(torch: ModuleType) -> None:
    assert _watching(ng) == _watching(torch)


@pytest.mark.parametrize("assign", [False, True])
def test_names_that_no_hook_makes_fit_change_nothing(assign: bool) -> None:
    model, seen = nn.Linear(1, 1), []
    model.register_load_state_dict_post_hook(lambda m, keys: seen.append(m.weight.item()))
    weight, before = model.weight, model.weight.item()
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({"weight": ng.full((1, 1), 7.0)}, assign=assign)
    assert seen == [7.0]
    assert (model.weight is weight, model.weight.item()) == (True, before)


def test_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _model().load_state_dict(_model().state_dict())
