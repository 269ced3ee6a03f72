"""Functions of small tensors as one op: what comes out is what their ops give, and what is asked of arguments stays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn.functional as F
from benchmarks.surface_cases import cases
from benchmarks.surface_operands import operands
from numgrad.errors import warn
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS, chain, memo
from numgrad.runtime.fast import start as fast
from numgrad.tensor import joined, known
from tests.ops.samples_elementwise import EVERY_FORM


@contextmanager
def by_ops() -> Iterator[None]:
    """Nothing is one op: something listens to all of them."""

    def listener(inner: Any, op: Any, inputs: Any, params: Any) -> Any:
        return inner(op, inputs, params)

    chain.wrap_dispatch(0, listener)
    try:
        yield
    finally:
        chain.unwrap_dispatch(listener)


def steps() -> list[Any]:
    """What is known of calls."""
    return [entry for table in memo.tables for entry in table.values() if isinstance(entry, tuple)]


def joined_with(x: ng.Tensor) -> list[Any]:
    """The calls with such a tensor that are one op."""
    calls = [pair for table in memo.tables for pair in table.items() if isinstance(pair[1], tuple)]
    return [key for key, entry in calls if x._spec in key and entry[1].__class__ is tuple]


def plans() -> int:
    """How many plans of several ops are known."""
    return sum(entry[1].__class__ is tuple for entry in steps())


def shown(result: Any) -> Any:
    """All that can be seen of a result: classes, layouts, bits, nodes."""
    if isinstance(result, ng.Tensor):
        node = None if result.grad_fn is None else result.grad_fn.name()
        bits = result.detach()._array().tobytes()
        return result.dtype, tuple(result.shape), result.stride(), result.requires_grad, node, bits
    if isinstance(result, (tuple, list)):
        return type(result), getattr(result, "_names", None), [shown(each) for each in result]
    return result


def gradients(result: Any, names: dict[str, Any]) -> Any:
    """The gradients that the sum of all results gives the operands."""
    results = result if isinstance(result, (tuple, list)) else [result]
    sums = [each.sum() for each in results if isinstance(each, ng.Tensor) and each.requires_grad]
    leaves = [each for each in names.values() if isinstance(each, ng.Tensor) and each.is_leaf and each.requires_grad]
    return shown(ng.autograd.grad(sums, leaves, allow_unused=True)) if sums and leaves else None


def answer(text: str, names: dict[str, Any]) -> Any:
    ng.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = eval(text, {"lib": ng, "F": F, **names})
            return shown(result), gradients(result, names)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return type(error), str(error)


def to_be_differentiated(names: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.detach().requires_grad_()
        if isinstance(value, ng.Tensor) and value.dtype.is_floating_point
        else value
        for name, value in names.items()
    }


# Memory that nobody has written, and what differs from one call to the next.
UNDEFINED = ("empty", "seed")


def is_alike(text: str) -> bool:
    """Whether a call is of one elementwise op whose loops are those of `EVERY_FORM`."""
    name = text.split("(")[0].split(".")[-1].rstrip("_")
    return name not in EVERY_FORM and isinstance(OPS.get(name), Elementwise)


# What is known of a call goes by its layouts, whatever the ops are: of other layouts every fourth call says so, but for those that
# are alike. Each of these ops has loops of its own for them.
LAYOUTS = [("contiguous", 1), ("strided", 4), pytest.param("strided", 1, marks=pytest.mark.soak)]


@pytest.mark.parametrize("mode", ["no gradient is needed", "gradients are needed", "none are recorded"])
@pytest.mark.parametrize(("layout", "every"), LAYOUTS)
def test_later_calls_are_those_of_the_ops(layout: str, every: int, mode: str) -> None:
    fast.load()
    before, wrong = plans(), []
    texts = [each for each in cases() if not any(word in each for word in UNDEFINED)]
    for text in [each for each in texts if every == 1 or not is_alike(each)][::every]:
        names = operands(ng, text, "1e2", layout=layout)
        others = {name: value.clone() if isinstance(value, ng.Tensor) else value for name, value in names.items()}
        for name, value in names.items():  # other numbers, of the same layout
            if isinstance(value, ng.Tensor):
                others[name] = operands(ng, name, "1e2", layout=layout)[name]
                others[name].copy_(value.flip(0))
        if mode != "no gradient is needed":
            names, others = to_be_differentiated(names), to_be_differentiated(others)
        with ng.set_grad_enabled(mode != "none are recorded"):
            with by_ops():
                first, then = answer(text, names), answer(text, others)
            if [answer(text, names) for _ in range(4)] != [first] * 4 or answer(text, others) != then:
                wrong.append(text)
    assert not wrong
    assert mode == "gradients are needed" or plans() > before + 40 // every


def often(call: Any, times: int = 4) -> Any:
    """The last of several calls, of which something is known."""
    fast.load()
    memo.forget()
    results = [call() for _ in range(times)]
    assert steps(), "nothing is known"
    return results[-1]


def test_an_argument_of_another_class_is_refused_as_ever() -> None:
    x = ng.rand(3, 7)
    often(lambda: ng.nanmean(x, 0, True))
    with pytest.raises(TypeError, match="keepdim"):
        ng.nanmean(x, 0, 1)
    with pytest.raises(TypeError, match="int"):
        ng.nanmean(x, False, True)
    with pytest.raises(TypeError, match="must be Tensor"):
        ng.nanmean(3, 0, True)


def test_the_default_dtype_is_asked_for_each_time() -> None:
    x = ng.arange(6).reshape(2, 3)
    assert often(lambda: ng.logsumexp(x, 1)).dtype is ng.float32
    ng.set_default_dtype(ng.float64)
    try:
        assert often(lambda: ng.logsumexp(x, 1)).dtype is ng.float64
    finally:
        ng.set_default_dtype(ng.float32)
    assert ng.logsumexp(x, 1).dtype is ng.float32


def test_a_warning_comes_each_time() -> None:
    @known.knowing
    def warns(x: Any) -> Any:
        warn("it is so")
        return x * 2

    for _ in range(5):
        with pytest.warns(UserWarning, match="it is so"):
            assert warns(ng.ones(2)).tolist() == [2, 2]


def test_an_error_that_numbers_cause_is_that_of_the_ops() -> None:
    x, rows = ng.rand(3, 5), ng.tensor([0, 2])
    far = ng.tensor([0, 3])
    with pytest.raises(IndexError) as first:
        x[far]
    often(lambda: x[rows])
    with pytest.raises(IndexError) as later:
        x[far]
    assert str(first.value) == str(later.value)
    often(lambda: ng.take(x, rows))
    with pytest.raises(IndexError):
        ng.take(x, ng.tensor([0, 15]))


def test_what_reads_numbers_reads_them_each_time() -> None:
    x, q = ng.rand(4, 6), ng.tensor([0.25, 0.5])
    for _ in range(4):
        ng.quantile(x, q, 1)
    with pytest.raises(RuntimeError, match="range"):
        ng.quantile(x, ng.tensor([0.25, 1.5]), 1)
    weights = ng.ones(6)
    for _ in range(4):
        ng.cov(x, aweights=weights)
    with pytest.raises(RuntimeError, match="sum to zero"):
        ng.cov(x, aweights=ng.zeros(6))
    for size in (1, 2, 3):  # of a condition alone the result is as long as it is true
        mask = ng.arange(5) < size
        assert all(len(ng.where(mask)[0]) == size for _ in range(4))


def test_gradients_and_transforms_go_by_the_ops() -> None:
    x = ng.rand(3, 4, dtype=ng.float64)
    still = often(lambda: ng.logsumexp(x, 1))
    leaf = x.clone().requires_grad_()
    result = ng.logsumexp(leaf, 1)
    assert result.requires_grad
    assert result.tolist() == still.tolist()
    (gradient,) = ng.autograd.grad(result.sum(), leaf)
    assert ng.allclose(gradient, ng.softmax(x, 1))
    assert ng.autograd.gradgradcheck(lambda x: ng.logsumexp(x, 1), (leaf,))
    with ng.no_grad():
        assert not ng.logsumexp(leaf, 1).requires_grad
        view = leaf[1:]
    assert not ng.logsumexp(view, 1).requires_grad
    assert ng.logsumexp(leaf[1:], 1).requires_grad
    assert ng.func.vmap(lambda row: ng.logsumexp(row, 0))(x).tolist() == still.tolist()
    tangent = ng.func.jvp(lambda x: ng.logsumexp(x, 1), (x,), (ng.ones_like(x),))[1]
    assert ng.allclose(tangent, ng.ones_like(tangent))
    step = ng.jit(lambda x: ng.logsumexp(x, 1) * 2)
    assert [step(x).tolist() for _ in range(3)] == [(still * 2).tolist()] * 3


def test_a_view_of_what_changed_is_followed() -> None:
    base = ng.rand(3, 4)
    view = base[0]
    often(lambda: ng.nanmean(view))
    weight = ng.ones(4, requires_grad=True)
    base[0] = weight * 3
    assert ng.nanmean(view).requires_grad


def test_arguments_may_be_one_tensor_or_several() -> None:
    x, y, w = (ng.rand(4, 5) for _ in range(3))

    @known.knowing
    def mixed(x: Any, y: Any, w: Any) -> Any:
        return x + y * w

    assert often(lambda: mixed(x, x, x)).tolist() == (x + x * x).tolist()
    assert mixed(x, y, w).tolist() == (x + y * w).tolist()
    assert mixed(x, y, x).tolist() == (x + y * x).tolist()
    half = x[:2]
    assert [ng.cat([half, x]).tolist() for _ in range(4)] == [half.tolist() + x.tolist()] * 4
    assert ng.cat([y[1:3], w]).tolist() == y[1:3].tolist() + w.tolist()


def test_results_have_memory_of_their_own() -> None:
    x = ng.rand(3, 4)
    first = often(lambda: ng.renorm(x, 2, 0, 0.5))
    kept = first.clone()
    second = ng.renorm(x, 2, 0, 0.5)
    second.zero_()
    assert ng.equal(first, kept)
    assert ng.equal(ng.renorm(x, 2, 0, 0.5), kept)


def test_large_operands_go_by_the_ops() -> None:
    x = ng.rand(joined.LARGEST + 1)
    for _ in range(4):
        ng.nanmean(x)
    assert not joined_with(x)


def test_a_small_window_on_a_large_operand_is_one_op() -> None:
    x = ng.rand(joined.LARGEST + 1, 2)
    for function in (lambda: ng.narrow_copy(x, 0, 1, 2), lambda: x[:5].t().diagonal().sum()):
        with by_ops():
            expected = shown(function())
        assert [shown(function()) for _ in range(5)] == [expected] * 5
    assert joined_with(x)


def test_keywords_of_all_functions_are_taken() -> None:
    x, out = ng.rand(3, 4), ng.empty(4)
    expected = often(lambda: ng.nanmean(x, 0))
    assert ng.nanmean(x, 0, out=out) is out
    assert out.tolist() == expected.tolist()
    with pytest.raises(TypeError, match="unexpected"):
        ng.nanmean(x, 0, outt=out)


FILLS = {
    "exponential": lambda x: x.exponential_(2.0),
    "geometric": lambda x: x.geometric_(0.25),
    "cauchy": lambda x: x.cauchy_(),
    "log normal": lambda x: x.log_normal_(),
    "bernoulli": lambda x: x.bernoulli_(0.25),
    "integers": lambda x: x.random_(3, 9),
    "uniform": lambda x: x.uniform_(-1, 2),
    "normal": lambda x: x.normal_(),
}


@pytest.mark.parametrize("name", FILLS)
def test_fills(name: str) -> None:
    fast.load()
    fill = FILLS[name]
    ng.manual_seed(3)
    with by_ops():
        expected = [fill(ng.zeros(4, 5)).tolist() for _ in range(6)]
    ng.manual_seed(3)
    assert [fill(ng.zeros(4, 5)).tolist() for _ in range(6)] == expected
    x = ng.zeros(4, 5)
    version = x._version
    assert fill(x) is x
    assert x._version == version + 1
    base = ng.zeros(4, 10)
    ng.manual_seed(3)
    fill(base[:, ::2])
    assert base[:, ::2].tolist() == expected[0]
    assert not base[:, 1::2].any()
    leaf, expanded, state = ng.zeros(4, 5, requires_grad=True), ng.zeros(5).expand(4, 5), ng.get_rng_state()
    with pytest.raises(RuntimeError, match="leaf"):
        fill(leaf)
    with pytest.raises(RuntimeError, match="single memory location"):
        fill(expanded)
    assert ng.equal(ng.get_rng_state(), state)
    assert not leaf.any()
    assert not expanded.any()
    with ng.no_grad():
        fill(leaf)
    assert leaf.any()
    history = leaf * 2
    fill(history)
    assert history.grad_fn is not None
    assert ng.autograd.grad(history.sum(), leaf)[0].tolist() == ng.zeros(4, 5).tolist()


def test_any_number_of_threads() -> None:
    x = ng.rand(5, 6)
    expected = often(lambda: ng.nanmedian(x, 1)).values.tolist()
    count = ng.get_num_threads()
    try:
        for each in (1, 2, 1):
            ng.set_num_threads(each)
            assert often(lambda: ng.nanmedian(x, 1)).values.tolist() == expected
    finally:
        ng.set_num_threads(count)


HISTOGRAMS = {
    "one number": (ng.ones(5), 4, None),
    "range": (ng.tensor([0.0, 0.5, 1.0, 2.5]), 5, (0.0, 2.0)),
    "same bounds": (ng.tensor([0.0, 0.5]), 3, (0.25, 0.25)),
    "nan in range": (ng.tensor([0.0, float("nan"), 1.0]), 3, (0, 1)),
    "float64": (ng.linspace(-3, 5, 37, dtype=ng.float64), 7, None),
    "a bin each": (ng.tensor([1.0, 1.0 + 2**-23]), 9, None),
    "matrix": (ng.arange(12, dtype=ng.float32).reshape(3, 4).t(), 6, None),
}


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_small_histograms_are_those_of_numpy(name: str) -> None:
    x, bins, range_ = HISTOGRAMS[name]
    with by_ops():
        first = shown(ng.histogram(x, bins, range=range_))
    assert [shown(ng.histogram(x, bins, range=range_)) for _ in range(4)] == [first] * 4
    if range_ is None:
        heights, edges = np.histogram(x.numpy().astype(np.float64), bins)
        assert np.allclose(edges, ng.histogram(x, bins).bin_edges.numpy(), rtol=1e-6)
        assert name == "a bin each" or heights.tolist() == ng.histogram(x, bins).hist.tolist()


def test_a_histogram_of_what_is_not_finite_is_refused() -> None:
    for _ in range(4):
        ng.histogram(ng.rand(5), 3)
    for wrong in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(RuntimeError, match="not finite"):
            ng.histogram(ng.tensor([0.0, wrong, 1.0, 0.0, 0.5]), 3)


def test_membership_of_few() -> None:
    nan = float("nan")
    cases_ = [
        (ng.tensor([1, 5, -3, 7]), ng.tensor([7, 7, 1])),
        (ng.tensor([[1.0, nan], [-0.0, 2.0]]), ng.tensor([0.0, nan, 2.0])),
        (ng.tensor([1, 2, 3]), ng.tensor([2.0, 2.5])),
        (ng.tensor(3), ng.tensor([[3]])),
        (ng.tensor([2**62, 2**62 + 1]), ng.tensor([2**62 + 1])),
    ]
    for elements, others in cases_:
        for invert in (False, True):
            expected = np.isin(elements.numpy(), others.numpy(), invert=invert).tolist()
            assert [ng.isin(elements, others, invert=invert).tolist() for _ in range(4)] == [expected] * 4
    assert ng.isin(ng.rand(3), ng.zeros(0)).tolist() == [False] * 3


def test_indices_of_small_triangles() -> None:
    for rows, columns in ((3, 4), (4, 3), (1, 5), (5, 1), (0, 3), (3, 0)):
        for offset in range(-6, 7):
            for name in ("tril_indices", "triu_indices"):
                expected = np.stack(getattr(np, name)(rows, offset, columns)).tolist()
                for _ in range(3):
                    assert getattr(ng, name)(rows, columns, offset).tolist() == expected


def test_small_histograms_of_one_range() -> None:
    nan = float("nan")
    for x, bins, low, high in (
        (ng.rand(30), 7, 0, 0),
        (ng.ones(4), 3, 0, 0),
        (ng.tensor([1.0, 2.0, 1.0, 5.0, -3.0]), 4, 0, 3),
        (ng.tensor([0.0, nan, 1.0]), 5, 0, 1),
        (ng.rand(4, 5, dtype=ng.float64).t(), 9, 0.2, 0.7),
        (ng.rand(11), 5, 2, 2),
    ):
        with by_ops():
            expected = shown(ng.histc(x, bins, low, high))
        assert [shown(ng.histc(x, bins, low, high)) for _ in range(4)] == [expected] * 4
    for wrong in (nan, float("inf")):
        with pytest.raises(RuntimeError, match="not finite"):
            ng.histc(ng.tensor([0.0, wrong]), 3)


def test_one_hot_of_few_names_what_is_wrong() -> None:
    classes = ng.tensor([[0, 2], [1, 1]])
    expected = [[[1, 0, 0, 0], [0, 0, 1, 0]], [[0, 1, 0, 0], [0, 1, 0, 0]]]
    assert [F.one_hot(classes, 4).tolist() for _ in range(4)] == [expected] * 4
    with pytest.raises(RuntimeError, match="smaller than num_classes, but 4"):
        F.one_hot(ng.tensor([[0, 4], [1, 1]]), 4)
    with pytest.raises(RuntimeError, match="non-negative"):
        F.one_hot(ng.tensor([[0, -1], [1, 1]]), 4)


def test_normal_numbers_of_moments() -> None:
    mean, std = ng.rand(5), ng.rand(3, 1)
    ng.manual_seed(1)
    with by_ops():
        expected = [ng.normal(mean, std).tolist() for _ in range(5)]
    ng.manual_seed(1)
    assert [ng.normal(mean, std).tolist() for _ in range(5)] == expected
    with pytest.raises(RuntimeError, match="std >= 0"):
        ng.normal(mean, -std)
