"""`RMSprop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numgrad import ops
from numgrad.optim.formula import FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.tensor.tensor import Tensor


class RMSprop(FormulaOptimizer):
    """Steps along the gradient, divided by its root mean square. Hinton, 2012.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate; a tensor of one number is read at each step.
    alpha
        The share that is kept of the running means.
    eps
        Added to the root, to avoid a division by 0.
    weight_decay
        Strength of the L2 penalty.
    momentum
        The share of the previous direction that is kept.
    centered
        Divide by the standard deviation instead.
    maximize
        Ascend instead.
    foreach, capturable
        Accepted for compatibility with torch; they do not change the result.
    differentiable
        Has to be False.

    Raises
    ------
    ValueError
        An option is out of its range.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> x = ng.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.RMSprop([x], lr=0.01)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.9000], requires_grad=True)
    """

    _op = ops.update.rmsprop

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_execution(foreach, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        names = {
            "lr": "learning rate",
            "eps": "epsilon value",
            "momentum": "momentum value",
            "weight_decay": "weight_decay value",
            "alpha": "alpha value",
        }
        check_numbers(options, names)
