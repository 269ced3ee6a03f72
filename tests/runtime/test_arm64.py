"""The kernels' code for 64-bit Arm, made on this machine: it assembles, and the micro-kernels' loops are tight."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from numgrad.runtime import target
from tests.runtime.arm64 import facts, innermost_loops
from tests.runtime.processes import ROOT, environment

# Micro-kernels that multiply by one element of a vector, and those that add whole vectors up.
BY_ELEMENT = {"multiply_panels", "sum_outer_products", "multiply_windows", "sum_windows", "stream_input"}
# Winograd's transforms hold 36 vectors, and NEON has 32 registers.
CROWDED = {"transform"}


def compiled(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.arm64", *arguments],
        env=environment(NUMGRAD_SIMD=None, NUMGRAD_CONV=None, NUMGRAD_DEBUG=None),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(kernels: list[dict[str, Any]]) -> None:
    for found in kernels:
        assert found["elf"], found
        assert not found["scalable"], found
        for tile in found["tiles"]:
            assert found["name"] in CROWDED or not tile["spills"], found
        if found["name"] in BY_ELEMENT:
            assert found["tiles"], found
            assert all(tile["by_element"] == tile["fused"] for tile in found["tiles"]), found


def test_products() -> None:
    """On a CPU with SVE, which must not be used: a sum over vectors of unknown length has other bits for each."""
    kernels = compiled("--cpu", "neoverse-v1", "--only", "multiply_")
    check(kernels)
    assert {found["name"] for found in kernels} >= {"multiply_panels", "multiply_rows", "multiply_windows"}
    assert all(found["tiles"] for found in kernels)


@pytest.mark.soak
def test_all_recipes() -> None:
    kernels = compiled()
    check(kernels)
    assert {found["name"] for found in kernels} >= BY_ELEMENT | CROWDED
    assert len(kernels) > 35


def test_what_the_checks_see() -> None:
    """They find what they look for: a spill in a loop of multiply-adds, and a vector of unknown length."""
    body = "".join(f"\tfmla\tv{i}.4s, v30.4s, v31.s[0]\n" for i in range(8))
    loop = f".LBB0_1:\n.LBB0_2:\n{body}\tstr\tq0, [sp, #16]\n\tb.ne\t.LBB0_2\n\tcbnz\tx3, .LBB0_1\n"
    assert len(innermost_loops(loop)) == 1
    assert facts("k", loop, b"")["tiles"] == [{"fused": 8, "by_element": 8, "spills": 1}]
    assert facts("k", loop.replace("v31.s[0]", "v31.4s"), b"")["tiles"][0]["by_element"] == 0
    assert facts("k", "\tfadd\tz0.s, p0/m, z0.s, z1.s\n", b"")["scalable"] == 4
    assert not facts("k", loop, b"\x7fELF")["elf"]


@pytest.mark.parametrize("row", target.TARGETS)
def test_features_that_are_off_come_last(row: str) -> None:
    """Or a feature that is on brings back what it implies: f16c brings avx, sve2 brings sve."""
    names = (
        "avx",
        "avx2",
        "avx512f",
        "avx512vnni",
        "avxvnni",
        "f16c",
        "fma",
        "vaes",
        "sse2",
        "neon",
        "sve",
        "sve2-aes",
        "sme",
    )
    text = target.feature_text(dict.fromkeys(names, True), target.TARGETS[row]).split(",")
    off = [feature[1:] for feature in text if feature[0] == "-"]
    assert text == sorted(text, key=lambda feature: feature[0] == "-")
    wanted = {"avx512": set(), "neon": {"sve", "sve2-aes", "sme"}, "avx2": {"avx512f", "avx512vnni"}}
    if row == "scalar":
        assert set(off) == {name for name in names if name.startswith(("avx", "fma"))}
    else:
        assert set(off) == wanted[row]


@pytest.mark.skipif(target.platform.machine() != "x86_64", reason="looks at registers of x86-64")
def test_scalar_code_uses_no_avx() -> None:
    """Although the CPU has features that imply it."""
    script = """
from numgrad.runtime import kernel, target
import numgrad as ng
kernel.rehearsal = []
ng.ones(9) + 1
jobs, kernel.rehearsal = kernel.rehearsal, None
machine = target.target_machine()
emit = machine.emit_object
machine.emit_object = lambda module: (print(machine.emit_assembly(module.clone())), emit(module))[1]
next(job for job in jobs if job.name == "add").compile_it("numgrad_add")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(NUMGRAD_SIMD="scalar"), cwd=ROOT, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert "addps" in done.stdout, done.stderr
    assert "ymm" not in done.stdout
    assert "vaddps" not in done.stdout
