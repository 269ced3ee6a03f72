"""`item`, ``float``, ``int`` and ``bool`` of a tensor in machine code are those of the methods in Python."""

from __future__ import annotations

import inspect
import math

import pytest

import numgrad as ng
from numgrad.runtime.fast import start

VALUES = {
    ng.float32: (0.0, -0.0, 1.5, -2.75, 1e-45, 3.4e38, math.inf, -math.inf, math.nan),
    ng.float64: (0.0, -0.0, 0.1, -1e308, 5e-324, math.inf, math.nan),
    ng.int64: (0, 1, -1, (1 << 63) - 1, -(1 << 63)),
    ng.int32: (0, -7, (1 << 31) - 1, -(1 << 31)),
    ng.bool: (True, False),
    ng.int8: (-128, 0),
    ng.uint8: (255, 0),
    ng.bfloat16: (1.5, 0.0),
    ng.float16: (-0.5, 0.0),
}


def _outcome(function, argument):
    try:
        result = function(argument)
    except (ValueError, OverflowError, RuntimeError) as error:
        return type(error), str(error)
    return type(result), repr(result)


@pytest.mark.parametrize("dtype", VALUES, ids=str)
def test_numbers_are_read_as_python_reads_them(dtype):
    start.load()
    for value in VALUES[dtype]:
        expected = ng.tensor([value], dtype=dtype).tolist()[0]
        row = ng.tensor([[value] * 3] * 3, dtype=dtype)
        for one in (ng.tensor(value, dtype=dtype), row[1, 2], row[2:, :1], row.T[1, 2]):
            for function in (float, int, bool):
                assert _outcome(function, one) == _outcome(function, expected)
            assert _outcome(ng.Tensor.item, one) == (type(expected), repr(expected))


def test_what_is_no_number_is_refused_by_the_methods_in_python():
    start.load()
    for several in (ng.ones(2), ng.ones(0)):
        with pytest.raises(RuntimeError, match="elements cannot be converted to Scalar"):
            several.item()
        with pytest.raises(RuntimeError, match="ambiguous"):
            bool(several)
        for function in (float, int):
            with pytest.raises(ValueError, match="only one element tensors"):
                function(several)
    with pytest.raises(AttributeError, match="_spec"):
        object.__new__(ng.Tensor).item()
    with pytest.raises(TypeError):
        ng.Tensor.item(1.0)
    assert inspect.signature(ng.Tensor.item).parameters.keys() == {"self"}
    assert "one element" in ng.Tensor.item.__doc__


def test_a_captured_step_notices_a_number_that_is_read():
    start.load()
    for read in (float, int, bool, ng.Tensor.item):
        step = ng.jit(lambda x, read=read: x * read(x.sum()))
        with pytest.raises(ng.errors.CaptureError, match="reads the value"):
            step(ng.ones(3))
