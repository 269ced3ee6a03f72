"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_not
from typing import Any

from numgrad.optim import updates
from numgrad.optim.optimizer import Optimizer, Params, check_execution
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor


class SGD(Optimizer):
    """Gradient descent with momentum.

    For each parameter p with gradient g: g += weight_decay * p; b = momentum * b + (1 - dampening) * g, where b starts
    as g; p -= lr * b (with ``nesterov``, lr * (g + momentum * b)).

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate.
    momentum, dampening
        The share of the previous direction that is kept, and the share of the gradient that is left out.
    weight_decay
        Strength of the L2 penalty.
    nesterov
        Look ahead by one more momentum step.
    maximize
        Ascend instead.
    foreach, fused
        Accepted for compatibility with torch; they do not change the result.
    differentiable
        Has to be False.

    Raises
    ------
    ValueError
        An option is negative, or ``nesterov`` is set without momentum or with dampening.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> x = ng.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
    >>> (2 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.8000], requires_grad=True)
    """

    _moments = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_execution(foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        for name, text in {
            "lr": "learning rate",
            "momentum": "momentum value",
            "weight_decay": "weight_decay value",
        }.items():
            if options[name] < 0.0:
                raise ValueError(f"Invalid {text}: {options[name]}")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def plan(self, changes: Changes, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        momentum = float(group["momentum"])
        states = self.state
        previous: list[Tensor | None] = [None] * len(params)
        if momentum:
            previous = [states[each].get("momentum_buffer") if each in states else None for each in params]
        buffers = updates.sgd(
            changes,
            params,
            grads,
            previous,
            lr=float(group["lr"]),
            momentum=momentum,
            dampening=float(group["dampening"]),
            weight_decay=float(group["weight_decay"]),
            nesterov=bool(group["nesterov"]),
            maximize=bool(group["maximize"]),
        )
        if any(map(is_not, buffers, previous)):
            for parameter, buffer, before in zip(params, buffers, previous, strict=True):
                if buffer is not before:
                    self._keep(changes, parameter, {"momentum_buffer": buffer})
