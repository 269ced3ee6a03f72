"""Known calls that change tensors in place, take views that cannot be followed, or numbers that vary."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.engine.constants import constant
from numgrad.engine.views import MULTIPLE
from numgrad.errors import GradError
from numgrad.runtime.fast import start as fast
from numgrad.tensor import known
from tests.tensor.test_joined import often


@pytest.fixture(autouse=True)
def _in_machine_code() -> None:
    fast.load()


def _watched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The functions of calls that a table does not know, from now on."""
    seen: list[Any] = []
    watched = known.watched

    def noted(calls: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(function)
        return watched(calls, function, *args, **kwargs)

    monkeypatch.setattr(known, "watched", noted)
    return seen


@pytest.mark.parametrize("needs_grad", [False, True])
@pytest.mark.parametrize("cut", [lambda x: x.chunk(2, 1), lambda x: x.unbind(0), lambda x: x.split([1, 2])])
def test_pieces_are_operands_of_known_calls(
    cut: Callable[[Any], Any], needs_grad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = ng.rand(3, 4, dtype=ng.float64, requires_grad=needs_grad)
    x = leaf * 1

    def call() -> tuple[Any, ...]:
        piece = cut(x)[1]
        turned = piece.transpose(0, -1)
        return piece, turned, turned.sigmoid(), ng.stack(list(cut(x)[:1]))

    expected = [each.tolist() for each in call()]
    often(call)
    seen = _watched(monkeypatch)
    piece, turned, result, _ = results = call()
    assert not seen
    assert [each.tolist() for each in results] == expected
    assert result.requires_grad is needs_grad
    # A view of a piece has the piece's reason, a view of another tensor with the same spec has none.
    assert turned._view_node[1:] == piece._view_node[1:]
    assert turned._view_node[2] == MULTIPLE
    copy = piece.clone()
    assert copy.transpose(0, -1)._view_node is copy._node
    if needs_grad:
        (gradient,) = ng.autograd.grad(result.sum(), leaf)
        slope = result * (1 - result)
        assert np.isclose(gradient.sum().item(), slope.sum().item())


def test_the_same_view_of_a_piece_and_of_another_tensor() -> None:
    for first_of in (lambda x: x.chunk(2)[0], lambda x: x[:2].clone()):
        x, view = ng.rand(4, 3), []
        for make in (first_of, lambda x: x.chunk(2)[0], lambda x: x[:2].clone()):
            for _ in range(5):
                source = make(x)
                view = source.flatten(0), source.chunk(1)[0]
                is_piece = source._base is not None
                assert (view[0]._view_node.__class__ is tuple) is is_piece
                assert view[1]._view_node[1] == "Output 0 of SplitBackward0"


def test_pieces_may_not_be_changed_in_a_graph() -> None:
    leaf = ng.rand(4, 3, requires_grad=True)
    for _ in range(6):
        free = ng.rand(4, 3)
        piece, other = free.chunk(2)
        piece.mul_(2.0)
        other.copy_(piece)
        assert free[2:].tolist() == free[:2].tolist()
        with pytest.raises(GradError, match="Output 0 of SplitBackward0 is a view and is being modified"):
            (leaf * 1).chunk(2)[0].mul_(2.0)
        with pytest.raises(GradError, match="is a view and is being modified"):
            (leaf * 1).chunk(2)[0][0].mul_(2.0)
        with pytest.raises(GradError, match="is a view and is being modified"):
            (leaf * 1).chunk(2)[0][0] = 1.0


def test_pieces_whose_memory_has_changed_are_refused() -> None:
    leaf = ng.rand(4, 3, requires_grad=True)
    for change in (False, True, False, True, False, False, True):
        base = leaf * 1
        piece = base.chunk(2)[0]
        if change:
            base.mul_(2)
            with pytest.raises(GradError, match="Output 0 of SplitBackward0 is a view and its base"):
                piece.sigmoid()
            with ng.no_grad():
                assert piece.sigmoid().tolist() == base[:2].sigmoid().tolist()
        else:
            assert piece.sigmoid().requires_grad


CHANGES: list[Callable[[Any], Any]] = [
    lambda x: x.mul_(0.5),
    lambda x: x.div_(3.0),
    lambda x: x.clamp_(0.2, 0.8),
    lambda x: x.exp_(),
    lambda x: x.masked_fill_(ng.tensor([True, False, True]), 2.0),
    lambda x: x.mul_(ng.tensor([1.0, 2.0, 3.0])),
    lambda x: x.__setitem__(1, ng.tensor([1.0, 2.0, 3.0])),
    lambda x: x.__setitem__((slice(None), slice(1, 3)), 0.5),
    lambda x: x.__setitem__((0, 1), 0.5),
    lambda x: x.__setitem__((ng.tensor([2, 0, -1]), slice(0, 2)), 4.0),
    lambda x: x.__setitem__(ng.tensor([2, 0]), ng.tensor([[1.0, 2.0, 3.0]])),
    lambda x: x.__setitem__((Ellipsis, None), x[..., None] * 2),
    lambda x: x.__setitem__(slice(1, None), x[:-1]),  # the memory is shared
    lambda x: x.__setitem__(slice(None, None, -1), x),
    lambda x: x.__setitem__(x > 0.5, 0.0),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_changes_in_place(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    change, values = CHANGES[number], ng.rand(4, 3, generator=ng.Generator().manual_seed(1))
    with monkeypatch.context() as without:
        without.setattr(fast, "run_known", fast.unknown)
        expected = values.clone()
        change(expected)
    for _ in range(6):
        x = values.clone()
        view, version = x.T, x._version
        change(x)
        assert x.tolist() == expected.tolist()
        assert view.tolist() == expected.T.tolist()
        assert x._version > version
    # Other operands of these specs, and in a graph.
    for _ in range(5):
        leaf = values.clone().requires_grad_()
        x = leaf * 1
        change(x)
        assert x.tolist() == expected.tolist()
        assert x.requires_grad
        with pytest.raises(GradError, match="a leaf Variable that requires grad|a view of a leaf Variable"):
            change(leaf)
        assert leaf.tolist() == values.tolist()


def test_items_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    x, rows, value = ng.rand(4, 3), ng.tensor([2, 0]), ng.rand(2, 3)
    with ng.no_grad():
        parameter = ng.nn.Parameter(ng.rand(4, 3))

    def call() -> None:
        x[rows] = value
        x[:, 1:] = 0.5
        with ng.no_grad():
            parameter[0] = value[1]
            parameter.mul_(0.5)

    often(call)
    seen = _watched(monkeypatch)
    call()
    assert not seen
    assert x[rows, 0].tolist() == value[:, 0].tolist()
    assert parameter[0].tolist() == (value[1] * 0.5).tolist()
    before = x.tolist()
    for _ in range(3):
        with pytest.raises(IndexError):
            x[rows + 3] = value
        with pytest.raises((RuntimeError, IndexError)):
            x[rows] = ng.rand(3, 3)
    assert x.tolist() == before


@pytest.mark.parametrize("is_learned_apart", [False, True])
def test_outputs_that_are_operands(is_learned_apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is whole before it is written, wherever that is."""
    memory, other = ng.arange(20.0), ng.tensor([3.0, -1.0, 12.0, 4.0])
    x = memory[4:8]
    if is_learned_apart:
        often(lambda: ng.maximum(x.clone(), other, out=ng.empty(4)), 6)
    else:
        often(lambda: ng.maximum(x, other, out=x), 6)
        assert x.tolist() == [4.0, 5.0, 12.0, 7.0]
    seen = _watched(monkeypatch)
    for begin in (4, 5, 3, 8):
        memory.copy_(ng.arange(20.0))
        out, version = memory[begin : begin + 4], memory._version
        seen.clear()
        assert ng.maximum(x, other, out=out) is out
        assert not seen
        assert out.tolist() == [4.0, 5.0, 12.0, 7.0]
        assert memory._version > version
        assert ng.maximum(other, out, out=out).tolist() == [4.0, 5.0, 12.0, 7.0]
    # Of an op that reads one while it writes the other the function has to know.
    y = ng.arange(6.0)
    often(lambda: y[:4].clone().mul_(other))
    y[1:5].mul_(y[:4])
    assert y.tolist() == [0.0, 0.0, 2.0, 6.0, 12.0, 5.0]


def test_numbers_that_vary_are_not_learned_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    x, grad, slopes = ng.zeros(7, 5), ng.ones(7, 5), ng.rand(7, 5)
    total = 0.0
    rehearsals = []
    rehearsed = known._rehearsed
    monkeypatch.setattr(known, "_rehearsed", lambda *args: rehearsals.append(args) or rehearsed(*args))
    for number in range(120):
        step = 1 / (number + 1)
        for _ in range(4):
            x.add_(grad, alpha=step)
            total += np.float32(step)
            x[number % 7, number % 5] = x[0, 0] if number % 2 else step
            x.fill_(total)
    assert np.allclose(x.numpy(), total)
    assert len(rehearsals) <= 5 * known._MOST_NUMBERS
    often(lambda: ng.add(slopes, grad, alpha=0.5))  # what another function knows
    assert ng.add(slopes, grad, alpha=0.5).tolist() == (slopes + 0.5).tolist()


def test_numbers_as_tensors_are_told_apart() -> None:
    for dtype in (ng.float32, ng.float64):
        for value in (0.0, -0.0, 1e300, -1e300, 1e-46, 0.1, float("inf"), float("nan"), 1, True, 0, False):
            with np.errstate(over="ignore"):
                expected = np.asarray(value).astype(dtype.numpy)
            for _ in range(2):
                got = constant(value, dtype).numpy()
                assert got.tobytes() == expected.tobytes()
    assert constant(float("nan"), ng.float32).numpy().tobytes() == np.float32("nan").tobytes()


def test_no_references_are_lost() -> None:
    x = ng.rand(4, 6, requires_grad=True) * 1
    still = ng.rand(4, 6)

    def call() -> None:
        for tensor in (x, still):
            for piece in tensor.chunk(3, 1):
                piece.transpose(0, 1).sigmoid()
        still[1:] = 0.5
        still.mul_(1.0)

    often(call)
    gc.collect()
    maker = x.chunk(3, 1)[1]._view_node
    texts = [sys.getrefcount(each) for each in maker[1:]]
    tensors = sys.getrefcount(x), sys.getrefcount(still)
    before = sys.getallocatedblocks()
    for _ in range(300):
        call()
    gc.collect()
    assert sys.getallocatedblocks() - before < 200
    assert [sys.getrefcount(each) for each in maker[1:]] == texts
    assert (sys.getrefcount(x), sys.getrefcount(still)) == tensors


def test_a_rehearsal_of_changed_numbers_raises_nothing() -> None:
    """The third call is rehearsed with what it has written: remainders by itself are 0, by which nothing is divided."""
    for _ in range(6):
        x = ng.tensor([3, 5, 4, 1])
        x.fmod_(x)
        assert x.tolist() == [0, 0, 0, 0]
