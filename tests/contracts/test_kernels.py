"""What the files of kernels keep to: short lists of parameters, and imports that form no circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import numgrad.kernels

FOLDER = Path(numgrad.kernels.__file__).parent
FILES = {path.stem: ast.parse(path.read_text()) for path in sorted(FOLDER.glob("*.py"))}
MOST_PARAMETERS = 12
RANGE = {"start", "stop", "worker"}


def compiled_functions(tree: ast.Module) -> dict[str, list[str]]:
    """The parameters of each kernel and device function of a file, without the range."""

    def is_compiled(function: ast.FunctionDef) -> bool:
        decorators = [d.func if isinstance(d, ast.Call) else d for d in function.decorator_list]
        names = {decorator.id for decorator in decorators if isinstance(decorator, ast.Name)}
        # Some kernels are declared by a call, below a function with a range.
        return bool(names & {"kernel", "device"}) or {"start", "stop"} <= {a.arg for a in function.args.args}

    return {
        node.name: [argument.arg for argument in node.args.args if argument.arg not in RANGE]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and is_compiled(node)
    }


def imported(tree: ast.Module) -> set[str]:
    """Files of kernels that a file imports, at whatever level."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "numgrad.kernels":
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").removeprefix("numgrad.kernels."))
        elif isinstance(node, ast.Import):
            names.update(alias.name.removeprefix("numgrad.kernels.") for alias in node.names)
    return names & set(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_is_compiled_takes_few_parameters(name: str) -> None:
    long = {function: len(names) for function, names in compiled_functions(FILES[name]).items()}
    long = {function: count for function, count in long.items() if count > MOST_PARAMETERS}
    assert not long, (
        f"more than {MOST_PARAMETERS} parameters; records say what belongs together (runtime/parameters.py)"
    )


def test_kernels_and_device_functions_are_found() -> None:
    functions = compiled_functions(FILES["gemm_rows"])
    assert {"multiply_rows", "write_row"} <= set(functions)
    assert functions["multiply_rows"][:2] == ["a", "b"]
    assert not RANGE & set(functions["multiply_rows"])
    assert "reduce_inner" in compiled_functions(FILES["reduce_kernels"])


def test_imports_form_no_circle() -> None:
    left = {name: imported(tree) for name, tree in FILES.items()}
    assert "gemm_rows" in left["conv"]
    while free := [name for name, others in left.items() if not others & set(left)]:
        for name in free:
            del left[name]
    assert not left, "these files import each other, or what does"
