"""Indices that cannot be negative, written so that no code for negative ones is made, which would keep loops out of vectors."""

from __future__ import annotations

import ast

_UNKNOWN = float("-inf")


def lowest_of(tree: ast.Module, name: str) -> list[tuple[ast.FunctionDef, Lowest]]:
    """The functions of a sweep's text, each with what its integers are never less than.

    The one called ``name`` calls the others for numbers of parts, with values that have the same names there.
    """
    functions = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    outer = next(Lowest(each) for each in functions if each.name == name)
    pairs = []
    for function in functions:
        lowest = outer
        if function.name != name:
            lowest = Lowest(function)
            part, *given = [each.arg for each in function.args.args if each.arg not in lowest.values]
            lowest.known.update({each: outer.of(ast.Name(each)) for each in given} | {part: 0})
        pairs.append((function, lowest))
    return pairs


def without_negative(function: ast.FunctionDef, lowest: Lowest, tapes: set[str]) -> None:
    """Write indices of innermost loops that are certainly not negative as unsigned numbers, in place."""
    for loop in ast.walk(function):
        if isinstance(loop, ast.For) and not any(isinstance(each, (ast.For, ast.While)) for each in _inside(loop)):
            for each in _inside(loop):
                if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name) and each.value.id not in tapes:
                    each.slice = _unsigned(each.slice, lowest)


def _inside(loop: ast.For) -> list[ast.AST]:
    return [each for statement in loop.body for each in ast.walk(statement)]


def _unsigned(index: ast.expr, lowest: Lowest) -> ast.expr:
    if isinstance(index, ast.Tuple):
        return ast.Tuple([_unsigned(each, lowest) for each in index.elts], index.ctx)
    if isinstance(index, (ast.Constant, ast.Call)) or lowest.of(index) < 0:
        return index
    return ast.parse(f"np.uint64({ast.unparse(index)})", mode="eval").body


class Lowest:
    """What integers of a function are never less than, by name."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.values: dict[str, list[ast.expr | None]] = {}
        self.arguments = {each.arg for each in function.args.args}
        self.known: dict[str, float] = {each.arg: _UNKNOWN for each in function.args.args}
        for each in ast.walk(function):
            if isinstance(each, ast.For) and isinstance(each.target, ast.Name):
                self._note(each.target, each.iter)
            elif isinstance(each, ast.Assign):
                for target in each.targets:
                    if isinstance(target, ast.Tuple):
                        for one in target.elts:
                            self._note(one, None)
                    self._note(target, each.value)
            elif isinstance(each, ast.AugAssign):
                self._note(each.target, None)

    def _note(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self.values.setdefault(target.id, []).append(value)

    def of(self, e: ast.expr) -> float:
        """The bound of an expression, minus infinity if there is none to be seen."""
        if isinstance(e, ast.Constant) and type(e.value) is int:
            return e.value
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub) and isinstance(e.operand, ast.Constant):
            return -e.operand.value if type(e.operand.value) is int else _UNKNOWN
        if isinstance(e, ast.Name):
            return self._of_name(e.id)
        if isinstance(e, ast.Subscript) and isinstance(e.value, ast.Attribute) and e.value.attr == "shape":
            return 0
        if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Add):
            return self.of(e.left) + self.of(e.right)
        if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Sub) and isinstance(e.right, ast.Constant):
            return self.of(e.left) - e.right.value if type(e.right.value) is int else _UNKNOWN
        if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Mult):
            return 0 if self.of(e.left) >= 0 and self.of(e.right) >= 0 else _UNKNOWN
        if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id in ("max", "min") and len(e.args) > 1:
            return (max if e.func.id == "max" else min)(map(self.of, e.args))
        return _UNKNOWN

    def _of_name(self, name: str) -> float:
        known = self.known.get(name)
        if known is None:
            self.known[name] = _UNKNOWN  # of a name that is made of itself
            each = [_UNKNOWN if value is None else self._of_value(value) for value in self.values.get(name, [])]
            known = self.known[name] = min(each, default=_UNKNOWN)
        return known

    def least(self, name: str) -> ast.expr | None:
        """What a name that is given a value once is, or is never less than; None if that is no sum of such names."""
        values = self.values.get(name, [])
        value = values[0] if len(values) == 1 and name not in self.arguments else None
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "range":
            value = _first(value)
        if value is None or not all(map(self._is_fixed, ast.walk(value))):
            return None
        return value

    def _is_fixed(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return len(self.values.get(node.id, [])) + (node.id in self.arguments) == 1
        return isinstance(node, (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)) or (
            isinstance(node, ast.Constant) and type(node.value) is int
        )

    def _of_value(self, value: ast.expr) -> float:
        if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "range"):
            return self.of(value)
        if len(value.args) == 1:
            return 0
        start, stop = value.args[:2]
        step = self.of(value.args[2]) if len(value.args) == 3 else 1
        if not isinstance(step, int) or step == 0:
            return _UNKNOWN
        return self.of(start) if step > 0 else self.of(stop) + 1


def _first(call: ast.Call) -> ast.expr | None:
    """The lowest turn of a range whose step is a number; an expression."""
    if len(call.args) == 1:
        return ast.Constant(0)
    step = int(ast.unparse(call.args[2]).strip("()")) if len(call.args) == 3 and _is_number(call.args[2]) else None
    if len(call.args) == 2 or (step or 0) > 0:
        return call.args[0]
    return None if step is None else ast.BinOp(call.args[1], ast.Add(), ast.Constant(1))


def _is_number(e: ast.expr) -> bool:
    return ast.unparse(e).strip("()").lstrip("-").isdecimal()
