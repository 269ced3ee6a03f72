"""`functional_call` at its older address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numgrad.autograd import stateless
from numgrad.errors import warn
from numgrad.nn.module import Module
from numgrad.nn.parallel import DataParallel
from numgrad.tensor.tensor import Tensor

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`numgrad.func.functional_call`, which is the better address, as a warning says.

    Raises
    ------
    RuntimeError
        The module is a `DataParallel`; or as there.

    >>> import warnings
    >>> import numgrad as ng
    >>> weights = {"weight": ng.ones(1, 2), "bias": ng.zeros(1)}
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     functional_call(ng.nn.Linear(2, 1), weights, ng.tensor([3.0, 4.0]))
    tensor([7.])
    """
    warn(
        "`numgrad.nn.utils.stateless.functional_call` is deprecated. Please use `numgrad.func.functional_call` instead which is "
        "a drop-in replacement.",
        FutureWarning,
    )
    if isinstance(module, DataParallel):
        raise RuntimeError("The stateless API can't be used with nn.DataParallel module")
    return stateless.functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )
