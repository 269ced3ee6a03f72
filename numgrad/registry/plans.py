"""The cache of plans: the plans of all ops are counted together, and those that were not used for longest go.

A plan for a new shape of a call that is known otherwise comes from a template (`runtime.templates`).
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from numgrad import config
from numgrad.runtime import kernel, threads
from numgrad.runtime.templates import MOST_INPUTS, Template, structure_of

if TYPE_CHECKING:
    from numgrad.registry.op import Op
    from numgrad.runtime.plan import Plan

ops: weakref.WeakSet[Op] = weakref.WeakSet()  # also unregistered ones, the parts of other ops

_MOST_PLANS = 1 << 12  # of all ops together, some 2 KB each
_HEAVIEST_PLAN = 1 << 9  # in the same unit; a heavier plan, of some 30,000 operands, is made anew each time
_MOST_STRUCTURES, _MOST_TEMPLATES = 1 << 8, 12  # of an op; of a structure, for which a planning function takes several ways
_plans_made = 0  # weight of the plans at the last count, and of those made since
_log = logging.getLogger("numgrad.plans")


def plan_for(op: Op, specs: tuple[Any, ...], params: Any) -> Plan:
    """A new plan: from a template if one serves this call, else by the planning function. Errors as `Op.planned`."""
    numbers: list[int] = []
    templates: list[Template] | None = None
    if len(specs) <= MOST_INPUTS:
        structure = structure_of(specs, params, numbers)
        templates = op.templates.get(structure)
        for template in templates or ():
            plan = template.plan(specs, params, numbers)
            if plan is not None:
                if template is not templates[0]:  # type: ignore[index]
                    op.templates[structure] = [template, *[each for each in templates if each is not template]]  # type: ignore[union-attr]
                return plan
    plan = op.planned(specs, params).finish()
    plan.prepare(op.public, op.differentiable)
    if templates is not None:
        if len(templates) < _MOST_TEMPLATES and kernel.rehearsal is None and not config.PYTHON.is_set():
            op.templates[structure] = [*templates, *_new_template(op, specs, params, numbers)]
    elif numbers:  # the first shape: many programs have no second one
        if len(op.templates) >= _MOST_STRUCTURES:
            op.templates.clear()
        op.templates[structure] = []
    return plan


def _new_template(op: Op, specs: tuple[Any, ...], params: Any, numbers: list[int]) -> list[Template]:
    """The template of a call that has a plan; where there can be none, so many of them that nobody asks again."""
    try:
        return [Template(op.planned, specs, params, numbers, op.public, op.differentiable)]
    except Exception as error:  # the plan exists, so the call is right: a planning function does more than symbols can follow
        _log.debug("%s: each new shape is planned from the start: %s: %s", op.name, type(error).__name__, error)
        return [_NONE] * _MOST_TEMPLATES


class _NoTemplate(Template):
    def __init__(self) -> None:
        pass

    def plan(self, specs: Any, params: Any, numbers: Any) -> None:
        return None


_NONE = _NoTemplate()


def keep(op: Op, key: tuple[Any, ...], plan: Plan) -> None:
    """Cache the op's plan for one signature, unless it has very many operands.

    When there are too many plans, because shapes keep changing, the half that was used least recently goes.
    """
    global _plans_made
    if plan.weight > _HEAVIEST_PLAN:
        return
    op.plans[key] = plan
    _plans_made += plan.weight
    if _plans_made < _MOST_PLANS:
        return
    entries = [(kept.last_use(), each, key, kept) for each in list(ops) for key, kept in list(each.plans.items())]
    entries.sort(key=lambda entry: entry[0])
    _plans_made = sum([entry[3].weight for entry in entries])
    for _, each, old, dropped in entries:
        if _plans_made <= _MOST_PLANS // 2:
            break
        if each.plans.pop(old, None) is not None:
            _plans_made -= dropped.weight


def forget_plans() -> None:
    """Drop all plans: after a change of the number of threads, for which scratch memory was sized."""
    for op in list(ops):
        op.plans.clear()
        op.templates.clear()


threads.count_listeners.append(forget_plans)
