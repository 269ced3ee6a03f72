"""`Adadelta`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numgrad import ops
from numgrad.optim.formula import FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.tensor.tensor import Tensor


class Adadelta(FormulaOptimizer):
    """Steps as long as the recent ones: the gradient, times the ratio of both root mean squares. Zeiler, 2012.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate; a tensor of one number is read at each step.
    rho
        The share that is kept of the running means of squares.
    eps
        Added to the means, to avoid a division by 0.
    weight_decay
        Strength of the L2 penalty.
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
    >>> optimizer = optim.Adadelta([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.9997], requires_grad=True)
    """

    _op = ops.update.adadelta

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_execution(foreach, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_numbers(options, {"lr": "learning rate"})
        if not 0.0 <= options["rho"] <= 1.0:
            raise ValueError(f"Invalid rho value: {options['rho']}")
        check_numbers(options, {"eps": "epsilon value", "weight_decay": "weight_decay value"})
