"""Shorter LLVM IR for what kernels do most: variables, structures and slices as values, loops over ranges.

Numba keeps a variable that two blocks use in memory, and each array, slice and range that an expression touches as well: a read of
`x[i]` is thirty instructions, a slice a hundred and fifty. LLVM takes all of it away again, which is a good part of its work, as
writing and parsing the text is of Numba's. Here a variable that is assigned once is the value itself, and so is a structure until
something asks for its address. What is computed is the same. This module imports Numba, as `codegen` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from llvmlite.ir.instructions import InsertValue, PhiInstr
from numba.core import callconv, cgutils
from numba.core import ir as numba_ir
from numba.core import types as numba_types
from numba.core.analysis import compute_cfg_from_blocks

from numgrad.runtime import numba_ssa

types: Any = numba_types
_Proxy, _Value = cgutils._StructProxy, cgutils.ValueStructProxy  # looked up here, as in `numba_ssa`
_in_memory = _Proxy._make_refs


# ---- aggregates ---------------------------------------------------------------------------------------------------


def extract_value(original: Callable[..., Any], builder: Any, aggregate: Any, index: Any, name: str) -> Any:
    """A member of an aggregate: what was put in, where that can be seen."""
    path = list(index) if isinstance(index, (tuple, list)) else [index]
    while path and isinstance(aggregate, InsertValue):
        put = list(aggregate.indices)
        if path[: len(put)] == put:
            aggregate, path = aggregate.value, path[len(put) :]
        elif put[: len(path)] == path:
            break  # a part of what is asked for
        else:
            aggregate = aggregate.aggregate
    return original(builder, aggregate, path, name) if path else aggregate


def _last(block: Any) -> Any:
    return block.instructions[-1] if block.instructions else None


class Structures:
    """Stand-ins for the methods of Numba's structures: `_held` is the value, or None once it is in memory.

    A structure that is written in another block than the one that made it goes to memory, by a store where it was made.
    """

    def __init__(self, originals: dict[str, Any]) -> None:
        self.originals = originals

    def start(self, proxy: Any, context: Any, builder: Any, value: Any, ref: Any) -> None:
        if (
            ref is not None
            or type(proxy)._make_refs is not _in_memory
            or not isinstance(proxy, _Value)
            or builder.block.is_terminated
        ):
            proxy._held = None
            self.originals["__init__"](proxy, context, builder, value, ref)
            return
        proxy._context, proxy._builder = context, builder
        proxy._datamodel = context.data_model_manager[proxy._fe_type]
        proxy._be_type = proxy._get_be_type(proxy._datamodel)
        if value is not None and value.type != proxy._be_type:
            raise AssertionError(f"bad value type: expected {proxy._be_type}, got {value.type}")
        proxy._held = ir.Constant(proxy._be_type, None) if value is None else value
        proxy._home, proxy._after = builder.block, _last(builder.block)

    def to_memory(self, proxy: Any) -> None:
        held, builder = proxy._held, proxy._builder
        if held is None:
            return
        proxy._held = None
        proxy._value = proxy._outer_ref = cgutils.alloca_once(builder, proxy._be_type)
        now, home = builder.block, proxy._home
        following = home.instructions.index(proxy._after) + 1 if proxy._after is not None else 0
        while following < len(home.instructions) and isinstance(home.instructions[following], PhiInstr):
            following += 1
        if following < len(home.instructions):
            builder.position_before(home.instructions[following])
        else:
            builder.position_at_end(home)
        builder.store(held, proxy._value)
        if now.is_terminated:
            builder.position_before(now.terminator)
        else:
            builder.position_at_end(now)

    def read(self, proxy: Any, index: int) -> Any:
        if proxy._held is None:
            return self.originals["__getitem__"](proxy, index)
        return proxy._cast_member_to_value(index, proxy._builder.extract_value(proxy._held, index))

    def write(self, proxy: Any, index: int, value: Any) -> None:
        builder = proxy._builder
        if proxy._held is not None and builder.block is proxy._home and not builder.block.is_terminated:
            value = proxy._cast_member_from_value(index, value)
            if value.type == proxy._be_type.elements[index]:
                proxy._held = proxy._after = builder.insert_value(proxy._held, value, index)
                return
        self.to_memory(proxy)
        self.originals["__setitem__"](proxy, index, value)

    def whole(self, proxy: Any) -> Any:
        return self.originals["_getvalue"](proxy) if proxy._held is None else proxy._held


def array_class(original: Callable[[Any], Any], array_type: Any) -> Any:
    """The class of an array's structure: for plain arrays the structure alone."""
    return cgutils.create_struct_proxy(array_type) if type(array_type) is types.Array else original(array_type)


# ---- variables ----------------------------------------------------------------------------------------------------


def assigned_once(lower: Any) -> set[str]:
    """Variables with one assignment, which comes before each use whatever way the program takes."""
    blocks = lower.func_ir.blocks
    assigned: dict[str, list[Any]] = defaultdict(list)
    used = defaultdict(set)
    for label, block in blocks.items():
        before: set[str] = set()  # names that are assigned above in the block
        for statement in block.body:
            for each in numba_ssa.read_by(statement):
                if each.name not in before:
                    used[each.name].add(label)
            if isinstance(statement, numba_ir.Assign):
                assigned[statement.target.name].append(label)
                before.add(statement.target.name)
    above = compute_cfg_from_blocks(blocks).dominators()
    return {
        name
        for name, [label, *others] in assigned.items()
        # Blocks are lowered in the order of their labels.
        if not others and all(label < each and label in above[each] for each in used[name])
    }


def store(original: Callable[..., Any], lower: Any, value: Any, name: str, argidx: Any) -> None:
    """Store a variable; the value before, which Numba loads, is one that nobody counts."""
    if lower._disable_sroa_like_opt or lower.context.enable_nrt:
        original(lower, value, name, argidx)
        return
    lower._alloca_var(name, lower.typeof(name))
    if name in lower._singly_assigned_vars:
        lower._blk_local_varmap[name] = value
    else:
        lower.builder.store(value, lower.getvar(name))


# ---- calls and divisions ------------------------------------------------------------------------------------------


class Status:
    """What a call's code says; only what is asked for is written."""

    def __init__(self, builder: Any, code: Any, excinfoptr: Any) -> None:
        self._builder, self.code, self.excinfoptr = builder, code, excinfoptr

    def _is(self, comparison: str, code: Any) -> Any:
        return self._builder.icmp_signed(comparison, self.code, code)

    @property
    def is_error(self) -> Any:
        return self._builder.and_(self._is("!=", callconv.RETCODE_OK), self._is("!=", callconv.RETCODE_NONE))

    @property
    def is_ok(self) -> Any:
        return self._builder.not_(self.is_error)

    @property
    def is_none(self) -> Any:
        return self._is("==", callconv.RETCODE_NONE)

    @property
    def is_python_exc(self) -> Any:
        return self._is("==", callconv.RETCODE_EXC)

    @property
    def is_stop_iteration(self) -> Any:
        return self._is("==", callconv.RETCODE_STOPIT)

    @property
    def is_user_exc(self) -> Any:
        return self._is(">=", callconv.RETCODE_USEREXC)


def divide(original: Callable[..., Any], context: Any, builder: Any, sig: Any, args: Any, message: Any) -> Any:
    """Where the quotient and the remainder of integers lie, rounded down; 0 and 0 if there is none."""
    kind = getattr(sig.return_type, "dtype", sig.return_type)
    if not kind.signed or context.error_model.raise_on_fp_zero_division:
        return original(context, builder, sig, args, message)
    x, y = (context.cast(builder, value, given, kind) for value, given in zip(args, sig.args, strict=True))
    zero, one = y.type(0), y.type(1)
    if _is_constant(y, 1):
        quotient, remainder = builder.sdiv(x, y), builder.srem(x, y)
        below = builder.icmp_signed("<", remainder, zero)
        pair = (builder.sub(quotient, one), quotient), (builder.add(remainder, y), remainder)
        return tuple(cgutils.alloca_once_value(builder, builder.select(below, *each)) for each in pair)
    results = cgutils.alloca_once_value(builder, zero), cgutils.alloca_once_value(builder, zero)
    lowest = builder.and_(
        builder.icmp_signed("==", x, x.type(kind.minval)), builder.icmp_signed("==", y, y.type(-1))
    )  # the processor refuses it
    with builder.if_then(builder.not_(builder.or_(builder.icmp_signed("==", y, zero), lowest)), likely=True):
        quotient, remainder = builder.sdiv(x, y), builder.srem(x, y)
        below = builder.and_(
            builder.icmp_signed("!=", remainder, zero), builder.icmp_signed("<", builder.xor(y, remainder), zero)
        )
        pair = (builder.sub(quotient, one), quotient), (builder.add(remainder, y), remainder)
        for at, each in zip(results, pair, strict=True):
            builder.store(builder.select(below, *each), at)
    return results


# ---- ranges and slices --------------------------------------------------------------------------------------------


def implementation(fn: Any, signature: Any) -> Callable[..., Any] | None:
    """What stands for Numba's implementation of loops over ranges, and of `min` and `max`; None for anything else."""
    if isinstance(fn, types.Function):
        chosen = _CHOICES.get(fn.typing_key)
        [numbers] = signature.args if len(signature.args) == 1 else [None]
        if chosen is None or not isinstance(numbers, types.BaseTuple) or len(numbers) < 2:
            return None
        return chosen if all(isinstance(each, types.Integer) and each.signed for each in numbers) else None
    if not isinstance(fn, str):
        return None
    if fn == "getiter" and isinstance(signature.args[0], types.RangeType):
        return _begin
    return _turn if fn == "iternext" and isinstance(signature.args[0], types.RangeIteratorType) else None


def _choice(comparison: str) -> Callable[..., Any]:
    """`min` or `max` of signed integers, without the call of a function that chooses."""

    def choose(original: Callable[..., Any], context: Any, builder: Any, signature: Any, args: Any) -> Any:
        best = None
        for index, kind in enumerate(signature.args[0]):
            value = context.cast(builder, builder.extract_value(args[0], index), kind, signature.return_type)
            if best is not None:
                value = builder.select(builder.icmp_signed(comparison, value, best), value, best)
            best = value
        return best

    return choose


_CHOICES = {min: _choice("<"), max: _choice(">")}


def _begin(original: Callable[..., Any], context: Any, builder: Any, signature: Any, args: Any) -> Any:
    start, stop, step = (builder.extract_value(args[0], index) for index in range(3))
    if not isinstance(step, ir.Constant) or step.constant != 1 or not signature.args[0].dtype.signed:
        return original()
    zero, length = step.type(0), builder.sub(stop, start)
    count = builder.select(builder.icmp_signed(">", length, zero), length, zero)
    iterator = ir.Constant(context.get_value_type(signature.return_type), ir.Undefined)
    for index, value in enumerate(
        (cgutils.alloca_once_value(builder, start), stop, step, cgutils.alloca_once_value(builder, count))
    ):
        iterator = builder.insert_value(iterator, value, index)
    return iterator


def _turn(original: Callable[..., Any], context: Any, builder: Any, signature: Any, args: Any) -> Any:
    at, _, step, left = (builder.extract_value(args[0], index) for index in range(4))
    value, count = builder.load(at), builder.load(left)
    builder.store(builder.sub(count, count.type(1), flags=["nsw"]), left)
    builder.store(builder.add(value, step), at)
    pair = ir.Constant(context.get_value_type(signature.return_type), ir.Undefined)
    pair = builder.insert_value(pair, value, 0)
    return builder.insert_value(pair, builder.icmp_signed(">", count, count.type(0)), 1)


def _is_constant(value: Any, least: int) -> bool:
    return isinstance(value, ir.Constant) and isinstance(value.constant, int) and value.constant >= least


def fix_slice(original: Callable[..., Any], builder: Any, slice: Any, size: Any) -> None:
    """Bring a slice's bounds into an extent, by choices and not by jumps."""
    if not _is_constant(slice.step, 1):
        original(builder, slice, size)
        return
    zero = size.type(0)
    for name in ("start", "stop"):
        bound = getattr(slice, name)
        if not _is_constant(bound, 0):
            bound = builder.select(builder.icmp_signed("<", bound, zero), builder.add(bound, size), bound)
            bound = builder.select(builder.icmp_signed("<", bound, zero), zero, bound)
        if not (isinstance(bound, ir.Constant) and bound.constant == 0):
            bound = builder.select(builder.icmp_signed(">=", bound, size), size, bound)
        setattr(slice, name, bound)


def slice_length(original: Callable[..., Any], builder: Any, slice: Any) -> Any:
    """The length of a slice whose bounds are fixed."""
    if not (_is_constant(slice.step, 1) and slice.step.constant == 1):
        return original(builder, slice)
    length = builder.sub(slice.stop, slice.start)
    zero = length.type(0)
    return builder.select(builder.icmp_signed("<=", length, zero), zero, length)
