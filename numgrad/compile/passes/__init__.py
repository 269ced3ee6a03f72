"""The passes that a captured step goes through before its memory is laid out.

Each is a function of a `Graph`, which it changes. The table has them in the order of their running.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from numgrad.compile.passes.dead import drop_dead
from numgrad.compile.passes.fold import fold_norms
from numgrad.compile.passes.freeze import take_out
from numgrad.compile.passes.fuse import fuse_chains
from numgrad.compile.passes.fuse_sums import fuse_sums
from numgrad.compile.passes.graph import Graph
from numgrad.compile.passes.order import reorder
from numgrad.compile.passes.recompute import make_again
from numgrad.compile.passes.share import find_homes
from numgrad.compile.passes.split import split_updates


class Pass(NamedTuple):
    """A pass: its function, whether it runs by default, whether it keeps all bits, whether it compiles kernels.

    ``fuse=True`` switches on those that compile.
    """

    function: Callable[[Graph], None]
    default: bool
    keeps_bits: bool
    compiles: bool


PASSES: dict[str, Pass] = {
    "fold": Pass(fold_norms, False, False, False),  # before those that look at a norm
    "dead": Pass(drop_dead, True, True, False),
    "split": Pass(split_updates, True, True, False),
    "order": Pass(reorder, True, True, False),
    "recompute": Pass(make_again, True, True, False),  # before chains, which take in what is made again for them
    "fuse": Pass(fuse_chains, False, False, True),
    "sums": Pass(fuse_sums, False, False, True),
    "freeze": Pass(take_out, False, True, False),  # after those that know whole ops
    "share": Pass(find_homes, True, True, False),  # the last one, since it looks at the lives of blocks
}


def chosen(passes: Mapping[str, bool] | None, fuse: bool, freeze: bool = False, fold: bool = False) -> tuple[str, ...]:
    """The names of the passes to run, in their order; folding freezes as well.

    Raises
    ------
    ValueError
        ``passes`` has a name that is not in the table, or a value that is no bool.
    """
    given = dict(passes or {})
    if unknown := sorted(set(given) - set(PASSES)):
        raise ValueError(f"jit: passes has {unknown}, expected some of {list(PASSES)}")
    for name, value in given.items():
        if not isinstance(value, bool):
            raise ValueError(f"jit: passes[{name!r}] is {value!r}, expected True or False")
    asked = {name for name, each in PASSES.items() if each.default or (fuse and each.compiles)}
    asked |= {"freeze"} if freeze or fold else set()
    asked |= {"fold"} if fold else set()
    return tuple(name for name in PASSES if given.get(name, name in asked))


def run(graph: Graph, names: tuple[str, ...]) -> None:
    """Run passes, one after the other."""
    for name in names:
        PASSES[name].function(graph)
