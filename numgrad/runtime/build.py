"""The address of a declared function: loaded from the store if it has it, compiled otherwise."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numgrad.errors import KernelError
from numgrad.runtime import bundle, loader, notice, room, store
from numgrad.runtime import kernel as kernels
from numgrad.runtime.kernel import Kernel, building, fingerprint

_log = logging.getLogger("numgrad.build")
_unstored = itertools.count()
_PATIENCE = 60.0  # seconds to wait for another process that compiles the same; no kernel takes half as long

# Called as listener(name, seconds) after each compilation; a command line shows progress with it. An error of a listener
# is logged and goes no further, since the kernel is compiled all the same.
listeners: list[Callable[[str, float], None]] = [notice.compiled]


def _missed() -> None:
    from numgrad.runtime import ahead

    ahead.missed()


# Called before this process compiles a function that the store lacks: others may be asked to help (`helpers`, `ahead`).
missing_listeners: list[Callable[[], None]] = [_missed]


@dataclass(frozen=True)
class Job:
    """One function to be compiled."""

    name: str
    key: str | None  # in the store; None: it cannot be stored
    compile_it: Callable[[str], bytes]  # object code under a given symbol
    function: Callable[..., Any]
    extra: tuple[str, ...]  # types and flags that it is compiled with

    @property
    def file_name(self) -> str:
        """The name, fit for symbols and file names."""
        return re.sub(r"\W", "_", self.name, flags=re.ASCII)[:64]

    def symbol(self) -> str:
        """Its name in object code; a new one each time if it cannot be stored."""
        return f"numgrad_{self.file_name}_{self.key or next(_unstored)}"

    def is_stored(self) -> bool:
        """Whether the store has it."""
        return self.key is not None and store.has(self.file_name, self.key)

    def is_at_hand(self) -> bool:
        """Whether it need not be compiled: the store has it, or numgrad's wheel brought it."""
        return self.is_stored() or (self.key is not None and bundle.get(self.function, *self.extra) is not None)


def native_job(name: str, function: Callable[..., Any], arity: int, returns: bool) -> Job:
    """The job for a native function."""

    def compile_it(symbol: str) -> bytes:
        return _codegen(name).compile_native(name, function, arity, returns, symbol)

    return _job(name, compile_it, function, f"{arity}{returns:d}")


def build_kernel(kernel: Kernel, binding: tuple[str, ...]) -> int:
    """Address of a kernel's entry for one binding of its type variables."""

    def compile_it(symbol: str) -> bytes:
        return _codegen(kernel.name).compile_kernel(kernel, binding, symbol)

    types = "; ".join(map(str, kernel.bound(binding)))
    flags = [str(kernel.reassociate), str(kernel.takes_worker), str(kernel.checked), *["descends"] * kernel.descends]
    return build(_job(kernel.name, compile_it, kernel.py_func, types, *flags))


def _job(name: str, compile_it: Callable[[str], bytes], function: Callable[..., Any], *extra: str) -> Job:
    key = None
    try:
        key = hashlib.sha256("\n".join((fingerprint(function), *extra)).encode()).hexdigest()[:32]
    except KernelError as error:
        _log.info("%s: compiled in every process, since %s", function.__name__, error)
    return Job(name, key, compile_it, function, extra)


def _codegen(name: str) -> Any:
    """The compiler, which brings Numba with it.

    Raises
    ------
    KernelError
        Numba refuses the environment, or lacks a part that kernels need.
    """
    from numgrad.runtime import numba_changes

    try:
        numba_changes.require()
        from numgrad.runtime import codegen
    except ValueError as error:
        settings = ", ".join(
            f"{key}={value!r}" for key, value in sorted(os.environ.items()) if key.startswith("NUMBA_")
        )
        raise KernelError(
            f"kernel {name} cannot be compiled: Numba refuses one of the environment variables {settings}: {error}"
        ) from error
    return codegen


def build(job: Job) -> int:
    """The function's address: stored, or compiled by another process meanwhile, or compiled here."""
    if kernels.rehearsal is not None:
        kernels.rehearsal.append(job)
        return kernels.NO_ADDRESS
    symbol = job.symbol()
    with building:
        address = loader.loaded(symbol)
        if address is None:
            symbol, payload = _payload(job, symbol)
            address = loader.loaded(symbol) or loader.load(payload, symbol)
        return address


def _payload(job: Job, symbol: str) -> tuple[str, bytes]:
    """Symbol and object code: stored, or brought by the wheel, or compiled by another process meanwhile, or compiled here."""
    if job.key is None:
        return symbol, _compile(job.name, symbol, job.compile_it)
    payload = store.get(job.file_name, job.key)
    if payload is not None:
        return symbol, payload
    brought = bundle.get(job.function, *job.extra)
    if brought is not None:
        return brought.symbol, brought.payload
    for listener in tuple(missing_listeners):
        listener()
    with store.claim(job.file_name, job.key, patience=_PATIENCE) as at_once:
        payload = None if at_once else store.get(job.file_name, job.key)
        if payload is None:
            payload = _compile(job.name, symbol, job.compile_it)
            store.put(job.file_name, job.key, payload)
    return symbol, payload


def compile_for_others(job: Job, is_done: Callable[[Job], bool] = Job.is_stored) -> bool:
    """Compile for the store alone, unless that ``is_done`` or another process does it; whether it was compiled here."""
    if job.key is None or is_done(job):
        return False
    with store.claim(job.file_name, job.key, patience=0) as mine:
        if not mine or job.is_stored():
            return False
        store.put(job.file_name, job.key, _compile(job.name, job.symbol(), job.compile_it))
    return True


def _compile(name: str, symbol: str, compile_it: Callable[[str], bytes]) -> bytes:
    room.require_numba()
    begin = time.perf_counter()
    payload = compile_it(symbol)
    seconds = time.perf_counter() - begin
    _log.debug("compiled %s in %.2f s", name, seconds)
    for listener in tuple(listeners):
        try:
            listener(name, seconds)
        except Exception:
            _log.exception("a listener of numgrad.runtime.build failed")
    return payload
