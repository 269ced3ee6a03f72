"""The table of CPUs: how wide the vectors are of loops that LLVM vectorises, in the object code for CPUs that need not be here."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import pytest

from numgrad.runtime import target

TRIPLE = "x86_64-unknown-linux-gnu"
LOOP = """
define void @add_one(ptr noalias %x, ptr noalias %y, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%j, %loop]
  %p = getelementptr float, ptr %x, i64 %i
  %q = getelementptr float, ptr %y, i64 %i
  %v = load float, ptr %p
  %w = fadd float %v, 1.0
  store float %w, ptr %q
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %n
  br i1 %more, label %loop, label %out
out:
  ret void
}
"""


def widths(cpu: str, **features: bool) -> set[str]:
    """Kinds of vector registers of the loop above, compiled as kernels are for a CPU by LLVM's name and with more features."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    text = target.feature_text(features, target.TARGETS["avx512"])
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu=cpu, features=text, opt=3)
    module = llvm.parse_assembly(LOOP)
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    return set(re.findall(r"%([xyz]mm)\d", machine.emit_assembly(module)))


# A virtual machine may show the number of an older model.
@pytest.mark.parametrize("cpu", ["sapphirerapids", "emeraldrapids", "graniterapids", "rocketlake", "icelake-server"])
def test_whole_vectors_where_the_cpu_reads_them_at_full_speed(cpu: str) -> None:
    assert "zmm" in widths(cpu, avx512fp16=True)


def test_whole_vectors_where_llvm_takes_them() -> None:
    assert "zmm" in widths("znver4")


@pytest.mark.parametrize("cpu", ["skylake-avx512", "cascadelake", "icelake-server", "tigerlake", "rocketlake"])
def test_half_vectors_where_the_clock_falls(cpu: str) -> None:
    assert widths(cpu) == {"xmm", "ymm"}
