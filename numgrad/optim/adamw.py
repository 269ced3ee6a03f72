"""`AdamW`."""

from __future__ import annotations

from typing import Any

from numgrad.optim.adam import Adam
from numgrad.optim.optimizer import Params
from numgrad.tensor.tensor import Tensor


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
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
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
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def _complete(self, group: dict[str, Any]) -> None:
        group["decoupled_weight_decay"] = True  # even if the state was saved by an `Adam`
