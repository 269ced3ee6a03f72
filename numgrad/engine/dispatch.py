"""`dispatch`: the one choke point. Look up the plan, allocate the outputs, launch, tell the tape."""

from __future__ import annotations

from typing import Any

from numgrad import registry
from numgrad.engine.tape import Node, TensorBase, gradient_edge, modes
from numgrad.errors import GradError
from numgrad.registry import Op
from numgrad.runtime.memory import allocate

tensor_class: type[TensorBase] = TensorBase
recorders: list[Any] = []  # each is told ``applied(op, inputs, outputs)``


def set_tensor_class(cls: type[TensorBase]) -> None:
    """The class of the tensors that ops return."""
    global tensor_class
    tensor_class = cls


def dispatch(op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    """Apply ``op``. Inputs are tensors, or None where the op allows it; params its other arguments.

    Everything that can be refused is refused by the op's plan, before memory is allocated or changed.
    """
    try:
        specs = tuple([None if tensor is None else tensor._spec for tensor in inputs])
    except AttributeError:
        inputs = _with_constants(op, inputs)
        specs = tuple([None if tensor is None else tensor._spec for tensor in inputs])
    plan = op.plans.get((params, *specs))
    if plan is None:
        plan = op.make_plan(specs, params)
    edges = None
    if modes.grad_enabled and op.differentiable:
        for tensor in inputs:
            if tensor is not None and (tensor._node is not None or tensor._requires_grad):
                edges = _edges(op, inputs)
                break
    addresses = [0 if tensor is None else tensor._address for tensor in inputs]
    outputs: list[Any] = []
    cls = tensor_class
    for output in plan.outputs:
        if output.source is None:
            storage = allocate(output.nbytes)
            outputs.append(cls(storage, output.spec, storage.address))  # type: ignore[arg-type]
        elif output.spec is not None:
            base = inputs[output.source]
            address = base._address + output.offset * base._spec.dtype.itemsize
            outputs.append(cls(base._storage, output.spec, address, base._storage.version))
        else:
            outputs.append(inputs[output.source])
    if plan.program is not None:
        status = plan.run(addresses, outputs)
        if status:
            raise _status_error(op, status, params)
    if recorders:
        for recorder in recorders:
            recorder.applied(op, inputs, outputs)
    if edges is not None:
        node = _node(op, params, edges, inputs, specs)
        for position in plan.changed:
            inputs[position]._storage.version += 1
        _record(node, op, outputs)
    else:
        for position in plan.changed:
            inputs[position]._storage.version += 1
    return outputs[0] if op.public == 1 else tuple(outputs[: op.public])


def _with_constants(op: Op, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Python numbers as 0-d tensors of the dtype of the other inputs, of floating point if one is."""
    from numgrad.engine.constants import constant

    found = [tensor._spec.dtype for tensor in inputs if isinstance(tensor, TensorBase)]
    for value in inputs:
        if not (value is None or isinstance(value, (TensorBase, bool, int, float))) or not found:
            raise TypeError(f"{op.name}: got an input of type {type(value).__name__}, expected a Tensor")
    dtype = max(found, key=lambda d: d.rank)
    return tuple(constant(v, dtype) if isinstance(v, (bool, int, float)) else v for v in inputs)


def _edges(op: Op, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Edges to the inputs that need a gradient; None if no input of floating point does."""
    edges = []
    for tensor in inputs:
        if tensor is None:
            edges.append(None)
            continue
        if tensor._view_version is not None and tensor._node is not None:
            check_view(op.name, tensor)
        edges.append(gradient_edge(tensor))
    return tuple(edges)


def check_view(name: str, tensor: TensorBase) -> None:
    """Refuse a view whose memory was changed through another alias: its gradient is not known any more."""
    if tensor._storage.version != tensor._view_version:
        raise GradError(
            f"{name}: an input is a view whose memory was changed in place after the view was made, so its gradient is "
            "not known any more; make the view again after the change, or change a clone()"
        )


def _node(op: Op, params: Any, edges: tuple[Any, ...], inputs: tuple[Any, ...], specs: Any) -> Node:
    """The record, with what the backward will read of the inputs: before they are changed in place, so that it is noticed."""
    node = Node(op, params, edges, specs)
    saving = node.saving = op.saving(node.needs)
    node.saved = [None if place is None else inputs[place] for place in saving.inputs]
    node.versions = [0 if tensor is None else tensor._storage.version for tensor in node.saved]
    return node


def _record(node: Node, op: Op, outputs: list[Any]) -> None:
    for place, position in node.saving.outputs:
        tensor = outputs[position]
        # Without its node, or the node would keep itself alive.
        node.saved[place] = tensor_class(tensor._storage, tensor._spec, tensor._address)
        node.versions[place] = tensor._storage.version
    public = outputs[: op.public]
    node.output_specs = [tensor._spec for tensor in public]
    for number, tensor in enumerate(public):
        if tensor._spec.dtype.is_floating_point:
            tensor._node, tensor._output_nr = node, number


def _status_error(op: Op, status: int, params: Any) -> Exception:
    if op.status_function is None:
        return RuntimeError(f"{op.name}: a kernel reported status {status}")
    return op.status_function(status, params)


registry.dispatch = dispatch
