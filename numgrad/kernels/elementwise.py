"""Elementwise kernels, written by a generator from scalar functions: any arity, any layout, broadcast.

A scalar function such as ``lambda g, out: g * (1 - out * out)`` becomes a kernel in one of two forms:

- *flat*: one loop over the elements, when all operands can be walked along one line;
- *rows*: an odometer over the outer dimensions and an inner loop, for everything else;
- *short rows*: the inner loop is along another axis, and each of its steps computes the few elements of a row.

In any form, the inner step of each operand is one letter of the kernel's pattern: ``a`` consecutive elements (an array
slice, so that LLVM vectorises), ``s`` one element for the whole loop, ``2`` to ``4`` every second to fourth element, which LLVM
picks out of whole vectors, ``t`` another stride. Literals in the scalar function take
the type of the computation: Numba would compute ``1 - x`` in float64 for a float32 ``x``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DtypeError, KernelError, ShapeError
from numgrad.kernels.halves import conversion
from numgrad.kernels.integers import from_float
from numgrad.kernels.pieces import Piece, broadcast_strides, coalesce, other_line, pieces, short_of
from numgrad.kernels.quick import Quick, quick_form
from numgrad.kernels.source import free_name, function_from, passed_through, typed_function
from numgrad.kernels.strided import every
from numgrad.kernels.transpose import plan_transpose
from numgrad.layout import product
from numgrad.runtime.kernel import Device, Kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

EVERY = frozenset("234")  # letters of strides that are known to a kernel
_LETTERS = (("a", 1), ("s", 0), ("2", 2), ("3", 3), ("4", 4))  # of strides
STRETCH = 256  # elements whose arguments are looked at before the quick form is taken: they stay in the first cache


# ---- the kernel around a scalar function ------------------------------------------------------------------------


@functools.cache
def elementwise_kernel(
    name: str,
    function: Device,
    pattern: str,
    outputs: tuple[int | None, ...],
    outer: int,
    over: int | None = None,
    gated: bool = False,
    quick: Quick | None = None,
    short: int = 0,
) -> Kernel:
    """The kernel for one pattern; ``short``: of rows of so many elements.

    ``pattern`` has a letter for each input and then each output; ``outputs`` tells which item of the function's result
    goes to which output (None: the result itself); ``outer`` is the number of outer dimensions, 0 for the flat form.
    With ``over`` the only output is that input, not an operand of its own: two names of one memory would not vectorise.
    Without outputs the kernel leaves the status 1 if the function holds for any element. A ``gated`` kernel does nothing if
    a status was left before. With ``quick`` each stretch of elements is computed by the quick form, if that holds for all.
    """
    count_out = len(outputs) if over is None else 0
    count_in = len(pattern) - count_out
    operands = [f"x{k}" for k in range(count_in)] + [f"y{k}" for k in range(count_out)]
    types = [f"A{k}[:]" for k in range(count_in)] + [f"R{k}[:]" for k in range(count_out)]
    arrays = list(operands)
    if gated or not outputs:
        types, arrays = [*types, "i8[:]"], [*arrays, "status"]
    fields: list[str] = []
    if outer:
        fields += ["inner", *(f"n{d}" for d in range(outer))]
        fields += [f"{operand}_s{d}" for operand in operands for d in range(outer)]
    if short:
        fields += [f"{operand}_m" for operand in operands]
    fields += [f"{operand}_t" for operand, letter in zip(operands, pattern, strict=True) if letter == "t"]
    if fields:
        types, arrays = [*types, "Grid"], [*arrays, "grid"]
    own_name = free_name(f"elementwise_{name}", ())
    lines = [f"def {own_name}({', '.join([*arrays, 'start', 'stop'])}):"]
    if gated:
        lines += ["    if status[0] != 0:", "        return"]
    if not outputs:
        lines.append("    holds = False")
    if fields:
        lines.append(f"    {', '.join(fields)}{',' if len(fields) == 1 else ''} = grid")
    if outer:
        lines += _rows_head(operands, outer)
        body, indent = _loop(operands, pattern, outputs, count_in, "inner", "_o", over, quick), "        "
        if short:
            body = _short_rows(operands, pattern, outputs, count_in, over, short)
    else:
        body, indent = _loop(operands, pattern, outputs, count_in, "stop - start", "start", over, quick), "    "
    lines += [indent + line for line in body]
    if outer > 1:
        lines += _rows_tail(outer)
    if not outputs:
        lines += ["    if holds:", "        status[0] = 1"]
    names: dict[str, Any] = {"function": function}
    if short:
        names.update({f"at_{u}": np.uint64(u) for u in range(4 * short)}, uint64=np.uint64)
    if not EVERY.isdisjoint(pattern):
        known = sorted(EVERY & set(pattern))
        names.update({f"every_{letter}": every(int(letter)) for letter in known}, uint64=np.uint64)
        names.update({f"step_{letter}": np.uint64(letter) for letter in known})
    if quick is not None:
        names.update(quick=quick.function, holds_for=quick.holds)
    generated = function_from("\n".join(lines) + "\n", own_name, names)
    generated.__name__ = name
    return Kernel(generated, ", ".join(types), [_grid(tuple(fields))] if fields else ())


@functools.cache
def _grid(fields: tuple[str, ...]) -> Any:
    """The record of a pattern: ``inner`` elements of a row, the outer extents ``n0`` on, each operand's steps over the
    outer dimensions, ``x0_s0`` on, and along the row, ``x0_t``."""
    return NamedTuple("Grid", [(field, int) for field in fields])  # type: ignore[misc]


def _rows_head(operands: list[str], outer: int) -> list[str]:
    """The odometer: the index of the first row, and the offset of each operand's row."""
    lines = ["    rest = start"] if outer > 1 else []
    for d in reversed(range(1, outer)):
        lines += [f"    i{d} = rest % n{d}", f"    rest = rest // n{d}"]
    lines += (
        ["    i0 = rest", "    for row in range(start, stop):"] if outer > 1 else ["    for i0 in range(start, stop):"]
    )
    for operand in operands:
        offset = " + ".join(f"i{d} * {operand}_s{d}" for d in range(outer))
        lines.append(f"        {operand}_o = {offset}")
    return lines


def _rows_tail(outer: int) -> list[str]:
    """The odometer's step, without divisions, which would take longer than a short row."""
    lines = []
    for d in reversed(range(outer)):
        indent = "    " * (outer - d + 1)
        lines.append(f"{indent}i{d} += 1")
        if d:
            lines += [f"{indent}if i{d} == n{d}:", f"{indent}    i{d} = 0"]
    return lines


def _loop(
    operands: list[str],
    pattern: str,
    outputs: tuple[int | None, ...],
    count_in: int,
    extent: str,
    base: str,
    over: int | None,
    quick: Quick | None,
) -> list[str]:
    """The inner loop; ``base`` is 'start' (flat) or '_o' (a row's offsets)."""
    lines: list[str] = []
    stretch: list[str] = []  # of a loop over stretches: where each operand's begins
    reads: list[str] = []
    places: list[str] = []  # where an operand's element is, which may be written
    for operand, letter in zip(operands, pattern, strict=True):
        first = f"{operand}_o" if base == "_o" else "start"
        if letter == "a":
            lines.append(f"{operand}_v = {operand}[{first}:{first} + ({extent})]")
            stretch.append(f"{operand}_w = {operand}_v[begin:begin + count]")
            access = f"{operand}_v[i]" if quick is None else f"{operand}_w[i]"
        elif letter == "s":
            lines.append(f"{operand}_v = {operand}[{first if base == '_o' else '0'}]")
            access = f"{operand}_v"
        elif letter in EVERY:  # an index without a sign, which cannot count from the end
            vector = f"{operand}_{'v' if quick is None else 'w'}"
            lines.append(f"{operand}_v = {operand}[{first}{'' if base == '_o' else f' * {letter}'}:]")
            stretch.append(f"{operand}_w = {operand}_v[begin * {letter}:]")
            access = f"{vector}[uint64(i) * step_{letter}]"
        else:
            lines.append(f"{operand}_b = {first}" + ("" if base == "_o" else f" * {operand}_t"))
            stretch.append(f"{operand}_c = {operand}_b + begin * {operand}_t")
            access = f"{operand}[{operand}_{'b' if quick is None else 'c'} + i * {operand}_t]"
        places.append(access)
        reads.append(f"every_{letter}({vector}, i)" if letter in EVERY else access)
    reads, writes = reads[:count_in], places[count_in:] if over is None else [places[over]]
    arguments = ", ".join(reads)
    if not outputs:
        return [*lines, f"for i in range({extent}):", f"    holds = holds | function({arguments})"]
    if quick is None:
        return [*lines, f"for i in range({extent}):", *_element("function", arguments, writes, outputs)]
    return [
        *lines,
        f"for begin in range(0, {extent}, {STRETCH}):",
        f"    count = min({STRETCH}, {extent} - begin)",
        *[f"    {line}" for line in stretch],
        "    outside = 0",
        "    for i in range(count):",
        f"        outside = outside | (0 if holds_for({arguments}) else 1)",
        "    if outside == 0:",
        "        for i in range(count):",
        *[f"        {line}" for line in _element("quick", arguments, writes, outputs)],
        "    else:",
        "        for i in range(count):",
        *[f"        {line}" for line in _element("function", arguments, writes, outputs)],
    ]


def _element(function: str, arguments: str, writes: list[str], outputs: tuple[int | None, ...]) -> list[str]:
    """The body of the loop over elements."""
    if outputs == (None,):
        return [f"    {writes[0]} = {function}({arguments})"]
    return [
        f"    result = {function}({arguments})",
        *[f"    {write} = result[{item}]" for write, item in zip(writes, outputs, strict=True)],
    ]


def _short_rows(
    operands: list[str], pattern: str, outputs: tuple[int | None, ...], count_in: int, over: int | None, short: int
) -> list[str]:
    """The loop from row to row, with indices without a sign, which cannot count from the end."""
    lines = [f"{operand}_b, {operand}_k = uint64({operand}_o), uint64({operand}_m)" for operand in operands]
    lines += [
        f"{operand}_u = uint64({operand}_t)" for operand, letter in zip(operands, pattern, strict=True) if letter == "t"
    ]
    lines.append("for i in range(inner):")
    steps = {"a": 1, "s": 0, "2": 2, "3": 3, "4": 4}
    for u in range(short):
        places = [
            f"{operand}[{operand}_b + " + (f"at_{u} * {operand}_u]" if letter == "t" else f"at_{u * steps[letter]}]")
            for operand, letter in zip(operands, pattern, strict=True)
        ]
        writes = places[count_in:] if over is None else [places[over]]
        lines += _element("function", ", ".join(places[:count_in]), writes, outputs)
    return [*lines, *(f"    {operand}_b += {operand}_k" for operand in operands)]


# ---- planning ---------------------------------------------------------------------------------------------------


class Formula(NamedTuple):
    """The scalar function of a launch: of one element of each input, typed; ``items`` and ``cost`` as in `plan_elementwise`.

    ``quick`` computes the same where its condition holds, see `kernels.quick`; ``copies`` says that it passes on its one input.
    """

    function: Device
    items: tuple[int | None, ...] = (None,)
    cost: int = 1
    quick: Quick | None = None
    copies: bool = False


def broadcast_shapes(op: str, *shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that all broadcast to, by NumPy's rule.

    Raises
    ------
    ShapeError
        Two extents differ and neither is 1.

    >>> broadcast_shapes("add", (2, 1), (3,))
    (2, 3)
    """
    ndim = max((len(shape) for shape in shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for axis, extent in enumerate(shape, ndim - len(shape)):
            if extent != 1 and result[axis] not in (1, extent):
                raise ShapeError(
                    f"{op}: The size of tensor a ({result[axis]}) must match the size of tensor b ({extent}) at "
                    f"non-singleton dimension {axis}; the shapes are {', '.join(str(list(s)) for s in shapes)}"
                )
            if extent != 1:
                result[axis] = extent
    return tuple(result)


def plan_elementwise(
    b: PlanBuilder,
    name: str,
    function: Callable[..., Any],
    compute: str,
    inputs: Sequence[Operand],
    outputs: Sequence[Operand],
    items: tuple[int | None, ...] = (None,),
    cost: int = 1,
    gated: bool = False,
) -> None:
    """Add the launch of a scalar function over broadcast inputs.

    ``compute`` is the dtype code of its literals, ``items`` and ``gated`` are as in `elementwise_kernel`, ``cost`` is the
    rough number of elementary operations for one element. All outputs have one shape, to which the inputs broadcast.
    Results are converted to the outputs' dtypes; from floating point to integers only in a plain copy.

    Raises
    ------
    ShapeError
        An input does not broadcast to the outputs' shape, or outputs have different shapes: the kernel would read or write
        beyond them.
    """
    _prove_shapes(name, tuple(outputs[0].spec.shape), inputs, outputs)
    if outputs[0].spec.numel == 0:
        return
    types = [each.spec.dtype for each in inputs], [each.spec.dtype for each in outputs]
    scalar = formula(name, function, compute, *types, items, cost)
    if scalar.copies and inputs[0].spec.dtype is outputs[0].spec.dtype:
        shape = tuple(outputs[0].spec.shape)
        strides = [broadcast_strides(each.spec, shape) for each in (inputs[0], outputs[0])]
        if plan_transpose(b, inputs[0], outputs[0], *coalesce(shape, strides)):
            return
    plan_formula(b, name, scalar, inputs, outputs, gated)


def formula(
    name: str,
    function: Callable[..., Any],
    compute: str,
    inputs: Sequence[Dtype],
    outputs: Sequence[Dtype],
    items: tuple[int | None, ...] = (None,),
    cost: int = 1,
) -> Formula:
    """The formula of a scalar function for operands of these dtypes; the arguments are those of `plan_elementwise`."""
    copies = len(inputs) == 1 and passed_through(function, 1) == (True,)
    converts = any(each.is_half for each in (*inputs, *outputs)) and (not copies or inputs[0] is not outputs[0])
    if converts and not copies:
        kind = next(each for each in (*inputs, *outputs) if each.is_half)
        raise DtypeError(f"\"{name}\" not implemented for '{kind.torch_name}'; convert with .float() first")
    quick = None
    if converts:
        scalar = conversion(inputs[0], outputs[0])
    elif any(each.is_floating_point for each in inputs) and any(each.category == 1 for each in outputs):
        if not copies:
            raise KernelError(f"{name}: computes in floating point for {outputs[0]}, expected a cast of its own")
        scalar = from_float(inputs[0].code, outputs[0].code)
    else:
        scalar, quick = typed_function(function, compute), None if copies else quick_form(function, compute)
    return Formula(scalar, items, cost, quick, copies)


def plan_formula(
    b: PlanBuilder,
    name: str,
    scalar: Formula,
    inputs: Sequence[Operand],
    outputs: Sequence[Operand],
    gated: bool = False,
) -> None:
    """Add the launch of a formula over broadcast inputs, as `plan_elementwise`."""
    shape = tuple(outputs[0].spec.shape)
    _prove_shapes(name, shape, inputs, outputs)
    if product(shape) == 0:
        return
    operands = [*inputs, *outputs]
    extents, strides = coalesce(shape, [broadcast_strides(operand.spec, shape) for operand in operands])
    operands, extents, strides = _turned(b, operands, len(inputs), extents, strides)
    for piece in pieces(extents, strides):
        _plan_piece(b, name, scalar.function, operands, piece, scalar.items, scalar.cost, gated, scalar.quick)


def plan_check(
    b: PlanBuilder, name: str, function: Callable[..., Any], compute: str, inputs: Sequence[Operand]
) -> None:
    """Add a launch that leaves the status 1 if the scalar function holds for any element of the broadcast inputs."""
    shape = broadcast_shapes(name, *(operand.spec.shape for operand in inputs))
    if product(shape) == 0:
        return
    strides = [broadcast_strides(operand.spec, shape) for operand in inputs]
    shape = tuple(n if any(row[axis] for row in strides) else 1 for axis, n in enumerate(shape))
    extents, strides = coalesce(shape, strides)
    piece = Piece([0] * len(strides), extents, strides)
    _plan_piece(b, name, typed_function(function, compute), inputs, piece, (), 1, False)


def _prove_shapes(name: str, shape: tuple[int, ...], inputs: Sequence[Operand], outputs: Sequence[Operand]) -> None:
    for output in outputs:
        if tuple(output.spec.shape) != shape:
            raise ShapeError(
                f"{name}: the outputs have shapes {list(shape)} and {list(output.spec.shape)}, expected one"
            )
    for position, operand in enumerate(inputs):
        extents = tuple(operand.spec.shape)
        lead = len(shape) - len(extents)
        if lead < 0 or any(extent not in (1, whole) for extent, whole in zip(extents, shape[lead:], strict=True)):
            raise ShapeError(
                f"{name}: input {position} has shape {list(extents)}, which does not broadcast to the output's, {list(shape)}"
            )


def _turned(
    b: PlanBuilder, operands: list[Operand], count_in: int, extents: list[int], strides: list[list[int]]
) -> tuple[list[Operand], list[int], list[list[int]]]:
    """Copies of inputs that are contiguous along another axis than the result, so that each is read once, line by line."""
    turned, steps = list(operands), list(strides)
    dense = [product(extents[axis + 1 :]) for axis in range(len(extents))]
    for position in range(count_in):
        if other_line(extents, [strides[position], strides[-1]]) is None:
            continue
        copy = b.scratch(operands[position].spec.dtype, product(extents))
        if plan_transpose(b, operands[position], copy, extents, [strides[position], dense]):
            turned[position], steps[position] = copy, dense
    return turned, *coalesce(tuple(extents), steps)


def _plan_piece(
    b: PlanBuilder,
    name: str,
    function: Device,
    operands: Sequence[Operand],
    piece: Piece,
    items: tuple[int | None, ...],
    cost: int,
    gated: bool,
    quick: Quick | None = None,
) -> None:
    extents, strides, offsets = piece.extents, piece.strides, piece.offsets
    over = _overwritten(operands, strides, len(items))
    if over is not None:
        operands, strides, offsets = operands[:-1], strides[:-1], offsets[:-1]
    short = 0 if quick is not None or not items else short_of(extents)
    loop, along = extents[-2 if short else -1], [row[-2] for row in strides] if short else []
    if short:
        extents, strides = [*extents[:-2], short], [[*row[:-2], row[-1]] for row in strides]
    steps = [row[-1] for row in strides]
    pattern = "".join(next((letter for letter, known in _LETTERS if step == known), "t") for step in steps)
    outer = len(extents) - 1
    kernel = elementwise_kernel(name, function, pattern, items, outer, over, gated, quick, short)
    arguments: list[Any] = [
        operand.array(operand.extent - offset, offset=offset) for operand, offset in zip(operands, offsets, strict=True)
    ]
    if gated or not items:
        arguments.append(STATUS)
    numbers = [loop, *extents[:-1], *(step for row in strides for step in row[:-1]), *along] if outer else []
    numbers += [step for step, letter in zip(steps, pattern, strict=True) if letter == "t"]
    if numbers:
        arguments.append(kernel.parameters[-1].record(*numbers))  # type: ignore[misc]
    inner = (loop * short or loop) if outer else 1
    work = product(extents[:-1]) if outer else extents[0]
    grain = max(1, GRAIN_COST // (inner * cost))
    b.launch(kernel, *arguments, work=work, grain=grain, cost=work * inner * cost)


def _overwritten(operands: Sequence[Operand], strides: list[list[int]], outputs: int) -> int | None:
    """The input that has the memory of the only output, element by element."""
    out = operands[-1]
    for position, operand in enumerate(operands[:-1]):
        same = operand.index == out.index and operand.offset == out.offset and strides[position] == strides[-1]
        if outputs == 1 and same and 0 not in strides[-1]:
            return position
    return None
