"""`swap_tensors`: two tensor objects exchange what they are."""

from __future__ import annotations

import weakref
from typing import Any

from numgrad.engine import private
from numgrad.engine.tape import TensorBase

_SLOTS = tuple(name for name in TensorBase.__slots__ if name != "__weakref__")


def swap_tensors(t1: Any, t2: Any) -> None:
    """Exchange class, attributes, memory and gradient of two tensors, so that whoever holds one now has the other.

    Raises
    ------
    TypeError
        One is no tensor.
    RuntimeError
        One is part of a graph, is a view or has weak references to it: what refers to it would be misled.

    >>> import numgrad as ng
    >>> x, y = ng.zeros(2), ng.ones(3)
    >>> ng.utils.swap_tensors(x, y)
    >>> x, y
    (tensor([1., 1., 1.]), tensor([0., 0.]))
    """
    for name, tensor in (("t1", t1), ("t2", t2)):
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"swap_tensors(): argument '{name}' must be Tensor, not {type(tensor).__name__}")
        if weakref.getweakrefs(tensor):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
        if tensor._node is not None or (tensor._accumulator is not None and tensor._accumulator() is not None):
            raise RuntimeError(
                f"swap_tensors: {name} is part of a graph; swap before the forward or after the backward"
            )
        if tensor._base is not None:
            raise RuntimeError(f"swap_tensors: {name} is a view; swap the tensor that it is a view of")
    for tensor in (t1, t2):
        private.expose(tensor)
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
    for name in _SLOTS:
        first, second = getattr(t1, name), getattr(t2, name)
        setattr(t1, name, second)
        setattr(t2, name, first)
    t1._accumulator = t2._accumulator = None
