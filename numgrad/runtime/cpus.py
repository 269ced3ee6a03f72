"""How many CPUs this process may use: its affinity, and the quota that a container sets."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path


def available_cpus() -> int:
    """CPUs that this process may run on, at least 1.

    A quota is rounded up, so 1.5 CPUs give 2 threads: one thread could not use the last half. A launch waits only for
    claimed chunks, so threads that the quota puts aside cost little.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = cgroup_quota()
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def fair_share(masks: Sequence[set[int]], index: int) -> int:
    """CPUs for one of several processes of a machine, at least 1: each CPU is divided among those that may run on it.

    Parameters
    ----------
    masks
        For each process the CPUs that it may run on.
    index
        The process that asks. A quota is divided evenly.

    >>> fair_share([{0, 1, 2, 3}, {0, 1, 2, 3}], 0), fair_share([{0}, {1}], 1), fair_share([{0}, {0}, {0}], 2)
    (2, 1, 1)
    """
    share = 1e-9 + math.fsum(1 / sum(cpu in mask for mask in masks) for cpu in masks[index])  # 3 thirds are 1
    quota = cgroup_quota()
    return max(1, math.floor(share if quota is None else min(share, math.ceil(quota) / len(masks))))


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """CPUs that Linux control groups (version 1 or 2) grant, the least of all above this process; None: no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            mounts, read = ["sys/fs/cgroup", "sys/fs/cgroup/unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = [f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"], _quota_v1
        else:
            continue
        group = Path(path.lstrip("/"))
        # Inside a container the path may be the host's, which is invisible; the mount's top is then our group.
        for mount in mounts:
            for level in (group, *group.parents):
                quotas.append(read(root / mount / level))
    limits = [quota for quota in quotas if quota is not None]
    return min(limits, default=None)


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else _ratio(int(quota), int(period))
    except (OSError, ValueError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        return _ratio(int((folder / "cpu.cfs_quota_us").read_text()), int((folder / "cpu.cfs_period_us").read_text()))
    except (OSError, ValueError):
        return None


def _ratio(quota: int, period: int) -> float | None:
    return quota / period if quota > 0 and period > 0 else None
