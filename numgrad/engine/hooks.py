"""Hooks of the backward pass: functions that are called with a gradient, and may replace it."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from operator import call
from typing import Any

from numgrad.engine.tape import AccumulateGrad, Node, TensorBase, modes
from numgrad.engine.views import refresh
from numgrad.registry import find
from numgrad.runtime.scope import Scope

Hook = Callable[..., Any]
Table = OrderedDict[int, Hook]
_numbers = itertools.count()


class RemovableHandle(Scope):
    """The result of registering a hook: `remove` takes the hook away; as a context, its end does.

    It does not keep the owner of the hook alive.

    >>> from numgrad import nn
    >>> model = nn.Identity()
    >>> handle = model.register_forward_hook(lambda module, args, output: output + 1)
    >>> model(1)
    2
    >>> handle.remove()
    >>> model(1)
    1
    """

    def __init__(self, *tables: OrderedDict[int, Any]) -> None:
        super().__init__()
        self.id = next(_numbers)
        self._tables = [weakref.ref(table) for table in tables]

    def _removal(self) -> Callable[[], Any]:
        """A call that takes the hook away: a loop in C that calls functions in C, which nothing can interrupt."""
        tables = [table for reference in self._tables if (table := reference()) is not None]
        return partial(deque, map(call, [partial(table.pop, self.id, None) for table in tables]), 0)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._removal()()

    def __enter__(self) -> RemovableHandle:
        removal = self._removal()
        self._undo = ((), self._undo, removal)
        return self


class Hooks:
    """The hooks of one node; those of a leaf's accumulator belong to the leaf and outlive it.

    Called in this order: ``tensor`` (by the number of the output), ``retained``, then, if the node runs, ``before``,
    ``after``, and at a leaf ``accumulated``.
    """

    __slots__ = ("accumulated", "after", "before", "metadata", "retained", "tensor")

    def __init__(self) -> None:
        self.tensor: dict[int, Table] = {}
        self.retained: dict[int, weakref.ref[TensorBase]] = {}
        self.before: Table = OrderedDict()
        self.after: Table = OrderedDict()
        self.accumulated: Table = OrderedDict()
        self.metadata: dict[Any, Any] = {}

    def on_tensors(self, node: Node, grads: list[Any]) -> list[Any]:
        """The gradients after the hooks of their tensors; stored in the tensors that retain theirs."""
        for number, table in self.tensor.items():
            for hook in tuple(table.values()):
                if grads[number] is not None:
                    changed = hook(grads[number])
                    if changed is not None:
                        grads[number] = _checked(hook, grads[number], changed)
        for number, reference in self.retained.items():
            tensor = reference()
            if tensor is not None and tensor._node is node and grads[number] is not None:
                grad = grads[number]
                tensor._grad = grad if tensor._grad is None else find("add")(tensor._grad, grad)
        return grads

    def on_entry(self, grads: list[Any]) -> list[Any]:
        """The gradients after the node's own hooks."""
        for hook in tuple(self.before.values()):
            changed = hook(tuple(grads))
            if changed is not None:
                grads = _checked_tuple(hook, tuple(grads), changed)
        return grads

    def on_exit(self, outgoing: tuple[Any, ...], grads: list[Any]) -> tuple[Any, ...]:
        """The node's results after the hooks that see both sides."""
        for hook in tuple(self.after.values()):
            changed = hook(outgoing, tuple(grads))
            if changed is not None:
                outgoing = tuple(_checked_tuple(hook, outgoing, changed))
        return outgoing

    def on_accumulated(self, variable: TensorBase) -> None:
        """Call the hooks of a leaf that has its gradient."""
        for hook in tuple(self.accumulated.values()):
            hook(variable)


def _checked(hook: Hook, grad: Any, changed: Any) -> Any:
    if not isinstance(changed, TensorBase):
        raise TypeError(f"expected a Tensor or None, but hook {_name(hook)} returned {type(changed).__name__!r}")
    if grad is not None and changed._spec.shape != grad._spec.shape:
        raise RuntimeError(
            f"hook {_name(hook)} has changed the size of value: got {list(changed._spec.shape)}, expected "
            f"{list(grad._spec.shape)}"
        )
    if grad is not None and changed._spec.dtype is not grad._spec.dtype:
        raise RuntimeError(
            f"hook {_name(hook)} has changed the type of value: got {changed._spec.dtype}, expected {grad._spec.dtype}"
        )
    return changed


def _checked_tuple(hook: Hook, grads: tuple[Any, ...], changed: Any) -> list[Any]:
    if isinstance(changed, TensorBase) and len(grads) == 1:
        changed = (changed,)
    if not isinstance(changed, (tuple, list)):
        raise TypeError(f"expected tuple, but hook {_name(hook)} returned {type(changed).__name__!r}")
    if len(changed) != len(grads):
        raise RuntimeError(
            f"hook {_name(hook)} has returned an incorrect number of values (got {len(changed)}, but expected "
            f"{len(grads)})"
        )
    for old, new in zip(grads, changed, strict=True):
        if old is None and new is not None:
            raise RuntimeError(f"hook {_name(hook)}: can't replace a None gradient with a non-None value")
    return [None if new is None else _checked(hook, old, new) for old, new in zip(grads, changed, strict=True)]


def _name(hook: Hook) -> str:
    return f"'{getattr(hook, '__name__', type(hook).__name__)}'"


def hooks_of(node: Node) -> Hooks:
    """The node's hooks, made at the first call."""
    if node.hooks is None:
        node.hooks = Hooks()
        if isinstance(node, AccumulateGrad):
            node.variable._hooks = node.hooks
    return node.hooks  # type: ignore[no-any-return]


def hooks_of_tensor(tensor: TensorBase) -> tuple[Hooks, int]:
    """The hooks for a tensor's gradient, and the tensor's output number."""
    refresh(tensor)
    if tensor._node is not None:
        return hooks_of(tensor._node), tensor._output_nr
    if tensor._hooks is None:
        tensor._hooks = Hooks()
        accumulator = tensor._accumulator and tensor._accumulator()
        if accumulator is not None:
            accumulator.hooks = tensor._hooks
    return tensor._hooks, 0


def add_hook(table: OrderedDict[int, Any], hook: Any, prepend: bool = False, *flags: Any) -> RemovableHandle:
    """Add a hook, last or (``prepend``) first, and True to the tables of its flags; removing it removes all."""
    handle = RemovableHandle(table, *flags)
    table[handle.id] = hook if modes.capture is None else modes.capture.hook(hook)
    for flag in flags:
        flag[handle.id] = True
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


def tensor_hooks(tensor: TensorBase) -> Table:
    """The hooks for a tensor's gradient.

    Raises
    ------
    RuntimeError
        The tensor requires no gradient.
    """
    refresh(tensor)
    if tensor._node is None and not tensor._requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    hooks, number = hooks_of_tensor(tensor)
    return hooks.tensor.setdefault(number, OrderedDict())


def accumulation_hooks(tensor: TensorBase) -> Table:
    """The hooks for the end of a leaf's accumulation.

    Raises
    ------
    RuntimeError
        The tensor is not a leaf, or requires no gradient.
    """
    refresh(tensor)
    if tensor._node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    tensor_hooks(tensor)
    return hooks_of_tensor(tensor)[0].accumulated


def retain(tensor: TensorBase) -> None:
    """Store the gradient of a non-leaf tensor in its ``.grad``.

    Raises
    ------
    RuntimeError
        The tensor requires no gradient.
    """
    refresh(tensor)
    if tensor._node is None:
        if not tensor._requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        return
    hooks, number = hooks_of_tensor(tensor)
    hooks.retained[number] = weakref.ref(tensor)
    tensor._retains_grad = True
