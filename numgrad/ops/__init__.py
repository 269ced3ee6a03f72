"""All ops, by families. Only importing this package fills the registry."""

from numgrad.ops import (
    attention,
    conv,
    creation,
    elementwise,
    index,
    joining,
    layer_norm,
    linalg,
    loss,
    norm,
    pool,
    random,
    reduce,
    update,
    view,
    window,
)

__all__ = [
    "attention",
    "conv",
    "creation",
    "elementwise",
    "index",
    "joining",
    "layer_norm",
    "linalg",
    "loss",
    "norm",
    "pool",
    "random",
    "reduce",
    "update",
    "view",
    "window",
]
