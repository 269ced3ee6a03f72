"""Arguments of scenes: each a call that is right, of which parts are then changed (`recipes.changed`)."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable
from typing import Any

import numgrad as ng
from tests.ops.samples import SAMPLES
from tests.walk import recipes, scenes
from tests.walk.recipes import FLOATS, LAYOUTS, Recipe, literal, mapping, tensor

Rng = random.Random


def _f(rng: Rng, *shape: int, dtype: str = "float32") -> Recipe:
    layout = rng.choice((*LAYOUTS, "requires_grad"))
    return Recipe("tensor", (dtype, shape, layout, rng.choice(("normal", "normal", "special")), rng.randrange(99)))


def _l(*shape: int) -> Recipe:
    return Recipe("tensor", ("int64", shape, "plain", "zero", 0))


def _list(*members: Recipe, kind: type = list) -> Recipe:
    return Recipe("sequence", (kind, members))


def _given(**values: Any) -> Recipe:
    return mapping(**{name: value if isinstance(value, Recipe) else literal(value) for name, value in values.items()})


def _some(rng: Rng, **values: Any) -> Recipe:
    """Some of these options."""
    return _given(**{name: value for name, value in values.items() if rng.random() < 0.4})


# ---- modules ------------------------------------------------------------------------------------------------------


def _flag(rng: Rng) -> bool:
    return rng.random() < 0.5


def _activation(*args: Any, **options: Any) -> Callable[[Rng], tuple[list[Any], Recipe, list[Recipe]]]:
    return lambda rng: (list(args), _some(rng, **options), [_f(rng, 2, 3)])


def _loss(*shape: int, **options: Any) -> Callable[[Rng], tuple[list[Any], Recipe, list[Recipe]]]:
    extra = {"reduction": "sum", "reduce": None, "size_average": None}
    return lambda rng: ([], _some(rng, **extra, **options), [_f(rng, 2, 3), _f(rng, *shape) if shape else _l(2)])


_TYPE = Recipe("attribute", "float32")
# For each module: arguments of the constructor, some of its options, inputs that fit.
MODULES: dict[str, Callable[[Rng], tuple[list[Any], Recipe, list[Recipe]]]] = {
    "Linear": lambda rng: ([3, 2], _some(rng, bias=False, dtype=_TYPE, device="cpu"), [_f(rng, 4, 3)]),
    "Conv2d": lambda rng: (
        [2, 4, rng.choice((1, 2, 3, (2, 1)))],
        _some(rng, stride=2, padding=rng.choice((1, (1, 0), "same", "valid")), dilation=1, groups=2, bias=_flag(rng),
              padding_mode="zeros", dtype=_TYPE),
        [_f(rng, 1, 2, 5, 5)],
    ),
    "BatchNorm1d": lambda rng: (
        [3], _some(rng, eps=1e-3, momentum=rng.choice((0.1, None, 1)), affine=_flag(rng), track_running_stats=_flag(rng)),
        [_f(rng, 4, 3)],
    ),
    "BatchNorm2d": lambda rng: (
        [3], _some(rng, eps=1e-3, momentum=0.5, affine=_flag(rng), track_running_stats=_flag(rng), bias=_flag(rng)),
        [_f(rng, 2, 3, 2, 2)],
    ),
    "LayerNorm": lambda rng: (
        [rng.choice((3, (2, 3), [3]))], _some(rng, eps=1e-3, elementwise_affine=_flag(rng), bias=_flag(rng)),
        [_f(rng, 4, 2, 3)],
    ),
    "GroupNorm": lambda rng: ([2, 4], _some(rng, eps=1e-3, affine=_flag(rng)), [_f(rng, 2, 4, 3)]),
    "Embedding": lambda rng: (
        [5, 3], _some(rng, padding_idx=rng.choice((1, -1)), max_norm=None, scale_grad_by_freq=False, sparse=False),
        [_l(2, 2)],
    ),
    "Flatten": lambda rng: ([], _some(rng, start_dim=1, end_dim=-1), [_f(rng, 2, 3, 4)]),
    "MaxPool2d": lambda rng: (
        [rng.choice((1, 2, (2, 1)))],
        _some(rng, stride=rng.choice((1, 2, None, (2, 1))), padding=rng.choice((0, 1)), dilation=1, ceil_mode=_flag(rng),
              return_indices=_flag(rng)),
        [_f(rng, 1, 2, 5, 5)],
    ),
    "AvgPool2d": lambda rng: (
        [rng.choice((1, 2, (2, 1)))],
        _some(rng, stride=rng.choice((1, 2, None, (2, 1))), padding=rng.choice((0, 1)), ceil_mode=_flag(rng),
              count_include_pad=_flag(rng), divisor_override=3),
        [_f(rng, 1, 2, 5, 5)],
    ),
    "AdaptiveAvgPool2d": lambda rng: ([rng.choice((1, 2, (3, 2), (None, 2)))], _given(), [_f(rng, 1, 2, 5, 5)]),
    "MultiheadAttention": lambda rng: (
        [4, 2], _some(rng, dropout=0.1, bias=_flag(rng), batch_first=_flag(rng), kdim=4, vdim=4),
        [_f(rng, 3, 2, 4) for _ in range(3)],
    ),
    "TransformerEncoderLayer": lambda rng: (
        [4, 2],
        _some(rng, dim_feedforward=8, dropout=0.1, activation="gelu", layer_norm_eps=1e-3, batch_first=_flag(rng),
              norm_first=_flag(rng), bias=_flag(rng)),
        [_f(rng, 3, 2, 4)],
    ),
    **{name: lambda rng, more=more: (
        [3, 2], _some(rng, num_layers=2, bias=_flag(rng), batch_first=_flag(rng), bidirectional=_flag(rng), dtype=_TYPE, **more),
        [_f(rng, *rng.choice(((4, 2, 3), (4, 3))))],
    ) for name, more in {"RNN": {"nonlinearity": "relu"}, "LSTM": {"proj_size": 1}, "GRU": {}}.items()},
    **{name: lambda rng: ([3, 2], _some(rng, bias=_flag(rng), dtype=_TYPE), [_f(rng, *rng.choice(((4, 3), (3,))))])
       for name in ("RNNCell", "LSTMCell", "GRUCell")},
    "RNNBase": lambda rng: (["GRU", 3, 2], _some(rng, num_layers=2, bias=_flag(rng)), []),
    "RNNCellBase": lambda rng: ([3, 2, _flag(rng), 3], _given(), []),
    "ReLU": _activation(inplace=True), "SiLU": _activation(inplace=True), "Tanh": _activation(), "Sigmoid": _activation(),
    "LeakyReLU": _activation(negative_slope=0.1, inplace=False), "ELU": _activation(alpha=2.0, inplace=False),
    "GELU": _activation(approximate="tanh"), "Softplus": _activation(beta=2.0, threshold=5),
    "Softmax": _activation(dim=1), "LogSoftmax": _activation(dim=-1), "Dropout": _activation(p=0.3, inplace=False),
    "Identity": _activation(1, unused=2),
    "MSELoss": _loss(2, 3), "L1Loss": _loss(2, 3), "SmoothL1Loss": _loss(2, 3, beta=0.5),
    "HuberLoss": lambda rng: ([], _some(rng, reduction="sum", delta=0.5), [_f(rng, 2, 3), _f(rng, 2, 3)]),
    "BCEWithLogitsLoss": lambda rng: (
        [], _some(rng, weight=_f(rng, 3), pos_weight=_f(rng, 3), reduction="none"), [_f(rng, 2, 3), _f(rng, 2, 3)]
    ),
    "NLLLoss": lambda rng: _loss(weight=_f(rng, 3), ignore_index=1)(rng),
    "CrossEntropyLoss": lambda rng: _loss(weight=_f(rng, 3), ignore_index=1, label_smoothing=0.1)(rng),
    "Sequential": lambda rng: ([_module("Linear"), _module("ReLU")], _given(), [_f(rng, 4, 3)]),
    "ModuleList": lambda rng: ([_list(_module("Linear"))], _given(), []),
    "ModuleDict": lambda rng: ([_given(a=_module("Linear"))], _given(), []),
    "ParameterList": lambda rng: ([_list(_f(rng, 2))], _given(), []),
}  # fmt: skip


def _fixed(fill: str) -> Recipe:
    return Recipe("tensor", ("float32", (2, 3), "plain", fill, 0))


def _plain(args: list[Any], *shapes: tuple[int, ...]) -> Callable[[Rng], tuple[list[Any], Recipe, list[Recipe]]]:
    """A module with these arguments, for inputs of these shapes."""
    return lambda rng: (args, _given(), [_f(rng, *shape) for shape in shapes])


_LINE, _IMAGE, _VOLUME = (2, 3, 6), (2, 3, 6, 6), (2, 3, 4, 4, 4)
_BY_RANK = {"1d": _LINE, "2d": _IMAGE, "3d": _VOLUME}
_PAIR = (2, 3), (2, 3)
_ONE = Recipe("scalar", ("int8", 1))  # of layers, of which copies are made: rarely another number
MODULES |= {
    **{f"{kind}{rank}": _plain([2], shape) for rank, shape in _BY_RANK.items() for kind in (
        "AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "MaxPool", "ReflectionPad", "ReplicationPad", "CircularPad", "ZeroPad",
    ) if f"{kind}{rank}" not in MODULES},
    **{f"LPPool{rank}": _plain([2, 2], shape) for rank, shape in _BY_RANK.items()},
    **{f"ConstantPad{rank}": _plain([1, 0.5], shape) for rank, shape in _BY_RANK.items()},
    **{f"Dropout{rank}": _plain([0.5], shape) for rank, shape in _BY_RANK.items()},
    **{f"InstanceNorm{rank}": _plain([3], shape) for rank, shape in _BY_RANK.items()},
    **{f"ConvTranspose{rank}": _plain([3, 2, 2], shape) for rank, shape in _BY_RANK.items()},
    **{f"MaxUnpool{rank}": lambda rng, s=shape: ([2], _given(), [_f(rng, *s), _l(*s)]) for rank, shape in _BY_RANK.items()},
    "Conv1d": _plain([3, 2, 2], _LINE), "Conv3d": _plain([3, 2, 2], _VOLUME), "BatchNorm3d": _plain([3], _VOLUME),
    "LocalResponseNorm": _plain([2], _IMAGE), "RMSNorm": _plain([3], (4, 3)), "Bilinear": _plain([3, 4, 2], (2, 3), (2, 4)),
    "EmbeddingBag": lambda rng: ([5, 3], _given(), [_l(2, 2)]), "PReLU": _plain([3], _IMAGE),
    "CosineSimilarity": _plain([], *_PAIR), "PairwiseDistance": _plain([], *_PAIR), "GLU": _plain([], (2, 4)),
    "ChannelShuffle": _plain([3], _IMAGE), "PixelShuffle": _plain([2], (1, 4, 2, 2)), "PixelUnshuffle": _plain([2], _IMAGE),
    "Unfold": _plain([2], _IMAGE), "Fold": _plain([(3, 3), 2], (1, 4, 4)), "Unflatten": _plain([1, (1, 3)], (2, 3)),
    "Upsample": _plain([None, 2], _IMAGE), "UpsamplingBilinear2d": _plain([None, 2], _IMAGE),
    "UpsamplingNearest2d": _plain([None, 2], _IMAGE), "Softmax2d": _plain([], _IMAGE), "Softmin": _plain([1], (2, 3)),
    "Threshold": _plain([0.1, 20], (2, 3)),
    **{name: _plain([], (2, 3)) for name in (
        "AlphaDropout", "CELU", "FeatureAlphaDropout", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LogSigmoid", "Mish",
        "RReLU", "ReLU6", "SELU", "Softshrink", "Softsign", "Tanhshrink",
    )},
    **{name: _plain([], *_PAIR) for name in (
        "HingeEmbeddingLoss", "KLDivLoss", "MultiLabelSoftMarginLoss", "PoissonNLLLoss", "SoftMarginLoss",
    )},
    # Probabilities, a variance; and no NaN, which torch compares as if it were small.
    "BCELoss": lambda rng: ([], _given(), [_fixed("zero"), _fixed("zero")]),
    "GaussianNLLLoss": lambda rng: ([], _given(), [_f(rng, 2, 3), _f(rng, 2, 3), _fixed("zero")]),
    "CosineEmbeddingLoss": _plain([], *_PAIR, (2,)),
    "MarginRankingLoss": _plain([], (2,), (2,), (2,)), "TripletMarginLoss": _plain([], *_PAIR, (2, 3)),
    "TripletMarginWithDistanceLoss": _plain([], *_PAIR, (2, 3)),
    "MultiLabelMarginLoss": lambda rng: ([], _given(), [_fixed("normal"), _l(2, 3)]),
    "MultiMarginLoss": lambda rng: ([], _given(), [_f(rng, 2, 3), _l(2)]),
    **{f"{kind}{rank}": _plain([2, 2], shape) for kind in ("LazyConv", "LazyConvTranspose") for rank, shape in _BY_RANK.items()},
    **{f"{kind}{rank}": _plain([], shape) for kind in ("LazyBatchNorm", "LazyInstanceNorm") for rank, shape in _BY_RANK.items()},
    "LazyLinear": _plain([2], (4, 3)), "SyncBatchNorm": _plain([3], _IMAGE),
    "CrossMapLRN2d": _plain([1], (2, 1, 6, 6)),  # of more channels torch's sums are others
    "NLLLoss2d": lambda rng: ([], _given(), [_f(rng, 2, 3, 2, 2), _l(2, 2, 2)]),
    "AdaptiveLogSoftmaxWithLoss": lambda rng: ([4, 6, [2]], _given(), [_f(rng, 3, 4), _l(3)]),
    "LinearCrossEntropyLoss": lambda rng: ([3, 4], _given(), [_f(rng, 2, 3), _l(2)]),
    "Transformer": _plain([4, 2, _ONE, _ONE, 8, 0.1], (3, 2, 4), (2, 2, 4)),
    "TransformerDecoderLayer": _plain([4, 2, 8, 0.1], (3, 2, 4), (2, 2, 4)),
    "TransformerEncoder": lambda rng: ([_module("TransformerEncoderLayer"), _ONE], _given(), [_f(rng, 3, 2, 4)]),
    "TransformerDecoder": lambda rng: (
        [_module("TransformerDecoderLayer"), _ONE], _given(), [_f(rng, 3, 2, 4), _f(rng, 2, 2, 4)]
    ),
    "DataParallel": lambda rng: ([_module("Linear")], _given(), [_f(rng, 4, 3)]),
    "Container": lambda rng: ([], _given(a=_module("Linear")), []),
    "ParameterDict": lambda rng: ([_given(a=_f(rng, 2))], _given(), []),
}  # fmt: skip


MODULES |= {
    "CTCLoss": lambda rng: ([], _some(rng, reduction="sum", zero_infinity=True), [_f(rng, 4, 2, 3), _l(2, 2), _l(2), _l(2)]),
    # Windows of one place have no choice.
    "FractionalMaxPool2d": _plain([1, 6], _IMAGE), "FractionalMaxPool3d": _plain([1, 4], _VOLUME),
}  # fmt: skip


def _module(name: str) -> Recipe:
    return Recipe("module", name)


def _as_recipes(values: list[Any]) -> Recipe:
    return _list(*(value if isinstance(value, Recipe) else literal(value) for value in values))


def _of_module(rng: Rng, name: str) -> list[Recipe]:
    args, kwargs, inputs = MODULES[name](rng)
    return [_as_recipes(args), kwargs, literal(_flag(rng)), _list(*inputs)]


# ---- optimizers, schedulers ---------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "dampening": 0, "weight_decay": 0.01, "nesterov": True, "maximize": True},
    "Adam": {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 1, "amsgrad": True, "maximize": True},
    "AdamW": {"lr": 1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.01, "amsgrad": False, "maximize": False},
    "Adamax": {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 1, "maximize": True},
    "NAdam": {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 1, "momentum_decay": 0.1, "maximize": True},
    "RAdam": {"lr": 0.1, "betas": (0.9, 0.9), "eps": 1e-8, "weight_decay": 1, "decoupled_weight_decay": True},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 1, "initial_accumulator_value": 0.5, "eps": 1e-8},
    "Adadelta": {"lr": 1, "rho": 0.9, "eps": 1e-6, "weight_decay": 1, "maximize": True},
    "RMSprop": {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 1, "momentum": 0.9, "centered": True},
    "Rprop": {"lr": 0.1, "etas": (0.5, 1.2), "step_sizes": (0.01, 1), "maximize": True},
    "ASGD": {"lr": 0.1, "lambd": 0.1, "alpha": 0.75, "t0": 1, "weight_decay": 1, "maximize": True},
    "Adafactor": {"lr": 0.1, "beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1, "weight_decay": 1, "maximize": True},
    "Muon": {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.9, "nesterov": True, "eps": 1e-7, "ns_steps": 2},
    "LBFGS": {"lr": 1, "max_iter": 3, "max_eval": 5, "tolerance_grad": 1e-7, "history_size": 2},
}
_EXECUTION = {
    **{name: {"foreach": None, "fused": None, "differentiable": False} for name in ("SGD", "Adam", "AdamW", "Adagrad")},
    **{name: {"foreach": None, "capturable": False, "differentiable": False} for name in (
        "Adamax", "NAdam", "RAdam", "Adadelta", "RMSprop", "Rprop", "ASGD",
    )},
    "Adafactor": {"foreach": None}, "Muon": {}, "LBFGS": {},
}  # fmt: skip
SCHEDULERS: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 2, "gamma": 0.5, "last_epoch": -1},
    "MultiStepLR": {"milestones": [1, 3], "gamma": 0.5, "last_epoch": -1},
    "ExponentialLR": {"gamma": 0.5, "last_epoch": -1},
    "LinearLR": {"start_factor": 0.5, "end_factor": 1.0, "total_iters": 3, "last_epoch": -1},
    "CosineAnnealingLR": {"T_max": 4, "eta_min": 0.01, "last_epoch": -1},
    "LambdaLR": {"lr_lambda": Recipe("callable", "number"), "last_epoch": -1},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": 9, "epochs": 2, "steps_per_epoch": 5, "pct_start": 0.3,
                   "anneal_strategy": "linear", "three_phase": True, "div_factor": 25, "final_div_factor": 10},
    "ReduceLROnPlateau": {"mode": "min", "factor": 0.5, "patience": 1, "threshold": 0.1, "threshold_mode": "rel",
                          "cooldown": 1, "min_lr": 0, "eps": 1e-8},
    "MultiplicativeLR": {"lr_lambda": Recipe("callable", "number"), "last_epoch": -1},
    "ConstantLR": {"factor": 0.5, "total_iters": 3, "last_epoch": -1},
    "PolynomialLR": {"total_iters": 4, "power": 2.0, "last_epoch": -1},
    "CosineAnnealingWarmRestarts": {"T_0": 2, "T_mult": 2, "eta_min": 0.01, "last_epoch": -1},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 2, "step_size_down": 3, "mode": "triangular2", "gamma": 0.9,
                 "scale_mode": "cycle", "cycle_momentum": True, "base_momentum": 0.8, "max_momentum": 0.9},
}  # fmt: skip
_REQUIRED = ("step_size", "milestones", "T_max", "lr_lambda", "max_lr", "total_steps", "T_0", "base_lr")


def _of_optimizer(rng: Rng, name: str) -> list[Recipe]:
    options = {**OPTIMIZERS[name], **_EXECUTION[name]}
    allowed = ((2, 3), (4, 2)) if name == "Muon" else ((2, 3), (3,), (), (0,), (4, 2))
    shapes = [rng.choice(allowed) for _ in range(rng.choice((1, 2, 3)))]
    dtype = rng.choice(FLOATS)
    seeds = [rng.randrange(99) for _ in shapes]
    leaves = [
        Recipe("tensor", (dtype, shape, "requires_grad", "normal", seed))
        for shape, seed in zip(shapes, seeds, strict=True)
    ]
    grads = [_f(rng, *shape, dtype=dtype) if rng.random() < 0.9 else literal(None) for shape in shapes]
    groups = [_given(params=_list(leaf), **({"lr": 0.5} if _flag(rng) else {})) for leaf in leaves]
    entry = rng.choice((*OPTIMIZERS[name], "state", "param_groups", "moments", "params", "nothing"))
    value = recipes.changed(rng, literal(options.get(entry)), 0.5)
    return [
        _list(*(leaves if _flag(rng) else groups)),
        _some(rng, **options),
        _list(*grads),
        _list(literal(entry), value),
    ]


def _of_scheduler(rng: Rng, name: str) -> list[Recipe]:
    options = {
        option: value if isinstance(value, Recipe) else literal(value)
        for option, value in SCHEDULERS[name].items()
        if option in _REQUIRED or _flag(rng) or (option == "gamma" and name == "ExponentialLR")
    }
    names = (
        "last_epoch",
        "base_lrs",
        "_step_count",
        "_last_lr",
        "gamma",
        "milestones",
        "best",
        "num_bad_epochs",
        "mode",
    )
    entry = _list(literal(rng.choice(names)), recipes.hostile(rng)) if rng.random() < 0.3 else literal(None)
    return [mapping(**options), literal(rng.choice((1.0, 2, 0.5))), entry]


# ---- functions of functions ---------------------------------------------------------------------------------------


def _function(rng: Rng) -> Recipe:
    return Recipe("callable", rng.choice((*("square_sum", "mixed") * 4, *recipes.CALLABLES)))


def _leaf(rng: Rng) -> Recipe:
    shape = rng.choice(((2, 3), (3,), (), (1, 4)))
    layout = rng.choice(("plain", "requires_grad"))
    return Recipe("tensor", (rng.choice(("float64", "float64", "float32")), shape, layout, "normal", rng.randrange(99)))


def _inputs(rng: Rng) -> Recipe:
    return _list(*(_leaf(rng) for _ in range(rng.choice((1, 1, 2)))), kind=tuple)


_TRANSFORMS: dict[str, dict[str, Any]] = {
    "grad": {"argnums": 0, "has_aux": False}, "value_and_grad": {"argnums": 0}, "grad_and_value": {"argnums": (0,)},
    "jacrev": {"argnums": 0, "chunk_size": 2}, "jacfwd": {"argnums": 0, "randomness": "error"}, "hessian": {"argnums": 0},
    "vmap": {"in_dims": 0, "out_dims": 0, "randomness": "error", "chunk_size": 1},
}  # fmt: skip


def _of_func(rng: Rng, name: str) -> list[Recipe]:
    inputs = _inputs(rng)
    if name in _TRANSFORMS:
        return [_list(_function(rng)), _some(rng, **_TRANSFORMS[name]), inputs]
    if name == "jvp":
        return [_list(_function(rng), inputs, inputs), _some(rng, strict=False, has_aux=False), inputs]
    if name == "functional_call":
        args = _given(), rng.choice((_f(rng, 4, 3), _list(_f(rng, 4, 3), kind=tuple)))
        return [_list(_module("Sequential"), *args), _some(rng, tie_weights=True, strict=False), _list()]
    if name == "stack_module_state":
        return [_list(_list(_module("Linear"), _module("Linear"))), _given(), _list()]
    return [_list(_function(rng), *inputs.value[1]), _some(rng, has_aux=False), inputs]  # vjp, linearize


_FUNCTIONAL = {"jacobian": {"create_graph": True, "strict": False, "vectorize": True}, "hessian": {"vectorize": False}}
_PRODUCTS = {"jvp": {"create_graph": True}, "vjp": {"strict": True}, "hvp": {}, "vhp": {}}
_CHECKS = {"eps": 1e-6, "atol": 1e-5, "rtol": 1e-3, "raise_exception": False, "check_undefined_grad": True,
           "nondet_tol": 0.0, "check_batched_grad": False, "fast_mode": False}  # fmt: skip


def _of_autograd(rng: Rng, name: str) -> list[Recipe]:
    module, _, last = name.rpartition(".")
    if module == "functional":
        inputs = _inputs(rng) if _flag(rng) else _leaf(rng)
        if last in _FUNCTIONAL:
            return [_list(_function(rng), inputs), _some(rng, **_FUNCTIONAL[last])]
        return [_list(_function(rng), inputs, inputs), _some(rng, **_PRODUCTS[last])]
    if last in ("gradcheck", "gradgradcheck"):
        return [_list(_function(rng), _inputs(rng)), _some(rng, **_CHECKS)]
    return [_list(_leaf(rng)), _given()]


AUTOGRAD = (
    *(f"functional.{name}" for name in (*_FUNCTIONAL, *_PRODUCTS)), "gradcheck", "gradgradcheck", "graph.increment_version",
    "graph.get_gradient_edge", "forward_ad.unpack_dual",
)  # fmt: skip


def _of_gradient(rng: Rng, name: str) -> list[Recipe]:
    options: dict[str, Any] = {"retain_graph": True, "create_graph": _flag(rng), "grad_tensors": _leaf(rng)}
    if name == "grad":
        options |= {
            "allow_unused": True,
            "grad_outputs": _leaf(rng),
            "is_grads_batched": False,
            "materialize_grads": True,
        }
        del options["grad_tensors"]
    leaf = Recipe("tensor", ("float64", (2, 3), "requires_grad", "normal", rng.randrange(99)))
    return [_function(rng), _list(leaf, kind=tuple), _some(rng, **options)]


# ---- the rest -----------------------------------------------------------------------------------------------------


OF_PARAMETERS = (  # the others are functions of modules
    "clip_grad_norm_", "clip_grad_norm", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector",
    "vector_to_parameters",
)  # fmt: skip


def _of_utils(rng: Rng, name: str) -> list[Recipe]:
    leaves = [_leaf(rng) for _ in range(2)]
    params, grads = _list(*leaves), _list(*leaves)
    if name == "get_total_norm":
        return [params, grads, _list(), _some(rng, norm_type=1, error_if_nonfinite=True)]
    if name == "vector_to_parameters":
        count = sum(math.prod(leaf.value[1]) for leaf in leaves)
        return [params, grads, _list(_f(rng, count)), _given()]
    norm = {"max_norm": 1}
    bound = {
        "clip_grad_norm_": norm, "clip_grad_norm": norm, "clip_grad_value_": {"clip_value": 1},
        "clip_grads_with_norm_": {**norm, "total_norm": _f(rng)},
    }.get(name, {})  # fmt: skip
    optional = _some(rng, norm_type=3, error_if_nonfinite=True) if name == "clip_grad_norm_" else _given()
    return [params, grads, _list(), mapping(**{**dict(_given(**bound).value), **dict(optional.value)})]


def _of_attribute(rng: Rng, name: str) -> list[Recipe]:
    if name in ("grad", "data") and _flag(rng):
        leaf = _leaf(rng)
        return [leaf, leaf]
    return [tensor(rng), rng.choice((tensor(rng), literal(True)))]


def _of_object(rng: Rng, name: str) -> list[Recipe]:
    kind, _, method = name.partition(".")
    try:
        parameters = list(inspect.signature(getattr(scenes.kind_of(ng, kind), method)).parameters.values())[1:]
    except ValueError:  # a method written in C
        parameters = []
    args = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY) or (
            parameter.default is not parameter.empty and _flag(rng)
        ):
            break
        args.append(_plain(rng, parameter.name))
    if not parameters:
        args = [_plain(rng, "index") for _ in range(rng.choice((0, 1, 1, 2)))]
    return [_list(*args), _given()]


def _plain(rng: Rng, name: str) -> Recipe:
    if name in ("module", "modules", "value", "other"):
        return rng.choice((_module("Linear"), _module("ReLU"), _list(_module("ReLU")), _leaf(rng)))
    if name in ("name", "target", "key", "prefix"):
        return literal(rng.choice(("a", "b", "0", "weight", "0.weight", "new", "", "a.b")))
    if name in ("idx", "index", "i"):
        return recipes.index(rng) if rng.random() < 0.3 else literal(rng.choice((0, 1, -1, 2, 5)))
    if name in ("fn", "hook", "closure"):
        return _function(rng)
    if name in ("state_dict", "param_group"):
        members = {"0.weight": _f(rng, 2, 3), "0.bias": _f(rng, 2), "params": _list(_leaf(rng)), "state": _given()}
        return mapping(**{each: value for each, value in members.items() if _flag(rng)})
    if name in ("tensor", "param", "parameter"):
        return _leaf(rng)
    return rng.choice((literal(True), literal(1), Recipe("attribute", "float64"), literal("cpu"), literal(None)))


_NO_METHODS = ("forward", "half", "apply", "check_options", "wrapped")
_DUNDERS = ("__getitem__", "__setitem__", "__delitem__", "__add__", "__iadd__", "__mul__", "__contains__", "__len__",
            "__setattr__", "__getattr__", "__eq__", "__copy__", "__deepcopy__", "__call__")  # fmt: skip


_VALUES = ("Size", "Generator", "dtype", "memory_format")


def _methods() -> list[str]:
    kinds = {kind: scenes.kind_of(ng, kind) for kind in scenes.OBJECTS}
    return [
        f"{kind}.{name}"
        for kind, owner in kinds.items()
        for name in dir(owner)
        if callable(getattr(owner, name))
        and (not name.startswith("_") or name in _DUNDERS)
        and name not in _NO_METHODS
        and (name != "__setattr__" or kind not in _VALUES)  # which all calls share
        and (name != "update" or kind == "ModuleDict")
        and (kind in ("Module", "SGD", *_VALUES) or name in vars(owner) or name in _DUNDERS)
    ]


CLASSES = {
    "Tensor": lambda rng: [_f(rng, 2)] if _flag(rng) else [literal(2), literal(3)],
    "nn.Parameter": lambda rng: [_leaf(rng), literal(True)],
    "Size": lambda rng: [_as_recipes([2, 3])],
    "Generator": lambda rng: [literal("cpu")] if _flag(rng) else [],
    "nn.Module": lambda rng: [],
    "optim.Optimizer": lambda rng: [_list(_leaf(rng)), _given(lr=0.1)],
    "dtype": lambda rng: [literal("float32")],
    "memory_format": lambda rng: [literal("x")],
    "no_grad": lambda rng: [Recipe("callable", "sine")] if _flag(rng) else [],
    "inference_mode": lambda rng: [literal(False)],
}  # fmt: skip
_ATTRIBUTES = ("grad", "data", "requires_grad", "shape", "dtype", "T", "grad_fn", "is_leaf", "_version", "new")


def _of_op(rng: Rng, name: str) -> list[Recipe]:
    rows = SAMPLES[name]
    position = rng.randrange(len(rows))
    row = rows[position]
    dtype = rng.choice(FLOATS)
    arrays = row.arrays(dtype)
    inputs = [
        literal(None)
        if array is None
        else Recipe(
            "sample", (name, position, place, dtype, rng.choice(LAYOUTS) if place not in row.changes else "plain")
        )
        for place, array in enumerate(arrays)
    ]
    return [_list(*inputs), mapping(**{each: _param(value) for each, value in row.params.items()})]


def _param(value: Any) -> Recipe:
    if isinstance(value, ng.dtype):
        return Recipe("attribute", value.name)
    if isinstance(value, tuple):
        return _list(*(_param(each) for each in value), kind=tuple)
    return literal(value)


def _of_file(rng: Rng, name: str) -> list[Recipe]:
    members = {"a": tensor(rng), "b": _list(tensor(rng), literal(2.5)), "c": literal({"d": (1, None, "x")})}
    content = rng.choice((mapping(**members), tensor(rng), _module("Linear"), recipes.hostile(rng)))
    load = _some(rng, weights_only=True, map_location="cpu", mmap=False)
    return [content, _given(), literal(rng.randrange(3000)), literal(rng.randrange(256)), load]


_KINDS: dict[str, tuple[Callable[[], Any], Callable[[Rng, str], list[Recipe]]]] = {
    "module": (lambda: MODULES, _of_module),
    "optimizer": (lambda: OPTIMIZERS, _of_optimizer),
    "scheduler": (lambda: SCHEDULERS, _of_scheduler),
    "func": (lambda: ng.func.__all__, _of_func),
    "autograd": (lambda: AUTOGRAD, _of_autograd),
    "gradient": (lambda: ("grad", "backward"), _of_gradient),
    "forward_mode": (lambda: ("dual",), lambda rng, name: [_function(rng), _leaf(rng), _leaf(rng)]),
    "hook": (lambda: ("leaf", "result"), lambda rng, name: [_leaf(rng), _function(rng)]),
    "checkpoint": (
        lambda: ("checkpoint",),
        lambda rng, name: [
            _list(_function(rng), _leaf(rng)), _some(rng, use_reentrant=False, preserve_rng_state=True, debug=False)
        ],
    ),
    "in_utils": (
        lambda: OF_PARAMETERS,
        _of_utils,
    ),
    "object": (_methods, _of_object),
    "attribute": (lambda: _ATTRIBUTES, _of_attribute),
    "made": (lambda: CLASSES, lambda rng, name: [_list(*CLASSES[name](rng)), _given()]),
    "file": (lambda: ("spoiled", "cut", "whole"), _of_file),
    "op": (lambda: SAMPLES, _of_op),
}  # fmt: skip
WEIGHT = {"op": 1, "module": 4, "optimizer": 20, "scheduler": 8, "func": 8, "gradient": 10, "file": 8}  # draws of each
FIXED = {"module": (2,), "file": (2, 3), "gradient": (1,)}  # arguments of the scene itself


def names() -> list[str]:
    """All targets that are scenes, as ``KIND:NAME``; those that have many ways to go several times."""
    return [
        f"{kind}:{name}" for kind, (table, _) in _KINDS.items() for name in table() for _ in range(WEIGHT.get(kind, 1))
    ]


def arguments(rng: Rng, target: str) -> list[Recipe]:
    """Arguments of a scene: a call that is right, with some chance for each part to be something else."""
    kind, _, name = target.partition(":")
    bold = rng.choice((0.0, 0.1, 0.25, 0.5))
    made = []
    for place, recipe in enumerate(_KINDS[kind][1](rng, name)):
        if place in FIXED.get(kind, ()):
            made.append(recipe)
            continue
        drawn = recipes.changed(rng, recipe, bold)
        # Positional and named arguments stay what can be unpacked.
        is_whole = recipe.kind == "mapping" or (recipe.kind == "sequence" and kind not in ("optimizer", "in_utils"))
        made.append(recipe if is_whole and drawn.kind != recipe.kind else drawn)
    return [literal(name), *made]
