"""Loss functions with torch's names and arguments; `numgrad.nn.loss` has them as modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numgrad import ops
from numgrad.dtypes import int64, uint8
from numgrad.errors import DtypeError, ShapeError, warn
from numgrad.tensor import arguments, comparison, creation, pointwise, reductions, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.layers import linear, log_softmax
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def check_reduction(reduction: str) -> str:
    """Return ``reduction`` if it is 'none', 'mean' or 'sum'.

    Raises
    ------
    ValueError
        ``reduction`` is something else.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")
    return reduction


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that torch's older arguments ask for; ``reduction`` if both are None.

    Raises
    ------
    TypeError
        An older argument is neither None nor a bool, so it was probably meant for another parameter.
    ValueError
        The reduction is unknown.
    """
    if size_average is None and reduce is None:
        return check_reduction(reduction)
    for name, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None and not isinstance(value, bool):
            raise TypeError(
                f"argument '{name}', which stands before 'reduction', must be bool or None, not {type(value).__name__}; give "
                "what follows by name"
            )
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    warn(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.")
    return reduction


def _weighted(loss: Tensor, input: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """The reduced loss. The mean of a weighted loss is divided by the sum of the weights."""
    if weight is None:
        return reduced(loss, reduction)
    if arguments.check_tensor("loss", "weight", weight).shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = pointwise.mul(loss, weight)
    return (
        pointwise.div(reductions.sum(loss), reductions.sum(weight)) if reduction == "mean" else reduced(loss, reduction)
    )


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The mean of the losses, their sum, or (with 'none') themselves."""
    if reduction == "none":
        return loss
    return reductions.mean(loss) if reduction == "mean" else reductions.sum(loss)


def _warn_of_sizes(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size."
        )


@public("function", "functional", known=True)
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of classes ``target`` under log-probabilities [N, C], [C] or [N, C, d1, ...].

    The target (int64 or uint8) has the input's shape without C; elements equal to ``ignore_index`` add no loss. ``weight``
    [C] scales the loss of each class, and the mean is divided by the sum of the weights.

    Raises
    ------
    IndexError
        A target is not one of the classes.
    RuntimeError, ValueError
        The shapes or dtypes do not fit; the reduction is unknown.

    >>> import numgrad as ng
    >>> logs = ng.tensor([[-1.0, -2.0], [-3.0, -4.0]])
    >>> nll_loss(logs, ng.tensor([0, 1])), nll_loss(logs, ng.tensor([0, 1]), reduction="none")
    (tensor(2.5000), tensor([1., 4.]))
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    ignore_index = as_int("nll_loss", "ignore_index", ignore_index)
    return _nll_loss(input, target, weight, ignore_index, reduction)


def _nll_loss(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str) -> Tensor:
    arguments.check_tensor("nll_loss", "input", input)
    arguments.check_tensor("nll_loss", "target", target)
    logs, classes = input._spec, target._spec
    if logs.ndim == 0:
        raise ValueError("nll_loss: Expected 1 or more dimensions (got 0)")
    batches = logs.shape[0], classes.shape[0] if classes.ndim else 0
    if logs.ndim > 1 and batches[0] != batches[1]:
        raise ValueError(
            f"nll_loss: Expected input batch_size ({batches[0]}) to match target batch_size ({batches[1]})."
        )
    if logs.ndim == 1 and classes.ndim == 1 and batches[1] != 1:
        raise ValueError(f"nll_loss: For 1D input, 1D target must have size 1, but got target size: {batches[1]}")
    if not logs.dtype.is_floating_point:
        raise DtypeError(f"\"nll_loss\" not implemented for '{logs.dtype.torch_name}'; convert with .float() first")
    if classes.dtype is uint8:
        target = arguments.cast(target, int64)
    try:
        return ops.loss.nll_loss(input, target, weight, reduction=reduction, ignore_index=ignore_index)  # type: ignore[no-any-return]
    except IndexError as error:
        count = logs.shape[0] if logs.ndim == 1 else logs.shape[1]
        values = target._array().ravel()
        wrong = next(int(v) for v in values if v != ignore_index and not 0 <= v < count)
        raise IndexError(f"Target {wrong} is out of bounds; the classes are 0 to {count - 1}") from error


@public("function", "functional", known=True)
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy between logits [N, C], [N, C, d1, ...] or [C] and classes, or class probabilities of input's shape.

    Raises
    ------
    IndexError
        A target is not one of the classes.
    RuntimeError, ValueError
        The shapes or dtypes do not fit; the reduction or the smoothing is not valid.

    >>> import numgrad as ng
    >>> ng.cross_entropy(ng.zeros(2, 4), ng.tensor([0, 3]))
    tensor(1.3863)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    arguments.check_tensor("cross_entropy", "input", input)
    arguments.check_tensor("cross_entropy", "target", target)
    ignore_index = as_int("cross_entropy", "ignore_index", ignore_index)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    axis = 0 if input.ndim == 1 else 1
    logs = log_softmax(input, axis)
    if target.is_floating_point():
        if ignore_index >= 0:
            raise RuntimeError("cross_entropy: ignore_index is not supported for floating point target")
        return _soft_cross_entropy(logs, target, weight, reduction, label_smoothing, axis)
    loss = _nll_loss(logs, target, weight, ignore_index, reduction)
    if label_smoothing == 0.0:
        return loss
    classes = input.shape[axis]
    kept = comparison.ne(target, ignore_index)
    spread = pointwise.mul(logs, _per_class(weight, logs, axis)) if weight is not None else logs
    smooth = pointwise.where(kept, ops.elementwise.neg(reductions.sum(spread, axis)), 0.0)
    if reduction == "mean":
        if weight is None:
            total = reductions.sum(kept.to(input.dtype))
        else:
            # With -1 for each log-probability the loss is the sum of the targets' weights.
            ones = creation.full(tuple(logs.shape), -1.0, dtype=logs.dtype)
            total = _nll_loss(ones, target, weight, ignore_index, "sum")
        smooth = pointwise.div(reductions.sum(smooth), total)
    elif reduction == "sum":
        smooth = reductions.sum(smooth)
    return pointwise.add(pointwise.mul(loss, 1.0 - label_smoothing), pointwise.mul(smooth, label_smoothing / classes))


def _per_class(weight: Tensor, like: Tensor, axis: int) -> Tensor:
    return shaping.reshape(weight, tuple(-1 if a == axis else 1 for a in range(like.ndim)))


def _soft_cross_entropy(
    logs: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float, axis: int
) -> Tensor:
    if target.ndim != logs.ndim:
        raise DtypeError(
            f"cross_entropy: expected target dtype to be Long, but got {target.dtype.torch_name}: classes are ints, convert with "
            f".long(); probabilities have the input's shape {list(logs.shape)}, and target has {list(target.shape)}"
        )
    if target.shape != logs.shape:
        raise ShapeError(
            f"cross_entropy: target has shape {list(target.shape)}, expected {list(logs.shape)} for probabilities"
        )
    if weight is not None and tuple(weight.shape) != (logs.shape[axis],):
        raise ShapeError(
            f"cross_entropy: weight tensor should be defined either for all {logs.shape[axis]} classes or no classes but got "
            f"weight tensor of shape: {list(weight.shape)}"
        )
    if label_smoothing:
        target = pointwise.add(pointwise.mul(target, 1.0 - label_smoothing), label_smoothing / logs.shape[axis])
    terms = ops.elementwise.neg(pointwise.mul(logs, target))
    if weight is not None:
        terms = pointwise.mul(terms, _per_class(weight, logs, axis))
    losses = reductions.sum(terms, axis)
    if reduction == "mean":
        count = losses.numel() if logs.numel() else 0  # the mean of nothing is NaN
        return pointwise.div(reductions.sum(losses), float(count))
    return reduced(losses, reduction)


def _promoted(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Input and target in one dtype; bools count as 0 and 1."""
    dtype = arguments.result_type(input, target)
    return arguments.cast(input, dtype), arguments.cast(target, dtype)


def _broadcast(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Input and target, expanded if one has no dimensions: torch broadcasts first, so both count alike for the dtype."""
    if input.ndim == 0 < target.ndim:
        return shaping.expand(input, target.shape), target
    return input, shaping.expand(target, input.shape) if target.ndim == 0 < input.ndim else target


def _squared_error(input: Tensor, target: Tensor) -> Tensor:
    input, target = _promoted(*_broadcast(input, target))
    if input._spec.dtype.is_floating_point:
        return ops.elementwise.squared_error(input, target)  # type: ignore[no-any-return]
    return pointwise.square(pointwise.sub(input, target))


@public("function", "functional", known=True)
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared differences of input and target, which have one shape: their mean, their sum, or (with 'none') each of them.

    ``weight``, of the same shape, scales each; the mean is divided by its sum. Different shapes are broadcast, with a warning.

    Raises
    ------
    ValueError
        The reduction is unknown, or the weight has another shape.
    RuntimeError
        The shapes do not broadcast, or the mean of integers is asked for.

    >>> import numgrad as ng
    >>> mse_loss(ng.tensor([1.0, 2.0]), ng.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_of_sizes(input, target)
    return _weighted(_squared_error(input, target), input, weight, reduction)


@public("function", "functional", known=True)
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute differences of input and target, which have one shape: their mean, their sum, or (with 'none') each of them.

    ``weight``, of the same shape, scales each; the mean is divided by its sum. Different shapes are broadcast, with a warning.

    Raises
    ------
    ValueError
        The reduction is unknown, or the weight has another shape.
    RuntimeError
        The shapes do not broadcast, or the mean of integers is asked for.

    >>> import numgrad as ng
    >>> l1_loss(ng.tensor([1.0, 2.0]), ng.tensor([0.0, 4.0]), reduction="sum")
    tensor(3.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_of_sizes(input, target)
    return _weighted(ops.elementwise.absolute(pointwise.sub(*_broadcast(input, target))), input, weight, reduction)


@public("functional", known=True)
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
    if not delta > 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    _warn_of_sizes(input, target)
    return reduced(ops.elementwise.huber(*_promoted(input, target), float(delta)), reduction)


@public("functional", known=True)
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """The Huber loss with delta = beta, divided by beta; for beta = 0 `l1_loss`.

    Raises
    ------
    RuntimeError
        beta is negative.

    >>> import numgrad as ng
    >>> smooth_l1_loss(ng.tensor([0.0]), ng.tensor([3.0]), beta=0.5)
    tensor(2.7500)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if not beta >= 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _warn_of_sizes(input, target)
    return reduced(ops.elementwise.smooth_l1(*_promoted(*_broadcast(input, target)), float(beta)), reduction)


@public("function", "functional", known=True)
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of a binary choice with log-odds ``input`` and ``target`` between 0 and 1.

    >>> import numgrad as ng
    >>> binary_cross_entropy_with_logits(ng.zeros(2), ng.tensor([0.0, 1.0]))
    tensor(0.6931)

    ``weight`` scales each loss, ``pos_weight`` only its positive part.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    dtype = arguments.result_type(input, target)
    operands = [
        arguments.as_operand(operand, dtype) for operand in (input, target, 1.0 if pos_weight is None else pos_weight)
    ]
    loss = ops.elementwise.bce_with_logits(*operands)
    return reduced(loss if weight is None else pointwise.mul(loss, weight), reduction)


@public("functional", known=True)
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: None = None,
) -> Tensor:
    """`cross_entropy` of the scores that a linear map gives for input [N, K] or [K].

    Parameters
    ----------
    input
        The input.
    linear_weight, linear_bias
        The map's weight [C, K] and offset [C]; or [C, d1, ..., K] and [C, d1, ...], for scores [N, C, d1, ...].
    target, weight, reduction, label_smoothing
        Those of `cross_entropy`.
    ignore_index
        The class that does not count; None: -100.
    options
        Has to be None: the loss is not computed piece by piece.

    Raises
    ------
    RuntimeError
        The shapes do not fit, or ``ignore_index`` is given for probabilities.
    NotImplementedError
        ``options`` is given.

    >>> import numgrad as ng
    >>> linear_cross_entropy(ng.ones(2, 3), ng.zeros(4, 3), ng.tensor([0, 1]))
    tensor(1.3863)
    """
    if options is not None:
        raise NotImplementedError("linear_cross_entropy: options are not implemented; leave them None")
    if input.ndim not in (1, 2):
        raise ShapeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise ShapeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise ShapeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {input.shape[-1]} and "
            f"{linear_weight.shape[-1]}, respectively"
        )
    outputs = tuple(linear_weight.shape[:-1])
    if linear_bias is not None and tuple(linear_bias.shape) != outputs:
        raise ShapeError(f"expected linear_bias shape {outputs}, got {tuple(linear_bias.shape)}")
    if len(outputs) > 1 and input.ndim == 1:
        raise ShapeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, (N, "
            f"{input.shape[-1]}), got unbatched input with shape {tuple(input.shape)}"
        )
    shape = (*input.shape[:-1], *outputs)
    if tuple(target.shape) == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    matrix = shaping.reshape(linear_weight, (-1, input.shape[-1]))
    bias = None if linear_bias is None else shaping.reshape(linear_bias, -1)
    scores = shaping.reshape(linear(input, matrix, bias), shape)
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(
        scores, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )
