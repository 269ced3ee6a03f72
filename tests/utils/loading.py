"""Datasets that worker processes can import, and what a loader may leave behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np

import numgrad as ng
from numgrad.utils.data import Dataset, IterableDataset, get_worker_info


class Images(Dataset):
    """Images that are large enough for shared memory, each full of its index, which is its label."""

    def __init__(self, count=20):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return ng.full((3, 32, 32), float(index)), index


class Stream(IterableDataset):
    """The numbers from 0 on, each from one worker."""

    def __init__(self, count=11):
        self.count = count

    def __iter__(self):
        info = get_worker_info()
        return iter(range(self.count) if info is None else range(info.id, self.count, info.num_workers))

    def __len__(self):
        return self.count


class Acts(Dataset):
    """Does what the sample's index is a key of."""

    def __init__(self, **acts):
        self.acts = acts

    def __getitem__(self, key):
        return ACTS[key]()


class OddError(Exception):
    """Takes more than a text."""

    def __init__(self, one, two):
        super().__init__(one, two)


class ToldError(Exception):
    """Takes its text by keyword."""

    message = "none"

    def __init__(self, message=None):
        super().__init__(message)
        self.message = message


def _raise(error):
    raise error


def _wait():
    time.sleep(60)


ACTS = {
    "value": lambda: _raise(ValueError("some value")),
    "key": lambda: _raise(KeyError("some key")),
    "odd": lambda: _raise(OddError(1, 2)),
    "told": lambda: _raise(ToldError("some text")),
    "stop": lambda: _raise(StopIteration),
    "local": lambda: _raise(type("Local", (ValueError,), {})("some text")),
    "unpicklable": lambda: lambda: None,
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "leave": lambda: os._exit(3),
    "wait": _wait,
    "fine": lambda: 1,
    "unequal": lambda: ng.zeros(3),
    "array": lambda: ng.zeros(2),
    "pid": os.getpid,
    "threads": ng.get_num_threads,
    "random": lambda: (ng.rand(1, dtype=ng.float64).item(), random.random(), np.random.rand()),
    "initial": ng.initial_seed,
    "info": lambda: (lambda info: (info.id, info.num_workers, info.seed, info.worker_method))(get_worker_info()),
}


def same(samples):
    """A collate_fn that processes can import."""
    return samples


def children():
    """Numbers of this process's own children that are there, dead or alive (Linux)."""
    return {
        int(number) for task in Path("/proc/self/task").iterdir() for number in (task / "children").read_text().split()
    }


def segments():
    """Mappings and descriptors of memory that workers handed over, and what lies in the folder of shared memory (Linux).

    What other processes have mapped there is left out: other tests run beside these.
    """
    maps = Path("/proc/self/maps").read_text().count("numgrad-batch")
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return maps, sum("numgrad-batch" in link for link in links), len(links), shared_files()


def shared_files():
    """Names that Python gives in the folder of shared memory, but those of living processes that are no children of this one."""
    python = ("psm_", "sem.")  # a library that passes messages, for one, leaves files there if its process is killed
    inodes = {entry.name: entry.inode() for entry in os.scandir("/dev/shm") if entry.name.startswith(python)}
    own, foreign = {os.getpid(), *children()}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) in own:
            continue
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            maps = (folder / "maps").read_text().splitlines()
            # By the inode: a semaphore is mapped under a name that it had before it got its own.
            foreign |= {int(line.split()[4]) for line in maps if "/dev/shm/" in line}
    return sorted(name for name, inode in inodes.items() if inode not in foreign)
