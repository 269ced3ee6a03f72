"""All ops, by families. Importing this package fills the registry; nothing else does."""

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
