"""Losses of `nn.functional` that are log-likelihoods or margins of classes; see `losses` for the commonest."""

from __future__ import annotations

import math

from numgrad import ops
from numgrad.dtypes import int64
from numgrad.errors import DtypeError, ShapeError, warn
from numgrad.tensor import arguments, clamping, comparison, creation, indexing, pointwise, reductions, shaping
from numgrad.tensor.losses import check_reduction, legacy_reduction, reduced
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


@public("functional", known=True)
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The cross-entropy of a binary choice with probability ``input`` and ``target`` between 0 and 1, of one shape.

    The logarithms are at least -100, so that the loss is finite. ``weight``, which broadcasts to the input, scales each.

    Raises
    ------
    ValueError
        The shapes differ.
    RuntimeError
        A probability is not between 0 and 1, or the dtypes differ.

    >>> import numgrad as ng
    >>> ng.nn.functional.binary_cross_entropy(ng.tensor([0.5, 0.0]), ng.tensor([1.0, 1.0]), reduction="none")
    tensor([  0.6931, 100.0000])
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    for name, value in (("input", input), ("target", target)):
        if not arguments.check_tensor("binary_cross_entropy", name, value).is_floating_point():
            raise DtypeError(
                f"\"binary_cross_entropy\" not implemented for '{value.dtype.torch_name}' ({name}); convert with .float() first"
            )
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. Please "
            "ensure they have the same size."
        )
    loss = _e.binary_cross_entropy(input, target)
    if weight is not None:
        loss = pointwise.mul(loss, shaping.expand(weight, loss.shape))
    return reduced(loss, reduction)


@public("function", "functional", known=True)
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence of log-probabilities ``input`` from ``target``, pointwise and reduced.

    target * (log(target) - input), or with ``log_target`` exp(target) * (target - input). The reduction 'batchmean' divides
    the sum by the batch's size, which is the divergence's definition; 'mean' by the number of elements.

    Raises
    ------
    ValueError
        The reduction is unknown.
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> half = ng.tensor([[0.5, 0.5]])
    >>> ng.nn.functional.kl_div(ng.tensor([[0.25, 0.75]]).log(), half, reduction="batchmean")
    tensor(0.1438)
    """
    by_batch = reduction == "batchmean" and size_average is None and reduce is None
    if by_batch:
        reduction = "sum"
    elif reduction == "mean" and size_average is None and reduce is None:
        warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by "
            "the batch size, and aligns with the KL div math definition."
        )
    reduction = legacy_reduction(size_average, reduce, reduction)
    loss = reduced(
        pointwise.binary(_e.kl_divergence_of_logs if log_target else _e.kl_divergence, input, target), reduction
    )
    return pointwise.div(loss, input.shape[0]) if by_batch and input.ndim else loss


@public("function", "functional", known=True)
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of counts ``target`` under Poisson distributions.

    exp(input) - target * input, or without ``log_input`` input - target * log(input + eps). With ``full`` Stirling's
    approximation of log(target!) is added where target is above 1.

    Raises
    ------
    ValueError
        The reduction is unknown.

    >>> import numgrad as ng
    >>> ng.nn.functional.poisson_nll_loss(ng.zeros(2), ng.tensor([0.0, 3.0]))
    tensor(1.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    exp, log = pointwise.of_specs["exp"], pointwise.of_specs["log"]
    if log_input:
        loss = pointwise.sub(exp(input), pointwise.mul(target, input))
    else:
        loss = pointwise.sub(input, pointwise.mul(target, log(pointwise.add(input, eps))))
    if full:
        several = clamping.clamp(target, min=1)  # so that no logarithm of 0 meets the gradient
        stirling = pointwise.add(
            pointwise.sub(pointwise.mul(several, log(several)), several),
            pointwise.mul(log(pointwise.mul(several, 2 * math.pi)), 0.5),
        )
        loss = pointwise.add(loss, pointwise.where(comparison.gt(target, 1), stirling, 0.0))
    return reduced(loss, reduction)


@public("functional", known=True)
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of ``target`` under normal distributions with means ``input`` and variances ``var``.

    (log(var) + (input - target)² / var) / 2, with ``full`` plus log(2 pi) / 2. Variances count as at least ``eps``, without
    an effect on their gradient. ``var`` has the input's shape, lacks its last dimension, or has one extent of 1.

    Raises
    ------
    ValueError
        A variance is negative, its shape does not fit, or the reduction is unknown.

    >>> import numgrad as ng
    >>> ng.nn.functional.gaussian_nll_loss(ng.zeros(2), ng.tensor([0.0, 2.0]), ng.ones(2))
    tensor(1.)
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = creation.full_like(input, var)
    elif bool((arguments.check_tensor("gaussian_nll_loss", "var", var) < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = shaping.unsqueeze(var, -1)
        elif (
            input.ndim != var.ndim
            or sum(one for other, one in zip(input.shape, var.shape, strict=True) if other != one) != 1
        ):
            raise ValueError(f"var is of incorrect size: {list(var.shape)} beside an input of {list(input.shape)}")
    check_reduction(reduction)
    least = pointwise.add(var, pointwise.sub(clamping.clamp(var.detach(), min=eps), var.detach()))
    error = pointwise.square(pointwise.sub(input, target))
    loss = pointwise.mul(pointwise.add(pointwise.of_specs["log"](least), pointwise.div(error, least)), 0.5)
    if full:
        loss = pointwise.add(loss, 0.5 * math.log(2 * math.pi))
    return reduced(loss, reduction)


@public("functional", known=True)
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)), for targets 1 and -1; finite wherever target * input is.

    Raises
    ------
    ValueError
        The reduction is unknown.
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.nn.functional.soft_margin_loss(ng.zeros(2), ng.tensor([1.0, -1.0]))
    tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return reduced(_e.neg(_e.log_sigmoid(pointwise.mul(input, target))), reduction)


@public("functional", known=True)
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the classes, [..., C], of binary cross-entropies of log-odds ``input``; then reduced.

    ``weight`` scales the loss of each class.

    Raises
    ------
    ValueError
        The reduction is unknown.
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.nn.functional.multilabel_soft_margin_loss(ng.zeros(2, 3), ng.ones(2, 3))
    tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    dtype = arguments.result_type(input, target)
    loss = _e.bce_with_logits(*[arguments.as_operand(operand, dtype) for operand in (input, target, 1.0)])
    if weight is not None:
        loss = pointwise.mul(loss, weight)
    return reduced(pointwise.div(reductions.sum(loss, -1), input.shape[-1]), reduction)


def _check_classes(name: str, input: Tensor, target: Tensor, extents: int) -> None:
    """Scores [N, C] or [C], and int64 targets, one for each row or for each score.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.
    """
    scores = arguments.check_tensor(name, "input", input)._spec
    classes = arguments.check_tensor(name, "target", target)._spec
    shape = tuple(scores.shape)
    if len(shape) > 2 or (shape and shape[-1] == 0):
        raise ShapeError(
            f"{name}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}"
        )
    if classes.dtype is not int64:
        raise DtypeError(f"{name}: expected scalar type Long for target but found {classes.dtype.torch_name}")
    rows = shape if len(shape) == 2 else (1, scores.numel)
    shape = rows[:1] if extents == 1 else rows
    if classes.numel != math.prod(shape) or (scores.ndim == 2 and classes.ndim != extents):
        raise ShapeError(f"{name}: inconsistent target size, expected {list(shape)} but got {list(classes.shape)}")


def _positive(gap: Tensor) -> Tensor:
    """The gap where it is positive; one that is NaN counts for nothing, as in torch."""
    return pointwise.where(comparison.gt(gap, 0), gap, 0)  # type: ignore[no-any-return]


@public("functional", known=True)
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over the other classes of max(0, margin - input[target] + input[class])**p, divided by C; input [N, C] or [C].

    ``weight`` [C] scales the loss of each target's class.

    Raises
    ------
    ValueError
        p is neither 1 nor 2, the weight is not one-dimensional, or the reduction is unknown.
    RuntimeError
        The shapes or dtypes do not fit.
    IndexError
        A target is not one of the classes.

    >>> import numgrad as ng
    >>> ng.nn.functional.multi_margin_loss(ng.tensor([[0.1, 0.2, 0.4, 0.8]]), ng.tensor([3]))
    tensor(0.3250)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    _check_classes("multi_margin_loss", input, target, 1)
    if weight is None and input._spec.dtype.is_floating_point:
        params = {"p": int(p), "margin": float(margin), "reduction": reduction}
        return ops.margin_losses.multi_margin_loss(input, target, **params)  # type: ignore[no-any-return]
    rows = shaping.reshape(input, (1, -1)) if input.ndim < 2 else input
    classes = shaping.reshape(target, (rows.shape[0],))
    column = shaping.unsqueeze(classes, 1)
    gap = pointwise.add(pointwise.sub(rows, indexing.gather(rows, 1, column)), margin)
    terms = _positive(gap)
    terms = terms if p == 1 else pointwise.square(terms)
    if weight is not None:
        terms = pointwise.mul(terms, shaping.unsqueeze(indexing.index_select(weight, 0, classes), 1))
    others = comparison.ne(column, creation.arange(rows.shape[1]))
    loss = pointwise.div(reductions.sum(pointwise.where(others, terms, 0), 1), rows.shape[1])
    return reduced(loss if input.ndim == 2 else shaping.reshape(loss, ()), reduction)


@public("functional", known=True)
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over targets and other classes of max(0, 1 - input[target] + input[class]), divided by C; input [N, C] or [C].

    ``target`` (int64, of the input's shape) lists the target classes of each row, up to the first -1.

    Raises
    ------
    ValueError
        The reduction is unknown.
    RuntimeError
        The shapes or dtypes do not fit.
    IndexError
        A target is not one of the classes.

    >>> import numgrad as ng
    >>> scores = ng.tensor([[0.1, 0.2, 0.4, 0.8]])
    >>> ng.nn.functional.multilabel_margin_loss(scores, ng.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    _check_classes("multilabel_margin_loss", input, target, 2)
    return ops.margin_losses.multilabel_margin_loss(input, target, reduction=reduction)  # type: ignore[no-any-return]
