"""`nn.summary`: what it counts, what it leaves as it was, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.registry import chain


class Twice(nn.Module):
    """A layer that is called twice, one that is never called, and a product that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.same = self.layer
        self.unused = nn.Linear(4, 3, bias=False)
        self.unused.weight.requires_grad_(False)

    def forward(self, x: Any, y: Any = None) -> Any:
        x = self.layer(self.same(x))
        return x @ x.T, x


def test_what_is_counted() -> None:
    found = nn.summary(Twice(), (2, 4))
    root, layer, unused = found.layers
    assert (root.name, root.kind, root.depth, root.calls) == ("", "Twice", 0, 1)
    assert (layer.name, layer.kind, layer.depth, layer.calls) == ("layer", "Linear", 1, 2)
    assert (layer.input_shape, layer.output_shape, root.output_shape) == ((2, 4), (2, 4), ((2, 2), (2, 4)))
    assert (unused.calls, unused.output_shape, unused.parameters, unused.trainable_parameters) == (0, None, 12, 0)
    assert (layer.parameters, root.parameters, root.trainable_parameters) == (20, 32, 20)
    assert (layer.mult_adds, root.mult_adds) == (2 * 2 * 4 * 4, 2 * 2 * 4 * 4 + 2 * 2 * 4)
    assert (found.total_params, found.trainable_params, found.total_mult_adds) == (32, 20, root.mult_adds)
    assert (found.total_param_bytes, found.total_buffer_bytes, found.total_input_bytes) == (128, 0, 32)
    assert found.total_output_bytes == 2 * 2 * 4 * 4


def test_memory_that_is_shared_is_not_counted() -> None:
    """Neither what is changed in place nor what is shown in another shape."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.ReLU())
    found = nn.summary(net, (1, 1, 3, 3))
    assert [layer.output_bytes for layer in found.layers] == [144, 72, 0, 0, 72]


def test_attention_convolutions_and_products_are_counted() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)

    class SelfAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, x: Any) -> Any:
            return self.attention(x, x, x, need_weights=False)[0]

    length = 5
    projections, scores = 4 * length * 8 * 8, 2 * length * length * 8
    assert nn.summary(SelfAttention(), (1, length, 8)).total_mult_adds == projections + scores
    grouped = nn.Conv2d(4, 6, 3, groups=2)
    assert nn.summary(grouped, (2, 4, 5, 5)).total_mult_adds == 2 * 6 * 3 * 3 * 2 * 9
    assert nn.summary(nn.ConvTranspose2d(3, 2, 2), (1, 3, 4, 4)).total_mult_adds == 3 * 16 * 2 * 4


def test_the_text() -> None:
    block = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2)))
    lines = str(nn.summary(block, (3, 4), depth=1)).splitlines()
    assert lines[2:5] == [
        "Sequential       [3, 2]          --             --",
        "  0: Linear      [3, 4]          20             48",
        "  1: Sequential  [3, 2]          10             24",
    ]
    assert lines[-3] == "parameters     30"
    block[0].weight.requires_grad_(False)
    assert "parameters     30, 16 of them frozen" in repr(nn.summary(block, (3, 4)))
    large = nn.summary(nn.Linear(1000, 1000, bias=False), (1000, 1000), depth=0)
    assert "multiply-adds  1.000 G" in str(large)
    assert "input 4.000 MB" in str(large)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_everything_is_as_before(mode: str) -> None:
    """Modes, statistics (unless in train mode), hooks, the tape and the random numbers; also if the forward raises."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(8, 2))
    net[1].eval()
    ng.manual_seed(3)
    state = ng.get_rng_state() if mode == "eval" else None
    found = nn.summary(net, (2, 1, 2, 2), mode=mode)
    assert [module.training for module in net] == [True, False, True, True, True]
    assert net[1].num_batches_tracked.item() == (mode == "train")
    assert state is None or ng.equal(ng.get_rng_state(), state)
    assert found.layers[1].calls == 1
    with pytest.raises(RuntimeError):
        nn.summary(net, (2, 1, 3, 3), mode=mode)
    assert not any(module._has_hooks() for module in net.modules())
    assert not chain.is_wrapped()
    assert net[0].weight.grad is None


def test_inputs() -> None:
    class Sum(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return {"sum": a + b, "rest": [a]}

    for found in (
        nn.summary(Sum(), [(2, 3), (3,)]),
        nn.summary(Sum(), input_data=[ng.ones(2, 3), ng.ones(3)]),
        nn.summary(Sum(), input_data={"a": ng.ones(2, 3), "b": ng.ones(3)}),
    ):
        assert found.layers[0].output_shape == ((2, 3), (2, 3))
        assert found.total_input_bytes == 36
    words = nn.summary(nn.Embedding(5, 3), (2, 4), dtypes=[ng.int64])
    assert (words.layers[0].output_shape, words.total_input_bytes) == ((2, 4, 3), 64)
    assert nn.summary(nn.Linear(2, 2).double(), (1, 2)).total_output_bytes == 16
    assert nn.summary(nn.ReLU(), (0, 3)).total_output_bytes == 0
    assert nn.summary(nn.Identity(), ()).layers[0].output_shape == ()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.summary(3, (1,)), TypeError, "model is int, expected a Module"),
        (lambda: nn.summary(nn.ReLU(), ng.ones(2, 3)), TypeError, "give tensors as input_data="),
        (lambda: nn.summary(nn.ReLU()), ValueError, "neither of them came"),
        (lambda: nn.summary(nn.ReLU(), (1,), ng.ones(1)), ValueError, "both of them came"),
        (lambda: nn.summary(nn.ReLU(), (1,), mode="test"), ValueError, "mode is 'test', expected 'eval' or 'train'"),
        (lambda: nn.summary(nn.ReLU(), (1,), depth=-1), ValueError, "depth is -1"),
        (lambda: nn.summary(nn.ReLU(), (1,), dtypes=[ng.int64] * 2), ValueError, "there are 1 inputs and 2 dtypes"),
        (lambda: nn.summary(nn.ReLU(), (-1,)), RuntimeError, "negative"),
    ],
)
def test_refusals(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
