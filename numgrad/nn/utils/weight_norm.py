"""Weights that are learnt as a length and a direction: Salimans and Kingma, 2016; as a hook, the older form."""

from __future__ import annotations

from typing import Any, TypeVar

from numgrad.errors import warn
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter, is_lazy
from numgrad.tensor import arguments, pointwise, reductions
from numgrad.tensor.tensor import Tensor

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]

_M = TypeVar("_M", bound=Module)


def norm_except_dim(weight: Tensor, dim: int) -> Tensor:
    """The lengths of the slices along ``dim``, with as many dimensions as the weight; -1: the length of all of it.

    >>> import numgrad as ng
    >>> norm_except_dim(ng.tensor([[3.0, 4.0], [6.0, 8.0]]), 0)
    tensor([[ 5.],
            [10.]])
    """
    if dim == -1:
        return reductions.norm(weight)
    axis = arguments.wrap_dim("norm_except_dim", dim, weight.ndim)
    others = [each for each in range(weight.ndim) if each != axis]
    return reductions.norm(weight, 2, others, keepdim=True) if others else weight.abs()


def normed(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """The weight of direction v and lengths g.

    >>> import numgrad as ng
    >>> normed(ng.tensor([[3.0, 4.0]]), ng.tensor([[1.0]]), 0)
    tensor([[0.6000, 0.8000]])
    """
    return pointwise.mul(v, pointwise.div(g, norm_except_dim(v, dim)))


class WeightNorm:
    """The hook that computes a module's weight from its length and its direction before each forward.

    >>> WeightNorm("weight", 0).name
    'weight'
    """

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight."""
        return normed(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        """Put the hook on a module; see `weight_norm`."""
        warn(
            "`numgrad.nn.utils.weight_norm` is deprecated in favor of `numgrad.nn.utils.parametrizations.weight_norm`.",
            FutureWarning,
        )
        if any(isinstance(hook, WeightNorm) and hook.name == name for hook in module._forward_pre_hooks.values()):
            raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy forward "
                "before applying weight normalization"
            )
        lengths = norm_except_dim(weight.detach(), hook.dim)
        del module._parameters[name]
        module.register_parameter(f"{name}_g", Parameter(lengths))
        module.register_parameter(f"{name}_v", Parameter(weight.detach()))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Module) -> None:
        """Give the module its weight back."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[f"{self.name}_g"]
        del module._parameters[f"{self.name}_v"]
        setattr(module, self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: _M, name: str = "weight", dim: int | None = 0) -> _M:
    """Learn a module's weight as its length ``<name>_g`` and its direction ``<name>_v``, and return the module.

    `parametrizations.weight_norm` is the better form, as a warning says.

    Parameters
    ----------
    module
        The module.
    name
        The name of the parameter.
    dim
        The dimension along which each slice has a length of its own; None: all of the weight has one.

    Raises
    ------
    RuntimeError
        The parameter has such a norm already.
    ValueError
        The parameter has no shape yet.

    >>> import warnings
    >>> from numgrad import nn
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = weight_norm(nn.Linear(2, 3))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: _M, name: str = "weight") -> _M:
    """Give a module its weight back as one parameter, and return the module.

    Raises
    ------
    ValueError
        It has no `weight_norm` of this name.

    >>> import warnings
    >>> from numgrad import nn
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = weight_norm(nn.Linear(2, 3))
    >>> [name for name, _ in remove_weight_norm(layer).named_parameters()]
    ['bias', 'weight']
    """
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[number]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
