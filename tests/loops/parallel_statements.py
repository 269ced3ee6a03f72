"""Statements of random programs with `prange`: turns that are independent, that look so, and any others.

Whatever the translation takes for independent runs as if all turns ran at the same time (`running.apart`).
"""

from __future__ import annotations

from typing import Any

from tests.loops.expressions import Table

TABLE = statement = Table()


def _assign(g: Any, depth: int) -> None:
    g.emit(depth, f"{g.r.choice(g.targets)} = {g.squashed()}")


@statement(1.5, "prange")
def _prange(g: Any, depth: int, room: int) -> None:
    """Turns that are independent: each writes its own element, reads what none writes, and adds to a sum."""
    if not g.may_loop(room) or depth > 1:
        return _assign(g, depth)
    i, new, local = g.name("i"), g.name("w"), g.name("v")
    total = g.r.choice(["s", "t", "u"])
    read = [name for name in g.scalars if name != total]
    saved, few = g.scalars, g.few
    g.emit(depth, f"{new} = np.zeros(4)")
    g.emit(depth, f"for {i} in prange(4):")
    g.scalars, g.few = read, None
    g.indices.append(i)
    g.emit(depth + 1, f"{local} = {g.value()}")
    if g.r.random() < 0.5:
        g.emit(depth + 1, f"for j in range({g.r.randint(1, 3)}):")
        g.emit(depth + 2, f"{local} = math.tanh({local} * {g.leaf()} + {g.leaf()})")
    g.scalars = [*read, local]
    g.emit(depth + 1, f"{new}[{i}] = math.tanh({g.value()})")
    g.emit(depth + 1, f"{total} += math.tanh({g.value()})")
    g.indices.remove(i)
    g.scalars, g.few = saved, few
    g.vectors.append((new, 4))
    return None


@statement(3, "prange")
def _prange_with_more(g: Any, depth: int, room: int) -> None:
    """Turns with a loop of any length, an array of their own, a reduction; they may read what others write, or their neighbours."""
    if not g.may_loop(room) or depth > 2:
        return _assign(g, depth)
    r = g.r
    i, new, local, own = g.name("i"), g.name("w"), g.name("v"), g.name("o")
    total = r.choice(["s", "t", "u"])
    changed, extent = r.choice([(new, 4), ("b", 4), ("a", 4)])
    saved, few, vectors = g.scalars, g.few, g.vectors
    g.scalars, g.few = [name for name in g.scalars if name != total], None
    g.vectors = [each for each in g.vectors if each[0] != changed]
    g.emit(depth, f"{new} = np.ones(4)")
    g.emit(depth, f"for {i} in prange({r.choice(['4', '1, 3', '1, 4', 'n'])}):")
    g.indices.append(i)
    near = r.choice([name for name, size in g.vectors if size == 4] or ["a"])
    if near != changed and r.random() < 0.5:
        g.emit(depth + 1, f"{local} = {near}[{i}] * {g.leaf()} + {near}[{i} - 1] * {near}[min({i} + 1, 3)]")
    else:
        g.emit(depth + 1, f"{local} = {g.squashed()}")
    g.scalars = [*g.scalars, local]
    if r.random() < 0.4:
        g.emit(depth + 1, f"while abs({local}) > 0.3:")
        g.emit(depth + 2, f"{local} = {local} * 0.6 + math.sin({g.leaf()}) * 0.05")
    if r.random() < 0.4:
        g.emit(depth + 1, f"{own} = np.zeros(3)")
        g.emit(depth + 1, f"for j in range({r.randint(1, 3)}):")
        g.emit(depth + 2, f"{own}[j] = math.tanh({g.leaf()} + {own}[j - 1] * {local})")
        g.emit(depth + 1, f"{local} += {own}[{r.randrange(3)}]")
    if r.random() < 0.2:
        g.emit(depth + 1, f"{local} *= {changed}[{i} - 1]")  # which another turn writes
    g.emit(depth + 1, f"{changed}[{i}] = math.tanh({changed}[{i}] * {g.leaf()} + {local})")
    how = r.randrange(5)
    if how == 0:
        g.emit(depth + 1, f"{total} = {r.choice(['max', 'min'])}({total}, {g.squashed()})")
    elif how == 1:
        g.emit(depth + 1, f"{total} *= math.cos({g.value()})")
    elif how == 2:
        g.emit(depth + 1, f"if {g.condition()}:")
        g.emit(depth + 2, f"{total} -= {g.squashed()}")
    elif how == 3:
        g.emit(depth + 1, f"{total} = math.tanh({total} + {local})")  # no reduction
    g.indices.remove(i)
    g.scalars, g.few, g.vectors = saved, few, [*vectors, (new, 4)]
    return None


@statement(0.7, "prange")
def _prange_of_anything(g: Any, depth: int, room: int) -> None:
    """Mostly turns that depend on each other."""
    if not g.may_loop(room):
        return _assign(g, depth)
    i = g.name("i")
    g.emit(depth, f"for {i} in prange(4):")
    g.body(depth, room, i)
    return None
