"""Optimizer steps over many tensors at once; see `numgrad.tensor.updates`, which builds the tables."""

from __future__ import annotations

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.update import Pieces, grain_of, plan_adam, plan_sgd
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

__all__ = ["Pieces", "adam", "grain_of", "sgd"]

sgd = Op(
    "sgd",
    ("table", "hyper"),
    {"dtype": dtypes.float32, "grain": 1},
    outputs=(),
    public=0,
    differentiable=False,
    doc="One step of SGD with momentum for all tensors in a table of addresses.",
)


@sgd.plan
def _(b: PlanBuilder, table: Operand, hyper: Operand, dtype: Dtype, grain: int) -> None:
    plan_sgd(b, b.changes(table), hyper, dtype, grain)


adam = Op(
    "adam",
    ("table", "hyper", "state"),
    {"dtype": dtypes.float32, "grain": 1},
    outputs=(),
    public=0,
    differentiable=False,
    doc="One step of Adam or AdamW for all tensors in a table of addresses.",
)


@adam.plan
def _(b: PlanBuilder, table: Operand, hyper: Operand, state: Operand, dtype: Dtype, grain: int) -> None:
    plan_adam(b, table, hyper, b.changes(state), dtype, grain)
