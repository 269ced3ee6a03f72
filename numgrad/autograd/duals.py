"""Dual levels, their tables of tangents, and the wrapper around ops while one is open; `forward_ad` is the public side.

A level is a table from tensors to tangents. Levels nest: level 1 sees the ops of level 2, which gives derivatives of
derivatives. Ops compute the tangents, so reverse mode differentiates them as well. Levels belong to their thread.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple

from numgrad import registry
from numgrad.autograd import batched
from numgrad.engine import dispatch as engine
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import change_in_place
from numgrad.ops import rules
from numgrad.registry import Op, find
from numgrad.runtime import locks
from numgrad.runtime.scope import Scope
from numgrad.tensor.tensor import Tensor


class _Entry:
    """The tangent of one tensor."""

    __slots__ = ("late", "reference", "tangent", "viewed")

    def __init__(self, reference: Any, tangent: Any) -> None:
        self.reference, self.tangent = reference, tangent
        self.viewed = False  # whether the tangent shares memory with the tangent of a view
        self.late = False  # whether a change in place made it: views from before have parts of it


class Level:
    """The tangents of one dual level, by the identity of their tensors, which it does not keep alive."""

    def __init__(self) -> None:
        self.table: dict[int, _Entry] = {}
        self.number = batched.next_number()  # batches of `vmap` with a higher number are inside of this level
        self.hidden: frozenset[int] = frozenset()  # tensors whose tangents `_without_own` hides
        self.token: Any = None  # of `_opened`, as long as it is open

    def entry(self, tensor: TensorBase) -> _Entry | None:
        entry = self.table.get(id(tensor))
        return entry if entry is not None and entry.reference() is tensor else None

    def find(self, tensor: Any) -> Any:
        """The tensor's tangent, or None."""
        if not isinstance(tensor, TensorBase) or id(tensor) in self.hidden:
            return None
        entry = self.entry(tensor)
        if entry is not None:
            return entry.tangent
        base = tensor._base
        whole = None if base is None else self.entry(base)
        if base is None or whole is None or not whole.late:
            return None
        whole.viewed = True
        return self.set(tensor, _window(whole.tangent, tensor, base)).tangent

    def close(self) -> None:
        """Free the tangents."""
        self.table.clear()
        _opened.settle()

    def set(self, tensor: TensorBase, tangent: Any) -> _Entry:
        """Give the tensor a tangent."""
        key, table = id(tensor), self.table

        def forget(reference: Any) -> None:
            if key in table and table[key].reference is reference:
                del table[key]

        entry = table[key] = _Entry(weakref.ref(tensor, forget), tangent)
        return entry


class _State(threading.local):
    levels: tuple[Level, ...] = ()  # those that ops see now, the outermost first


state = _State()
_opened = locks.Switch(lambda: registry.wrap_dispatch(2, _dual), lambda: registry.unwrap_dispatch(_dual))


class _Carrier:
    """The engine's way to carry tangents to an alias that it makes."""

    def carry(self, old: TensorBase, new: TensorBase) -> None:
        """Give ``new``, an alias of ``old``, its tangents."""
        for level in state.levels:
            tangent = level.find(old)
            if tangent is not None:
                level.set(new, tangent)


_carrier = _Carrier()


class opened(Scope):  # noqa: N801 (a context, as its siblings)
    """A level for the length of a ``with`` block, which gets its number in this thread; the outermost is 0."""

    def __enter__(self) -> int:
        level = _new_level()
        levels = (*state.levels, level)
        number = len(levels) - 1
        before = (level, "token", None, state, "levels", state.levels, modes, "forward", modes.forward)
        self._undo = (before, self._undo, level.close)
        state.levels = levels
        modes.forward = _carrier
        return number


def _new_level() -> Level:
    level = Level()
    level.token = _opened.token()
    return level


def open_level() -> int:
    """Open a level; its number in this thread, 0 for the outermost."""
    levels = (*state.levels, _new_level())
    number = len(levels) - 1
    state.levels, modes.forward = levels, _carrier
    return number


def close_level() -> None:
    """Close the innermost level."""
    levels, level = state.levels[:-1], state.levels[-1]
    state.levels, modes.forward, level.token = levels, _carrier if levels else None, None
    level.close()


def is_dual(value: Any) -> bool:
    """Whether a value has a tangent at an open level."""
    return any(level.find(value) is not None for level in state.levels)


def detached(tensor: Tensor) -> Tensor:
    """As `Tensor.detach`, but with the tangents: an alias outside of the graph of reverse mode alone."""
    if isinstance(tensor, batched.BatchedTensor):
        new: Tensor = batched.BatchedTensor(detached(tensor.payload), tensor.level)
    else:
        new = tensor.detach()
    if state.levels:
        _carrier.carry(tensor, new)
    return new


class below(Scope):  # noqa: N801
    """Ops see only the levels outside of this one, while they compute its tangents."""

    def __init__(self, number: int) -> None:
        self._undo = ()
        self.levels = state.levels[:number]

    def __enter__(self) -> tuple[Level, ...]:
        before = state.levels
        self._undo = ((state, "levels", before, modes, "forward", modes.forward), self._undo)
        state.levels = self.levels
        modes.forward = _carrier if self.levels else None
        return before


class _Context(NamedTuple):
    """The argument of a forward derivative; see `registry.Op.jvp`."""

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    params: Any
    differentiable: bool


def suspended() -> below:
    """A context in which ops see no level; entering it returns the open ones."""
    return below(0)


def push_function(
    levels: tuple[Level, ...], jvp: Any, inputs: tuple[Any, ...], outputs: tuple[Any, ...], name: str
) -> None:
    """Tangents of the outputs of a `Function` by its ``jvp``, at each level at which an input has one."""
    for number, level in enumerate(levels):
        tangents = tuple([level.find(value) for value in inputs])
        if all(tangent is None for tangent in tangents):
            continue
        before, forward = state.levels, modes.forward
        state.levels, modes.forward = levels[:number], _carrier if number else None
        try:
            pushed = jvp(*tangents)
            pushed = pushed if isinstance(pushed, tuple) else (pushed,)
            if len(pushed) != len(outputs):
                raise RuntimeError(
                    f"{name}.jvp returned {len(pushed)} tangents, expected {len(outputs)}, one for each output"
                )
            for output, tangent in zip(outputs, pushed, strict=True):
                if not isinstance(output, TensorBase) or tangent is None:
                    continue
                if not isinstance(tangent, Tensor) or tangent.shape != output._spec.shape:
                    got = list(tangent.shape) if isinstance(tangent, Tensor) else type(tangent).__name__
                    raise RuntimeError(f"{name}.jvp returned a tangent of {got}, expected {list(output._spec.shape)}")
                level.set(output, _fitted(tangent, output, {id(tangent._storage)}))
        finally:
            state.levels, modes.forward = before, forward


# ---- the wrapper around ops -------------------------------------------------------------------------------------


def _dual(inner: Any, op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    """Apply the op, and give its outputs the tangents that follow from those of its inputs."""
    levels = state.levels
    if not levels:
        return inner(op, inputs, params)
    active = []
    batch = batched.deepest(inputs)
    for number, level in enumerate(levels):
        if batch is not None and level.number < batch.number:
            continue  # the batch is inside of this level: its payloads carry the tangents
        tangents = tuple([level.find(tensor) for tensor in inputs])
        if any(tangent is not None for tangent in tangents):
            active.append((number, level, tangents))
    if not active:
        return inner(op, inputs, params)
    if op.composite_function is not None:
        return op.composite_function(*inputs, **params._asdict())
    if op.aliases:  # it returns a base after a change of a view, and their tangents share memory
        return inner(op, inputs, params)
    if op.differentiable and op.jvp_function is None and not op.linear_groups:
        raise NotImplementedError(
            f"Trying to use forward AD with {op.name} that does not support it because it has not been implemented yet. "
            "Attach a rule with Op.jvp or Op.linear_in, or use reverse mode"
        )
    if op.differentiable and modes.saved_hooks and modes.grad_enabled:
        raise NotImplementedError(f"{op.name}: saved-tensor hooks do not carry tangents; leave them or the dual level")
    if any(isinstance(value, (bool, int, float)) for value in inputs):
        inputs = engine.with_constants(op, inputs)
    before = inputs
    if op.mutates and not op.overwrites:
        before = (find("clone")(inputs[0]), *inputs[1:])
    if batch is not None:
        result = _without_own(active, inner, op, inputs, params)
    else:
        result = inner(op, inputs, params)
    outputs = result if isinstance(result, tuple) else (result,)
    for number, level, tangents in active:
        with below(number):
            _push(
                op, level, _Context(before, outputs, params, _is_differentiable((*inputs, *tangents))), tangents, inputs
            )
    for output in outputs:
        _give_to_saved(output, [level for _, level, _ in active])
    return result


def _without_own(active: list[Any], inner: Any, op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    """Apply the op to the payloads, with their own tangents; those of the inputs are hidden meanwhile."""
    before = [level.hidden for _, level, _ in active]
    try:
        for _, level, tangents in active:
            seen = [id(tensor) for tensor, tangent in zip(inputs, tangents, strict=True) if tangent is not None]
            level.hidden = level.hidden.union(seen)
        return inner(op, inputs, params)
    finally:
        for (_, level, _), hidden in zip(active, before, strict=True):
            level.hidden = hidden


def whole_tangent(level: Level, tensor: Any) -> Any:
    """A tensor's tangent; of a batched one also the part that its payload carries, as both are linear."""
    tangent = level.find(tensor)
    if isinstance(tensor, batched.BatchedTensor):
        inner = whole_tangent(level, tensor.payload)
        if inner is not None:
            inner = batched.BatchedTensor(inner, tensor.level)
            tangent = inner if tangent is None else find("add")(tangent, inner)
    return tangent


def _carries(level: Level, tensor: Any) -> bool:
    """Whether a tensor or one of its payloads has a tangent."""
    while level.find(tensor) is None:
        if not isinstance(tensor, batched.BatchedTensor):
            return False
        tensor = tensor.payload
    return True


def _is_differentiable(values: tuple[Any, ...]) -> bool:
    """Whether results of these values will be differentiated."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if modes.grad_enabled and any(tensor.requires_grad for tensor in tensors):
        return True
    return any(_carries(level, tensor) for level in state.levels for tensor in tensors)


def _push(op: Op, level: Level, ctx: _Context, tangents: tuple[Any, ...], inputs: tuple[Any, ...]) -> None:
    outputs = ctx.outputs
    if not op.differentiable:
        pushed: Any = None
    elif op.jvp_function is not None:
        pushed = op.jvp_function(ctx, *tangents)
    else:
        pushed = rules.linear(op, ctx.inputs, ctx.params, tangents)
    pushed = pushed if isinstance(pushed, tuple) else (pushed,)
    if outputs[0] is inputs[0]:
        _change(level, outputs[0], pushed[0])
        return
    if not op.differentiable:
        return
    storages = {id(tangent._storage) for tangent in tangents if tangent is not None}
    sources = {id(tensor._storage): tensor for tensor in inputs if isinstance(tensor, TensorBase)}
    for output, tangent in zip(outputs, pushed, strict=True):
        if not output._spec.dtype.is_floating_point:
            continue
        if batched.bottom(output)._base is not None and id(output._storage) in sources and tangent is not None:
            level.set(output, tangent).viewed = True
            for source in inputs:
                entry = level.entry(source) if isinstance(source, TensorBase) else None
                if entry is not None:
                    entry.viewed = True
            continue
        level.set(output, _fitted(tangent, output, storages))


def _fitted(tangent: Any, output: Any, others: set[int]) -> Any:
    """A tangent in memory of its own, in the shape and layout of its tensor."""
    if tangent is None or (isinstance(tangent, (int, float)) and tangent == 0):
        return find("zeros_like")(output)
    if not isinstance(tangent, TensorBase) or tangent._spec.dtype is not output._spec.dtype:
        got = tangent._spec.dtype if isinstance(tangent, TensorBase) else f"a {type(tangent).__name__}"
        raise RuntimeError(
            f"a forward derivative returned a tangent of {got}, expected {output._spec.dtype} as the output is"
        )
    shape = tuple(output._spec.shape)
    if tuple(tangent._spec.shape) != shape:
        tangent = find("expand")(tangent, size=shape)
    laid = laid_out(tangent, output)
    return find("clone")(laid) if laid is tangent and id(tangent._storage) in others else laid


def laid_out(tangent: Any, tensor: Any) -> Any:
    """The tangent in the tensor's layout, so that each view of the tensor has a view of the tangent."""
    spec = tensor._spec
    if tangent._spec.strides == spec.strides:
        return tangent
    if spec.is_dense:
        return find("to_strides")(tangent, strides=spec.strides)
    return tangent if tangent._spec.is_dense else find("clone")(tangent)


def _change(level: Level, target: TensorBase, tangent: Any) -> None:
    """After a change in place, change the tangent in its memory, too, so that tangents of views follow."""
    level.find(target)  # makes the entry of a view whose base was changed
    entry = level.entry(target)
    if entry is None:
        if tangent is None:
            return
        base = target._base
        if base is None:
            if batched.bottom(target)._base is not None:
                raise NotImplementedError(
                    "forward AD: inside of vmap, a view of a tensor without a tangent is changed in place by a dual tensor; "
                    "make the whole by cat or where"
                )
            level.set(target, _fitted(tangent, target, {id(tangent._storage)})).late = True
            return
        whole = level.entry(base)
        if whole is None:
            if not base._spec.is_dense:
                raise NotImplementedError(
                    "forward AD: a view of a tensor that is not dense in memory is changed in place by a dual tensor; "
                    "clone() it first"
                )
            whole = level.set(base, batched.lifted(find("zeros_like")(base), tangent))
        whole.late = whole.viewed = True
        entry = level.set(target, _window(whole.tangent, target, base))
        entry.viewed = True
    if tangent is None or isinstance(tangent, (int, float)):
        change_in_place(find("copy_"), entry.tangent, find("zeros_like")(entry.tangent))
    elif entry.viewed or target._base is not None:
        if tangent._storage is entry.tangent._storage:
            tangent = find("clone")(tangent)
        change_in_place(find("copy_"), entry.tangent, tangent)
    else:
        entry.tangent = _fitted(tangent, target, {id(tangent._storage)})


def _window(whole: Any, view: TensorBase, base: TensorBase) -> Any:
    """The part of the base's tangent that belongs to a view of the base."""
    offset = (view._address - base._address) // base._spec.dtype.itemsize
    return find("as_strided")(whole, size=tuple(view._spec.shape), strides=view._spec.strides, offset=offset)


def _give_to_saved(output: Any, levels: list[Level]) -> None:
    """Give an output's tangents to the alias of it that its node has saved."""
    node = output._node
    if node is None or not isinstance(node.saved, list):
        return
    for slot, number in node.saving.outputs:
        saved = node.saved[slot]
        if saved is not None and number == output._output_nr:
            for level in levels:
                tangent = level.find(output)
                if tangent is not None:
                    level.set(saved, tangent)
