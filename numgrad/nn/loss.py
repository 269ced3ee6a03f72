"""Losses as modules; the functions are in `numgrad.nn.functional`, which says what they compute and refuse."""

from __future__ import annotations

from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.tensor.losses import check_reduction
from numgrad.tensor.tensor import Tensor


class _Loss(Module):
    def __init__(self, reduction: str) -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)


class MSELoss(_Loss):
    """(input - target)², reduced by 'mean', 'sum' or 'none'.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MSELoss()(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """abs(input - target), reduced by 'mean', 'sum' or 'none'.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.L1Loss()(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, self.reduction)


class HuberLoss(_Loss):
    """Half the squared error up to ``delta``, linear beyond.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.HuberLoss()(ng.tensor([0.0]), ng.tensor([3.0]))
    tensor(2.5000)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """The Huber loss with delta = ``beta``, divided by it.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.SmoothL1Loss(beta=0.5)(ng.tensor([0.0]), ng.tensor([3.0]))
    tensor(2.7500)
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of log-odds ``input`` and ``target`` between 0 and 1; the weights are buffers.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.BCEWithLogitsLoss()(ng.zeros(2), ng.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, *, reduction: str = "mean", pos_weight: Tensor | None = None
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class NLLLoss(_Loss):
    """Minus the log-probability of each target class; the class weights are a buffer.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.NLLLoss()(ng.tensor([[-0.5, -1.0]]), ng.tensor([1]))
    tensor(1.)
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(_Loss):
    """The negative log-likelihood of the softmax of scores [N, C, ...]; the class weights are a buffer.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.CrossEntropyLoss()(ng.zeros(1, 4), ng.tensor([2]))
    tensor(1.3863)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)
