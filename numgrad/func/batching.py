"""`vmap`: a function of single examples, for a batch of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numgrad.func.trees import flatten, spread
from numgrad.tensor import random
from numgrad.tensor.functional import stack
from numgrad.tensor.tensor import Tensor


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that takes and returns batches.

    It calls ``func`` once for each example and stacks what comes back, so that whatever ``func`` does is allowed, control
    flow that depends on values included; it is a convenience and no acceleration.

    Parameters
    ----------
    in_dims
        The dimension of each argument that counts the examples, None for an argument that all share; a number for all
        arguments, or a tuple with one entry for each, which may be a tree like the argument.
    out_dims
        Where the results have that dimension; a number, or a tree like the result.
    randomness
        Whether random numbers are 'different' for each example, the 'same', or an 'error'.
    chunk_size
        Accepted; examples are computed one after the other.

    Raises
    ------
    ValueError
        ``in_dims`` or ``out_dims`` does not fit, or the batch sizes differ.
    RuntimeError
        Random numbers are drawn with ``randomness='error'``.

    >>> import numgrad as ng
    >>> x = ng.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ng.func.vmap(ng.func.grad(lambda row: (row * row).sum()))(x)
    tensor([[2., 4.],
            [6., 8.]])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, build = flatten(args)
        dims = spread(list(in_dims) if isinstance(in_dims, tuple) else in_dims, list(args), "in_dims")
        size = _batch_size(leaves, dims)
        state = random.get_rng_state()
        results = []
        for index in range(size):
            if randomness == "same":
                random.set_rng_state(state)
            example = [_example(leaf, dim, index) for leaf, dim in zip(leaves, dims, strict=True)]
            results.append(func(*build(example), **kwargs))
            if randomness == "error" and random.get_rng_state().tolist() != state.tolist():
                random.set_rng_state(state)
                raise RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
                    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
                )
        return _stacked(results, out_dims)

    return wrapped


def _batch_size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = {}
    for leaf, dim in zip(leaves, dims, strict=True):
        if dim is None:
            continue
        if not isinstance(leaf, Tensor):
            raise ValueError(f"vmap: Got in_dim={dim} for an input of type {type(leaf).__name__}, which has to be None")
        if not -leaf.ndim <= dim < leaf.ndim:
            raise ValueError(f"vmap: Got in_dim={dim} for an input of dimensionality {leaf.ndim}, expected less")
        sizes[leaf.shape[dim]] = True
    if not sizes:
        raise ValueError("vmap: at least one input has to be batched, but all of in_dims are None")
    if len(sizes) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {list(sizes)}"
        )
    (size,) = sizes
    if size == 0:
        raise ValueError("vmap: the batch has no example, so that the form of the result is unknown")
    return size


def _example(leaf: Any, dim: int | None, index: int) -> Any:
    if dim is None:
        return leaf
    return leaf.narrow(dim % leaf.ndim, index, 1).squeeze(dim % leaf.ndim)


def _stacked(results: list[Any], out_dims: Any) -> Any:
    columns, build = [], None
    for result in results:
        leaves, build = flatten(result)
        columns.append(leaves)
    dims = spread(out_dims, results[0], "out_dims")
    found = []
    for column, dim in zip(zip(*columns, strict=True), dims, strict=True):
        if dim is None:
            found.append(column[0])
            continue
        if not all(isinstance(value, Tensor) for value in column):
            raise ValueError(f"vmap: the function must only return Tensors, got type {type(column[0]).__name__}")
        found.append(stack(list(column), dim if dim >= 0 else dim + column[0].ndim + 1))
    assert build is not None
    return build(found)
