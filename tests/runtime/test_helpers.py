"""Processes that rehearse a recipe and compile its kernels into the store."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from numgrad.runtime import helpers, store
from tests.runtime.processes import output, run

RUN = """
import sys
from numgrad.runtime import build
from tests.runtime.recipes import small
compiled = []
build.listeners.append(lambda name, seconds: compiled.append(name))
small()
print(len(compiled))
"""
WARM = """
import json, sys
from numgrad.runtime.helpers import Helper
jobs = int(sys.argv[1])
running = [Helper("tests.runtime.recipes:small", {}, index, jobs, tells=True) for index in range(jobs)]
print(json.dumps([list(helper.messages()) for helper in running]))
for helper in running:
    helper.stop()
"""
ON_DEMAND = """
import sys
from numgrad.runtime import helpers
from tests.runtime.recipes import small
started = []
class Noted(helpers.Helper):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        started.append(self._process)
helpers.Helper = Noted
with helpers.on_demand("tests.runtime.recipes:" + sys.argv[1], {}):
    small()
print(len(started), [process.poll() is not None for process in started])
"""


def test_what_helpers_compile_is_what_a_run_needs_and_no_kernel_twice(tmp_path: Path) -> None:
    import json

    place = {"NUMGRAD_KERNEL_STORE": str(tmp_path)}
    told = json.loads(output(WARM, "2", **place))
    assert [messages[0]["total"] for messages in told] == [3, 3]
    names = [message["name"] for messages in told for message in messages[1:]]
    assert sorted(names) == ["multiply", "write", "write"]
    assert len(list(tmp_path.rglob("*.o"))) == 3
    assert output(RUN, **place) == "0\n"
    assert [path.name for path in tmp_path.rglob(".*")] == [store._MARK]  # no claim, no half-written file is left


@pytest.mark.parametrize("recipe", ["small", "endless"])
def test_helpers_on_demand_are_gone_at_the_end(recipe: str, tmp_path: Path) -> None:
    place = {"NUMGRAD_KERNEL_STORE": str(tmp_path), "NUMGRAD_COMPILE_JOBS": "2"}
    assert output(ON_DEMAND, recipe, **place) == "1 [True]\n"
    assert output(ON_DEMAND, recipe, **place) == "0 []\n"  # nothing is missing any more


@pytest.mark.parametrize("settings", [{"NUMGRAD_COMPILE_JOBS": "1"}, {"NUMGRAD_KERNEL_STORE": "off"}])
def test_without_a_store_or_with_one_job_nobody_helps(settings: dict[str, str], tmp_path: Path) -> None:
    place = {"NUMGRAD_KERNEL_STORE": str(tmp_path), "NUMGRAD_COMPILE_JOBS": "2"}
    assert output(ON_DEMAND, "small", **{**place, **settings}) == "0 []\n"


def test_a_helper_ends_with_whoever_started_it() -> None:
    helper = helpers.Helper("tests.runtime.recipes:endless", {}, 0, 1, tells=True)
    assert helper._process.stdin is not None
    helper._process.stdin.close()  # as the system does when the parent is killed
    assert helper._process.wait(timeout=60) == 1
    helper.stop()


def test_a_recipe_that_fails_says_so() -> None:
    helper = helpers.Helper("tests.runtime.recipes:refused", {}, 0, 1, tells=True)
    assert list(helper.messages()) == [{"error": "no such thing", "kind": "ValueError"}]
    helper.stop()


def test_the_number_of_jobs_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_COMPILE_JOBS", "many")
    with pytest.raises(ValueError, match="NUMGRAD_COMPILE_JOBS is 'many', expected an integer from 1"):
        helpers.job_count()


# ---- claims -----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("NUMGRAD_KERNEL_STORE", str(tmp_path))
    store._folder.cache_clear()
    yield tmp_path
    store._folder.cache_clear()


needs_locks = pytest.mark.skipif(store.fcntl is None, reason="this system has no locks of this kind")


def _hold(path: str, ready: object, release: object) -> None:
    os.environ["NUMGRAD_KERNEL_STORE"] = path
    store._folder.cache_clear()
    with store.claim("kernel", "key", patience=0) as mine:
        assert mine
        ready.set()  # type: ignore[attr-defined]
        release.wait(60)  # type: ignore[attr-defined]


@needs_locks
@pytest.mark.parametrize("killed", [False, True])
def test_a_claim_holds_until_its_holder_leaves_or_dies(killed: bool, own_store: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(own_store), ready, release))
    holder.start()
    assert ready.wait(60)
    with store.claim("kernel", "key", patience=0) as mine:
        assert not mine
    with store.claim("kernel", "another", patience=0) as mine:
        assert mine
    begin = time.monotonic()
    with store.claim("kernel", "key", patience=0.1) as mine:  # whoever waits too long goes on alone
        assert not mine
    assert time.monotonic() - begin >= 0.1
    if killed:
        holder.kill()
    else:
        release.set()
    with store.claim("kernel", "key", patience=60):
        pass
    holder.join(60)
    with store.claim("kernel", "key", patience=0) as mine:
        assert mine


def test_where_nothing_can_be_locked_everybody_is_alone(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "fcntl", None)
    with store.claim("kernel", "key", patience=0) as first, store.claim("kernel", "key", patience=0) as second:
        assert first
        assert second


def test_a_store_that_cannot_be_used_says_why(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.problem() == ""
    monkeypatch.setenv("NUMGRAD_KERNEL_STORE", "off")
    store._folder.cache_clear()
    assert store.problem() == "NUMGRAD_KERNEL_STORE is off"
    assert store.is_empty()


def test_a_process_that_is_interrupted_leaves_no_helper(tmp_path: Path) -> None:
    """Ctrl-C while kernels are compiled: the helpers go with the process."""
    script = ON_DEMAND.replace("small()\n", "small()\n    raise KeyboardInterrupt\n").replace(
        "\nwith ", "\nimport atexit\natexit.register(lambda: print([p.poll() is not None for p in started]))\nwith "
    )
    done = run(script, "endless", NUMGRAD_KERNEL_STORE=str(tmp_path), NUMGRAD_COMPILE_JOBS="2")
    assert done.stdout == "[True]\n"
