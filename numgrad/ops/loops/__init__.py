"""Functions with loops as ops: the sweeps that `adjoint.translate` writes, planned, recorded and differentiated again."""

from numgrad.ops.loops.program import DifferentiableOp, Program

__all__ = ["DifferentiableOp", "Program"]
