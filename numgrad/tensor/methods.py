"""`Methods`, the base of Tensor to which `surface.public` adds the methods that are functions; methods.pyi lists them."""

from __future__ import annotations


class Methods:
    """A base of Tensor, whose methods are the public functions themselves."""

    __slots__ = ()
