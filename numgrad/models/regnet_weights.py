"""The pretrained weights of the RegNets: one enum for each model, with the entries of `numgrad.weights`."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from numgrad.models.weights import WeightsEnum, weights_of

__all__ = [
    "RegNet_X_1_6GF_Weights",
    "RegNet_X_3_2GF_Weights",
    "RegNet_X_8GF_Weights",
    "RegNet_X_16GF_Weights",
    "RegNet_X_32GF_Weights",
    "RegNet_X_400MF_Weights",
    "RegNet_X_800MF_Weights",
    "RegNet_Y_1_6GF_Weights",
    "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_8GF_Weights",
    "RegNet_Y_16GF_Weights",
    "RegNet_Y_32GF_Weights",
    "RegNet_Y_128GF_Weights",
    "RegNet_Y_400MF_Weights",
    "RegNet_Y_800MF_Weights",
]


class RegNet_Y_400MF_Weights(WeightsEnum):
    """Weights of `regnet_y_400mf`."""

    IMAGENET1K_V1 = weights_of("regnet_y_400mf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_y_400mf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_800MF_Weights(WeightsEnum):
    """Weights of `regnet_y_800mf`."""

    IMAGENET1K_V1 = weights_of("regnet_y_800mf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_y_800mf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_1_6GF_Weights(WeightsEnum):
    """Weights of `regnet_y_1_6gf`."""

    IMAGENET1K_V1 = weights_of("regnet_y_1_6gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_y_1_6gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_3_2GF_Weights(WeightsEnum):
    """Weights of `regnet_y_3_2gf`."""

    IMAGENET1K_V1 = weights_of("regnet_y_3_2gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_y_3_2gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_8GF_Weights(WeightsEnum):
    """Weights of `regnet_y_8gf`."""

    IMAGENET1K_V1 = weights_of("regnet_y_8gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_y_8gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_16GF_Weights(WeightsEnum):
    """Weights of `regnet_y_16gf`."""

    IMAGENET1K_V1 = weights_of("regnet_y_16gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_y_16gf.imagenet1k_v2")
    IMAGENET1K_SWAG_E2E_V1 = weights_of("regnet_y_16gf.imagenet1k_swag_e2e_v1")
    IMAGENET1K_SWAG_LINEAR_V1 = weights_of("regnet_y_16gf.imagenet1k_swag_linear_v1")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_32GF_Weights(WeightsEnum):
    """Weights of `regnet_y_32gf`."""

    IMAGENET1K_V1 = weights_of("regnet_y_32gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_y_32gf.imagenet1k_v2")
    IMAGENET1K_SWAG_E2E_V1 = weights_of("regnet_y_32gf.imagenet1k_swag_e2e_v1")
    IMAGENET1K_SWAG_LINEAR_V1 = weights_of("regnet_y_32gf.imagenet1k_swag_linear_v1")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_128GF_Weights(WeightsEnum):
    """Weights of `regnet_y_128gf`."""

    IMAGENET1K_SWAG_E2E_V1 = weights_of("regnet_y_128gf.imagenet1k_swag_e2e_v1")
    IMAGENET1K_SWAG_LINEAR_V1 = weights_of("regnet_y_128gf.imagenet1k_swag_linear_v1")
    DEFAULT = IMAGENET1K_SWAG_E2E_V1


class RegNet_X_400MF_Weights(WeightsEnum):
    """Weights of `regnet_x_400mf`."""

    IMAGENET1K_V1 = weights_of("regnet_x_400mf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_x_400mf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_800MF_Weights(WeightsEnum):
    """Weights of `regnet_x_800mf`."""

    IMAGENET1K_V1 = weights_of("regnet_x_800mf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_x_800mf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_1_6GF_Weights(WeightsEnum):
    """Weights of `regnet_x_1_6gf`."""

    IMAGENET1K_V1 = weights_of("regnet_x_1_6gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_x_1_6gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_3_2GF_Weights(WeightsEnum):
    """Weights of `regnet_x_3_2gf`."""

    IMAGENET1K_V1 = weights_of("regnet_x_3_2gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_x_3_2gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_8GF_Weights(WeightsEnum):
    """Weights of `regnet_x_8gf`."""

    IMAGENET1K_V1 = weights_of("regnet_x_8gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_x_8gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_16GF_Weights(WeightsEnum):
    """Weights of `regnet_x_16gf`."""

    IMAGENET1K_V1 = weights_of("regnet_x_16gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_x_16gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_32GF_Weights(WeightsEnum):
    """Weights of `regnet_x_32gf`."""

    IMAGENET1K_V1 = weights_of("regnet_x_32gf.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("regnet_x_32gf.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2
