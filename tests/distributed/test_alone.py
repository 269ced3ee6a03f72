"""One process: with MPI, without it, and where it should have been one of several."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import numgrad as ng
from numgrad import distributed, nn
from numgrad.distributed.sums import parts_of
from numgrad.nn.parallel.averaging import buckets_of
from numgrad.runtime.cpus import fair_share
from numgrad.utils.data import DistributedSampler
from tests.runtime.processes import ROOT, environment, run

_BLOCKED = "import sys; sys.modules['mpi4py'] = None\n"  # importing it fails
_STEP = """
import numgrad as ng
from numgrad import distributed, nn, optim
distributed.init_process_group()
model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
x = ng.ones(3)
distributed.all_reduce(x, distributed.ReduceOp.AVG)
distributed.barrier()
listed = [None]
distributed.all_gather_object(listed, "x")
model(ng.ones(1, 2)).sum().backward()
assert model.module.weight.grad.tolist() == [[1.0, 1.0]]
assert x.tolist() == [1.0, 1.0, 1.0] and listed == ["x"]
print(distributed.get_rank(), distributed.get_world_size(), distributed.get_backend(), ng.get_num_threads())
distributed.destroy_process_group()
assert not distributed.is_initialized()
distributed.init_process_group("mpi")
"""


def test_one_process_without_mpi_is_the_only_rank_and_is_told() -> None:
    done = run(_BLOCKED + _STEP, NUMGRAD_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0 1 mpi 2\n"
    assert "this process is the only rank, since there is no MPI" in done.stderr
    assert "pip install 'numgrad[mpi]'" in done.stderr


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_ranks_without_mpi_are_refused(name: str) -> None:
    """Each would take itself for the only one, and train by itself."""
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED + _STEP],
        env=environment(**{name: "4"}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "a launcher started 4 processes, but mpi4py cannot be imported" in done.stderr


def test_importing_starts_no_mpi() -> None:
    done = run("import sys, numgrad.distributed, numgrad.nn.parallel.distributed; print('mpi4py.MPI' in sys.modules)")
    assert done.stdout == "False\n"


def test_who_is_no_rank_is_told_so() -> None:
    assert not distributed.is_initialized()
    assert distributed.is_available()
    assert distributed.group.WORLD is None
    for call in (
        distributed.get_rank,
        distributed.get_world_size,
        distributed.barrier,
        distributed.destroy_process_group,
        lambda: distributed.all_reduce(ng.ones(1)),
        lambda: nn.parallel.DistributedDataParallel(nn.Linear(1, 1)),
        lambda: DistributedSampler(range(3)),
    ):
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            call()
    assert distributed.get_node_local_rank(fallback_rank=3) == 3
    for backend in ("gloo", "nccl", 3):
        with pytest.raises(ValueError, match="expected 'mpi'; there is no other"):
            distributed.init_process_group(backend)


@pytest.mark.parametrize(
    ("masks", "index", "share"),
    [
        ([{0, 1}], 0, 2),
        ([{0, 1, 2, 3}] * 2, 1, 2),
        ([{0, 1, 2, 3}] * 3, 0, 1),
        ([{0}, {1}], 0, 1),
        ([{0, 1}, {2, 3}], 1, 2),
        ([{0, 1, 2, 3}, {0}], 0, 3),
        ([{0, 1, 2, 3}, {0}], 1, 1),
        ([set(range(9))] * 3, 2, 3),
    ],
)
def test_cpus_are_shared(monkeypatch: pytest.MonkeyPatch, masks: list[set[int]], index: int, share: int) -> None:
    monkeypatch.setattr("numgrad.runtime.cpus.cgroup_quota", lambda: None)
    assert fair_share(masks, index) == share


def test_a_quota_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numgrad.runtime.cpus.cgroup_quota", lambda: 3.5)
    assert fair_share([set(range(16))] * 2, 0) == 2


@pytest.mark.parametrize("numel", [0, 1, 15, 16, 17, 100, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_cover_a_tensor(numel: int, count: int) -> None:
    flat = ng.arange(numel).float()
    parts = parts_of(flat, count)
    assert len(parts) == count
    assert [x for part in parts for x in part.tolist()] == flat.tolist()
    lengths = [part.numel() for part in parts]
    assert max(lengths) <= np.ceil(numel / count) + 15


def test_buckets_leave_in_the_order_of_their_last_gradients() -> None:
    large, small, double = ng.zeros(200, 100), ng.zeros(10), ng.zeros(10, dtype=ng.float64)
    params = [small, large, small, double, large, small, double]
    positions = [bucket.positions for bucket in buckets_of(params, 1 << 20)]
    assert positions == [[4], [6, 3], [1], [5, 2, 0]]
    positions = [bucket.positions for bucket in buckets_of(params, 80)]
    assert positions == [[6], [4], [3], [5, 2], [1], [0]]
