"""What a table learned of a call serves the next ones as the function would: each public function in programs that are repeated."""

from __future__ import annotations

from types import ModuleType

import pytest

from numgrad.engine import dispatch
from numgrad.runtime.fast import start as fast
from numgrad.tensor import known
from tests.engine import repeated_programs, surface
from tests.engine.statements import Statement
from tests.engine.test_surface_programs import part_of

SEEDS, PARTS, SHORT = 3, 8, 100  # every SHORT-th program runs with the ordinary tests


@pytest.fixture(autouse=True)
def machine_code() -> None:
    fast.load()
    if fast.run_known is fast.nothing:
        pytest.skip("this interpreter is served by Python")


def test_a_few_repeated_programs_show_no_difference(torch: ModuleType) -> None:
    targets = surface.targets(torch)
    chosen = [(each, 50) for each in targets if part_of(each, 50, SHORT) == 0]
    wrong = list(repeated_programs.wrong(torch, chosen, targets))
    assert not wrong, "\n\n".join(wrong)
    assert not dispatch.recorders


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("seed", range(SEEDS), ids=[f"seed{number}" for number in range(SEEDS)])
def test_no_difference(seed: int, part: int, torch: ModuleType) -> None:
    targets = surface.targets(torch)
    chosen = [(each, 50 + seed) for each in targets if part_of(each, 50 + seed, PARTS) == part]
    wrong = list(repeated_programs.wrong(torch, chosen, targets))
    assert not wrong, "\n\n".join(wrong)


def test_a_wrong_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees what a table does wrong; here, a copy where a view is due."""
    program = [
        Statement("t0 = lib.tensor([1.0, 2.0], dtype=lib.float32)", "t0", "leaf"),
        Statement("t1 = part(t0.unsqueeze(0), 0)", "t1", "function:unsqueeze"),
    ]
    fast.load()
    assert repeated_programs.difference(program) is None
    served = fast.run_known

    def forgetful(calls: known.Table, *args: object) -> object:
        result = served(calls, *args)
        return args[0].clone() if result is not None and result is not NotImplemented and args else result  # type: ignore[attr-defined]

    monkeypatch.setattr(fast, "run_known", forgetful)
    assert "t1" in (repeated_programs.difference(program) or "")


def test_numbers_differ_from_round_to_round() -> None:
    text = "t0 = lib.tensor([[1, 2], [3, 4]], dtype=lib.int64)"
    assert repeated_programs.renumbered(text, 1, False) == "t0 = lib.tensor([[2, 3], [4, 1]], dtype=lib.int64)"
    texts = {repeated_programs.renumbered(text.replace("int64", "float64"), number, True) for number in range(5)}
    assert len(texts) == 5
    call = "part(lib.add(t0, 2), 1)"
    assert repeated_programs.renumbered(call, 1, False) == call
