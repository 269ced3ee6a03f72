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


def test_clipping_with_a_norm_that_is_known(torch: ModuleType) -> None:
    results = []
    for lib, tensor in ((ng, ng.tensor), (torch, torch.tensor)):
        parameters = _with_gradients(lib, tensor)
        utils = lib.nn.utils
        total = utils.get_total_norm([p.grad for p in parameters[:2]], 3.0, foreach=None)
        assert utils.clip_grads_with_norm_(parameters, 0.5, total) is None
        with pytest.warns(FutureWarning, match=r"utils\.clip_grad_norm` is now deprecated in favor of"):
            utils.clip_grad_norm(parameters[0], 0.1)
        results.append([array(total), *[array(p.grad) for p in parameters[:2]]])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_modules_as_functions_at_the_older_address() -> None:
    layer = nn.Linear(2, 1)
    weights = {"weight": ng.ones(1, 2), "bias": ng.zeros(1)}
    with pytest.warns(FutureWarning, match="drop-in replacement"):
        out = nn.utils.stateless.functional_call(layer, weights, ng.tensor([3.0, 4.0]))
    assert out.tolist() == [7]
    with (
        pytest.warns(FutureWarning, match="drop-in replacement"),
        pytest.raises(RuntimeError, match="can't be used with nn.DataParallel module"),
    ):
        nn.utils.stateless.functional_call(nn.DataParallel(layer), weights, ng.tensor([3.0, 4.0]))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_convolutions(n: int, torch: ModuleType) -> None:
    rng = np.random.default_rng(n)
    image, weight = rng.normal(size=(2, 4, *[6] * n)), rng.normal(size=(6, 2, *[3] * n))
    options = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2}
    conv = getattr(torch.nn.functional, f"conv{n}d")
    grad = rng.normal(size=tuple(conv(torch.tensor(image), torch.tensor(weight), None, *options.values()).shape))
    for kind, arguments in (("input", (image.shape, weight, grad)), ("weight", (image, weight.shape, grad))):
        mine, theirs = (
            getattr(lib.nn.grad, f"conv{n}d_{kind}")(
                *[lib.tensor(each) if isinstance(each, np.ndarray) else each for each in arguments], **options
            )
            for lib in (ng, torch)
        )
        np.testing.assert_allclose(array(mine), array(theirs), rtol=1e-10, atol=1e-12)


def test_prefixes_of_states(torch: ModuleType) -> None:
    states = []
    for lib in (ng, torch):
        state = lib.nn.DataParallel(lib.nn.Sequential(lib.nn.Linear(1, 1), lib.nn.ReLU())).state_dict()
        lib.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
        states.append((list(state), sorted(state._metadata)))
    assert states[0] == states[1]
    assert nn.modules.utils._pair(3) == nn.modules.utils._pair([3, 3]) == (3, 3)
    assert nn.modules.utils._reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)
    assert nn.modules.utils._list_with_default([None, 5], [2, 3, 4]) == [3, 5]
    assert nn.parallel.data_parallel(nn.ReLU(), ng.tensor([-1.0, 2.0])).tolist() == [0, 2]


def test_layouts_of_weights() -> None:
    model = nn.Sequential(nn.Conv2d(8, 4, 3), nn.Sequential(nn.ConvTranspose2d(4, 8, 3)), nn.Conv3d(2, 3, 2))
    before = model[0].weight.tolist()
    assert nn.utils.convert_conv2d_weight_memory_format(model, ng.channels_last) is model
    assert model[0].weight.is_contiguous(memory_format=ng.channels_last)
    assert model[1][0].weight.is_contiguous(memory_format=ng.channels_last)
    assert model[0].weight.tolist() == before
    nn.utils.convert_conv3d_weight_memory_format(model, ng.contiguous_format)
    assert model[2].weight.is_contiguous()
