"""``python -m benchmarks``: the benchmarks that there are, and how to run them."""

from __future__ import annotations

import ast
from pathlib import Path


def main() -> None:
    """Print each benchmark's command and the first line of its text."""
    helpers = ("__init__.py", "__main__.py", "common.py", "worker.py", "torch_resnet.py")
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name not in helpers:
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            print(f"python -m benchmarks.{path.stem:20} {text.partition(chr(10))[0]}")


if __name__ == "__main__":
    main()
