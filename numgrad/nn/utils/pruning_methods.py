"""The ways of pruning: classes that compute a mask, and the hook that applies it; `prune` has the functions.

A pruned parameter ``name`` is learnt as ``name_orig``; the buffer ``name_mask`` has the mask, and before each forward the
attribute ``name`` becomes their product.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from numgrad.nn.module import Module
from numgrad.tensor import arguments, creation, pointwise, random, reductions, shaping, sorting
from numgrad.tensor.tensor import Tensor

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
]


class BasePruningMethod(ABC):
    """A way of pruning, and the hook that applies the mask before each forward. A subclass defines `compute_mask`.

    ``PRUNING_TYPE`` says what a further pruning of the same parameter looks at: 'unstructured' at the elements that are left,
    'structured' at the slices along ``dim`` that are left, 'global' at everything.

    >>> from numgrad import nn
    >>> class EveryOther(BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         mask = default_mask.clone()
    ...         mask.view(-1)[::2] = 0
    ...         return mask
    >>> layer = nn.Linear(2, 2)
    >>> EveryOther.apply(layer, "bias").PRUNING_TYPE
    'unstructured'
    >>> layer.bias_mask
    tensor([0., 1.])
    """

    PRUNING_TYPE = ""
    _tensor_name: str | None = None

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, str(self._tensor_name), self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for a tensor of importance scores, 1 for what is left; ``default_mask`` is the one before."""

    def apply_mask(self, module: Module) -> Tensor:
        """The pruned parameter of a module."""
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        mask, original = (getattr(module, f"{self._tensor_name}_{suffix}") for suffix in ("mask", "orig"))
        return pointwise.mul(arguments.cast(mask, original.dtype), original)

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune a parameter, and let a hook keep it so. A parameter that is pruned is pruned further.

        Parameters
        ----------
        module
            The module.
        name
            The name of the parameter.
        args, kwargs
            Arguments of the class.
        importance_scores
            What decides instead of the parameter's values; of its shape.

        Raises
        ------
        AssertionError
            The scores have another shape.
        ValueError, TypeError, IndexError
            As the class. The module is unchanged.
        """
        own = [
            (number, hook)
            for number, hook in module._forward_pre_hooks.items()
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
        ]
        if len(own) > 1:
            raise AssertionError(
                f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}. Use a PruningContainer."
            )
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        original = getattr(module, name)
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}, got "
                f"{importance_scores.shape if importance_scores is not None else None} vs {original.shape}"
            )
        if own:
            earlier = own[0][1]
            before = earlier if isinstance(earlier, PruningContainer) else PruningContainer(earlier)
            default = shaping.clone(getattr(module, f"{name}_mask").detach())
            mask = combined_mask(method, scores.detach(), default)
            before.add_pruning_method(method)
            method = before
            del module._forward_pre_hooks[own[0][0]]
        else:
            mask = method.compute_mask(scores.detach(), default_mask=creation.ones_like(original.detach()))
            module.register_parameter(f"{name}_orig", original)
            del module._parameters[name]
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A tensor, pruned; ``default_mask`` is what is left of it before."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as tensor t, got {scores.shape} vs {t.shape}"
            )
        mask = creation.ones_like(t.detach()) if default_mask is None else default_mask
        return pointwise.mul(t, self.compute_mask(scores, default_mask=mask))

    def remove(self, module: Module) -> None:
        """Make the pruning permanent: the parameter is an ordinary one again, with the zeros that it has."""
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        name = self._tensor_name
        weight = self.apply_mask(module).detach()
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters[f"{name}_orig"]
        assert original is not None
        original.data = weight
        del module._parameters[f"{name}_orig"]
        del module._buffers[f"{name}_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several ways of pruning one parameter, one after the other.

    >>> len(PruningContainer())
    0
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Add a further way.

        Raises
        ------
        TypeError
            It is no way of pruning.
        ValueError
            It is one of another parameter.
        """
        if method is None:
            return
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named '{self._tensor_name}' to PruningContainer {self}. "
                f"Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of the last way, of what the ones before it left."""
        return combined_mask(self._pruning_methods[-1], t, default_mask)


def combined_mask(method: BasePruningMethod, t: Tensor, mask: Tensor) -> Tensor:
    """The mask of a further pruning of what ``mask`` left.

    >>> import numgrad as ng
    >>> combined_mask(L1Unstructured(1), ng.tensor([1.0, 2.0, 3.0]), ng.tensor([0.0, 1.0, 1.0]))
    tensor([0., 0., 1.])
    """
    index: Any
    if method.PRUNING_TYPE == "unstructured":
        index = mask == 1
    elif method.PRUNING_TYPE == "structured":
        dim = getattr(method, "dim", None)
        if dim is None:
            raise AttributeError(
                'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
            )
        axis = dim + t.ndim if dim < 0 else dim
        if axis < 0:
            raise IndexError(f"Index is out of bounds for tensor with dimensions {t.ndim}")
        kept = reductions.sum(mask, [each for each in range(t.ndim) if each != axis]) != 0
        index = tuple(kept if each == axis else slice(None) for each in range(t.ndim))
    elif method.PRUNING_TYPE == "global":
        index = (slice(None),) * t.ndim
    else:
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
    part = method.compute_mask(t[index], default_mask=mask[index])
    combined = shaping.clone(arguments.cast(mask, t.dtype))
    combined[index] = arguments.cast(part, t.dtype)
    return combined


class Identity(BasePruningMethod):
    """Prunes nothing; for the names and the hook alone.

    >>> import numgrad as ng
    >>> Identity().prune(ng.ones(2))
    tensor([1., 1.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask before."""
        return default_mask


class _OfAmount(BasePruningMethod):
    """Prunes an amount: a number of elements or slices, or a part of them, between 0 and 1."""

    amount: float
    is_count: bool  # whether the amount is a number of elements, and not a part

    def __init__(self, amount: Any) -> None:
        if not isinstance(amount, (int, float, np.number)):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        self.is_count = isinstance(amount, (int, np.integer))
        if amount < 0 or (not self.is_count and amount > 1.0):
            raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")
        self.amount = amount  # type: ignore[assignment]

    def _count(self, size: int) -> int:
        """How many of ``size`` are pruned."""
        if not self.is_count:
            return round(self.amount * size)
        if self.amount > size:
            raise ValueError(f"amount={self.amount} should be smaller than the number of parameters to prune={size}")
        return int(self.amount)


def _without(mask: Tensor, scores: Tensor, count: int, largest: bool) -> Tensor:
    """A mask without the ``count`` elements of the largest or smallest scores."""
    mask = shaping.clone(mask)
    if count:
        chosen = sorting.topk(shaping.reshape(scores, -1), count, largest=largest)[1]
        shaping.view(mask, -1)[chosen] = 0
    return mask


class RandomUnstructured(_OfAmount):
    """Prunes elements that are drawn.

    >>> import numgrad as ng
    >>> RandomUnstructured(2).prune(ng.ones(5)).sum()
    tensor(3.)
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask before, without elements that are drawn."""
        count = self._count(t.numel())
        return _without(default_mask, random.rand(t.numel()), count, True) if count else shaping.clone(default_mask)


class L1Unstructured(_OfAmount):
    """Prunes the elements of the smallest magnitudes.

    >>> import numgrad as ng
    >>> L1Unstructured(2).prune(ng.tensor([1.0, -2.0, 3.0]))
    tensor([0., -0., 3.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask before, without the elements of the smallest magnitudes."""
        return _without(default_mask, t.abs(), self._count(t.numel()), False)

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Module, name: str, amount: float, importance_scores: Tensor | None = None
    ) -> BasePruningMethod:
        """See `l1_unstructured`."""
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class _Structured(_OfAmount):
    """Prunes slices along ``dim``."""

    PRUNING_TYPE = "structured"
    dim: int

    def _pruned(self, t: Tensor) -> int:
        """How many slices are pruned."""
        if t.ndim <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
                f"{t.shape} with {t.ndim} dims"
            )
        if self.dim >= t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        return self._count(t.shape[self.dim])

    def _mask(self, t: Tensor, index: Tensor, default_mask: Tensor) -> Tensor:
        """The mask before, of the chosen slices alone."""
        axis = self.dim % t.ndim
        mask = creation.zeros_like(t.detach())
        mask[tuple(index if each == axis else slice(None) for each in range(t.ndim))] = 1
        return pointwise.mul(mask, arguments.cast(default_mask, mask.dtype))


class RandomStructured(_Structured):
    """Prunes slices along a dimension, which are drawn.

    >>> import numgrad as ng
    >>> RandomStructured(1, dim=0).prune(ng.ones(3, 2)).sum()
    tensor(4.)
    """

    def __init__(self, amount: float, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask before, without slices that are drawn."""
        count = self._pruned(t)
        if count == 0:
            return default_mask
        order = random.randperm(t.shape[self.dim])
        return self._mask(t, order[count:], default_mask)


class LnStructured(_Structured):
    """Prunes the slices along a dimension whose n-norms are smallest.

    >>> import numgrad as ng
    >>> LnStructured(1, n=2, dim=0).prune(ng.tensor([[1.0, 1.0], [2.0, 2.0]]))
    tensor([[0., 0.],
            [2., 2.]])
    """

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount)
        self.n = n
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask before, without the slices of the smallest norms."""
        count = self._pruned(t)
        if count == 0:
            return default_mask
        others = [each for each in range(t.ndim) if each != self.dim % t.ndim]
        norms = reductions.norm(t, self.n, others)
        kept = sorting.topk(norms, norms.numel() - count)[1]
        return self._mask(t, kept, default_mask)

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
    ) -> BasePruningMethod:
        """See `ln_structured`."""
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask.

    >>> import numgrad as ng
    >>> CustomFromMask(ng.tensor([0, 1])).prune(ng.ones(2))
    tensor([0., 1.])
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The product of both masks."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {default_mask.shape} must match self.mask shape {self.mask.shape}"
            )
        return pointwise.mul(default_mask, arguments.cast(self.mask, default_mask.dtype))
