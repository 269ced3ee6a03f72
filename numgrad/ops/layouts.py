"""Copies of operands in the memory layout that a kernel expects, in scratch memory."""

from __future__ import annotations

from typing import Any

from numgrad.errors import DtypeError
from numgrad.kernels.elementwise import plan_elementwise
from numgrad.layout import channels_last_strides, contiguous_strides
from numgrad.runtime.plan import Operand, PlanBuilder


def check_floating(name: str, x: Operand) -> None:
    """Refuse operands that are not of floating point."""
    if not x.spec.dtype.is_floating_point:
        raise unsupported(name, x)


def unsupported(name: str, x: Operand) -> DtypeError:
    """The error for an operand of a dtype that the op does not support."""
    return DtypeError(f"\"{name}\" not implemented for '{x.spec.dtype.torch_name}'; convert with .float() first")


def copied(x: Any) -> Any:
    """The scalar function of a copy."""
    return x


def plan_copy(b: PlanBuilder, source: Operand, target: Operand) -> None:
    """Copy ``source``, broadcast and converted, to ``target``."""
    plan_elementwise(b, "copy", copied, source.code, [source], [target])


def with_strides(b: PlanBuilder, x: Operand, strides: tuple[int, ...]) -> Operand:
    """The operand itself if it has these strides in all axes longer than 1, else a copy that has them."""
    if all(n == 1 or have == want for n, have, want in zip(x.spec.shape, x.spec.strides, strides, strict=True)):
        return x
    copy = b.scratch(x.spec.dtype, x.spec.numel).view(tuple(x.spec.shape), strides)
    plan_copy(b, x, copy)
    return copy


def channels_last(b: PlanBuilder, x: Operand) -> Operand:
    """The operand with its channels last in memory."""
    return with_strides(b, x, channels_last_strides(x.spec.shape))


def contiguous(b: PlanBuilder, x: Operand) -> Operand:
    """In row-major order."""
    return with_strides(b, x, contiguous_strides(x.spec.shape))
