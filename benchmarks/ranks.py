"""The exchange of gradients between ranks: what `DistributedDataParallel` adds to a training step of ResNet18.

Needs `pip install 'numgrad[mpi]'`; starts the ranks itself. Each rank takes a batch of its own. In every round all ranks make steps
without exchange and steps with it, so both are measured beside the same neighbours. Then gradients of as many bytes are added
up by themselves, by numgrad and by MPI's own reduction.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

_SKIPPED = 2  # steps at the beginning of each round


def rank_side(batch_size: int, image_size: int, steps: int, rounds: int) -> dict[str, Any] | None:
    """One of the ranks; rank 0 returns medians in seconds."""
    import numpy as np

    import numgrad as ng
    from numgrad import distributed as dist
    from numgrad import optim
    from numgrad.models import resnet18
    from numgrad.nn.parallel import DistributedDataParallel

    dist.init_process_group("mpi")
    ng.manual_seed(dist.get_rank())
    parallel = DistributedDataParallel(resnet18(weights=None))
    optimizer = optim.SGD(parallel.parameters(), lr=1e-4, momentum=0.9)
    images, labels = ng.rand(batch_size, 3, image_size, image_size), ng.rand(batch_size, 1000)
    spent: dict[bool, list[float]] = {False: [], True: []}
    exchange: list[float] = []
    for _ in range(rounds):
        for is_on in spent:
            parallel.require_backward_grad_sync = is_on
            for number in range(steps + _SKIPPED):
                dist.barrier()
                before, begin = parallel.exchange_seconds, time.perf_counter()
                optimizer.zero_grad()
                (parallel(images) - labels).sum().backward()
                optimizer.step()
                if number >= _SKIPPED:
                    spent[is_on].append(time.perf_counter() - begin)
                    exchange += [parallel.exchange_seconds - before] if is_on else []
    numbers = ng.zeros(sum(parameter.numel() for parameter in parallel.parameters()))
    alone = _fastest(dist, lambda: dist.all_reduce(numbers, dist.ReduceOp.AVG))
    from mpi4py import MPI

    array = np.zeros(numbers.numel(), np.float32)
    theirs = _fastest(dist, lambda: MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, array))
    rank = dist.get_rank()
    result = {
        "ranks": dist.get_world_size(),
        "threads": ng.get_num_threads(),
        "bytes": array.nbytes,
        "step": statistics.median(spent[False]),
        "step_with_exchange": statistics.median(spent[True]),
        "exchange": statistics.median(exchange),
        "sum": alone,
        "sum_by_mpi": theirs,
    }
    dist.destroy_process_group()
    return result if rank == 0 else None


def _fastest(dist: Any, call: Any) -> float:
    seconds = []
    for _ in range(10):
        dist.barrier()
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main() -> int:
    """Run the command line, or one rank of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranks", description=__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2], metavar="N", help="numbers of ranks (default: 2)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="images of a rank (default: 8)")
    parser.add_argument("--image-size", type=int, default=64, metavar="N", help="pixels a side (default: 64)")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="steps in a round (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rank:
        result = rank_side(args.batch_size, args.image_size, args.steps, args.rounds)
        if result is not None:
            print(json.dumps(result), flush=True)
        return 0
    from numgrad.distributed.launch import mpiexec

    print(f"ResNet18, {args.batch_size} x 3 x {args.image_size} x {args.image_size} on each rank, float32; ms")
    print("ranks  threads     step  with exchange  exchange   share | sum alone  by MPI's Allreduce")
    for count in args.ranks:
        options = [
            f"--{name}={getattr(args, name.replace('-', '_'))}"
            for name in ("batch-size", "image-size", "steps", "rounds")
        ]
        command = [mpiexec(), "-n", str(count), sys.executable, "-m", "benchmarks.ranks", "--rank", *options]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(
            f"{row['ranks']:5}{row['threads']:9}{1e3 * row['step']:9.1f}{1e3 * row['step_with_exchange']:15.1f}"
            f"{1e3 * row['exchange']:10.1f}{row['exchange'] / row['step_with_exchange']:8.1%} | "
            f"{1e3 * row['sum']:9.1f}{1e3 * row['sum_by_mpi']:21.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
