"""LLVM IR of a function, by Numba's typing and lowering, without its other work.

A first run spends most of its time here. The steps that are left out (`numba_changes`) have no effect on a kernel: the
machine code is the same to the last byte. This module imports Numba, as `codegen` does.
"""

from __future__ import annotations

import os
from typing import Any

import numba
from numba.core import compiler

from numgrad.errors import KernelError
from numgrad.runtime import numba_changes


class Pipeline(compiler.CompilerBase):
    """Numba's pipeline without the passes that kernels do not need."""

    def define_pipelines(self) -> list[compiler.PassManager]:
        passes = compiler.PassManager("numgrad")
        whole = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state).passes
        needless = numba_changes.left_out_passes()
        passes.passes = [entry for entry in whole if entry[0].__name__ not in needless]
        passes.finalize()
        return [passes]


def compiled(name: str, dispatcher: Any, argument_types: tuple[Any, ...]) -> Any:
    """The function as compiled by Numba; its library holds the LLVM IR.

    Raises
    ------
    KernelError
        It does not compile.
    """
    if numba.config.DISABLE_JIT:
        raise KernelError(
            f"kernel {name} cannot be compiled: the environment variable NUMBA_DISABLE_JIT is "
            f"{os.environ.get('NUMBA_DISABLE_JIT', 'set by a program')!r}, expected 0 or nothing at all. To step "
            "through a kernel, call it: it is a Python function over NumPy arrays"
        )
    try:
        with numba_changes.applied():
            dispatcher.compile(argument_types)
    except numba.core.errors.NumbaError as error:
        raise KernelError(f"kernel {name} does not compile: {error}") from error
    return dispatcher.overloads[argument_types]


def module_of(compiled: Any) -> Any:
    """The LLVM module of a result of `compiled`."""
    try:
        return compiled.library._final_module
    except AttributeError:
        raise numba_changes.lacking(
            "numba.core.codegen.CPUCodeLibrary._final_module", "it is a function's LLVM IR"
        ) from None
