"""The standard library's functions, changed at random, as input of the translation: refused or right, nothing else.

Run many, each with a seed of its own::

    python -m tests.loops.sources --count 20000

What is taken is run in plain Python with small arguments and compared with numbers that carry derivatives, as far as the
function itself runs with these.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import functools
import importlib
import inspect
import math
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from numgrad.errors import KernelError
from tests.loops import duals
from tests.loops.random_programs import tallied
from tests.loops.running import Run

MODULES = (
    "_pydatetime _pydecimal argparse ast base64 bisect calendar colorsys copy datetime difflib dis enum fractions heapq inspect "
    "json.decoder json.scanner numbers pprint random statistics string tabnanny textwrap tokenize typing"
).split()
_MOST_STEPS = 20_000  # lines that a function may run
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.FloorDiv, ast.Pow, ast.MatMult, ast.BitAnd, ast.LShift)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.Is, ast.In)


class TooLongError(Exception):
    """A function ran for too many lines."""


@functools.cache
def functions() -> list[tuple[str, ast.FunctionDef]]:
    """All functions of the modules, with the names of these; methods lose their class."""
    found = []
    for name in MODULES:
        try:
            text = inspect.getsource(importlib.import_module(name))
        except (ImportError, OSError):  # a module of another version of Python, or one that is compiled
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and len(list(ast.walk(node))) < 400:
                found.append((name, node))
    return found


def changed(node: ast.FunctionDef, r: random.Random) -> ast.FunctionDef:
    """The function with some changes."""
    node = copy.deepcopy(node)
    node.decorator_list, node.returns = [], None
    node.args.defaults, node.args.kw_defaults = [], [None for _ in node.args.kwonlyargs]
    for arg in [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]:
        arg.annotation = None
    for _ in range(r.choice([0, 1, 1, 2, 3, 5])):
        _change(node, r)
    return node


def _change(tree: ast.FunctionDef, r: random.Random) -> None:
    nodes = [each for each in ast.walk(tree) if each is not tree]
    expressions = [each for each in nodes if isinstance(each, ast.expr) and not hasattr(each, "ctx")]
    bodies = [getattr(each, "body", None) for each in [tree, *nodes]]
    bodies = [body for body in bodies if isinstance(body, list) and body and isinstance(body[0], ast.stmt)]
    kind, body = r.randrange(7), r.choice(bodies)
    if kind == 0:
        for each in r.sample(nodes, len(nodes)):
            if isinstance(each, ast.BinOp | ast.AugAssign):
                each.op = r.choice(_OPERATORS)()
                break
            if isinstance(each, ast.Compare):
                each.ops[0] = r.choice(_COMPARISONS)()
                break
    elif kind == 1:
        names = sorted({each.id for each in nodes if isinstance(each, ast.Name)} | {a.arg for a in tree.args.args})
        for each in r.sample(nodes, len(nodes)):
            if isinstance(each, ast.Name):
                each.id = r.choice(names)
                break
    elif kind == 2 and expressions:
        for each in r.sample(nodes, len(nodes)):
            for name, value in ast.iter_fields(each):
                if isinstance(value, ast.expr) and not hasattr(value, "ctx"):
                    setattr(each, name, copy.deepcopy(r.choice(expressions)))
                    return
    elif kind == 3 and len(body) > 1:
        del body[r.randrange(len(body))]
    elif kind == 4:
        body.insert(r.randrange(len(body) + 1), copy.deepcopy(r.choice(r.choice(bodies))))
    elif kind == 5:
        k = r.randrange(len(body))
        head = r.choice(["for turn in range(3): pass", "while turn < 2: pass", "if turn: pass", "with turn: pass"])
        (around,) = ast.parse(head).body
        around.body = [body[k]]  # type: ignore[attr-defined]
        body[k] = around
    else:
        for each in r.sample(nodes, len(nodes)):
            if isinstance(each, ast.Constant):
                each.value = r.choice([0, 1, -1, 2.5, True, None, "x", b"x", 10**20, 1e308, ..., 1j])
                break


def arguments(node: ast.FunctionDef, r: random.Random) -> list[Any]:
    """Something for each argument: numbers, arrays, integers, truth values."""

    def one() -> Any:
        kind = r.randrange(8)
        if kind < 3:
            return r.uniform(0.1, 2)
        if kind < 5:
            return np.array([r.uniform(0.1, 2) for _ in range(4)])
        if kind == 5:
            return np.array([[r.uniform(0.1, 2) for _ in range(3)] for _ in range(3)])
        return r.randrange(4) if kind == 6 else r.random() < 0.5

    return [one() for _ in (*node.args.posonlyargs, *node.args.args)]


def limited(call: Callable[..., Any], *args: Any) -> Any:
    """The call, unless it takes too many lines."""
    left = _MOST_STEPS

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(("<function", "<numgrad")):
            return None
        left -= 1
        if left < 0:
            raise TooLongError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return call(*args)
    finally:
        sys.settrace(before)


def check(seed: int) -> str:
    """``refused``, ``taken`` (its numbers could not be compared), ``right``, or what is wrong."""
    r = random.Random(seed)
    module, original = r.choice(functions())
    node = changed(original, r)
    try:
        source = ast.unparse(ast.fix_missing_locations(node)) + "\n"
        compile(source, "changed", "exec")
    except (SyntaxError, ValueError, RecursionError):  # no Python any more
        return "no program"
    args = arguments(node, r)
    names = {**vars(importlib.import_module(module)), "math": math, "np": np}
    function = duals.scope(source, f"function {seed}", names)[node.name]
    try:
        run = Run(function, args)
    except KernelError as error:
        return "refused" if str(error).strip() else "a refusal without words"
    return _compare(run, source, f"function {seed}", node.name, names, args)


def _compare(run: Run, source: str, name: str, function: str, names: dict[str, Any], args: list[Any]) -> str:
    wrt = [k for k, a in enumerate(args) if isinstance(a, float) or (isinstance(a, np.ndarray) and a.dtype.kind == "f")]
    lifted, total = duals.lift(args, wrt)
    duals.forget_ties()
    try:
        found = limited(duals.scope(source, name, {**names, **duals.WORDS})[function], *lifted)
        outs = duals.flat(found)
        weights = [1.0 + 0.5 * k for k in range(len(outs))]
        _, grad, _, _ = duals.weighted(outs, weights, total)
    except Exception:  # whatever the changed function does with numbers; there is nothing to compare with
        return "taken"
    if duals.ties() or not np.all(np.abs(grad) < 1e8):
        return "taken"
    limited(run.record)
    returned = [res for res in run.sweeps.results if res.changes is None]
    values = np.concatenate([run.results[res.name].reshape(-1) for res in returned]) if returned else np.zeros(0)
    want = np.array([duals.plain(o) for o in outs], float)
    if values.shape != want.shape or not np.allclose(values, want, rtol=1e-9, atol=1e-9, equal_nan=True):
        return f"results {values}, wanted {want}"
    count, grads = 0, {}
    for res in returned:
        size = run.results[res.name].size
        grads[res.name] = np.array(weights[count : count + size])
        count += size
    got = limited(run.reverse, grads) if run.sweeps.needs else {}
    order = [run.sweeps.arguments[k][0] for k in wrt]
    flat = np.concatenate(
        [np.ravel(got.get(n, np.zeros(np.size(args[k])))) for n, k in zip(order, wrt, strict=True)] or [np.zeros(0)]
    )
    return "right" if np.allclose(flat, grad, rtol=1e-8, atol=1e-8) else f"gradient {flat}, wanted {grad}"


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Python warns of ``0 is 1`` and the like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        yield


def findings(seeds: Iterable[int]) -> tuple[Counter[str], list[str]]:
    """How many functions were refused, right, taken; and what was neither, with the seeds."""

    def unwarned(seed: int) -> str:
        with _unwarned():
            return check(seed)

    return tallied(seeds, unwarned, ("refused", "right", "taken", "no program"), "function")


def main() -> int:
    """The command: 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first function's seed")
    args = parser.parse_args()
    started = time.process_time()
    tally, wrong = findings(range(args.first, args.first + args.count))
    print("\n".join(wrong))
    print(f"{dict(tally)}, {len(wrong)} wrong, {time.process_time() - started:.0f} s of CPU time")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
