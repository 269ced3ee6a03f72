"""Scalar functions evaluated on tensors, with the ops of the same names as words: the rule for higher orders."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from numgrad import registry
from numgrad.errors import GradError
from numgrad.kernels import scalar, special
from numgrad.runtime.kernel import Device, references

_WORDS = (scalar, special)


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
    replaced: dict[str, Any] = {}
    for name, value in references(function):
        if isinstance(value, types.ModuleType) and value in _WORDS:
            replaced[name] = _OpsAsWords()
        elif isinstance(value, Device):
            known = any(getattr(words, value.__name__, None) is value for words in _WORDS)
            replaced[name] = _op_for_word(value.__name__) if known else _with_ops(value.py_func)
    cells = tuple(
        types.CellType(replaced.get(name, cell.cell_contents))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    )
    names = {**function.__globals__, **replaced}
    return types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)


def _op_for_word(word: str) -> Callable[..., Any]:
    return registry.find(scalar.OP_NAMES.get(word, word))


class _OpsAsWords:
    """Stands for a module of words when a backward is evaluated on tensors."""

    def __getattr__(self, word: str) -> Callable[..., Any]:
        return _op_for_word(word)
