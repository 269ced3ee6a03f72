"""``numgrad warmup``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import numgrad, one_line, report


def test_after_it_a_training_step_compiles_nothing() -> None:
    done = numgrad("warmup", "--json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)
    assert first["kernels"] > 30
    assert first["compiled"] <= first["kernels"]
    assert report("--steps", "2")["compiled"] == {"kernels": 0, "seconds": 0.0}
    again = numgrad("warmup", "--jobs", "1")
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert f"all {first['kernels']} kernels are in {first['store']}" in again.stdout


def test_it_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    assert "resnet17" in one_line(numgrad("warmup", "--model", "resnet17"), 2)
    assert "expected an integer from 1 to 64" in one_line(numgrad("warmup", "--jobs", "0"), 2)
    assert one_line(numgrad("warmup", "--image-size", "1"), 2).startswith("numgrad warmup: ")


@pytest.mark.parametrize("place", ["off", "/proc/nothing"])
def test_without_a_store_it_says_so(place: str) -> None:
    line = one_line(numgrad("warmup", NUMGRAD_KERNEL_STORE=place), 4)
    assert line.startswith("numgrad warmup: there is no store to compile into: ")
