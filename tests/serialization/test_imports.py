"""The package reaches for NumPy and the standard library, and for nothing else."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numgrad.serialization

FOLDER = Path(numgrad.serialization.__file__).parent
# Where all locks are made; what a writer names; how a file is opened, by the standard library alone.
OWN = [("numgrad.runtime", ["locks"]), ("numgrad.layout", ["Size"]), ("numgrad", ["files"])]
# Python's own pickle would make the short list a decoration.
FORBIDDEN = {"pickle", "_pickle", "marshal", "importlib", "shelve", "runpy"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module is not None
            if (node.module, [alias.name for alias in node.names]) not in OWN:
                names.add(node.module)
    return names


def test_only_numpy_and_the_standard_library() -> None:
    for path in [*FOLDER.glob("*.py"), FOLDER.parent / "files.py"]:
        if path.name == "checkpoint.py":  # makes tensors of what the readers give
            continue
        for name in imported(path):
            top = name.partition(".")[0]
            assert top in sys.stdlib_module_names | {"numpy"} or name.startswith("numgrad.serialization"), path.name
            assert name not in FORBIDDEN, path.name


def test_no_eval_exec_or_lookup_by_name() -> None:
    for path in FOLDER.glob("*.py"):
        called = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"eval", "exec", "compile", "__import__", "globals", "vars", "setattr"}, path.name
