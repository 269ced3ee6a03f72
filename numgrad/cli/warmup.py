"""``numgrad warmup``: compiles the kernels of a training step in advance, in several processes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from numgrad.cli import FAILED, FILE_SYSTEM, OK, USAGE
from numgrad.cli.train_step import integer, positive

_MOST_JOBS = 64  # the limit of NUMGRAD_COMPILE_JOBS


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``warmup`` command to a parser's subcommands.

    >>> parser = argparse.ArgumentParser()
    >>> _ = add_parser(parser.add_subparsers())
    >>> parser.parse_args(["warmup", "--model", "resnet50"]).image_size
    64
    """
    parser = subparsers.add_parser(
        "warmup",
        help="compile the kernels of a training step in advance, in several processes",
        description="Compile the kernels that training steps of a model need (forward in both modes, backward, SGD) "
        "into the store, so that no later process waits for them: after an installation, in the making of a container's "
        "image, before a benchmark. Nothing is trained and nothing downloaded. Kernels depend on the model, the dtype "
        "and, a little, on the sizes, so give those that you will use; what is in the store already costs nothing.",
        epilog="The store is a folder of the user's (`numgrad info` shows it, NUMGRAD_KERNEL_STORE chooses another); what "
        "lies in it fits this kind of CPU and these versions of Python, Numba and numgrad. Exit codes: 0 fine, 1 a kernel "
        "could not be compiled, 2 usage, 4 there is no store that can be written, 130 interrupted (what was compiled stays).",
    )
    add = parser.add_argument
    add("--model", default="resnet18", help="a model of numgrad.models (default: %(default)s)")
    add("--batch-size", type=positive, default=1, metavar="N", help="images in a batch (default: %(default)s)")
    add("--image-size", type=positive, default=64, metavar="N", help="pixels a side (default: %(default)s)")
    add("--dtype", choices=("float32", "float64"), default="float32", help="precision (default: %(default)s)")
    add("--jobs", type=_jobs, metavar="N",
        help="processes that compile at once, about 200 MB each (default: the CPUs, at most 4)")  # fmt: skip
    add("--quiet", action="store_true", help="show no progress bar")
    add("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    return parser


def _jobs(text: str) -> int:
    return integer(text, 1, _MOST_JOBS)


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments of `add_parser` and return the exit code. Expected errors take one line."""
    from numgrad import models
    from numgrad.runtime import helpers, store

    try:
        models.get_model_builder(args.model)
        jobs = args.jobs or helpers.job_count()
        folder = store.folder()
    except ValueError as error:
        return _tell(str(error), USAGE)
    problem = store.problem()
    if folder is None or problem:
        return _tell(f"there is no store to compile into: {problem}", FILE_SYSTEM)
    try:
        report = _compile(args, jobs)
    except OSError as error:
        return _tell(f"no process can be started to compile: {error}", FAILED)
    if "error" in report:
        return _tell(report["error"], USAGE if report["kind"] in ("ValueError", "ShapeError") else FAILED)
    report["store"] = str(folder)
    print(json.dumps(report, indent=2) if args.json else _as_text(report))
    return OK


def _compile(args: argparse.Namespace, jobs: int) -> dict[str, Any]:
    """Start the processes, show their progress, and sum up their messages; 'error' and 'kind' tell that one has failed."""
    from numgrad.cli.step import RECIPE, recipe_arguments
    from numgrad.runtime import helpers

    begin = time.perf_counter()
    total, missing, compiled = 0, 0, []
    bar = None
    with helpers.team(RECIPE, recipe_arguments(args), jobs) as messages:
        try:
            for message in messages:
                if "error" in message:
                    return message
                if "total" not in message:
                    compiled.append(message)
                    if bar is not None:
                        bar.done(message["name"])
                elif not total:
                    total, missing = message["total"], message["missing"]
                    bar = _Bar(missing, show=not args.quiet)
        finally:
            if bar is not None:
                bar.close()
    return {
        "model": args.model,
        "batch_size": args.batch_size,
        "image_size": args.image_size,
        "dtype": args.dtype,
        "jobs": jobs,
        "kernels": total,
        "compiled": len(compiled),
        "seconds": round(time.perf_counter() - begin, 3),
        "compiling_seconds": round(sum(message["seconds"] for message in compiled), 3),
        "slowest": sorted(compiled, key=lambda message: -message["seconds"])[:5],
    }


def _as_text(report: dict[str, Any]) -> str:
    size = report["image_size"]
    step = f"{report['model']}, {report['batch_size']} x 3 x {size} x {size}, {report['dtype']}"
    if not report["compiled"]:
        return f"{step}: all {report['kernels']} kernels are in {report['store']}"
    return (
        f"{step}: compiled {report['compiled']} of {report['kernels']} kernels in {report['seconds']:.1f} s "
        f"with {report['jobs']} process{'es' if report['jobs'] > 1 else ''}, into {report['store']}"
    )


class _Bar:
    """Progress of the compilation on stderr: tqdm's bar where tqdm is installed, otherwise a line now and then."""

    def __init__(self, total: int, *, show: bool) -> None:
        self.total, self.count = total, 0
        self._terminal = sys.stderr.isatty()
        self._last_report = time.monotonic()
        self._show = show and total > 0
        self._tqdm: Any = None
        if self._show and self._terminal:
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self._tqdm = tqdm(desc="compiling", total=total, unit="kernel", dynamic_ncols=True)

    def done(self, name: str) -> None:
        """Count one more kernel."""
        self.count += 1
        if self._tqdm is not None:
            self._tqdm.set_postfix_str(name[:24], refresh=False)
            self._tqdm.update(1)
        elif self._show and self._terminal:
            sys.stderr.write(f"\r{f'compiling: {self.count} of {self.total}  {name}'[:76]:76}")
            sys.stderr.flush()
        elif self._show and time.monotonic() - self._last_report > 5:
            self._last_report = time.monotonic()
            sys.stderr.write(f"compiling: {self.count} of {self.total} kernels\n")
            sys.stderr.flush()

    def close(self) -> None:
        """End the line."""
        if self._tqdm is not None:
            self._tqdm.close()
        elif self._show and self._terminal:
            sys.stderr.write("\n")


def _tell(text: str, code: int) -> int:
    print(f"numgrad warmup: {text}", file=sys.stderr)
    return code
