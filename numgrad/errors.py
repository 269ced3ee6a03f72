"""Exception classes of numgrad, and the builder of their messages.

Built-in classes are torch's (``RuntimeError`` for shapes, ``IndexError`` for indices, ``TypeError`` for argument types), so
that code written against torch catches what it expects. The subclasses below only add a name to catch.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

__all__ = [
    "CaptureError",
    "DeviceError",
    "DtypeError",
    "GradError",
    "KernelError",
    "LinAlgError",
    "OperandError",
    "OutOfRangeError",
    "ProofError",
    "ShapeError",
    "TapeError",
    "TranslationError",
]


class ShapeError(RuntimeError):
    """Shapes, strides or sizes of operands do not fit together."""


class NegativeStepError(ValueError):
    """A slice has a negative step, which no view has."""


class DtypeError(NotImplementedError):
    """Dtypes of operands do not fit together, or an op does not support one; NotImplementedError is a RuntimeError."""


class OutOfRangeError(IndexError, RuntimeError):
    """An element of an index is out of range. torch raises either class, depending on the op."""


class GradError(RuntimeError):
    """A gradient cannot be computed, or no longer."""


class DeviceError(RuntimeError, AssertionError):
    """A device other than the CPU was to be used. torch has either class for it, depending on the device."""


class KernelError(RuntimeError):
    """A kernel cannot be compiled, or broke its contract (an out-of-bounds access in the debug mode)."""


class TapeError(MemoryError):
    """What a function with loops would have to record for its backward is larger than allowed."""


class TranslationError(KernelError):
    """A function with loops cannot be differentiated: function, line and text say where, the rest what to do."""


class CaptureError(RuntimeError):
    """A step that is captured for replay does what a replay could not do again."""


class ProofError(KernelError):
    """Operands fail the proof before a kernel's launch. An op's caller gets a `ShapeError`."""


class OperandError(TypeError):
    """An operand is neither a tensor, nor a number, nor an array. Operators leave it to the class of the other operand."""


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix is not what a function of linear algebra takes: singular, not positive definite, without convergence.

    It is ``numgrad.linalg.LinAlgError``, and caught as NumPy's as well.
    """


# What programs ask of torch and numgrad has not: why, or what to take instead. docs/differences.md has the whole list.
ABSENT = {
    **dict.fromkeys(
        ("cdouble", "cfloat", "chalf", "complex128", "complex32", "complex64"),
        "there are no complex dtypes; keep two real tensors",
    ),
    **dict.fromkeys(
        ("fft", "istft", "stft"), "its results are complex; take numpy.fft of tensor.numpy(), without gradients"
    ),
    **dict.fromkeys(
        ("sparse", "sparse_coo_tensor", "sparse_csr_tensor"), "all tensors are dense; take index_add or scatter"
    ),
    **dict.fromkeys(("nested", "masked"), "take padding and a mask"),
    **dict.fromkeys(("uint16", "uint32", "uint64"), "the integers are int8, int16, int32, int64 and uint8"),
    **dict.fromkeys(("export", "onnx"), "models are Python; save their state_dict()"),
    "hub": "numgrad.models and numgrad.weights have pretrained models",
    "library": "numgrad.custom_op makes an op",
    "multiprocessing": "take Python's multiprocessing, or workers of a DataLoader",
}


def describe(op: str, argument: str, got: object, expected: object, hint: str = "") -> str:
    """One sentence in the order that readers need: op, argument, what came, what was expected, what to do.

    >>> describe("conv2d", "weight.shape[1]", 32, "64 (= input.shape[1] / groups)")
    'conv2d: weight.shape[1] is 32, expected 64 (= input.shape[1] / groups)'
    """
    message = f"{op}: {argument} is {got}, expected {expected}"
    return f"{message}; {hint}" if hint else message


warned = 0  # calls of `warn`


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that called numgrad."""
    global warned
    warned += 1
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "numgrad":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


# ---- texts of torch's that several places have ------------------------------------------------------------------------

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)

DETACHED = (
    "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_(): its history is gone, and the second "
    "derivative would be incomplete. Please use out-of-place `.detach()` instead"
)
