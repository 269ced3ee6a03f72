"""Plans the optimizers' arithmetic for `SGD` and `Adam`: one launch changes all parameters of a group in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from numgrad.tensor import updates
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor


def sgd(
    changes: Changes, params: list[Tensor], grads: list[Tensor], buffers: list[Tensor | None], **options: Any
) -> list[Tensor | None]:
    """Plan a step of `SGD` and return the buffers after it. With momentum, a buffer that is None starts as the gradient."""
    turns = _turns(params)
    if len(turns) == 1:
        return updates.plan_sgd(changes, params, grads, buffers, **options)
    after = buffers.copy()
    for positions in turns:
        planned = updates.plan_sgd(changes, *_chosen(positions, params, grads, buffers), **options)  # type: ignore[arg-type]
        for position, buffer in zip(positions, planned, strict=True):
            after[position] = buffer
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
    """Plan a step of `Adam`; ``steps`` counts each parameter's earlier steps, ``largest`` is empty without amsgrad."""
    turns = _turns(params)
    for turn, positions in enumerate(turns):
        if turn:  # the same parameter, with the same means, has taken a step in an earlier turn
            earlier = Counter(id(means[position]) for before in turns[:turn] for position in before)
            counts = {position: steps[position] + earlier[id(means[position])] for position in positions}
        else:
            counts = {position: steps[position] for position in positions}
        for step in sorted(set(counts.values())):
            chosen = [position for position in positions if counts[position] == step]
            some = _chosen(chosen, params, grads, means, squares, largest or params)
            updates.plan_adam(changes, *some[:4], some[4] if largest else [], step=step, **options)  # type: ignore[arg-type, misc]


def _chosen(positions: Sequence[int], *columns: list[Any]) -> list[list[Any]]:
    return [[column[position] for position in positions] for column in columns]


def _turns(params: list[Tensor]) -> list[Sequence[int]]:
    """The positions of the parameters in turns, so that no turn has the same memory twice: a launch writes it once.

    A parameter that is listed twice takes two steps, the second from the result of the first, as in torch.
    """
    addresses = [parameter._address for parameter in params]
    if len(set(addresses)) == len(addresses):
        return [range(len(addresses))]
    turns: list[list[int]] = []
    seen: Counter[int] = Counter()
    for position, address in enumerate(addresses):
        turn = seen[address]
        seen[address] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(position)
    return turns  # type: ignore[return-value]
