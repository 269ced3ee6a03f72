"""Pruning: parameters of which a part is held at 0 by a mask.

A pruned parameter ``name`` is learnt as ``name_orig``; the buffer ``name_mask`` has the mask, and before each forward the
attribute ``name`` becomes their product.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from numgrad.nn.module import Module
from numgrad.nn.utils import pruning_methods
from numgrad.nn.utils.convert_parameters import parameters_to_vector
from numgrad.nn.utils.pruning_methods import (
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    RandomStructured,
    RandomUnstructured,
    combined_mask,
)
from numgrad.nn.utils.pruning_methods import PruningContainer as PruningContainer
from numgrad.tensor import creation, shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]
__all__ += pruning_methods.__all__

_M = TypeVar("_M", bound=Module)


def identity(module: _M, name: str) -> _M:
    """Give a parameter the names and the hook of a pruned one, prune nothing, and return the module.

    >>> from numgrad import nn
    >>> [name for name, _ in identity(nn.Linear(2, 3), "weight").named_buffers()]
    ['weight_mask']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: _M, name: str, amount: float) -> _M:
    """Prune elements of a parameter that are drawn, a number or a part of them, and return the module.

    Raises
    ------
    ValueError, TypeError
        The amount is not a number of elements, nor between 0 and 1.

    >>> from numgrad import nn
    >>> random_unstructured(nn.Linear(2, 4), "bias", amount=0.5).bias_mask.sum()
    tensor(2.)
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: _M, name: str, amount: float, importance_scores: Tensor | None = None) -> _M:
    """Prune the elements of a parameter (or of its scores) of the smallest magnitudes, and return the module.

    Raises
    ------
    ValueError, TypeError
        The amount is not a number of elements, nor between 0 and 1.

    >>> from numgrad import nn
    >>> l1_unstructured(nn.Linear(2, 4), "bias", amount=3).bias_mask.sum()
    tensor(1.)
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: _M, name: str, amount: float, dim: int) -> _M:
    """Prune slices of a parameter along ``dim``, which are drawn, and return the module.

    Raises
    ------
    ValueError, TypeError
        The amount is not a number of slices, nor between 0 and 1; or the parameter has fewer than two dimensions.
    IndexError
        There is no such dimension.

    >>> from numgrad import nn
    >>> random_structured(nn.Linear(2, 4), "weight", amount=3, dim=0).weight_mask.sum()
    tensor(2.)
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: _M, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> _M:
    """Prune the slices of a parameter along ``dim`` of the smallest n-norms, and return the module.

    Raises
    ------
    ValueError, TypeError
        The amount is not a number of slices, nor between 0 and 1; or the parameter has fewer than two dimensions.
    IndexError
        There is no such dimension.

    >>> from numgrad import nn
    >>> ln_structured(nn.Linear(2, 4), "weight", amount=0.5, n=2, dim=0).weight_mask.sum()
    tensor(4.)
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: _M, name: str, mask: Tensor) -> _M:
    """Prune a parameter by a mask of its shape, and return the module.

    >>> import numgrad as ng
    >>> custom_from_mask(ng.nn.Linear(2, 2), "bias", ng.tensor([0, 1])).bias_mask
    tensor([0., 1.])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune elements of several parameters as if they were one.

    Parameters
    ----------
    parameters
        Pairs of module and name.
    pruning_method
        A class of type 'unstructured'.
    importance_scores
        What decides instead of a parameter's values, by module and name.
    kwargs
        Arguments of the class.

    Raises
    ------
    TypeError
        An argument has another type, or the class is not of type 'unstructured'.

    >>> import numgrad as ng
    >>> layer = ng.nn.Linear(3, 3)
    >>> global_unstructured([(layer, "weight"), (layer, "bias")], L1Unstructured, amount=10)
    >>> layer.weight_mask.sum() + layer.bias_mask.sum()
    tensor(2.)
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    pairs = list(parameters)
    values = parameters_to_vector(
        [scores.get((module, name), getattr(module, name)).detach() for module, name in pairs]
    )
    masks = [
        getattr(module, f"{name}_mask", creation.ones_like(getattr(module, name).detach())) for module, name in pairs
    ]
    combined = combined_mask(method, values, parameters_to_vector(masks))
    begin = 0
    for (module, name), mask in zip(pairs, masks, strict=True):
        piece = shaping.narrow(combined, 0, begin, mask.numel())
        custom_from_mask(module, name, shaping.clone(shaping.reshape(piece, mask.shape)))
        begin += mask.numel()


def remove(module: _M, name: str) -> _M:
    """Make the pruning of a parameter permanent, and return the module.

    Raises
    ------
    ValueError
        The parameter is not pruned.

    >>> from numgrad import nn
    >>> layer = remove(l1_unstructured(nn.Linear(2, 4), "bias", amount=3), "bias")
    >>> sorted(name for name, _ in layer.named_parameters()), layer.bias.count_nonzero()
    (['bias', 'weight'], tensor(1))
    """
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[number]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Whether a parameter of a module, or of one below it, is pruned.

    >>> from numgrad import nn
    >>> is_pruned(nn.Linear(2, 4)), is_pruned(identity(nn.Linear(2, 4), "bias"))
    (False, True)
    """
    return any(
        isinstance(hook, BasePruningMethod) for each in module.modules() for hook in each._forward_pre_hooks.values()
    )
