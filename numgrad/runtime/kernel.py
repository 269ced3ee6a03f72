"""Kernels, device functions and intrinsics: declared here without Numba, compiled when first launched.

A **kernel** is a serial function over a range of work: it reads arrays, writes into arrays that it is given, allocates
nothing and returns nothing. Its last parameters are ``start, stop`` (and ``worker``, if it needs scratch memory of its
own)::

    @kernel("T[:], T[:], T[:]")
    def add(x, y, out, start, stop):
        x, y, out = x[start:stop], y[start:stop], out[start:stop]
        for i in range(out.shape[0]):
            out[i] = x[i] + y[i]

The declaration gives a type to every parameter but the range: ``f4 f8 i1 i2 i4 i8 u1 b1`` are NumPy's dtypes, any other
name is a type variable that each launch binds (``T`` above), ``T[:]`` and ``T[:, :]`` are C-contiguous arrays,
``const T[:]`` is one that may only be read, and a bare name is a scalar. Numbers that belong together are one record
(`parameters`)::

    class Steps(NamedTuple):
        row: int
        column: int

    @kernel("T[:], T[:], Steps", Steps)
    def copy(x, out, steps, start, stop): ...

The author never sees how arguments travel: `codegen` writes the entry from the declaration.

A **device function** is a helper that kernels call; an **intrinsic** emits LLVM IR for one.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import opcode
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from numgrad.errors import KernelError
from numgrad.runtime import locks
from numgrad.runtime.parameters import SCALAR_TYPES, Parameter, declared_parameters

# Held while code is compiled or loaded; one lock for all, as in LLVM and Numba.
building = locks.awaited()
# In a process that only rehearses (`helpers`), the jobs that a real run would compile: nothing is compiled, nothing runs,
# and every address is `NO_ADDRESS`. None everywhere else.
rehearsal: list[Any] | None = None
NO_ADDRESS = 1


def nobody(recipe: str, **facts: Any) -> None:
    """Take no note of what is foreseen."""


# Called with a recipe that may be needed later, 'module:function', and what it gets; tells a process that compiles ahead (`ahead`).
foreseen: Callable[..., None] = nobody
OUT_OF_BOUNDS = -1  # status after an index error in the debug mode
BAD_INDEX = -2  # status after one in a kernel that always checks its indices


class Device:
    """A helper function that kernels may call. Called from Python it runs as Python."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any) -> Any:
        return self.py_func(*args)

    def __repr__(self) -> str:
        return f"<numgrad device function {self.__name__}>"


class Intrinsic(Device):
    """A device function written as LLVM IR; ``emit`` has the form that ``numba.extending.intrinsic`` takes.

    ``reference``, if there is one (see `in_python`), computes the same in Python.
    """

    def __init__(self, emit: Callable[..., Any], reference: Callable[..., Any] | None = None) -> None:
        super().__init__(emit)
        self.reference = reference

    def in_python(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the reference: the intrinsic's computation on NumPy's numbers."""
        self.reference = function
        return function

    def __call__(self, *args: Any) -> Any:
        if self.reference is None:
            raise KernelError(f"{self.__name__}: an intrinsic has no Python form; call it inside a kernel")
        return self.reference(*args)


def device(function: Callable[..., Any]) -> Device:
    """Declare a helper function for kernels."""
    return Device(function)


def intrinsic(emit: Callable[..., Any]) -> Intrinsic:
    """Declare a device function that emits LLVM IR: ``emit(typing_context, *types) -> (signature, codegen)``."""
    return Intrinsic(emit)


class Native:
    """A function compiled with the C calling convention over int64 words: the base of kernels and of the pool.

    ``address()`` compiles it, or loads it from the store of compiled kernels, once per process.
    """

    def __init__(self, function: Callable[..., Any], arity: int, returns: bool) -> None:
        self.py_func = function
        self.name = function.__name__
        self.arity = arity
        self.returns = returns
        self._address = 0
        self._job: Any = None

    def address(self) -> int:
        """The function's address in this process."""
        if not self._address:
            with building:
                if not self._address:
                    from numgrad.runtime.build import build

                    self._address = build(self.job())
        return self._address

    def job(self) -> Any:
        """The job for `build`; taking the fingerprint lasts some milliseconds."""
        if self._job is None:
            from numgrad.runtime.build import native_job

            self._job = native_job(self.name, self.py_func, self.arity, self.returns)
        return self._job


def native(arity: int, returns: bool = False) -> Callable[[Callable[..., Any]], Native]:
    """Declare a function of ``arity`` int64 words that returns one (``returns``) or none, callable from C."""
    return lambda function: Native(function, arity, returns)


class Kernel:
    """A declared kernel; `entry` gives the machine code for one binding of its type variables."""

    def __init__(
        self,
        function: Callable[..., Any],
        declaration: str,
        records: Sequence[type] = (),
        reassociate: bool = False,
        checked: bool = False,
        descends: bool = False,
        forks: bool = False,
    ) -> None:
        self.py_func = function
        self.name = function.__name__
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.reassociate = reassociate
        self.checked = checked  # each index, whose error is the status BAD_INDEX
        self.forks = forks  # it has regions of its own, so that a launch needs the pool's workers also for one chunk
        self.descends = descends  # its outer loops go down, which LLVM has to be told
        self.parameters, self.takes_worker = declared_parameters(function, declaration, records)
        open_types = [p.type for p in self.parameters if p.record is None and p.type not in SCALAR_TYPES]
        self.variables = tuple(dict.fromkeys(open_types))
        self._entries: dict[tuple[str, ...], int] = {}
        self._bound: dict[tuple[str, ...], tuple[Parameter, ...]] = {}

    def entry(self, binding: tuple[str, ...] = ()) -> int:
        """Address of the entry whose type variables are bound, in the order of `variables`, to ``binding``."""
        address = self._entries.get(binding)
        if address is None:
            with building:
                address = self._entries.get(binding)
                if address is None:
                    from numgrad.runtime.build import build_kernel

                    address = self._entries[binding] = build_kernel(self, binding)
        return address

    def bound(self, binding: tuple[str, ...]) -> tuple[Parameter, ...]:
        """The parameters with type variables replaced."""
        bound = self._bound.get(binding)
        if bound is None:
            table = dict(zip(self.variables, binding, strict=True))
            bound = self._bound[binding] = tuple(parameter.bound(table) for parameter in self.parameters)
        return bound

    def __call__(self, *args: Any) -> None:
        """Run the kernel as plain Python over NumPy arrays: the way to step through it in a debugger."""
        self.py_func(*args)

    def __repr__(self) -> str:
        return f"<numgrad kernel {self.name}>"


def kernel(declaration: str, *records: type, reassociate: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel (see the module's text).

    ``records`` are the classes whose names the declaration uses (see `parameters`).
    ``reassociate`` lets LLVM reorder sums, which a floating-point reduction needs to be vectorised; NaN and Inf survive
    either way.

    Raises
    ------
    KernelError
        The declaration does not fit the function's parameters.
    """
    return lambda function: Kernel(function, declaration, records, reassociate)


# ---- fingerprints: everything that a function's machine code depends on -----------------------------------------------


def fingerprint(function: Callable[..., Any]) -> str:
    """Hash of everything that the code compiled from ``function`` depends on, callees in other files included.

    Raises
    ------
    KernelError
        The function reads a global whose value cannot be hashed (so its machine code must not be stored).
    """
    hashed = Fingerprint()
    hashed.add(function)
    return hashed.digest.hexdigest()


def references(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Names and values of the globals and closure cells that a function's code reads, nested code included.

    For a module of numgrad's, its device functions that the code may read follow, under a dotted name.
    """
    names: set[str] = set()
    words: set[str] = set()  # attributes, and others
    for code in nested_codes(function.__code__):
        names.update(_loaded_globals(code))
        words.update(code.co_names)
    for name in sorted(names):
        if name in function.__globals__:
            value = function.__globals__[name]
            yield name, value
            if is_vocabulary(value):
                for word in sorted(words):
                    if isinstance(getattr(value, word, None), Device):
                        yield f"{name}.{word}", getattr(value, word)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents


def rebound(function: types.FunctionType, replace: Callable[[Any], Any]) -> types.FunctionType:
    """A copy of the function for which ``replace(value)`` stands for each global and closure cell that its code reads.

    A module of numgrad's is replaced by one that has its device functions alone, replaced.
    """
    replaced: dict[str, Any] = {}
    for name, value in references(function):
        module, dot, word = name.partition(".")
        if dot:
            setattr(replaced[module], word, replace(value))
        else:
            replaced[name] = types.ModuleType(name) if is_vocabulary(value) else replace(value)
    cells = tuple(types.CellType(replaced[name]) for name in function.__code__.co_freevars)
    names = {**function.__globals__, **replaced}
    copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


_LOAD_GLOBAL, _EXTENDED_ARG = opcode.opmap["LOAD_GLOBAL"], opcode.EXTENDED_ARG


@functools.cache
def _loaded_globals(code: types.CodeType) -> frozenset[str]:
    """Names that the code loads as globals; `dis` finds the same in ten times the time."""
    names = set()
    argument = 0
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument |= low
        if operation == _LOAD_GLOBAL:
            names.add(code.co_names[argument >> 1])  # the lowest bit has another meaning
        argument = argument << 8 if operation == _EXTENDED_ARG else 0
    return frozenset(names)


def frozen(function: types.FunctionType, memo: dict[int, Any] | None = None) -> types.FunctionType:
    """A copy of the function, and of all functions that it calls, with globals and closures as they are now.

    Its kernels for several dtypes are compiled one after the other, and must agree. Plain functions that it calls become
    device functions.

    Raises
    ------
    KernelError
        It refers to a name that is not defined.
    """
    memo = {} if memo is None else memo
    code, names = function.__code__, {"__builtins__": function.__globals__.get("__builtins__", builtins)}
    cells = tuple(types.CellType() for _ in code.co_freevars)
    memo[id(function)] = frozen_copy = types.FunctionType(code, names, function.__name__, function.__defaults__, cells)
    for attribute in ("__kwdefaults__", "__doc__", "__module__"):
        setattr(frozen_copy, attribute, getattr(function, attribute))
    nested = tuple(nested_codes(code))
    words = {word for each in nested for word in each.co_names}
    for name in sorted({name for each in nested for name in _loaded_globals(each)}):
        if name in function.__globals__:
            names[name] = _frozen_value(function.__globals__[name], words, memo)
        elif not hasattr(builtins, name):
            raise KernelError(f"{function.__name__} refers to {name}, which is not defined")
    for name, cell, copy in zip(code.co_freevars, function.__closure__ or (), cells, strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            raise KernelError(f"{function.__name__} refers to {name}, which is not defined yet") from None
        copy.cell_contents = _frozen_value(value, words, memo)
    return frozen_copy


def _frozen_value(value: Any, words: set[str], memo: dict[int, Any]) -> Any:
    if isinstance(value, (Intrinsic, Kernel)) or (isinstance(value, Device) and _is_ours(value.py_func)):
        return value
    plain = python_function(value)
    if plain is not None:
        return Device(memo[id(plain)] if id(plain) in memo else frozen(plain, memo))
    if isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] not in _KNOWN_MODULES:
        copy = types.ModuleType(value.__name__)
        for word in sorted(words):
            if hasattr(value, word):
                setattr(copy, word, _frozen_value(getattr(value, word), words, memo))
        return copy
    return value.copy() if type(value).__module__ == "numpy" and hasattr(value, "copy") else value


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("numgrad.")


def nested_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code and that of the functions in it."""
    stack = [code]
    while stack:
        code = stack.pop()
        yield code
        stack.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))


def is_vocabulary(value: Any) -> bool:
    """Whether it is one of numgrad's modules: a kernel may name their device functions as ``module.word``."""
    return isinstance(value, types.ModuleType) and value.__name__.startswith("numgrad.")


def python_function(value: Any) -> types.FunctionType | None:
    """The plain function behind a device function, a kernel or a Numba dispatcher; None for anything else."""
    inner = getattr(value, "py_func", value)
    return inner if isinstance(inner, types.FunctionType) else None


# Modules whose attributes a kernel may read: their versions are in the key, or (numgrad's own) `references` lists them.
_KNOWN_MODULES = sys.stdlib_module_names | {"llvmlite", "numba", "numgrad", "numpy"}


@functools.cache
def _code_text(code: types.CodeType) -> bytes:
    parts = [
        code.co_code,
        repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount)).encode(),
        *[
            _code_text(constant)
            if isinstance(constant, types.CodeType)
            else f"{type(constant).__name__} {constant!r};".encode()
            for constant in code.co_consts
        ],
    ]
    return b"".join(parts)


@dataclass
class Fingerprint:
    """How `fingerprint` hashes what a kernel is made of: functions by their byte code, and modules of others with versions."""

    digest: Any = field(default_factory=hashlib.sha256)
    seen: set[int] = field(default_factory=set)
    code_text: ClassVar[Any] = staticmethod(_code_text)  # what stands for a function's code
    class_text: ClassVar[Any] = None  # what stands for a class, if its members do not
    has_versions: ClassVar[bool] = True

    def add(self, value: Any) -> None:
        """Add a value that a kernel refers to."""
        digest = self.digest
        function = python_function(value)
        if function is not None:
            digest.update(f"function {type(value).__name__} {function.__name__};".encode())
            if id(function) not in self.seen:
                self.seen.add(id(function))
                digest.update(self.code_text(function.__code__))
                self.add((function.__defaults__, sorted((function.__kwdefaults__ or {}).items())))
                for name, referred in references(function):
                    digest.update(f"{name}=".encode())
                    self.add(referred)
        elif isinstance(value, types.ModuleType):
            if value.__name__.partition(".")[0] not in _KNOWN_MODULES:
                raise KernelError(
                    f"a kernel refers to the module {value.__name__}; import the names that it needs instead"
                )
            version = getattr(value, "__version__", "") if self.has_versions else ""
            digest.update(f"module {value.__name__} {version};".encode())
        elif isinstance(value, (tuple, list)):
            digest.update(f"{type(value).__name__} {len(value)};".encode())
            for item in value:
                self.add(item)
        elif isinstance(value, type):
            digest.update(f"class {value!r};".encode())
            if id(value) not in self.seen and value.__module__.partition(".")[0] not in _KNOWN_MODULES - {"numgrad"}:
                self.seen.add(id(value))
                self.add(value.__bases__)
                if self.class_text is not None:
                    digest.update(self.class_text(value))
                    return
                for name, member in sorted(vars(value).items()):  # an intrinsic may use a class to write its IR
                    if python_function(member) is not None:
                        digest.update(f"{name}=".encode())
                        self.add(member)
        elif isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
            digest.update(f"{type(value).__name__} {value!r};".encode())
        elif type(value).__module__.startswith("numpy") or hasattr(value, "dtype"):
            digest.update(f"numpy {getattr(value, 'dtype', '')} {getattr(value, 'shape', '')} ".encode())
            digest.update(value.tobytes() if hasattr(value, "tobytes") else repr(value).encode())
        elif callable(value) and hasattr(value, "__qualname__"):
            digest.update(f"builtin {value.__module__}.{value.__qualname__};".encode())
        else:
            raise KernelError(f"a kernel refers to {value!r}, which cannot become part of a stored kernel's key")
