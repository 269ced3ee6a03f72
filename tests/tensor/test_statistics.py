"""Scans, sorting, quantiles, counting and statistics beside torch: values, dtypes, shapes, gradients of two orders, refusals.

The oracles of the ops stand with them; what is composed of ops is compared here, and `gradcheck` needs no torch.
"""

from __future__ import annotations

import pickle
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

NAN, INF = float("nan"), float("inf")

# ---- values -----------------------------------------------------------------------------------------------------

INPUTS: dict[str, np.ndarray] = {
    "matrix": np.array([[3.0, -1.5, 0.5, 2.0], [0.25, 4.0, -2.0, 1.0], [-3.0, 0.75, 1.5, -0.5]], np.float32),
    "float64": np.array([[0.5, 2.0, -1.0], [1.5, -0.5, 3.0]]),
    "ties": np.array([[1.0, 2.0, 1.0, 2.0], [0.0, -0.0, 0.0, 3.0]], np.float32),
    "special": np.array([[1.0, NAN, -INF, INF], [NAN, NAN, NAN, NAN], [-INF, -INF, -INF, -INF]], np.float32),
    "huge": np.array([[3e38, 2e38], [-3e38, 1e38]], np.float32),
    "int64": np.array([[3, 1, 2, 1], [0, -5, 7, 7]]),
    "uint8": np.array([[3, 255, 2], [0, 200, 7]], np.uint8),
    "bool": np.array([[True, False], [True, True]]),
    "vector": np.array([2.0, 0.5, -1.0, 2.0, 3.0], np.float32),
    "number": np.array(1.5, np.float32),
    "nothing": np.zeros((0,), np.float32),
    "no rows": np.zeros((0, 3), np.float32),
    "no columns": np.zeros((3, 0), np.float32),
}

CALLS = """
x.cumsum(0) | x.cumsum(-1) | lib.cumsum(x, dim=0, dtype=lib.float64) | x.cumsum(0, dtype=lib.int32) | x.clone().cumsum_(0)
x.cumprod(0) | x.cumprod(-1) | lib.cumprod(x, dim=0, dtype=lib.float64) | x.clone().cumprod_(-1)
x.cummax(0) | lib.cummax(x, dim=-1) | x.cummin(0) | lib.cummin(x, -1) | x.logcumsumexp(0) | lib.logcumsumexp(x, dim=-1)
x.diff() | lib.diff(x, n=2) | lib.diff(x, dim=0) | x.diff(n=0) | x.diff(dim=0, prepend=x) | lib.diff(x, 1, 0, x, x) | x.diff(9)
lib.trapezoid(x) | lib.trapz(x, dx=0.5, dim=0) | lib.trapezoid(x, x) | lib.cumulative_trapezoid(x)
lib.cumulative_trapezoid(x, dx=2, dim=0) | lib.cumulative_trapezoid(x, x)
lib.trapezoid(x, lib.arange(x.shape[-1])) | lib.trapezoid(x, lib.arange(x.shape[0]), dim=0)
x.sort(stable=True) | lib.sort(x, stable=True, dim=0) | lib.sort(x, descending=True, stable=True) | x.sort(dim=-1).values
x.argsort(stable=True) | lib.argsort(x, dim=0, descending=True, stable=True) | x.msort() | lib.msort(x)
x.topk(1) | lib.topk(x, 2, 0).values | x.topk(2, largest=False).values | x.topk(0) | lib.topk(x, k=1, dim=-1, sorted=False)
x.kthvalue(1).values | lib.kthvalue(x, 2, 0).values | lib.kthvalue(x, k=1, dim=-1, keepdim=True).values
x.median() | x.median(0).values | lib.median(x, -1, True).values | lib.median(x, dim=-1)[0] | x.nanmedian()
x.nanmedian(0).values | lib.nanmedian(x, dim=-1, keepdim=True).values | x.mode().values | lib.mode(x, 0, True).values
x.mode(-1)[1] | x.quantile(0.3) | lib.quantile(x, 0.5, 0)
lib.quantile(x, lib.tensor([0.25, 1.0]).to(x.dtype), dim=-1, keepdim=True)
x.quantile(0.6, -1, interpolation='lower') | x.quantile(0.6, 0, interpolation='higher')
x.quantile(0.5, 0, interpolation='midpoint') | x.quantile(0.4, -1, interpolation='nearest')
x.nanquantile(0.3) | lib.nanquantile(x, 0.5, 0, True)
x.nanquantile(lib.tensor([0.0, 0.7]).to(x.dtype)) | x.nanquantile(0.5, -1, interpolation='midpoint')
lib.quantile(x, lib.tensor([0.25]).to(x.dtype), keepdim=True)
x.nansum() | x.nansum(0) | lib.nansum(x, -1, True) | lib.nansum(x, dtype=lib.float64) | x.nanmean() | lib.nanmean(x, 0)
x.nanmean(-1, keepdim=True) | x.logsumexp(0) | lib.logsumexp(x, -1, True) | lib.logsumexp(x, dim=(0, 1)) | x.logsumexp(())
lib.std_mean(x) | lib.std_mean(x, 0) | lib.std_mean(x, False) | lib.var_mean(x, -1, False, True) | lib.var_mean(x, correction=0)
lib.var_mean(x, dim=0, unbiased=True) | x.aminmax() | lib.aminmax(x, dim=0, keepdim=True) | x.aminmax(dim=-1).max
x.count_nonzero() | lib.count_nonzero(x, 0) | x.count_nonzero((0, 1)) | x.is_nonzero()
x.dist(x * 2) | lib.dist(x, x - 1, 1) | lib.dist(x, x * 2, p=INF) | x.dist(x, 3)
x.renorm(2, 0, 1.0) | lib.renorm(x, p=1, dim=-1, maxnorm=2) | x.clone().renorm_(INF, 0, 1.5) | x.renorm(0.5, 0, 3)
x.cov() | lib.cov(x, correction=0) | x.corrcoef() | lib.cov(x, fweights=lib.arange(x.shape[-1]))
lib.cov(x, aweights=(lib.arange(x.shape[-1]) * 0.5 + 0.5).to(x.dtype))
lib.cov(x, correction=2, fweights=lib.arange(x.shape[-1]) + 1, aweights=(lib.arange(x.shape[-1]) * 0.5 + 0.5).to(x.dtype))
x.unique() | lib.unique(x, return_inverse=True) | x.unique(return_counts=True) | lib.unique(x, True, True, True)
x.unique(dim=0) | lib.unique(x, return_inverse=True, return_counts=True, dim=-1) | lib.unique(x, sorted=True)
x.unique_consecutive() | lib.unique_consecutive(x, True, True) | lib.unique_consecutive(x, return_inverse=True, dim=0)
x.unique_consecutive(return_counts=True, dim=-1)
x.histc(4) | lib.histc(x, bins=3, min=-1, max=2) | x.histc() | lib.histogram(x, 3, range=(-1.0, 2.5)) | lib.histogram(x, 2)
lib.histogram(x, lib.tensor([-1.0, 0.5, 3.0]).to(x.dtype)) | lib.histogram(x, 3, range=(-1.0, 4.0), weight=x * x, density=True)
lib.searchsorted(x.sort().values, x) | lib.searchsorted(x.sort().values.nan_to_num(), x.nan_to_num(), right=True)
lib.bucketize(x, lib.tensor([0.0, 1.0]))
lib.bucketize(x, lib.tensor([0.0, 1.0, 1.0]), right=True, out_int32=True) | lib.bucketize(1.0, lib.tensor([0, 1, 2]))
lib.searchsorted(lib.tensor([0.0, 1.0]), 0.5)
lib.searchsorted(x.nan_to_num(), x.nan_to_num(), sorter=x.nan_to_num().argsort(stable=True), side='right')
lib.searchsorted(lib.tensor([0, 1, 2]), x, side='left')
lib.max(x, other=x) | lib.min(x, other=x * 0) | x.max(0) | x.min(-1, keepdim=True) | x.max(axis=0)
lib.sum(x, axis=-1, keepdims=True)
"""
TEXTS = [text.strip() for text in CALLS.replace("\n", "|").split("|") if text.strip()]
ON_VECTORS = """
lib.bincount(n) | n.bincount(minlength=9) | n.bincount(lib.arange(5) * 0.5) | n.bincount(lib.arange(5), 3)
n.bincount(weights=(lib.arange(5) * 0.5).double()) | lib.bincount(n[:0]) | lib.bincount(n[:0], minlength=2)
"""


def outcome(lib: Any, text: str, array: np.ndarray) -> Any:
    x = lib.tensor(array)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return eval(text, {"lib": lib, "x": x, "n": x, "INF": INF})
    except (RuntimeError, TypeError, IndexError, NotImplementedError) as error:
        return error


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def assert_same(ours: Any, theirs: Any, what: str) -> None:
    """The same parts: dtypes, shapes and values, but for rounding."""
    for a, b in zip(_parts(ours), _parts(theirs), strict=True):
        if isinstance(b, (bool, float, int)):
            assert a == b, what
            continue
        assert str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1], what
        assert tuple(a.shape) == tuple(b.shape), what
        rough = 3e-5 if a.dtype is ng.float32 else 1e-12
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rough, rough, err_msg=what)


# What differs on purpose: words of the call, the input, and why.
EXPLAINED = [
    ("topk(", "special", "of several NaNs the first counts, not any"),
    ("mode(", "special", "NaN is never as frequent as a number that is there once; torch's sort of NaN has no order"),
    ("unique(", "special", "NaN comes last, also in slices"),
    ("var_mean", "special", "the mean of -inf is -inf, also beside a variance that is NaN"),
    ("quantile", "huge", "no difference overflows"),
    ("std_mean", "huge", "the mean is that of `mean`, which adds in float32"),
    ("var_mean", "huge", "the mean is that of `mean`, which adds in float32"),
    ("renorm", "huge", "no norm is flushed to 0"),
    ("hist", "huge", "no width overflows"),
    *[
        (f"nan{word}()", "huge", "whether it overflows depends on the order of torch's sum, which depends on the CPU")
        for word in ("sum", "mean")
    ],
]


def assert_as_torch(text: str, name: str, torch: ModuleType) -> None:
    """A call on an input gives what torch's gives. numgrad takes more: bools are sorted everywhere, for one."""
    ours, theirs = outcome(ng, text, INPUTS[name]), outcome(torch, text, INPUTS[name])
    what = f"{text} of {name}: {ours!r}, torch: {theirs!r}"
    if isinstance(theirs, Exception):
        if isinstance(ours, Exception):
            assert isinstance(ours, type(theirs)) or isinstance(theirs, NotImplementedError), what
        return
    assert not isinstance(ours, Exception), what
    assert_same(ours, theirs, what)


@pytest.mark.parametrize("name", INPUTS)
def test_calls_beside_torch(name: str, torch: ModuleType) -> None:
    for text in TEXTS:
        if not any(word in text and name == other for word, other, _ in EXPLAINED):
            assert_as_torch(text, name, torch)


def test_counting_of_integers(torch: ModuleType) -> None:
    for text in [text.strip() for text in ON_VECTORS.replace("\n", "|").split("|") if text.strip()]:
        array = np.array([3, 1, 0, 3, 5])
        assert_same(outcome(ng, text, array), outcome(torch, text, array), text)


# ---- derivatives ------------------------------------------------------------------------------------------------

SMOOTH = """
x.cumsum(0) | x.cumprod(1) | x.cummax(1).values | x.cummin(0).values | x.logcumsumexp(1) | x.diff(n=2) | lib.trapezoid(x, dim=0)
lib.trapezoid(x, x * x) | lib.cumulative_trapezoid(x, dx=0.5) | x.sort(descending=True).values | x.sort(0).values | x.msort()
x.topk(2).values | x.kthvalue(2, 0).values | x.median() | x.median(1, True).values | x.nanmedian(0).values | x.mode(0).values
x.quantile(0.3) | x.quantile(lib.tensor([0.2, 0.9]).to(x.dtype), 1) | x.nanquantile(0.5, 0, interpolation='midpoint')
x.quantile(0.4, 0, interpolation='nearest') | x.nansum(0) | x.nanmean() | x.logsumexp(1) | x.logsumexp((0, 1), True)
lib.std_mean(x, 0)[0] | lib.var_mean(x, 1)[1] | x.aminmax(dim=0).max | x.aminmax().min | x.dist(x * x) | lib.dist(x, x * 2, 3)
x.renorm(2, 0, 1.0) | x.renorm(3, 1, 2.0) | x.cov() | x.corrcoef() | lib.cov(x, aweights=x[0].abs())
"""
SMOOTH_TEXTS = [text.strip() for text in SMOOTH.replace("\n", "|").split("|") if text.strip()]
POINTS = np.array([[1.25, -0.5, 2.0, 0.75], [-1.5, 0.375, 0.25, 3.0], [0.875, -2.5, 1.75, -0.25]])


def function_of(text: str, lib: Any = ng) -> Any:
    code = compile(text, text, "eval")
    return lambda x: eval(code, {"lib": lib, "x": x})


@pytest.mark.parametrize("text", SMOOTH_TEXTS)
def test_derivatives(text: str) -> None:
    """Of two orders by finite differences, forwards, and for many examples."""
    x = ng.tensor(POINTS, requires_grad=True)
    function = function_of(text)
    assert ng.autograd.gradcheck(function, x)
    assert ng.autograd.gradgradcheck(function, x)
    tangent = ng.tensor(np.cos(np.arange(12.0)).reshape(3, 4))
    (_, forwards), step = ng.func.jvp(function, (x.detach(),), (tangent,)), 1e-6
    ahead, behind = (function(x.detach() + sign * step * tangent) for sign in (1, -1))
    np.testing.assert_allclose(forwards.numpy(), ((ahead - behind) / (2 * step)).numpy(), 1e-6, 1e-6)
    if "lib.cov" in text or "corrcoef" in text:  # weights are looked at
        return
    examples = ng.tensor(np.stack([POINTS, POINTS[::-1] * 0.5 + 0.1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not all ops below have a rule
        found = ng.func.vmap(function)(examples)
    np.testing.assert_allclose(found.numpy(), np.stack([function(each).numpy() for each in examples]), 1e-12, 1e-12)


TIED = {
    "ties": np.array([[1.0, 2.0, 1.0, 2.0], [0.5, 0.5, 0.5, 3.0], [1.0, 2.0, 3.0, 3.0]]),
    "zeros": np.array([[2.0, 0.0, 3.0, 0.0], [0.0, -1.5, 2.0, 1.0], [1.0, 1.0, 0.0, 2.0]]),
    "NaN": np.array([[1.0, NAN, 3.0, 0.5], [2.0, -1.5, NAN, NAN], [NAN, NAN, NAN, NAN]]),
    "infinite": np.array([[1.0, -INF, 3.0, 0.5], [-INF, -INF, -INF, -INF], [-INF, -1.0, 0.5, 0.25]]),
}
# Where the subgradient differs on purpose, or torch's is wrong.
OTHER_GRADIENTS = [
    ("topk(", "", "of equal ones the first counts"),
    ("kthvalue(", "", "of equal ones the first counts"),
    ("cumprod(", "NaN", "torch divides by elements, and has NaN also where nothing is NaN"),
    ("cumprod(", "infinite", "torch divides by elements, and has NaN also where nothing is NaN"),
    ("mode(", "NaN", "torch's sort of NaN has no order"),
    ("renorm(", "NaN", "a slice that stays as it is has no second derivative, and torch's is NaN"),
    ("lib.cov", "NaN", "the weights are NaN"),
    ("logcumsumexp", "infinite", "the gradient of nothing but -inf is 0, not NaN"),
    ("logsumexp", "infinite", "the gradient of nothing but -inf is 0, not NaN"),
]


def gradients(lib: Any, text: str, array: np.ndarray) -> list[np.ndarray]:
    """The first gradient, and that of its square."""
    x = lib.tensor(array).requires_grad_()
    y = function_of(text, lib)(x)
    weights = lib.tensor(np.cos(np.arange(float(y.numel()))).reshape(tuple(y.shape)))
    (first,) = lib.autograd.grad((y * weights).sum(), x, create_graph=True)
    found = [first.detach().numpy()]
    if first.requires_grad:
        found += [second.detach().numpy() for second in lib.autograd.grad((first * first).sum(), x)]
    return found


@pytest.mark.parametrize("name", TIED)
def test_gradients_beside_torch(name: str, torch: ModuleType) -> None:
    for text in SMOOTH_TEXTS:
        if any(word in text and other in (name, "") for word, other, _ in OTHER_GRADIENTS):
            continue
        ours, theirs = gradients(ng, text, TIED[name]), gradients(torch, text, TIED[name])
        for mine, judge in zip(ours, theirs, strict=False):
            np.testing.assert_allclose(mine, judge, 1e-7, 1e-9, err_msg=f"{text} of {name}")


# ---- long lines, layouts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_long_lines(dtype: str) -> None:
    """Lines that are sorted by their bytes, with equal elements, in random order, in order and backwards."""
    rng = np.random.default_rng(0)
    array = np.stack([each := rng.integers(-90, 90, 1500) * 0.25, np.sort(each), np.sort(each)[::-1], each * 0])
    array = (array % 50 if dtype == "uint8" else array).astype(dtype)
    for descending in (False, True):
        values, indices = ng.sort(ng.tensor(array), descending=descending)
        order = np.argsort(-array.astype(float) if descending else array, 1, kind="stable")
        assert np.array_equal(indices.numpy(), order)
        assert np.array_equal(values.numpy(), np.take_along_axis(array, order, 1))
        for k in (1, 40, 700):
            assert np.array_equal(ng.topk(ng.tensor(array), k, largest=descending).indices.numpy(), order[:, :k])


def test_bits_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(1)
    x, few = ng.tensor(rng.normal(size=200_000).astype(np.float32)), ng.tensor(rng.normal(size=(3, 50_000)))
    results, before = [], ng.get_num_threads()
    for threads in (1, 2, 3):
        ng.set_num_threads(threads)
        results.append(
            [ng.cumsum(x, 0), ng.cumsum(few, 1), ng.cummax(few, 1).indices, ng.sort(few).indices, *ng.topk(x, 9)]
        )
    ng.set_num_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(results[0], other, strict=True))


LAYOUTS = [
    "x.sort(0)", "x.sort(-1)[1]", "x.topk(2, 1)", "x.cumsum(0)", "x.cumprod(1)", "x.cummax(0)", "x.logcumsumexp(1)",
    "x.kthvalue(1, 0)", "x.median(1)", "x.quantile(0.5, 0)", "x.logsumexp(1)", "x.nansum(0)", "x.diff()",
]  # fmt: skip


@pytest.mark.parametrize("text", LAYOUTS)
def test_strides_are_torchs(text: str, torch: ModuleType) -> None:
    array = np.random.default_rng(2).normal(size=(4, 3, 5))
    for axes in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        for cut in (slice(None), slice(0, 3, 2)):
            ours, theirs = (eval(text, {"x": lib.tensor(array).permute(*axes)[:, cut]}) for lib in (ng, torch))
            for mine, judge in zip(_parts(ours), _parts(theirs), strict=True):
                assert mine.stride() == judge.stride()
                np.testing.assert_allclose(mine.numpy(), judge.numpy(), 1e-12, 1e-12)


def test_results_have_names() -> None:
    result = ng.sort(ng.tensor([2, 1]))
    assert repr(result) == "numgrad.return_types.sort(\nvalues=tensor([1, 2]),\nindices=tensor([1, 0]))"
    assert [part.tolist() for part in pickle.loads(pickle.dumps(result))] == [[1, 2], [1, 0]]
    assert ng.tensor([2, 1]).min(0).indices.tolist() == 1
    assert "return_types.min" in repr(ng.tensor([2, 1]).min(0))


# ---- refusals ---------------------------------------------------------------------------------------------------

REFUSED = """
x.cumsum(2) | x.cumsum() | x.cumsum('a') | x.cummax(None) | lib.cumsum([1], 0) | x.long().logcumsumexp(0) | x.diff(n=-1)
lib.tensor(1.0).diff() | x.diff(prepend=x[0]) | lib.trapezoid(x, x, dx=1) | lib.trapezoid(x, x[0][:2]) | lib.trapezoid(x > 0)
lib.trapezoid(x, dx='a') | x.sort(3) | x.sort(0, 1) | lib.sort(3) | x.topk(9) | x.topk(-1) | x.topk(1.5) | x.topk(1, 5)
x.kthvalue(0) | x.kthvalue(9) | lib.zeros(0, 2).kthvalue(1, 0) | lib.zeros(0, 2).median(0) | x.median(keepdim=True) | x.mode(4)
x.quantile(2.0) | x.quantile(x) | x.quantile(0.5, interpolation='cubic') | x.long().quantile(0.5) | x.quantile('a')
x.quantile(lib.tensor([2.0])) | x.quantile(lib.tensor([0.5]).double()) | lib.zeros(0).quantile(0.5) | x.long().nanmean()
x.logsumexp() | x.logsumexp(4) | x.logsumexp((0, 0)) | x.aminmax(dim=5) | lib.zeros(0).aminmax() | x.count_nonzero((0, 0))
x.is_nonzero() | x.dist(3) | x.dist(lib.ones(7)) | x.renorm(0, 0, 1) | x.renorm(2, 0, -1.0)
x[0].renorm(2, 0, 1) | x.renorm(2, 5, 1)
lib.ones(2, 2, 2).cov() | (x > 0).cov() | x.cov(fweights=x[0]) | x.cov(aweights=lib.arange(3)) | x.cov(aweights=x[0])
lib.ones(2, 2, 2).corrcoef() | x.unique(dim=3) | x.unique(sorted=2) | x.unique_consecutive(dim=3) | lib.zeros(2, 0).unique(dim=0)
x.histc(0) | x.histc(3, 2, 1) | x.histc(3, 0, INF) | lib.histogram(x, 0) | lib.histogram(x, lib.arange(3)) | lib.bincount(x)
lib.bincount(lib.tensor([-1])) | lib.bincount(lib.tensor([[1]])) | lib.bincount(lib.tensor([1]), minlength=-1)
lib.bincount(lib.tensor([1]), lib.ones(2)) | lib.searchsorted(x, 1.0) | lib.searchsorted(x, lib.ones(3, 2))
lib.searchsorted(x[0], x, side='middle') | lib.searchsorted(x[0], x, side='left', right=True) | lib.bucketize(x, x)
lib.searchsorted(x[0], x, sorter=x[0]) | lib.searchsorted(x[0], x, sorter=lib.arange(2))
lib.bucketize(x, 3) | lib.max(x, 0, other=x)
lib.searchsorted(x[0], x, sorter=lib.tensor([0, 1, 9])) | lib.sum(x, axis=0, dim=0)
lib.sum(x, axes=0) | x.long().cumsum_(0, dtype=lib.float32)
"""


@pytest.mark.parametrize("text", [text.strip() for text in REFUSED.replace("\n", "|").split("|") if text.strip()])
def test_refusals(text: str, torch: ModuleType) -> None:
    array = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]], np.float32)
    ours, theirs = outcome(ng, text, array), outcome(torch, text, array)
    assert isinstance(theirs, Exception), theirs
    assert isinstance(ours, Exception), ours
    assert isinstance(ours, type(theirs)) or isinstance(theirs, NotImplementedError), (ours, theirs)
    assert len(str(ours)) > 20
