"""`numgrad.array_api` beside NumPy, whose namespace is of the same standard: values, dtypes, promotion, gradients, libraries on it.

The standard's own suite is `tests.array_api.suite`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import array_api as xp
from numgrad.array_api import elementwise, promotion

M = np.array([[3.0, 1.0, 2.0], [0.5, 4.0, -1.0], [2.0, 0.0, 5.0]])
V = np.array([3.0, -1.0, 2.0, -1.0])
K = np.array([[3, 0, 1], [2, 0, 2]])

# What is called with ``xp`` once as NumPy and once as numgrad, with arrays made of the ones that are given.
CALLS: dict[str, tuple[Any, ...]] = {
    "all": (lambda xp, k: (xp.all(k, axis=0), xp.all(k != 9), xp.all(k, axis=(), keepdims=True)), K),
    "any": (lambda xp, k: (xp.any(k, axis=1), xp.any(k, axis=(0, 1), keepdims=True)), K),
    "arange": (lambda xp: (xp.arange(5), xp.arange(1, 2, 0.25, dtype=xp.float64), xp.arange(3, 1), xp.arange(5, 0, -2)),),
    "argmax": (lambda xp, m: (xp.argmax(m), xp.argmax(m, axis=1), xp.argmax(m, keepdims=True)), M),
    "argsort": (lambda xp, v: (xp.argsort(v), xp.argsort(v, stable=True)), V),
    "broadcast_arrays": (lambda xp, m, v: tuple(xp.broadcast_arrays(m, v[:3])), M, V),
    "clip": (lambda xp, k: (xp.clip(k, 1, 2), xp.clip(k, max=1), xp.clip(k, k, None)), K),
    "concat": (lambda xp, m, k: (xp.concat([m, m], axis=1), xp.concat([m, m], axis=None)), M, K),
    "count_nonzero": (lambda xp, k: (xp.count_nonzero(k, axis=1), xp.count_nonzero(k, axis=0, keepdims=True)), K),
    "cross": (lambda xp, m: xp.linalg.cross(m, m[:1, :]), M),
    "cumulative_sum": (lambda xp, k: (xp.cumulative_sum(k, axis=1), xp.cumulative_sum(k, axis=0, include_initial=True)), K),
    "cumulative_prod": (lambda xp, k: xp.cumulative_prod(k, axis=1, include_initial=True), K),
    "diff": (lambda xp, k: (xp.diff(k), xp.diff(k, n=2), xp.diff(k, axis=0, prepend=k[:1, :])), K),
    "expand_dims": (lambda xp, v: (xp.expand_dims(v, axis=(0, -1)), xp.expand_dims(v, axis=1)), V),
    "eye": (lambda xp: (xp.eye(3, k=1, dtype=xp.float64), xp.eye(2, 4, k=-1, dtype=xp.int64), xp.eye(2, k=5, dtype=xp.int64)),),
    "flip": (lambda xp, k: (xp.flip(k), xp.flip(k, axis=-1)), K),
    "fft": (lambda xp, v: (xp.fft.fftshift(v), xp.fft.ifftshift(v[:3]), xp.fft.fftfreq(5, d=0.5), xp.fft.rfftfreq(4)), V),
    "isin": (lambda xp, k: (xp.isin(k, k[0, :1]), xp.isin(k, k[0, :1], invert=True)), K),
    "linspace": (lambda xp: (xp.linspace(0, 1, 5), xp.linspace(0, 1, 4, endpoint=False), xp.linspace(0, 1, 0)),),
    "matrix_norm": (lambda xp, m: (xp.linalg.matrix_norm(m), xp.linalg.matrix_norm(m, ord=1, keepdims=True)), M),
    "matrix_rank": (lambda xp, m: xp.linalg.matrix_rank(m, rtol=0.5), M),
    "max": (lambda xp, k: (xp.max(k), xp.max(k, axis=(0, 1)), xp.min(k, axis=0, keepdims=True)), K),
    "meshgrid": (lambda xp, v: (*xp.meshgrid(v, v[:2]), *xp.meshgrid(v, v[:2], indexing="ij")), V),
    "moveaxis": (lambda xp, k: (xp.moveaxis(k, 0, 1), xp.permute_dims(k, (-1, 0)), xp.matrix_transpose(k)), K),
    "nonzero": (lambda xp, k: xp.nonzero(k), K),
    "prod": (lambda xp, k: (xp.prod(k), xp.prod(k, axis=(0, 1), keepdims=True), xp.prod(k, axis=())), K),
    "repeat": (lambda xp, k: (xp.repeat(k, 2), xp.repeat(k, xp.asarray([1, 0, 2]), axis=1)), K),
    "roll": (lambda xp, k: (xp.roll(k, 1), xp.roll(k, (1, -1), axis=(0, 1)), xp.roll(k, 2, axis=-1)), K),
    "searchsorted": (lambda xp, v: (xp.searchsorted(xp.sort(v), v), xp.searchsorted(v, v, side="right", sorter=xp.argsort(v))), V),
    "sign": (lambda xp, v: xp.sign(v * math.inf), V),
    "solve": (lambda xp, m, v: (xp.linalg.solve(m, v[:3]), xp.linalg.solve(xp.stack([m, m, m]), m)), M, V),
    "sort": (lambda xp, v: xp.sort(v), V),
    "squeeze": (lambda xp, v: xp.squeeze(xp.reshape(v, (1, 4, 1)), axis=(0, 2)), V),
    "sum": (lambda xp, k: (xp.sum(k, axis=()), xp.sum(k), xp.sum(k, axis=1, dtype=xp.float32)), K),
    "take": (lambda xp, k: (xp.take(k, xp.asarray([1, -1]), axis=1), xp.take_along_axis(k, xp.asarray([[-1], [0]]), axis=1)), K),
    "tensordot": (lambda xp, m: (xp.tensordot(m, m, axes=1), xp.tensordot(m, m, axes=((0,), (1,)))), M),
    "tile": (lambda xp, k: (xp.tile(k, (2, 1)), xp.tile(k, (2, 1, 1))), K),
    "trace": (lambda xp, k: (xp.linalg.trace(k, offset=1), xp.linalg.diagonal(k, offset=-1)), K),
    "tril": (lambda xp, k: (xp.tril(k, k=-1), xp.triu(k)), K),
    "unstack": (lambda xp, k: tuple(xp.unstack(k, axis=1)), K),
    "var": (lambda xp, m: (xp.var(m), xp.var(m, axis=1, correction=1), xp.std(m, axis=(0, 1)), xp.mean(m, axis=())), M),
    "vecdot": (lambda xp, m, v: (xp.vecdot(m, v[:3]), xp.vecdot(m, m, axis=-2)), M, V),
    "vector_norm": (lambda xp, m: (xp.linalg.vector_norm(m), xp.linalg.vector_norm(m, axis=0, ord=1)), M),
    "where": (lambda xp, k: (xp.where(k > 1, k, 0), xp.where(k > 1, 0.5, xp.astype(k, xp.float64))), K),
}  # fmt: skip


def _as_arrays(value: Any) -> list[Any]:
    return [each for part in value for each in _as_arrays(part)] if isinstance(value, (tuple, list)) else [value]


@pytest.mark.parametrize("name", CALLS)
def test_it_computes_what_numpy_does(name: str) -> None:
    call, *arrays = CALLS[name]
    before = ng.get_default_dtype()
    ng.set_default_dtype(ng.float64)  # NumPy's
    try:
        results = _as_arrays(call(xp, *[xp.asarray(each.copy()) for each in arrays]))
    finally:
        ng.set_default_dtype(before)
    expected = _as_arrays(call(np, *arrays))
    assert len(results) == len(expected)
    for result, array in zip(results, expected, strict=True):
        assert isinstance(result, ng.Tensor)
        assert (result.dtype.name, result.shape) == (array.dtype.name, array.shape)
        np.testing.assert_allclose(result.numpy(), array, rtol=1e-13, atol=1e-15)


def _named(phrase: str) -> list[str]:
    return [name for name, each in vars(elementwise).items() if phrase in (getattr(each, "__doc__", None) or "")]


UNARY, BINARY = _named("of each element"), _named("of each two elements")


def test_elementwise_functions_are_all_there() -> None:
    assert (len(UNARY), len(BINARY)) == (37, 28)


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_array(name: str) -> None:
    bits, ones = name in ("bitwise_invert", "square", "negative"), name in ("acos", "asin", "atanh")
    x = (
        np.array([1, 2, 3])
        if bits
        else np.array([True, False])
        if name == "logical_not"
        else np.array([0.5, 0.25, 1.0])
    )
    x = x + 1 if name == "acosh" else x * 0.5 if ones else x
    result, expected = getattr(xp, name)(xp.asarray(x)), getattr(np, name)(x)
    assert result.dtype.name == expected.dtype.name
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arrays_and_of_a_number(name: str) -> None:
    x, y = (np.array([True, False]), True) if "logical" in name else (np.array([6, 3]), 2)
    if name in ("atan2", "copysign", "divide", "hypot", "logaddexp", "nextafter"):
        x, y = x.astype(np.float64), 2.0
    function, oracle = getattr(xp, name), getattr(np, name)
    array = xp.asarray(x)
    for result, expected in (
        (function(array, array), oracle(x, x)),
        (function(array, y), oracle(x, y)),
        (function(y, array), oracle(y, x)),
    ):
        assert result.dtype.name == expected.dtype.name
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-14)
    with pytest.raises(TypeError, match=f"{name}: got int and int"):
        function(1, 2)
    with pytest.raises(TypeError, match="no complex dtypes"):
        function(array, 1j)


@pytest.mark.parametrize("array", [V, K])
def test_sets(array: np.ndarray) -> None:
    values, indices, inverse, counts = np.unique(array, return_index=True, return_inverse=True, return_counts=True)
    x = xp.asarray(array)
    every = xp.unique_all(x)
    for result, expected in zip(every, (values, indices, inverse, counts), strict=True):
        np.testing.assert_array_equal(result.numpy(), expected)
    for result, fields in (
        (xp.unique_counts(x), ("values", "counts")),
        (xp.unique_inverse(x), ("values", "inverse_indices")),
    ):
        assert [getattr(result, field).tolist() for field in fields] == [
            getattr(every, field).tolist() for field in fields
        ]
    assert xp.unique_values(x).tolist() == values.tolist()
    assert len(xp.unique_values(ng.tensor([np.nan, np.nan]))) == 2


# ---- promotion ---------------------------------------------------------------------------------------------------


def test_promotion_is_by_dtypes_alone() -> None:
    """Of all pairs that the standard and NumPy know, with and without dimensions; in torch the latter count less."""
    for first, second in itertools.product(promotion.DTYPES.values(), repeat=2):
        if first.is_floating_point != second.is_floating_point and not (first.is_bool or second.is_bool):
            continue  # the standard leaves it open
        expected = np.result_type(first.numpy, second.numpy).name
        assert xp.result_type(first, second).name == expected
        assert xp.result_type(ng.ones(2, dtype=first), ng.ones((), dtype=second)).name == expected
    x, y = ng.ones(2, dtype=ng.float32), ng.ones((), dtype=ng.float64)
    assert xp.add(x, y).dtype is ng.float64
    assert (x + y).dtype is ng.float32  # torch's operators


def test_python_numbers_are_weak() -> None:
    small = ng.ones(2, dtype=ng.int8)
    assert xp.add(small, 1).dtype is ng.int8
    assert xp.multiply(2, ng.ones((), dtype=ng.float64)).dtype is ng.float64
    assert xp.result_type(ng.uint8, 3, ng.float32) is ng.float32
    with pytest.raises(RuntimeError, match="cannot be converted to type int8"):
        xp.add(small, 1000)
    with pytest.raises(ValueError, match="expected at least one"):
        xp.result_type(1, 2.0)


def test_kinds_and_limits() -> None:
    info = xp.__array_namespace_info__()
    assert info.dtypes(kind=("bool", "real floating")) == {
        "bool": ng.bool,
        "float32": ng.float32,
        "float64": ng.float64,
    }
    assert info.dtypes(kind="complex floating") == {}
    assert set(info.dtypes(kind="numeric")) | {"bool"} == set(info.dtypes())
    with pytest.raises(ValueError, match="kind is 'float', expected one of 'bool'"):
        info.dtypes(kind="float")
    assert xp.isdtype(ng.int8, ("real floating", "integral"))
    assert xp.finfo(ng.ones(2)).eps == np.finfo("float32").eps
    assert xp.iinfo(ng.int16).max == 32767
    assert xp.can_cast(ng.uint8, ng.int16)
    assert not xp.can_cast(ng.ones(2), ng.int64)
    for name in ("complex64", "uint16", "float128"):
        with pytest.raises(AttributeError, match=name):
            getattr(xp, name)
    for call in (lambda: xp.fft.rfft(ng.ones(2)), lambda: xp.linalg.eig(ng.eye(2)), lambda: xp.imag(ng.ones(2))):
        with pytest.raises(RuntimeError, match="complex"):
            call()


# ---- arrays from elsewhere, copies and views ---------------------------------------------------------------------


def test_asarray_shares_or_copies_as_it_is_told() -> None:
    array = np.arange(3.0)
    buffer = bytearray(b"\x01\x02")
    assert xp.asarray(array).data_ptr() == array.ctypes.data == xp.asarray(array, copy=False).data_ptr()
    assert xp.asarray(array, copy=True).data_ptr() != array.ctypes.data
    assert xp.asarray(buffer, copy=False).tolist() == xp.asarray(b"\x01\x02").tolist() == [1, 2]
    assert xp.asarray(memoryview(array)).dtype is ng.float64
    assert xp.asarray(np.int16(3)).dtype is ng.int16
    for other in ([1, 2], b"12", 3):
        with pytest.raises(ValueError, match="alias|read-only"):
            xp.asarray(other, copy=False)
    with pytest.raises(TypeError, match="complex"):
        xp.asarray([1j])


def test_reshape_is_a_view_or_a_copy_as_it_is_told() -> None:
    x = ng.ones(2, 3)
    assert xp.reshape(x, (6,), copy=False).data_ptr() == x.data_ptr()
    assert xp.reshape(x, (6,), copy=True).data_ptr() != x.data_ptr()
    with pytest.raises(ValueError, match="no view of"):
        xp.reshape(x.t(), (6,), copy=False)
    assert xp.astype(x, ng.float32, copy=False) is x
    assert xp.astype(x, ng.float32).data_ptr() != x.data_ptr()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: xp.squeeze(ng.ones(2, 1), 0), ValueError),
        (lambda: xp.expand_dims(ng.ones(2), 3), IndexError),
        (lambda: xp.expand_dims(ng.ones(2), (0, 0)), ValueError),
        (lambda: xp.broadcast_shapes((2,), (3,)), ValueError),
        (lambda: xp.take(ng.ones(2, 2), ng.tensor([0])), ValueError),
        (lambda: xp.take(ng.ones(2), ng.tensor([2])), IndexError),
        (lambda: xp.take_along_axis(ng.ones(2), ng.tensor([-3])), IndexError),
        (lambda: xp.nonzero(ng.tensor(1)), ValueError),
        (lambda: xp.cumulative_sum(ng.ones(2, 2)), ValueError),
        (lambda: xp.searchsorted(ng.ones(2), 1.0, side="middle"), ValueError),
        (lambda: xp.searchsorted(ng.ones(2, 2), 1.0), ValueError),
        (lambda: xp.concat([]), ValueError),
        (lambda: xp.vecdot(ng.ones(2), ng.ones(1)), ValueError),
        (lambda: xp.linalg.cross(ng.ones(2), ng.ones(2)), ValueError),
        (lambda: xp.meshgrid(ng.ones(2), indexing="yx"), ValueError),
        (lambda: xp.arange(1, 2, 0), ValueError),
        (lambda: xp.linspace(0, 1, -1), ValueError),
        (lambda: xp.isdtype("float32", "bool"), TypeError),
        (lambda: xp.ones(2, device="cuda"), RuntimeError),
        (lambda: xp.sum([1, 2]), TypeError),
    ],
)
def test_what_is_refused(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_results_are_differentiable() -> None:
    def program(x: Any, y: Any) -> Any:
        z = xp.concat([xp.sin(xp.multiply(x, 2)), xp.clip(y, -1, 1)], axis=None)
        q = xp.linalg.solve(xp.eye(2, dtype=xp.float64) * 3 + xp.reshape(z[:4], (2, 2)), z[4:6])
        return xp.sum(xp.sign(z) * z) + xp.var(z, correction=1) + xp.linalg.vector_norm(q)

    generator = np.random.default_rng(5)
    x, y = (ng.tensor(generator.normal(size=(2, 2)) * 0.7, requires_grad=True) for _ in range(2))
    assert ng.autograd.gradcheck(program, (x, y))


# ---- libraries that are written for the standard -----------------------------------------------------------------


def test_array_api_compat() -> None:
    compat = pytest.importorskip("array_api_compat")
    x = ng.ones(2, 3)
    assert compat.array_namespace(x, 1.0) is xp
    assert compat.is_array_api_obj(x)
    assert not compat.is_torch_array(x)
    assert compat.size(x) == 6
    assert compat.to_device(x, compat.device(x)) is x


EXTRA: dict[str, tuple[Any, ...]] = {
    "apply_where": (lambda xpx, xp, v: xpx.apply_where(v > 1, v, lambda t: t * 2, lambda t: t - 1), V),
    "at": (lambda xpx, xp, m, v: (xpx.at(m)[1:, ::2].multiply(2.0), xpx.at(v, v > 1).set(9.0)), M, V),
    "atleast_nd": (lambda xpx, xp, v: xpx.atleast_nd(v, ndim=3), V),
    "cov": (lambda xpx, xp, m: xpx.cov(m), M),
    "create_diagonal": (lambda xpx, xp, v: xpx.create_diagonal(v, offset=1), V),
    "isclose": (lambda xpx, xp, v: xpx.isclose(v, v + 1e-9), V),
    "kron": (lambda xpx, xp, m: xpx.kron(m, m), M),
    "nunique": (lambda xpx, xp, v: xpx.nunique(v), V),
    "pad": (lambda xpx, xp, m: xpx.pad(m, ((1, 2), (0, 1))), M),
    "partition": (lambda xpx, xp, v: xpx.partition(v, 2)[..., 2], V),
    "setdiff1d": (lambda xpx, xp, v: xpx.setdiff1d(v, v[:1]), V),
    "sinc": (lambda xpx, xp, v: xpx.sinc(v / 3), V),
    "union1d": (lambda xpx, xp, v: xpx.union1d(v, v + 1), V),
}


@pytest.mark.parametrize("name", EXTRA)
def test_array_api_extra(name: str) -> None:
    extra = pytest.importorskip("array_api_extra")
    call, *arrays = EXTRA[name]
    results = _as_arrays(call(extra, xp, *[xp.asarray(each.copy()) for each in arrays]))
    for result, expected in zip(results, _as_arrays(call(extra, np, *[each.copy() for each in arrays])), strict=True):
        assert isinstance(result, ng.Tensor)
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-14)
