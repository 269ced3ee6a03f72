"""`GradientAverage`: the mean over ranks of each gradient, computed while the backward pass still runs.

A *bucket* is what is averaged by one sum over ranks. A gradient of some size is a bucket of its own, which is averaged in the
memory where it lies: nothing is copied. Small ones are copied into a common bucket and back. Buckets leave in one order on all
ranks, which is that of the parameters from the last to the first, as soon as their gradients have arrived. Messages move while
MPI is called, so each gradient that arrives carries on with all that are under way.

All ranks keep a gradient in the same order of memory, which they agree on before the first bucket leaves. Where a parameter has
another layout on one rank, as after a look at its memory, that rank's gradients are rearranged.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from typing import Any

from numgrad.autograd import no_grad
from numgrad.distributed.groups import ProcessGroup
from numgrad.distributed.objects import all_gather_object
from numgrad.distributed.sums import ReduceOp, move, reduced, window
from numgrad.distributed.work import Steps, Work, progress
from numgrad.engine.backward import BackwardPass
from numgrad.engine.tape import gradient_edge, modes, tensor_over
from numgrad.layout import contiguous_strides, spec_of
from numgrad.registry import find
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

_SMALL = 64 << 10  # bytes; a message of so many takes longer than the copies of its parts
_EVERY = 2e-4  # seconds between looks at messages while gradients arrive

Strides = tuple[int, ...]


class Bucket:
    """Parameters whose gradients are averaged together, by their positions; their dtype; ``flat`` if they are several."""

    def __init__(self, positions: Sequence[int], params: Sequence[Tensor]) -> None:
        self.positions = list(positions)
        self.dtype = params[positions[0]].dtype
        self.starts: list[int] = []
        count = 0
        for position in positions:
            self.starts.append(count)
            count += params[position].numel()
        self.flat = creation.empty((count,), dtype=self.dtype) if len(positions) > 1 else None


def buckets_of(params: Sequence[Tensor], most_bytes: int) -> list[Bucket]:
    """The buckets, in the order in which they leave: that of the last gradient of each to arrive.

    Small gradients of one dtype share a bucket until it has ``most_bytes``.
    """
    buckets: list[list[int]] = []
    filling: dict[Any, list[int]] = {}
    for position in reversed(range(len(params))):
        spec = params[position]._spec
        if spec.nbytes >= _SMALL:
            buckets.append([position])
            continue
        small = filling.setdefault(spec.dtype, [])
        small.append(position)
        if sum(params[each]._spec.nbytes for each in small) >= most_bytes:
            buckets.append(filling.pop(spec.dtype))
    buckets += filling.values()
    buckets.sort(key=lambda positions: -positions[-1])
    return [Bucket(positions, params) for positions in buckets]


class GradientAverage:
    """The gradients of a model's parameters on all ranks of a group.

    Parameters
    ----------
    names, params
        The parameters that require a gradient, in one order on all ranks.
    group
        The ranks, in a group of this object's own.
    most_bytes
        Of a bucket of small gradients, and of a message.
    finds_unused
        Whether parameters may get no gradient.
    """

    def __init__(
        self, names: Sequence[str], params: Sequence[Tensor], group: ProcessGroup, most_bytes: int, finds_unused: bool
    ) -> None:
        self._names, self._params, self._group = list(names), list(params), group
        self._most_bytes, self._finds_unused = most_bytes, finds_unused
        self._buckets = buckets_of(params, most_bytes)
        self._bucket_of = {position: b for b, bucket in enumerate(self._buckets) for position in bucket.positions}
        self._agreed: list[Strides] = []
        self._is_on = False
        self._unused: list[int] = []
        self._pass: BackwardPass | None = None
        self._looked = 0.0
        self.seconds = 0.0  # that this process spent here, waiting included
        reference = weakref.ref(self)
        for position, param in enumerate(params):
            param.register_post_accumulate_grad_hook(_Arrival(reference, position))

    def prepare(self, is_on: bool, outputs: Sequence[Tensor]) -> None:
        """Whether the next backward pass averages; ``outputs`` are those of the model if parameters may be unused."""
        self._is_on = is_on
        self._unused = []
        if is_on and self._finds_unused:
            edges = [gradient_edge(output) for output in outputs if output.requires_grad]
            graph = BackwardPass(edges, None)
            for position, param in enumerate(self._params):
                accumulator = param._accumulator and param._accumulator()
                if accumulator is None or not graph.reaches(accumulator):
                    self._unused.append(position)

    def arrived(self, position: int) -> None:
        """A gradient is complete: `_Arrival` calls it."""
        if not self._is_on or self._group.size() == 1:
            return
        begin = time.perf_counter()
        outermost = modes.backward
        while outermost is not None and outermost.outer is not None:
            outermost = outermost.outer
        if outermost is not self._pass or outermost is None:
            self._begin(outermost)
        if position in self._arrived:
            raise RuntimeError(
                f"DistributedDataParallel: parameter {self._names[position]} got two gradients in one backward pass, and the "
                "first has left already; it is used in two backward passes that run inside of this one"
            )
        if modes.grad_enabled:
            raise RuntimeError("DistributedDataParallel: backward(create_graph=True) is not supported")
        self._mark(position)
        self._send_complete()
        now = time.perf_counter()
        if now - self._looked > _EVERY:
            progress()
            self._looked = now = time.perf_counter()
        self.seconds += now - begin

    def _begin(self, outermost: BackwardPass | None) -> None:
        """The first gradient of a backward pass has arrived."""
        self._pass = outermost
        self._arrived: set[int] = set()
        self._missing = [len(bucket.positions) for bucket in self._buckets]
        self._next = 0
        self._under_way: list[tuple[Bucket, Work, list[Tensor]]] = []
        if outermost is not None:
            outermost.at_end.append(self._finish)
        for position in self._unused:
            self._mark(position)

    def _mark(self, position: int) -> None:
        self._arrived.add(position)
        self._missing[self._bucket_of[position]] -= 1

    def _send_complete(self) -> None:
        """Let the buckets leave that are complete, and before which no other has to leave."""
        while self._next < len(self._buckets) and not self._missing[self._next]:
            if not self._agreed:
                self._agreed = self._agree()
            bucket = self._buckets[self._next]
            self._next += 1
            with no_grad():
                flats = [self._flat(position) for position in bucket.positions]
                whole = flats[0]
                if bucket.flat is not None:
                    whole = bucket.flat
                    for flat, start in zip(flats, bucket.starts, strict=True):
                        move(flat, whole, 0, start, flat._spec.numel)
                work = Work("DistributedDataParallel", self._group, self._averaged(whole))
            self._under_way.append((bucket, work, flats))

    def _averaged(self, flat: Tensor) -> Steps:
        """Steps after which a flat tensor is the mean of those of all ranks."""
        most, tag = max(1, self._most_bytes // flat.element_size()), self._group.next_tag()
        for begin in range(0, flat.numel(), most):
            part = window(flat, begin, min(most, flat.numel() - begin))
            yield from reduced(self._group, part, ReduceOp.AVG, tag)  # one part after the other

    def _agree(self) -> list[Strides]:
        """The order in memory of each gradient: that of its parameter if it is the same on all ranks, else row-major."""
        own = [list(param._spec.strides) if param._spec.is_dense else [] for param in self._params]
        everybody: list[Any] = [None] * self._group.size()
        all_gather_object(everybody, own, self._group)
        return [
            tuple(strides[0])
            if strides[0] and strides.count(strides[0]) == len(strides)
            else contiguous_strides(param.shape)
            for param, strides in zip(self._params, map(list, zip(*everybody, strict=True)), strict=True)
        ]

    def _flat(self, position: int) -> Tensor:
        """A gradient's elements in the agreed order: its own memory, or a copy; zeros if there is none."""
        grad, strides = self._params[position]._grad, self._agreed[position]
        if grad is None:
            return creation.zeros((self._params[position].numel(),), dtype=self._params[position].dtype)
        if tuple(grad._spec.strides) != strides:
            grad = find("to_strides")(grad.detach(), strides=strides)
        return window(grad, 0, grad._spec.numel)

    def _finish(self) -> None:
        """The backward pass is at its end: wait for what is under way, and give each parameter its mean."""
        begin = time.perf_counter()
        self._pass = None
        if len(self._arrived) < len(self._params):
            names = [name for position, name in enumerate(self._names) if position not in self._arrived]
            raise RuntimeError(
                f"DistributedDataParallel: {len(names)} parameters got no gradient: {', '.join(names[:5])}"
                f"{', ...' if len(names) > 5 else ''}; if that is meant, pass find_unused_parameters=True"
            )
        used = self._used_anywhere()
        with no_grad():
            for bucket, work, flats in self._under_way:
                work.wait()
                for position, flat, start in zip(bucket.positions, flats, bucket.starts, strict=True):
                    if bucket.flat is not None:
                        move(bucket.flat, flat, start, 0, flat._spec.numel)
                    if used[position]:
                        self._deliver(position, flat)
        self._under_way = []
        self.seconds += time.perf_counter() - begin

    def _used_anywhere(self) -> list[bool]:
        """For each parameter whether any rank has a gradient; only asked where parameters may be unused."""
        if not self._finds_unused:
            return [True] * len(self._params)
        used = creation.tensor([param._grad is not None for param in self._params])
        flat = window(used, 0, used.numel())
        Work(
            "DistributedDataParallel", self._group, reduced(self._group, flat, ReduceOp.MAX, self._group.next_tag())
        ).wait()
        return used.tolist()  # type: ignore[no-any-return]

    def _deliver(self, position: int, flat: Tensor) -> None:
        """Let a parameter's gradient be the mean, which lies in ``flat``."""
        param, strides = self._params[position], self._agreed[position]
        grad = param._grad
        if grad is not None and grad._address == flat._address:  # averaged where it lies
            grad._storage.version += 1
            return
        spec = param._spec if tuple(param._spec.strides) == strides else spec_of(param.dtype, param.shape, strides)
        mean: Tensor = tensor_over(Tensor, flat._storage, spec, flat._address)
        if grad is None:
            param.grad = mean
        else:
            grad.copy_(mean)


class _Arrival:
    """The hook of one parameter; it keeps nothing alive."""

    def __init__(self, average: weakref.ref[GradientAverage], position: int) -> None:
        self._average, self._position = average, position

    def __call__(self, param: Tensor) -> None:
        average = self._average()
        if average is not None:
            average.arrived(self._position)
