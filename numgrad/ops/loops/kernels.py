"""Kernels round the sweeps that `numgrad.loops` writes: each runs one sweep for the examples ``start:stop`` of a batch.

What belongs to one example has the examples in dimension 0, also where there is but one: results, gradients and what is
saved always, arguments and tangents if each example has its own. Memory without meaning belongs to a worker.
"""

from __future__ import annotations

import ast
import functools
import linecache
import types
from typing import Any, NamedTuple

from numgrad.kernels.fork import fork_parts
from numgrad.kernels.room import ROOMS
from numgrad.loops.forks import FORK
from numgrad.loops.sweeps import Parameter, Sweep
from numgrad.ops.loops.elements import Elements, arrays_of
from numgrad.ops.loops.independent import mark
from numgrad.ops.loops.indices import lowest_of, without_negative
from numgrad.runtime.kernel import Device, Kernel, frozen

_READ = ("argument", "tangent", "grad_result")
POOL = "pool__"  # the last parameter of kernels whose sweep has parts that threads share
SHARED = ("argument", "tangent")  # roles of what all examples may share


class Passing(NamedTuple):
    """How a kernel passes a parameter on to its sweep.

    ``is_number``: it belongs to a number, and so has one element for an example. ``is_own``: it has the examples in
    dimension 0.
    """

    parameter: Parameter
    is_number: bool
    is_own: bool

    @property
    def is_scalar(self) -> bool:
        """Whether a launch passes a scalar: an integer or a bool among the arguments."""
        return self.parameter.ndim == 0 and not self.parameter.dtype.startswith("f")

    def declared(self) -> str:
        """The parameter's type in the kernel."""
        dtype, role, ndim = self.parameter.dtype, self.parameter.role, self.parameter.ndim
        if self.is_scalar:
            return dtype
        if role == "status" or self.is_number:
            ndim = 1
        elif role == "work" or self.is_own:
            ndim += 1
        return f"{'const ' * (role in _READ)}{dtype}[{', '.join(':' * ndim)}]"

    def passed(self, name: str) -> str:
        """The argument of the sweep, for example ``n``."""
        role = self.parameter.role
        if self.is_scalar or role == "status":
            return name
        if role == "work":
            return f"{name}[worker]"
        if not self.is_number:
            return f"{name}[n]" if self.is_own else name
        if self.parameter.ndim == 0:
            return f"{name}[{'n' if self.is_own else '0'}]"
        return f"{name}[n : n + 1]" if self.is_own else name


@functools.lru_cache(1 << 10)
def kernel_of(sweep: Sweep, passings: tuple[Passing, ...], checked: bool) -> Kernel:
    """The kernel that runs a sweep for examples; its parameters are those of the sweep, in order."""
    forks = f"{FORK}(" in sweep.text
    names = [*[f"p{number}" for number in range(len(passings))], *[POOL] * forks]
    span = ["start", "stop", *["worker"] * any(each.parameter.role == "work" for each in passings)]
    given = [*[each.passed(name) for each, name in zip(passings, names, strict=False)], *[POOL] * forks]
    text = (
        f"def sweep({', '.join([*names, *span])}):\n    for n in range(start, stop):\n        run({', '.join(given)})\n"
    )
    scope: dict[str, Any] = {"run": Device(compiled_text(sweep))}
    exec(compile(text, "<numgrad sweep>", "exec"), scope)
    descends = any(each.parameter.role == "grad_argument" for each in passings)
    kernel = Kernel(
        scope["sweep"], ", ".join([*[each.declared() for each in passings], *["const i8[:]"] * forks]), checked=checked,
        descends=descends, forks=forks,
    )  # fmt: skip
    kernel.name = kernel.__name__ = sweep.name
    return kernel


@functools.lru_cache(1 << 10)
def compiled_text(sweep: Sweep) -> Any:
    """The sweep as a function whose rooms and elements are intrinsics; debuggers and tracebacks show its text."""
    tapes = {each.name for each in sweep.parameters if each.role == "tape"}
    tree = ast.parse(sweep.text)
    for function, lowest in lowest_of(tree, sweep.name):
        mark(function, lowest, tapes)
        without_negative(function, lowest, tapes)
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    main = functions[sweep.name]
    if f"{FORK}(" in sweep.text:
        main.args.args.append(ast.arg(POOL))
        for each in ast.walk(main):
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == FORK:
                each.args.insert(1, ast.Name(POOL, ast.Load()))
    elements = Elements(tapes, arrays_of(tree, {each.name for each in sweep.parameters if each.ndim}))
    text = ast.unparse(ast.fix_missing_locations(elements.visit(tree))) + "\n"
    file = f"<numgrad {sweep.name} in a kernel {id(sweep):x}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    opaque = {
        name: Device(frozen(value)) for name, value in sweep.scope.items() if isinstance(value, types.FunctionType)
    }  # functions with a rule
    scope: dict[str, Any] = {"__name__": "numgrad.loops.written", **sweep.scope, **opaque, **ROOMS, **elements.scope}
    scope[FORK] = fork_parts
    exec(compile(text, file, "exec"), scope)
    for name in functions.keys() - {sweep.name}:
        scope[name] = Device(scope[name])
    return scope[sweep.name]
