"""Gradients, with torch's names: `backward` and `grad`, `Function`, grad modes, forward mode, hooks, and `gradcheck`."""

from __future__ import annotations

from numgrad.autograd import forward_ad, functional, graph
from numgrad.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from numgrad.autograd.function import Function, once_differentiable
from numgrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from numgrad.autograd.gradients import backward, grad
from numgrad.autograd.inference import inference_mode, is_inference_mode_enabled
from numgrad.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from numgrad.autograd.variable import Variable
from numgrad.tensor.surface import guard as _guard

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]

_guard(globals(), ("backward", "grad", "gradcheck", "gradgradcheck"))
