"""Two tables: the parts of Numba that numgrad replaces while it compiles a kernel, and those that it cannot do without.

Each row of `CHANGES` saves time, and stands by itself: if this version of Numba lacks the part, or has it with other
parameters, the row is left out, with one warning for all of them. `NEEDED` lists the parts that are used unchanged; without
them no kernel compiles. docs/numba.md shows both. Numba is imported when it is about to be changed.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from numgrad.errors import KernelError, warn
from numgrad.runtime import numba_once, numba_stand_ins, target


class NumbaChangeWarning(UserWarning):
    """This version of Numba lacks parts that numgrad replaces; kernels are right, but take longer to compile."""


class Place(NamedTuple):
    """An attribute of Numba's, and the function that makes its stand-in from the original."""

    module: str
    path: str  # in the module: "Class.method", or "NAME"
    make: Callable[[Any], Any]


class Change(NamedTuple):
    """A row of the table: places that are changed together, or not at all."""

    what: str
    why: str  # it is valid
    until: str  # it can go
    places: tuple[Place, ...]

    def stand_ins(self) -> list[tuple[Any, str, Any]]:
        """(owner, name, stand-in) for each place.

        Raises
        ------
        ImportError, AttributeError, TypeError
            This version of Numba has no such place, or has it with other parameters.
        """
        stand_ins = []
        for module, path, make in self.places:
            owner, name = _at(module, path)
            original = getattr(owner, name)
            stand_in = make(original)
            if inspect.isfunction(stand_in):
                expected, actual = (list(inspect.signature(each).parameters) for each in (stand_in, original))
                if actual != expected:
                    raise TypeError(f"{module}.{path} takes {', '.join(actual)}, expected {', '.join(expected)}")
            stand_ins.append((owner, name, stand_in))
        return stand_ins


def _at(module: str, path: str) -> tuple[Any, str]:
    """The class or module that has an attribute of Numba's, and the attribute's name."""
    *owners, name = path.split(".")
    return functools.reduce(getattr, owners, importlib.import_module(module)), name


# ---- the table --------------------------------------------------------------------------------------------------

_PASSES = "numba.core.untyped_passes"
SHORTER = "Numba writes as little"
_WITHOUT_CALLERS = "numgrad compiles LLVM IR itself, without Numba's code generator"

CHANGES = (
    Change(
        "functions are not optimised one by one",
        "`codegen` optimises the whole module once; by itself Numba would do it twice for each function",
        _WITHOUT_CALLERS,
        (Place("numba.core.codegen", "JITCodeLibrary._optimize_functions", numba_stand_ins.only_lay_out),),
    ),
    Change(
        "a library is not optimised",
        "as above: what is stored is optimised by `codegen`, with flags and a target of its own",
        _WITHOUT_CALLERS,
        (Place("numba.core.codegen", "JITCodeLibrary._optimize_final_module", numba_stand_ins.do_not_optimize),),
    ),
    Change(
        "no machine code is made, and none is looked up",
        "nobody calls it: kernels are called by the entry that `codegen` makes",
        _WITHOUT_CALLERS,
        (
            Place("numba.core.codegen", "JITCodeLibrary._finalize_final_module", numba_stand_ins.only_mark),
            Place("numba.core.codegen", "JITCodeLibrary.get_pointer_to_function", numba_stand_ins.no_pointer),
            # An environment is looked up in the machine code.
            Place("numba.core.codegen", "JITCPUCodegen.set_env", numba_stand_ins.no_environment),
        ),
    ),
    Change(
        "no wrapper for C is made",
        "nobody calls it; the option `no_cfunc_wrapper` does not reach functions that Numba compiles for itself",
        "the option reaches them",
        (Place("numba.core.lowering", "BaseLower.create_cfunc_wrapper", numba_stand_ins.no_wrapper),),
    ),
    Change(
        "passes are run, and no more",
        "nobody reads the events, times and texts for errors; the passes are the same",
        "Numba makes them only when somebody listens",
        (Place("numba.core.compiler_machinery", "PassManager._runPass", numba_stand_ins.only_run),),
    ),
    Change(
        "lifetimes of variables are not computed",
        "they say where references are dropped, and no kernel has any; generators, which need them, get them",
        "Numba computes them on demand",
        (Place("numba.core.postproc", "PostProcessor.run", numba_stand_ins.only_canonicalize),),
    ),
    Change(
        "a call of one of Numba's own functions is typed once",
        "the result depends on the types and on the caller's options, which the callee may inherit; Numba itself tries all "
        "candidates anew for each call in each round of inference. A function that gets more candidates is another object",
        "Numba remembers it",
        (Place("numba.core.types.functions", "BaseFunction.get_call_type", numba_stand_ins.remember),),
    ),
    Change(
        "a call is typed again if a type that it reads is another one",
        "the result depends on these types; Numba types each call in each round of inference, until nothing changes",
        "Numba does what its `ConstrainNetwork` calls possible: it looks at changed variables alone",
        (Place("numba.core.typeinfer", "CallConstraint.resolve", numba_once.if_something_is_new),),
    ),
    Change(
        "an attribute of a type is looked up once",
        "the result depends on the type, and none is added while a kernel is compiled; Numba asks again in each round",
        "Numba remembers it",
        (Place("numba.core.typing.context", "BaseContext.resolve_getattr", numba_once.one_attribute_once),),
    ),
    Change(
        "the type of a function is looked up once",
        "a function stays what it is; Numba finds each operator by an error that it catches, in each round",
        "Numba remembers it",
        (Place("numba.core.typing.context", "BaseContext.resolve_value_type", numba_once.one_function_once),),
    ),
    Change(
        "what an error is told is put together where there is one",
        "the texts are the same; Numba enters a generator for each statement, in each round",
        "Numba's context managers are classes",
        (
            Place("numba.core.typeinfer", "new_error_context", numba_once.only_for_errors),
            Place("numba.core.lowering", "new_error_context", numba_once.only_for_errors),
        ),
    ),
    Change(
        "warnings are shown as they come",
        "typing has none for a kernel; Numba changes the process's filters for each statement, in each round, to sort them",
        "Numba collects them once a function",
        (Place("numba.core.errors", "WarningsFixer.catch_warnings", numba_once.as_they_come),),
    ),
    Change(
        "the variables of an instruction are listed by its class",
        "they are the same, in the same order; Numba asks four questions of each part of it",
        "Numba's instructions list their own",
        (Place("numba.core.ir", "Inst._rec_list_vars", numba_once.by_class),),
    ),
    Change(
        "statements are not searched for remains of `with` and of large dicts",
        "a kernel has neither",
        "Numba looks for them where the byte code has them",
        (
            Place("numba.core.interpreter", "peep_hole_delete_with_exit", numba_once.leave_as_it_is),
            Place("numba.core.interpreter", "peep_hole_fuse_dict_add_updates", numba_once.leave_as_it_is),
        ),
    ),
    Change(
        "the byte code's inline caches are passed over",
        "they are room for the interpreter; Numba takes half of Python 3.11's byte code for instructions that do nothing, and "
        "passes over them itself in that of later versions",
        "numgrad requires Python 3.12",
        (Place("numba.core.bytecode", "_unpack_opargs", numba_once.without_caches),),
    ),
    Change(
        "a function of the kernel's is compiled for the types of its arguments, not for each constant",
        "LLVM sees the constants when it inlines the call; Numba makes another function of each combination of them",
        "Numba's option `prefer_literal` reaches calls of compiled functions",
        (Place("numba.core.dispatcher", "_DispatcherBase.get_call_template", numba_stand_ins.without_literals),),
    ),
    Change(
        "static single assignment looks at the statements that have a name",
        "names, their order and the rules are the same; Numba walks through all statements twice for each name",
        "Numba keeps a list of them",
        (Place("numba.core.ssa", "_run_ssa", numba_stand_ins.by_places),),
    ),
    Change(
        "registries are read when they have grown",
        "there is nothing new in them otherwise; Numba reads them again for each array that a function touches",
        "Numba keeps count",
        (Place("numba.core.base", "BaseContext.refresh", numba_stand_ins.only_if_there_are_new),),
    ),
    Change(
        "the size of a type is asked once",
        "it depends on the type and on the target's layout; llvmlite makes a module of LLVM's and parses it to find the size, "
        "for each variable",
        "llvmlite remembers it",
        (Place("numba.core.base", "BaseContext.get_abi_sizeof", numba_stand_ins.measure_once),),
    ),
    Change(
        "parameters of implementations are read from their code",
        "the answer is the same; Numba makes a signature of each for each call, to see whether it takes `loc`",
        "Numba remembers it",
        (Place("numba.core.base", "_has_loc", numba_stand_ins.by_its_code),),
    ),
    Change(
        "a member of a structure is what was put in",
        "LLVM would find the same",
        SHORTER,
        (Place("llvmlite.ir.builder", "IRBuilder.extract_value", numba_stand_ins.see_through),),
    ),
    Change(
        "a structure is a value until its address is asked for",
        "each member is what was written last; Numba keeps each in memory, which LLVM takes away",
        SHORTER,
        tuple(
            Place("numba.core.cgutils", f"_StructProxy.{name}", numba_stand_ins.as_value(name))
            for name in ("__init__", "__getattr__", "__getitem__", "__setitem__", "_getvalue")
        ),
    ),
    Change(
        "an array has the structure of its type alone",
        "plain arrays have no `__array__`, for which Numba looks each time, and LLVM makes nothing of the range of an extent",
        SHORTER,
        (Place("numba.np.arrayobj", "make_array", numba_stand_ins.plain_class),),
    ),
    Change(
        "a variable with one assignment before all uses is a value",
        "no way through the function reads another one; Numba keeps those in memory that several blocks use",
        SHORTER,
        (Place("numba.core.lowering", "Lower._find_singly_assigned_variable", numba_stand_ins.those_before_all_uses),),
    ),
    Change(
        "a variable is not read before it is written",
        "Numba releases the value before, and kernels count no references",
        SHORTER,
        (Place("numba.core.lowering", "Lower.storevar", numba_stand_ins.only_store),),
    ),
    Change(
        "a loop over a range of step 1 counts without jumps, and integers are chosen in place",
        "turns and numbers are the same, and nobody asks a range that is used up; Numba calls a function for `min` and `max`",
        SHORTER,
        (
            Place("numba.core.base", "BaseContext.get_function", numba_stand_ins.own_ways),
            Place("numba.core.base", "BaseContext.pair_first", numba_stand_ins.first_of),
            Place("numba.core.base", "BaseContext.pair_second", numba_stand_ins.second_of),
        ),
    ),
    Change(
        "bounds of slices are chosen without jumps",
        "bounds and lengths are the same, for a step that is a constant",
        SHORTER,
        (
            Place("numba.cpython.slicing", "fix_slice", numba_stand_ins.by_choices),
            Place("numba.cpython.slicing", "get_slice_length", numba_stand_ins.length_of_slice),
        ),
    ),
    Change(
        "what a call returned is looked at as far as it matters",
        "an error is passed on by its code; nobody reads the exception, and no kernel has a `try`",
        SHORTER,
        (
            Place("numba.core.callconv", "CPUCallConv._get_return_status", numba_stand_ins.on_demand),
            Place("numba.core.callconv", "CPUCallConv.return_status_propagate", numba_stand_ins.only_return),
        ),
    ),
    Change(
        "a division of integers jumps once, and never for a divisor that is a constant",
        "quotients and remainders are the same, also 0 for a divisor of 0",
        SHORTER,
        (Place("numba.cpython.numbers", "_int_divmod_impl", numba_stand_ins.divide),),
    ),
    Change(
        "a truth value is read by one comparison",
        "it is the same one; Numba writes jumps",
        SHORTER,
        (Place("numba.core.datamodel.models", "BooleanModel.from_data", numba_stand_ins.not_zero),),
    ),
    *(
        Change(f"the pass {name} is left out", f"a kernel has no {what}", "the pass does nothing where there are none",
               (Place(module, name, numba_stand_ins.leave_out),))
        for name, module, what in (
            ("WithLifting", _PASSES, "`with`"),
            ("InlineClosureLikes", _PASSES, "closures or comprehensions"),
            ("RewriteDynamicRaises", _PASSES, "`raise`"),
            ("MakeFunctionToJitFunction", _PASSES, "functions inside of it"),
            ("InlineInlinables", _PASSES, "functions with `inline=`"),
            ("FindLiterallyCalls", _PASSES, "`literally`"),
            ("LiteralUnroll", _PASSES, "`literal_unroll`"),
            ("LiteralPropagationSubPipelinePass", _PASSES, "`literal_unroll`"),
            ("NopythonRewrites", "numba.core.typed_passes", "array expressions"),
            ("AnnotateTypes", "numba.core.typed_passes", "reader of its annotated text"),
            ("DumpParforDiagnostics", "numba.core.typed_passes", "`prange`"),
        )
    ),
    *(
        Change(f"the setting {name} is {shown}", why, "Numba takes it as an option of a compilation",
               (Place("numba.core.config", name, make),))
        for name, shown, make, why in (
            ("BOUNDSCHECK", "None", numba_stand_ins.setting(None), "it would change kernels, though not their keys in the store"),
            ("DEBUGINFO_DEFAULT", "0", numba_stand_ins.setting(0), "as above"),
            ("EXTEND_VARIABLE_LIFETIMES", "0", numba_stand_ins.setting(0), "as above"),
            # A dump of LLVM IR is taken before the fast-math flags are put in, and llvmlite then goes on with its text.
            ("DUMP_LLVM", "0", numba_stand_ins.setting(0), "a dump loses the fast-math flags"),
            ("CPU_NAME", "the CPU's, where NUMGRAD_SIMD leaves out features or NUMGRAD_CPU names a kind",
             lambda original: target.cpu()[0] if target.is_other() else original,
             "if Numba optimises after all, then for the CPU that the kernel is for"),
            ("CPU_FEATURES", "those that are left, likewise",
             lambda original: target.cpu()[1] if target.is_other() else original, "as above"),
        )
    ),
)  # fmt: skip

# (module, name there, what for)
NEEDED = (
    ("numba", "njit", "functions are compiled by its dispatchers"),
    ("numba.extending", "intrinsic", "words of kernels become LLVM IR by it"),
    ("numba.core.compiler", "CompilerBase", "kernels have a pipeline of their own"),
    ("numba.core.compiler", "DefaultPassBuilder.define_nopython_pipeline", "the pipeline is Numba's, without some passes"),
    ("numba.core.compiler", "PassManager.finalize", "as above"),
    ("numba.core.compiler_lock", "global_compiler_lock", "while Numba is changed nobody else may compile"),
    ("numba.core.errors", "NumbaError", "what a kernel's author did wrong is told by it"),
    ("numba.core.callconv", "CPUCallConv.get_function_type", "the entry of a kernel calls it as Numba does"),
    ("numba.core.base", "BaseContext.get_arg_packer", "as above"),
    ("numba.core.base", "BaseContext.make_array", "the entry makes arrays of the words of a launch"),
    ("numba.np.arrayobj", "populate_array", "as above"),
    ("numba.core.funcdesc", "FunctionDescriptor.llvm_func_name", "the entry calls the function of this name"),
)  # fmt: skip


def lacking(name: str, what_for: str) -> KernelError:
    """The error for a version of Numba that compiles no kernel."""
    import numba

    return KernelError(
        f"numba {numba.__version__} has no {name}, and no kernel compiles without it ({what_for}); install a version that "
        "numgrad knows: docs/numba.md names some"
    )


@functools.cache
def require() -> None:
    """Refuse a version of Numba that compiles no kernel, before anything else of it is imported.

    Raises
    ------
    KernelError
        It lacks a part that kernels need.
    """
    for module, path, what_for in NEEDED:
        try:
            getattr(*_at(module, path))
        except (ImportError, AttributeError):
            raise lacking(f"{module}.{path}", what_for) from None


@functools.cache
def _stand_ins() -> dict[str, list[tuple[Any, str, Any]]]:
    """The stand-ins of each row; rows without a place in this Numba are left out, with a warning. Errors as `require`."""
    require()
    rows, left_out = {}, []
    for change in CHANGES:
        try:
            rows[change.what] = change.stand_ins()
        except (ImportError, AttributeError, TypeError) as error:
            left_out.append(f"{change.what!r} ({error})")
    if left_out:
        import numba

        warn(
            f"numba {numba.__version__} is not as numgrad expects it: kernels are right, but take longer to compile, without "
            f"{', '.join(left_out)}. Another version of Numba, or of numgrad, may do better",
            NumbaChangeWarning,
        )
    return rows


def left_out_passes() -> frozenset[str]:
    """Names of the passes that kernels are compiled without."""
    rows = _stand_ins()
    return frozenset(
        change.places[0].path
        for change in CHANGES
        if change.places[0].make is numba_stand_ins.leave_out and change.what in rows
    )


@contextlib.contextmanager
def applied() -> Iterator[None]:
    """Change Numba as the table says: while entered, it makes LLVM IR and no more.

    Numba's own lock keeps other threads' compilations out. The garbage collector is off: it would scan Numba's many small
    objects again and again, for 8% of the time, and find no garbage.
    """
    rows = _stand_ins()
    from numba.core.compiler_lock import global_compiler_lock

    collecting = gc.isenabled()
    with global_compiler_lock:
        stand_ins = [each for row in rows.values() for each in row if getattr(each[0], each[1]) is not each[2]]
        before = [(owner, name, vars(owner).get(name)) for owner, name, _ in stand_ins]
        gc.disable()
        try:
            for owner, name, stand_in in stand_ins:
                setattr(owner, name, stand_in)
            yield
        finally:
            for owner, name, original in before:
                if original is None and inspect.isclass(owner):  # it is a base class's
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)
            numba_stand_ins.flags_seen.clear()
            numba_once.forget()
            if collecting:
                if not gc.get_freeze_count():  # all that is new counts as old, or the first collection would look at it
                    gc.freeze()
                    gc.unfreeze()
                gc.enable()
