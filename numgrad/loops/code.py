"""Lines of generated text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad.loops.language import ONE, ZERO, Const, Expr, For, Op, bare, op, text
from numgrad.loops.sweeps import Line


class Code(str):
    """A line of text, with the line of the user's text that it was made from."""

    line: Line | None

    def __new__(cls, shown: str, line: Line | None = None) -> Code:
        code = super().__new__(cls, shown)
        code.line = line
        return code


def is_empty(lines: list[Any]) -> bool:
    """Whether there is no statement in it."""
    return all(is_empty(x) if isinstance(x, list) else x.startswith("#") for x in lines)


def render(lines: list[Any], indent: int = 1) -> list[Code]:
    """Lines with their indentation; a list that follows a line that opens a block is the block."""
    out: list[Code] = []
    opened: Code | None = None
    for x in lines:
        if isinstance(x, list):
            inner = render(x, indent + (opened is not None))
            if opened is not None and is_empty(x):
                inner.append(Code("    " * (indent + 1) + "pass", opened.line))
            out += inner
            opened = None
            continue
        out.append(Code("    " * indent + x, getattr(x, "line", None)))
        opened = out[-1] if x.endswith(":") and not x.startswith("#") else None
    return out


def function(name: str, parameters: Sequence[str], body: list[Any]) -> tuple[str, dict[int, Line]]:
    """The text of a function, and the user's lines of its lines."""
    head = f"def {name}({', '.join(parameters)}):"
    lines = [Code(head), *(render(body) if not is_empty(body) else [Code("    pass")])]
    return "\n".join(lines) + "\n", {k: x.line for k, x in enumerate(lines, 1) if x.line is not None}


def functions(each: Sequence[tuple[str, Sequence[str], list[Any]]]) -> tuple[str, dict[int, Line]]:
    """The text of functions, given by names, parameters and lines, and the user's lines of its lines."""
    shown, lines = "", {}
    for name, parameters, body in each:
        shown += "\n\n" if shown else ""
        one, own = function(name, parameters, body)
        lines.update({number + shown.count("\n"): line for number, line in own.items()})
        shown += one
    return shown, lines


def loops(shape: Sequence[str], fresh: Callable[[str], str], out: list[Any]) -> tuple[str, list[Any]]:
    """Loops over all indices of a shape: the indices as text, and the innermost block."""
    index = []
    for extent in shape:
        name = fresh("q")
        body: list[Any] = []
        out += [f"for {name} in range({extent}):", body]
        out = body
        index.append(name)
    return ", ".join(index), out


def span(s: For) -> str:
    """The range of a loop."""
    if s.step == ONE:
        return f"range({bare(s.stop)})" if s.start == ZERO else f"range({bare(s.start)}, {bare(s.stop)})"
    return f"range({bare(s.start)}, {bare(s.stop)}, {bare(s.step)})"


def trips(s: For) -> Expr:
    """How often a loop runs, if it is not left; for a step that is known."""
    assert isinstance(s.step, Const)
    first, last, step = (s.start, s.stop, s.step.value) if s.step.value > 0 else (s.stop, s.start, -s.step.value)
    length = op("-", last, first)
    if step != 1:
        length = op("//", op("+", length, Const(step - 1)), Const(step))
    return op("max", ZERO, length)


def trips_text(s: For) -> str:
    """How often a loop runs, as Python."""
    return text(trips(s)) if isinstance(s.step, Const) else f"len({span(s)})"


def turn(s: For, k: str) -> str:
    """The loop's variable in its turn number ``k``."""
    move = k if s.step == ONE else f"{k} * {text(s.step)}"
    return move if s.start == ZERO else f"{text(s.start)} + {move}"


def less_one(e: Expr) -> str:
    """``e - 1`` as Python."""
    return bare(op("-", e, ONE)) if isinstance(e, Const) else f"{bare(e) if not isinstance(e, Op) else text(e)} - 1"
