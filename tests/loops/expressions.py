"""Random expressions over the names that a random program has at a place; `generator` makes statements of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

HELPERS = """
SCALE = 0.7
SHIFTS = (0.1, -0.3, 0.2)

def h_smooth(u, v):
    return math.tanh(u) * 0.5 + v / (1.5 + v * v)


def h_branch(u, v):
    if u > v:
        return u * 0.3 + math.sin(v)
    if v > 0.5:
        w = v * v
        return w - u
    return u * v


def h_loop(q, k):
    t = 0.1
    for j in range(k):
        if q[j] > 1.2:
            break
        t = t * q[j] + 0.3
    return math.tanh(t)


def h_write(q, k, u):
    old = q[k]
    q[k] = math.sin(old * u) + 0.2
    return old, q[k] * 0.5


def h_nested(u, q):
    return h_branch(h_smooth(u, q[0]), u) + h_loop(q, 2)


def h_count(k, u):
    steps = 0
    while u < 2.0 and steps < k:
        u = u * 1.3 + 0.4
        steps += 1
    return steps, math.tanh(u)


def h_default(u, scale=0.5, shift=SCALE):
    return math.sin(u * scale) + shift * u


def h_array(q, u):
    out = np.zeros(len(q))
    for j in range(q.shape[0]):
        out[j] = math.tanh(q[-1 - j] * u)
    return out


def h_fill(q, u):
    for j in range(q.size):
        q[j] = math.sin(q[j] + u) * SCALE
"""

Maker = TypeVar("Maker", bound=Callable[..., Any])


@dataclass
class Table:
    """Makers of expressions or statements, with how often each is taken and the feature that it belongs to."""

    rows: list[tuple[float, str, Callable[..., Any]]] = field(default_factory=list)

    def __call__(self, weight: float, feature: str = "") -> Callable[[Maker], Maker]:
        def add(maker: Maker) -> Maker:
            self.rows.append((weight, feature, maker))
            return maker

        return add

    def pick(self, r: random.Random, features: frozenset[str]) -> Callable[..., Any]:
        rows = [row for row in self.rows if not row[1] or row[1] in features]
        return r.choices([maker for _, _, maker in rows], [weight for weight, _, _ in rows])[0]


expression = Table()


class Expressions:
    """Names at a place of a program, and expressions of them.

    Attributes
    ----------
    scalars, vectors, matrices, ints, flags
        Names that have a value here: real numbers, vectors with their extents, 3 × 3 matrices, integers, truth values.
    indices
        Variables of the loops around.
    few
        In some programs, the few names that are read and overwritten again and again.
    """

    def __init__(self, seed: int, features: frozenset[str]) -> None:
        self.r = random.Random(seed)
        self.features = features
        self.scalars = ["x", "y", "s", "t", "u"]
        self.vectors = [("a", 4), ("b", 4)]
        self.matrices = ["m"]
        self.ints = ["n"]
        self.flags: list[str] = []
        self.indices: list[str] = []
        self.few = self.r.choice([None, None, ["s", "t"], ["t", "u"], ["x", "s"], ["s", "b[1]"]])

    def integer(self) -> str:
        r = self.r
        pool = [str(r.randint(0, 5)), r.choice(self.ints), *self.indices]
        e = r.choice(pool)
        kind = r.random()
        if kind < 0.3:
            return f"({e} * {r.randint(1, 3)} + {r.choice(pool)})"
        if kind < 0.38 and "integers" in self.features:
            other = r.choice(pool)
            return r.choice(
                [
                    f"({e} // 2)",
                    f"({e} % (n + 2))",
                    f"({e} // (n + 1))",
                    f"(({e}) ** 2)",
                    f"min({e}, {other})",
                    f"max({e}, {other})",
                    f"abs({e} - {other})",
                ]
            )
        if kind < 0.42 and "integers" in self.features:
            return f"int(abs({self.leaf()}) * 1.7)"
        return e

    def place(self, extent: int) -> str:
        if self.r.random() < 0.3:
            return str(self.r.randint(-extent, extent - 1))
        return f"({self.integer()}) % {extent}"

    def leaf(self) -> str:
        r = self.r
        kind = r.random()
        if self.few and kind < 0.7:
            return r.choice(self.few)
        if kind < 0.5:
            return r.choice(self.scalars)
        if kind < 0.7:
            name, extent = r.choice(self.vectors)
            return f"{name}[{self.place(extent)}]"
        if kind < 0.82:
            return f"{r.choice(self.matrices)}[{self.place(3)}, {self.place(3)}]"
        return f"{r.uniform(-1.5, 1.5):.3f}" if kind < 0.92 else f"({self.integer()})"

    def value(self, depth: int = 2) -> str:
        """A real number of moderate size."""
        if depth == 0 or self.r.random() < 0.15:
            return self.leaf()
        text: str = expression.pick(self.r, self.features)(self, depth - 1)
        return text

    def squashed(self) -> str:
        e = self.value(self.r.choice([1, 2, 2, 3]))
        return f"math.tanh({e})" if self.r.random() < 0.4 else e

    def condition(self) -> str:
        r = self.r
        a = f"{self.leaf()} {r.choice(['<', '>', '<=', '>='])} {self.leaf()}"
        kind = r.random()
        if kind < 0.15:
            return f"({a} {r.choice(['and', 'or'])} {self.leaf()} > 0.2)"
        if kind < 0.3:
            return f"({self.integer()}) % 2 == {r.randint(0, 1)}"
        if kind < 0.37:
            return f"not ({a})"
        if kind < 0.44 and "chains" in self.features:
            return f"{self.leaf()} < {self.leaf()} < {r.uniform(0.2, 1.5):.2f}"
        if kind < 0.55 and self.flags:
            return r.choice([r.choice(self.flags), f"(not {r.choice(self.flags)} or {a})"])
        return a

    def whole(self, extent: int, depth: int = 1) -> str:
        """An expression of whole vectors."""
        r = self.r
        same = [name for name, n in self.vectors if n == extent]
        longer = [f"{name}[{k}:{k + extent}]" for name, n in self.vectors for k in range(n - extent + 1) if n > extent]
        rows = [f"{name}[{self.place(3)}]" for name in self.matrices] if extent == 3 else []
        a = r.choice(same or longer or rows or [f"np.full({extent}, 0.3)"])
        if rows and r.random() < 0.3:
            a = r.choice(rows)
        if depth == 0:
            return a
        b = self.whole(extent, depth - 1)
        return r.choice(
            [f"{a} * {b}", f"{a} + {b} * 0.5", f"np.tanh({b})", f"np.sin({a} + {self.leaf()})", f"{a} / (1.5 + {b} * {b})",
             f"{self.leaf()} * {b}", f"np.maximum({a}, {b})", f"np.exp(-np.abs({b}))", f"0.5 - {b}",
             f"np.where({a} > {b}, {a}, {b} * 0.5)"]
        )  # fmt: skip


# ---- kinds of expressions: what is made of some depth ------------------------------------------------------------


@expression(4)
def _sum(e: Expressions, depth: int) -> str:
    return f"({e.value(depth)} {e.r.choice(['+', '-'])} {e.value(depth)})"


@expression(4)
def _product(e: Expressions, depth: int) -> str:
    return f"math.tanh({e.value(depth)}) * {e.value(depth)}"


@expression(1.5)
def _quotient(e: Expressions, depth: int) -> str:
    b = e.leaf()
    return f"{e.value(depth)} / (1.3 + {b} * {b})"


@expression(1.5)
def _smooth(e: Expressions, depth: int) -> str:
    return f"math.{e.r.choice(['sin', 'cos', 'tanh', 'atan', 'erf'])}({e.value(depth)})"


@expression(1)
def _decay(e: Expressions, depth: int) -> str:
    return f"math.exp(-abs({e.value(depth)}))"


@expression(1.5)
def _root(e: Expressions, depth: int) -> str:
    return f"math.{e.r.choice(['sqrt', 'log', 'log1p'])}(1.1 + ({e.value(depth)}) ** 2)"


@expression(1.5)
def _extreme(e: Expressions, depth: int) -> str:
    more = f", {e.leaf()}" if e.r.random() < 0.2 else ""
    return f"{e.r.choice(['max', 'min'])}({e.value(depth)}, {e.leaf()}{more})"


@expression(1.5)
def _choice(e: Expressions, depth: int) -> str:
    return f"({e.value(depth)} if {e.condition()} else {e.value(depth)})"


@expression(1)
def _negative(e: Expressions, depth: int) -> str:
    return f"(-{e.value(depth)})"


@expression(1)
def _power(e: Expressions, depth: int) -> str:
    exponent = e.r.choice(["2", "3", "0.7", "-1", f"(0.5 * math.tanh({e.leaf()}))"])
    return f"(1.2 + math.sin({e.value(depth)})) ** {exponent}"


@expression(1)
def _angle(e: Expressions, depth: int) -> str:
    return f"math.{e.r.choice(['hypot', 'atan2'])}({e.value(depth)}, 1.5 + ({e.leaf()}) ** 2) * 0.5"


@expression(3, "helpers")
def _helper(e: Expressions, depth: int) -> str:
    name, extent = e.r.choice(e.vectors)
    kind = e.r.randint(0, 3)
    if kind == 0:
        return f"h_smooth({e.value(depth)}, {e.leaf()})"
    if kind == 1:
        return f"h_branch({e.leaf()}, {e.value(depth)})"
    return f"h_loop({name}, {e.r.randint(1, extent)})" if kind == 2 else f"h_nested({e.value(depth)}, {name})"


@expression(1, "keywords")
def _helper_with_keywords(e: Expressions, depth: int) -> str:
    u = e.value(depth)
    return e.r.choice(
        [
            f"h_default({u})",
            f"h_default({u}, 0.3)",
            f"h_default(shift={e.leaf()}, u={u})",
            f"(SCALE * {u})",
            f"({u} + SHIFTS[1])",
        ]
    )


@expression(0.7, "remainders")
def _remainder(e: Expressions, depth: int) -> str:
    return e.r.choice(
        [f"(({e.value(depth)}) % 1.7)", f"(math.floor({e.value(depth)}) * 0.1)", f"(round({e.value(depth)}) * 0.2)"]
    )


@expression(1.5, "reductions")
def _reduced(e: Expressions, depth: int) -> str:
    name, extent = e.r.choice(e.vectors)
    return e.r.choice(
        [f"np.sum({name})", f"{name}.sum()", f"np.dot({name}, {name}) * 0.3", f"np.max({name})", f"np.min({name})",
         f"np.mean({e.whole(extent)})", f"math.tanh(np.sum({e.whole(extent)}))", f"{name}[np.argmax({name})]"]
    )  # fmt: skip
