"""The methods of Tensor that are functions: `surface.public` puts them here. What there is, methods.pyi says."""

from __future__ import annotations


class Methods:
    """A base of Tensor, whose methods are the public functions themselves."""

    __slots__ = ()
