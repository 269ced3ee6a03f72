"""Pretrained weights: from a name to a verified local file. The top-level ``weights`` folder holds the table of names.

>>> from numgrad import weights
>>> weights.entry("resnet18").parameters
11689512
"""

from numgrad.weights.download import Policy
from numgrad.weights.entries import Entry, Preprocessing, Source, categories, entry, list_weights
from numgrad.weights.errors import (
    CacheError,
    DownloadError,
    HashMismatchError,
    NotDownloadedError,
    NotVerifiedError,
    OfflineError,
    UnknownWeightsError,
    WeightsError,
)
from numgrad.weights.store import cached_path, clear, fetch, path, verify

__all__ = [
    "CacheError",
    "DownloadError",
    "Entry",
    "HashMismatchError",
    "NotDownloadedError",
    "NotVerifiedError",
    "OfflineError",
    "Policy",
    "Preprocessing",
    "Source",
    "UnknownWeightsError",
    "WeightsError",
    "cached_path",
    "categories",
    "clear",
    "entry",
    "fetch",
    "list_weights",
    "path",
    "verify",
]
