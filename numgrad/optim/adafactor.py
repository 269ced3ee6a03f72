"""`Adafactor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numgrad.dtypes import finfo
from numgrad.engine.tape import modes
from numgrad.optim.composed import ComposedOptimizer, State
from numgrad.optim.optimizer import Params, check_execution, check_numbers
from numgrad.optim.states import count_dtype
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


class Adafactor(ComposedOptimizer):
    """Adam without a mean of gradients, and with the means of squares of a matrix's rows and columns in the place of those of
    its elements, so that the state is small. Shazeer and Stern, 2018.

    Parameters
    ----------
    params
        What to optimize; see `Optimizer`.
    lr
        The longest step, in units of the parameter's root mean square; at most 1 / sqrt(step) is taken.
    beta2_decay
        The mean of squares takes up the share step**beta2_decay of each step's.
    eps
        The smallest root mean square of a gradient, by default the dtype's, and of a parameter.
    d
        The largest root mean square of an update, beyond which it is scaled down.
    weight_decay
        Shrink the parameters by lr * weight_decay.
    foreach
        Accepted for compatibility with torch; it does not change the result.
    maximize
        Ascend instead.

    Raises
    ------
    ValueError
        An option is out of its range.

    >>> import numgrad as ng
    >>> from numgrad import optim
    >>> x = ng.ones(2, 2, requires_grad=True)
    >>> optimizer = optim.Adafactor([x], lr=0.1)
    >>> (5 * x).sum().backward()
    >>> optimizer.step()
    >>> x.detach()
    tensor([[0.9000, 0.9000],
            [0.9000, 0.9000]])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_execution(foreach)
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        self.check_options(defaults)
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        text = "{} should be >= 0 but is: {}"
        check_numbers(options, {"lr": "Learning rate"}, text)
        if not options["beta2_decay"] <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {options['beta2_decay']}")
        for number, eps in enumerate(options["eps"], 1):
            if not (eps is None and number == 1) and not eps >= 0.0:
                raise ValueError(text.format(f"epsilon{number}", eps))
        if not options["d"] >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {options['d']}")
        check_numbers(options, {"weight_decay": "weight_decay"}, text)

    def begun(self, group: dict[str, Any], parameter: Tensor) -> State:
        step = creation.tensor(0.0, dtype=count_dtype())
        if parameter.ndim < 2:
            return {"step": step, "variance": creation.zeros_like(parameter)}
        *lead, rows, columns = parameter.shape
        return {
            "step": step,
            "row_var": parameter.new_zeros((*lead, rows, 1)),
            "col_var": parameter.new_zeros((*lead, 1, columns)),
        }

    def stepped(self, group: dict[str, Any], parameter: Tensor, grad: Tensor, state: State) -> tuple[Tensor, State]:
        if modes.capture is not None:
            modes.capture.refuse(
                "makes a step of Adafactor, which decides by root mean squares of parameters and updates",
                "make it outside of the step, take another optimizer, or fallback='eager'",
            )
        grad = -grad if group["maximize"] else grad
        after = {"step": state["step"] + 1}
        if not parameter.numel():
            return parameter, {**state, **after}
        smallest, least = group["eps"]
        smallest = finfo(parameter.dtype).eps if smallest is None else smallest
        step, lr = state["step"].item() + 1, float(group["lr"])
        share = step ** group["beta2_decay"]
        length = max(least, _root_mean_square(parameter)) * min(lr, 1 / step**0.5)
        if group["weight_decay"] != 0:
            parameter = parameter * (1 - lr * group["weight_decay"])
        if grad.ndim > 1:
            after["row_var"] = state["row_var"].lerp(grad.norm(dim=-1, keepdim=True).square() / grad.size(-1), share)
            after["col_var"] = state["col_var"].lerp(grad.norm(dim=-2, keepdim=True).square() / grad.size(-2), share)
            mean = after["row_var"].mean(dim=-2, keepdim=True).clamp(min=smallest)
            estimate = after["row_var"] @ after["col_var"] / mean
        else:
            estimate = after["variance"] = state["variance"].lerp(grad * grad, share)
        update = estimate.clamp(min=smallest * smallest).rsqrt() * grad
        length /= max(1.0, _root_mean_square(update) / group["d"])
        return parameter.sub(update, alpha=length), after


def _root_mean_square(tensor: Tensor) -> float:
    return float(tensor.norm(2).item()) / tensor.numel() ** 0.5
