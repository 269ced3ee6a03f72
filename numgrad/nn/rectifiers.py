"""Activations with corners, and smooth ones that stand in for them. The functions are in `numgrad.nn.functional`."""

from __future__ import annotations

from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import warn
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.tensor import Tensor

__all__ = [
    "CELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LogSigmoid",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU6",
    "Softmax2d",
    "Softmin",
    "Softshrink",
    "Softsign",
    "Tanhshrink",
    "Threshold",
]


class _InPlace(Module):
    """An activation whose only option is to be written over its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class SELU(_InPlace):
    """scale * (input where it is positive, else alpha * (exp(input) - 1)), which keeps mean 0 and variance 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.SELU()(ng.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class CELU(Module):
    """input where it is positive, else alpha * (exp(input / alpha) - 1).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.CELU()(ng.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{', inplace=True' if self.inplace else ''}"


class Hardtanh(Module):
    """input, at least min_val and at most max_val. min_value and max_value are their older names.

    Raises
    ------
    ValueError
        min_val is not less than max_val.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Hardtanh()(ng.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        if min_value is not None:
            warn("keyword argument `min_value` is deprecated and rename to `min_val`")
            min_val = min_value
        if max_value is not None:
            warn("keyword argument `max_value` is deprecated and rename to `max_val`")
            max_val = max_value
        if not max_val > min_val:
            raise ValueError(f"Hardtanh: max_val is {max_val}, expected it to be larger than min_val, {min_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}{', inplace=True' if self.inplace else ''}"


class ReLU6(Hardtanh):
    """input, at least 0 and at most 6.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReLU6()(ng.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(_InPlace):
    """(input + 3) / 6, at least 0 and at most 1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Hardsigmoid()(ng.tensor([-4.0, 0.0]))
    tensor([0.0000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_InPlace):
    """input times its `Hardsigmoid`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Hardswish()(ng.tensor([1.5, 4.0]))
    tensor([1.1250, 4.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class Mish(_InPlace):
    """input * tanh(log(1 + exp(input))).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Mish()(ng.tensor([0.0, 2.0]))
    tensor([0.0000, 1.9440])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Softshrink(Module):
    """input moved towards 0 by lambd; 0 where it is nearer.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Softshrink()(ng.tensor([0.3, 1.0]))
    tensor([0.0000, 0.5000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(Module):
    """input, or 0 where it is within lambd of 0.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Hardshrink()(ng.tensor([0.3, 1.0]))
    tensor([0., 1.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Tanhshrink(Module):
    """input - tanh(input).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Tanhshrink()(ng.tensor([0.0, 2.0]))
    tensor([0.0000, 1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Softsign(Module):
    """input / (1 + abs(input)).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Softsign()(ng.tensor([1.0, -3.0]))
    tensor([ 0.5000, -0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class LogSigmoid(Module):
    """log(1 / (1 + exp(-input))).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LogSigmoid()(ng.tensor([0.0, 1.0]))
    tensor([-0.6931, -0.3133])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Threshold(Module):
    """input where it is above the threshold, else value.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Threshold(1.0, -5.0)(ng.tensor([0.1, 2.0]))
    tensor([-5.,  2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}{', inplace=True' if self.inplace else ''}"


class RReLU(Module):
    """input where it is positive, else slope * input; in train mode with drawn slopes, in eval mode with their mean.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.RReLU(0.1, 0.3).eval()(ng.tensor([-1.0, 2.0]))
    tensor([-0.2000,  2.0000])
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}{', inplace=True' if self.inplace else ''}"


class PReLU(Module):
    """input where it is positive, else weight * input, with one learnt weight or one for each channel.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.PReLU()(ng.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000], grad_fn=<LeakyReluBackward0>)
    """

    weight: Parameter

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Dtype | None = None
    ) -> None:
        super().__init__()
        on_cpu("PReLU", device)
        self.num_parameters = as_int("PReLU", "num_parameters", num_parameters)
        self.init = init
        self.weight = Parameter(creation.empty(self.num_parameters, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all weights to ``init``."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class GLU(Module):
    """The first half of ``dim`` times the sigmoid of the second.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.GLU()(ng.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(Module):
    """The softmax of -input along ``dim``.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Softmin(0)(ng.zeros(2))
    tensor([0.5000, 0.5000])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax2d(Module):
    """The softmax over the channels of [N, C, H, W] or [C, H, W].

    Raises
    ------
    ValueError
        The input has another number of dimensions.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Softmax2d()(ng.zeros(2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        if check_tensor("Softmax2d", "input", input).ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)
