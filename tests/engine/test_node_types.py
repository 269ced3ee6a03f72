"""How a graph looks from outside: types and names of nodes, what they list and what they saved, as viewers of graphs read it."""

from __future__ import annotations

import gc
import random
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.engine.tape import Node
from tests import recorded

# Programs that torch records as the same ops. Where a function is one op there and several here, or the other way round
# (losses, var, indexing, the transpose of a linear layer's weight), the graphs differ, as autograd.md says.
PROGRAMS = """
x + 1 | 1 + x | x + y | x + c | c + x | x - 1 | 1 - x | x - y | c - x | x * 2 | 2 * x | x * c | c * x | x * y | x / 2 | x / y
2 * x.sin() | 1 - (2 * x).exp() | 3 * x**3 - y**2 | (1 + x) * (1 - y) | 0.5 * (x * c) + 0.5 * (c * y)
x ** 2 | x ** 3 | x ** 2.5 | 2 ** x | x ** y | c ** x | x ** c | -x | abs(x)
x.abs() | x.exp() | x.log() | x.sqrt() | x.rsqrt() | x.sin() | x.cos() | x.tanh() | x.sigmoid() | x.relu() | x.reciprocal()
x.square() | x.log1p() | x.expm1() | x.erf() | x.floor() | x.round() | x.sign() | x.trunc() | x.ceil() | x.clone() | x.double()
lib.remainder(x, 2) | lib.remainder(x, y) | x % 2
x.clamp(min=1) | x.clamp(max=1) | x.clamp(min=c) | x.clamp(min=y) | x.clamp(max=c) | x.clamp(max=y)
lib.maximum(x, y) | lib.minimum(x, c) | lib.where(x > 1, x, 0.0) | lib.where(x > 1, x, y) | lib.where(x > 1, 0.0, x)
m.sum() | m.sum(0) | m.sum(0, keepdim=True) | m.mean() | m.mean(1) | m.prod() | m.prod(0) | m.amax(0) | m.amin((0, 1))
m.max(0)[0] | m.min(1).values | m.softmax(0) | m.log_softmax(1)
m.view(9) | m.reshape(9, 1) | m.flatten() | m.unsqueeze(0) | m.unsqueeze(0).squeeze(0) | m.unsqueeze(0).squeeze() | x.expand(2, 3)
m.transpose(0, 1) | m.permute(1, 0) | x[1:] | x[::2] | x.narrow(0, 0, 2)
x.gather(0, idx) | x.index_select(0, idx) | x.scatter_add(0, idx, y) | x.scatter_add(0, idx, c)
lib.cat([x, y]) | lib.cat([x, c]) | lib.cat([c, x]) | m @ m | lib.mm(m, m) | lib.bmm(b, b)
F.conv2d(i, w) | F.conv2d(i, w, v) | F.conv2d(i.detach(), w, v)
F.max_pool2d(i, 2) | F.avg_pool2d(i, 2) | F.adaptive_avg_pool2d(i, 2)
F.relu(x) | F.leaky_relu(x) | F.gelu(x) | F.gelu(x, approximate="tanh") | F.silu(x) | F.softplus(x) | F.softmax(m, 1)
F.batch_norm(i, mean, var, x, y, True) | F.batch_norm(i, mean, var, x, y, False) | F.batch_norm(i, mean, var, None, None, True)
F.layer_norm(m, (3,), x, y) | F.layer_norm(m, (3,)) | F.nll_loss(m, idx) | F.cross_entropy(m, idx) | F.l1_loss(x, c)
changed(lambda z: z.add_(1)) | changed(lambda z: z.mul_(y)) | changed(lambda z: z.relu_()) | changed(lambda z: z.copy_(y))
changed(lambda z: z.div_(2)) | changed(lambda z: z.sub_(y)) | changed(lambda z: z.exp_()) | changed(lambda z: z.clamp_(min=0))
"""
EACH = [program.strip() for line in PROGRAMS.strip().splitlines() for program in line.split("|")]


def surroundings(lib: ModuleType) -> dict[str, Any]:
    """What the programs use, in either library."""

    def made(values: Any, grad: bool = True) -> Any:
        return lib.tensor(np.asarray(values, np.float32).tolist(), requires_grad=grad)

    def changed(function: Any) -> Any:
        result = x * 1
        function(result)
        return result

    x = made([1, 2, 3])
    return {
        "lib": lib, "F": lib.nn.functional, "changed": changed, "x": x, "y": made([2, 0.5, 1.5]), "c": made([1, 2, 2], False),
        "m": made([[1, 2, 3], [4, 5, 6], [7, 8, 10]]), "b": made(np.arange(18).reshape(2, 3, 3)), "idx": lib.tensor([0, 2, 1]),
        "i": made(np.arange(96).reshape(2, 3, 4, 4)), "w": made(np.ones((2, 3, 2, 2))), "v": made([1, 2]),
        "mean": lib.zeros(3), "var": lib.ones(3),
    }  # fmt: skip


def tree(node: Any, depth: int = 6) -> Any:
    """The types' names and the numbers of the outputs, from a node to the leaves."""
    if node is None or depth == 0:
        return None if node is None else type(node).__name__
    return type(node).__name__, [(tree(following, depth - 1), number) for following, number in node.next_functions]


def facts(lib: ModuleType, program: str) -> tuple[Any, str]:
    """The tree of a program's graph, and the name of its root."""
    node = eval(program, surroundings(lib)).grad_fn
    return tree(node), node.name().removeprefix("torch::autograd::")


@pytest.fixture
def sides(torch: ModuleType) -> tuple[dict[str, Any], dict[str, Any]]:
    return surroundings(ng), surroundings(torch)


@pytest.mark.parametrize("program", EACH)
def test_types_and_entries_are_those_of_torch(program: str, torch_says: Any) -> None:
    assert recorded.plain(facts(ng, program)) == torch_says(lambda torch: facts(torch, program))
    node = eval(program, surroundings(ng)).grad_fn
    assert node.name() == type(node).__name__


@pytest.mark.torch
def test_graphs_of_random_programs_are_those_of_torch(sides: Any) -> None:
    unary = ["({0}).sin()", "({0}).exp()", "-({0})", "({0}).tanh()", "({0}).relu()", "({0}) ** 2", "2 * ({0})", "1 - ({0})",
             "({0}).clamp(min=0)", "({0}) / 3", "({0}).clone()", "({0}).unsqueeze(0).squeeze(0)", "0.5 ** ({0})",
             "lib.where(({0}) > 0, {0}, 0.0)", "1 + ({0})", "({0}).abs() ** 1.5"]  # fmt: skip
    binary = ["({0}) + ({1})", "({0}) * ({1})", "({0}) - ({1})", "({0}) / ({1})", "lib.maximum({0}, {1})",
              "lib.where(({0}) > 1, {0}, {1})", "lib.cat([{0}, {1}])[:3]"]  # fmt: skip
    for seed in range(200):
        draw = random.Random(seed)
        parts = ["x", "y", "c", "x * y"]
        for _ in range(draw.randrange(2, 8)):
            form = draw.choice(unary + binary)
            part = form.format(draw.choice(parts), draw.choice(parts))
            if len(part) < 400:
                parts.append(part)
        program = parts[-1]
        ours, theirs = (eval(program, side) for side in sides)
        assert (ours.grad_fn is None) == (theirs.grad_fn is None), program
        if ours.grad_fn is not None:
            assert tree(ours.grad_fn, 12) == tree(theirs.grad_fn, 12), program


def viewed(lib: ModuleType, root: Any, names: dict[int, str]) -> tuple[list[str], set[tuple[str, str]], dict[str, int]]:
    """What torchviz draws: each node by its type's name or its leaf's, the edges, and how many saved tensors are of each."""
    labels: dict[int, str] = {}
    edges: set[tuple[int, int]] = set()
    saved: dict[str, int] = {}

    def visit(node: Any) -> None:
        if id(node) in labels:
            return
        alive.append(node)
        labels[id(node)] = type(node).__name__
        for attribute in dir(node):
            if attribute.startswith("_saved_"):
                value = getattr(node, attribute)
                hash(value)
                if isinstance(value, lib.Tensor):
                    saved[type(node).__name__] = saved.get(type(node).__name__, 0) + 1
        if hasattr(node, "variable"):
            labels[id(node)] = names[id(node.variable)]
        for following, _ in node.next_functions:
            if following is not None:
                visit(following)
                edges.add((id(following), id(node)))

    alive: list[Any] = []
    visit(root)
    return sorted(labels.values()), {(labels[a], labels[b]) for a, b in edges}, saved


@pytest.mark.torch
def test_a_viewer_draws_a_network_as_it_draws_torch_s(torch: ModuleType) -> None:
    def drawn(lib: ModuleType) -> Any:
        nn = lib.nn
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 2, bias=False)
        )
        out = (2 * model(lib.ones(2, 3, 8, 8))).tanh().mean()
        return viewed(lib, out.grad_fn, {id(value): name for name, value in model.named_parameters()})

    (labels, edges, saved), (their_labels, their_edges, their_saved) = drawn(ng), drawn(torch)
    assert labels == their_labels
    assert edges == their_edges
    for name in ("TanhBackward0", "ReluBackward0", "MulBackward0"):
        assert saved[name] == their_saved[name], name
    # The first convolution needs no gradient of its input, for which alone it would read the weight; torch keeps it.
    assert (saved["ConvolutionBackward0"], their_saved["ConvolutionBackward0"]) == (3, 4)


# ---- the classes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def x() -> ng.Tensor:
    return ng.tensor([1.0, 2.0, 3.0], requires_grad=True)


def test_nodes_are_of_one_class_until_somebody_looks(x: ng.Tensor) -> None:
    """Machine code copies an example of a node, so that recording costs the same for all ops."""
    y = (2 * x).sin()
    assert type(y._node) is Node
    node = y.grad_fn
    assert node is y._node
    assert type(node).__name__ == "SinBackward0"
    assert isinstance(node, ng.autograd.graph.Node)
    ((following, _),) = node.next_functions
    assert type(following).__name__ == "MulBackward0"
    assert type(following.next_functions[0][0]).__name__ == "AccumulateGrad"
    assert node is y.grad_fn
    assert node.next_functions[0][0] is following
    assert type((3 * x).grad_fn) is type(following), "of one op there is one class"
    assert type((x * x).grad_fn) is type(following)
    assert type((x + 1).grad_fn) is not type(following)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos([2.0, 4.0, 6.0]), rtol=1e-6)


def test_every_way_to_a_node_shows_its_class(x: ng.Tensor) -> None:
    assert type(ng.autograd.graph.get_gradient_edge(x.exp()).node).__name__ == "ExpBackward0"
    assert type(ng.autograd.graph.get_gradient_edge(x).node).__name__ == "AccumulateGrad"
    assert type(x.view(3, 1).grad_fn).__name__ == "ViewBackward0"
    assert type(x.max(0)[0].grad_fn).__name__ == "MaxBackward0"

    class Twice(ng.autograd.Function):
        @staticmethod
        def forward(ctx: Any, factor: float, value: ng.Tensor, name: str) -> ng.Tensor:
            ctx.save_for_backward(value)
            return factor * value

        @staticmethod
        def backward(ctx: Any, grad: ng.Tensor) -> Any:
            return None, 2 * grad, None

    node = Twice.apply(2.0, x, "text").grad_fn
    assert type(node).__name__ == node.name() == "TwiceBackward"
    assert [following and type(following).__name__ for following, _ in node.next_functions] == ["AccumulateGrad"]
    assert node.saved_tensors[0] is x
    assert type(Twice.apply(2.0, x, "text").grad_fn) is type(node)
    (first,) = ng.autograd.grad((x**3).sum(), x, create_graph=True)
    assert type(first.grad_fn).__name__ == "MulBackward0"


def test_attributes_for_what_was_saved(x: ng.Tensor) -> None:
    w = ng.tensor([2.0, 2.0, 2.0], requires_grad=True)
    both, one, none = (x * w).grad_fn, (x * 3.0).grad_fn, (x + w).grad_fn
    assert [name for name in dir(both) if name.startswith("_saved_")] == ["_saved_other", "_saved_self"]
    assert both._saved_self is x
    assert both._saved_other is w
    assert one._saved_self is None, "the gradient of x does not read x"
    assert one._saved_other.item() == 3.0
    assert not [name for name in dir(none) if name.startswith("_saved_")]
    assert (x.exp().grad_fn._saved_result == x.exp()).all()
    assert x.exp().grad_fn._saved_result.requires_grad
    convolution = ng.nn.functional.conv2d(
        ng.ones(1, 1, 3, 3), ng.ones(1, 1, 2, 2, requires_grad=True), stride=1
    ).grad_fn
    assert convolution._saved_stride == (1, 1)
    assert convolution._saved_input.shape == (1, 1, 3, 3)
    with pytest.raises(AttributeError):
        none._saved_self
    y = x.exp()
    y.sum().backward()
    with pytest.raises(RuntimeError, match="directly access saved tensors after they have already been freed"):
        y.grad_fn._saved_result


def test_a_saved_number_is_a_copy(x: ng.Tensor) -> None:
    (x * 7.0).grad_fn._saved_other[...] = 100.0
    np.testing.assert_array_equal((x * 7.0).detach().numpy(), [7.0, 14.0, 21.0])


def test_classes_keep_no_node_alive(x: ng.Tensor) -> None:
    gc.disable()
    try:
        y = (x * 2).sin()
        nodes = [weakref.ref(y.grad_fn), weakref.ref(y.grad_fn.next_functions[0][0])]
        del y
        assert [node() for node in nodes] == [None, None]
    finally:
        gc.enable()


def test_numbers_first_give_the_same_bits(x: ng.Tensor) -> None:
    values = ng.tensor([0.1, float("nan"), float("inf"), -0.0, 1e-40])
    for number in (3, 0.1, float("inf"), -0.0):
        for ours, other in ((number * values, values * number), (number + values, values + number)):
            assert ours.numpy().tobytes() == other.numpy().tobytes()
