"""Where a declared function becomes an address: from the store if it is there, by compiling it otherwise."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any

from numgrad.errors import KernelError
from numgrad.runtime import loader, store
from numgrad.runtime.kernel import Kernel, fingerprint

_log = logging.getLogger("numgrad.build")
SYMBOL = "numgrad_entry"

# Called as listener(name, seconds) after each compilation; a command line shows progress with it.
listeners: list[Callable[[str, float], None]] = []


def build(name: str, function: Callable[..., Any], arity: int, returns: bool) -> int:
    """Address of a native function."""

    def compile_it() -> bytes:
        from numgrad.runtime import codegen

        return codegen.compile_native(name, function, arity, returns)

    return _stored_or_compiled(name, f"{arity}{returns:d}-{_key(function)}", compile_it)


def build_kernel(kernel: Kernel, binding: tuple[str, ...]) -> int:
    """Address of a kernel's entry for one binding of its type variables."""

    def compile_it() -> bytes:
        from numgrad.runtime import codegen

        return codegen.compile_kernel(kernel, binding)

    types = "_".join(f"{p.type}{p.ndim or ''}" for p in kernel.bound(binding))
    key = f"{_key(kernel.py_func, types, str(kernel.reassociate), str(kernel.takes_worker))}"
    return _stored_or_compiled(kernel.name, key, compile_it)


def _key(function: Callable[..., Any], *extra: str) -> str:
    try:
        own = fingerprint(function)
    except KernelError as error:
        _log.info("%s: compiled in every process, since %s", function.__name__, error)
        return ""
    return hashlib.sha256("\n".join((own, *extra)).encode()).hexdigest()[:32]


def _stored_or_compiled(name: str, key: str, compile_it: Callable[[], bytes]) -> int:
    storable = bool(key) and not key.endswith("-")
    if storable and (payload := store.get(name, key)) is not None:
        return loader.load(payload, SYMBOL)
    begin = time.perf_counter()
    payload = compile_it()
    seconds = time.perf_counter() - begin
    _log.debug("compiled %s in %.2f s", name, seconds)
    if storable:
        store.put(name, key, payload)
    for listener in listeners:
        listener(name, seconds)
    return loader.load(payload, SYMBOL)
