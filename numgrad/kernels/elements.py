"""Elements of arrays for the sweeps of functions with loops: each access is one call, and few instructions.

Numba takes an index apart into a dozen statements and some forty instructions, which was half of what a sweep took to compile.
What an access has to do is known when the sweep is written: a letter for each index says it.

``i``  any integer: a negative one counts from the end.
``u``  not negative, as can be seen from the text.
``t``  the count of a tape, whose room the sweep has made sure of: never checked.

Where indices are checked (`Kernel.checked`), one that is out of range ends the kernel as Numba's own check does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numgrad.runtime.kernel import Intrinsic


@functools.cache
def element(letters: str) -> Intrinsic:
    """``get(array, *indices)``: an element of an array of as many dimensions as there are letters."""

    def typed(array: Any, *indices: Any) -> Any:
        from numba import types

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _element_at(context, builder, signature.args[0], letters, args[0], args[1:])
            return _model(context, signature.args[0]).from_data(builder, builder.load(pointer))

        return _of(array, letters) and array.dtype(array, *[types.int64] * len(letters)), emit

    return Intrinsic(_taking("get", ["array"], len(letters), typed), _get_in_python)


@functools.cache
def put(letters: str) -> Intrinsic:
    """``put(array, value, *indices)``: write an element."""

    def typed(array: Any, value: Any, *indices: Any) -> Any:
        from numba import types

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = signature.args[0]
            pointer = _element_at(context, builder, array, letters, args[0], args[2:])
            cast = context.cast(builder, args[1], signature.args[1], array.dtype)
            builder.store(_model(context, array).as_data(builder, cast), pointer)
            return context.get_dummy_value()

        return _of(array, letters) and types.none(array, value, *[types.int64] * len(letters)), emit

    return Intrinsic(_taking("put", ["array", "value"], len(letters), typed), _put_in_python)


@functools.cache
def add(letters: str) -> Intrinsic:
    """``add(array, value, *indices)``: add to an element."""

    def typed(array: Any, value: Any, *indices: Any) -> Any:
        from numba import types

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array, value = signature.args[:2]
            pointer = _element_at(context, builder, array, letters, args[0], args[2:])
            total = context.typing_context.unify_pairs(array.dtype, value)
            before = context.cast(builder, builder.load(pointer), array.dtype, total)
            plus = builder.fadd if total in types.real_domain else builder.add
            after = plus(before, context.cast(builder, args[1], value, total))
            builder.store(context.cast(builder, after, total, array.dtype), pointer)
            return context.get_dummy_value()

        return _of(array, letters) and types.none(array, value, *[types.int64] * len(letters)), emit

    return Intrinsic(_taking("add", ["array", "value"], len(letters), typed), _add_in_python)


def _taking(name: str, first: list[str], count: int, typed: Callable[..., Any]) -> Any:
    """A function of the typing context, the first parameters and ``count`` indices: Numba asks for parameters by number."""
    given = ", ".join([*first, *[f"i{number}" for number in range(count)]])
    scope = {"typed": typed}
    exec(f"def {name}(context, {given}):\n    return typed({given})\n", scope)
    return scope[name]


def _of(array: Any, letters: str) -> bool:
    """Whether it is an array of as many dimensions, contiguous in C order; Numba refuses the call if not."""
    return getattr(array, "ndim", None) == len(letters) and array.layout == "C"


def _model(context: Any, array: Any) -> Any:
    return context.data_model_manager[array.dtype]


def _element_at(context: Any, builder: Any, array: Any, letters: str, value: Any, indices: Any) -> Any:
    """The pointer to an element."""
    fields = context.data_model_manager[array]
    extents = builder.extract_value(value, fields.get_field_position("shape"))
    offset: Any = None
    steps: list[Any] = []  # of the dimensions behind
    for axis in range(len(letters) - 1, -1, -1):
        index, extent = indices[axis], builder.extract_value(extents, axis)
        zero = index.type(0)
        if letters[axis] == "i":
            from_end = builder.add(index, extent)
            index = builder.select(builder.icmp_signed("<", index, zero), from_end, index)
        if context.enable_boundscheck and letters[axis] != "t":
            with builder.if_then(builder.icmp_unsigned(">=", index, extent), likely=False):
                context.call_conv.return_user_exc(builder, IndexError, ("index is out of bounds",))
        term = builder.mul(index, steps[-1]) if steps else index
        offset = term if offset is None else builder.add(term, offset)
        steps.append(builder.mul(steps[-1], extent) if steps else extent)
    return builder.gep(builder.extract_value(value, fields.get_field_position("data")), [offset])


def _get_in_python(array: Any, *indices: int) -> Any:
    return array[indices]


def _put_in_python(array: Any, value: Any, *indices: int) -> None:
    array[indices] = value


def _add_in_python(array: Any, value: Any, *indices: int) -> None:
    array[indices] += value
