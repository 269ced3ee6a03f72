"""Layers of `nn.functional` beside torch's: what they say they are, their state, and what they compute from the same state."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

SHAPES = {1: (2, 4, 7), 2: (2, 4, 6, 5), 3: (1, 4, 5, 4, 4)}

LAYERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "Hardtanh": (lambda nn: nn.Hardtanh(-0.5, 2), (3, 4)),
    "ReLU6": (lambda nn: nn.ReLU6(True), (3, 4)),
    "Threshold": (lambda nn: nn.Threshold(0.1, 20), (3, 4)),
    "RReLU": (lambda nn: nn.RReLU().eval(), (3, 4)),
    "PReLU": (lambda nn: nn.PReLU(4, 0.3), (3, 4)),
    "Softmin": (lambda nn: nn.Softmin(1), (3, 4)),
    "CELU": (lambda nn: nn.CELU(2.0, True), (3, 4)),
    "GLU": (lambda nn: nn.GLU(0), (4, 3)),
    **{
        name: (lambda nn, name=name: getattr(nn, name)(), (3, 4))
        for name in (
            "SELU", "Hardsigmoid", "Hardswish", "Mish", "Softshrink", "Hardshrink", "Tanhshrink", "Softsign", "LogSigmoid",
        )
    },
    "Softmax2d": (lambda nn: nn.Softmax2d(), (1, 3, 2, 2)),
    **{
        f"{kind}Pad{n}d": (lambda nn, kind=kind, n=n: getattr(nn, f"{kind}Pad{n}d")(1), SHAPES[n])
        for kind in ("Reflection", "Replication", "Circular", "Zero")
        for n in (1, 2, 3)
    },
    "ConstantPad2d": (lambda nn: nn.ConstantPad2d((1, 2, 3, 0), 3.5), SHAPES[2]),
    "MaxPool1d": (lambda nn: nn.MaxPool1d(3, 2, 1), SHAPES[1]),
    "MaxPool3d": (lambda nn: nn.MaxPool3d(2, ceil_mode=True), SHAPES[3]),
    "AvgPool1d": (lambda nn: nn.AvgPool1d(3, 2, 1, count_include_pad=False), SHAPES[1]),
    "AvgPool3d": (lambda nn: nn.AvgPool3d(2, 1), SHAPES[3]),
    "LPPool1d": (lambda nn: nn.LPPool1d(2, 3), SHAPES[1]),
    "LPPool2d": (lambda nn: nn.LPPool2d(2, (2, 3), 1), SHAPES[2]),
    "AdaptiveMaxPool2d": (lambda nn: nn.AdaptiveMaxPool2d((3, None)), SHAPES[2]),
    "AdaptiveAvgPool1d": (lambda nn: nn.AdaptiveAvgPool1d(3), SHAPES[1]),
    "AdaptiveAvgPool3d": (lambda nn: nn.AdaptiveAvgPool3d((2, None, 3)), SHAPES[3]),
    "Upsample": (lambda nn: nn.Upsample(scale_factor=2, mode="bilinear"), SHAPES[2]),
    "UpsamplingNearest2d": (lambda nn: nn.UpsamplingNearest2d(9), SHAPES[2]),
    "UpsamplingBilinear2d": (lambda nn: nn.UpsamplingBilinear2d(scale_factor=2), SHAPES[2]),
    "Unfold": (lambda nn: nn.Unfold((2, 3), padding=1), SHAPES[2]),
    "Fold": (lambda nn: nn.Fold((4, 3), 2), (2, 8, 6)),
    "PixelShuffle": (lambda nn: nn.PixelShuffle(2), SHAPES[2]),
    "PixelUnshuffle": (lambda nn: nn.PixelUnshuffle(2), (1, 2, 4, 6)),
    "ChannelShuffle": (lambda nn: nn.ChannelShuffle(2), SHAPES[2]),
    "Unflatten": (lambda nn: nn.Unflatten(1, (2, 2)), SHAPES[2]),
    "Dropout2d": (lambda nn: nn.Dropout2d(0.3).eval(), SHAPES[2]),
    "AlphaDropout": (lambda nn: nn.AlphaDropout(0.3).eval(), SHAPES[2]),
    "Conv1d": (lambda nn: nn.Conv1d(4, 6, 3, 2, 1, 2, 2), SHAPES[1]),
    "Conv1d same": (lambda nn: nn.Conv1d(4, 2, 2, padding="same", bias=False, padding_mode="reflect"), SHAPES[1]),
    "Conv2d circular": (lambda nn: nn.Conv2d(4, 2, 3, padding=(1, 2), padding_mode="circular"), SHAPES[2]),
    "Conv3d": (lambda nn: nn.Conv3d(4, 2, (1, 2, 3), padding=1, padding_mode="replicate"), SHAPES[3]),
    "ConvTranspose1d": (lambda nn: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), SHAPES[1]),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(4, 3, 3, (2, 1), bias=False), SHAPES[2]),
    "ConvTranspose3d": (lambda nn: nn.ConvTranspose3d(4, 3, 2, 2), SHAPES[3]),
    "InstanceNorm1d": (lambda nn: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), SHAPES[1]),
    "InstanceNorm2d": (lambda nn: nn.InstanceNorm2d(4), SHAPES[2]),
    "InstanceNorm2d of one": (lambda nn: nn.InstanceNorm2d(4), SHAPES[2][1:]),
    "InstanceNorm3d": (lambda nn: nn.InstanceNorm3d(4, track_running_stats=True).eval(), SHAPES[3]),
    "BatchNorm3d": (lambda nn: nn.BatchNorm3d(4), SHAPES[3]),
    "RMSNorm": (lambda nn: nn.RMSNorm((6, 5), 1e-4), SHAPES[2]),
    "LocalResponseNorm": (lambda nn: nn.LocalResponseNorm(3, 0.5), SHAPES[2]),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_torchs(name: str, torch: ModuleType) -> None:
    build, shape = LAYERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = build(ng.nn), build(torch.nn)
    assert repr(mine) == repr(theirs)
    state = theirs.state_dict()
    assert {k: tuple(v.shape) for k, v in mine.state_dict().items()} == {k: tuple(v.shape) for k, v in state.items()}
    mine.load_state_dict({k: ng.tensor(v.numpy()) for k, v in state.items()})
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    got, want = mine(ng.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5)


@pytest.mark.torch
def test_layers_of_several_inputs_are_torchs(torch: ModuleType) -> None:
    mine, theirs = ng.nn.Bilinear(2, 3, 4), torch.nn.Bilinear(2, 3, 4)
    mine.load_state_dict({k: ng.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    assert repr(mine) == repr(theirs)
    x, y = np.ones((5, 2), np.float32), np.full((5, 3), 0.5, np.float32)
    want = theirs(torch.tensor(x), torch.tensor(y)).detach().numpy()
    np.testing.assert_allclose(mine(ng.tensor(x), ng.tensor(y)).detach().numpy(), want, rtol=1e-5, atol=1e-6)
    bag, torchs = (
        ng.nn.EmbeddingBag(4, 3, mode="sum", padding_idx=1),
        torch.nn.EmbeddingBag(4, 3, mode="sum", padding_idx=1),
    )
    bag.load_state_dict({k: ng.tensor(v.numpy()) for k, v in torchs.state_dict().items()})
    assert repr(bag) == repr(torchs)
    ids, offsets = [0, 1, 2, 3], [0, 0, 3]
    want = torchs(torch.tensor(ids), torch.tensor(offsets)).detach().numpy()
    np.testing.assert_allclose(bag(ng.tensor(ids), ng.tensor(offsets)).detach().numpy(), want, rtol=1e-5)


def test_an_output_size_is_chosen() -> None:
    layer = ng.nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = ng.ones(1, 1, 4, 4)
    assert layer(x, (8, 7)).shape == (1, 1, 8, 7)
    assert layer(x, output_size=(1, 1, 7, 8)).shape == (1, 1, 7, 8)
    with pytest.raises(ValueError, match=r"valid sizes range from \[7, 7\] to \[8, 8\]"):
        layer(x, (9, 7))
    with pytest.raises(ValueError, match="output_size must have 2 or 4"):
        layer(x, (9,))


LOSSES: dict[str, Callable[[Any], Any]] = {
    "BCELoss": lambda nn: nn.BCELoss(),
    "KLDivLoss": lambda nn: nn.KLDivLoss(reduction="batchmean"),
    "SoftMarginLoss": lambda nn: nn.SoftMarginLoss(reduction="none"),
    "HingeEmbeddingLoss": lambda nn: nn.HingeEmbeddingLoss(0.7),
    "PoissonNLLLoss": lambda nn: nn.PoissonNLLLoss(False),
    "MultiLabelSoftMarginLoss": lambda nn: nn.MultiLabelSoftMarginLoss(),
    "PairwiseDistance": lambda nn: nn.PairwiseDistance(1.5, keepdim=True),
    "CosineSimilarity": lambda nn: nn.CosineSimilarity(0),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_torchs(name: str, torch: ModuleType) -> None:
    mine, theirs = LOSSES[name](ng.nn), LOSSES[name](torch.nn)
    assert repr(mine) == repr(theirs)
    rng = np.random.default_rng(4)
    x, y = (rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32) for _ in range(2))
    got, want = mine(ng.tensor(x), ng.tensor(y)), theirs(torch.tensor(x), torch.tensor(y))
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)
