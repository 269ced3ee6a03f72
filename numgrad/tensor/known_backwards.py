"""Backwards of ops that are applied as one plan (`joined`), when they are not recorded themselves.

What the backward of an op applies depends on the specs of the gradients and of what was saved, on the parameters, and on which
gradients are needed, but on no number in a tensor. So where nodes of one record run a second time with gradients of the same
specs, the backward is rehearsed on copies of these and of what is saved, and the launches of its ops become one plan. Where they
cannot, or a number was read, the backward is left as it is for good. So are those of large tensors, and of ops that prepare one
themselves. Gradients that are views of what came in have a plan of their own: machine code makes no views beside other results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad import errors
from numgrad.engine.tape import Node
from numgrad.registry import EVERY, chain, learn_backwards, memo, plans
from numgrad.runtime.fast import start as fast
from numgrad.runtime.fast.layout import MOST_INPUTS
from numgrad.runtime.fast.write import backward_words
from numgrad.runtime.plan import Plan
from numgrad.tensor import joined, known

_WITH_VIEWS = -1  # the last of the places where some gradients are views
_VIEWS = "views"  # the parameters of plans for gradients that are views of those that come in; all others have none
_MOST_PLANS = 4  # of a record: with gradients of other layouts, or without some of them
_RUNS = 3  # with these specs, then they are learned: by then a function that applied the op may have a plan of its own


class Run:
    """``run(node, grads)`` for the nodes of a record, by plans where these are known.

    Attributes
    ----------
    reads
        The operands of its plans, as `SavedCall` has them.
    places
        By which gradients are there, for each input the number of its gradient among the results of the plans, or None.
    plans
        By the specs of the operands. They are dropped with the record, since nobody else needs them.
    """

    def __init__(self, reads: Sequence[int]) -> None:
        self.reads = tuple(reads)
        self._words = backward_words(reads)
        self.fast: int = self._words.ctypes.data
        self.places: dict[tuple[bool, ...], tuple[int | None, ...]] = {}
        self.plans: dict[tuple[Any, ...], Plan] = {}
        memo.holders.add(self)

    @property
    def weight(self) -> int:
        """That of all plans."""
        return sum([plan.weight for plan in self.plans.values()])

    def forget(self) -> None:
        """Drop the plans: as `memo.forget`."""
        self.plans.clear()

    def by_plans(self, node: Any, grads: Any, apply: Callable[..., Any] | None = None) -> Any:
        """The gradients of the inputs; None where they are not known, or a launch left a status, which ops will explain.

        ``apply`` takes the place of the machine code for saved tensors.
        """
        apply = apply or fast.run_saved
        results = None if chain.wrappers else apply(self.plans, None, node, grads, self.fast)
        if results.__class__ is not tuple:
            return None
        places = self.places[_given(grads)]
        if _WITH_VIEWS in places:
            views = apply(self.plans, _VIEWS, node, grads, self.fast)
            if views.__class__ is not tuple:
                return None
            results, places = (*results, *views), places[:-1]
        return [None if number is None else results[number] for number in places]

    def specs_of(self, node: Any, grads: Any) -> tuple[Any, ...]:
        """The specs of the operands."""
        operands = self.operands(node, grads)
        return tuple([None if each is None else each._spec for each in operands])

    def operands(self, node: Any, grads: Any) -> list[Any]:
        """The gradients and saved tensors that the plans read."""
        return [node.saved[read] if read >= 0 else grads[-1 - read] for read in self.reads]

    def keep(self, grads: Any, specs: tuple[Any, ...], learned: Any) -> None:
        """Keep what `learned` gave for operands of these specs."""
        self.places[_given(grads)], plan, views = learned
        if views is not None:
            self.plans[_VIEWS, *specs] = views
        self.plans[None, *specs] = plan


class _OfOp(Run):
    """`Run` for the backward of an op: learns specs that come again and again."""

    def __init__(self, outputs: int, saves: int) -> None:
        super().__init__([*range(-1, -1 - outputs, -1), *range(saves)])
        self.met: dict[tuple[Any, ...], int] = {}

    def __call__(self, node: Any, grads: Any) -> Any:
        """The gradients of a node's inputs."""
        gradients = self.by_plans(node, grads)
        if gradients is None:
            gradients = node.by_formula(grads, False)
            if node.saved.__class__ is list and grads.__class__ is list and known.is_free():
                self._learn(node, grads)
        return gradients

    def _learn(self, node: Any, grads: list[Any]) -> None:
        specs = self.specs_of(node, grads)
        self.met[specs] = times = self.met.get(specs, 0) + 1
        if len(self.met) > _MOST_PLANS:
            node.record.run = None
        if len(self.met) > _MOST_PLANS or times < _RUNS:
            return
        times_forgotten = memo.times_forgotten
        is_private = any(spec is not None and spec.is_private for spec in specs)
        learned = None if is_private else _rehearsed(node, grads, self.operands(node, grads))
        if learned is None:
            node.record.run = None
        elif memo.times_forgotten == times_forgotten:
            self.keep(grads, specs, learned)
            plans.count(self.weight)


def _run_of(record: Any) -> _OfOp | None:
    """What runs for the nodes of a record."""
    op, outputs = record.op, len(record.output_specs)
    inputs = outputs + len(op.saves)
    specs = [spec for spec in (*record.input_specs, *record.output_specs) if spec is not None]
    small = max([spec.numel for spec in specs], default=0) <= joined.LARGEST
    return _OfOp(outputs, len(op.saves)) if small and 0 < inputs <= MOST_INPUTS and not op.moving else None


def _given(grads: Any) -> tuple[bool, ...]:
    return tuple([grad is not None for grad in grads])


def _rehearsed(node: Any, grads: list[Any], operands: list[Any]) -> Any:
    """What is learned of a node's backward, done once more on copies of all that it reads."""
    copies = [None if each is None else known.copy_of(each) for each in operands]
    saved = copies[len(grads) :]
    versions = [0 if each is None else each._storage.version for each in saved]
    twin = Node(node.record, node.edges, saved, versions, node.params)
    specs, warned = [None if copy is None else copy._spec for copy in copies], errors.warned
    try:
        watcher, gradients = known.watch(twin.by_formula, (copies[: len(grads)], False), {})
    except Exception:  # the backward itself was right; what was changed in place meanwhile may be refused
        return None
    kept = [None if edge is None else gradient for gradient, edge in zip(gradients, node.edges, strict=True)]
    same = [None if copy is None else copy._spec for copy in copies] == specs
    if not (watcher.fits and same and errors.warned == warned):
        return None
    return learned(watcher.launched, watcher.filled, copies, kept)


def learned(launched: Any, filled: set[Any], copies: list[Any], kept: list[Any]) -> Any:
    """The places of gradients, their plan, and that of those that are views, or None; None if there can be no plans.

    Parameters
    ----------
    launched, filled
        Of a rehearsal, see `joined.plan_of`.
    copies
        The operands, in the order of `Run.reads`.
    kept
        For each input its gradient, or None.
    """
    storages = {copy._storage for copy in copies if copy is not None}
    results = {id(each): each for each in kept if each is not None}
    views = [each for each in results.values() if each._storage in storages]
    others = [each for each in results.values() if each._storage not in storages]
    parts = [_plan_of(launched, filled, copies, part) for part in (others, views) if part]
    if not parts or None in parts:
        return None
    numbers = {id(each): number for number, each in enumerate((*others, *views))}
    places = [None if each is None else numbers[id(each)] for each in kept]
    return (*places, *[_WITH_VIEWS] * (len(parts) - 1)), *parts, *[None] * (2 - len(parts))


def _plan_of(launched: Any, filled: set[Any], copies: list[Any], results: list[Any]) -> Plan | None:
    plan = joined.plan_of(launched, copies, tuple(results), filled, views=True)
    if plan is None or plan.changed:
        return None
    known.make_ready(plan, EVERY)
    return None if plan.fast is None else plan


learn_backwards(_run_of)
