"""`Muon`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from numgrad.optim.composed import ComposedOptimizer, State
from numgrad.optim.optimizer import Params, check_numbers
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

_MOST_STEPS = 100


class Muon(ComposedOptimizer):
    """Steps along the matrix with singular values near 1 that is nearest to the momentum. Jordan and others, 2024.

    It is for the matrices of hidden layers; take `AdamW` for all other parameters.

    Parameters
    ----------
    params
        Matrices; see `Optimizer`.
    lr
        Learning rate.
    weight_decay
        Shrink the parameters by lr * weight_decay.
    momentum
        The share that is kept of the running mean of the gradients.
    nesterov
        Look ahead by one more momentum step.
    ns_coefficients
        The polynomial a * x + b * x**3 + c * x**5 of the singular values, which takes them near 1.
    eps
        The smallest norm to divide by.
    ns_steps
        How often the polynomial is applied, in bfloat16 as in torch.
    adjust_lr_fn
        The rate of a matrix of A rows and B columns: 'original' (also None) takes lr * sqrt(max(1, A / B)),
        'match_rms_adamw' lr * 0.2 * sqrt(max(A, B)).

    Raises
    ------
    ValueError
        An option is out of its range, or a parameter is no matrix.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> x = ng.eye(2, requires_grad=True)
    >>> optimizer = optim.Muon([x], lr=0.1, weight_decay=0)
    >>> (x * ng.eye(2)).sum().backward()
    >>> optimizer.step()
    >>> bool(x.trace() < 1.9)
    True
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        names = {"lr": "Learning rate", "momentum": "momentum", "weight_decay": "weight decay"}
        check_numbers(options, names, "{} should be >= 0 but is: {}")
        if options["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {options['adjust_lr_fn']} is not supported")
        if options["ns_steps"] >= _MOST_STEPS:
            raise ValueError(f"Number of steps must be less than {_MOST_STEPS} for computational efficiency")
        if len(options["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        for parameter in options.get("params", ()):
            if parameter.ndim != 2:
                raise ValueError(
                    f"Muon only supports 2D parameters whereas we found a parameter with size: {parameter.size()}"
                )

    def begun(self, group: dict[str, Any], parameter: Tensor) -> State:
        return {"momentum_buffer": creation.zeros_like(parameter)}

    def stepped(self, group: dict[str, Any], parameter: Tensor, grad: Tensor, state: State) -> tuple[Tensor, State]:
        lr, momentum = float(group["lr"]), group["momentum"]
        buffer = state["momentum_buffer"].lerp(grad, 1 - momentum)
        direction = grad.lerp(buffer, momentum) if group["nesterov"] else buffer
        update = _orthogonal(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = parameter.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            ratio = 0.2 * math.sqrt(max(rows, columns))
        else:
            ratio = math.sqrt(max(1, rows / columns)) if columns else 1.0
        after = (parameter * (1 - lr * group["weight_decay"])).sub(update.to(parameter.dtype), alpha=lr * ratio)
        return after, {"momentum_buffer": buffer}


def _orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """The matrix with singular values near 1, by an iteration in bfloat16: each product is rounded once."""
    a, b, c = coefficients
    is_tall = matrix.size(0) > matrix.size(1)
    x = _rounded(matrix.t() if is_tall else matrix)
    x = _rounded(x / _rounded(x.norm()).clamp(min=eps))
    for _ in range(steps):
        gram = _rounded(x @ x.t())
        update = _rounded(gram.mul(b).add(gram @ gram, alpha=c))
        x = _rounded(x.mul(a).add(update @ x))
    return x.t() if is_tall else x


def _rounded(tensor: Tensor) -> Tensor:
    """Rounded to bfloat16, as float32."""
    return tensor.bfloat16().float()
