"""The gradient as one function in the language that is read: forward and reverse joined, with arrays that it makes itself."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from numgrad.loops import code
from numgrad.loops.forward import TAPES, ZEROS
from numgrad.loops.language import Var, text
from numgrad.loops.reverse import Reverse

_NUMPY = {
    "f8": "float64",
    "f4": "float32",
    "i8": "int64",
    "i4": "int32",
    "i2": "int16",
    "i1": "int8",
    "u1": "uint8",
    "b1": "bool_",
}


def written_gradient(translation: Any) -> Callable[..., Any]:
    """The function ``(*arguments, *gradients of results, room_f8, room_i8, room_b1) -> gradients of arguments``."""
    t, unit, names = translation, translation.unit, translation.names
    bar = names.bar
    forward = t._forward(t.rec, "joined")
    backward = Reverse(forward)
    body: list[Any] = ["# forward, with what the reverse needs"]
    for n in unit.locals:
        shape = [text(e) for e in unit.arrays[n].shape]
        lines = [f"{n} = {_allocation('empty', unit.arrays[n].dtype, shape)}"]
        if n in t.swapped and n in t.active:
            lines.append(f"{n}{bar} = {_allocation('zeros', 'f8', shape)}")
        if unit.late_extents & {e.name for e in unit.arrays[n].shape if isinstance(e, Var)}:
            forward.beginnings[n] = lines
        else:
            body += lines
    rooms = [names.own(f"room_{d}") for d in TAPES.values()]
    for (kind, (tape, mark)), room in zip(forward.tapes.items(), rooms, strict=True):
        body += [f"{tape} = {_allocation('empty', TAPES[kind], [room])}", f"{mark} = 0"]
    body += [f"{n} = {ZEROS[t.versions.kinds[n]]}" for n in t._unset()]
    body += [f"{n}{names.id} = {t.ids[n]}" for n in sorted(t.traced)]
    forward.block(t.versions.top, body, False)
    body += [f"{n}{bar} = {_allocation('zeros', 'f8', [text(e) for e in unit.arrays[n].shape])}"
             for n in sorted(t.active & set(unit.arrays) - t.swapped)]  # fmt: skip
    numbers = t.versions.canonical | {n for n, k in t.kinds.items() if not k.ndim}
    body += [f"{n}{bar} = 0.0" for n in sorted(numbers & t.active)]
    grads = t._outputs("grad_result", "grad_", True)
    by_result = {g.of: g.name for g in grads}
    started: set[str] = set()
    for r, name in t.results:
        given = by_result.get(r.name)
        if given is None:
            continue
        if r.shape:
            t._by_identity(r, name, lambda n, into, given=given: forward.copy(f"{n}{bar}", given, n, into, "+="), body)
        else:
            first = name not in started and name not in t.versions.canonical and name not in t.kinds
            body.append(f"{name}{bar} {'=' if first else '+='} {given}")
        started.add(name)
    body.append("# reverse")
    adjoint = backward.adjoint()
    adjoint.lines = body
    backward.block(t.versions.top, adjoint, frozenset(name for r, name in t.results if not r.shape))
    body.append(f"return {', '.join(f'{n}{bar}' for n in t.needs)}{',' if len(t.needs) == 1 else ''}")
    parameters = [*[n for n, _ in unit.params], *[g.name for g in grads], *rooms]
    name = f"{unit.name}_gradient" if unit.name.isidentifier() else "function_gradient"
    shown, _ = code.function(name, parameters, body)
    file = f"<numgrad {name} {abs(hash(shown)):x}>"
    linecache.cache[file] = (len(shown), None, shown.splitlines(True), file)
    scope = {"__name__": "numgrad.loops.written", **t.scope}
    exec(compile(shown, file, "exec"), scope)
    gradient: Callable[..., Any] = scope[name]
    gradient.__numgrad_once__ = frozenset(tape for tape, _ in forward.tapes.values())  # type: ignore[attr-defined]
    return gradient


def _allocation(how: str, dtype: str, shape: list[str]) -> str:
    return f"np.{how}(({', '.join(shape)}{',' if len(shape) == 1 else ''}), np.{_NUMPY[dtype]})"
