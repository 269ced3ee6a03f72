"""What kernels declare: records of numbers as arguments, and declarations that do not fit."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.errors import KernelError
from numgrad.runtime.kernel import kernel
from numgrad.runtime.parameters import fields_of
from tests.kernels.running import run


class Window(NamedTuple):
    first: int
    step: int


class Blend(NamedTuple):
    window: Window
    factor: float


@kernel("T[:], Blend, f4, T[:]", Blend)
def blend(x, how, shift, out, start, stop):
    first, step = how.window
    for i in range(start, stop):
        out[i] = x[first + i * step] * how.factor + shift


HOW = Blend(Window(1, 2), 0.5)


def blended(how: Any) -> list[float]:
    def planner(b, x):
        out = b.output(dtypes.float64, (4,))
        b.launch(blend, x.flat, how, 0.25, out.flat, work=4, grain=4)

    return run(planner, np.arange(9.0))[0].tolist()


def test_a_record_is_read_by_name_and_by_its_items():
    assert blended(HOW) == [0.75, 1.75, 2.75, 3.75]


def test_a_record_reaches_the_kernel_as_plain_python():
    x, out = np.arange(9.0), np.zeros(4)
    blend(x, HOW, 0.25, out, 0, 4)
    assert out.tolist() == [0.75, 1.75, 2.75, 3.75]


@pytest.mark.parametrize("wrong", [3, (Window(1, 2), 0.5), Blend((1, 2), 0.5), Window(1, 2)])
def test_another_thing_than_the_record_is_refused(wrong):
    with pytest.raises(TypeError, match="blend: how.* expected a record (Blend|Window)"):
        blended(wrong)


def test_a_number_that_a_field_cannot_hold_is_refused():
    with pytest.raises(RuntimeError, match=r"blend: how.window.step is .* which i8 cannot hold"):
        blended(Blend(Window(1, 2**63), 0.5))


def test_fields_are_part_of_a_kernels_key():
    x, how, shift, out = blend.parameters
    assert str(how) == "Blend(window Window(first i8, step i8), factor f8)"
    assert (x.words, how.words, shift.words, out.words) == (2, 3, 1, 2)


class Named(NamedTuple):
    name: str


@pytest.mark.parametrize(
    ("declaration", "records", "message"),
    [
        ("f8[:]", (), "1 types are declared, expected 2"),
        ("f8[:], Window[:]", (Window,), "a record is passed by itself"),
        ("f8[:], const Window", (Window,), "a record is passed by itself"),
        ("f8[:], i8", (Window,), "no parameter is of type Window"),
        ("f8[:], ?", (), "type of y is '\\?'"),
    ],
)
def test_declarations_that_do_not_fit(declaration, records, message):
    with pytest.raises(KernelError, match=message):

        @kernel(declaration, *records)
        def wrong(x, y, start, stop):
            pass


def test_a_field_is_a_number_or_a_record():
    with pytest.raises(
        KernelError, match="record Named: field name is of type .*str.*, expected int, float or a record"
    ):
        fields_of(Named)


def test_the_range_comes_last():
    with pytest.raises(KernelError, match=r"expected \('start', 'stop'\)"):
        kernel("f8[:]")(lambda x, first, last: None)
