"""The graph: leaf rules, names, retained and freed graphs, modes, errors, ``autograd.grad``."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.autograd import grad


@pytest.fixture
def x() -> ng.Tensor:
    return ng.tensor([1.0, 2.0, 3.0], requires_grad=True)


# ---- leaves and names -------------------------------------------------------------------------------------------


def test_leaf_rules(x: ng.Tensor) -> None:
    y = x * 2
    assert (x.is_leaf, x.requires_grad, x.grad_fn) == (True, True, None)
    assert (y.is_leaf, y.requires_grad) == (False, True)
    plain = ng.ones(3)
    assert (plain.is_leaf, plain.requires_grad) == (True, False)
    assert (plain * 2).is_leaf
    detached = y.detach()
    assert (detached.is_leaf, detached.requires_grad) == (True, False)
    assert detached.data_ptr() == y.data_ptr()


def test_names_are_those_of_torch(torch_says: Any) -> None:
    cases = [
        "x + 1",
        "x - x",
        "3 * x",
        "x / 2",
        "-x",
        "x ** 3",
        "x ** 2.5",
        "x.exp()",
        "x.log()",
        "x.sqrt()",
        "x.tanh()",
        "x.sigmoid()",
        "x.relu()",
        "x.abs()",
        "x.sum()",
        "x.mean()",
        "x.sum(0)",
        "x.view(3, 1)",
        "x.unsqueeze(0)",
        "x.clone()",
        "x.expand(2, 3)",
        "x.sin()",
        "x.reciprocal()",
        "x.rsqrt()",
        "x.amax(0)",
        "x.max(0)[0]",
        "x.double()",
        "x.square()",
        "lib.where(x > 1, x, 0.0)",
        "lib.cat([x, x])",
        "lib.maximum(x, x * 2)",
        "lib.minimum(x, x * 2)",
        "x.clamp(min=1)",
        "x.view(1, 3).permute(1, 0)",
        "x.view(1, 3).transpose(0, 1)",
        "x.softmax(0)",
        "x.log_softmax(0)",
        "x.view(1, 3) @ x.view(3, 1)",
        "x.unsqueeze(0).squeeze(0)",
        "x.prod()",
    ]

    def names(lib: Any) -> dict[str, str]:
        x = lib.tensor([1.0, 2.0, 3.0], requires_grad=True)
        # torch numbers variants of one function (SumBackward1): the number is no part of the name's meaning.
        return {text: eval(text, {"x": x, "lib": lib}).grad_fn.name().rstrip("01234") for text in cases}

    assert names(ng) == torch_says(names)


def test_next_functions_lead_to_the_leaves(x: ng.Tensor) -> None:
    b = ng.tensor([1.0, 1.0, 1.0], requires_grad=True)
    q = 3 * x**3 - b**2
    (left, _), (right, _) = q.grad_fn.next_functions
    assert (q.grad_fn.name(), left.name(), right.name()) == ("SubBackward0", "MulBackward0", "PowBackward0")
    ((accumulate, place),) = right.next_functions
    assert (accumulate.name(), place) == ("AccumulateGrad", 0)
    assert accumulate.variable is b
    assert (x * ng.ones(3)).grad_fn.next_functions[1] == (None, 0)


def test_a_leaf_has_one_accumulator_for_all_graphs(x: ng.Tensor) -> None:
    first, second = x * 2, x * 3
    assert first.grad_fn.next_functions[0][0] is second.grad_fn.next_functions[0][0]


@pytest.mark.parametrize("dtype", [ng.int64, ng.int32, ng.uint8, ng.bool])
def test_only_floating_point_requires_gradients(dtype: ng.dtype) -> None:
    with pytest.raises(RuntimeError, match="Only Tensors of floating point .*dtype can require gradients"):
        ng.ones(2, dtype=dtype, requires_grad=True)
    y = ng.ones(2, dtype=dtype)
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require gradients"):
        y.requires_grad_()
    assert not y.requires_grad
    assert not (ng.ones(2, requires_grad=True) > 0).requires_grad
    assert not ng.ones(2, requires_grad=True).argmax().requires_grad


def test_flags_of_results_do_not_change(x: ng.Tensor) -> None:
    with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf variables.*detach"):
        (x * 2).requires_grad_(False)
    assert (x * 2).requires_grad_(True).requires_grad


def test_grad_of_a_result_warns(x: ng.Tensor) -> None:
    y = x * 2
    with pytest.warns(UserWarning, match="The .grad attribute of a Tensor that is not a leaf Tensor is being accessed"):
        assert y.grad is None


# ---- retained and freed -----------------------------------------------------------------------------------------


def test_a_second_backward_is_refused(x: ng.Tensor) -> None:
    y = (x * x).sum()
    y.backward()
    before = x.grad.numpy().copy()
    with pytest.raises(
        RuntimeError, match="Trying to backward through the graph a second time .*Specify retain_graph=True"
    ):
        y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), before)


def test_a_retained_graph_can_be_used_again(x: ng.Tensor) -> None:
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 8.0, 12.0])


def test_create_graph_retains(x: ng.Tensor) -> None:
    y = (x**3).sum()
    (first,) = grad(y, x, create_graph=True)
    (second,) = grad(first.sum(), x, create_graph=True)
    (third,) = grad(second.sum(), x)
    np.testing.assert_array_equal(first.detach().numpy(), [3.0, 12.0, 27.0])
    np.testing.assert_array_equal(second.detach().numpy(), [6.0, 12.0, 18.0])
    np.testing.assert_array_equal(third.numpy(), [6.0, 6.0, 6.0])


def test_what_a_backward_read_is_freed_at_once(x: ng.Tensor) -> None:
    y = x.exp()
    saved = weakref.ref(y._storage)
    z = y.sum()
    del y
    gc.collect()
    assert saved() is not None, "the graph keeps what the backward will read"
    z.backward()
    assert saved() is None, "though z is still there"


def test_a_dead_graph_is_freed_without_the_collector(x: ng.Tensor) -> None:
    gc.disable()
    try:
        y = (x * 2).exp().sum()
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_memory_is_flat_over_many_steps() -> None:
    from numgrad.runtime import memory

    w = ng.rand(30, 40, requires_grad=True)
    seen = []
    for _ in range(200):
        loss = ((ng.rand(20, 30) @ w).relu() ** 2).mean()
        loss.backward()
        with ng.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
        del loss
        seen.append(memory.memory_stats()["live"])
    assert seen[-1] == seen[20]


# ---- modes ------------------------------------------------------------------------------------------------------


def test_no_grad_and_enable_grad(x: ng.Tensor) -> None:
    with ng.no_grad():
        assert not (x * 2).requires_grad
        with ng.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_modes_end_with_an_exception(x: ng.Tensor) -> None:
    with pytest.raises(KeyError), ng.no_grad():
        raise KeyError
    assert ng.is_grad_enabled()

    @ng.no_grad()
    def fails() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert ng.is_grad_enabled()


def test_modes_as_decorators(x: ng.Tensor) -> None:
    @ng.no_grad()
    def doubled(y: ng.Tensor) -> ng.Tensor:
        """Twice y."""
        return y * 2

    @ng.no_grad
    def tripled(y: ng.Tensor) -> ng.Tensor:
        return y * 3

    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Twice y.")
    assert not doubled(x).requires_grad
    assert not tripled(x).requires_grad
    with ng.no_grad():
        assert ng.enable_grad()(lambda y: y * 2)(x).requires_grad


def test_a_decorated_generator_has_the_mode_while_it_runs_and_only_then(x: ng.Tensor) -> None:
    @ng.no_grad()
    def steps() -> Iterator[bool]:
        yield ng.is_grad_enabled()
        yield ng.is_grad_enabled()

    running = steps()
    assert next(running) is False
    assert ng.is_grad_enabled(), "between two steps the caller's mode holds"
    assert next(running) is False


def test_a_decorated_generator_is_still_a_generator() -> None:
    closed = []

    @ng.no_grad()
    def echo() -> Iterator[object]:
        got: object = None
        try:
            while got != "end":
                try:
                    got = yield got
                except ValueError as error:
                    got = str(error)
        finally:
            closed.append(ng.is_grad_enabled())
        return "result"

    steps = echo()
    assert next(steps) is None
    assert steps.send(3) == 3
    assert steps.throw(ValueError("thrown")) == "thrown"
    with pytest.raises(StopIteration) as end:
        steps.send("end")
    assert end.value.value == "result"
    another = echo()
    next(another)
    another.close()
    assert closed == [False, False]
    assert ng.is_grad_enabled()


def test_one_context_can_be_entered_again(x: ng.Tensor) -> None:
    mode = ng.no_grad()
    with mode:
        with mode:
            assert not ng.is_grad_enabled()
        assert not ng.is_grad_enabled()
    assert ng.is_grad_enabled()


def test_set_grad_enabled(x: ng.Tensor) -> None:
    with ng.set_grad_enabled(False):
        assert not ng.is_grad_enabled()
    assert ng.is_grad_enabled()
    ng.set_grad_enabled(False)
    assert not ng.is_grad_enabled()
    ng.set_grad_enabled(True)


def test_a_result_made_in_no_grad_is_a_constant(x: ng.Tensor) -> None:
    with ng.no_grad():
        y = x * 2
    (x * y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 4.0, 6.0])


# ---- refusals ---------------------------------------------------------------------------------------------------


def test_backward_refuses(x: ng.Tensor) -> None:
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad and does not have a grad_fn"):
        ng.ones(1).backward()
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        (x * 2).backward()
    with pytest.raises(
        RuntimeError,
        match=r"Mismatch in shape: grad_output\[0\] has a shape of .*\[4\].* and output\[0\] has a shape of .*\[3\]",
    ):
        (x * 2).backward(ng.ones(4))
    with pytest.raises(TypeError, match="gradient is the number 1.0, expected a Tensor"):
        (x * 2).backward(1.0)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="`inputs` argument to `backward\\(\\)` cannot be empty"):
        (x * 2).sum().backward(inputs=[])
    assert x.grad is None


def test_grad_refuses(x: ng.Tensor) -> None:
    unused = ng.ones(2, requires_grad=True)
    with pytest.raises(
        RuntimeError, match="The differentiated Tensor at index 1 appears to not have been used in the graph"
    ):
        grad((x * 2).sum(), [x, unused])
    with pytest.raises(RuntimeError, match="One of the differentiated Tensors does not require grad"):
        grad((x * 2).sum(), ng.ones(3))
    with pytest.raises(RuntimeError, match="cannot be empty"):
        grad((x * 2).sum(), [])


def test_grad_with_unused_inputs(x: ng.Tensor) -> None:
    unused = ng.ones(2, requires_grad=True)
    first, second = grad((x * 2).sum(), [x, unused], allow_unused=True)
    np.testing.assert_array_equal(first.numpy(), [2.0, 2.0, 2.0])
    assert second is None
    _, second = grad((x * 2).sum(), [x, unused], materialize_grads=True)
    np.testing.assert_array_equal(second.numpy(), [0.0, 0.0])


def test_grad_touches_no_grad_and_reaches_results(x: ng.Tensor) -> None:
    y = x * 2
    z = (y * y).sum()
    to_y, to_x = grad(z, [y, x])
    np.testing.assert_array_equal(to_y.numpy(), [4.0, 8.0, 12.0])
    np.testing.assert_array_equal(to_x.numpy(), [8.0, 16.0, 24.0])
    assert x.grad is None


def test_grad_of_an_output_with_respect_to_itself(x: ng.Tensor) -> None:
    y = x.sum()
    (to_y,) = grad(y, y)
    assert to_y.item() == 1.0


def test_values_do_not_leave_the_graph_unseen(x: ng.Tensor) -> None:
    with pytest.raises(
        RuntimeError,
        match="Can't call numpy\\(\\) on Tensor that requires grad. Use tensor.detach\\(\\).numpy\\(\\) instead",
    ):
        x.numpy()
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        np.asarray(x * 2)


def test_assigning_grad_is_checked(x: ng.Tensor) -> None:
    with pytest.raises(
        RuntimeError, match=r"attempting to assign a gradient of size '\[4\]' to a tensor of size '\[3\]'"
    ):
        x.grad = ng.ones(4)
    with pytest.raises(RuntimeError, match="attempting to assign a gradient"):
        x.grad = ng.ones(3, dtype=ng.float64)
    with pytest.raises(TypeError, match="assigned grad expected to be a Tensor or None but got grad of type float"):
        x.grad = 1.0  # type: ignore[assignment]
    assert x.grad is None


# ---- in place ---------------------------------------------------------------------------------------------------


def test_a_leaf_is_not_changed_in_place(x: ng.Tensor) -> None:
    for change in (
        lambda: x.add_(1),
        lambda: x.mul_(2),
        lambda: x.zero_(),
        lambda: x.copy_(ng.ones(3)),
        lambda: x.__setitem__(0, 1.0),
        lambda: x.__iadd__(1),
    ):
        with pytest.raises(
            RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"
        ):
            change()
    with pytest.raises(
        RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place operation"
    ):
        x[0].zero_()
    np.testing.assert_array_equal(x.detach().numpy(), [1.0, 2.0, 3.0])
    with ng.no_grad():
        x.add_(1)
    np.testing.assert_array_equal(x.detach().numpy(), [2.0, 3.0, 4.0])


def test_a_changed_saved_tensor_is_noticed(x: ng.Tensor) -> None:
    y = x.exp()
    z = y * 2
    y.add_(1)
    with pytest.raises(
        RuntimeError,
        match=r"one of the variables needed for gradient computation has been modified by an inplace operation: .*\[3\]\], "
        "which is output 0 of Exp.*, is at version 1; expected version 0 instead. Hint",
    ):
        z.sum().backward()


def test_a_changed_tensor_that_nobody_saved_is_fine(x: ng.Tensor) -> None:
    y = x * 2
    z = y + 1
    y.add_(1)
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 2.0, 2.0])


def test_a_saved_input_changed_through_detach_is_noticed(x: ng.Tensor) -> None:
    y = x * 2
    z = y * y
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_the_history_follows_a_change_in_place(x: ng.Tensor) -> None:
    y = x * 2
    y += x
    y *= 3
    assert y.grad_fn.name() == "MulBackward0"
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [9.0, 9.0, 9.0])


def test_an_in_place_op_keeps_dtype_and_shape_or_is_refused(x: ng.Tensor) -> None:
    counts = ng.tensor([1, 2, 3])
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        counts += 1.5
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        counts /= 2
    with pytest.raises(RuntimeError, match=r"output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"):
        counts += ng.ones(2, 3, dtype=ng.int64)
    np.testing.assert_array_equal(counts.numpy(), [1, 2, 3])
