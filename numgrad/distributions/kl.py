"""`kl_divergence` and `register_kl`; the formulas stand in `kl_families` and `kl_expectations`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from numgrad.distributions.distribution import Distribution
from numgrad.tensor.tensor import Tensor

__all__ = ["kl_divergence", "register_kl"]

Pair = tuple[type, type]

_KL_REGISTRY: dict[Pair, Callable[[Any, Any], Tensor]] = {}
_KL_MEMOIZE: dict[Pair, Any] = {}  # by the classes of the arguments themselves


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """A decorator of a function (p, q) that computes the divergence of these classes and of what is derived from them.

    A call takes the function of the most specific pair. Where that is one by the first class and another by the second,
    the first decides, with a warning: register the pair of both.

    Raises
    ------
    TypeError
        A type is no class of distributions.

    >>> import numgrad as ng
    >>> from numgrad.distributions import Normal, kl_divergence, register_kl
    >>> class Mine(Normal):
    ...     pass
    >>> @register_kl(Mine, Mine)
    ... def _(p, q):
    ...     return p.loc * 0
    >>> kl_divergence(Mine(1.0, 1.0), Mine(2.0, 1.0))
    tensor(0.)
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def register(function: Any) -> Any:
        _KL_REGISTRY[type_p, type_q] = function
        _KL_MEMOIZE.clear()
        return function

    return register


def _most_specific(pairs: list[Pair], first: int) -> Pair:
    """The pair whose class at one place is derived from all others' there, and of those the same at the other place."""
    best = pairs[0]
    for pair in pairs[1:]:
        other = 1 - first
        key = first if pair[first] is not best[first] else other
        if issubclass(pair[key], best[key]):
            best = pair
    return best


def _dispatch(type_p: type, type_q: type) -> Any:
    """The function for two classes, or None."""
    fitting = [(p, q) for p, q in _KL_REGISTRY if issubclass(type_p, p) and issubclass(type_q, q)]
    if not fitting:
        return None
    left, right = _most_specific(fitting, 0), _most_specific(fitting, 1)
    if _KL_REGISTRY[left] is not _KL_REGISTRY[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[left]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Kullback and Leibler's divergence: the mean of log p(x) - log q(x) over x from p, of the batches' shape.

    Infinite where p draws what q cannot.

    Raises
    ------
    NotImplementedError
        There is no formula for these classes.

    >>> import numgrad as ng
    >>> from numgrad.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    pair = type(p), type(q)
    if pair not in _KL_MEMOIZE:
        _KL_MEMOIZE[pair] = _dispatch(*pair)
    function = _KL_MEMOIZE[pair]
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {pair[0].__name__} and q type {pair[1].__name__}"
        )
    return function(p, q)  # type: ignore[no-any-return]
