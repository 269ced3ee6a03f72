"""Ops of one input that compute in floating point alone: what their specs have in common."""

from __future__ import annotations

from typing import Any

from numgrad.ops.family import Elementwise, elementwise

EVERYWHERE = ("function", "method", "in_place", "in_place_function")


def floating(
    name: str,
    oracle: Any,
    what: str,
    example: str,
    result: str,
    *,
    homes: tuple[str, ...] = EVERYWHERE,
    cost: int = 20,
    note: str = "",
) -> Elementwise:
    """An op of one input, which takes integers as floating point; the example is ``name(tensor(example))``."""
    call = f"ng.{name}" if "function" in homes else f"ng.special.{name}"
    doc = f"""{what}, elementwise. Integers are converted to floating point.{note}

    >>> import numgrad as ng
    >>> {call}(ng.tensor({example}))
    tensor({result})
    """
    return elementwise(name, homes=homes, promotes=True, cost=cost, oracle=oracle, doc=doc)
