"""What ranks do together, in one run for each number of ranks: `program` says which checks there are."""

from __future__ import annotations

import functools
import subprocess

import pytest

from tests.distributed.program import names
from tests.distributed.running import on_ranks


@functools.cache
def run(count: int) -> subprocess.CompletedProcess[str]:
    """All checks for so many ranks."""
    return on_ranks(count, "-m", "tests.distributed.program")


@pytest.mark.parametrize(("count", "name"), [(count, name) for count in (1, 2, 3, 4) for name in names(count)])
def test_ranks(count: int, name: str) -> None:
    done = run(count)
    assert f"passed {name}" in done.stdout.splitlines(), f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"


def test_runs_end_well() -> None:
    for count in (1, 2):
        done = run(count)
        assert done.returncode == 0, done.stderr[-6000:]
        assert not done.stderr
