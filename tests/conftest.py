"""Sealed state: a test that leaves a mode, a default or the number of threads changed fails and spoils no others."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import ModuleType

import pytest


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


def pytest_collection_finish() -> None:
    """Ten thousand tests are three quarters of a million objects, which no later collection has to look at."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def torch() -> ModuleType:
    """torch, as a third opinion."""
    return pytest.importorskip("torch", reason="torch, the third opinion, is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that ask torch can be selected and deselected with ``-m torch``."""
    for item in items:
        if "torch" in getattr(item, "fixturenames", ()):
            item.add_marker("torch")
