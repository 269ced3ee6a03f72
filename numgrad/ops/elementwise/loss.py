"""Losses of single elements, before they are reduced."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.family import elementwise

squared_error = elementwise(
    "squared_error",
    inputs=("input", "target"),
    node_name="MseLossBackward0",
    oracle=lambda x, t: (x - t) ** 2,
    doc="The square of input - target, without a pass over memory for the difference.",
)


@squared_error.forward
def _(x, target):
    error = x - target
    return error * error


@squared_error.backward
def _(g, x, target):
    slope = (2 * g) * (x - target)  # of a mean, g is small where twice a difference overflows
    return slope, -slope


def _huber(x: np.ndarray, target: np.ndarray, delta: np.ndarray) -> np.ndarray:
    error = np.abs(x - target)
    return np.where(error < delta, 0.5 * error * error, delta * (error - 0.5 * delta))


huber = elementwise(
    "huber",
    inputs=("input", "target", "delta"),
    cost=4,
    node_name="HuberLossBackward0",
    oracle=_huber,
    doc="For error = abs(input - target): half its square up to delta, delta * (error - delta / 2) beyond. delta gets no gradient.",
)


@huber.forward
def _(x, target, delta):
    error = x - target
    size = scalar.absolute(error)
    return scalar.where(size < delta, 0.5 * error * error, delta * (size - 0.5 * delta))


@huber.backward
def _(g, x, target, delta):
    error = x - target
    slope = g * scalar.where(error >= delta, delta, scalar.where(error <= -delta, -delta, error))
    return slope, -slope, None


def _smooth_l1(x: np.ndarray, target: np.ndarray, beta: np.ndarray) -> np.ndarray:
    error = np.abs(x - target)
    return np.where(error < beta, 0.5 * error * error / beta, error - 0.5 * beta)


smooth_l1 = elementwise(
    "smooth_l1",
    inputs=("input", "target", "beta"),
    cost=4,
    node_name="SmoothL1LossBackward0",
    oracle=_smooth_l1,
    doc="For error = abs(input - target): half its square over beta up to beta, error - beta / 2 beyond. beta gets no gradient.",
)


@smooth_l1.forward
def _(x, target, beta):
    error = x - target
    size = scalar.absolute(error)
    return scalar.where(size < beta, 0.5 * error * error / beta, size - 0.5 * beta)


@smooth_l1.backward
def _(g, x, target, beta):
    error = x - target
    slope = g * scalar.where(error >= beta, 1, scalar.where(error <= -beta, -1, error / beta))
    return slope, -slope, None


def _log_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


bce_with_logits = elementwise(
    "bce_with_logits",
    inputs=("input", "target", "pos_weight"),
    cost=40,
    node_name="BinaryCrossEntropyWithLogitsBackward0",
    oracle=lambda x, t, p: -(p * t * _log_sigmoid(x) + (1 - t) * _log_sigmoid(-x)),
    doc="""The cross-entropy of a yes or no whose log-odds are input and whose truth is target.

    -(pos_weight * target * log_sigmoid(input) + (1 - target) * log_sigmoid(-input)), exact far out on both sides.
    """,
)


@bce_with_logits.forward
def _(x, target, pos_weight):
    rest = scalar.log1p(scalar.exp(scalar.where(x > 0, -x, x)))  # the loss minus its asymptote
    line = scalar.where(x > 0, (1 - target) * x, -pos_weight * target * x)
    return line + (1 + (pos_weight - 1) * target) * rest


@bce_with_logits.backward
def _(g, x, target, pos_weight):
    outward = scalar.where(x > 0, -x, x)  # not -abs(x), whose slope at 0 is 0
    rest = scalar.log1p(scalar.exp(outward))
    whole = 1 + (pos_weight - 1) * target
    by_rest = whole * scalar.sigmoid(outward)
    return (
        g * scalar.where(x > 0, (1 - target) - by_rest, by_rest - pos_weight * target),
        g * (scalar.where(x > 0, -x, -pos_weight * x) + (pos_weight - 1) * rest),
        g * (target * (rest - scalar.where(x > 0, 0, x))),
    )


binary_cross_entropy = elementwise(
    "binary_cross_entropy",
    inputs=("input", "target"),
    cost=40,
    oracle=lambda x, t: (t - 1) * np.maximum(np.log1p(-x), -100) - t * np.maximum(np.log(x), -100),
    doc="The cross-entropy of a yes or no with probability input and truth target; logarithms are at least -100, as in torch.",
)


@binary_cross_entropy.forward
def _(x, target):
    yes, no = scalar.log(x), scalar.log1p(-x)
    return (target - 1) * scalar.where(no < -100, -100, no) - target * scalar.where(yes < -100, -100, yes)


@binary_cross_entropy.backward
def _(g, x, target):
    spread = (1 - x) * x
    yes = scalar.log(x)
    no = scalar.log1p(-x)
    return (
        g * ((x - target) / scalar.where(spread > 1e-12, spread, 1e-12)),
        g * (scalar.where(no < -100, -100, no) - scalar.where(yes < -100, -100, yes)),
    )


@binary_cross_entropy.refuses
def _(x):
    return (x < 0) | (x > 1) | (x != x)


@binary_cross_entropy.on_status
def _(status, params):
    return RuntimeError(
        "binary_cross_entropy: all elements of input should be between 0 and 1; for log-odds there is "
        "binary_cross_entropy_with_logits"
    )


kl_divergence = elementwise(
    "kl_divergence",
    inputs=("input", "target"),
    cost=20,
    node_name="SubBackward0",
    oracle=lambda x, t: np.where(t == 0, 0, t * np.log(np.where(t == 0, 1, t))) - t * x,
    doc="target * (log(target) - input), for log-probabilities input; -0 * input where target is 0.",
)


@kl_divergence.forward
def _(x, target):
    return scalar.where(target == 0, 0, target * scalar.log(target)) - target * x


@kl_divergence.backward
def _(g, x, target):
    return -g * target, g * (scalar.log(target) + (1 - x))


kl_divergence_of_logs = elementwise(
    "kl_divergence_of_logs",
    inputs=("input", "target"),
    cost=20,
    node_name="MulBackward0",
    oracle=lambda x, t: np.exp(t) * (t - x),
    doc="exp(target) * (target - input), for log-probabilities both.",
)


@kl_divergence_of_logs.forward
def _(x, target):
    return scalar.exp(target) * (target - x)


@kl_divergence_of_logs.backward
def _(g, x, target):
    p = scalar.exp(target)
    return -g * p, g * (p * (target - x + 1))
