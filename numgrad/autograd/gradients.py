"""`backward` and `grad`: check their arguments, and run the engine's backward."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from numgrad.autograd import batched
from numgrad.autograd.graph import GradientEdge
from numgrad.autograd.modes import _GradMode
from numgrad.engine.backward import accumulate, run_backward
from numgrad.engine.tape import gradient_edge
from numgrad.engine.views import refresh
from numgrad.layout import Spec
from numgrad.tensor import creation
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

Target: TypeAlias = Tensor | GradientEdge


@public("method", name="backward", asks=True)
def _backward_of_one(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Compute the gradient of this tensor with respect to the leaves of its graph, and add it to their ``.grad``.

    ``gradient`` is the cotangent, of this tensor's shape. For a tensor of one element it is 1 by default.
    The other arguments, and the errors, are those of `numgrad.autograd.backward`.

    >>> import numgrad as ng
    >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).backward(ng.tensor([1.0, 10.0]))
    >>> x.grad
    tensor([ 2., 40.])
    """
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def backward(
    tensors: Target | Sequence[Target],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Tensor | Sequence[Tensor | None] | None = None,
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
        Keep the saved tensors, so that another backward can use the graph; default: ``create_graph``.
    create_graph
        Record the backward itself, so that gradients can be differentiated.
    grad_variables
        The old name of ``grad_tensors``.
    inputs
        Accumulate only into these tensors.

    Raises
    ------
    RuntimeError
        A root requires no gradient or has no cotangent, its graph was freed, or ``inputs`` is empty or holds a tensor that
        requires no gradient.

    >>> import numgrad as ng
    >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
    >>> ng.autograd.backward([x * 2, x * 3], [ng.ones(2), ng.ones(2)])
    >>> x.grad
    tensor([5., 5.])
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only "
                "use `grad_tensors`."
            )
        grad_tensors = grad_variables
    leaves: tuple[Tensor, ...] = ()
    if inputs is not None:
        leaves = tuple({id(leaf): leaf for leaf in _as_tuple(inputs)}.values())
        if not leaves:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        _check_differentiable(leaves)
    roots = (tensors,) if isinstance(tensors, Tensor) else _as_tuple(tensors)
    edges = [_edge(root) for root in roots]
    if None in edges:
        raise _needs_no_gradient(edges.index(None))
    grads = _cotangents(roots, grad_tensors)
    if create_graph:
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
            "gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid "
            "this. If you have to use this function, make sure to reset the .grad fields of your parameters to None "
            "after use to break the cycle and avoid the leak.",
            UserWarning,
            stacklevel=2,
        )
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run_backward(edges, grads, keep, create_graph)
        return
    gradients = run_backward(edges, grads, keep, create_graph, [_edge(leaf) for leaf in leaves])
    with _GradMode(create_graph):
        for leaf, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None and not leaf._retains_grad:  # a tensor that retains its gradient already has it
                accumulate(leaf, gradient, False, create_graph)


def grad(
    outputs: Target | Sequence[Target],
    inputs: Target | Sequence[Target] | Mapping[Any, Target],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """Gradients of ``outputs`` with respect to ``inputs``; every ``.grad`` stays as it is.

    Parameters
    ----------
    outputs, inputs
        Tensors or gradient edges. If ``inputs`` is a dict, so is the result.
    grad_outputs
        A cotangent for each output; may be left out for an output of one element.
    retain_graph, create_graph
        As for `backward`.
    only_inputs
        Has to be True.
    allow_unused
        Return None as the gradient of an input that the outputs do not depend on, instead of raising an error.
    is_grads_batched
        The cotangents and the results have one more dimension in front; batching rules compute all of them together.
    materialize_grads
        Return zeros instead of None; with ``create_graph`` they require a gradient, as in torch.

    Returns
    -------
    tuple of Tensor or None
        One for each input.

    Raises
    ------
    RuntimeError
        There is no input, or an input requires no gradient or (unless ``allow_unused``) is not part of the graph.
    ValueError
        ``only_inputs`` is False, or arguments contradict each other.

    >>> import numgrad as ng
    >>> x = ng.tensor(3.0, requires_grad=True)
    >>> (first,) = ng.autograd.grad(x * x * x, x, create_graph=True)
    >>> (second,) = ng.autograd.grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is not implemented; use backward() to accumulate into all leaves")
    if isinstance(inputs, Mapping):
        values = grad(
            outputs, tuple(inputs.values()), grad_outputs, retain_graph, create_graph, only_inputs, allow_unused,
            is_grads_batched, materialize_grads,
        )  # fmt: skip
        return dict(zip(inputs, values, strict=True))
    roots, leaves = _as_tuple(outputs), _as_tuple(inputs)
    if not leaves:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    _check_differentiable(leaves)
    keep = create_graph if retain_graph is None else retain_graph
    gradients: list[Any]
    if is_grads_batched:
        gradients = _batched(roots, leaves, grad_outputs, keep, create_graph)
    else:
        gradients = _gradients(roots, leaves, _cotangents(roots, grad_outputs), keep, create_graph)
    for position, gradient in enumerate(gradients):
        if gradient is None:
            if materialize_grads:
                spec = _spec(leaves[position])
                gradients[position] = creation.zeros(spec.shape, dtype=spec.dtype, requires_grad=create_graph)
            elif not allow_unused:
                raise RuntimeError(
                    f"The differentiated Tensor at index {position} appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
    return tuple(gradients)


def _gradients(roots: Any, leaves: Any, cotangents: list[Any], keep: bool, create_graph: bool) -> list[Any]:
    """Gradients of the leaves, None where no gradient arrives. For batched tensors, the gradients are batched as well."""
    level = batched.deepest([*roots, *leaves])
    if level is None:
        edges = [_edge(root) for root in roots]
        if None in edges:
            raise _needs_no_gradient(edges.index(None))
        several = any(isinstance(cotangent, batched.BatchedTensor) for cotangent in cotangents)
        return run_backward(edges, cotangents, keep, create_graph, [_edge(leaf) for leaf in leaves], several)
    for position, root in enumerate(roots):
        if not isinstance(root, GradientEdge) and not root.requires_grad:
            raise _needs_no_gradient(position)
    lowered = [batched.at_level(leaf, level) for leaf in leaves]
    if any(leaf is None for leaf in lowered):
        raise RuntimeError(
            f"vmap: input {lowered.index(None)} is the same for all examples, and its gradients would be mixed up; use "
            "numgrad.func.grad inside of vmap, which differentiates example by example"
        )
    pairs = [
        (batched.at_level(root, level), batched.examples_of(c, level))
        for root, c in zip(roots, cotangents, strict=True)
    ]
    pairs = [(root, c) for root, c in pairs if root is not None]
    if not pairs:
        return [None] * len(leaves)
    gradients = _gradients([root for root, _ in pairs], lowered, [c for _, c in pairs], keep, create_graph)
    return [None if each is None else batched.BatchedTensor(each, level) for each in gradients]


def _batched(
    roots: tuple[Any, ...], leaves: tuple[Any, ...], grad_outputs: Any, keep: bool, create_graph: bool
) -> list[Any]:
    batches = _as_tuple(grad_outputs) if grad_outputs is not None else ()
    if len(batches) != len(roots) or any(batch is None or batch.ndim == 0 for batch in batches):
        raise RuntimeError("is_grads_batched: grad_outputs needs a tensor with a batch dimension for each output")
    sizes = {batch.shape[0] for batch in batches}
    if len(sizes) != 1:
        raise RuntimeError(f"is_grads_batched: the cotangents have different numbers of rows: {sorted(sizes)}")
    with batched.batch_level(sizes.pop()) as level:
        cotangents = _cotangents(roots, [batched.BatchedTensor(batch, level) for batch in batches])
        gradients = _gradients(roots, leaves, cotangents, keep, create_graph)
        return [None if each is None else batched.examples_of(each, level) for each in gradients]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, (Tensor, GradientEdge)) else tuple(value)


def _spec(target: Target) -> Spec:
    return target.node.output_specs[target.output_nr] if isinstance(target, GradientEdge) else target._spec


def _edge(target: Target) -> Any:
    """Where a target's gradient goes; None if the target needs no gradient."""
    if isinstance(target, GradientEdge):
        return tuple(target)
    if target._base is not None:
        refresh(target)
    node = target._node
    return gradient_edge(target) if node is None else (node, target._output_nr)


def _check_differentiable(targets: Sequence[Target]) -> None:
    for target in targets:
        if not isinstance(target, (GradientEdge, Tensor)):
            raise TypeError(f"inputs can only be Tensors or GradientEdges, not {type(target).__name__}")
        if not isinstance(target, GradientEdge) and not target.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")


def _needs_no_gradient(position: int) -> RuntimeError:
    return RuntimeError(f"element {position} of tensors does not require grad and does not have a grad_fn")


def _cotangents(roots: tuple[Any, ...], grad_outputs: Any) -> list[Tensor]:
    if isinstance(grad_outputs, (int, float)):
        raise TypeError(
            f"backward: gradient is the number {grad_outputs}, expected a Tensor of the root's shape, or None"
        )
    grads = (None,) * len(roots) if grad_outputs is None else _as_tuple(grad_outputs)
    if len(grads) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    cotangents = []
    for position, (root, gradient) in enumerate(zip(roots, grads, strict=True)):
        spec = root._spec if isinstance(root, Tensor) else _spec(root)
        if gradient is None:
            if spec.numel != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs; this one has shape "
                    f"{list(spec.shape)}: pass gradient=, or reduce it with .sum()"
                )
            cotangents.append(creation.ones_of(spec))
            continue
        if not isinstance(gradient, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
        if gradient.shape != spec.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{position}] has a shape of {gradient.shape} and output[{position}] "
                f"has a shape of {spec.shape}."
            )
        if gradient.dtype is not spec.dtype:
            raise RuntimeError(
                f"grad_output[{position}] is of {gradient.dtype}, expected {spec.dtype} as output[{position}] is"
            )
        cotangents.append(gradient)
    return cotangents
