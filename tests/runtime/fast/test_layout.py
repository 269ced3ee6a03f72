"""The words of the fast path: constants, names, and what Python writes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import numgrad as ng
from numgrad.layout import spec_of
from numgrad.runtime import memory
from numgrad.runtime.fast import layout, write
from numgrad.runtime.plan import Output

PREFIXES = {
    "ENGINE": "",
    "ROW": "ROW_",
    "PLAN": "PLAN_",
    "RECORD": "RECORD_",
    "CALL": "CALL_",
    "ARGUMENTS": "ARG_",
    "MOVED_ARGUMENTS": "ARG_",
    "SAVED_ARGUMENTS": "ARG_",
    "KNOWN_ARGUMENTS": "ARG_",
    "PAIR": "PAIR_",
    "PARTS": "PARTS_",
}


def test_every_layout_is_looked_at():
    assert {name for name, value in vars(layout).items() if isinstance(value, layout.Layout)} == set(PREFIXES)


@pytest.mark.parametrize("name", PREFIXES)
def test_constants_are_named_as_the_words_and_say_where_they_lie(name):
    described = getattr(layout, name)
    words = [word for word, field in described.fields.items() if field.kind != "list"]
    places = [getattr(layout, PREFIXES[name] + word.upper()) for word in words]
    assert places == list(range(described.size - 8 * len(words), described.size, 8))
    assert all(type(place) is int for place in places)  # what Numba takes as a constant
    assert all(field.doc for field in described.fields.values())


def test_words_are_written_where_the_constants_say():
    stack, nbytes, spec = 111, 222, 333
    row = layout.ROW.filled(kind=layout.NEW, origin=stack, spec=spec, nbytes=nbytes, output=1)
    words = layout.PLAN.filled(
        program=1,
        used=0,
        rows=[row, row],
        outputs=2,
        public=3,
        differentiable=4,
        splits=5,
        several=6,
        writes_last=1,
        changed=[7, 8, 9],
    )
    assert words[layout.PLAN_ROWS // 8] == 2
    assert words[layout.PLAN_CHANGED // 8] == 3
    assert words[layout.PLAN_SEVERAL // 8] == 6
    second = (layout.FIRST_ROW + layout.ROW_SIZE) // 8
    assert words[second + layout.ROW_NBYTES // 8] == nbytes
    assert words[second + layout.ROW_SIZE // 8 :] == [7, 8, 9]


def test_blocks_lie_where_their_words_say():
    made = layout.Layout("an example")
    first, second = made.block("first", "a block"), made.block("second", "another")
    made.count("items", "a list")
    words = made.filled(first=[1, 2], second=[3], items=[4, 5])
    assert words == [40, 56, 2, 4, 5, 1, 2, 3]
    assert words[words[first // 8] // 8 :][:2] == [1, 2]
    assert words[words[second // 8] // 8] == 3


@pytest.mark.parametrize("wrong", [{"kind": 0}, {"nbytes_": 1}, {}])
def test_a_word_that_is_missing_or_unknown_is_refused(wrong):
    right = {"kind": 0, "origin": 1, "spec": 2, "output": 4}
    with pytest.raises(TypeError, match=r"the words of an operand .*: nbytes is missing \(the int that says its bytes"):
        layout.ROW.filled(**(right | wrong))
    if "nbytes_" in wrong:
        with pytest.raises(TypeError, match="unknown: nbytes_"):
            layout.ROW.filled(**right, nbytes=3, **wrong)


def test_a_name_is_declared_once():
    made = layout.Layout("an example")
    made.word("first", "a word")
    with pytest.raises(AssertionError, match="have two of the name first"):
        made.count("first", "a list")


def test_a_plan_in_words():
    spec = spec_of(ng.float32, (2, 3))
    plan = SimpleNamespace(
        outputs=(Output(spec, nbytes=24), Output(None, source=1)),
        allocations=(None, 64),
        changed=(1,),
        writes_last=True,
        program=SimpleNamespace(address=77, splits=True),
    )
    words = write.plan_words(plan, 1, True)
    assert words is not None
    assert words[: layout.PLAN.size // 8] == [77, 0, 3, 2, 1, 1, 1, 0, 1, 1]
    rows = np.reshape(words[layout.PLAN.size // 8 : -1], (3, layout.ROW.size // 8)).tolist()
    assert rows == [
        [layout.NEW, id(memory.stack_of(24)), id(spec), id(plan.outputs[0].nbytes), 0],
        [layout.SCRATCH, id(memory.stack_of(64)), 0, 0, 0],
        [layout.ITSELF, 1, 0, 0, 1],
    ]
    assert words[-1] == 1


def test_a_record_and_a_saved_call_in_words():
    saved, address = write.record_words((None, 4, None), ((2, 1),), (True, False))
    assert address == saved.ctypes.data
    assert saved.tolist() == [3, layout.NOTHING, 4, layout.OUTPUT + 1, 1, 0]
    assert write.backward_words((-1, 0, 2)).tolist() == [3, -1, 0, 2]
