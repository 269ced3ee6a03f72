"""Plans from templates: for every row of the table and other numbers in it, the plan of the planning function or none."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.layout import spec_of
from numgrad.registry import OPS, Op
from numgrad.runtime import kernel, templates
from numgrad.runtime.plan import Plan, PrivateOperandError
from numgrad.runtime.program import laid_out
from numgrad.symbols import Trace
from tests.ops.samples import SAMPLES

_TRIES = 12  # other numbers for each row


@pytest.fixture(autouse=True)
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans need no code: an entry is a number that tells kernels and bindings apart."""
    monkeypatch.setattr(kernel.Kernel, "entry", lambda self, binding=(): hash((id(self), binding)) >> 2)


def _calls(op: Op) -> Iterator[tuple[Any, Any]]:
    for sample in SAMPLES.get(op.name, ()):
        inputs = [None if array is None else ng.tensor(array) for array in sample.arrays("float32")]
        yield tuple([None if each is None else each._spec for each in inputs]), op.Params(**sample.params)


def _changed(value: Any, numbers: Iterator[int]) -> Any:
    if value.__class__ is int:
        return next(numbers)
    return (
        tuple.__new__(type(value), [_changed(each, numbers) for each in value]) if isinstance(value, tuple) else value
    )


def _other(specs: Any, params: Any, numbers: Iterator[int]) -> tuple[Any, Any]:
    """The call with other ints: shapes, strides of layouts that are not row-major, and parameters."""
    changed = []
    for spec in specs:
        if spec is None:
            changed.append(None)
            continue
        shape, strides = tuple([next(numbers) for _ in spec.shape]), None
        if not spec.kind.is_exact:
            strides = tuple([next(numbers) for _ in spec.strides])
            next(numbers)
        changed.append(spec_of(spec.dtype, shape, strides))
    return tuple(changed), _changed(params, numbers)


def _facts(plan: Plan) -> Any:
    # Specs are compared by what they say: one that was made again after the table of them was emptied is another object.
    outputs = [
        (each.spec and (each.spec.dtype, tuple(each.spec.shape), each.spec.strides, each.spec.is_private), *each[1:])
        for each in plan.outputs
    ]
    return outputs, plan.allocations, plan.changed, plan.moves, plan.fast is None


def _words(plan: Plan, op: Op, specs: Any, params: Any) -> tuple[list[int], list[int]]:
    """The program's words and those of the constants, as the plan has them and as the planning function says."""
    builder = op.planned(specs, params)
    laid = laid_out(builder.launches, builder.addresses, stepped=False)
    held = np.frombuffer(plan.program._held, np.int64).tolist()  # type: ignore[union-attr]
    mine, theirs = held[: len(laid.words)], list(laid.words)
    end = len(laid.words)
    for word, constant in laid.constants:
        assert mine[word] == plan.program.address + 8 * end  # type: ignore[union-attr]
        mine[word] = 0
        mine += held[end : end + constant.words.size]
        theirs += constant.words.ravel().tolist()
        end += constant.words.size
    assert plan.program.splits == laid.splits  # type: ignore[union-attr]
    assert plan.program.cost == laid.cost  # type: ignore[union-attr]
    return mine, theirs


def _planned(op: Op, specs: Any, params: Any) -> Any:
    """The planning function's plan; None where it refuses."""
    try:
        plan = op.planned(specs, params).finish()
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, PrivateOperandError, MemoryError):
        return None
    plan.prepare(op.public, op.differentiable)
    return plan


def _check(op: Op) -> tuple[int, int]:
    """Compare plans of an op; how many came from templates, and how many there were."""
    served, asked, dice = 0, 0, random.Random(op.name)
    for specs, params in _calls(op):
        numbers: list[int] = []
        structure = templates.structure_of(specs, params, numbers)
        if not numbers or len(specs) > templates.MOST_INPUTS:
            continue
        try:
            template = templates.Template(op.planned, specs, params, numbers, op.public, op.differentiable)
        except Exception:
            continue  # planned from the start each time; the share of such is bounded below
        assert template.plan(specs, params, numbers) is not None
        for turn in range(_TRIES):
            by = {each: each + dice.randint(0, 3) if turn % 2 else each * dice.randint(1, 3) for each in numbers}
            other = [by[each] if each > 1 or dice.random() < 0.02 else each for each in numbers]
            if turn % 3 == 0:
                position = dice.randrange(len(other))
                other[position] = max(0, other[position] + dice.choice((-2, -1, 1, 5)))
            try:
                other_specs, other_params = _other(specs, params, iter(other))
            except RuntimeError:  # no layout
                continue
            again: list[int] = []
            if templates.structure_of(other_specs, other_params, again) != structure:
                continue
            expected, plan = _planned(op, other_specs, other_params), template.plan(other_specs, other_params, again)
            asked += expected is not None
            if plan is None:
                continue
            assert expected is not None, f"{op.name}: {other_specs}, {other_params} is refused by its planning function"
            assert _facts(plan) == _facts(expected)
            served += 1
            if expected.program is not None:
                mine, theirs = _words(plan, op, other_specs, other_params)
                assert mine == theirs
    return served, asked


@pytest.mark.parametrize("part", range(4))
def test_a_template_gives_the_plan_of_the_planning_function_or_none(part: int) -> None:
    served = asked = 0
    for name in sorted(OPS)[part::4]:
        counts = _check(OPS[name])
        served, asked = served + counts[0], asked + counts[1]
    assert served > 0.5 * asked > 100


def test_symbols_are_rounded_as_their_numbers() -> None:
    with Trace([5]) as trace:
        half = trace.arguments[0] / 2
        assert [function(half) for function in (math.ceil, math.floor, math.trunc, round)] == [3, 2, 2, 2]
        function = trace.function("rounded", ["return 1"], ())
    assert [function(number) for number in (4, 5, 6)] == [None, 1, None]
