"""Split an optimizer's step, so that gradients which the step drops need not all be in memory at once.

A step of an optimizer is one launch for all of its parameters, by a table of their addresses. Each part has some of the table's
rows, of parameters whose gradients are complete at about the same time, and the reordering runs it at that time. Each element is
computed by the same kernel from the same numbers.
"""

from __future__ import annotations

import numpy as np

from numgrad.compile.passes.graph import Graph
from numgrad.compile.passes.memory import peak_of, room
from numgrad.compile.passes.order import ordered
from numgrad.compile.steps import Again, Applied, Block
from numgrad.dtypes import int64
from numgrad.layout import spec_of
from numgrad.ops.update import Update, grain_of
from numgrad.tensor.changes import planned

_SMALLEST = 1 << 18  # bytes of gradients that are worth a launch
_PARTS = 16


def split_updates(graph: Graph) -> None:
    """Split steps of optimizers over gradients that nobody keeps, if that lowers the bytes in use at the fullest moment."""
    if not any(_may_split(graph, step) for step in graph.steps):
        return
    writers = graph.writers()
    steps: list[Applied | Again] = []
    for number, step in enumerate(graph.steps):
        groups = _groups(graph, step, number, writers) if _may_split(graph, step) else []
        if len(groups) > 1:
            steps += [_part(graph, step, rows) for rows in groups]  # type: ignore[arg-type]
        else:
            steps.append(step)
    if len(steps) == len(graph.steps):
        return
    candidate = Graph(steps, graph.kept)
    before, after = (peak_of(ordered(each), graph.kept) for each in (graph, candidate))
    if after < before:
        graph.note("split", launches=len(steps) - len(graph.steps), bytes=before - after)
        graph.steps = steps


def _may_split(graph: Graph, step: Applied | Again) -> bool:
    if not (isinstance(step, Applied) and isinstance(step.op, Update)):
        return False
    if sum([room(block.nbytes) for block in step.own() if block not in graph.kept]) < _SMALLEST:
        return False
    tables = [where[0] for where in step.places[:2] if where is not None]
    return all(block.kind == "table" for block in tables)


def _groups(graph: Graph, step: Applied | Again, number: int, writers: dict[Block, list[int]]) -> list[list[int]]:
    """The table's rows, of parameters whose gradients are complete one after the other; those of kept gradients are last."""
    assert isinstance(step, Applied)
    rows, width = _table(step, 0)
    of_word = {index: block for index, block, _ in step.places[0][0].words}  # type: ignore[index]
    parameters: dict[tuple[Block, Block, int], list[int]] = {}
    for row in range(len(rows)):
        of, grad = of_word[row * width], of_word[row * width + 1]
        parameters.setdefault((of, grad, int(rows[row, -2])), []).append(row)
    owners: dict[int, int] = {}
    for *_, owner in parameters:
        owners[owner] = owners.get(owner, 0) + 1
    if step.places[1] is not None and max(owners.values()) > 1:  # counts are for one parameter each
        return []
    timed = []
    for (_, grad, _), own in parameters.items():
        done = max((writer for writer in writers.get(grad, ()) if writer < number), default=0)
        timed.append((done if graph.is_temporary(grad) else len(graph.steps), grad, own))
    timed.sort(key=lambda each: each[0])
    gradients = {grad for done, grad, _ in timed if done < len(graph.steps)}
    least = max(_SMALLEST, sum(room(grad.nbytes) for grad in gradients) // _PARTS)
    groups: list[list[int]] = []
    size = 0
    for done, grad, own in timed:
        if not groups or size >= least:
            groups.append([])
            size = 0
        groups[-1] += own
        size += room(grad.nbytes) if done < len(graph.steps) else 0
    return groups


def _table(step: Applied, position: int) -> tuple[np.ndarray, int]:
    """The rows of the table that is an input, and how many columns it has."""
    where, spec = step.places[position], step.specs[0][position]
    assert where is not None
    assert spec is not None
    rows = np.frombuffer(where[0].initial or b"", np.int64).reshape(spec.shape)
    return rows, rows.shape[1]


def _part(graph: Graph, step: Applied, chosen: list[int]) -> Applied:
    """The step for the parameters of some rows."""
    chosen = sorted(chosen)
    rows = _table(step, 0)[0][chosen]
    owners = sorted(set(rows[:, -2].tolist()))
    has_counts = step.places[1] is not None
    if has_counts:
        rows = rows.copy()
        rows[:, -2] = np.searchsorted(np.array(owners, np.int64), rows[:, -2])
    table = _selected(step, 0, chosen, rows)
    counts = _selected(step, 1, owners, _table(step, 1)[0][owners]) if has_counts else None
    assert isinstance(step.op, Update)
    params = step.params._replace(grain=grain_of(len(rows), int(rows[:, -1].sum())))
    specs = (spec_of(int64, rows.shape), spec_of(int64, (len(owners), _table(step, 1)[1])) if has_counts else None)
    key = (*specs, step.specs[0][2])
    plan = planned(step.op, key, params)
    blocks = (table, counts, step.places[2])
    inputs = [
        None if where is None else (where if isinstance(where, tuple) else (where, 0), spec)
        for where, spec in zip(blocks, key, strict=True)
    ]
    part = graph.applied(step.op, plan, params, inputs, step.line)  # type: ignore[arg-type]
    mine = {block for each in (table, counts) if each is not None for _, block, _ in each.words}
    gradients = {block for index, block, _ in table.words if index % rows.shape[1] == 1}
    part.changes += [block for block in dict.fromkeys(step.changes) if block in mine - gradients]
    return part


def _selected(step: Applied, position: int, chosen: list[int], rows: np.ndarray) -> Block:
    """A table of some rows of the one that is an input."""
    where = step.places[position]
    assert where is not None
    width = rows.shape[1]
    table = Block(-1, "table", rows.nbytes, None)
    table.initial = rows.tobytes()
    new_row = {old: new for new, old in enumerate(chosen)}
    for index, block, offset in where[0].words:
        row, column = divmod(index, width)
        if row in new_row:
            table.words.append((new_row[row] * width + column, block, offset))
    return table
