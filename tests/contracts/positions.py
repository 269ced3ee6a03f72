"""Calls by position over both libraries: what every public function may be given, and what each library makes of it."""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

POOL: list[Any] = [None, True, False, 0, 1, -1, 2, 0.5, (0, 1), (1,), "mean", "sum", "none"]
NAN, INF = float("nan"), float("inf")
NUMBERS = [-1, -1.0, 0, 0.0, 0.5, 1, 1.0, 1.5, 2, 3, 7, NAN, INF, True, None, "a", (1, 2), [2]]
MOST = 260  # calls with a given number of extra arguments; of more a sample is drawn

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]], np.float32)
IMAGE = (np.arange(2 * 2 * 4 * 4, dtype=np.float32).reshape(2, 2, 4, 4) * 7 % 11) - 4


Case = Callable[[Any], Any]


def f32(*shape: int) -> np.ndarray:
    """Values of a shape, positive and negative."""
    return np.linspace(-1, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def tensor(lib: Any, values: Any) -> Any:
    return lib.tensor(np.array(values))


def vector(lib: Any) -> Any:
    return tensor(lib, np.array([0.5, -1.0, 2.0], np.float32))


def x(lib: Any) -> Any:
    return tensor(lib, X)


def _x(lib: Any) -> tuple[Any, ...]:
    return (x(lib),)


def _two(lib: Any) -> tuple[Any, ...]:
    return x(lib), tensor(lib, X[::-1].copy())


def _classes(lib: Any) -> tuple[Any, ...]:
    return x(lib), tensor(lib, [2, 0])


def _probabilities(lib: Any) -> tuple[Any, ...]:
    return x(lib), tensor(lib, np.full((2, 3), 1 / 3, np.float32))


def _probabilities_of_two(lib: Any) -> tuple[Any, ...]:
    return tensor(lib, np.full((2, 3), 0.25, np.float32)), tensor(lib, np.full((2, 3), 0.5, np.float32))


def _image(lib: Any) -> tuple[Any, ...]:
    return (tensor(lib, IMAGE),)


def _convolution(lib: Any) -> tuple[Any, ...]:
    return tensor(lib, IMAGE), tensor(lib, np.ones((2, 2, 2, 2), np.float32))


def _nothing(lib: Any) -> tuple[Any, ...]:
    return ()


def _optimizer(lib: Any) -> tuple[Any, ...]:
    return (lib.optim.SGD([lib.nn.Parameter(lib.ones(2))], 0.1, 0.9),)


def _parameters(lib: Any) -> tuple[Any, ...]:
    return ([lib.nn.Parameter(lib.ones(2))],)


def _index(lib: Any) -> tuple[Any, ...]:
    return x(lib), 1, tensor(lib, [[2, 0], [1, 1]])


# name -> (its first arguments, the most of further ones); "T." is a method of Tensor.
CALLS: dict[str, tuple[Callable[[Any], tuple[Any, ...]], int]] = {
    **{
        f"{owner}{name}": (_x, most)
        for owner in ("", "T.")
        for name, most in {
            "sum": 2, "mean": 2, "prod": 2, "var": 3, "std": 3, "norm": 3, "amax": 2, "amin": 2, "max": 2, "min": 2,
            "argmax": 2, "argmin": 2, "all": 2, "any": 2, "softmax": 2, "log_softmax": 2, "squeeze": 1, "unsqueeze": 1,
            "flatten": 2, "transpose": 2, "narrow": 3, "select": 2, "unbind": 1, "split": 2, "chunk": 2, "clamp": 2,
            "add": 2, "sub": 2, "mul": 1, "div": 1, "pow": 1, "eq": 1, "lt": 1, "round": 1, "sign": 1, "t": 1, "clone": 1,
            "cumsum": 1, "cumprod": 1, "cummax": 1, "logcumsumexp": 1, "diff": 2, "sort": 2, "argsort": 2, "topk": 2,
            "kthvalue": 2, "median": 2, "mode": 2, "quantile": 2, "nansum": 2, "nanmean": 2, "logsumexp": 2,
            "count_nonzero": 1, "unique": 2, "histc": 2, "renorm": 3,
        }.items()
    },
    **{f"T.{name}": (_x, most) for name, most in {
        "size": 1, "stride": 1, "fill_": 1, "clamp_": 2, "add_": 2, "sub_": 2, "view": 2, "reshape": 2, "permute": 2,
        "expand": 2, "requires_grad_": 1, "is_contiguous": 1, "numel": 1, "item": 1, "detach": 1, "exp_": 1,
    }.items()},
    "reshape": (_x, 2), "permute": (_x, 2), "cat": (lambda lib: ([x(lib), x(lib)],), 2),
    "stack": (lambda lib: ([x(lib), x(lib)],), 2), "where": (lambda lib: (x(lib) > 0,), 2),
    "index_select": (lambda lib: (x(lib), 1, tensor(lib, [2, 0])), 1), "gather": (_index, 1), "T.gather": (_index, 1),
    "allclose": (_two, 3), "equal": (_two, 1), "maximum": (_two, 1), "matmul": (_x, 1),
    "dot": (lambda lib: (vector(lib), vector(lib)), 1),
    "full": (_nothing, 3), "zeros": (_nothing, 2), "ones": (_nothing, 2), "arange": (_nothing, 4), "linspace": (_nothing, 4),
    "eye": (_nothing, 2), "zeros_like": (_x, 1), "ones_like": (_x, 1), "full_like": (_x, 2),
    "bernoulli": (lambda lib: (lib.ones(2),), 1), "dropout": (lambda lib: (x(lib), 1.0), 1),
    "F.mse_loss": (_two, 3), "F.l1_loss": (_two, 3), "F.smooth_l1_loss": (_two, 4), "F.huber_loss": (_two, 2),
    "F.binary_cross_entropy_with_logits": (_probabilities, 4), "F.nll_loss": (_classes, 4), "F.cross_entropy": (_classes, 4),
    "cross entropy of probabilities": (_probabilities, 4), "weighted nll": (lambda lib: (*_classes(lib), vector(lib)), 4),
    "weighted cross entropy": (lambda lib: (*_classes(lib), vector(lib)), 4),
    "embedding": (lambda lib: (x(lib), tensor(lib, [1, 0])), 3), "F.embedding": (lambda lib: (tensor(lib, [1, 0]), x(lib)), 3),
    "F.softmax": (_x, 3), "F.log_softmax": (_x, 3), "F.normalize": (_x, 3), "F.softplus": (_x, 2), "F.elu": (_x, 2),
    "F.leaky_relu": (_x, 2), "F.gelu": (_x, 1), "F.dropout": (lambda lib: (x(lib), 1.0), 2), "F.pad": (_x, 3),
    "F.layer_norm": (_x, 2), "F.group_norm": (_image, 3), "F.batch_norm": (_image, 3), "batch_norm": (_image, 4),
    "F.linear": (lambda lib: (x(lib), lib.ones(2, 3)), 2), "conv2d": (_convolution, 4), "F.conv2d": (_convolution, 4),
    "F.max_pool2d": (_image, 4), "F.avg_pool2d": (_image, 4), "F.adaptive_avg_pool2d": (_image, 2),
    "F.scaled_dot_product_attention": (lambda lib: (x(lib), x(lib), x(lib)), 1),
    "F.celu": (_x, 2), "F.hardtanh": (_x, 2), "F.interpolate": (_image, 2), "F.cosine_similarity": (_two, 2),
    "F.binary_cross_entropy": (_probabilities_of_two, 2), "F.kl_div": (_probabilities, 2), "F.unfold": (_image, 2),
    "F.conv_transpose2d": (_convolution, 3),
    "causal attention": (lambda lib: (x(lib), x(lib), x(lib), None, 0.0), 2),
    **{f"nn.{name}": (_nothing, most) for name, most in {
        "Linear": 4, "Conv2d": 4, "BatchNorm1d": 4, "LayerNorm": 4, "GroupNorm": 4, "Embedding": 4, "MaxPool2d": 6,
        "AvgPool2d": 6, "AdaptiveAvgPool2d": 2, "Dropout": 2, "LeakyReLU": 2, "ELU": 2, "ReLU": 1, "GELU": 1, "SiLU": 1,
        "Softplus": 2, "Softmax": 1, "LogSoftmax": 1, "Flatten": 2, "MultiheadAttention": 4, "TransformerEncoderLayer": 4,
        "MSELoss": 3, "L1Loss": 3, "SmoothL1Loss": 4, "HuberLoss": 2, "BCEWithLogitsLoss": 4, "NLLLoss": 4,
        "CrossEntropyLoss": 4, "Parameter": 2, "Sequential": 1, "ModuleList": 1, "ModuleDict": 1, "Identity": 2,
    }.items()},
    **{f"optim.{name}": (_parameters, 5) for name in (
        "ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD",
    )},
    **{f"schedulers.{name}": (_optimizer, most) for name, most in {
        "StepLR": 3, "MultiStepLR": 3, "ExponentialLR": 2, "LinearLR": 4, "CosineAnnealingLR": 3, "OneCycleLR": 4,
        "ReduceLROnPlateau": 4, "LambdaLR": 2, "ConstantLR": 3, "CosineAnnealingWarmRestarts": 3, "CyclicLR": 4,
        "MultiplicativeLR": 2, "PolynomialLR": 3,
    }.items()},
}  # fmt: skip

_UNDER = {
    "cross entropy of probabilities": "F.cross_entropy",
    "weighted cross entropy": "F.cross_entropy",
    "weighted nll": "F.nll_loss",
    "causal attention": "F.scaled_dot_product_attention",
}


def function_of(lib: Any, name: str) -> Any:
    """A library's function of that name."""
    owner, _, rest = _UNDER.get(name, name).rpartition(".")
    owners = {
        "": lib, "T": lib.Tensor, "F": lib.nn.functional, "nn": lib.nn, "optim": lib.optim,
        "schedulers": lib.optim.lr_scheduler,
    }  # fmt: skip
    return getattr(owners[owner], rest)


def extras(name: str) -> Iterator[tuple[Any, ...]]:
    """Further arguments, of each number up to the most: all of the pool's, or a sample that is always the same."""
    for count in range(CALLS[name][1] + 1):
        if len(POOL) ** count <= MOST:
            yield from itertools.product(POOL, repeat=count)
        else:
            draw = random.Random(f"{name} {count}")
            for _ in range(MOST):
                yield tuple(draw.choice(POOL) for _ in range(count))


def seen(value: Any) -> Any:
    """A result as something that can be compared: arrays for tensors, for modules and optimizers what they say they are."""
    if hasattr(value, "detach") and hasattr(value, "requires_grad"):
        return str(value.dtype).split(".")[-1], np.array(value.detach().numpy())
    if isinstance(value, (tuple, list)):
        return [seen(each) for each in value]
    if hasattr(value, "get_last_lr"):
        rates = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number in range(4):
                rates.append([round(float(rate), 9) for rate in value.get_last_lr()])
                value.optimizer.step()
                value.step(*([float(number)] if type(value).__name__ == "ReduceLROnPlateau" else []))
        return rates
    if hasattr(value, "param_groups"):
        left_out = ("params", "foreach", "fused", "capturable", "differentiable")
        return [{k: v for k, v in group.items() if k not in left_out} for group in value.param_groups]
    if hasattr(value, "named_parameters"):
        extra = [value.reduction] if hasattr(value, "reduction") else []
        text = repr(value).replace("NonDynamicallyQuantizable", "").replace("(1,)", "(1, 1)")
        return [text, [(n, tuple(p.shape)) for n, p in value.named_parameters()], *extra]
    return value


def outcome(lib: Any, name: str, further: tuple[Any, ...]) -> Any:
    """What a call gives, or the exception that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return seen(function_of(lib, name)(*CALLS[name][0](lib), *further))
        except Exception as error:
            return error


def same(mine: Any, theirs: Any) -> bool:
    """Whether two results are equal, but for rounding."""
    if isinstance(mine, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(mine) == len(theirs) and all(same(a, b) for a, b in zip(mine, theirs, strict=True))
    if isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray):
        return mine.shape == theirs.shape and np.allclose(mine, theirs, rtol=1e-5, atol=1e-6, equal_nan=True)
    if isinstance(mine, float) and isinstance(theirs, float):
        return mine == theirs or (mine != mine and theirs != theirs)
    return bool(mine == theirs) and type(mine).__name__ in (type(theirs).__name__, "bool")
