"""Scalar functions evaluated on tensors, with the ops of the same names as words: the rule for higher orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad import registry
from numgrad.errors import GradError
from numgrad.kernels import gammas, scalar, special
from numgrad.runtime.kernel import Device, rebound

_WORDS = (gammas, scalar, special)


def on_tensors(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The derivative ``function`` of the op ``name`` on tensors; it is differentiable."""
    with_ops = _with_ops(function)

    def composite(*args: Any) -> Any:
        try:
            return with_ops(*args)
        except RuntimeError as error:
            if "Boolean value of Tensor" not in str(error):
                raise
            raise GradError(
                f"the second derivative of {name} cannot be computed: its backward branches on values; "
                "write it with numgrad.scalar.where"
            ) from error

    return composite


def _with_ops(function: Any) -> Any:
    """The function with each scalar word replaced by the op of that name."""
    return rebound(function, _tensor_form)


def _tensor_form(value: Any) -> Any:
    if not isinstance(value, Device):
        return value
    word = value.__name__
    if any(getattr(words, word, None) is value for words in _WORDS):
        return registry.find(scalar.OP_NAMES.get(word, word))
    return _with_ops(value.py_func)
