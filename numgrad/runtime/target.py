"""The table of CPUs: which instructions to compile for, and the register tiles that follow from them."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from typing import Any

from numgrad import config
from numgrad.runtime import kernel, levels, room


@dataclass(frozen=True)
class Tiles:
    """Register tiles of `simd`'s micro-kernels: (rows, vectors of columns), and (rows, rows) for dot products."""

    many: tuple[int, int]  # for any number of rows
    strip: tuple[int, int]  # the same, of rows that are packed: their addresses take one register, not one each
    few: tuple[int, int]  # for few rows, while the right operand streams by
    dot: tuple[int, int]
    update: int  # lines that take four terms each at once


@dataclass(frozen=True)
class Target:
    """The machine that kernels are compiled for."""

    name: str
    vector_bytes: int  # width of a vector register
    registers: int  # how many of them
    tiles: Tiles
    fused: bool = True  # multiply-add is one instruction
    features_off: tuple[str, ...] = ()  # beginnings of the names of LLVM features that must not be used
    never: tuple[str, ...] = ()  # features that LLVM may take from the CPU's name, even if the machine reports none
    whole: str = ""  # LLVM's name of a feature of CPUs whose loops have to be told to use the whole width

    def lanes(self, itemsize: int) -> int:
        """Elements of ``itemsize`` bytes in one vector."""
        return max(1, self.vector_bytes // itemsize)


# LLVM takes 256 of the 512 bits on each CPU of Intel's, since the first ones lowered their clock for the rest. The servers since
# Sapphire Rapids hardly do: they read two whole registers in a cycle, as their code with 256 bits cannot. The older ones and the
# clients stay at 256. A feature tells them apart: a virtual machine may show another model's number, from which LLVM has the name.
# For Zen 4 and Zen 5 LLVM takes 512 by itself; on Zen 4, which splits most of such an instruction in two, it gains nothing where
# multiply-adds are the limit.
_WHOLE = "avx512fp16"
_AVX512_OFF = ("avx512", "avx10", "evex512")
# With SVE, LLVM compiles plain loops to vectors of unknown length, and a sum has other bits for each length. Without it,
# vectors have the width of NEON on every 64-bit Arm, and so sums have the same bits.
_SCALABLE = ("sve", "sme")
TARGETS = {
    "avx512": Target(
        "avx512", 64, 32, Tiles(many=(8, 2), strip=(12, 2), few=(4, 4), dot=(4, 6), update=4), whole=_WHOLE
    ),
    "avx2": Target(
        "avx2", 32, 16, Tiles(many=(6, 2), strip=(6, 2), few=(2, 4), dot=(4, 3), update=2), features_off=_AVX512_OFF
    ),
    "neon": Target(
        "neon",
        16,
        32,
        Tiles(many=(8, 2), strip=(8, 2), few=(4, 4), dot=(4, 6), update=4),
        features_off=_SCALABLE,
        never=_SCALABLE,
    ),
    "scalar": Target(
        "scalar",
        4,
        16,
        Tiles(many=(4, 2), strip=(4, 2), few=(2, 2), dot=(2, 2), update=1),
        False,
        (*_AVX512_OFF, "avx", "fma"),
    ),
}


@functools.cache
def host_features() -> dict[str, bool]:
    """LLVM's feature flags of this CPU."""
    llvm = room.llvm()

    return dict(llvm.get_host_cpu_features())


def _best() -> str:
    features = host_features()
    if features.get("avx512f") and features.get("avx512vl"):
        return "avx512"
    if features.get("avx2") and features.get("fma"):
        return "avx2"
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "neon"
    return "scalar"


@functools.cache
def host_target() -> Target:
    """The table's row for this process: the best of the CPU or of the kind of CPU, or the one that NUMGRAD_SIMD names.

    Raises
    ------
    ValueError
        NUMGRAD_SIMD names no row of the table, or one that the CPU does not have; NUMGRAD_CPU names a kind of CPU that this
        one is not of, and the process is one that computes.
    """
    level = levels.chosen()
    if level is not None and kernel.rehearsal is None and not level.runs_with(host_features()):
        raise ValueError(
            f"NUMGRAD_CPU is {level.name}, and this CPU ({platform.machine()}, {room.llvm().get_host_cpu_name()}) is not "
            "of that kind"
        )
    name, best = config.SIMD().strip().lower(), level.row if level else _best()
    if name == "auto":
        return TARGETS[best]
    order = ("scalar", "avx2", "avx512") if best in ("scalar", "avx2", "avx512") else ("scalar", "neon")
    if name not in order[: order.index(best) + 1]:
        raise ValueError(
            f"NUMGRAD_SIMD is {name!r}, expected auto or one of {', '.join(order[: order.index(best) + 1])}"
        )
    return TARGETS[name]


@functools.cache
def cpu() -> tuple[str, str]:
    """LLVM's CPU name and feature string to compile for."""
    level = levels.chosen()
    if level is not None:
        return level.cpu, feature_text(dict.fromkeys(level.features, True), host_target())
    name = room.llvm().get_host_cpu_name()
    return name, feature_text(host_features(), host_target())


def is_other() -> bool:
    """Whether Numba would take this machine for another one than `cpu` says, and could work with that one."""
    chosen = levels.chosen()
    return bool(host_target().features_off) if chosen is None else chosen.is_native()


@functools.cache
def level() -> levels.Level | None:
    """The best kind of CPU whose kernels this process can run in the place of its own; None if there is none."""
    chosen, row = levels.chosen(), host_target().name
    fitting = levels.LEVELS.values() if chosen is None else [chosen]
    return next((each for each in fitting if each.row == row and each.runs_with(host_features())), None)


def feature_text(features: dict[str, bool], row: Target) -> str:
    """LLVM's feature string for a row of the table on a CPU with these features.

    Features that are off come last: a feature brings those that it implies (``f16c`` brings ``avx``), unless one is switched
    off after it, with all that need it.

    >>> feature_text({"avx": True, "f16c": True, "sse2": True}, TARGETS["scalar"])
    '+f16c,+sse2,-avx'
    >>> feature_text({"avx512f": True, "avx512fp16": True}, TARGETS["avx512"])
    '+avx512f,+avx512fp16,-prefer-256-bit'
    """
    off = {name for name, on in features.items() if not on or name.startswith(row.features_off)}
    off.update(row.never)
    if features.get(row.whole):
        off.add("prefer-256-bit")
    return ",".join([*(f"+{name}" for name in sorted(features.keys() - off)), *(f"-{name}" for name in sorted(off))])


def triple() -> str:
    """LLVM's name for the kind of machine to compile for."""
    level = levels.chosen()
    return room.llvm().get_process_triple() if level is None or level.is_native() else level.triple


@functools.cache
def target_machine() -> Any:
    """LLVM's target machine for kernels."""
    llvm = room.llvm()

    if triple() == llvm.get_process_triple():
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    name, features = cpu()
    target = llvm.Target.from_triple(triple())
    return target.create_target_machine(
        cpu=name, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )
