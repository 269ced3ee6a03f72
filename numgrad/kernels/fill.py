"""Filling memory with one value, or with numbers in a row."""

from __future__ import annotations

from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


@kernel("T[:], T")
def fill(out, value, start, stop):
    out = out[start:stop]
    for i in range(out.shape[0]):
        out[i] = value


@kernel("T[:], f8, f8")
def ramp(out, first, step, start, stop):
    for i in range(start, stop):
        out[i] = first + i * step


@kernel("T[:], i8, i8")
def integer_ramp(out, first, step, start, stop):
    for i in range(start, stop):
        out[i] = first + i * step


def plan_fill(b: PlanBuilder, out: Operand, value: float) -> None:
    """Write ``value`` into all of a dense operand."""
    b.launch(fill, out.flat, value, work=out.extent, grain=GRAIN_COST)


def plan_ramp(b: PlanBuilder, out: Operand, first: float, step: float) -> None:
    """Write first, first + step, … into a contiguous operand; each value is computed on its own, so errors don't add up."""
    chosen = ramp if out.spec.dtype.is_floating_point else integer_ramp
    b.launch(chosen, out.flat, first, step, work=out.extent, grain=GRAIN_COST)
