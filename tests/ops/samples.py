"""The table of samples: for every op of the registry its valid samples and its refusals, which drive all tests of ops.

A new op needs at least one row of each kind, in the file of its family; a test says so.
"""

from __future__ import annotations

from tests.ops import (
    samples_alignments,
    samples_attention,
    samples_elementwise,
    samples_functional,
    samples_gammas,
    samples_linalg,
    samples_networks,
    samples_norm,
    samples_pointwise,
    samples_pooling,
    samples_recurrent,
    samples_scans,
    samples_scatter,
    samples_shapes,
)
from tests.ops.rows import REFUSALS, SAMPLES, Refusal, Sample

__all__ = ["REFUSALS", "SAMPLES", "Refusal", "Sample", "all_refusals", "all_samples"]

FAMILIES = (
    samples_elementwise,
    samples_pointwise,
    samples_pooling,
    samples_recurrent,
    samples_shapes,
    samples_networks,
    samples_norm,
    samples_attention,
    samples_alignments,
    samples_scans,
    samples_scatter,
    samples_linalg,
    samples_functional,
    samples_gammas,
)


def all_samples() -> list[Sample]:
    """Every valid row."""
    return [sample for rows in SAMPLES.values() for sample in rows]


def all_refusals() -> list[Refusal]:
    """Every row that is refused."""
    return [refusal for rows in REFUSALS.values() for refusal in rows]
