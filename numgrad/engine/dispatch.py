"""`dispatch`: the one choke point. Look up the plan, allocate the outputs, launch, tell the tape."""

from __future__ import annotations

from typing import Any

from numgrad import registry
from numgrad.engine.tape import NO_GRAD, Node, TensorBase, gradient_edge, modes
from numgrad.engine.views import refresh
from numgrad.registry import Op
from numgrad.runtime.memory import allocate

tensor_class: type[TensorBase] = TensorBase
recorders: list[Any] = []  # each is told ``applied(op, inputs, outputs)``
guards: list[Any] = []  # each may refuse: ``guard(op, inputs, plan, edges)``, before anything is done
node_watchers: list[Any] = []  # each is told of a new node; they see all threads'


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
            if tensor is None:
                continue
            if tensor._base is not None and tensor._base._node is not tensor._view_node:
                refresh(tensor)
            if tensor._node is not None or tensor._requires_grad:
                edges = tuple([None if tensor is None else _edge(tensor) for tensor in inputs])
                break
    if guards:
        for guard in guards:
            guard(op, inputs, plan, edges)
    addresses = [0 if tensor is None else tensor._address for tensor in inputs]
    outputs: list[Any] = []
    cls = tensor_class
    for output in plan.outputs:
        if output.source is None:
            storage = allocate(output.nbytes)
            outputs.append(cls(storage, output.spec, storage.address))  # type: ignore[arg-type]
        elif output.spec is not None:
            outputs.append(_view(inputs[output.source], output))
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


def _view(source: TensorBase, output: Any) -> TensorBase:
    address = source._address + output.offset * source._spec.dtype.itemsize
    view = tensor_class(source._storage, output.spec, address)
    view._base = base = source if source._base is None else source._base
    view._view_node = base._node if modes.grad_enabled else NO_GRAD
    return view


def _edge(tensor: TensorBase) -> Any:
    if tensor._base is not None:
        refresh(tensor)
    return gradient_edge(tensor)


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
        node.saved[place] = tensor_class(tensor._storage, tensor._spec, tensor._address)  # type: ignore[index]
        node.versions[place] = tensor._storage.version
    public = outputs[: op.public]
    node.output_specs = [tensor._spec for tensor in public]
    for number, tensor in enumerate(public):
        if tensor._spec.dtype.is_floating_point:
            tensor._node, tensor._output_nr = node, number
    if node_watchers:
        for watch in node_watchers:
            watch(node)


def _status_error(op: Op, status: int, params: Any) -> Exception:
    if op.status_function is None:
        return RuntimeError(f"{op.name}: a kernel reported status {status}")
    return op.status_function(status, params)


registry.set_engine(dispatch)
