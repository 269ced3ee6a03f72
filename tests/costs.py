"""What a run of the tests costs: time of CPUs, most of which compiles kernels when the store was empty."""

from __future__ import annotations

import os
from collections import Counter

_others: Counter[str] = Counter()  # "CPU" and "compiling" in seconds, "kernels" compiled
_compiled: Counter[str] = Counter()


def begin() -> None:
    """Count the kernels that this process compiles from now on."""
    from numgrad.runtime import build

    if _count not in build.listeners:
        build.listeners.append(_count)


def _count(name: str, seconds: float) -> None:
    _compiled.update(kernels=1, compiling=seconds)


def own() -> dict[str, float]:
    """This process's costs so far, with those of the processes that it waited for."""
    times = os.times()
    spent = times.user + times.system + times.children_user + times.children_system
    return {"CPU": spent, **_compiled}


def add(costs: dict[str, float]) -> None:
    """Add the costs of a process that ran tests for this one."""
    _others.update(costs)


def summary() -> str:
    """One line."""
    found = _others or own()
    kernels, seconds = found.get("kernels", 0), found.get("compiling", 0)
    return f"The tests took {found['CPU']:.0f} s of CPU time; {kernels} kernels were compiled, in {seconds:.0f} s."
