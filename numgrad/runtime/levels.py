"""Kinds of CPU: kernels that are compiled for one run on every CPU of the kind, and compute the same bits there.

By default numgrad compiles for the very CPU that it runs on. ``NUMGRAD_CPU`` names a kind instead: for a folder of kernels
that unlike machines share, or for runs that have to agree to the last bit. The kernels in a released wheel are of these
kinds (`bundle`), so a kind may be compiled for on a machine that could not run it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

from numgrad import config


@dataclass(frozen=True)
class Level:
    """A kind of CPU. Its ``row`` is one of `target.TARGETS`."""

    name: str
    row: str
    cpu: str  # LLVM's name
    features: tuple[str, ...]  # LLVM's names of what each CPU of the kind has
    machines: tuple[str, ...]  # as `platform.machine` calls them
    triple: str  # where it is compiled for on a machine of another architecture
    elf_machine: int  # the architecture's number in object files

    def is_native(self) -> bool:
        """Whether this machine has the architecture."""
        return platform.machine().lower() in self.machines

    def runs_with(self, features: Mapping[str, bool]) -> bool:
        """Whether this machine can run it, whose CPU has these features."""
        return self.is_native() and all(features.get(name) for name in self.features)


_V3 = ("avx", "avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sahf", "sse4.2", "xsave")
_V4 = ("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_X86 = ("x86_64", "amd64"), "x86_64-unknown-linux-gnu", 62
_ARM = ("aarch64", "arm64"), "aarch64-unknown-linux-gnu", 183
#: The best first.
LEVELS = {
    level.name: level
    for level in (
        Level("x86-64-v4", "avx512", "x86-64-v4", (*_V3, *_V4), *_X86),
        Level("x86-64-v3", "avx2", "x86-64-v3", _V3, *_X86),
        # Every 64-bit Arm has these, whether or not the system says so.
        Level("arm64", "neon", "generic", (), *_ARM),
    )
}


def chosen() -> Level | None:
    """The kind that NUMGRAD_CPU names; None: this very CPU.

    Raises
    ------
    ValueError
        It names none.
    """
    name = config.CPU().strip().lower()
    if name == "auto":
        return None
    if name not in LEVELS:
        raise ValueError(config.CPU.problem())
    return LEVELS[name]
