"""Numba's static single assignment, by a list of the places where each name stands.

Numba walks through all statements twice for each name that is assigned more than once, which is a quarter of its work on a
long function. Here only the statements that have the name are looked at. The rules, the new names and their order are
Numba's: its own handlers are called. This module imports Numba, as `codegen` does.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from typing import Any

from numba.core import ir, ssa
from numba.core.analysis import compute_cfg_from_blocks

# Looked up here, so that a version of Numba without one of them does without this module.
_frontiers_of, _phi_places, _states_of = ssa._iterated_domfronts, ssa._compute_phi_locations, ssa._make_states
_Fresh, _CacheListVars = ssa._FreshVarHandler, ssa._CacheListVars


class _Names(ssa._FixSSAVars):  # type: ignore[misc]  # Numba has no types
    """Numba's handler, which is told where the statement at hand and the assignments stand."""

    def __init__(self, assigned: dict[Any, list[int]]) -> None:
        super().__init__(_CacheListVars())
        self.assigned = assigned  # positions in each block, increasing
        self.position = 0

    def _find_def(self, states: Any, stmt: Any) -> Any:
        label = states["label"]
        definitions, phis = states["defmap"][label], states["phimap"][label]
        before = bisect.bisect_left(self.assigned.get(label, ()), self.position)
        if before:
            return definitions[len(phis) + before - 1]  # phis stand first
        return phis[-1] if phis else self._find_def_from_top(states, label, loc=stmt.loc)


def run(blocks: Any) -> Any:
    """What `numba.core.ssa._run_ssa` returns."""
    if not blocks:
        return {}
    cfg = compute_cfg_from_blocks(blocks)
    frontiers = _frontiers_of(cfg)
    assigned, used = _places(blocks)
    violators = _violators(assigned, used, cfg)
    copies = {label: ir.Block(scope=block.scope, loc=block.loc) for label, block in blocks.items()}
    for label, block in blocks.items():
        copies[label].body = list(block.body)
    phis: dict[Any, list[Any]] = {label: [] for label in blocks}
    for name in violators:
        states = {**_states_of(blocks), "varname": name, "defmap": defaultdict(list)}
        fresh, names = _Fresh(), _Names(assigned[name])
        for label, positions in assigned[name].items():
            states["label"], body = label, copies[label].body
            for position in positions:
                body[position] = fresh.on_assign(states, body[position])
        states |= {"phimap": defaultdict(list), "cfg": cfg}
        states["phi_locations"] = _phi_places(frontiers, states["defmap"])
        for label, positions in used[name].items():
            states["label"], states["block"], body = label, copies[label], copies[label].body
            for names.position in positions:
                stmt = body[names.position]
                on = names.on_assign if isinstance(stmt, ir.Assign) else names.on_other
                body[names.position] = on(states, stmt)
        for label, new in states["phimap"].items():
            phis[label][:0] = new
    for label, new in phis.items():
        copies[label].body[:0] = new
    return copies


def read_by(statement: Any) -> Any:
    """The variables that a statement reads."""
    read = statement.value if isinstance(statement, ir.Assign) else statement
    return [read] if isinstance(read, ir.Var) else read.list_vars() if isinstance(read, ir.Inst) else ()


def _places(blocks: Any) -> tuple[Any, Any]:
    """For each name, where it is assigned and where it is used: the positions in each block."""
    assigned: Any = defaultdict(dict)
    used: Any = defaultdict(dict)
    for label, block in blocks.items():
        for position, stmt in enumerate(block.body):
            if isinstance(stmt, ir.Assign):
                assigned[stmt.target.name].setdefault(label, []).append(position)
            for name in dict.fromkeys([each.name for each in read_by(stmt)]):
                used[name].setdefault(label, []).append(position)
    return assigned, used


def _violators(assigned: Any, used: Any, cfg: Any) -> list[str]:
    """Names with several assignments, and then those with a use that an assignment does not come before on each way."""
    several = [name for name, labels in assigned.items() if sum(map(len, labels.values())) > 1]
    known, above = set(several), cfg.dominators()
    return several + [
        name
        for name, labels in used.items()
        if name not in known and any(above[label].isdisjoint(assigned.get(name, ())) for label in labels)
    ]
