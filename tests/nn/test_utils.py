"""Gradient clipping and parameters as one vector."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import array


def _with_gradients(library: Any, tensor: Any) -> list[Any]:
    made = []
    for shape in ((3, 4), (5,), (2,)):
        parameter = library.nn.Parameter(tensor(np.zeros(shape)))
        made.append(parameter)
        if shape != (2,):
            parameter.grad = tensor(np.random.default_rng(len(shape)).normal(size=shape))
    return made


@pytest.mark.parametrize("norm_type", [1, 2.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100])
def test_clip_grad_norm(norm_type: float, max_norm: float, torch: ModuleType) -> None:
    mine, wanted = _with_gradients(ng, ng.tensor), _with_gradients(torch, torch.tensor)
    total = nn.utils.clip_grad_norm_(mine, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(wanted, max_norm, norm_type)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    for parameter, other in zip(mine[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(array(parameter.grad), array(other.grad), rtol=1e-12)
    assert mine[2].grad is None


def test_clip_grad_value(torch: ModuleType) -> None:
    mine, wanted = _with_gradients(ng, ng.tensor), _with_gradients(torch, torch.tensor)
    nn.utils.clip_grad_value_(mine, 0.3)
    torch.nn.utils.clip_grad_value_(wanted, 0.3)
    for parameter, other in zip(mine[:2], wanted[:2], strict=True):
        np.testing.assert_array_equal(array(parameter.grad), array(other.grad))


def test_not_finite_is_refused_before_anything_changes() -> None:
    parameter = nn.Parameter(ng.ones(2))
    parameter.grad = ng.tensor([math.nan, 5.0])
    with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 .* is non-finite"):
        nn.utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)
    assert parameter.grad[1].item() == 5


def test_nothing_to_clip() -> None:
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0


def test_initial_values_are_left_out() -> None:
    ng.manual_seed(1)
    before = ng.get_rng_state().tolist()
    made = nn.utils.skip_init(nn.Conv2d, 3, 4, kernel_size=2, bias=False)
    assert isinstance(made, nn.Conv2d)
    assert made.weight.shape == (4, 3, 2, 2)
    assert ng.get_rng_state().tolist() == before
    made.reset_parameters()
    assert ng.get_rng_state().tolist() != before
    assert 0 < made.weight.abs().max().item() <= 12**-0.5
    with pytest.raises(RuntimeError, match="Expected a Module; got <built-in"):
        nn.utils.skip_init(len, [])
    with pytest.raises(ValueError, match="divisible"):
        nn.utils.skip_init(nn.Conv2d, 3, 4, 1, groups=2)
    assert nn.Linear(3, 4).weight.abs().max().item() > 0  # and it is over


def test_vector_and_back() -> None:
    model = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(model.parameters())
    assert vector.shape == (9,)
    assert vector.requires_grad
    nn.utils.vector_to_parameters(ng.arange(9).float(), model.parameters())
    assert model.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert model.bias.tolist() == [6, 7, 8]
    with pytest.raises(RuntimeError, match="expected \\[9\\]"):
        nn.utils.vector_to_parameters(ng.ones(10), model.parameters())
