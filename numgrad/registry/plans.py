"""The cache of plans: the plans of all ops are counted together, and those that were not used for longest go.

A plan for a new shape of a call that is known otherwise comes from a template (`runtime.templates`).
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numgrad import config
from numgrad.dtypes import dtype as Dtype
from numgrad.layout import Spec
from numgrad.registry import memo
from numgrad.runtime import kernel, threads
from numgrad.runtime.plan import PrivateOperandError
from numgrad.runtime.templates import MOST_INPUTS, Template, structure_of

if TYPE_CHECKING:
    from numgrad.registry.op import Op
    from numgrad.runtime.plan import Plan

ops: weakref.WeakSet[Op] = weakref.WeakSet()  # also unregistered ones, the parts of other ops

_MOST_PLANS = 1 << 12  # of all ops together, some 2 KB each
_HEAVIEST_PLAN = 1 << 9  # in the same unit; a heavier plan, of some 30,000 operands, is made anew each time
_MOST_STRUCTURES = 1 << 8  # of an op
_MOST_LAUNCHES = 96  # of a plan that is worth a template: a run on symbols takes ten times as long as planning
_MOST_TEMPLATES = 16  # of a structure, for which a planning function takes several ways
# What a planning function meets where symbols have no rule.
_NO_RULE = (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError, AttributeError)
_plans_made = 0  # weight of the plans at the last count, and of those made since
_log = logging.getLogger("numgrad.plans")


def make_plan(op: Op, specs: tuple[Any, ...], params: Any) -> Plan:
    """The plan for one signature: from a template if one serves it, else by the planning function.

    It is cached in ``op.plans``, unless it has very many operands. When there are too many plans, because shapes keep changing,
    the half that was used least recently goes.

    Raises
    ------
    ShapeError, DtypeError, TypeError, ValueError, IndexError
        The op's shape rule refuses the signature.
    PrivateOperandError
        An input has to be moved first, as it was found to be when this signature was planned before.
    """
    private = op.exposing.get((params, *specs))
    if private is not None:
        raise PrivateOperandError(private)
    try:
        plan = _from_template(op, specs, params) if op.plans else None  # many ops see one shape alone
        if plan is None:
            plan = _planned(op, specs, params)
    except PrivateOperandError as operand:
        # Planning takes longer than moving what is private, which each such call needs.
        if len(op.exposing) >= _MOST_STRUCTURES:
            op.exposing.clear()
        op.exposing[params, *specs] = operand.position
        raise
    if plan.weight <= _HEAVIEST_PLAN:
        count(plan.weight)
        op.plans[(params[1:] if op.moving else params, *specs)] = plan
    return plan


def count(weight: int) -> None:
    """Count what is about to be kept in plans or in their records, for which others may be forgotten."""
    global _plans_made
    _plans_made += weight
    if _plans_made >= _MOST_PLANS:
        _forget_half()


def _planned(op: Op, specs: tuple[Any, ...], params: Any) -> Plan:
    plan = op.planned(specs, params).finish()
    plan.prepare(op.public, op.differentiable)
    return plan


def _from_template(op: Op, specs: tuple[Any, ...], params: Any) -> Plan | None:
    """The plan by a template; from a structure's second shape on there is one, if it can be."""
    if len(specs) > MOST_INPUTS:
        return None
    numbers: list[int] = []
    structure = structure_of(specs, params, numbers)
    templates = op.templates.get(structure)
    for template in templates or ():
        plan = template.plan(specs, params, numbers)
        if plan is not None:
            if template is not templates[0]:  # type: ignore[index]
                op.templates[structure] = (template, *[each for each in templates if each is not template])  # type: ignore[union-attr]
            return plan
    if templates is None:
        if len(op.templates) >= _MOST_STRUCTURES:
            op.templates.clear()
            op.untraced.clear()
        op.templates[structure] = ()  # the first shape of this call
    elif len(templates) < _MOST_TEMPLATES and structure not in op.untraced and not config.PYTHON.is_set():
        return _plan_and_template(op, structure, specs, params, numbers)
    return None


def _plan_and_template(op: Op, structure: Any, specs: tuple[Any, ...], params: Any, numbers: list[int]) -> Plan:
    """The plan by the planning function, whose errors are those of the call; it also leaves a template, if there can be one."""
    plan = _planned(op, specs, params)
    if kernel.rehearsal is None and (plan.program is None or len(plan.program.launches) <= _MOST_LAUNCHES):
        try:
            template = Template(op.planned, specs, params, numbers, op.public, op.differentiable)
        except _NO_RULE as error:
            _log.debug("%s: each new shape is planned from the start: %s: %s", op.name, type(error).__name__, error)
            op.untraced.add(structure)
        else:
            op.templates[structure] = (*op.templates.get(structure, ()), template)
    return plan


def _forget_half() -> None:
    """Drop the plans that were used least recently; calls that are known hold theirs."""
    global _plans_made
    entries = [(kept.last_use(), each, key, kept) for each in list(ops) for key, kept in list(each.plans.items())]
    entries.sort(key=lambda entry: entry[0])
    _plans_made = sum([memo.weight_of(entry[3]) for entry in entries])
    for _, each, old, dropped in entries:
        if _plans_made <= _MOST_PLANS // 2:
            break
        if each.plans.pop(old, None) is not None:
            _plans_made -= memo.weight_of(dropped)


def forget_plans() -> None:
    """Drop all plans: after a change of the number of threads, for which scratch memory was sized."""
    memo.forget()
    for op in list(ops):
        op.plans.clear()
        op.templates.clear()
        op.untraced.clear()
        op.exposing.clear()


threads.count_listeners.append(forget_plans)


def half_of(specs: Sequence[Spec | None], params: Any) -> Dtype | None:
    """The half among the dtypes of operands and parameters; None if there is none."""
    for spec in specs:
        if spec is not None and spec.dtype.is_half:
            return spec.dtype
    for value in params:
        if value.__class__ is Dtype and value.is_half:
            return value  # type: ignore[no-any-return]
    return None
