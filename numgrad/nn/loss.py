"""Losses as modules. The functions of `numgrad.nn.functional` define what they compute and refuse."""

from __future__ import annotations

from numgrad.errors import warn
from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.tensor.losses import legacy_reduction
from numgrad.tensor.tensor import Tensor

__all__ = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "NLLLoss2d",
    "SmoothL1Loss",
]


class Loss(Module):
    """A loss with a ``reduction``. ``size_average`` and ``reduce``, its older form, come before it, as in torch."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce, reduction)


class MSELoss(Loss):
    """(input - target)², reduced by 'mean', 'sum' or 'none'.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MSELoss()(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """abs(input - target), reduced by 'mean', 'sum' or 'none'.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.L1Loss()(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(Loss):
    """Half the squared error up to ``delta``, linear beyond.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.HuberLoss()(ng.tensor([0.0]), ng.tensor([3.0]))
    tensor(2.5000)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class SmoothL1Loss(Loss):
    """The Huber loss with delta = ``beta``, divided by it.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.SmoothL1Loss(beta=0.5)(ng.tensor([0.0]), ng.tensor([3.0]))
    tensor(2.7500)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of log-odds ``input`` and ``target`` between 0 and 1; the weights are buffers.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.BCEWithLogitsLoss()(ng.zeros(2), ng.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class NLLLoss(Loss):
    """Minus the log-probability of each target class; the class weights are a buffer.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.NLLLoss()(ng.tensor([[-0.5, -1.0]]), ng.tensor([1]))
    tensor(1.)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """`NLLLoss` under its older name for images.

    >>> import warnings
    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     loss = nn.NLLLoss2d()
    >>> loss(ng.full((1, 2, 1, 1), -0.5), ng.zeros(1, 1, 1, dtype=ng.int64))
    tensor(0.5000)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        warn(
            "`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in replacement and see "
            "https://pytorch.org/docs/main/nn.html#torch.nn.NLLLoss for more details.",
            FutureWarning,
        )
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class CrossEntropyLoss(Loss):
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
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
