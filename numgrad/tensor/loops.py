"""`differentiable`: an ordinary function with loops over arrays and numbers as an op on the tape."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float64, from_numpy_dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import check_in_place
from numgrad.errors import DtypeError, OutOfRangeError, TapeError
from numgrad.loops import randomness
from numgrad.loops.scope import Surroundings
from numgrad.loops.sweeps import Kind
from numgrad.loops.vocabulary import declare_rule, safe_names
from numgrad.ops.elementwise import clone
from numgrad.ops.loops import Case, Program
from numgrad.runtime.kernel import python_function
from numgrad.tensor import creation
from numgrad.tensor.in_place import copy_
from numgrad.tensor.tensor import Tensor

_MOST_PROGRAMS = 1 << 10


class differentiable:  # noqa: N801 (a decorator)
    """An ordinary function with loops, branches and arrays as a differentiable op: its gradients are derived from its text.

    The function takes arrays and numbers, as one writes for Numba. It returns numbers or arrays that it makes, or a tuple of
    them, and it may change arrays that it is given.

    - With a tensor among the arguments it is an op on the tape. Tensors without dimensions are numbers. Python's floats and
      NumPy's arrays are constants; integers and bools are parameters that need no gradient. What it returns are tensors. A
      tensor that it changes is changed in place, by the rules of all changes in place.
    - With arrays of NumPy's and numbers alone it computes the same, without a gradient, and returns arrays and numbers.
    - float32 is computed in float64. A number that is returned is as wide as the widest tensor or array of floating point; an
      array has the dtype that the text gives it: ``np.zeros(n)`` is float64, ``np.zeros_like(x)`` and ``x.copy()`` are as x.
    - In another differentiable function it is a helper.
    - ``numba.prange`` is run by all threads where its turns are shown to be independent, with the same bits for any number of
      threads; `report` says where, and why not elsewhere.

    Second derivatives, forward mode and `func.vmap` work as for other ops: a batch is a loop over examples in compiled code,
    on all threads.

    Parameters
    ----------
    function
        Written in Python, plain or decorated by ``numba.njit``. Its globals and closures keep the values that they have when
        it is first called, arrays their elements.
    checkpoint
        The variable of a loop of the function's own level, or several, whose tape is made in parts; ``"while"`` stands for loops
        with a condition. The state of the loop is kept before some of its turns, and the others are run again: less memory, for
        one more forward. As many states are kept as the square root of the turns. With a number, as ``{"t": 8}``, so many are
        kept, and as many more while the backward runs; the fewest turns that this allows are run again (the binomial
        schedule). Without ``checkpoint``, a tape that would be larger than NUMGRAD_TAPE_MB is made in
        parts, by the square root or else with as many states as fit.
    checked
        Whether each index is checked (a wrong one raises IndexError). If not, it reads or writes foreign memory.

    Raises
    ------
    TranslationError
        When it is called: the function does something that has no derivative or cannot be read; by function, line and text.
    TypeError
        An argument is neither a tensor nor an array nor a number, or arguments do not fit the parameters.
    ValueError
        Two arguments share memory, and one of them is changed.
    IndexError
        An index is out of range; the message names function and line. Nothing was changed.
    TapeError
        What has to be recorded for the backward is larger than NUMGRAD_TAPE_MB, also in parts. Nothing was changed.

    >>> import numgrad as ng
    >>> @ng.differentiable
    ... def newton(x, steps):
    ...     y = x
    ...     for i in range(steps):
    ...         y = 0.5 * (y + x / y)
    ...     return y
    >>> x = ng.tensor(2.0, requires_grad=True)
    >>> y = newton(x, 6)
    >>> y.backward()
    >>> round(y.item(), 4), round(x.grad.item(), 4)
    (1.4142, 0.3536)
    """

    def __new__(cls, function: Any = None, **options: Any) -> Any:
        """A differentiable function; without a function, a decorator with these options."""
        return functools.partial(cls, **options) if function is None else object.__new__(cls)

    def __init__(
        self, function: Callable[..., Any], *, checkpoint: str | Sequence[str] | Mapping[str, int | None] = (),
        checked: bool = True,
    ) -> None:  # fmt: skip
        plain = python_function(function)
        if plain is None:
            raise TypeError(
                f"differentiable: got {function!r}, expected a function written in Python, plain or by numba.njit"
            )
        self.py_func = plain
        self.checkpoint = _checkpoints(plain.__name__, checkpoint)
        self.checked = bool(checked)
        self._signature = inspect.signature(plain)
        self._names = safe_names(tuple(self._signature.parameters))
        strange = [
            name for name, each in self._signature.parameters.items()
            if each.kind not in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]  # fmt: skip
        if strange:
            raise TypeError(
                f"differentiable: {plain.__name__} has the parameters {strange}, expected each by its name and place"
            )
        if hidden := [name for name in self._signature.parameters if name.startswith("_")]:
            raise TypeError(
                f"differentiable: {plain.__name__} has the parameters {hidden}, expected names that begin with a letter"
            )
        self._programs: dict[tuple[Any, ...], _Bound] = {}
        self._surroundings = Surroundings()
        functools.update_wrapper(self, plain)

    @staticmethod
    def rule(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare the partial derivatives of a function of numbers whose own text is not read: a decorator.

        What is decorated takes the same numbers and returns the slope, or a tuple with one for each of several numbers. Both
        functions are compiled where differentiable functions call the first; a rule holds for all that are translated after it.

        >>> import numgrad as ng
        >>> import numpy as np
        >>> def softplus(x):
        ...     return np.logaddexp(0.0, x)
        >>> @ng.differentiable.rule(softplus)
        ... def slope(x):
        ...     return 1.0 / (1.0 + np.exp(-x))
        >>> f = ng.differentiable(lambda x: softplus(x) ** 2)
        >>> x = ng.tensor(0.0, requires_grad=True)
        >>> f(x).backward()
        >>> round(x.grad.item(), 4)
        0.6931
        """

        def declare(slopes: Callable[..., Any]) -> Callable[..., Any]:
            declare_rule(function, slopes)
            return slopes

        return declare

    # Random numbers of a seed and a counter, for use inside of functions: the reverse finds them again without a tape.
    uniform = staticmethod(randomness.uniform)
    normal = staticmethod(randomness.normal)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        values = self._values(args, kwargs)
        return self._bound(values).call(values)

    def source(self, /, *args: Any, **kwargs: Any) -> str:
        """The sweeps that are made for such arguments, as Python's text: forward, the forward that records, and the reverse.

        >>> import numgrad as ng
        >>> @ng.differentiable
        ... def cubed(x):
        ...     return x * x * x
        >>> "def " in cubed.source(ng.tensor(2.0, requires_grad=True))
        True
        """
        values = self._values(args, kwargs)
        sweeps = self._bound(values).program.sweeps(self._needs(values))
        return "\n\n".join([each.text for each in (sweeps.plain, sweeps.record, sweeps.reverse)])

    def report(self, /, *args: Any, **kwargs: Any) -> str:
        """What is recorded for such arguments, what is computed again, and why; and the bytes of the tape.

        >>> import numgrad as ng
        >>> @ng.differentiable
        ... def cubed(x):
        ...     return x * x * x
        >>> "tape" in cubed.report(ng.tensor(2.0, requires_grad=True))
        True
        """
        values = self._values(args, kwargs)
        bound, needs = self._bound(values), self._needs(values)
        lines = [bound.program.sweeps(needs).report.rstrip(), *bound.tape(values, needs)]
        return "\n".join([line for line in lines if line])

    def _needs(self, values: tuple[Any, ...]) -> tuple[str, ...]:
        """The arguments whose gradients are looked at: those that require one, or else all that might."""
        bound = self._bound(values)
        needs = tuple([
            name for name, value in zip(self._names, values, strict=True)
            if isinstance(value, TensorBase) and value.requires_grad  # type: ignore[attr-defined]
        ])  # fmt: skip
        reals = [name for name, kind in zip(self._names, bound.program.kinds, strict=True) if kind.is_real]
        return needs or tuple(reals)

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments by the places of the parameters."""
        if not kwargs and len(args) == len(self._names):
            return args
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.py_func.__name__}() {error}") from None
        bound.apply_defaults()
        return bound.args

    def _bound(self, values: tuple[Any, ...]) -> _Bound:
        key = tuple([_key(value) for value in values])
        bound = self._programs.get(key)
        if bound is None:
            if len(self._programs) >= _MOST_PROGRAMS:
                self._programs.clear()
            bound = self._programs.setdefault(key, _Bound(self, values))
        return bound

    # ---- a function among others ---------------------------------------------------------------------------------

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<numgrad differentiable function {self.py_func.__qualname__}>"

    def __copy__(self) -> differentiable:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> differentiable:
        return self

    def __reduce__(self) -> Any:
        value: Any = sys.modules.get(self.py_func.__module__)
        for name in self.py_func.__qualname__.split("."):
            value = getattr(value, name, None)
        if value is self:
            return self.py_func.__qualname__
        return _rebuilt, (self.py_func, self.checkpoint, self.checked)


def _checkpoints(name: str, given: Any) -> dict[str, int | None]:
    """The loops whose tapes are made in parts, with their numbers of snapshots; None for the square root of the turns."""
    loops = (
        {given: None} if isinstance(given, str) else dict(given if isinstance(given, Mapping) else dict.fromkeys(given))
    )
    for loop, snapshots in loops.items():
        if not isinstance(loop, str) or not (snapshots is None or type(snapshots) is int):
            raise TypeError(
                f"differentiable: {name} has checkpoint={given!r}, expected variables of loops, or a dict of them with ints"
            )
        if snapshots is not None and not 1 <= snapshots <= 1 << 20:
            raise ValueError(
                f"differentiable: {name} has checkpoint={given!r}, expected 1 to {1 << 20} snapshots of the loop over {loop}"
            )
    return loops


def _rebuilt(function: Any, checkpoint: dict[str, int | None], checked: bool) -> differentiable:
    rebuilt: differentiable = differentiable(function, checkpoint=checkpoint, checked=checked)
    return rebuilt


def _key(value: Any) -> Any:
    """What the translation depends on."""
    if isinstance(value, TensorBase):
        spec = value._spec
        return Tensor, spec.dtype, spec.ndim
    kind = value.__class__
    if kind is float or kind is int or kind is bool:
        return kind
    if isinstance(value, np.ndarray):
        return kind, value.dtype, value.ndim
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return kind
    try:
        hash(value)
    except TypeError:
        return kind, id(value)  # refused
    return kind, value


class _Bound:
    """A differentiable function for arguments of given kinds."""

    def __init__(self, owner: differentiable, values: tuple[Any, ...]) -> None:
        self.owner, self.name = owner, owner.py_func.__name__
        self.names = owner._names
        self.is_on_tape = any(isinstance(value, TensorBase) for value in values)
        dtypes = [self._dtype_of(name, value) for name, value in zip(self.names, values, strict=True)]
        reals = [each for each in dtypes if each is not None and each.is_floating_point]
        self.weak = max(reals, key=lambda each: each.rank) if reals else float64
        kinds = [
            self._kind(name, value, each)
            for name, value, each in zip(self.names, values, dtypes, strict=True)
        ]  # fmt: skip
        self.program = Program(
            owner.py_func, self.names, kinds, owner.checked, owner.checkpoint, _is_recorded, owner._surroundings
        )
        self._inputs = [self.names.index(name) for name in self.program.tensors]
        self._numbers = [self.names.index(name) for name in self.program.numbers]

    def _dtype_of(self, name: str, value: Any) -> Dtype | None:
        """The dtype of a tensor or an array."""
        if isinstance(value, TensorBase):
            dtype = value._spec.dtype
        elif isinstance(value, np.ndarray):
            dtype = from_numpy_dtype(value.dtype)
        else:
            return None
        if dtype.is_half:
            raise DtypeError(
                f"\"{self.name}\" not implemented for '{dtype.torch_name}' ({name}); convert with .float() first"
            )
        return dtype

    def _kind(self, name: str, value: Any, dtype: Dtype | None) -> Kind:
        if dtype is not None:
            ndim = value._spec.ndim if isinstance(value, TensorBase) else value.ndim
            if ndim or dtype.is_floating_point:
                return Kind(dtype.code, ndim)
            return Kind("i8" if dtype.category else "b1")
        if isinstance(value, (bool, np.bool_)):
            return Kind("b1")
        if isinstance(value, (int, np.integer)):
            return Kind("i8")
        if isinstance(value, (float, np.floating)):
            return Kind(self.weak.code)
        if _is_constant(value):
            return Kind("", 0, value, True)
        raise TypeError(
            f"{self.name}: {name} is {type(value).__name__}, expected a tensor, an array of NumPy's or a number; pass the parts of "
            "an object one by one"
        )

    # ---- a call --------------------------------------------------------------------------------------------------

    def call(self, values: tuple[Any, ...]) -> Any:
        """The results for arguments of these kinds."""
        program = self.program
        inputs = [values[position] for position in self._inputs]
        needs: tuple[str, ...] = ()
        if self.is_on_tape and modes.grad_enabled:
            needs = tuple([
                name for name, each in zip(program.tensors, inputs, strict=True)
                if isinstance(each, Tensor) and each.requires_grad and each._spec.dtype.is_floating_point
            ])  # fmt: skip
        changed = program.op(needs).changed
        if changed:
            self._check_changes(changed, dict(zip(self.names, values, strict=True)))
        targets = {}
        for number, value in enumerate(inputs):
            name = program.tensors[number]
            if not isinstance(value, TensorBase):
                inputs[number] = value = self._as_tensor(value, bool(needs), name in changed)
            if name in changed:
                targets[name] = value
                if needs:
                    inputs[number] = clone(value)
        case = Case(tuple([self._number(values[position]) for position in self._numbers]))
        try:
            op, results = self._applied(needs, inputs, case)
        except OutOfRangeError as error:
            raise OutOfRangeError(f"{error}{program.op(needs).place_of_index(inputs, case)}") from None
        for name, result in op.last_contents(results):
            copy_(targets[name], result)
        returned = results[: op.returned]
        if not self.is_on_tape:
            returned = tuple([
                each.item() if is_number else each.numpy()
                for each, is_number in zip(returned, op.are_numbers, strict=False)
            ])  # fmt: skip
        return returned if op.is_tuple else returned[0] if returned else None

    def _applied(self, needs: tuple[str, ...], inputs: Sequence[Any], case: Case) -> tuple[Any, tuple[Any, ...]]:
        """The results, and the op that gave them: its tape is made in parts where a whole one would be beyond the limit."""
        op = self.program.op(needs)
        try:
            return op, op.apply(inputs, case)
        except TapeError as error:
            beyond = error
        for program in self.program.in_parts():
            op = program.op(needs)
            try:
                return op, op.apply(inputs, case)
            except TapeError as error:
                beyond = error
        raise beyond

    def _as_tensor(self, value: Any, is_saved: bool, is_changed: bool) -> Tensor:
        """An argument that is no tensor as one; an array that a backward will read is copied, since anybody may change it."""
        if not isinstance(value, np.ndarray):
            return constant(float(value), self.weak)  # type: ignore[return-value]
        if is_changed:
            return creation.from_numpy(value)  # type: ignore[no-any-return]
        return creation.tensor(value) if is_saved else creation.as_tensor(value)  # type: ignore[no-any-return]

    def _number(self, value: Any) -> Any:
        if isinstance(value, (Tensor, np.ndarray, np.generic)):
            value = value.item()
        if not -(1 << 63) <= value < 1 << 63:
            raise OverflowError(f"{self.name}: got {value}, expected an int of 64 bits")
        return value

    def _check_changes(self, changed: Sequence[str], values: dict[str, Any]) -> None:
        """Refuse changes that would be seen through another argument, or that autograd cannot follow."""
        tensors = [each for each in values.values() if isinstance(each, TensorBase)]
        for name in changed:
            value = values[name]
            for other, each in values.items():
                if other != name and _overlap(value, each):
                    raise ValueError(
                        f"{self.name}: it changes {name}, which shares memory with {other}; pass a clone() of one of them"
                    )
            if isinstance(value, TensorBase):
                check_in_place(self.name, value, [each for each in tensors if each is not value])
            elif isinstance(value, np.ndarray) and self.is_on_tape and value.dtype.kind == "f":
                raise TypeError(
                    f"{self.name}: it changes {name}, an array of NumPy's, which has no gradient; pass a tensor"
                )

    def tape(self, values: tuple[Any, ...], needs: tuple[str, ...]) -> list[str]:
        """Lines about the memory that a call records."""
        op = self.program.op(needs)
        inputs = [values[position] for position in self._inputs]
        tensors = [each if isinstance(each, TensorBase) else self._as_tensor(each, False, False) for each in inputs]
        numbers = tuple([self._number(values[position]) for position in self._numbers])
        case = Case(numbers)
        sizes = op.block_sizes(tensors, case)
        lines = [f"{name}: {count} elements, {nbytes} bytes" for name, (count, nbytes) in sizes.items()]
        total = sum([nbytes for _, nbytes in sizes.values()])
        return [*lines, f"tape: {total} bytes", *op.checkpoints(tensors, case)]


def _is_constant(value: Any) -> bool:
    """Whether an argument becomes part of the text: None, a text, or a tuple of these and of numbers."""
    if isinstance(value, tuple):
        return all(_is_constant(each) or isinstance(each, (int, float)) for each in value)
    return value is None or isinstance(value, str)


def _is_recorded() -> bool:
    """Whether what is computed now may be differentiated: by a graph that is recorded, or by tangents."""
    return modes.grad_enabled or modes.forward is not None


def _overlap(one: Any, other: Any) -> bool:
    """Whether two arguments may share memory."""
    spans = []
    for each in (one, other):
        if isinstance(each, TensorBase):
            while hasattr(each, "payload"):  # of a batch
                each = each.payload
            begin = each._address
            spans.append((begin, begin + each._spec.extent * each._spec.dtype.itemsize))
        elif isinstance(each, np.ndarray):
            spans.append(np.lib.array_utils.byte_bounds(each) if each.size else (0, 0))
        else:
            return False
    (begin, end), (other_begin, other_end) = spans
    return begin < other_end and other_begin < end
