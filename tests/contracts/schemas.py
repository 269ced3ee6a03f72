"""torch's signatures: of its functions and methods from the stubs that torch ships, of ``nn.functional`` from Python.

`differences` compares one of numgrad's with all of torch's overloads: names, order, kind and default of the parameters.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

# What says where or how, and has another word for its default in the stubs than in the documentation.
_PLACES = ("layout", "device", "pin_memory", "memory_format", "dtype", "out", "generator", "requires_grad")
UNKNOWN = object()  # a default that is no literal


class Parameter(NamedTuple):
    """A parameter: its name, whether it can be given by position, whether it takes all further ones, and its default."""

    name: str
    positional: bool
    variadic: bool
    default: Any


Overload = list[Parameter]


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(node)
    except ValueError:
        return UNKNOWN


def _overload(node: ast.FunctionDef) -> Overload:
    own = node.args
    positional = [*own.posonlyargs, *own.args]
    missing: list[Any] = [None] * (len(positional) - len(own.defaults))
    parameters = [
        Parameter(argument.arg, True, False, _default(default))
        for argument, default in zip(positional, [*missing, *own.defaults], strict=True)
    ]
    if own.vararg is not None:
        parameters.append(Parameter(own.vararg.arg, True, True, inspect.Parameter.empty))
    parameters += [
        Parameter(argument.arg, False, False, _default(default))
        for argument, default in zip(own.kwonlyargs, own.kw_defaults, strict=True)
    ]
    return parameters


def _named_dimensions(node: ast.FunctionDef) -> bool:
    """Whether the overload is one for tensors whose dimensions have names."""
    words = {each.id for each in ast.walk(node.args) if isinstance(each, ast.Name)}
    return "ellipsis" in words or any("DimName" in word or word == "EllipsisType" for word in words)


@functools.cache
def _stubs(torch_folder: Path) -> dict[str, list[Overload]]:
    found: dict[str, list[Overload]] = {}
    functions = ast.parse((torch_folder / "_C/_VariableFunctions.pyi").read_text("utf-8")).body
    module = ast.parse((torch_folder / "_C/__init__.pyi").read_text("utf-8")).body
    methods = next(node for node in module if isinstance(node, ast.ClassDef) and node.name == "TensorBase").body
    for prefix, nodes in (("", functions), ("T.", methods)):
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and not _named_dimensions(node):
                found.setdefault(f"{prefix}{node.name}", []).append(_overload(node))
    return found


def overloads(name: str, theirs: Any, torch: Any) -> list[Overload]:
    """torch's overloads of a function; none where torch does not say them."""
    stubs = _stubs(Path(torch.__file__).parent)
    if not name.startswith("F.") and name in stubs:
        return stubs[name]
    try:
        return [parameters_of(theirs)]
    except (ValueError, TypeError):
        return stubs.get(name.removeprefix("F."), [])


def parameters_of(function: Callable[..., Any]) -> Overload:
    """The parameters of a Python function."""
    kinds = inspect.Parameter
    return [
        Parameter(
            "self" if not place and p.name == "self" else p.name,
            p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD, kinds.VAR_POSITIONAL),
            p.kind is kinds.VAR_POSITIONAL,
            p.default,
        )
        for place, p in enumerate(inspect.signature(function).parameters.values())
        if p.kind is not kinds.VAR_KEYWORD
    ]


def _unlike(mine: Parameter, theirs: Parameter) -> bool:
    """Whether the defaults differ; one that torch requires may be optional here."""
    if theirs.default in (UNKNOWN, inspect.Parameter.empty) or theirs.variadic or mine.variadic:
        return False
    if mine.name in _PLACES:
        return False
    return bool(mine.default is inspect.Parameter.empty or mine.default != theirs.default)


def _compared(mine: Overload, theirs: Overload) -> Iterator[str]:
    own = {parameter.name: parameter for parameter in mine}
    order = [parameter.name for parameter in mine if parameter.positional]
    gathers = any(parameter.variadic for parameter in mine)
    for place, parameter in enumerate(theirs):
        name = parameter.name
        if not place and (name == "self" or mine[0].name == "self"):
            continue
        if name not in own:
            # A sequence is taken as one argument where further ones are gathered: ``size`` as ``*size``.
            if not (gathers and parameter.positional):
                yield f"no {name}"
            continue
        if parameter.positional and not parameter.variadic and not own[name].variadic:
            if not own[name].positional:
                yield f"{name} by name only"
            elif order.index(name) != place:
                yield f"{name} at {order.index(name)}, not {place}"
        if _unlike(own[name], parameter):
            yield f"{name}={own[name].default!r}, not {parameter.default!r}"


def differences(mine: Overload, theirs: list[Overload]) -> str:
    """How numgrad's signature differs from torch's: from the nearest overload, and what all the others have beyond it."""
    texts = sorted((list(_compared(mine, overload)) for overload in theirs), key=len)
    if not texts:
        return ""
    further = sorted({text for each in texts[1:] for text in each if text.startswith("no ")} - set(texts[0]))
    return "; ".join([*texts[0], *further])
