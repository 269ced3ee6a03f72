"""Ops on float16 and bfloat16: operands become float32, the op runs, and its float32 results become the half again.

Conversions are ops that the tape records, so gradients are halves where the operands are. Ops that only move elements say
that they take halves as they are (`Op.halves`); views take them as well, which their plan for float32 shows.
"""

from __future__ import annotations

from typing import Any

from numgrad import registry
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32
from numgrad.engine import dispatch, private
from numgrad.layout import spec_of
from numgrad.registry import Op
from numgrad.tensor.changes import planned


def half_dispatch(op: Op, inputs: tuple[Any, ...], params: Any, half: Dtype) -> Any:
    """The results of an op on halves; NotImplemented if it computes nothing: then its result is a view, of halves too."""
    specs: list[Any] = []
    for tensor in inputs:
        if tensor is not None and tensor._spec.dtype.is_half:
            private.expose(tensor)
            specs.append(spec_of(float32, tensor._spec.shape, tensor._spec.strides))
        else:
            specs.append(None if tensor is None else tensor._spec)
    wide = _wide(params)
    plan = planned(op, tuple(specs), wide)
    is_view = plan.program is None and any(output.source is not None for output in plan.outputs)
    return NotImplemented if is_view else _widened(op, inputs, params, half)


def _wide(params: Any) -> Any:
    return type(params)(*[float32 if value.__class__ is Dtype and value.is_half else value for value in params])


def _widened(op: Op, inputs: tuple[Any, ...], params: Any, half: Dtype) -> Any:
    """The results of an op, computed in float32; what it wrote over is copied back."""
    cast = registry.find("cast")
    to_float, to_half = cast.Params(float32), cast.Params(half)
    wide = [
        dispatch.dispatch(cast, (each,), to_float) if each is not None and each._spec.dtype.is_half else each
        for each in inputs
    ]
    versions = [None if each is None else each._storage.version for each in wide]
    results = dispatch.dispatch(op, tuple(wide), _wide(params))
    results = list(results) if op.public > 1 else [results]
    for before, after, version in zip(inputs, wide, versions, strict=True):
        if after is not before and after._storage.version != version:
            copy_ = registry.find("copy_")
            dispatch.dispatch(copy_, (before, after), copy_.defaults)
            results = [before if each is after else each for each in results]
    narrow = [dispatch.dispatch(cast, (each,), to_half) if each._spec.dtype is float32 else each for each in results]
    return tuple(narrow) if op.public > 1 else narrow[0]


dispatch.half_dispatch = half_dispatch
