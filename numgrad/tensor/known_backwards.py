"""Backwards of several ops that are applied as one (`joined`), when they are not recorded themselves.

What the backward of an op applies depends on the specs of the gradients and of what was saved, on the parameters, and on which
gradients are needed, but on no number in a tensor. So where a record's nodes run a second time with gradients of the same specs, the
backward is rehearsed on copies of these and of what is saved, and the launches of its ops become one plan. Where they cannot, or a
number was read, the backward is left as it is for good. So are those of large tensors, and of ops that prepare one themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad import errors
from numgrad.engine.tape import Node
from numgrad.registry import EVERY, chain, learn_backwards, plans
from numgrad.runtime.fast import start as fast
from numgrad.runtime.fast.layout import MOST_INPUTS
from numgrad.runtime.fast.write import backward_words
from numgrad.runtime.plan import Plan
from numgrad.tensor import joined, known

_WITH_VIEWS = -1  # the last of the places where some gradients are views
_plans = known.table()  # by the run and the specs of the gradients and of what was saved
_MOST_PLANS = 4  # of a record: with gradients of other layouts, or without some of them


def _learner(record: Any) -> Callable[[Any, Any], Any] | None:
    """What runs for the nodes of a record."""
    op, outputs = record.op, len(record.output_specs)
    inputs = outputs + len(op.saves)
    specs = [spec for spec in (*record.input_specs, *record.output_specs) if spec is not None]
    small = max([spec.numel for spec in specs], default=0) <= joined.LARGEST
    return _Run(outputs, len(op.saves)) if small and 0 < inputs <= MOST_INPUTS and not op.moving else None


class _Run:
    """``run(node, grads)`` for the nodes of a record, by plans where these are known.

    Attributes
    ----------
    places
        By which gradients are there, for each input the number of its gradient among the results of the plans, or None.
    views
        The key of plans for gradients that are views of those that come in, as `self` is for all others.
    met
        Specs with which a node ran: those that were met twice are learned.
    """

    def __init__(self, outputs: int, saves: int) -> None:
        self._words = backward_words([*range(-1, -1 - outputs, -1), *range(saves)])
        self.fast: int = self._words.ctypes.data
        self.places: dict[tuple[bool, ...], tuple[int | None, ...]] = {}
        self.views = object()
        self.met: set[tuple[Any, ...]] = set()

    def __call__(self, node: Any, grads: Any) -> Any:
        """The gradients of a node's inputs."""
        gradients = None if chain.wrappers else self._by_plans(node, grads)
        if gradients is None:
            gradients = node.by_formula(grads, False)
            if node.saved.__class__ is list and grads.__class__ is list and known.is_free():
                self._learn(node, grads)
        return gradients

    def _by_plans(self, node: Any, grads: Any) -> Any:
        results = fast.run_saved(_plans, self, node, grads, self.fast)
        if results.__class__ is not tuple:  # nothing was done, or a status was left, which the backward explains
            return None
        places = self.places[_given(grads)]
        if _WITH_VIEWS in places:
            views = fast.run_saved(_plans, self.views, node, grads, self.fast)
            if views.__class__ is not tuple:
                return None
            results, places = (*results, *views), places[:-1]
        return [None if place is None else results[place] for place in places]

    def _learn(self, node: Any, grads: list[Any]) -> None:
        """Make plans for nodes like this one, which has run, if it is the second one."""
        operands = (*grads, *node.saved)
        specs = tuple([None if each is None else each._spec for each in operands])
        if specs not in self.met:
            self.met.add(specs)
            if len(self.met) > _MOST_PLANS:
                node.record.run = None
            return
        times_forgotten = plans.times_forgotten
        learned = None if any(spec is not None and spec.is_private for spec in specs) else _learned(node, grads)
        if learned is None:
            node.record.run = None
        elif plans.times_forgotten == times_forgotten:
            self.places[_given(grads)], plan, views = learned
            if views is not None:
                _plans[self.views, *specs] = views
            _plans[self, *specs] = plan


def _given(grads: list[Any]) -> tuple[bool, ...]:
    return tuple([grad is not None for grad in grads])


def _learned(node: Any, grads: list[Any]) -> Any:
    """The places of a node's gradients, their plan, and that of views; None if they can have none."""
    copies = [None if each is None else known.copy_of(each) for each in (*grads, *node.saved)]
    specs = [None if copy is None else copy._spec for copy in copies]
    saved = copies[len(grads) :]
    versions = [0 if each is None else each._storage.version for each in saved]
    warned = errors.warned
    twin = Node(node.record, node.edges, saved, versions, node.params)
    try:
        watcher, gradients = known.watch(twin.by_formula, (copies[: len(grads)], False), {})
    except Exception:  # the backward itself was right; what was changed in place meanwhile may be refused
        return None
    kept = [None if edge is None else gradient for gradient, edge in zip(gradients, node.edges, strict=True)]
    same = [None if copy is None else copy._spec for copy in copies] == specs
    if not (watcher.fits and same and errors.warned == warned):
        return None
    storages = {copy._storage for copy in copies if copy is not None}
    results = {id(each): each for each in kept if each is not None}
    views = [each for each in results.values() if each._storage in storages]
    others = [each for each in results.values() if each._storage not in storages]
    parts = [_plan_of(watcher, copies, part) for part in (others, views) if part]
    if not parts or None in parts:
        return None
    numbers = {id(each): number for number, each in enumerate((*others, *views))}
    places = [None if each is None else numbers[id(each)] for each in kept]
    return (*places, *[_WITH_VIEWS] * (len(parts) - 1)), *parts, *[None] * (2 - len(parts))


def _plan_of(watcher: Any, copies: list[Any], results: list[Any]) -> Plan | None:
    plan = joined.plan_of(watcher.launched, copies, tuple(results), watcher.filled, views=True)
    if plan is None or plan.changed or not plans.counted(plan):
        return None
    known.make_ready(plan, EVERY)
    return None if plan.fast is None else plan


learn_backwards(_learner)
