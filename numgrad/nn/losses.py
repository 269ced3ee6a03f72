"""Losses that are made of other functions; `numgrad.nn.functional` gives them out."""

from __future__ import annotations

import warnings

from numgrad.tensor import functional as T
from numgrad.tensor.layers import l1_loss
from numgrad.tensor.tensor import Tensor


def check_reduction(reduction: str) -> str:
    """``reduction``, if it is 'none', 'mean' or 'sum'.

    Raises
    ------
    ValueError
        It is something else.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")
    return reduction


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    return T.mean(loss) if reduction == "mean" else T.sum(loss)


def _warn_of_sizes(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            UserWarning,
            stacklevel=3,
        )


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Half the squared error up to delta, delta * (abs(error) - delta / 2) beyond; reduced.

    Raises
    ------
    RuntimeError
        delta is not positive.

    >>> import numgrad as ng
    >>> huber_loss(ng.tensor([0.0]), ng.tensor([3.0]))
    tensor(2.5000)
    """
    check_reduction(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    _warn_of_sizes(input, target)
    error = T.sub(input, target)
    size = T.abs(error)
    far = T.mul(T.sub(size, 0.5 * delta), delta)
    return _reduced(T.where(T.le(size, delta), T.mul(T.square(error), 0.5), far), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """The Huber loss with delta = beta, divided by beta; for beta = 0 `l1_loss`.

    Raises
    ------
    RuntimeError
        beta is negative.

    >>> import numgrad as ng
    >>> smooth_l1_loss(ng.tensor([0.0]), ng.tensor([3.0]), beta=0.5)
    tensor(2.7500)
    """
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return T.div(huber_loss(input, target, reduction, beta), beta)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of a yes or no whose log-odds are ``input`` and whose truth is ``target``, between 0 and 1.

    >>> import numgrad as ng
    >>> binary_cross_entropy_with_logits(ng.zeros(2), ng.tensor([0.0, 1.0]))
    tensor(0.6931)

    ``weight`` scales each loss; ``pos_weight`` only the part of the yes.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    check_reduction(reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    # -log(sigmoid(x)) = softplus(-x), which neither overflows nor loses digits.
    positive = T.softplus(T.neg(input))
    if pos_weight is None:
        loss = T.add(T.mul(T.sub(1, target), input), positive)
    else:
        scale = T.add(T.mul(T.sub(pos_weight, 1), target), 1)
        loss = T.add(T.mul(T.sub(1, target), input), T.mul(scale, positive))
    return _reduced(loss if weight is None else T.mul(loss, weight), reduction)
