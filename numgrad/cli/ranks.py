"""``numgrad train-step --ranks N``: the training steps on several ranks, each with a batch of its own.

The command starts this module as N ranks; rank 0 prints the report.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from numgrad import distributed
from numgrad.cli.progress import CompileProgress
from numgrad.cli.step import RECIPE, prepare, recipe_arguments, step
from numgrad.distributed.launch import mpiexec
from numgrad.nn import Module
from numgrad.nn.parallel import DistributedDataParallel
from numgrad.runtime import helpers
from numgrad.runtime.threads import get_num_threads, set_num_threads

_COLUMNS = ("forward", "backward", "exchange", "optimizer", "total")


def start(args: argparse.Namespace, checkpoint: Path | None) -> int:
    """Run the steps on ``args.ranks`` ranks, and return the exit code of ``mpiexec``.

    Raises
    ------
    RuntimeError
        There is no MPI.
    OSError
        ``mpiexec`` cannot be started.
    """
    task = {name: value for name, value in vars(args).items() if isinstance(value, (str, int, float, bool, type(None)))}
    task["checkpoint"] = None if checkpoint is None else str(checkpoint)
    command = [mpiexec(), "-n", str(args.ranks), sys.executable, "-m", "numgrad.cli.ranks", json.dumps(task)]
    process = subprocess.Popen(command)
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def main() -> None:
    """One of the ranks."""
    args = argparse.Namespace(**json.loads(sys.argv[1]))
    distributed.init_process_group("mpi")
    if args.threads:
        set_num_threads(args.threads)
    report = measure(args, None if args.checkpoint is None else Path(args.checkpoint))
    if distributed.get_rank() == 0:
        print(json.dumps(report, indent=2, allow_nan=False) if args.json else as_text(report), flush=True)
    distributed.destroy_process_group()


def measure(args: argparse.Namespace, checkpoint: Path | None) -> dict[str, Any]:
    """Run the steps as one of the ranks. The report has medians over the steps after the first, in seconds, for each rank."""
    rank, size = distributed.get_rank(), distributed.get_world_size()
    _compile(args, checkpoint)
    model, images, labels, optimizer = prepare(args, checkpoint, batch=rank)
    parallel = DistributedDataParallel(model)
    rows = []
    for number in range(args.steps + 1):
        distributed.barrier()  # a rank that waits for a slower one does not count that as exchange
        before = parallel.exchange_seconds
        (forward, backward, stepped), loss = step(parallel, images, labels, optimizer)
        exchange = parallel.exchange_seconds - before
        if number:
            rows.append((forward, backward - exchange, exchange, stepped, forward + backward + stepped))
    own = {
        "rank": rank,
        "threads": get_num_threads(),
        "seconds": dict(zip(_COLUMNS, [statistics.median(column) for column in zip(*rows, strict=True)], strict=True)),
        "loss": loss.item() if math.isfinite(loss.item()) else None,
        "parameters": _digest(model),
    }
    everybody: list[Any] = [None] * size
    distributed.all_gather_object(everybody, own)
    digests = {row.pop("parameters") for row in everybody}
    totals = sum(row["seconds"]["total"] for row in everybody)
    return {
        "model": args.model,
        "weights": f"random (seed {args.seed})" if checkpoint is None else str(checkpoint),
        "batch_size": args.batch_size,
        "image_size": args.image_size,
        "dtype": args.dtype,
        "steps": args.steps,
        "ranks": everybody,
        "exchange_share": sum(row["seconds"]["exchange"] for row in everybody) / totals,
        "parameters_are_equal": len(digests) == 1,
    }


def _compile(args: argparse.Namespace, checkpoint: Path | None) -> None:
    """Let the first rank of each machine compile what is missing, while the others wait."""
    with ExitStack() as stack:
        if distributed.get_node_local_rank() == 0:
            stack.enter_context(CompileProgress())
            stack.enter_context(helpers.on_demand(RECIPE, recipe_arguments(args, checkpoint)))
            model, images, labels, optimizer = prepare(args, checkpoint)
            step(model, images, labels, optimizer)
    distributed.barrier()


def _digest(model: Module) -> str:
    bits = b"".join(parameter.detach().clone().numpy().tobytes() for parameter in model.parameters())
    return hashlib.sha256(bits).hexdigest()


def as_text(report: dict[str, Any]) -> str:
    """The report as a small table in text."""
    size, ranks = report["image_size"], report["ranks"]
    lines = [
        f"{report['model']}, {len(ranks)} ranks of {report['batch_size']} x 3 x {size} x {size}, {report['dtype']}, weights: "
        f"{report['weights']}; medians of {report['steps']} steps",
        f"{'ms a step':12}{'threads':>9}" + "".join(f"{column:>11}" for column in _COLUMNS) + f"{'loss':>13}",
    ]
    for row in ranks:
        spent = "".join(f"{1e3 * row['seconds'][column]:11.2f}" for column in _COLUMNS)
        lines.append(
            f"rank {row['rank']:<7}{row['threads']:9}{spent}{math.nan if row['loss'] is None else row['loss']:13.6g}"
        )
    same = "the same bits" if report["parameters_are_equal"] else "DIFFERENT bits"
    lines += [
        f"exchange of gradients: {report['exchange_share']:.1%} of a step",
        f"parameters after the last step: {same} on all ranks",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
