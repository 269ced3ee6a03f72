"""What holds for all tests: sealed state, the number of processes that run them, and what they cost.

A test that leaves a mode, a default or the number of threads changed fails and spoils no others.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests import costs, recorded

BYTECODE = "NUMGRAD_TESTS_BYTECODE"  # a folder for that of the processes that tests start
MOST_PROCESSES = 4  # each takes seconds to start and a gigabyte with torch


@pytest.fixture(autouse=True)
def sealed_state() -> Iterator[None]:
    """Grad mode, default dtype and thread count are after a test what they were before."""
    import numgrad as ng

    def state() -> tuple[object, ...]:
        return ng.is_grad_enabled(), ng.get_default_dtype(), ng.get_num_threads()

    before = state()
    yield
    after = state()
    ng.set_grad_enabled(before[0])
    ng.set_default_dtype(before[1])
    if after[2] != before[2]:
        ng.set_num_threads(before[2])
    assert after == before, "the test changed (grad mode, default dtype, threads) and did not set them back"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Any:
    """Tests come to be without a look, again and again, at those that there are already: none of them goes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Ten thousand tests are three quarters of a million objects, which no later collection has to look at."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> Iterator[None]:
    """Nor at what a file of tests leaves, such as Numba's tables: a collection would take most of a second."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def torch() -> ModuleType:
    """torch, as a third opinion."""
    return pytest.importorskip("torch", reason="torch, the third opinion, is not installed")


@pytest.fixture
def torch_says(request: pytest.FixtureRequest) -> Callable[[Callable[[ModuleType], Any]], Any]:
    """Asks torch, or the record of what it said where it is not installed; the answer is plain, as JSON has it."""
    return functools.partial(recorded.answer, request.node.nodeid.removeprefix("tests/"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that ask torch can be selected with ``-m torch``; those that can never be long enough are only run on demand."""
    for item in items:
        if "torch" in getattr(item, "fixturenames", ()):
            item.add_marker("torch")
    if "soak" not in config.option.markexpr and not any("::" in arg for arg in config.args):
        left_out = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=left_out)


# ---- processes --------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Folders are run by one process for each CPU, without ``-n``."""
    if in_parallel(config):
        config.option.numprocesses, config.option.dist = "auto", "worksteal"
        config.option.maxprocesses = config.option.maxprocesses or MOST_PROCESSES


def in_parallel(config: pytest.Config) -> bool:
    """Whether whole folders are asked for and nothing else is said: starting processes takes longer than one file."""
    option = config.option
    if getattr(option, "numprocesses", 0) is not None or hasattr(config, "workerinput"):
        return False  # no pytest-xdist, or a number that somebody gave, or a process of those
    if option.dist != "no" or option.tx or option.capture == "no":
        return False
    watched = ("keyword", "collectonly", "usepdb", "trace", "lf", "stepwise")  # the last two are of a plugin
    return not any(getattr(option, name, None) for name in watched) and all(Path(arg).is_dir() for arg in config.args)


# ---- costs ------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """What runs tests counts its kernels from the first on; the processes that it starts share their bytecode.

    Where none may be written beside the sources, each of those hundreds would compile numgrad again, twice its time.
    """
    os.environ.setdefault("NUMGRAD_COMPILE_JOBS", "1")  # as many processes as there are CPUs run tests already
    unwritten = "PYTHONDONTWRITEBYTECODE" in os.environ
    if unwritten and BYTECODE not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="numgrad-bytecode-")
        os.environ[BYTECODE] = folder.name
        config.add_cleanup(folder.cleanup)
    # A shell lets its background jobs ignore Ctrl-C, and what they start inherits that; what tests start shall heed it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") or not getattr(config.option, "tx", None):
        costs.begin()
        if unwritten:
            os.environ["PYTHONPYCACHEPREFIX"] = os.environ[BYTECODE]
            del os.environ["PYTHONDONTWRITEBYTECODE"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that runs tests for another tells it what they cost; answers that are to be kept are written."""
    recorded.write()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["costs"] = costs.own()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what another process tells; one that crashed tells nothing."""
    costs.add(getattr(node, "workeroutput", {}).get("costs", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last lines say what the tests cost."""
    terminalreporter.write_line(costs.summary())
