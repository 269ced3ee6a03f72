"""What torch gave, for tests that have no other oracle and whose results are texts and a few numbers.

Where torch is installed it is asked, and where it is of the version that was written down it has to say the same again. Where
it is not, the record speaks: `torch_says.json`, which ``NUMGRAD_RECORD=1 python -m pytest -n 0 FILES`` writes for some files.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

RECORD = Path(__file__).with_name("torch_says.json")
_written: dict[str, Any] = {}


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples are lists."""
    return json.loads(json.dumps(value))


def answer(key: str, question: Callable[[ModuleType], Any]) -> Any:
    """What torch gives for a question, which ``key`` names, as JSON has it."""
    if importlib.util.find_spec("torch") is None:
        return read()["answers"][key]
    import torch

    found = plain(question(torch))
    if os.environ.get("NUMGRAD_RECORD"):
        _written[key] = found
    elif read()["torch"] == torch.__version__.partition("+")[0]:
        # Texts, since NaN is not itself.
        assert json.dumps(found) == json.dumps(read()["answers"].get(key)), f"{RECORD.name} is old: see {__name__}"
    return found


@functools.cache
def read() -> dict[str, Any]:
    """The record: torch's version, and the answers by the names of the tests."""
    record: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return record


def write() -> None:
    """Put what was asked into the record, in the place of all that it had of the same files."""
    if not _written:
        return
    import torch

    asked = {key.partition("::")[0] for key in _written}
    before = read()["answers"] if RECORD.exists() else {}
    kept = {key: value for key, value in before.items() if key.partition("::")[0] not in asked}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted((kept | _written).items())]
    version = json.dumps(torch.__version__.partition("+")[0])
    RECORD.write_text(f'{{"torch": {version}, "answers": {{\n' + ",\n".join(lines) + "\n}}\n", "utf-8")
