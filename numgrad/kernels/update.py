"""Optimizers: one pass over all parameters in one launch.

A table lists the tensors: int64 rows of addresses, of the parameter's number and of a length, which the planner cuts into
pieces of `PIECE` elements (`Pieces`). A kernel reads arrays straight from these addresses. Options are float64 data in an
operand, so that a recorded launch sees new values.

What an optimizer computes are two scalar functions (`Rule`). One is run for each parameter, in float64: it counts the
parameter's steps and makes the factors of this step. The other is run for each element, in the parameter's dtype, or in
float32 for halves.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import KernelError
from numgrad.kernels.halves import from_bfloat16, from_float16, to_bfloat16, to_float16
from numgrad.kernels.source import function_from, typed_function
from numgrad.runtime.kernel import Kernel, device, intrinsic
from numgrad.runtime.memory import array_over
from numgrad.runtime.plan import Operand, PlanBuilder

PIECE = 1 << 14  # elements of one row of the table: some 10 us of work


class Rule:
    """What an optimizer computes.

    Parameters
    ----------
    name
        The optimizer's, of its kernels.
    each_parameter
        ``(*counts, *options) -> (*counts, *factors)`` in float64. An option is known by its name. ``wide`` is whether the last
        count is stored in float64, and not in float32.
    each_element
        ``(p, g, *states, *switches, *factors) -> (p, *states)`` for an element of a parameter and of its gradient.
    states, counts
        Names of a parameter's states: tensors of its shape, and tensors of one number.
    switches
        For each switch the states and counts that are there only with it. It is a constant of the kernel.
    """

    def __init__(
        self,
        name: str,
        each_parameter: Callable[..., Any],
        each_element: Callable[..., Any],
        states: Sequence[str],
        counts: Sequence[str],
        switches: dict[str, Sequence[str]],
    ) -> None:
        self.name = name
        self.each_parameter, self.each_element = each_parameter, each_element
        self.states, self.counts = tuple(states), tuple(counts)
        self.switches = {switch: tuple(names) for switch, names in switches.items()}
        self.options = tuple(each for each in _names(each_parameter) if each not in (*self.counts, "wide"))
        known = ("p", "g", *self.states, *self.switches)
        self.factors = tuple(each for each in _names(each_element) if each not in known)

    def present(self, names: Sequence[str], on: Sequence[str]) -> tuple[str, ...]:
        """Those of these states or counts that are there with these switches."""
        absent = {name for switch, optional in self.switches.items() if switch not in on for name in optional}
        return tuple(name for name in names if name not in absent)


def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


@intrinsic
def array_at(typing_context, address, length, like):
    """The array of ``length`` elements of the scalar ``like``'s type that lies at an address."""
    from llvmlite import ir
    from numba import types

    array = types.Array(like, 1, "C")

    def emit(context, builder, signature, args):
        from numba.np.arrayobj import populate_array

        value = context.make_array(array)(context, builder)
        itemsize = ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_data_type(like)))
        data = builder.inttoptr(args[0], value.data.type)
        populate_array(value, data=data, shape=[args[1]], strides=[itemsize], itemsize=itemsize, meminfo=None)
        return value._getvalue()

    return array(types.int64, types.int64, like), emit


@array_at.in_python
def _(address, length, like):
    return array_over(int(address), (int(length),), like.dtype)


@intrinsic
def type_of(typing_context, like, value):
    """``value``, a float64, as the type of ``like``."""
    from numba import types

    def emit(context, builder, signature, args):
        return context.cast(builder, args[1], types.float64, like)

    return like(like, types.float64), emit


@type_of.in_python
def _(like, value):
    return type(like)(value)


@device
def count_at(address, wide):
    """The float64 (``wide``) or float32 at an address, as a float64."""
    if wide != 0:
        return array_at(address, 1, np.float64(0))[0]
    return np.float64(array_at(address, 1, np.float32(0))[0])


@device
def put_count(address, wide, value):
    """Store a float64 as the float64 or float32 at an address."""
    if wide != 0:
        array_at(address, 1, np.float64(0))[0] = value
    else:
        array_at(address, 1, np.float32(0))[0] = np.float32(value)


# ---- kernels ----------------------------------------------------------------------------------------------------


@functools.cache
def counting_kernel(rule: Rule, on: tuple[str, ...]) -> Kernel:
    """``(counts, options, factors)``: counts a step of each parameter, and computes its row of factors.

    A row of ``counts``, int64, has two columns for each count that is there: its address, and whether it is a float64.
    """
    present = rule.present(rule.counts, on)
    lines = [f"def {rule.name}_factors({'counts, ' if present else ''}options, factors, start, stop):"]
    lines.append("    for row in range(start, stop):")
    columns = {name: f"counts[row, {2 * k}], counts[row, {2 * k + 1}]" for k, name in enumerate(present)}
    lines += [f"        count_{name} = count_at({column})" for name, column in columns.items()]
    values = {name: f"count_{name}" if name in columns else "0.0" for name in rule.counts}
    values |= {name: f"options[{k}]" for k, name in enumerate(rule.options)}
    values["wide"] = f"counts[row, {2 * len(present) - 1}] != 0" if present else "False"
    lines.append(f"        result = function({', '.join(values[each] for each in _names(rule.each_parameter))})")
    lines += [
        f"        put_count({columns[name]}, result[{k}])" for k, name in enumerate(rule.counts) if name in columns
    ]
    lines += [f"        factors[row, {k}] = result[{len(rule.counts) + k}]" for k in range(len(rule.factors))]
    words = {"count_at": count_at, "put_count": put_count, "function": typed_function(rule.each_parameter, "f8")}
    function = function_from("\n".join(lines) + "\n", f"{rule.name}_factors", words)
    return Kernel(function, f"{'i8[:, :], ' if present else ''}f8[:], f8[:, :]")


@functools.cache
def update_kernel(rule: Rule, on: tuple[str, ...], dtype: dtypes.dtype) -> Kernel:
    """``(table, factors, zero, unit)``: changes the elements of all parameters. Work: rows of the table.

    A row of ``table`` has the addresses of the parameter, its gradient and the states that are there, the number of its row
    of factors, and the length. ``zero`` is a 0 of the stored type, ``unit`` of the type that is computed with.
    """
    present = rule.present(rule.states, on)
    arrays = {name: f"array_{name}" for name in ("p", "g", *present)}
    read, write = ("read({})", "write({})") if dtype.is_half else ("{}", "{}")
    lines = [f"def {rule.name}(table, factors, zero, unit, start, stop):", "    for row in range(start, stop):"]
    lines.append(f"        owner, length = table[row, {len(arrays)}], table[row, {len(arrays) + 1}]")
    lines += [f"        factor_{name} = type_of(unit, factors[owner, {k}])" for k, name in enumerate(rule.factors)]
    lines += [f"        {array} = array_at(table[row, {k}], length, zero)" for k, array in enumerate(arrays.values())]
    values = {name: f"factor_{name}" for name in rule.factors}
    values |= {name: str(name in on) for name in rule.switches}
    values |= {
        name: read.format(f"{arrays[name]}[i]") if name in arrays else "unit" for name in ("p", "g", *rule.states)
    }
    lines.append("        for i in range(array_p.shape[0]):")
    lines.append(f"            result = function({', '.join(values[each] for each in _names(rule.each_element))})")
    lines += [
        f"            {arrays[name]}[i] = {write.format(f'result[{k}]')}"
        for k, name in enumerate(("p", *rule.states))
        if name in arrays
    ]
    words: dict[str, Any] = {
        "array_at": array_at,
        "type_of": type_of,
        "function": typed_function(rule.each_element, "f4" if dtype.is_half else dtype.code),
    }
    if dtype.is_half:
        is_short = dtype is dtypes.bfloat16
        words["read"] = from_bfloat16 if is_short else from_float16
        words["write"] = to_bfloat16 if is_short else to_float16
    return Kernel(function_from("\n".join(lines) + "\n", rule.name, words), "i8[:, :], f8[:, :], T, C")


# ---- planning ---------------------------------------------------------------------------------------------------


class Pieces:
    """The rows of a table for tensors of these lengths.

    A row is ``(*addresses, number of the tensor, length)`` of a piece of at most `PIECE` elements. ``columns`` is how many
    addresses there are, ``numbered`` whether the numbers are those of the tensors, or else all 0. ``count`` is the number of
    rows, ``owners`` the tensor of each.
    """

    def __init__(self, lengths: Sequence[int], itemsize: int, columns: int, numbered: bool) -> None:
        pieces = np.array([-(-length // PIECE) for length in lengths], np.int64)
        self.count = int(pieces.sum())
        self.owners = np.repeat(np.arange(len(pieces)), pieces)
        self._columns = columns
        first = (np.arange(self.count) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * PIECE
        # The table for tensors at the address 0.
        self._rows = np.zeros((self.count, columns + 2), np.int64)
        self._rows[:, :columns] = first[:, None] * itemsize
        if numbered:
            self._rows[:, columns] = self.owners
        self._rows[:, -1] = np.minimum(PIECE, np.array(lengths, np.int64)[self.owners] - first)

    def table(self, addresses: np.ndarray) -> np.ndarray:
        """The table, int64, for tensors at these addresses, int64, a row for each.

        >>> Pieces([5, PIECE + 1], 4, 1, True).table(np.array([[64], [4096]])).tolist()
        [[64, 0, 5], [4096, 1, 16384], [69632, 1, 1]]
        """
        table = self._rows.copy()
        table[:, : self._columns] += addresses.take(self.owners, 0)
        return table


def grain_of(rows: int, elements: int) -> int:
    """Rows of a chunk: as many as have about `PIECE` elements, so that small tensors do not get a thread each.

    >>> grain_of(6, 353), grain_of(100, 100 * PIECE)
    (6, 1)
    """
    return max(1, min(rows, rows * PIECE // max(elements, 1)))


def plan_update(
    b: PlanBuilder,
    rule: Rule,
    table: Operand,
    counts: Operand | None,
    options: Operand,
    dtype: dtypes.dtype,
    on: tuple[str, ...] = (),
    grain: int = 1,
) -> None:
    """A step of all tensors of the table, which are of ``dtype``; ``grain`` rows are a chunk.

    table
        int64 [rows, addresses + 2], a row for each piece; see `update_kernel`.
    counts
        int64 [parameters, 2 * counts], see `counting_kernel`; None if the rule has no counts with these switches.
    options
        float64, the rule's options in their order.
    on
        The switches that are on.

    Raises
    ------
    KernelError
        The operands have other columns than the rule asks for.
    """
    present, states = rule.present(rule.counts, on), rule.present(rule.states, on)
    columns = 0 if counts is None else counts.spec.shape[1]
    if columns != 2 * len(present) or table.spec.shape[1] != len(states) + 4 or (counts is None) != (not present):
        raise KernelError(
            f"{rule.name}: got {table.spec} and {counts and counts.spec}, expected {states} and {present}"
        )
    rows, owners = table.spec.shape[0], 1 if counts is None else counts.spec.shape[0]
    counting = tuple(each for each in on if set(rule.switches[each]) & set(rule.counts))
    changing = tuple(each for each in on if each not in counting)
    factors = b.scratch(dtypes.float64, owners * len(rule.factors))
    every = factors.array(owners, len(rule.factors))
    b.launch(
        counting_kernel(rule, counting),
        *([] if counts is None else [counts.array(owners, columns)]), options.array(len(rule.options)), every,
        work=owners, grain=owners,
    )  # fmt: skip
    b.launch(
        update_kernel(rule, changing, dtype), table.array(rows, len(states) + 4), every, 0, 0,
        work=rows, grain=grain, cost=rows * PIECE // grain, binding=(dtype.code, "f4" if dtype.is_half else dtype.code),
    )  # fmt: skip
