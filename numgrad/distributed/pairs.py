"""Messages between two ranks.

On two ranks, this lets rank 1 have what rank 0 has computed::

    x = ng.zeros(3)
    if distributed.get_rank() == 0:
        distributed.send(x + 1, dst=1)
    else:
        distributed.recv(x, src=0)
"""

from __future__ import annotations

from typing import Any

from numgrad.distributed import mpi
from numgrad.distributed.arguments import check_target, peer
from numgrad.distributed.groups import ProcessGroup, group_for
from numgrad.distributed.sums import deliver, row_major, written
from numgrad.distributed.work import Steps, Work
from numgrad.errors import describe
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor


def isend(
    tensor: Tensor,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> Work | None:
    """Begin to send a tensor to rank ``dst``. It may not be changed before `Work.wait` has returned.

    Raises
    ------
    ValueError
        There is no such rank, it is this one, or `init_process_group` was not called.
    """
    return _send("isend", tensor, dst, group, tag, group_dst)


def send(
    tensor: Tensor,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> None:
    """Send a tensor to rank ``dst``, which calls `recv`, with a tensor of the same size and the same ``tag``.

    Raises
    ------
    ValueError
        There is no such rank, it is this one, or `init_process_group` was not called.
    RuntimeError
        A rank is gone.
    """
    work = _send("send", tensor, dst, group, tag, group_dst)
    if work is not None:
        work.wait()


def _send(name: str, tensor: Tensor, dst: int | None, group: Any, tag: int, group_dst: int | None) -> Work | None:
    check_tensor(name, "tensor", tensor)
    ranks = group_for(name, group)
    if ranks is None:
        return None
    to = peer(name, "dst", ranks, dst, group_dst)
    if to == ranks.rank:
        raise ValueError(describe(name, "dst", to, "another rank than this one"))

    def steps() -> Steps:
        messages = ranks.messages()
        messages.send(row_major(tensor), to, tag)
        yield messages

    return Work(name, ranks, steps(), [tensor], [ranks.members[to]])


def irecv(
    tensor: Tensor,
    src: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_src: int | None = None,
) -> Work | None:
    """Begin to receive a tensor from rank ``src``, or from any (None).

    Raises
    ------
    ValueError
        There is no such rank, it is this one, or `init_process_group` was not called.
    """
    received = _receive("irecv", tensor, src, group, tag, group_src)
    return None if received is None else received[0]


def recv(
    tensor: Tensor,
    src: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_src: int | None = None,
) -> int:
    """Receive a tensor from rank ``src``, or from any (None), and return that rank.

    Raises
    ------
    ValueError
        There is no such rank, it is this one, or `init_process_group` was not called.
    RuntimeError
        What comes has another size, or a rank is gone.
    """
    received = _receive("recv", tensor, src, group, tag, group_src)
    if received is None:
        return -1
    received[0].wait()
    return received[1][0]


def _receive(
    name: str, tensor: Tensor, src: int | None, group: Any, tag: int, group_src: int | None
) -> tuple[Work, list[int]] | None:
    check_target(name, "tensor", tensor)
    ranks = group_for(name, group)
    if ranks is None:
        return None
    if src is None and group_src is None:
        if ranks.comm is None:
            raise ValueError(describe(name, "src", "any", "another rank than this one", "there is none"))
        source = mpi.library().ANY_SOURCE
    else:
        source = peer(name, "src", ranks, src, group_src)
        if source == ranks.rank:
            raise ValueError(describe(name, "src", source, "another rank than this one"))
    peers = [ranks.members[source]] if source != mpi.library().ANY_SOURCE else []
    senders: list[int] = []

    def steps() -> Steps:
        values, messages = written(tensor), ranks.messages()
        messages.receive(values, source, tag)
        yield messages
        deliver(tensor, values)
        senders.append(ranks.members[messages.sources[0]])

    return Work(name, ranks, steps(), [tensor], peers), senders
