"""`DistributedDataParallel`: a model whose gradients are averaged over the ranks of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from numgrad.autograd import is_grad_enabled, no_grad
from numgrad.distributed.collectives import broadcast
from numgrad.distributed.groups import ProcessGroup, default_group
from numgrad.distributed.objects import all_gather_object
from numgrad.distributed.sums import move, row_major, window
from numgrad.errors import describe
from numgrad.nn.module import Module
from numgrad.nn.parallel.averaging import GradientAverage
from numgrad.runtime.scope import Scope
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

__all__ = ["DistributedDataParallel"]

_MEGABYTES = 25  # of a message, by default


class _Switch:
    """Whether gradients are averaged."""

    __slots__ = ("is_on",)

    def __init__(self) -> None:
        self.is_on = True


class _Off(Scope):
    """While entered, a switch is off."""

    __slots__ = ("_switch",)

    def __init__(self, switch: _Switch) -> None:
        super().__init__()
        self._switch = switch

    def __enter__(self) -> None:
        switch = self._switch
        self._undo = ((switch, "is_on", switch.is_on), self._undo)
        switch.is_on = False


class DistributedDataParallel(Module):
    """A model that all ranks have. Each computes with its own part of a batch, and all get the mean of the gradients.

    As the model is wrapped, it is compared on all ranks, and rank 0's parameters and buffers become those of all. The mean of
    each gradient is computed while the backward pass still runs (`numgrad.nn.parallel.averaging`), and is in ``.grad`` when
    ``backward`` returns. Gradients are added in the order of ranks and divided by their number: the same bits as in one
    process that accumulates the gradients of all parts and divides the sum. So ranks that start alike stay alike, bit for bit.
    Batch norm computes with a rank's own part.

    Each backward pass averages ``.grad`` as it is then, with what `no_sync` has gathered.

    Parameters
    ----------
    module
        The model. Parameters that do not require a gradient now are never averaged.
    broadcast_buffers
        Copy rank 0's buffers, such as running means, to all ranks before each forward.
    init_sync
        Compare the models and copy rank 0's parameters and buffers; without it they have to be equal.
    process_group
        The ranks; None: all.
    bucket_cap_mb
        The most megabytes (of 2^20 bytes) of a message; None: 25.
    find_unused_parameters
        Allow that parameters get no gradient, which without it is an error. One that no rank has used keeps its ``.grad``; one
        that some have used gets a mean to which the others contribute 0.
    static_graph
        As ``find_unused_parameters``.
    device_ids, output_device, dim, check_reduction, gradient_as_bucket_view
        Without effect: there is one device, and gradients are averaged where they lie.

    Raises
    ------
    ValueError
        `init_process_group` was not called, or ``bucket_cap_mb`` is not positive.
    RuntimeError
        No parameter requires a gradient, or models of ranks differ: all ranks raise it.
    TypeError
        ``module`` is no module.

    >>> import numgrad as ng
    >>> from numgrad import distributed, nn
    >>> distributed.init_process_group("mpi")
    >>> model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
    >>> model(ng.ones(3, 2)).sum().backward()
    >>> model.module.weight.grad
    tensor([[3., 3.]])
    >>> list(model.state_dict())
    ['module.weight', 'module.bias']
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        init_sync: bool = True,
        process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(module, Module):
            raise TypeError(describe("DistributedDataParallel", "module", type(module).__name__, "a Module"))
        cap = _MEGABYTES if bucket_cap_mb is None else bucket_cap_mb
        if not cap > 0:
            raise ValueError(describe("DistributedDataParallel", "bucket_cap_mb", cap, "a positive number"))
        averaged = [(name, param) for name, param in module.named_parameters() if param.requires_grad]
        if not averaged:
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameters that require a gradient."
            )
        for name, param in module.named_parameters():
            if type(param).__name__.startswith("Uninitialized"):
                raise RuntimeError(
                    f"DistributedDataParallel: {name} has no shape yet; run a forward pass before the model is wrapped"
                )
        self.process_group = process_group or default_group()
        self.module = module
        self.dim = dim
        self.broadcast_buffers = broadcast_buffers
        self.find_unused_parameters = find_unused_parameters or static_graph
        self.static_graph = static_graph
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.bucket_bytes_cap = int(cap * (1 << 20))
        self.require_forward_param_sync = True
        self._switch = _Switch()
        group = self.process_group.separate()
        if init_sync:
            _compare(group, module)
            _copy_from_first(group, [*module.parameters(), *module.buffers()])
        names, params = zip(*averaged, strict=True)
        self._average = GradientAverage(names, params, group, self.bucket_bytes_cap, self.find_unused_parameters)
        self._group = group

    @property
    def require_backward_grad_sync(self) -> bool:
        """Whether the backward pass of the next forward averages gradients; `no_sync` turns it off."""
        return self._switch.is_on

    @require_backward_grad_sync.setter
    def require_backward_grad_sync(self, value: bool) -> None:
        self._switch.is_on = bool(value)

    @property
    def exchange_seconds(self) -> float:
        """The time that this process has spent with averaging in all backward passes, waiting included."""
        return self._average.seconds

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if self.require_forward_param_sync and self.broadcast_buffers:
            _copy_from_first(self._group, list(self.module.buffers()))
        output = self.module(*inputs, **kwargs)
        if is_grad_enabled():
            is_on = self._switch.is_on
            self.require_forward_param_sync = is_on
            self._average.prepare(is_on, list(_tensors_in(output)) if self.find_unused_parameters else [])
        return output

    def no_sync(self) -> Scope:
        """A context for gradients that are only accumulated: forwards inside of it have backwards that average nothing.

        The first backward of a forward outside of it averages what has been accumulated.

        >>> import numgrad as ng
        >>> from numgrad import distributed, nn
        >>> distributed.init_process_group("mpi")
        >>> model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
        >>> with model.no_sync():
        ...     model(ng.ones(1, 2)).sum().backward()
        >>> model(ng.ones(1, 2)).sum().backward()
        >>> model.module.bias.grad
        tensor([2.])
        >>> distributed.destroy_process_group()
        """
        return _Off(self._switch)


def _tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a model's result."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors_in(item)
    elif hasattr(value, "__dataclass_fields__"):
        yield from _tensors_in(vars(value))


def _compare(group: ProcessGroup, module: Module) -> None:
    """Refuse models that differ, on all ranks."""
    own = [
        [kind, name, list(tensor.shape), str(tensor.dtype), tensor.requires_grad]
        for kind, members in (("parameter", module.named_parameters()), ("buffer", module.named_buffers()))
        for name, tensor in members
    ]
    everybody: list[Any] = [None] * group.size()
    all_gather_object(everybody, own, group)
    first = everybody[0]
    for rank, rows in enumerate(everybody):
        if rows == first:
            continue
        for theirs, firsts in zip(rows, first, strict=False):
            if theirs != firsts:
                raise RuntimeError(
                    f"DistributedDataParallel: rank {rank} has {_described(theirs)}, expected {_described(firsts)}, as on rank 0"
                )
        raise RuntimeError(
            f"DistributedDataParallel: rank {rank} has {len(rows)} parameters and buffers, expected {len(first)}, as on rank 0"
        )


def _described(row: Any) -> str:
    kind, name, shape, dtype, requires_grad = row
    return f"{kind} {name} of shape {shape}, {dtype}{', which requires a gradient' if requires_grad else ''}"


def _copy_from_first(group: ProcessGroup, tensors: Iterable[Tensor]) -> None:
    """Copy the values of the group's first rank to all, those of one dtype in one message."""
    if group.size() == 1:
        return
    by_dtype: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        by_dtype.setdefault(tensor.dtype, []).append(tensor)
    with no_grad():
        for dtype, several in by_dtype.items():
            flat = creation.empty((sum(tensor.numel() for tensor in several),), dtype=dtype)
            starts = list(accumulate((tensor.numel() for tensor in several), initial=0))
            if group.rank == 0:
                for tensor, start in zip(several, starts, strict=False):
                    move(row_major(tensor), flat, 0, start, tensor.numel())
            broadcast(flat, group_src=0, group=group)
            if group.rank:
                for tensor, start in zip(several, starts, strict=False):
                    _take(tensor, flat, start)


def _take(tensor: Tensor, flat: Tensor, start: int) -> None:
    """Copy the elements that begin at a position of a flat tensor."""
    if tensor._spec.is_contiguous:
        move(flat, tensor, start, 0, tensor.numel())
    else:
        tensor.copy_(window(flat, start, tensor.numel()).view(tuple(tensor.shape)))
