"""A recipe for the process that compiles ahead of a program (`runtime.ahead`): the step of an optimizer that was made."""

from __future__ import annotations

import inspect
from typing import Any

from numgrad import optim
from numgrad.runtime.ahead import told
from numgrad.tensor.creation import zeros


def step(optimizer: str, options: Any, dtypes: Any) -> None:
    """A step of numgrad's optimizer of this name, with options as (name, value), for a matrix of each dtype."""
    parameters = [zeros(2, 2, dtype=dtype, requires_grad=True) for dtype in told(dtypes)]
    for parameter in parameters:
        parameter.grad = zeros(2, 2, dtype=parameter.dtype)
    chosen = getattr(optim, optimizer)
    accepted = inspect.signature(chosen).parameters
    chosen(parameters, **{name: value for name, value in told(options) if name in accepted}).step()
