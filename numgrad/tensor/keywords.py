"""Keywords that all functions of a kind take, so that no function declares them: ``device=``, NumPy's names, ``out=``.

A function has the arguments of its own. A call with another keyword fails where Python binds it, before any of the function
runs; only then `translated` looks whether torch's function takes that keyword. So these keywords cost nothing where they are
not used. `signature` shows a function with all that it takes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from numgrad import devices
from numgrad.errors import DeviceError
from numgrad.tensor import outputs

# ---- options of functions that make a tensor ---------------------------------------------------------------------

_PLACE = ("layout", "device", "pin_memory")
_MADE = ("device", "pin_memory")
# Functions and methods that make a tensor, and the options that say where; the dtype and the like are their own arguments.
CREATION: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        """arange bartlett_window blackman_window empty empty_like empty_permuted empty_strided eye full full_like
        hamming_window hann_window kaiser_window linspace logspace new_empty new_empty_strided new_full new_ones new_zeros
        normal ones ones_like rand rand_like randint randint_like randn randn_like randperm range scalar_tensor tril_indices
        triu_indices zeros zeros_like""".split(),
        _PLACE,
    ),
    **dict.fromkeys("new_tensor tensor".split(), _MADE),
    "asarray": ("device",),
}
_DECLARED: dict[str, tuple[str, Any]] = {  # annotation and default
    "out": ("Any", None),
    "layout": ("Any", devices.strided),
    "device": ("Any", None),
    "pin_memory": ("bool", False),
}

# ---- NumPy's names, which torch's parser takes -------------------------------------------------------------------

NUMPY = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
# torch's names of arguments that have another name here.
RENAMED: dict[str, dict[str, str]] = {
    "dot": {"tensor": "other"},
    "isin": {"element": "elements", "test_element": "test_elements"},
    **{name: {"train": "training"} for name in ("dropout", "alpha_dropout", "feature_alpha_dropout")},
    **{
        name: {"indices": "indices_or_sections", "sections": "indices_or_sections"}
        for name in ("tensor_split", "hsplit", "vsplit", "dsplit")
    },
    "split": {"tensor": "input", "split_size_or_sections": "split_size"},
    "view": {"size": "shape"},
}


def _check_option(name: str, option: str, value: Any) -> None:
    """Refuse what no tensor here can have.

    Raises
    ------
    RuntimeError
        The device is not the CPU, the layout is not strided, or the memory is to be pinned.
    TypeError
        The value has another type.
    """
    if option == "device":
        devices.on_cpu(name, value)
    elif option == "layout":
        if value is not None and value is not devices.strided:
            raise TypeError(f"{name}(): argument 'layout' must be numgrad.strided, the only one here, not {value!r}")
    elif value is True:
        raise DeviceError(
            f"{name}: pin_memory=True needs an accelerator, and numgrad computes on the CPU only; leave it out"
        )
    elif value is not None and value is not False:
        raise TypeError(f"{name}(): argument 'pin_memory' must be bool, not {type(value).__name__}")


class Call(NamedTuple):
    """What a call with further keywords stands for: the function's own arguments, options to check, and its ``out=``."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    out: Any


def translated(
    function: Callable[..., Any], name: str, module: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call | None:
    """The call that a call with further keywords stands for; None if it has none, or one that the function does not take."""
    own = outputs.parameters_of(function)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values()):
        return None
    takes, has_out, renamed = CREATION.get(name, ()), _has_out(name, module), {**NUMPY, **RENAMED.get(name, {})}
    call = Call(args, {}, {}, None)
    for given, value in kwargs.items():
        key = given if given in own or renamed.get(given) in kwargs else renamed.get(given, given)
        parameter = own.get(key)
        if parameter is not None and parameter.kind is not parameter.VAR_POSITIONAL:
            call.kwargs[key] = value
        elif parameter is not None and len(args) == list(own).index(key):  # zeros(size=(2, 3))
            call = call._replace(args=(*args, value))
        elif key in takes:
            call.options[key] = value
        elif key == "out" and has_out:
            call = call._replace(out=value)
        else:
            return None
    return call if call.args is not args or call.kwargs.keys() != kwargs.keys() else None


def run(function: Callable[..., Any], name: str, call: Call) -> Any:
    """The result of a translated call.

    Raises
    ------
    RuntimeError, TypeError
        An option or an output is refused; or what the function raises.
    """
    for option, value in call.options.items():
        _check_option(name, option, value)
    if call.out is None:
        return function(*call.args, **call.kwargs)
    return outputs.written(name, function, call.args, call.kwargs, call.out)


def _has_out(name: str, module: str) -> bool:
    return name in outputs.OF_MODULES.get(module, ())


def signature(function: Callable[..., Any], name: str, module: str) -> inspect.Signature | None:
    """A public function's signature with the keywords that it takes beyond its own; None if there are none."""
    further = (*(("out",) if _has_out(name, module) else ()), *CREATION.get(name, ()))
    if not further:  # signatures are taken while numgrad is imported
        return None
    own = inspect.signature(function)
    added = [_declared(option) for option in further if option not in own.parameters]
    return own.replace(parameters=[*own.parameters.values(), *added]) if added else None


@functools.cache
def _declared(name: str) -> inspect.Parameter:
    annotation, default = _DECLARED[name]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
