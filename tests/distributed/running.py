"""Programs on several ranks: `mpiexec` with what every MPI needs, and an end for runs that hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.runtime.processes import ROOT, environment

# Open MPI refuses root, and more ranks than CPUs, unless it is told.
_OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def launcher() -> str:
    """The path of ``mpiexec``. Skips where there is no MPI."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: pip install 'numgrad[mpi]'")
    from numgrad.distributed.launch import mpiexec

    try:
        return mpiexec()
    except RuntimeError as error:
        pytest.skip(str(error))


def on_ranks(count: int, *arguments: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    """Run Python on ranks with these arguments; how it ended, and what it wrote. Skips where there is no MPI."""
    command = [launcher(), "-n", str(count), sys.executable, *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(**_OPEN_MPI, NUMGRAD_NUM_THREADS=None),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        pytest.fail(f"{count} ranks hung for {timeout:g} s\n{stdout[-2000:]}\n{stderr[-4000:]}")
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
