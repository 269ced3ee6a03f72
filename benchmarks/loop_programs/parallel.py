"""Programs whose loops say `prange` where they say `range`, so that threads share the turns."""

from __future__ import annotations

import inspect
import linecache
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from benchmarks.loop_programs import Case, dynamics, numerics, spheres


def with_prange(function: Callable[..., Any], variable: str) -> Callable[..., Any]:
    """The function with `prange` in its loops over ``range`` with this variable."""
    text = re.sub(rf"for {variable} in range\(", f"for {variable} in prange(", inspect.getsource(function))
    file = f"<{function.__name__} with prange>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope = {**function.__globals__, "prange": prange}
    exec(compile(text, file, "exec"), scope)
    made: Callable[..., Any] = scope[function.__name__]
    return made


def pairs() -> dict[str, tuple[Case, Case]]:
    """Programs by name: as they are, and with `prange`; large enough for two threads."""
    random = np.random.default_rng(0)
    normal, uniform = random.normal, random.uniform
    rows = (
        (
            Case(
                dynamics.n_body,
                (normal(size=(256, 3)), normal(size=(256, 3)), uniform(0.5, 1, 256), 10, 0.01), (0, 1, 2),
            ), "i",
        ),
        (Case(numerics.ray_march, (spheres(), np.array([0.3, -0.5, -0.8]), 160), (0, 1)), "iy"),
        (Case(dynamics.kepler, (uniform(0.1, 0.9, 20000), uniform(0.1, 3.0, 20000)), (0, 1)), "i"),
        (Case(dynamics.stencil, (uniform(size=(256, 256)), uniform(0.1, 1, (256, 256)), 20, 0.1), (0, 1)), "i"),
    )  # fmt: skip
    return {
        case.function.__name__: (case, case._replace(function=with_prange(case.function, variable)))
        for case, variable in rows
    }
