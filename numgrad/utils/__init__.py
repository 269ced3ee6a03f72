"""Helpers for training: `checkpoint`, which trades time for memory, and `data`, which makes batches."""

from __future__ import annotations

from numgrad.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
