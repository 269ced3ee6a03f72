"""``numgrad.numpy.random``: NumPy's generators and distributions.

The numbers are NumPy's own for the same seed. Where a parameter requires a gradient, the sample is written as a function of
it and of numbers that do not depend on it: of ``normal``, ``uniform``, ``exponential``, ``laplace``, ``logistic``, ``gumbel``,
``rayleigh``, ``lognormal``, ``weibull``, ``pareto`` and ``power`` by all of their parameters, of ``gamma`` by the scale, and of
``multivariate_normal`` by the mean. Other gradients are refused.

>>> import numgrad.numpy as np
>>> rng = np.random.default_rng(0)
>>> rng.normal(size=2)
array([ 0.12573022, -0.13210486])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.numpy.array_type import ndarray
from numgrad.numpy.arrays import is_int, ng, operands, refuse_gradient, tensor, values_of
from numgrad.numpy.table import add, public_form, refused
from numgrad.tensor.tensor import Tensor


def _scaled(name: str) -> Callable[..., Tensor]:
    """``loc + scale * z``, where z is drawn with the location 0 and the scale 1."""

    def sample(source: Any, size: Any, loc: Tensor, scale: Tensor) -> Tensor:
        return loc + scale * tensor(getattr(source, name)(size=size))

    return sample


def _uniform(source: Any, size: Any, low: Tensor, high: Tensor) -> Tensor:
    return low + (high - low) * tensor(source.random(size))


def _lognormal(source: Any, size: Any, mean: Tensor, sigma: Tensor) -> Tensor:
    return ng.exp(mean + sigma * tensor(source.standard_normal(size)))  # type: ignore[no-any-return]


def _unit_exponential(source: Any, size: Any) -> Tensor:
    return tensor(source.standard_exponential(size))


# The names of the parameters with their defaults, and the sample as a function of them.
_DIFFERENTIABLE: dict[str, tuple[dict[str, Any], Callable[..., Tensor]]] = {
    "normal": ({"loc": 0.0, "scale": 1.0}, _scaled("standard_normal")),
    "laplace": ({"loc": 0.0, "scale": 1.0}, _scaled("laplace")),
    "logistic": ({"loc": 0.0, "scale": 1.0}, _scaled("logistic")),
    "gumbel": ({"loc": 0.0, "scale": 1.0}, _scaled("gumbel")),
    "uniform": ({"low": 0.0, "high": 1.0}, _uniform),
    "lognormal": ({"mean": 0.0, "sigma": 1.0}, _lognormal),
    "exponential": ({"scale": 1.0}, lambda source, size, scale: scale * _unit_exponential(source, size)),
    "rayleigh": ({"scale": 1.0}, lambda source, size, scale: scale * ng.sqrt(2 * _unit_exponential(source, size))),
    "weibull": ({"a": None}, lambda source, size, a: _unit_exponential(source, size) ** (1 / a)),
    "pareto": ({"a": None}, lambda source, size, a: ng.expm1(_unit_exponential(source, size) / a)),
    "power": ({"a": None}, lambda source, size, a: (-ng.expm1(-_unit_exponential(source, size))) ** (1 / a)),
}

_VALUES = """
beta binomial bytes chisquare dirichlet f geometric hypergeometric integers logseries multinomial multivariate_hypergeometric
negative_binomial noncentral_chisquare noncentral_f poisson rand randint randn random random_sample seed standard_cauchy
standard_exponential standard_gamma standard_normal standard_t triangular vonmises wald zipf
""".split()


def _needs_grad(values: Any) -> bool:
    return any(isinstance(v, TensorBase) and v.requires_grad for v in values)  # type: ignore[attr-defined]


def _differentiable(name: str) -> Callable[..., Any]:
    defaults, sample = _DIFFERENTIABLE[name]

    def method(source: Any, *args: Any, size: Any = None, **kwargs: Any) -> Any:
        given = dict(zip([*defaults, "size"], args, strict=False)) | kwargs
        size = given.pop("size", size)
        if not _needs_grad(given.values()):
            return _as_tensor(getattr(source, name)(**{k: values_of(v) for k, v in given.items()}, size=size))
        unknown = set(given) - set(defaults)
        if unknown:
            raise TypeError(f"{name}() got an unexpected keyword argument {unknown.pop()!r}")
        parameters = operands([given.get(k, default) for k, default in defaults.items()], to_float=True)
        shape = np.broadcast_shapes(*(tuple(p.shape) for p in parameters)) if size is None else size
        return sample(source, shape, *parameters)

    return method


def _by_values(name: str) -> Callable[..., Any]:
    def method(source: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_gradient(f"random.{name}", *args, *kwargs.values())
        given = [values_of(a) for a in args], {k: values_of(v) for k, v in kwargs.items()}
        return _as_tensor(getattr(source, name)(*given[0], **given[1]))

    return method


def _as_tensor(drawn: Any) -> Any:
    return tensor(drawn) if isinstance(drawn, (np.ndarray, np.generic, float, int)) else drawn


def _gamma(source: Any, shape: Any, scale: Any = 1.0, size: Any = None) -> Tensor:
    refuse_gradient("random.gamma", shape)
    if not _needs_grad([scale]):
        return tensor(source.gamma(values_of(shape), values_of(scale), size))
    size = np.broadcast_shapes(np.shape(values_of(shape)), tuple(scale.shape)) if size is None else size
    return scale * tensor(source.standard_gamma(values_of(shape), size))  # type: ignore[no-any-return]


def _multivariate_normal(source: Any, mean: Any, cov: Any, size: Any = None, *args: Any, **kwargs: Any) -> Tensor:
    refuse_gradient("random.multivariate_normal (take mean + linalg.cholesky(cov) @ normal(size=n))", cov)
    middle = tensor(mean)
    drawn = source.multivariate_normal(values_of(middle), values_of(tensor(cov)), size, *args, **kwargs)
    return middle + tensor(drawn - values_of(middle)) if middle.requires_grad else tensor(drawn)


def _choice(
    source: Any, a: Any, size: Any = None, replace: bool = True, p: Any = None, axis: int = 0, shuffle: bool = True
) -> Any:
    refuse_gradient("random.choice", p)
    generator = isinstance(source, np.random.Generator)
    options = {"shuffle": shuffle} if generator else {}
    if is_int(a) and not isinstance(a, TensorBase):
        return _as_tensor(source.choice(a, size, replace, values_of(p), **options))
    x = tensor(a)
    chosen = np.asarray(source.choice(x.shape[axis], size, replace, values_of(p), **options))
    picked = ng.index_select(x, axis, tensor(chosen.reshape(-1)))
    return ng.reshape(picked, (*x.shape[:axis], *chosen.shape, *x.shape[axis + 1 :]))


def _permutation(source: Any, x: Any, axis: int = 0) -> Any:
    if is_int(x) and not isinstance(x, TensorBase):
        return tensor(source.permutation(x))
    values = tensor(x)
    return ng.index_select(values, axis, tensor(source.permutation(values.shape[axis])))


def _permuted(source: Any, x: Any, axis: Any = None, out: Any = None) -> Tensor:
    values = tensor(x)
    positions = source.permuted(np.arange(values.numel()).reshape(tuple(values.shape)), axis=axis)
    return ng.take(values, tensor(positions))  # type: ignore[no-any-return]


def _shuffle(source: Any, x: Any, axis: int = 0) -> None:
    if isinstance(x, (list, np.ndarray)):
        source.shuffle(x, axis) if axis else source.shuffle(x)
        return
    x.copy_(_permutation(source, ng.clone(x), axis))


_METHODS: dict[str, Callable[..., Any]] = {
    **{name: _differentiable(name) for name in _DIFFERENTIABLE},
    **{name: _by_values(name) for name in _VALUES},
    "gamma": _gamma,
    "multivariate_normal": _multivariate_normal,
    "choice": _choice,
    "permutation": _permutation,
    "permuted": _permuted,
    "shuffle": _shuffle,
}


class Generator:
    """A generator of random numbers with NumPy's methods, over one of NumPy's own, ``bit_generator``'s.

    Made by `default_rng`.

    >>> import numgrad.numpy as np
    >>> np.random.default_rng(1).integers(0, 10, 3)
    array([4, 5, 7])
    """

    def __init__(self, bit_generator: Any) -> None:
        self._source = np.random.Generator(bit_generator)

    @property
    def bit_generator(self) -> Any:
        """NumPy's source of random words."""
        return self._source.bit_generator

    def spawn(self, n_children: int) -> list[Generator]:
        """Independent generators."""
        return [Generator(child.bit_generator) for child in self._source.spawn(n_children)]

    def __repr__(self) -> str:
        return f"Generator({type(self.bit_generator).__name__}) of numgrad.numpy"


def _method(name: str) -> Callable[..., Any]:
    function = public_form(_METHODS[name], f"random.{name}")

    def method(self: Generator, *args: Any, **kwargs: Any) -> Any:
        return function(self._source, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"Generator.{name}"
    method.__doc__ = f"As NumPy's ``Generator.{name}``."
    return method


def _module_function(name: str) -> Callable[..., Any]:
    function = public_form(_METHODS[name], f"random.{name}")

    def drawn(*args: Any, **kwargs: Any) -> Any:
        return function(np.random, *args, **kwargs)

    drawn.__name__ = drawn.__qualname__ = name
    drawn.__doc__ = f"As ``numpy.random.{name}``, from the same global source."
    return drawn


def default_rng(seed: Any = None) -> Generator:
    """A generator whose numbers are those of ``numpy.random.default_rng(seed)``.

    >>> import numgrad.numpy as np
    >>> np.random.default_rng(0).random()
    array(0.63696169)
    """
    if isinstance(seed, Generator):
        return seed
    return Generator(np.random.default_rng(values_of(seed.tensor if isinstance(seed, ndarray) else seed)).bit_generator)


for _name in _METHODS:
    if hasattr(np.random.Generator, _name):
        setattr(Generator, _name, _method(_name))
    if hasattr(np.random, _name):
        globals()[_name] = _module_function(_name)
        add(globals()[_name], f"random.{_name}")
add(default_rng, "random.default_rng")
add(Generator, "random.Generator")

__all__ = ["Generator", "default_rng", *(name for name in _METHODS if hasattr(np.random, name))]


def __getattr__(name: str) -> Any:
    return refused("random", name)
