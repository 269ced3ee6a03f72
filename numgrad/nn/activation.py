"""Layers without parameters: activations, softmax and dropout. The functions are in `numgrad.nn.functional`."""

from __future__ import annotations

from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.tensor.tensor import Tensor

__all__ = [
    "ELU",
    "GELU",
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


class ReLU(Module):
    """max(0, input); with ``inplace`` written over the input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReLU()(ng.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """input where it is positive, else negative_slope * input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LeakyReLU(0.1)(ng.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{', inplace=True' if self.inplace else ''}"


class ELU(Module):
    """input where it is positive, else alpha * (exp(input) - 1).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ELU()(ng.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{', inplace=True' if self.inplace else ''}"


class GELU(Module):
    """input * Phi(input), with the normal distribution's Phi, or ('tanh') its approximation.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.GELU()(ng.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """input * sigmoid(input).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.SiLU()(ng.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Tanh(Module):
    """Hyperbolic tangent.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Tanh()(ng.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Sigmoid(Module):
    """1 / (1 + exp(-input)).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Sigmoid()(ng.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Softplus(Module):
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is above the threshold.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Softplus()(ng.tensor([0.0, 1.0]))
    tensor([0.6931, 1.3133])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """exp(input), divided by its sum along ``dim``.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Softmax(dim=1)(ng.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of the softmax along ``dim``.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LogSoftmax(dim=1)(ng.zeros(1, 2))
    tensor([[-0.6931, -0.6931]])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class _Dropout(Module):
    """Zeroes with probability p in train mode."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In train mode, zeroes each element with probability p and divides the others by 1 - p; in eval mode does nothing.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Dropout(0.5).eval()(ng.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """In train mode, zeroes each channel of [N, C, L] or [C, L] with probability p and divides the others by 1 - p.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Dropout1d().eval()(ng.ones(1, 2, 3)).mean()
    tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """In train mode, zeroes each channel of [N, C, H, W] with probability p and divides the others by 1 - p.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Dropout2d().eval()(ng.ones(1, 2, 3, 3)).mean()
    tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """In train mode, zeroes each channel of [N, C, D, H, W] with probability p and divides the others by 1 - p.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Dropout3d().eval()(ng.ones(1, 2, 3, 3, 3)).mean()
    tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """In train mode, sets each element with probability p to SELU's lowest value, and keeps mean and variance.

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AlphaDropout().eval()(ng.ones(2)).mean()
    tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of [N, C, ...].

    Raises
    ------
    ValueError
        p is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.FeatureAlphaDropout().eval()(ng.ones(1, 2)).mean()
    tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
