"""Losses that are log-likelihoods or margins of classes, as modules; see `loss` for the commonest."""

from __future__ import annotations

from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.layout import product
from numgrad.nn import functional as F
from numgrad.nn.linear import Linear
from numgrad.nn.loss import Loss
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "BCELoss",
    "CTCLoss",
    "GaussianNLLLoss",
    "KLDivLoss",
    "LinearCrossEntropyLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "PoissonNLLLoss",
    "SoftMarginLoss",
]


class BCELoss(Loss):
    """Binary cross-entropy of probabilities ``input`` and ``target`` between 0 and 1; the weight is a buffer.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.BCELoss()(ng.tensor([0.5]), ng.tensor([1.0]))
    tensor(0.6931)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class CTCLoss(Loss):
    """The loss of sequences of labels whose alignment with the steps is not known; see `functional.ctc_loss`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> even = ng.zeros(3, 1, 2).log_softmax(-1)
    >>> nn.CTCLoss()(even, ng.tensor([[1]]), (3,), (1,)).exp()
    tensor(1.3333)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence of log-probabilities ``input`` from ``target``; see `functional.kl_div`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> half = ng.tensor([[0.5, 0.5]])
    >>> nn.KLDivLoss(reduction="batchmean")(ng.tensor([[0.25, 0.75]]).log(), half)
    tensor(0.1438)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        by_batch = reduction == "batchmean" and size_average is None and reduce is None
        super().__init__(size_average, reduce, "sum" if by_batch else reduction)
        if by_batch:
            self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of counts under Poisson distributions; see `functional.poisson_nll_loss`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.PoissonNLLLoss()(ng.zeros(2), ng.tensor([0.0, 3.0]))
    tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(Loss):
    """The negative log-likelihood under normal distributions of given variances; see `functional.gaussian_nll_loss`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.GaussianNLLLoss()(ng.zeros(2), ng.tensor([0.0, 2.0]), ng.ones(2))
    tensor(1.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(None, None, reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(-target * input)), for targets 1 and -1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.SoftMarginLoss()(ng.zeros(2), ng.tensor([1.0, -1.0]))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """The mean over the classes of binary cross-entropies of log-odds; the class weights are a buffer.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MultiLabelSoftMarginLoss()(ng.zeros(2, 3), ng.ones(2, 3))
    tensor(0.6931)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MultiMarginLoss(Loss):
    """The sum over other classes of max(0, margin - input[target] + input[class])**p, divided by C; the weights are a buffer.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MultiMarginLoss()(ng.tensor([[0.1, 0.2, 0.4, 0.8]]), ng.tensor([3]))
    tensor(0.3250)
    """

    weight: Tensor | None

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.ndim != 1:
            raise ValueError("weight must be one-dimensional")
        self.register_buffer("weight", weight)
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """The sum over target and other classes of max(0, 1 - input[target] + input[class]), divided by C.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MultiLabelMarginLoss()(ng.tensor([[0.1, 0.2, 0.4, 0.8]]), ng.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class LinearCrossEntropyLoss(Loss):
    """The cross-entropy of the scores of a linear layer of its own; see `functional.linear_cross_entropy`.

    Parameters
    ----------
    in_features, num_classes
        Extent of the input [N, in_features], and number of classes.
    out_features
        Further extents (d1, ...) of scores [N, num_classes, d1, ...].
    bias
        Whether the layer has an offset.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.
    reduction, weight, ignore_index, label_smoothing
        Those of `CrossEntropyLoss`; the class weights are a buffer.
    options
        Has to be None.

    Raises
    ------
    RuntimeError
        The class weights have another shape, or the smoothing is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LinearCrossEntropyLoss(3, 4)(ng.ones(2, 3), ng.tensor([0, 1])).shape
    numgrad.Size([])
    """

    weight: Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Dtype | None = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
    ) -> None:
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0 <= label_smoothing <= 1.0:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, num_classes * product(out_features), bias, device, dtype)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        outputs = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return F.linear_cross_entropy(
            input,
            shaping.reshape(self.linear.weight, (*outputs, self.linear.in_features)),
            target,
            linear_bias=None if bias is None else shaping.reshape(bias, outputs),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
