"""Helpers for training: `checkpoint`, which trades time for memory."""

from __future__ import annotations

from numgrad.utils import checkpoint
from numgrad.utils.swapping import swap_tensors

__all__ = ["checkpoint", "swap_tensors"]
