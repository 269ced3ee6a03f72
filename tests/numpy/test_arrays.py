"""`numgrad.numpy.ndarray` and the protocols of tensors: operators, methods, indices, changes in place, conversions."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import numgrad as ng
import numgrad.numpy as np
from numgrad.numpy import array_type as arrays

A = numpy.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
B = numpy.array([2.0, 0.5, 1.5])


def leaf(x: Any) -> np.ndarray:
    return np.ndarray(ng.tensor(x, requires_grad=numpy.asarray(x).dtype.kind == "f"))


ARITHMETIC = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.matmul,
]
TRUTHS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
BITS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]


@pytest.mark.parametrize("make", [leaf, lambda x: ng.tensor(x, requires_grad=True)], ids=["ndarray", "Tensor"])
@pytest.mark.parametrize("apply", [*ARITHMETIC, operator.pow, *TRUTHS])
def test_operators_with_arrays_in_both_orders(apply: Callable[..., Any], make: Callable[..., Any]) -> None:
    base = abs(A) if apply is operator.pow else A
    other = B if apply is not operator.matmul else numpy.ones((3, 2))
    for result, theirs in (
        (apply(make(base), other), apply(base, other)),
        (apply(other, make(base)) if apply is not operator.matmul else other @ make(base), apply(other, base)),
    ):
        assert isinstance(result, type(make(base)))
        numpy.testing.assert_allclose(result.detach().numpy(), theirs, 1e-15)
        assert result.requires_grad == (apply in [*ARITHMETIC, operator.pow] and apply is not operator.floordiv)


@pytest.mark.parametrize("apply", BITS)
def test_operators_of_integers(apply: Callable[..., Any]) -> None:
    x, y = numpy.array([5, 3, 1]), numpy.array([1, 2, 3])
    for mine in (apply(leaf(x), y), apply(x, leaf(y)), apply(leaf(x), 2)):
        assert mine.dtype == numpy.int64
    numpy.testing.assert_array_equal(numpy.asarray(apply(x, leaf(y))), apply(x, y))


def test_numbers_adapt_to_arrays_as_numpys_do() -> None:
    x = np.ones(2, dtype=np.float32)
    for value in (2.0, 3, True, numpy.float32(2), numpy.float64(2), numpy.int64(3), numpy.int8(3), numpy.ones(2)):
        for mine, theirs in ((x * value, numpy.asarray(x) * value), (value - x, value - numpy.asarray(x))):
            assert mine.dtype == theirs.dtype, value
    with pytest.raises(OverflowError, match="Python integer 300 out of bounds for uint8"):
        np.ones(2, dtype=np.uint8) + 300
    assert not (np.ones(2, dtype=np.uint8) == 300).any()
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "text"


METHODS = """
x.sum() x.sum(axis=0,keepdims=True) x.mean(1) x.std() x.var(ddof=1) x.max(axis=0) x.min() x.prod() x.argmax() x.argmin(axis=1)
x.cumsum() x.cumprod(axis=1) x.T x.mT x.size x.ndim x.shape x.nbytes x.itemsize x.dtype x.strides x.real x.reshape(3,2)
x.reshape((3,-1)) x.reshape(-1) x.transpose() x.transpose(1,0) x.transpose((1,0)) x.ravel() x.flatten() x.copy() x.astype(int)
x.swapaxes(0,1) x.squeeze() x.repeat(2) x.round(1) x.clip(0,1) x.dot(x.T) x.take([0,3]) x.trace() x.diagonal() x.nonzero()
x.argsort() x.any() x.all(axis=0) x.item(1) x.tolist() x.tobytes() x[0].searchsorted(0.5) x.compress([1,0],0)
x[0] x[-1,1] x[:,1] x[:,::-1] x[::-1,::-2] x[...,None] x[[1,0]] x[[0,1],[2,1]] x[x>0] x[1,::-1] x[None,::-1] x[[1,0],::-1] x[()]
len(x) -x +x abs(x)
divmod(x,2.0) 2**x x.view() x.conj()
"""


@pytest.mark.parametrize("text", [*METHODS.split(), "list(x.flat)", "[v.shape for v in x]", "1.5 in x"])
def test_methods_are_numpys(text: str) -> None:
    theirs, mine = eval(text, {"x": A}), eval(text, {"x": leaf(A)})
    if isinstance(theirs, (tuple, list)) and theirs and not isinstance(theirs[0], (int, float, list, tuple)):
        for one, other in zip(mine, theirs, strict=True):
            numpy.testing.assert_allclose(one.detach().numpy(), other, 1e-15)
    elif isinstance(mine, np.ndarray):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        numpy.testing.assert_allclose(mine.detach().numpy(), theirs, 1e-15)
    else:
        assert mine == theirs


def test_every_method_of_numpys_arrays_is_here_or_listed() -> None:
    """What is about NumPy's own memory, dtypes that numgrad has not, or files, is not."""
    missing = {n for n in dir(numpy.ndarray) if not n.startswith("_") and not hasattr(np.ndarray, n)}
    assert missing == {
        "base", "byteswap", "ctypes", "data", "device", "dump", "dumps", "flags", "getfield", "resize", "setfield", "setflags",
        "to_device", "tofile",
    }  # fmt: skip
    assert set(arrays.METHODS) <= set(dir(numpy.ndarray))


def test_writing_is_differentiable() -> None:
    x, y = leaf(numpy.array([1.0, 2.0, 3.0])), np.zeros(4)
    y[0], y[1:3] = x[0] * x[1], x[1:]
    y[::-2] = x[:2]
    y *= 2
    y.sum().backward()
    numpy.testing.assert_array_equal(y.detach().numpy(), [4, 4, 6, 2])
    assert x.grad is not None
    numpy.testing.assert_array_equal(numpy.asarray(x.grad), [6, 4, 2])


def test_views_share_memory_and_history() -> None:
    x, y = np.zeros((2, 3)), leaf(2.0)
    x.T[0] = y
    x[:, 1][...] = x[:, 0] * y
    numpy.testing.assert_array_equal(x.detach().numpy(), [[2, 4, 0], [2, 4, 0]])
    (g,) = ng.autograd.grad(x.sum().tensor, [y.tensor])
    assert g.item() == 2 * (1 + 4)


def test_loops_that_fill_and_update_arrays() -> None:
    """As one writes them for NumPy: what was read before a change keeps its numbers."""

    def filled(np: Any, a: Any) -> Any:
        x = np.zeros(5)
        x[0] = 1
        for t in range(1, 5):
            x[t] = x[t - 1] * a - x[t - 1] ** 2 / 3
        return np.sum(x * x)

    def updated(np: Any, a: Any) -> Any:
        x, y = np.ones(3), np.linspace(0, 1, 3)
        for _ in range(3):
            x += 0.1 * a * x * x
            y[1:] = y[1:] * x[:-1] + y[:-1]
            z = np.sin(x) * y
            x[1] = z[0] + a
            x[0] *= x[1]
        return np.sum(x * y * z)

    def viewed(np: Any, a: Any) -> Any:
        x = np.ones((2, 3))
        row = x[0]
        row *= a
        column = x.T[1]
        x *= 2
        column[0] = column[0] * a
        return np.sum(x**2) + np.sum(row)

    for f in (filled, updated, viewed):
        slope = (f(numpy, 0.7 + 1e-6) - f(numpy, 0.7 - 1e-6)) / 2e-6
        value, gradient = ng.value_and_grad(lambda a, f=f: f(np, a))(0.7)
        assert value == pytest.approx(f(numpy, 0.7), rel=1e-14)
        assert gradient == pytest.approx(slope, rel=1e-7)


CHANGES = (
    """
y[0]=1 | y[1:]*=2 | y[[0,1]]+=1 | y[y>1]*=x[y>1] | y=y.reshape(5,1);y[0,0]+=1;y=y[:,0] | y.flat[::2]=3*x[1] | y.flat=x
z=np.sin(y);np.add.at(y,[0,0],x[:2]);y=y*z | z=np.sin(y);np.copyto(y,x);y=y*z | z=np.sin(y);np.put(y,[0],x[1]);y=y*z
np.exp(y,y);np.add(y,1,out=y) | np.add(y,x,out=y,where=x>0) | z=y[::2];z*=x[0];w=np.sin(z);z+=w;y=y*w[0]
a,y[0]=y[0],y[1];y[1]=a | a=y[0];a+=1;y=y*a | y[0]=sum(v*v for v in y) | for v in y:v+=1 | for i,v in enumerate(y):y[(i+1)%5]+=v
y=np.asarray(y);y[0]=2 | y=np.ascontiguousarray(y[::2]);y*=x[1];y=np.append(y,x[3:]) | z=y[1:];y[:]=2*x;y=y*z[0]
z=np.transpose(a=y);y[0]=x[1];y=y*z | w,z=np.broadcast_arrays(y,x);y[0]=x[1];y=y*w*z | z=y.reshape(1,5).T;y[0]=x[1];y=y*z[:,0]
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


@pytest.mark.parametrize("text", [text.strip() for text in CHANGES])
def test_what_was_computed_before_a_change_keeps_its_gradient(text: str) -> None:
    """Of an exponential, whose op needs its result. NumPy says what is a view: elements by ints are numbers, and none."""

    def f(np: Any, x: Any) -> Any:
        names = {"np": np, "x": x, "y": np.exp(x)}
        exec(text.replace(";", "\n"), names)
        return np.sum(names["y"] ** 2 * np.arange(1.0, 6.0))

    x, step = numpy.array([0.3, -0.2, 0.8, 0.1, -0.6]), 1e-6 * numpy.cos(numpy.arange(5.0))
    value, gradient = ng.value_and_grad(lambda x: f(np, x))(x)
    assert value == pytest.approx(f(numpy, x), rel=1e-14)
    assert gradient @ step == pytest.approx((f(numpy, x + step) - f(numpy, x - step)) / 2, rel=1e-6)


def test_arrays_end_with_their_last_reference() -> None:
    """Without a collection: memory comes back at once, and a view whose array is gone counts no more."""
    x = np.ones(3)
    y = x[1:]
    ends = [weakref.ref(x), weakref.ref(y)]
    gc.disable()
    try:
        del x, y
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()


def test_arrays_that_compute_by_other_rules_are_refused() -> None:
    masked = numpy.ma.array([1.0, 2.0], mask=[True, False])
    with pytest.warns(PendingDeprecationWarning):
        matrix = numpy.matrix([[1.0, 2.0]])
    for x in (ng.ones(2), np.ones(2)):
        for array, match in ((masked, "would lose its mask"), (matrix, "pass numpy.asarray")):
            with pytest.raises(TypeError, match=match):
                x * array
    with pytest.raises(TypeError, match="lose its mask"):
        ng.grad(np.sum)(masked)


def test_errors_about_arrays_say_what_to_do() -> None:
    x = leaf([1.0, 2.0])
    for call in (lambda: ng.add(ng.ones(2), x), lambda: ng.stack([x]), lambda: ng.ones(2)[np.array([0, 1])]):
        with pytest.raises((TypeError, IndexError), match=r"pass its \.tensor, or take the function of numgrad\.numpy"):
            call()
    with pytest.raises(RuntimeError, match=r"requires grad .*numgrad\.numpy\.array for a list of arrays"):
        numpy.array([x[0], x[1]])
    for lost in (lambda: np.arange(0, x[1]), lambda: np.histogram2d([0.0, 1.0], [0.0, 1.0], 2, weights=x)):
        with pytest.raises(TypeError, match=r"requires a gradient.*pass x\.detach\(\)"):
            lost()
    target = numpy.eye(2)
    with pytest.raises(TypeError, match="NumPy's would lose"):
        target @= ng.eye(2, dtype=ng.float64).requires_grad_()
    target @= 2 * ng.eye(2, dtype=ng.float64)
    assert target.tolist() == [[2, 0], [0, 2]]
    assert (round(np.array(1.26)), round(np.array(1.26), 1).item()) == (1, 1.3)


def test_sorting_and_filling_in_place() -> None:
    x = np.array([3.0, 1.0, 2.0])
    x.sort()
    assert x.tolist() == [1, 2, 3]
    x.fill(7)
    assert x.tolist() == [7, 7, 7]


@pytest.mark.parametrize("make", [leaf, lambda x: ng.tensor(x, requires_grad=True)], ids=["ndarray", "Tensor"])
def test_what_would_lose_a_gradient_is_refused(make: Callable[..., Any]) -> None:
    x, target = make(numpy.array([1.0, 2.0])), numpy.ones(2)
    with pytest.raises(TypeError, match=r"add: the result requires a gradient, which an array of NumPy's would lose"):
        target += x
    for call in (
        lambda: numpy.sum(x, out=numpy.ones(())), lambda: numpy.copyto(target, x), lambda: numpy.put(target, [0], x[:1]),
        lambda: numpy.add.at(target, [0], x[:1]), lambda: numpy.sin(x, out=(target,)),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="gradient"):
            call()
    with pytest.raises(RuntimeError, match="requires grad"):
        numpy.asarray(x)
    numpy.testing.assert_array_equal(target, [1, 1])
    target += x.detach()
    numpy.testing.assert_array_equal(target, [2, 3])
    out = np.zeros(2)
    assert np.add(x, 1, out=out) is out
    assert out.requires_grad


def test_numbers_and_integers_do_not_lose_gradients() -> None:
    x = leaf(2.5)
    for convert in (float, int):
        with pytest.raises(TypeError, match=r"would lose it; compute with the array itself"):
            convert(x)
    assert (float(x.detach()), f"{x:.1f}", bool(x > 1), x.item()) == (2.5, "2.5", True, 2.5)
    with pytest.raises(TypeError, match="an array of int64 would lose"):
        np.zeros(2, dtype=int)[0] = x  # type: ignore[index]
    with pytest.raises(ValueError, match="ambiguous"):
        bool(np.ones(2))
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


def test_out_and_casting() -> None:
    x = np.array([1.5, 2.5])
    with pytest.raises(TypeError, match="cannot cast from float64 to int64 by the rule 'same_kind'"):
        np.add(x, 1, out=np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match=r"out has shape \(3,\), the result \(2,\)"):
        np.add(x, 1, out=np.zeros(3))
    into = numpy.zeros(2)
    assert np.add(x, 1, into) is into
    assert into.tolist() == [2.5, 3.5]
    first, second = np.zeros(2), np.zeros(2)
    assert np.divmod(x, 1.0, out=(first, second)) == (first, second) or first.tolist() == [1, 2]
    assert second.tolist() == [0.5, 0.5]


def test_conversion_keeps_to_numpys_rules() -> None:
    for x in (ng.ones(3), np.ndarray(ng.ones(3))):
        assert numpy.shares_memory(numpy.asarray(x), x.numpy())
        assert not numpy.shares_memory(numpy.array(x), x.numpy())
        assert numpy.shares_memory(numpy.array(x, copy=False), x.numpy())
        assert numpy.asarray(x, dtype="f8").dtype == numpy.float64
        with pytest.raises(ValueError, match="copy"):
            numpy.array(x, dtype="f8", copy=False)


def test_arrays_of_tensors_are_writable_where_that_is_safe() -> None:
    x = ng.zeros(3)
    assert x.numpy().flags.writeable
    x.numpy()[1] = 7
    assert x.tolist() == [0, 7, 0]
    assert not x.expand(2, 3).numpy().flags.writeable  # one element in several places
    assert not ng.zeros(3, 4).as_strided((3, 2), (1, 1)).numpy().flags.writeable
    assert ng.zeros(3, 4).t().numpy().flags.writeable
    assert ng.zeros(1).expand(1).numpy().flags.writeable
    assert numpy.array(x.expand(2, 3)).flags.writeable


def test_pickles_and_copies() -> None:
    x = leaf(A)
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        numpy.testing.assert_array_equal(y.detach().numpy(), A)
        assert y.requires_grad
        assert not numpy.shares_memory(y.detach().numpy(), x.detach().numpy())
    assert pickle.loads(pickle.dumps(np.sin)) is np.sin
    assert pickle.loads(pickle.dumps(np.sum)) is np.sum
    with pytest.raises(RuntimeError, match="leaf"):
        pickle.dumps(x * 2)


def test_kinds_of_results() -> None:
    tensor, array = ng.ones(2), np.ones(2)
    assert isinstance(np.add(tensor, tensor), ng.Tensor)
    assert isinstance(np.sin(tensor), ng.Tensor)
    assert isinstance(numpy.sin(array), np.ndarray)
    assert isinstance(np.add(tensor, array), np.ndarray)
    assert isinstance(numpy.concatenate([tensor, array]), np.ndarray)
    assert isinstance(np.sin(1.0), np.ndarray)
    assert isinstance(numpy.sum(tensor), ng.Tensor)
    assert numpy.zeros_like(tensor).dtype is ng.float32
    assert np.ndarray(tensor).tensor is tensor
    with pytest.raises(TypeError, match=r"numgrad\.numpy\.array makes arrays"):
        np.ndarray((2, 3))  # type: ignore[arg-type]


def test_what_no_array_can_hold_is_refused() -> None:
    for value in (1j, "text", [object()], None, {"a": 1}):
        with pytest.raises(TypeError):
            np.array(value)
    with pytest.raises(ValueError, match="infs or NaNs"):
        np.asarray_chkfinite([1.0, numpy.nan])
    with pytest.raises(TypeError, match="numgrad has no dtype complex128"):
        np.zeros(2, dtype=complex)
    with pytest.raises(ValueError, match="could not be broadcast|inhomogeneous|shape"):
        np.array([[1.0], [1.0, 2.0]])


def test_numgrad_imports_it_when_it_is_used() -> None:
    code = (
        "import sys, numgrad as ng; before = 'numgrad.numpy' in sys.modules; import numpy; numpy.ones(2) * ng.ones(2);"
        "operators = 'numgrad.numpy' in sys.modules;"
        "numpy.sin(ng.ones(2)); print(before, operators, 'numgrad.numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
