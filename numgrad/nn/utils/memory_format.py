"""Weights of convolutions in another layout."""

from __future__ import annotations

from typing import Any, TypeVar

from numgrad.nn.conv import Conv2d
from numgrad.nn.convolutions import Conv3d, ConvTranspose2d, ConvTranspose3d
from numgrad.nn.module import Module
from numgrad.tensor import shaping

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

_M = TypeVar("_M", bound=Module)


def _converted(module: _M, memory_format: Any, kinds: tuple[type[Module], ...]) -> _M:
    for each in module.modules():
        if isinstance(each, kinds):
            each.weight.data = shaping.contiguous(each.weight.detach(), memory_format)
    return module


def convert_conv2d_weight_memory_format(module: _M, memory_format: Any) -> _M:
    """Lay out the weights of all two-dimensional convolutions of a tree in a memory format, and return the module.

    >>> import numgrad as ng
    >>> layer = convert_conv2d_weight_memory_format(ng.nn.Conv2d(8, 4, 3), ng.channels_last)
    >>> layer.weight.is_contiguous(memory_format=ng.channels_last)
    True
    """
    return _converted(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: _M, memory_format: Any) -> _M:
    """Lay out the weights of all three-dimensional convolutions of a tree in a memory format, and return the module.

    >>> import numgrad as ng
    >>> layer = convert_conv3d_weight_memory_format(ng.nn.Conv3d(8, 4, 3), ng.contiguous_format)
    >>> layer.weight.is_contiguous()
    True
    """
    return _converted(module, memory_format, (Conv3d, ConvTranspose3d))
