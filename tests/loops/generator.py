"""Random programs: loops, branches, overwrites, escapes, swaps, views, helpers, local arrays, whole arrays, reductions.

Each is a function ``f(x, y, a, m, n)`` of two real numbers, a vector of 4, a 3 × 3 matrix and a whole number. Values stay
moderate, since what is computed is squashed, and loops are short. A new kind of statement is a function with
``@statement(weight, feature)``; one of expressions stands in `expressions`.
"""

from __future__ import annotations

import random

from tests.loops import parallel_statements
from tests.loops.expressions import HELPERS, Expressions, Table
from tests.loops.stencils import stencil

CORE = frozenset({"helpers"})
ALL = CORE | {
    "integers",
    "chains",
    "remainders",
    "reductions",
    "slices",
    "whole",
    "tuples",
    "flags",
    "prange",
    "keywords",
    "extents",
    "cubes",
    "chained",
    "found",
    "stencils",
}
_DEEPEST = 3  # loops in one another
_MOST_TURNS = 40  # of the loops around, together

statement = Table()
statement.rows += parallel_statements.TABLE.rows


class Generator(Expressions):
    """A random program of about so many lines: ``Generator(seed).source()``."""

    def __init__(self, seed: int, size: int = 14, features: frozenset[str] = ALL) -> None:
        super().__init__(seed, features)
        self.size = size
        self.lines: list[str] = []
        self.count = 0
        self.loops = 0
        self.turns = 1
        self.parallel = False  # inside a `prange`, where nothing is carried from turn to turn
        self.returns = self.r.random() < 0.3

    def source(self) -> str:
        """The program's text, after that of its helpers."""
        r = self.r
        self.emit(1, "s = x * 0.5")
        self.emit(1, r.choice(["t = 0.3", "t = y", "t = 0"]))
        self.emit(1, "u = a[1] + m[0, 2]")
        self.emit(
            1,
            "b = "
            + r.choice(["np.zeros(4)", "np.ones(4)", "a.copy()", "np.zeros_like(a)", "np.full(4, 0.7)", "np.empty(4)"]),
        )
        if self.lines[-1].endswith("np.empty(4)"):
            self.emit(1, "for q in range(4):")
            self.emit(2, "b[q] = a[3 - q] * 0.5 + q")
        if r.random() < 0.5:
            self.emit(1, "c = np.zeros((3, 3))")
            self.matrices.append("c")
        if r.random() < 0.3:
            self.emit(1, "p = np.zeros(4, np.int64)")
            self.emit(1, "for q in range(4):")
            self.emit(2, f"p[q] = (q * {r.randint(1, 3)} + {r.randint(0, 3)}) % 4")
            self.ints += ["p[1]", "p[2]"]
        self.block(1, self.size)
        pool = ["s", "t * 0.5 + u", "b[2] + a[0]", "s * t + b[0]", "m[1, 1] * u + s"]
        outs = r.sample(pool, 1 if self.returns else r.choice([1, 1, 1, 2, 3]))
        self.emit(1, f"return {', '.join(outs)}")
        return HELPERS + "\n\ndef f(x, y, a, m, n):\n" + "\n".join(self.lines) + "\n"

    def emit(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    @property
    def targets(self) -> list[str]:
        """Names of real numbers that a statement may overwrite."""
        if self.few and self.r.random() < 0.8:
            return [*self.few, self.r.choice(["s", "t", "u"])]
        return [s for s in self.scalars if s != "x" or self.few]

    def block(self, depth: int, size: int) -> int:
        """Statements; what is first named in them is not known after them. Returns how many lines were made."""
        made = 0
        names = list(self.scalars), list(self.vectors), list(self.matrices), list(self.ints), list(self.flags)
        while made < size:
            before = len(self.lines)
            statement.pick(self.r, self.features)(self, depth, size - made)
            made += len(self.lines) - before
        self.scalars, self.vectors, self.matrices, self.ints, self.flags = names
        return made

    def body(self, depth: int, room: int, index: str | None = None) -> None:
        """What a loop does."""
        self.loops += 1
        self.turns *= 4
        self.indices += [index] if index else []
        self.block(depth + 1, self.r.randint(1, max(1, room - 1)))
        if index:
            self.indices.remove(index)
        self.turns //= 4
        self.loops -= 1

    def may_loop(self, room: int) -> bool:
        return room > 2 and self.loops < _DEEPEST and self.turns < _MOST_TURNS


# ---- kinds of statements ----------------------------------------------------------------------------------------


@statement(26)
def _assign(g: Generator, depth: int, room: int) -> None:
    g.emit(depth, f"{g.r.choice(g.targets)} = {g.squashed()}")


@statement(8)
def _update(g: Generator, depth: int, room: int) -> None:
    name, op = g.r.choice(g.targets), g.r.choice(["+=", "-=", "*=", "/="])
    if op == "/=":
        g.emit(depth, f"{name} /= 1.5 + math.sin({g.value(1)})")
        return
    g.emit(depth, f"{name} {op} {g.squashed()}" + (" * 0.5" if op == "*=" else ""))
    if op == "*=":
        g.emit(depth, f"{name} = math.tanh({name})")


@statement(10)
def _store(g: Generator, depth: int, room: int) -> None:
    name, extent = g.r.choice(g.vectors)
    g.emit(depth, f"{name}[{g.place(extent)}] {g.r.choice(['=', '=', '+='])} math.tanh({g.value()})")


@statement(7)
def _store_in_matrix(g: Generator, depth: int, room: int) -> None:
    op = g.r.choice(["=", "-=", "*="])
    g.emit(depth, f"{g.r.choice(g.matrices)}[{g.place(3)}, {g.place(3)}] {op} math.tanh({g.value()})")


@statement(4)
def _new_scalar(g: Generator, depth: int, room: int) -> None:
    name = g.name("v")
    g.emit(depth, f"{name} = {g.squashed()}")
    g.scalars.append(name)


@statement(15)
def _branch(g: Generator, depth: int, room: int) -> None:
    if room <= 2:
        return _assign(g, depth, room)
    r = g.r
    g.emit(depth, f"if {g.condition()}:")
    used = g.block(depth + 1, r.randint(1, max(1, room // 2)))
    if r.random() < 0.25:
        g.emit(depth, f"elif {g.condition()}:")
        used += g.block(depth + 1, r.randint(1, 2))
    if r.random() < 0.6:
        g.emit(depth, "else:")
        g.block(depth + 1, r.randint(1, max(1, room - used)))
    return None


@statement(12)
def _for(g: Generator, depth: int, room: int) -> None:
    if not g.may_loop(room):
        return _assign(g, depth, room)
    r = g.r
    name = r.choice("ijk") if r.random() < 0.3 else g.name(r.choice("ijk"))
    if name in g.indices:
        name = g.name(name)
    k = r.choice([0, 1, 2, 3, 3, 4])
    turns = r.choice(
        [f"{k}", f"1, {k + 1}", "n", f"{k}, -1, -1", f"0, {2 * k}, 2", f"{k + 2}, 1, -2", f"({g.integer()}) % 4",
         f"n - 1, n + {k % 3}", f"0, {k + 1}, n % 2 + 1", f"{k}, -1, -(n % 2 + 1)"]
    )  # fmt: skip
    g.emit(depth, f"for {name} in range({turns}):")
    g.body(depth, room, name)
    return None


@statement(4)
def _while(g: Generator, depth: int, room: int) -> None:
    if not g.may_loop(room):
        return _assign(g, depth, room)
    name = g.name("z")
    g.emit(depth, f"{name} = 0")
    if g.r.random() < 0.3:
        g.emit(depth, "while True:")
        g.emit(depth + 1, f"if {name} >= {g.r.randint(1, 4)} or {g.condition()}:")
        g.emit(depth + 2, "break")
    else:
        g.emit(depth, f"while {name} < {g.r.randint(1, 4)} and {g.condition()}:")
    g.emit(depth + 1, f"{name} += 1")
    g.body(depth, room, name)
    return None


@statement(3)
def _escape(g: Generator, depth: int, room: int) -> None:
    if not g.loops or g.parallel:
        return _assign(g, depth, room)
    g.emit(depth, f"if {g.condition()}:")
    if g.r.random() < 0.4:
        g.block(depth + 1, 1)
    g.emit(depth + 1, g.r.choice(["break", "continue"]))
    if g.r.random() < 0.3:
        g.emit(depth, "else:")
        g.block(depth + 1, 1)
    return None


@statement(1.5)
def _return(g: Generator, depth: int, room: int) -> None:
    if not g.returns:
        return _assign(g, depth, room)
    g.emit(depth, f"if {g.condition()}:")
    g.emit(depth + 1, f"return {g.squashed()}")
    return None


@statement(2)
def _new_vector(g: Generator, depth: int, room: int) -> None:
    name, extent = g.name("w"), g.r.randint(2, 4)
    g.emit(depth, f"{name} = np.{g.r.choice(['zeros', 'ones'])}({extent})")
    g.vectors.append((name, extent))


@statement(1.5)
def _row(g: Generator, depth: int, room: int) -> None:
    name = g.name("r")
    g.emit(depth, f"{name} = {g.r.choice(g.matrices)}[{g.place(3)}]")
    g.vectors.append((name, 3))


@statement(1.5)
def _swap_arrays(g: Generator, depth: int, room: int) -> None:
    g.emit(depth, g.r.choice(["a, b = b, a", "a, b = b, a", "b, a = a, b"]))


@statement(1.5)
def _swap_numbers(g: Generator, depth: int, room: int) -> None:
    one, two = g.r.sample(sorted(set(g.targets) | {"s", "t"}), 2)
    g.emit(depth, f"{one}, {two} = {two}, math.tanh({one} + {g.leaf()})")


@statement(1)
def _swap_elements(g: Generator, depth: int, room: int) -> None:
    name, extent = g.r.choice(g.vectors)
    i, j = g.place(extent), g.place(extent)
    g.emit(depth, f"{name}[{i}], {name}[{j}] = {name}[{j}], {name}[{i}]")


@statement(2, "helpers")
def _call_that_writes(g: Generator, depth: int, room: int) -> None:
    name, extent = g.r.choice(g.vectors)
    one, two = g.r.sample(sorted(set(g.targets) | {"s", "t"}), 2)
    g.emit(depth, f"{one}, {two} = h_write({name}, {g.place(extent)}, {g.leaf()})")


@statement(1, "helpers")
def _call_that_counts(g: Generator, depth: int, room: int) -> None:
    name = g.name("k")
    g.emit(depth, f"{name}, {g.r.choice(g.targets)} = h_count({g.r.randint(1, 3)}, {g.leaf()})")
    g.ints.append(name)


@statement(1.5)
def _fill(g: Generator, depth: int, room: int) -> None:
    name, other = g.r.choice("ab"), g.r.choice("ab")
    g.emit(
        depth,
        f"{name}[:] = {g.r.choice([f'{other} * 0.5', '0.25', f'{other} + math.tanh(s)', f'np.tanh(b * {other})'])}",
    )


@statement(2, "slices")
def _slice(g: Generator, depth: int, room: int) -> None:
    r = g.r
    name = g.name("d")
    source, extent = r.choice(g.vectors)
    matrix, half = r.choice(g.matrices), extent // 2
    start = r.randint(0, extent - 2)
    stop = r.randint(start + 2, extent)
    text, length = r.choice(
        [(f"{source}[{start}:{stop}]", stop - start), (f"{source}[{start}:]", extent - start), (f"{source}[:{stop}]", stop),
         (f"{matrix}[:, {g.place(3)}]", 3), (f"{matrix}[{g.place(3)}, :]", 3), (f"{source}[::{half}]", 2 + extent % 2),
         (f"{matrix}[{g.place(3)}, 1:]", 2)]
    )  # fmt: skip
    g.emit(depth, f"{name} = {text}")
    g.vectors.append((name, length))


@statement(3, "whole")
def _whole(g: Generator, depth: int, room: int) -> None:
    r = g.r
    name, extent = r.choice(g.vectors)
    kind = r.random()
    if kind < 0.35:
        g.emit(depth, f"{name}[:] = {g.whole(extent)}")
    elif kind < 0.55:
        g.emit(depth, f"{name} {r.choice(['+=', '-='])} np.tanh({g.whole(extent)})")
    elif kind < 0.7:
        g.emit(depth, f"{r.choice(g.matrices)}[{g.place(3)}] = np.tanh({g.whole(3)})")
    elif kind < 0.85 and not g.parallel:
        new = g.name("e")
        g.emit(depth, f"{new} = {g.whole(extent)}")
        g.vectors.append((new, extent))
    elif not g.parallel:
        new = g.name("e")
        matrix = r.choice(g.matrices)
        g.emit(
            depth,
            f"{new} = "
            + r.choice(
                [f"{matrix} @ {g.whole(3, 0)}", f"np.dot({matrix}, {g.whole(3, 0)})", f"np.cumsum({g.whole(3, 0)})"]
            ),
        )
        g.emit(depth, f"{new}[:] = np.tanh({new})")
        g.vectors.append((new, 3))


@statement(1.5, "tuples")
def _tuple(g: Generator, depth: int, room: int) -> None:
    name = g.name("tu")
    g.emit(depth, f"{name} = {g.leaf()}, {g.squashed()}")
    one, two = g.r.sample(sorted(set(g.targets) | {"s", "t"}), 2)
    g.emit(depth, g.r.choice([f"{one}, {two} = {name}", f"{one} = {name}[0] + {name}[1] * 0.5", f"{one} = {name}[-1]"]))


@statement(1.5, "flags")
def _flag(g: Generator, depth: int, room: int) -> None:
    name = g.r.choice(g.flags) if g.flags and g.r.random() < 0.5 else g.name("f")
    g.emit(depth, f"{name} = {g.r.choice([g.condition(), 'True', 'False'])}")
    g.flags.append(name)


@statement(1.5, "integers")
def _integer(g: Generator, depth: int, room: int) -> None:
    if g.parallel:
        return
    made = [name for name in g.ints if name.startswith("c")]
    if made and g.r.random() < 0.5:
        g.emit(depth, f"{g.r.choice(made)} {g.r.choice(['+=', '=', '-='])} ({g.integer()}) % 5")
        return
    name = g.name("c")
    g.emit(depth, f"{name} = ({g.integer()}) % 5")
    g.ints.append(name)


@statement(1.5, "chained")
def _chained(g: Generator, depth: int, room: int) -> None:
    one, two = g.r.sample(sorted(set(g.targets) | {"s", "t"}), 2)
    g.emit(depth, f"{one} = {two} = {g.squashed()}")


@statement(1.5, "chained")
def _loop_variable_that_goes_on(g: Generator, depth: int, room: int) -> None:
    """A loop's variable is a name like others: it may be assigned, and has its last value after the loop."""
    if not g.may_loop(room) or g.parallel:
        return _assign(g, depth, room)
    i = g.name("g")
    g.emit(depth, f"{i} = {g.r.randint(0, 2)}")
    g.emit(depth, f"for {i} in range({g.r.randint(0, 3)}):")
    g.emit(depth + 1, f"{g.r.choice(g.targets)} = math.tanh({g.leaf()} + {i} * {g.leaf()})")
    if g.r.random() < 0.5:
        g.emit(depth + 1, f"{i} += 1")
        g.emit(depth + 1, f"b[{i}] = math.tanh({g.leaf()} - {i})")
    g.ints.append(i)
    return None


@statement(1.5, "extents")
def _over_extents(g: Generator, depth: int, room: int) -> None:
    """Loops and arrays whose extents are those of other arrays; helpers that make and fill arrays."""
    r = g.r
    name, extent = r.choice(g.vectors)
    kind = r.randrange(4)
    if kind == 0 and g.may_loop(room):
        i = g.name("i")
        g.emit(depth, f"for {i} in range({r.choice([f'len({name})', f'{name}.shape[0]', f'{name}.size - 1'])}):")
        g.emit(depth + 1, f"{name}[{i}] = math.tanh({name}[{i} - 1] * {g.leaf()} + {g.leaf()})")
    elif kind == 1 and not g.parallel:
        new = g.name("w")
        made = r.choice([f"h_array({name}, {g.leaf()})", f"np.zeros({name}.shape)", f"{name} * {g.leaf()}"])
        g.emit(depth, f"{new} = {made}")
        g.vectors.append((new, extent))
    elif kind == 2:
        g.emit(depth, f"h_fill({name}, {g.leaf()})")
    else:
        new = g.name("d")
        g.emit(depth, f"{new} = {name}[::-1]")
        g.vectors.append((new, extent))


@statement(1, "cubes")
def _cube(g: Generator, depth: int, room: int) -> None:
    """An array of three dimensions, its planes as matrices; the transpose of a matrix."""
    if g.parallel:
        return
    new, plane = g.name("q"), g.name("m")
    if g.r.random() < 0.4:
        g.emit(depth, f"{plane} = {g.r.choice(g.matrices)}.T")
    else:
        g.emit(depth, f"{new} = np.zeros((2, 3, 3))")
        g.emit(depth, f"{new}[{g.place(2)}, {g.place(3)}, {g.place(3)}] = {g.squashed()}")
        g.emit(depth, f"{new}[1, 0] = {g.whole(3)}")
        g.emit(depth, f"{plane} = {new}[{g.place(2)}]")
    g.matrices.append(plane)


@statement(1, "found")
def _found(g: Generator, depth: int, room: int) -> None:
    """An array whose extent a loop finds."""
    if g.loops or not g.may_loop(room):
        return _assign(g, depth, room)
    k, i, new, total = g.name("k"), g.name("i"), g.name("w"), g.r.choice(g.targets)
    g.emit(depth, f"{k} = {g.r.randint(0, 1)}")
    g.emit(depth, f"for {i} in range(4):")
    g.emit(depth + 1, f"if {g.condition()}:")
    g.emit(depth + 2, f"{k} += 1")
    g.emit(depth, f"{new} = np.{g.r.choice(['zeros', 'ones'])}({k} + 1)")
    g.emit(depth, f"for {i} in range({k} + 1):")
    g.indices.append(i)
    g.emit(depth + 1, f"{new}[{i}] = math.tanh({new}[{i} - 1] + {g.value()})")
    g.emit(depth + 1, f"{new}[{i} // 2] += {g.leaf()} * {new}[{i}]")
    g.indices.remove(i)
    g.emit(depth, f"{total} = math.tanh({new}[{k}] * {g.leaf()} + {new}.sum())")
    return None


@statement(1.5, "stencils")
def _stencil(g: Generator, depth: int, room: int) -> None:
    """Neighbours, borders, and buffers that are swapped."""
    if not g.may_loop(room) or g.parallel or g.loops > 1:
        return _assign(g, depth, room)
    for line in stencil(g.r, g.name, g.leaf, g.r.choice(g.targets)):
        g.emit(depth, line)
    return None


def arguments(seed: int) -> tuple[float, float, list[float], list[list[float]], int]:
    """Numbers for the arguments of program ``seed``."""
    r = random.Random(seed)
    vector = [r.gauss(0, 1) for _ in range(4)]
    matrix = [[r.gauss(0, 1) for _ in range(3)] for _ in range(3)]
    return r.gauss(0, 1), r.gauss(0, 1), vector, matrix, r.randrange(4)
