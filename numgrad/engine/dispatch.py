"""`dispatch`: every op goes through it. Look up the plan, allocate the outputs, launch, record on the tape."""

from __future__ import annotations

from typing import Any

from numgrad import registry
from numgrad.engine import private, tape
from numgrad.engine.tape import Node, Record, TensorBase, gradient_edge, modes, tensor_over
from numgrad.engine.views import refresh
from numgrad.errors import KernelError
from numgrad.registry import Op, SavedCall, chain, half_of
from numgrad.runtime.fast import start as fast
from numgrad.runtime.fast.layout import MOST_INPUTS
from numgrad.runtime.fast.write import clock
from numgrad.runtime.kernel import OUT_OF_BOUNDS
from numgrad.runtime.memory import allocate
from numgrad.runtime.plan import Plan, PrivateOperandError

tensor_class: type[TensorBase] = TensorBase
# Other threads may change these lists at any time: loops go over copies.
recorders: list[Any] = []  # ``recorder.applied(op, inputs, outputs, plan, params)`` is called after each op
guards: list[Any] = []  # ``guard(op, inputs, plan, edges)`` may refuse an op, before it changes anything
node_watchers: list[Any] = []  # ``watch(node)`` is called for each new node, of all threads


def set_tensor_class(cls: type[TensorBase]) -> None:
    """Set the class of the tensors that ops return."""
    global tensor_class
    tensor_class = cls


half_dispatch: Any = None  # how an op runs whose kernels do not take its float16 or bfloat16; `tensor.halves` sets it


def dispatch(op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    """Apply ``op``. Inputs are tensors, or None where the op allows it; ``params`` are its other arguments.

    The op's plan refuses wrong arguments, before memory is allocated or changed.
    """
    # For the common kind of call; None: it has done nothing.
    result = (fast.run_moving if op.moving else fast.run)(op.plans, params, *inputs)
    if result is None:
        return _dispatch(op, inputs, params)
    if result.__class__ is int:
        raise _status_error(op, result, params)
    return result


def apply_saved(call: SavedCall, node: Node, grads: list[Any]) -> Any:
    """Apply an op to gradients and to the saved tensors of a node."""
    op = call.op
    if not chain.wrappers:
        result = fast.run_saved(op.plans, call.params, node, grads, call.fast)
        if result is not None and result.__class__ is not int:
            return result
    saved = node.unpack(False) if max(call.reads) >= 0 else ()
    inputs = tuple([saved[read] if read >= 0 else grads[-1 - read] for read in call.reads])
    return chain.dispatch(op, inputs, call.params)


def _dispatch(op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    try:
        key = (params[1:] if op.moving else params, *[None if tensor is None else tensor._spec for tensor in inputs])
    except AttributeError:
        return dispatch(op, with_constants(op, inputs), params)
    plan = op.plans.get(key)
    if plan is None:
        try:
            half = None if op.halves else half_of(key[1:], params)
            if half is not None and (widened := half_dispatch(op, inputs, params, half)) is not NotImplemented:
                return widened
            plan = op.make_plan(key[1:], params)
        except PrivateOperandError as operand:
            private.expose(inputs[operand.position])
            return dispatch(op, inputs, params)
        needed = [tensor is not None and (tensor._node is not None or tensor._requires_grad) for tensor in inputs]
        if op.differentiable and modes.grad_enabled and True in needed:
            _record_of(op, params, key[1:], plan, needed)
        if plan.fast is not None and len(inputs) <= MOST_INPUTS:  # so it was kept
            return dispatch(op, inputs, params)
    clock.value = plan.used = clock.value + 1
    begin = op.begin(plan, key[1:], params) if op.moving else 0
    edges = _edges(inputs) if op.differentiable and modes.grad_enabled else None
    if guards:
        for guard in tuple(guards):
            guard(op, inputs, plan, edges)
    addresses = [0 if tensor is None else tensor._address for tensor in inputs]
    for tensor, spec in zip(inputs, key[1:], strict=True):
        if tensor is not None and tensor._spec is not spec:  # another thread has just exposed it
            return dispatch(op, inputs, params)
    outputs: list[Any] = []
    for output in plan.outputs:
        if output.source is None:
            storage = allocate(output.nbytes)
            address = storage.address
            outputs.append(tensor_over(tensor_class, storage, output.spec, address))  # type: ignore[arg-type]
            addresses.append(address)
        elif output.spec is not None:
            outputs.append(_view(inputs[output.source], output, begin))
        else:
            outputs.append(inputs[output.source])
    if plan.program is not None:
        status = plan.run(addresses)
        if status:
            raise _status_error(op, status, params)
    if recorders:
        for recorder in tuple(recorders):
            recorder.applied(op, inputs, outputs, plan, params)
    if edges is not None:
        _record(op, params, key[1:], plan, edges, inputs, outputs)
    elif plan.changed:
        _count_changes(plan, inputs)
    return outputs[0] if op.public == 1 else tuple(outputs[: op.public])


def _edges(inputs: tuple[Any, ...]) -> list[Any] | None:
    """Where the gradients of the inputs go; None if no input needs one."""
    edges: list[Any] | None = None
    for position, tensor in enumerate(inputs):
        if tensor is not None:
            if tensor._base is not None and tensor._base._node is not tensor._view_node:
                refresh(tensor)
            node = tensor._node
            if node is not None or tensor._requires_grad:
                if edges is None:
                    edges = [None] * len(inputs)
                edges[position] = gradient_edge(tensor) if node is None else (node, tensor._output_nr)
    return edges


def with_constants(op: Op, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs with Python numbers as 0-d tensors; their dtype is the highest of the other inputs'."""
    from numgrad.engine.constants import constant

    if any(isinstance(tensor, TensorBase) and not hasattr(tensor, "_spec") for tensor in inputs):
        raise TypeError(
            f"{op.name}: got a tensor that was never initialized, by object.__new__ for instance; make tensors by "
            "numgrad.tensor, zeros, empty and the like"
        )
    dtypes = [tensor._spec.dtype for tensor in inputs if isinstance(tensor, TensorBase)]
    for value in inputs:
        if not (value is None or isinstance(value, (TensorBase, bool, int, float))) or not dtypes:
            raise TypeError(f"{op.name}: got an input of type {type(value).__name__}, expected a Tensor")
    dtype = max(dtypes, key=lambda d: d.rank)
    try:
        return tuple(constant(v, dtype) if isinstance(v, (bool, int, float)) else v for v in inputs)
    except OverflowError as error:
        raise RuntimeError(f"{op.name}: a number cannot be converted to {dtype} without overflow ({error})") from None


def _view(source: TensorBase, output: Any, begin: int) -> TensorBase:
    address = source._address + (begin + output.offset) * source._spec.dtype.itemsize
    view: TensorBase = tensor_over(tensor_class, source._storage, output.spec, address)
    view._base = base = source if source._base is None else source._base
    before = None if source._base is None else source._view_node
    if not modes.grad_enabled or before.__class__ is int:
        view._view_node = source._storage.version
    else:  # a view of a view that cannot be followed cannot be followed either
        view._view_node = (source._storage.version, *before[1:]) if before.__class__ is tuple else base._node  # type: ignore[index]
    return view


def _record(
    op: Op, params: Any, specs: Any, plan: Any, edges: list[Any], inputs: tuple[Any, ...], outputs: list[Any]
) -> None:
    """Make the node, and give the outputs their place in the graph."""
    record = _record_of(op, params, specs, plan, [edge is not None for edge in edges])
    saved: list[Any] = []
    versions: list[int] = []
    for number in record.saving.inputs:
        tensor = None if number is None else inputs[number]
        saved.append(tensor)
        versions.append(0 if tensor is None else tensor._storage.version)
    node = Node(record, edges, saved, versions, params)
    _count_changes(plan, inputs)  # after the saving of inputs, so that a change of a saved one is noticed
    for slot, number in record.saving.outputs:
        tensor = outputs[number]
        # Without its node, or the node would keep itself alive.
        saved[slot] = tensor_over(tensor_class, tensor._storage, tensor._spec, tensor._address)
        versions[slot] = tensor._storage.version
    for number, spec in enumerate(record.output_specs):
        if spec.dtype.is_floating_point:
            outputs[number]._node, outputs[number]._output_nr = node, number
    if node_watchers:
        for watch in tuple(node_watchers):
            watch(node)


def _record_of(op: Op, params: Any, specs: Any, plan: Plan, needed: list[bool]) -> Record:
    """What nodes share where the gradients of these inputs are needed."""
    pattern: Any = (
        bytes(needed) if len(needed) > MOST_INPUTS else sum([1 << n for n, need in enumerate(needed) if need])
    )
    record: Record | None = plan.records.get(pattern)
    if record is None:
        public = plan.outputs[: op.public]
        output_specs = [specs[output.source] if output.spec is None else output.spec for output in public]
        record = plan.records[pattern] = Record(op, params, tuple(needed), specs, output_specs)
    return record


def _count_changes(plan: Any, inputs: tuple[Any, ...]) -> None:
    for position in plan.changed:
        inputs[position]._storage.version += 1


def _status_error(op: Op, status: int, params: Any) -> Exception:
    if status == OUT_OF_BOUNDS:
        return KernelError(f"{op.name}: an index is out of bounds in one of its kernels")
    if op.status_function is None:
        return RuntimeError(f"{op.name}: a kernel reported status {status}")
    return op.status_function(status, params)


def _facts() -> tuple[Any, ...]:
    tensor = tensor_over(tensor_class, None, None, None)  # type: ignore[arg-type]
    singletons = (TensorBase, modes, tape._sequence, gradient_edge, tape._leaf_records)
    examples: Any = tensor, Node(None, ()), tape.AccumulateGrad(tensor)  # type: ignore[arg-type]
    return *examples, Plan, Record, singletons, (recorders, guards, node_watchers), chain.wrappers


fast.connect(_facts)
registry.set_engine(dispatch, apply_saved)
