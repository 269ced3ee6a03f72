"""`dispatch`: the one choke point. Look up the plan, allocate the outputs, launch, tell the tape."""

from __future__ import annotations

from typing import Any

from numgrad import registry
from numgrad.engine.tape import Node, Saved, TensorBase, gradient_edge, modes
from numgrad.errors import GradError
from numgrad.layout import Spec
from numgrad.registry import Op
from numgrad.runtime.memory import allocate

tensor_class: type[TensorBase] = TensorBase


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
    outputs: list[Any] = []
    new: list[int] = []
    cls = tensor_class
    for output in plan.outputs:
        source = output.source
        if source is None:
            spec: Spec = output.spec  # type: ignore[assignment]
            storage = allocate(spec.nbytes)
            new.append(storage.address)
            outputs.append(cls(storage, spec, storage.address))
        elif output.spec is not None:
            base = inputs[source]
            storage = base._storage
            address = base._address + output.offset * base._spec.dtype.itemsize
            new.append(address)
            outputs.append(cls(storage, output.spec, address, storage.version))
        else:
            new.append(inputs[source]._address)
            outputs.append(inputs[source])
    addresses = [0 if tensor is None else tensor._address for tensor in inputs]
    status = plan.run(addresses, new) if plan.program is not None else 0
    if status:
        raise _status_error(op, status, params)
    if plan.changed or edges is not None:
        saved = _save_inputs(op, inputs, edges) if edges is not None else {}
        for position in plan.changed:
            inputs[position]._storage.version += 1
        if edges is not None:
            _record(op, params, edges, specs, outputs, saved)
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


def _save_inputs(op: Op, inputs: tuple[Any, ...], edges: tuple[Any, ...]) -> dict[str, Saved | None]:
    """What the backward will read of the inputs; before they are changed in place, so that this is noticed later."""
    wanted = op.saves_for(tuple([edge is not None for edge in edges]))
    return {
        name: Saved(inputs[position], -1) if name in wanted and inputs[position] is not None else None
        for name, position in op.saved_inputs
    }


def _record(op: Op, params: Any, edges: Any, specs: Any, outputs: list[Any], saved: dict[str, Saved | None]) -> None:
    node = Node(op, params, edges, None, specs, tuple([tensor._spec for tensor in outputs[: op.public]]))
    if op.saved_outputs:
        wanted = op.saves_for(tuple([edge is not None for edge in edges]))
        for name, position in op.saved_outputs:
            tensor = outputs[position]
            alias = tensor_class(tensor._storage, tensor._spec, tensor._address)
            saved[name] = Saved(alias, position) if name in wanted else None
    node.saved = tuple([saved[name] for name in op.saves])
    for number, tensor in enumerate(outputs[: op.public]):
        if tensor._spec.dtype.is_floating_point:
            tensor._node, tensor._output_nr = node, number


def _status_error(op: Op, status: int, params: Any) -> Exception:
    if op.status_function is None:
        return RuntimeError(f"{op.name}: a kernel reported status {status}")
    return op.status_function(status, params)


registry.dispatch = dispatch
