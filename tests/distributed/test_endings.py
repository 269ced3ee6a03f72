"""How runs end: all ranks together, soon, and with a message."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.distributed.running import on_ranks

_PROGRAM = """
import os, signal, sys, time
import numgrad as ng
from numgrad import distributed as dist
dist.init_process_group("mpi")
x = ng.ones(100000)
for _ in range(3):
    dist.all_reduce(x)
begin = time.time()
if dist.get_rank() == 1:
    {}
dist.all_reduce(x)
print("not reached")
"""

# What rank 1 does, and what is read then.
ENDS = {
    "raise ValueError('lost')": ("rank 1 of 3 ends the run:", "ValueError: lost"),
    "sys.exit(3)": ("all_reduce: rank 1 has left the run",),
    "os._exit(3)": (),
    "os.kill(os.getpid(), signal.SIGKILL)": ("KILLED|Killed|signal 9|terminat",),
    "dist.destroy_process_group(); time.sleep(30)": ("all_reduce: rank 1 has left the run",),
    "x = ng.ones(5)": ("bytes came from rank|do the tensors have the same shapes and dtypes on all ranks",),
    "os.kill(os.getpid(), signal.SIGINT)": ("KeyboardInterrupt",),
}


@pytest.mark.parametrize("end", ENDS)
def test_one_rank_ends_all(end: str) -> None:
    begin = time.monotonic()
    done = on_ranks(3, "-c", _PROGRAM.format(end))
    assert done.returncode != 0
    assert "not reached" not in done.stdout
    for pattern in ENDS[end]:
        assert re.search(pattern, done.stdout + done.stderr, re.IGNORECASE), done.stderr[-3000:]
    assert time.monotonic() - begin < 60  # a run that hangs takes the time limit of `on_ranks`


def test_who_leaves_early_is_not_missed() -> None:
    """Ranks that have done their part may end, though others are not done yet, and though these wait for each other."""
    done = on_ranks(
        4,
        "-c",
        """
import time
from pathlib import Path
import numgrad as ng
from numgrad import distributed as dist
dist.init_process_group("mpi")
rank = dist.get_rank()
x = ng.ones(100000) * rank
if rank == 1:
    time.sleep(1)  # rank 0, whose values these are, has left by then
dist.broadcast(x, 0)
assert not x.any()
if rank == 1:
    time.sleep(0.5)
    dist.send(x + 1, 2)
if rank == 2:
    assert dist.recv(x, 1) == 1 and x.all()
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_programs_find_their_rank_in_the_environment(tmp_path: Path) -> None:
    """As programs for torch's launcher do, which accumulate gradients over micro-batches."""
    program = tmp_path / "train.py"
    program.write_text("""
import os, sys
import numgrad as torch
from numgrad.distributed import destroy_process_group, init_process_group
from numgrad.nn.parallel import DistributedDataParallel as DDP

assert int(os.environ.get("RANK", -1)) != -1
init_process_group(backend=sys.argv[1])
rank, local, size = (int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
assert (rank, local, size) == (torch.distributed.get_rank(), torch.distributed.get_node_local_rank(), 2)
torch.manual_seed(1337 + rank)
raw_model = torch.nn.Linear(4, 2)
model = DDP(raw_model, device_ids=[local])
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(3):
    for micro_step in range(2):
        model.require_backward_grad_sync = micro_step == 1
        (model(torch.randn(3, 4)).square().mean() / 2).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
assert model.module is raw_model
weights = [torch.zeros(2, 4) for _ in range(size)]
torch.distributed.all_gather(weights, raw_model.weight.detach())
assert torch.equal(*weights)
destroy_process_group()
if len(sys.argv) > 2:
    raise ValueError("lost")
""")
    done = on_ranks(2, "-m", "numgrad.distributed", str(program), "mpi")
    assert (done.returncode, done.stderr) == (0, "")
    done = on_ranks(2, "-m", "numgrad.distributed", str(program), "mpi", "fail")
    assert done.returncode != 0
    assert "ValueError: lost" in done.stderr
