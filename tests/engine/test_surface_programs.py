"""Random programs of the whole surface against torch: each public function and method in three of them; see `surface`."""

from __future__ import annotations

import zlib
from types import ModuleType

import pytest

from tests.engine import mixed_programs, surface
from tests.engine.surface import Target

PARTS, SHORT = 8, 40  # of the programs of one seed every SHORT-th runs with the ordinary tests
NEVER = dict.fromkeys(("function:imag", "function:view_as_real"), "of complex numbers, which numgrad does not have")


def mismatches(torch: ModuleType, chosen: list[tuple[Target, int]], known: list[Target]) -> list[str]:
    wrong = []
    for target, seed in chosen:
        mismatch, statements = mixed_programs.compare(torch, surface.program(torch, target, seed, known))
        if mismatch is not None:
            statements, mismatch = mixed_programs.smallest(torch, statements, mismatch)
            text = mixed_programs.as_program(statements, mismatch)
            wrong.append(f"# {target}, seed {seed}: {mismatch.what} ({mismatch.kind})\n{text}\n{mismatch.text}")
    return wrong


def part_of(target: Target, seed: int, parts: int) -> int:
    """Which part a program is of: by its name, so that it stays where other functions are added."""
    return zlib.crc32(f"{target}/{seed}".encode()) % parts


def test_a_few_programs_show_no_mismatch(torch: ModuleType) -> None:
    known = surface.targets(torch)
    wrong = mismatches(torch, [(each, 0) for each in known if part_of(each, 0, SHORT) == 0], known)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3), ids="seed{}".format)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_mismatch(part: int, seed: int, torch: ModuleType) -> None:
    known = surface.targets(torch)
    chosen = [(each, seed) for each in known if part_of(each, seed, PARTS) == part]
    wrong = mismatches(torch, chosen, known)
    assert not wrong, "\n\n".join(wrong)


def test_torch_takes_a_call_of_every_function(torch: ModuleType) -> None:
    """What is drawn for a function is not refused each time, or it says why."""
    refused = {str(each) for each in surface.targets(torch) if not surface.is_taken(torch, each, 12)}
    assert refused == {name for name in NEVER if name in map(str, surface.every_target())}


def test_no_function_is_left_out_silently(torch: ModuleType) -> None:
    public = surface.every_target()
    assert len(public) > 1000
    called = set(surface.targets(torch))
    for each in public:  # what torch has elsewhere alone, is called there
        elsewhere = any(Target(home, each.name) in called for home in surface.LIBRARIES)
        assert each in called or elsewhere or each.name in surface.left_out(), each
    assert surface.left_out() <= {each.name for each in public}, "what is gone need not be left out"


def test_a_program_is_that_of_its_function_and_seed(torch: ModuleType) -> None:
    known = surface.targets(torch)
    target = Target("function", "add")
    assert surface.program(torch, target, 5, known) == surface.program(torch, target, 5, known)
    fewer = [each for each in known if each.name not in ("hypot", "sort")]
    same = sum(surface.partner(seed, known) == surface.partner(seed, fewer) for seed in range(200))
    assert same > 190, "what goes with a function changes where others come and go"
