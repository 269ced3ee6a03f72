"""The console command ``numgrad``: ``numgrad train-step``, ``classify``, ``warmup``, ``summary``, ``info``,
``ops``, ``weights``.

Exit codes: 0 success; 1 a file is corrupt or does not fit, memory is short, or the reader of a pipe went away; 2 usage
(arguments or environment variables); 3 network; 4 file system, also if stdout cannot be written; 130 interrupted
(Ctrl-C). An error that a user may cause is reported in one line on stderr.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from numgrad.command import INTERRUPTED
from numgrad.errors import KernelError

OK, FAILED, USAGE, NETWORK, FILE_SYSTEM = 0, 1, 2, 3, 4
# The module of each command has `add_parser(subparsers)` and `run(args)`. Only the command in use is imported.
COMMANDS = {
    "train-step": "numgrad.cli.train_step",
    "classify": "numgrad.cli.classify",
    "warmup": "numgrad.cli.warmup",
    "summary": "numgrad.cli.summary",
    "info": "numgrad.cli.info",
    "ops": "numgrad.cli.ops",
    "weights": "numgrad.cli.weights",
}


# Errors that a user's machine, files and settings may cause anywhere, and their exit codes.
_EXPECTED = ((KernelError, FAILED), (MemoryError, FAILED), (OSError, FILE_SYSTEM))


class _Version(argparse.Action):
    """``--version``; the text is looked up on use."""

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
        epilog="`numgrad COMMAND --help` shows a command's options; `numgrad info` lists the environment variables. Exit "
        "codes: 0 fine, 1 a file is corrupt or does not fit, or memory is short, 2 usage or settings, 3 network, 4 file "
        "system or stdout, 130 interrupted.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands:
        module = import_module(COMMANDS[name])
        module.add_parser(subparsers).set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: this process's) and return the exit code.

    Raises
    ------
    SystemExit
        Code 2 and a line on stderr if the arguments are invalid, 0 after ``--help`` and ``--version``.
    """
    from numgrad.cli.interrupt import Interruptible
    from numgrad.cli.streams import OutputError, guarded

    arguments = list(sys.argv[1:] if argv is None else argv)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # otherwise the interpreter collects garbage among all objects three times at its end
    interruptible = Interruptible()
    with guarded():
        try:
            with interruptible:
                try:
                    return _run(arguments)
                finally:
                    sys.stdout.flush()
        except KeyboardInterrupt:
            return _interrupted()
        except OutputError as error:
            if isinstance(error.reason, BrokenPipeError):  # the reader, such as `head`, has enough
                return FAILED
            return _tell(f"numgrad: cannot write to stdout: {error}", FILE_SYSTEM)
        except Exception as error:
            if interruptible.seen:  # some code has turned it into another exception
                return _interrupted()
            code = next((code for kind, code in _EXPECTED if isinstance(error, kind)), None)
            if code is None:
                raise  # a bug in numgrad: keep the traceback
            logging.getLogger("numgrad.cli").debug("where it happened", exc_info=True)
            return _tell(f"numgrad: {error}", code)


def _run(arguments: list[str]) -> int:
    from numgrad import config

    commands = arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else tuple(COMMANDS)
    parsed = make_parser(commands).parse_args(arguments)
    problem = config.problem()
    if problem and parsed.command != "info":  # `info` reports it itself
        return _tell(f"numgrad: {problem}", USAGE)
    code: int = parsed.run(parsed)
    return code


def _interrupted() -> int:
    # CPython remembers that an interrupt left a piece of source that was executed (as `namedtuple` does), and ends the
    # process of ``python -m`` by SIGINT even if it was caught. To execute another piece makes it forget.
    exec("")
    return _tell("interrupted", INTERRUPTED)


def _tell(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code
