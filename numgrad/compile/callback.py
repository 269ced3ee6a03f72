"""Callbacks that run in Python between the launches of a replay: an op without results, which is a call of the host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.compile.capture import paused
from numgrad.registry import Op
from numgrad.runtime.plan import PlanBuilder
from numgrad.tensor import creation
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor

_callback = Op(
    "host_callback",
    ("input",),
    {"function": None},
    outputs=(),
    public=0,
    differentiable=False,
    variadic=True,
    register=False,
    doc="Call a Python function with copies of the inputs.",
)
_callback.halves = True


@_callback.plan
def _(b: PlanBuilder, *inputs: Any, function: Any) -> None:
    dtypes_of = tuple(each.spec.dtype for each in inputs)
    b.host_call(_call, inputs, (), callback=function, of=dtypes_of)


def _call(*arrays: np.ndarray, callback: Callable[..., None], of: tuple[dtypes.dtype, ...]) -> int:
    paused(functools.partial(_with_copies, callback, arrays, of))
    return 0


def _with_copies(function: Callable[..., None], arrays: Any, of: Any) -> None:
    copies = []
    for array, dtype in zip(arrays, of, strict=True):
        copy = creation.uninitialized(dtype, array.shape, None)
        copy._memory()[...] = array
        copies.append(copy)
    function(*copies)


def with_copies(function: Callable[..., None]) -> Callable[..., None]:
    """A function of tensors that calls ``function`` with copies of them, also in each replay."""

    @functools.wraps(function)
    def call(*tensors: Tensor) -> None:
        for tensor in tensors:
            check_tensor("jit.host", "an argument", tensor)
        _callback(*[tensor.detach() for tensor in tensors], function=function)

    vars(call)["_replay_opaque"] = True  # what it changes, it changes again in each replay
    return call
