"""Forward mode: dual tensors, whose tangents travel with them through every op that has a forward derivative.

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, direction)
        primal, tangent = forward_ad.unpack_dual(f(dual))

While a level is open, ops go through `_dual` on their way to the engine (`registry.wrap_dispatch`); else nothing is paid.
A level is a table from tensors to tangents. Levels nest: what level 2 computes is seen by level 1, so derivatives of
derivatives come out; and a tangent is made of ops, so reverse mode differentiates it as well. Levels belong to their
thread.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

from numgrad import registry
from numgrad.autograd import batched
from numgrad.engine import dispatch as engine
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import change_in_place
from numgrad.registry import Op, find
from numgrad.tensor.tensor import Tensor

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` returns; ``tangent`` is None for a tensor that has none at this level."""

    primal: Tensor
    tangent: Tensor | None


class _Entry:
    """The tangent of one tensor."""

    __slots__ = ("late", "reference", "tangent", "viewed")

    def __init__(self, reference: Any, tangent: Any) -> None:
        self.reference, self.tangent = reference, tangent
        self.viewed = False  # the tangent's memory is shared with that of a view's
        self.late = False  # by a change in place: views that were made before have a part in it


class Level:
    """The tangents of one dual level, by the identity of their tensors, which it does not keep alive."""

    def __init__(self) -> None:
        self.table: dict[int, _Entry] = {}
        self.number = batched.next_number()  # says which batches of `vmap` are inside of this level
        self.hidden: frozenset[int] = frozenset()  # tensors whose tangents are being taken care of

    def entry(self, tensor: TensorBase) -> _Entry | None:
        found = self.table.get(id(tensor))
        return found if found is not None and found.reference() is tensor else None

    def find(self, tensor: Any) -> Any:
        """The tensor's tangent, or None."""
        if not isinstance(tensor, TensorBase) or id(tensor) in self.hidden:
            return None
        found = self.entry(tensor)
        if found is not None:
            return found.tangent
        base = tensor._base
        whole = None if base is None else self.entry(base)
        if base is None or whole is None or not whole.late:
            return None
        whole.viewed = True
        return self.set(tensor, _window(whole.tangent, tensor, base)).tangent

    def set(self, tensor: TensorBase, tangent: Any) -> _Entry:
        """Give the tensor a tangent."""
        key, table = id(tensor), self.table

        def forget(reference: Any) -> None:
            if key in table and table[key].reference is reference:
                del table[key]

        made = table[key] = _Entry(weakref.ref(tensor, forget), tangent)
        return made


class _State(threading.local):
    levels: tuple[Level, ...] = ()  # those that ops see now, the outermost first


_state = _State()
_open = 0  # levels of all threads
_lock = threading.Lock()


class _Carrier:
    """What the engine asks to carry tangents to an alias that it makes."""

    def carry(self, old: TensorBase, new: TensorBase) -> None:
        """Give ``new``, an alias of ``old``, its tangents."""
        for level in _state.levels:
            tangent = level.find(old)
            if tangent is not None:
                level.set(new, tangent)


_carrier = _Carrier()


def enter_dual_level() -> int:
    """Open a level, in which `make_dual` makes dual tensors; returns its number, the outermost is 0.

    >>> import numgrad as ng
    >>> fwAD = ng.autograd.forward_ad
    >>> level = fwAD.enter_dual_level()
    >>> fwAD.unpack_dual(ng.sin(fwAD.make_dual(ng.zeros(2), ng.ones(2)))).tangent
    tensor([1., 1.])
    >>> fwAD.exit_dual_level(level=level)
    """
    global _open
    from numgrad.ops.rules import tangents  # noqa: F401 (says how tangents go through ops)

    with _lock:
        _open += 1
        if _open == 1:
            registry.wrap_dispatch(2, _dual)
    _state.levels = (*_state.levels, Level())
    modes.forward = _carrier
    return len(_state.levels) - 1


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the innermost level: its tangents are gone.

    Raises
    ------
    RuntimeError
        No level is open, or ``level`` is another one than the innermost.
    """
    global _open
    current = len(_state.levels) - 1
    if current < 0:
        raise RuntimeError("exit_dual_level: no level is open in this thread; enter_dual_level() opens one")
    if level is not None and level != current:
        raise RuntimeError(
            f"Trying to exit a forward AD level that was not the last one that was created. This is not supported; got level "
            f"{level}, the last one is {current}"
        )
    _state.levels[-1].table.clear()
    _state.levels = _state.levels[:-1]
    modes.forward = _carrier if _state.levels else None
    with _lock:
        _open -= 1
        if _open == 0:
            registry.unwrap_dispatch(_dual)


@contextlib.contextmanager
def dual_level() -> Iterator[int]:
    """A level for the length of a ``with`` block.

    >>> import numgrad as ng
    >>> fwAD = ng.autograd.forward_ad
    >>> with fwAD.dual_level():
    ...     dual = fwAD.make_dual(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 10.0]))
    ...     fwAD.unpack_dual(dual * dual).tangent
    tensor([ 2., 40.])
    """
    level = enter_dual_level()
    try:
        yield level
    finally:
        exit_dual_level(level=level)


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A tensor that shares ``tensor``'s memory and graph and has this tangent.

    Parameters
    ----------
    tensor, tangent
        Of floating point, of one shape and dtype.
    level
        Number of the level; default: the innermost.

    Raises
    ------
    RuntimeError
        No level is open, the tensor is dual at this level already, or shapes or dtypes differ.
    ValueError
        A tensor is not of floating point.

    >>> import numgrad as ng
    >>> fwAD = ng.autograd.forward_ad
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(ng.tensor(3.0), ng.tensor(1.0))
    ...     fwAD.unpack_dual(x**3)
    UnpackedDualTensor(primal=tensor(27.), tangent=tensor(27.))
    """
    where = _at(level)
    if where is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not isinstance(value, Tensor):
            raise TypeError(f"make_dual: Expected {name} to be a Tensor, but got {type(value).__name__}")
        if not value.is_floating_point():
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    if tangent.shape != tensor.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    if tangent.dtype is not tensor.dtype:
        raise RuntimeError(f"make_dual: the tangent is of {tangent.dtype}, expected {tensor.dtype} as the tensor is")
    number = _state.levels.index(where)
    inside = batched.deepest([tensor])
    if inside is not None and inside.number > where.number:
        raise RuntimeError(
            f"make_dual: level {number} is outside of the vmap that the tensor is of; open a level inside of it"
        )
    if _whole(where, tensor) is not None:
        raise RuntimeError(
            f"Making a dual Tensor based on a Tensor that already has a forward gradient at the same level {number} is not "
            "supported."
        )
    with _below(number):
        dual: Tensor = find("permute")(tensor, dims=tuple(range(tensor.ndim)))
        where.set(dual, _laid_out(find("clone")(tangent), dual))  # a copy: changes in place change it, too
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """``(primal, tangent)`` of a tensor; the tangent is None if it has none at this level.

    >>> import numgrad as ng
    >>> ng.autograd.forward_ad.unpack_dual(ng.ones(2))
    UnpackedDualTensor(primal=tensor([1., 1.]), tangent=None)
    """
    where = _at(level)
    tangent = None if where is None else _whole(where, tensor)
    if where is None or tangent is None:
        return UnpackedDualTensor(tensor, None)
    with _below(_state.levels.index(where)):
        if tensor.requires_grad or any(_whole(lower, tensor) is not None for lower in _state.levels):
            primal = find("permute")(tensor, dims=tuple(range(tensor.ndim)))
        else:
            primal = tensor.detach()
    return UnpackedDualTensor(primal, tangent)


def is_active() -> bool:
    """Whether a level is open in this thread."""
    return bool(_state.levels)


def is_dual(value: Any) -> bool:
    """Whether a value has a tangent at an open level."""
    return any(level.find(value) is not None for level in _state.levels)


def detached(tensor: Tensor) -> Tensor:
    """As `Tensor.detach`, but with the tangents: an alias outside of the graph of reverse mode alone."""
    if isinstance(tensor, batched.BatchedTensor):
        new: Tensor = batched.BatchedTensor(detached(tensor.payload), tensor.level)
    else:
        new = tensor.detach()
    if _state.levels:
        _carrier.carry(tensor, new)
    return new


def _at(level: int | None) -> Level | None:
    levels = _state.levels
    if level is None:
        return levels[-1] if levels else None
    if not 0 <= level < len(levels):
        raise RuntimeError(f"forward AD level {level} is not open; {len(levels)} levels are")
    return levels[level]


@contextlib.contextmanager
def _below(number: int) -> Iterator[None]:
    """Ops see the levels outside of this one alone: what they compute is this level's tangent."""
    before, forward = _state.levels, modes.forward
    _state.levels = before[:number]
    modes.forward = _carrier if number else None
    try:
        yield
    finally:
        _state.levels, modes.forward = before, forward


class _Context(NamedTuple):
    """What a forward derivative sees; see `registry.Op.jvp`."""

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    params: Any
    differentiable: bool


@contextlib.contextmanager
def suspended() -> Iterator[tuple[Level, ...]]:
    """No level is seen inside; yields those that are open."""
    levels = _state.levels
    with _below(0):
        yield levels


def push_function(
    levels: tuple[Level, ...], jvp: Any, inputs: tuple[Any, ...], outputs: tuple[Any, ...], name: str
) -> None:
    """Tangents of the outputs of a `Function` by its ``jvp``, at each level at which an input has one."""
    for number, level in enumerate(levels):
        tangents = tuple([level.find(value) for value in inputs])
        if all(tangent is None for tangent in tangents):
            continue
        before, forward = _state.levels, modes.forward
        _state.levels, modes.forward = levels[:number], _carrier if number else None
        try:
            made = jvp(*tangents)
            made = made if isinstance(made, tuple) else (made,)
            if len(made) != len(outputs):
                raise RuntimeError(
                    f"{name}.jvp returned {len(made)} tangents, expected {len(outputs)}, one for each output"
                )
            for output, tangent in zip(outputs, made, strict=True):
                if not isinstance(output, TensorBase) or tangent is None:
                    continue
                if not isinstance(tangent, Tensor) or tangent.shape != output._spec.shape:
                    got = list(tangent.shape) if isinstance(tangent, Tensor) else type(tangent).__name__
                    raise RuntimeError(f"{name}.jvp returned a tangent of {got}, expected {list(output._spec.shape)}")
                level.set(output, _fitted(tangent, output, {id(tangent._storage)}))
        finally:
            _state.levels, modes.forward = before, forward


# ---- what ops go through ----------------------------------------------------------------------------------------


def _dual(inner: Any, op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    """Apply the op, and give its outputs the tangents that follow from those of its inputs."""
    levels = _state.levels
    if not levels:
        return inner(op, inputs, params)
    found = []
    batch = batched.deepest(inputs)
    for number, level in enumerate(levels):
        if batch is not None and level.number < batch.number:
            continue  # the examples are inside of this level: their tangents go with the payloads
        tangents = tuple([level.find(tensor) for tensor in inputs])
        if any(tangent is not None for tangent in tangents):
            found.append((number, level, tangents))
    if not found:
        return inner(op, inputs, params)
    if op.composite_function is not None:
        return op.composite_function(*inputs, **params._asdict())
    in_place = op.name.endswith("_")
    if op.name == "copy_slices":  # the base after a change of a view, whose tangent shares memory with the base's
        return inner(op, inputs, params)
    if op.differentiable and op.jvp_function is None and not op.linear_groups:
        raise NotImplementedError(
            f"Trying to use forward AD with {op.name} that does not support it because it has not been implemented yet. "
            "Attach a rule with Op.jvp or Op.linear_in, or use reverse mode"
        )
    if op.differentiable and modes.saved_hooks and modes.grad_enabled:
        raise NotImplementedError(f"{op.name}: saved-tensor hooks do not carry tangents; leave them or the dual level")
    if any(isinstance(value, (bool, int, float)) for value in inputs):
        inputs = engine._with_constants(op, inputs)
    before = inputs
    if in_place and op.name != "copy_":
        before = (find("clone")(inputs[0]), *inputs[1:])
    if batch is not None:
        result = _without_own(found, inner, op, inputs, params)
    else:
        result = inner(op, inputs, params)
    outputs = result if isinstance(result, tuple) else (result,)
    for number, level, tangents in found:
        with _below(number):
            _push(
                op, level, _Context(before, outputs, params, _is_differentiable((*inputs, *tangents))), tangents, inputs
            )
    _give_to_saved(outputs[0], [level for _, level, _ in found])
    return result


def _without_own(found: list[Any], inner: Any, op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    """The op on the payloads, which carry on with their own tangents, while those of the inputs are seen here alone."""
    before = [level.hidden for _, level, _ in found]
    try:
        for _, level, tangents in found:
            seen = [id(tensor) for tensor, tangent in zip(inputs, tangents, strict=True) if tangent is not None]
            level.hidden = level.hidden.union(seen)
        return inner(op, inputs, params)
    finally:
        for (_, level, _), hidden in zip(found, before, strict=True):
            level.hidden = hidden


def _whole(level: Level, tensor: Any) -> Any:
    """A tensor's tangent; of a batched one also the part that its payload carries, as both are linear."""
    found = level.find(tensor)
    if isinstance(tensor, batched.BatchedTensor):
        inner = _whole(level, tensor.payload)
        if inner is not None:
            inner = batched.BatchedTensor(inner, tensor.level)
            found = inner if found is None else find("add")(found, inner)
    return found


def _carries(level: Level, tensor: Any) -> bool:
    """Whether a tensor or one of its payloads has a tangent."""
    while level.find(tensor) is None:
        if not isinstance(tensor, batched.BatchedTensor):
            return False
        tensor = tensor.payload
    return True


def _is_differentiable(values: tuple[Any, ...]) -> bool:
    """Whether what is computed of these will be differentiated by somebody."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if modes.grad_enabled and any(tensor.requires_grad for tensor in tensors):
        return True
    return any(_carries(level, tensor) for level in _state.levels for tensor in tensors)


def _push(op: Op, level: Level, ctx: _Context, tangents: tuple[Any, ...], inputs: tuple[Any, ...]) -> None:
    outputs = ctx.outputs
    if not op.differentiable:
        made: Any = None
    elif op.jvp_function is not None:
        made = op.jvp_function(ctx, *tangents)
    else:
        from numgrad.ops.rules.tangents import linear_jvp

        made = linear_jvp(op, ctx.inputs, ctx.params, tangents)
    made = made if isinstance(made, tuple) else (made,)
    if outputs[0] is inputs[0]:
        _change(level, outputs[0], made[0])
        return
    if not op.differentiable:
        return
    own = {id(tangent._storage) for tangent in tangents if tangent is not None}
    sources = {id(tensor._storage): tensor for tensor in inputs if isinstance(tensor, TensorBase)}
    for output, tangent in zip(outputs, made, strict=True):
        if not output._spec.dtype.is_floating_point:
            continue
        if batched.bottom(output)._base is not None and id(output._storage) in sources and tangent is not None:
            level.set(output, tangent).viewed = True
            for source in inputs:
                entry = level.entry(source) if isinstance(source, TensorBase) else None
                if entry is not None:
                    entry.viewed = True
            continue
        level.set(output, _fitted(tangent, output, own))


def _fitted(tangent: Any, output: Any, others: set[int]) -> Any:
    """A tangent of memory of its own in the shape and layout of its tensor."""
    if tangent is None or isinstance(tangent, (int, float)):
        return find("zeros_like")(output)
    shape = tuple(output._spec.shape)
    if tuple(tangent._spec.shape) != shape:
        tangent = find("expand")(tangent, size=shape)
    laid = _laid_out(tangent, output)
    return find("clone")(laid) if laid is tangent and id(tangent._storage) in others else laid


def _laid_out(tangent: Any, tensor: Any) -> Any:
    """In the tensor's layout, so that whatever is a view of the one is a view of the other."""
    spec = tensor._spec
    if tangent._spec.strides == spec.strides:
        return tangent
    if spec.is_dense:
        return find("to_strides")(tangent, strides=spec.strides)
    return tangent if tangent._spec.is_dense else find("clone")(tangent)


def _change(level: Level, target: TensorBase, tangent: Any) -> None:
    """A change in place: the tangent's memory changes as well, so that those of views do."""
    level.find(target)  # which makes the entry of a view of a base that was changed
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
    """What a node has saved of its outputs is another tensor, which needs the tangent as well."""
    node = output._node
    if node is None or not isinstance(node.saved, list):
        return
    for place, number in node.saving.outputs:
        kept = node.saved[place]
        if kept is not None and number == output._output_nr:
            for level in levels:
                tangent = level.find(output)
                if tangent is not None:
                    level.set(kept, tangent)
