"""`ctc_loss`: the loss of a sequence of labels whose alignment with the steps of the scores is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import ops
from numgrad.engine.tape import TensorBase
from numgrad.errors import DtypeError, ShapeError
from numgrad.tensor import arguments, creation, pointwise, predicates, reductions, shaping
from numgrad.tensor.checked import flag
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _integers(name: str, value: Any) -> np.ndarray:
    """Lengths or labels, of a tensor or a sequence."""
    if isinstance(value, TensorBase):
        array = value.detach()._values()  # type: ignore[attr-defined]
        if array.dtype.kind not in "iu":
            raise DtypeError(f"{name} must be integral")
        return array.astype(np.int64)  # type: ignore[no-any-return]
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"ctc_loss(): argument '{name}' must be Tensor or tuple of ints, not {type(value).__name__}")
    return np.array([arguments.as_int("ctc_loss", name, each) for each in value], np.int64)


def _lengths(name: str, value: Any, batch: int, most: int | None) -> np.ndarray:
    lengths = _integers(name, value).reshape(-1)
    if lengths.size != batch:
        raise ShapeError(f"{name} must be of size batch_size, which is {batch}; got {lengths.size}")
    for length in lengths.tolist():
        if length < 0:
            raise RuntimeError(f"Expected {name} to have value at least 0, but got value {length}")
        if most is not None and length > most:
            raise RuntimeError(f"Expected {name} to have value at most {most}, but got value {length}")
    return lengths


def _rows(targets: Tensor, lengths: np.ndarray) -> list[np.ndarray]:
    """The labels of each sequence, from rows of a matrix or from one vector with one after the other."""
    values = targets.detach()._values().astype(np.int64)
    longest = int(lengths.max(initial=0))
    if values.ndim == 1:
        if values.size != lengths.sum():
            raise ShapeError(
                f"Expected tensor to have size {lengths.sum()} at dimension 0, but got size {values.size} for argument #2 "
                "'targets'"
            )
        return np.split(values, np.cumsum(lengths)[:-1])
    if values.ndim != 2 or len(values) != len(lengths) or values.shape[1] < longest:
        raise ShapeError(
            f"ctc_loss: targets has shape {list(values.shape)}, expected {len(lengths)} rows of at least {longest} labels, or one "
            "vector of all labels"
        )
    return [row[:length] for row, length in zip(values, lengths, strict=True)]


@public("function", "functional")
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the logarithm of the probability of a sequence of labels, over all alignments with the steps; then reduced.

    'mean' divides each loss by its number of labels, at least 1, first. The gradient for ``log_probs`` is minus the probability of
    each label at each step. torch adds exp(log_probs), which the gradient of `log_softmax` takes away again. Where no alignment
    is possible the loss is infinite and the gradient 0. The second derivative is made of many small ops.

    log_probs
        Logarithms of the classes' probabilities at each step, [T, N, C], or [T, C] of one sequence.
    targets
        The labels, none of them ``blank``: a matrix [N, L] or one vector of all, one sequence after the other.
    input_lengths, target_lengths
        For each sequence its number of steps, at most T, and of labels.
    zero_infinity
        Infinite losses count for 0.

    Raises
    ------
    RuntimeError
        Shapes, lengths or dtypes do not fit, there are no steps or sequences, or ``blank`` is no class.
    IndexError
        A label is no class.
    ValueError
        The reduction is unknown.

    >>> import numgrad as ng
    >>> even = ng.zeros(3, 1, 2).log_softmax(-1)  # of the 8 paths, 6 are of one label
    >>> ng.nn.functional.ctc_loss(even, ng.tensor([[1]]), (3,), (1,)).exp()
    tensor(1.3333)
    """
    arguments.check_tensor("ctc_loss", "log_probs", log_probs)
    arguments.check_tensor("ctc_loss", "targets", targets)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    flag("ctc_loss", "zero_infinity", zero_infinity)
    scores = shaping.unsqueeze(log_probs, 1) if log_probs.ndim == 2 else log_probs
    if scores.ndim != 3:
        raise ShapeError(
            f"Expected 3-dimensional tensor, but got {log_probs.ndim}-dimensional tensor for argument #1 'log_probs'"
        )
    if not log_probs.dtype.is_floating_point:
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{log_probs.dtype.torch_name}'")
    if not scores.numel():
        raise RuntimeError("log_probs tensor must not be empty")
    steps, batch, classes = scores.shape
    blank = arguments.as_int("ctc_loss", "blank", blank)
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    inputs = _lengths("input_lengths", input_lengths, batch, steps)
    counts = _lengths("target_lengths", target_lengths, batch, None)
    rows = _rows(targets, counts)
    labels = np.full((batch, 2 * int(counts.max(initial=0)) + 1), blank, np.int64)
    for label, row in zip(labels, rows, strict=True):
        label[1 : 2 * len(row) : 2] = row
    lengths = creation.tensor(np.stack([inputs, counts], 1))
    loss = ops.ctc.ctc_loss(scores, creation.tensor(labels), lengths)
    if zero_infinity:
        loss = pointwise.where(predicates.isposinf(loss.detach()), 0.0, loss)
    if reduction == "mean":
        share = creation.tensor(np.maximum(counts, 1)).to(loss.dtype)
        return reductions.mean(pointwise.div(loss, share))
    if reduction == "sum":
        return reductions.sum(loss)
    return loss if log_probs.ndim == 3 else shaping.reshape(loss, ())
