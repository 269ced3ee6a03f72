"""Quantiles, covariances and histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.numpy.arrays import as_floats, axes_of, cast, common_dtype, dtype_of, ng, tensor, values_of
from numgrad.numpy.ordering import sort
from numgrad.numpy.reductions import average, present
from numgrad.numpy.table import by_values, implements
from numgrad.tensor.tensor import Tensor

# Hyndman and Fan's (1996) parameters of the continuous methods: the place of q among n is q * (n + 1 - a - b) + a - 1.
_CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


def _virtual_places(method: str, n: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two places among n sorted numbers between which a quantile lies, and how far it is from the first."""
    if method in _CONTINUOUS:
        a, b = _CONTINUOUS[method]
        at = np.clip(n * q + (a + q * (1 - a - b)) - 1, 0, n - 1)
        low = np.floor(at)
        return low, np.minimum(low + 1, n - 1), at - low
    at = (n - 1) * q
    if method in ("lower", "higher", "nearest", "midpoint"):
        low, high = np.floor(at), np.ceil(at)
        if method == "midpoint":
            return low, high, np.where(low == high, 0.0, 0.5)
        chosen = {"lower": low, "higher": high, "nearest": np.around(at)}[method]
        return chosen, chosen, np.zeros_like(at)
    if method == "inverted_cdf":
        chosen = np.clip(np.ceil(n * q) - 1, 0, n - 1)
        return chosen, chosen, np.zeros_like(at)
    if method == "averaged_inverted_cdf":
        at = n * q - 1
        low = np.ceil(at)
        return np.clip(low, 0, n - 1), np.clip(np.where(low == at, low + 1, low), 0, n - 1), np.full_like(at, 0.5)
    if method == "closest_observation":
        at = n * q - 1.5  # of two that are equally near, the one with the even number
        low = np.floor(at)
        chosen = np.where((at == low) & (low % 2 == 1), low, low + 1)
        return np.clip(chosen, 0, n - 1), np.clip(chosen, 0, n - 1), np.zeros_like(at)
    raise ValueError(f"{method!r} is not a valid method; it is one of {[*_CONTINUOUS, *_DISCRETE]}")


_DISCRETE = (
    "lower", "higher", "nearest", "midpoint", "inverted_cdf", "averaged_inverted_cdf", "closest_observation"
)  # fmt: skip


def _quantiles(
    name: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool, weights: Any, skip_nan: bool
) -> Tensor:
    if weights is not None:
        raise TypeError(f"numpy.{name}: weights are refused; sort by argsort and take cumsum of the weights")
    x = as_floats(a)
    numbers = np.asarray(values_of(q), np.float64)
    if numbers.size and not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(
            "Percentiles must be in the range [0, 100]"
            if "percentile" in name
            else "Quantiles must be in the range [0, 1]"
        )
    axes = axes_of(axis, x.ndim)
    rest = [n for n in range(x.ndim) if n not in axes]
    outside = tuple(x.shape[n] for n in rest)
    rows = ng.reshape(ng.permute(x, (*rest, *axes)), (math.prod(outside), -1) if x.numel() else (math.prod(outside), 0))
    rows = sort(rows)
    counts = values_of(present(rows)).sum(1)
    total = rows.shape[1]
    bad = counts == 0 if skip_nan else counts < total
    n = np.where(bad, max(total, 1), counts)[:, None].astype(np.float64)
    low, high, rest_of = _virtual_places(method, n, numbers.reshape(1, -1))
    if total == 0:
        result = ng.full((rows.shape[0], numbers.size), math.nan, dtype=x.dtype)
    else:
        below, above = (ng.gather(rows, 1, tensor(p.astype(np.int64))) for p in (low, high))
        fraction = tensor(rest_of, dtype_of(x))
        # Not where both are one number: the difference of infinities would be NaN.
        result = ng.where(ng.logical_or(below == above, fraction == 0), below, below + (above - below) * fraction)
        result = ng.where(tensor(bad[:, None]), math.nan, result)
    result = ng.reshape(ng.swapaxes(result, 0, 1), (*numbers.shape, *outside))
    if not keepdims:
        return result  # type: ignore[no-any-return]
    return ng.reshape(result, (*numbers.shape, *(1 if i in axes else e for i, e in enumerate(x.shape))))  # type: ignore[no-any-return]


def _quantile(name: str, scale: float, skip_nan: bool) -> None:
    @implements(name)
    def computed(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: bool = False, *, weights: Any = None,
    ) -> Tensor:  # fmt: skip
        """The numbers below which given parts of the elements lie; ``q`` has no gradient."""
        fractions = np.asarray(values_of(q), np.float64) / scale
        return _quantiles(name, a, fractions, axis, method, keepdims, weights, skip_nan)


_quantile("quantile", 1, False)
_quantile("percentile", 100, False)
_quantile("nanquantile", 1, True)
_quantile("nanpercentile", 100, True)


@implements("median")
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Tensor:
    """The middle of the sorted elements, or the mean of the two that are.

    >>> import numgrad.numpy as np
    >>> np.median([3.0, 1.0, 2.0, 10.0])
    array(2.5)
    """
    return _quantiles("median", a, 0.5, axis, "linear", keepdims, None, False)


@implements("nanmedian")
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Tensor:
    """As `median`, of what is not NaN."""
    return _quantiles("nanmedian", a, 0.5, axis, "linear", keepdims, None, True)


# ---- covariances ------------------------------------------------------------------------------------------------


@implements("cov")
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None, aweights: Any = None, *,
    dtype: Any = None,
) -> Tensor:  # fmt: skip
    """The covariances of variables, which are rows (or, with ``rowvar=False``, columns).

    >>> import numgrad.numpy as np
    >>> np.cov([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    chosen = (
        np.promote_types(common_dtype([tensor(v) for v in (m, y) if v is not None]), np.float64)
        if dtype is None
        else dtype
    )
    x = _variables(m, chosen, rowvar)
    if y is not None:
        x = ng.cat([x, _variables(y, chosen, rowvar)], 0)
    ddof = ddof if ddof is not None else 0 if bias else 1
    w = None
    if fweights is not None:
        w = tensor(fweights, dtype_of(x))
    if aweights is not None:
        w = tensor(aweights, dtype_of(x)) if w is None else w * tensor(aweights, dtype_of(x))
    middle, total = average(x, 1, w, returned=True)
    if w is None:
        factor = max(x.shape[1] - ddof, 0)
    elif ddof == 0:
        factor = total[0]
    elif aweights is None:
        factor = ng.clamp(total[0] - ddof, min=0)
    else:
        factor = ng.clamp(total[0] - ddof * ng.sum(w * tensor(aweights, dtype_of(x))) / total[0], min=0)
    centred = x - ng.unsqueeze(middle, 1)
    scaled = centred if w is None else centred * w
    result = ng.matmul(centred, ng.swapaxes(scaled, 0, 1)) / factor
    return ng.squeeze(result)  # type: ignore[no-any-return]


def _variables(m: Any, dtype: Any, rowvar: bool) -> Tensor:
    x = tensor(m, dtype)
    if x.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    if x.ndim < 2:
        return ng.reshape(x, (1, -1))  # type: ignore[no-any-return]
    return x if rowvar or x.shape[0] == 1 else ng.swapaxes(x, 0, 1)  # type: ignore[no-any-return]


@implements("corrcoef")
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Tensor:
    """The correlations of variables: covariances divided by deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviations = ng.sqrt(ng.diagonal(c))
    return ng.clamp(c / ng.unsqueeze(deviations, 1) / deviations, -1, 1)  # type: ignore[no-any-return]


# ---- histograms -------------------------------------------------------------------------------------------------

by_values("histogram2d", "histogramdd")


@implements("bincount")
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 up is there, or the sum of the weights at its places.

    >>> import numgrad.numpy as np
    >>> np.bincount([0, 1, 1], weights=[1.0, 2.0, 3.0])
    array([1., 5.])
    """
    numbers = tensor(x)
    if weights is None:
        return tensor(np.bincount(values_of(numbers), minlength=minlength))
    w = tensor(weights, np.float64)
    if w.shape != numbers.shape or numbers.ndim != 1:
        raise ValueError("The weights and list don't have the same length.")
    if numbers.numel() and int(numbers.min()) < 0:
        raise ValueError("'list' argument must have no negative elements")
    extent = max(minlength, int(numbers.max()) + 1 if numbers.numel() else 0)
    return ng.index_add(ng.zeros(extent, dtype=w.dtype), 0, numbers.long(), w)  # type: ignore[no-any-return]


@implements("histogram")
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Tensor, Tensor]:
    """The number of elements in each bin, or the sum of their weights, which has a gradient, and the bins' edges."""
    x = tensor(a)
    w = None if weights is None else tensor(weights)
    edges = np.histogram_bin_edges(values_of(x), values_of(bins), values_of(range), values_of(w))
    limits = tensor(edges)
    if np.ndim(values_of(bins)):
        limits = tensor(bins)
    elif range is None and x.requires_grad:
        low, high = ng.amin(x), ng.amax(x)
        moved = low + (high - low) * tensor(np.linspace(0, 1, edges.size))
        limits = limits + (moved - moved.detach())
    if w is None or not w.dtype.is_floating_point:
        counts = tensor(np.histogram(values_of(x), edges, weights=values_of(w))[0])
        return (_density(cast(counts, np.float64), limits) if density else counts), limits
    flat = values_of(x).reshape(-1)
    places = np.searchsorted(edges, flat, "right") - 1
    places = np.where(flat == edges[-1], edges.size - 2, places)
    inside = np.flatnonzero((places >= 0) & (places < edges.size - 1))
    picked = ng.take(w, tensor(inside))
    sums = ng.index_add(ng.zeros(edges.size - 1, dtype=w.dtype), 0, tensor(places[inside]), picked)
    return (_density(sums, limits) if density else sums), limits


def _density(counts: Tensor, edges: Tensor) -> Tensor:
    return counts / cast(edges[1:] - edges[:-1], dtype_of(counts)) / ng.sum(counts)  # type: ignore[no-any-return]
