"""Where the optimizers' arithmetic is planned: one launch changes all parameters of a group in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from numgrad.engine.changes import Changes
from numgrad.tensor import updates
from numgrad.tensor.tensor import Tensor


def sgd(
    changes: Changes, params: list[Tensor], grads: list[Tensor], buffers: list[Tensor | None], **options: Any
) -> list[Tensor | None]:
    """Plan a step of `SGD`; the buffers after it. One that is None is made, if there is momentum, as the first gradient."""
    turns = _turns(params)
    if len(turns) == 1:
        return updates.plan_sgd(changes, params, grads, buffers, **options)
    after = buffers.copy()
    for places in turns:
        planned = updates.plan_sgd(changes, *_chosen(places, params, grads, buffers), **options)  # type: ignore[arg-type]
        for place, buffer in zip(places, planned, strict=True):
            after[place] = buffer
    return after


def adam(
    changes: Changes,
    params: list[Tensor],
    grads: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    largest: list[Tensor],
    steps: list[int],
    **options: Any,
) -> None:
    """Plan a step of `Adam` after ``steps`` steps of each parameter; ``largest`` is empty without amsgrad."""
    turns = _turns(params)
    for turn, places in enumerate(turns):
        if turn:  # those of the same parameter, whose means are the same too, have taken a step in an earlier turn
            earlier = Counter(id(means[place]) for before in turns[:turn] for place in before)
            counts = {place: steps[place] + earlier[id(means[place])] for place in places}
        else:
            counts = {place: steps[place] for place in places}
        for step in sorted(set(counts.values())):
            chosen = [place for place in places if counts[place] == step]
            some = _chosen(chosen, params, grads, means, squares, largest or params)
            updates.plan_adam(changes, *some[:4], some[4] if largest else [], step=step, **options)  # type: ignore[arg-type, misc]


def _chosen(places: Sequence[int], *columns: list[Any]) -> list[list[Any]]:
    return [[column[place] for place in places] for column in columns]


def _turns(params: list[Tensor]) -> list[Sequence[int]]:
    """The places of the parameters, those of memory that is there before in a later turn: one launch writes it once.

    A parameter that is listed twice takes two steps, the second from where the first has led, as in torch.
    """
    addresses = [parameter._address for parameter in params]
    if len(set(addresses)) == len(addresses):
        return [range(len(addresses))]
    turns: list[list[int]] = []
    seen: Counter[int] = Counter()
    for place, address in enumerate(addresses):
        turn = seen[address]
        seen[address] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(place)
    return turns  # type: ignore[return-value]
