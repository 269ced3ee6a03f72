"""Helpers for training."""

from __future__ import annotations

from numgrad.utils import checkpoint

__all__ = ["checkpoint"]
