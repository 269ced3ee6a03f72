"""Plans prove their parameters by themselves; see `hostile_params`, which makes the calls in a process that may die."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import numgrad as ng
from numgrad.registry import OPS
from tests.ops import hostile_params

QUICK = (
    "as_strided",
    "gather",
    "index_select_backward",
    "max_pool2d_backward",
    "nll_loss_backward",
    "prod",
    "slice",
    "unbind",
)


def run(tmp_path: Path, names: tuple[str, ...], **environment: str) -> None:
    log = tmp_path / "call"
    done = subprocess.run(
        [sys.executable, "-m", "tests.ops.hostile_params", *names],
        env={**os.environ, "NUMGRAD_HOSTILE_LOG": str(log), **environment},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    last = log.read_text().strip() if log.exists() else "none"
    assert done.returncode == 0, (
        f"exit {done.returncode}, the last call: {last}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )


def test_some_ops_refuse_hostile_parameters(tmp_path: Path) -> None:
    run(tmp_path, QUICK)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_every_op_refuses_hostile_parameters(tmp_path: Path) -> None:
    run(tmp_path, ())


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_no_index_is_out_of_bounds(tmp_path: Path) -> None:
    run(tmp_path, QUICK, NUMGRAD_DEBUG="1")


def test_the_walk_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def unproved(b: Any, input: Any, dims: Any, keepdim: bool) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(OPS["prod"], "plan_function", unproved)
    OPS["prod"].plans.clear()
    op = OPS["prod"]
    assert hostile_params.fault(op, (ng.ones(3),), {"dims": (0,), "keepdim": False}) == "ZeroDivisionError: "


@pytest.mark.parametrize(
    ("name", "inputs", "params", "error"),
    [
        ("prod", (ng.zeros(0),), {"dims": (2, 1)}, IndexError),
        ("sum", (ng.ones(2, 3),), {"dims": (0, 0)}, RuntimeError),
        ("sum", (ng.ones(2, 3),), {"dims": (-1,)}, IndexError),
        ("sum", (ng.ones(2, 3),), {"dims": (1.0,)}, TypeError),
        ("sum", (None,), {"dims": ()}, TypeError),
        ("argmax", (ng.ones(2, 3),), {"dim": 2}, IndexError),
        ("softmax", (ng.ones(2, 3),), {"dim": -3}, IndexError),
        ("gather", (ng.ones(2, 3), ng.zeros(2, 3, dtype=ng.int64)), {"dim": 2}, IndexError),
        ("index_select_backward", (ng.ones(5, 3), ng.zeros(2, dtype=ng.int64)), {"size": (4, 3), "dim": 0}, RuntimeError),
        ("full", (), {"size": (2,), "dtype": "float32"}, TypeError),
        ("full", (), {"size": (2,), "value": "a"}, TypeError),
        ("full", (), {"size": (2,), "value": 2**70, "dtype": ng.int64}, RuntimeError),
        ("transpose", (ng.ones(2, 3),), {"dim0": 0, "dim1": 2}, IndexError),
        ("expand", (ng.ones(2, 3),), {"size": (3,)}, RuntimeError),
        ("as_strided", (ng.ones(6),), {"size": (2,), "strides": (3,), "offset": 3}, RuntimeError),
        ("layer_norm", (ng.ones(2, 3), None, None), {"normalized": -1}, ValueError),
        ("layer_norm", (ng.ones(2, 3), None, None), {"normalized": 3}, ValueError),
        ("conv2d_backward_input", (ng.ones(1, 2, 9, 9), ng.ones(2, 1, 3, 3)), {"size": (1, 1, 4, 4)}, RuntimeError),
        ("max_pool2d_backward", (ng.ones(1, 1, 9, 9), ng.zeros(1, 1, 9, 9, dtype=ng.int64)), {"size": (1, 1, 4, 4)}, RuntimeError),
        ("batch_norm_training", (ng.ones(4, 3), None, None, ng.ones(3), None), {}, ValueError),
        ("cat", (), {"dim": 0}, RuntimeError),
        ("stack", (ng.ones(2), None), {"dim": 0}, RuntimeError),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(name: str, inputs: Any, params: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        OPS[name](*inputs, **params)
