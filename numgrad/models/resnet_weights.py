"""The pretrained weights of the residual networks: one enum for each model, with the entries of `numgrad.weights`."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from numgrad.models.weights import WeightsEnum, weights_of

__all__ = [
    "ResNeXt50_32X4D_Weights",
    "ResNeXt101_32X8D_Weights",
    "ResNeXt101_64X4D_Weights",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "Wide_ResNet50_2_Weights",
    "Wide_ResNet101_2_Weights",
]


class ResNet18_Weights(WeightsEnum):
    """Weights of `resnet18`."""

    IMAGENET1K_V1 = weights_of("resnet18.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ResNet34_Weights(WeightsEnum):
    """Weights of `resnet34`."""

    IMAGENET1K_V1 = weights_of("resnet34.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ResNet50_Weights(WeightsEnum):
    """Weights of `resnet50`."""

    IMAGENET1K_V1 = weights_of("resnet50.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("resnet50.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class ResNet101_Weights(WeightsEnum):
    """Weights of `resnet101`."""

    IMAGENET1K_V1 = weights_of("resnet101.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("resnet101.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class ResNet152_Weights(WeightsEnum):
    """Weights of `resnet152`."""

    IMAGENET1K_V1 = weights_of("resnet152.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("resnet152.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class ResNeXt50_32X4D_Weights(WeightsEnum):
    """Weights of `resnext50_32x4d`."""

    IMAGENET1K_V1 = weights_of("resnext50_32x4d.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("resnext50_32x4d.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class ResNeXt101_32X8D_Weights(WeightsEnum):
    """Weights of `resnext101_32x8d`."""

    IMAGENET1K_V1 = weights_of("resnext101_32x8d.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("resnext101_32x8d.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class ResNeXt101_64X4D_Weights(WeightsEnum):
    """Weights of `resnext101_64x4d`."""

    IMAGENET1K_V1 = weights_of("resnext101_64x4d.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class Wide_ResNet50_2_Weights(WeightsEnum):
    """Weights of `wide_resnet50_2`."""

    IMAGENET1K_V1 = weights_of("wide_resnet50_2.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("wide_resnet50_2.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class Wide_ResNet101_2_Weights(WeightsEnum):
    """Weights of `wide_resnet101_2`."""

    IMAGENET1K_V1 = weights_of("wide_resnet101_2.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("wide_resnet101_2.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2
