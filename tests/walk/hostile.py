"""A walk over the whole public surface with hostile arguments: ``python -m tests.walk.hostile --calls 50000``.

Each call is drawn from a seed and made in a process that may die: functions, methods, operators and indices (`targets`),
modules, optimizers, schedulers, transforms, files and the ops of the registry (`programs`). What is wrong: a crash, a call
that does not end, an exception of a class that is not documented, an operand that changed although the call was refused, a
result that lies outside of its memory or cannot be used, a change to anybody else's memory or to a mode of the library, and
a value, shape or dtype other than torch's where both succeed. ``--show SEED`` runs one call again and prints what came of it.

``NUMGRAD_DEBUG=1`` and ``NUMGRAD_DEBUG=guard`` reach the processes: an index out of bounds is then an error that the walk
reports, or a crash whose traceback it prints beside the seed.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.walk.aftermath import REFUSALS, WrongError
from tests.walk.processes import Report, Walk
from tests.walk.recipes import OwnError

MEMORY = 12 << 30  # bytes of address space: what asks for more gets a MemoryError
# Faults for the walk's own test, as "3:crash,5:exception": seeds and what is to go wrong there.
PLANTED = {
    int(seed): fault
    for seed, _, fault in (each.partition(":") for each in os.environ.get("NUMGRAD_WALK_FAULT", "").split(",") if each)
}


# Where results may be others than torch's: part of the target's name, part of the difference (or of the call), and why.
EXPLAINED = (
    (("ge", "le", "gt", "lt", "eq", "ne"), "values differ", "torch wraps numbers that the dtype does not have"),
    (("floor_divide", "floordiv"), "requires_grad", "torch's result requires a gradient that its backward refuses to compute"),
    (("ne_", "le_", "ge_", "lt_", "gt_", "eq_"), "requires_grad", "a comparison has no gradient; in place torch says that it has"),
    (("",), "<scalar ('bool_'", "np.bool_ is a bool; torch takes it for a number of floating point"),
    (("",), "<array ('0-d'", "a 0-d array counts as a number; in torch as a tensor with dimensions"),
    (("std", "var", "norm", "normalize"), "values differ", "float64 within; torch overflows, or rounds where all is equal"),
    (("cat",), "requires_grad", "a vector of nothing among others is left out, and gets no gradient"),
    (("fill",), "requires_grad", "integers have no gradient; in place torch says that they have"),
    (("gelu",), "values differ", "at infinity the limit; torch's is NaN"),
    (("ne", "eq"), "result is bool", "a complex number is left to Python"),
)  # fmt: skip


def is_explained(call: str, difference: str) -> bool:
    """Whether a difference is one of those in the table."""
    name = call.partition("(")[0].partition(":")[2]
    words = name.strip("_").split("_")
    return any(
        text in f"{call} {difference}" and any(part in (name, "", *words) for part in parts)
        for parts, text, _ in EXPLAINED
    )


# ---- one call -----------------------------------------------------------------------------------------------------


def drawn(seed: int, only: str = "") -> tuple[str, list[Any], dict[str, Any]]:
    """The call of a seed: its target, positional and named arguments."""
    from tests.walk import targets

    rng = random.Random(seed)
    known = [name for name in targets.names() if only in name]
    target = known[rng.randrange(len(known))]
    return target, *targets.arguments(rng, target)


def _state(operands: list[Any]) -> list[tuple[Any, ...]]:
    return [(x._array().tobytes(), x._version, x.requires_grad, x.shape) for x in operands]


def made(lib: Any, call: tuple[str, list[Any], dict[str, Any]]) -> tuple[Any, list[Any], Any]:
    """The call in one of the libraries: its result or exception, and the operands; None if the library has no such name."""
    from tests.walk import recipes, scenes, targets

    target, positional, named = call
    function = targets.resolve(lib, target)
    if function is None:
        return None, [], None
    operands: list[Any] = []
    args = [recipes.build(lib, each, operands) for each in positional]
    kwargs = {name: recipes.build(lib, each, operands) for name, each in named.items()}
    is_ours = lib.__name__ == "numgrad"
    before = _state(operands) if is_ours else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*args, **kwargs)
            if inspect.isgenerator(result) and result.gi_code.co_filename == scenes.__file__:
                while True:
                    before = _state(operands) if is_ours else None
                    try:
                        next(result)
                    except StopIteration as end:
                        result = end.value
                        break
            if target == "operator:setitem" or result is None:
                result = operands[0] if operands else None
    except Exception as error:  # what it is gets judged by who called
        return error, operands, before
    return result, operands, before


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value, key=repr)]
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _values(value: Any) -> Any:
    if hasattr(value, "_array"):
        return value._array()
    return value.detach().cpu().numpy()


def compared(target: str, ours: Any, theirs: Any) -> None:
    """Raise if two results differ in structure, dtype, shape or value."""
    from tests.walk import scenes, targets

    mine, his = list(_leaves(ours)), list(_leaves(theirs))
    if len(mine) != len(his):
        raise WrongError(f"{len(mine)} results, torch has {len(his)}")
    for a, b in zip(mine, his, strict=True):
        is_tensor = hasattr(a, "_spec")
        if is_tensor != hasattr(b, "untyped_storage"):
            raise WrongError(f"result is {type(a).__name__}, torch's {type(b).__name__}")
        if not is_tensor:
            if scenes.numbers_differ(a, b):
                raise WrongError(f"result is {a!r}, torch's {b!r}")
            continue
        if (a.dtype.name, tuple(a.shape)) != (str(b.dtype).removeprefix("torch."), tuple(b.shape)):
            raise WrongError(f"result is {a.dtype} {list(a.shape)}, torch's {b.dtype} {list(b.shape)}")
        if a.requires_grad != b.requires_grad:
            raise WrongError(f"requires_grad is {a.requires_grad}, torch's {b.requires_grad}")
        if any(word in target for word in targets.RANDOM):
            continue
        x, y = np.asarray(_values(a)), np.asarray(_values(b))
        if x.dtype.kind != "f":
            same = np.array_equal(x, y)
        else:
            exact = x.dtype.itemsize == 8
            with np.errstate(all="ignore"):
                scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
                scale = scale if scale < 1e25 else 0.0  # beside huge numbers small ones are compared by themselves
                same = np.allclose(x, y, 1e-9 if exact else 2e-4, (1e-12 if exact else 1e-5) * scale, equal_nan=True)
        if not same:
            raise WrongError(f"values differ: {x.ravel()[:8]} torch's {y.ravel()[:8]}")


def is_documented(error: Exception, target: str) -> bool:
    """Whether a call may end so: the classes that docs and torch name, and what an argument itself raised."""
    if type(error).__name__ == "KernelError":
        return False
    if isinstance(error, (*REFUSALS, OwnError)):
        return True
    kind = target.partition(":")[0]
    return (
        (isinstance(error, OverflowError) and str(error).startswith("int too big to convert"))
        or (isinstance(error, AssertionError) and str(error).startswith("Padding_idx must be within"))
        or (isinstance(error, KeyError) and kind in ("object", "scheduler", "optimizer", "file"))
        or (isinstance(error, AttributeError) and kind in ("object", "attribute") and "has no attribute" in str(error))
        or (type(error).__name__ == "GradcheckError" and kind == "autograd")
    )


def judge(seed: int, only: str = "", torch: Any = None, neighbours: Any = None) -> str:
    """Make the call of a seed; what came of it in a word, with the class of the exception behind a slash if it was refused.

    Raises
    ------
    WrongError
        Something is wrong with it.
    """
    import numgrad as ng
    from tests.walk import aftermath

    call = drawn(seed, only)
    ours, operands, before = made(ng, call)
    if PLANTED.get(seed):
        ours, operands, before = _planted(PLANTED[seed])
    if isinstance(ours, Exception):
        if not is_documented(ours, call[0]):
            raise WrongError(f"{type(ours).__name__}: {ours}") from ours
        if before is not None and _state(operands) != before:
            raise WrongError(f"refused ({ours}), but an operand has changed")
        refusal = f"/{type(ours).__name__}"
    if neighbours is not None:
        neighbours.check()
        neighbours.renew()
    aftermath.sane()
    word = "refused" if isinstance(ours, Exception) else "done"
    if torch is not None:
        word = _beside_torch(seed, only, torch, call, ours)
    if isinstance(ours, Exception):
        return word + refusal
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        aftermath.used(ours)
    if neighbours is not None:
        neighbours.check()
    return word


def _beside_torch(seed: int, only: str, torch: Any, call: tuple[str, list[Any], dict[str, Any]], ours: Any) -> str:
    """The same call in torch, compared with ours; what came of both in a word."""
    print("torch", seed, flush=True)
    with open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
        theirs, _, _ = made(torch, call)
    print("begin", seed, flush=True)
    if isinstance(ours, Exception):
        return "both refused" if isinstance(theirs, Exception) else "refused alone"
    if isinstance(theirs, Exception) or theirs is None:
        return "done alone"
    try:
        compared(call[0], ours, theirs)
    except WrongError as wrong:
        if not is_explained(described(seed, only), str(wrong)):
            raise
        return "explained"
    except MemoryError:
        return "too large to compare"
    return "both done"


def _planted(fault: str) -> tuple[Exception, list[Any], Any]:
    """A fault that the test of the walk plants, to see that it is noticed."""
    import numgrad as ng

    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
        time.sleep(1e6)
    operands = [ng.zeros(2)]
    before = _state(operands)
    if fault == "change":
        operands[0].add_(1)
    if fault == "neighbour":
        _neighbours[0].disturb()
    if fault == "mode":
        ng.set_grad_enabled(False)
    if fault == "value":
        return ng.ones(3, 3), operands, before
    if fault == "memory":
        operands[0]._spec = ng.zeros(3)._spec
        return operands[0], operands, before
    return (AttributeError if fault == "exception" else RuntimeError)("planted"), operands, before


# ---- the program --------------------------------------------------------------------------------------------------

_neighbours: list[Any] = []  # of the process that makes calls


def work(first: int, last: int, only: str, with_torch: bool) -> None:
    """The process that makes calls: a line before each, one after."""
    import resource

    torch = None
    if with_torch:
        import torch

        torch.set_num_threads(1)
    from tests.walk import aftermath

    _neighbours[:] = [aftermath.Neighbours()]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for seed in range(first, last):
        print("begin", seed, flush=True)
        try:
            print("end", seed, judge(seed, only, torch, _neighbours[0]).replace(" ", "_"), flush=True)
        except WrongError as wrong:
            print("end", seed, "wrong", f"{described(seed, only)}: {wrong}".replace("\n", " ")[:900], flush=True)


def described(seed: int, only: str = "") -> str:
    """The call of a seed, to read."""
    target, positional, named = drawn(seed, only)
    words = [repr(each) for each in positional] + [f"{name}={each!r}" for name, each in named.items()]
    return f"{target}({', '.join(words)})"


def walk(
    calls: int,
    begin: int = 0,
    only: str = "",
    with_torch: bool = False,
    seconds: float = 1e9,
    processes: int = 1,
    progress: bool = False,
) -> Report:
    """Make so many calls, or as many as there is time for: what came of them, and all that was wrong."""
    options = ["--only", only, *["--torch"] * with_torch]
    return Walk(options, seconds, lambda seed: described(seed, only), progress).run(begin, begin + calls, processes)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--begin", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default="", help="only targets whose name contains this")
    parser.add_argument("--torch", action="store_true", help="compare with torch")
    parser.add_argument("--seconds", type=float, default=1e9, help="end after this time")
    parser.add_argument("--processes", type=int, default=1, help="how many make calls at the same time")
    parser.add_argument(
        "--show", type=int, help="make the call of this seed in this process and print what comes of it"
    )
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        work(*options.work, options.only, options.torch)
        return 0
    if options.show is not None:
        return show(options.show, options.only, options.torch)
    report = walk(
        options.calls, options.begin, options.only, options.torch, options.seconds, options.processes, progress=True
    )
    print("\n".join(report.faults))
    print(report.summary())
    return bool(report.faults)


def show(seed: int, only: str, with_torch: bool) -> int:
    """Make one call and print it, its results and what is wrong with it."""
    import numgrad as ng

    call = drawn(seed, only)
    print(described(seed, only))
    libraries: list[Any] = [ng]
    if with_torch:
        import torch

        libraries.append(torch)
    for lib in libraries:
        result, _, _ = made(lib, call)
        if isinstance(result, Exception):
            traceback.print_exception(result)
        else:
            print(lib.__name__, result)
    try:
        print(judge(seed, only, libraries[1] if with_torch else None))
    except WrongError as wrong:
        print("WRONG:", wrong)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
