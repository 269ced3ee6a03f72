"""Batching rules that many ops share: ``(batch, *inputs, **params)`` computes an op for many examples at once.

Specs in ``ops/`` attach these rules (`registry.Op.batch`); `autograd.batched` calls them for each op inside of `vmap`, which
`func.batching` defines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numgrad.registry import Op, find


class Batch:
    """One application of an op to many examples.

    Attributes
    ----------
    size
        The number of examples.
    flags
        For each input whether it is batched, with the examples in its dimension 0.
    """

    def __init__(self, op: Op, size: int, flags: tuple[bool, ...]) -> None:
        self.op, self.size, self.flags = op, size, flags

    def all(self, *values: Any) -> tuple[Any, ...]:
        """The first inputs with the examples in dimension 0; inputs that are the same for all are repeated without a copy."""
        return tuple(
            value if flag or value is None else repeated(value, self.size)
            for value, flag in zip(values, self.flags, strict=False)
        )

    def only(self, *numbers: int) -> bool:
        """Whether no input but these is batched."""
        return not any(flag for number, flag in enumerate(self.flags) if number not in numbers)


class Draw(NamedTuple):
    """One application to many examples of an op that draws random numbers; see `registry.Op.draw`."""

    op: Op
    size: int
    examples: Any


# ---- rules ------------------------------------------------------------------------------------------------------


def elementwise(batch: Batch, *values: Any, apply: bool = True, **params: Any) -> Any:
    """An elementwise op: dimensions that broadcasting would add are inserted behind that of the examples."""
    ranks = [0 if v is None else v._spec.ndim - flag for v, flag in zip(values, batch.flags, strict=True)]
    most = max(ranks)
    laid = []
    for value, flag, rank in zip(values, batch.flags, ranks, strict=True):
        if flag and rank < most:
            shape = tuple(value._spec.shape)
            value = find("view")(value, size=(shape[0], *(1,) * (most - rank), *shape[1:]))
        laid.append(value)
    return batch.op(*laid, **params) if apply else laid


def over_dims(batch: Batch, x: Any, dims: Any, **params: Any) -> Any:
    """An op over ``dims``, which move by one."""
    return batch.op(x, dims=tuple(d + 1 for d in dims), **params)


def along_dim(batch: Batch, *values: Any, dim: int, **params: Any) -> Any:
    """An op of several tensors of one shape along ``dim``."""
    values = batch.all(*values)
    rank = values[0]._spec.ndim - 1
    if rank:
        return batch.op(*values, dim=dim % rank + 1, **params)
    result = batch.op(*[find("unsqueeze")(value, dim=1) for value in values], dim=1, **params)
    parts = result if isinstance(result, tuple) else (result,)
    parts = tuple(find("squeeze")(part, dims=(1,)) if part._spec.ndim > 1 else part for part in parts)
    return parts if isinstance(result, tuple) else parts[0]


def leading(batch: Batch, *values: Any, **params: Any) -> Any:
    """An op of tensors that have the same dimensions before those it is about: the examples are one more in front."""
    return batch.op(*batch.all(*values), **params)


def of_images(batch: Batch, *values: Any, **params: Any) -> Any:
    """An op of images [N, C, H, W], or heads [B, H, rows, columns], each for itself."""
    if "size" in params:
        n, *image = params["size"]
        params["size"] = (batch.size * n, *image)
    result = batch.op(*[folded(value) for value in batch.all(*values)], **params)
    if isinstance(result, tuple):
        return tuple(unfolded(part, batch.size) for part in result)
    return unfolded(result, batch.size)


def of_sequences(batch: Batch, *values: Any, batch_sizes: tuple[int, ...], **params: Any) -> Any:
    """An op of rows of sequences, step by step, whose weights and biases are the same for all examples: one with more rows.

    The examples of a row become neighbours, so that the sequences that end first come last. With other weights for each
    example, one is computed after the other.
    """
    op = batch.op
    shared = [name.startswith(("weight", "bias")) for name in op.inputs]
    if any(flag and of_weight for flag, of_weight in zip(batch.flags, shared, strict=True)):
        columns = [
            find("unbind")(value, dim=0) if flag else (value,) * batch.size
            for value, flag in zip(values, batch.flags, strict=True)
        ]
        results = [op(*each, batch_sizes=batch_sizes, **params) for each in zip(*columns, strict=True)]
        if not isinstance(results[0], tuple):
            return find("stack")(*results, dim=0)
        return tuple([find("stack")(*parts, dim=0) for parts in zip(*results, strict=True)])
    values = tuple(
        value if of_weight or value is None else _neighbours(each)
        for value, each, of_weight in zip(values, batch.all(*values), shared, strict=True)
    )
    result = op(*values, batch_sizes=tuple([size * batch.size for size in batch_sizes]), **params)
    if isinstance(result, tuple):
        return tuple([_apart(part, batch.size) for part in result])
    return _apart(result, batch.size)


def _neighbours(x: Any) -> Any:
    """[B, N, ...] as [N * B, ...]."""
    b, n, *rest = x._spec.shape
    return _reshape(find("transpose")(x, dim0=0, dim1=1), (n * b, *rest))


def _apart(x: Any, size: int) -> Any:
    """[N * B, ...] as [B, N, ...]."""
    rows, *rest = x._spec.shape
    return find("transpose")(_reshape(x, (rows // size if size else 0, size, *rest)), dim0=0, dim1=1)


# ---- parts of rules ---------------------------------------------------------------------------------------------


def repeated(value: Any, size: int) -> Any:
    """The tensor ``size`` times in a new dimension 0, without a copy."""
    return find("expand")(find("unsqueeze")(value, dim=0), size=(size, *value._spec.shape))


def folded(value: Any) -> Any:
    """[B, N, ...] as [B * N, ...]."""
    b, n, *rest = value._spec.shape
    return _reshape(value, (b * n, *rest))


def unfolded(value: Any, size: int) -> Any:
    """[B * N, ...] as [B, N, ...]."""
    n, *rest = value._spec.shape
    return _reshape(value, (size, n // size if size else 0, *rest))


def as_groups(x: Any) -> Any:
    """[B, N, C, ...] as [N, B * C, ...]: the channels of all examples become channels."""
    b, n, c, *rest = x._spec.shape
    return _reshape(find("transpose")(x, dim0=0, dim1=1), (n, b * c, *rest))


def from_groups(x: Any, size: int) -> Any:
    """[N, B * C, ...] as [B, N, C, ...]."""
    n, channels, *rest = x._spec.shape
    grouped = _reshape(x, (n, size, channels // size if size else 0, *rest))
    return find("transpose")(grouped, dim0=0, dim1=1)


def to_dim(x: Any, source: int, target: int) -> Any:
    """One dimension moved, the others in their order."""
    order = [axis for axis in range(x._spec.ndim) if axis != source]
    order.insert(target, source)
    return find("permute")(x, dims=tuple(order))


def _reshape(value: Any, size: tuple[int, ...]) -> Any:
    from numgrad.ops.view import reshape  # whose ops declare rules

    return reshape(value, size)
