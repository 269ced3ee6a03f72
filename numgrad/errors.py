"""Exception classes of numgrad and the one builder of their messages.

torch's classes are kept (``RuntimeError`` for shapes, ``IndexError`` for indices, ``TypeError`` for argument types), so
that code written against torch catches what it expects. The subclasses below only add a name to catch.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np


class ShapeError(RuntimeError):
    """Shapes, strides or sizes of operands do not fit together."""


class DtypeError(NotImplementedError):
    """Dtypes of operands do not fit together, or an op does not support one: a RuntimeError of torch's finer class."""


class OutOfRangeError(IndexError, RuntimeError):
    """An element of an index names nothing. torch has either class for it, depending on the op."""


class GradError(RuntimeError):
    """A gradient cannot be computed, or not any more."""


class KernelError(RuntimeError):
    """A kernel cannot be compiled, or broke its contract (an out-of-bounds access in the debug mode)."""


class ProofError(KernelError):
    """Operands are not what a kernel takes, by the proof before its launch. An op's caller gets a `ShapeError`."""


class OperandError(TypeError):
    """An operand is neither a tensor, nor a number, nor an array. Operators leave such a one to the other side's class."""


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix is not what a function of linear algebra takes: singular, not positive definite, without convergence.

    It is ``numgrad.linalg.LinAlgError``, and caught as NumPy's as well.
    """


def describe(op: str, argument: str, got: object, wanted: object, hint: str = "") -> str:
    """One sentence in the order that readers need: op, argument, what came, what was wanted, what to do.

    >>> describe("conv2d", "weight.shape[1]", 32, "64 (= input.shape[1] / groups)")
    'conv2d: weight.shape[1] is 32, expected 64 (= input.shape[1] / groups)'
    """
    message = f"{op}: {argument} is {got}, expected {wanted}"
    return f"{message}; {hint}" if hint else message


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called numgrad, through however many of its functions."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "numgrad":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
