"""`NAdam`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from numgrad import ops
from numgrad.optim.adam import check_moments
from numgrad.optim.formula import FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.tensor.tensor import Tensor


class NAdam(FormulaOptimizer):
    """Adam with Nesterov's momentum: each step looks ahead by the next one's momentum. Dozat, 2016.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate; a tensor of one number is read at each step.
    betas
        The shares that are kept of the running means of the gradients and of their squares.
    eps
        Added to the root, to avoid a division by 0.
    weight_decay
        Strength of the L2 penalty.
    momentum_decay
        How fast the momentum rises to the first of betas: by 1 - 0.96**(step * momentum_decay) / 2.
    decoupled_weight_decay
        Shrink the parameters by lr * weight_decay directly, as `AdamW` does.
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
    >>> optimizer = optim.NAdam([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.8944], requires_grad=True)
    """

    _op = ops.update.nadam
    _beginnings: ClassVar[Mapping[str, float | str]] = {"mu_product": 1.0}

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_execution(foreach, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_moments(options)
        check_numbers(options, {"momentum_decay": "momentum_decay value"})
