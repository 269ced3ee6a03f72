"""torch's module of that name: the default generator's functions, and `fork_rng`.

>>> import numgrad as ng
>>> _ = ng.random.manual_seed(0)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from numgrad.tensor.random import (
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


@contextlib.contextmanager
def fork_rng(
    devices: Any = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """Within ``with``, whatever is drawn leaves the default generator as it was before, unless ``enabled`` is False.

    Devices may be named as in torch; there is none but the CPU.

    >>> import numgrad as ng
    >>> state = ng.get_rng_state()
    >>> with ng.random.fork_rng():
    ...     x = ng.rand(3)
    >>> ng.equal(state, ng.get_rng_state())
    True
    """
    before = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if before is not None:
            set_rng_state(before)
