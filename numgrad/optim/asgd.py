"""`ASGD`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from numgrad import ops
from numgrad.optim.formula import FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.tensor.tensor import Tensor


class ASGD(FormulaOptimizer):
    """Gradient descent that also keeps the mean of the parameters, as ``state[p]['ax']``. Polyak and Juditsky, 1992.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate; a tensor of one number is read at each step.
    lambd, alpha
        The rate of a step is lr / (1 + lambd * lr * step)**alpha; parameters shrink by lambd times that.
    t0
        The step from which on the mean is taken.
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
    >>> optimizer = optim.ASGD([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.5000], requires_grad=True)
    """

    _op = ops.update.asgd
    _beginnings: ClassVar[Mapping[str, float | str]] = {"eta": "lr", "mu": 1.0}

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_execution(foreach, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_numbers(options, {"lr": "learning rate", "weight_decay": "weight_decay value"})
