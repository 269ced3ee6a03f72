"""Kernels round the sweeps that `numgrad.loops` writes: each runs one sweep for the examples ``start:stop`` of a batch.

What belongs to one example has the examples in dimension 0, also where there is but one: results, gradients and what is
saved always, arguments and tangents if each example has its own. Memory without meaning belongs to a worker.
"""

from __future__ import annotations

import ast
import functools
import linecache
import types
from typing import Any, NamedTuple

from numgrad.kernels.elements import add, element, put
from numgrad.kernels.room import ROOMS
from numgrad.loops.sweeps import Parameter, Sweep
from numgrad.ops.loops.indices import without_negative
from numgrad.runtime.kernel import Device, Kernel, frozen

_READ = ("argument", "tangent", "grad_result")
SHARED = ("argument", "tangent")  # roles of what all examples may share


class Passing(NamedTuple):
    """How a kernel passes a parameter on to its sweep.

    ``is_number``: it belongs to a number, and so has one element for an example. ``is_own``: it has the examples in
    dimension 0.
    """

    parameter: Parameter
    is_number: bool
    is_own: bool

    @property
    def is_scalar(self) -> bool:
        """Whether a launch passes a scalar: an integer or a bool among the arguments."""
        return self.parameter.ndim == 0 and not self.parameter.dtype.startswith("f")

    def declared(self) -> str:
        """The parameter's type in the kernel."""
        dtype, role, ndim = self.parameter.dtype, self.parameter.role, self.parameter.ndim
        if self.is_scalar:
            return dtype
        if role == "status" or self.is_number:
            ndim = 1
        elif role == "work" or self.is_own:
            ndim += 1
        return f"{'const ' * (role in _READ)}{dtype}[{', '.join(':' * ndim)}]"

    def passed(self, name: str) -> str:
        """The argument of the sweep, for example ``n``."""
        role = self.parameter.role
        if self.is_scalar or role == "status":
            return name
        if role == "work":
            return f"{name}[worker]"
        if not self.is_number:
            return f"{name}[n]" if self.is_own else name
        if self.parameter.ndim == 0:
            return f"{name}[{'n' if self.is_own else '0'}]"
        return f"{name}[n : n + 1]" if self.is_own else name


@functools.lru_cache(1 << 10)
def kernel_of(sweep: Sweep, passings: tuple[Passing, ...], checked: bool) -> Kernel:
    """The kernel that runs a sweep for examples; its parameters are those of the sweep, in order."""
    names = [f"p{number}" for number in range(len(passings))]
    span = ["start", "stop", *["worker"] * any(each.parameter.role == "work" for each in passings)]
    given = [each.passed(name) for each, name in zip(passings, names, strict=True)]
    text = (
        f"def sweep({', '.join([*names, *span])}):\n    for n in range(start, stop):\n        run({', '.join(given)})\n"
    )
    scope: dict[str, Any] = {"run": Device(compiled_text(sweep))}
    exec(compile(text, "<numgrad sweep>", "exec"), scope)
    descends = any(each.parameter.role == "grad_argument" for each in passings)
    kernel = Kernel(
        scope["sweep"], ", ".join(each.declared() for each in passings), checked=checked, descends=descends
    )  # fmt: skip
    kernel.name = kernel.__name__ = sweep.name
    return kernel


@functools.lru_cache(1 << 10)
def compiled_text(sweep: Sweep) -> Any:
    """The sweep as a function whose rooms and elements are intrinsics; debuggers and tracebacks show its text."""
    tapes = {each.name for each in sweep.parameters if each.role == "tape"}
    tree = ast.parse(sweep.text)
    [function] = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == sweep.name]
    without_negative(function, tapes)
    elements = _Elements(tapes, arrays_of(function, {each.name for each in sweep.parameters if each.ndim}))
    text = ast.unparse(ast.fix_missing_locations(elements.visit(tree))) + "\n"
    file = f"<numgrad {sweep.name} in a kernel {id(sweep):x}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    opaque = {
        name: Device(frozen(value)) for name, value in sweep.scope.items() if isinstance(value, types.FunctionType)
    }  # functions with a rule
    scope: dict[str, Any] = {"__name__": "numgrad.loops.written", **sweep.scope, **opaque, **ROOMS, **elements.scope}
    exec(compile(text, file, "exec"), scope)
    return scope[sweep.name]


def arrays_of(function: ast.FunctionDef, given: set[str]) -> set[str]:
    """The names of arrays in a sweep: parameters, rooms, and what is assigned from these."""
    arrays = set(given)
    assigned = [each for each in ast.walk(function) if isinstance(each, ast.Assign)]
    count = -1
    while count != len(arrays):
        count = len(arrays)
        for each in assigned:
            target, value = each.targets[0], each.value
            tuples = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=True) if tuples else [(target, value)]  # type: ignore[attr-defined]
            arrays |= {one.id for one, other in pairs if isinstance(one, ast.Name) and is_array(other, arrays)}
    return arrays


def is_array(value: ast.expr, arrays: set[str]) -> bool:
    """Whether an expression of a sweep is an array: whole arrays are only named and swapped."""
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id.startswith("room")
    return isinstance(value, ast.Name) and value.id in arrays


class _Elements(ast.NodeTransformer):
    """Writes elements of arrays as calls of intrinsics, named by what is known of each index."""

    def __init__(self, tapes: set[str], arrays: set[str]) -> None:
        self.tapes, self.arrays = tapes, arrays
        self.scope: dict[str, Any] = {}

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """``a[i] = value`` as ``put_u(a, value, i)``."""
        self.generic_visit(node)
        return self._written(node, put, node.targets[0], node.value) or node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """``a[i] += value`` as ``add_u(a, value, i)``, other operators by ``get_u`` and ``put_u``."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Add) or not self._is_element(node.target):
            return self._written(node, add, node.target, node.value) or node
        value = ast.BinOp(self._call(element, node.target, []), node.op, node.value)
        return self._written(node, put, node.target, value) or node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """``a[i]`` as ``get_u(a, i)``."""
        self.generic_visit(node)
        return self._call(element, node, []) if isinstance(node.ctx, ast.Load) and self._is_element(node) else node

    def _is_element(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in self.arrays

    def _written(self, node: ast.stmt, make: Any, target: Any, value: ast.expr) -> ast.stmt | None:
        if not self._is_element(target):
            return None
        return ast.copy_location(ast.Expr(self._call(make, target, [value])), node)

    def _call(self, make: Any, node: Any, values: list[ast.expr]) -> ast.Call:
        given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        indices = [_plain(each) for each in given]
        is_tape = node.value.id in self.tapes
        letters = "".join(["t" if is_tape else "u" if is_unsigned else "i" for _, is_unsigned in indices])
        intrinsic = make(letters)
        name = f"{intrinsic.__name__}_{letters}"
        self.scope[name] = intrinsic
        array = ast.Name(node.value.id, ast.Load())
        call = ast.Call(ast.Name(name, ast.Load()), [array, *values, *[each for each, _ in indices]], [])
        return ast.copy_location(call, node)


def _plain(index: ast.expr) -> tuple[ast.expr, bool]:
    """An index as a number of 64 bits, and whether it is known not to be negative."""
    if isinstance(index, ast.Call) and ast.unparse(index.func) == "np.uint64":
        return index.args[0], True
    return index, isinstance(index, ast.Constant) and index.value >= 0
