"""One optimizer step for many parameters in one launch: tables of addresses for the ops `sgd` and `adam`.

The kernels follow the addresses in a table, so dtypes, shapes, layouts and density are checked here. Nothing is launched
here: the caller plans all steps and then makes them together; see `tensor.changes`.
"""

from __future__ import annotations

import functools
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float64, int64
from numgrad.engine.constants import constant
from numgrad.engine.private import expose
from numgrad.engine.tape import tensor_over
from numgrad.errors import describe
from numgrad.layout import Spec, spec_of
from numgrad.registry import Op, find
from numgrad.runtime import memory
from numgrad.runtime.plan import Plan
from numgrad.tensor import creation, pointwise
from numgrad.tensor.changes import Changes, planned
from numgrad.tensor.in_place import apart
from numgrad.tensor.tensor import Tensor

_SGD, _ADAM = ops.update.sgd, ops.update.adam
# Specs of the inputs after the table.
_NUMBERS = {_SGD: (spec_of(float64, (6,)),), _ADAM: (spec_of(float64, (8,)), spec_of(float64, (3,)))}
_add: Op = find("add").in_place  # type: ignore[attr-defined]
_multiply: Op = find("mul").in_place  # type: ignore[attr-defined]


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

    A buffer that is None is allocated and starts as the gradient. A buffer with another layout than its parameter is replaced.

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
    names = "grad", "momentum_buffer" if momentum else ""
    proof = _proof(_SGD, names, 2, first, _specs(params), _specs(grads), _specs(buffers))
    _unify(proof, params, grads, buffers)
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

    ``max_exp_avg_sqs`` is empty without amsgrad.

    Raises
    ------
    RuntimeError
        A gradient or average does not have its parameter's shape and dtype.
    """
    amsgrad, grads = bool(max_exp_avg_sqs), list(grads)
    averages = [exp_avgs, exp_avg_sqs, max_exp_avg_sqs if amsgrad else [None] * len(params)]
    names = "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq" if amsgrad else ""
    beta1, beta2 = betas
    proof = _proof(_ADAM, names, 1, None, _specs(params), _specs(grads), *map(_specs, averages))
    if proof.private:
        for column, index in proof.private:  # make both row-major
            expose(params[index])
            expose(averages[column - 1][index])  # type: ignore[arg-type]
        proof = _proof(_ADAM, names, 1, None, _specs(params), _specs(grads), *map(_specs, averages))
    _unify(proof, params, grads)
    hyper = _numbers((lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay, maximize, amsgrad))
    for plan, table, options in _tables(proof, params, grads, *averages):
        state = creation.from_numpy(np.array([step, 0.0, 0.0]))
        changes.run(plan, _ADAM, (table, hyper, state), options)
    changes.touch(params)
    for average in averages:
        changes.touch(average)


def plan_count(changes: Changes, counters: Sequence[Tensor]) -> None:
    """Plan the addition of 1 to each of these tensors."""
    for dtype in {counter._spec.dtype for counter in counters}:
        those = [counter for counter in counters if counter._spec.dtype is dtype]
        changes.apply_to_each(_add, those, (constant(1, dtype),), _add.defaults)


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


class _Proof(NamedTuple):
    """What follows from the specs of the parameters, their gradients and their states."""

    # Column and index of tensors with another layout than their parameter.
    strange: tuple[tuple[int, int], ...]
    # The same for tensors that must not be replaced, where one of the two layouts is private.
    private: tuple[tuple[int, int], ...]
    # For each dtype: indices of the parameters, their rows, the table's spec, the op's params, its plan.
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
    """Check the columns, which have a tensor for each parameter; columns without a name have None.

    Tensors of the first ``movable`` columns may have another layout than their parameter. ``first`` marks the parameters
    whose buffers start with this step.
    """
    for name, column in zip(names, columns, strict=True):
        absent = [index for index, spec in enumerate(column) if spec is None]
        if name and absent:  # the kernel would read at address 0
            raise RuntimeError(describe("optimizer", f"{name} of parameter {absent[0]}", None, "a Tensor"))
    strange, private = [], []
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        for index, (param, spec) in enumerate(zip(params, column, strict=True)):
            if spec is None or _is_alike(param, spec, name):
                continue
            if number < movable:
                strange.append((number, index))
            elif spec.is_private or param.is_private:
                private.append((number, index))
            else:
                expected = f"the parameter's, {param.strides}"
                raise RuntimeError(describe("optimizer", f"strides of {name}", spec.strides, expected))
    by_dtype: dict[Dtype, list[int]] = {}
    for index, param in enumerate(params):
        if param.numel:
            by_dtype.setdefault(param.dtype, []).append(index)
    groups = []
    for dtype, indices in by_dtype.items():
        lengths = [params[index].numel for index in indices]
        flags = () if first is None else ([first[index] for index in indices],)
        present = [True, *[column[indices[0]] is not None for column in columns]]
        pieces = ops.update.Pieces(lengths, dtype.itemsize, present, flags)
        options = op.Params(dtype=dtype, grain=ops.update.grain_of(pieces.count, sum(lengths)))
        table = spec_of(int64, (pieces.count, len(names) + len(flags) + 2))
        groups.append((indices, pieces, table, options, planned(op, (table, *_NUMBERS[op]), options)))
    return _Proof(tuple(strange), tuple(private), tuple(groups))


def _is_alike(param: Spec, spec: Spec, name: str) -> bool:
    """Whether a tensor has its parameter's layout. Another shape or dtype, or a parameter with gaps, is refused."""
    if spec.shape != param.shape or spec.dtype is not param.dtype:
        raise RuntimeError(
            describe("optimizer", name, f"{list(spec.shape)} of {spec.dtype}", f"{list(param.shape)} of {param.dtype}")
        )
    if not param.is_dense:
        raise RuntimeError(
            describe("optimizer", "a parameter", f"not dense (strides {param.strides})", "dense memory", "use .clone()")
        )
    return spec.lies_like(param)


def _unify(proof: _Proof, params: Sequence[Tensor], *columns: list[Any]) -> None:
    """Replace tensors with another layout than their parameter by copies with the parameter's layout."""
    for number, index in proof.strange:
        tensor = columns[number][index].detach()
        columns[number][index] = ops.creation.to_strides(tensor, strides=params[index]._spec.strides)


def _tables(proof: _Proof, *columns: Sequence[Tensor | None]) -> Iterator[tuple[Plan, Tensor, Any]]:
    """For each dtype the op's plan, the table with the addresses of the columns, and the op's params."""
    addresses = array("q", [0 if tensor is None else tensor._address for column in columns for tensor in column])
    by_parameter = np.frombuffer(addresses, np.int64).reshape(len(columns), -1).T
    for indices, pieces, spec, options, plan in proof.groups:
        table = pieces.table(by_parameter if len(indices) == len(by_parameter) else by_parameter[indices])
        # As `creation.from_numpy`, without its checks. The table lives until the step is made, and keeps the columns alive:
        # only they hold the copies made by `_unify`.
        storage = memory.Storage(table.__array_interface__["data"][0], table.nbytes, (table, columns))
        yield plan, tensor_over(Tensor, storage, spec, storage.address), options
