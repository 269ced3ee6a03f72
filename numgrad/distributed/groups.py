"""Process groups: which ranks talk to each other, and how that begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from numgrad.distributed import mpi
from numgrad.distributed.ending import Company
from numgrad.distributed.work import Messages
from numgrad.errors import describe, warn
from numgrad.runtime import locks

DEFAULT_TIMEOUT = timedelta(minutes=30)
_TAGS = 1 << 13  # numbers of sums under way; MPI promises tags up to 32767, and each sum takes two


class ProcessGroup:
    """Ranks that talk to each other. ``rank`` is this process's number among ``size``.

    ``comm`` is MPI's communicator for what users send and for MPI's own collectives, ``sums`` the one for sums; both are None
    in a group of one rank without MPI.
    """

    def __init__(self, comm: Any, company: Company | None, timeout: timedelta, name: str = "all") -> None:
        self.name = name  # the same on all ranks
        self.company = company
        self.timeout = timeout
        self.comm = comm
        self.sums = None if comm is None else comm.Dup()
        self.rank: int = 0 if comm is None else comm.Get_rank()
        self._size: int = 1 if comm is None else comm.Get_size()
        self.local_rank = 0  # among the ranks of this machine
        self._count = self._children = 0
        self.members = list(range(self._size)) if comm is None or _default is None else _world_ranks(comm)

    def size(self) -> int:
        """The number of ranks."""
        return self._size

    def next_tag(self) -> int:
        """A tag for a sum; the next number is free for it, too. Ranks take them in one order, so never in a later step."""
        self._count = (self._count + 1) % _TAGS
        return 2 * self._count

    def messages(self, sums: bool = False) -> Messages:
        """An empty list of messages."""
        return Messages(mpi.library(), self.sums if sums else self.comm)

    def begin(self) -> int:
        """The number of what all ranks begin together now."""
        if self.company is None:
            return 0
        self.company.begun[self.name] += 1
        return self.company.begun[self.name]

    def next_name(self) -> str:
        """A name for a group that is made of this one."""
        self._children += 1
        return f"{self.name}/{self._children}"

    def separate(self) -> ProcessGroup:
        """The same ranks, whose messages never meet this group's. All ranks have to call it."""
        name = self.next_name()
        return ProcessGroup(None if self.comm is None else self.comm.Dup(), self.company, self.timeout, name)

    def rank_of(self, name: str, argument: str, global_rank: int) -> int:
        """The number in this group of a rank of all.

        Raises
        ------
        ValueError
            It is not in this group.
        """
        if isinstance(global_rank, bool) or not isinstance(global_rank, int):
            raise TypeError(describe(name, argument, repr(global_rank), "an int"))
        if global_rank not in self.members:
            raise ValueError(describe(name, argument, global_rank, f"a rank of the group, one of {self.members}"))
        return self.members.index(global_rank)

    def __repr__(self) -> str:
        return f"ProcessGroup(rank={self.rank}, size={self._size})"


class GroupMember:
    """What `new_group` returns to a rank that is not in the group."""

    NON_GROUP_MEMBER = -100


class _Names:
    """`group.WORLD`, the group of all ranks."""

    @property
    def WORLD(self) -> ProcessGroup | None:  # noqa: N802 - torch's name
        """The group of all ranks; None before `init_process_group`."""
        return _default


group = _Names()
_default: ProcessGroup | None = None
_others: list[ProcessGroup] = []


def is_available() -> bool:
    """Whether there is this package: True. Without MPI a process is the only rank.

    >>> is_available()
    True
    """
    return True


def is_mpi_available() -> bool:
    """Whether mpi4py is installed.

    >>> is_mpi_available() in (True, False)
    True
    """
    from importlib.util import find_spec

    return find_spec("mpi4py") is not None


def is_gloo_available() -> bool:
    """False: the only backend is MPI.

    >>> is_gloo_available()
    False
    """
    return False


def is_nccl_available() -> bool:
    """False: the only backend is MPI.

    >>> is_nccl_available()
    False
    """
    return False


def is_torchelastic_launched() -> bool:
    """False: ranks are started by ``mpiexec``.

    >>> is_torchelastic_launched()
    False
    """
    return False


def is_initialized() -> bool:
    """Whether this process is a rank: `init_process_group` was called. False in the workers of a `DataLoader`.

    >>> is_initialized()
    False
    """
    return _default is not None


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Become one of the ranks that ``mpiexec`` has started. All of them have to call it.

    Without mpi4py, and where no launcher has started this process, it is the only rank, and the log says so. From now on an
    exception that nobody catches ends all ranks, and so does waiting for one that has left. Each rank takes its share of the
    CPUs of its machine, unless ``NUMGRAD_NUM_THREADS`` or `set_num_threads` has said otherwise.

    Parameters
    ----------
    backend
        "mpi", the default.
    timeout
        How long a rank waits for others before it raises; by default 30 minutes.
    world_size, rank
        Launchers know them. They are only compared, if they are given.
    init_method, store, group_name, pg_options, device_id
        Without effect.

    Raises
    ------
    ValueError
        It was called before, or there is no such backend.
    RuntimeError
        A launcher started several processes, and mpi4py is missing, or found another MPI than the launcher's. Or
        ``world_size`` or ``rank`` is another one.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_rank(), distributed.get_world_size()
    (0, 1)
    >>> distributed.destroy_process_group()
    """
    global _default
    if _default is not None:
        raise ValueError("trying to initialize the default process group twice!")
    if backend is not None and (not isinstance(backend, str) or backend.lower().removeprefix("cpu:") != "mpi"):
        raise ValueError(describe("init_process_group", "backend", repr(backend), "'mpi'", "there is no other"))
    library = mpi.library()
    if library is None:
        started = ProcessGroup(None, None, timeout or DEFAULT_TIMEOUT)
    else:
        if not library.Is_initialized() or library.Is_finalized():
            raise RuntimeError("init_process_group: MPI has been finalized, or mpi4py was told not to start it")
        world = library.COMM_WORLD
        for argument, given, actual in (("world_size", world_size, world.Get_size()), ("rank", rank, world.Get_rank())):
            if given not in (-1, actual):
                raise RuntimeError(describe("init_process_group", argument, given, f"{actual}, as the launcher says"))
        started = ProcessGroup(world.Dup(), Company(library), timeout or DEFAULT_TIMEOUT)
        started.local_rank = mpi.share_cpus(world)
        mpi.compare_machines(world)
    _default = started


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Be no rank any more: tell the others, and wait until they come here, too. Of one group: forget that.

    Raises
    ------
    ValueError
        There is no such group.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.destroy_process_group()
    >>> distributed.is_initialized()
    False
    """
    global _default
    default = default_group()
    if group is not None and group is not default:
        if group not in _others:
            raise ValueError("Invalid process group specified")
        _others.remove(group)
        return
    if default.company is not None:
        default.company.leave()
    _default = None
    _others.clear()


def default_group() -> ProcessGroup:
    """The group of all ranks.

    Raises
    ------
    ValueError
        `init_process_group` was not called, or this process is a fork of a rank.
    """
    if _default is None:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return _default


def group_for(name: str, group: Any) -> ProcessGroup | None:
    """The group that a function is to use; None, with a warning, if this process is not in it."""
    default = default_group()
    if group is None:
        return default
    if group == GroupMember.NON_GROUP_MEMBER:
        warn(f"Running {name} on global rank {default.rank} which does not belong to the given group.")
        return None
    if not isinstance(group, ProcessGroup):
        raise TypeError(describe(name, "group", type(group).__name__, "a ProcessGroup or None"))
    return group


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
) -> Any:
    """A group of some of the ranks. All ranks have to call it, in the same order; the others get `GroupMember.NON_GROUP_MEMBER`.

    Raises
    ------
    ValueError
        A rank is listed twice or does not exist, or there is no such backend.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_world_size(distributed.new_group([0]))
    1
    >>> distributed.destroy_process_group()
    """
    default = default_group()
    if backend not in (None, "mpi"):
        raise ValueError(describe("new_group", "backend", repr(backend), "'mpi'", "there is no other"))
    members = sorted(range(default.size()) if ranks is None else ranks)
    if len(set(members)) != len(members):
        raise ValueError(describe("new_group", "ranks", members, "each rank once"))
    for member in members:
        default.rank_of("new_group", "ranks", member)
    limit, name = timeout or default.timeout, default.next_name()
    if default.comm is None:
        created = ProcessGroup(None, None, limit, name)
    else:
        color = 0 if default.rank in members else mpi.library().UNDEFINED
        comm = default.comm.Split(color, default.rank)
        if default.rank not in members:
            return GroupMember.NON_GROUP_MEMBER
        created = ProcessGroup(comm, default.company, limit, name)
    _others.append(created)
    return created


def _world_ranks(comm: Any) -> list[int]:
    """The numbers among all ranks of a communicator's."""
    chosen, world = comm.Get_group(), mpi.library().COMM_WORLD.Get_group()
    return list(chosen.Translate_ranks(list(range(comm.Get_size())), world))


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's number among the ranks; -1 if it is not in the group.

    Raises
    ------
    ValueError
        `init_process_group` was not called.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_rank()
    0
    >>> distributed.destroy_process_group()
    """
    default = default_group()
    return -1 if group == GroupMember.NON_GROUP_MEMBER else (group or default).rank


def get_world_size(group: ProcessGroup | None = None) -> int:
    """The number of ranks; -1 if this process is not in the group.

    Raises
    ------
    ValueError
        `init_process_group` was not called.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_world_size()
    1
    >>> distributed.destroy_process_group()
    """
    default = default_group()
    return -1 if group == GroupMember.NON_GROUP_MEMBER else (group or default).size()


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This process's number among the ranks of its machine.

    Parameters
    ----------
    fallback_rank
        Returned if this process is no rank.

    Raises
    ------
    ValueError
        `init_process_group` was not called, and there is no ``fallback_rank``.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_node_local_rank()
    0
    >>> distributed.destroy_process_group()
    """
    if _default is None and fallback_rank is not None:
        return int(fallback_rank)
    default = default_group()
    if default.comm is None:
        return 0
    return default.local_rank


def get_backend(group: ProcessGroup | None = None) -> str:
    """The name of the backend: "mpi".

    Raises
    ------
    ValueError
        `init_process_group` was not called.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_backend()
    'mpi'
    >>> distributed.destroy_process_group()
    """
    default_group()
    return "mpi"


def get_process_group_ranks(group: ProcessGroup | None = None) -> list[int]:
    """The numbers among all ranks of a group's.

    Raises
    ------
    ValueError
        `init_process_group` was not called.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_process_group_ranks()
    [0]
    >>> distributed.destroy_process_group()
    """
    return list((group or default_group()).members)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The number among all ranks of one of a group's.

    Raises
    ------
    ValueError
        There is no such rank.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_global_rank(distributed.group.WORLD, 0)
    0
    >>> distributed.destroy_process_group()
    """
    if not 0 <= group_rank < group.size():
        raise ValueError(describe("get_global_rank", "group_rank", group_rank, f"from 0 to {group.size() - 1}"))
    return group.members[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The number in a group of one of all ranks.

    Raises
    ------
    ValueError
        It is not in the group.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.get_group_rank(distributed.group.WORLD, 0)
    0
    >>> distributed.destroy_process_group()
    """
    return group.rank_of("get_group_rank", "global_rank", global_rank)


def _forget() -> None:
    """In the child of a fork, which is no rank: MPI is its parent's."""
    global _default
    _default = None
    _others.clear()


locks.at_fork(_forget)
