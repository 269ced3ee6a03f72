"""``numgrad train-step``: runs the training step of the autograd tutorial and shows the time that it takes."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from numgrad.cli import FAILED, FILE_SYSTEM, OK, USAGE

if TYPE_CHECKING:
    from numgrad.cli.step import Report

_MOST_THREADS = _MOST_RANKS = 1024
_MOST = (1 << 31) - 1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the ``train-step`` command to a parser's subcommands.

    >>> parser = argparse.ArgumentParser()
    >>> _ = add_parser(parser.add_subparsers())
    >>> parser.parse_args(["train-step"]).batch_size
    1
    """
    parser = subparsers.add_parser(
        "train-step",
        help="run training steps of a model and show what they take",
        description="Run training steps of a model on random images, as PyTorch's autograd tutorial does: forward, "
        "loss = (prediction - labels).sum(), backward, SGD with momentum. Prints the time of each part, the loss, "
        "the norm of the gradient and the memory. The first run compiles the kernels, later ones find them on disk.",
        epilog="Exit codes: 0 fine, 1 a checkpoint is corrupt or does not fit, 2 usage, 3 network, 4 file system, "
        "130 interrupted.",
    )
    add = parser.add_argument
    add("--weights", default="auto", metavar="auto|imagenet|random|FILE",
        help="pretrained weights (imagenet), random ones, a checkpoint's file, or pretrained ones if they are on this "
        "machine or can be downloaded and else random ones (auto, the default)")  # fmt: skip
    add("--model", default="resnet18", help="a model of numgrad.models (default: %(default)s)")
    add("--batch-size", type=positive, default=1, metavar="N", help="images in a batch (default: %(default)s)")
    add("--image-size", type=positive, default=64, metavar="N", help="pixels a side (default: %(default)s)")
    add("--steps", type=positive, default=5, metavar="N", help="training steps (default: %(default)s)")
    add("--lr", type=_not_negative, default=1e-2, help="learning rate (default: %(default)s)")
    add("--momentum", type=_not_negative, default=0.9, help="momentum of SGD (default: %(default)s)")
    add("--seed", type=_seed, default=0, help="seed of the images, labels and random weights (default: %(default)s)")
    add("--threads", type=_threads, metavar="N", help="threads to use (default: the CPUs this process may run on)")
    add("--ranks", type=_ranks, metavar="N",
        help="run on so many processes, each with a batch of its own, whose gradients are averaged; needs "
        "`pip install 'numgrad[mpi]'`")  # fmt: skip
    add("--dtype", choices=("float32", "float64"), default="float32", help="precision (default: %(default)s)")
    add(
        "--jit",
        action="store_true",
        help="then make the same steps from the same beginning as one program (numgrad.jit), and show these beside the others",
    )
    add("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments of `add_parser` and return the exit code. Expected errors take one line."""
    from numgrad import models
    from numgrad.cli import interrupt
    from numgrad.cli.starting_weights import choose
    from numgrad.cli.step import measure
    from numgrad.errors import KernelError
    from numgrad.runtime import threads
    from numgrad.serialization.errors import WeightsFormatError
    from numgrad.weights import WeightsError

    try:
        if args.threads:
            threads.set_num_threads(args.threads)
        models.get_model_builder(args.model)
        choice = choose(args.weights, args.model)
        if choice.reason:
            print(f"using random weights from seed {args.seed}: {choice.reason}", file=sys.stderr)
        if args.ranks and args.jit:
            return _tell(
                "--jit and --ranks: ranks wait for each other within a step, which no program does; leave one out",
                USAGE,
            )
        if args.ranks:
            from numgrad.cli import ranks

            return ranks.start(args, choice.path)
        report = measure(args, choice.path, interrupt.check)
    except WeightsError as error:
        from numgrad.cli.weights import exit_code

        return _tell(str(error), exit_code(error))
    except WeightsFormatError as error:
        return _tell(str(error), FAILED)
    except OSError as error:
        return _tell(str(error), FILE_SYSTEM)
    except MemoryError as error:
        return _tell(f"not enough memory: {error}", FAILED)
    except KernelError:
        raise  # not caused by the arguments
    except (RuntimeError, ValueError) as error:  # arguments that do not fit together: a small image in a batch of one
        return _tell(str(error), USAGE)
    print(json.dumps(as_json(report), indent=2, allow_nan=False) if args.json else as_text(report))
    return OK


def main(argv: Sequence[str] | None = None) -> int:
    """``numgrad train-step`` for scripts; `argv` holds the arguments after these words."""
    from numgrad import cli

    return cli.main(["train-step", *(sys.argv[1:] if argv is None else argv)])


def _tell(text: str, code: int) -> int:
    print(f"numgrad train-step: {text}", file=sys.stderr)
    return code


# ---- arguments --------------------------------------------------------------------------------------------------


def integer(text: str, low: int, high: int) -> int:
    """The value of an argument that has to be a whole number from ``low`` to ``high``."""
    expected = f"an integer from {low} to {high}"
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, expected {expected}")
    # Python refuses to read thousands of digits.
    value = int(text) if len(digits) < 100 else 10**100
    if not low <= value <= high:
        shown = text.strip() if len(digits) <= 30 else f"a number of {len(digits)} digits"
        raise argparse.ArgumentTypeError(f"got {shown}, expected {expected}")
    return value


def positive(text: str) -> int:
    """The value of an argument that has to be a whole number of at least 1, and at most a tensor's largest extent."""
    return integer(text, 1, _MOST)


def _threads(text: str) -> int:
    return integer(text, 1, _MOST_THREADS)


def _ranks(text: str) -> int:
    return integer(text, 1, _MOST_RANKS)


def _seed(text: str) -> int:
    return integer(text, 0, (1 << 63) - 1)


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"got {text}, expected a finite number of at least 0")
    return value


# ---- results ----------------------------------------------------------------------------------------------------


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values for JSON: times in seconds, sizes in bytes, None for what is not finite or not known."""
    from numgrad.cli.machine import versions

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    document: dict[str, Any] = plain({**asdict(report), "versions": versions()})
    return document


def as_text(report: Report) -> str:
    """The report as a small table in text."""
    from numgrad.cli.machine import megabytes

    size = report.image_size
    others = len(report.seconds["total"]["all"]) - 1
    lines = [
        f"{report.model}, {report.batch_size} x 3 x {size} x {size}, {report.dtype}, "
        f"{report.threads} thread{'s' if report.threads > 1 else ''}, weights: {report.weights}",
        f"{'ms a step':14}{'first':>10}" + (f"   median of the other {others}" if others else ""),
    ]
    for part, spent in report.seconds.items():
        median = "" if spent["median"] is None else f"{1e3 * spent['median']:12.2f}"
        lines.append(f"{part:14}{1e3 * spent['first']:10.2f}{median}")
    if report.replay is not None:
        median = report.replay["median"]
        shown = "" if median is None else f"{1e3 * median:12.2f}"
        bits = "the same bits" if report.replay["has_the_same_bits"] else "OTHER BITS"
        lines.append(f"{'replayed':14}{1e3 * report.replay['capture']:10.2f}{shown}   first: captured")
        what = f"{report.replay['launches']} launches, {megabytes(report.replay['planned_bytes'])} planned"
        lines.append(f"{'':14}{what if shown else 'nothing: it takes 3 steps'}; loss: {bits}")
    count = len(report.seconds["total"]["all"])
    lines += [
        f"{'loss':14}{report.loss['before']:.6g} before, {report.loss['after']:.6g} after step {count}",
        f"{'gradient norm':14}{report.gradient_norm:.6g} in the first step",
        f"{'peak memory':14}{megabytes(report.memory['peak_resident_bytes'])} resident, "
        f"{megabytes(report.memory['peak_storage_bytes'])} of it tensors",
    ]
    return "\n".join(lines)
