"""`GradScaler` beside torch's, and what `autocast` says."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.amp import autocast_mode


def scaled_steps(lib: Any, clip: bool) -> tuple[list[list[float]], list[float], dict[str, Any]]:
    """Weights and scales over steps, of which two have gradients that are not finite."""
    weight = lib.tensor([1.0, 2.0, 3.0], dtype=lib.float64, requires_grad=True)
    optimizer = lib.optim.SGD([weight], lr=0.1, momentum=0.9)
    scaler = lib.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    weights, scales = [], []
    for factor in (1.0, 2.0, float("inf"), 3.0, float("nan"), 1.0, 1.0, 1.0):
        optimizer.zero_grad()
        scaler.scale((weight * weight * factor).sum()).backward()
        if clip:
            scaler.unscale_(optimizer)
            lib.nn.utils.clip_grad_norm_([weight], 1.0)
        scaler.step(optimizer)
        scaler.update()
        weights.append(weight.detach().tolist())
        scales.append(scaler.get_scale())
    return weights, scales, scaler.state_dict()


@pytest.mark.parametrize("clip", [False, True])
def test_steps_are_torchs(torch: ModuleType, clip: bool) -> None:
    ours, theirs = scaled_steps(ng, clip), scaled_steps(torch, clip)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
    assert ours[1:] == theirs[1:]


def test_a_step_with_an_infinite_gradient_is_left_out() -> None:
    weights, scales, _ = scaled_steps(ng, clip=False)
    assert weights[2] == weights[1]
    assert weights[4] == weights[3]
    assert scales == [8.0, 16.0, 8.0, 8.0, 4.0, 4.0, 8.0, 8.0]


def test_a_state_goes_to_another() -> None:
    _, _, state = scaled_steps(ng, clip=False)
    scaler = ng.amp.GradScaler("cpu")
    scaler.load_state_dict(state)
    assert scaler.state_dict() == state


def test_containers_are_scaled_by_their_parts() -> None:
    scaler = ng.amp.GradScaler("cpu", init_scale=2.0)
    one, [two, (three,)] = scaler.scale((ng.tensor(1.0), [ng.tensor(2.0), (ng.tensor(3.0),)]))
    assert (one.item(), two.item(), three.item()) == (2.0, 4.0, 6.0)
    with pytest.raises(ValueError, match="must be a Tensor or an iterable"):
        scaler.scale(3)


def test_calls_in_a_wrong_order_are_refused() -> None:
    weight = ng.ones(2, requires_grad=True)
    optimizer = ng.optim.SGD([weight], lr=0.1)
    scaler = ng.amp.GradScaler("cpu")
    with pytest.raises(RuntimeError, match="No inf checks"):
        scaler.update()
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="Closure"):
        scaler.step(optimizer, closure=lambda: None)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called since"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="empty"):
        scaler.load_state_dict({})
    with pytest.raises(AssertionError, match="growth factor"):
        ng.amp.GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(AssertionError, match="backoff factor"):
        ng.amp.GradScaler("cpu", backoff_factor=1.0)


def test_for_cuda_it_warns_and_does_nothing() -> None:
    for make in (ng.amp.GradScaler, ng.cuda.amp.GradScaler):
        with pytest.warns(UserWarning, match="CUDA is not available"):
            scaler = make()
        assert not scaler.is_enabled()
        assert scaler.state_dict() == {}
        assert scaler.get_scale() == 1.0
        loss = ng.ones(())
        assert scaler.scale(loss) is loss
        scaler.update()


def test_autocast_computes_in_the_operands_dtype() -> None:
    autocast_mode._say_once.cache_clear()
    with pytest.warns(UserWarning, match="operands' own dtype"), ng.autocast("cpu"):
        assert (ng.ones(2, 2) @ ng.ones(2, 2)).dtype is ng.float32

    with warnings.catch_warnings():
        warnings.simplefilter("error")

        @ng.cpu.amp.autocast()  # the second says nothing
        def double(x: ng.Tensor) -> ng.Tensor:
            """Twice x."""
            return 2 * x

        assert double(ng.ones(())).item() == 2
        assert double.__doc__ == "Twice x."
        ng.autocast("cuda", enabled=False)


def test_autocast_of_what_is_not_there() -> None:
    for make in (lambda: ng.autocast("cuda"), ng.cuda.amp.autocast):
        with pytest.warns(UserWarning, match="CUDA is not available"):
            make()
    with pytest.warns(UserWarning, match="target dtype is not supported"):
        ng.autocast("cpu", dtype=ng.float64)
    with pytest.raises(ValueError, match="of type `str`"):
        ng.autocast(3)
    with pytest.raises(RuntimeError, match="autocast device_type 've'"):
        ng.autocast("ve")


def test_no_accelerator() -> None:
    assert not ng.accelerator.is_available()
    assert ng.accelerator.current_accelerator() is None
    for call in (ng.accelerator.synchronize, ng.accelerator.current_device_index):
        with pytest.raises(RuntimeError, match="Cannot access accelerator device"):
            call()
    assert ng.cpu.current_device() == "cpu"
    ng.cpu.synchronize()
