"""Keywords that no function declares: ``out=``, NumPy's names, and torch's where numgrad's are others."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import numgrad as ng

# Both libraries: the result, or the class of the error. ``o(...)`` makes an output.
OUT = [
    "lib.exp(x, out=o(2, 3))", "lib.add(x, 1, alpha=2, out=o(2, 3))", "lib.sum(x, 1, out=o(2))",
    "lib.matmul(x, x.t(), out=o(2, 2))",
    "lib.cat([x, x], 1, out=o(2, 6))", "lib.max(x, 1, out=(o(2), i(2)))", "lib.min(x, dim=0, keepdim=True, out=(o(1, 3), i(1, 3)))",
    "lib.argmax(x, 1, out=i(2))", "lib.arange(3, out=o(3))", "lib.zeros(2, out=o(2))", "lib.full((2,), 3.0, out=o(2))",
    "lib.add(x, x, out=x)", "lib.mul(x, 2, out=o(2, 3, dtype=lib.float64))", "lib.exp(x, out=o(0))",
    "lib.exp(x, out=o(3))", "lib.exp(x, out=o(4, 4))", "lib.exp(x, out=o(3, 2).t())", "lib.exp(x, out=i(2, 3))",
    "lib.exp(n, out=o(3))", "lib.add(n, 1, out=o(3))", "lib.add(n, 1.5, out=i(3))", "lib.eq(x, 1, out=o(2, 3))",
    "lib.exp(r, out=o(2))", "lib.exp(x, out=r)", "lib.exp(x, out=3)", "lib.exp(x, out=(o(2, 3), o(2, 3)))",
    "lib.max(x, 1, out=o(2))", "lib.max(x, 1, out=(o(2),))", "lib.zeros(2, out=o(2), dtype=lib.int32)",
    "lib.ones(2, out=i(2))", "lib.eye(2, out=o(2, 2))", "lib.linspace(0, 1, 3, out=o(3))", "lib.stack([x, r], out=o(2))",
    "lib.where(x > 0, x, x * 0, out=o(2, 3))", "lib.tanh(out=o(2))", "lib.clamp(x, 0, out=o(2, 3))",
    "lib.mean(x, 0, out=o(3))", "lib.pow(x, 2, out=o(2, 3))", "lib.sqrt(lib.abs(x), out=o(2, 3))", "lib.exp(x, out=None)",
    "lib.index_select(x, 0, i(2), out=o(2, 3))", "lib.gather(x, 1, i(2, 1), out=o(2, 1))", "lib.relu(x, out=o(2, 3))",
]  # fmt: skip
NAMES = [
    "x.sum(axis=0)", "lib.sum(x, axis=(0, 1), keepdims=True)", "lib.add(x1=x, x2=x)", "lib.exp(x=x)", "lib.mean(x=x, axis=1)",
    "x.softmax(axis=1)", "lib.cat([x, x], axis=1)", "lib.zeros(size=(2, 3))", "x.permute(dims=(1, 0))", "x.reshape(shape=(3, 2))",
    "x.view(size=(3, 2))", "x.expand(size=(2, 3))", "lib.stack([x, x], axis=0)", "x.argmax(axis=1, keepdims=True)",
    "lib.sum(x, 0, axis=0)", "lib.sum(x, dim=0, axis=0)", "lib.sum(x, axes=0)", "lib.softmax(input=x)", "lib.exp(y=x)",
    "lib.dropout(x, 0.5, train=False)", "lib.split(tensor=x, split_size_or_sections=1)", "lib.dot(x[0], tensor=x[1])",
    "lib.unsqueeze(x, axis=0).shape[0]", "lib.max(x, axis=1)", "x.sum(axis='a')", "lib.rand(size=(0,))", "x.max(axis=0)",
    "lib.zeros(2, size=(3,))", "lib.matmul(x, other=x.t())", "lib.tanh(input=x)",
]  # fmt: skip


def plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return (str(value.dtype).split(".")[-1], value.tolist()) if hasattr(value, "tolist") else value


def outcome(lib: Any, call: str) -> Any:
    def o(*size: int, dtype: Any = None) -> Any:
        return lib.zeros(*size, dtype=dtype or lib.float32)

    def i(*size: int) -> Any:
        return o(*size, dtype=lib.int64)

    x = lib.tensor([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
    known = {"lib": lib, "o": o, "i": i, "x": x, "n": lib.arange(3), "r": lib.ones(2, requires_grad=True)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = plain(eval(call, known))
        except Exception as error:
            return error
    return value, ["resized" in str(each.message) for each in caught]


@pytest.mark.parametrize("call", OUT + NAMES)
def test_it_is_as_in_torch(call: str, torch: Any) -> None:
    mine, theirs = outcome(ng, call), outcome(torch, call)
    if isinstance(theirs, Exception):
        assert isinstance(mine, type(theirs)), (mine, theirs)
        return
    assert not isinstance(mine, Exception), mine
    assert mine[1] == theirs[1]
    assert str(mine[0]) == str(theirs[0]) or _close(mine[0], theirs[0]), (mine, theirs)


def _close(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, (list, tuple)):
        return len(mine) == len(theirs) and all(_close(a, b) for a, b in zip(mine, theirs, strict=True))
    return mine == pytest.approx(theirs, rel=1e-6) if isinstance(mine, float) else bool(mine == theirs)


def test_out_is_the_result_itself() -> None:
    out = ng.empty(2)
    assert ng.exp(ng.zeros(2), out=out) is out
    values, indices = ng.zeros(2), ng.zeros(2, dtype=ng.int64)
    result = ng.max(ng.ones(2, 2), 1, out=(values, indices))
    assert result[0] is values
    assert result.indices is indices


def test_a_view_is_written_in_its_base() -> None:
    base = ng.zeros(3, 2)
    ng.add(ng.ones(2), 1, out=base[1])
    assert base.tolist() == [[0, 0], [2, 2], [0, 0]]


def test_nothing_is_changed_where_it_is_refused() -> None:
    integers = ng.zeros(2, dtype=ng.int64)
    with pytest.raises(RuntimeError, match="can't be cast"):
        ng.max(ng.ones(2, 2), 1, out=(integers, integers))
    assert integers.tolist() == [0, 0]


def test_autograd_notices_the_change() -> None:
    x = ng.ones(2, requires_grad=True)
    saved = ng.full((2,), 3.0)
    product = x * saved
    ng.exp(ng.zeros(2), out=saved)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


def test_without_a_graph_a_leaf_may_be_written() -> None:
    x = ng.ones(2, requires_grad=True)
    with ng.no_grad():
        assert ng.exp(x, out=x) is x
    assert x.requires_grad


def test_an_error_of_a_users_function_is_left_alone() -> None:
    def broken(y: Any) -> Any:
        raise TypeError("got an unexpected keyword argument 'device'")

    with pytest.raises(TypeError, match="^got an unexpected keyword argument 'device'$"):
        ng.func.vmap(broken)(ng.ones(2))


def test_normalize_writes_into_out() -> None:
    """Of torch's functions for networks this one alone has the argument, which spectral norms by hand use."""
    x, out = ng.randn(3, 4), ng.empty(3, 4)
    assert ng.nn.functional.normalize(x, dim=0, eps=1e-12, out=out) is out
    assert ng.equal(out, ng.nn.functional.normalize(x, dim=0, eps=1e-12))
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        ng.nn.functional.normalize(x.requires_grad_(), out=out)
    with pytest.raises(TypeError, match="unexpected keyword argument 'out'"):
        ng.nn.functional.softplus(x, out=out)
