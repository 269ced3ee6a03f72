"""Calls that tables know (`numgrad/tensor/known.py`): they do what the functions do, and nothing else is taken for them."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

import numgrad as ng
from numgrad.engine import dispatch
from numgrad.engine.tape import TensorBase
from numgrad.registry import memo
from numgrad.runtime import memory
from numgrad.runtime.fast import start as fast
from numgrad.tensor import creation, known


@pytest.fixture(autouse=True)
def machine_code():
    fast.load()
    if fast.run_known is fast.unknown:
        pytest.skip("this interpreter is served by Python")
    memo.forget()


CASES = {
    "view": lambda x: x.view(-1, 2),
    "view_as": lambda x: x.view_as(ng.zeros(4, 3)),
    "reshape": lambda x: ng.reshape(x, (-1,)),
    "reshape by keyword": lambda x: x.reshape(shape=(2, 6)),
    "reshape of a transpose, a copy": lambda x: x.t().reshape(-1),
    "flatten": lambda x: x.flatten(),
    "flatten of a vector, itself": lambda x: x[0].flatten(),
    "ravel": lambda x: ng.ravel(x),
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: ng.transpose(x, -1, 0),
    "transpose by keywords": lambda x: ng.transpose(x, dim1=0, dim0=1),
    "t": lambda x: x.t(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "expand": lambda x: x[:1].expand(5, -1),
    "expand_as": lambda x: x[:1].expand_as(x),
    "broadcast_to": lambda x: ng.broadcast_to(x, (2, 3, 4)),
    "broadcast_tensors": lambda x: ng.broadcast_tensors(x, x[:1]),
    "squeeze": lambda x: x[:1].squeeze(),
    "unsqueeze": lambda x: ng.unsqueeze(x, 1),
    "narrow": lambda x: ng.narrow(x, 1, 1, 2),
    "select": lambda x: x.select(1, -1),
    "movedim": lambda x: x.movedim((0, 1), (1, 0)),
    "unflatten": lambda x: x.unflatten(1, [2, -1]),
    "as_strided": lambda x: x.as_strided((2, 2), (1, 2)),
    "as_strided of a part": lambda x: x[1].as_strided((2,), (2,)),
    "as_strided from an offset": lambda x: x.detach()[1].as_strided((2,), (2,), 1),
    "diagonal": lambda x: x.diagonal(1),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "an int": lambda x: x[-1],
    "ints": lambda x: x[1, 2],
    "a slice": lambda x: x[1:],
    "slices": lambda x: x[::2, 1:],
    "a column": lambda x: x[..., 1],
    "a new dimension": lambda x: x[None],
    "a row and a new dimension": lambda x: x[1, None],
    "a negative step": lambda x: x[::-1],
    "rows": lambda x: x[[0, 2]],
    "rows by a tensor": lambda x: x[ng.tensor([2, 0])],
    "a mask": lambda x: x[x > 3],
    "split": lambda x: x.split(2),
    "split by sizes": lambda x: ng.split(x, [1, 2]),
    "chunk": lambda x: ng.chunk(x, 2, dim=1),
    "unbind": lambda x: x.unbind(1),
    "tensor_split": lambda x: x.tensor_split(2),
    "hsplit": lambda x: ng.hsplit(x, 2),
    "clone": lambda x: x.clone(),
    "double": lambda x: x.float().double(),
    "long": lambda x: x.long(),
    "zeros_like": lambda x: ng.zeros_like(x.t()),
    "full_like": lambda x: ng.full_like(x, 0.5),
    "new_full": lambda x: x.new_full((2,), -0.0),
    "zeros": lambda x: ng.zeros(2, 3),
    "ones, to be differentiated": lambda x: ng.ones(2, 3, requires_grad=True) * 1,
    "full": lambda x: ng.full((2, 3), 7),
    "eye": lambda x: ng.eye(3, 4),
    "eye of ints": lambda x: ng.eye(3, dtype=ng.int64),
    "tril_indices": lambda x: ng.tril_indices(3, 3),
    "linspace": lambda x: ng.linspace(0, 1, 5),
    "arange": lambda x: ng.arange(5),
    "scalar_tensor": lambda x: ng.scalar_tensor(2.5),
    "tanh": lambda x: ng.tanh(x),
    "mul by itself": lambda x: ng.mul(x, x),
    "sub a number": lambda x: x.sub(0.5),
    "rsub": lambda x: ng.rsub(x, x[:1]),
}


def _leaf():
    return ng.arange(12, dtype=ng.float64).view(3, 4).clone().requires_grad_()


def _described(function):
    x = _leaf()
    result = function(x)
    described = []
    for each in result if isinstance(result, tuple) else (result,):
        node, view_node = each._node, each._view_node
        described.append(
            (
                each.detach().numpy().tobytes(),
                (
                    tuple(each.shape),
                    each.stride(),
                    each.storage_offset(),
                    each.dtype,
                    each._output_nr,
                    each.requires_grad,
                ),
                each is x,
                each._base is x,
                each._storage is x._storage,
                view_node[1:] if isinstance(view_node, tuple) else view_node.__class__,
                None if node is None else (node.name(), node.params),
            )
        )
        if each.requires_grad and ng.is_grad_enabled():
            each.sum().backward(retain_graph=True)
    return type(result), described, None if x.grad is None else x.grad.numpy().tobytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("records", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_a_known_call_does_what_the_function_does(case, records, monkeypatch):
    with ng.set_grad_enabled(records):
        served = [_described(CASES[case]) for _ in range(3)]
        monkeypatch.setattr(fast, "run_known", fast.unknown)
        assert served == [_described(CASES[case])] * 3


def test_what_is_known_is_not_watched_again(monkeypatch):
    x = _leaf()

    def calls():
        parts = x.split(2), x.tensor_split(2), ng.eye(3), ng.empty(2, 3), ng.mul(x, x), ng.rand(2)
        return x.t(), x[1:, 2], x.transpose(dim0=0, dim1=1), ng.tanh(x), ng.zeros(2), x.float(), parts

    calls()
    calls()
    calls()  # which rehearses those of several ops, and with a tensor that comes again
    monkeypatch.setattr(known, "watched", lambda *args: pytest.fail(f"watched {args[1]}"))
    calls()


def test_equal_arguments_of_other_classes_are_other_calls():
    x = ng.zeros(3, 3)
    assert ng.unsqueeze(x, 1).shape == (3, 1, 3)
    for wrong in (True, 1.0, "1", None, (1,)):
        with pytest.raises(TypeError):
            ng.unsqueeze(x, wrong)
    assert x[1].shape == (3,)
    assert x[True].shape == (1, 3, 3)
    assert x[1, 2].shape == ()
    assert x[[1, 2]].shape == (2, 3)
    assert x[1:2].shape == (1, 3)
    for wrong in (1.0, slice(1.0, 2), slice(None, True, "a")):
        with pytest.raises((IndexError, TypeError)):
            x[wrong]
    assert ng.add(ng.zeros(3), 0.0).tolist() == [0] * 3
    for bits in (0, np.float64(1.5).view(np.int64).item()):
        ng.add(ng.zeros(3), np.int64(bits).view(np.float64).item())
        with pytest.raises(TypeError):
            ng.add(ng.zeros(3), (False, bits))
    signs = [np.signbit(ng.full((1,), zero).numpy()[0]) for zero in (0.0, -0.0, 0.0, -0.0)]
    assert signs == [False, True, False, True]
    assert [ng.full((1,), one).dtype for one in (1, 1.0, True) * 2] == [ng.int64, ng.float32, ng.bool] * 2


def test_errors_are_the_functions_own():
    x = ng.zeros(3, 4)
    for _ in range(3):
        x.view(12)
        with pytest.raises(RuntimeError, match="invalid for input of size 12"):
            x.view(13)
        with pytest.raises(IndexError, match="out of bounds"):
            x[3]
        with pytest.raises(IndexError, match="Dimension out of range"):
            ng.unsqueeze(x, 4)
        with pytest.raises(TypeError, match="argument 'input' must be Tensor, not list"):
            ng.transpose([1], 0, 1)
        with pytest.raises(TypeError):
            ng.transpose(x, 0, 1, 2)
        with pytest.raises(TypeError):
            ng.transpose(x, dim0=0, other=1)
    assert not dispatch.recorders


def test_a_tensor_that_comes_twice_does_not_stand_for_two():
    x, y = ng.tensor([5.0, 6.0]), ng.tensor([1.0, 2.0])
    for _ in range(3):
        assert ng.sub(x, x).tolist() == [0, 0]
        assert ng.sub(x, y).tolist() == [4, 4]
        assert ng.rsub(x, y).tolist() == [-4, -4]


def test_warnings_come_each_time():
    x = ng.ones(2)
    for _ in range(3):
        with pytest.warns(UserWarning, match="This overload of add is deprecated"):
            assert ng.add(x, 2, x).tolist() == [3, 3]
        with pytest.warns(UserWarning, match="does not have all integers"):
            ng.randint(0, 1 << 25, (2,), dtype=ng.float32)


def test_outputs_that_are_given_are_written_once():
    for _ in range(3):
        x, out = ng.tensor([1.0, 2.0]), ng.zeros(2)
        assert ng.add(x, x, out=x) is x
        assert x.tolist() == [2, 4]
        assert ng.tanh(x, out=out) is out
        y = ng.tensor([-1.0, 2.0])
        assert ng.nn.functional.relu(y, inplace=True) is y
        assert y.tolist() == [0, 2]
        out = ng.full((2, 2), 5.0)
        assert ng.eye(2, out=out) is out
        assert out.tolist() == [[1, 0], [0, 1]]
        assert ng.empty(2, 2, out=out) is out


def test_views_of_one_call_may_not_be_changed():
    x = _leaf() * 1
    for _ in range(3):
        for parts in (x.split(2), x.unbind(), ng.chunk(x, 2)):
            with pytest.raises(RuntimeError, match="is the output of a function that returns multiple views"):
                parts[0].zero_()
    part = x[0]
    part.zero_()
    assert x[0].tolist() == [0] * 4


def test_transforms_see_known_calls():
    x = ng.arange(12.0).view(3, 4)
    for _ in range(2):
        assert x.t().shape == (4, 3)
        assert ng.vmap(lambda row: row.view(2, 2).t()[0])(x).tolist() == [[0, 2], [4, 6], [8, 10]]
        primal, tangent = ng.func.jvp(lambda value: value.t()[0].tanh(), (x,), (ng.ones(3, 4),))
        assert tangent.tolist() == pytest.approx((1 - primal * primal).tolist(), abs=1e-6)
        assert ng.func.grad(lambda value: value.t()[0].sum())(x).tolist() == [[1, 0, 0, 0]] * 3


def test_a_captured_step_has_known_calls():
    def step(x):
        return x.t()[1:].reshape(-1) + ng.zeros(9) + ng.full((9,), 0.5) + ng.eye(9)[0]

    captured = ng.jit(step)
    for number in range(4):
        x = ng.arange(12.0).view(3, 4) + number
        assert captured(x).tolist() == step(x).tolist()


def test_results_in_inference_mode_are_marked():
    x = ng.ones(2, 3)
    for _ in range(2):
        assert not any(each.is_inference() for each in (ng.zeros(2), ng.empty(2), ng.eye(2), x.clone()))
        with ng.inference_mode():
            assert all(each.is_inference() for each in (ng.zeros(2), ng.empty(2), ng.eye(2), x.clone()))


def test_a_new_default_dtype_is_noticed():
    try:
        for dtype in (ng.float32, ng.float64, ng.float32):
            ng.set_default_dtype(dtype)
            made = ng.zeros(2), ng.empty(2), ng.eye(2), ng.linspace(0, 1, 3), ng.scalar_tensor(2), ng.rand(2)
            assert {each.dtype for each in (*made, ng.tanh(ng.arange(3)))} == {dtype}
    finally:
        ng.set_default_dtype(ng.float32)


def test_numbers_that_tensors_give_are_not_known():
    for count in (2, 3, 4, 2):
        number = ng.tensor(count)
        assert ng.full((2,), number).tolist() == [count] * 2
        shapes = ng.zeros(number), ng.empty(number), ng.arange(number), ng.zeros(1).new_zeros(number), ng.eye(number)
        assert [len(each) for each in shapes] == [count] * 5
        assert ng.zeros(12).view(number, -1).shape == (count, 12 // count)
        assert ng.arange(5)[number].item() == count
        assert ng.addmv(ng.ones(2), ng.zeros(2, 2), ng.ones(2), beta=number).tolist() == [count] * 2
        assert ng.arange(9).as_strided((2,), (1,), count).tolist() == [count, count + 1]


def test_constants_are_copies():
    for function in (lambda: ng.eye(2), lambda: ng.triu_indices(2, 2), lambda: ng.scalar_tensor(1.0)):
        expected = function().tolist()
        for _ in range(3):
            made = function()
            assert made.tolist() == expected
            made.zero_()


def test_random_numbers_go_on():
    def drawn():
        ng.manual_seed(7)
        return [ng.rand(3).tolist(), ng.randn(2, 2).tolist(), ng.rand_like(ng.zeros(2)).tolist(), ng.rand(3).tolist()]

    first = drawn()
    assert drawn() == first
    assert drawn() == first
    assert first[0] != first[3]
    generator = ng.Generator().manual_seed(7)
    assert (
        ng.rand(3, generator=generator).tolist() == first[0] == ng.rand(3, generator=generator.manual_seed(7)).tolist()
    )


def test_a_watcher_is_gone_after_errors_and_in_time(monkeypatch):
    x = ng.zeros(2, 3)

    def fails(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TensorBase, "_storage", property(fails), raising=False)
        with pytest.raises(KeyboardInterrupt):
            known.watched(known.table(), fails, (1,))
    assert not dispatch.recorders
    stray = known._Watcher(known._Call())  # whose call is over
    dispatch.recorders.append(stray)
    ng.tanh(x)
    assert not dispatch.recorders


def test_other_threads_are_not_taken_for_the_call():
    x, done = ng.ones(3, 3), threading.Event()

    def others():
        while not done.is_set():
            ng.tanh(ng.ones(2)) * 2

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for size in range(1, 60):
            for _ in range(2):
                assert x.expand(size, 3, 3).shape == (size, 3, 3)
                assert ng.full((size,), 2.5).tolist() == [2.5] * size
    finally:
        done.set()
        thread.join()


def test_references_are_counted():
    x, array, index = _leaf(), np.ones((2, 3)), (slice(1, None), 2)
    calls = [
        lambda: x[index],
        lambda: x.split([1, 2]),
        lambda: x.tensor_split(3),
        lambda: x.transpose(dim0=0, dim1=1),
        lambda: ng.full((2,), 0.5),
        lambda: ng.eye(3, dtype=ng.int64),
        lambda: ng.empty(2, 3),
        lambda: ng.from_numpy(array),
        lambda: ng.linspace(0.25, 1.5, 3),
        lambda: x[ng.arange(2)],
    ]

    def counts():
        gc.collect()
        entries = [each for table in memo.tables for pair in table.items() for each in pair if isinstance(each, tuple)]
        objects = (
            None,
            True,
            ...,
            NotImplemented,
            int,
            float,
            list,
            slice,
            x,
            x._spec,
            x._storage,
            array,
            index,
            *entries,
        )
        parts = [part for entry in entries for part in entry if not isinstance(part, int)]
        return [sys.getrefcount(each) for each in (*objects, *parts)], memory.memory_stats()["live"]

    for call in calls:
        for _ in range(3):
            call()
        counts()
        before, live = counts()
        for _ in range(500):
            call()
        after, live_after = counts()
        assert live_after == live
        assert max(abs(one - other) for one, other in zip(before, after, strict=True)) < 100  # some are Python's own


def test_forgotten_plans_are_not_known():
    x = ng.zeros(2, 3)
    x.t()
    x.t()
    assert any(memo.tables)
    threads = ng.get_num_threads()
    ng.set_num_threads(threads + 1)
    ng.set_num_threads(threads)
    assert not any(memo.tables)
    assert x.t().shape == (3, 2)


def test_subclasses_and_parameters_are_tensors():
    class Named(ng.Tensor):
        pass

    for _ in range(3):
        assert type(ng.nn.Parameter(ng.zeros(2, 3)).t()) is ng.Tensor
        assert ng.nn.Parameter(ng.zeros(2, 3)).t().requires_grad
        assert type(Named(2, 3).t()) is ng.Tensor


def test_arrays_of_known_kinds_share_memory():
    class Array(np.ndarray):
        pass

    for _ in range(3):
        array = np.arange(6.0).reshape(2, 3)
        for function in (ng.from_numpy, ng.as_tensor, ng.asarray):
            x = function(array)
            assert x.tolist() == array.tolist()
            x[0, 0] = array[1, 2] = 7
            assert array[0, 0] == x[1, 2].item() == 7
            assert x.numpy().ctypes.data == array.ctypes.data
        assert ng.from_numpy(array.T).stride() == (1, 3)
        assert ng.from_numpy(array[:, ::2]).stride() == (3, 2)
        assert ng.from_numpy(array.view(Array)).tolist() == array.tolist()
        fixed = array.copy()
        fixed.flags.writeable = False
        with pytest.raises(ValueError, match="can't be shared"):
            ng.from_numpy(fixed)
        with pytest.raises((ValueError, TypeError)):
            ng.from_numpy(array.astype(">f8"))
        assert ng.as_tensor(fixed).tolist() == array.tolist()
        assert ng.from_numpy(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    kept = ng.from_numpy(np.full(3, 4.0))
    assert kept.tolist() == [4, 4, 4]
    assert len(creation._arrays) <= creation._MOST_ARRAYS


@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d", "conv3d", "conv_transpose3d"])
def test_what_is_moved_between_two_ops_is_read_where_it_lies(name):
    dims = int(name[-2])
    random = np.random.default_rng(0)
    x = ng.tensor(random.standard_normal((1, 4, *(7,) * dims)))
    weight = ng.tensor(random.standard_normal((4, 4, *(3,) * dims)))
    results = [getattr(ng.nn.functional, name)(x, weight).tolist() for _ in range(5)]
    assert all(result == results[0] for result in results)
