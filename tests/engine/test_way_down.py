"""The way from a user's line to the machine code is short, and becomes no longer unnoticed. See `way_down`."""

from __future__ import annotations

import json

from tests.runtime import processes

_MOST_FUNCTIONS, _MOST_FILES = 249, 47  # of a first step: planning, derivatives, loading. They are to become fewer
_MOST_LATER = 35  # calls of a later step


def _counted():
    return json.loads(processes.output("from tests.engine import way_down; way_down.main('numbers')"))


def test_a_step_goes_through_few_functions():
    _counted()  # which fills the store
    found = _counted()
    assert found["functions"] <= _MOST_FUNCTIONS
    assert found["files"] <= _MOST_FILES
    assert found["later"] <= _MOST_LATER
    assert found["functions"] > 35  # it is planned, not only applied
