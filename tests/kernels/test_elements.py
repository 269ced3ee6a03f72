"""Elements of arrays as sweeps read and write them: negative indices, checks, dtypes."""

from __future__ import annotations

import numpy as np
import pytest

from numgrad.kernels.elements import add, element, put
from numgrad.kernels.room import ROOMS
from numgrad.runtime.kernel import BAD_INDEX, Kernel
from tests.runtime.direct import call

room2 = ROOMS["room2"]
get_ui, put_ii, add_uu, add_iu, add_i = element("ui"), put("ii"), add("uu"), add("iu"), add("i")


def touches(x, start, stop):
    a = room2(x, 0, 3, 4)
    put_ii(a, get_ui(a, 2, -1), -3, int(x[12]))
    add_uu(a, 2.5, 1, 2)
    add_iu(a, 3, -2, 0)


def counts(x, start, stop):
    add_i(x, stop, -1)
    add_i(x, x[1], 0)


TOUCHES, COUNTS = Kernel(touches, "f8[:]", checked=True), Kernel(counts, "i4[:]", checked=True)


@pytest.mark.parametrize("index", [-4, -1, 0, 3])
def test_numpy_does_the_same(index: int) -> None:
    x = np.arange(13.0)
    x[12] = index
    want = x.copy()
    touches(want, 0, 13)  # as Python
    assert want[index % 4] == 11
    assert call(TOUCHES, x) == 0
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("index", [-5, 4, 1 << 40, -(1 << 40)])
def test_an_index_out_of_range(index: int) -> None:
    x = np.arange(13.0)
    x[12] = index
    before = x.copy()
    assert call(TOUCHES, x) == BAD_INDEX
    np.testing.assert_array_equal(x, before)


def test_integers() -> None:
    x = np.array([1, 2, 3], np.int32)
    assert call(COUNTS, x) == 0
    assert x.tolist() == [3, 2, 6]
