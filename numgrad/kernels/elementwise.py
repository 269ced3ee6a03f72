"""Elementwise kernels, written by a generator from scalar functions: any arity, any layout, broadcast.

A scalar function such as ``lambda g, out: g * (1 - out * out)`` becomes a kernel in one of two forms:

- *flat*: one loop over the elements, when all operands can be walked along one line;
- *rows*: an odometer over the outer dimensions and an inner loop, for everything else.

In either, the inner step of each operand is one letter of the kernel's pattern: ``a`` consecutive elements (an array slice, so
that LLVM vectorises), ``s`` one element for all of the loop, ``t`` a stride. Literals in the scalar function take the type of the
computation: Numba would compute ``1 - x`` in float64 for a float32 ``x``.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import linecache
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad.dtypes import by_code
from numgrad.errors import KernelError, ShapeError
from numgrad.kernels.integers import from_float
from numgrad.kernels.odometer import loop, rows_head, rows_tail
from numgrad.kernels.transpose import plan_transpose
from numgrad.layout import Spec, product
from numgrad.runtime.kernel import Device, Kernel, references
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

TILE = 32  # elements of an edge of a tile
TILED_FROM = 1 << 14  # elements in all

_NUMPY_TYPE = {
    "f4": np.float32,
    "f8": np.float64,
    "i1": np.int8,
    "i2": np.int16,
    "i4": np.int32,
    "i8": np.int64,
    "u1": np.uint8,
    "b1": np.bool_,
}


# ---- the scalar function ----------------------------------------------------------------------------------------


class _TypedLiterals(ast.NodeTransformer):
    """Wraps number literals as ``_T(literal)``; exponents and indices stay ints."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        node.left = self.visit(node.left)
        if not (isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant)):
            node.right = self.visit(node.right)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node.value = self.visit(node.value)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) not in (int, float):
            return node
        return ast.Call(ast.Name("_T", ast.Load()), [node], [])


@functools.cache
def definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The scalar function's syntax, as a ``def``; a KernelError if its source cannot be read."""
    plain = getattr(function, "py_func", function)
    if hasattr(plain, "__definition__"):
        return plain.__definition__  # type: ignore[no-any-return]
    try:
        source = textwrap.dedent(inspect.getsource(plain))
    except (OSError, TypeError) as error:
        raise KernelError(f"the source of the scalar function {plain!r} is not to be had: {error}") from error
    found = _find_function(source, plain)
    body: list[ast.stmt] = [ast.Return(found.body)] if isinstance(found, ast.Lambda) else found.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # the docstring
    for argument in found.args.args:
        argument.annotation = None
    name = plain.__name__ if plain.__name__.isidentifier() and plain.__name__ != "_" else "formula"
    return ast.FunctionDef(name, found.args, body, [])


def _defined(tree: ast.FunctionDef, like: Callable[..., Any], extra: dict[str, Any]) -> Any:
    """The function that a changed definition describes, with the globals of the original."""
    plain: Any = getattr(like, "py_func", like)
    names = {**plain.__globals__, **{n: v for n, v in references(plain) if "." not in n}, **extra}
    return function_of_definition(tree, names)


def function_of_definition(tree: ast.FunctionDef, names: dict[str, Any]) -> Any:
    """The scalar function that a definition describes; ``names`` are its globals."""
    text = ast.unparse(ast.fix_missing_locations(ast.Module([tree], [])))
    made = _function_from(text, tree.name, names)
    made.__definition__ = tree
    return made


@functools.cache
def typed_function(function: Callable[..., Any], code: str) -> Device:
    """The scalar function with its literals in the dtype ``code``, for kernels."""
    tree = ast.fix_missing_locations(_TypedLiterals().visit(copy.deepcopy(definition(function))))
    return Device(_defined(tree, function, {"_T": _NUMPY_TYPE[code]}))


@functools.cache
def sliced(function: Callable[..., Any], items: tuple[int, ...]) -> tuple[tuple[str, ...], Callable[..., Any]]:
    """The part of a scalar function that computes some items of the tuple which it returns.

    Returns the names of the parameters that this part reads, and a function of these that returns a tuple of the items.
    A function with branches or loops is not taken apart: then it reads all of its parameters.
    """
    if not items:
        return (), tuple
    tree = copy.deepcopy(definition(function))
    parameters = [argument.arg for argument in tree.args.args]
    *statements, last = tree.body
    value = last.value if isinstance(last, ast.Return) else None
    straight = all(
        isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name) for s in statements
    )
    single = not isinstance(value, ast.Tuple)
    if value is None or not straight or (single and items != (0,)):
        result = ", ".join(f"result[{item}]" for item in items) + ","
        text = f"def {tree.name}({', '.join(parameters)}):\n    result = function({', '.join(parameters)})\n    return {result}\n"
        wrapper = ast.parse(text).body[0]
        assert isinstance(wrapper, ast.FunctionDef)
        return tuple(parameters), _defined(
            wrapper, function, {"function": Device(getattr(function, "py_func", function))}
        )
    wanted = [value] if single else [value.elts[item] for item in items]  # type: ignore[attr-defined]
    needed = {node.id for expression in wanted for node in ast.walk(expression) if isinstance(node, ast.Name)}
    kept: list[ast.stmt] = []
    for statement in reversed(statements):
        if statement.targets[0].id in needed:  # type: ignore[attr-defined]
            needed |= {node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)}  # type: ignore[attr-defined]
            kept.insert(0, statement)
    reads = tuple(name for name in parameters if name in needed)
    tree.args.args = [ast.arg(name) for name in reads]
    tree.body = [*kept, ast.Return(ast.Tuple(wanted, ast.Load()))]
    return reads, _defined(tree, function, {})


@functools.cache
def pushed_forward(
    function: Callable[..., Any], items: tuple[int, ...]
) -> tuple[tuple[str, ...], Callable[..., Any] | None]:
    """The forward derivative that a scalar backward implies: the sum of some of its items, each with its own tangent.

    An elementwise op's Jacobian is diagonal, so that what carries a gradient back carries a tangent forward. Returns the
    parameters, of which ``<grad>_<item>`` are the tangents, and the function; None if it is 0 everywhere.
    """
    grad = definition(function).args.args[0].arg
    reads: dict[str, None] = {}
    statements: list[ast.stmt] = []
    total: ast.expr | None = None
    for item in items:
        names, part = sliced(function, (item,))
        if grad not in names:
            continue  # a constant, and that of a linear map is 0
        tree = copy.deepcopy(definition(part))
        *body, last = tree.body
        local = {s.targets[0].id for s in body if isinstance(s, ast.Assign)} | {grad}  # type: ignore[attr-defined]
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in local:
                node.id = f"{node.id}_{item}"
        reads.update({f"{name}_{item}" if name == grad else name: None for name in names})
        statements += body
        value = last.value.elts[0]  # type: ignore[attr-defined]
        total = value if total is None else ast.BinOp(total, ast.Add(), value)
    if total is None:
        return (), None
    arguments = ast.arguments([], [ast.arg(name) for name in reads], None, [], [], None, [])
    tree = ast.FunctionDef("tangent", arguments, [*statements, ast.Return(total)], [])
    whole = {"function": Device(getattr(function, "py_func", function))}  # where the backward is not taken apart
    return tuple(reads), _defined(tree, function, whole)


@functools.cache
def passed_through(function: Callable[..., Any], count: int) -> tuple[bool, ...]:
    """For each item of a scalar backward's result, whether it is the function's first parameter as it came."""
    tree = definition(function)
    value = tree.body[-1].value if isinstance(tree.body[-1], ast.Return) else None
    items = value.elts if isinstance(value, ast.Tuple) else [value]
    first = tree.args.args[0].arg
    if len(tree.body) > 1 or len(items) != count:
        return (False,) * count
    return tuple(isinstance(item, ast.Name) and item.id == first for item in items)


def _find_function(source: str, function: Any) -> ast.FunctionDef | ast.Lambda:
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda inside a longer expression
        tree = ast.parse(source[source.index("lambda") :].rstrip().rstrip(",)]}"))
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)) or tuple(a.arg for a in node.args.args) != arguments:
            continue
        if isinstance(node, ast.Lambda) == (function.__name__ == "<lambda>"):
            return node
    raise KernelError(f"the source of the scalar function {function!r} was not recognised:\n{source}")


def _function_from(text: str, name: str, names: dict[str, Any]) -> Any:
    """Compile generated source; it can be read in tracebacks and debuggers."""
    filename = f"<numgrad generated: {name}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), names)
    return names[name]


# ---- the kernel around it ---------------------------------------------------------------------------------------


@functools.cache
def elementwise_kernel(
    name: str,
    function: Device,
    pattern: str,
    outputs: tuple[int | None, ...],
    outer: int,
    over: int | None = None,
    gated: bool = False,
) -> Kernel:
    """The kernel for one pattern.

    ``pattern`` has a letter for each input and then each output; ``outputs`` tells which item of the function's result
    goes to which output (None: the result itself); ``outer`` is the number of outer dimensions, 0 for the flat form.
    With ``over`` the only output is that input, and no operand of its own: two names of one memory would not vectorise.
    Without outputs the kernel leaves the status 1 if the function holds anywhere; one that is ``gated`` does nothing
    where a status was left.
    """
    made = len(outputs) if over is None else 0
    count_in = len(pattern) - made
    operands = [f"x{k}" for k in range(count_in)] + [f"y{k}" for k in range(made)]
    types = [f"A{k}[:]" for k in range(count_in)] + [f"R{k}[:]" for k in range(made)]
    arrays = list(operands)
    if gated or not outputs:
        types, arrays = [*types, "i8[:]"], [*arrays, "status"]
    scalars: list[str] = []
    if outer:
        scalars += ["inner", *(f"n{d}" for d in range(outer))]
        scalars += [f"{operand}_s{d}" for operand in operands for d in range(outer)]
    scalars += [f"{operand}_t" for operand, letter in zip(operands, pattern, strict=True) if letter == "t"]
    lines = [f"def {name}({', '.join([*arrays, *scalars, 'start', 'stop'])}):"]
    if gated:
        lines += ["    if status[0] != 0:", "        return"]
    if not outputs:
        lines.append("    holds = False")
    if outer:
        lines += rows_head(operands, outer)
        body, indent = loop(operands, pattern, outputs, count_in, "inner", "_o", over), "        "
    else:
        body, indent = loop(operands, pattern, outputs, count_in, "stop - start", "start", over), "    "
    lines += [indent + line for line in body]
    if outer > 1:
        lines += rows_tail(outer)
    if not outputs:
        lines += ["    if holds:", "        status[0] = 1"]
    generated = _function_from("\n".join(lines) + "\n", name, {"function": function})
    return Kernel(generated, ", ".join(types + ["i8"] * len(scalars)))


# ---- planning ---------------------------------------------------------------------------------------------------


def broadcast_shapes(op: str, *shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that all broadcast to, by NumPy's rule.

    Raises
    ------
    ShapeError
        Two extents differ and neither is 1.

    >>> broadcast_shapes("add", (2, 1), (3,))
    (2, 3)
    """
    ndim = max((len(shape) for shape in shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for axis, extent in enumerate(shape, ndim - len(shape)):
            if extent != 1 and result[axis] not in (1, extent):
                raise ShapeError(
                    f"{op}: The size of tensor a ({result[axis]}) must match the size of tensor b ({extent}) at "
                    f"non-singleton dimension {axis}; the shapes are {', '.join(str(list(s)) for s in shapes)}"
                )
            if extent != 1:
                result[axis] = extent
    return tuple(result)


def plan_elementwise(
    b: PlanBuilder,
    name: str,
    function: Callable[..., Any],
    compute: str,
    inputs: Sequence[Operand],
    outputs: Sequence[Operand],
    items: tuple[int | None, ...] = (None,),
    cost: int = 1,
    gated: bool = False,
) -> None:
    """Add the launch of a scalar function over broadcast inputs.

    ``compute`` is the dtype code of its literals, ``items`` and ``gated`` are as in `elementwise_kernel`, ``cost`` is the
    rough number of elementary operations for one element. All outputs have the shape that the inputs broadcast to. The
    function's numbers are converted to the outputs' dtypes; of floating point to integers only what is copied is.
    """
    operands = [*inputs, *outputs]
    shape = tuple(outputs[0].spec.shape)
    if product(shape) == 0:
        return
    strides = [_broadcast_strides(operand.spec, shape) for operand in operands]
    extents, strides = _coalesce(shape, strides)
    copies = len(inputs) == 1 and passed_through(function, 1) == (True,)
    if copies and plan_transpose(b, inputs[0], outputs[0], extents, strides):
        return
    if by_code(compute).is_floating_point and any(out.spec.dtype.category == 1 for out in outputs):
        if not copies:
            raise KernelError(f"{name}: computes {compute} for {outputs[0].spec}, expected a cast of its own")
        scalar = from_float(compute, outputs[0].code)
    else:
        scalar = typed_function(function, compute)
    operands, extents, strides = _turned(b, operands, len(inputs), extents, strides)
    for piece in _pieces(extents, strides):
        _plan_piece(b, name, scalar, operands, piece, items, cost, gated)


def plan_check(
    b: PlanBuilder, name: str, function: Callable[..., Any], compute: str, inputs: Sequence[Operand]
) -> None:
    """Add a launch that leaves the status 1 if the scalar function holds for any element of the broadcast inputs."""
    shape = broadcast_shapes(name, *(operand.spec.shape for operand in inputs))
    if product(shape) == 0:
        return
    strides = [_broadcast_strides(operand.spec, shape) for operand in inputs]
    shape = tuple(n if any(row[axis] for row in strides) else 1 for axis, n in enumerate(shape))
    extents, strides = _coalesce(shape, strides)
    piece = _Piece([0] * len(strides), extents, strides)
    _plan_piece(b, name, typed_function(function, compute), inputs, piece, (), 1, False)


def _turned(
    b: PlanBuilder, operands: list[Operand], count_in: int, extents: list[int], strides: list[list[int]]
) -> tuple[list[Operand], list[int], list[list[int]]]:
    """Inputs that lie across the result are first copied to lie along it: each is then read once, line by line."""
    found, steps = list(operands), list(strides)
    dense = [product(extents[axis + 1 :]) for axis in range(len(extents))]
    for place in range(count_in):
        if _other_line(extents, [strides[place], strides[-1]]) is None:
            continue
        copy = b.scratch(operands[place].spec.dtype, product(extents))
        if plan_transpose(b, operands[place], copy, extents, [strides[place], dense]):
            found[place], steps[place] = copy, dense
    return found, *_coalesce(tuple(extents), steps)


def _plan_piece(
    b: PlanBuilder,
    name: str,
    function: Device,
    operands: Sequence[Operand],
    piece: _Piece,
    items: tuple[int | None, ...],
    cost: int,
    gated: bool,
) -> None:
    extents, strides, offsets = piece.extents, piece.strides, piece.offsets
    over = _overwritten(operands, strides, len(items))
    if over is not None:
        operands, strides, offsets = operands[:-1], strides[:-1], offsets[:-1]
    steps = [row[-1] for row in strides]
    pattern = "".join("a" if step == 1 else "s" if step == 0 else "t" for step in steps)
    outer = len(extents) - 1
    kernel = elementwise_kernel(name, function, pattern, items, outer, over, gated)
    arguments: list[Any] = [
        operand.array(operand.extent - offset, offset=offset) for operand, offset in zip(operands, offsets, strict=True)
    ]
    if gated or not items:
        arguments.append(STATUS)
    if outer:
        arguments += [extents[-1], *extents[:-1], *(step for row in strides for step in row[:-1])]
    arguments += [step for step, letter in zip(steps, pattern, strict=True) if letter == "t"]
    inner = extents[-1] if outer else 1
    b.launch(
        kernel,
        *arguments,
        work=product(extents[:-1]) if outer else extents[0],
        grain=max(1, GRAIN_COST // (inner * cost)),
        cost=product(extents) * cost,
    )


def _overwritten(operands: Sequence[Operand], strides: list[list[int]], outputs: int) -> int | None:
    """The input that is the only output's very memory, element by element."""
    out = operands[-1]
    for place, operand in enumerate(operands[:-1]):
        same = operand.index == out.index and operand.offset == out.offset and strides[place] == strides[-1]
        if outputs == 1 and same and 0 not in strides[-1]:
            return place
    return None


class _Piece(NamedTuple):
    """Part of the elements: where each operand begins, the extents, and each operand's strides."""

    offsets: list[int]
    extents: list[int]
    strides: list[list[int]]


def _pieces(extents: list[int], strides: list[list[int]]) -> list[_Piece]:
    """All elements; in tiles, where an operand lies along another axis than the result, so that no cache line is read twice.

    The tiles are two more axes of the odometer; what they leave over at two edges are pieces of their own.
    """
    start, last = [0] * len(strides), len(extents) - 1
    axis = _other_line(extents, strides)
    if axis is None:
        return [_Piece(start, extents, strides)]
    rows, columns = (extents[a] // TILE for a in (axis, last))
    others = [a for a in range(last) if a != axis]
    tiled = [[*(row[a] for a in others), row[axis] * TILE, row[last] * TILE, row[axis], row[last]] for row in strides]
    found = [_Piece(start, [*(extents[a] for a in others), rows, columns, TILE, TILE], tiled)]
    inside = list(extents)
    for edge, kept in ((axis, rows * TILE), (last, columns * TILE)):
        rest = list(inside)
        rest[edge], inside[edge] = inside[edge] - kept, kept
        if rest[edge]:
            found.append(_Piece([row[edge] * kept for row in strides], rest, strides))
    return found


def _other_line(extents: list[int], strides: list[list[int]]) -> int | None:
    """The axis along which an input is contiguous while the result is along the last, if both are long."""
    if len(extents) < 2 or strides[-1][-1] != 1 or extents[-1] < TILE or product(extents) < TILED_FROM:
        return None
    for row in strides[:-1]:
        if row[-1] > 1 and 1 in row[:-1]:
            axis = row.index(1)
            if extents[axis] >= TILE:
                return axis
    return None


def _broadcast_strides(spec: Spec, shape: tuple[int, ...]) -> list[int]:
    missing = len(shape) - spec.ndim
    own = [0 if extent == 1 else stride for extent, stride in zip(spec.shape, spec.strides, strict=True)]
    return [0] * missing + own


def _coalesce(shape: tuple[int, ...], strides: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Drop axes of extent 1, order the rest by the result's strides, and join those that lie in one line in all operands."""
    axes = [axis for axis in range(len(shape)) if shape[axis] != 1]
    axes.sort(key=lambda axis: (-strides[-1][axis], axis))
    extents: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for axis in axes:
        fits = extents and all(row[-1] == own[axis] * shape[axis] for row, own in zip(merged, strides, strict=True))
        if fits:
            extents[-1] *= shape[axis]
            for row, own in zip(merged, strides, strict=True):
                row[-1] = own[axis]
        else:
            extents.append(shape[axis])
            for row, own in zip(merged, strides, strict=True):
                row.append(own[axis])
    if not extents:
        return [1], [[1] for _ in strides]
    return extents, merged
