"""Rules that many ops share: for a batch of examples (`batching`), and for tangents (`tangents`).

An op declares its rules where it is defined: ``sum_.batch(rules.over_dims)``. A rule of one op alone is in the op's file.
"""

from numgrad.ops.rules.batching import (
    Batch,
    Draw,
    along_dim,
    as_groups,
    elementwise,
    folded,
    from_groups,
    leading,
    of_images,
    of_sequences,
    over_dims,
    repeated,
    to_dim,
    unfolded,
)
from numgrad.ops.rules.tangents import added, affine, linear, normalized

__all__ = [
    "Batch",
    "Draw",
    "added",
    "affine",
    "along_dim",
    "as_groups",
    "elementwise",
    "folded",
    "from_groups",
    "leading",
    "linear",
    "normalized",
    "of_images",
    "of_sequences",
    "over_dims",
    "repeated",
    "to_dim",
    "unfolded",
]
