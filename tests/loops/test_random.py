"""Random programs against numbers that carry derivatives; see `random_programs`, which runs more of them."""

from __future__ import annotations

import pytest

from tests.loops import random_programs
from tests.loops.generator import ALL, Generator
from tests.loops.mutants import MUTANTS, Mutant, noticed

PARTS = [*range(3), *[pytest.param(part, marks=pytest.mark.soak) for part in range(3, 10)]]
MOST_REFUSED = 0.1


def right(how: str, count: int, part: int, **options: object) -> None:
    tally, wrong = random_programs.mismatches(range(count * part, count * (part + 1)), how, **options)
    assert not wrong, "\n\n".join(wrong)
    assert tally["refused"] + tally["skipped"] <= MOST_REFUSED * count, tally


@pytest.mark.parametrize("part", PARTS)
def test_gradients(part: int) -> None:
    right("plain", 100, part)


@pytest.mark.parametrize("part", PARTS)
def test_second_derivatives(part: int) -> None:
    right("second", 20, part)


@pytest.mark.parametrize("part", [0, *[pytest.param(part, marks=pytest.mark.soak) for part in range(1, 4)]])
def test_compiled(part: int) -> None:
    right("compiled", 6, part)


def test_every_kind_of_statement_and_expression_is_made() -> None:
    """A feature that no program has would be tested by none."""
    for feature in ALL:
        without = ALL - {feature}
        assert any(Generator(seed).source() != Generator(seed, features=without).source() for seed in range(9)), feature


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert noticed(mutant, monkeypatch), "no program noticed"
