"""Arguments at and beyond the edges of what torch's modules, functionals, optimizers and schedulers take."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.contracts.positions import IMAGE, NUMBERS, Case, X, f32, tensor
from tests.contracts.refusals_losses import losses

SIZES = [-2, -1, 0, 1, 2, 3, 9, 0.5, 1.0, True, None, "a", (1, 2), (2,), (1, 2, 3), (0, 1), (1, -1), [2, 1], ()]


def ran(module: Any, *inputs: Any) -> Any:
    """The module and what it makes of inputs, with the sum of the gradients."""
    out = module(*inputs)
    values = out if isinstance(out, (tuple, list)) else [out]
    total = sum((value.sum() for value in values if value is not None), 0.0)
    if getattr(total, "requires_grad", False):
        total.backward()
    grads = [p.grad for p in module.parameters()] if hasattr(module, "parameters") else []
    return [out, *[g for g in grads if g is not None]]


def filled(module: Any) -> Any:
    """The module with parameters that do not depend on the library's random numbers."""
    for number, parameter in enumerate(module.parameters()):
        values = np.cos(np.arange(parameter.numel(), dtype=np.float32) + number).reshape(tuple(parameter.shape))
        parameter.data = _of(module)(values)
    return module


def _of(module: Any) -> Any:
    if type(module).__module__.startswith("torch"):
        import torch

        return torch.tensor
    import numgrad

    return numgrad.tensor


def cases() -> Iterator[tuple[str, Case]]:
    """Names and cases."""
    for value in NUMBERS:
        yield from _with_number(value)
    for size in SIZES:
        yield from _with_size(size)
    yield from _shapes()
    yield from _optimizers()
    yield from _schedulers()
    yield from losses()


def _with_number(v: Any) -> Iterator[tuple[str, Case]]:
    image, x = IMAGE, X
    for name in ("BatchNorm1d", "BatchNorm2d"):
        data = x if name == "BatchNorm1d" else image
        channels = data.shape[1]
        for option in ("eps", "momentum", "affine", "track_running_stats", "bias"):
            yield (
                f"{name} {option}={v!r}",
                lambda lib, n=name, o=option, d=data, c=channels: ran(getattr(lib.nn, n)(c, **{o: v}), tensor(lib, d)),
            )
            yield (
                f"{name} eval {option}={v!r}",
                lambda lib, n=name, o=option, d=data, c=channels: ran(
                    getattr(lib.nn, n)(c, **{o: v}).eval(), tensor(lib, d)
                ),
            )
        yield f"{name} num_features={v!r}", lambda lib, n=name: getattr(lib.nn, n)(v)
    for option in ("eps", "elementwise_affine", "bias"):
        yield f"LayerNorm {option}={v!r}", lambda lib, o=option: ran(lib.nn.LayerNorm(3, **{o: v}), tensor(lib, x))
    yield f"LayerNorm shape={v!r}", lambda lib: ran(lib.nn.LayerNorm(v), tensor(lib, x))
    for option in ("eps", "affine", "num_groups"):
        yield (
            f"GroupNorm {option}={v!r}",
            lambda lib, o=option: ran(
                lib.nn.GroupNorm(**{"num_groups": 2, "num_channels": 2, o: v}), tensor(lib, image)
            ),
        )
    yield f"GroupNorm channels={v!r}", lambda lib: ran(lib.nn.GroupNorm(1, v), tensor(lib, image))
    yield f"group_norm groups={v!r}", lambda lib: lib.nn.functional.group_norm(tensor(lib, image), v)
    yield f"group_norm eps={v!r}", lambda lib: lib.nn.functional.group_norm(tensor(lib, image), 2, eps=v)
    yield f"layer_norm eps={v!r}", lambda lib: lib.nn.functional.layer_norm(tensor(lib, x), (3,), eps=v)
    yield f"layer_norm shape={v!r}", lambda lib: lib.nn.functional.layer_norm(tensor(lib, x), v)
    for option in ("eps", "momentum", "training"):

        def normed(lib: Any, o: str = option) -> Any:
            mean, var = lib.zeros(3), lib.ones(3)
            out = lib.nn.functional.batch_norm(tensor(lib, x), mean, var, **{"training": True, o: v})
            return out, mean, var

        yield f"batch_norm {option}={v!r}", normed
    yield (
        f"batch_norm eval eps={v!r}",
        lambda lib: lib.nn.functional.batch_norm(tensor(lib, x), lib.zeros(3), lib.ones(3), eps=v),
    )
    for training in (True, False):
        if v not in (0.5,) or not training:
            yield f"Dropout p={v!r} {training}", lambda lib, t=training: lib.nn.Dropout(v).train(t)(tensor(lib, x))
            yield f"dropout p={v!r} {training}", lambda lib, t=training: lib.nn.functional.dropout(tensor(lib, x), v, t)
    yield f"dropout training={v!r}", lambda lib: lib.nn.functional.dropout(tensor(lib, x), 1.0, v)
    for name in ("LeakyReLU", "ELU", "Softplus", "ReLU", "SiLU", "GELU", "Softmax", "LogSoftmax", "Flatten"):
        yield f"{name}({v!r})", lambda lib, n=name: getattr(lib.nn, n)(v)(tensor(lib, x))
    yield f"Softplus(1, {v!r})", lambda lib: lib.nn.Softplus(1, v)(tensor(lib, x))
    for name in ("leaky_relu", "elu", "softplus", "softmax", "log_softmax", "normalize"):
        yield f"F.{name}({v!r})", lambda lib, n=name: getattr(lib.nn.functional, n)(tensor(lib, x), v)
    yield f"normalize dim={v!r}", lambda lib: lib.nn.functional.normalize(tensor(lib, x), 2.0, v)
    yield f"normalize eps={v!r}", lambda lib: lib.nn.functional.normalize(tensor(lib, x), 2.0, 1, v)
    yield f"Linear in={v!r}", lambda lib: ran(filled(lib.nn.Linear(v, 2)), tensor(lib, x))
    yield f"Linear out={v!r}", lambda lib: ran(filled(lib.nn.Linear(3, v)), tensor(lib, x))
    yield f"Linear bias={v!r}", lambda lib: ran(filled(lib.nn.Linear(3, 2, v)), tensor(lib, x))
    for option in ("num_embeddings", "embedding_dim", "padding_idx"):
        yield (
            f"Embedding {option}={v!r}",
            lambda lib, o=option: ran(
                filled(lib.nn.Embedding(**{"num_embeddings": 3, "embedding_dim": 2, o: v})), tensor(lib, [1, 0, 2])
            ),
        )
    yield (
        f"F.embedding padding_idx={v!r}",
        lambda lib: lib.nn.functional.embedding(tensor(lib, [1, 0]), tensor(lib, x), v),
    )
    for option in ("in_channels", "out_channels", "groups", "bias", "padding_mode"):
        yield (
            f"Conv2d {option}={v!r}",
            lambda lib, o=option: ran(
                filled(lib.nn.Conv2d(**{"in_channels": 2, "out_channels": 2, "kernel_size": 2, o: v})),
                tensor(lib, image),
            ),
        )
    yield (
        f"conv2d groups={v!r}",
        lambda lib: lib.nn.functional.conv2d(tensor(lib, image), tensor(lib, f32(2, 2, 2, 2)), groups=v),
    )
    for option in ("embed_dim", "num_heads", "dropout", "bias", "kdim", "vdim", "batch_first"):
        yield f"MultiheadAttention {option}={v!r}", lambda lib, o=option: _attended(lib, **{o: v})
    for option in ("d_model", "nhead", "dim_feedforward", "dropout", "activation", "layer_norm_eps", "norm_first"):
        yield f"TransformerEncoderLayer {option}={v!r}", lambda lib, o=option: _encoded(lib, **{o: v})
    for option in ("divisor_override", "ceil_mode", "count_include_pad"):
        yield f"avg_pool2d {option}={v!r}", lambda lib, o=option: _pooled(lib, "avg_pool2d", **{o: v})
        yield f"AvgPool2d {option}={v!r}", lambda lib, o=option: ran(lib.nn.AvgPool2d(2, **{o: v}), tensor(lib, image))
    yield f"max_pool2d ceil_mode={v!r}", lambda lib: _pooled(lib, "max_pool2d", ceil_mode=v)
    yield f"MaxPool2d return_indices={v!r}", lambda lib: lib.nn.MaxPool2d(2, return_indices=v)(tensor(lib, image))
    yield (
        f"sdpa dropout={v!r}",
        lambda lib: (
            lib.nn.functional.scaled_dot_product_attention(*[tensor(lib, x)] * 3, dropout_p=v)
            if v not in (0.5,)
            else None
        ),
    )
    yield (
        f"sdpa scale={v!r}",
        lambda lib: lib.nn.functional.scaled_dot_product_attention(*[tensor(lib, x)] * 3, scale=v),
    )
    yield f"clip_grad_norm_ max={v!r}", lambda lib: _clipped(lib, v, 2.0)
    yield f"clip_grad_norm_ type={v!r}", lambda lib: _clipped(lib, 1.0, v)


def _attended(lib: Any, **options: Any) -> Any:
    module = filled(lib.nn.MultiheadAttention(**{"embed_dim": 4, "num_heads": 2, **options}).eval())
    x = tensor(lib, f32(3, 2, 4))
    return module(x, x, x)


def _encoded(lib: Any, **options: Any) -> Any:
    layer = lib.nn.TransformerEncoderLayer(**{"d_model": 4, "nhead": 2, "dim_feedforward": 3, **options}).eval()
    return filled(layer)(tensor(lib, f32(3, 2, 4)))


def _pooled(lib: Any, name: str, window: Any = 2, **options: Any) -> Any:
    x = lib.tensor(IMAGE, requires_grad=True)
    out = getattr(lib.nn.functional, name)(x, window, **options)
    out.sum().backward()
    return out, x.grad


def _clipped(lib: Any, most: Any, kind: Any) -> Any:
    x = lib.tensor(X, requires_grad=True)
    (x * x).sum().backward()
    return lib.nn.utils.clip_grad_norm_([x], most, kind), x.grad


def _with_size(v: Any) -> Iterator[tuple[str, Case]]:
    for option in ("kernel_size", "stride", "padding", "dilation"):
        yield (
            f"Conv2d {option}={v!r}",
            lambda lib, o=option: ran(
                filled(lib.nn.Conv2d(**{"in_channels": 2, "out_channels": 2, "kernel_size": 2, o: v})),
                tensor(lib, IMAGE),
            ),
        )
        for pool in ("MaxPool2d", "AvgPool2d"):
            if (pool, option) != ("AvgPool2d", "dilation"):
                yield (
                    f"{pool} {option}={v!r}",
                    lambda lib, p=pool, o=option: ran(
                        getattr(lib.nn, p)(**{"kernel_size": 2, o: v}), tensor(lib, IMAGE)
                    ),
                )
    for option in ("stride", "padding", "dilation"):
        yield (
            f"conv2d {option}={v!r}",
            lambda lib, o=option: lib.nn.functional.conv2d(tensor(lib, IMAGE), tensor(lib, f32(2, 2, 2, 2)), **{o: v}),
        )
        for pool in ("max_pool2d", "avg_pool2d"):
            if (pool, option) != ("avg_pool2d", "dilation"):
                yield f"{pool} {option}={v!r}", lambda lib, p=pool, o=option: _pooled(lib, p, **{o: v})
    for pool in ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"):
        yield f"{pool}({v!r})", lambda lib, p=pool: _pooled(lib, p, v)
    yield f"AdaptiveAvgPool2d({v!r})", lambda lib: ran(lib.nn.AdaptiveAvgPool2d(v), tensor(lib, IMAGE))
    yield f"pad {v!r}", lambda lib: lib.nn.functional.pad(tensor(lib, IMAGE), v)
    yield f"LayerNorm({v!r})", lambda lib: ran(lib.nn.LayerNorm(v), lib.ones(2, 1, 2))
    yield f"layer_norm({v!r})", lambda lib: lib.nn.functional.layer_norm(lib.ones(2, 1, 2), v)
    yield f"Flatten({v!r}, 2)", lambda lib: lib.nn.Flatten(v, 2)(tensor(lib, IMAGE))
    yield f"Flatten(1, {v!r})", lambda lib: lib.nn.Flatten(1, v)(tensor(lib, IMAGE))


def _shapes() -> Iterator[tuple[str, Case]]:
    """Tensors without elements, with other numbers of dimensions and channels, of other dtypes."""
    shapes = [
        (0, 2, 4, 4),
        (2, 0, 4, 4),
        (2, 2, 0, 4),
        (2, 2, 4, 0),
        (2, 4, 4),
        (0, 4, 4),
        (2, 4),
        (4,),
        (),
        (1, 2, 2, 4, 4),
        (1, 2, 1, 1),
        (0,),
        (0, 3),
        (2, 0),
        (2, 3),
        (1, 3),
        (3,),
        (1, 3, 0),
        (2, 3, 5),
        (2, 2, 1, 1),
        (1, 1, 1, 1),
    ]
    layers: dict[str, Callable[[Any], Any]] = {
        "Conv2d": lambda lib: filled(lib.nn.Conv2d(2, 3, 2)),
        "Conv2d padded": lambda lib: filled(lib.nn.Conv2d(2, 3, 3, padding=1)),
        "Conv2d same": lambda lib: filled(lib.nn.Conv2d(2, 3, 2, padding="same")),
        "Conv2d 1x1": lambda lib: filled(lib.nn.Conv2d(2, 3, 1)),
        "Conv2d strided": lambda lib: filled(lib.nn.Conv2d(2, 3, 3, 2, 1)),
        "Conv2d of no channels": lambda lib: filled(lib.nn.Conv2d(0, 3, 2)),
        "Conv2d to no channels": lambda lib: filled(lib.nn.Conv2d(2, 0, 2)),
        "Conv2d grouped": lambda lib: filled(lib.nn.Conv2d(2, 2, 2, groups=2)),
        "Conv2d without bias": lambda lib: filled(lib.nn.Conv2d(2, 3, 2, bias=False)),
        "MaxPool2d": lambda lib: lib.nn.MaxPool2d(2),
        "AvgPool2d": lambda lib: lib.nn.AvgPool2d(2),
        "AdaptiveAvgPool2d": lambda lib: lib.nn.AdaptiveAvgPool2d(2),
        "AdaptiveAvgPool2d to nothing": lambda lib: lib.nn.AdaptiveAvgPool2d((0, 2)),
        "BatchNorm1d": lambda lib: lib.nn.BatchNorm1d(3),
        "BatchNorm1d of nothing": lambda lib: lib.nn.BatchNorm1d(0),
        "BatchNorm2d": lambda lib: lib.nn.BatchNorm2d(2),
        "BatchNorm1d eval": lambda lib: lib.nn.BatchNorm1d(3).eval(),
        "BatchNorm2d eval": lambda lib: lib.nn.BatchNorm2d(2).eval(),
        "BatchNorm2d without statistics": lambda lib: lib.nn.BatchNorm2d(2, track_running_stats=False).eval(),
        "BatchNorm1d mean of all": lambda lib: lib.nn.BatchNorm1d(3, momentum=None),
        "LayerNorm": lambda lib: lib.nn.LayerNorm(3),
        "LayerNorm of nothing": lambda lib: lib.nn.LayerNorm(0),
        "LayerNorm of two": lambda lib: lib.nn.LayerNorm((4, 4)),
        "GroupNorm": lambda lib: lib.nn.GroupNorm(1, 2),
        "GroupNorm of three": lambda lib: lib.nn.GroupNorm(3, 3),
        "Linear": lambda lib: filled(lib.nn.Linear(3, 2)),
        "Linear of nothing": lambda lib: filled(lib.nn.Linear(0, 2)),
        "Linear to nothing": lambda lib: filled(lib.nn.Linear(3, 0)),
        "Linear of 4": lambda lib: filled(lib.nn.Linear(4, 2, bias=False)),
        "Softmax": lambda lib: lib.nn.Softmax(1),
        "LogSoftmax": lambda lib: lib.nn.LogSoftmax(-1),
        "Softmax of a guess": lambda lib: lib.nn.Softmax(),
        "Flatten": lambda lib: lib.nn.Flatten(),
        "Dropout": lambda lib: lib.nn.Dropout(1.0),
        "GELU": lambda lib: lib.nn.GELU(),
        "MultiheadAttention": lambda lib: _Thrice(filled(lib.nn.MultiheadAttention(4, 2).eval())),
        "TransformerEncoderLayer": lambda lib: filled(lib.nn.TransformerEncoderLayer(4, 2, 3).eval()),
    }
    for (name, make), shape in itertools.product(layers.items(), shapes):
        yield f"{name} of {shape}", lambda lib, m=make, s=shape: _run(lib, m, f32(*s))
    for (name, make), dtype in itertools.product(layers.items(), ("float64", "int64", "bool", "uint8")):
        for shape in ((2, 2, 4, 4), (2, 3), (3, 2, 4)):
            yield f"{name} of {dtype} {shape}", lambda lib, m=make, d=dtype, s=shape: _run(lib, m, f32(*s).astype(d))


class _Thrice:
    """Attention of one tensor to itself."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, x: Any) -> Any:
        return self.module(x, x, x)

    def parameters(self) -> Any:
        return self.module.parameters()


def _run(lib: Any, make: Callable[[Any], Any], values: np.ndarray) -> Any:
    x = lib.tensor(values, requires_grad=values.dtype.kind == "f")
    module = make(lib)
    outputs = ran(module, x)
    buffers = list(module.buffers()) if hasattr(module, "buffers") else []
    return [*outputs, x.grad, *buffers]


def _optimizers() -> Iterator[tuple[str, Case]]:
    for name, option, v in itertools.product(
        ("SGD", "Adam", "AdamW"),
        ("lr", "momentum", "dampening", "weight_decay", "nesterov", "eps", "betas", "amsgrad", "maximize"),
        [
            *NUMBERS,
            (0.5, 0.9),
            (0.0, 0.0),
            (0.9, 1.0),
            (1.0, 0.9),
            (-0.1, 0.9),
            (0.9,),
            (0.9, 0.9, 0.9),
            [0.5, 0.5],
            (0, 0.5),
            (0.5, 1),
        ],
    ):
        if (option in ("momentum", "dampening", "nesterov")) == (name == "SGD") or option in (
            "lr",
            "weight_decay",
            "maximize",
        ):
            if option in ("eps", "betas", "amsgrad") and name == "SGD":
                continue
            yield f"{name} {option}={v!r}", lambda lib, n=name, o=option, v=v: _stepped(lib, n, **{o: v})
    for name, options in {
        "Adadelta": ("rho", "eps"),
        "Adagrad": ("lr_decay", "initial_accumulator_value"),
        "Adamax": ("betas", "eps"),
        "ASGD": ("lambd", "alpha", "t0"),
        "NAdam": ("momentum_decay", "decoupled_weight_decay"),
        "RAdam": ("betas",),
        "RMSprop": ("alpha", "momentum", "centered"),
        "Rprop": ("lr", "etas", "step_sizes"),
    }.items():
        for option, v in itertools.product(options, [*NUMBERS, (0.5, 0.9), (0.5, 1.5), (1.5, 0.5)]):
            yield f"{name} {option}={v!r}", lambda lib, n=name, o=option, v=v: _stepped(lib, n, **{o: v})
    for given in ((), [], None, 3, "ab", {}, [None], [3], [()], [[]], {"params": []}):
        yield f"SGD of {given!r}", lambda lib, g=given: lib.optim.SGD(g, 0.1) and None


def _stepped(lib: Any, name: str, **options: Any) -> Any:
    p = lib.tensor(X, requires_grad=True)
    optimizer = getattr(lib.optim, name)([p], **options)
    for _ in range(2):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
    return p


def _schedulers() -> Iterator[tuple[str, Case]]:
    options: dict[str, dict[str, Any]] = {
        "StepLR": {"step_size": 2, "gamma": 0.5, "last_epoch": -1},
        "MultiStepLR": {"milestones": [1, 3], "gamma": 0.5},
        "ExponentialLR": {"gamma": 0.5},
        "LinearLR": {"start_factor": 0.5, "end_factor": 1.0, "total_iters": 3},
        "CosineAnnealingLR": {"T_max": 3, "eta_min": 0.0},
        "OneCycleLR": {
            "max_lr": 1.0,
            "total_steps": 6,
            "pct_start": 0.3,
            "anneal_strategy": "cos",
            "cycle_momentum": True,
            "base_momentum": 0.8,
            "max_momentum": 0.9,
            "div_factor": 25.0,
            "final_div_factor": 1e4,
            "three_phase": False,
            "epochs": None,
            "steps_per_epoch": None,
        },
        "ReduceLROnPlateau": {
            "mode": "min",
            "factor": 0.1,
            "patience": 1,
            "threshold": 1e-4,
            "threshold_mode": "rel",
            "cooldown": 0,
            "min_lr": 0,
            "eps": 1e-8,
        },
        "LambdaLR": {"lr_lambda": lambda epoch: 0.5**epoch},
        "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.5},
        "ConstantLR": {"factor": 0.5, "total_iters": 3},
        "PolynomialLR": {"total_iters": 3, "power": 2.0},
        "CosineAnnealingWarmRestarts": {"T_0": 2, "T_mult": 1, "eta_min": 0.0},
        "CyclicLR": {
            "base_lr": 0.1,
            "max_lr": 1.0,
            "step_size_up": 2,
            "step_size_down": 3,
            "mode": "triangular2",
            "gamma": 0.9,
            "cycle_momentum": True,
            "base_momentum": 0.8,
            "max_momentum": 0.9,
        },
    }
    values = [*NUMBERS, "max", "abs", "linear", [1.0], [1.0, 2.0], [3, 1, 1], (), -2]
    for name, own in options.items():
        for option, v in itertools.product(own, values):
            yield f"{name} {option}={v!r}", lambda lib, n=name, k={**own, option: v}: _rates(lib, n, k)
        yield f"{name} of none", lambda lib, n=name, k=own: _of_none(lib, n, k)


def _of_none(lib: Any, name: str, options: dict[str, Any]) -> Any:
    return getattr(lib.optim.lr_scheduler, name)(None, **options)


def _rates(lib: Any, name: str, options: dict[str, Any]) -> Any:
    optimizer = lib.optim.SGD([lib.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    scheduler = getattr(lib.optim.lr_scheduler, name)(optimizer, **options)
    rates = []
    for epoch in range(5):
        optimizer.step()
        scheduler.step(*([1.0 + 0.1 * epoch] if name == "ReduceLROnPlateau" else []))
        rates.append((float(optimizer.param_groups[0]["lr"]), float(optimizer.param_groups[0]["momentum"])))
    return np.array(rates)
