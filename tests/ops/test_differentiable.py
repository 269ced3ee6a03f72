"""`ng.differentiable`: functions with loops as ops on the tape, against ops of tensors and finite differences."""

from __future__ import annotations

import gc
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.errors import DtypeError, GradError, TapeError
from numgrad.ops.loops import differentiable_op, sums, sweep_op
from numgrad.ops.loops.splitting import split
from numgrad.runtime import memory
from tests.ops import loop_functions
from tests.ops.loop_functions import by_tensors, decay, measured, picked, root, smooth, smoothed, spread, summed


def leaf(*shape: int, dtype: Any = ng.float64, low: float = 0.2) -> Any:
    """Numbers between ``low`` and ``low`` + 0.6."""
    return (ng.rand(*shape, dtype=dtype) * 0.6 + low).requires_grad_()


# ---- values and gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [ng.float32, ng.float64])
def test_values_and_gradients_are_those_of_ops(dtype: Any) -> None:
    x, rate = leaf(5, dtype=dtype), leaf(dtype=dtype)
    results = [f(x, rate, 3) for f in (decay, by_tensors)]
    assert [each.dtype for each in results[0]] == [dtype, ng.float64]  # np.empty_like(x), np.zeros(steps)
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        assert ng.allclose(ours, theirs.to(ours.dtype), rtol=1e-5)
    seeds = [ng.rand(*each.shape, dtype=each.dtype) for each in results[0]]
    first, second = [
        ng.autograd.grad(each, (x, rate), [seed.to(one.dtype) for seed, one in zip(seeds, each, strict=True)])
        for each in results
    ]
    for ours, theirs in zip(first, second, strict=True):
        assert ours.dtype is dtype
        assert ng.allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("needed", [(True, False), (False, True)])
def test_only_needed_gradients_are_computed(needed: tuple[bool, bool]) -> None:
    x, rate = [value.detach().requires_grad_(need) for value, need in zip((leaf(5), leaf()), needed, strict=True)]
    y, _ = decay(x, rate, 3)
    y.sum().backward()
    assert [each.grad is not None for each in (x, rate)] == list(needed)


def test_gradcheck_and_gradgradcheck() -> None:
    x, rate = leaf(3), leaf()
    assert ng.autograd.gradcheck(lambda *args: decay(*args, 2), (x, rate))
    assert ng.autograd.gradgradcheck(lambda *args: decay(*args, 2), (x, rate))
    assert ng.autograd.gradcheck(lambda x: root(x, 1e-14)[0], leaf())
    assert ng.autograd.gradgradcheck(lambda x: root(x, 1e-14)[0], leaf())


def test_third_derivatives() -> None:
    def cubed(x: Any) -> Any:
        return root(x, 1e-15)[0] ** 3

    x = ng.tensor(1.7, dtype=ng.float64)
    third = ng.func.grad(ng.func.grad(ng.func.grad(cubed)))(x)
    assert third.item() == pytest.approx(-0.375 * 1.7**-1.5)


def test_the_number_of_turns_may_depend_on_values_and_grow() -> None:
    """The tape's length is found by running; a longer one after a shorter one, and the other way round."""
    for value, tolerance in ((2.0, 1e-3), (1e300, 1e285), (2.0, 1e-12), (1e-6, 1e-20)):
        x = ng.tensor(value, dtype=ng.float64, requires_grad=True)
        y, steps = root(x, tolerance)
        y.backward()
        assert (y.dtype, steps.dtype, steps.requires_grad) == (ng.float64, ng.int64, False)
        assert y.item() == pytest.approx(value**0.5, rel=1e-2)
        assert x.grad.item() == pytest.approx(0.5 * value**-0.5, rel=0.3)


@pytest.mark.parametrize(
    "places", [np.array([0, -1, 2]), ng.tensor([0, -1, 2]), np.array([2], np.int32), np.zeros(0, np.int64)]
)
def test_integers_bools_and_arrays_of_numpys_are_constants(places: Any) -> None:
    x = ng.tensor([1.0, -2.0, 3.0], dtype=ng.float64, requires_grad=True)
    total = picked(x, places, True)
    total.backward()
    expected = np.bincount(np.asarray(places) % 3, minlength=3) * [1.0, -1.0, 1.0] * 0.1 * total.item()
    assert np.allclose(x.grad.numpy(), expected)


def test_a_constant_array_may_be_changed_before_the_backward() -> None:
    x, places = leaf(3), np.array([0, 0, 1])
    total = picked(x, places, False)
    places[:] = 2
    total.backward()
    assert np.allclose(x.grad.numpy(), np.array([0.2, 0.1, 0.0]) * total.item())


@pytest.mark.parametrize("count", [0, 1])
def test_empty_and_single(count: int) -> None:
    x = leaf(count)
    y, means = decay(x, 0.5, 2)
    assert (tuple(y.shape), tuple(means.shape)) == ((count,), (2,))
    y.sum().backward()
    assert x.grad.shape == (count,)
    y, means = decay(x, 0.5, 0)
    assert means.shape == (0,)
    y.sum().backward()


def test_any_strides() -> None:
    x = leaf(4, 5)
    for view in (x[:, 1], x.t()[2], x[0].expand(3, 5)[1], x[1][::2]):
        ours = ng.autograd.grad(decay(view, 0.5, 2)[0].sum(), x, retain_graph=True)[0]
        theirs = ng.autograd.grad(by_tensors(view, 0.5, 2)[0].sum(), x)[0]
        assert ng.allclose(ours, theirs)


def test_nan_and_inf_pass_through() -> None:
    x = ng.tensor([float("nan"), float("inf"), 1.0], dtype=ng.float64, requires_grad=True)
    y, _ = decay(x, 0.5, 1)
    y[2].backward()
    assert y.isnan().tolist() == [True, True, False]  # inf - inf
    assert x.grad[2].item() == 0.0  # 1 - 2 * 0.5 * 1


@pytest.mark.parametrize("count", [2, 3, 9, 5000])
def test_loops_that_add_to_neighbours_are_taken_apart(count: int) -> None:
    x = leaf(count)
    y = spread(x)
    seed = ng.rand(count, dtype=ng.float64)
    (ours,) = ng.autograd.grad(y, x, seed)
    (theirs,) = ng.autograd.grad(x[:-2] * x[1:-1] + x[2:].sin(), x, seed[1:-1])
    assert ng.allclose(ours, theirs)
    assert "terms__" in split(spread._bound((x,)).program.sweeps(("x",)).reverse).text


@pytest.mark.parametrize("count", [0, 5, 5000])
def test_sums_of_costly_terms_keep_their_order(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = leaf(count)
    ours = ng.differentiable(summed)
    value = ours(x)
    assert "terms__" in sums.take_apart(ours._bound((x,)).program.sweeps(("x",)).record).text
    monkeypatch.setattr(differentiable_op, "take_apart", lambda sweep: sweep)
    expected = ng.differentiable(summed)(x)
    # One loop may fuse a product with its addition, and so may one that records nothing.
    for other in (ours(x.detach()), expected):
        assert value.item() == pytest.approx(other.item(), rel=1e-13)
    assert ng.equal(ng.autograd.grad(value, x)[0], ng.autograd.grad(expected, x)[0])


def beyond(x: Any, k: int) -> Any:
    """Two sums that are taken apart."""
    total = 0.0
    for i in range(x.shape[0]):
        total += math.exp(x[i]) * i
    for i in range(x.shape[0]):
        total += math.exp(x[i + k])
    return total


def test_a_sum_that_is_taken_apart_fails_at_its_line() -> None:
    x = leaf(5)
    assert "terms__" in sums.take_apart(ng.differentiable(beyond)._bound((x, 1)).program.sweeps(("x",)).record).text
    with pytest.raises(IndexError, match=r"total \+= math.exp\(x\[i \+ k\]\)"):
        ng.differentiable(beyond)(x, 1)


def test_without_gradients_nothing_is_recorded() -> None:
    x = leaf(3)
    with ng.no_grad():
        assert not decay(x, 0.5, 2)[0].requires_grad
    assert not decay(x.detach(), 0.5, 2)[0].requires_grad
    assert decay(x, 0.5, 2)[0].grad_fn.name() == "DecayBackward0"


def test_helpers_constants_and_defaults() -> None:
    x = ng.tensor(2.0, dtype=ng.float64, requires_grad=True)
    for value in (measured(x), measured(x, "newton"), measured(x=x, how="newton")):
        assert value.item() == pytest.approx(2**0.5)
        (slope,) = ng.autograd.grad(value, x)
        assert slope.item() == pytest.approx(0.5 * 2**-0.5)


def test_what_the_function_raises_is_raised_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"x is negative, in measured \(.*loop_functions.py:\d+\): `raise ValueError"):
        measured(ng.tensor(-1.0))
    with pytest.raises(ValueError, match="x is negative"):
        ng.func.vmap(measured)(ng.tensor([1.0, -1.0]))


# ---- NumPy ----------------------------------------------------------------------------------------------------------


def test_with_numpys_arrays_it_is_a_function_of_numpys() -> None:
    x = np.linspace(0.1, 0.9, 4)
    y, means = decay(x, 0.5, steps=2)
    plain = decay.py_func(x, 0.5, 2)
    assert type(y) is np.ndarray
    assert np.allclose(y, plain[0])
    assert np.allclose(means, plain[1])
    value, steps = root(2.0, 1e-12)
    assert (type(value), type(steps)) == (float, int)
    assert value == pytest.approx(2**0.5)
    u = np.arange(5.0) ** 2
    expected = u.copy()
    smooth.py_func(expected, np.full(5, 0.1), 2)
    assert smooth(u, np.full(5, 0.1), 2) is None
    assert np.allclose(u, expected)


def test_an_array_that_cannot_be_changed_is_refused() -> None:
    u = np.arange(5.0)
    u.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        smooth(u, np.ones(5), 1)


# ---- changes in place -----------------------------------------------------------------------------------------------


def test_a_changed_argument_is_changed_in_place() -> None:
    start, weight = leaf(6), leaf(6)
    u = start * 1.0
    view = u[1:3]
    version = u._version
    smooth(u, weight, 3)
    assert u._version > version
    expected = smoothed(start, weight, 3)
    assert ng.allclose(u, expected)
    assert ng.allclose(view, expected[1:3])
    seed = ng.rand(6, dtype=ng.float64)
    ours = ng.autograd.grad(u, (start, weight), seed)
    theirs = ng.autograd.grad(expected, (start, weight), seed)
    assert all(ng.allclose(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_view_is_changed_with_its_base() -> None:
    start, weight = leaf(2, 6), leaf(6)
    base = start * 1.0
    smooth(base[1], weight, 2)
    assert ng.allclose(base[1], smoothed(start[1], weight, 2))
    (ours,) = ng.autograd.grad(base.sum(), start)
    (theirs,) = ng.autograd.grad(start[0].sum() + smoothed(start[1], weight, 2).sum(), start)
    assert ng.allclose(ours, theirs)


def test_changes_that_cannot_be_followed_are_refused_before() -> None:
    weight = leaf(5)
    for make, error, message in [
        (lambda: leaf(5), GradError, "smooth: a leaf Variable that requires grad"),
        (lambda: leaf(2, 5)[0], GradError, "smooth: a view of a leaf"),
    ]:
        u = make()
        before = u.tolist()
        with pytest.raises(error, match=message):
            smooth(u, weight, 1)
        assert u.tolist() == before


def test_a_saved_value_that_is_changed_later_is_noticed() -> None:
    x = leaf(3)
    y = x * 1.0
    total = decay(y, 0.5, 2)[0].sum()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_arguments_that_share_memory_are_refused_if_one_is_changed() -> None:
    u = ng.rand(8, dtype=ng.float64)
    before = u.tolist()
    with pytest.raises(ValueError, match="smooth: it changes u, which shares memory with weight"):
        smooth(u[:5], u[3:], 1)
    assert u.tolist() == before
    smooth(u[:4], u[4:], 1)
    array = np.arange(6.0)
    with pytest.raises(ValueError, match="shares memory"):
        smooth(array, array, 1)
    with pytest.raises(TypeError, match="it changes u, an array of NumPy's"):
        smooth(array, leaf(6), 1)


# ---- transforms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_dims", [(0, 0), (1, None), (None, 0), (-1, 0)])
def test_a_batch_is_each_example(in_dims: tuple[Any, Any]) -> None:
    f = lambda x, rate: decay(x, rate, 2)[0]  # noqa: E731
    x = ng.rand(4, 4, dtype=ng.float64) if in_dims[0] is not None else ng.rand(4, dtype=ng.float64)
    rate = ng.rand(4, dtype=ng.float64) if in_dims[1] is not None else ng.tensor(0.5, dtype=ng.float64)
    columns = [x] * 4 if in_dims[0] is None else x.unbind(in_dims[0])
    rates = [rate] * 4 if in_dims[1] is None else rate.unbind(0)
    with warnings.catch_warnings(action="error"):
        batch = ng.func.vmap(f, in_dims=in_dims)(x, rate)
        gradients = ng.func.vmap(ng.func.grad(lambda *a: f(*a).sum(), argnums=(0, 1)), in_dims=in_dims)(x, rate)
    assert batch.tolist() == ng.stack([f(*pair) for pair in zip(columns, rates, strict=True)]).tolist()
    single = [ng.func.grad(lambda *a: f(*a).sum(), argnums=(0, 1))(*pair) for pair in zip(columns, rates, strict=True)]
    for ours, theirs in zip(gradients, zip(*single, strict=True), strict=True):
        assert ng.allclose(ours, ng.stack(list(theirs)))


def test_batches_of_batches_and_gradients_of_what_all_share() -> None:
    x, rate = leaf(2, 3, 4), leaf()
    nested = ng.func.vmap(ng.func.vmap(lambda row: decay(row, rate, 2)[0]))
    y = nested(x)
    expected = by_tensors(x, rate, 2)[0]
    assert ng.allclose(y, expected)
    for ours, theirs in zip(
        ng.autograd.grad(y.square().sum(), (x, rate)), ng.autograd.grad(expected.square().sum(), (x, rate)), strict=True
    ):
        assert ng.allclose(ours, theirs)
    assert nested(ng.zeros(0, 3, 4, dtype=ng.float64)).shape == (0, 3, 4)


def test_lengths_that_only_a_run_can_tell_in_a_batch() -> None:
    x = ng.tensor([2.0, 1e200, 3e-5], dtype=ng.float64, requires_grad=True)
    y, steps = ng.func.vmap(lambda x: root(x, x * 1e-12), out_dims=0)(x)
    y.sum().backward()
    assert len(set(steps.tolist())) > 1
    assert ng.allclose(x.grad, 0.5 / x.detach().sqrt())


def test_a_batch_has_the_same_bits_for_any_number_of_threads() -> None:
    x, rate, before = ng.rand(300, 7, dtype=ng.float64), leaf(), ng.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            ng.set_num_threads(threads)
            y = ng.func.vmap(lambda row: decay(row, rate, 2)[0])(x)
            results.append((y.tolist(), ng.autograd.grad(y.sum(), rate)[0].item()))
    finally:
        ng.set_num_threads(before)
    assert results[0] == results[1]


def test_forward_mode_and_jacobians() -> None:
    x, rate = leaf(3).detach(), leaf().detach()
    f = lambda x, rate: decay(x, rate, 2)[0]  # noqa: E731
    tangents = ng.rand(3, dtype=ng.float64), ng.rand((), dtype=ng.float64)
    value, pushed = ng.func.jvp(f, (x, rate), tangents)
    theirs = ng.func.jvp(lambda x, rate: by_tensors(x, rate, 2)[0], (x, rate), tangents)
    assert ng.allclose(value, theirs[0])
    assert ng.allclose(pushed, theirs[1])
    _, only = ng.func.jvp(lambda x: f(x, rate), (x,), tangents[:1])
    assert ng.allclose(only, ng.func.jvp(lambda x: by_tensors(x, rate, 2)[0], (x,), tangents[:1])[1])
    for transform in (ng.func.jacrev, ng.func.jacfwd):
        ours, right = transform(f)(x, rate), ng.func.jacrev(lambda x, rate: by_tensors(x, rate, 2)[0])(x, rate)
        assert ng.allclose(ours, right)


def test_hessians_in_both_modes() -> None:
    x, rate = leaf(3).detach(), leaf().detach()
    f = lambda x: decay(x, rate, 2)[1].sum()  # noqa: E731
    right = ng.func.hessian(lambda x: by_tensors(x, rate, 2)[1].sum())(x)
    assert ng.allclose(ng.func.hessian(f)(x), right)
    for outer, inner in [(ng.func.jacrev, ng.func.jacrev), (ng.func.jacrev, ng.func.jacfwd)]:
        assert ng.allclose(outer(inner(f))(x), right)


# ---- what is saved ----------------------------------------------------------------------------------------------------


def test_a_tape_is_freed_with_its_node() -> None:
    x = leaf(100)
    decay(x, 0.5, 1000)[0].sum().backward()
    gc.collect()
    before = memory.memory_stats()["live"]
    x.grad = None
    total = decay(x, 0.5, 1000)[0].sum()
    total.backward(retain_graph=True)
    first = x.grad.clone()
    x.grad = None
    total.backward()
    assert x.grad.tolist() == first.tolist()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        total.backward()
    del total, first
    gc.collect()
    assert (memory.memory_stats()["live"]) <= before


def test_a_tape_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_TAPE_MB", "1")
    x = leaf(200_000)
    with pytest.raises(TapeError, match=r"decay: its tape would take \d+ MB, expected at most NUMGRAD_TAPE_MB=1"):
        decay(x, 0.5, 3)
    with ng.no_grad():
        decay(x, 0.5, 3)


def test_a_tape_beyond_the_limit_is_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x, gradients = leaf(1000), []
    for limit in ("64", "1"):
        monkeypatch.setenv("NUMGRAD_TAPE_MB", limit)
        y, _ = decay(x, 0.5, 1001)
        gradients += ng.autograd.grad(y.sum(), x)
    assert gradients[0].tolist() == gradients[1].tolist()


def test_a_tape_that_is_too_long_in_parts_keeps_as_few_states_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, gradients = leaf(20_000), []
    for limit in ("64", "1"):  # 16 MB as a whole, 1.6 MB of states and as much for a part by the square root
        monkeypatch.setenv("NUMGRAD_TAPE_MB", limit)
        y, _ = decay(x, 0.5, 101)
        gradients += ng.autograd.grad(y.sum(), x)
    assert ng.allclose(*gradients, rtol=1e-12)
    few = ng.differentiable(decay.py_func, checkpoint={"t": 2})
    assert "2 for 101 turns" in few.report(x, 0.5, 101)
    monkeypatch.setenv("NUMGRAD_TAPE_MB", "0")
    with pytest.raises(TapeError, match="small number of snapshots"):
        few(x, 0.5, 101)


def test_second_derivatives_record_all_turns() -> None:
    """The text of the gradient has no tape in parts, and needs room for a whole one: in the backward and in forward mode."""
    x = leaf(4)
    found = []
    for op in (decay, ng.differentiable(decay.py_func, checkpoint={"t": 2})):
        [grad] = ng.autograd.grad(op(x, 0.5, 11)[0].square().sum(), x, create_graph=True)
        [second] = ng.autograd.grad(grad.square().sum(), x)
        _, along = ng.func.jvp(lambda x: op(x, 0.5, 11)[0], (x,), (ng.ones(4, dtype=ng.float64),))  # noqa: B023
        found.append((second, ng.autograd.grad(along.square().sum(), x)[0]))
    for one, other in zip(*found, strict=True):
        assert ng.equal(one, other)


def test_says_which_checkpoints_there_may_be() -> None:
    for given, error, message in [
        ({"t": 0}, ValueError, "expected 1 to 1048576 snapshots of the loop over t"),
        ({"t": "all"}, TypeError, "a dict of them with ints"),
        ([3], TypeError, "expected variables of loops"),
    ]:
        with pytest.raises(error, match=message):
            ng.differentiable(decay.py_func, checkpoint=given)


def test_it_says_what_it_does() -> None:
    x = leaf(3)
    assert "bytes" in decay.report(x, 0.5, 2)
    text = decay.source(x, 0.5, 2)
    assert text.count("def ") >= 3
    compile(text, "<source>", "exec")
    assert repr(decay) == "<numgrad differentiable function decay>"


# ---- a function among others --------------------------------------------------------------------------------------------


def test_it_is_pickled_by_its_name_and_copied_as_itself() -> None:
    import copy

    assert pickle.loads(pickle.dumps(decay)) is decay
    assert copy.deepcopy(decay) is decay
    other = ng.differentiable(by_tensors, checkpoint="t", checked=False)
    again = pickle.loads(pickle.dumps(other))
    assert (again.py_func, again.checkpoint, again.checked) == (by_tensors, {"t": None}, False)


class Decay(ng.nn.Module):
    """A module with a differentiable function as an attribute, and with one as a method by mistake."""

    step = decay

    def __init__(self) -> None:
        super().__init__()
        self.rate = ng.nn.Parameter(ng.tensor(0.5))
        self.function = decay

    def forward(self, x: Any) -> Any:
        return self.function(x, self.rate, 2)[0]


def test_in_a_module() -> None:
    module = Decay()
    module(ng.ones(3)).sum().backward()
    assert module.rate.grad is not None
    with pytest.raises(TypeError, match="decay: x is Decay, expected a tensor"):
        module.step(0.5, 2)


def test_arguments_are_checked_by_name() -> None:
    x = leaf(3)
    for call, error, message in [
        (lambda: decay([1.0], 0.5, 2), TypeError, "decay: x is list, expected a tensor"),
        (lambda: decay(x, 0.5), TypeError, r"decay\(\) missing a required argument: 'steps'"),
        (lambda: decay(x.half(), 0.5, 2), DtypeError, "not implemented for 'Half'"),
        (lambda: decay(x, 0.5, 1 << 64), OverflowError, "expected an int of 64 bits"),
        (lambda: ng.differentiable(len), TypeError, "expected a function written in Python"),
        (lambda: ng.differentiable(lambda *x: 1), TypeError, "each by its name and place"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_an_index_out_of_range_names_the_line() -> None:
    x = leaf(3)
    with pytest.raises(
        IndexError, match=r"picked: an index is out of range.*loop_functions.py:\d+\): `v = x\[places\[k\]\]`"
    ):
        picked(x, np.array([0, 3]), True)
    with pytest.raises(IndexError, match="v = x"):
        picked(x.detach().numpy(), np.array([-4]), True)
    places = ng.tensor([[[0], [1], [2]], [[1], [7], [0]]])
    with pytest.raises(IndexError, match=r"out of range.*`v = x\[places\[k\]\]`"):
        ng.func.vmap(picked, in_dims=(None, 0, None))(x, places[1], True)
    with pytest.raises(IndexError, match=r"out of range.*`v = x\[places\[k\]\]`"):
        ng.func.vmap(picked, in_dims=(0, 0, None))(ng.ones(3, 3, dtype=ng.float64), places[1], True)
    nested = ng.func.vmap(ng.func.vmap(picked, in_dims=(None, 0, None)), in_dims=(None, 0, None))
    with pytest.raises(IndexError, match=r"^[^`]*`v = x\[places\[k\]\]`$"):
        nested(x, places, True)


def test_anomaly_mode_names_the_line_of_a_nan() -> None:
    x = ng.tensor([0.0, float("inf")], dtype=ng.float64, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError, match="DecayBackward0.*nan"), ng.autograd.detect_anomaly():
            decay(x, 0.0, 1)[0].sum().backward()
    assert "from the derivative of decay" in str(caught[-1].message)


def test_a_run_that_found_its_tape_too_short_is_no_part_of_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_op, "_FIRST_ROOM", 1)
    again = ng.differentiable(root.py_func)
    x = ng.tensor(2.0, dtype=ng.float64, requires_grad=True)
    with ng.compile.Recording() as recording:
        y, _ = again(x, 1e-12)
        y.backward()
    with ng.no_grad():
        x.fill_(2.1)
    recording.replay()
    assert y.item() == pytest.approx(2.1**0.5)
    assert x.grad.item() == pytest.approx(0.5 * 2.1**-0.5)


def test_a_recording_replays_it() -> None:
    x, rate = ng.rand(4, dtype=ng.float64), ng.tensor(0.5, dtype=ng.float64, requires_grad=True)
    decay(x, rate, 2)[0].sum().backward()
    rate.grad = None
    with ng.compile.Recording() as recording:
        y, _ = decay(x, rate, 2)
        y.sum().backward()
    x.mul_(0.5)
    recording.replay()
    assert y.tolist() == decay(x, rate, 2)[0].tolist()
    expected = ng.autograd.grad(decay(x, rate, 2)[0].sum(), rate)[0]
    assert rate.grad.item() == pytest.approx(expected.item())


def test_a_step_with_loops_is_replayed() -> None:
    rate = ng.tensor(0.5, dtype=ng.float64, requires_grad=True)
    optimizer = ng.optim.SGD([rate], lr=0.01)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        u = x * rate
        smooth(u, x, 2)
        loss = decay(x, rate, 3)[0].sum() + root(rate + x[0], 1e-10)[0] + u.sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    rows = list(ng.rand(5, 4, dtype=ng.float64) * 0.5 + 0.2)
    eager, end = [step(x).item() for x in rows], rate.item()
    with ng.no_grad():
        rate.fill_(0.5)
    replayed = ng.jit(step)
    assert [replayed(x).item() for x in rows] == eager
    assert rate.item() == end


def test_what_a_function_sees_stays_what_it_was_at_its_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of arguments is translated when it comes first: all have to see the same constants."""
    table, offset = np.array([2.0, 3.0]), 1.0
    monkeypatch.setattr(loop_functions, "SCALE", 2.0)

    @ng.differentiable
    def seen(x: Any) -> Any:
        return x * x * table[0] * loop_functions.SCALE + loop_functions.scaled(x) + offset

    assert seen(ng.tensor(1.0)) == 7.0
    table[0], offset = 50.0, 10.0
    monkeypatch.setattr(loop_functions, "SCALE", 5.0)
    monkeypatch.setattr(loop_functions, "scaled", lambda x: 100.0 * x)
    x = ng.tensor(1.0, requires_grad=True)
    y = seen(x)
    assert y == 7.0
    (first,) = ng.autograd.grad(y, x, create_graph=True)
    assert first == 10.0
    assert ng.autograd.grad(first, x)[0] == 8.0
    assert seen(1.0) == 7.0
    assert seen(ng.tensor(1.0, dtype=ng.float64)) == 7.0
