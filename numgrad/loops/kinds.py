"""What numbers are: truth values, integers or reals."""

from __future__ import annotations

from typing import Any

from numgrad.loops.language import (
    KINDS,
    TRUTHS,
    WHOLE,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Load,
    Loop,
    Op,
    Var,
    walk,
)

_JOINED = frozenset("max min and or & | ^".split())
_COUNTED = frozenset("+ - * // % neg absolute square ** << >> invert sign".split())


def kind_of(e: Expr, known: dict[str, str], arrays: dict[str, Array]) -> str:
    """``f``, ``i`` or ``b``; names that are not known count as the least of them."""
    if isinstance(e, Const):
        return "b" if isinstance(e.value, bool) else "i" if isinstance(e.value, int) else "f"
    if isinstance(e, Var):
        return known.get(e.name, "b")
    if isinstance(e, Load):
        return arrays[e.array].kind
    if isinstance(e, Dim):
        return "i"
    assert isinstance(e, Op)
    if e.op in TRUTHS:
        return "b"
    if e.op in WHOLE:
        return "i"
    args = e.args[1:] if e.op == "select" else e.args
    each = [kind_of(a, known, arrays) for a in args]
    if e.op in _JOINED or e.op == "select":
        return max(each, key=KINDS.index)
    return max([*each, "i"], key=KINDS.index) if e.op in _COUNTED else "f"


def kinds(body: list[Any], params: dict[str, str], arrays: dict[str, Array]) -> dict[str, str]:
    """The kind of each number of a program; a name that holds several has the widest."""
    known = dict(params)

    def widen(name: str, kind: str) -> None:
        known[name] = max(known.get(name, "b"), kind, key=KINDS.index)

    while True:
        before = dict(known)
        for s in walk(body):
            if isinstance(s, Assign):
                widen(s.name, kind_of(s.value, known, arrays))
            elif isinstance(s, For):
                widen(s.var, "i")
            if isinstance(s, Loop) and s.exit:
                widen(s.exit, "b")
        if known == before:
            return known
