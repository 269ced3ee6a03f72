"""The classes of `numgrad.nn` at torch's addresses, such as ``nn.modules.linear.Linear``; each is the one of `numgrad.nn`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from numgrad.nn import (
    activation,
    adaptive,
    attention,
    batchnorm,
    containers,
    conv,
    convolutions,
    distances,
    embeddings,
    global_hooks,
    hooks,
    lazy,
    likelihoods,
    linear,
    loss,
    module,
    norm,
    padding,
    parameter,
    parameter_containers,
    pooling,
    pooling_fractions,
    pooling_volumes,
    rearranging,
    rectifiers,
    recurrent,
    recurrent_cells,
    state,
    transformer,
)
from numgrad.nn.modules import utils as utils
from numgrad.tensor.printing import indented

_SOURCES = (
    activation, adaptive, attention, batchnorm, containers, conv, convolutions, distances, embeddings, lazy, likelihoods, linear,
    loss, module, norm, padding, parameter_containers, pooling, pooling_fractions, pooling_volumes, rearranging, rectifiers,
    recurrent, recurrent_cells, transformer,
)  # fmt: skip

_PUBLIC = {name: getattr(source, name) for source in _SOURCES for name in source.__all__}

# torch's files: the public classes that are there.
_NAMES = {
    "activation": """CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish
        MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink Softsign
        Tanh Tanhshrink Threshold""",
    "adaptive": "AdaptiveLogSoftmaxWithLoss",
    "batchnorm": """BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d SyncBatchNorm""",
    "channelshuffle": "ChannelShuffle",
    "container": "Container ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "conv": """Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d
        LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d""",
    "distance": "CosineSimilarity PairwiseDistance",
    "dropout": "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "instancenorm": """InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d LazyInstanceNorm2d
        LazyInstanceNorm3d""",
    "lazy": "",
    "linear": "Bilinear Identity LazyLinear Linear",
    "loss": """BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss
        HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss MSELoss MarginRankingLoss MultiLabelMarginLoss
        MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss SoftMarginLoss
        TripletMarginLoss TripletMarginWithDistanceLoss""",
    "module": "Module",
    "normalization": "CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm",
    "padding": """CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d
        ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d""",
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": """AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
        AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d
        LPPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d""",
    "rnn": "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    "sparse": "Embedding EmbeddingBag",
    "transformer": """Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer""",
    "upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
}

# What programs import besides, mostly base classes to ask for the kind of a module.
_OTHERS: dict[str, dict[str, Any]] = {
    "batchnorm": {"_BatchNorm": batchnorm._BatchNorm, "_NormBase": batchnorm._NormBase},
    "conv": {"_ConvNd": conv._Convolution, "_ConvTransposeNd": convolutions._Transposed},
    "dropout": {"_DropoutNd": activation._Dropout},
    "instancenorm": {"_InstanceNorm": batchnorm._InstanceNorm},
    "lazy": {"LazyModuleMixin": lazy.LazyModuleMixin},
    "linear": {"NonDynamicallyQuantizableLinear": linear.NonDynamicallyQuantizableLinear},
    "loss": {"_Loss": loss.Loss},
    "module": {
        **{
            name: value
            for name, value in vars(global_hooks).items()
            if name.startswith(("register_module", "_global_"))
        },
        "_IncompatibleKeys": state.LoadResult,
        "_EXTRA_STATE_KEY_SUFFIX": state.EXTRA_STATE,
        "_addindent": indented,
        "Parameter": parameter.Parameter,
        "RemovableHandle": hooks.RemovableHandle,
    },
    "pooling": {
        "_AdaptiveAvgPoolNd": pooling._AdaptiveAvgPool,
        "_AdaptiveMaxPoolNd": pooling_volumes._AdaptiveMaxPool,
        "_AvgPoolNd": pooling._AvgPool,
        "_LPPoolNd": pooling_volumes._LPPool,
        "_MaxPoolNd": pooling._MaxPool,
        "_MaxUnpoolNd": pooling_volumes._MaxUnpool,
    },
}


def _address(name: str) -> ModuleType:
    """A module of Python with some of the names, importable by its own."""
    members = {each: _PUBLIC[each] for each in _NAMES[name].split()}
    others = _OTHERS.get(name, {})
    shown = [each for each in others if each.startswith(("register_", "Lazy"))]
    address = ModuleType(f"{__name__}.{name}", f"Names of `numgrad.nn` at torch's address ``nn.modules.{name}``.")
    vars(address).update(members, **others, __all__=sorted([*members, *shown]))
    sys.modules[address.__name__] = address
    return address


globals().update(_PUBLIC)
globals().update({name: _address(name) for name in _NAMES})

__all__ = sorted(_PUBLIC)
