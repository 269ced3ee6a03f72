"""`autocast` and `GradScaler` under the names that torch has for the CPU."""

from __future__ import annotations

from typing import Any

from numgrad import amp
from numgrad.dtypes import bfloat16, dtype

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):  # noqa: N801 (torch's name)
    """`numgrad.autocast` for 'cpu'."""

    def __init__(self, enabled: bool = True, dtype: dtype = bfloat16, cache_enabled: bool = True) -> None:
        super().__init__("cpu", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(amp.GradScaler):
    """`numgrad.amp.GradScaler` for 'cpu'."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu", *args, **kwargs)
