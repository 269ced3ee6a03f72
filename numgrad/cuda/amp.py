"""`autocast` and `GradScaler` under the names by which programs for CUDA know them."""

from __future__ import annotations

from typing import Any

from numgrad import amp
from numgrad.dtypes import dtype, float16

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):  # noqa: N801 (torch's name)
    """`numgrad.autocast` for 'cuda', which is not there: warns and does nothing."""

    def __init__(self, enabled: bool = True, dtype: dtype = float16, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(amp.GradScaler):
    """`numgrad.amp.GradScaler` for 'cuda', which is not there: warns and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("cuda", *args, **kwargs)
