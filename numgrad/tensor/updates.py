"""One optimizer step for many parameters in one launch: tables of addresses for the ops `sgd` and `adam`.

Kernels follow the addresses in the table, so everything is proved here: dtypes, shapes, layouts, density.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import int64
from numgrad.engine.private import expose
from numgrad.errors import describe
from numgrad.layout import Spec, spec_of
from numgrad.runtime import memory
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


def sgd_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    momentum_buffers: list[Tensor | None],
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> None:
    """SGD in place, by torch's formula. A buffer that is None is made (with momentum) and starts as the gradient.

    Raises
    ------
    RuntimeError
        A gradient or buffer does not have its parameter's shape and dtype; nothing has been changed then.
    """
    grads = list(grads)
    buffers: list[Tensor | None] = list(momentum_buffers) if momentum else [None] * len(params)
    first = tuple([buffer is None for buffer in buffers])
    if momentum and True in first:
        buffers = [creation.empty_like(p) if b is None else b for p, b in zip(params, buffers, strict=True)]
    proof = _proof(
        ("grad", "momentum_buffer" if momentum else ""), 2, first, _specs(params), _specs(grads), _specs(buffers)
    )
    _bring(proof, params, grads, buffers)
    if momentum:
        momentum_buffers[:] = buffers
    hyper = _numbers((lr, momentum, dampening, weight_decay, nesterov, maximize))
    for dtype, table, grain in _tables(proof, params, grads, buffers):
        ops.update.sgd(table, hyper, dtype=dtype, grain=grain)
    _changed(params, buffers)


def adam_(
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
    """Adam in place, by torch's formula, for parameters that have taken ``step`` steps before this one.

    ``max_exp_avg_sqs`` is empty unless amsgrad is wanted.

    Raises
    ------
    RuntimeError
        A gradient or average does not have its parameter's shape and dtype; nothing has been changed then.
    """
    amsgrad, grads = bool(max_exp_avg_sqs), list(grads)
    averages = [exp_avgs, exp_avg_sqs, max_exp_avg_sqs if amsgrad else [None] * len(params)]
    names = "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq" if amsgrad else ""
    first, second = betas
    proof = _proof(names, 1, None, _specs(params), _specs(grads), *map(_specs, averages))
    if proof.private:
        for column, place in proof.private:  # row-major both, as they are to their user
            expose(params[place])
            expose(averages[column - 1][place])  # type: ignore[arg-type]
        proof = _proof(names, 1, None, _specs(params), _specs(grads), *map(_specs, averages))
    _bring(proof, params, grads)
    hyper = _numbers((lr, first, second, eps, weight_decay, decoupled_weight_decay, maximize, amsgrad))
    for dtype, table, grain in _tables(proof, params, grads, *averages):
        state = creation.from_numpy(np.array([step, 0.0, 0.0]))
        ops.update.adam(table, hyper, state, dtype=dtype, grain=grain)
    _changed(params, *averages)


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
    groups: tuple[tuple[Dtype, list[int], ops.update.Pieces, int], ...]  # places of one dtype, their rows, the grain


@functools.lru_cache(64)
def _proof(
    names: tuple[str, ...],
    movable: int,
    first: tuple[bool, ...] | None,
    params: tuple[Spec, ...],
    *columns: tuple[Spec | None, ...],
) -> _Proof:
    """Check the columns of tensors, each of which has one for each parameter, or, where it has no name, None.

    Those of the first ``movable`` columns may lie in memory in another way than their parameter. ``first`` marks places.
    """
    for name, column in zip(names, columns, strict=True):
        absent = [place for place, spec in enumerate(column) if spec is None]
        if name and absent:  # the kernel would read at address 0
            raise RuntimeError(describe("optimizer", f"{name} of parameter {absent[0]}", None, "a Tensor"))
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
        groups.append((dtype, places, pieces, ops.update.grain_of(pieces.count, sum(lengths))))
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


def _tables(proof: _Proof, *columns: Sequence[Tensor | None]) -> Iterator[tuple[Dtype, Tensor, int]]:
    """For each dtype the table of the addresses in the columns, and the grain."""
    addresses = array("q", [0 if tensor is None else tensor._address for column in columns for tensor in column])
    by_place = np.frombuffer(addresses, np.int64).reshape(len(columns), -1).T
    for dtype, places, pieces, grain in proof.groups:
        table = pieces.table(by_place if len(places) == len(by_place) else by_place[places])
        # As `creation.from_numpy` makes it, without looking at an array that is known.
        storage = memory.Storage(table.__array_interface__["data"][0], table.nbytes, table)
        yield dtype, Tensor(storage, spec_of(int64, table.shape), storage.address), grain


def _changed(*columns: Sequence[Tensor | None]) -> None:
    """The kernels changed these behind the engine's back: saved values are not what they were."""
    for column in columns:
        for tensor in column:
            if tensor is not None:
                tensor._storage.version += 1
