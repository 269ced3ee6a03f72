"""Modules without initial values."""

from __future__ import annotations

from typing import Any, TypeVar

from numgrad.nn import init
from numgrad.nn.module import Module

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """A module whose parameters hold no initial values, for a caller that fills them itself.

    Parameters
    ----------
    module_cls
        The module's class.
    args, kwargs
        Arguments of its constructor.

    Raises
    ------
    RuntimeError
        ``module_cls`` is not a subclass of `Module`.

    >>> from numgrad import nn
    >>> nn.init.ones_(skip_init(nn.Linear, 2, 1).weight)
    Parameter containing:
    tensor([[1., 1.]], requires_grad=True)
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    with init.skipped():
        module: M = module_cls(*args, **kwargs)
    return module


__all__ = ["skip_init"]
