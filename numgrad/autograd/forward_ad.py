"""Forward mode: dual tensors carry their tangents through every op that has a forward derivative.

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, direction)
        primal, tangent = forward_ad.unpack_dual(f(dual))

While a level is open, ops pass through `duals` before the engine (`registry.wrap_dispatch`); otherwise they cost nothing
more. Levels nest, and belong to their thread.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from numgrad.autograd import batched, duals
from numgrad.autograd.duals import Level, below, laid_out, state, whole_tangent
from numgrad.registry import find
from numgrad.tensor.tensor import Tensor

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class UnpackedDualTensor(NamedTuple):
    """The result of `unpack_dual`; ``tangent`` is None for a tensor without one at this level.

    >>> import numgrad as ng
    >>> with ng.autograd.forward_ad.dual_level():
    ...     ng.autograd.forward_ad.unpack_dual(ng.ones(1))
    UnpackedDualTensor(primal=tensor([1.]), tangent=None)
    """

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level() -> int:
    """Open a level, in which `make_dual` makes dual tensors, and return its number; the outermost has 0.

    >>> import numgrad as ng
    >>> fwAD = ng.autograd.forward_ad
    >>> level = fwAD.enter_dual_level()
    >>> fwAD.unpack_dual(ng.sin(fwAD.make_dual(ng.zeros(2), ng.ones(2)))).tangent
    tensor([1., 1.])
    >>> fwAD.exit_dual_level(level=level)
    """
    return duals.open_level()


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the innermost level and drop its tangents.

    Raises
    ------
    RuntimeError
        No level is open, or ``level`` is not the innermost.

    >>> import numgrad as ng
    >>> fwAD = ng.autograd.forward_ad
    >>> level = fwAD.enter_dual_level()
    >>> dual = fwAD.make_dual(ng.zeros(2), ng.ones(2))
    >>> fwAD.exit_dual_level()
    """
    current = len(state.levels) - 1
    if current < 0:
        raise RuntimeError("exit_dual_level: no level is open in this thread; enter_dual_level() opens one")
    if level is not None and level != current:
        raise RuntimeError(
            f"Trying to exit a forward AD level that was not the last one that was created. This is not supported; got level "
            f"{level}, the last one is {current}"
        )
    duals.close_level()


class dual_level(duals.opened, contextlib.ContextDecorator):  # noqa: N801 (torch's name)
    """A level for a ``with`` block, which gets its number, or for each call of a decorated function.

    >>> import numgrad as ng
    >>> fwAD = ng.autograd.forward_ad
    >>> with fwAD.dual_level():
    ...     dual = fwAD.make_dual(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 10.0]))
    ...     fwAD.unpack_dual(dual * dual).tangent
    tensor([ 2., 40.])
    """


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A tensor that shares ``tensor``'s memory and graph and has this tangent.

    Parameters
    ----------
    tensor, tangent
        Floating-point tensors of one shape and dtype.
    level
        Number of the level; default: the innermost.

    Raises
    ------
    RuntimeError
        No level is open, the tensor is already dual at this level, or shapes or dtypes differ.
    ValueError
        A tensor is not a floating-point tensor.

    >>> import numgrad as ng
    >>> fwAD = ng.autograd.forward_ad
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(ng.tensor(3.0), ng.tensor(1.0))
    ...     fwAD.unpack_dual(x**3)
    UnpackedDualTensor(primal=tensor(27.), tangent=tensor(27.))
    """
    where = _at(level)
    if where is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not isinstance(value, Tensor):
            raise TypeError(f"make_dual: Expected {name} to be a Tensor, but got {type(value).__name__}")
        if not value.is_floating_point():
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    if tangent.shape != tensor.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    if tangent.dtype is not tensor.dtype:
        raise RuntimeError(f"make_dual: the tangent is of {tangent.dtype}, expected {tensor.dtype} as the tensor is")
    number = state.levels.index(where)
    inside = batched.deepest([tensor])
    if inside is not None and inside.number > where.number:
        raise RuntimeError(
            f"make_dual: level {number} is outside of the vmap that the tensor is of; open a level inside of it"
        )
    if whole_tangent(where, tensor) is not None:
        raise RuntimeError(
            f"Making a dual Tensor based on a Tensor that already has a forward gradient at the same level {number} is not "
            "supported."
        )
    with below(number):
        dual: Tensor = find("permute")(tensor, dims=tuple(range(tensor.ndim)))
        where.set(dual, laid_out(find("clone")(tangent), dual))  # a copy, since changes in place will write to it
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """``(primal, tangent)`` of a tensor; the tangent is None if the tensor has none at this level.

    >>> import numgrad as ng
    >>> ng.autograd.forward_ad.unpack_dual(ng.ones(2))
    UnpackedDualTensor(primal=tensor([1., 1.]), tangent=None)
    """
    where = _at(level)
    tangent = None if where is None else whole_tangent(where, tensor)
    if where is None or tangent is None:
        return UnpackedDualTensor(tensor, None)
    with below(state.levels.index(where)):
        if tensor.requires_grad or any(whole_tangent(lower, tensor) is not None for lower in state.levels):
            primal = find("permute")(tensor, dims=tuple(range(tensor.ndim)))
        else:
            primal = tensor.detach()
    return UnpackedDualTensor(primal, tangent)


def _at(level: int | None) -> Level | None:
    levels = state.levels
    if level is None:
        return levels[-1] if levels else None
    if not 0 <= level < len(levels):
        raise RuntimeError(f"forward AD level {level} is not open; {len(levels)} levels are")
    return levels[level]
