"""Layers: texts and refusals, and what `test_every_module` does not ask of each."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import array, copy_state, ours, outcome, theirs

TEXTS: dict[str, Any] = {
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


def test_an_output_size_is_chosen() -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = ng.ones(1, 1, 4, 4)
    assert layer(x, (8, 7)).shape == (1, 1, 8, 7)
    assert layer(x, output_size=(1, 1, 7, 8)).shape == (1, 1, 7, 8)
    with pytest.raises(ValueError, match=r"valid sizes range from \[7, 7\] to \[8, 8\]"):
        layer(x, (9, 7))
    with pytest.raises(ValueError, match="output_size must have 2 or 4"):
        layer(x, (9,))
