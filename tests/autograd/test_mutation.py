"""`allow_mutation_on_saved_tensors`: the backward reads what was there when it was saved."""

from __future__ import annotations

import threading

import pytest

import numgrad as ng
from numgrad.autograd.graph import allow_mutation_on_saved_tensors


def test_the_old_values_count_through_any_alias() -> None:
    x = ng.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with allow_mutation_on_saved_tensors():
        y = x * 1
        z, view = y * y, y.exp()
        y[0] = 100
        y.detach().mul_(0)
        view.zero_()
        z.sum().backward()
    assert x.grad.tolist() == [2, 4, 6]


def test_strided_views_and_outputs_and_second_derivatives() -> None:
    x = ng.arange(6.0, dtype=ng.float64).reshape(2, 3).requires_grad_()
    with allow_mutation_on_saved_tensors():
        y = x * 1
        part = y[:, ::2]
        z = (part * part * part).sum()
        out = y.exp()
        y.zero_()
        out.fill_(3)
        (first,) = ng.autograd.grad(z, x, create_graph=True)
        (second,) = ng.autograd.grad(first.sum(), x)
    assert first.tolist() == [[0, 0, 12], [27, 0, 75]]
    assert second.tolist() == [[0, 0, 12], [18, 0, 30]]


def test_leaves_that_an_optimizer_changes() -> None:
    w = ng.tensor([2.0], requires_grad=True)
    with allow_mutation_on_saved_tensors():
        loss = (w * w).sum()
        with ng.no_grad():
            w.mul_(10)
        (first,) = ng.autograd.grad(loss, w, create_graph=True)
        first.sum().backward()
    assert first.tolist() == [4]
    assert w.grad.tolist() == [2]


def test_only_what_changes_is_copied_and_only_inside() -> None:
    x = ng.ones(2, requires_grad=True)
    with allow_mutation_on_saved_tensors():
        y = x * 1
        z = y.exp()
        assert z.grad_fn._saved_result.data_ptr() == z.data_ptr()
    z.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        z.sum().backward()


def test_what_was_changed_before_stays_an_error() -> None:
    x = ng.ones(2, requires_grad=True)
    a = x * 1
    with allow_mutation_on_saved_tensors():
        z = a * a
    a.mul_(2)
    with allow_mutation_on_saved_tensors():
        a.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        z.sum().backward()


def test_other_threads_are_not_concerned() -> None:
    errors = []

    def work() -> None:
        x = ng.ones(2, requires_grad=True)
        y = x * 1
        z = y.exp()
        z.mul_(2)
        try:
            z.sum().backward()
        except RuntimeError as error:
            errors.append(error)

    with allow_mutation_on_saved_tensors():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(errors) == 1


def test_it_leaves_nothing_behind() -> None:
    from numgrad.engine import dispatch

    before = len(dispatch.guards), len(dispatch.node_watchers)
    with allow_mutation_on_saved_tensors(), allow_mutation_on_saved_tensors():
        pass
    assert (len(dispatch.guards), len(dispatch.node_watchers)) == before
