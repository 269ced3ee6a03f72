"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numgrad import ops
from numgrad.dtypes import float32
from numgrad.optim.formula import Columns, FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_lr
from numgrad.tensor import creation
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import filled_like


class SGD(FormulaOptimizer):
    """Gradient descent with momentum.

    For each parameter p with gradient g: g += weight_decay * p; b = momentum * b + (1 - dampening) * g, where b starts
    as g; p -= lr * b (with ``nesterov``, lr * (g + momentum * b)).

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate; a tensor of one number is read at each step.
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

    _op = ops.update.sgd

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
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
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_lr(options["lr"])
        for name, text in {
            "lr": "learning rate",
            "momentum": "momentum value",
            "weight_decay": "weight_decay value",
        }.items():
            if options[name] < 0.0:
                raise ValueError(f"Invalid {text}: {options[name]}")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _columns(
        self, changes: Changes, group: dict[str, Any], params: list[Tensor]
    ) -> tuple[tuple[str, ...], Columns, Columns]:
        """A buffer begins with the parameter's first step, as its gradient."""
        if not group["momentum"]:
            return (), {}, {}
        states = self.state
        held: list[Any] = [states[each].get("momentum_buffer") if each in states else None for each in params]
        if all(each is not None for each in held):
            return ("momentum",), {"momentum_buffer": held}, {}
        fresh = [creation.tensor(float(buffer is None), dtype=float32) for buffer in held]
        for index, (parameter, buffer) in enumerate(zip(params, held, strict=True)):
            if buffer is None:
                held[index] = filled_like(parameter, 0.0)
                self._keep(changes, parameter, {"momentum_buffer": held[index]})
        return ("momentum", "starts"), {"momentum_buffer": held}, {"fresh": fresh}
