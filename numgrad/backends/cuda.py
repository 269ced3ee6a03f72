"""CUDA, which numgrad does not use. The switches of ``matmul`` can be set, and those of attention called."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = [
    "cudnn_sdp_enabled",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "is_built",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "sdp_kernel",
]


class matmul:  # noqa: N801 (torch's name)
    """Switches of products of matrices."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


def is_built() -> bool:
    """False."""
    return False


# ---- kernels of attention: `scaled_dot_product_attention` has one for each shape, and CUDA's are not there ---------------


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:
    """A context that changes nothing.

    >>> import numgrad as ng
    >>> with ng.backends.cuda.sdp_kernel(enable_flash=False):
    ...     ng.nn.functional.scaled_dot_product_attention(ng.ones(1, 2), ng.ones(1, 2), ng.ones(1, 2))
    tensor([[1., 1.]])
    """
    yield


def enable_flash_sdp(enabled: bool) -> None:
    """Nothing."""


def enable_math_sdp(enabled: bool) -> None:
    """Nothing."""


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Nothing."""


def enable_cudnn_sdp(enabled: bool) -> None:
    """Nothing."""


def flash_sdp_enabled() -> bool:
    """False."""
    return False


def math_sdp_enabled() -> bool:
    """True: the CPU's kernel is always there."""
    return True


def mem_efficient_sdp_enabled() -> bool:
    """False."""
    return False


def cudnn_sdp_enabled() -> bool:
    """False."""
    return False
