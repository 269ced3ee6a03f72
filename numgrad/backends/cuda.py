"""CUDA, which numgrad does not use. The switches of ``matmul`` can be set."""

from __future__ import annotations

__all__ = ["is_built", "matmul"]


class matmul:  # noqa: N801 (torch's name)
    """Switches of products of matrices."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


def is_built() -> bool:
    """False."""
    return False
