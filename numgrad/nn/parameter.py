"""`Parameter`: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from numgrad.engine import private
from numgrad.engine.tape import TensorBase
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A leaf tensor that a `Module` registers when it is assigned to one of its attributes.

    Parameters
    ----------
    data
        The values, any shape; memory and layout are shared with this tensor. None: an empty tensor.
    requires_grad
        Whether gradients flow to it.

    Raises
    ------
    TypeError
        ``data`` is not a tensor.
    RuntimeError
        ``requires_grad`` is True and the dtype is not a floating-point dtype.

    >>> import numgrad as ng
    >>> Parameter(ng.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """An empty object; the constructor fills it."""
        return object.__new__(cls)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = creation.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data is {type(data).__name__}, expected a Tensor")
        if requires_grad and not data.is_floating_point():
            raise RuntimeError(
                f"Only Tensors of floating point dtype can require gradients, this one is {data.dtype}; pass "
                "requires_grad=False"
            )
        TensorBase.__init__(self, data._storage, data._spec, data._address)
        if data._spec.is_private:
            private.moves_with(data, self)
        self._requires_grad = bool(requires_grad)


def typename(value: Any) -> str:
    """The name of a value's type in messages: ``numgrad.FloatTensor``, ``int``, ``package.module.Class``.

    >>> typename(3)
    'int'
    """
    if type(value) is Tensor:
        return f"numgrad.{value.dtype.torch_name}Tensor"
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
