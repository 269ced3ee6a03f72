"""Operations on arrays element by element, with NumPy's rules for shapes and dtypes."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.loops.language import KINDS, ONE, TRUTHS, ZERO, Expr
from numgrad.loops.scope import Names, Scope
from numgrad.loops.values import Arrayed, Lazy


class Elementwise(Names):
    """The reader's part for shapes and dtypes of elementwise operations."""

    def number(self, value: Any, node: ast.expr, scope: Scope, out: list[Any]) -> Expr:
        """The value, which has to be a number."""
        raise NotImplementedError

    def elementwise(
        self,
        apply: Callable[[list[Expr], list[Any]], Expr],
        name: str,
        values: list[Any],
        node: ast.expr,
        scope: Scope,
        out: list[Any],
    ) -> Lazy:
        """An operation on arrays, with NumPy's rules for shapes: an extent that is 1 fits every other one."""
        line = self.line(node, scope)
        values = [
            v if isinstance(v, Arrayed) else self.named(self.number(v, node, scope, out), "v", line, out)
            for v in values
        ]
        shape, fits = self.broadcast([v.shape if isinstance(v, Arrayed) else () for v in values], line, out)
        given = [v for v in values if isinstance(v, Arrayed)]
        dtypes = [np.dtype(self.dtype(v)) for v in given]
        common = dtypes[0]
        for each in dtypes[1:]:
            common = np.promote_types(common, each)
        numbers = [self.kind(v) for v in values if isinstance(v, Expr)]
        dtype = self.result_dtype(name, common.str[1:], numbers)

        def element(index: tuple[Expr, ...], into: list[Any]) -> Expr:
            args = [
                v.element(fit(index), into) if isinstance(v, Arrayed) else v
                for v, fit in zip(values, fits, strict=True)
            ]
            return apply(args, into)

        return Lazy(shape, dtype, element, self.reads(*values))

    def result_dtype(self, name: str, dtype: str, numbers: list[str]) -> str:
        """The dtype of an elementwise result, from the arrays' common one and the kinds of numbers beside them."""
        if name in TRUTHS:
            return "b1"
        kind = max(["i" if dtype[0] == "u" else dtype[0], *numbers], key=KINDS.index)
        whole = name in (
            "+",
            "-",
            "*",
            "//",
            "%",
            "neg",
            "absolute",
            "max",
            "min",
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "square",
            "**",
            "select",
            "&",
            "|",
            "^",
            "<<",
            ">>",
            "invert",
            "sign",
            "clip",
            "where",
        )
        if name in ("int", "floor", "ceil", "trunc", "round"):
            return "i8"
        if kind == "f" or not whole:
            return dtype if dtype[0] == "f" else "f8"
        return (
            dtype
            if dtype[0] in "iu"
            else "i8"
            if kind == "i"
            else "b1"
            if name in ("max", "min", "maximum", "minimum", "fmax", "fmin", "select", "where")
            else "i8"
        )

    def broadcast(self, shapes: list[Any], line: Any, out: list[Any]) -> tuple[Any, list[Any]]:
        """The common shape, and for each operand the function from its indices to the operand's."""
        dims = max(len(s) for s in shapes)
        shape: list[Expr] = [ONE] * dims
        for s in shapes:
            for k, e in enumerate(s):
                axis = dims - len(s) + k
                if self.resolve(e) == ONE:
                    continue
                if shape[axis] == ONE:
                    shape[axis] = e
                else:
                    self.same(shape[axis], e, "shapes do not fit together", line, out)

        def fit(s: Any) -> Callable[[tuple[Expr, ...]], tuple[Expr, ...]]:
            ones = [self.resolve(e) == ONE for e in s]
            return lambda index: tuple(ZERO if o else i for o, i in zip(ones, index[dims - len(s) :], strict=True))

        return tuple(shape), [fit(s) for s in shapes]
