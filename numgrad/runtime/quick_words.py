"""The words that `quick.apply` reads, written by Python: of a plan, of a record, of a saved call, and of the engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.runtime import memory, objects, program, quick, quick_edges, threads


def plan_words(plan: Any, public: int, differentiable: bool) -> np.ndarray | None:
    """The words for a plan of the common kind, else None. What they refer to lives as long as the plan."""
    new = [place for place, output in enumerate(plan.outputs) if output.source is None]
    views = any(output.source is not None and output.spec is not None for output in plan.outputs)
    if (new or plan.changed) if plan.program is None else views:
        return None
    if len(plan.outputs) + len(plan.made) > quick.MOST_OPERANDS:
        return None
    rows: list[list[int]] = []
    places = iter(new)
    for nbytes in plan.made:  # of scratch memory, or None
        if nbytes is not None:
            rows.append([quick.SCRATCH, id(memory.stack_of(nbytes)), 0, 0, 0])
        else:
            number = next(places)
            output = plan.outputs[number]
            rows.append([quick.NEW, id(memory.stack_of(output.nbytes)), id(output.spec), id(output.nbytes), number])
    for number, output in enumerate(plan.outputs):
        if output.source is not None and output.spec is None:
            rows.append([quick.ITSELF, output.source, 0, 0, number])
        elif output.source is not None:
            rows.append([output.source, output.offset * output.spec.dtype.itemsize, id(output.spec), 0, number])
    program = [plan.program.address, plan.program.splits] if plan.program is not None else [0, 0]
    returned = min(public, len(plan.outputs))
    words = [program[0], len(rows), len(plan.outputs), returned, int(differentiable), int(program[1]), int(public != 1)]
    return np.array([*words, len(plan.changed), *itertools.chain(*rows), *plan.changed], np.int64)


def record_words(
    inputs: Sequence[int | None], outputs: Sequence[tuple[int, int]], differentiable: Sequence[bool]
) -> Any:
    """The words for a record: how many are saved, what each is; then for each public output whether it has a gradient."""
    saved = [quick.NOTHING if place is None else place for place in inputs]
    for place, position in outputs:
        saved[place] = quick.OUTPUT + position
    return np.array([len(saved), *saved, *map(int, differentiable)], np.int64)


def backward_words(reads: Sequence[int]) -> np.ndarray:
    """The words that `apply_saved` takes the address of."""
    return np.array([len(reads), *reads], np.int64)


def load(
    tensor: Any, node: Any, leaf: Any, plan: type, record: type, known: Sequence[Any], listeners: Sequence[list[Any]]
) -> list[Callable[..., Any]]:
    """`quick_start.run` and `run_saved` for the engine's classes.

    Parameters
    ----------
    tensor, node, leaf
        A new one of each (a leaf's accumulator is a node with a variable), with the values that their slots have at first;
        empty slots are filled by `apply`.
    plan, record
        The classes.
    known
        The class of all tensors, the threads' modes, the iterator that numbers nodes, a function that gives the edge of a
        leaf that has no accumulator, and the accumulators' records by spec.
    listeners
        Lists; while one of them has an item, `apply` does nothing.
    """
    memory.allocate(0)  # what the pool has to know it gets with the first block
    storage = memory.Storage(0, 0, None)
    owners = {"tensor": tensor, "node": node, "plan": object.__new__(plan), "record": object.__new__(record)}
    templates = {
        "tensor_template": objects.template(tensor, ("_storage", "_spec", "_address")),
        "storage_template": objects.template(storage, ("_block", "address", "nbytes")),
        "node_template": objects.template(node, ("record", "edges", "saved", "versions", "sequence")),
        "leaf_template": objects.template(leaf, ("record", "sequence", "hooks", "variable")),
    }
    base, modes, sequence, edge_of, leaf_records = known
    listeners = [*listeners, program.observers]
    singletons = (None, True, False, list, base, modes, "grad_enabled", sequence, edge_of, leaf_records)
    head = [0, memory.WORDS, threads.ADDRESS, program.run_program.address(), *objects.addresses_of(singletons)]
    head += [objects.offset_of(tensor, name) for name in quick_edges.TENSOR_SLOTS]
    head += [objects.offset_of(node, name) for name in quick_edges.NODE_SLOTS]
    head.append(objects.offset_of(leaf, "variable"))
    head += [objects.offset_of(storage, name) for name in ("version", "address")]
    head += [objects.offset_of(owners["plan"], name) for name in ("quick", "records")]
    head += [objects.offset_of(owners["record"], "quick"), len(listeners)]
    place = 8 * (len(head) + len(templates) + len(listeners))
    for made in templates.values():
        head.append(place)
        place += 8 * len(made)
    both = []
    for saved in (0, 1):
        words, address = objects.words_for_ever(place // 8)
        words[:] = [saved, *head[1:], *objects.addresses_of(listeners), *itertools.chain(*templates.values())]
        both.append(objects.built_in(quick.apply, address, rehearsed=lambda *_: None))
    return both
