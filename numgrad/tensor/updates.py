"""One optimizer step for many parameters in one launch: tables of addresses for the ops `sgd` and `adam`.

Kernels follow the addresses in the table, so everything is proved here: dtypes, shapes, layouts, density.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import describe
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
    grads = [_like(param, grad, "grad") for param, grad in zip(params, grads, strict=True)]
    first = [buffer is None for buffer in momentum_buffers]
    for place, (param, buffer) in enumerate(zip(params, momentum_buffers, strict=True)):
        if momentum:
            momentum_buffers[place] = (
                creation.empty_like(param) if buffer is None else _like(param, buffer, "momentum_buffer")
            )
    hyper = _numbers((lr, momentum, dampening, weight_decay, nesterov, maximize))
    for dtype, places in _by_dtype(params).items():
        for is_first in (True, False):
            chosen = [place for place in places if first[place] == is_first]
            if not chosen:
                continue
            buffers = [momentum_buffers[place] for place in chosen]
            addresses = [
                (params[place]._address, grads[place]._address, 0 if buffer is None else buffer._address)
                for place, buffer in zip(chosen, buffers, strict=True)
            ]
            lengths = [params[place]._spec.numel for place in chosen]
            # The kernel takes the mark of the first step out of the table, so such a one is used once.
            table = (_table.__wrapped__ if is_first else _table)(
                tuple(addresses), (int(is_first),), tuple(lengths), dtype.itemsize
            )
            ops.update.sgd(table, hyper, dtype=dtype, grain=ops.update.grain_of(table.shape[0], sum(lengths)))
    _changed(params, [buffer for buffer in momentum_buffers if buffer is not None])


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
    amsgrad = bool(max_exp_avg_sqs)
    largest: Sequence[Tensor | None] = max_exp_avg_sqs if amsgrad else [None] * len(params)
    rows_of = []
    for param, grad, mean, square, most in zip(params, grads, exp_avgs, exp_avg_sqs, largest, strict=True):
        grad = _like(param, grad, "grad")
        _same_layout(param, mean, "exp_avg")
        _same_layout(param, square, "exp_avg_sq")
        if most is not None:
            _same_layout(param, most, "max_exp_avg_sq")
        rows_of.append((param, grad, mean, square, most))
    hyper = _numbers((lr, *betas, eps, weight_decay, decoupled_weight_decay, maximize, amsgrad))
    for dtype, places in _by_dtype(params).items():
        addresses = tuple([tuple([0 if t is None else t._address for t in rows_of[place]]) for place in places])
        lengths = tuple([params[place]._spec.numel for place in places])
        table = _table(addresses, (), lengths, dtype.itemsize)
        state = creation.from_numpy(np.array([step, 0.0, 0.0]))
        ops.update.adam(table, hyper, state, dtype=dtype, grain=ops.update.grain_of(table.shape[0], sum(lengths)))
    _changed(params, [*exp_avgs, *exp_avg_sqs, *max_exp_avg_sqs])


# Steps repeat: numbers change with the schedule, and addresses seldom, since the pool gives the same blocks again. A table
# is nothing but addresses, and those of this step were proved, so one that was made before is as good.
@functools.lru_cache(64)
def _numbers(values: tuple[float, ...]) -> Tensor:
    return creation.from_numpy(np.array(values, np.float64))


@functools.lru_cache(64)
def _table(
    addresses: tuple[tuple[int, ...], ...], flags: tuple[int, ...], lengths: tuple[int, ...], itemsize: int
) -> Tensor:
    return creation.from_numpy(ops.update.piece_rows(addresses, flags, lengths, itemsize))


def _by_dtype(params: Sequence[Tensor]) -> dict[Dtype, list[int]]:
    groups: dict[Dtype, list[int]] = {}
    for place, param in enumerate(params):
        if param.numel():
            groups.setdefault(param.dtype, []).append(place)
    return groups


def _like(param: Tensor, tensor: Tensor, name: str) -> Tensor:
    """The tensor with its elements in the order of the parameter's; a copy if it has another layout."""
    spec = param._spec
    if tensor.shape != param.shape or tensor.dtype is not param.dtype:
        raise RuntimeError(
            describe(
                "optimizer", name, f"{list(tensor.shape)} of {tensor.dtype}", f"{list(param.shape)} of {param.dtype}"
            )
        )
    if not spec.is_dense:
        raise RuntimeError(
            describe("optimizer", "a parameter", f"not dense (strides {spec.strides})", "dense memory", "use .clone()")
        )
    if tensor._spec.strides == spec.strides or (tensor._spec.is_contiguous and spec.is_contiguous):
        return tensor
    return ops.creation.to_strides(tensor.detach(), strides=spec.strides)  # type: ignore[no-any-return]


def _same_layout(param: Tensor, tensor: Tensor, name: str) -> None:
    if _like(param, tensor, name) is not tensor:
        raise RuntimeError(
            describe("optimizer", f"strides of {name}", tensor.stride(), f"the parameter's, {param.stride()}")
        )


def _changed(*groups: Sequence[Tensor]) -> None:
    """The kernels changed these behind the engine's back: saved values are not what they were."""
    for group in groups:
        for tensor in group:
            tensor._storage.version += 1
