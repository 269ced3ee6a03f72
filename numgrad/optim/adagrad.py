"""`Adagrad`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from numgrad import ops
from numgrad.optim.formula import FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.tensor.tensor import Tensor


class Adagrad(FormulaOptimizer):
    """Steps along the gradient, divided by the root of the sum of all its squares. Duchi, Hazan and Singer, 2011.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate; a tensor of one number is read at each step.
    lr_decay
        The rate is divided by 1 + lr_decay for each step taken.
    weight_decay
        Strength of the L2 penalty.
    initial_accumulator_value
        What the sums of squares begin with.
    eps
        Added to the root, to avoid a division by 0.
    maximize
        Ascend instead.
    foreach, fused
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
    >>> optimizer = optim.Adagrad([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.9000], requires_grad=True)
    """

    _op = ops.update.adagrad
    _beginnings: ClassVar[Mapping[str, float | str]] = {"sum": "initial_accumulator_value"}

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_execution(foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = self._begun(parameter, group, ())

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_numbers(
            options,
            {
                "lr": "learning rate",
                "lr_decay": "lr_decay value",
                "weight_decay": "weight_decay value",
                "initial_accumulator_value": "initial_accumulator_value value",
                "eps": "epsilon value",
            },
        )
