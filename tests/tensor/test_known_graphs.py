"""Functions of several ops as one node, and backwards as one plan: whatever is asked of a graph, it is that of the ops."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import numgrad as ng
import numgrad.nn.functional as F
from benchmarks.surface_cases import cases
from benchmarks.surface_operands import operands
from numgrad import registry
from numgrad.engine.tape import Node
from numgrad.errors import warn
from numgrad.registry import Op, memo
from numgrad.runtime.fast import start as fast
from numgrad.tensor import known, known_backwards, known_graphs
from tests.tensor.test_joined import UNDEFINED, by_ops, shown, to_be_differentiated


@pytest.fixture(autouse=True)
def _nothing_is_known() -> None:
    fast.load()
    memo.forget()


def is_one(tensor: Any) -> bool:
    """Whether one node stands for the graph of a function, which nobody has looked at yet."""
    return isinstance(tensor._node.op, known_graphs._GraphOp)


def learned(call: Callable[[], Any], times: int = 3) -> Any:
    """The result of a call that is one node."""
    for _ in range(times):
        call()
    result = call()
    assert is_one(result)
    return result


def same_as_by_ops(scenario: Callable[[], Any], times: int = 5) -> None:
    """What a scenario gives is the same each time, and what the ops give."""
    with by_ops():
        expected = shown(scenario())
    assert [shown(scenario()) for _ in range(times)] == [expected] * times


def leaf(*shape: int) -> ng.Tensor:
    return ng.rand(*shape).requires_grad_()


def second_gradients(text: str, names: dict[str, Any]) -> Any:
    """The gradients of the sum of all first gradients' squares, and these."""
    leaves = [each for each in names.values() if isinstance(each, ng.Tensor) and each.requires_grad]
    ng.manual_seed(0)
    try:
        result = eval(text, {"lib": ng, "F": F, **names})
        results = result if isinstance(result, (tuple, list)) else [result]
        sums = [each.sum() for each in results if isinstance(each, ng.Tensor) and each.requires_grad]
        if not (sums and leaves):
            return None
        first = ng.autograd.grad(sums, leaves, create_graph=True, allow_unused=True)
        squares = [each.square().sum() for each in first if each is not None and each.requires_grad]
        second = ng.autograd.grad(squares, leaves, allow_unused=True) if squares else None
        return shown([None if each is None else each.detach() for each in first]), shown(second)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return type(error), str(error)


@pytest.mark.filterwarnings("ignore")
def test_second_gradients_are_those_of_the_ops() -> None:
    wrong = []
    for text in [each for each in cases() if not any(word in each for word in UNDEFINED)]:
        names = to_be_differentiated(operands(ng, text, "1e2"))
        with by_ops():
            expected = second_gradients(text, names)
        if [second_gradients(text, names) for _ in range(4)] != [expected] * 4:
            wrong.append(text)
    assert not wrong


def test_most_functions_of_several_ops_are_one_node() -> None:
    x, image = leaf(4, 5), leaf(1, 4, 4, 4)
    rows = ng.tensor([0, 2])
    for call in (
        lambda: ng.std(x),
        lambda: ng.var(x, 1),
        lambda: ng.logsumexp(x, 1),
        lambda: ng.median(x),
        lambda: F.smooth_l1_loss(x, x.detach() * 2),
        lambda: F.pixel_shuffle(image, 2),
        lambda: F.pad(image, (1, 1, 1, 1), mode="reflect"),
        lambda: F.conv1d(x, ng.ones(2, 4, 3)),
        lambda: ng.index_put(x, (rows,), x[:2]),
        lambda: ng.select_scatter(x, x[0] * 2, 0, 1),
        lambda: F.pdist(x),
    ):
        learned(call)


def names_below(tensor: Any) -> list[str]:
    names, stack = [], [tensor.grad_fn]
    while stack:
        node = stack.pop()
        names.append(type(node).__name__)
        assert node.name() == names[-1]
        stack += [other for other, _ in node.next_functions if other is not None]
    return names


def test_who_looks_behind_the_node_sees_the_graph() -> None:
    x = leaf(4, 5)
    for call in (lambda: ng.logsumexp(x * 2, 1) * 3, lambda: ng.std(x), lambda: F.smooth_l1_loss(x, x * 2)):
        with by_ops():
            expected = names_below(call())
        for _ in range(4):
            assert names_below(call()) == expected
        assert len(expected) > 3
    y = learned(lambda: ng.std(x))
    assert y.grad_fn is y.grad_fn
    assert is_one(y)  # a look at the node is not one behind it
    drawn = str(ng.viz.graph(y))
    with by_ops():
        assert str(ng.viz.graph(ng.std(x))) == drawn
    assert not is_one(y)
    y.backward()
    by_node, x.grad = x.grad, None
    ng.std(x).backward()
    assert shown(by_node) == shown(x.grad)


def test_saved_tensors_are_those_of_the_last_node() -> None:
    x = leaf(4, 5)
    node = learned(lambda: ng.logsumexp(x, 1)).grad_fn
    with by_ops():
        other = ng.logsumexp(x, 1).grad_fn
    names = [name for name in dir(other) if name.startswith("_saved_")]
    assert [name for name in dir(node) if name.startswith("_saved_")] == names
    assert [shown(getattr(node, name)) for name in names] == [shown(getattr(other, name)) for name in names]


def test_gradients_arrive_in_the_order_of_the_ops() -> None:
    x, y = leaf(7, 9), leaf(7, 9)

    def mixed() -> Any:
        before = (x * 0.3).sum()
        standard = (x - x.mean(1, keepdim=True)) / ng.std(x, 1, keepdim=True)
        result = (
            before + (standard * ng.logsumexp(x + y, 1, keepdim=True)).sum() + F.smooth_l1_loss(x, y)
        ) * x.exp().sum()
        return ng.autograd.grad(result, (x, y))

    same_as_by_ops(mixed)
    same_as_by_ops(lambda: ng.autograd.grad(F.smooth_l1_loss(x, x) + F.pairwise_distance(x, x).sum(), x))


def test_each_layout_of_gradients_is_learned() -> None:
    x = leaf(6, 6)
    grads = ng.rand(6), ng.rand(6, 6)[0], ng.rand(6, 6)[:, 0], ng.ones(()).expand(6), ng.rand(12)[::2], ng.rand(18)[::3]
    for call in (lambda: ng.std(x, 1), lambda: ng.linalg.vector_norm(x, dim=1), lambda: x.amax(1)):
        for grad in grads:
            same_as_by_ops(lambda call=call, grad=grad: ng.autograd.grad(call(), x, grad), times=4)


def test_a_graph_is_run_twice_or_freed() -> None:
    x = leaf(4, 5)
    y = learned(lambda: ng.logsumexp(x, 1)).sum()
    first = ng.autograd.grad(y, x, retain_graph=True)
    assert shown(ng.autograd.grad(y, x)) == shown(first)
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    z = learned(lambda: ng.std(x))
    z.backward()
    assert z.grad_fn.name() == "NormBackward0" or z.grad_fn.name()
    assert z.grad_fn.next_functions  # of what was freed there is the node alone
    with pytest.raises(RuntimeError, match="second time"):
        z.backward()


def test_what_changed_in_place_is_refused() -> None:
    x = leaf(4, 5)
    a = x * 1
    y = learned(lambda: F.normalize(a))
    a.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ng.autograd.grad(y.sum(), x)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "call",
    [lambda x: ng.log_softmax(x, 0), lambda x: ng.std(x[None].expand(3), 0), lambda x: F.normalize(x[None, None])],
)
def test_a_result_that_a_node_has_saved_is_refused_when_it_changed(
    call: Callable[[Any], Any], create_graph: bool
) -> None:
    x = leaf()

    def scenario() -> Any:
        result = call(x)
        with ng.no_grad():
            result.fill_(3.0)
        try:
            return ng.autograd.grad(result.sum(), x, create_graph=create_graph)
        except RuntimeError as error:
            return str(error).partition(":")[0]

    same_as_by_ops(scenario, 6)


def test_what_no_node_has_saved_may_change() -> None:
    x, rows = leaf(4, 6), ng.tensor([0, 2])

    def changed(function: Callable[[Any], Any]) -> Any:
        a = x * 1
        y = function(a)
        a.add_(1)
        first = ng.autograd.grad(y.exp().sum(), x, retain_graph=True)
        (second,) = ng.autograd.grad(y.exp().sum(), x, create_graph=True)
        return names_below(y), first, ng.autograd.grad(second.square().sum(), x)

    for function in (
        lambda a: a[:, rows],
        lambda a: F.channel_shuffle(a.reshape(1, 4, 6, 1), 2),
        lambda a: ng.std(a, 1),
        lambda a: ng.logsumexp(a, 1),
        lambda a: F.smooth_l1_loss(a, a * 2),
    ):
        try:
            with by_ops():
                shown(changed(function))
        except RuntimeError:
            for _ in range(5):
                with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                    changed(function)
        else:
            same_as_by_ops(lambda function=function: changed(function))


def gradients_after_a_change(text: str, names: dict[str, Any], of_inputs: bool, create_graph: bool) -> Any:
    """First and second gradients after the result or the inputs changed in place, or what is refused; None: cannot be asked."""
    ng.manual_seed(0)
    leaves = {name: each for name, each in names.items() if isinstance(each, ng.Tensor) and each.requires_grad}
    inputs = {name: leaf * 1 for name, leaf in leaves.items()}
    try:
        result = eval(text, {"lib": ng, "F": F, **names, **inputs})
        if not isinstance(result, ng.Tensor) or not result.requires_grad:
            return None
        with ng.no_grad():
            for each in inputs.values() if of_inputs else [result]:
                each.mul_(1.5)
        first = ng.autograd.grad(result.sum(), [*leaves.values()], create_graph=create_graph, allow_unused=True)
        squares = [each.square().sum() for each in first if each is not None and each.requires_grad]
        second = ng.autograd.grad(squares, [*leaves.values()], allow_unused=True) if squares else None
        return shown([None if each is None else each.detach() for each in first]), shown(second)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return type(error), str(error).partition(":")[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("of_inputs", [False, True], ids=["result", "inputs"])
@pytest.mark.parametrize("create_graph", [False, True], ids=["first", "second"])
def test_what_may_change_in_place_is_what_may_with_the_ops(of_inputs: bool, create_graph: bool) -> None:
    wrong = []
    for text in [each for each in cases() if not any(word in each for word in UNDEFINED)]:
        names = to_be_differentiated(operands(ng, text, "1e2"))
        with by_ops():
            expected = gradients_after_a_change(text, names, of_inputs, create_graph)
        if [gradients_after_a_change(text, names, of_inputs, create_graph) for _ in range(4)] != [expected] * 4:
            wrong.append(text)
    assert not wrong


def test_hooks_of_tensors_and_nodes_are_called() -> None:
    x = leaf(4, 5)

    def hooked() -> Any:
        seen: list[Any] = []
        a = x * 2
        y = ng.logsumexp(a, 1)
        a.retain_grad()
        y.retain_grad()
        y.register_hook(lambda grad: grad * 3)
        a.register_hook(lambda grad: seen.append(grad.clone()))
        y.grad_fn.register_prehook(lambda grads: seen.append(grads[0].clone()))
        y.grad_fn.register_hook(lambda inputs, outputs: seen.append((inputs[0].clone(), outputs[0].clone())))
        y.grad_fn.next_functions[0][0].register_hook(lambda inputs, outputs: seen.append(outputs[0].clone()))
        y.grad_fn.metadata["note"] = 1
        assert y.grad_fn.metadata == {"note": 1}
        y.sum().backward()
        gradient, x.grad = x.grad, None
        return [gradient, a.grad, y.grad, *seen]

    same_as_by_ops(hooked)

    def of_tensors() -> Any:
        y = ng.logsumexp(x, 1)
        y.retain_grad()
        handle = y.register_hook(lambda grad: grad * 3)
        y.sum().backward()
        handle.remove()
        gradient, x.grad = x.grad, None
        return gradient, y.grad

    same_as_by_ops(of_tensors)


def test_some_gradients_are_asked_for() -> None:
    x, y = leaf(4, 5), leaf(4, 5)
    same_as_by_ops(lambda: ng.autograd.grad(F.smooth_l1_loss(x, y), y))
    same_as_by_ops(lambda: ng.autograd.grad(F.smooth_l1_loss(x, y.detach()), (x, y), allow_unused=True))

    def between() -> Any:
        a = x * 2
        b = ng.logsumexp(a, 1)
        c = b.exp()
        edge = ng.autograd.graph.get_gradient_edge(b)
        return ng.autograd.grad(c.sum(), (a, b, edge, x), retain_graph=True), ng.autograd.grad(
            c.sum(), (b, edge, x), create_graph=True
        )[2].detach()

    same_as_by_ops(between)
    swapped = F.smooth_l1_loss(x.detach(), y)  # another input needs a gradient
    assert not is_one(swapped)
    assert ng.autograd.grad(swapped, (x, y), allow_unused=True)[0] is None


def test_results_and_inputs_may_be_views() -> None:
    x = leaf(1, 4, 6, 6)

    def changed() -> Any:
        y = F.pixel_shuffle(x * 1, 2)
        y[0, 0, :2].mul_(3)
        return ng.autograd.grad(y.sum(), x)

    same_as_by_ops(changed)

    def of_a_view() -> Any:
        base = x * 1
        view = base[0, 1]
        before = ng.var(view * 1, 1)
        base.mul_(2)  # makes the view stale
        return ng.autograd.grad(ng.logsumexp(view, 1).sum() + before.sum(), x)

    same_as_by_ops(of_a_view)


def test_modes_and_transforms() -> None:
    x = leaf(4, 5)
    learned(lambda: ng.logsumexp(x, 1))
    with ng.inference_mode():
        assert not ng.logsumexp(x, 1).requires_grad
    packed: list[Any] = []

    def with_hooks() -> Any:
        with ng.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t.clone(), lambda t: t):
            y = ng.logsumexp(x, 1)
        return ng.autograd.grad(y.sum(), x)

    same_as_by_ops(with_hooks)
    assert packed

    def in_anomaly_mode() -> Any:
        y = ng.logsumexp(x, 1)
        with ng.autograd.set_detect_anomaly(True):
            return ng.autograd.grad(y.sum(), x, retain_graph=True), ng.autograd.grad(ng.logsumexp(x, 1).sum(), x)

    same_as_by_ops(in_anomaly_mode)
    y = learned(lambda: ng.logsumexp(x, 1))
    with by_ops():  # somebody listens to the backward alone
        late = ng.autograd.grad(y.sum(), x)
    assert shown(late) == shown(ng.autograd.grad(ng.logsumexp(x, 1).sum(), x))
    double = leaf(3, 4).detach().double()
    for _ in range(3):
        assert ng.autograd.gradcheck(lambda x: ng.std(x, 1), (double.requires_grad_(),))
        assert ng.autograd.gradgradcheck(lambda x: ng.std(x, 1), (double,))
    hessian = ng.func.hessian(lambda x: ng.logsumexp(x, 0))(x.detach()[0])
    with by_ops():
        assert shown(hessian) == shown(ng.func.hessian(lambda x: ng.logsumexp(x, 0))(x.detach()[0]))


def test_transforms_of_the_backward_alone() -> None:
    x = leaf(4, 5)

    def batched() -> Any:
        y = ng.logsumexp(x, 1)
        return ng.autograd.grad(y, x, ng.eye(4), is_grads_batched=True)

    same_as_by_ops(batched)
    learned(lambda: ng.logsumexp(x, 1))

    def late_hooks() -> Any:
        y = ng.logsumexp(x, 1)
        packed: list[Any] = []
        with ng.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
            (gradient,) = ng.autograd.grad(y.sum(), x, retain_graph=True)
            names = names_below(y)
        assert not packed
        return gradient, names

    same_as_by_ops(late_hooks)


def test_threads_look_behind_one_node() -> None:
    x = leaf(4, 5)
    learned(lambda: ng.logsumexp(x, 1))
    with by_ops():
        expected = names_below(ng.logsumexp(x, 1))
    for _ in range(8):
        y = ng.logsumexp(x, 1)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(names_below, [y] * 4)) == [expected] * 4


def test_a_captured_step_has_the_bits_of_an_eager_one() -> None:
    x = leaf(6, 7)

    def step(x: Any) -> Any:
        loss = (ng.std(x, 1) * ng.logsumexp(x, 1)).sum() + F.smooth_l1_loss(x, x * 2)
        return ng.autograd.grad(loss, x)[0]

    eager = [shown(step(x)) for _ in range(5)]
    replayed = ng.jit(step)
    assert [shown(replayed(x)) for _ in range(4)] == eager[:4]


def test_another_number_of_threads_forgets_and_gives_the_same_bits() -> None:
    x = leaf(50, 60)
    before = ng.get_num_threads()
    try:
        ng.set_num_threads(1)
        y = learned(lambda: ng.logsumexp(x, 1))
        one = ng.autograd.grad(y.sum(), x, retain_graph=True)
        ng.set_num_threads(2)
        assert shown(ng.autograd.grad(y.sum(), x)) == shown(one)
        two = ng.autograd.grad(learned(lambda: ng.logsumexp(x, 1)).sum(), x)
        assert shown(two) == shown(one)
    finally:
        ng.set_num_threads(before)


def test_a_function_whose_graph_is_always_asked_for_makes_it_itself() -> None:
    x = leaf(4, 5)
    for _ in range(known_graphs._MOST_UNFOLDED + 6):
        y = ng.logsumexp(x, 1)
        ng.autograd.grad(y.sum(), x, create_graph=True)
    assert not is_one(ng.logsumexp(x, 1))


def test_nodes_die_with_their_tensors() -> None:
    x = leaf(4, 5)
    gc.collect()
    gc.disable()
    try:
        y = learned(lambda: ng.logsumexp(x, 1))
        node = weakref.ref(y._node)
        del y
        assert node() is None
        y = learned(lambda: ng.logsumexp(x, 1))
        assert y.grad_fn.next_functions
        node = weakref.ref(y._node)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_random_numbers_and_numbers_that_are_read_are_the_functions_own() -> None:
    x = leaf(30, 5)

    @known.knowing
    def reads(x: Any) -> Any:
        return (x * x.detach().sum().item()).exp().sum()

    for _ in range(5):
        assert not is_one(reads(x))
    first, second = [F.dropout(x, 0.5).exp() for _ in range(5)][-2:]
    assert first.tolist() != second.tolist()


# ---- backwards of ops ----------------------------------------------------------------------------------------------


def op_with(backward: Callable[..., Any]) -> Op:
    op = Op("doubled", ("x",), saves=("x",), register=False, doc="Twice x.")

    @op.plan
    def _(b: Any, x: Any) -> None:
        registry.find("neg").plan_function(b, x)

    op.backward(backward)
    return op


def runs_of(op: Op, x: Any, times: int = 7) -> tuple[int, list[Any]]:
    """How often a plan served the backward, and the gradients."""
    gradients, served = [], 0
    for _ in range(times):
        y = op(x)
        run = y._node.record.run
        served += isinstance(run, known_backwards.Run) and bool(run.places)
        gradients += ng.autograd.grad(y.sum(), x)
    return served, gradients


def test_a_backward_of_several_ops_is_one_plan() -> None:
    x = leaf(3, 4)
    served, gradients = runs_of(op_with(lambda ctx, grad: (grad * ctx.saved[0]).exp() - grad), x)
    assert served == 3
    assert len({str(shown(each)) for each in gradients}) == 1
    assert ng.allclose(gradients[-1], x.detach().exp() - 1)


def test_a_backward_that_reads_numbers_or_warns_runs_each_time() -> None:
    x = leaf(3, 4)
    calls: list[float] = []

    def reads(ctx: Any, grad: Any) -> Any:
        calls.append(ctx.saved[0].sum().item())
        return grad * calls[-1]

    assert runs_of(op_with(reads), x)[0] == 0
    with ng.no_grad():
        x.mul_(2)
    assert runs_of(op_with(reads), x, 2)[1][0].tolist() == (ng.ones(3, 4) * calls[-1]).tolist()

    def warns(ctx: Any, grad: Any) -> Any:
        warn("it is so")
        return grad * 2

    op = op_with(warns)
    for _ in range(4):
        with pytest.warns(UserWarning, match="it is so"):
            ng.autograd.grad(op(x).sum(), x)


def test_a_large_backward_is_left_as_it_is() -> None:
    x = leaf(1 << 9, 1 << 8)
    for _ in range(2):
        y = ng.linalg.vector_norm(x)
        y.backward()
    assert y._node.record.run is None


def test_gradients_that_are_missing_or_views_are_learned_apart() -> None:
    x = leaf(5, 6)

    def parts() -> Any:
        values, vectors = ng.linalg.eigh(x @ x.T)
        return (
            ng.autograd.grad(values.sum(), x, retain_graph=True),
            ng.autograd.grad(vectors.abs().sum(), x, retain_graph=True),
            ng.autograd.grad(values.sum() + vectors.abs().sum(), x),
        )

    same_as_by_ops(parts)
    same_as_by_ops(lambda: ng.autograd.grad(x.unsqueeze(1).transpose(0, 2).expand(6, 3, 5).sum(1).exp().sum(), x))
    same_as_by_ops(lambda: ng.autograd.grad(ng.slice_scatter(x, x[:2] * 2, 0, 1, 3).exp().sum(), x))


def test_nodes_that_users_see_are_nodes() -> None:
    y = learned(lambda x=leaf(3, 4): ng.std(x))
    assert isinstance(y.grad_fn, Node)
    assert repr(y.grad_fn) == f"<{y.grad_fn.name()}>"
