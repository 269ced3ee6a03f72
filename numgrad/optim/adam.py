"""`Adam` and `AdamW`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numgrad.dtypes import float32
from numgrad.optim import updates
from numgrad.optim.optimizer import Optimizer, Params, check_execution
from numgrad.tensor import creation
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import plan_count


class Adam(Optimizer):
    """Steps of the size lr along running means of the gradients, each divided by its root mean square.

    Kingma and Ba, 2015. ``weight_decay`` is an L2 penalty: it is added to the gradient.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        Learning rate.
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

    _moments = "exp_avg", "exp_avg_sq", "max_exp_avg_sq"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
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
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        for name, text in (("lr", "learning rate"), ("eps", "epsilon value"), ("weight_decay", "weight_decay value")):
            if not options[name] >= 0.0:
                raise ValueError(f"Invalid {text}: {options[name]}")
        betas = options["betas"]
        for index in range(2):
            if not 0.0 <= betas[index] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {betas[index]}")
        if len(betas) != 2:
            raise ValueError(f"Invalid betas: {betas}, expected two")
        kinds = [isinstance(beta, kind) for kind in (float, Tensor) for beta in betas]
        if not (all(kinds[:2]) or all(kinds[2:])):
            raise ValueError("betas must be either both floats or both Tensors")

    def plan(self, changes: Changes, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        by_parameter: dict[Tensor, dict[str, Any]] = {}  # a parameter that is listed twice has one state
        for parameter in params:
            if parameter not in by_parameter:
                by_parameter[parameter] = self._state_of(changes, parameter, group)
        states = [by_parameter[parameter] for parameter in params]
        updates.adam(
            changes,
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else [],
            [int(state["step"].item()) for state in states],
            lr=float(group["lr"]),
            betas=tuple(float(beta) for beta in group["betas"]),
            eps=float(group["eps"]),
            weight_decay=float(group["weight_decay"]),
            decoupled_weight_decay=bool(group["decoupled_weight_decay"]),
            maximize=bool(group["maximize"]),
        )
        plan_count(changes, [state["step"] for state in states])

    def _state_of(self, changes: Changes, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """A parameter's state; for a parameter without one, its planned first state."""
        state = self.state.get(parameter)
        if not state:
            state = {
                "step": creation.tensor(0.0, dtype=float32),
                "exp_avg": creation.zeros_like(parameter),
                "exp_avg_sq": creation.zeros_like(parameter),
            }
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = creation.zeros_like(parameter)
            self._keep(changes, parameter, state)
        return state


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters directly: Loshchilov and Hutter, 2019. Arguments as for `Adam`.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> x = ng.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.AdamW([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([0.8990], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_execution(foreach, fused, differentiable)
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def _complete(self, group: dict[str, Any]) -> None:
        group["decoupled_weight_decay"] = True  # even if the state was saved by an `Adam`
