"""The words that `apply` reads, written by Python: of a plan, of a record, of a saved call, and of the engine."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.dtypes import dtype
from numgrad.layout import Size
from numgrad.runtime import memory, objects, program, threads
from numgrad.runtime.fast import arrays, layout
from numgrad.runtime.fast.apply import apply
from numgrad.runtime.host import HostCall

CLOCK = objects.words_for_ever(1)[1]  # address of the count of uses of plans, which says which of two is older
clock = ctypes.c_int64.from_address(CLOCK)


def plan_words(
    plan: Any,
    public: int,
    differentiable: bool,
    stack: Callable[[Any], Any] | None = None,
    address: Callable[[Any], Any] = id,
) -> list[Any] | None:
    """The words for a plan of the common kind, else None. The plan holds the objects that they refer to.

    ``stack`` gives the address of the stack of free blocks for so many bytes, ``address`` that of an object; for templates they
    are texts.
    """
    if isinstance(plan.program, HostCall):
        return None
    new = [number for number, output in enumerate(plan.outputs) if output.source is None]
    views = any(output.source is not None and output.spec is not None for output in plan.outputs)
    if (plan.changed or (new and views)) if plan.program is None else views:
        return None
    if len(plan.outputs) + len(plan.allocations) > layout.MOST_OPERANDS:
        return None
    rows: list[list[Any]] = []

    def add(kind: int, origin: Any, spec: Any = 0, nbytes: Any = 0, output: int = 0) -> None:
        rows.append(layout.ROW.filled(kind=kind, origin=origin, spec=spec, nbytes=nbytes, output=output))

    numbers = iter(new)
    for nbytes in plan.allocations:  # of scratch memory; None: a new output
        if nbytes is not None:
            add(layout.SCRATCH, stack(nbytes) if stack else id(memory.stack_of(nbytes)))
        else:
            number = next(numbers)
            output = plan.outputs[number]
            free = stack(output.nbytes) if stack else id(memory.stack_of(output.nbytes))
            add(layout.NEW, free, address(output.spec), address(output.nbytes), number)
    for number, output in enumerate(plan.outputs):
        if output.source is not None and output.spec is None:
            add(layout.ITSELF, output.source, output=number)
        elif output.source is not None:
            add(output.source, output.offset * output.spec.dtype.itemsize, address(output.spec), output=number)
    return layout.PLAN.filled(
        program=0 if plan.program is None else plan.program.address,
        used=0,
        rows=rows,
        outputs=len(plan.outputs),
        public=min(public, len(plan.outputs)),
        differentiable=int(differentiable),
        splits=0 if plan.program is None else int(plan.program.splits),
        several=int(public != 1),
        writes_last=int(plan.writes_last),
        changed=plan.changed,
    )


@functools.lru_cache(1 << 10)
def record_words(
    inputs: tuple[int | None, ...], outputs: tuple[tuple[int, int], ...], differentiable: tuple[bool, ...]
) -> tuple[np.ndarray, int]:
    """A record's words, and their address: which inputs and outputs nodes save, and which public outputs have a gradient.

    Records of all shapes share them.
    """
    saved = [layout.NOTHING if slot is None else slot for slot in inputs]
    for slot, number in outputs:
        saved[slot] = layout.OUTPUT + number
    words = np.array(layout.RECORD.filled(saved=saved, differentiable=[*map(int, differentiable)]), np.int64)
    return words, words.ctypes.data


def backward_words(reads: Sequence[int]) -> np.ndarray:
    """The words for a saved call, whose address `apply_saved` takes."""
    return np.array(layout.CALL.filled(reads=reads), np.int64)


def load(
    tensor: Any,
    node: Any,
    leaf: Any,
    plan: type,
    record: type,
    singletons: Sequence[Any],
    listeners: Sequence[list[Any]],
    wrappers: list[Any],
) -> list[Callable[..., Any]]:
    """`start.run`, `start.run_saved`, `start.run_moved`, `start.run_known` and `start.run_over` for the engine's classes.

    Parameters
    ----------
    tensor, node, leaf
        A new one of each, with the first values of its slots; `apply` fills empty slots. A leaf's accumulator is a node
        with a variable.
    plan, record
        The classes.
    singletons
        The class of all tensors, the threads' modes, the iterator that numbers nodes, a function that gives the edge of a
        leaf that has no accumulator, and the accumulators' records by spec.
    listeners
        Lists; while one of them has an item, `apply` does nothing.
    wrappers
        The list of what stands before the engine; while it has an item, `run_known` does nothing.

    Raises
    ------
    KernelError
        A slot is not found: this interpreter lays out its objects in another way.
    """
    memory.allocate(0)  # the first block completes the pool's words
    owners = {"tensor": tensor, "node": node, "leaf": leaf, "storage": memory.Storage(0, 0, None)}
    templates = {name: objects.template(owners[owner], empty) for name, (owner, empty) in layout.TEMPLATES.items()}
    owners |= {"plan": object.__new__(plan), "record": object.__new__(record)}
    slots = {name: objects.offset_of(owners[owner], slot) for name, (owner, slot) in layout.SLOTS.items()}
    base, modes, sequence, edge_of, leaf_records = singletons
    by_name = {
        "none": None,
        "true": True,
        "false": False,
        "list": list,
        "tensor_base": base,
        "tensor_class": type(tensor),
        "tuple_class": tuple,
        "size_class": Size,
        "slice_class": slice,
        "int_class": int,
        "bool_class": bool,
        "float_class": float,
        "str_class": str,
        "dtype_class": dtype,
        "ellipsis": ...,
        "array_class": np.ndarray,
        "dtype_name": "dtype",
        "shape_name": "shape",
        "not_implemented": NotImplemented,
        "wrappers": wrappers,
        "modes": modes,
        "grad_enabled": "grad_enabled",
        "sequence": sequence,
        "edge_of": edge_of,
        "leaf_records": leaf_records,
    }
    functions = []
    parts = objects.parts_of_builtins() | arrays.places()
    for number in range(5):
        filled = layout.ENGINE.filled(
            saved=int(number == 1),
            moved=int(number == 2),
            known=int(number == 3),
            over=int(number == 4),
            clock=CLOCK,
            memory=memory.WORDS,
            pool=threads.ADDRESS,
            run=program.run_program.address(),
            listeners=objects.addresses_of([*listeners, program.observers]),
            **dict(zip(by_name, objects.addresses_of([*by_name.values()]), strict=True)),
            **parts,
            **slots,
            **templates,
        )
        words, address = objects.words_for_ever(len(filled))
        words[:] = filled
        functions.append(objects.built_in(apply, address, rehearsed=lambda *_: None))
    return functions
