"""Elements of arrays in the text of a sweep, written as calls of intrinsics (`kernels.elements`) before it is compiled."""

from __future__ import annotations

import ast
from typing import Any

from numgrad.kernels.elements import add, element, put


def arrays_of(tree: ast.AST, given: set[str]) -> set[str]:
    """The names of arrays in a sweep: parameters, rooms, and what is assigned from these."""
    arrays = set(given)
    assigned = [each for each in ast.walk(tree) if isinstance(each, ast.Assign)]
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


class Elements(ast.NodeTransformer):
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
        name = f"{intrinsic.__name__}_{letters}__"
        self.scope[name] = intrinsic
        array = ast.Name(node.value.id, ast.Load())
        call = ast.Call(ast.Name(name, ast.Load()), [array, *values, *[each for each, _ in indices]], [])
        return ast.copy_location(call, node)


def _plain(index: ast.expr) -> tuple[ast.expr, bool]:
    """An index as a number of 64 bits, and whether it is known not to be negative."""
    if isinstance(index, ast.Call) and ast.unparse(index.func) == "np.uint64":
        return index.args[0], True
    return index, isinstance(index, ast.Constant) and type(index.value) is int  # -1 is an operation
