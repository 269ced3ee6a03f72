"""The cache of plans: the plans of all ops are counted together, and the older ones go when there are too many."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from numgrad.runtime import threads

if TYPE_CHECKING:
    from numgrad.registry.op import Op
    from numgrad.runtime.plan import Plan

ops: weakref.WeakSet[Op] = weakref.WeakSet()  # also unregistered ones, the parts of other ops

_MOST_PLANS = 1 << 12  # of all ops together, some 3 KB each
_HEAVIEST_PLAN = 1 << 9  # in the same unit; a heavier plan, of some 30,000 operands, is made anew each time
_plans_made = 0  # weight of the plans at the last count, and of those made since


def keep(op: Op, key: tuple[Any, ...], plan: Plan) -> None:
    """Cache the op's plan for one signature, unless it has very many operands.

    When there are too many plans, because shapes keep changing, the older half of each op's plans goes.
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
