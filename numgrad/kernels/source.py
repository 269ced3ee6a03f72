"""The source of scalar functions: found by their code, typed, taken apart, and written as functions again.

A function's syntax is the one that compiles to the function's own code. Its line alone would neither tell two lambdas in one
line apart, nor notice that the file has changed since its import.
"""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import linecache
import re
import types
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from numgrad.errors import KernelError
from numgrad.runtime import locks
from numgrad.runtime.kernel import Device, nested_codes, references

NUMPY_TYPE = {
    "f4": np.float32,
    "f8": np.float64,
    "i1": np.int8,
    "i2": np.int16,
    "i4": np.int32,
    "i8": np.int64,
    "u1": np.uint8,
    "b1": np.bool_,
}
_FUTURE = functools.reduce(
    lambda flags, name: flags | getattr(__future__, name).compiler_flag, __future__.all_feature_names, 0
)
_marking = locks.awaited()  # held while cached nodes have other positions
_Function = ast.FunctionDef | ast.Lambda

# The syntax of functions that this module has written.
_written: weakref.WeakKeyDictionary[Any, ast.FunctionDef] = weakref.WeakKeyDictionary()


# ---- from a function to its syntax -----------------------------------------------------------------------------


@functools.cache
def definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The scalar function's syntax, as a ``def`` without annotations, defaults and docstring.

    Raises
    ------
    KernelError
        It is not a Python function, its source is missing, or the source has changed since.
    """
    plain = getattr(function, "py_func", function)
    if not isinstance(plain, types.FunctionType):
        raise KernelError(f"got {function!r}, expected a function that is written in Python")
    if plain in _written:
        return _written[plain]
    node = _syntax(plain)
    body: list[ast.stmt] = [ast.Return(node.body, lineno=node.lineno)] if isinstance(node, ast.Lambda) else node.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
        body = body[1:]  # the docstring
    old = node.args
    arguments = ast.arguments(
        [], [ast.arg(each.arg) for each in (*old.posonlyargs, *old.args)], old.vararg and ast.arg(old.vararg.arg),
        [ast.arg(each.arg) for each in old.kwonlyargs], [None for _ in old.kwonlyargs],
        old.kwarg and ast.arg(old.kwarg.arg), [],
    )  # fmt: skip
    name = plain.__name__ if plain.__name__.isidentifier() and plain.__name__ != "_" else "formula"
    return ast.FunctionDef(name, arguments, body, [], lineno=node.lineno)


def is_written(function: Callable[..., Any]) -> bool:
    """Whether a function was written by `function_of_definition`."""
    return function in _written


def location_of(function: Callable[..., Any]) -> str:
    """The file and line of a function, for messages."""
    code = function.__code__  # type: ignore[attr-defined]
    return f"{code.co_filename}:{code.co_firstlineno}"


def _syntax(function: types.FunctionType) -> _Function:
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    line = code.co_firstlineno
    who = f"the function {function.__qualname__} ({code.co_filename}:{line})"
    if not text:
        raise KernelError(f"the source of {who} cannot be read: formulas are read from files, notebooks and doctests")
    try:
        statements = _statements(text)
    except SyntaxError as error:
        raise KernelError(f"the source of {who} cannot be read: {error}") from error
    nearby = [index for index, each in enumerate(statements) if _first_line(each) <= line <= (each.end_lineno or 0)]
    same = _of_code(code, text, nearby) or _of_code(code, text, range(len(statements)))
    if not same:
        raise KernelError(
            f"the source of {who} is not that of the function: it was changed after the import, or the function was not "
            "compiled from it. Import it again"
        )
    # All of them compute the same; the nearest line is the best one to show.
    return min(same, key=lambda node: abs(_first_line(node) - line))


def _of_code(code: types.CodeType, text: str, indices: Iterable[int]) -> list[_Function]:
    """Functions of this code in some statements of a file."""
    flags = code.co_flags & _FUTURE
    candidates = [pair for index in indices for pair in _compiled(text, index, flags)]
    return [node for node, candidate in candidates if _same_code(code, candidate)]


@functools.lru_cache(32)
def _statements(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def _first_line(node: Any) -> int:
    return min([node.lineno, *[each.lineno for each in getattr(node, "decorator_list", ())]])


@functools.lru_cache(256)
def _compiled(text: str, index: int, flags: int) -> list[tuple[_Function, types.CodeType]]:
    """The functions in one statement of a file, with their code; a line number of its own marks each."""
    statement = _statements(text)[index]
    nodes = [node for node in ast.walk(statement) if isinstance(node, _Function)]
    if not nodes:
        return []
    marks = [
        (number, each)
        for number, node in enumerate(nodes, 1)
        for each in (node, *getattr(node, "decorator_list", ())[:1])
    ]
    with _marking:
        locations = [(node.lineno, node.end_lineno, node.col_offset, node.end_col_offset) for _, node in marks]
        for number, node in marks:
            node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = number, number, 0, 1
        try:
            whole = compile(
                ast.Module([*_imports(text), statement], []), "<numgrad source>", "exec", flags, dont_inherit=True
            )
        except (
            SyntaxError,
            ValueError,
        ):  # only the compiler refuses some code, such as a notebook's await outside of a function
            return []
        finally:
            for (_, node), location in zip(marks, locations, strict=True):
                node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = location
    functions = [
        (nodes[code.co_firstlineno - 1], code) for code in nested_codes(whole) if 0 < code.co_firstlineno <= len(nodes)
    ]
    return [(node, code) for node, code in functions if code.co_name == getattr(node, "name", "<lambda>")]


@functools.lru_cache(32)
def _imports(text: str) -> list[ast.stmt]:
    """Imports of a file's names: calls of imported names compile to other code than calls of methods."""
    names: dict[str, None] = {}
    stack: list[ast.AST] = list(_statements(text))
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update({each.asname or each.name.partition(".")[0]: None for each in node.names})
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            stack += [each for each in ast.iter_child_nodes(node) if isinstance(each, (ast.stmt, ast.ExceptHandler))]
    aliases = [ast.alias(name) for name in names if name != "*"]
    return [ast.fix_missing_locations(ast.Import(aliases, lineno=1, col_offset=0))] if aliases else []


_PARTS = (
    "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount", "co_posonlyargcount",
    "co_kwonlyargcount", "co_flags", "co_name", "co_exceptiontable",
)  # fmt: skip


def _same_code(first: types.CodeType, second: types.CodeType) -> bool:
    """Whether two code objects do the same, wherever they stand."""
    if any(getattr(first, part) != getattr(second, part) for part in _PARTS):
        return False
    if len(first.co_consts) != len(second.co_consts):
        return False
    for ours, theirs in zip(first.co_consts, second.co_consts, strict=True):
        if isinstance(ours, types.CodeType) and isinstance(theirs, types.CodeType):
            if not _same_code(ours, theirs):
                return False
        elif type(ours) is not type(theirs) or (
            ours != theirs if isinstance(ours, frozenset) else repr(ours) != repr(theirs)
        ):
            return False
    return True


# ---- from syntax to a function ---------------------------------------------------------------------------------


def defined(tree: ast.FunctionDef, like: Callable[..., Any], extra: dict[str, Any]) -> Any:
    """The function that a changed definition describes, with the globals of the original."""
    plain: Any = getattr(like, "py_func", like)
    names = {**plain.__globals__, **{n: v for n, v in references(plain) if "." not in n}, **extra}
    return function_of_definition(tree, names)


def function_of_definition(tree: ast.FunctionDef, names: dict[str, Any]) -> Any:
    """The scalar function that a definition describes; ``names`` are its globals."""
    renamed = copy.copy(tree)
    renamed.name = free_name(tree.name, _names_in(tree))  # lest it hide a global that it reads
    text = ast.unparse(ast.fix_missing_locations(ast.Module([renamed], [])))
    function = function_from(text, renamed.name, names)
    function.__name__ = tree.name
    _written[function] = tree
    return function


def function_from(text: str, name: str, names: dict[str, Any]) -> Any:
    """Compile generated source; tracebacks and debuggers show it."""
    filename = f"<numgrad generated: {name}>"
    while (known := "".join(linecache.getlines(filename))) and known != text:  # another form of the loop has the name
        filename = f"{filename[:-1]}'>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), names)
    return names[name]


def free_name(name: str, taken: Sequence[str] | set[str]) -> str:
    """The name as an identifier, changed until it is not taken."""
    name = re.sub(r"\W", "_", name)
    while name in taken:
        name += "_"
    return name


def _names_in(tree: ast.AST) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


class _TypedLiterals(ast.NodeTransformer):
    """Wraps number literals as ``_T(literal)``; exponents, indices and the bounds of loops stay ints."""

    def __init__(self, word: str, code: str, function: Any) -> None:
        self.word, self.code, self.function = word, code, function

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        node.left = self.visit(node.left)
        if not (isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant)):
            node.right = self.visit(node.right)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node.value = self.visit(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "range":
            return node
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, (int, float)) or isinstance(node.value, bool):
            return node
        if self.code[0] in "iub" and node.value != int(node.value):
            raise KernelError(
                f"{getattr(self.function, '__name__', 'formula')}: the number {node.value!r} is not an integer, but it is "
                "computed with integers; convert the input with .to(dtype) first"
            )
        return ast.Call(ast.Name(self.word, ast.Load()), [node], [])


@functools.cache
def typed_function(function: Callable[..., Any], code: str) -> Device:
    """The scalar function with its literals in the dtype ``code``, for kernels. Generated code calls the dtype LITERALS."""
    tree = definition(function)
    word = free_name("_T", _names_in(tree))
    tree = ast.fix_missing_locations(_TypedLiterals(word, code, function).visit(copy.deepcopy(tree)))
    return Device(defined(tree, function, {word: NUMPY_TYPE[code], LITERALS: NUMPY_TYPE[code]}))


LITERALS = "numgrad_literals"


def is_straight(tree: ast.FunctionDef) -> bool:
    """Whether a function gives values to single names, one statement after the other, before its last statement."""
    return all(
        isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name) for s in tree.body[:-1]
    ) and not any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree))


# ---- parts of a backward ---------------------------------------------------------------------------------------


@functools.cache
def sliced(function: Callable[..., Any], items: tuple[int, ...]) -> tuple[tuple[str, ...], Callable[..., Any]]:
    """The part of a scalar function that computes some items of its result, a tuple.

    Returns the names of the parameters that this part reads, and a function of these that returns a tuple of the items.
    A function with branches or loops is not taken apart: its part reads all parameters.
    """
    if not items:
        return (), tuple
    tree = copy.deepcopy(definition(function))
    parameters = [argument.arg for argument in tree.args.args]
    *statements, last = tree.body
    value = last.value if isinstance(last, ast.Return) else None
    single = not isinstance(value, ast.Tuple)
    if value is None or not is_straight(tree) or (single and items != (0,)):
        whole, result = _word_for_all(tree), free_name("result", parameters)
        returned = ", ".join(f"{result}[{item}]" for item in items) + ","
        names = ", ".join(parameters)
        text = f"def {tree.name}({names}):\n    {result} = {whole}({names})\n    return {returned}\n"
        wrapper = ast.parse(text).body[0]
        assert isinstance(wrapper, ast.FunctionDef)
        return tuple(parameters), defined(wrapper, function, {whole: Device(getattr(function, "py_func", function))})
    values = [value] if single else [value.elts[item] for item in items]  # type: ignore[attr-defined]
    needed = {node.id for expression in values for node in ast.walk(expression) if isinstance(node, ast.Name)}
    assignments: list[ast.stmt] = []
    for statement in reversed(statements):
        if statement.targets[0].id in needed:  # type: ignore[attr-defined]
            needed |= {node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)}  # type: ignore[attr-defined]
            assignments.insert(0, statement)
    reads = tuple(name for name in parameters if name in needed)
    tree.args.args = [ast.arg(name) for name in reads]
    tree.body = [*assignments, ast.Return(ast.Tuple(values, ast.Load()))]
    return reads, defined(tree, function, {})


@functools.cache
def pushed_forward(
    function: Callable[..., Any], items: tuple[int, ...]
) -> tuple[tuple[str, ...], Callable[..., Any] | None]:
    """The forward derivative that a scalar backward implies: the sum of some of its items, each with its own tangent.

    An elementwise op's Jacobian is diagonal, so the same factor carries a gradient back and a tangent forward. Returns the
    parameters, of which those named by `tangent_name` are the tangents, and the function; None if it is 0 everywhere.
    """
    whole = definition(function)
    grad, taken = whole.args.args[0].arg, _names_in(whole)
    reads: dict[str, None] = {}
    statements: list[ast.stmt] = []
    total: ast.expr | None = None
    for item in items:
        names, part = sliced(function, (item,))
        if grad not in names:
            continue  # a constant; in a linear map it is 0
        tree = copy.deepcopy(definition(part))
        *body, last = tree.body
        local = {s.targets[0].id for s in body if isinstance(s, ast.Assign)} | {grad}  # type: ignore[attr-defined]
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in local:
                node.id = free_name(f"{node.id}_{item}", taken)
        reads.update({tangent_name(function, item) if name == grad else name: None for name in names})
        statements += body
        value = last.value.elts[0]  # type: ignore[attr-defined]
        total = value if total is None else ast.BinOp(total, ast.Add(), value)
    if total is None:
        return (), None
    arguments = ast.arguments([], [ast.arg(name) for name in reads], None, [], [], None, [])
    tree = ast.FunctionDef("tangent", arguments, [*statements, ast.Return(total)], [])
    return tuple(reads), defined(tree, function, {_word_for_all(whole): Device(getattr(function, "py_func", function))})


def tangent_name(function: Callable[..., Any], item: int) -> str:
    """The name of an input's tangent in `pushed_forward`."""
    tree = definition(function)
    return free_name(f"{tree.args.args[0].arg}_{item}", _names_in(tree))


def _word_for_all(tree: ast.FunctionDef) -> str:
    """The name of the whole function in parts of one that is not taken apart."""
    return free_name("function", _names_in(tree))


@functools.cache
def passed_through(function: Callable[..., Any], count: int) -> tuple[bool, ...]:
    """For each item of a scalar backward's result, whether it is the unchanged first parameter."""
    tree = definition(function)
    value = tree.body[-1].value if isinstance(tree.body[-1], ast.Return) else None
    items = value.elts if isinstance(value, ast.Tuple) else [value]
    first = tree.args.args[0].arg
    if len(tree.body) > 1 or len(items) != count:
        return (False,) * count
    return tuple(isinstance(item, ast.Name) and item.id == first for item in items)
