"""How many functions of numgrad's stand between a user's line and the machine code; ``python -m tests.engine.way_down`` lists them.

The line is ``x.tanh().sum().backward()`` for a float32 `x` of shape [2, 3] that requires a gradient, in a process that finds
all of its kernels in the store. What counts is a call of a function that is written in numgrad's files. No calls are: running
a module, since that is importing; comprehensions and generator expressions, which are parts of the function that they
stand in (and have no frame of their own in later Pythons); text that numgrad compiles.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import numgrad as ng
from numgrad.runtime.fast import start as fast

_ROOT = str(Path(ng.__file__).parent)
_NO_FUNCTIONS = {"<module>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


def _called(x: ng.Tensor) -> Counter[tuple[str, str]]:
    """(file, function) of each call in one step, and how often."""
    found: Counter[tuple[str, str]] = Counter()

    def see(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(_ROOT) and code.co_name not in _NO_FUNCTIONS:
            place = Path(code.co_filename).relative_to(_ROOT).as_posix()
            found[place, f"{code.co_qualname}:{code.co_firstlineno}"] += 1

    sys.setprofile(see)
    try:
        x.tanh().sum().backward()
    finally:
        sys.setprofile(None)
    return found


def main(argument: str = "") -> None:
    """Print what the first step calls, and what a later one does, in machine code; with ``numbers`` how much that is."""
    x = ng.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    first = _called(x)
    fast.load()
    for _ in range(3):  # the first of them accumulates for the first time
        x.tanh().sum().backward()
    later = _called(x)
    if argument:
        files = {place for place, _ in first}
        print(json.dumps({"functions": len(first), "files": len(files), "later": later.total()}))
        return
    for name, calls in (("first", first), ("later", later)):
        print(f"{name}: {len(calls)} functions in {len({place for place, _ in calls})} files, {calls.total()} calls")
        for (place, function), count in calls.items():
            print(f"{count:6} {place} {function}")


if __name__ == "__main__":
    main(*sys.argv[1:])
