"""`Rprop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from numgrad import ops
from numgrad.optim.formula import FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.tensor.tensor import Tensor


class Rprop(FormulaOptimizer):
    """Steps of a size of its own for each element, which grows while its gradient keeps its sign. Riedmiller and Braun, 1993.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate; a tensor of one number is read at each step.
    etas
        The factors of a step's size after the gradient's sign has changed, and while it stays the same.
    step_sizes
        The smallest and the largest size.
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
    >>> optimizer = optim.Rprop([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.9000], requires_grad=True)
    """

    _op = ops.update.rprop
    _beginnings: ClassVar[Mapping[str, float | str]] = {"step_size": "lr"}

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_execution(foreach, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_numbers(options, {"lr": "learning rate"})
        etas = options["etas"]
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
