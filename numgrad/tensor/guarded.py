"""Public functions as users call them: an argument of a type that makes no sense is a TypeError that names it.

The functions themselves take for granted that a tensor is a tensor; to ask each time would cost as much as a small op. A
wrapper around what is exported asks only once something has gone wrong. What a function of the caller's raised, which was
given to one of numgrad's, is left as it is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any

from numgrad.engine.tape import TensorBase

_GUARDED = ("numgrad.tensor.", "numgrad.nn.functional", "numgrad.func.", "numgrad.autograd.")


def guard(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Wrap the functions of these names in a module's namespace; classes and other values stay."""
    module = namespace["__name__"]
    for name in names:
        value = namespace.get(name)  # some modules are imported when they are asked for
        module_of = getattr(value, "__module__", "")
        # Elementwise functions ask by themselves, and are called often.
        if inspect.isfunction(value) and module_of.startswith(_GUARDED):
            if module_of == "numgrad.tensor.pointwise":
                continue
            namespace[name] = guarded(value, module)


def guarded(function: Any, module: str) -> Any:
    """The function for users of ``module``, where pickles find it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (AttributeError, OverflowError) as error:
            if not _is_ours(error):
                raise
            explanation = explained(function, args, kwargs, error)
            raise explanation from (None if explanation is error else error)

    call.__module__ = module
    return call


def _is_ours(error: Exception) -> bool:
    """Whether nothing but numgrad's own code stood between the call and the error."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] != "numgrad":
            return False
        trace = trace.tb_next
    return True


def explained(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Exception:
    """What an error within a function says of its arguments.

    >>> import numgrad as ng
    >>> ng.matmul(ng.ones(2, 2), 3)
    Traceback (most recent call last):
    TypeError: matmul(): argument 'other' must be Tensor, not int
    """
    name = function.__name__
    if str(error).startswith("int too big to convert"):  # torch's class and words for numbers beside tensors
        return error
    if isinstance(error, OverflowError):
        return RuntimeError(f"{name}(): a number is too large for the type that it is converted to ({error})")
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs).arguments
    for parameter, value in bound.items():
        annotation = str(signature.parameters[parameter].annotation)
        if annotation == "Tensor" and not isinstance(value, TensorBase):
            return TypeError(f"{name}(): argument '{parameter}' must be Tensor, not {type(value).__name__}")
    given = [type(value).__name__ for value in args] + [
        f"{key}={type(value).__name__}" for key, value in kwargs.items()
    ]
    return TypeError(f"{name}() received an invalid combination of arguments - got ({', '.join(given)}); {error}")
