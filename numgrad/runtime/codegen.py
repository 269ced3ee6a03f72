"""From a declared kernel to object code, by Numba and LLVM. All policy for Numba lives here and in `numba_changes`.

This module imports Numba, so it is imported when something has to be compiled and not before: loading a stored kernel
needs `loader` alone.

Why every option is as it is:

- ``_nrt=False``: a kernel that allocates does not compile. The others are pure machine code without reference counts, which
  can be stored as an object file and loaded by any process on the same kind of CPU.
- ``error_model="numpy"``: a division by zero gives Inf or NaN, and no exception path spoils vectorisation.
- fast-math is ``contract`` alone (fused multiply-add), and ``reassoc`` where a kernel asks for it. Not ``nnan``, ``ninf``:
  NaN and Inf must survive. Not ``arcp``, ``afn``: LLVM then divides by a refined reciprocal estimate, and 1/0 and 1/inf
  become NaN. Not ``nsz``: -0.0 is what NumPy and torch give.
- bounds checks in the debug mode and in kernels that ask for them (those of users): an index out of range sets the launch's
  status word.
"""

from __future__ import annotations

import contextlib
import dis
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import BuiltinFunctionType, ModuleType
from typing import Any, ClassVar

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils  # noqa: F401  (for its side effect on Numba's registries)
from numba.core.compiler_lock import global_compiler_lock
from numba.np.arrayobj import populate_array

from numgrad import config
from numgrad.errors import KernelError
from numgrad.runtime import independent, numba_ir, target
from numgrad.runtime.kernel import (
    BAD_INDEX,
    OUT_OF_BOUNDS,
    Device,
    Intrinsic,
    Kernel,
    Parameter,
    python_function,
    rebound,
    references,
)

WORD = ir.IntType(64)
SYMBOL = "numgrad_entry"  # of the entry, until the object code is made
NUMBA_TYPES = {
    "f4": types.float32,
    "f8": types.float64,
    "i1": types.int8,
    "i2": types.int16,
    "i4": types.int32,
    "i8": types.int64,
    "u1": types.uint8,
    "b1": types.boolean,
}
# Symbols that object code may take from the process: the C library's mathematics and memory functions.
_ALLOWED_SYMBOLS = frozenset(
    name + suffix
    for name in (
        "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs"
        " floor fma fmax fmin fmod hypot ldexp lgamma log log10 log1p log2 nearbyint pow remainder rint round"
        " sin sinh sqrt tan tanh tgamma trunc"
    ).split()
    for suffix in ("", "f")
) | {"memcpy", "memset", "memmove", "bzero", "syscall"}
_CALLED = re.compile(r' call [^\n@]*@("[^"]+"|[-\w.$]+)\(')  # in the text of a module
_ALLOWED_PREFIXES = (
    "llvm.",
    "Py",
    "__ulock",
    "WaitOnAddress",
    "WakeByAddress",
    "__aeabi",
    "__udivti3",
    "__divti3",
    "__chkstk",
)


def options(reassociate: bool = False, checked: bool = False) -> dict[str, Any]:
    """Numba's options for every function that numgrad compiles."""
    return {
        "_nrt": False,
        "nogil": True,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
        "error_model": "numpy",
        "boundscheck": checked or config.checks_indices(),
        "pipeline_class": numba_ir.Pipeline,
        "fastmath": {"contract", "reassoc"} if reassociate else {"contract"},
    }


def compile_native(name: str, function: Callable[..., Any], arity: int, returns: bool, symbol: str) -> bytes:
    """Object code of a function over int64 words, under the given symbol."""
    dispatcher = _Converter(reassociate=False).convert(function)
    compiled = numba_ir.compiled(name, dispatcher, (types.int64,) * arity)
    if returns and compiled.signature.return_type != types.int64:
        raise KernelError(f"native function {name} returns {compiled.signature.return_type}, expected int64")
    return _object_code(name, compiled, _write_native_entry(compiled, returns), symbol)


def compile_kernel(kernel: Kernel, binding: tuple[str, ...], symbol: str) -> bytes:
    """Object code of ``entry(slots, start, stop, worker)`` for one binding of the kernel's type variables."""
    parameters = kernel.bound(binding)
    dispatcher = _Converter(kernel.reassociate, kernel.checked).convert(kernel.py_func)
    span = (types.int64,) * (3 if kernel.takes_worker else 2)
    compiled = numba_ir.compiled(kernel.name, dispatcher, (*map(_numba_type, parameters), *span))
    entry = _write_kernel_entry(compiled, parameters, kernel.checked)
    return _object_code(kernel.name, compiled, entry, symbol, kernel.descends)


def _numba_type(parameter: Parameter) -> Any:
    if parameter.record is not None:
        fields = [_numba_type(field) for field in parameter.fields]
        if len(set(fields)) == 1:
            return types.NamedUniTuple(fields[0], len(fields), parameter.record)
        return types.NamedTuple(fields, parameter.record)
    element = NUMBA_TYPES[parameter.type]
    return types.Array(element, parameter.ndim, "C", readonly=parameter.const) if parameter.ndim else element


# ---- Python functions as Numba sees them ------------------------------------------------------------------------


_MOST_KEPT = 2048  # functions; a program of every op of the library has some 1,200


class _Converter:
    """Turns numgrad's device functions and intrinsics into Numba's, by giving each function new globals.

    Numba looks a name up in the globals of the function that it compiles; the copy made here has Numba's dispatchers
    where the original has numgrad's objects, so that kernels can be declared without importing Numba.

    A device function of numgrad's own is typed and lowered once a process for each kind of arguments, and not for each kernel
    that calls it: its dispatcher is kept, with what its names stood for, and serves as long as they stand for the same.
    Those made inside of a function are the same object for as long as it remembers them (`functools.cache`).
    """

    _kept: ClassVar[dict[tuple[Any, ...], tuple[Any, list[Any], Any]]] = {}

    def __init__(self, reassociate: bool, checked: bool = False) -> None:
        self.flags = reassociate, checked or config.checks_indices(), target.host_target(), target.cpu()
        self.options = options(reassociate, checked)
        self.done: dict[int, Any] = {}

    def convert(self, function: Any) -> Any:
        if id(function) in self.done:
            return self.done[id(function)]
        if isinstance(function, Intrinsic):
            converted = self._kept_or_new(function, lambda: numba.extending.intrinsic(function.py_func))
        else:
            plain = python_function(function)
            assert plain is not None
            if any(instruction.opname == "RAISE_VARARGS" for instruction in dis.get_instructions(plain)):
                raise KernelError(
                    f"kernel {plain.__name__} has a raise or an assert; a kernel reports through its status word"
                )
            converted = self._kept_or_new(plain, lambda: numba.njit(**self.options)(rebound(plain, self._value)))
        self.done[id(function)] = converted
        return converted

    def _kept_or_new(self, function: Any, make: Callable[[], Any]) -> Any:
        meanings = [] if isinstance(function, Intrinsic) else [value for _, value in references(function)]
        if not _is_permanent(function, meanings):
            return make()
        meanings = [self._value(value) for value in meanings]
        key = (id(function), *self.flags)
        _, before, kept = self._kept.get(key, (function, [], None))
        if kept is None or len(before) != len(meanings) or any(map(operator.is_not, before, meanings)):
            kept = make()
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = function, meanings, kept
        return kept

    def _value(self, value: Any) -> Any:
        if isinstance(value, (Device, Kernel)) or (hasattr(value, "py_func") and python_function(value)):
            return self.convert(value)
        return value


def _is_permanent(function: Any, meanings: Sequence[Any]) -> bool:
    """Whether a function is one of numgrad's files, and what it names are things whose identity says what they are."""
    if isinstance(function, Intrinsic):
        return str(function.py_func.__module__).startswith("numgrad.")  # None for one that was written for a loop
    if not str(function.__module__).startswith("numgrad.") or function.__code__.co_filename.startswith("<"):
        return False
    kinds = (Device, bool, int, float, str, type, ModuleType, BuiltinFunctionType)
    return all(isinstance(value, kinds) for value in meanings)


# ---- the entry: from slots to typed arguments -------------------------------------------------------------------
# Written as LLVM IR: as a Python function for Numba it would be a quarter of the functions that are compiled.


def _write_kernel_entry(compiled: Any, parameters: tuple[Parameter, ...], checked: bool) -> ir.Module:
    """``entry(slots, start, stop, worker)``: read each argument out of its slots, call the kernel.

    Word 0 of the slots is the address of the launch's status word; arguments follow in order. A raised error, which can
    only be an index out of bounds, becomes status BAD_INDEX, or OUT_OF_BOUNDS if only the debug mode checks.
    """
    module, entry = _new_entry(4, ir.VoidType())
    builder = ir.IRBuilder(entry.append_basic_block())
    slots = builder.inttoptr(entry.args[0], WORD.as_pointer())
    arguments, word = [], 1
    for parameter in parameters:
        arguments.append(_read(compiled.target_context, builder, slots, word, parameter))
        word += parameter.words
    span = len(compiled.signature.args) - len(parameters)
    code, _ = _call(module, builder, compiled, [*arguments, *entry.args[1 : 1 + span]])
    failed = builder.and_(
        builder.icmp_signed("!=", code, ir.Constant(code.type, 0)),
        builder.icmp_signed("!=", code, ir.Constant(code.type, -2)),  # Numba's code for "returned None"
    )
    with builder.if_then(failed, likely=False):
        status = builder.inttoptr(builder.load(slots), WORD.as_pointer())
        builder.store(ir.Constant(WORD, BAD_INDEX if checked else OUT_OF_BOUNDS), status)
    builder.ret_void()
    return module


def _write_native_entry(compiled: Any, returns: bool) -> ir.Module:
    """The C entry of a function over int64 words."""
    module, entry = _new_entry(len(compiled.signature.args), WORD if returns else ir.VoidType())
    builder = ir.IRBuilder(entry.append_basic_block())
    _, value = _call(module, builder, compiled, entry.args)
    if returns:
        builder.ret(builder.load(value))
    else:
        builder.ret_void()
    return module


def _new_entry(arity: int, result: ir.Type) -> tuple[ir.Module, ir.Function]:
    module = ir.Module(name="entry")
    return module, ir.Function(module, ir.FunctionType(result, [WORD] * arity), SYMBOL)


def _call(module: ir.Module, builder: ir.IRBuilder, compiled: Any, arguments: Sequence[Any]) -> tuple[Any, Any]:
    """Call by Numba's convention: the status code, and a pointer to the result."""
    context, signature = compiled.target_context, compiled.signature
    function_type = context.call_conv.get_function_type(signature.return_type, signature.args)
    callee = ir.Function(module, function_type, compiled.fndesc.llvm_func_name)
    value = builder.alloca(function_type.args[0].pointee)
    error = builder.alloca(function_type.args[1].pointee)
    flat = context.get_arg_packer(signature.args).as_arguments(builder, arguments)
    return builder.call(callee, [value, error, *flat]), value


def _read(context: Any, builder: ir.IRBuilder, slots: Any, first: int, parameter: Parameter) -> Any:
    """The argument that lies in the slots from word ``first`` on."""

    def slot(word: int) -> Any:
        return builder.gep(slots, [ir.Constant(WORD, word)])

    if parameter.record is not None:
        values = []
        for field in parameter.fields:
            values.append(_read(context, builder, slots, first, field))
            first += field.words
        return context.make_tuple(builder, _numba_type(parameter), values)
    element = NUMBA_TYPES[parameter.type]
    stored = context.get_data_type(element)
    if not parameter.ndim:
        value = builder.load(builder.bitcast(slot(first), stored.as_pointer()))
        return context.data_model_manager[element].from_data(builder, value)
    itemsize = ir.Constant(WORD, context.get_abi_sizeof(stored))
    shape = [builder.load(slot(first + 1 + axis)) for axis in range(parameter.ndim)]
    strides = [itemsize]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    array = context.make_array(_numba_type(parameter))(context, builder)
    data = builder.inttoptr(builder.load(slot(first)), array.data.type)
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return array._getvalue()


# ---- LLVM: one module, one exported symbol, object code ---------------------------------------------------------


def _object_code(name: str, compiled: Any, entry: ir.Module, symbol: str, descends: bool = False) -> bytes:
    machine = target.target_machine()
    module = llvm.parse_assembly(str(entry))
    compiled_module = numba_ir.module_of(compiled)
    text = str(compiled_module)
    if independent.MARK in text:
        compiled_module = llvm.parse_assembly(independent.annotated(text))
    module.link_in(compiled_module, preserve=True)
    module.name = name
    # Numba's are the same, unless the target is another kind of machine.
    module.triple, module.data_layout = target.triple(), str(machine.target_data)
    calls = Counter(name.strip('"') for name in _CALLED.findall(text))
    for function in module.functions:
        if not function.is_declaration and function.name != SYMBOL:
            function.linkage = "internal"
            # LLVM would optimise it by itself, put it into its only caller all the same, and optimise it again there.
            if calls[function.name] <= 1:
                function.add_function_attribute("alwaysinline")
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    passes = llvm.create_pass_builder(machine, tuning)
    with global_compiler_lock, _overlaps_asked_in_each_loop() if descends else contextlib.nullcontext():
        passes.getModulePassManager().run(module, passes)
    _refuse_foreign_symbols(name, module)
    # One engine loads all objects, so no two may define the same symbol, not even a local one.
    for index, value in enumerate([*module.functions, *module.global_variables]):
        if not value.is_declaration:
            value.name = symbol if value.name == SYMBOL else f"{symbol}.{index}"
    return bytes(machine.emit_object(module))


@contextlib.contextmanager
def _overlaps_asked_in_each_loop() -> Iterator[None]:
    """Before an innermost loop in vectors LLVM asks whether its arrays overlap.

    By default it asks once for all turns of the loop round it, and takes a loop that goes down for one whose arrays overlap.
    The option is the process's, so Numba's lock has to be held: nobody else compiles meanwhile.
    """
    llvm.set_option("", "-hoist-runtime-checks=false")
    try:
        yield
    finally:
        llvm.set_option("", "-hoist-runtime-checks=true")


def _refuse_foreign_symbols(name: str, module: Any) -> None:
    foreign = [
        function.name
        for function in module.functions
        if function.is_declaration
        and function.name not in _ALLOWED_SYMBOLS
        and not function.name.startswith(_ALLOWED_PREFIXES)
    ]
    if foreign:
        raise KernelError(
            f"kernel {name} needs {', '.join(sorted(foreign))} at run time; a kernel may not allocate, call Python or raise"
        )
