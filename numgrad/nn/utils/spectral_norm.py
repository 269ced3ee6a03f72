"""Weights divided by their largest singular value: Miyato et al., 2018; as a hook, the older form."""

from __future__ import annotations

from typing import Any, TypeVar

from numgrad.autograd import no_grad
from numgrad.nn import functional as F
from numgrad.nn.hooks import MayReplace, WithoutModule
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter, is_lazy
from numgrad.nn.utils.parametrizations import as_matrix, row_dim
from numgrad.tensor import creation, layers, matrix_products, pointwise, reductions, shaping, systems
from numgrad.tensor.tensor import Tensor

__all__ = [
    "SpectralNorm",
    "SpectralNormLoadStateDictPreHook",
    "SpectralNormStateDictHook",
    "remove_spectral_norm",
    "spectral_norm",
]

_M = TypeVar("_M", bound=Module)


class SpectralNorm:
    """The hook that computes a module's weight before each forward.

    >>> SpectralNorm("weight").n_power_iterations
    1
    """

    _version = 1  # of what a state has: the vector v since 1

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        """The weight as a matrix whose rows are its slices along ``dim``."""
        return as_matrix(weight, self.dim)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight, after the steps of the power iteration."""
        weight, u, v = (getattr(module, f"{self.name}_{suffix}") for suffix in ("orig", "u", "v"))
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            fixed = matrix.detach()
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(layers.matmul(shaping.t(fixed), u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(layers.matmul(fixed, v), dim=0, eps=self.eps))
            u, v = (
                shaping.clone(u),
                shaping.clone(v),
            )  # the next forward changes them, and this one's backward reads them
        return pointwise.div(weight, reductions.sum(pointwise.mul(u, layers.matmul(matrix, v))))

    def remove(self, module: Module) -> None:
        """Give the module its weight back."""
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for name in (self.name, *[f"{self.name}_{suffix}" for suffix in ("u", "v", "orig")]):
            delattr(module, name)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))

    def solve_v(self, matrix: Tensor, u: Tensor, sigma: Tensor) -> Tensor:
        """The vector v with u^T matrix v = sigma, from a state that has none."""
        rows = matrix_products.multi_dot(
            [systems.pinv(layers.matmul(shaping.t(matrix), matrix)), shaping.t(matrix), shaping.unsqueeze(u, 1)]
        )
        v = shaping.squeeze(rows, 1)
        return pointwise.mul(v, pointwise.div(sigma, reductions.sum(pointwise.mul(u, layers.matmul(matrix, v)))))

    @staticmethod
    def apply(module: Module, name: str, n_power_iterations: int, dim: int, eps: float) -> SpectralNorm:
        """Put the hook on a module; see `spectral_norm`."""
        if any(isinstance(hook, SpectralNorm) and hook.name == name for hook in module._forward_pre_hooks.values()):
            raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
        hook = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the dummy forward "
                "before applying spectral normalization"
            )
        extents = hook.reshape_weight_to_matrix(weight.detach()).shape
        u, v = (
            F.normalize(creation.empty(extent, dtype=weight.dtype).normal_(0, 1), dim=0, eps=eps) for extent in extents
        )
        delattr(module, name)
        module.register_parameter(f"{name}_orig", weight)
        setattr(module, name, weight.detach())
        module.register_buffer(f"{name}_u", u)
        module.register_buffer(f"{name}_v", v)
        module.register_forward_pre_hook(hook)
        module._register_state_dict_hook(SpectralNormStateDictHook(hook))
        module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(hook))
        return hook


class SpectralNormLoadStateDictPreHook:
    """The hook of a load that reads a state of an older version, which has the weight and not the vector v.

    >>> SpectralNormLoadStateDictPreHook(SpectralNorm("weight")).fn.name
    'weight'
    """

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        version = local_metadata.get("spectral_norm", {}).get(f"{self.fn.name}.version")
        key = prefix + self.fn.name
        is_new = (
            version is None and key not in state_dict and all(f"{key}_{s}" in state_dict for s in ("orig", "u", "v"))
        )
        if is_new or (version or 0) >= 1:
            return
        missing = [f"{key}{suffix}" for suffix in ("_orig", "", "_u") if f"{key}{suffix}" not in state_dict]
        if missing:
            missing_keys.extend(missing if strict else [])
            return
        with no_grad():
            original, weight = state_dict[f"{key}_orig"], state_dict.pop(key)
            sigma = reductions.mean(pointwise.div(original, weight))
            matrix = self.fn.reshape_weight_to_matrix(original)
            state_dict[f"{key}_v"] = self.fn.solve_v(matrix, state_dict[f"{key}_u"], sigma)


class SpectralNormStateDictHook:
    """The hook that notes the version of a state.

    >>> SpectralNormStateDictHook(SpectralNorm("weight")).fn.name
    'weight'
    """

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any]) -> None:
        versions = local_metadata.setdefault("spectral_norm", {})
        key = f"{self.fn.name}.version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


def spectral_norm(
    module: _M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> _M:
    """Divide a module's weight by its largest singular value before each forward, and return the module.

    `parametrizations.spectral_norm`, whose arguments these are, is the better form.

    Raises
    ------
    RuntimeError
        The parameter has such a norm already.
    ValueError
        The parameter is None or has no shape yet, or the number of iterations is not positive.

    >>> from numgrad import nn
    >>> [name for name, _ in spectral_norm(nn.Linear(2, 3)).named_parameters()]
    ['bias', 'weight_orig']
    """
    SpectralNorm.apply(module, name, n_power_iterations, row_dim(module) if dim is None else dim, eps)
    return module


def remove_spectral_norm(module: _M, name: str = "weight") -> _M:
    """Give a module its weight back as one parameter, and return the module.

    Raises
    ------
    ValueError
        It has no `spectral_norm` of this name.

    >>> from numgrad import nn
    >>> [name for name, _ in remove_spectral_norm(spectral_norm(nn.Linear(2, 3))).named_parameters()]
    ['bias', 'weight']
    """
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[number]
            break
    else:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    for table, kind in (
        (module._state_dict_hooks, SpectralNormStateDictHook),
        (module._load_state_dict_pre_hooks, SpectralNormLoadStateDictPreHook),
    ):
        for number, wrapped in list(table.items()):
            own = wrapped.hook if isinstance(wrapped, (MayReplace, WithoutModule)) else wrapped
            if isinstance(own, kind) and own.fn.name == name:  # type: ignore[attr-defined]
                del table[number]
    return module
