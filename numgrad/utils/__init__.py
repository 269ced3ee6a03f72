"""Helpers for training: `checkpoint`, which trades time for memory."""

from __future__ import annotations

from numgrad.utils import checkpoint

__all__ = ["checkpoint"]
