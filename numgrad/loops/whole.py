"""Functions of whole arrays: each becomes loops over elements."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from numgrad.loops.expressions import Expressions
from numgrad.loops.language import ONE, ZERO, Const, Expr, For, If, Load, Op, Store, Var, arrays, op, parts, product
from numgrad.loops.scope import DTYPES, Scope
from numgrad.loops.values import Arrayed, Lazy, Row, Static, View
from numgrad.loops.vocabulary import LIKE, MAKERS

_REDUCED = {"sum", "mean", "prod", "max", "min", "argmax", "argmin", "any", "all", "var", "std", "norm"}


class WholeArrays(Expressions):
    """The reader's part for functions of whole arrays."""

    def loop(self, shape: tuple[Expr, ...], line: Any, out: list[Any]) -> tuple[tuple[Expr, ...], list[Any]]:
        """Loops over all indices of a shape: the indices, and where the innermost statements go."""
        index: list[Expr] = []
        for extent in shape:
            name = self.fresh("i")
            self.kinds[name] = "i"
            body: list[Any] = []
            out.append(For(line, name, ZERO, extent, ONE, body))
            out = body
            index.append(Var(name))
        return tuple(index), out

    def fill(self, target: View, value: Any, line: Any, out: list[Any]) -> None:
        """Give all elements of a view those of an array, or a number."""
        index, body = self.loop(target.shape, line, out)
        e = value.element(index, body) if isinstance(value, Arrayed) else value
        body.append(Store(line, target.array, target.index(index), e))

    def stored(self, value: Any, stem: str, node: ast.expr, scope: Scope, out: list[Any]) -> View:
        """A new array with the elements of one."""
        array = self.new_array(stem, self.dtype(value), value.shape, node, scope, out)
        self.fill(array, value, self.line(node, scope), out)
        return array

    def view_of(self, value: Any, stem: str, node: ast.expr, scope: Scope, out: list[Any]) -> View:
        """An array in memory: itself, or a new one."""
        return value if isinstance(value, View) else self.stored(value, stem, node, scope, out)

    # ---- makers ----------------------------------------------------------------------------------------------------------

    def make(self, maker: Any, stem: str, node: ast.Call, scope: Scope, out: list[Any]) -> View:
        """``np.zeros(...)`` and the like: a new array."""
        names = (
            ["a", "fill_value", "dtype"]
            if maker is np.full_like
            else ["shape", "fill_value", "dtype"]
            if maker is np.full
            else (["a", "dtype"] if maker in LIKE else ["shape", "dtype"])
        )
        given = self.arguments(names, node, scope)
        first, kind = given.get(names[0]), given.get("dtype")
        if first is None or (maker in (np.full, np.full_like) and "fill_value" not in given):
            raise self.fail(node, scope, f"{names[0]} is missing")
        like = self.value(first, scope, out)
        fill: Expr | None = None
        number = MAKERS[maker]
        if "fill_value" in given:
            fill = self.expr(given["fill_value"], scope, out)
        elif number is not None:
            fill = Const(number)
        if maker in LIKE:
            if not isinstance(like, Arrayed):
                raise self.fail(node, scope, "it is not like an array")
            shape, dtype = like.shape, self.dtype(like)
        else:
            shape = tuple(self.number(e, first, scope, out) for e in (like.items if isinstance(like, Row) else (like,)))
            dtype = "f8"
            if maker is np.full and kind is None:
                assert fill is not None
                dtype = {"f": "f8", "i": "i8", "b": "b1"}[self.kind(fill)]
                self.expect(fill, self.kind(fill), node, scope)
        for e in shape:
            if self.kind(e) != "i":
                raise self.fail(node, scope, "an extent is no integer")
        if kind is not None:
            dtype = self.dtype_of(kind, scope, out)
        array = self.new_array(stem, dtype, shape, node, scope, out)
        if fill is not None:
            if isinstance(fill, Const) and dtype[0] != "f":
                fill = Const(bool(fill.value) if dtype == "b1" else int(fill.value))
            self.fill(array, fill, self.line(node, scope), out)
        return array

    def arguments(self, names: list[str], node: ast.Call, scope: Scope) -> dict[str, ast.expr]:
        """The arguments of a call by name."""
        if len(node.args) > len(names) or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.fail(node, scope, f"at most {len(names)} arguments by their places are expected")
        given = dict(zip(names, node.args, strict=False))
        for k in node.keywords:
            if k.arg not in names or k.arg in given:
                raise self.fail(node, scope, f"the argument `{k.arg}` is not supported")
            given[k.arg] = k.value
        return given

    def dtype_of(self, node: ast.expr, scope: Scope, out: list[Any]) -> str:
        """The dtype that an expression names."""
        entry = self.value(node, scope, out)
        try:
            dtype = np.dtype(
                entry.value if isinstance(entry, Static) else None if isinstance(entry, Arrayed) else str(entry)
            )
        except TypeError:
            raise self.fail(node, scope, "it is no dtype") from None
        code = dtype.str[1:]
        if code not in DTYPES or (isinstance(entry, Static) and entry.value is None):
            raise self.fail(node, scope, f"arrays of {dtype} are not supported", f"take one of {', '.join(DTYPES)}")
        return code

    # ---- functions ---------------------------------------------------------------------------------------------------------

    def whole_array(self, name: str, values: list[Any], node: ast.Call, scope: Scope, out: list[Any]) -> Any:
        """A function of whole arrays, whose first arguments are read; keywords are read here."""
        line = self.line(node, scope)
        options = {k.arg: k.value for k in node.keywords}
        if name == "copy" or name == "same":
            if options or len(values) != 1:
                raise self.fail(node, scope, "one argument is expected")
            value = self.tabled(values[0], node, scope, out)
            if not isinstance(value, Arrayed):
                raise self.fail(node, scope, "it is no array")
            return value if name == "same" else Lazy(value.shape, self.dtype(value), value.element, self.reads(value))
        if name in ("arange", "linspace", "eye"):
            return self._counted(name, values, options, node, scope, out)
        values = [self.tabled(v, node, scope, out) for v in values]
        if not values or not isinstance(values[0], Arrayed):
            raise self.fail(node, scope, "it is no array")
        if name in _REDUCED:
            axis = options.pop("axis", None)
            keep = options.pop("keepdims", None)
            if options or keep is not None or len(values) > 2:
                raise self.fail(node, scope, "only `axis` is supported")
            where = values[1] if len(values) == 2 else None if axis is None else self.value(axis, scope, out)
            where = None if isinstance(where, Static) and where.value is None else where
            return self.reduced(name, values[0], where, node, scope, out)
        if options:
            raise self.fail(node, scope, "arguments by name are not supported here")
        if name in ("dot", "outer"):
            if len(values) != 2:
                raise self.fail(node, scope, "two arrays are expected")
            if name == "dot":
                return self.product(values, node, scope, out)
            one, two = (self.view_of(v, "factor", node, scope, out) for v in values)
            if len(one.shape) != 1 or len(two.shape) != 1:
                raise self.fail(node, scope, "two arrays with one dimension are expected")
            dtype = np.promote_types(self.dtype(one), self.dtype(two)).str[1:]
            return Lazy(
                (*one.shape, *two.shape),
                dtype,
                lambda i, into: op("*", one.element(i[:1], into), two.element(i[1:], into)),
                self.reads(one, two),
            )
        value = values[0]
        if name == "transpose":
            return self.transposed(value, self._order(value, values[1:], node, scope))
        if len(values) > 1:
            raise self.fail(node, scope, "one array is expected")
        if name == "cumsum":
            return self._cumsum(value, node, scope, out)
        if name in ("trace", "diag"):
            if len(value.shape) != 2:
                raise self.fail(node, scope, "a matrix is expected")
            least = self.named(op("min", *value.shape), "n", line, out)
            diagonal = Lazy(
                (least,), self.dtype(value), lambda i, into: value.element((i[0], i[0]), into), self.reads(value)
            )
            return diagonal if name == "diag" else self.reduced("sum", diagonal, None, node, scope, out)
        if name == "ravel" and len(value.shape) == 1:
            return value
        raise self.fail(node, scope, f"`{name}` of this is not supported", "write the loop over the elements")

    def tabled(self, value: Any, node: ast.expr, scope: Scope, out: list[Any]) -> Any:
        """A tuple of numbers, or of such tuples, as an array."""
        if not isinstance(value, Row):
            return value
        line = self.line(node, scope)
        if not value.items:
            raise self.fail(node, scope, "it is empty")
        rows = [self.tabled(v, node, scope, out) for v in value.items]
        if all(isinstance(r, Expr) for r in rows):
            kind = max((self.kind(r) for r in rows), key="bif".index)
            for r in rows:
                self.expect(r, self.kind(r), node, scope)
            array = self.new_array(
                "row", {"f": "f8", "i": "i8", "b": "b1"}[kind], (Const(len(rows)),), node, scope, out
            )
            for k, r in enumerate(rows):
                out.append(Store(line, array.array, (Const(k),), r))
            return array
        if not all(isinstance(r, Arrayed) for r in rows):
            raise self.fail(node, scope, "it is no array")
        first = rows[0]
        array = self.new_array("rows", self.dtype(first), (Const(len(rows)), *first.shape), node, scope, out)
        for k, r in enumerate(rows):
            if len(r.shape) != len(first.shape):
                raise self.fail(node, scope, "its rows differ in their number of dimensions")
            for a, b in zip(first.shape, r.shape, strict=True):
                self.same(a, b, "rows of different lengths", line, out)
            part = View(array.array, (Const(k), *array.axes[1:]), array.order[1:])
            self.fill(part, r, line, out)
        return array

    def _order(self, value: Any, given: list[Any], node: ast.Call, scope: Scope) -> tuple[int, ...]:
        dims = len(value.shape)
        if len(given) == 1 and isinstance(given[0], Row):
            given = list(given[0].items)
        if not given:
            return tuple(reversed(range(dims)))
        order = tuple(g.value if isinstance(g, Const) else None for g in given)
        if sorted(order, key=str) != sorted(range(dims), key=str):
            raise self.fail(node, scope, "the order of the axes has to be known")
        return order  # type: ignore[return-value]

    def _counted(
        self, name: str, values: list[Any], options: dict[Any, Any], node: ast.Call, scope: Scope, out: list[Any]
    ) -> Any:
        line = self.line(node, scope)
        numbers = [self.named(self.number(v, node, scope, out), "v", line, out) for v in values]
        if options or not numbers or len(numbers) > 3:
            raise self.fail(node, scope, "these arguments are not supported")
        if name == "eye":
            n, m = numbers[0], numbers[-1]
            return Lazy(
                (n, m), "f8", lambda i, into: Op("select", (op("==", i[0], i[1]), Const(1.0), Const(0.0))), frozenset()
            )
        if name == "arange":
            if any(self.kind(v) != "i" for v in numbers) or len(numbers) == 3:
                raise self.fail(node, scope, "one or two integers are expected")
            first, last = (ZERO, numbers[0]) if len(numbers) == 1 else numbers
            length = self.named(op("max", ZERO, op("-", last, first)), "n", line, out)
            return Lazy((length,), "i8", lambda i, into: op("+", first, i[0]), frozenset())
        if len(numbers) != 3:
            raise self.fail(node, scope, "first, last and their number are expected")
        first, last, count = numbers
        step = self.give("step", op("/", op("-", last, first), op("max", ONE, op("-", count, ONE))), line, out)
        return Lazy((count,), "f8", lambda i, into: op("+", first, op("*", i[0], step)), frozenset())

    # ---- reductions ----------------------------------------------------------------------------------------------------------

    def reduced(self, name: str, value: Any, axis: Any, node: ast.expr, scope: Scope, out: list[Any]) -> Any:
        """A reduction over all elements, or along one axis."""
        if name in ("var", "std"):
            return self._variance(name, value, axis, node, scope, out)
        if name == "norm":
            line = self.line(node, scope)
            square = Lazy(
                value.shape,
                self.dtype(value),
                lambda i, into: Op("square", (self._once(value, i, line, into),)),
                self.reads(value),
            )
            return self.operation("sqrt", [self.reduced("sum", square, axis, node, scope, out)], node, scope, out)
        if axis is None:
            return self._total(name, value, value.shape, lambda inner: inner, node, scope, out)
        dims = len(value.shape)
        if not (isinstance(axis, Const) and type(axis.value) is int and -dims <= axis.value < dims):
            raise self.fail(node, scope, "the axis has to be an integer that is known")
        at = axis.value % dims
        rest = value.shape[:at] + value.shape[at + 1 :]
        if not rest:
            return self.reduced(name, value, None, node, scope, out)
        if isinstance(value, Lazy):
            value = self.stored(value, "whole", node, scope, out)
        dtype = (
            "i8"
            if name in ("argmax", "argmin")
            else "b1"
            if name in ("any", "all")
            else self._summed(name, self.dtype(value))
        )

        def element(index: tuple[Expr, ...], into: list[Any]) -> Expr:
            return self._total(
                name, value, (value.shape[at],), lambda inner: (*index[:at], *inner, *index[at:]), node, scope, into
            )

        return self.stored(Lazy(rest, dtype, element, self.reads(value)), "reduced", node, scope, out)

    def _summed(self, name: str, dtype: str) -> str:
        if name == "mean":
            return dtype if dtype[0] == "f" else "f8"
        return "i8" if name in ("sum", "prod") and dtype[0] != "f" else dtype

    def _once(self, value: Any, index: tuple[Expr, ...], line: Any, into: list[Any]) -> Expr:
        """An element with a name, so that it is computed once."""
        return self.give("each", value.element(index, into), line, into)

    def _total(
        self, name: str, value: Any, shape: tuple[Expr, ...], at: Any, node: ast.expr, scope: Scope, out: list[Any]
    ) -> Expr:
        line = self.line(node, scope)
        real = self.dtype(value)[0] == "f"
        if name in ("sum", "mean", "prod"):
            start: Any = 1 if name == "prod" else 0
            total = self.fresh("total" if name != "prod" else "product")
            self.put(total, Const(float(start) if real or name == "mean" else start), line, out)
            index, body = self.loop(shape, line, out)
            each = value.element(at(index), body)
            self.put(total, op("*" if name == "prod" else "+", Var(total), each), line, body)
            return op("/", Var(total), product(shape)) if name == "mean" else Var(total)
        if name in ("any", "all"):
            entry = self.fresh("found")
            self.put(entry, Const(name == "all"), line, out)
            index, body = self.loop(shape, line, out)
            self.put(
                entry,
                op("or" if name == "any" else "and", Var(entry), self.truth(value.element(at(index), body))),
                line,
                body,
            )
            return Var(entry)
        return self._best(name, value, shape, at, node, scope, out)

    def _best(
        self, name: str, value: Any, shape: tuple[Expr, ...], at: Any, node: ast.expr, scope: Scope, out: list[Any]
    ) -> Expr:
        """The place of the largest or smallest element is found first: only that place matters to a derivative."""
        line = self.line(node, scope)
        self.check(op("==", product(shape), ZERO), ValueError, f"{name} of an array without elements", line, out)
        if isinstance(value, Lazy):
            value, at0 = self.stored(value, "whole", node, scope, out), at
            at = at0
        places = [self.fresh("place") for _ in shape]
        for p in places:
            self.put(p, ZERO, line, out)
        zeros = tuple(ZERO for _ in shape)
        best = self.fresh("best")
        self.put(best, value.element(at(zeros), out), line, out)
        index, body = self.loop(shape, line, out)
        each = self.give("each", value.element(at(index), body), line, body)
        better = op(">" if name in ("max", "argmax") else "<", each, Var(best))
        if self.dtype(value)[0] == "f":  # a NaN is the result, as in NumPy
            better = op("or", better, op("and", op("!=", each, each), op("==", Var(best), Var(best))))
        inner: list[Any] = []
        self.put(best, each, line, inner)
        for p, i in zip(places, index, strict=True):
            self.put(p, i, line, inner)
        body.append(If(line, better, inner, []))
        if name in ("max", "min"):
            return value.element(at(tuple(Var(p) for p in places)), out)  # type: ignore[no-any-return]
        flat: Expr = ZERO
        for p, extent in zip(places, shape, strict=True):
            flat = op("+", op("*", flat, extent), Var(p))
        return flat

    def _variance(self, name: str, value: Any, axis: Any, node: ast.expr, scope: Scope, out: list[Any]) -> Any:
        line = self.line(node, scope)
        if axis is not None and len(value.shape) > 1:
            raise self.fail(node, scope, f"`{name}` along an axis is not supported", "write the loop over the elements")
        value = self.view_of(value, "whole", node, scope, out)
        mean = self.give("mean", self._total("mean", value, value.shape, lambda i: i, node, scope, out), line, out)

        def element(index: tuple[Expr, ...], into: list[Any]) -> Expr:
            return Op("square", (self.give("each", op("-", value.element(index, into), mean), line, into),))

        spread = Lazy(value.shape, "f8", element, self.reads(value))
        total = self._total("mean", spread, value.shape, lambda i: i, node, scope, out)
        return total if name == "var" else self.apply("sqrt", [total], node, scope, out)

    def _cumsum(self, value: Any, node: ast.expr, scope: Scope, out: list[Any]) -> View:
        line = self.line(node, scope)
        if len(value.shape) != 1:
            raise self.fail(
                node, scope, "cumsum of an array with several dimensions is not supported", "write the loops"
            )
        dtype = self._summed("sum", self.dtype(value))
        array = self.new_array("sums", dtype, value.shape, node, scope, out)
        total = self.fresh("total")
        self.put(total, Const(0.0 if dtype[0] == "f" else 0), line, out)
        index, body = self.loop(value.shape, line, out)
        self.put(total, op("+", Var(total), value.element(index, body)), line, body)
        body.append(Store(line, array.array, array.index(index), Var(total)))
        return array

    def product(self, values: list[Any], node: ast.expr, scope: Scope, out: list[Any]) -> Any:
        """A product of vectors and matrices."""
        line = self.line(node, scope)
        if len(values) == 2 and any(isinstance(v, Expr) for v in values) and isinstance(node, ast.Call):
            return self.operation("*", values, node, scope, out)
        if len(values) != 2 or not all(isinstance(v, Arrayed) and len(v.shape) in (1, 2) for v in values):
            raise self.fail(node, scope, "a product of arrays with one or two dimensions is expected")
        one, two = (self.view_of(v, "factor", node, scope, out) for v in values)
        self.same(one.shape[-1], two.shape[0], "a product's inner extents", line, out)
        dtype = np.promote_types(self.dtype(one), self.dtype(two)).str[1:]
        shape = (*one.shape[:-1], *two.shape[1:])
        zero = Const(0.0 if dtype[0] == "f" else 0)
        if len(two.shape) == 1:

            def element(index: tuple[Expr, ...], into: list[Any]) -> Expr:
                total = self.fresh("total")
                self.put(total, zero, line, into)
                (k,), body = self.loop(two.shape[:1], line, into)
                self.put(
                    total,
                    op("+", Var(total), op("*", one.element((*index, k), body), two.element((k,), body))),
                    line,
                    body,
                )
                return Var(total)

            if not shape:
                return element((), out)
            return Lazy(shape, dtype, element, self.reads(one, two))
        # rows of the second factor are read in their own order, so that the innermost loop is over neighbours
        array = self.new_array("matrix", dtype, shape, node, scope, out)
        self.fill(array, zero, line, out)
        rows, into = self.loop(one.shape[:-1], line, out)
        (k,), into = self.loop(two.shape[:1], line, into)
        factor = self.give("factor", one.element((*rows, k), into), line, into)
        (j,), into = self.loop(two.shape[1:], line, into)
        into.append(
            Store(line, array.array, array.index((*rows, j)), op("*", factor, two.element((k, j), into)), add=True)
        )
        return array

    def reads_elsewhere(self, e: Expr, array: str, index: tuple[Expr, ...]) -> bool:
        """Whether an expression reads an array, and at another place than this."""
        if isinstance(e, Load) and e.array == array and e.index != index:
            return True
        return array in arrays(e) and any(self.reads_elsewhere(p, array, index) for p in parts(e))
