"""Gradients: `backward`, `grad`, the modes, and `gradcheck`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from numgrad.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from numgrad.engine.backward import run_backward
from numgrad.engine.tape import gradient_edge
from numgrad.engine.views import refresh
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

__all__ = [
    "GradcheckError",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of ``tensors`` to the ``.grad`` of the leaves of their graph.

    Parameters
    ----------
    tensors
        The roots; their gradients add up.
    grad_tensors
        A cotangent for each root, of its shape; may be left out for a root of one element.
    retain_graph
        Keep what the forward saved, so that the graph can be gone through again; default: as ``create_graph``.
    create_graph
        Record the backward itself, so that gradients can be differentiated.
    inputs
        Accumulate into these leaves alone.

    Raises
    ------
    RuntimeError
        A root needs no gradient, has no cotangent, or its graph was freed.
    """
    roots = _as_tuple(tensors)
    grads = _cotangents(roots, grad_tensors)
    edges = [_edge(position, root) for position, root in enumerate(roots)]
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run_backward(edges, grads, keep, create_graph)
        return
    leaves = _as_tuple(inputs)
    if not leaves:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    found = run_backward(edges, grads, keep, create_graph, [gradient_edge(leaf) for leaf in leaves])
    for leaf, gradient in zip(leaves, found, strict=True):
        if gradient is not None:
            from numgrad.engine.backward import accumulate

            with set_grad_enabled(create_graph):
                accumulate(leaf, gradient, False, create_graph)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of ``outputs`` with respect to ``inputs``; no ``.grad`` is touched.

    Raises
    ------
    RuntimeError
        An input needs no gradient, or (unless ``allow_unused``) is not part of the graph.

    >>> import numgrad as ng
    >>> x = ng.tensor(3.0, requires_grad=True)
    >>> (first,) = ng.autograd.grad(x * x * x, x, create_graph=True)
    >>> (second,) = ng.autograd.grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    roots, leaves = _as_tuple(outputs), _as_tuple(inputs)
    if not leaves:
        raise ValueError("grad requires non-empty inputs.")
    for leaf in leaves:
        if not leaf.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    grads = _cotangents(roots, grad_outputs)
    edges = [_edge(position, root) for position, root in enumerate(roots)]
    keep = create_graph if retain_graph is None else retain_graph
    found: list[Any] = run_backward(edges, grads, keep, create_graph, [gradient_edge(leaf) for leaf in leaves])
    for position, gradient in enumerate(found):
        if gradient is None:
            if materialize_grads:
                found[position] = creation.zeros_like(leaves[position])
            elif not allow_unused:
                raise RuntimeError(
                    f"The differentiated Tensor at index {position} appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
    return tuple(found)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _edge(position: int, root: Tensor) -> Any:
    refresh(root)
    edge = gradient_edge(root)
    if edge is None:
        raise RuntimeError(f"element {position} of tensors does not require grad and does not have a grad_fn")
    return edge


def _cotangents(roots: tuple[Tensor, ...], given: Any) -> list[Tensor]:
    if given is None:
        given = [None] * len(roots)
    elif isinstance(given, (int, float)):
        raise TypeError(f"backward: gradient is the number {given}, expected a Tensor of the root's shape, or None")
    grads = _as_tuple(given)
    if len(grads) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    made = []
    for position, (root, gradient) in enumerate(zip(roots, grads, strict=True)):
        if gradient is None:
            if root.numel() != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs; this one has shape "
                    f"{list(root.shape)}: pass gradient=, or reduce it with .sum()"
                )
            made.append(creation.ones_like(root.detach()))
            continue
        if gradient.shape != root.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{position}] has a shape of {gradient.shape} and output[{position}] has a "
                f"shape of {root.shape}."
            )
        if gradient.dtype is not root.dtype:
            raise RuntimeError(
                f"grad_output[{position}] is of {gradient.dtype}, expected {root.dtype} as output[{position}] is"
            )
        made.append(gradient)
    return made
