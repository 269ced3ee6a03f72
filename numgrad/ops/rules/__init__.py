"""Rules that many ops share: how a batch of examples (`batching`), and how tangents (`tangents`), go through them.

An op declares its rules where it is defined: ``sum_.batch(rules.over_dims)``. What one op alone needs stands in its file.
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
    "over_dims",
    "repeated",
    "to_dim",
    "unfolded",
]
