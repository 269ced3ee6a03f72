"""Prepared backwards, which run instead of an op's backward when that is not recorded; and the check of gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from numgrad.errors import GradError
from numgrad.registry import chain
from numgrad.runtime.fast.write import backward_words

if TYPE_CHECKING:
    from numgrad.registry.op import Op


# The recipe by which the backward of a recorded call is compiled ahead (`runtime.ahead`).
BACKWARD = "numgrad.autograd.foreseen:backward"
Run = Callable[[Any, Any], Any]  # (node, gradients of its outputs) to those of its inputs
_learner: Callable[[Any], Run | None]


def learn_backwards(learner: Callable[[Any], Run | None]) -> None:
    """Set what makes, for a record whose op prepares no backward, what runs in its place; or None: the backward does."""
    global _learner
    _learner = learner


class SavedCall:
    """An op to be applied to incoming gradients and to saved tensors of a node.

    ``reads`` says for each of the op's inputs which saved tensor it is, or, as -1, -2 and so on, which gradient.
    """

    def __init__(self, op: Op, reads: Sequence[int], params: Any = None) -> None:
        self.op = op
        self.reads = tuple(reads)
        self.params = op.defaults if params is None else params
        self._words = backward_words(reads)
        self.fast: int = self._words.ctypes.data  # for `fast.apply`


def saved_calls(inputs: int, *calls: tuple[SavedCall, int | Sequence[int]]) -> Callable[[Any, Any], list[Any]]:
    """A prepared backward of ``inputs`` gradients: for each call the position of its result, or those of its results."""
    rows = tuple([(call, where if isinstance(where, int) else -1, where) for call, where in calls])

    def run(node: Any, grads: Any) -> list[Any]:
        gradients: list[Any] = [None] * inputs
        for call, position, positions in rows:
            result = chain.apply_saved(call, node, grads)
            if position >= 0:
                gradients[position] = result
            else:
                for each, gradient in zip(positions, result, strict=True):  # type: ignore[arg-type]
                    gradients[each] = gradient
        return gradients

    return run


def first_run(node: Any, grads: Any) -> Any:
    """The first run of a prepared backward, which is made now; later ones are not checked, since they have the same shapes.

    Of an op without one the backward itself runs, and may be learned from the second time on (`learn_backwards`).
    """
    record = node.record
    prepare = record.op.prepare_function
    run = None if prepare is None else prepare(record)
    if run is None:
        record.run = _second_run
        return node.by_formula(grads, False)
    result = check_gradients(node, run(node, grads))
    record.run = run
    return result


def _second_run(node: Any, grads: Any) -> Any:
    node.record.run = _learner(node.record)
    return node.apply(grads, False)


def check_gradients(node: Any, grads: Any) -> Any:
    """The gradients that an op's backward returned, as a tuple or list; each has its input's shape and dtype.

    Raises
    ------
    RuntimeError
        One has another shape or dtype: sums and optimizers would broadcast it, or read beyond it. Or it is not a tensor.
    """
    grads = grads if isinstance(grads, (tuple, list)) else (grads,)
    for position, (grad, spec, edge) in enumerate(zip(grads, node.input_specs, node.edges, strict=False)):
        if grad is None or edge is None:
            continue
        actual = getattr(grad, "_spec", None)
        if actual is None:
            raise GradError(
                f"function {node.name()} returned no tensor at index {position}, expected a Tensor or None (got "
                f"{type(grad).__name__})"
            )
        if actual is not spec and (actual.shape != spec.shape or actual.dtype is not spec.dtype):
            raise GradError(
                f"function {node.name()} returned an invalid gradient at index {position} - got {list(actual.shape)} of "
                f"{actual.dtype} but expected shape {list(spec.shape)} and {spec.dtype}, as the input has"
            )
    return grads
