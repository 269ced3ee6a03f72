"""`read_state` and `load_state`: a model's state from a user's checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numgrad.nn import Module
from numgrad.serialization import checkpoint
from numgrad.serialization.errors import WeightsFormatError
from numgrad.tensor.tensor import Tensor

# The names under which training programs keep the state dict, beside epoch, optimizer and the like.
_PARTS = ("state_dict", "model_state_dict", "model")
_LINES, _LINE = 6, 240
_PREFIX = "module."  # DataParallel puts it before every key


def read_state(path: Path) -> Mapping[str, Any]:
    """The state dict in a checkpoint: the whole file, or its part under one of the usual names.

    Raises
    ------
    OSError
        The file cannot be read.
    WeightsFormatError
        The file is damaged, or holds no state dict.
    """
    try:
        tree = checkpoint.load(path, unknown="skip")
    except TypeError as error:  # a dtype that tensors do not have
        raise WeightsFormatError(str(path), str(error).removeprefix("load: ")) from error
    candidates = [tree, *(tree.get(part) for part in _PARTS)] if isinstance(tree, dict) else []
    for state in candidates:
        if isinstance(state, dict) and any(isinstance(value, Tensor) for value in state.values()):
            if all(name.startswith(_PREFIX) for name in state):
                return {name.removeprefix(_PREFIX): value for name, value in state.items()}
            return state
    has = ", ".join(map(str, list(tree)[:10])) if isinstance(tree, dict) else f"a {type(tree).__name__}"
    raise WeightsFormatError(
        str(path),
        f"holds no tensors by name, neither by themselves nor under {', '.join(_PARTS)}, but {has or 'nothing'}",
    )


def load_state(model: Module, state: Mapping[str, Any], path: Path, name: str) -> None:
    """Load a state from `read_state` into the model; ``name`` is the model's.

    Raises
    ------
    WeightsFormatError
        The state does not fit the model.
    """
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise WeightsFormatError(
            str(path), f"does not fit {name}, the model of --model: {_beginning(str(error))}"
        ) from error


def _beginning(text: str) -> str:
    """The beginning of a message that may list every key of a model.

    >>> _beginning("Missing key(s): " + "a, " * 100)[-14:]
    'a, a, a, a,...'
    """
    lines = [line if len(line) <= _LINE else line[:_LINE] + "..." for line in text.splitlines()]
    more = len(lines) - _LINES
    return "\n".join(lines[:_LINES] + ([f"\tand {more} more lines of this kind"] if more > 0 else []))
