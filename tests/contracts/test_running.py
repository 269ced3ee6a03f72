"""How the tests are run: by how many processes, and by what record where torch is not installed."""

from __future__ import annotations

import importlib.util
import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest, costs, recorded

ROOT = Path(__file__).parents[2]


def asked(*args: str, **given: Any) -> bool:
    """Whether several processes run the tests for these arguments and options."""
    plain = {"numprocesses": None, "dist": "no", "tx": [], "capture": "fd", "keyword": "", "collectonly": False}
    option = Namespace(**{**plain, "usepdb": False, "trace": False, **given})
    config = SimpleNamespace(option=option, args=[str(ROOT / arg) for arg in args])
    return conftest.in_parallel(config)  # type: ignore[arg-type]


def test_folders_are_run_by_several_processes() -> None:
    assert asked("tests")
    assert asked("tests/ops", "tests/nn", lf=False)


@pytest.mark.parametrize(
    "given",
    [
        {"numprocesses": 0}, {"numprocesses": 3}, {"usepdb": True}, {"trace": True}, {"capture": "no"}, {"keyword": "softmax"},
        {"collectonly": True}, {"lf": True}, {"stepwise": True}, {"dist": "load"}, {"tx": ["popen"]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_looked_at_is_run_by_one_process(given: dict[str, Any]) -> None:
    assert not asked("tests", **given)


def test_a_file_or_a_test_is_run_by_one_process() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    assert not asked(here)
    assert not asked(f"{here}::test_a_file_or_a_test_is_run_by_one_process")
    assert not asked("tests/ops", here)


def test_without_the_plugin_one_process_runs_all() -> None:
    config = SimpleNamespace(option=Namespace(), args=[str(ROOT / "tests")])
    assert not conftest.in_parallel(config)  # type: ignore[arg-type]


def test_costs_are_summed_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_others", type(costs._others)())
    assert costs.own()["CPU"] > 0
    costs.add({"CPU": 10.0, "kernels": 2, "compiling": 1.5})
    costs.add({"CPU": 20.0})
    costs.add({})
    assert costs.summary() == "The tests took 30 s of CPU time; 2 kernels were compiled, in 2 s."


# ---- the record of torch's answers ------------------------------------------------------------------------------


def test_every_answer_in_the_record_is_of_a_test() -> None:
    old = [
        key
        for key in recorded.read()["answers"]
        for name, _, test in [key.partition("::")]
        if not (ROOT / "tests" / name).exists()
        or f"def {test.partition('[')[0]}(" not in (ROOT / "tests" / name).read_text("utf-8")
    ]
    assert not old


def test_the_record_speaks_where_torch_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(recorded, "read", lambda: {"torch": "0", "answers": {"a": ["text", 0.1]}})
    assert recorded.answer("a", lambda torch: pytest.fail("torch was asked")) == ["text", 0.1]
    with pytest.raises(KeyError):
        recorded.answer("b", lambda torch: 1)


def test_an_old_record_is_noticed(monkeypatch: pytest.MonkeyPatch, torch: Any) -> None:
    version = torch.__version__.partition("+")[0]
    monkeypatch.delenv("NUMGRAD_RECORD", raising=False)
    monkeypatch.setattr(recorded, "read", lambda: {"torch": version, "answers": {"a": [1]}})
    assert recorded.answer("a", lambda torch: (1,)) == [1]
    with pytest.raises(AssertionError, match="is old"):
        recorded.answer("a", lambda torch: 2)
    monkeypatch.setattr(recorded, "read", lambda: {"torch": "another", "answers": {}})
    assert recorded.answer("a", lambda torch: 2) == 2


def test_a_new_record_replaces_that_of_the_same_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, torch: Any
) -> None:
    record = tmp_path / "record.json"
    before = {"torch": "1", "answers": {"a.py::old": 1, "b.py::kept": 2}}
    record.write_text(json.dumps(before))
    monkeypatch.setattr(recorded, "RECORD", record)
    monkeypatch.setattr(recorded, "read", lambda: before)
    monkeypatch.setattr(recorded, "_written", {})
    monkeypatch.setenv("NUMGRAD_RECORD", "1")
    recorded.answer("a.py::new", lambda torch: (3, "x"))
    recorded.write()
    assert json.loads(record.read_text())["answers"] == {"a.py::new": [3, "x"], "b.py::kept": 2}
