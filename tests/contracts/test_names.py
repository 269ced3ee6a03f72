"""Names say what a thing is: words that fit anything are bound nowhere in the package."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.contracts.test_contracts import PACKAGE, trees

PLACEHOLDERS = {"found", "made", "place", "wanted"}


def bound(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names that a module binds, private attributes and parameters included, and the lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.MatchAs)) and node.name:
            yield node.name, node.lineno


def test_no_placeholder_is_a_name() -> None:
    lines = [
        f"{path.relative_to(PACKAGE)}:{line}: {name}"
        for path, tree in trees().items()
        for name, line in bound(tree)
        if name.strip("_") in PLACEHOLDERS
    ]
    assert not lines


@pytest.mark.parametrize(
    "code",
    [
        "found = 1",
        "for place, x in y: pass",
        "(made := 2)",
        "self._wanted = 3",
        "def f(wanted): pass",
        "def _made(): pass",
        "lambda place: 0",
        "[place for place in x]",
    ],
)
def test_a_placeholder_is_noticed(code: str) -> None:
    assert {name.strip("_") for name, _ in bound(ast.parse(code))} & PLACEHOLDERS
