"""The tape: nodes that record the op and the inputs of a tensor, and the tensors that its backward reads."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from numgrad.errors import DETACHED, FREED, GradError
from numgrad.layout import Spec
from numgrad.node_types import SeenNode, stem_of
from numgrad.registry import BACKWARD, LEAST_JOINED, check_gradients, find, first_run
from numgrad.runtime import kernel, locks
from numgrad.runtime.fast.write import record_words
from numgrad.runtime.memory import Storage

_sequence = itertools.count(1)
_accumulators = locks.renewed()
_leaf_records: dict[Spec, Record] = {}
_MOST_RECORDS = 1 << 12


class TensorBase:
    """A tensor as the engine sees it: a view of a storage, and a position in the graph.

    ``_node`` made the tensor, as its output number ``_output_nr``; a leaf has none. A view has a ``_base``. Its
    ``_view_node`` is the node that the base had when the view's own was made, or says why the view cannot be followed; see
    `views`.
    """

    __slots__ = (
        "__weakref__",
        "_accumulator",
        "_address",
        "_base",
        "_grad",
        "_hooks",
        "_node",
        "_output_nr",
        "_requires_grad",
        "_retains_grad",
        "_spec",
        "_storage",
        "_view_node",
    )

    def __init__(self, storage: Storage, spec: Spec, address: int) -> None:
        self._storage = storage
        self._spec = spec
        self._address = address
        self._node: Node | None = None
        self._output_nr = 0
        self._requires_grad = False
        self._retains_grad = False
        self._grad: Any = None
        self._accumulator: Any = None  # weak reference to the AccumulateGrad that graphs of this leaf share
        self._hooks: Any = None
        self._base: TensorBase | None = None
        self._view_node: Node | int | tuple[int, str, str] | None = None


def tensor_over(cls: type[Any], storage: Storage, spec: Spec, address: int) -> Any:
    """A new tensor of this class over existing memory; the class's own constructor does not run."""
    tensor = object.__new__(cls)
    TensorBase.__init__(tensor, storage, spec, address)
    return tensor


class Modes(threading.local):
    """Each thread's modes."""

    grad_enabled, inference = True, False
    backward: Any = None  # the backward pass that runs now
    saved_hooks: tuple[Any, ...] = ()  # (pack, unpack) for saved tensors, the innermost last
    forward: Any = None  # while tangents exist, an object that can ``carry(old, new)`` them to an alias
    capture: Any = None  # while a step is captured for replay, the `compile.capture.Capture`


modes = Modes()

Edge = tuple["Node", int] | None  # a node and the number of its output


class Record:
    """The common part of nodes for the same op, the same signature and the same needed gradients.

    ``needs`` says for each input whether its gradient is needed, ``saving`` which tensors are kept for that. ``run(node, grads)``,
    unless None, replaces the op's backward when that is not recorded itself. ``joins``: see `registry.Op.join_windows`.
    """

    __slots__ = ("_words", "fast", "input_specs", "joins", "needs", "op", "output_specs", "params", "run", "saving")

    def __init__(self, op: Any, params: Any, needs: tuple[bool, ...], input_specs: Any, output_specs: Any) -> None:
        self.op = op
        self.params = params
        self.needs = needs
        self.input_specs = input_specs
        self.output_specs = output_specs
        self.saving: Any = None
        self.run: Any = None if op is None else first_run
        self.joins = op is not None and op.join_function is not None and input_specs[0].numel >= LEAST_JOINED
        if op is not None:
            self.saving = op.saving(needs)
            floating = tuple([spec.dtype.is_floating_point for spec in output_specs])
            self._words, self.fast = record_words(*self.saving, floating)  # for `fast.apply`
            kernel.foreseen(BACKWARD, op=op.name, specs=input_specs, params=params, needs=needs)


class Node(SeenNode):
    """One recorded application: its backward, the nodes of its inputs (``edges``), and the saved tensors.

    Nodes are numbered as they are made, so the reverse of that order is an order in which every gradient is complete
    before it is passed on. ``saved`` and ``versions`` (of the storages, at that time) are parallel to the op's ``saves``.
    Its ``params`` are those of the record, unless the op's plans and records serve several (`registry.Op.moving`).
    """

    __slots__ = ("__weakref__", "edges", "hooks", "params", "record", "saved", "sequence", "versions")

    def __init__(
        self, record: Record, edges: Sequence[Edge], saved: Any = None, versions: Any = (), params: Any = ()
    ) -> None:
        self.record = record
        self.params = params
        self.edges = edges
        self.saved: list[Any] | None = saved
        self.versions: list[int] = versions
        self.hooks: Any = None  # or a `hooks.Hooks`
        self.sequence = next(_sequence)

    op = property(attrgetter("record.op"))
    needs = property(attrgetter("record.needs"))
    saving = property(attrgetter("record.saving"))
    input_specs = property(attrgetter("record.input_specs"))
    output_specs = property(attrgetter("record.output_specs"))

    makes_results = True  # tensors that `apply` returns are new, unless they are those that came in

    def apply(self, grads: list[Any], create_graph: bool) -> tuple[Any, ...]:
        """Gradients of the inputs from those of the outputs."""
        run = self.record.run
        return self.by_formula(grads, create_graph) if create_graph or run is None else run(self, grads)

    def by_formula(self, grads: list[Any], create_graph: bool) -> tuple[Any, ...]:
        """`apply` by the op's backward."""
        op = self.op
        if op.backward_function is None:
            raise GradError(f"the derivative of {op.name} is not implemented")
        result = check_gradients(self, op.backward_function(Context(self, create_graph), *grads))
        return _tied(self, result) if create_graph and op.ties and modes.grad_enabled else result

    def unpack(self, create_graph: bool) -> list[Any]:
        """The saved tensors, after a check that none has changed."""
        saved = self.saved
        if saved is None:
            raise GradError(FREED)
        if saved.__class__ is not list:  # packed, by an object that unpacks it
            return saved.unpack(self, create_graph)  # type: ignore[attr-defined,no-any-return]
        for slot, tensor in enumerate(saved):
            if tensor is not None and tensor._storage.version != self.versions[slot]:
                raise self.modified(slot, tensor)
        if create_graph:
            for slot, number in enumerate(self.saving.inputs):
                if number is not None and self.edges[number] is not None and lost_history(saved[slot]):
                    raise GradError(DETACHED)
        if create_graph and self.saving.outputs:
            saved, forward = list(saved), modes.forward
            for slot, number in self.saving.outputs:
                tensor = saved[slot]
                alias = tensor_over(type(tensor), tensor._storage, tensor._spec, tensor._address)
                if number < len(self.output_specs) and tensor._spec.dtype.is_floating_point:
                    alias._node, alias._output_nr = self, number
                if forward is not None:
                    forward.carry(tensor, alias)
                saved[slot] = alias
        return saved

    def modified(self, slot: int, tensor: TensorBase) -> GradError:
        """The error for a saved tensor that has changed since."""
        spec, outputs = tensor._spec, dict(self.saving.outputs)
        return GradError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"[numgrad.{spec.dtype.torch_name}Tensor {list(spec.shape)}], which is "
            + (f"output {outputs[slot]}" if slot in outputs else "an input")
            + f" of {stem_of(self.name())}, is at version {tensor._storage.version}; expected version "
            f"{self.versions[slot]} instead. Hint: work on a clone(), or use the op that returns a new tensor; "
            "autograd.set_detect_anomaly(True, check_nan=False) finds the line of the operation that failed to compute its "
            "gradient."
        )

    def release(self) -> None:
        """Free the saved tensors; another backward through this node is an error from now on."""
        self.saved = None

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for the user's notes."""
        from numgrad.engine.hooks import hooks_of

        return hooks_of(self).metadata

    def register_hook(self, fn: Any) -> Any:
        """Call ``fn(grad_inputs, grad_outputs)`` after this node ran; a tuple that it returns replaces the former."""
        from numgrad.engine.hooks import add_hook, hooks_of

        return add_hook(hooks_of(self).after, fn)

    def register_prehook(self, fn: Any) -> Any:
        """Call ``fn(grad_outputs)`` before this node runs; a tuple that it returns replaces ``grad_outputs``."""
        from numgrad.engine.hooks import add_hook, hooks_of

        return add_hook(hooks_of(self).before, fn)

    def saved_tensor(self, is_output: bool, number: int) -> Any:
        """The saved tensor of an input or output; None if no needed gradient reads it."""
        inputs, outputs = self.saving
        slots = [slot for slot, output in outputs if output == number] if is_output else []
        if not is_output and number in inputs:
            slots = [inputs.index(number)]
        if not slots:
            return None
        from numgrad.engine.constants import is_constant

        tensor = self.unpack(True)[slots[0]]
        return find("clone")(tensor) if tensor is not None and is_constant(tensor) else tensor

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def _tied(node: Node, grads: Sequence[Any]) -> tuple[Any, ...]:
    """The gradients that a node returned, with the ties that `registry.Op.tie` declares."""
    gradients = list(grads)
    for position, (numbers, zeros) in node.op.ties.items():
        for number in numbers:
            grad, edge = gradients[position], node.edges[number]
            if grad is not None and edge is not None:
                spec = node.input_specs[number]
                zero = find("full")(size=(), value=0.0, dtype=spec.dtype)
                input = find("expand")(zero, size=tuple(spec.shape))  # a stand-in: nobody reads its values
                input._base = input._view_node = None
                input._node, input._output_nr = edge
                gradients[position] = tied = find("tie_backward")(grad, input, zeros=zeros)
                tied._base = tied._view_node = None  # no other tensor is the gradient without the tie
    return tuple(gradients)


def lost_history(tensor: TensorBase | None) -> bool:
    """Whether a saved tensor that had a history when it was saved has none now."""
    return tensor is not None and tensor._node is None and not tensor._requires_grad


class Context:
    """The view of its node that a backward gets; see `registry.Op.backward`."""

    __slots__ = ("create_graph", "input_specs", "needs", "node", "params")

    def __init__(self, node: Node, create_graph: bool) -> None:
        self.node = node
        self.create_graph = create_graph
        record = node.record
        self.params = node.params
        self.input_specs = record.input_specs
        self.needs = record.needs

    @property
    def saved(self) -> list[Any]:
        """The saved tensors, in the order of the op's ``saves``; None for those that no needed gradient reads.

        Raises
        ------
        RuntimeError
            An earlier backward freed them, or one was changed in place since.
        """
        return self.node.unpack(self.create_graph)


class AccumulateGrad(Node):
    """The end of the graph at a leaf: adds gradients to the leaf's ``.grad``."""

    __slots__ = ("variable",)

    def __init__(self, variable: TensorBase) -> None:
        spec = variable._spec
        record = _leaf_records.get(spec)
        if record is None:
            if len(_leaf_records) >= _MOST_RECORDS:
                _leaf_records.clear()
            record = _leaf_records[spec] = Record(None, None, (), (), [spec])
        Node.__init__(self, record, ())
        self.variable = variable
        self.hooks = variable._hooks

    is_seen = True

    def name(self) -> str:
        return "AccumulateGrad"


def gradient_edge(tensor: TensorBase) -> Edge:
    """Where a gradient of this tensor goes: its node, or a leaf's accumulator; None if it needs none."""
    node = tensor._node
    if node is not None:
        return node, tensor._output_nr
    if not tensor._requires_grad:
        return None
    accumulator = tensor._accumulator and tensor._accumulator()
    if accumulator is None:
        with _accumulators:  # graphs of concurrent threads share one, or gradients would not arrive
            before = tensor._accumulator
            accumulator = before and before()
            if accumulator is None:
                accumulator = AccumulateGrad(tensor)
                reference = weakref.ref(accumulator)
                if tensor._accumulator is not before:  # machine code, which takes no lock, was faster
                    return gradient_edge(tensor)
                tensor._accumulator = reference
    return accumulator, 0
