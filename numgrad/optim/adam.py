"""`Adam`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numgrad import ops
from numgrad.optim.formula import FormulaOptimizer
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.tensor.tensor import Tensor


class Adam(FormulaOptimizer):
    """Steps of the size lr along running means of the gradients, each divided by its root mean square.

    Kingma and Ba, 2015. ``weight_decay`` is an L2 penalty: it is added to the gradient.

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
    amsgrad
        Divide by the largest mean of squares so far.
    maximize
        Ascend instead.
    foreach, capturable, fused
        Accepted for compatibility with torch; they do not change the result.
    differentiable
        Has to be False.
    decoupled_weight_decay
        Shrink the parameters by lr * weight_decay directly, as `AdamW` does.

    Raises
    ------
    ValueError
        An option is out of its range.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> x = ng.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.Adam([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.9000], requires_grad=True)
    """

    _op = ops.update.adam

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_execution(foreach, fused, differentiable)
        defaults: dict[str, Any] = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        self.check_options(defaults)
        defaults["betas"] = tuple(beta.squeeze() if isinstance(beta, Tensor) else beta for beta in betas)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_tensor_lr(options)
        check_moments(options)
        betas = options["betas"]
        kinds = [isinstance(beta, kind) for kind in (float, Tensor) for beta in betas]
        if not (all(kinds[:2]) or all(kinds[2:])):
            raise ValueError("betas must be either both floats or both Tensors")
        for index, beta in enumerate(betas):
            if not isinstance(beta, Tensor):
                continue
            if options.get("foreach") and not options.get("capturable"):
                raise ValueError(f"betas[{index}] as a Tensor is not supported for capturable=False and foreach=True")
            if beta.numel() != 1:
                raise ValueError(f"Tensor betas[{index}] must be 1-element")


def check_tensor_lr(options: Mapping[str, Any]) -> None:
    """Refuse a tensor as the learning rate with ``foreach=True``, as torch does for Adam.

    Raises
    ------
    ValueError
        The options have both.
    """
    if isinstance(options["lr"], Tensor) and options.get("foreach") and not options.get("capturable"):
        raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")


def check_moments(options: Mapping[str, Any]) -> None:
    """Refuse what no optimizer with two running means takes: numbers below 0, and shares that are not two in [0, 1).

    Raises
    ------
    ValueError
        One is out of its range, or there are more.
    """
    check_numbers(options, {"lr": "learning rate", "eps": "epsilon value"})
    betas = options["betas"]
    for index in range(2):
        if not 0.0 <= betas[index] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {betas[index]}")
    if len(betas) != 2:
        raise ValueError(f"Invalid betas: {betas}, expected two")
    check_numbers(options, {"weight_decay": "weight_decay value"})
