"""Functions with loops as ops: the sweeps that `numgrad.loops` writes, planned, recorded and differentiated again."""

from numgrad.ops.loops.differentiable_op import DifferentiableOp
from numgrad.ops.loops.program import Program
from numgrad.ops.loops.sweep_op import Case

__all__ = ["Case", "DifferentiableOp", "Program"]
