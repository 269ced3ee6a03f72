"""Where a declared function becomes an address: from the store if it is there, by compiling it otherwise."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
import time
from collections.abc import Callable
from typing import Any

from numgrad.errors import KernelError
from numgrad.runtime import loader, store
from numgrad.runtime.kernel import Kernel, building, fingerprint

_log = logging.getLogger("numgrad.build")
_unstored = itertools.count()

# Called as listener(name, seconds) after each compilation; a command line shows progress with it. What a listener
# raises is logged and goes no further, since the kernel is there all the same.
listeners: list[Callable[[str, float], None]] = []


def build(name: str, function: Callable[..., Any], arity: int, returns: bool) -> int:
    """Address of a native function."""

    def compile_it(symbol: str) -> bytes:
        from numgrad.runtime import codegen

        return codegen.compile_native(name, function, arity, returns, symbol)

    return _stored_or_compiled(name, _key(function, f"{arity}{returns:d}"), compile_it)


def build_kernel(kernel: Kernel, binding: tuple[str, ...]) -> int:
    """Address of a kernel's entry for one binding of its type variables."""

    def compile_it(symbol: str) -> bytes:
        from numgrad.runtime import codegen

        return codegen.compile_kernel(kernel, binding, symbol)

    types = "_".join(f"{p.type}{p.ndim or ''}" for p in kernel.bound(binding))
    key = _key(kernel.py_func, types, str(kernel.reassociate), str(kernel.takes_worker))
    return _stored_or_compiled(kernel.name, key, compile_it)


def _key(function: Callable[..., Any], *extra: str) -> str | None:
    try:
        own = fingerprint(function)
    except KernelError as error:
        _log.info("%s: compiled in every process, since %s", function.__name__, error)
        return None
    return hashlib.sha256("\n".join((own, *extra)).encode()).hexdigest()[:32]


def _stored_or_compiled(name: str, key: str | None, compile_it: Callable[[str], bytes]) -> int:
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)[:64]  # fit for symbols and file names
    symbol = f"numgrad_{plain}_{key or next(_unstored)}"
    with building:
        address = loader.loaded(symbol)
        if address is None:
            payload = store.get(plain, key) if key else None
            if payload is None:
                payload = _compile(name, symbol, compile_it)
                if key:
                    store.put(plain, key, payload)
            address = loader.load(payload, symbol)
        return address


def _compile(name: str, symbol: str, compile_it: Callable[[str], bytes]) -> bytes:
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


if hasattr(os, "register_at_fork"):
    # A child copied while another thread compiles would wait for that thread for ever.
    os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=building.release)
