"""Optimizer steps over many tensors at once, each by its formula; see `numgrad.tensor.updates`, which builds the tables.

A step is written in two parts. The first is computed for each parameter, in float64, from its counts and the options of its
group: it gives the counts after the step and the factors of the step. The second is computed for each element, from
the parameter ``p``, its gradient ``g``, its states and the factors: it gives the parameter and the states after the step.
The order of operations is torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.kernels import scalar
from numgrad.kernels.update import Pieces, Rule, grain_of, plan_update
from numgrad.registry import Op
from numgrad.runtime.kernel import device
from numgrad.runtime.plan import Operand, PlanBuilder

__all__ = [
    "Pieces", "Update", "adadelta", "adagrad", "adam", "adamax", "asgd", "average", "grain_of", "nadam", "radam",
    "rmsprop", "rprop", "sgd",
]  # fmt: skip


class Update(Op):
    """The op of an optimizer whose step is a formula; `each_parameter` and `each_element` attach the two parts.

    Parameters
    ----------
    states, counts, switches
        As for `Rule`.
    """

    rule: Rule

    def __init__(
        self, name: str, states: Sequence[str], counts: Sequence[str], switches: dict[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__(
            name,
            ("table", "counts", "options"),
            {"dtype": dtypes.float32, "on": (), "grain": 1},
            outputs=(),
            public=0,
            differentiable=False,
            doc=f"One step of {name} for all tensors in a table of addresses.",
        )
        self._parts = tuple(states), tuple(counts), switches or {}
        self.halves = True
        self.plan_function = self._plan

    def each_parameter(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach ``(*counts, *options) -> (*counts, *factors)``."""
        self._each_parameter = function
        return function

    def each_element(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach ``(p, g, *states, *switches, *factors) -> (p, *states)``."""
        self.rule = Rule(self.name, self._each_parameter, function, *self._parts)
        return function

    def _plan(
        self,
        b: PlanBuilder,
        table: Operand,
        counts: Operand | None,
        options: Operand,
        dtype: Dtype,
        on: Any,
        grain: int,
    ) -> None:
        plan_update(b, self.rule, table, counts, options, dtype, on, grain)


@device
def lerp(start, end, weight, rest):
    """From ``start`` towards ``end`` by ``weight``, which is 1 - ``rest``; exact at both ends."""
    return start + weight * (end - start) if weight < rest else end - (end - start) * rest


@device
def larger(x, y):
    """The larger one of two numbers, NaN if one of them is."""
    return x if (x > y) | (x != x) else y


@device
def as_stored(x, wide):
    """A float64, rounded to float32 unless the number is stored as a float64."""
    return x if wide else np.float64(np.float32(x))


# ---- gradient descent -------------------------------------------------------------------------------------------

# ``fresh``, a count that no state dict has, is 1 for a parameter whose buffer starts with this step, as the gradient.
sgd = Update("sgd", ("momentum_buffer",), ("fresh",), {"momentum": ("momentum_buffer",), "starts": ("fresh",)})


@sgd.each_parameter
def _(fresh, lr, momentum, dampening, weight_decay, nesterov, maximize):
    share = 1 if fresh != 0 else 1 - dampening
    return 0, -1 if maximize != 0 else 1, weight_decay, momentum, share, nesterov, lr


@sgd.each_element
def _(p, g, momentum_buffer, momentum, sign, decay, kept, share, nesterov, lr):
    v = sign * g
    v = v + decay * p if decay != 0 else v
    if momentum:
        momentum_buffer = kept * momentum_buffer + share * v
        v = v + kept * momentum_buffer if nesterov != 0 else momentum_buffer
    return p - lr * v, momentum_buffer


# Averaged: ``ax`` is the mean of the parameters since step t0.
asgd = Update("asgd", ("ax",), ("step", "eta", "mu"))


@asgd.each_parameter
def _(step, eta, mu, lr, lambd, alpha, t0, weight_decay, maximize):
    step += 1
    sign = -1 if maximize != 0 else 1
    later = lr / (1 + lambd * lr * step) ** alpha
    return step, later, 1 / max(1, step - t0), sign, weight_decay, 1 - lambd * eta, eta, mu


@asgd.each_element
def _(p, g, ax, sign, decay, shrink, eta, mu):
    v = sign * g
    v = v + decay * p if decay != 0 else v
    p = shrink * p - eta * v
    return p, ax + (p - ax) * mu if mu != 1 else p


rprop = Update("rprop", ("prev", "step_size"), ("step",))


@rprop.each_parameter
def _(step, etaminus, etaplus, step_size_min, step_size_max, maximize):
    return step + 1, -1 if maximize != 0 else 1, etaminus, etaplus, step_size_min, step_size_max


@rprop.each_element
def _(p, g, prev, step_size, sign, etaminus, etaplus, lowest, highest):
    g = sign * g
    turn = g * prev
    step_size = step_size * etaplus if turn > 0 else step_size * etaminus if turn < 0 else step_size
    step_size = lowest if step_size < lowest else step_size
    step_size = highest if step_size > highest else step_size
    g = 0 if turn < 0 else g
    p = p - step_size if g > 0 else p + step_size if g < 0 else p
    return p, g, step_size


# Not a step, but a mean of models: the "gradient" is the other model's parameter.
average = Update("average", (), ())


@average.each_parameter
def _(weight):
    return weight, 1 - weight


@average.each_element
def _(p, g, weight, rest):
    return (lerp(p, g, weight, rest),)


# ---- by the squares of gradients --------------------------------------------------------------------------------

adagrad = Update("adagrad", ("sum",), ("step",))


@adagrad.each_parameter
def _(step, lr, lr_decay, eps, weight_decay, maximize):
    step += 1
    return step, -1 if maximize != 0 else 1, weight_decay, eps, lr / (1 + (step - 1) * lr_decay)


@adagrad.each_element
def _(p, g, sum, sign, decay, eps, step_size):
    v = sign * g
    v = v + decay * p if decay != 0 else v
    sum = sum + v * v
    return p - step_size * v / (scalar.sqrt(sum) + eps), sum


adadelta = Update("adadelta", ("square_avg", "acc_delta"), ("step",))


@adadelta.each_parameter
def _(step, lr, rho, eps, weight_decay, maximize):
    return step + 1, -1 if maximize != 0 else 1, weight_decay, rho, 1 - rho, eps, lr


@adadelta.each_element
def _(p, g, square_avg, acc_delta, sign, decay, rho, rest, eps, lr):
    v = sign * g
    v = v + decay * p if decay != 0 else v
    square_avg = rho * square_avg + rest * v * v
    delta = scalar.sqrt(acc_delta + eps) / scalar.sqrt(square_avg + eps) * v
    return p - lr * delta, square_avg, rho * acc_delta + rest * delta * delta


rmsprop = Update(
    "rmsprop", ("square_avg", "momentum_buffer", "grad_avg"), ("step",),
    {"momentum": ("momentum_buffer",), "centered": ("grad_avg",)},
)  # fmt: skip


@rmsprop.each_parameter
def _(step, lr, alpha, eps, weight_decay, momentum, maximize):
    return step + 1, -1 if maximize != 0 else 1, weight_decay, alpha, 1 - alpha, eps, momentum, lr


@rmsprop.each_element
def _(p, g, square_avg, momentum_buffer, grad_avg, momentum, centered, sign, decay, alpha, rest, eps, kept, lr):
    v = sign * g
    v = v + decay * p if decay != 0 else v
    square_avg = alpha * square_avg + rest * v * v
    variance = square_avg
    if centered:
        grad_avg = lerp(grad_avg, v, rest, alpha)
        variance = square_avg - grad_avg * grad_avg
    v = v / (scalar.sqrt(variance) + eps)
    if momentum:
        momentum_buffer = kept * momentum_buffer + v
        v = momentum_buffer
    return p - lr * v, square_avg, momentum_buffer, grad_avg


# ---- by means of gradients and of their squares -----------------------------------------------------------------

adam = Update("adam", ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"), ("step",), {"amsgrad": ("max_exp_avg_sq",)})


@adam.each_parameter
def _(step, lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay, maximize):
    step += 1
    shrink = 1 - lr * weight_decay if decoupled_weight_decay != 0 else 1
    added = 0 if decoupled_weight_decay != 0 else weight_decay
    sign, root = -1 if maximize != 0 else 1, math.sqrt(1 - beta2**step)
    return step, sign, shrink, added, beta1, 1 - beta1, beta2, 1 - beta2, root, eps, lr / (1 - beta1**step)


@adam.each_element
def _(
    p, g, exp_avg, exp_avg_sq, max_exp_avg_sq, amsgrad, sign, shrink, decay, beta1, rest1, beta2, rest2, root, eps, step_size
):  # fmt: skip
    v, p = sign * g, shrink * p
    v = v + decay * p if decay != 0 else v
    exp_avg = lerp(exp_avg, v, rest1, beta1)
    exp_avg_sq = beta2 * exp_avg_sq + rest2 * v * v
    square = exp_avg_sq
    if amsgrad:
        max_exp_avg_sq = larger(exp_avg_sq, max_exp_avg_sq)
        square = max_exp_avg_sq
    p = p - step_size * exp_avg / (scalar.sqrt(square) / root + eps)
    return p, exp_avg, exp_avg_sq, max_exp_avg_sq


adamax = Update("adamax", ("exp_avg", "exp_inf"), ("step",))


@adamax.each_parameter
def _(step, lr, beta1, beta2, eps, weight_decay, maximize):
    step += 1
    sign = -1 if maximize != 0 else 1
    return step, sign, weight_decay, beta1, 1 - beta1, beta2, eps, lr / (1 - beta1**step)


@adamax.each_element
def _(p, g, exp_avg, exp_inf, sign, decay, beta1, rest1, beta2, eps, step_size):
    v = sign * g
    v = v + decay * p if decay != 0 else v
    exp_avg = lerp(exp_avg, v, rest1, beta1)
    exp_inf = larger(beta2 * exp_inf, scalar.absolute(v) + eps)
    return p - step_size * exp_avg / exp_inf, exp_avg, exp_inf


nadam = Update("nadam", ("exp_avg", "exp_avg_sq"), ("step", "mu_product"))


@nadam.each_parameter
def _(
    step, mu_product, lr, beta1, beta2, eps, weight_decay, momentum_decay, decoupled_weight_decay, maximize, wide
):  # fmt: skip
    step += 1
    shrink = 1 - lr * weight_decay if decoupled_weight_decay != 0 else 1
    added = 0 if decoupled_weight_decay != 0 else weight_decay
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    later = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    mu_product = as_stored(mu_product * as_stored(mu, wide), wide)
    of_grad, of_mean = lr * (1 - mu) / (1 - mu_product), lr * later / (1 - mu_product * later)
    sign = -1 if maximize != 0 else 1
    square = 1 - beta2**step
    return step, mu_product, sign, shrink, added, beta1, 1 - beta1, beta2, 1 - beta2, square, eps, of_grad, of_mean


@nadam.each_element
def _(p, g, exp_avg, exp_avg_sq, sign, shrink, decay, beta1, rest1, beta2, rest2, square, eps, of_grad, of_mean):
    v = sign * g
    v, p = v + decay * p if decay != 0 else v, shrink * p
    exp_avg = lerp(exp_avg, v, rest1, beta1)
    exp_avg_sq = beta2 * exp_avg_sq + rest2 * v * v
    root = scalar.sqrt(exp_avg_sq / square) + eps
    return p - of_grad * v / root - of_mean * exp_avg / root, exp_avg, exp_avg_sq


radam = Update("radam", ("exp_avg", "exp_avg_sq"), ("step",))


@radam.each_parameter
def _(step, lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay, maximize):
    step += 1
    shrink = 1 - lr * weight_decay if decoupled_weight_decay != 0 else 1
    added = 0 if decoupled_weight_decay != 0 else weight_decay
    square, step_size = 1 - beta2**step, lr / (1 - beta1**step)
    most = 2 / (1 - beta2) - 1
    length = most - 2 * step * beta2**step / square  # of the mean of squares, in samples
    adapts = length > 5
    if adapts:
        step_size *= math.sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length) * square)
    sign = -1 if maximize != 0 else 1
    return step, sign, shrink, added, beta1, 1 - beta1, beta2, 1 - beta2, 1 if adapts else 0, eps, step_size


@radam.each_element
def _(p, g, exp_avg, exp_avg_sq, sign, shrink, decay, beta1, rest1, beta2, rest2, adapts, eps, step_size):
    v = sign * g
    v, p = v + decay * p if decay != 0 else v, shrink * p
    exp_avg = lerp(exp_avg, v, rest1, beta1)
    exp_avg_sq = beta2 * exp_avg_sq + rest2 * v * v
    step = step_size * exp_avg / (scalar.sqrt(exp_avg_sq) + eps) if adapts != 0 else step_size * exp_avg
    return p - step, exp_avg, exp_avg_sq
