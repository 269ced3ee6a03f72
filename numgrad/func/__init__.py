"""Transforms of functions, after ``torch.func``: `grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`, `vmap` and others."""

from __future__ import annotations

from numgrad.autograd.stateless import functional_call, stack_module_state
from numgrad.func.batching import vmap
from numgrad.func.transforms import (
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)
from numgrad.tensor.surface import guard as _guard

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "stack_module_state",
    "value_and_grad",
    "vjp",
    "vmap",
]

_guard(globals(), __all__)
