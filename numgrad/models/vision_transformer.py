"""Vision transformers: an image is a sequence of patches. Dosovitskiy et al. 2020."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from numgrad import nn
from numgrad.models.blocks import ActivationLayer, Conv2dNormActivation, NormLayer, zero_offset
from numgrad.models.builders import assembled, chosen, fixed, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.nn import functional as F
from numgrad.tensor import creation, joining, shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_H_14_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "VisionTransformer",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]

_LAYER_NORM = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """One convolution of a stem of convolutions; Xiao et al. 2021."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: NormLayer = nn.BatchNorm2d
    activation_layer: ActivationLayer = nn.ReLU


class MLPBlock(nn.Sequential):
    """Two linear layers with GELU between them, and a dropout behind each."""

    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(in_dim, mlp_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp_dim, in_dim), nn.Dropout(dropout)
        )
        for module in self:
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)  # type: ignore[arg-type]

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        """In files of the first version the layers are called ``linear_1`` and ``linear_2``."""
        if (local_metadata.get("version") or 1) < 2:
            for old, new in (("linear_1", "0"), ("linear_2", "3")):
                for part in ("weight", "bias"):
                    if (key := f"{prefix}{old}.{part}") in state_dict:
                        state_dict[f"{prefix}{new}.{part}"] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class EncoderBlock(nn.Module):
    """Attention and a perceptron, each behind a norm and beside a residual connection; for [N, L, hidden_dim]."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: NormLayer = _LAYER_NORM,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        x = self.dropout(self.self_attention(x, x, x, need_weights=False)[0]) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Learnt positions, the blocks, and a norm; for [N, seq_length, hidden_dim]."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: NormLayer = _LAYER_NORM,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(nn.init.normal_(creation.empty(1, seq_length, hidden_dim), std=0.02))
        self.dropout = nn.Dropout(dropout)
        blocks = [
            EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
            for _ in range(num_layers)
        ]
        self.layers = nn.Sequential({f"encoder_layer_{number}": block for number, block in enumerate(blocks)})
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Tensor) -> Tensor:
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))  # type: ignore[no-any-return]


class VisionTransformer(nn.Module):
    """A vision transformer for images [N, 3, image_size, image_size].

    Parameters
    ----------
    image_size, patch_size
        Pixels a side of the images and of the patches.
    num_layers, num_heads, hidden_dim, mlp_dim
        Number of blocks, of heads in each, width, and width of the perceptrons.
    dropout, attention_dropout
        Probabilities of the dropouts behind the layers and of the attention's weights.
    num_classes
        Size of the output [N, num_classes].
    representation_size
        Width of a further layer before the last one; None: there is none.
    norm_layer
        Makes a norm for a width; default `nn.LayerNorm` with eps=1e-6.
    conv_stem_configs
        Convolutions that stand in the place of the patches'; None: there are none.

    Raises
    ------
    AssertionError
        The patches do not fit the images, or images of another size are given to the model.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> model = models.VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=10)
    >>> model(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: NormLayer = _LAYER_NORM,
        conv_stem_configs: Sequence[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        assert image_size % patch_size == 0, (
            f"Input shape indivisible by patch size! got images of {image_size} and patches of {patch_size} pixels"
        )
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer
        if conv_stem_configs is None:
            patches = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
            _thin_tailed(patches.weight, 3 * patch_size * patch_size)
            zero_offset(patches)
            self.conv_proj: nn.Module = patches
        else:
            self.conv_proj = _stem(conv_stem_configs, hidden_dim)
        self.class_token = nn.Parameter(creation.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
        )
        heads: dict[str, nn.Module] = {}
        if representation_size is not None:
            heads["pre_logits"] = before = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
            _thin_tailed(before.weight, hidden_dim)
            zero_offset(before)
        heads["head"] = last = nn.Linear(representation_size or hidden_dim, num_classes)
        nn.init.zeros_(last.weight)
        zero_offset(last)
        self.heads = nn.Sequential(heads)

    def _process_input(self, x: Tensor) -> Tensor:
        """Images to sequences of patches [N, patches, hidden_dim]."""
        for name, size in (("height", x.shape[2]), ("width", x.shape[3])):
            assert size == self.image_size, f"Wrong image {name}! Expected {self.image_size} but got {size}!"
        return shaping.permute(shaping.flatten(self.conv_proj(x), 2), 0, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        patches = self._process_input(x)
        token = shaping.expand(self.class_token, patches.shape[0], -1, -1)
        return self.heads(self.encoder(joining.cat([token, patches], 1))[:, 0])  # type: ignore[no-any-return]


def _thin_tailed(weight: Tensor, fan_in: int) -> None:
    """LeCun's initial values, cut off at two standard deviations of 1."""
    nn.init.trunc_normal_(weight, std=math.sqrt(1 / fan_in))


def _stem(rows: Sequence[ConvStemConfig], hidden_dim: int) -> nn.Sequential:
    stem = nn.Sequential()
    before = 3
    for number, row in enumerate(rows):
        layer = Conv2dNormActivation(
            before,
            row.out_channels,
            row.kernel_size,
            row.stride,
            norm_layer=row.norm_layer,
            activation_layer=row.activation_layer,
        )
        stem.add_module(f"conv_bn_relu_{number}", layer)
        before = row.out_channels
    last = nn.Conv2d(before, hidden_dim, kernel_size=1)
    nn.init.normal_(last.weight, 0.0, math.sqrt(2.0 / hidden_dim))
    zero_offset(last)
    stem.add_module("conv_last", last)
    return stem


def interpolate_embeddings(
    image_size: int,
    patch_size: int,
    model_state: Mapping[str, Tensor],
    interpolation_mode: str = "bicubic",
    reset_heads: bool = False,
) -> dict[str, Tensor]:
    """A state dict of a vision transformer, made to fit images of another size.

    Parameters
    ----------
    image_size, patch_size
        Pixels a side of the images and patches of the model that will load it.
    model_state
        The state dict; it stays as it is.
    interpolation_mode
        How the grid of positions is resized; a mode of `functional.interpolate`.
    reset_heads
        Whether to leave out what belongs to the classifier.

    Raises
    ------
    ValueError
        The positions are not those of one square grid.

    >>> from numgrad import models
    >>> config = dict(num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16)
    >>> state = models.VisionTransformer(32, 8, **config).state_dict()
    >>> larger = models.VisionTransformer(64, 8, **config)
    >>> larger.load_state_dict(models.vision_transformer.interpolate_embeddings(64, 8, state))
    <All keys matched successfully>
    """
    key = "encoder.pos_embedding"
    state = {name: value for name, value in model_state.items() if not (reset_heads and name.startswith("heads"))}
    positions = state[key]
    if positions.ndim != 3 or positions.shape[0] != 1:
        raise ValueError(f"Unexpected position embedding shape: {list(positions.shape)}, expected [1, L, E]")
    _, length, width = positions.shape
    side, new_side = math.isqrt(length - 1), image_size // patch_size
    if side * side != length - 1:
        raise ValueError(f"the {length - 1} positions of patches are not those of a square grid")
    if new_side != side:
        grid = shaping.reshape(shaping.permute(positions[:, 1:], 0, 2, 1), 1, width, side, side)
        grid = F.interpolate(grid, size=new_side, mode=interpolation_mode, align_corners=True)
        rows = shaping.permute(shaping.flatten(grid, 2), 0, 2, 1)
        state[key] = joining.cat([positions[:, :1], rows], 1)
    return state


class ViT_B_16_Weights(WeightsEnum):
    """Weights of `vit_b_16`."""

    IMAGENET1K_V1 = weights_of("vit_b_16.imagenet1k_v1")
    IMAGENET1K_SWAG_E2E_V1 = weights_of("vit_b_16.imagenet1k_swag_e2e_v1")
    IMAGENET1K_SWAG_LINEAR_V1 = weights_of("vit_b_16.imagenet1k_swag_linear_v1")
    DEFAULT = IMAGENET1K_V1


class ViT_B_32_Weights(WeightsEnum):
    """Weights of `vit_b_32`."""

    IMAGENET1K_V1 = weights_of("vit_b_32.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ViT_L_16_Weights(WeightsEnum):
    """Weights of `vit_l_16`."""

    IMAGENET1K_V1 = weights_of("vit_l_16.imagenet1k_v1")
    IMAGENET1K_SWAG_E2E_V1 = weights_of("vit_l_16.imagenet1k_swag_e2e_v1")
    IMAGENET1K_SWAG_LINEAR_V1 = weights_of("vit_l_16.imagenet1k_swag_linear_v1")
    DEFAULT = IMAGENET1K_V1


class ViT_L_32_Weights(WeightsEnum):
    """Weights of `vit_l_32`."""

    IMAGENET1K_V1 = weights_of("vit_l_32.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ViT_H_14_Weights(WeightsEnum):
    """Weights of `vit_h_14`."""

    IMAGENET1K_SWAG_E2E_V1 = weights_of("vit_h_14.imagenet1k_swag_e2e_v1")
    IMAGENET1K_SWAG_LINEAR_V1 = weights_of("vit_h_14.imagenet1k_swag_linear_v1")
    DEFAULT = IMAGENET1K_SWAG_E2E_V1


def _vit(
    enum: type[WeightsEnum],
    weights: WeightsEnum | str | None,
    progress: bool,
    config: dict[str, Any],
    *sizes: int,
) -> VisionTransformer:
    """`build`, but that the size of the images is that of the weights, and otherwise 224."""
    member = chosen(enum, weights, config, stacklevel=4)
    if member is not None:
        fixed(config, "image_size", member.meta["min_size"][0])
    config.setdefault("image_size", 224)
    return assembled(member, progress, _of_sizes, *sizes, **config)


def _of_sizes(
    patch_size: int, num_layers: int, num_heads: int, hidden_dim: int, mlp_dim: int, image_size: int, **config: Any
) -> VisionTransformer:
    return VisionTransformer(image_size, patch_size, num_layers, num_heads, hidden_dim, mlp_dim, **config)


@register(ViT_B_16_Weights)
def vit_b_16(
    *, weights: ViT_B_16_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """ViT-B/16; ``kwargs`` are arguments of `VisionTransformer`, the others and the errors are those of `resnet18`.

    The size of the images is that of the weights, or image_size, 224 by default.
    """
    return _vit(ViT_B_16_Weights, weights, progress, kwargs, 16, 12, 12, 768, 3072)


@register(ViT_B_32_Weights)
def vit_b_32(
    *, weights: ViT_B_32_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """ViT-B/32; arguments and errors as for `vit_b_16`."""
    return _vit(ViT_B_32_Weights, weights, progress, kwargs, 32, 12, 12, 768, 3072)


@register(ViT_L_16_Weights)
def vit_l_16(
    *, weights: ViT_L_16_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """ViT-L/16; arguments and errors as for `vit_b_16`."""
    return _vit(ViT_L_16_Weights, weights, progress, kwargs, 16, 24, 16, 1024, 4096)


@register(ViT_L_32_Weights)
def vit_l_32(
    *, weights: ViT_L_32_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """ViT-L/32; arguments and errors as for `vit_b_16`."""
    return _vit(ViT_L_32_Weights, weights, progress, kwargs, 32, 24, 16, 1024, 4096)


@register(ViT_H_14_Weights)
def vit_h_14(
    *, weights: ViT_H_14_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """ViT-H/14; arguments and errors as for `vit_b_16`."""
    return _vit(ViT_H_14_Weights, weights, progress, kwargs, 14, 32, 16, 1280, 5120)
