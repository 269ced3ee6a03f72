"""Kinds of faults that walks have found: each is refused by name, and nothing is changed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.walk.recipes import Index

ROOT = Path(__file__).parents[2]
STRANGERS = (1.5, True, None, "text", [2, -1], print)


def _leaf() -> ng.Tensor:
    return ng.tensor([1.0, 2.0], requires_grad=True)


def _scheduler(name: str, **options: Any) -> Any:
    return getattr(optim.lr_scheduler, name)(optim.SGD([_leaf()], lr=0.1), **options)


# What takes a tensor, or a module, and got something else.
TAKERS: dict[str, Callable[[Any], Any]] = {
    "BatchNorm1d": lambda x: nn.BatchNorm1d(3)(x),
    "BatchNorm2d": lambda x: nn.BatchNorm2d(3)(x),
    "Flatten": lambda x: nn.Flatten()(x),
    "MultiheadAttention": lambda x: nn.MultiheadAttention(4, 2)(x, ng.ones(3, 2, 4), ng.ones(3, 2, 4)),
    "MultiheadAttention, value": lambda x: nn.MultiheadAttention(4, 2)(ng.ones(3, 2, 4), ng.ones(3, 2, 4), x),
    "TransformerEncoderLayer": lambda x: nn.TransformerEncoderLayer(4, 2)(x),
    "functional_call": lambda x: ng.func.functional_call(x, {}, ()),
    "stack_module_state": lambda x: ng.func.stack_module_state([x]),
    "vjp": lambda x: ng.func.vjp(lambda y: y * y, _leaf())[1](x),
    "linearize": lambda x: ng.func.linearize(lambda y: y * y, _leaf())[1](x),
    "functional.vjp": lambda x: ng.autograd.functional.vjp(lambda y: y * y, _leaf(), (x,)),
    "functional.hvp": lambda x: ng.autograd.functional.hvp(lambda y: (y * y).sum(), (_leaf(),), (x,)),
    "get_gradient_edge": lambda x: ng.autograd.graph.get_gradient_edge(x),
    "increment_version": lambda x: ng.autograd.graph.increment_version([x]),
    "clip_grad_norm_": lambda x: nn.utils.clip_grad_norm_([x], 1.0),
    "clip_grad_value_": lambda x: nn.utils.clip_grad_value_([x], 1.0),
    "parameters_to_vector": lambda x: nn.utils.parameters_to_vector([x]),
    "vector_to_parameters": lambda x: nn.utils.vector_to_parameters(ng.ones(2), [x]),
    "vector_to_parameters, vec": lambda x: nn.utils.vector_to_parameters(x, [_leaf()]),
    "backward": lambda x: ng.autograd.backward((x,)),
    "grad": lambda x: ng.autograd.grad((x,), _leaf()),
}  # fmt: skip


@pytest.mark.parametrize("stranger", STRANGERS, ids=repr)
@pytest.mark.parametrize("name", TAKERS)
def test_what_is_no_tensor_is_a_type_error(name: str, stranger: Any) -> None:
    if name in ("vjp", "linearize") and stranger in (None, [2, -1]):
        expected: Any = (TypeError, RuntimeError)  # a tree without leaves, or with another number of them
    else:
        expected = TypeError
    with pytest.raises(expected):
        TAKERS[name](stranger)


def _spoiled(option: str) -> Iterator[Callable[[], Any]]:
    for value in (None, "x", 3, ng.ones(2)):

        def load(value: Any = value) -> Any:
            optimizer = optim.Adam([_leaf()])
            return optimizer.load_state_dict({**optimizer.state_dict(), option: value})

        yield load


REFUSED: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "mode of kaiming": (ValueError, "Mode 3", lambda: nn.init.kaiming_uniform_(ng.ones(2, 2), mode=3)),  # type: ignore[arg-type]
    "std of trunc_normal_": (ValueError, "std is 0", lambda: nn.init.trunc_normal_(ng.ones(2), std=0)),
    "groups of GroupNorm": (ValueError, "num_groups is 0", lambda: nn.GroupNorm(0, 4)),
    "groups of GroupNorm, bool": (ValueError, "num_groups is 0", lambda: nn.GroupNorm(False, 4)),
    "dtype of Conv2d": (TypeError, "dtype", lambda: nn.Conv2d(1, 1, 1, dtype=np.float32(1))),  # type: ignore[arg-type]
    "StepLR": (ValueError, "step_size is 0", lambda: _scheduler("StepLR", step_size=0)),
    "CosineAnnealingLR": (ValueError, "T_max is 0", lambda: _scheduler("CosineAnnealingLR", T_max=0)),
    "OneCycleLR": (ValueError, "div_factor is 0", lambda: _scheduler("OneCycleLR", max_lr=1.0, total_steps=9, div_factor=0)),
    **{f"state {n}": (TypeError, "'state' is", load) for n, load in enumerate(_spoiled("state"))},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_values_without_a_meaning_are_refused(name: str) -> None:
    error, words, call = REFUSED[name]
    with pytest.raises(error, match=words):
        call()


def test_a_moment_that_is_missing_is_no_address() -> None:
    """None for a moment was read by the kernel at address 0."""
    script = """
        import numgrad as ng

        for kind, amsgrad in ((ng.optim.Adam, False), (ng.optim.AdamW, True)):
            for moment in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 2 + amsgrad]:
                for spoiled in ((0,), (1,), (0, 1)):
                    params = [ng.ones(3, requires_grad=True), ng.ones(3, requires_grad=True)]
                    for p in params:
                        p.grad = ng.ones(3)
                    optimizer = kind(params, amsgrad=amsgrad)
                    optimizer.step()
                    state = optimizer.state_dict()
                    for number in spoiled:
                        state["state"][number][moment] = None
                    before = [p.tolist() for p in params]
                    try:
                        optimizer.load_state_dict(state)
                        optimizer.step()
                    except (RuntimeError, TypeError) as error:
                        assert moment in str(error), error
                    else:
                        raise SystemExit("a step without a moment was made")
                    assert [p.tolist() for p in params] == before
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])


@pytest.mark.parametrize("betas", [(), (0.9,), (0.9, 0.99, 0.5)])
def test_two_betas_and_no_others_reach_the_kernel(betas: tuple[float, ...]) -> None:
    p = _leaf()
    p.grad = ng.ones(2)
    optimizer = optim.Adam([p])
    optimizer.param_groups[0]["betas"] = betas
    with pytest.raises(ValueError, match="unpack"):
        optimizer.step()
    assert p.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("strides", [(0,), (1,), (7,)])
def test_an_empty_parameter_lies_like_any_other(strides: tuple[int, ...]) -> None:
    p = ng.from_numpy(
        np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (0,), (4 * strides[0],))
    ).requires_grad_()
    p.grad = ng.ones(0)
    for kind in (optim.SGD, optim.Adam):
        optimizer = kind([p], lr=0.1)
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.step()


@pytest.mark.parametrize("wrap", [ng.func.grad, ng.func.jacrev, ng.func.vmap, ng.autograd.functional.jacobian])
def test_an_error_of_the_callers_function_is_left_as_it_is(wrap: Callable[..., Any]) -> None:
    def function(x: ng.Tensor) -> Any:
        return x.no_such_method()

    with pytest.raises(AttributeError, match="no_such_method"):
        wrap(function, _leaf()) if wrap is ng.autograd.functional.jacobian else wrap(function)(_leaf())


def test_an_error_of_the_callers_module_is_left_as_it_is() -> None:
    class Broken(nn.Module):
        def forward(self, x: ng.Tensor) -> Any:
            return self.no_such_layer(x)

    with pytest.raises(AttributeError, match="no_such_layer"):
        ng.func.functional_call(Broken(), {}, _leaf())


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_gradients_in_another_layout_live_until_the_step_is_made(name: str) -> None:
    """Steps of several groups are planned before one is made: the copy of a gradient that lies otherwise has to last."""
    values = []
    for is_strided in (True, False):
        params = [ng.zeros(4, 3, requires_grad=True) for _ in range(4)]
        for number, p in enumerate(params):
            wide = ng.full((4, 6), 10.0**number)[:, ::2] if number % 2 else ng.full((3, 4), 10.0**number).T
            p.grad = wide if is_strided else wide.contiguous()
        optimizer = getattr(optim, name)([{"params": [p]} for p in params], lr=1.0)
        for _ in range(3):
            optimizer.step()
        values.append([p.tolist() for p in params])
    assert values[0] == values[1]


def test_sizes_of_keys_are_ints() -> None:
    layer = nn.MultiheadAttention(4, 2, kdim=np.int8(3), vdim=Index(5))  # type: ignore[arg-type]
    assert type(layer.kdim) is type(layer.vdim) is int
    assert layer(ng.ones(3, 2, 4), ng.ones(3, 2, 3), ng.ones(3, 2, 5))[0].shape == (3, 2, 4)
    with pytest.raises(TypeError, match="kdim"):
        nn.MultiheadAttention(4, 2, kdim=3.0)  # type: ignore[arg-type]


def test_channels_of_numpy_are_ints() -> None:
    layer = nn.Conv2d(np.int8(2), np.int16(300), np.int8(3))  # type: ignore[arg-type]
    assert layer.weight.shape == (300, 2, 3, 3)
    assert layer(ng.ones(1, 2, 5, 5)).shape == (1, 300, 3, 3)
    with pytest.raises(RuntimeError, match="overflow"):
        nn.Conv2d(np.int8(2), 2**62, (2, np.int8(127)))  # type: ignore[arg-type]


@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.9, 1.0])
def test_a_phase_without_steps_is_over(pct_start: float) -> None:
    schedule = _scheduler("OneCycleLR", max_lr=1.0, total_steps=10, pct_start=pct_start, cycle_momentum=False)
    rates = []
    for _ in range(10):
        rates += schedule.get_last_lr()
        schedule.optimizer.step()
        schedule.step()
    assert all(0 <= rate <= 1 for rate in rates)
    assert max(rates) > 0.5


def test_a_list_cannot_hold_so_many_layers() -> None:
    with pytest.raises(ValueError, match="more than a list can hold"):
        nn.Sequential(nn.ReLU()) * 2**64


@pytest.mark.parametrize("defaults", [None, 3, ng.ones(2), [("lr", 1)]])
def test_defaults_of_an_optimizer_are_a_dict(defaults: Any) -> None:
    with pytest.raises(TypeError, match="expected a dict of options"):
        optim.Optimizer([_leaf()], defaults)


@pytest.mark.parametrize("name", ["smooth_l1", "huber"])
def test_the_threshold_of_a_loss_has_no_gradient(name: str) -> None:
    x, threshold = _leaf(), ng.ones(2, requires_grad=True)
    ng.registry.find(name)(x, ng.zeros(2), threshold).sum().backward()
    assert threshold.grad is None
    assert x.grad is not None


def test_narrow_numbers_of_heads_count_as_ints() -> None:
    assert nn.MultiheadAttention(256, np.int8(2)).head_dim == 128
    with pytest.raises((AssertionError, RuntimeError, MemoryError)):
        nn.MultiheadAttention(2147483647, np.int8(2))
