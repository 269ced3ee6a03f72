"""The public `vmap`: it turns a function of single examples into one of a batch.

It checks and splits the arguments, and calls the function with batched tensors at a level of `autograd.batched`, which applies
each op by a batching rule from `ops.rules.batching` or the op's own file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numgrad.autograd.batched import BatchedTensor, BatchLevel, at_level, batch_level
from numgrad.ops.rules import repeated
from numgrad.tensor import random
from numgrad.tensor.joining import cat
from numgrad.tensor.shaping import narrow, permute
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.trees import flatten
from numgrad.tensor.trees import spread as spread_tree


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that takes and returns batches.

    It calls ``func`` once, with tensors that look like one example and stand for all of them: ops compute all examples at
    once, by their batching rules. An op without a rule is applied to one example after the other, and a warning names it.
    What depends on values in Python (``item()``, ``if tensor:``) is refused.

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
        How many examples are computed at once; default: all.

    Raises
    ------
    ValueError
        ``in_dims`` or ``out_dims`` does not fit, or the batch sizes differ.
    RuntimeError
        Random numbers are drawn with ``randomness='error'``, or values are read.

    >>> import numgrad as ng
    >>> x = ng.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ng.func.vmap(ng.func.grad(lambda row: (row * row).sum()))(x)
    tensor([[2., 4.],
            [6., 8.]])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, build = flatten(args)
        dims = spread_tree(list(in_dims) if isinstance(in_dims, tuple) else in_dims, list(args), "in_dims")
        size = _batch_size(leaves, dims)
        fronts = [leaf if dim is None else _moved(leaf, dim, 0) for leaf, dim in zip(leaves, dims, strict=True)]
        step = size if chunk_size is None else chunk_size
        state = random.get_rng_state() if randomness == "same" and step < size else None
        columns: list[list[Any]] = []
        form: Any = None
        for begin in range(0, max(size, 1), max(step, 1)):
            if state is not None:
                random.set_rng_state(state)
            count = min(step, size - begin)
            part = [
                front if dim is None else narrow(front, 0, begin, count) if count < size else front
                for front, dim in zip(fronts, dims, strict=True)
            ]
            results_of_part, form = _run(func, part, dims, build, kwargs, count, randomness, out_dims)
            columns.append(results_of_part)
        _, build_result, where = form
        results = []
        for number, dim in enumerate(where):
            column = [part[number] for part in columns]
            if dim is None:
                results.append(column[0])
                continue
            whole = cat(column, 0) if len(column) > 1 else column[0]
            results.append(_moved(whole, 0, dim))
        return build_result(results)

    return wrapped


def _run(
    func: Callable[..., Any],
    leaves: list[Any],
    dims: list[Any],
    build: Callable[[list[Any]], Any],
    kwargs: dict[str, Any],
    size: int,
    randomness: str,
    out_dims: Any,
) -> tuple[list[Any], Any]:
    """Results with the examples in dimension 0, and what is needed to put them together."""
    with batch_level(size, randomness) as level:
        batch = [leaf if dim is None else BatchedTensor(leaf, level) for leaf, dim in zip(leaves, dims, strict=True)]
        result = func(*build(batch), **kwargs)
        values, build_result = flatten(result)
        where = spread_tree(out_dims, result, "out_dims")
        return [_unwrapped(value, dim, level) for value, dim in zip(values, where, strict=True)], (
            result,
            build_result,
            where,
        )


def _unwrapped(value: Any, dim: int | None, level: BatchLevel) -> Any:
    examples = at_level(value, level) if isinstance(value, Tensor) else None
    if dim is None:
        if examples is not None:
            raise ValueError("vmap: the function can not return a BatchedTensor when out_dim is None")
        return value
    if not isinstance(value, Tensor):
        raise ValueError(
            f"vmap: the function must only return Tensors, got type {type(value).__name__}. Did you mean to set out_dims= to None "
            "for output?"
        )
    return repeated(value, level.size) if examples is None else examples


def _moved(tensor: Any, source: int, target: int) -> Any:
    source, target = source % tensor.ndim, target % tensor.ndim
    if source == target:
        return tensor
    order = [axis for axis in range(tensor.ndim) if axis != source]
    order.insert(target, source)
    return permute(tensor, *order)


def _batch_size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = {}
    for leaf, dim in zip(leaves, dims, strict=True):
        if dim is None:
            continue
        if not isinstance(leaf, Tensor):
            raise ValueError(
                f"vmap: Got in_dim={dim} for an input but the input is of type {type(leaf).__name__}. We cannot vmap over "
                "non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -leaf.ndim <= dim < leaf.ndim:
            raise ValueError(
                f"vmap: Got in_dim={dim} for an input of dimensionality {leaf.ndim}, expected -{leaf.ndim} <= in_dim < {leaf.ndim}"
            )
        sizes[leaf.shape[dim]] = True
    if not sizes:
        raise ValueError("vmap: at least one input has to be batched, but all of in_dims are None")
    if len(sizes) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {list(sizes)} for the mapped "
            "dimension"
        )
    (size,) = sizes
    return size
