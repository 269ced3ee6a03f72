"""All ops, by families. Importing this package fills the registry; nothing else does."""

from numgrad.ops import creation, elementwise, reduce, view

__all__ = ["creation", "elementwise", "reduce", "view"]
