"""`Recorded`: what a capture leaves for its program, if a replay could do all again that the step did."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from numgrad.compile.capture import Capture
from numgrad.compile.passes.memory import eager_peak
from numgrad.compile.results import Number, Results, results_of
from numgrad.compile.steps import Again, Applied, Block
from numgrad.compile.visible import Visible
from numgrad.engine.backward import nodes_below
from numgrad.engine.tape import AccumulateGrad, Edge, TensorBase, modes
from numgrad.errors import CaptureError
from numgrad.layout import Spec
from numgrad.runtime.memory import Storage


class UnstableError(Exception):
    """The state after a captured step is of another kind than before it, so that only a later capture can be replayed."""


class Gradient(NamedTuple):
    """What a step does with a leaf's gradient: ``before`` it had one (None: either way), and ``kind`` says what follows.

    ``same``
        It stays what it is, changed in place or not.
    ``made``
        It becomes a new tensor.
    ``dropped``
        There is none any more.
    ``found``
        The one that was there before is read, and then is ``made`` anew or ``dropped``.
    """

    leaf: Any  # a tensor, or the number of an argument
    before: bool | None
    kind: str
    spec: Spec | None
    block: Block | None
    offset: int

    def of(self, arguments: Sequence[TensorBase]) -> Any:
        """The leaf."""
        return arguments[self.leaf] if self.leaf.__class__ is int else self.leaf


class Recorded(NamedTuple):
    """A captured step before any pass.

    Attributes
    ----------
    steps, blocks
        All that the step did, and all memory that it touched. Passes make new steps, and change none of these.
    gradients, results, kept
        What the step does with gradients, what it returns, and the blocks in which they lie.
    call, arguments
        What the step was called with, its numbers in the place of tensors, and of these the spec and ``requires_grad``.
    begins
        For each argument, the bytes from its first element to the beginning of its memory.
    pinned
        Numbers and addresses of the arguments that the step sees otherwise as well.
    visible, seen
        What has to be as it was: all that the function sees, and other tensors that ops read, each with its address and spec.
    counted, bumped
        Optimizers, once for each of their steps; blocks that change, with the storages that count it.
    is_inference
        Whether it ran in inference mode.
    eager_peak
        The most bytes of new memory that were in use while it ran op by op.
    """

    steps: tuple[Applied | Again, ...]
    blocks: list[Block]
    gradients: list[Gradient]
    results: Results
    kept: frozenset[Block]
    call: tuple[Any, Any]
    arguments: tuple[tuple[Spec, bool], ...]
    begins: tuple[int, ...]
    pinned: list[tuple[int, int]]
    visible: Visible
    seen: list[tuple[TensorBase, int, Spec]]
    counted: list[Any]
    bumped: list[tuple[Block, Storage | None]]
    is_inference: bool
    eager_peak: int


def recorded_by(capture: Capture, result: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Recorded:
    """What a capture recorded of a step that was called with ``args`` and ``kwargs``, and returned ``result``.

    The capture is spent.

    Raises
    ------
    CaptureError
        The step did something that a replay could not do again.
    UnstableError
        A later capture may be replayed.
    """
    capture.visible.finish()
    _check(capture)
    gradients = list(chain.from_iterable(map(_Gradients(capture).of, capture.leaves.values())))
    results = results_of(result, capture)
    kept = {*results.blocks, *[each.block for each in gradients if each.block is not None]}
    _let_go(capture, kept, results.graphs)
    results.graphs = []
    arguments = capture.arguments
    blocks = [block for block in capture.blocks if block.kind == "argument"]
    recorded = Recorded(
        tuple(capture.steps),
        capture.blocks,
        gradients,
        results,
        frozenset(kept),
        _numbered((args, kwargs or {}), count()),
        tuple([(each._spec, each._requires_grad) for each in arguments]),
        tuple([each._storage.root.address - each._address for each in arguments]),
        [(block.slot, arguments[block.slot]._address) for block in blocks if _is_pinned(block, capture)],
        capture.visible,
        [(tensor, address, spec) for weak, address, spec in capture.seen.values() if (tensor := weak()) is not None],
        capture.counted,
        [(block, weak()) for block, weak in capture.bumped],
        modes.inference,
        eager_peak(capture.blocks, len(capture.steps)),
    )
    pinned = {number for number, _ in recorded.pinned}
    for block in blocks:
        if block.slot not in pinned:
            block.root = None
    capture.arguments = []  # blocks keep the capture alive, and it must not keep these
    return recorded


def _numbered(value: Any, numbers: Iterator[int]) -> Any:
    """The arguments of a step, their tensors replaced by their numbers."""
    if isinstance(value, TensorBase):
        return Number(next(numbers))
    if isinstance(value, (tuple, list)):
        items = [_numbered(each, numbers) for each in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: _numbered(each, numbers) for key, each in value.items()}
    return value


def _let_go(capture: Capture, kept: set[Block], graphs: Sequence[Edge]) -> None:
    """Refuse tensors that outlive the step elsewhere than in its results: a replay would not renew them.

    ``graphs`` are those that the results had, which results of replays have not.
    """
    capture.gradients.clear()
    capture.leaves.clear()
    host = [(id(root), block) for root in capture.host_made() if (block := capture.by_root.get(id(root)))]
    suspects = [block for block in capture.blocks if block.kind == "made" and block not in kept]
    if any(block.weak() is not None for block in suspects):
        gc.collect()
    of_graphs = _held_by_graphs(graphs, suspects)
    for block in suspects:
        if (root := block.weak()) is not None and id(root) not in of_graphs:
            raise UnstableError(
                f"the tensor {block.spec} made at {block.maker} is kept elsewhere than in the results of the step; "
                "return it, or copy it with copy_() into a tensor that was there before"
            )
    begun_inside = {key for key, block in host if block.kind == "begun"}
    for block in capture.blocks:
        if block.kind == "begun" and (root := block.weak()) is not None:
            if id(root) in begun_inside:
                raise UnstableError("a tensor that Python made within the step is kept, and changed in place")
            block.kind, block.root, block.initial = "held", root, None


def _held_by_graphs(graphs: Sequence[Edge], suspects: Sequence[Block]) -> set[int]:
    """Ids of the storages of suspects that live only as leaves of graphs, or as their gradients; none if anything else has any."""
    roots = {id(block.weak()) for block in suspects if block.weak() is not None}
    if not roots or not graphs:
        return set()
    ends = [node for node in nodes_below(graphs) if isinstance(node, AccumulateGrad)]
    things: dict[int, Any] = {id(end): end for end in ends}
    leaves = [end.variable for end in ends if id(end.variable._storage.root) in roots]
    for tensor in (*leaves, *[leaf._grad for leaf in leaves if leaf._grad is not None]):
        things |= {id(each): each for each in (tensor, tensor._storage, tensor._storage.root)}
    nodes = {id(node) for node in nodes_below(graphs)}
    known = {id(things), id(ends), id(leaves), *things, *nodes}
    for thing in things.values():
        others = [] if id(thing) in nodes else gc.get_referrers(thing)
        if any(id(each) not in known and not isinstance(each, types.FrameType) for each in others):
            return set()
    return roots & things.keys()


def _check(capture: Capture) -> None:
    """Refuse what the whole step did."""
    if capture.problem is not None:
        raise CaptureError(f"jit: {capture.problem}")
    if capture.met_a_new_thread:  # it need not be the step's
        raise UnstableError("it computes in other threads, whose launches are not seen; compute in one thread")
    if capture.drawn():
        raise CaptureError(
            "jit: the step draws from the random numbers of Python or NumPy, and a replay would draw none; draw from "
            "numgrad's, or pass what was drawn as a tensor"
        )
    for tensor in capture.arguments:
        if tensor._node is not None and tensor._base is None:
            raise CaptureError(
                "jit: an argument was changed in place so that it has a graph, which a replay would not make; return the result"
            )
    if (difference := capture.visible.difference()) is not None:
        raise UnstableError(
            f"the step changed what it sees, and a replay would not: {difference}; change it outside of the step, or in a "
            "function of jit.host, or take fallback='eager'"
        )


class _Gradients:
    """What the step did with the gradients of its leaves."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.numbers = {id(tensor): number for number, tensor in enumerate(capture.arguments)}
        self.used = {block for step in capture.steps if isinstance(step, Applied) for block in step.blocks()}

    def of(self, leaf: TensorBase) -> list[Gradient]:
        """What it did with a leaf's; nothing if the leaf has none and needs none, and the step did not ask for it."""
        capture = self.capture
        before, now = capture.gradients[id(leaf)], leaf._grad
        is_asked_for = id(leaf) in capture.cleared or id(leaf) in capture.looked  # somebody may set one later
        if before is None and now is None and not (leaf._requires_grad or is_asked_for):
            return []
        who: Any = self.numbers.get(id(leaf), leaf)
        had: bool | None = before is not None
        if (id(leaf) in capture.cleared or (had and self._used(before) is None)) and id(leaf) not in capture.looked:
            had = None
        if now is None:
            return [*self._from_before(who, before), Gradient(who, had, "dropped", *_NO)]
        block = capture.by_root.get(id(now._storage.root))
        offset = now._address - now._storage.root.address
        if before is not None and before._storage.root is now._storage.root:
            used = self._used(before)
            return [Gradient(who, True, "same", now._spec, used, offset)]
        if block is None or block.kind != "made":
            raise CaptureError("jit: a gradient was set to a tensor from outside of the step; copy into it, or pass it")
        return [*self._from_before(who, before), Gradient(who, had, "made", now._spec, block, offset)]

    def _from_before(self, who: Any, before: TensorBase | None) -> list[Gradient]:
        """The gradient that was there before, if the step reads it."""
        block = self._used(before)
        if before is None or block is None:
            return []
        return [Gradient(who, True, "found", before._spec, block, before._address - before._storage.root.address)]

    def _used(self, gradient: TensorBase | None) -> Block | None:
        """The block of the gradient that was there before, if an op of the step touches it."""
        block = None if gradient is None else self.capture.by_root.get(id(gradient._storage.root))
        if block not in self.used:
            return None
        if block is not None and block.kind == "argument":
            raise CaptureError("jit: an argument is the gradient of a tensor; pass another tensor")
        return block


_NO = (None, None, 0)


def _is_pinned(block: Block, capture: Capture) -> bool:
    """Whether an argument is, or shares memory with, a tensor that the step sees otherwise."""
    argument = capture.arguments[block.slot]
    return any(each._storage.root is argument._storage.root for each in capture.visible.tensors.values())
