"""Optimizers against torch's, step by step, for every option; and what a step leaves alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.nn.twins import array, copy_state
from tests.optim.cases import CASES, FEW, IDS


def _model(nn: Any) -> Any:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(20, 4)).double()


def _twins(torch: ModuleType) -> tuple[Any, Any]:
    wanted, mine = _model(torch.nn), _model(nn)
    copy_state(wanted, mine)
    return mine, wanted


def _differentiate(model: Any, tensor: Any, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(2, 3, 4, 4))
    (model(tensor(values)) ** 2).sum().backward()


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_parameters_are_torchs(name: str, options: dict[str, Any], torch: ModuleType) -> None:
    mine, wanted = _twins(torch)
    optimizer = getattr(optim, name)(mine.parameters(), **options)
    reference = getattr(torch.optim, name)(wanted.parameters(), **options)
    for step in range(12):
        optimizer.zero_grad()
        _differentiate(mine, ng.tensor, step)
        if step == 1:  # a parameter without a gradient is left alone, and its state with it
            mine[0].bias.grad = None
        for parameter, other in zip(mine.parameters(), wanted.parameters(), strict=True):
            # The same ones, since what rounds otherwise in one step is another gradient in the next.
            other.grad = None if parameter.grad is None else torch.tensor(array(parameter.grad))
        optimizer.step()
        reference.step()
        for parameter, other in zip(mine.parameters(), wanted.parameters(), strict=True):
            np.testing.assert_allclose(array(parameter), array(other), rtol=1e-10, atol=1e-12)
    states = optimizer.state_dict()["state"], reference.state_dict()["state"]
    assert states[0].keys() == states[1].keys()
    assert repr(optimizer) == repr(reference)
    for number, state in states[0].items():
        assert list(state) == list(states[1][number])
        for key, value in state.items():
            np.testing.assert_allclose(array(value), array(states[1][number][key]), rtol=1e-9, atol=1e-12)


# For halves a few: their kernels are the others' with conversions.
OTHERS = [
    (dtype, *case) for case in FEW for dtype in ("float32", *(("bfloat16", "float16") if case[0] == "SGD" else ()))
]


@pytest.mark.parametrize(("dtype", "name", "options"), [*OTHERS, ("bfloat16", "Adam", {"lr": 0.1})])
def test_other_dtypes_round_as_torchs(dtype: str, name: str, options: dict[str, Any], torch: ModuleType) -> None:
    """Parameters with dimensions and without, and empty ones. A half is rounded once in a step, by torch after each op."""
    rng = np.random.default_rng(1)
    values = [rng.normal(size=shape) for shape in ((3, 4), (5,), (), (0, 2))]
    if name == "Adafactor":
        values.pop()  # by whose number of elements torch divides
    takers = []
    for lib in (ng, torch):
        params = [lib.tensor(value, dtype=getattr(lib, dtype), requires_grad=True) for value in values]
        takers.append((lib, params, getattr(lib.optim, name)(params, **options)))
    for _ in range(10):
        grads = [rng.normal(size=value.shape) for value in values]
        for lib, params, optimizer in takers:
            for param, grad in zip(params, grads, strict=True):
                param.grad = lib.tensor(grad, dtype=getattr(lib, dtype))
            optimizer.step()
    tolerance = {"float32": 3e-6, "bfloat16": 6e-2, "float16": 8e-3}[dtype]
    for mine, theirs in zip(takers[0][1], takers[1][1], strict=True):
        np.testing.assert_allclose(
            mine.detach().double().numpy(), theirs.detach().double().numpy(), rtol=tolerance, atol=tolerance
        )
    for state, other in zip(takers[0][2].state.values(), takers[1][2].state.values(), strict=True):
        assert {key: str(v.dtype).split(".")[1] for key, v in state.items()} == {
            key: str(v.dtype).split(".")[1] for key, v in other.items()
        }


def test_the_tutorials_numbers() -> None:
    x = nn.Parameter(ng.tensor([1.0], dtype=ng.float64))
    optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
    seen = []
    for _ in range(3):
        x.grad = ng.tensor([2.0], dtype=ng.float64)
        optimizer.step()
        seen.append((x.item(), optimizer.state[x]["momentum_buffer"].item()))
    np.testing.assert_allclose(seen, [(0.8, 2), (0.42, 3.8), (-0.122, 5.42)], rtol=1e-12)


def test_groups_have_their_own_options(torch: ModuleType) -> None:
    mine, wanted = _twins(torch)
    takers = []
    for model, library in ((mine, optim), (wanted, torch.optim)):
        groups = [
            {"params": model[0].parameters(), "lr": 0.5},
            {"params": model[3].weight, "momentum": 0.9, "nesterov": True},
            {"params": [model[3].bias], "weight_decay": 0.1},
        ]
        takers.append(library.SGD(groups, lr=0.01))
    for step in range(3):
        for model, tensor, taker in zip((mine, wanted), (ng.tensor, torch.tensor), takers, strict=True):
            taker.zero_grad()
            _differentiate(model, tensor, step)
            taker.step()
            taker.param_groups[0]["lr"] *= 0.5
    for parameter, other in zip(mine.parameters(), wanted.parameters(), strict=True):
        np.testing.assert_allclose(array(parameter), array(other), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "options"), [("SGD", {"momentum": 0.9}), ("SGD", {}), ("Adam", {"amsgrad": True}), ("NAdam", {})]
)
def test_parameters_that_several_threads_change(name: str, options: dict[str, Any], torch: ModuleType) -> None:
    rng = np.random.default_rng(3)
    values = [rng.normal(size=size) for size in (3, 50_000, 70_001)]
    takers = []
    for lib in (ng, torch):
        params = [lib.tensor(value, requires_grad=True) for value in values]
        takers.append((lib, params, getattr(lib.optim, name)(params, lr=0.1, **options)))
    for _ in range(3):
        grads = [rng.normal(size=value.shape) for value in values]
        for lib, params, optimizer in takers:
            for param, grad in zip(params, grads, strict=True):
                param.grad = lib.tensor(grad)
            optimizer.step()
        for mine, other in zip(takers[0][1], takers[1][1], strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_dtypes_and_layouts_mix() -> None:
    single, double = nn.Parameter(ng.ones(3)), nn.Parameter(ng.ones(2, dtype=ng.float64))
    turned = nn.Parameter(ng.ones(2, 3).t().detach())
    optimizer = optim.SGD([single, double, turned], lr=1.0, momentum=0.5)
    for _ in range(2):
        single.grad, double.grad = ng.ones(3), ng.ones(2, dtype=ng.float64)
        turned.grad = ng.arange(6).float().reshape(3, 2)  # row-major, unlike its parameter
        optimizer.step()
    assert single.tolist() == [-1.5] * 3
    assert double.tolist() == [-1.5] * 2
    np.testing.assert_allclose(array(turned), 1 - 2.5 * np.arange(6).reshape(3, 2))


def test_an_unfit_gradient_changes_nothing() -> None:
    fit, unfit = nn.Parameter(ng.ones(3)), nn.Parameter(ng.ones(3))
    for optimizer in (optim.SGD([fit, unfit], lr=1.0), optim.Adam([fit, unfit])):
        fit.grad = ng.ones(3)
        unfit._grad = ng.ones(2)
        with pytest.raises(RuntimeError, match="grad"):
            optimizer.step()
        assert fit.tolist() == [1, 1, 1]


def test_a_step_is_seen_by_saved_values() -> None:
    x = nn.Parameter(ng.ones(2))
    y = (x * x).sum()
    x.grad = ng.ones(2)
    optim.SGD([x], lr=1.0).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_closure_runs_with_gradients() -> None:
    x = nn.Parameter(ng.tensor([3.0]))
    optimizer = optim.SGD([x], lr=0.5)

    def closure() -> ng.Tensor:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with ng.no_grad():
        assert optimizer.step(closure).item() == 9
    assert x.item() == 0


def test_zero_grad() -> None:
    x = nn.Parameter(ng.ones(2))
    optimizer = optim.SGD([x])
    x.grad = ng.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert x.grad is None
    optimizer.step()
    assert x.tolist() == [1, 1]
    assert not optimizer.state_dict()["state"]


def test_empty_parameters() -> None:
    for name in ("SGD", "Adam", "Adagrad", "Adafactor", "Muon"):
        x = nn.Parameter(ng.ones(0, 3))
        optimizer = getattr(optim, name)([x], **({"momentum": 0.9} if name == "SGD" else {}))
        x.grad = ng.ones(0, 3)
        optimizer.step()
        assert optimizer.state[x].get("step", ng.tensor(1.0)) == 1


def test_a_rate_may_be_a_tensor(torch: ModuleType) -> None:
    """It is read at each step, and changed in place by schedulers."""
    for name in ("SGD", "Adam", "NAdam", "Rprop", "ASGD", "Adafactor"):
        values = []
        for lib in (ng, torch):
            x = lib.tensor([1.0, 2.0], requires_grad=True)
            rate = lib.tensor([0.5])
            optimizer = getattr(lib.optim, name)([x], lr=rate)
            scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
            for _ in range(5):
                x.grad = lib.tensor([0.5, -0.25])
                optimizer.step()
                scheduler.step()
            assert optimizer.param_groups[0]["lr"] is rate
            values.append((x.tolist(), rate.tolist(), [each.tolist() for each in scheduler.get_last_lr()]))
        for mine, theirs in zip(*values, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def test_counts_of_integers_go_on(torch: ModuleType) -> None:
    """As checkpoints have them that another program has written."""
    values = []
    for lib in (ng, torch):
        x = lib.ones(2, dtype=lib.float64, requires_grad=True)
        optimizer = lib.optim.Adam([x])
        x.grad = lib.ones(2, dtype=lib.float64)
        optimizer.step()
        optimizer.state[x]["step"] = lib.tensor(7)
        optimizer.step()
        values.append((*x.tolist(), float(optimizer.state[x]["step"])))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-12)


def test_a_count_that_is_no_tensor_is_refused() -> None:
    x = nn.Parameter(ng.ones(2))
    optimizer = optim.Adam([x])
    x.grad = ng.ones(2)
    optimizer.step()
    optimizer.state[x]["step"] = 3
    before = x.tolist()
    with pytest.raises(RuntimeError, match="step"):
        optimizer.step()
    assert x.tolist() == before


def test_counts_have_the_default_dtype_if_that_is_float64() -> None:
    x = nn.Parameter(ng.ones(2))
    x.grad = ng.ones(2)
    before = ng.get_default_dtype()
    ng.set_default_dtype(ng.float64)
    try:
        optimizers = optim.NAdam([x]), optim.ASGD([x])
        for optimizer in optimizers:
            optimizer.step()
            optimizer.step()
    finally:
        ng.set_default_dtype(before)
    assert optimizers[0].state[x]["mu_product"].dtype is ng.float64
    assert optimizers[1].state[x]["eta"].dtype is ng.float64
    assert optimizers[0].state[x]["step"] == 2


def test_states_of_another_layout_are_taken_over() -> None:
    x, y = nn.Parameter(ng.ones(3, 2)), nn.Parameter(ng.ones(3, 2))
    first, second = optim.RMSprop([x]), optim.RMSprop([y])
    for parameter, optimizer in ((x, first), (y, second)):
        parameter.grad = ng.arange(6).float().reshape(3, 2)
        optimizer.step()
    state = second.state[y]
    state["square_avg"] = state["square_avg"].t().contiguous().t()
    for optimizer in (first, second):
        optimizer.step()
    assert ng.equal(x, y)
    assert ng.equal(first.state[x]["square_avg"], second.state[y]["square_avg"])
