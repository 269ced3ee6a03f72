"""Gradients: `backward`, `grad`, `Function`, hooks, modes, and `gradcheck`."""

from __future__ import annotations

from numgrad.autograd import graph
from numgrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from numgrad.autograd.gradients import backward, grad
from numgrad.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from numgrad.tensor.tensor import Tensor as Variable

__all__ = [
    "GradcheckError",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
