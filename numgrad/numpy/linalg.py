"""``numgrad.numpy.linalg``: NumPy's linear algebra, differentiable."""

from __future__ import annotations

from typing import Any

from numgrad.errors import LinAlgError as LinAlgError
from numgrad.numpy import calculus as _calculus  # noqa: F401 (these four modules declare the functions)
from numgrad.numpy import linear_algebra as _linear_algebra  # noqa: F401
from numgrad.numpy import products as _products  # noqa: F401
from numgrad.numpy import shapes as _shapes  # noqa: F401
from numgrad.numpy import table as _table

_functions = {name.partition(".")[2]: f for name, f in _table.BY_NAME.items() if name.startswith("linalg.")}
globals().update(_functions)

__all__ = sorted([*_functions, "LinAlgError"])


def __getattr__(name: str) -> Any:
    return _table.refused("linalg", name)
