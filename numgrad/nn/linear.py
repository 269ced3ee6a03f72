"""`Linear`, `Bilinear`, `Flatten` and `Identity`."""

from __future__ import annotations

import math
from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation, shaping
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.tensor import Tensor

__all__ = ["Bilinear", "Flatten", "Identity", "Linear"]


class Identity(Module):
    """Returns its input; the constructor ignores its arguments.

    >>> from numgrad import nn
    >>> nn.Identity()(3)
    3
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """input @ weight.T + bias.

    Parameters
    ----------
    in_features, out_features
        Sizes of the last dimension of input [..., in_features] and output [..., out_features].
    bias
        Whether to learn an offset.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    Weight and bias are drawn from the uniform distribution on [-1 / sqrt(in_features), 1 / sqrt(in_features)).

    >>> from numgrad import nn
    >>> nn.Linear(20, 30)
    Linear(in_features=20, out_features=30, bias=True)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Dtype | None = None
    ) -> None:
        super().__init__()
        on_cpu("Linear", device)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(creation.empty(out_features, in_features, dtype=dtype))
        self.register_parameter("bias", Parameter(creation.empty(out_features, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Redraw weight and bias."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, *self._two(self._parameters, "weight", "bias"))

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear` under the name by which torch keeps it from being quantized; reprs have it.

    >>> from numgrad import nn
    >>> nn.MultiheadAttention(4, 2).out_proj
    NonDynamicallyQuantizableLinear(in_features=4, out_features=4, bias=True)
    """


class Flatten(Module):
    """Merges the dimensions from start_dim to end_dim into one; by default all but the first.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Flatten()(ng.ones(2, 3, 4)).shape
    numgrad.Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return shaping.flatten(check_tensor("flatten", "input", input), self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Bilinear(Module):
    """The sum over i and j of input1[..., i] * weight[k, i, j] * input2[..., j], plus bias[k], with learnt weights.

    Raises
    ------
    ValueError
        in1_features is not positive.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Bilinear(2, 3, 4)(ng.ones(5, 2), ng.ones(5, 3)).shape
    numgrad.Size([5, 4])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        on_cpu("Bilinear", device)
        self.in1_features = as_int("Bilinear", "in1_features", in1_features)
        self.in2_features = as_int("Bilinear", "in2_features", in2_features)
        self.out_features = as_int("Bilinear", "out_features", out_features)
        if self.in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        shape = (self.out_features, self.in1_features, self.in2_features)
        self.weight = Parameter(creation.empty(*shape, dtype=dtype))
        self.register_parameter("bias", Parameter(creation.empty(self.out_features, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Redraw weight and bias."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
