"""Losses: reductions, options, and tensors of all shapes and dtypes against each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.contracts.positions import NUMBERS, Case, X, f32, tensor

# Dtypes that a loss of differences or of logits computes in; of integers numgrad takes all and gives the right value.
FLOATING = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits")


def losses() -> Iterator[tuple[str, Case]]:
    """Names and cases."""
    x, classes = X, np.array([2, 0])
    soft = np.full((2, 3), 1 / 3, np.float32)
    names = (
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "binary_cross_entropy_with_logits",
        "nll_loss",
        "cross_entropy",
    )
    for name, v in itertools.product(names, [*NUMBERS, "mean", "none", "sum", "median"]):
        target = classes if name in ("nll_loss", "cross_entropy") else soft
        yield (
            f"{name} reduction={v!r}",
            lambda lib, n=name, t=target, v=v: getattr(lib.nn.functional, n)(
                tensor(lib, x), tensor(lib, t), reduction=v
            ),
        )
    for v in NUMBERS:
        yield (
            f"huber delta={v!r}",
            lambda lib, v=v: lib.nn.functional.huber_loss(tensor(lib, x), tensor(lib, soft), delta=v),
        )
        yield f"HuberLoss delta={v!r}", lambda lib, v=v: lib.nn.HuberLoss(delta=v)(tensor(lib, x), tensor(lib, soft))
        yield (
            f"smooth_l1 beta={v!r}",
            lambda lib, v=v: lib.nn.functional.smooth_l1_loss(tensor(lib, x), tensor(lib, soft), beta=v),
        )
        yield (
            f"SmoothL1Loss beta={v!r}",
            lambda lib, v=v: lib.nn.SmoothL1Loss(beta=v)(tensor(lib, x), tensor(lib, soft)),
        )
        for target in (classes, soft):
            for option in ("label_smoothing", "ignore_index"):
                yield (
                    f"cross_entropy {target.dtype} {option}={v!r}",
                    lambda lib, t=target, o=option, v=v: lib.nn.functional.cross_entropy(
                        tensor(lib, x), tensor(lib, t), **{o: v}
                    ),
                )
        yield (
            f"nll_loss ignore_index={v!r}",
            lambda lib, v=v: lib.nn.functional.nll_loss(tensor(lib, x), tensor(lib, classes), ignore_index=v),
        )
    tensors = {
        "x": x, "soft": soft, "classes": classes, "int32": classes.astype("i4"), "uint8": classes.astype("u1"),
        "negative": np.array([-1, 0]), "ignored": np.array([-100, 0]), "all ignored": np.array([-100, -100]),
        "high": np.array([3, 0]), "float64": x.astype("f8"), "one": f32(1), "row": f32(3), "scalar": f32(),
        "none": f32(0, 3), "no classes": f32(2, 0), "class": np.array(1), "no targets": np.zeros(0, "i8"),
        "image": f32(2, 3, 2, 2), "targets": np.array([[[0, 1], [2, 0]]] * 2), "bool": soft > 0, "column": f32(2, 1),
        "nothing": None,
    }  # fmt: skip
    for name in names:
        for (a, first), (b, second) in itertools.product(tensors.items(), tensors.items()):
            if name in FLOATING and not _both_float32(first, second):
                continue
            yield f"{name} of {a} and {b}", lambda lib, n=name, p=first, q=second: _loss(lib, n, p, q)
    for name, (w, weight) in itertools.product(("nll_loss", "cross_entropy"), tensors.items()):
        for (t, target), reduction in itertools.product(
            (("classes", classes), ("soft", soft), ("ignored", tensors["ignored"])), ("mean", "none")
        ):
            yield (
                f"{name} {reduction} of {t} weighted by {w}",
                lambda lib, n=name, t=target, w=weight, r=reduction: _loss(
                    lib, n, x, t, weight=None if w is None else tensor(lib, w), reduction=r
                ),
            )
    for name, (w, weight) in itertools.product(
        ("mse_loss", "l1_loss", "binary_cross_entropy_with_logits"), tensors.items()
    ):
        for reduction in ("mean", "none", "sum"):
            yield (
                f"{name} {reduction} weighted by {w}",
                lambda lib, n=name, w=weight, r=reduction: _loss(
                    lib, n, x, soft, weight=None if w is None else tensor(lib, w), reduction=r
                ),
            )
    for w, weight in tensors.items():
        yield (
            f"bce pos_weight {w}",
            lambda lib, w=weight: _loss(
                lib, "binary_cross_entropy_with_logits", x, soft, pos_weight=None if w is None else tensor(lib, w)
            ),
        )


def _both_float32(*values: Any) -> bool:
    return all(value is None or value.dtype == np.float32 for value in values)


def _loss(lib: Any, name: str, first: Any, second: Any, **options: Any) -> Any:
    needs = first is not None and first.dtype.kind == "f"
    x = None if first is None else lib.tensor(first, requires_grad=needs)
    y = None if second is None else tensor(lib, second)
    out = getattr(lib.nn.functional, name)(x, y, **options)
    if needs:
        out.sum().backward()
    return out, x.grad if x is not None else None
