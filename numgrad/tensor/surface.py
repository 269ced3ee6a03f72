"""`public` declares where a function over tensors is public, once, at the function itself.

    @public("function", "method", "in_place")
    def sign(input: Tensor) -> Tensor:
        ...

makes ``numgrad.sign``, ``Tensor.sign`` and ``Tensor.sign_``. An elementwise op declares it in its spec (``homes=``).
Editors and type checkers read the stubs ``numgrad/__init__.pyi``, ``linalg.pyi``, ``special.pyi``, ``tensor/methods.pyi``
and ``nn/functional.pyi``, which ``python -m tests.contracts.stubs`` writes.

The functions assume that a tensor argument is a tensor, since a check would cost as much as a small op. The public form
checks arguments only after an error, to explain it. An error raised by a function of the caller's stays as it is. Keywords
that all functions of a kind take, such as ``device=`` and ``out=``, are no arguments of the function (`keywords`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from numgrad.engine.tape import TensorBase
from numgrad.tensor import arguments, in_place, keywords
from numgrad.tensor import known as known_calls
from numgrad.tensor.methods import Methods

# function: in ``numgrad``; method: of Tensor, with the function's first argument as self; in_place: the method with a
# trailing underscore that writes over self; in_place_function: the same as a function in ``numgrad``, where torch has it;
# functional: in ``numgrad.nn.functional``; linalg: in ``numgrad.linalg``; special: in ``numgrad.special``.
HOMES = ("function", "method", "in_place", "in_place_function", "functional", "linalg", "special")
_MODULES = {
    "function": "numgrad",
    "functional": "numgrad.nn.functional",
    "linalg": "numgrad.linalg",
    "special": "numgrad.special",
}
_METHODS = "numgrad.Tensor"

_public: dict[str, dict[str, Callable[..., Any]]] = {home: {} for home in ("method", *_MODULES)}

F = TypeVar("F", bound=Callable[..., Any])


def public(*homes: str, name: str = "", asks: bool = False, known: int = 0) -> Callable[[F], F]:
    """Declare a function public.

    Parameters
    ----------
    homes
        The places where it is public; see `HOMES`.
    name
        Its public name; by default the function's own.
    asks
        The function checks itself that its arguments are tensors, so its method needs no guard.
    known
        True: which ops it applies depends on the specs of its tensors, its other arguments, the default dtype and on whether a
        gradient is needed, or it reads numbers by `item` and the like. A number says so of calls with at most so many
        arguments. See `known`, also for `CONSTANT` and `UNDEFINED`.

    Raises
    ------
    ValueError
        A home is unknown, or already has the name.
    """
    unknown = set(homes) - set(HOMES)
    if unknown or not homes:
        raise ValueError(f"public: got the homes {sorted(homes)}, expected some of {HOMES}")

    def declare(function: F) -> F:
        public_name = name or function.__name__
        module = next((_MODULES[home] for home in homes if home in _MODULES), _METHODS)
        tables = known_calls.Tables() if known else None
        shown = guarded(function, public_name, module, known, tables)
        inner = function if tables is None else known_calls.knowing(function, known, tables)
        is_made = "<locals>" in function.__code__.co_qualname  # and stands in no file
        if asks and is_made and homes != ("function",):
            _standing(inner, next(_MODULES.get(home, _METHODS) for home in homes if home != "function"), public_name)
        for home in homes:
            if home in _public:
                _add(home, public_name, inner if asks and home != "function" else shown)
        if {"in_place", "in_place_function"} & set(homes):
            form = in_place.form_of(public_name, inner)
            form = known_calls.knowing(form) if known is True else form
            if "in_place" in homes:
                _add("method", f"{public_name}_", _standing(form, _METHODS, f"{public_name}_"))
            if "in_place_function" in homes:
                _add("function", f"{public_name}_", guarded(form, f"{public_name}_", _MODULES["function"]))
        return inner

    return declare


def alias(name: str, of: str, home: str = "") -> None:
    """Make a public function, with its in-place form, public under another name, at its homes; or a function at one ``home``."""
    if home:
        _add(home, name, _public[home].get(of) or _public["function"][of])
        return
    for target in ("function", "method", "functional"):
        for suffix in ("", "_"):
            if f"{of}{suffix}" in _public[target]:
                _add(target, f"{name}{suffix}", _public[target][f"{of}{suffix}"])


def _add(home: str, name: str, function: Callable[..., Any]) -> None:
    if name in _public[home]:
        raise ValueError(f"public: there is a {home} {name} already")
    _public[home][name] = function
    if home == "method":
        setattr(Methods, name, function)


def functions_of(home: str) -> dict[str, Callable[..., Any]]:
    """The public functions at a home, by name."""
    return dict(_public[home])


# ---- errors that name the wrong argument -------------------------------------------------------------------------


def guard(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Guard the functions with these names in a package's namespace; classes and other values stay as they are."""
    package = namespace["__name__"]
    for name in names:
        value = namespace[name]
        if inspect.isfunction(value) and value.__module__.startswith(f"{package}."):
            namespace[name] = guarded(value, name, package)


def guarded(function: Any, name: str, module: str, known: int = 0, tables: known_calls.Tables | None = None) -> Any:
    """The public form of a function: it explains errors, and pickles find it under its name in ``module``.

    It also takes the keywords of `keywords`, which it looks for only when Python could not bind one.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (AttributeError, OverflowError) as error:
            if not _is_ours(error):
                raise
            explanation = explained(function, args, kwargs, error)
            raise explanation from (None if explanation is error else error)
        except TypeError as error:
            bound = not kwargs or not _is_of_binding(error)
            translated = None if bound else keywords.translated(function, name, module, args, kwargs)
            if translated is None:
                raise
        return keywords.run(call, name, translated)

    shown = _standing(known_calls.knowing(call, known, tables) if known else call, module, name)
    extended = keywords.signature(function, name, module)
    if extended is not None:
        shown.__signature__ = extended  # type: ignore[attr-defined]
    return shown


def _standing(function: Any, module: str, name: str) -> Any:
    """A function with the names of the place where it stands: by these pickles, copies and pages find it."""
    owner = "Tensor." if module == _METHODS else ""
    function.__module__ = "numgrad" if owner else module
    function.__name__, function.__qualname__ = name, f"{owner}{name}"
    return function


def _is_of_binding(error: Exception) -> bool:
    """Whether no line of the function was run: the error has no frames but those of its call."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or trace.tb_frame.f_globals.get("__name__") in (__name__, known_calls.__name__)


def _is_ours(error: Exception) -> bool:
    """Whether only numgrad's own code ran between the call and the error."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] != "numgrad":
            return False
        trace = trace.tb_next
    return True


def explained(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Exception:
    """The error to raise for an error inside a function: a TypeError that names an argument of a wrong type, if there is one.

    >>> import numgrad as ng
    >>> ng.matmul(ng.ones(2, 2), 3)
    Traceback (most recent call last):
    TypeError: matmul(): argument 'other' must be Tensor, not int
    """
    name = function.__name__
    if str(error).startswith("int too big to convert"):  # torch's class and text for numbers beside tensors
        return error
    if isinstance(error, OverflowError):
        return RuntimeError(f"{name}(): a number is too large for the type that it is converted to ({error})")
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs).arguments
    for parameter, value in bound.items():
        annotation = str(signature.parameters[parameter].annotation)
        if isinstance(value, TensorBase) and not hasattr(value, "_spec"):
            return TypeError(f"{name}(): argument '{parameter}' is a tensor that was never initialized")
        if annotation == "Tensor" and not isinstance(value, TensorBase):
            return TypeError(f"{name}(): argument '{parameter}' must be Tensor, not {arguments.kind_of(value)}")
    types = [type(value).__name__ for value in args] + [
        f"{key}={type(value).__name__}" for key, value in kwargs.items()
    ]
    return TypeError(f"{name}() received an invalid combination of arguments - got ({', '.join(types)}); {error}")
