"""Layers against torch's, with the same weights: outputs, gradients, buffers, texts and refusals."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import Library, array, copy_state, ours, outcome, theirs

# name: (layer, shape of the input)
LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda nn: nn.Linear(4, 3), (5, 4)),
    "linear without bias": (lambda nn: nn.Linear(4, 3, bias=False), (2, 5, 4)),
    "linear vector": (lambda nn: nn.Linear(4, 3), (4,)),
    "conv": (lambda nn: nn.Conv2d(4, 6, 3, stride=2, padding=1), (2, 4, 9, 7)),
    "conv pair": (lambda nn: nn.Conv2d(3, 4, (3, 2), (1, 2), (0, 1), (2, 1), bias=False), (2, 3, 8, 9)),
    "conv groups": (lambda nn: nn.Conv2d(4, 8, 3, groups=2), (2, 4, 6, 6)),
    "conv depthwise": (lambda nn: nn.Conv2d(4, 4, 3, groups=4, padding=1), (2, 4, 6, 6)),
    "conv same": (lambda nn: nn.Conv2d(3, 4, (3, 5), padding="same", dilation=2), (2, 3, 8, 9)),
    "conv same, even kernel": (lambda nn: nn.Conv2d(3, 4, (4, 2), padding="same"), (2, 3, 8, 9)),
    "conv valid": (lambda nn: nn.Conv2d(3, 4, 3, padding="valid"), (2, 3, 8, 9)),
    "conv without batch": (lambda nn: nn.Conv2d(3, 4, 3), (3, 8, 9)),
    "batch norm 1d": (lambda nn: nn.BatchNorm1d(3), (6, 3)),
    "batch norm 1d, length": (lambda nn: nn.BatchNorm1d(3), (4, 3, 5)),
    "batch norm": (lambda nn: nn.BatchNorm2d(3), (4, 3, 2, 2)),
    "batch norm, cumulative": (lambda nn: nn.BatchNorm2d(3, momentum=None), (4, 3, 2, 2)),
    "batch norm, no affine": (lambda nn: nn.BatchNorm2d(3, affine=False, eps=0.1), (4, 3, 2, 2)),
    "batch norm, no bias": (lambda nn: nn.BatchNorm2d(3, bias=False), (4, 3, 2, 2)),
    "batch norm, no statistics": (lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 2, 2)),
    "layer norm": (lambda nn: nn.LayerNorm((3, 4)), (2, 3, 4)),
    "layer norm, no bias": (lambda nn: nn.LayerNorm(4, bias=False), (2, 3, 4)),
    "layer norm, plain": (lambda nn: nn.LayerNorm(4, elementwise_affine=False), (2, 3, 4)),
    "group norm": (lambda nn: nn.GroupNorm(2, 4), (2, 4, 3, 2)),
    "group norm, plain": (lambda nn: nn.GroupNorm(2, 4, affine=False), (2, 4, 3)),
    "relu": (lambda nn: nn.ReLU(), (3, 4)),
    "leaky relu": (lambda nn: nn.LeakyReLU(0.2), (3, 4)),
    "elu": (lambda nn: nn.ELU(0.7), (3, 4)),
    "gelu": (lambda nn: nn.GELU(), (3, 4)),
    "gelu tanh": (lambda nn: nn.GELU("tanh"), (3, 4)),
    "silu": (lambda nn: nn.SiLU(), (3, 4)),
    "tanh": (lambda nn: nn.Tanh(), (3, 4)),
    "sigmoid": (lambda nn: nn.Sigmoid(), (3, 4)),
    "softplus": (lambda nn: nn.Softplus(), (3, 4)),
    "softplus, steep": (lambda nn: nn.Softplus(2.0, 1.0), (3, 4)),
    "softmax": (lambda nn: nn.Softmax(1), (3, 4, 2)),
    "log softmax": (lambda nn: nn.LogSoftmax(dim=-1), (3, 4)),
    "max pool": (lambda nn: nn.MaxPool2d(3, 2, 1), (2, 3, 7, 8)),
    "max pool, ceil": (lambda nn: nn.MaxPool2d((2, 3), ceil_mode=True), (2, 3, 7, 8)),
    "avg pool": (lambda nn: nn.AvgPool2d(3, 2, 1), (2, 3, 7, 8)),
    "avg pool, no pad": (lambda nn: nn.AvgPool2d(2, padding=1, count_include_pad=False), (2, 3, 7, 8)),
    "adaptive pool": (lambda nn: nn.AdaptiveAvgPool2d((1, 1)), (2, 3, 7, 8)),
    "adaptive pool, uneven": (lambda nn: nn.AdaptiveAvgPool2d((3, None)), (2, 3, 7, 8)),
    "flatten": (lambda nn: nn.Flatten(), (2, 3, 4)),
    "flatten end": (lambda nn: nn.Flatten(0, 1), (2, 3, 4)),
    "identity": (lambda nn: nn.Identity(3, a=4), (2, 3)),
    "dropout in eval": (lambda nn: nn.Dropout(0.5).eval(), (2, 3)),
}


def _randomised(layer: Any, torch: ModuleType, rng: np.random.Generator) -> Any:
    """torch's layer in float64, with parameters that are not all 0 or 1."""
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=tuple(parameter.shape))))
    return layer


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_numbers_are_torchs(name: str, torch: ModuleType) -> None:
    make, shape = LAYERS[name]
    rng = np.random.default_rng(3)
    wanted, layer = _randomised(make(torch.nn), torch, rng), make(nn).double()
    copy_state(wanted, layer)
    for training in (True, True, False):
        layer.train(training and layer.training)
        wanted.train(training and wanted.training)
        values = rng.normal(size=shape)
        x, y = ng.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        out, expected = layer(x), wanted(y)
        assert tuple(out.shape) == tuple(expected.shape)
        np.testing.assert_allclose(array(out), array(expected), rtol=1e-10, atol=1e-12)
        cotangent = rng.normal(size=tuple(out.shape))
        layer.zero_grad()
        wanted.zero_grad()
        out.backward(ng.tensor(cotangent))
        expected.backward(torch.tensor(cotangent))
        np.testing.assert_allclose(array(x.grad), array(y.grad), rtol=1e-9, atol=1e-12)
        for parameter, other in zip(layer.parameters(), wanted.parameters(), strict=True):
            np.testing.assert_allclose(array(parameter.grad), array(other.grad), rtol=1e-9, atol=1e-12)
    for (key, value), (other_key, other) in zip(layer.state_dict().items(), wanted.state_dict().items(), strict=True):
        assert key == other_key
        np.testing.assert_allclose(array(value), array(other), rtol=1e-12, err_msg=key)


def _made(make: Any, lib: Library) -> Any:
    return make(lib.nn)


TEXTS: dict[str, Any] = {
    **{f"repr {name}": partial(_made, make) for name, (make, _) in LAYERS.items()},
    "repr relu in place": lambda lib: lib.nn.ReLU(inplace=True),
    "repr leaky in place": lambda lib: lib.nn.LeakyReLU(0.2, True),
    "repr silu in place": lambda lib: lib.nn.SiLU(inplace=True),
    "repr elu in place": lambda lib: lib.nn.ELU(inplace=True),
    "repr softmax": lambda lib: lib.nn.Softmax(),
    "repr embedding": lambda lib: lib.nn.Embedding(3, 4, padding_idx=-1),
    "repr avg pool": lambda lib: lib.nn.AvgPool2d(3),
    "repr cross entropy": lambda lib: lib.nn.CrossEntropyLoss(),
    "conv groups in": lambda lib: lib.nn.Conv2d(3, 4, 3, groups=2),
    "conv groups out": lambda lib: lib.nn.Conv2d(4, 3, 3, groups=2),
    "conv groups zero": lambda lib: lib.nn.Conv2d(4, 4, 3, groups=0),
    "conv same strided": lambda lib: lib.nn.Conv2d(4, 4, 3, padding="same", stride=2),
    "conv channels": lambda lib: lib.nn.Conv2d(4, 4, 3)(lib.t.ones(1, 3, 8, 8)),
    "linear sizes": lambda lib: lib.nn.Linear(2, 3)(lib.t.ones(4, 3)),
    "linear of list": lambda lib: lib.nn.Linear(2, 3)([1, 2]) if lib.t is ng else _raise_linear(),
    "linear dtype": lambda lib: lib.nn.Linear(2, 3)(lib.t.ones(1, 2, dtype=lib.t.float64)),
    "batch norm 2d of 2d": lambda lib: lib.nn.BatchNorm2d(3)(lib.t.ones(2, 3)),
    "batch norm 1d of 4d": lambda lib: lib.nn.BatchNorm1d(3)(lib.t.ones(2, 3, 4, 5)),
    "batch norm of one": lambda lib: lib.nn.BatchNorm2d(3)(lib.t.ones(1, 3, 1, 1)),
    "group norm channels": lambda lib: lib.nn.GroupNorm(2, 3),
    "group norm input": lambda lib: lib.nn.GroupNorm(2, 4)(lib.t.ones(2, 3, 3)),
    "layer norm input": lambda lib: lib.nn.LayerNorm(3)(lib.t.ones(2, 4)),
    "dropout p": lambda lib: lib.nn.Dropout(2),
    "embedding padding": lambda lib: lib.nn.Embedding(3, 4, padding_idx=5),
}


def _raise_linear() -> None:
    raise TypeError("linear(): argument 'input' must be Tensor, not list")


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_torchs(name: str, torch_says: Any) -> None:
    mine, wanted = outcome(TEXTS[name], ours()), torch_says(lambda torch: outcome(TEXTS[name], theirs(torch)))
    assert mine[0] == wanted[0]
    # Hints of our own may follow.
    assert wanted[1] in mine[1]


def test_refused_before_anything_changes() -> None:
    layer = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        layer(ng.ones(1, 3, 1, 1))
    with pytest.raises(RuntimeError, match="should contain 4 elements not 3"):
        layer(ng.ones(2, 4, 2, 2))
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_mean.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="Invalid padding string 'x'"):
        nn.Conv2d(3, 3, 3, padding="x")
    with pytest.raises(ValueError, match="padding_mode must be one of"):
        nn.Conv2d(3, 3, 3, padding_mode="x")
    with pytest.raises(RuntimeError, match="less than the corresponding input dimension"):
        nn.Conv2d(3, 3, 3, padding=2, padding_mode="reflect")(ng.ones(1, 3, 2, 2))
    with pytest.raises(RuntimeError, match="tuple of two ints"):
        nn.Conv2d(3, 3, (3, 3, 3))
    with pytest.raises(TypeError, match="must be int"):
        nn.Conv2d(3, 3, 2.5)


def test_conv_weight_lies_privately_with_its_channels_last() -> None:
    weight = nn.Conv2d(8, 4, (3, 5), groups=2).weight
    assert tuple(weight.shape) == (4, 4, 3, 5)
    assert weight.stride() == (60, 15, 5, 1)
    assert tuple(weight._spec.strides) == (60, 1, 20, 4)


def test_relu_in_place() -> None:
    x = ng.tensor([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(x) is x
    assert x.tolist() == [0, 2]
    for layer in (nn.LeakyReLU(0.5, inplace=True), nn.SiLU(inplace=True), nn.ELU(inplace=True)):
        y = ng.tensor([-1.0, 2.0])
        assert layer(y) is y
        assert y[0].item() != -1


def test_dropout() -> None:
    ng.manual_seed(0)
    layer = nn.Dropout(0.25)
    out = layer(ng.ones(100, 100))
    values, counts = np.unique(out.numpy(), return_counts=True)
    np.testing.assert_allclose(values, [0, 4 / 3], rtol=1e-6)
    assert abs(counts[0] / 10000 - 0.25) < 0.03
    x = ng.ones(3)
    assert nn.Dropout(0.0)(x) is x
    assert layer.eval()(x) is x
    assert nn.Dropout(1.0)(x).tolist() == [0, 0, 0]
    filled = ng.ones(50)
    assert nn.Dropout(0.5, inplace=True)(filled) is filled
    assert set(filled.tolist()) == {0.0, 2.0}


def test_embedding(torch: ModuleType) -> None:
    layer = nn.Embedding(5, 3, padding_idx=-4).double()
    wanted = torch.nn.Embedding(5, 3, padding_idx=-4).double()
    assert layer.weight[1].tolist() == [0, 0, 0]
    copy_state(wanted, layer)
    rows = np.array([[1, 0], [4, 4]])
    out, expected = layer(ng.tensor(rows)), wanted(torch.tensor(rows))
    np.testing.assert_array_equal(array(out), array(expected))
    weights = np.arange(12.0).reshape(2, 2, 3)
    (out * ng.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(array(layer.weight.grad), array(wanted.weight.grad))
    assert layer(ng.tensor([3], dtype=ng.int32)).shape == (1, 3)
    with pytest.raises(IndexError, match="out of"):
        layer(ng.tensor([5]))
    with pytest.raises(RuntimeError, match="Long, Int; but got Float"):
        layer(ng.tensor([0.5]))


def test_functional_dims_are_guessed_as_torch_guesses(torch: ModuleType) -> None:
    for shape in ((3,), (2, 3), (2, 3, 4), (2, 3, 4, 5)):
        values = np.random.default_rng(0).normal(size=shape)
        with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
            out = nn.functional.softmax(ng.tensor(values))
        with pytest.warns(UserWarning, match="Implicit dimension"):
            expected = torch.nn.functional.softmax(torch.tensor(values))
        np.testing.assert_allclose(array(out), array(expected), rtol=1e-12)


@pytest.mark.parametrize("p", [1, 2, 0.5, 3, float("inf"), -1])
def test_normalize(p: float, torch: ModuleType) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4))
    values[1] = 0
    out = nn.functional.normalize(ng.tensor(values), p)
    np.testing.assert_allclose(array(out), array(torch.nn.functional.normalize(torch.tensor(values), p)), rtol=1e-12)
