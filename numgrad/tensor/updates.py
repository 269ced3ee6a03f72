"""One optimizer step for many parameters in one launch: tables of addresses for the ops `sgd` and `adam`.

Kernels follow the addresses in the table, so everything is proved here: dtypes, shapes, layouts, density. Nothing is launched
here: steps are planned, and whoever has planned all of them makes them at once; see `engine.changes`.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float64, int64
from numgrad.engine.changes import Changes, planned
from numgrad.engine.constants import constant
from numgrad.engine.private import expose
from numgrad.errors import describe
from numgrad.layout import Spec, spec_of
from numgrad.registry import Op, find
from numgrad.runtime import memory
from numgrad.runtime.plan import Plan
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

_SGD, _ADAM = ops.update.sgd, ops.update.adam
_NUMBERS = {
    _SGD: (spec_of(float64, (6,)),),
    _ADAM: (spec_of(float64, (8,)), spec_of(float64, (3,))),
}  # inputs after the table
_add: Op = find("add").in_place  # type: ignore[attr-defined]


def plan_sgd(
    changes: Changes,
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    momentum_buffers: Sequence[Tensor | None],
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> list[Tensor | None]:
    """Plan SGD in place, by torch's formula, and return the buffers of the step; without momentum they are None.

    A buffer that is None is made and starts as the gradient; one that lies in another layout than its parameter is replaced.

    Raises
    ------
    RuntimeError
        A gradient or buffer does not have its parameter's shape and dtype.
    """
    grads = list(grads)
    buffers: list[Tensor | None] = list(momentum_buffers) if momentum else [None] * len(params)
    first = tuple([buffer is None for buffer in buffers])
    if momentum and True in first:
        buffers = [creation.empty_like(p) if b is None else b for p, b in zip(params, buffers, strict=True)]
    proof = _proof(_SGD, ("grad", "momentum_buffer"), 2, first, _specs(params), _specs(grads), _specs(buffers))
    _bring(proof, params, grads, buffers)
    hyper = _numbers((lr, momentum, dampening, weight_decay, nesterov, maximize))
    for plan, table, options in _tables(proof, params, grads, buffers):
        changes.run(plan, _SGD, (table, hyper), options)
    changes.touch(params)
    changes.touch(buffers)
    return buffers


def plan_adam(
    changes: Changes,
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> None:
    """Plan Adam in place, by torch's formula, for parameters that have taken ``step`` steps before this one.

    ``max_exp_avg_sqs`` is empty unless amsgrad is wanted.

    Raises
    ------
    RuntimeError
        A gradient or average does not have its parameter's shape and dtype.
    """
    amsgrad, grads = bool(max_exp_avg_sqs), list(grads)
    averages = [exp_avgs, exp_avg_sqs, max_exp_avg_sqs if amsgrad else [None] * len(params)]
    names = "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"
    proof = _proof(_ADAM, names, 1, None, _specs(params), _specs(grads), *map(_specs, averages))
    if proof.private:
        for column, place in proof.private:  # row-major both, as they are to their user
            expose(params[place])
            expose(averages[column - 1][place])  # type: ignore[arg-type]
        proof = _proof(_ADAM, names, 1, None, _specs(params), _specs(grads), *map(_specs, averages))
    _bring(proof, params, grads)
    hyper = _numbers((lr, *betas, eps, weight_decay, decoupled_weight_decay, maximize, amsgrad))
    for plan, table, options in _tables(proof, params, grads, *averages):
        state = creation.from_numpy(np.array([step, 0.0, 0.0]))
        changes.run(plan, _ADAM, (table, hyper, state), options)
    for column in (params, *averages):
        changes.touch(column)


def plan_count(changes: Changes, counters: Sequence[Tensor]) -> None:
    """Plan that 1 is added to each of these tensors."""
    for dtype in {counter._spec.dtype for counter in counters}:
        those = [counter for counter in counters if counter._spec.dtype is dtype]
        changes.apply_to_each(_add, those, (constant(1, dtype),), _add.defaults)


# Steps repeat: numbers change with the schedule, specs seldom, addresses with every step.
@functools.lru_cache(64)
def _numbers(values: tuple[float, ...]) -> Tensor:
    return creation.from_numpy(np.array(values, np.float64))


def _specs(tensors: Sequence[Tensor | None]) -> tuple[Spec | None, ...]:
    return tuple([None if tensor is None else tensor._spec for tensor in tensors])


class _Proof(NamedTuple):
    """What follows from the specs of parameters and of what belongs to them."""

    strange: tuple[tuple[int, int], ...]  # column and place of those that lie in another layout than their parameter
    private: tuple[
        tuple[int, int], ...
    ]  # the same for those that may not be replaced, where one of the layouts is private
    # Places of one dtype, their rows, the table's spec, the op's params, its plan.
    groups: tuple[tuple[list[int], ops.update.Pieces, Spec, Any, Plan], ...]


@functools.lru_cache(64)
def _proof(
    op: Op,
    names: tuple[str, ...],
    movable: int,
    first: tuple[bool, ...] | None,
    params: tuple[Spec, ...],
    *columns: tuple[Spec | None, ...],
) -> _Proof:
    """Check the columns of tensors, each of which has one, or None, for each parameter.

    Those of the first ``movable`` columns may lie in memory in another way than their parameter. ``first`` marks places.
    """
    strange, private = [], []
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        for place, (param, spec) in enumerate(zip(params, column, strict=True)):
            if spec is None or _is_alike(param, spec, name):
                continue
            if number < movable:
                strange.append((number, place))
            elif spec.is_private or param.is_private:
                private.append((number, place))
            else:
                wanted = f"the parameter's, {param.strides}"
                raise RuntimeError(describe("optimizer", f"strides of {name}", spec.strides, wanted))
    by_dtype: dict[Dtype, list[int]] = {}
    for place, param in enumerate(params):
        if param.numel:
            by_dtype.setdefault(param.dtype, []).append(place)
    groups = []
    for dtype, places in by_dtype.items():
        lengths = [params[place].numel for place in places]
        flags = () if first is None else ([first[place] for place in places],)
        present = [True, *[column[places[0]] is not None for column in columns]]
        pieces = ops.update.Pieces(lengths, dtype.itemsize, present, flags)
        options = op.Params(dtype=dtype, grain=ops.update.grain_of(pieces.count, sum(lengths)))
        table = spec_of(int64, (pieces.count, len(names) + len(flags) + 2))
        groups.append((places, pieces, table, options, planned(op, (table, *_NUMBERS[op]), options)))
    return _Proof(tuple(strange), tuple(private), tuple(groups))


def _is_alike(param: Spec, spec: Spec, name: str) -> bool:
    """Whether the elements lie in the order of the parameter's, which they have to fit."""
    if spec.shape != param.shape or spec.dtype is not param.dtype:
        raise RuntimeError(
            describe("optimizer", name, f"{list(spec.shape)} of {spec.dtype}", f"{list(param.shape)} of {param.dtype}")
        )
    if not param.is_dense:
        raise RuntimeError(
            describe("optimizer", "a parameter", f"not dense (strides {param.strides})", "dense memory", "use .clone()")
        )
    return spec.lies_like(param)


def _bring(proof: _Proof, params: Sequence[Tensor], *columns: list[Any]) -> None:
    """Replace tensors that lie in another layout than their parameter by copies that do not."""
    for number, place in proof.strange:
        tensor = columns[number][place].detach()
        columns[number][place] = ops.creation.to_strides(tensor, strides=params[place]._spec.strides)


def _tables(proof: _Proof, *columns: Sequence[Tensor | None]) -> Iterator[tuple[Plan, Tensor, Any]]:
    """For each dtype the op's plan, the table of the addresses in the columns, and the op's params."""
    addresses = array("q", [0 if tensor is None else tensor._address for column in columns for tensor in column])
    by_place = np.frombuffer(addresses, np.int64).reshape(len(columns), -1).T
    for places, pieces, spec, options, plan in proof.groups:
        table = pieces.table(by_place if len(places) == len(by_place) else by_place[places])
        # As `creation.from_numpy` makes it, without looking at an array that is known.
        storage = memory.Storage(table.__array_interface__["data"][0], table.nbytes, table)
        yield plan, Tensor(storage, spec, storage.address), options
