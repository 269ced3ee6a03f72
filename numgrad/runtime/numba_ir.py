"""LLVM IR of a function, by Numba's typing and lowering, and nothing that Numba does besides.

A first run spends most of its time here. What is left out does nothing to a kernel: the machine code is the same to the
last byte. This module imports Numba, as `codegen` does.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from typing import Any

import numba
from numba.core import compiler, lowering, postproc, transforms
from numba.core.targetconfig import ConfigStack
from numba.core.types.functions import BaseFunction

from numgrad.errors import KernelError
from numgrad.runtime import target

# Passes of Numba's that do nothing to a function without closures, `with`, `literally`, array expressions and raises.
_NEEDLESS_PASSES = frozenset(
    "WithLifting InlineClosureLikes RewriteDynamicRaises MakeFunctionToJitFunction InlineInlinables FindLiterallyCalls"
    " LiteralUnroll LiteralPropagationSubPipelinePass NopythonRewrites AnnotateTypes DumpParforDiagnostics".split()
)

# What Numba's variables (NUMBA_BOUNDSCHECK and so on) would change in a kernel, though not in its key in the store. A
# dump of LLVM IR is taken before the fast-math flags are put in, and llvmlite then goes on with the dump's text.
_SETTINGS: dict[str, Any] = {
    "BOUNDSCHECK": None, "DEBUGINFO_DEFAULT": 0, "EXTEND_VARIABLE_LIFETIMES": 0, "DUMP_LLVM": 0,
}  # fmt: skip


class _Passes(compiler.PassManager):
    """A pass manager that runs passes: no analysis of the whole function after each, no events, no times."""

    _ENFORCING = False

    def _runPass(self, index: int, one: Any, state: Any) -> None:  # noqa: N802 (Numba's name)
        one.analysis = self._analysis
        one.run_initialization(state)
        one.run_pass(state)
        one.run_finalizer(state)


class Pipeline(compiler.CompilerBase):
    """Numba's pipeline without what kernels have no use for."""

    def define_pipelines(self) -> list[compiler.PassManager]:
        passes = _Passes("numgrad")
        whole = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state).passes
        passes.passes = [entry for entry in whole if entry[0].__name__ not in _NEEDLESS_PASSES]
        passes.finalize()
        return [passes]


def compiled(name: str, dispatcher: Any, argument_types: tuple[Any, ...]) -> Any:
    """What Numba makes of a function; its library holds the LLVM IR.

    Raises
    ------
    KernelError
        It does not compile.
    """
    target.apply_to_numba(numba.config)
    if numba.config.DISABLE_JIT:
        raise KernelError(
            f"kernel {name} cannot be compiled: the environment variable NUMBA_DISABLE_JIT is "
            f"{os.environ.get('NUMBA_DISABLE_JIT', 'set by a program')!r}, expected 0 or nothing at all. To step "
            "through a kernel, call it: it is a Python function over NumPy arrays"
        )
    try:
        with _ir_only():
            dispatcher.compile(argument_types)
    except numba.core.errors.NumbaError as error:
        raise KernelError(f"kernel {name} does not compile: {error}") from error
    return dispatcher.overloads[argument_types]


@contextlib.contextmanager
def _ir_only() -> Iterator[None]:
    """While this lasts, Numba makes LLVM IR and no more, with the stand-ins below for some of its methods.

    Numba's own lock keeps other threads' compilations out. The garbage collector rests: it would look through Numba's
    many small objects again and again, for 8% of the time, and they are no garbage yet.
    """
    library, whole = numba.core.codegen.JITCodeLibrary, numba.core.codegen.JITCPUCodegen
    stand_ins = {
        # By itself Numba would optimise each function twice and turn each into machine code that nobody calls, which is
        # more than half of the time; `codegen` optimises the whole module once.
        (library, "_optimize_functions"): lambda library, module: setattr(
            module, "data_layout", library._codegen._data_layout
        ),
        (library, "_optimize_final_module"): lambda library: None,
        (library, "_finalize_final_module"): lambda library: setattr(library, "_finalized", True),
        (library, "get_pointer_to_function"): lambda library, name: library._ensure_finalized() or 0,
        (whole, "set_env"): lambda codegen, name, env: None,
        (lowering.BaseLower, "create_cfunc_wrapper"): lambda lower: None,
        (postproc.PostProcessor, "run"): _canonicalize,
        (BaseFunction, "get_call_type"): _call_type,
    }
    collecting = gc.isenabled()
    with numba.core.compiler_lock.global_compiler_lock:
        own = {(owner, name): vars(owner).get(name) for owner, name in stand_ins}
        settings = {name: getattr(numba.config, name) for name in _SETTINGS}
        gc.disable()
        try:
            for (owner, name), stand_in in stand_ins.items():
                setattr(owner, name, stand_in)
            vars(numba.config).update(_SETTINGS)
            yield
        finally:
            vars(numba.config).update(settings)
            for (owner, name), method in own.items():
                if method is None:  # it is a base class's
                    delattr(owner, name)
                else:
                    setattr(owner, name, method)
            _options.clear()
            if collecting:
                gc.enable()


_post_process = postproc.PostProcessor.run


def _canonicalize(processor: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
    """What Numba does to a function after most passes, without the lives of its variables.

    They are worked out to count references, which no kernel has. What asks for them (only generators do) gets them.
    """
    function = processor.func_ir
    if function.is_generator:
        _post_process(processor, emit_dels, extend_lifetimes)
        return
    function.blocks = transforms.canonicalize_cfg(function.blocks)
    function.variable_lifetime = postproc.VariableLifetime(function.blocks)  # it works out what it is asked for
    function.generator_info = None


_resolve_call = BaseFunction.get_call_type
_options: dict[int, tuple[Any, str]] = {}  # of the functions that are being compiled, by the id of their flags


def _call_type(function: Any, context: Any, args: tuple[Any, ...], kws: Any) -> Any:
    """The signature of a call of one of Numba's own functions, remembered.

    Numba tries all candidates anew for each call, and in each round of its inference: 24 times for each that differs. What
    is found depends on the types and on the options of the caller, which what is called may inherit. A function that
    gets more candidates is another object.
    """
    if kws:
        return _resolve_call(function, context, args, kws)
    known = vars(function).setdefault("_numgrad_calls", {})
    flags = ConfigStack.top_or_none()
    if id(flags) not in _options:
        _options[id(flags)] = flags, flags.summary()
    options = _options[id(flags)][1]
    found = known.get((args, options))
    if found is None:
        signature: Any = _resolve_call(function, context, args, kws)
        known[args, options] = signature, function._impl_keys[signature.args]
        return signature
    signature, implementation = found
    function._impl_keys[signature.args] = implementation  # as it would be if it were found again
    return signature
