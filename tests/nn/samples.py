"""Modules with their inputs: each public class of `numgrad.nn` has a row, whose name begins with that of the class.

A row is a maker, which gets ``nn`` of either library, and the inputs: shapes of drawn numbers that require a gradient, or arrays.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Row = tuple[Callable[[Any], Any], tuple[Any, ...]]

V, I1, I2, I3 = (3, 4), (2, 4, 7), (2, 4, 6, 5), (1, 4, 5, 4, 4)
SHAPES = {1: I1, 2: I2, 3: I3}
_RNG = np.random.default_rng(5)
CLASSES = np.array([1, 0, 3])
SIGNS = np.array([1.0, -1.0, 1.0])
UNIT = _RNG.uniform(0.1, 0.9, V)
SIGNED = np.sign(UNIT - 0.5)
TOKENS = np.array([[1, 0, 3], [2, 2, 1]])
CAUSAL = np.triu(np.full((5, 5), -np.inf), 1)


def _prune(nn: Any) -> Any:
    """The functions of pruning, which torch does not import by itself."""
    return importlib.import_module(f"{nn.__name__}.utils.prune")


def row(make: Callable[[Any], Any], *inputs: Any) -> Row:
    return make, inputs


def calls(names: str, *inputs: Any) -> dict[str, Row]:
    """Rows of classes that need no arguments."""
    return {name: row(lambda nn, name=name: getattr(nn, name)(), *inputs) for name in names.split()}


def of_dims(name: str, make: Callable[[Any, int], Any], dims: tuple[int, ...] = (1, 2, 3)) -> dict[str, Row]:
    """Rows of a class for each number of dimensions."""
    return {f"{name}{n}d": row(lambda nn, n=n: make(getattr(nn, f"{name}{n}d"), n), SHAPES[n]) for n in dims}


LAYERS: dict[str, Row] = {
    **calls(
        "Identity ReLU Hardsigmoid Hardswish Mish Softshrink Hardshrink Tanhshrink Softsign LogSigmoid SELU Sigmoid Tanh SiLU ELU "
        "GELU Softplus LeakyReLU CELU Hardtanh ReLU6 PReLU Flatten", V
    ),
    "Linear": row(lambda nn: nn.Linear(4, 3), (5, 4)),
    "Linear without bias": row(lambda nn: nn.Linear(4, 3, bias=False), (2, 5, 4)),
    "Linear vector": row(lambda nn: nn.Linear(4, 3), (4,)),
    "Bilinear": row(lambda nn: nn.Bilinear(4, 3, 2), (5, 4), (5, 3)),
    "LazyLinear": row(lambda nn: nn.LazyLinear(3), (5, 4)),
    "Identity of arguments": row(lambda nn: nn.Identity(3, a=4), (2, 3)),
    "ReLU in place": row(lambda nn: nn.Sequential(nn.Linear(4, 3), nn.ReLU(True)), V),
    "LeakyReLU slope": row(lambda nn: nn.LeakyReLU(0.2), V),
    "ELU alpha": row(lambda nn: nn.ELU(0.7), V),
    "GELU tanh": row(lambda nn: nn.GELU("tanh"), V),
    "Softplus steep": row(lambda nn: nn.Softplus(2.0, 1.0), V),
    "Hardtanh bounds": row(lambda nn: nn.Hardtanh(-0.5, 2), V),
    "Threshold": row(lambda nn: nn.Threshold(0.1, 20), V),
    "RReLU": row(lambda nn: nn.RReLU().eval(), V),
    "PReLU channels": row(lambda nn: nn.PReLU(4, 0.3), V),
    "CELU alpha": row(lambda nn: nn.CELU(2.0), V),
    "GLU": row(lambda nn: nn.GLU(0), (4, 3)),
    "Softmax": row(lambda nn: nn.Softmax(1), (3, 4, 2)),
    "LogSoftmax": row(lambda nn: nn.LogSoftmax(dim=-1), V),
    "Softmin": row(lambda nn: nn.Softmin(1), V),
    "Softmax2d": row(lambda nn: nn.Softmax2d(), (1, 3, 2, 2)),
    **{f"{name} in eval": row(lambda nn, name=name: getattr(nn, name)(0.3).eval(), V) for name in ("Dropout", "AlphaDropout")},
    "FeatureAlphaDropout": row(lambda nn: nn.FeatureAlphaDropout(0.3).eval(), I2),
    **of_dims("Dropout", lambda cls, n: cls(0.3).eval()),
    **{key: value for kind in ("Reflection", "Replication", "Circular", "Zero") for key, value in of_dims(
        f"{kind}Pad", lambda cls, n: cls(1)).items()},
    **of_dims("ConstantPad", lambda cls, n: cls((1, 2) * n, 3.5)),
    # ---- convolutions
    "Conv1d": row(lambda nn: nn.Conv1d(4, 6, 3, 2, 1, 2, 2), I1),
    "Conv1d same": row(lambda nn: nn.Conv1d(4, 2, 2, padding="same", bias=False, padding_mode="reflect"), I1),
    "Conv2d": row(lambda nn: nn.Conv2d(4, 6, 3, stride=2, padding=1), (2, 4, 9, 7)),
    "Conv2d pair": row(lambda nn: nn.Conv2d(3, 4, (3, 2), (1, 2), (0, 1), (2, 1), bias=False), (2, 3, 8, 9)),
    "Conv2d groups": row(lambda nn: nn.Conv2d(4, 8, 3, groups=2), (2, 4, 6, 6)),
    "Conv2d depthwise": row(lambda nn: nn.Conv2d(4, 4, 3, groups=4, padding=1), (2, 4, 6, 6)),
    "Conv2d same": row(lambda nn: nn.Conv2d(3, 4, (3, 5), padding="same", dilation=2), (2, 3, 8, 9)),
    "Conv2d same, even kernel": row(lambda nn: nn.Conv2d(3, 4, (4, 2), padding="same"), (2, 3, 8, 9)),
    "Conv2d valid": row(lambda nn: nn.Conv2d(3, 4, 3, padding="valid"), (2, 3, 8, 9)),
    "Conv2d without batch": row(lambda nn: nn.Conv2d(3, 4, 3), (3, 8, 9)),
    "Conv2d circular": row(lambda nn: nn.Conv2d(4, 2, 3, padding=(1, 2), padding_mode="circular"), I2),
    "Conv3d": row(lambda nn: nn.Conv3d(4, 2, (1, 2, 3), padding=1, padding_mode="replicate"), I3),
    "ConvTranspose1d": row(lambda nn: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), I1),
    "ConvTranspose2d": row(lambda nn: nn.ConvTranspose2d(4, 3, 3, (2, 1), bias=False), I2),
    "ConvTranspose3d": row(lambda nn: nn.ConvTranspose3d(4, 3, 2, 2), I3),
    **of_dims("LazyConv", lambda cls, n: cls(2, 3)),
    **of_dims("LazyConvTranspose", lambda cls, n: cls(2, 2)),
    # ---- norms
    "BatchNorm1d": row(lambda nn: nn.BatchNorm1d(3), (6, 3)),
    "BatchNorm1d length": row(lambda nn: nn.BatchNorm1d(3), (4, 3, 5)),
    "BatchNorm2d": row(lambda nn: nn.BatchNorm2d(3), (4, 3, 2, 2)),
    "BatchNorm2d cumulative": row(lambda nn: nn.BatchNorm2d(3, momentum=None), (4, 3, 2, 2)),
    "BatchNorm2d, no affine": row(lambda nn: nn.BatchNorm2d(3, affine=False, eps=0.1), (4, 3, 2, 2)),
    "BatchNorm2d, no bias": row(lambda nn: nn.BatchNorm2d(3, bias=False), (4, 3, 2, 2)),
    "BatchNorm2d, no statistics": row(lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 2, 2)),
    "BatchNorm3d": row(lambda nn: nn.BatchNorm3d(4), (2, 4, 2, 2, 2)),
    "SyncBatchNorm converted": row(
        lambda nn: nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())), (4, 3, 2, 2)
    ),
    **{f"LazyBatchNorm{n}d": row(lambda nn, n=n: getattr(nn, f"LazyBatchNorm{n}d")(), (2, *SHAPES[n][1:])) for n in (1, 2, 3)},
    "InstanceNorm1d": row(lambda nn: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), I1),
    "InstanceNorm2d": row(lambda nn: nn.InstanceNorm2d(4), I2),
    "InstanceNorm2d of one": row(lambda nn: nn.InstanceNorm2d(4), I2[1:]),
    "InstanceNorm3d": row(lambda nn: nn.InstanceNorm3d(4, track_running_stats=True), I3),
    **of_dims("LazyInstanceNorm", lambda cls, n: cls()),
    "LayerNorm": row(lambda nn: nn.LayerNorm((3, 4)), (2, 3, 4)),
    "LayerNorm, no bias": row(lambda nn: nn.LayerNorm(4, bias=False), (2, 3, 4)),
    "LayerNorm, plain": row(lambda nn: nn.LayerNorm(4, elementwise_affine=False), (2, 3, 4)),
    "GroupNorm": row(lambda nn: nn.GroupNorm(2, 4), (2, 4, 3, 2)),
    "GroupNorm, plain": row(lambda nn: nn.GroupNorm(2, 4, affine=False), (2, 4, 3)),
    "RMSNorm": row(lambda nn: nn.RMSNorm((6, 5), 1e-4), I2),
    "LocalResponseNorm": row(lambda nn: nn.LocalResponseNorm(3, 0.5), I2),
    "CrossMapLRN2d": row(lambda nn: nn.CrossMapLRN2d(3, 0.5), I2),
    # ---- pools
    **of_dims("MaxPool", lambda cls, n: cls(3, 2, 1)),
    "MaxPool2d ceil": row(lambda nn: nn.MaxPool2d((2, 3), ceil_mode=True), (2, 3, 7, 8)),
    "MaxPool2d indices": row(lambda nn: nn.MaxPool2d(2, return_indices=True), I2),
    **of_dims("AvgPool", lambda cls, n: cls(3, 2, 1, count_include_pad=False)),
    "AvgPool2d pad": row(lambda nn: nn.AvgPool2d(3, 2, 1), (2, 3, 7, 8)),
    **of_dims("LPPool", lambda cls, n: cls(3, 2)),
    **of_dims("AdaptiveMaxPool", lambda cls, n: cls(2)),
    **of_dims("AdaptiveAvgPool", lambda cls, n: cls(3)),
    "AdaptiveAvgPool2d uneven": row(lambda nn: nn.AdaptiveAvgPool2d((3, None)), (2, 3, 7, 8)),
    **{
        f"MaxUnpool{n}d": row(
            lambda nn, n=n: getattr(nn, f"MaxUnpool{n}d")(2), (1, 1, *[2] * n), np.array([[[0, 3, 5, 6, 9, 12, 14, 15][:2**n]]])
            .reshape(1, 1, *[2] * n) % 4**n
        )
        for n in (1, 2, 3)
    },
    # ---- rearranging
    "Upsample": row(lambda nn: nn.Upsample(scale_factor=2, mode="bilinear"), I2),
    "UpsamplingNearest2d": row(lambda nn: nn.UpsamplingNearest2d(9), I2),
    "UpsamplingBilinear2d": row(lambda nn: nn.UpsamplingBilinear2d(scale_factor=2), I2),
    "Unfold": row(lambda nn: nn.Unfold((2, 3), padding=1), I2),
    "Fold": row(lambda nn: nn.Fold((4, 3), 2), (2, 8, 6)),
    "PixelShuffle": row(lambda nn: nn.PixelShuffle(2), I2),
    "PixelUnshuffle": row(lambda nn: nn.PixelUnshuffle(2), (1, 2, 4, 6)),
    "ChannelShuffle": row(lambda nn: nn.ChannelShuffle(2), I2),
    "Flatten dims": row(lambda nn: nn.Flatten(0, 1), (2, 3, 4)),
    "Unflatten": row(lambda nn: nn.Unflatten(1, (2, 2)), I2),
    # ---- tables
    "Embedding": row(lambda nn: nn.Embedding(5, 3), TOKENS),
    "Embedding padding": row(lambda nn: nn.Embedding(5, 3, padding_idx=-4), TOKENS),
    "Embedding short": row(lambda nn: nn.Embedding(5, 3, max_norm=0.5, norm_type=1.0), TOKENS),
    "Embedding by frequency": row(lambda nn: nn.Embedding(5, 3, 2, scale_grad_by_freq=True), TOKENS),
    **{f"EmbeddingBag {mode}": row(lambda nn, mode=mode: nn.EmbeddingBag(5, 3, mode=mode, padding_idx=2), TOKENS)
       for mode in ("sum", "mean", "max")},
    "EmbeddingBag offsets": row(
        lambda nn: nn.EmbeddingBag(5, 3, mode="mean", max_norm=1.5, norm_type=1.0), np.array([1, 0, 0, 3]),
        np.array([0, 0, 3]),
    ),
    "EmbeddingBag weights": row(
        lambda nn: nn.EmbeddingBag(5, 3, mode="sum", include_last_offset=True), np.array([1, 0, 0, 3]), np.array([0, 2, 4]), (4,)
    ),
    # ---- attention
    "MultiheadAttention": row(lambda nn: nn.MultiheadAttention(8, 2), *[(5, 2, 8)] * 3),
    "MultiheadAttention widths": row(
        lambda nn: nn.MultiheadAttention(8, 2, kdim=6, vdim=7, batch_first=True, add_bias_kv=True, add_zero_attn=True),
        (2, 3, 8), (2, 5, 6), (2, 5, 7),
    ),
    "TransformerEncoderLayer": row(lambda nn: nn.TransformerEncoderLayer(8, 2, 12, 0.0), (5, 2, 8), CAUSAL),
    "TransformerDecoderLayer": row(lambda nn: nn.TransformerDecoderLayer(8, 2, 12, 0.0, "gelu"), (5, 2, 8), (3, 2, 8), CAUSAL),
    "TransformerEncoder": row(
        lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0.0), 2, nn.LayerNorm(8), False), (5, 2, 8), CAUSAL
    ),
    "TransformerDecoder": row(
        lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.0), 2), (5, 2, 8), (3, 2, 8)
    ),
    "Transformer": row(
        lambda nn: nn.Transformer(8, 2, 1, 1, 12, 0.0, norm_first=True, bias=False), (3, 2, 8), (5, 2, 8), None, CAUSAL
    ),
    # ---- recurrent
    "RNN": row(lambda nn: nn.RNN(4, 3, 2, nonlinearity="relu"), (5, 2, 4)),
    "GRU": row(lambda nn: nn.GRU(4, 3, batch_first=True, bidirectional=True), (2, 5, 4)),
    "LSTM": row(lambda nn: nn.LSTM(4, 3, proj_size=2), (5, 2, 4)),
    **{f"{name}Cell": row(lambda nn, name=name: getattr(nn, f"{name}Cell")(4, 3), (2, 4)) for name in ("RNN", "GRU", "LSTM")},
    # ---- containers
    "Sequential": row(lambda nn: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Sequential(nn.Linear(3, 2))), V),
    "DataParallel": row(lambda nn: nn.DataParallel(nn.Linear(4, 3)), V),
    # ---- with parametrizations
    "Linear weight norm": row(lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), V),
    "Conv2d weight norm": row(lambda nn: nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 3, 2), dim=1), I2),
    "Linear spectral norm": row(lambda nn: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3), n_power_iterations=2), V),
    "ConvTranspose1d spectral norm": row(lambda nn: nn.utils.parametrizations.spectral_norm(nn.ConvTranspose1d(4, 3, 2)), I1),
    **{
        f"Linear orthogonal {name} {rows}": row(
            lambda nn, name=name, rows=rows: nn.utils.parametrizations.orthogonal(nn.Linear(4, rows), orthogonal_map=name), V
        )
        for name in ("matrix_exp", "cayley", "householder")
        for rows in (3, 4, 6)
    },
    "Linear old spectral norm": row(lambda nn: nn.utils.spectral_norm(nn.Linear(4, 3)), V),
    "Linear old weight norm": row(lambda nn: nn.utils.weight_norm(nn.Linear(4, 3), dim=None), V),
    "Linear pruned": row(lambda nn: _prune(nn).ln_structured(nn.Linear(4, 3), "weight", 1, 2, 0), V),
}  # fmt: skip

LOSSES: dict[str, Row] = {
    **calls("MSELoss L1Loss HuberLoss SmoothL1Loss PoissonNLLLoss", V, V),
    **calls("BCEWithLogitsLoss MultiLabelSoftMarginLoss", V, UNIT),
    **calls("CrossEntropyLoss NLLLoss MultiMarginLoss", V, CLASSES),
    "NLLLoss2d": row(lambda nn: nn.NLLLoss2d(), (2, 4, 2, 2), _RNG.integers(0, 4, (2, 2, 2))),
    "CrossEntropyLoss smooth": row(lambda nn: nn.CrossEntropyLoss(label_smoothing=0.2, ignore_index=0), V, CLASSES),
    "BCELoss": row(lambda nn: nn.Sequential(nn.Sigmoid(), Pair(nn, nn.BCELoss(), UNIT)), V),
    "KLDivLoss": row(lambda nn: nn.KLDivLoss(reduction="batchmean"), V, UNIT),
    "KLDivLoss log": row(lambda nn: nn.KLDivLoss(reduction="sum", log_target=True), V, V),
    "PoissonNLLLoss full": row(lambda nn: nn.PoissonNLLLoss(full=True), V, UNIT),
    "GaussianNLLLoss": row(lambda nn: nn.GaussianNLLLoss(full=True), V, V, UNIT),
    "SoftMarginLoss": row(lambda nn: nn.SoftMarginLoss(reduction="none"), V, SIGNED),
    "HingeEmbeddingLoss": row(lambda nn: nn.HingeEmbeddingLoss(0.7), V, SIGNED),
    "MarginRankingLoss": row(lambda nn: nn.MarginRankingLoss(0.2), V, V, SIGNED),
    "CosineEmbeddingLoss": row(lambda nn: nn.CosineEmbeddingLoss(0.1), V, V, SIGNS),
    "TripletMarginLoss": row(lambda nn: nn.TripletMarginLoss(swap=True), V, V, V),
    "TripletMarginWithDistanceLoss": row(lambda nn: nn.TripletMarginWithDistanceLoss(margin=2.0), V, V, V),
    "MultiLabelMarginLoss": row(lambda nn: nn.MultiLabelMarginLoss(), V, np.array([[1, 0, -1, 2], [3, -1, 0, 0], [0, 1, 2, 3]])),
    "PairwiseDistance": row(lambda nn: nn.PairwiseDistance(1.5, keepdim=True), V, V),
    "CosineSimilarity": row(lambda nn: nn.CosineSimilarity(0), V, V),
    "AdaptiveLogSoftmaxWithLoss": row(
        lambda nn: nn.AdaptiveLogSoftmaxWithLoss(6, 9, [2, 5], 2.0, True), (5, 6), np.array([1, 8, 3, 0, 6])
    ),
    "CTCLoss": row(
        lambda nn: nn.Sequential(nn.LogSoftmax(-1), Pair(nn, nn.CTCLoss(), np.array([[1, 2], [3, 1]]), [6, 5], [2, 1])), (6, 2, 4)
    ),
    "LinearCrossEntropyLoss": row(lambda nn: nn.LinearCrossEntropyLoss(4, 5, bias=True), V, CLASSES),
    "LinearCrossEntropyLoss of images": row(
        lambda nn: nn.LinearCrossEntropyLoss(4, 5, out_features=(2,), label_smoothing=0.1), V, np.array([[1, 0], [2, 4], [0, 0]])
    ),
}  # fmt: skip


def Pair(nn: Any, loss: Any, target: np.ndarray, *further: Any) -> Any:  # noqa: N802 (a module)
    """A loss as a module of one input, with its target and further arguments."""

    class Paired(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.loss = loss

        def forward(self, input: Any) -> Any:
            library = sys.modules[nn.__name__.partition(".")[0]]
            return self.loss(input, library.tensor(target), *further)

    return Paired()


ROWS = LAYERS | LOSSES

# Classes without a row.
WITHOUT: dict[str, str] = {
    **dict.fromkeys(("FractionalMaxPool2d", "FractionalMaxPool3d"), "draws its windows; see the tests of its function"),
    **dict.fromkeys(("RNNBase", "RNNCellBase"), "is a base"),
    **dict.fromkeys(
        ("Module", "Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList"), "has no forward"
    ),
}
