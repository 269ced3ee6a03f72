"""Reading captured programs: a document becomes `Recorded` programs over memory of their own, or is refused.

What a hostile document could do is bounded by what it is made of. Each op is one of the registry, and its plan is made anew from
specs and parameters, which it proves as for any caller: all launches stay within its operands. Here it is proved that operands
stay within their memory, and that nothing is read before it was made. Tables of addresses are built from places, never read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad.compile.passes.graph import Graph
from numgrad.compile.recorded import Gradient, Recorded
from numgrad.compile.results import Described, Listed, Mapped, Number, Results
from numgrad.compile.saved.values import (
    MOST_DEPTH,
    MisfitError,
    decoded,
    decoded_spec,
    expect_list,
    expect_object,
    index,
    one_of,
    op_of,
    size,
    truth,
)
from numgrad.compile.steps import Applied, Block, Place
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.errors import KernelError, ProofError
from numgrad.layout import Spec, spec_of
from numgrad.ops.update import Update
from numgrad.registry import Op
from numgrad.runtime.memory import Storage
from numgrad.runtime.plan import PrivateOperandError
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import proof_of

_EMPTY = Graph((), ())
_STEP, _UPDATE = {"op", "params", "inputs"}, {"op", "on", "dtype", "columns", "counts", "options"}
_ROLES = ("parameter", "buffer", "state", "other")


class Unwatched:
    """In the place of `Visible`: a loaded program sees nothing that could change."""

    has_arrays = False

    def __init__(self) -> None:
        self.tensors: dict[int, TensorBase] = {}

    def guards(self) -> list[Any]:
        """None."""
        return []

    def array_difference(self) -> None:
        """None."""

    def difference(self) -> None:
        """None."""


class Named(NamedTuple):
    """A tensor of a file."""

    name: str
    role: str
    tensor: Tensor


class Options(NamedTuple):
    """Where the numbers of an optimizer's group lie."""

    of: str
    group: int
    memory: Storage
    names: tuple[str, ...]


class Reader:
    """A file's memory, and what lies in it.

    Parameters
    ----------
    memory
        The storages, filled, in the order of the document.
    """

    def __init__(self, memory: Sequence[Storage]) -> None:
        self.memory = memory
        self.tensors: list[Named] = []
        self.options: list[Options] = []

    def read_tables(self, tensors: Any, options: Any) -> None:
        """Make the tensors and the options."""
        for row in expect_list(tensors, "tensors"):
            row = expect_object(row, "a tensor", {"name", "role", "place", "requires_grad", "grad"})
            tensor = self._tensor(row["place"])
            if truth(row["requires_grad"], "requires_grad"):
                if not tensor._spec.dtype.is_floating_point:
                    raise MisfitError(f"a tensor of {tensor._spec.dtype} requires a gradient")
                tensor._requires_grad = True
            if row["grad"] is not None:
                tensor._grad = self._tensor(row["grad"])
                if tensor._grad._spec.shape != tensor._spec.shape or tensor._grad._spec.dtype is not tensor._spec.dtype:
                    raise MisfitError("a gradient has another shape or dtype than its tensor")
            name = one_of(row["name"], "a name", lambda each: type(each) is str)
            self.tensors.append(Named(name, one_of(row["role"], "a role", _ROLES.__contains__), tensor))
        if len({each.name for each in self.tensors}) < len(self.tensors):
            raise MisfitError("two tensors have the same name")
        for row in expect_list(options, "options"):
            row = expect_object(row, "options", {"memory", "of", "group", "names"})
            names = tuple(
                [one_of(each, "an option", lambda e: type(e) is str) for each in expect_list(row["names"], "names")]
            )
            memory = self.memory[index(row["memory"], "memory", len(self.memory))]
            if memory.nbytes != 8 * len(names) or len(set(names)) < len(names):
                raise MisfitError(f"the options {names} lie in {memory.nbytes} bytes")
            of = one_of(row["of"], "an optimizer", lambda each: type(each) is str)
            self.options.append(Options(of, size(row["group"], "a group"), memory, names))

    def _tensor(self, where: Any) -> Tensor:
        number, offset, spec = expect_list(where, "a place", 3)
        storage = self.memory[index(number, "memory", len(self.memory))]
        spec, offset = within(storage.nbytes, size(offset, "an offset"), spec)
        return tensor_over(Tensor, storage, spec, storage.address + offset)

    def tensor(self, number: Any) -> Tensor:
        """The tensor of this number."""
        return self.tensors[index(number, "a tensor", len(self.tensors))].tensor

    def program(self, document: Any) -> Recorded:
        """One program."""
        return _Program(self, document).recorded()


def within(nbytes: int, offset: int, spec: Any) -> tuple[Spec, int]:
    """The spec and the offset in bytes, which lie within ``nbytes``."""
    spec = decoded_spec(spec)
    if offset % spec.dtype.itemsize or offset + spec.nbytes > nbytes:
        raise MisfitError(f"{spec} at byte {offset} does not lie in {nbytes} bytes")
    return spec, offset


class _Program:
    """One program."""

    def __init__(self, reader: Reader, document: Any) -> None:
        keys = {"args", "kwargs", "arguments", "steps", "begun", "gradients", "results", "result", "inference"}
        self.reader, self.document = reader, expect_object(document, "a program", keys)
        self.arguments: list[tuple[Spec, bool]] = []
        for row in expect_list(document["arguments"], "arguments"):
            spec, requires_grad = expect_list(row, "an argument", 2)
            self.arguments.append((decoded_spec(spec), truth(requires_grad, "requires_grad")))
        self.blocks: dict[str, list[Block]] = {"argument": [], "memory": [], "begun": [], "made": []}
        for number, (spec, _) in enumerate(self.arguments):
            block = self._block("argument", spec.nbytes, None)
            block.slot, block.spec = number, spec
            self.blocks["argument"].append(block)
        self.blocks["memory"] = [self._block("held", each.nbytes, each) for each in reader.memory]
        for row in expect_list(document["begun"], "begun"):
            storage = reader.memory[index(row, "memory", len(reader.memory))]
            block = self._block("begun", storage.nbytes, None)
            block.initial = np.asarray(storage).tobytes()
            self.blocks["begun"].append(block)

    def _block(self, kind: str, nbytes: int, root: Storage | None) -> Block:
        return Block(-1, kind, nbytes, root)

    def recorded(self) -> Recorded:
        """The program as a capture would have recorded it."""
        document = self.document
        steps = [self._step(row, number) for number, row in enumerate(expect_list(document["steps"], "steps"))]
        gradients = [self._gradient(row) for row in expect_list(document["gradients"], "gradients")]
        results = self._results(document["results"], document["result"])
        kept = {*results.blocks, *[each.block for each in gradients if each.block is not None]}
        blocks = [block for several in self.blocks.values() for block in several]
        args = [self.signature(each) for each in expect_list(document["args"], "arguments")]
        kwargs = {
            one_of(name, "an argument's name", lambda each: type(each) is str): self.signature(each)
            for name, each in [
                expect_list(pair, "an argument", 2) for pair in expect_list(document["kwargs"], "arguments")
            ]
        }
        numbers = sorted([n for each in (*args, *kwargs.values()) for n in tensors_of(each)])
        if numbers != list(range(len(self.arguments))):
            raise MisfitError("the arguments' tensors are not numbered as they are listed")
        changed = {block: None for step in steps for block in step.changes if block.kind in ("held", "argument")}
        return Recorded(
            tuple(steps), blocks, gradients, results, frozenset(kept), (tuple(args), kwargs), tuple(self.arguments),
            (0,) * len(self.arguments), [], Unwatched(),  # type: ignore[arg-type]
            [(each.tensor, each.tensor._address, each.tensor._spec) for each in self.reader.tensors], [],
            [(block, block.root) for block in changed], truth(document["inference"], "inference"), 0,
        )  # fmt: skip

    def signature(self, value: Any, depth: int = 0) -> Any:
        """An argument: a number for a tensor, a value, or a container of them."""
        if depth > MOST_DEPTH or type(value) is not dict or len(value) != 1:
            raise MisfitError("an argument is nested too deeply, or no argument")
        ((kind, inside),) = value.items()
        if kind == "tensor":
            return Number(index(inside, "a tensor", len(self.arguments)))
        if kind in ("tuple", "list"):
            items = [self.signature(each, depth + 1) for each in expect_list(inside, "an argument")]
            return tuple(items) if kind == "tuple" else items
        if kind == "dict":
            pairs = [expect_list(pair, "an item", 2) for pair in expect_list(inside, "an argument")]
            return {_key(key): self.signature(each, depth + 1) for key, each in pairs}
        return decoded(inside if kind == "value" else {"": value})

    # ---- steps --------------------------------------------------------------------------------------------------

    def _operand(self, where: Any) -> tuple[Place, Spec]:
        kind, number, offset, spec = expect_list(where, "a place", 4)
        if type(kind) is not str or kind not in self.blocks:
            raise MisfitError("a place is in no memory")
        several = self.blocks[kind]
        block = several[index(number, f"{kind} memory", len(several))]
        spec, offset = within(block.nbytes, size(offset, "an offset"), spec)
        if kind == "argument" and spec.dtype.itemsize > self.arguments[block.slot][0].dtype.itemsize:
            raise MisfitError("an argument is read as another dtype")
        return (block, offset), spec

    def _step(self, row: Any, number: int) -> Applied:
        line = f"step {number} of the file"
        try:
            op = op_of(row.get("op") if type(row) is dict else None)
            if isinstance(op, Update):
                step = self._update(op, expect_object(row, "an optimizer's step", _UPDATE), line)
            else:
                step = self._op(op, expect_object(row, "a step", _STEP), line)
        except MisfitError as error:
            raise MisfitError(f"{line}: {error}") from None
        self.blocks["made"] += step.makes
        return step

    def _op(self, op: Op, row: dict[str, Any], line: str) -> Applied:
        inputs = [None if each is None else self._operand(each) for each in expect_list(row["inputs"], "inputs")]
        values = [decoded(each) for each in expect_list(row["params"], "params", len(op.param_names))]
        params = op.Params(*values)
        specs = tuple([None if each is None else each[1] for each in inputs])
        plan = _planned(op, lambda: op.planned(specs, params).finish())
        if plan.program is None:
            raise MisfitError(f"{op.name} launches nothing")
        for position in plan.changed:
            if any(_overlaps(inputs[position], other) for other in inputs):
                raise MisfitError(f"{op.name} changes memory that it reads in another way")
        return _EMPTY.applied(op, plan, params, inputs, line)

    def _update(self, op: Update, row: dict[str, Any], line: str) -> Applied:
        """An optimizer's step: its tables are made of the places in their columns."""
        on = tuple(
            [one_of(each, "a switch", op.rule.switches.__contains__) for each in expect_list(row["on"], "switches")]
        )
        dtype = decoded(row["dtype"])
        columns, counts = (
            [
                [self._operand(each) for each in expect_list(column, "a column")]
                for column in expect_list(row[key], "columns")
            ]
            for key in ("columns", "counts")
        )
        states, present = op.rule.present(op.rule.states, on), op.rule.present(op.rule.counts, on)
        several = {len(column) for column in (*columns, *counts)}
        if len(columns) != 2 + len(states) or len(counts) != len(present) or len(several) != 1:
            raise MisfitError(f"{op.name} has other columns than {('grad', *states)} and {present}")
        specs = [tuple([spec for _, spec in column]) for column in (*columns, *counts)]
        proof = _planned(op, lambda: proof_of(op, on, ("grad", *states), present, *specs))
        groups = [each for each in proof.groups if each.params.dtype is dtype]
        if proof.strange or not groups:
            raise MisfitError(f"{op.name} has tensors in other layouts, or none of {dtype}")
        (group,) = groups
        options = self._operand(row["options"])
        if options[1] is not spec_of(_FLOAT64, (len(op.rule.options),)):
            raise MisfitError(f"{op.name} has options {options[1]}")
        chosen = [[column[n] for n in group.indices] for column in columns]
        table = self._table(group.pieces.table(np.zeros((len(group.indices), len(columns)), np.int64)))
        of_rows = group.pieces.owners.tolist()
        rows = np.frombuffer(table.initial or b"", np.int64).reshape(len(of_rows), -1)
        for r, owner in enumerate(of_rows):
            for c, column in enumerate(chosen):
                (block, offset), _ = column[owner]
                table.words.append((r * rows.shape[1] + c, block, offset + int(rows[r, c])))
        table.columns = [[(block, offset, spec) for (block, offset), spec in column] for column in columns]
        inputs: list[tuple[Place, Spec] | None] = [((table, 0), group.table), None, options]
        if present:
            assert group.counts is not None
            tally = self._table(group.wide)
            for k, column in enumerate(counts):
                for r, n in enumerate(group.indices):
                    (block, offset), _ = column[n]
                    tally.words.append((r * 2 * len(counts) + 2 * k, block, offset))
            tally.columns = [[(block, offset, spec) for (block, offset), spec in column] for column in counts]
            inputs[1] = (tally, 0), group.counts
        step = _EMPTY.applied(op, group.plan, group.params, inputs, line)
        step.changes += [
            column[n][0][0] for k, column in enumerate((*columns, *counts)) if k != 1 for n in group.indices
        ]
        return step

    def _table(self, rows: np.ndarray) -> Block:
        block = self._block("table", rows.nbytes, None)
        block.initial = rows.tobytes()
        return block

    # ---- gradients and results ----------------------------------------------------------------------------------

    def _leaf(self, where: Any) -> Any:
        """A tensor of the file, or the number of an argument, and its spec."""
        kind, number = expect_list(where, "a leaf", 2)
        if kind == "argument":
            number = index(number, "an argument", len(self.arguments))
            return number, self.arguments[number][0]
        tensor = self.reader.tensor(number if kind == "tensor" else None)
        return tensor, tensor._spec

    def _gradient(self, row: Any) -> Gradient:
        row = expect_object(row, "a gradient", {"leaf", "before", "kind", "at"})
        leaf, spec = self._leaf(row["leaf"])
        before = one_of(row["before"], "a gradient", lambda each: each is None or type(each) is bool)
        kind = one_of(row["kind"], "a gradient", ("same", "made", "dropped", "found").__contains__)
        if kind == "dropped":
            one_of(row["at"], "a gradient that is dropped", lambda each: each is None)
            return Gradient(leaf, before, kind, None, None, 0)
        block, offset, of = None, 0, None
        if row["at"] is not None:
            (block, offset), of = self._operand(row["at"])
            if of.shape != spec.shape or of.dtype is not spec.dtype:
                raise MisfitError("a gradient has another shape or dtype than its tensor")
        if kind == "made":
            if block is None or block.kind != "made":
                raise MisfitError("a gradient is made nowhere")
        else:
            if before is not True or (block is not None and not isinstance(leaf, TensorBase)):
                raise MisfitError("a gradient is not there, or that of an argument")
            if block is not None and (block.kind != "held" or block.nbytes != of.nbytes or not of.is_dense):  # type: ignore[union-attr]
                raise MisfitError("a gradient is a part of other memory")
        return Gradient(leaf, before, kind, of, block, offset)

    def _results(self, rows: Any, template: Any) -> Results:
        results = Results()
        for row in expect_list(rows, "results"):
            results.described.append(self._result(row, results))
        results.template = self._template(template, len(results.described))
        if _numbers(results.template) != list(range(len(results.described))):
            raise MisfitError("the results' tensors are not numbered in their order")
        results.make()
        return results

    def _result(self, row: Any, results: Results) -> Described:
        kind = (expect_list(row, "a result") or [None])[0]
        if kind == "argument":
            return Described(kind, index(expect_list(row, "a result", 2)[1], "an argument", len(self.arguments)))
        if kind == "tensor":
            return Described(kind, self.reader.tensor(expect_list(row, "a result", 2)[1]))
        if kind == "gradient":
            return Described(kind, self._leaf(row[1:])[0])
        if kind not in ("made", "view", "copy", "memory"):
            raise MisfitError("a result is of no known kind")
        _, where, requires_grad, had_graph = expect_list(row, "a result", 4)
        (block, offset), spec = self._operand(where)
        if block.kind != {"made": "made", "view": "argument"}.get(kind, "held"):
            raise MisfitError(f"a result of the kind {kind} lies in memory of the kind {block.kind}")
        of: Any = {"made": block, "view": block.slot}.get(kind, block.root)
        if kind == "made":
            results.blocks.append(block)
        return Described(kind, of, spec, offset, truth(requires_grad, "requires_grad"), truth(had_graph, "a graph"))

    def _template(self, value: Any, count: int, depth: int = 0) -> Any:
        if depth > MOST_DEPTH or type(value) is not dict or len(value) != 1:
            raise MisfitError("the result is nested too deeply, or no result")
        ((kind, inside),) = value.items()
        if kind == "tensor":
            return Number(index(inside, "a tensor", count))
        if kind in ("tuple", "list"):
            items = [self._template(each, count, depth + 1) for each in expect_list(inside, "a result")]
            return Listed(tuple if kind == "tuple" else list, items)
        if kind == "dict":
            pairs = [expect_list(pair, "an item", 2) for pair in expect_list(inside, "a result")]
            return Mapped(dict, [_key(k) for k, _ in pairs], [self._template(v, count, depth + 1) for _, v in pairs])
        return decoded(inside if kind == "value" else {"": value})


_FLOAT64 = decoded({"dtype": "float64"})


def _overlaps(one: tuple[Place, Spec] | None, other: tuple[Place, Spec] | None) -> bool:
    """Whether two operands share bytes without being the same."""
    if one is None or other is None or one == other or one[0][0] is not other[0][0]:
        return False
    (_, begin), spec = one
    (_, other_begin), other_spec = other
    return begin < other_begin + other_spec.nbytes and other_begin < begin + spec.nbytes


def _planned(op: Op, plan: Callable[[], Any]) -> Any:
    """What the planning function makes, whose refusals say that the file does not fit."""
    try:
        return plan()
    except (MemoryError, KernelError) as error:
        if not isinstance(error, ProofError):
            raise
        raise MisfitError(f"{op.name} refuses its operands: {error}") from None
    except PrivateOperandError:
        raise MisfitError(f"{op.name} refuses a private layout") from None
    except (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError, AssertionError) as error:
        raise MisfitError(f"{op.name} refuses its operands: {error}") from None


def _key(value: Any) -> Any:
    return one_of(decoded(value), "a key", lambda each: type(each) in (str, int, float, bool, type(None)))


def tensors_of(value: Any) -> list[int]:
    """The numbers of the tensors in an argument."""
    if isinstance(value, Number):
        return [int(value)]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [number for each in value for number in tensors_of(each)]


def _numbers(template: Any) -> list[int]:
    """The numbers of the tensors in a result."""
    if isinstance(template, Number):
        return [int(template)]
    return (
        [n for each in getattr(template, "items", ()) for n in _numbers(each)]
        if isinstance(template, (Listed, Mapped))
        else []
    )
