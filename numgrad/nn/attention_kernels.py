"""Which kernel of attention programs ask for: there is one, which the shapes choose."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from enum import IntEnum

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(IntEnum):
    """torch's kernels of `scaled_dot_product_attention`, by name.

    >>> import numgrad as ng
    >>> ng.nn.attention.SDPBackend.MATH.name
    'MATH'
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends: SDPBackend | Iterable[SDPBackend], set_priority: bool = False) -> Iterator[None]:
    """A context, or a decorator, that changes nothing: `scaled_dot_product_attention` has one kernel for each shape.

    Raises
    ------
    AssertionError
        ``backends`` is no `SDPBackend` and no sequence of these.

    >>> import numgrad as ng
    >>> from numgrad.nn.attention import SDPBackend, sdpa_kernel
    >>> x = ng.ones(1, 2, 4)
    >>> with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
    ...     ng.nn.functional.scaled_dot_product_attention(x, x, x).shape
    numgrad.Size([1, 2, 4])
    """
    each = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(each, (list, tuple, set, frozenset)) or not all(isinstance(one, SDPBackend) for one in each):
        raise AssertionError("Backend must be an instance of SDPBackend or a list of SDPBackend instances")
    yield
