"""A step is taken whole or not at all: what one group refuses leaves the parameters of all groups as they were."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, optim
from numgrad.compile import Recording
from numgrad.nn.utils import clip_grad_norm_, vector_to_parameters

MAKERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda groups: optim.SGD(groups, 0.1),
    "momentum": lambda groups: optim.SGD(groups, 0.1, momentum=0.9),
    "adam": lambda groups: optim.Adam(groups, 0.1),
    "amsgrad": lambda groups: optim.Adam(groups, 0.1, amsgrad=True),
    "adamw": lambda groups: optim.AdamW(groups, 0.1),
    "rprop": lambda groups: optim.Rprop(groups, 0.1),
    "nadam": lambda groups: optim.NAdam(groups, 0.1),
    "adafactor": lambda groups: optim.Adafactor(groups, 0.1),
}


def _expanded(optimizer: Any, parameter: Any) -> None:
    with ng.no_grad():
        parameter.data = ng.ones(1).expand(3)


def _state(name: str, value: Any) -> Callable[[Any, Any], None]:
    def change(optimizer: Any, parameter: Any) -> None:
        state = optimizer.state[parameter]
        for key in state if name == "moment" else (name,):
            if key != "step" or name == "step":
                state[key] = value

    return change


REFUSED: dict[str, Callable[[Any, Any], None]] = {
    "a gradient of another dtype": lambda o, p: setattr(p, "_grad", ng.ones(3, dtype=ng.float64)),
    "a gradient of another shape": lambda o, p: setattr(p, "_grad", ng.ones(4)),
    "a gradient without dimensions": lambda o, p: setattr(p, "_grad", ng.tensor(1.0)),
    "a gradient of integers": lambda o, p: setattr(p, "_grad", ng.ones(3, dtype=ng.int64)),
    "a gradient that is none": lambda o, p: setattr(p, "_grad", np.ones(3, np.float32)),
    "an expanded parameter": _expanded,
    "a rate that is none": lambda o, p: o.param_groups[1].update(lr="fast"),
    "no rate": lambda o, p: o.param_groups[1].pop("lr"),
    "a moment of another shape": _state("moment", ng.ones(4)),
    "a moment of another dtype": _state("moment", ng.ones(3, dtype=ng.float64)),
}
# The first has no moment, the third no launch of its own and takes what can be converted.
NOT_REFUSED = {"sgd": ("moment",), "rprop": ("rate",), "adafactor": ("of another dtype", "expanded", "of integers")}


def _trained(name: str, steps: int) -> tuple[Any, list[Any]]:
    parameters = [ng.ones(3, requires_grad=True) for _ in range(4)]
    optimizer = MAKERS[name]([{"params": parameters[:2]}, {"params": parameters[2:]}])
    for _ in range(steps):
        sum((p * (n + 1)).sum() for n, p in enumerate(parameters)).backward()  # type: ignore[union-attr]
        optimizer.step()
    return optimizer, parameters


def _facts(optimizer: Any, parameters: list[Any]) -> Any:
    state = {
        number: {name: (value.tolist(), value._version) for name, value in each.items()}
        for number, each in optimizer.state_dict()["state"].items()
    }
    return copy.deepcopy((state, [(p.tolist(), p._version) for p in parameters], optimizer._step_count))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in REFUSED
        for name in MAKERS
        if not any(word in kind for word in NOT_REFUSED.get(name, ()))
    ],
)
def test_what_the_second_group_refuses_moves_nothing(kind: str, name: str) -> None:
    optimizer, parameters = _trained(name, 2)
    REFUSED[kind](optimizer, parameters[3])
    before = _facts(optimizer, parameters)
    with pytest.raises((RuntimeError, TypeError, ValueError, KeyError, AttributeError)):
        optimizer.step()
    assert _facts(optimizer, parameters) == before


@pytest.mark.parametrize("name", MAKERS)
def test_a_first_step_that_is_refused_makes_no_state(name: str) -> None:
    optimizer, parameters = _trained(name, 0)
    for parameter in parameters:
        parameter.grad = ng.ones(3)
    parameters[2]._grad = ng.ones(4)
    with pytest.raises(RuntimeError, match=r"optimizer.*grad"):
        optimizer.step()
    assert not optimizer.state
    assert all((parameter == 1).all() for parameter in parameters)


def test_an_optimizer_of_ones_own_has_update_alone() -> None:
    class Signs(optim.Optimizer):
        def update(self, group: dict[str, Any], params: list[Any], grads: list[Any]) -> None:
            assert not ng.is_grad_enabled()
            for parameter, grad in zip(params, grads, strict=True):
                parameter.sub_(grad.sign(), alpha=group["lr"])

    x = ng.ones(2, requires_grad=True)
    optimizer = Signs([x], {"lr": 0.5})
    (x * 3).sum().backward()
    optimizer.step()
    assert x.tolist() == [0.5, 0.5]
    assert optimizer._step_count == 1


def test_versions_are_counted_so_that_a_later_backward_is_refused() -> None:
    for name in MAKERS:
        optimizer, parameters = _trained(name, 1)
        y = (parameters[0] * parameters[0]).sum()
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()


@pytest.mark.parametrize("name", MAKERS)
def test_recorders_and_profiles_see_the_step(name: str) -> None:
    plain, with_profile, recorded = (_trained(name, 1) for _ in range(3))
    plain[0].step()
    with ng.profiler.profile() as profile:
        with_profile[0].step()
    with Recording() as recording:
        recorded[0].step()
    names = {"sgd", "adam", "rprop", "nadam", "copy", "copy_"}  # the last are of one whose step is made of other ops
    assert names & {row.name for row in profile.rows()}
    assert names & set(recording.names)
    assert _facts(*plain) == _facts(*with_profile) == _facts(*recorded)


@pytest.mark.parametrize(
    "name", [name for name in MAKERS if name != "adafactor"]
)  # which computes with numbers of Python
def test_a_recorded_first_step_goes_on_when_it_is_run_again(name: str) -> None:
    plain, recorded = _trained(name, 0), _trained(name, 0)
    for _, parameters in (plain, recorded):
        for number, parameter in enumerate(parameters):
            parameter.grad = ng.full((3,), number - 1.5)
    for _ in range(3):
        plain[0].step()
    with Recording() as recording:
        recorded[0].step()
    for _ in range(2):
        recording.replay()
    values = [
        ([p.tolist() for p in parameters], [[v.tolist() for v in state.values()] for state in optimizer.state.values()])
        for optimizer, parameters in (plain, recorded)
    ]
    assert values[0] == values[1]


def test_the_kept_gradient_is_refused_for_all_at_once() -> None:
    model = nn.Linear(2, 2)
    model(ng.ones(1, 2)).sum().backward()
    model.bias._grad = ng.ones(2, dtype=ng.int64)  # type: ignore[union-attr]
    before = model.weight.grad.tolist()  # type: ignore[union-attr]
    with pytest.raises(RuntimeError):
        clip_grad_norm_(model.parameters(), 0.01)
    assert model.weight.grad.tolist() == before  # type: ignore[union-attr]


def test_a_vector_is_put_into_all_parameters_or_none() -> None:
    parameters = [ng.zeros(2), ng.zeros(1).expand(2)]
    with pytest.raises(RuntimeError):
        vector_to_parameters(ng.ones(4), parameters)
    assert parameters[0].tolist() == [0.0, 0.0]


def test_a_schedule_that_fails_is_not_taken() -> None:
    calls = []

    def factor(epoch: int) -> float:
        calls.append(epoch)
        if epoch == 2:
            raise ArithmeticError
        return 0.5**epoch

    optimizer = optim.SGD(
        [{"params": [ng.ones(1, requires_grad=True)]}, {"params": [ng.ones(1, requires_grad=True)]}], 1.0
    )
    scheduler = optim.lr_scheduler.LambdaLR(optimizer, [lambda epoch: 0.5**epoch, factor])
    optimizer.step()
    scheduler.step()
    before = (
        scheduler.last_epoch,
        scheduler._step_count,
        scheduler.get_last_lr(),
        [g["lr"] for g in optimizer.param_groups],
    )
    with pytest.raises(ArithmeticError):
        scheduler.step()
    after = (
        scheduler.last_epoch,
        scheduler._step_count,
        scheduler.get_last_lr(),
        [g["lr"] for g in optimizer.param_groups],
    )
    assert after == before == (1, 2, [0.5, 0.5], [0.5, 0.5])


def _copied(values: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    changed = change(values.copy())
    changed.flags.writeable = False
    return changed


@pytest.mark.parametrize("name", ["momentum", "adam", "amsgrad", "adamw"])
@pytest.mark.parametrize("kind", ["f2", ">f4", ">f2", "f8", "g"])
def test_moments_of_any_kind_are_loaded(kind: str, name: str) -> None:
    source, _ = _trained(name, 2)
    saved = source.state_dict()
    exact = {key: {n: v.clone() for n, v in state.items()} for key, state in saved["state"].items()}
    foreign = {
        key: {
            n: v if n == "step" else _copied(v.numpy(), lambda a: a.astype(kind)[::-1].copy()[::-1])
            for n, v in state.items()
        }
        for key, state in saved["state"].items()
    }
    optimizer, _ = _trained(name, 0)
    optimizer.load_state_dict({"state": foreign, "param_groups": saved["param_groups"]})
    for state, expected in zip(optimizer.state.values(), exact.values(), strict=True):
        for key, value in state.items():
            assert value.dtype is ng.float32
            np.testing.assert_allclose(value.tolist(), expected[key].tolist(), rtol=2e-3)
    optimizer.param_groups[1]["params"][0].grad = ng.ones(3)
    optimizer.step()


def test_a_parameter_that_moves_while_a_step_is_planned_is_written_where_it_is() -> None:
    """What shows memory ends a private layout: here another user does it between the plans of two groups."""
    conv = nn.Conv2d(4, 8, 3)
    x = ng.ones(1, 4, 8, 8).contiguous(memory_format=ng.channels_last)
    optimizer = optim.SGD([{"params": [conv.weight]}, {"params": [conv.bias]}], 0.5)
    conv(x).sum().backward()
    conv.weight.data = ng.ops.creation.to_strides(conv.weight.detach(), strides=_channels_last(conv.weight))
    assert conv.weight._spec.is_private
    before, plan = conv.weight.tolist(), optimizer.plan
    planned = []

    def plan_and_look(changes: Any, group: Any, params: Any, grads: Any) -> None:
        plan(changes, group, params, grads)
        planned.append(len(params))
        conv.weight.detach().numpy()

    optimizer.plan = plan_and_look  # type: ignore[method-assign]
    optimizer.step()
    expected = np.array(before) - 0.5 * np.array(conv.weight.grad.tolist())  # type: ignore[union-attr]
    np.testing.assert_allclose(conv.weight.tolist(), expected, rtol=1e-6)
    assert len(planned) == 4


def _channels_last(tensor: Any) -> Any:
    from numgrad.layout import PrivateStrides

    _, c, h, w = tensor.shape
    return PrivateStrides((c * h * w, 1, w * c, c))
