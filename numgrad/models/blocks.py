"""What several models are made of: convolutions with norm and activation, gates of channels, stochastic depth.

Names, arguments and keys are those of ``torchvision.ops``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numgrad import nn
from numgrad.nn.fusion import norm_relu
from numgrad.tensor import creation, shaping
from numgrad.tensor.tensor import Tensor

NormLayer = Callable[..., nn.Module]
ActivationLayer = Callable[..., nn.Module]


def make_divisible(value: float, divisor: int, least: int | None = None) -> int:
    """The multiple of ``divisor`` nearest to a number of channels; one more if that were below nine tenths of it.

    The rule of MobileNet's first implementation: no layer gets much narrower than asked. The result is at least ``least``
    (default: ``divisor``).

    >>> make_divisible(32 * 0.75, 8), make_divisible(11, 8)
    (24, 16)
    """
    nearest = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


def run(modules: Iterable[nn.Module | None], input: Tensor) -> Tensor:
    """Call modules one after the other, a batch norm and the ReLU behind it in one pass; see `numgrad.nn.fusion`."""
    norm: nn.Module | None = None
    for module in modules:
        assert module is not None
        if norm is not None:
            waiting, norm = norm, None
            if isinstance(module, nn.ReLU):
                input = norm_relu(waiting, module, input)
                continue
            input = waiting(input)
        if isinstance(module, nn.BatchNorm2d):
            norm = module
        else:
            input = module(input)
    return input if norm is None else norm(input)  # type: ignore[no-any-return]


class Sequential(nn.Sequential):
    """`nn.Sequential` that computes a batch norm and the ReLU behind it in one pass."""

    def forward(self, input: Tensor) -> Tensor:
        return run(self._modules.values(), input)


class Conv2dNormActivation(Sequential):
    """A convolution, a norm and an activation.

    Parameters
    ----------
    in_channels, out_channels
        Channels of the input and of the output.
    kernel_size, stride, groups, dilation
        As for `nn.Conv2d`.
    padding
        None: as much as keeps height and width for a stride of 1 and a kernel of odd size.
    norm_layer, activation_layer
        Make the norm for a number of channels, and the activation; None: there is none.
    inplace
        Handed to ``activation_layer``; None: not.
    bias
        Whether the convolution has an offset; None: if there is no norm.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.blocks.Conv2dNormActivation(3, 8, stride=2)(ng.ones(1, 3, 8, 8)).shape
    numgrad.Size([1, 8, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str | None = None,
        groups: int = 1,
        norm_layer: NormLayer | None = nn.BatchNorm2d,
        activation_layer: ActivationLayer | None = nn.ReLU,
        dilation: int | Sequence[int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:
            sizes, spreads = (each if isinstance(each, Sequence) else (each,) * 2 for each in (kernel_size, dilation))
            padding = tuple((size - 1) // 2 * spread for size, spread in zip(sizes, spreads, strict=True))
        if bias is None:
            bias = norm_layer is None
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)  # type: ignore[arg-type]
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**({} if inplace is None else {"inplace": inplace})))
        super().__init__(*layers)
        self.out_channels = out_channels


class SqueezeExcitation(nn.Module):
    """Multiplies each channel of [N, C, H, W] by a gate that is computed from the means of all channels.

    Hu et al. 2017, figure 1: two convolutions of one pixel, with ``activation`` between them and ``scale_activation``
    behind them.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.blocks.SqueezeExcitation(8, 2)(ng.ones(1, 8, 4, 4)).shape
    numgrad.Size([1, 8, 4, 4])
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: ActivationLayer = nn.ReLU,
        scale_activation: ActivationLayer = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        gate = self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input)))))
        return gate * input  # type: ignore[no-any-return]


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """In training, zero a whole residual branch with probability p, and divide it by 1 - p otherwise.

    Huang et al. 2016. ``mode`` says for what one coin is tossed: 'row', each example of the batch, or 'batch', all of them.

    Raises
    ------
    ValueError
        p is not in [0, 1], or the mode is unknown.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.blocks.stochastic_depth(ng.ones(2), 1.0, "row")
    tensor([0., 0.])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0:
        return input
    shape = [input.shape[0] if mode == "row" else 1] + [1] * (input.ndim - 1)
    kept = creation.empty(*shape, dtype=input.dtype).bernoulli_(1.0 - p)
    return input * (kept if p == 1.0 else kept / (1.0 - p))


class StochasticDepth(nn.Module):
    """`stochastic_depth` as a module.

    >>> from numgrad import models
    >>> models.blocks.StochasticDepth(0.2, "row")
    StochasticDepth(p=0.2, mode=row)
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"


class Permute(nn.Module):
    """Permutes the dimensions of its input.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.blocks.Permute([0, 2, 1])(ng.ones(2, 3, 4)).shape
    numgrad.Size([2, 4, 3])
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = list(dims)

    def forward(self, x: Tensor) -> Tensor:
        return shaping.permute(x, self.dims)


def initialise(model: nn.Module, linear: Callable[[Tensor], Any] | None = None, mode: str = "fan_out") -> None:
    """Initial values that most models share: He's for convolutions, offsets 0, norms that change nothing.

    ``linear`` fills the weight of each linear layer, whose offset is then 0; None leaves both as they are.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            zero_offset(module)
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            if module.weight is not None:
                nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and linear is not None:
            linear(module.weight)
            zero_offset(module)


def zero_offset(layer: nn.Conv2d | nn.Linear) -> None:
    """Set the offset of a layer to 0, if it has one."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def normal_of_a_hundredth(weight: Tensor) -> Tensor:
    """Fill the weight of a classifier from a normal distribution of standard deviation 0.01."""
    return nn.init.normal_(weight, 0.0, 0.01)
