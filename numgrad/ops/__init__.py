"""All ops, by families. Importing this package fills the registry; nothing else does."""

from numgrad.ops import conv, creation, elementwise, linalg, loss, norm, pool, reduce, view

__all__ = ["conv", "creation", "elementwise", "linalg", "loss", "norm", "pool", "reduce", "view"]
