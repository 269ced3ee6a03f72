"""Writing captured programs: `document` says what they are as JSON, over a list of memory that they share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.compile.capture import renew
from numgrad.compile.captured import Captured
from numgrad.compile.recorded import Gradient, Recorded
from numgrad.compile.results import Described, Listed, Mapped, Number
from numgrad.compile.saved.values import UnsavableError, encoded, encoded_spec, name_of
from numgrad.compile.steps import Again, Applied, Block, Place
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.layout import Spec, spec_of
from numgrad.ops.update import Update
from numgrad.runtime import memory
from numgrad.runtime.memory import Storage
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

FORMAT = 1
PROGRAM, DIGEST, VERSION = "numgrad.program", "numgrad.sha256", "numgrad.version"


class Named(NamedTuple):
    """A tensor under a name, and what it is: a "parameter", a "buffer", a "state" of an optimizer, or "other"."""

    name: str
    role: str
    tensor: TensorBase


class Writer:
    """Collects the memory and the tensors of programs.

    Attributes
    ----------
    memory
        The storages that the programs found, each once.
    tensors
        Tensors over them that have a name, a gradient or are returned.
    options
        For each group of an optimizer the memory of its numbers, and their names.
    """

    def __init__(self, programs: Sequence[Captured]) -> None:
        self.memory: list[Storage] = []
        self.tensors: list[Named] = []
        self.options: list[dict[str, Any]] = []
        self._memory: dict[int, int] = {}
        self._tensors: dict[int, int] = {}
        self._names: set[str] = set()
        for program in programs:
            for named in names_of(program.recorded):
                self.tensor(named.tensor, named)

    def memory_of(self, root: Storage) -> int:
        """The number of a storage."""
        number = self._memory.get(id(root))
        if number is None:
            number = self._memory[id(root)] = len(self.memory)
            self.memory.append(root)
        return number

    def tensor(self, tensor: TensorBase, named: Named | None = None) -> int:
        """The number of a tensor."""
        number = self._tensors.get(id(tensor))
        if number is None:
            number = self._tensors[id(tensor)] = len(self.tensors)
            role = "parameter" if tensor._requires_grad else "other"
            name, role = (named.name, named.role) if named else (f"tensor.{number}", role)
            while name in self._names:
                name += "'"
            self._names.add(name)
            self.tensors.append(Named(name, role, tensor))
            self.memory_of(tensor._storage.root)
        return number

    # ---- the document ------------------------------------------------------------------------------------------

    def document(self, programs: Sequence[Captured], names: Sequence[str]) -> dict[str, Any]:
        """Programs, the passes that they go through, and the tables of tensors, memory and options."""
        with_gradient: set[int] = set()
        described = [_Program(self, each.recorded, with_gradient).described() for each in programs]
        return {"format": FORMAT, "programs": described, "passes": list(names), **self._tables(with_gradient)}

    def _tables(self, with_gradient: set[int]) -> dict[str, Any]:
        rows = []
        for number, (name, role, tensor) in enumerate(list(self.tensors)):
            grad = tensor._grad if number in with_gradient else None
            rows.append(
                {
                    "name": name,
                    "role": role,
                    "place": self._place_of(tensor),
                    "requires_grad": tensor._requires_grad,
                    "grad": None if grad is None else self._place_of(grad),
                }
            )
        covering = self._covering()
        memory = [
            [covering[number].name, encoded_spec(covering[number].tensor._spec)] if number in covering
            else [f"memory.{number}", encoded_spec(spec_of(dtypes.uint8, (root.nbytes,)))]
            for number, root in enumerate(self.memory)
        ]  # fmt: skip
        return {"tensors": rows, "memory": memory, "options": self.options}

    def _place_of(self, tensor: TensorBase) -> list[Any]:
        root = tensor._storage.root
        return [self.memory_of(root), tensor._address - root.address, encoded_spec(tensor._spec)]

    def _covering(self) -> dict[int, Named]:
        """For memory that one named tensor fills, this tensor."""
        covering: dict[int, Named] = {}
        for named in self.tensors:
            tensor, root = named.tensor, named.tensor._storage.root
            whole = tensor._address == root.address and tensor._spec.nbytes == root.nbytes and tensor._spec.is_dense
            if whole and not named.name.startswith("memory."):
                covering.setdefault(self._memory[id(root)], named)
        return covering

    def contents(self) -> dict[str, Tensor]:
        """The memory as tensors by name, as `tables` lists it."""
        covering = self._covering()
        tensors: dict[str, Tensor] = {}
        for number, root in enumerate(self.memory):
            if number in covering:
                named = covering[number]
                tensor = named.tensor
                tensors[named.name] = tensor_over(Tensor, root, tensor._spec, tensor._address)
            else:
                tensors[f"memory.{number}"] = creation.from_numpy(np.asarray(root))
        return tensors


class _Program:
    """One program as JSON. Blocks have numbers: arguments, memory, begun memory, then what the steps make, in their order."""

    def __init__(self, writer: Writer, recorded: Recorded, with_gradient: set[int]) -> None:
        self.writer, self.recorded, self.with_gradient = writer, recorded, with_gradient
        self.begun: list[Block] = []
        self.numbers: dict[Block, int] = {}

    def described(self) -> dict[str, Any]:
        """The program."""
        recorded = self.recorded
        if len({id(b) for b in recorded.blocks if b.kind == "argument"}) < len(recorded.arguments):
            raise UnsavableError("arguments that share memory")
        if recorded.pinned:
            raise UnsavableError("an argument that the step sees otherwise as well; pass it, or see it, alone")
        steps = [row for step in recorded.steps for row in self._step(step)]
        gradients = [self._gradient(each) for each in recorded.gradients]
        results = [self._result(each) for each in recorded.results.described]
        return {
            "args": [signature_of(each, f"argument {n}") for n, each in enumerate(recorded.call[0])],
            "kwargs": [[name, signature_of(each, f"argument {name}")] for name, each in recorded.call[1].items()],
            "arguments": [[encoded_spec(spec), requires_grad] for spec, requires_grad in recorded.arguments],
            "steps": steps,
            "begun": [self.writer.memory_of(_over(block.initial or b"")) for block in self.begun],
            "gradients": gradients,
            "results": results,
            "result": _template(recorded.results.template),
            "inference": recorded.is_inference,
        }

    # ---- places ------------------------------------------------------------------------------------------------

    def _block(self, block: Block, offset: int) -> list[Any]:
        """Kind, number and offset of a place."""
        if block.kind == "argument":
            return ["argument", block.slot, offset + self.recorded.begins[block.slot]]
        if block.kind == "held":
            assert block.root is not None
            return ["memory", self.writer.memory_of(block.root), offset]
        if block.kind == "begun":
            if block not in self.begun:
                self.begun.append(block)
            return ["begun", self.begun.index(block), offset]
        if block not in self.numbers:
            raise UnsavableError(f"memory of the kind {block.kind}, which no step makes")
        return ["made", self.numbers[block], offset]

    def _operand(self, block: Block, offset: int, spec: Spec) -> list[Any]:
        return [*self._block(block, offset), encoded_spec(spec)]

    def _input(self, where: Place | None, spec: Spec | None) -> list[Any] | None:
        return None if where is None or spec is None else self._operand(*where, spec)

    # ---- steps --------------------------------------------------------------------------------------------------

    def _step(self, step: Applied | Again) -> Iterable[dict[str, Any]]:
        if isinstance(step, Again):
            if step.function is not renew or step.after:
                raise UnsavableError(
                    f"a call of {step.name}, which each replay makes in Python; make it outside of the step"
                    if step.function is not renew
                    else "an option of an optimizer that is a tensor; make it a number"
                )
            step.call()
            self._note_options(step)
            return []
        try:
            name = name_of(step.op)
        except UnsavableError as error:
            if step.op.name == "host_callback":
                raise UnsavableError("a callback of jit.host; return what it takes, and call it with that") from None
            raise UnsavableError(f"{error} (at {step.line})") from None
        row: dict[str, Any] = {"op": name}
        inputs = len(step.specs[0])
        pairs = list(zip(step.places[:inputs], step.specs[0], strict=True))
        if isinstance(step.op, Update):
            row |= self._update(step, pairs)
        else:
            try:
                row["params"] = [encoded(each) for each in step.params]
            except UnsavableError as error:
                raise UnsavableError(f"{error} as a parameter of {step.op.name} (at {step.line})") from None
            row["inputs"] = [None if spec is None else self._input(where, spec) for where, spec in pairs]
        for block in step.makes:
            self.numbers[block] = len(self.numbers)
        return [row]

    def _update(self, step: Applied, pairs: list[tuple[Place | None, Spec | None]]) -> dict[str, Any]:
        """An optimizer's step: the tensors in the columns of its tables, in the place of addresses."""
        (table, _), (counts, _), (options, spec) = pairs
        assert table is not None
        assert options is not None
        assert spec is not None

        def columns(where: Place | None) -> list[Any]:
            return [] if where is None else [[self._operand(*each) for each in column] for column in where[0].columns]

        return {
            "on": list(step.params.on),
            "dtype": encoded(step.params.dtype),
            "columns": columns(table),
            "counts": columns(counts),
            "options": self._operand(*options, spec),
        }

    def _note_options(self, step: Again) -> None:
        """Let the numbers of an optimizer's group be changed in the loaded program."""
        numbers, renewed = step.args
        address = numbers.ctypes.data
        for block in self.recorded.blocks:
            if block.root is not None and block.kind == "held" and block.root.address == address:
                optimizer = renewed.optimizer
                group = next(n for n, each in enumerate(optimizer.param_groups) if each is renewed.group)
                names = list(optimizer._op.rule.options)
                row = {
                    "memory": self.writer.memory_of(block.root),
                    "of": type(optimizer).__name__,
                    "group": group,
                    "names": names,
                }
                if row not in self.writer.options:
                    self.writer.options.append(row)

    # ---- gradients and results ----------------------------------------------------------------------------------

    def _gradient(self, gradient: Gradient) -> dict[str, Any]:
        leaf: Any = gradient.leaf
        where: list[Any]
        if isinstance(leaf, int):
            where = ["argument", leaf]
        else:
            where = ["tensor", self.writer.tensor(leaf)]
            if gradient.before or gradient.kind == "same":
                self.with_gradient.add(where[1])
        block, spec, at = gradient.block, gradient.spec, None
        if block is not None and spec is not None:
            if gradient.kind in ("same", "found"):
                if gradient.offset or block.nbytes != spec.nbytes:
                    raise UnsavableError("a gradient that is a part of other memory")
                if isinstance(leaf, int):
                    raise UnsavableError("a step that reads the gradient of an argument")
            at = self._operand(block, gradient.offset, spec)
        return {"leaf": where, "before": gradient.before, "kind": gradient.kind, "at": at}

    def _result(self, described: Described) -> list[Any]:
        kind, of, spec, offset, requires_grad, had_graph = described
        if kind == "argument":
            return [kind, of]
        if kind == "gradient":
            return [kind, *(["argument", of] if isinstance(of, int) else ["tensor", self.writer.tensor(of)])]
        if kind == "tensor":
            return [kind, self.writer.tensor(of)]
        where = {
            "made": lambda: self._block(of, offset),
            "view": lambda: ["argument", of, offset],
            "copy": lambda: ["memory", self.writer.memory_of(of), offset],
            "memory": lambda: ["memory", self.writer.memory_of(of), offset],
        }[kind]()
        assert spec is not None
        return [kind, [*where, encoded_spec(spec)], requires_grad, had_graph]


def _over(contents: bytes) -> Storage:
    """New memory with these contents."""
    storage = memory.allocate(len(contents))
    np.asarray(storage)[:] = np.frombuffer(contents, np.uint8)
    return storage


def _template(value: Any) -> Any:
    """The result, with numbers in the place of tensors, as JSON."""
    if isinstance(value, Number):
        return {"tensor": int(value)}
    if isinstance(value, Listed) and value.kind in (tuple, list):
        return {value.kind.__name__: [_template(each) for each in value.items]}
    if isinstance(value, Mapped) and value.kind is dict:
        return {"dict": [[encoded(k), _template(v)] for k, v in zip(value.keys, value.items, strict=True)]}
    if isinstance(value, (Listed, Mapped)):
        raise UnsavableError(
            f"a result of the type {getattr(value.kind, '__name__', value.kind)}; return a tuple or a dict"
        )
    try:
        return {"value": encoded(value)}
    except UnsavableError as error:
        raise UnsavableError(f"{error} as a result") from None


def signature_of(value: Any, path: str) -> Any:
    """An argument as JSON, with the numbers of its tensors.

    Raises
    ------
    UnsavableError
        It is neither a tensor, nor a number or text, nor a container of these.
    """
    if isinstance(value, Number):
        return {"tensor": int(value)}
    if isinstance(value, (tuple, list)):
        items = [signature_of(each, f"{path}[{n}]") for n, each in enumerate(value)]
        return {type(value).__name__: items}
    if isinstance(value, dict):
        return {"dict": [[encoded(key), signature_of(each, f"{path}[{key!r}]")] for key, each in value.items()]}
    try:
        return {"value": encoded(value)}
    except UnsavableError as error:
        raise UnsavableError(f"{error} as {path}; let the step see it as a closure or a global") from None


# ---- names ---------------------------------------------------------------------------------------------------------


def names_of(recorded: Recorded) -> Iterable[Named]:
    """The tensors of a program that have names: those of modules, as in their state dict, of optimizers, and others."""
    visible = recorded.visible
    modules = [(each, path) for each, path in visible.named if hasattr(type(each), "_parameters")]
    inside = {id(child) for module, _ in modules for name, child in module.named_modules() if name}
    roots = [(module, path) for module, path in modules if id(module) not in inside]
    names: dict[int, str] = {}
    for module, path in roots:
        prefix = "" if len(roots) == 1 else f"{path}."
        for inner, child in module.named_modules(remove_duplicate=False):
            for role, table in (("parameter", child._parameters), ("buffer", child._buffers)):
                for name, tensor in table.items():
                    if tensor is not None:
                        names.setdefault(id(tensor), f"{prefix}{inner}{'.' * bool(inner)}{name}")
                        yield Named(names[id(tensor)], role, tensor)
    for tensor, path in visible.paths():
        if id(tensor) not in names and ".state" not in path:
            names[id(tensor)] = path
            yield Named(path, "parameter" if tensor._requires_grad else "other", tensor)
    for optimizer, path in visible.named:
        for parameter, state in optimizer.state.items() if hasattr(type(optimizer), "_replay_options") else ():
            for key, value in state.items():
                if isinstance(value, TensorBase):
                    yield Named(f"{path}.state.{names.get(id(parameter), 'parameter')}.{key}", "state", value)


def digest_of(text: str, contents: dict[str, Any], values: Callable[[Any], np.ndarray]) -> str:
    """The SHA-256 of a program's text and of its memory, by name."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(contents):
        array = np.ascontiguousarray(values(contents[name]))
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def text_of_document(document: dict[str, Any]) -> str:
    """The document as it stands in a file."""
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
