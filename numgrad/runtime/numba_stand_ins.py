"""What stands for parts of Numba while it compiles a kernel: each function makes a stand-in from the original.

`numba_changes` has the table of them, with the reasons. Numba is imported when a stand-in is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def only_lay_out(original: Any) -> Any:
    def _optimize_functions(self: Any, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    return _optimize_functions


def do_not_optimize(original: Any) -> Any:
    def _optimize_final_module(self: Any) -> None:
        pass

    return _optimize_final_module


def only_mark(original: Any) -> Any:
    def _finalize_final_module(self: Any) -> None:
        self._finalized = True

    return _finalize_final_module


def no_pointer(original: Any) -> Any:
    def get_pointer_to_function(self: Any, name: str) -> int:
        self._ensure_finalized()
        return 0

    return get_pointer_to_function


def no_environment(original: Any) -> Any:
    def set_env(self: Any, env_name: str, env: Any) -> None:
        pass

    return set_env


def no_wrapper(original: Any) -> Any:
    def create_cfunc_wrapper(self: Any) -> None:
        pass

    return create_cfunc_wrapper


def only_run(original: Any) -> Any:
    def _runPass(self: Any, index: int, pss: Any, internal_state: Any) -> None:  # noqa: N802 (Numba's name)
        pss.analysis = self._analysis
        pss.run_initialization(internal_state)
        pss.run_pass(internal_state)
        pss.run_finalizer(internal_state)

    return _runPass


def only_canonicalize(original: Any) -> Any:
    from numba.core.postproc import VariableLifetime
    from numba.core.transforms import canonicalize_cfg

    def run(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
        function = self.func_ir
        if function.is_generator:
            original(self, emit_dels, extend_lifetimes)
            return
        function.blocks = canonicalize_cfg(function.blocks)
        function.variable_lifetime = VariableLifetime(function.blocks)  # it computes its parts on demand
        function.generator_info = None

    return run


flags_seen: dict[int, tuple[Any, str]] = {}  # of the functions that are being compiled, by the id of their flags


def remember(original: Any) -> Any:
    from numba.core.targetconfig import ConfigStack, TargetConfig

    flags_now, summary = ConfigStack.top_or_none, TargetConfig.summary

    def get_call_type(self: Any, context: Any, args: tuple[Any, ...], kws: Any) -> Any:
        if kws:
            return original(self, context, args, kws)
        typed_calls = vars(self).setdefault("_numgrad_calls", {})
        flags = flags_now()
        if id(flags) not in flags_seen:
            flags_seen[id(flags)] = flags, summary(flags)
        options = flags_seen[id(flags)][1]
        typed_call = typed_calls.get((args, options))
        if typed_call is None:
            signature: Any = original(self, context, args, kws)
            typed_calls[args, options] = signature, self._impl_keys[signature.args]
            return signature
        signature, implementation = typed_call
        self._impl_keys[signature.args] = implementation  # as resolving it again would do
        return signature

    return get_call_type


def without_literals(original: Any) -> Any:
    from numba.core.types.misc import unliteral

    def get_call_template(self: Any, args: Any, kws: Any) -> Any:
        return original(self, tuple(map(unliteral, args)), {name: unliteral(each) for name, each in kws.items()})

    return get_call_template


def by_places(original: Any) -> Any:
    from numgrad.runtime import numba_ssa

    def _run_ssa(blocks: Any) -> Any:
        return numba_ssa.run(blocks)

    return _run_ssa


def only_if_there_are_new(original: Any) -> Any:
    def registered(context: Any) -> int:
        registries = [*context._registries, *context.typing_context._registries]
        return sum([len(each) for registry in registries for each in vars(registry).values() if isinstance(each, list)])

    def refresh(self: Any) -> None:
        if vars(self).get("_numgrad_registered") != registered(self):
            original(self)
            self._numgrad_registered = registered(self)

    return refresh


def measure_once(original: Any) -> Any:
    def get_abi_sizeof(self: Any, ty: Any) -> int:
        sizes, key = vars(self).setdefault("_numgrad_sizes", {}), str(ty)
        if key not in sizes:
            size: int = original(self, ty)
            if "%" in key:  # a type with a name, which may mean another one in another module
                return size
            sizes[key] = size
        return sizes[key]  # type: ignore[no-any-return]

    return get_abi_sizeof


def as_value(name: str) -> Callable[[Any], Any]:
    """The stand-in for a method of Numba's structures, which share their originals."""

    def make(original: Any) -> Any:
        from numgrad.runtime import numba_values

        structures[name] = original
        way = numba_values.Structures(structures)

        def __init__(self: Any, context: Any, builder: Any, value: Any = None, ref: Any = None) -> None:  # noqa: N807
            way.start(self, context, builder, value, ref)

        def __getattr__(self: Any, field: Any) -> Any:  # noqa: N807
            if field in ("_value", "_outer_ref") and vars(self).get("_held") is not None:
                way.to_memory(self)
                return vars(self)[field]
            return original(self, field)

        def __getitem__(self: Any, index: Any) -> Any:  # noqa: N807
            return way.read(self, index)

        def __setitem__(self: Any, index: Any, value: Any) -> None:  # noqa: N807
            way.write(self, index, value)

        def _getvalue(self: Any) -> Any:
            return way.whole(self)

        return locals()[name]

    return make


structures: dict[str, Any] = {}


def see_through(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def extract_value(self: Any, agg: Any, idx: Any, name: str = "") -> Any:
        return numba_values.extract_value(original, self, agg, idx, name)

    return extract_value


def plain_class(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def make_array(array_type: Any) -> Any:
        return numba_values.array_class(original, array_type)

    return make_array


def first_of(original: Any) -> Any:
    def pair_first(self: Any, builder: Any, val: Any, ty: Any) -> Any:
        return builder.extract_value(val, 0)

    return pair_first


def second_of(original: Any) -> Any:
    def pair_second(self: Any, builder: Any, val: Any, ty: Any) -> Any:
        return builder.extract_value(val, 1)

    return pair_second


def those_before_all_uses(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def _find_singly_assigned_variable(self: Any) -> None:
        if self.func_ir.func_id.is_generator:
            original(self)
            return
        self._singly_assigned_vars = numba_values.assigned_once(self)  # Numba's are among them
        self._blk_local_varmap = {}

    return _find_singly_assigned_variable


def only_store(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def storevar(self: Any, value: Any, name: str, argidx: Any = None) -> None:
        numba_values.store(original, self, value, name, argidx)

    return storevar


def on_demand(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def _get_return_status(self: Any, builder: Any, code: Any, excinfoptr: Any) -> Any:
        return numba_values.Status(builder, code, excinfoptr)

    return _get_return_status


def only_return(original: Any) -> Any:
    def return_status_propagate(self: Any, builder: Any, status: Any) -> None:
        builder.ret(status.code)

    return return_status_propagate


def divide(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def _int_divmod_impl(context: Any, builder: Any, sig: Any, args: Any, zerodiv_message: Any) -> Any:
        return numba_values.divide(original, context, builder, sig, args, zerodiv_message)

    return _int_divmod_impl


def own_ways(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def get_function(self: Any, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        own = numba_values.implementation(fn, sig)
        if own is None:
            return original(self, fn, sig, _firstcall)

        def implementation(builder: Any, args: Any, loc: Any = None) -> Any:
            return own(lambda: original(self, fn, sig)(builder, args), self, builder, sig, args)

        return implementation

    return get_function


def by_choices(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def fix_slice(builder: Any, slice: Any, size: Any) -> None:
        numba_values.fix_slice(original, builder, slice, size)

    return fix_slice


def length_of_slice(original: Any) -> Any:
    from numgrad.runtime import numba_values

    def get_slice_length(builder: Any, slicestruct: Any) -> Any:
        return numba_values.slice_length(original, builder, slicestruct)

    return get_slice_length


def not_zero(original: Any) -> Any:
    def from_data(self: Any, builder: Any, value: Any) -> Any:
        return builder.icmp_unsigned("!=", value, value.type(0))

    return from_data


def by_its_code(original: Any) -> Any:
    def _has_loc(fn: Any) -> bool:
        code = getattr(fn, "__code__", None)
        if code is None or hasattr(fn, "__wrapped__") or hasattr(fn, "__signature__"):
            return bool(original(fn))
        return "loc" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    return _has_loc


def leave_out(original: Any) -> Any:
    return original  # the class stays; `numba_ir.Pipeline` has no such pass


def setting(value: Any) -> Callable[[Any], Any]:
    return lambda original: value
