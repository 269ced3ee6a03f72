"""The table of NumPy's functions: which has an implementation here, and which is refused, with the reason.

``__array_ufunc__`` and ``__array_function__`` of tensors look up in it, and the names of `numgrad.numpy` are made from it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.numpy.array_type import before_write, ndarray, operand, overwrite, owned, owner_of, view_of
from numgrad.numpy.arrays import BY_NAME, ng, refuse_gradient, stored, tensor, values_of
from numgrad.numpy.refusals import REFUSED
from numgrad.tensor.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

_by_function: dict[Any, Any] = {}  # NumPy's own object: the implementation


def implements(*names: str, reads: bool = False, writes: bool = False) -> Callable[[F], F]:
    """Declare that a function over tensors is NumPy's function of each of these names, such as "linalg.solve".

    The public form takes and returns `ndarray` beside tensors, and honours ``out`` where the function has this parameter,
    which always arrives as None. One that ``reads`` makes no views and writes to no argument; one that ``writes`` does so to the
    first. A name that the installed NumPy does not have is one of the namespace only.
    """

    def declare(function: F) -> F:
        add(public_form(function, names[0], reads=reads, writes=writes), *names)
        return function

    return declare


def add(shown: Any, *names: str) -> None:
    """Put a public form into the table under NumPy's names.

    Raises
    ------
    ValueError
        A name has an implementation already.
    """
    for name in names:
        if name in BY_NAME:
            raise ValueError(f"numgrad.numpy: there is an implementation of {name} already")
        BY_NAME[name] = shown
        original = numpy_object(name)
        if original is not None:
            _by_function.setdefault(original, shown)


def numpy_object(name: str) -> Any:
    """NumPy's object of a dotted name; None if this NumPy has none.

    >>> numpy_object("linalg.det") is np.linalg.det, numpy_object("no_such_name")
    (True, None)
    """
    owner: Any = np
    for part in name.split("."):
        owner = getattr(owner, part, None)
    return owner


def implementation(function: Any) -> Any:
    """What stands for a function or ufunc of NumPy's where tensors are.

    Raises
    ------
    TypeError
        The function is refused: the message says why, and what to do.
    """
    shown = _by_function.get(function)
    if shown is None:
        raise TypeError(refusal(function))
    return shown


def refusal(function: Any) -> str:
    """Why a function of NumPy's is refused."""
    home = (getattr(function, "__module__", None) or "numpy").removeprefix("numpy").lstrip(".")
    return _refusal(f"{home}.{function.__name__}" if home else function.__name__)


def _refusal(name: str) -> str:
    reason = REFUSED.get(name, "it would lose the gradient")
    return f"numpy.{name} does not take tensors: {reason}. For the values alone, pass x.detach().numpy()"


def refused(home: str, name: str) -> Any:
    """What stands for a name that is refused: a function whose call says why.

    Raises
    ------
    AttributeError
        NumPy has no such name, or it is no function.
    """
    full = f"{home}.{name}" if home else name
    original = numpy_object(full)
    if full not in REFUSED:
        raise AttributeError(f"module 'numgrad.numpy{'.' if home else ''}{home}' has no attribute {name!r}")
    if not callable(original) or isinstance(original, type):
        raise AttributeError(f"numgrad.numpy has no {full}: {REFUSED[full]}")

    def call(*args: Any, **kwargs: Any) -> Any:
        raise TypeError(_refusal(full))

    call.__name__ = name
    return call


# ---- the public form --------------------------------------------------------------------------------------------


class _Kinds:
    """Which kinds of tensors a call has."""

    __slots__ = ("arrays", "copies_views", "reads", "tensors", "was_read")

    def __init__(self, reads: bool = False, copies_views: bool = False) -> None:
        self.arrays: list[ndarray] = []
        self.tensors, self.reads, self.copies_views, self.was_read = False, reads, copies_views, False

    def taken(self, value: Any) -> Any:
        """A value with tensors in the place of arrays."""
        if isinstance(value, ndarray):
            self.arrays.append(value)
            if self.reads:
                return operand(value, self.copies_views)
            owner = owner_of(value)
            self.was_read, owner._is_read = owner._is_read, True
            return value.tensor
        if isinstance(value, TensorBase):
            self.tensors = True
        elif value.__class__ is list or value.__class__ is tuple:
            return value.__class__([self.taken(each) for each in value])
        elif value.__class__ is dict:
            return {key: self.taken(each) for key, each in value.items()}
        return value


def wrapped(result: Any, arrays: Sequence[ndarray] = (), derive: Callable[[Tensor], Tensor] | None = None) -> Any:
    """A result with arrays in the place of tensors; ``arrays`` are those that it was computed from, of which it may be a view.

    ``derive`` computes it once more from another tensor in the place of the first array's.
    """
    if isinstance(result, TensorBase):
        memory = result._storage.root
        array = next((each for each in arrays if each.tensor._storage.root is memory), None)
        if array is not None:
            if result is array.tensor:
                return array
            first = derive is not None and array is arrays[0]
            return view_of(array, result, derive if first else functools.partial(_as_strided, like=result))  # type: ignore[arg-type]
        return owned(result) if result._base is None else ndarray(result)  # type: ignore[arg-type]
    if isinstance(result, tuple):
        parts = [wrapped(each, arrays) for each in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if isinstance(result, list):
        return [wrapped(each, arrays) for each in result]
    return result


def _again(function: Callable[..., Any], rest: Sequence[Any], options: dict[str, Any], x: Tensor) -> Tensor:
    return function(x, *rest, **options)  # type: ignore[no-any-return]


def _as_strided(x: Tensor, like: Tensor) -> Tensor:
    """The view of a copied array's memory that ``like`` was of the array's own."""
    return ng.as_strided(x, tuple(like.shape), like.stride(), like.storage_offset())  # type: ignore[no-any-return]


def public_form(
    function: Callable[..., Any], name: str, *, elementwise: bool = False, reads: bool = False, writes: bool = False
) -> Callable[..., Any]:
    """The function as users call it; see `implements`. Where the ``where`` of an elementwise one is False, ``out`` stays."""
    parameters = inspect.signature(function).parameters
    has_out = "out" in parameters
    by_position = has_out and parameters["out"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    place_of_out = list(parameters).index("out") if by_position else None

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        kinds = _Kinds(reads and any(getattr(value, "requires_grad", False) for value in args), elementwise)
        out = kwargs.get("out") if has_out else None
        given: list[Any] = list(args)
        if place_of_out is not None and len(given) > place_of_out:
            out, given[place_of_out] = given[place_of_out], None
        given = [kinds.taken(value) for value in given]
        options = {key: kinds.taken(value) for key, value in kwargs.items() if key != "out" or not has_out}
        if writes and args and isinstance(args[0], ndarray):
            before_write(args[0])
            given[0] = args[0].tensor
        result = function(*given, **options)
        if out is not None:
            mask = options.get("where", True) if elementwise else True
            return _into(result, out, name, kwargs.get("casting", "same_kind"), mask)
        if kinds.tensors and not kinds.arrays:
            return result
        if isinstance(result, TensorBase) and result._base is not None and len(kinds.arrays) == 1:
            owner_of(kinds.arrays[0])._is_read = kinds.was_read  # a view needs no elements
            derive = (
                functools.partial(_again, function, given[1:], options) if args and args[0] is kinds.arrays[0] else None
            )
            return wrapped(result, kinds.arrays, derive)
        return wrapped(result, kinds.arrays)

    home, _, call.__name__ = f"numgrad.numpy.{name}".rpartition(".")
    call.__module__, call.__qualname__ = home, call.__name__  # where pickles find it
    call.__doc__ = function.__doc__ or f"NumPy's ``{name}``."
    return call


def _into(result: Any, out: Any, name: str, casting: str, mask: Any) -> Any:
    """A result written into the ``out`` of a call, which is returned."""
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    if isinstance(out, tuple) and isinstance(result, tuple) and len(out) == len(result):
        return tuple(_into(each, target, name, casting, mask) for each, target in zip(result, out, strict=True))
    if isinstance(out, ndarray):
        overwrite(out, tensor(result), name, casting, mask)
        return out
    return stored(result, out, name, casting, mask)


def by_values(*names: str) -> None:
    """Let NumPy itself compute functions on the numbers of tensors: those whose results are counts, places or truths."""
    for name in names:
        original = numpy_object(name)
        if original is not None:
            add(public_form(_on_values(original), name), name)


def _on_values(original: Any) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        def back(value: Any) -> Any:
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
                return tensor(value if value.dtype.kind != "u" or value.itemsize == 1 else value.astype(np.int64))
            if isinstance(value, (tuple, list)) and any(isinstance(each, np.ndarray) for each in value):
                parts = [back(each) for each in value]
                return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
            return value

        refuse_gradient(original.__name__, kwargs.get("weights"))
        return back(original(*[values_of(v) for v in args], **{key: values_of(v) for key, v in kwargs.items()}))

    function.__doc__ = f"NumPy's `{original.__name__}`, of the numbers: it has no gradient."
    return function
