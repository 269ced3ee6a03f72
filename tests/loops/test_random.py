"""Random programs against numbers that carry derivatives; see `random_programs`, which runs more of them."""

from __future__ import annotations

import pytest

from tests.loops import random_programs, stencils
from tests.loops.generator import ALL, Generator
from tests.loops.mutants import MUTANTS, Mutant, noticed

PARTS = [0, *[pytest.param(part, marks=pytest.mark.soak) for part in range(1, 10)]]
MOST_REFUSED = 0.1


def right(how: str, count: int, part: int, **options: object) -> None:
    tally, wrong = random_programs.mismatches(range(count * part, count * (part + 1)), how, **options)
    assert not wrong, "\n\n".join(wrong)
    assert tally["refused"] + tally["skipped"] <= MOST_REFUSED * count, tally


@pytest.mark.parametrize("part", PARTS)
def test_gradients(part: int) -> None:
    right("plain", 60, part)


@pytest.mark.parametrize("part", PARTS)
def test_second_derivatives(part: int) -> None:
    right("second", 20, part)


@pytest.mark.parametrize("part", [0, *[pytest.param(part, marks=pytest.mark.soak) for part in range(1, 4)]])
def test_compiled(part: int) -> None:
    right("compiled", 4, part)


@pytest.mark.parametrize("how", ["plain", "parts", "second"])
@pytest.mark.parametrize("part", [0, *[pytest.param(part, marks=pytest.mark.soak) for part in (1, 2)]])
def test_stencils(how: str, part: int) -> None:
    """Their compiled form, run in plain Python, gives the same, and turns that are said to be independent are."""
    count = 20 if how == "plain" else 4
    before = random_programs.GATHERED.copy()
    wrong = [
        (seed, said) for seed in range(count * part, count * (part + 1)) if (said := _stencil(seed, how)) != "right"
    ]
    assert not wrong
    found = random_programs.GATHERED - before
    if how == "plain":
        assert found["programs"] >= count / 5
        assert found["independent"] >= 10 * count


@pytest.mark.parametrize("seed", [2, 3, *[pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 8)]])
def test_stencils_compiled(seed: int) -> None:
    assert _stencil(seed, "compiled") == "right"


def _stencil(seed: int, how: str) -> str:
    said = random_programs.check_source(stencils.program(seed), seed, how)
    return "right" if said == "skipped" else said


def test_every_kind_of_statement_and_expression_is_made() -> None:
    """A feature that no program has would be tested by none."""
    for feature in ALL:
        without = ALL - {feature}
        assert any(Generator(seed).source() != Generator(seed, features=without).source() for seed in range(9)), feature


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert noticed(mutant, monkeypatch), "no program noticed"
