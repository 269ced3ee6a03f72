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
import faulthandler
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

MEMORY = 3 << 30  # bytes of address space: what asks for more gets a MemoryError; Python with torch has 0.8 of them
# Faults for the walk's own test, as "3:crash,5:exception": seeds and what is to go wrong there.
PLANTED = {
    int(seed): fault
    for seed, _, fault in (each.partition(":") for each in os.environ.get("NUMGRAD_WALK_FAULT", "").split(",") if each)
}


_NORMS = (
    "BatchNorm1d",
    "BatchNorm2d",
    "LayerNorm",
    "GroupNorm",
    "BCEWithLogitsLoss",
    "functional_call",
    "SyncBatchNorm",
)
_MIXED = ("func:", "autograd:", "gradient:")  # float64 of float32 within
# Where results may be others than torch's: part of the target's name, part of the difference (or of the call), and why.
EXPLAINED = (
    (("ge", "le", "gt", "lt", "eq", "ne"), "values differ", "torch wraps numbers that the dtype does not have"),
    (("less", "greater", "not"), "values differ", "as the other names of these comparisons"),
    (("Tensor",), "values differ", "a size alone makes memory that nobody wrote"),
    (("vector_to_parameters",), "result is", "parameters keep their dtype and memory; torch lays them over the vector"),
    (("floor_divide", "floordiv"), "requires_grad", "torch's result requires a gradient that its backward refuses to compute"),
    (("ne_", "le_", "ge_", "lt_", "gt_", "eq_"), "requires_grad", "a comparison has no gradient; in place torch says that it has"),
    (("",), "<scalar ('bool_'", "np.bool_ is a bool; torch takes it for a number of floating point"),
    (("",), "<array ('0-d'", "a 0-d array counts as a number; in torch as a tensor with dimensions"),
    (("std", "var", "norm", "normalize"), "values differ", "float64 within; torch overflows, or rounds where all is equal"),
    (("cat",), "requires_grad", "a vector of nothing among others is left out, and gets no gradient"),
    (("fill", "setitem"), "requires_grad", "integers have no gradient; in place torch says that they have"),
    (("jacfwd", "hessian", "dual"), "requires_grad is False", "a derivative that is the same everywhere has no gradient"),
    (("grad", "grad_and_value", "value_and_grad", "jacrev"), "requires_grad is True", "where the value depends on others"),
    (_NORMS, "'special'", "float64 within; torch overflows"),
    (_NORMS, "'huge'", "float64 within; torch overflows"),
    (_NORMS, "'extreme'", "float64 within; torch overflows"),
    (("Generator.get_state", "Generator.seed", "Generator.initial_seed"), "result is", "a generator of another kind"),
    (("storage_offset",), "result is 0", "a slice of nothing begins where its base does"),
    (("gelu",), "values differ", "at infinity the limit; torch's is NaN"),
    (("jvp", "jacfwd", "hessian"), "result is numgrad.float32 [], torch's torch.float64", "a tangent has its primal's dtype"),
    (("truediv",), "torch's ndarray", "torch leaves NumPy's uint64 to NumPy"),
    (("CosineSimilarity",), "values differ", "float64 within; torch overflows"),
    (("ExponentialLR",), "'_step_count'", "how far a schedule is is the count in its state"),
    (("linearize",), "requires_grad is True", "what a linearized function gives is a part of the graph that its input is of"),
    (("polygamma",), "(9223372036854775807", "orders beyond reason"),
    (("loss",), "[], torch's", "torch's functions beside those of nn.functional reduce nothing where no reduction is given"),
    (("ne", "eq"), "result is bool", "a complex number is left to Python"),
    (("kthvalue", "nanmedian"), "values differ", "of equal elements another is shown"),
    (("mod",), "torch's torch.float64", "torch leaves the remainder by an array to NumPy"),
    (("new",), "values differ", "a size alone makes memory that nobody wrote"),
    (("softsign",), "values differ", "integers are made floats first; torch's overflow"),
    (("unique",), "requires_grad is False", "it has no gradient; torch's backward says so"),
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
    # Not where the caller's own function changes operands, or a scheduler counts in a tensor that it was given.
    is_watched = is_ours and "<callable in place>" not in repr(call) and not target.startswith("scheduler:")
    before = _state(operands) if is_watched else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*args, **kwargs)
            if inspect.isgenerator(result) and result.gi_code.co_filename == scenes.__file__:
                while True:
                    before = _state(operands) if is_watched else None
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
        return (value.float() if value.dtype.is_half else value)._array()
    return (value.float() if value.dtype.itemsize == 2 and value.is_floating_point() else value).detach().numpy()


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
        if any(word in target.lower() for word in targets.RANDOM):
            continue
        x, y = np.asarray(_values(a)), np.asarray(_values(b))  # of halves in float32, since NumPy has no bfloat16
        if x.dtype.kind != "f":
            same = np.array_equal(x, y)
        else:
            exact = a.dtype.itemsize == 8 and not target.startswith(_MIXED)
            with np.errstate(all="ignore"):
                scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
                if target.startswith("module:"):  # gradients beside inputs of about 1
                    if not np.isfinite(y).all() or scale > 1e25:
                        continue  # what is computed in float64 within overflows later than in torch
                    scale = max(scale, 1.0)
                scale = scale if scale < 1e25 else 0.0  # beside huge numbers small ones are compared by themselves
                same = np.allclose(x, y, 1e-9 if exact else 2e-4, (1e-12 if exact else 1e-5) * scale, equal_nan=True)
        if not same:
            raise WrongError(f"values differ: {x.ravel()[:8]} torch's {y.ravel()[:8]}")


_MISSING = ("has no attribute", "has no setter", "is not an nn.", "is not a buffer", "is not writable")  # torch's words
_ASSERTED = (
    "Padding_idx must",
    "embed_dim must",
    "query should be",
    "was expecting embedding",
    "For batched",
    "For unbatched",
    "key shape",
    "key's sequence and batch",
    "query has the batch size",
    "expecting ",
    "Expected key_padded_mask",
    "Expected `attn_mask`",
    "bias_k is set",
    "bias_v is set",
    "use_separate_proj_weight is",
    "only bool and floating types of",
    "module should be of type",
)


def _is_callers(error: Exception) -> bool:
    """Whether a function raised it that was an argument of the call."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename.endswith(("recipes.py", "scenes.py"))


def is_documented(error: Exception, target: str) -> bool:
    """Whether a call may end so: the classes that docs and torch name, and what an argument itself raised."""
    if type(error).__name__ == "KernelError":
        return False
    if isinstance(error, (*REFUSALS, OwnError)) or _is_callers(error):
        return True
    kind = target.partition(":")[0]
    return (
        (isinstance(error, OverflowError) and str(error).startswith("int too big to convert"))
        or (isinstance(error, AssertionError) and str(error).startswith(_ASSERTED))
        or (isinstance(error, KeyError) and kind in ("object", "scheduler", "optimizer", "file"))
        or (
            isinstance(error, AttributeError)
            and kind in ("object", "attribute")
            and any(word in str(error) for word in _MISSING)
        )
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
    _tell("torch", seed)
    with open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
        theirs, _, _ = made(torch, call)
    _tell("begin", seed)
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


def _planted(fault: str) -> tuple[Any, list[Any], Any]:
    """A fault that the test of the walk plants, to see that it is noticed."""
    import numgrad as ng
    from numgrad.errors import KernelError

    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "deaf":
        faulthandler.disable()
        signal.signal(signal.SIGABRT, signal.SIG_IGN)
    if fault in ("hang", "deaf"):
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
        operands[0]._spec = ng.zeros(300)._spec
        return operands[0], operands, before
    planted = {"exception": AttributeError, "class": KernelError, "environment": LookupError}.get(fault, RuntimeError)
    return planted(f"planted, NUMGRAD_DEBUG={os.environ.get('NUMGRAD_DEBUG')}"), operands, before


# ---- the program --------------------------------------------------------------------------------------------------

_neighbours: list[Any] = []  # of the process that makes calls
_lines: list[Any] = []  # where it tells what it does


def _tell(*words: Any) -> None:
    if _lines:
        print(*words, file=_lines[0], flush=True)


def work(first: int, last: int, only: str, with_torch: bool) -> None:
    """The process that makes calls: a line before each, one after."""
    import resource

    torch = None
    if with_torch:
        import torch

        torch.set_num_threads(1)
    from numgrad import config
    from numgrad.runtime import pages
    from tests.walk import aftermath

    _neighbours[:] = [aftermath.Neighbours()]
    _lines[:] = [os.fdopen(os.dup(1), "w")]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a call prints is no line of the walk's
    # Guard pages take address space that nothing can use; what counts there is what can be written.
    limited = resource.RLIMIT_DATA if config.guards_memory() else resource.RLIMIT_AS
    resource.setrlimit(limited, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for seed in range(first, last):
        _tell("begin", seed)
        try:
            _tell("end", seed, judge(seed, only, torch, _neighbours[0]).replace(" ", "_"))
        except WrongError as wrong:
            _tell("end", seed, "wrong", f"{described(seed, only)}: {wrong}".replace("\n", " ")[:900])
        if config.guards_memory() and pages.mapped_bytes() > MEMORY // 2:
            return  # blocks that were freed stay forbidden: another process goes on with the next call


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
