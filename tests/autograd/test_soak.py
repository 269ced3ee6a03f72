"""Memory stays flat; `soak` does the same for longer."""

from __future__ import annotations

import sys

import pytest

from tests.autograd import soak


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_memory_stays_flat() -> None:
    memory, objects = soak.run(300)
    assert objects[0] == objects[1]
    assert memory[1] <= 1.01 * memory[0]
