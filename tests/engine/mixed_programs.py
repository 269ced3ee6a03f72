"""Random programs of all dtypes, in numgrad and in torch: after each statement both have to show the same.

What is compared: which statements are refused, and with which class of exception; of every tensor, after every statement,
its dtype, shape, strides, version, values (so that memory which is shared in one library is shared in the other); in the
end who requires a gradient and who is a leaf, the gradients of the leaves, and the gradients of those.

    python -m tests.engine.mixed_programs --count 3000
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import numgrad as ng
from tests.engine import templates  # noqa: F401 - registers what programs are made of
from tests.engine.excuses import EXCUSES, FORGOTTEN, NOT_OURS, SURFACE_EXCUSES
from tests.engine.statements import HELPERS, Names, Statement, Writer


class Mismatch(NamedTuple):
    """What the libraries do not agree about, and after which statement."""

    what: str
    kind: str
    text: str
    at: int  # the statement's position; that behind the last one for gradients


def run(names: Names, text: str) -> Exception | None:
    try:
        names.run(text)
    except Exception as error:
        return error
    return None


def array_of(value: Any) -> np.ndarray:
    """The values of a tensor without a look at its memory; torch's zeros may have none."""
    if isinstance(value, np.ndarray):
        return value
    if value.dtype.itemsize == 2 and value.is_floating_point():
        value = value.float()  # NumPy has no bfloat16
    return value._array() if isinstance(value, ng.Tensor) else value.detach().numpy(force=True)


def facts(value: Any) -> dict[str, Any]:
    """What a user sees of a tensor or an array, but for its values and its place in a graph."""
    if isinstance(value, np.ndarray):
        return {"dtype": str(value.dtype), "shape": value.shape, "strides": value.strides if value.size else ()}
    if not hasattr(value, "stride"):
        return {"value": repr(value).replace("numgrad.", "torch.")}
    strides = tuple(s for s, n in zip(value.stride(), value.shape, strict=True) if n != 1)
    return {
        "dtype": str(value.dtype).rpartition(".")[2],
        "shape": tuple(value.shape),
        "strides": strides if value.numel() else (),
        "contiguous": value.is_contiguous(),
        "version": value._version,
    }


TOLERANCE = {"float32": 2e-5, "float64": 1e-10, "float16": 4e-3, "bfloat16": 3e-2}


def precision(names: Sequence[str], theirs: Names) -> float:
    """What is to be expected of a program that has these tensors: of doubles made from singles no more than of those."""
    return max(TOLERANCE.get(str(getattr(theirs[name], "dtype", "")).removeprefix("torch."), 1e-10) for name in names)


def agree(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    """Equal to about this precision, given the sizes of the numbers."""
    if ours.dtype.kind != "f":
        return bool(np.array_equal(ours, theirs))
    sizes = np.abs(theirs[np.isfinite(theirs)])
    size = min(max(1.0, float(np.max(sizes, initial=0.0))), 1e6)
    with np.errstate(all="ignore"):
        return bool(np.allclose(ours, theirs, rtol=tolerance, atol=tolerance * size, equal_nan=True))


def shared(
    names: Sequence[str], ours: Names, theirs: Names, ahead: dict[str, int], extremes: Sequence[str] = ()
) -> str | None:
    """Compare all tensors; where they differ in rounding only, ours get torch's values.

    So what jumps (``floor``, ``>``) gets the same input in both. ``ahead`` says how many changes torch counted that
    nobody sees, while it added gradients. ``extremes`` are names whose backward looks for the same number in the input.
    """
    tolerance = precision(names, theirs) if names else 0.0
    for name in names:
        mine, his = ours[name], theirs[name]
        if (
            type(mine).__module__.partition(".")[0].replace("numgrad", "torch")
            != type(his).__module__.partition(".")[0]
        ):
            return f"type: {name} is {type(mine)}, torch's {type(his)}"
        seen, there = facts(mine), facts(his)
        if name in ahead and "version" in there:
            there["version"] -= ahead[name]
        for fact, value in there.items():
            if seen[fact] != value:
                return f"{fact}: {name} has {seen[fact]}, torch's {value}"
        if "value" in there:
            continue
        a, b = array_of(mine), array_of(his)
        if not agree(a, b, tolerance):
            return (
                f"values: {name} is\n{np.array2string(a, threshold=200)}\ntorch's\n{np.array2string(b, threshold=200)}"
            )
    for name in names:
        if name in extremes:
            continue
        if hasattr(ours[name], "stride") or isinstance(ours[name], np.ndarray):
            a, b = array_of(ours[name]), array_of(theirs[name])
            if a.dtype.kind == "f" and a.size and a.flags.writeable:
                a[...] = b
    return None


FINALE = """\
roots = [t for t in ({tensors}) if t.dtype.is_floating_point and t.requires_grad and t.numel()]
leaves = [t for t in ({tensors}) if t.requires_grad and t.is_leaf]
grads = lib.autograd.grad(roots, leaves, [lib.full_like(t, 0.5 + 0.25 * k) for k, t in enumerate(roots)], \
create_graph=True, allow_unused=True) if roots else []
parts = [g * g for g in grads if g is not None and g.requires_grad]
second = lib.autograd.grad(parts, leaves, [lib.ones_like(p) for p in parts], allow_unused=True) if parts else []
"""


OURS_READS = re.compile("modified by an inplace operation.* an input of Div")  # where torch's reads the quotient
# What torch's backward reads of these is not what numgrad's reads: where ``.data`` changed it, gradients differ.
READS_ELSE = re.compile(r"prod\(|var\(|std\(|norm|%|remainder|max|min\(")
EXTREME = re.compile(r"\.(norm|matrix_norm|vector_norm|cond)\(|part\(.*(max|min|median|mode)")
NAME = re.compile(r"\b[tn]\d+\b")
GRADIENT = re.compile(r"autograd\.grad|\.grad\b|backward\(")
BEHIND = re.compile(r"\.data\b|^n\d+\[|n\d+\.reshape")


def behind_the_back(what: str, statements: Sequence[Statement], theirs: Names) -> bool:
    """Whether the last statement shows what ``.data`` or an array did where no count and no check sees it."""
    *before, last = statements
    if what == "version":  # views of what got new data count with it in torch
        return any(re.search(r"\.data \S*= |unsafe_", s.text) for s in before)
    if what in (
        "strides",
        "contiguous",
    ):  # the gradient of what was padded is a window of the other, as that of cat's parts
        return GRADIENT.search(last.text) is not None and any("F.pad(" in s.text for s in before)
    if what != "values":
        return False
    if GRADIENT.search(last.text):
        return any(BEHIND.search(s.text) for s in before)
    tensors = [theirs[name] for name in dict.fromkeys(NAME.findall(last.text)) if hasattr(theirs.get(name), "numel")]
    memories = [t.untyped_storage().data_ptr() for t in tensors]  # torch reads what it has just written
    return ".data" in last.text and len(set(memories)) < len(memories)


def finale(ours: Names, theirs: Names, tensors: Sequence[str], statements: Sequence[Statement]) -> Mismatch | None:
    """Compare requires_grad and is_leaf, ``.grad``, gradients and second derivatives."""
    at = len(statements)
    if any(FORGOTTEN.search(s.text) for s in statements) and any(":" in s.kind for s in statements):
        return None
    for fact in ("requires_grad", "is_leaf"):
        for name in tensors:
            try:
                his = getattr(theirs[name], fact)
            except RuntimeError:  # torch's, of a view of a tensor that gave several, of which one was changed
                continue
            mine = getattr(ours[name], fact)
            if mine != his and ours[name].is_floating_point():  # to torch integers can be parts of graphs
                return Mismatch(fact, fact, f"{fact}: {name} has {mine}, torch's {his}", at)
    tolerance = 20 * precision(tensors, theirs) if tensors else 0.0
    reads_else = any(BEHIND.search(s.text) for s in statements) and (
        len({str(theirs[name].dtype) for name in tensors}) > 1  # numgrad's backward reads what was converted
        or any(READS_ELSE.search(s.text) for s in statements)
    )
    for name in tensors:
        if reads_else or not ours[name].is_leaf or not theirs[name].is_leaf:
            continue
        mine, his = ours[name].grad, theirs[name].grad
        if (mine is None) != (his is None):
            return Mismatch(".grad", ".grad", f"{name}.grad is {mine}, torch's {his}", at)
        if mine is not None:
            difference = differs(f"{name}.grad", mine, his, tolerance)
            if difference:
                return Mismatch(".grad", ".grad", difference, at)
    for line in FINALE.format(tensors=", ".join(tensors) + ",").splitlines():
        mine, his = run(ours, line), run(theirs, line)
        if his is not None and mine is None and any(re.search(text, str(his)) for text in NOT_OURS):
            return None
        if mine is not None and his is None and OURS_READS.search(str(mine)) and "/ t" in str(statements):
            return None
        if (mine is None) != (his is None):
            return Mismatch("backward", "backward", f"{line}\n  ours:  {mine!r}\n  torch: {his!r}", at)
        if mine is not None:
            if not isinstance(mine, expected_class(his)):
                return Mismatch("backward class", "backward", f"{line}\n  ours:  {mine!r}\n  torch: {his!r}", at)
            return None
    if reads_else:
        return None
    if any("conv" in s.text for s in statements) and not all(np.isfinite(array_of(theirs[n])).all() for n in tensors):
        return None  # a weight's NaN reaches pixels that it does not see, by the gradient of the input
    for what in ("grads", "second"):
        if what == "second" and any(g is not None and np.isnan(array_of(g)).any() for g in theirs["grads"]):
            return None  # it goes where each library's backward lets it
        for k, (mine, his) in enumerate(zip(ours[what], theirs[what], strict=False)):
            if mine is None or his is None:
                if any(g is not None and np.nan_to_num(array_of(g)).any() for g in (mine, his)):
                    return Mismatch(what, what, f"{what}[{k}] is {mine}, torch's {his}", at)
                continue
            difference = differs(f"{what}[{k}]", mine, his, tolerance * (5 if what == "second" else 1))
            if difference:
                return Mismatch(what, what, difference, at)
    return None


def differs(name: str, mine: Any, his: Any, tolerance: float) -> str | None:
    seen, there = facts(mine), facts(his)
    for fact in ("dtype", "shape"):
        if seen[fact] != there[fact]:
            return f"{name}: {fact} {seen[fact]}, torch's {there[fact]}"
    a, b = array_of(mine), array_of(his)
    known = np.abs(b) < 1e25  # where torch's derivative is not finite, such as that of 0 ** -1, it says nothing
    return None if agree(a[known], b[known], tolerance) else f"{name} is\n{a}\ntorch's\n{b}"


def defined(statements: Sequence[Statement], ours: Names, theirs: Names) -> list[str]:
    names = dict.fromkeys(s.defines for s in statements if s.defines)
    return [n for n in names if n in ours and n in theirs]


def compare(torch: ModuleType, statements: Sequence[Statement]) -> tuple[Mismatch | None, list[Statement]]:
    """Run the program in both libraries, without what is excused; the mismatch, and what was left of the program."""
    statements = list(statements)
    while True:
        mismatch, k = first_difference(torch, statements)
        if mismatch is not None or k is None:
            return mismatch, statements
        statements = without(statements, k)


def first_difference(torch: ModuleType, statements: Sequence[Statement]) -> tuple[Mismatch | None, int | None]:
    """The first mismatch, or the position of the first statement with an excuse; None and None if there is neither."""
    ours, theirs = Names(ng), Names(torch)
    ahead: dict[str, int] = {}
    for k, statement in enumerate(statements):
        names = defined(statements[:k], ours, theirs)
        before = [
            (name, facts(ours[name]), np.array(array_of(ours[name])))
            for name in names
            if name in ours and hasattr(ours[name], "dtype")
        ]
        mine, his = run(ours, statement.text), run(theirs, statement.text)
        what, text = "", f"ours:  {mine!r}\ntorch: {his!r}"
        if (mine is None) != (his is None):
            what = "refused by us" if his is None else "refused by torch"
        elif mine is not None and not isinstance(mine, expected_class(his)):
            what = "class of error"
        if mine is not None and (difference := changed(before, ours)):
            return Mismatch("changed though refused", statement.kind, f"{difference}\n{text}", k), k
        if not what:
            names = defined(statements[: k + 1], ours, theirs)
            name = statement.defines
            counted = GRADIENT.search(statement.text) or ahead.keys() & set(NAME.findall(statement.text))
            if name in names and (counted or ":" in statement.kind):  # a fresh result may have been filled step by step
                ahead[name] = facts(theirs[name]).get("version", 0) - facts(ours[name]).get("version", 0)
            extremes = [s.defines for s in statements[: k + 1] if EXTREME.search(s.text)]
            text = shared(names, ours, theirs, ahead, extremes) or ""
            what = text.partition(":")[0]
        if what:
            if behind_the_back(what, statements[: k + 1], theirs):
                return None, k
            excuses = [*EXCUSES, *SURFACE_EXCUSES] if ":" in statement.kind else EXCUSES
            if any(excuse.holds(what, statement, mine, his) for excuse in excuses):
                return None, k
            return Mismatch(what, statement.kind, text, k), k
    tensors = [n for n in defined(statements, ours, theirs) if isinstance(ours[n], ng.Tensor)]
    return finale(ours, theirs, tensors, statements), None


def changed(before: Sequence[tuple[str, dict[str, Any], np.ndarray]], names: Names) -> str | None:
    """What a refused statement changed."""
    for name, seen, values in before:
        if facts(names[name]) != seen or not np.array_equal(
            array_of(names[name]), values, equal_nan=values.dtype.kind == "f"
        ):
            return f"{name} was {seen} {values}, is {facts(names[name])} {array_of(names[name])}"
    return None


def expected_class(error: BaseException) -> type[BaseException]:
    """The class of Python's own that our error has to be of; whether torch has a kernel for a dtype is its own affair."""
    found = next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")
    return RuntimeError if found is NotImplementedError else found


def without(statements: Sequence[Statement], k: int) -> list[Statement]:
    """The program without a statement, and without those that need what it defines."""
    kept = list(statements[:k])
    lost = {statements[k].defines} - {""} - {s.defines for s in kept}
    for statement in statements[k + 1 :]:
        if lost & set(NAME.findall(statement.text)):
            lost |= {statement.defines} - {""} - {s.defines for s in kept}
        else:
            kept.append(statement)
    return kept


def smallest(torch: ModuleType, statements: list[Statement], mismatch: Mismatch) -> tuple[list[Statement], Mismatch]:
    """A program with fewer statements that shows a mismatch of the same kind."""
    statements = statements[: mismatch.at + 1]
    k = len(statements) - 1
    while k >= 0:
        again, fewer = compare(torch, without(statements, k))
        if again is not None and (again.what, again.kind) == (mismatch.what, mismatch.kind):
            statements, mismatch = fewer[: again.at + 1], again
        k = min(k - 1, len(statements) - 1)
    return statements, mismatch


def as_program(statements: Sequence[Statement], mismatch: Mismatch) -> str:
    """The program as Python that runs by itself: ``python program.py numgrad`` or ``python program.py torch``."""
    names = dict.fromkeys(s.defines for s in statements if s.defines.startswith("t"))
    lines = [
        "import sys, importlib, numpy as np",
        "from math import inf, nan",
        "lib = importlib.import_module(sys.argv[1]); F = lib.nn.functional",
        *([HELPERS] if any(":" in s.kind for s in statements) else []),
        *(s.text for s in statements),
    ]
    if mismatch.at >= len(statements):
        lines += FINALE.format(tensors=", ".join(names) + ",").splitlines()
        lines += ["print(grads, second)"]
    elif names:
        lines += [f"print({', '.join(names)})"]
    return "\n".join(lines)


def mismatches(torch: ModuleType, seeds: Iterable[int], shrink: bool = True) -> list[tuple[Mismatch, str]]:
    """Mismatches of the programs of these seeds, each with a text."""
    found = []
    for seed in seeds:
        mismatch, statements = compare(torch, Writer(torch, seed).write())
        if mismatch is not None:
            if shrink:
                statements, mismatch = smallest(torch, statements, mismatch)
            text = f"# seed {seed}: {mismatch.what} ({mismatch.kind})\n{as_program(statements, mismatch)}\n"
            text += "".join(f"# {line}\n" for line in mismatch.text.splitlines())
            found.append((mismatch, text))
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--most", type=int, default=10, help="stop after so many mismatches")
    parser.add_argument("--kinds", action="store_true", help="count the mismatches by kind, with one example each")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    wrong: list[tuple[Mismatch, str]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(given.start, given.start + given.count):
        for mismatch, text in mismatches(torch, [seed]):
            wrong.append((mismatch, text))
            key = mismatch.what, mismatch.kind
            seen[key] += 1
            if not given.kinds or seen[key] == 1:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
        if len(wrong) >= given.most:
            break
    for (what, kind), count in seen.most_common():
        sys.stdout.write(f"{count:5} {what}: {kind}\n")
    sys.stdout.write(f"{seed + 1 - given.start} programs, {len(wrong)} mismatches\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
