"""`ng.differentiable` in processes of other kinds: plain Python, checked indices, rehearsals, workers of loaders, threads."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.ops.loop_functions import decay, used
from tests.runtime.processes import output

USED = """
import json
from tests.ops.loop_functions import used
print(json.dumps(used()))
"""
REHEARSED = """
from numgrad.runtime import helpers
print(sorted(job.name for job in helpers.rehearse("tests.ops.loop_functions:used", {})))
"""


@pytest.mark.parametrize("setting", ["NUMGRAD_PYTHON", "NUMGRAD_DEBUG"])
def test_the_same_in_plain_python_and_with_checked_indices(setting: str) -> None:
    theirs = json.loads(output(USED, **{setting: "1"}))
    for ours, other in zip(used(), theirs, strict=True):
        assert np.allclose(ours, other)


def test_a_rehearsal_finds_its_kernels() -> None:
    names = output(REHEARSED)
    for name in ("decay", "root", "smooth", "picked"):
        assert names.count(f"'{name}_") >= 2, name  # forward and reverse


class Rows(ng.utils.data.Dataset):
    """Rows that a differentiable function makes of NumPy's arrays."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return decay(np.full(3, 0.1 * (index + 1)), 0.5, 2)[0]


def test_in_workers_of_a_loader() -> None:
    rows = [Rows()[index] for index in range(4)]
    loader = ng.utils.data.DataLoader(Rows(), batch_size=2, num_workers=1)
    assert np.array_equal(ng.cat(list(loader)).numpy(), np.stack(rows))


def test_threads_may_use_it_at_once() -> None:
    expected = used()
    found: list[Any] = []
    workers = [threading.Thread(target=lambda: found.append(used())) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [expected] * 4
