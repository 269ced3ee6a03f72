"""The console command ``numgrad``: ``numgrad train-step``, ``classify``, ``warmup``, ``info``, ``ops``, ``weights``.

Exit codes: 0 fine, 1 a file is corrupt or does not fit, 2 usage, 3 network, 4 file system, 130 interrupted (Ctrl-C).
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

OK, FAILED, USAGE, NETWORK, FILE_SYSTEM, INTERRUPTED = 0, 1, 2, 3, 4, 130
# The module of each command has `add_parser(subparsers)` and `run(args)`. Only the one that is asked for is imported.
COMMANDS = {
    "train-step": "numgrad.cli.train_step",
    "classify": "numgrad.cli.classify",
    "warmup": "numgrad.cli.warmup",
    "info": "numgrad.cli.info",
    "ops": "numgrad.cli.ops",
    "weights": "numgrad.cli.weights",
}


class _Version(argparse.Action):
    """``--version``, whose text is looked up when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from numgrad.cli.machine import own_version

        print(f"numgrad {own_version()}")
        parser.exit()


def make_parser(commands: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser of the whole command line, with these subcommands.

    >>> make_parser().parse_args(["train-step", "--steps", "3"]).steps
    3
    """
    parser = argparse.ArgumentParser(
        prog="numgrad",
        description="Autograd on the CPU: PyTorch's API, kernels compiled by Numba.",
        epilog="`numgrad COMMAND --help` shows a command's options; `numgrad info` lists the environment variables.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands:
        module = import_module(COMMANDS[name])
        module.add_parser(subparsers).set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (default: this process's); the exit code.

    Raises
    ------
    SystemExit
        With code 2 and a line on stderr if the arguments make no sense, with 0 after ``--help`` and ``--version``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # else the interpreter, when it ends, looks three times for garbage in all there is
    try:
        asked = arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else tuple(COMMANDS)
        parsed = make_parser(asked).parse_args(arguments)
        code: int = parsed.run(parsed)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit does not fail again
        return FAILED
