"""Compiled kernels that a released wheel brings: object code for kinds of CPU (`levels`), in one file for each kind.

The user's own store comes first (`store`), since what lies there was compiled for this very CPU. A kernel that it lacks is
taken from here, and so a first run compiles nothing, and Numba is not imported. Nothing is compiled behind the user's back
to replace it; ``numgrad warmup`` is how one asks for that. ``NUMGRAD_WHEEL_KERNELS=0`` turns all of this off.

A kernel's key says what its source is and nothing of what compiled it: texts of functions (of those in files the file's
hash, name and line), and values, so it does not depend on the versions of Python, NumPy, Numba and llvmlite. The runtime's
sources are hashed as a whole. The settings of Numba's that change code, and ``NUMGRAD_DEBUG=1``, are not those of these files,
which are then left alone.

A file is read once, as a whole: `_MAGIC`, the SHA-256 of all that follows, the length of the index, the index (JSON), the
objects, each compressed. Before one is mapped it must be an object for this architecture. What is damaged or foreign is
refused with one warning, and kernels are compiled. The files lie among numgrad's sources: who could change them could change
these as well, so owners are not asked.
"""

from __future__ import annotations

import functools
import hashlib
import json
import linecache
import logging
import os
import re
import sys
import types
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numgrad import config
from numgrad.errors import KernelError
from numgrad.runtime import store, target
from numgrad.runtime.kernel import Fingerprint
from numgrad.runtime.levels import Level

FOLDER = Path(__file__).parent / "bundled"
SYSTEM = "linux"  # objects are ELF files that call by this system's conventions; elsewhere kernels are compiled
_MAGIC = b"numgrad bundle 1\n"
_HEAD = len(_MAGIC) + 32 + 4
_ELF = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian
_RELOCATABLE = 1
_PACKAGE = Path(__file__).parents[1]
_log = logging.getLogger("numgrad.bundle")


@dataclass(frozen=True)
class Entry:
    """A kernel of a bundle: its symbol in the object code."""

    symbol: str
    payload: bytes


class Bundle:
    """The content of a file."""

    def __init__(self, level: Level, index: Mapping[str, Any], objects: bytes) -> None:
        self.level, self._kernels, self._objects = level, index["kernels"], objects

    def __len__(self) -> int:
        return len(self._kernels)

    def get(self, key: str) -> Entry | None:
        """The kernel with a key, or None.

        Raises
        ------
        ValueError
            Its object code is not for this architecture.
        """
        if key not in self._kernels:
            return None
        symbol, start, size = self._kernels[key]
        payload = zlib.decompress(self._objects[start : start + size])
        if fault := fault_of(payload, self.level):
            raise ValueError(f"the kernel {symbol} {fault}")
        return Entry(symbol, payload)


def fault_of(payload: bytes, level: Level) -> str:
    """Why bytes are no object code for a kind of CPU; '' if they are."""
    if payload[: len(_ELF)] != _ELF or len(payload) < 64:
        return "is no object file (64-bit ELF)"
    kind, machine = (int.from_bytes(payload[at : at + 2], "little") for at in (16, 18))
    if kind != _RELOCATABLE:
        return "is no relocatable object"
    return "" if machine == level.elf_machine else f"is for the architecture {machine}, not {level.elf_machine}"


def written(level: Level, kernels: Mapping[str, Entry]) -> bytes:
    """The content of a file with these kernels, by their keys."""
    objects, entries = bytearray(), {}
    for key, entry in sorted(kernels.items()):
        packed = zlib.compress(entry.payload, 9)
        entries[key] = [entry.symbol, len(objects), len(packed)]
        objects += packed
    about = {"level": level.name, "system": SYSTEM, "sources": store.runtime_sources(), "kernels": entries}
    index = json.dumps(about, separators=(",", ":")).encode()
    body = len(index).to_bytes(4, "little") + index + objects
    return _MAGIC + hashlib.sha256(body).digest() + body


def read(path: Path, level: Level) -> Bundle:
    """The bundle in a file.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is damaged, or for another kind of CPU, another system or other sources.
    """
    blob = path.read_bytes()
    body = blob[_HEAD - 4 :]
    if blob[: _HEAD - 4] != _MAGIC + hashlib.sha256(body).digest():
        raise ValueError("is damaged, or no file of kernels")
    end = 4 + int.from_bytes(body[:4], "little")
    index = json.loads(body[4:end])
    for name, expected in (("system", sys.platform), ("level", level.name), ("sources", store.runtime_sources())):
        if index[name] != expected:
            raise ValueError(f"was made for another {name.removesuffix('s')} ({index[name]}, expected {expected})")
    return Bundle(level, index, body[end:])


def path_of(level: Level) -> Path:
    """Where the kernels of a kind of CPU lie, if the wheel brought any."""
    return FOLDER / f"{level.name}.kernels"


@functools.cache
def bundle() -> Bundle | None:
    """The kernels that the wheel brought for this CPU; None if there are none, or if they are not to be used."""
    if not config.WHEEL_KERNELS.is_set() or config.checks_indices() or sys.platform != SYSTEM or not FOLDER.is_dir():
        return None
    if any(os.environ.get(name) for name in store.NUMBA_SETTINGS):
        return None
    level = target.level()
    if level is None:
        return None
    try:
        return read(path_of(level), level)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _refuse(path_of(level), error)
        return None


def _refuse(path: Path, error: Exception) -> None:
    _log.warning(
        "the compiled kernels that came with numgrad are not used, and kernels are compiled instead: %s %s; install "
        "numgrad again (NUMGRAD_WHEEL_KERNELS=0 hides this)",
        path,
        error,
    )


_broken = False


def get(function: Callable[..., Any], *extra: str) -> Entry | None:
    """The kernel that the wheel brought for a function, or None."""
    global _broken
    brought = None if _broken else bundle()
    if brought is None:
        return None
    key = source_key(function, *extra)
    try:
        return None if key is None else brought.get(key)
    except (ValueError, zlib.error) as error:
        _broken = True
        _refuse(path_of(brought.level), error)
        return None


# ---- keys -------------------------------------------------------------------------------------------------------------


def source_key(function: Callable[..., Any], *extra: str) -> str | None:
    """What a kernel is called in a bundle; None if its functions are not all numgrad's own.

    ``extra`` are the types and flags that it is compiled with.
    """
    hashed = _Sources()
    try:
        hashed.add(function)
    except KernelError:
        return None
    return hashlib.sha256("\n".join((hashed.digest.hexdigest(), *extra)).encode()).hexdigest()[:32]


def _code_text(code: types.CodeType) -> bytes:
    """The function's file, name and line, or the generated text with its name."""
    where, lines = _source(code.co_filename)
    line = lines[code.co_firstlineno - 1] if code.co_firstlineno <= len(lines) else ""
    if "<lambda>" in code.co_qualname and len(re.findall(r"\blambda\b", line)) != 1:
        raise KernelError(f"more than one function begins in line {code.co_firstlineno} of {code.co_filename}")
    return f"{where} {code.co_qualname} {code.co_firstlineno};".encode()


def _class_text(cls: type) -> bytes:
    """Where the class is defined."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None:
        raise KernelError(f"the class {cls!r} has no source")
    return f"{_source(file)[0]} {cls.__qualname__} {getattr(cls, '_fields', ())};".encode()


class _Sources(Fingerprint):
    """The fingerprint of a function by its source, which is the same for every version of Python and of other packages."""

    code_text = staticmethod(_code_text)
    class_text = staticmethod(_class_text)
    has_versions = False


@functools.cache
def _source(filename: str) -> tuple[str, list[str]]:
    """What stands for a file of numgrad's or for generated source in a key, and its lines.

    Raises
    ------
    KernelError
        It is neither.
    """
    if filename.startswith("<numgrad generated"):
        lines = linecache.getlines(filename)
        if not lines:
            raise KernelError(f"{filename} has no source")
        return f"text {hashlib.sha256(''.join(lines).encode()).hexdigest()}", lines
    path = Path(filename)
    try:
        name = path.relative_to(_PACKAGE).as_posix()
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise KernelError(f"{filename} is no file of numgrad's") from error
    return f"{name} {hashlib.sha256(content).hexdigest()}", content.decode().splitlines()
