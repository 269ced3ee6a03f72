"""Programs of the whole surface that run again and again in numgrad: with known calls, and without.

What a table learned from one call (`numgrad/tensor/known.py`) has to serve the next ones, whose specs are the same, but not their
numbers, their need of gradients or the mode. So each program runs in `ROUNDS`, each with numbers of its own; after every statement
all tensors have to be the same to the last bit as where every call runs its function.

    python -m tests.engine.repeated_programs --seeds 3 4 --match 'function:add$'
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np

import numgrad as ng
from numgrad.runtime.fast import start as fast
from tests.engine import surface
from tests.engine.mixed_programs import FINALE
from tests.engine.statements import Names, Statement
from tests.engine.surface import Target


class Round(NamedTuple):
    """How a program runs: which leaves require a gradient, in which mode, and how the numbers in it are turned."""

    needs: Callable[[int], bool]
    mode: Callable[[], Any]
    turned: bool = False


NONE, ALL, SOME = (lambda k: False), (lambda k: True), (lambda k: k % 2 == 0)
ROUNDS = {
    "no gradients": Round(NONE, contextlib.nullcontext),
    "no gradients, again": Round(NONE, contextlib.nullcontext),
    "no gradients, rehearsed": Round(NONE, contextlib.nullcontext),
    "no gradients, known": Round(NONE, contextlib.nullcontext),
    "no gradients, arguments turned": Round(NONE, contextlib.nullcontext, True),
    "gradients": Round(ALL, contextlib.nullcontext),
    "gradients, again": Round(ALL, contextlib.nullcontext),
    "gradients, known": Round(ALL, contextlib.nullcontext),
    "some gradients": Round(SOME, contextlib.nullcontext),
    "no_grad": Round(ALL, ng.no_grad),
    "inference_mode": Round(NONE, ng.inference_mode),
    "no gradients, in the end": Round(NONE, contextlib.nullcontext),
}

LITERAL = re.compile(r"lib\.tensor\((\[.*?\]|[^\[(),]+), dtype=lib\.(\w+)")
NUMBER = re.compile(r"-?[\w.]+")
NOTHING: dict[Any, Any] = {}
UNDEFINED = re.compile("empty|resize")  # of functions whose memory has numbers of before


def functions_own(*_: Any) -> Any:
    """Instead of `run_known`: no table knows anything, and none learns."""
    return NotImplemented


@contextlib.contextmanager
def without_tables() -> Iterator[None]:
    """Every call runs its function."""
    kept = fast.run_known, fast.run_over
    fast.run_known, fast.run_over = functions_own, fast.nothing
    try:
        yield
    finally:
        fast.run_known, fast.run_over = kept


def renumbered(text: str, number: int, is_leaf: bool) -> str:
    """A statement with other numbers in its tensors; those of arguments are turned, since they may have to be within bounds."""
    rng = np.random.default_rng(number)

    def other(match: re.Match[str]) -> str:
        numbers, dtype = NUMBER.findall(match[1]), match[2]
        if is_leaf and dtype.startswith("float"):
            numbers = [str(int(rng.integers(-160, 160)) / 64) for _ in numbers]
        elif is_leaf and "int" in dtype:
            numbers = [str(int(rng.integers(0 if dtype[0] == "u" else -4, 6))) for _ in numbers]
        else:
            turn = number % max(len(numbers), 1)
            numbers = numbers[turn:] + numbers[:turn]
        left = iter(numbers)
        return f"lib.tensor({NUMBER.sub(lambda _: next(left), match[1])}, dtype=lib.{dtype}"

    return LITERAL.sub(other, text)


@functools.lru_cache(1 << 12)
def compiled(text: str) -> CodeType:
    return compile(text, "<program>", "exec")


def statements_of(program: Sequence[Statement], number: int, given: Round) -> list[str]:
    """The program's text in a round."""
    texts, leaves = [], 0
    for statement in program:
        is_leaf, text = statement.kind == "leaf", statement.text
        if is_leaf:
            if not given.needs(leaves):
                text = text.replace(", requires_grad=True", "").replace(".requires_grad_()", "")
            leaves += 1
        texts.append(renumbered(text, number, is_leaf) if is_leaf or given.turned else text)
    return texts


def drawn(result: Any) -> Any:
    """Instead of ``told``: what was drawn at random is the same each time from the same seed."""
    return "\n".join(str(seen(each)) for each in parts(result))


def parts(result: Any) -> list[Any]:
    return [p for each in result for p in parts(each)] if isinstance(result, (tuple, list)) else [result]


def seen(value: Any, names: dict[int, str] = NOTHING, begun: dict[Any, int] = NOTHING) -> Any:
    """All that can be seen of a value; whose memory it has is told by a name, since nobody sees what has none.

    Of its version, what it has gained since it was ``begun``: a fresh result may have been filled step by step.
    """
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.strides, value.tobytes()
    if not isinstance(value, ng.Tensor):
        return [seen(each) for each in value] if isinstance(value, (tuple, list)) else repr(value)
    node = value._node
    return (
        str(value.dtype),
        tuple(value.shape),
        value.stride(),
        value.storage_offset(),
        None if value.is_inference() else value._version - begun.get(id(value), 0),
        value.requires_grad,
        value.is_leaf,
        value.is_inference(),
        None if node is None else node.name(),
        value._output_nr,
        names.get(id(value._storage)),
        value._view_node[1:] if isinstance(value._view_node, tuple) else None,
        value._array().tobytes(),
    )


def run(texts: Sequence[str], defined: Sequence[str], mode: Callable[[], Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Run a program; after each statement the error and the warnings, and what is to be seen of all names."""
    names = Names(ng)
    begun, kept = dict[Any, int](), list[Any]()
    ng.manual_seed(3)
    with mode():
        for text in texts:
            if not UNDEFINED.search(text):
                names["told"] = drawn
            else:
                exec(compiled("def told(r): return str([(str(p.dtype), list(p.shape)) for p in parts(r)])"), names)
            outcome, owners = attempted(names, text), dict[int, str]()
            for name in defined:
                value = names.get(name)
                if not isinstance(value, ng.Tensor):
                    continue
                owners.setdefault(id(value._storage), name)
                if not value.is_inference() and id(value) not in begun:
                    begun[id(value)] = value._version
                    kept.append(value)  # so that nothing else gets its id
            yield outcome, {name: seen(names[name], owners, begun) for name in defined if name in names}
    yield (ng.get_rng_state().tolist(),), {}


def attempted(names: Names, text: str) -> Any:
    """The error of a statement, and its warnings."""
    error = None
    with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            exec(compiled(text), names)
        except Exception as raised:
            error = type(raised), str(raised)
    return error, [(each.category, str(each.message)) for each in said]


def difference(program: Sequence[Statement]) -> str | None:
    """What a program shows in one of the rounds that it does not without tables."""
    gc.collect()  # while there are inference tensors, of the program before, functions are not looked up
    _ = ng.ones(1) + 1  # their guard goes with the next op
    program = list(program)
    defined = list(dict.fromkeys(s.defines for s in program if s.defines))
    tensors = [name for name in defined if name.startswith("t")]
    finale = FINALE.format(tensors=", ".join(f"*held('{name}')" for name in tensors) + ",").splitlines()
    helper = "def held(name): return [globals()[name]] if hasattr(globals().get(name), 'stride') else []"
    for number, (name, given) in enumerate(ROUNDS.items()):
        texts = [helper, *statements_of(program, number, given)]
        shown = [*defined]
        if given.mode is not ng.inference_mode:
            texts += finale
            shown += ["grads", "second"]
        served = list(run(texts, shown, given.mode))
        with without_tables():
            alone = list(run(texts, shown, given.mode))
        for k, (one, other) in enumerate(zip(served, alone, strict=True)):
            if one != other:
                what = [key for key in other[1] if one[1].get(key) != other[1][key]]
                lines = "\n".join(texts[: k + 1])
                return (
                    f"# round {number} ({name})\n{lines}\n# {what}\nwith: {one[0]}\n"
                    f"{[one[1].get(key) for key in what]}\nwithout: {other[0]}\n{[other[1][key] for key in what]}"
                )
    return None


def wrong(torch: ModuleType, chosen: Sequence[tuple[Target, int]], known: list[Target]) -> Iterator[str]:
    """The differences that the programs of these targets and seeds show."""
    fast.load()
    for target, seed in chosen:
        text = difference(surface.program(torch, target, seed, known))
        if text is not None:
            yield f"# {target}, seed {seed}\n{text}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--match", default="")
    parser.add_argument("--part", type=int, nargs=2, default=[0, 1], metavar=("NUMBER", "OF"))
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    known = surface.targets(torch)
    chosen = [(each, seed) for seed in given.seeds for each in known if re.search(given.match, str(each))]
    chosen = chosen[given.part[0] :: given.part[1]]
    count = 0
    for text in wrong(torch, chosen, known):
        count += 1
        sys.stdout.write(text[:6000] + "\n\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(chosen)} programs, {count} differences\n")
    return bool(count)


if __name__ == "__main__":
    sys.exit(main())
