"""How many plans are kept: those of all ops together are counted, and the older ones go when there are too many."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from numgrad.runtime import threads

if TYPE_CHECKING:
    from numgrad.registry.op import Op
    from numgrad.runtime.plan import Plan

ops: weakref.WeakSet[Op] = weakref.WeakSet()  # also those that have no name of their own: parts of other ops

_MOST_PLANS = 1 << 12  # of all ops together, some 3 KB each
_HEAVIEST_PLAN = 1 << 9  # of these; what is heavier, with some 30,000 operands, is made anew each time
_plans_made = 0  # since the last count of those that are kept, and that number; by their weight


def keep(op: Op, key: tuple[Any, ...], plan: Plan) -> None:
    """Keep the op's plan for one signature, unless it is one of very many operands.

    Where shapes never end, the older half of each op's plans goes when there are too many.
    """
    global _plans_made
    if plan.weight > _HEAVIEST_PLAN:
        return
    op.plans[key] = plan
    _plans_made += plan.weight
    if _plans_made < _MOST_PLANS:
        return
    for each in list(ops):
        keys = list(each.plans)
        for old in keys[: len(keys) // 2]:
            each.plans.pop(old, None)
    _plans_made = sum([kept.weight for each in list(ops) for kept in list(each.plans.values())])


def forget_plans() -> None:
    """Drop all plans: after a change of the number of threads, for which scratch memory was sized."""
    for op in list(ops):
        op.plans.clear()


threads.count_listeners.append(forget_plans)
