"""`Variable`, by which programs of old made tensors that have gradients."""

from __future__ import annotations

from typing import Any

from numgrad.errors import warn
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

__all__ = ["Variable"]


class _Type(type):
    """The class of `Variable`, whose instances are all tensors."""

    def __call__(cls, data: Any = None, requires_grad: bool | None = None, volatile: bool | None = None) -> Any:
        if data is None:
            data = creation.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile:
            warn("volatile was removed and now has no effect. Use `with numgrad.no_grad():` instead.")
        leaf = data.detach()
        return leaf.requires_grad_() if requires_grad else leaf

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_Type):
    """torch's old word for a tensor. ``Variable(data, requires_grad=False)`` is ``data``'s memory outside of the graph, as a leaf.

    Parameters
    ----------
    data
        A tensor; None: an empty one.
    requires_grad
        Whether the result requires a gradient.
    volatile
        Has no effect, and a warning says so.

    Raises
    ------
    TypeError
        ``data`` is no tensor.
    RuntimeError
        A gradient is asked of integers.

    >>> import numgrad as ng
    >>> x = ng.autograd.Variable(ng.ones(2), requires_grad=True)
    >>> (3 * x).sum().backward()
    >>> x.grad, isinstance(x, ng.autograd.Variable), isinstance(ng.ones(2), ng.autograd.Variable)
    (tensor([3., 3.]), True, True)
    """
