"""`ImageClassification`, which prepares images for a classifier; it is one of `numgrad.transforms`."""

from __future__ import annotations

from numgrad.transforms.classification import ImageClassification
from numgrad.transforms.geometry import resized_shape

__all__ = ["ImageClassification", "resized_shape"]
