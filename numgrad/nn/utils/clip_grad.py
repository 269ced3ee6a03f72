"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

from numgrad.autograd import no_grad
from numgrad.errors import warn
from numgrad.tensor import arguments, clamping, creation, joining, pointwise, reductions
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import plan_copy, plan_scale


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [
        grad for parameter in tensors if (grad := check_tensor("clip_grad", "parameters", parameter)._grad) is not None
    ]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as if they were one vector; ``norm_type`` is a number or inf, ``foreach`` without effect.

    Raises
    ------
    RuntimeError
        ``error_if_nonfinite`` is True and the norm is NaN or infinite.

    >>> import numgrad as ng
    >>> get_total_norm([ng.tensor([3.0]), ng.tensor([4.0])])
    tensor(5.)
    """
    with no_grad():
        each = [tensors] if isinstance(tensors, Tensor) else tensors
        norms = [reductions.norm(tensor, norm_type) for tensor in each]
        if not norms:
            return creation.tensor(0.0)
        total = reductions.norm(joining.stack(norms), norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To "
            "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients in place so that together they have at most the norm ``max_norm``; ``foreach`` is without effect.

    Returns
    -------
    Tensor
        The norm before scaling.

    Raises
    ------
    RuntimeError
        As for `get_total_norm`; no gradient has been changed.

    >>> import numgrad as ng
    >>> x = ng.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_norm_([x], 1.0), x.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, float(norm_type), error_if_nonfinite)
    _scale_down(gradients, max_norm, total)
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients in place by max_norm / total_norm if that is less than 1; ``foreach`` is without effect.

    >>> import numgrad as ng
    >>> x = ng.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grads_with_norm_([x], 1.0, ng.tensor(10.0))
    >>> x.grad
    tensor([0.3000, 0.4000])
    """
    _scale_down(_gradients(parameters), max_norm, total_norm)


def _scale_down(gradients: list[Tensor], max_norm: float, total: Tensor) -> None:
    with no_grad():
        scale = clamping.clamp(pointwise.div(float(max_norm), pointwise.add(total, 1e-6)), max=1.0)
        changes = Changes()
        for gradient in gradients:
            plan_scale(changes, gradient, arguments.cast(scale, gradient.dtype))
        changes.make()


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """`clip_grad_norm_` by its older name, of which it warns.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     clip_grad_norm([], 1.0)
    tensor(0.)
    """
    warn(
        "`numgrad.nn.utils.clip_grad_norm` is now deprecated in favor of `numgrad.nn.utils.clip_grad_norm_`.",
        FutureWarning,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of every gradient, in place, to [-clip_value, clip_value]; ``foreach`` is without effect.

    >>> import numgrad as ng
    >>> x = ng.tensor([3.0, -0.1], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> clip_grad_value_([x], 1.0)
    >>> x.grad
    tensor([ 1.0000, -0.2000])
    """
    bound = float(clip_value)
    with no_grad():
        changes = Changes()
        for gradient in _gradients(parameters):
            plan_copy(changes, gradient, clamping.clamp(gradient, -bound, bound))
        changes.make()


__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]
