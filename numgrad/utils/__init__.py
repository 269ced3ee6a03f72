"""Helpers for training: `checkpoint`, which trades time for memory, and `data`, which makes batches."""

from __future__ import annotations

from numgrad.utils import checkpoint, data, dlpack
from numgrad.utils.images import make_grid, save_image
from numgrad.utils.standing_in import as_torch
from numgrad.utils.swapping import swap_tensors

__all__ = ["as_torch", "checkpoint", "data", "dlpack", "make_grid", "save_image", "swap_tensors"]
