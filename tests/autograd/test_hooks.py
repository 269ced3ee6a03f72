"""Hooks of tensors, leaves and nodes; retained gradients; edges. Each scenario is run by torch as well."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import numgrad as ng
from tests.autograd.scenarios import agree


def test_hooks_of_a_tensor_run_in_order_and_replace() -> None:
    def scenario(lib: Any) -> Any:
        seen = []
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3

        def first(grad: Any) -> Any:
            seen.append(("first", grad.tolist()))
            return grad * 2

        def second(grad: Any) -> None:
            seen.append(("second", grad.tolist()))

        def at_leaf(grad: Any) -> Any:
            seen.append(("leaf", grad.tolist()))
            return grad + 1

        y.register_hook(first)
        y.register_hook(second)
        x.register_hook(at_leaf)
        y.sum().backward()
        return seen, x.grad.tolist()

    agree(scenario, ([("first", [1.0, 1.0]), ("second", [2.0, 2.0]), ("leaf", [6.0, 6.0])], [7.0, 7.0]))


def test_a_removed_hook_is_not_called() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(1, requires_grad=True)
        handle = x.register_hook(lambda grad: grad * 10)
        with x.register_hook(lambda grad: grad * 7):
            (x * 1).sum().backward()
        handle.remove()
        handle.remove()
        (x * 1).sum().backward()
        return x.grad.tolist()

    agree(scenario, [71.0])


def test_a_hook_may_remove_itself() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(1, requires_grad=True)
        calls = []

        def once(grad: Any) -> None:
            calls.append(1)
            handle.remove()

        handle = x.register_hook(once)
        for _ in range(2):
            (x * 1).sum().backward()
        return len(calls)

    agree(scenario, 1)


def test_hooks_of_a_leaf_outlive_its_graphs() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(1, requires_grad=True)
        before = (x * 2).sum()
        x.register_hook(lambda grad: grad * 5)
        before.backward()
        (x * 2).sum().backward()
        return x.grad.tolist()

    agree(scenario, [20.0])


def test_tensor_hooks_are_seen_by_grad() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(2, requires_grad=True)
        y = x * 2
        y.register_hook(lambda grad: grad * 3)
        x.register_hook(lambda grad: grad + 1)
        (through_y,) = lib.autograd.grad((y * y).sum(), y, retain_graph=True)
        (through_x,) = lib.autograd.grad((y * y).sum(), x)
        return through_y.tolist(), through_x.tolist()

    agree(scenario, ([12.0, 12.0], [25.0, 25.0]))


def test_post_accumulate_hooks() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        seen = []

        def step(leaf: Any) -> None:
            seen.append(leaf.grad.tolist())
            with lib.no_grad():
                leaf.sub_(leaf.grad)
            leaf.grad = None

        handle = x.register_post_accumulate_grad_hook(step)
        (x * x).sum().backward()
        lib.autograd.grad((x * x).sum(), x)
        handle.remove()
        (x * x).sum().backward()
        return seen, x.tolist(), x.grad.tolist()

    agree(scenario, ([[2.0, 4.0]], [-1.0, -2.0], [-2.0, -4.0]))


def test_retain_grad_is_seen_after_hooks() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(2, requires_grad=True)
        y = x * 2
        y.retain_grad()
        y.register_hook(lambda grad: grad * 5)
        z = y * y
        before = y.retains_grad, x.retains_grad, z.retains_grad
        z.sum().backward()
        return before, y.grad.tolist(), x.grad.tolist()

    agree(scenario, ((True, False, False), [20.0, 20.0], [40.0, 40.0]))


def test_retain_grad_of_a_leaf_does_nothing() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(2, requires_grad=True)
        x.retain_grad()
        return x.retains_grad

    agree(scenario, False)


def test_retain_grad_adds_up_and_follows_changes_in_place() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(2, requires_grad=True)
        y = x * 2
        y.retain_grad()
        y.mul_(3)
        out = (y * y).sum()
        out.backward(retain_graph=True)
        once = y.grad.tolist()
        out.backward()
        return once, y.grad.tolist(), x.grad.tolist()

    agree(scenario, ([12.0, 12.0], [24.0, 24.0], [144.0, 144.0]))


def test_a_hook_registered_before_a_change_in_place_sees_the_old_value_s_gradient() -> None:
    def scenario(lib: Any) -> Any:
        seen = []
        x = lib.ones(1, requires_grad=True)
        y = x * 2
        y.register_hook(lambda grad: seen.append(("before", grad.tolist())))
        y.mul_(3)
        y.register_hook(lambda grad: seen.append(("after", grad.tolist())))
        (y * 5).sum().backward()
        return seen

    agree(scenario, [("after", [5.0]), ("before", [15.0])])


def test_node_hooks() -> None:
    def scenario(lib: Any) -> Any:
        seen = []
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = x * x
        y.grad_fn.register_prehook(lambda grads: (grads[0] * 2,))

        def after(grad_inputs: Any, grad_outputs: Any) -> Any:
            seen.append((grad_outputs[0].tolist(), len(grad_inputs)))
            return tuple(grad * 10 for grad in grad_inputs)

        handle = y.grad_fn.register_hook(after)
        y.sum().backward(retain_graph=True)
        handle.remove()
        y.sum().backward()
        y.grad_fn.metadata["note"] = 1
        return seen, x.grad.tolist(), y.grad_fn.metadata["note"]

    agree(scenario, ([([2.0, 2.0], 2)], [44.0, 88.0], 1))


def test_node_hooks_do_not_run_where_only_their_output_is_asked_for() -> None:
    def scenario(lib: Any) -> Any:
        seen = []
        x = lib.ones(1, requires_grad=True)
        y = x * 2
        y.grad_fn.register_prehook(lambda grads: seen.append("node"))
        y.register_hook(lambda grad: seen.append("tensor"))
        lib.autograd.grad((y * 3).sum(), y)
        return seen

    agree(scenario, ["tensor"])


def test_multi_grad_hook_for_all() -> None:
    def scenario(lib: Any) -> Any:
        seen: list[Any] = []
        a, b, c = (lib.ones(1, requires_grad=True) for _ in range(3))
        handle = lib.autograd.graph.register_multi_grad_hook(
            [a, b, c], lambda grads: seen.append([None if g is None else g.tolist() for g in grads])
        )
        (a * 2 + b * 3).sum().backward()
        (a * b * c).sum().backward()
        handle.remove()
        (a * b * c).sum().backward()
        return seen

    agree(scenario, [[[2.0], [3.0], None], [[1.0], [1.0], [1.0]]])


def test_multi_grad_hook_of_leaves_is_called_by_grad_too() -> None:
    seen = []
    a, b, c = (ng.ones(1, requires_grad=True) for _ in range(3))
    ng.autograd.graph.register_multi_grad_hook([a, b, c], lambda grads: seen.append([g is None for g in grads]))
    ng.autograd.grad((a * b * c).sum(), (a, c))
    assert seen == [[False, True, False]]


def test_multi_grad_hook_for_any() -> None:
    def scenario(lib: Any) -> Any:
        seen: list[Any] = []
        a, b = (lib.ones(1, requires_grad=True) for _ in range(2))
        lib.autograd.graph.register_multi_grad_hook([a, b], lambda grad: seen.append(grad.tolist()), mode="any")
        for _ in range(2):
            (a * 2 + b * 2).sum().backward()
        return seen

    agree(scenario, [[2.0], [2.0]])


def test_edges_stand_for_tensors() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([2.0], requires_grad=True)
        y = x * x
        edge = lib.autograd.graph.get_gradient_edge(y)
        out = (y * 3).sum()
        (at_y,) = lib.autograd.grad(out, edge, retain_graph=True)
        (from_y,) = lib.autograd.grad(edge, x, grad_outputs=lib.ones(1))
        return at_y.tolist(), from_y.tolist(), edge.output_nr

    agree(scenario, ([3.0], [4.0], 0))


def test_detach_in_place() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.ones(2, requires_grad=True)
        y = x * 2
        y.detach_()
        return y.requires_grad, y.is_leaf, y.grad_fn is None

    agree(scenario, (False, True, True))


def test_errors() -> None:
    x = ng.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"):
        ng.ones(2).register_hook(print)
    with pytest.raises(RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"):
        ng.ones(2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="post accumulate grad hooks cannot be registered on non-leaf tensors"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="can't retain_grad on Tensor that has requires_grad=False"):
        ng.ones(2).retain_grad()
    with pytest.raises(RuntimeError, match="does not require gradients"):
        ng.autograd.graph.get_gradient_edge(ng.ones(2))
    with pytest.raises(ValueError, match="one of \\('all', 'any'\\)"):
        ng.autograd.graph.register_multi_grad_hook([x], print, mode="some")
    with pytest.raises(RuntimeError, match="Can't detach views"):
        (x * 2)[:1].detach_()


@pytest.mark.parametrize(
    ("hook", "error", "text"),
    [
        (lambda grad: grad[:1], RuntimeError, "has changed the size of value"),
        (lambda grad: grad.double(), RuntimeError, "has changed the type of value"),
        (lambda grad: 3, TypeError, "returned 'int'"),
    ],
)
def test_a_hook_s_result_is_checked(hook: Any, error: type[Exception], text: str) -> None:
    x = ng.ones(2, requires_grad=True)
    x.register_hook(hook)
    with pytest.raises(error, match=text):
        (x * 2).sum().backward()
    assert x.grad is None
    assert ng.is_grad_enabled()


@pytest.mark.parametrize(
    ("hook", "error", "text"),
    [
        (lambda i, o: (i[0], i[0]), RuntimeError, "incorrect number of values \\(got 2, but expected 1\\)"),
        (lambda i, o: 3, TypeError, "expected tuple"),
    ],
)
def test_a_node_hook_s_result_is_checked(hook: Any, error: type[Exception], text: str) -> None:
    x = ng.ones(2, requires_grad=True)
    y = ng.relu(x)
    y.grad_fn.register_hook(hook)
    with pytest.raises(error, match=text):
        y.sum().backward()


def test_a_gradient_that_a_hook_kept_is_not_changed_later() -> None:
    kept = []
    x = ng.ones(2, requires_grad=True)
    x.register_hook(kept.append)
    for _ in range(2):
        (x * 2).sum().backward()
    assert [grad.tolist() for grad in kept] == [[2.0, 2.0], [2.0, 2.0]]
    assert x.grad.tolist() == [4.0, 4.0]


def test_backward_inside_a_hook() -> None:
    def scenario(lib: Any) -> Any:
        inner = lib.ones(1, requires_grad=True)
        x = lib.ones(1, requires_grad=True)

        def hook(grad: Any) -> None:
            with lib.enable_grad():
                (inner * 4).sum().backward()

        x.register_hook(hook)
        (x * 2).sum().backward()
        return inner.grad.tolist(), x.grad.tolist()

    agree(scenario, ([4.0], [2.0]))


def test_hooks_with_create_graph_are_differentiated() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([3.0], requires_grad=True)
        y = x * x
        y.register_hook(lambda grad: grad * x)
        (first,) = lib.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = lib.autograd.grad(first.sum(), x)
        return first.tolist(), second.tolist()

    agree(scenario, ([18.0], [12.0]))


def test_graphs_with_hooks_are_freed() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda grad: None)
    node = weakref.ref(y.grad_fn)
    y.sum().backward()
    del y
    gc.collect()
    assert node() is None


def test_saved_tensors_by_name() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = lib.tensor([3.0, 4.0], requires_grad=True)
        product, root = x * y, x.exp()
        same = product.grad_fn._saved_self.tolist(), product.grad_fn._saved_other.tolist()
        return same, root.grad_fn._saved_result.tolist()

    agree(scenario)
