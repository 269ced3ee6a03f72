"""One optimizer step for many parameters in one launch: tables of addresses for the ops of `ops.update`.

The kernels follow the addresses in a table, so dtypes, shapes, layouts and density are checked here. Nothing is launched
here: the caller plans all steps and then makes them together; see `tensor.changes`.
"""

from __future__ import annotations

import functools
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32, float64, int64
from numgrad.engine.constants import constant
from numgrad.engine.tape import modes, tensor_over
from numgrad.errors import describe
from numgrad.layout import Spec, spec_of
from numgrad.ops.update import Update
from numgrad.registry import Op, find
from numgrad.runtime import memory
from numgrad.runtime.plan import Plan
from numgrad.tensor import creation, pointwise
from numgrad.tensor.changes import Changes, planned
from numgrad.tensor.in_place import apart
from numgrad.tensor.tensor import Tensor

_multiply: Op = find("mul").in_place  # type: ignore[attr-defined]


def plan_update(
    changes: Changes,
    op: Update,
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    states: Mapping[str, list[Tensor]],
    counts: Mapping[str, Sequence[Tensor]],
    options: Sequence[float],
    on: tuple[str, ...] = (),
    renewed: Callable[[], list[float] | None] | None = None,
) -> list[tuple[str, int]]:
    """Plan a step of an optimizer in place, for parameters of which no two share memory.

    ``states`` and ``counts`` have a tensor for each parameter under each name that the op's rule has with the switches ``on``;
    counts are float32 or float64. ``options`` are in the rule's order; ``renewed`` returns them as they are at a replay, or
    None if they are what they were.

    A state with another layout than its parameter is replaced in its list by a copy. Returns the names and indices of these.

    Raises
    ------
    RuntimeError
        A gradient or state does not have its parameter's shape and dtype, a count is not one number, or a parameter's memory
        is not dense.
    """
    columns = [list(grads), *states.values()]
    names = ("grad", *states)
    proof = proof_of(op, on, names, tuple(counts), _specs(params), *map(_specs, columns), *map(_specs, counts.values()))
    for number, index in proof.strange:
        tensor = columns[number][index].detach()
        columns[number][index] = ops.creation.to_strides(tensor, strides=params[index]._spec.strides)
    numbers = _numbers(tuple(options)) if modes.capture is None else modes.capture.options(tuple(options), renewed)
    addresses = _addresses([params, *columns])
    of_counts = _addresses(list(counts.values())) if counts else None
    for group in proof.groups:
        everyone = len(group.indices) == len(params)
        rows = group.pieces.table(addresses if everyone else addresses[group.indices])
        # Tables live until the step is made; this one keeps the columns alive: only they hold the copies made above.
        table, tallies = _over(rows, group.table, AddressTable(rows, (params, *columns), 1, 1)), None
        if of_counts is not None:
            pairs = group.wide.copy()
            pairs[:, ::2] = of_counts if everyone else of_counts[group.indices]
            tallies = _over(pairs, group.counts, AddressTable(pairs, tuple(counts.values()), 2, -1))  # type: ignore[arg-type]
        changes.run(group.plan, op, (table, tallies, numbers), group.params)
    changes.touch(params)
    for column in (*columns[1:], *counts.values()):
        changes.touch(column)
    return [(names[number], index) for number, index in proof.strange if number]


def filled_like(tensor: Tensor, value: float) -> Tensor:
    """A tensor in the layout of another one, all of one value.

    It is made by no op: a step that is recorded as an optimizer's first one must not begin its states anew in each replay.
    """
    spec = tensor._spec
    rows = np.zeros(spec.extent, spec.dtype.numpy)
    if value != 0:
        one = creation.tensor(value, dtype=spec.dtype)
        rows[:] = memory.array_over(one._address, (1,), spec.dtype.numpy)
    filled = _over(rows, spec, (rows,))
    if modes.capture is not None:
        modes.capture.fills(filled)
    return filled


def plan_copy(changes: Changes, target: Tensor, src: Tensor) -> None:
    """Plan the copy of ``src``, broadcast and converted, into ``target``'s memory."""
    changes.apply(ops.creation.copy_, (target, apart(target, src)), ops.creation.copy_.defaults)


def plan_scale(changes: Changes, target: Tensor, factor: Tensor) -> None:
    """Plan the multiplication of ``target`` by a tensor of its dtype."""
    if target._spec.dtype.is_half:
        plan_copy(changes, target, pointwise.mul(target, factor))
        return
    changes.apply(_multiply, (target, apart(target, factor)), _multiply.defaults)


def clear_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Drop the gradients of all parameters, or fill them with zeros and detach them from the graph."""
    parameters = list(parameters)
    if set_to_none:
        if modes.capture is not None:
            modes.capture.clears(parameters)
        deque(map(setattr, parameters, repeat("_grad"), repeat(None)), maxlen=0)  # see `tensor.changes`
        return
    changes = Changes()
    for parameter in parameters:
        if parameter._grad is not None:
            grad = parameter._grad.detach()
            plan_copy(changes, grad, constant(0, grad._spec.dtype))  # type: ignore[arg-type]
            changes.call(setattr, parameter, "_grad", grad)
    changes.make()


# Steps repeat: numbers change with the schedule, specs rarely, addresses with every step.
@functools.lru_cache(64)
def _numbers(values: tuple[float, ...]) -> Tensor:
    return creation.from_numpy(np.array(values, np.float64))


def _specs(tensors: Sequence[Tensor | None]) -> tuple[Spec | None, ...]:
    return tuple([None if tensor is None else tensor._spec for tensor in tensors])


def _addresses(columns: Sequence[Sequence[Tensor]]) -> np.ndarray:
    """The addresses of tensors, a row for each parameter."""
    addresses = array("q", [tensor._address for column in columns for tensor in column])
    return np.frombuffer(addresses, np.int64).reshape(len(columns), -1).T


def _over(rows: np.ndarray, spec: Spec, alive: Any) -> Tensor:
    """A table as a tensor, as by `creation.from_numpy`, without its checks; it keeps ``alive`` alive."""
    storage = memory.Storage(rows.__array_interface__["data"][0], rows.nbytes, alive)
    return tensor_over(Tensor, storage, spec, storage.address)


class AddressTable(NamedTuple):
    """What the storage of a table keeps alive: its rows, and the tensors whose addresses stand in every ``step``-th column."""

    rows: np.ndarray
    columns: Sequence[Sequence[Tensor]]
    step: int
    is_read: int  # the column of tensors that are only read, or -1

    @property
    def changed(self) -> list[Tensor]:
        """The tensors that are changed through the table."""
        return [each for number, column in enumerate(self.columns) if number != self.is_read for each in column]


class Group(NamedTuple):
    """The parameters of one dtype."""

    indices: list[int]
    pieces: ops.update.Pieces
    table: Spec
    wide: np.ndarray  # the table of the counts for tensors at the address 0
    counts: Spec | None
    params: Any  # the op's
    plan: Plan


class Proof(NamedTuple):
    """What follows from the specs of the parameters, their gradients, their states and their counts."""

    strange: tuple[tuple[int, int], ...]  # column and index of tensors with another layout than their parameter
    groups: tuple[Group, ...]


@functools.lru_cache(64)
def proof_of(
    op: Update,
    on: tuple[str, ...],
    names: tuple[str, ...],
    counts: tuple[str, ...],
    params: tuple[Spec, ...],
    *columns: tuple[Spec | None, ...],
) -> Proof:
    """Check the columns, which have a tensor for each parameter: the gradients, the states, then the counts."""
    for name, column in zip((*names, *counts), columns, strict=True):
        absent = [index for index, spec in enumerate(column) if spec is None]
        if absent:  # the kernel would read at address 0
            raise RuntimeError(describe("optimizer", f"{name} of parameter {absent[0]}", None, "a Tensor"))
    strange = [
        (number, index)
        for number, (name, column) in enumerate(zip(names, columns, strict=False))
        for index, (param, spec) in enumerate(zip(params, column, strict=True))
        if not is_alike(param, spec, name)  # type: ignore[arg-type]
    ]
    tallies = columns[len(names) :]
    for name, column in zip(counts, tallies, strict=True):
        for spec in column:
            if spec.numel != 1 or spec.dtype not in (float32, float64):  # type: ignore[union-attr]
                raise RuntimeError(describe("optimizer", name, spec, "one float32 or float64"))
    by_dtype: dict[Dtype, list[int]] = {}
    for index, param in enumerate(params):
        by_dtype.setdefault(param.dtype, []).append(index)
    groups = []
    for dtype, indices in by_dtype.items():
        lengths = [params[index].numel for index in indices]
        pieces = ops.update.Pieces(lengths, dtype.itemsize, 1 + len(names), bool(counts))
        options = op.Params(dtype=dtype, on=on, grain=ops.update.grain_of(pieces.count, sum(lengths)))
        table = spec_of(int64, (pieces.count, len(names) + 3))
        wide = np.zeros((len(indices), 2 * len(counts)), np.int64)
        for number, column in enumerate(tallies):
            wide[:, 2 * number + 1] = [column[index].dtype is float64 for index in indices]  # type: ignore[union-attr]
        paired = spec_of(int64, wide.shape) if counts else None
        specs = (table, paired, spec_of(float64, (len(op.rule.options),)))
        groups.append(Group(indices, pieces, table, wide, paired, options, planned(op, specs, options)))
    return Proof(tuple(strange), tuple(groups))


def is_alike(param: Spec, spec: Spec, name: str) -> bool:
    """Whether a tensor has its parameter's layout. Another shape or dtype, or a parameter with gaps, is refused."""
    if spec.shape != param.shape or spec.dtype is not param.dtype:
        raise RuntimeError(
            describe("optimizer", name, f"{list(spec.shape)} of {spec.dtype}", f"{list(param.shape)} of {param.dtype}")
        )
    if not param.dtype.is_floating_point:
        raise RuntimeError(describe("optimizer", "a parameter", param.dtype, "floating point"))
    if not param.is_dense:
        raise RuntimeError(
            describe("optimizer", "a parameter", f"not dense (strides {param.strides})", "dense memory", "use .clone()")
        )
    return spec.lies_like(param)
