"""Checks of what the functions of `numgrad.distributed` are given, before anything is sent."""

from __future__ import annotations

from typing import Any

from numgrad.distributed.groups import ProcessGroup
from numgrad.distributed.sums import window
from numgrad.errors import DtypeError, ShapeError, describe
from numgrad.layout import Spec
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor


def check_target(name: str, argument: str, tensor: Any) -> Tensor:
    """A tensor that can be written: no two elements share memory."""
    check_tensor(name, argument, tensor)
    if not tensor._spec.is_dense and 0 in [s for s, n in zip(tensor._spec.strides, tensor.shape, strict=True) if n > 1]:
        raise RuntimeError(describe(name, argument, "expanded", "memory of its own for each element", "clone() it"))
    return tensor  # type: ignore[no-any-return]


def check_alike(name: str, argument: str, tensors: Any, count: int, spec: Spec) -> list[Tensor]:
    """A list of one tensor for each rank, all of one shape and dtype."""
    if not isinstance(tensors, (list, tuple)) or len(tensors) != count:
        shown = len(tensors) if isinstance(tensors, (list, tuple)) else type(tensors).__name__
        raise ValueError(describe(name, argument, shown, f"a list of {count} tensors, one for each rank"))
    for index, tensor in enumerate(tensors):
        check_tensor(name, f"{argument}[{index}]", tensor)
        if tensor._spec.dtype is not spec.dtype:
            raise DtypeError(describe(name, f"{argument}[{index}].dtype", tensor.dtype, spec.dtype))
        if tuple(tensor._spec.shape) != tuple(spec.shape):
            raise ShapeError(describe(name, f"{argument}[{index}].shape", list(tensor.shape), list(spec.shape)))
    return list(tensors)


def check_only(name: str, argument: str, value: Any, rank: str) -> None:
    if value:
        raise ValueError(describe(name, argument, "given", f"nothing but on rank {rank}"))


def peer(
    name: str, argument: str, group: ProcessGroup, rank: int | None, group_rank: int | None, default: int | None = None
) -> int:
    """The number in the group of the rank that an argument names, by its number among all ranks or in the group."""
    if rank is None and group_rank is None:
        rank = default
    if (rank is None) == (group_rank is None):
        raise ValueError(describe(name, argument, rank, f"a rank: either {argument} or group_{argument}"))
    if group_rank is None:
        assert rank is not None
        return group.rank_of(name, argument, rank)
    if not 0 <= group_rank < group.size():
        raise ValueError(describe(name, f"group_{argument}", group_rank, f"from 0 to {group.size() - 1}"))
    return group_rank


def divided(name: str, argument: str, whole: Tensor, count: int, part: Tensor) -> list[Tensor]:
    """A contiguous tensor in ``count`` parts of the shape of ``part``, over the same memory."""
    if whole._spec.dtype is not part._spec.dtype:
        raise DtypeError(describe(name, f"{argument}.dtype", whole.dtype, part.dtype))
    if whole._spec.numel != count * part._spec.numel:
        raise ShapeError(describe(name, f"{argument}.numel()", whole.numel(), f"{count} x {part.numel()}"))
    numel = part._spec.numel
    return [window(whole, rank * numel, numel).view(tuple(part.shape)) for rank in range(count)]
