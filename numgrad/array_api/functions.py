"""The public functions over tensors, by name: what this namespace is made of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numgrad import linalg as _linalg  # noqa: F401 (declares its functions)
from numgrad.tensor.surface import functions_of

ng: Any = SimpleNamespace(**functions_of("function"))
linalg: Any = SimpleNamespace(**functions_of("linalg"))
