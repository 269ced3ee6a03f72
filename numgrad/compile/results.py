"""The results of a step: what it returned when it was captured, and what each replay returns."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from numgrad.compile.capture import Capture
from numgrad.compile.steps import Block
from numgrad.engine.backward import nodes_below
from numgrad.engine.tape import Edge, Node, Record, TensorBase
from numgrad.errors import CaptureError, GradError
from numgrad.layout import Spec
from numgrad.runtime import memory
from numgrad.runtime.memory import Storage
from numgrad.runtime.replay import tensor_maker
from numgrad.tensor.inference import mark

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_Maker = Callable[[Sequence[TensorBase], Sequence[Storage]], TensorBase]


class Replayed(Node):
    """The node of a result that had a graph when the step was captured; a replay has none."""

    __slots__ = ()
    is_seen = True

    def __init__(self, spec: Spec) -> None:
        Node.__init__(self, Record(None, None, (), (), [spec]), ())

    def name(self) -> str:
        return "ReplayedBackward"

    def apply(self, grads: list[Any], create_graph: bool) -> tuple[Any, ...]:
        raise GradError(
            "jit: this tensor is a result of a replayed step, which keeps no graph; call backward() inside the step"
        )


class Described(NamedTuple):
    """How a replay makes one tensor of the results.

    ========  ==================================================================================
    kind      what ``of`` is
    ========  ==================================================================================
    argument  the number of the argument that is returned as it is
    gradient  the leaf whose gradient is returned, or its number among the arguments
    tensor    the tensor that is returned as it is
    made      the block of the step's own, in whose new memory it lies
    view      the number of the argument in whose memory it lies, from this argument's address
    copy      the storage whose bytes are copied
    memory    the storage in which it lies
    ========  ==================================================================================
    """

    kind: str
    of: Any
    spec: Spec | None = None
    offset: int = 0  # bytes
    requires_grad: bool = False
    had_graph: bool = False


class Results:
    """What a step returns, with a function for each tensor that makes it anew.

    Attributes
    ----------
    blocks
        The blocks in which results lie.
    described, template
        How each tensor is made, and the result with the number of each in its place.
    """

    def __init__(self, capture: Capture | None = None) -> None:
        self.blocks: list[Block] = []
        self.described: list[Described] = []
        self.template: Any = None
        self.graphs: list[Edge] = []  # of the capture's results; a replay's have none
        self._makers: list[_Maker] = []
        self._capture = capture

    def take(self, result: Any) -> None:
        """Note a result."""
        self.template = self._noted(result, "the result")
        self._capture = None
        self.make()

    def make(self) -> None:
        """Prepare `of_replay`, of all that is described."""
        self._makers = list(map(_maker_of, self.described))

    def _noted(self, value: Any, path: str) -> Any:
        """The value with each tensor replaced by the number of its maker."""
        if isinstance(value, TensorBase):
            self.described.append(self._described(value))
            return Number(len(self.described) - 1)
        if isinstance(value, (tuple, list)):
            items = [self._noted(each, f"{path}[{index}]") for index, each in enumerate(value)]
            is_kept = isinstance(value, tuple) and not any(map(_is_noted, items))
            return value if is_kept else Listed(type(value), items)
        if isinstance(value, dict):
            items = [self._noted(each, f"{path}[{key!r}]") for key, each in value.items()]
            kind = (
                functools.partial(type(value), value.default_factory)
                if hasattr(value, "default_factory")
                else type(value)
            )
            return Mapped(kind, list(value), items)
        if isinstance(value, _PLAIN):
            return value
        raise CaptureError(
            f"jit: {path} is of type {type(value).__name__}, and a replay can make tensors, numbers, and tuples, lists and "
            "dicts of them"
        )

    def _described(self, tensor: TensorBase) -> Described:
        assert self._capture is not None
        capture, root = self._capture, tensor._storage.root
        for number, argument in enumerate(capture.arguments):
            if argument is tensor:
                return Described("argument", number)
        for leaf in capture.leaves.values():
            if leaf._grad is tensor:
                numbers = [number for number, argument in enumerate(capture.arguments) if argument is leaf]
                return Described("gradient", numbers[0] if numbers else leaf)
        if any(before is not None and before._storage.root is root for before in capture.gradients.values()):
            raise CaptureError(
                f"jit: the result of shape {list(tensor._spec.shape)} lies in the gradient that was there before the step; "
                "return its clone()"
            )
        block, spec = capture.by_root.get(id(root)), tensor._spec
        if tensor._node is not None:
            _refuse_graph(tensor)
            self.graphs.append((tensor._node, tensor._output_nr))
        if id(tensor) in capture.visible.tensors or (id(tensor) in capture.leaves and not capture.is_filled(root)):
            return Described("tensor", tensor)
        facts = spec, tensor._address - root.address, tensor._requires_grad, tensor._node is not None
        if block is not None and block.kind == "made":
            self.blocks.append(block)
            return Described("made", block, *facts)
        if block is not None and block.kind == "argument":
            distance = tensor._address - capture.arguments[block.slot]._address
            return Described("view", block.slot, spec, distance, *facts[2:])
        # What Python filled, it would fill again.
        return Described("copy" if capture.is_filled(root) else "memory", root, *facts)

    def of_replay(self, arguments: Sequence[TensorBase], storages: Sequence[Storage], is_inference: bool) -> Any:
        """The results of a replay, whose new memory is ``storages``."""
        tensors: list[TensorBase] = [maker(arguments, storages) for maker in self._makers]
        if is_inference:
            for tensor in tensors:
                if any(tensor._storage is storage for storage in storages):
                    mark(tensor)
        return self.filled(tensors)

    def filled(self, tensors: Sequence[TensorBase]) -> Any:
        """What the step returns, with these tensors in it."""
        if self.template.__class__ is Number:
            return tensors[0]
        return _filled(self.template, iter(tensors))


class Number(int):
    """A tensor's place."""


class Listed:
    def __init__(self, kind: type, items: list[Any]) -> None:
        self.kind, self.items = kind, items


class Mapped:
    def __init__(self, kind: Callable[..., Any], keys: list[Any], items: list[Any]) -> None:
        self.kind, self.keys, self.items = kind, keys, items


def _is_noted(value: Any) -> bool:
    return isinstance(value, (Number, Listed, Mapped))


def _filled(template: Any, tensors: Iterator[TensorBase]) -> Any:
    if isinstance(template, Number):
        return next(tensors)
    if isinstance(template, Listed):
        items = [_filled(each, tensors) for each in template.items]
        return template.kind(*items) if hasattr(template.kind, "_fields") else template.kind(items)
    if isinstance(template, Mapped):
        filled = {key: _filled(each, tensors) for key, each in zip(template.keys, template.items, strict=True)}
        return filled if template.kind is dict else template.kind(filled)
    return template


def results_of(result: Any, capture: Capture) -> Results:
    """The results of a captured step.

    Raises
    ------
    CaptureError
        A result is no tensor, number or container of them, or has a graph that is still to be run.
    """
    results = Results(capture)
    results.take(result)
    return results


def _maker_of(described: Described) -> _Maker:
    """The function that makes a result anew."""
    kind, of, spec, offset, requires_grad, had_graph = described
    if kind == "argument":
        return lambda arguments, storages: arguments[of]
    if kind == "gradient":
        if isinstance(of, int):
            return lambda arguments, storages: arguments[of]._grad
        return lambda arguments, storages: of._grad
    if kind == "tensor":
        return lambda arguments, storages: of
    assert spec is not None
    node = Replayed(spec) if had_graph else None
    if kind == "made":
        return lambda arguments, storages: _over(
            storages[of.slot], spec, storages[of.slot].address + offset, node, requires_grad
        )
    if kind == "view":
        return lambda arguments, storages: _over(
            arguments[of]._storage, spec, arguments[of]._address + offset, node, requires_grad
        )
    if kind == "copy":
        return lambda arguments, storages: _copied(of, spec, offset, requires_grad)
    return lambda arguments, storages: _over(of, spec, of.address + offset, node, requires_grad)


def _over(storage: Storage, spec: Spec, address: int, node: Node | None, requires_grad: bool) -> TensorBase:
    tensor: TensorBase = tensor_maker()(storage, spec, address)
    tensor._node, tensor._requires_grad = node, requires_grad
    return tensor


def _copied(root: Storage, spec: Spec, offset: int, requires_grad: bool) -> TensorBase:
    storage = memory.allocate(root.nbytes)
    ctypes.memmove(storage.address, root.address, root.nbytes)
    return _over(storage, spec, storage.address + offset, None, requires_grad)


def _refuse_graph(tensor: TensorBase) -> None:
    """Refuse a result whose graph was not run yet."""
    assert tensor._node is not None
    for node in nodes_below([(tensor._node, tensor._output_nr)]):
        saved = node.saved
        if saved is not None and (saved.__class__ is not list or any(each is not None for each in saved)):
            raise CaptureError(
                f"jit: the result of shape {list(tensor._spec.shape)} has a graph that is still to be run, which a replay would "
                "not have; call backward() inside the step, return detach()ed tensors, or run it under no_grad()"
            )
