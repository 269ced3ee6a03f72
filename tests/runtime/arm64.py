"""Kernels compiled for 64-bit Arm on any machine, and what their loops are made of: llvmlite's LLVM has that backend.

``python -m tests.runtime.arm64`` compiles what the recipes below need and prints a line for each kernel; ``--all`` adds
a training step of a ResNet18 and a transformer's; ``--cpu neoverse-v1`` is one with SVE; ``--out FOLDER`` keeps the
assembly. Nothing is run: `scripts/arm64.py` does that, under an emulator.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRIPLE = "aarch64-unknown-linux-gnu"
CPUS = {"neoverse-n1": False, "cortex-a72": False, "neoverse-v1": True}  # with SVE?
TILE = 8  # multiply-adds of vectors, from which on a loop is one of the micro-kernels'

_LABEL = re.compile(r"^(\.L\w+):")
_BRANCH = re.compile(r"^\s+(?:b|b\.\w+|cbn?z|tbn?z)\s+.*?(\.L\w+)\s*$")
_FUSED = re.compile(r"^\s+fml[as]\s+v\d+\.\d[sd],")
_BY_ELEMENT = re.compile(r"^\s+fml[as]\s+v\d+\.\d[sd],.*v\d+\.[sd]\[\d\]")
_SPILL = re.compile(r"^\s+(?:ld|st)(?:r|p|ur)\s+[qds]\d+,.*\[sp\b")
_SCALABLE = re.compile(r"\bz\d+\.[bhsdq]\b|\bp\d+/[mz]\b")


def innermost_loops(assembly: str) -> list[list[str]]:
    """The lines of each loop that has no loop inside: from a label to the branch back to it."""
    lines = assembly.splitlines()
    labels = {match[1]: index for index, line in enumerate(lines) if (match := _LABEL.match(line))}
    spans = [
        (labels[match[1]], index)
        for index, line in enumerate(lines)
        if (match := _BRANCH.match(line)) and labels.get(match[1], index) < index
    ]
    inner = [a for a in spans if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in spans)]
    return [lines[first : last + 1] for first, last in inner]


def facts(name: str, assembly: str, code: bytes) -> dict[str, Any]:
    """What is asked of a kernel's code."""
    tiles = [loop for loop in innermost_loops(assembly) if sum(map(bool, map(_FUSED.match, loop))) >= TILE]
    return {
        "name": name,
        "elf": code[:4] == b"\x7fELF" and int.from_bytes(code[18:20], "little") == 183,  # EM_AARCH64
        "tiles": [
            {
                "fused": sum(map(bool, map(_FUSED.match, loop))),
                "by_element": sum(map(bool, map(_BY_ELEMENT.match, loop))),
                "spills": sum(map(bool, map(_SPILL.match, loop))),
            }
            for loop in tiles
        ],
        "scalable": len(_SCALABLE.findall(assembly)),
        "calls": sorted(set(re.findall(r"^\s+bl\s+(\w+)", assembly, re.MULTILINE))),
    }


def pretend(cpu: str) -> list[str]:
    """From here on this process compiles for such a CPU; the list receives the assembly of each kernel."""
    import llvmlite.binding as llvm

    from numgrad.runtime import target

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    row = target.TARGETS["neon"]
    features = {"neon": True, "fp-armv8": True, "lse": cpu != "cortex-a72", "sve": CPUS[cpu]}
    chosen = cpu, target.feature_text(features, row)
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(
        cpu=chosen[0], features=chosen[1], opt=3, reloc="default", codemodel="jitdefault", jit=True
    )
    written: list[str] = []
    emit = machine.emit_object

    def emit_object(module: Any) -> bytes:
        written.append(machine.emit_assembly(module.clone()))
        return bytes(emit(module))

    machine.emit_object = emit_object
    target.host_target = lambda: row  # type: ignore[assignment]
    target.cpu = lambda: chosen  # type: ignore[assignment]
    target.triple = lambda: TRIPLE
    target.target_machine = lambda: machine  # type: ignore[assignment]
    return written


# ---- what needs the kernels -------------------------------------------------------------------------------------


def products() -> None:
    """Matrix products: many rows, few rows, transposed operands, in both precisions."""
    import numgrad as ng

    for dtype in (ng.float32, ng.float64):
        x, weight = (ng.rand(*shape, dtype=dtype, requires_grad=True) for shape in ((150, 96), (96, 80)))
        (x @ weight).sum().backward()
        (
            ng.rand(2, 512, dtype=dtype, requires_grad=True) @ ng.rand(512, 100, dtype=dtype, requires_grad=True)
        ).sum().backward()


def convolutions() -> None:
    """Direct ones and Winograd's, with many pixels and with few, of few channels, in groups."""
    import numgrad as ng
    from numgrad.nn.functional import conv2d
    from numgrad.ops.conv import set_algorithm

    def both(images: tuple[int, ...], weight: tuple[int, ...], **options: Any) -> None:
        conv2d(ng.rand(*images, requires_grad=True), ng.rand(*weight, requires_grad=True), **options).sum().backward()

    for algorithm in ("direct", "winograd4"):
        set_algorithm(algorithm)
        both((2, 64, 14, 14), (64, 64, 3, 3), padding=1)
    set_algorithm(None)
    both((1, 64, 40, 40), (32, 64, 3, 3), stride=2)
    both((1, 512, 2, 2), (512, 512, 3, 3), padding=1)
    both((2, 3, 64, 64), (64, 3, 7, 7), stride=2, padding=3)
    both((1, 64, 14, 14), (64, 8, 3, 3), padding=1, groups=8)


def resnet() -> None:
    """A training step."""
    from numgrad.cli.step import rehearse

    rehearse(None, model="resnet18", batch_size=2, image_size=64, dtype="float32")


def transformer() -> None:
    """A training step of a block."""
    import numgrad as ng

    layer = ng.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    layer(ng.rand(2, 32, 64)).sum().backward()
    ng.optim.Adam(layer.parameters()).step()


def recurrent() -> None:
    """Forward and backward of recurrent layers, of many sequences and of one."""
    import numgrad as ng

    for layer in (ng.nn.LSTM(64, 64), ng.nn.GRU(64, 64), ng.nn.RNN(64, 64)):
        for batch in (64, 1):
            layer(ng.rand(5, batch, 64))[0].sum().backward()


QUICK: tuple[Callable[[], None], ...] = (products, convolutions)
ALL: tuple[Callable[[], None], ...] = (*QUICK, resnet, transformer, recurrent)


def main() -> int:
    """Compile, and print a JSON object for each kernel; 1 if one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every kernel of two training steps as well")
    parser.add_argument("--only", default="", metavar="WORD", help="kernels whose name contains this")
    parser.add_argument("--cpu", choices=tuple(CPUS), default="neoverse-n1")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to put the assembly")
    args = parser.parse_args()
    written = pretend(args.cpu)
    from numgrad.runtime import kernel

    kernel.rehearsal = []
    for recipe in ALL if args.all else QUICK:
        recipe()
    jobs = {(job.name, job.key): job for job in kernel.rehearsal}
    kernel.rehearsal = None
    wrong = 0
    for (name, key), job in jobs.items():
        if args.only in name:
            code = job.compile_it("numgrad_arm64")
            found = facts(name, written[-1], code)
            wrong += not found["elf"] or any(tile["spills"] for tile in found["tiles"]) or bool(found["scalable"])
            print(json.dumps(found), flush=True)
            if args.out:
                args.out.mkdir(parents=True, exist_ok=True)
                (args.out / f"{name}_{str(key)[:8]}.s").write_text(written[-1])
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
