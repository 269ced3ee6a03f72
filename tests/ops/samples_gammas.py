"""Rows of the ops that draw gamma numbers; what they draw, and its gradient, is tested by tests/distributions."""

from __future__ import annotations

from tests.ops.rows import bad, constant, good, integers, normal, uniform

_STATE = constant([9, 0], "int64")

good("standard_gamma", "many", uniform(2.5, 2.5, 60_001), _STATE, changes=(1,), moments=True)
good(
    "standard_gamma", "logarithms", uniform(0.5, 0.5, 60_001), _STATE, params={"logarithm": True}, changes=(1,), moments=True,
)  # fmt: skip
bad(
    "standard_gamma",
    "ints",
    integers(1, 9, 3),
    constant([0, 0], "int64"),
    error=RuntimeError,
    match="not implemented for",
)
bad(
    "standard_gamma", "period", uniform(1, 2, 3), constant([0, 0], "int64"), params={"period": -1}, error=ValueError,
    match="standard_gamma: period is -1",
)  # fmt: skip

# Both sides of the median, concentrations below and above where the series ends.
good("log_gamma_slope", "matrix", uniform(0.3, 4.0, 3, 4), uniform(-2.0, 2.0, 3, 4))
good("log_gamma_slope", "far", uniform(25.0, 30.0, 3, 4), uniform(3.0, 3.6, 3, 4))
good("log_gamma_slope", "empty", uniform(0.3, 4.0, 0, 4), normal(4))
good("log_gamma_slope", "small", constant([0.001, 0.001, 0.01, 1.0]), constant([-600.0, -2000.0, 1.0, -30.0]))
bad(
    "log_gamma_slope",
    "shapes",
    normal(2, 3),
    normal(4),
    error=RuntimeError,
    match="log_gamma_slope: The size of tensor a",
)
