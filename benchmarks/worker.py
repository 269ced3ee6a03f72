"""A side's process: makes the job that its arguments name, then answers requests, one JSON line each."""

from __future__ import annotations

import json
import os
import runpy
import sys
from importlib import import_module
from pathlib import Path

# By its path, since importing numgrad would add to the memory of the other sides.
_MACHINE = Path(__file__).resolve().parents[1] / "numgrad" / "cli" / "machine.py"


def main() -> None:
    """Read requests from stdin until it ends, write answers to what was stdout; see `benchmarks.common.Side`."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that a library prints may look like an answer
    module, _, function = sys.argv[1].partition(":")
    peak_resident_bytes = runpy.run_path(str(_MACHINE))["peak_resident_bytes"]
    job = getattr(import_module(module), function)(**json.loads(sys.argv[2]))
    print("true", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        result = peak_resident_bytes() if request.pop("peak", False) else job(**request)
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
