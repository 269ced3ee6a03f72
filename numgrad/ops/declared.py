"""Checks of scalar functions where they are declared: errors name the line to fix, before any compiler runs.

They read the syntax tree, from which the kernels are made.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

from numgrad.errors import KernelError
from numgrad.kernels.source import definition
from numgrad.runtime.kernel import python_function, references


def check_scalar_function(op: str, part: str, function: Callable[..., Any], results: int) -> None:
    """Prove that a function of numbers can be the ``part`` of an op: its words are known, and it returns ``results``.

    Raises
    ------
    KernelError
        A module lacks a word; a name is not defined; a path returns nothing, or another number of results.
    """
    plain: Any = python_function(function)
    tree = definition(plain)

    def refuse(node: ast.AST, text: str) -> None:
        line = getattr(node, "lineno", plain.__code__.co_firstlineno)
        raise KernelError(f"op {op}: its {part} ({plain.__code__.co_filename}:{line}) {text}")

    known = dict(references(plain))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            _check_word(node, known, refuse)
    local = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    local |= parameters
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not (node.id in local or node.id in known or hasattr(builtins, node.id)):
            refuse(node, f"refers to {node.id}, which is not defined")
    if not _always_returns(tree.body):
        refuse(tree, f"does not always return, expected {_results(results)} on each path")
    for node in _returns(tree.body):
        value = node.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None and results == 1):
            refuse(node, f"returns nothing, expected {_results(results)}")
        count = len(value.elts) if isinstance(value, ast.Tuple) else 1 if _is_one(value, parameters) else results
        if count != results and not any(isinstance(each, ast.Starred) for each in getattr(value, "elts", ())):
            refuse(node, f"returns {count} result{'s' * (count != 1)}, expected {_results(results)}")


@functools.cache
def without_gradient(backward: Callable[..., Any], count: int) -> tuple[bool, ...]:
    """For each of an op's ``count`` inputs, whether the scalar backward returns None for it: it never has a gradient."""
    returned = [each.value for each in _returns(definition(backward).body)]
    items = returned[0].elts if len(returned) == 1 and isinstance(returned[0], ast.Tuple) else returned
    if len(items) != count:  # branches, or a name: then each input has a gradient
        return (False,) * count
    return tuple(isinstance(item, ast.Constant) and item.value is None for item in items)


def _results(count: int) -> str:
    return "one result" if count == 1 else f"a tuple of {count}, one for each input (None where there is no gradient)"


def _is_one(value: ast.expr | None, parameters: set[str]) -> bool:
    """Whether an expression is certainly one number; a name or a call could be a tuple."""
    if isinstance(value, ast.Name):
        return value.id in parameters
    return isinstance(value, (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Constant))


def _returns(body: list[ast.stmt]) -> Iterator[ast.Return]:
    """The return statements of a function itself."""
    for statement in body:
        if isinstance(statement, ast.Return):
            yield statement
        elif not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            for name in ("body", "orelse", "finalbody"):
                yield from _returns(getattr(statement, name, []))


def _always_returns(body: list[ast.stmt]) -> bool:
    last = body[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and _always_returns(last.body) and _always_returns(last.orelse)
    return isinstance(last, (ast.Return, ast.Raise)) or (isinstance(last, ast.While) and _is_true(last.test))


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _check_word(node: ast.Attribute, known: dict[str, Any], refuse: Callable[[ast.AST, str], None]) -> None:
    """Refuse a word that a module does not have."""
    names = [node.attr]
    parent = node.value
    while isinstance(parent, ast.Attribute):
        names.append(parent.attr)
        parent = parent.value
    value = known.get(parent.id) if isinstance(parent, ast.Name) else None
    for name in reversed(names):
        if not isinstance(value, types.ModuleType):
            return
        if not hasattr(value, name):
            similar = difflib.get_close_matches(name, [word for word in vars(value) if not word.startswith("_")], n=3)
            hint = f"; similar: {', '.join(similar)}" if similar else ""
            refuse(node, f"uses {value.__name__.removeprefix('numgrad.kernels.')}.{name}, which there is not{hint}")
        value = getattr(value, name)
