"""For the first sample of each op that can be differentiated: does what is told of it find its backward's kernels, and no others?

Everything is rehearsed, so that nothing is compiled and nothing computed.
"""

from __future__ import annotations

import functools
import importlib
import json
from typing import Any

import numgrad as ng
from numgrad.registry import OPS
from numgrad.runtime import ahead, kernel
from tests.ops.applying import apply, floating, tensors
from tests.ops.test_backward import FIRST, takes_gradient

kernel.rehearsal = []


def _note(told: list[Any], recipe: str, **facts: Any) -> None:
    told.append(json.loads(json.dumps([recipe, {name: ahead.plain(value) for name, value in facts.items()}])))


def left_over(foreseen: bool) -> str:
    """Kernels that a backward needs after its recipe (``foreseen``), or the recipe after the backward.

    As JSON: the number of calls that were compared, and [sample, kernels] of each that has some.
    """
    compared, differences = 0, []
    for sample in FIRST:
        told: list[Any] = []
        kernel.foreseen = functools.partial(_note, told)
        inputs = tensors(sample.arrays("float32"))
        for position in takes_gradient(sample):
            inputs[position].requires_grad_()
        try:
            outputs = [y for y in floating(apply(sample.op, inputs, sample.params)) if y.requires_grad]
        except (RuntimeError, ValueError, IndexError):  # the op looks at numbers, which are undefined here
            continue
        kernel.foreseen = kernel.nobody
        told = [each for each in told if each[1]["op"] in OPS]

        def rehearse_recipes(told: list[Any] = told) -> None:
            for recipe, facts in told:
                module, _, name = recipe.partition(":")
                getattr(importlib.import_module(module), name)(**facts)

        def rehearse_backward(outputs: list[Any] = outputs) -> None:
            ng.autograd.backward(outputs, [ng.ones_like(y) for y in outputs])

        rehearse = [rehearse_recipes, rehearse_backward]
        for step in rehearse if foreseen else reversed(rehearse):
            before = len(kernel.rehearsal)
            try:
                step()
            except Exception as error:
                differences.append([str(sample), repr(error)])
        compared += bool(told)
        left = [job.name for job in kernel.rehearsal[before:]]
        if left:
            differences.append([str(sample), left])
    return json.dumps([compared, differences])
