"""The benchmarks' results: what is written from them, without running any."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import report  # noqa: E402
from benchmarks.sections import SECTIONS, Row  # noqa: E402


def results() -> dict[str, object]:
    rows = [
        Row("training step", "tiny", "ms", {"torch": 30.0, "torch channels_last": 20.0, "numgrad": 10.0}, plotted=True),
        Row("matrix products", "8 x 8", "GFLOP/s", {"torch": 100.0, "numgrad": 50.0}, more_is_better=True),
        Row("start", "alone", "s", {"numgrad": 1.0}),
    ]
    machine = {"cpu": "a CPU", "cpus": 2, "python": "3", "numgrad": "1", "torch": None}
    kernel = {"launches": 2, "seconds": 1e-3, "operations": 1e6, "bytes": 2e6, "limit_seconds": 5e-4, "share": 0.5}
    roofline = {"a step, 1 × 64²": {"limits": {"flops": 1e11, "bytes": 1e10}, "kernels": {"sgd": kernel}}}
    sections = {
        "step": {"rows": [vars(row) for row in rows], "raw": {}, "seconds": 80.0},
        "roofline": {"rows": [], "raw": roofline, "seconds": 40.0},
    }
    return {"machine": machine, "quick": True, "sections": sections, "failed": []}


def test_ratios_say_how_many_times_better_numgrad_is() -> None:
    less, more, alone = report.rows_of(results()).values()
    assert less[0].ratios == {"torch": 3.0, "best": 2.0}
    assert more[0].ratios == {"torch": 0.5, "best": 0.5}
    assert alone[0].ratios == {}


def test_the_table_has_every_row_and_every_kernel() -> None:
    text = report.as_markdown(results(), picture=None)
    assert "| tiny | ms | 30 | 20 | 10 | 3.00 | 2.00 |" in text
    assert "| alone | s | 1 |" in text
    assert "| sgd | 2 | 1.000 | 1.0 | 2.0 | 0.50 |" in text
    assert "a CPU, 2 CPUs; Python 3, numgrad 1" in text
    assert "in 2 minutes" in text


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert report.draw(results(), tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    assert not report.draw({**results(), "sections": {}}, tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()


def test_the_command_lists_what_there_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    listed = {line.split()[3] for line in done.stdout.splitlines()}
    assert listed >= {
        "train_step",
        "conv",
        "gemm",
        "memory",
        "overhead",
        "startup",
        "busy_neighbour",
        "loops",
        "overwritten",
        "recurrent",
        "roofline",
        "transformer_step",
    }
    assert set(SECTIONS) >= {"step", "conv", "gemm", "memory", "overhead", "startup", "busy", "checkpoint", "roofline"}


@pytest.mark.skipif(not (ROOT / "docs/benchmarks/results.json").exists(), reason="nothing was measured yet")
def test_the_published_table_is_made_from_the_published_numbers() -> None:
    place = ROOT / "docs" / "benchmarks"
    published = json.loads((place / "results.json").read_text())
    assert (place / "results.md").read_text() == report.as_markdown(published, picture="results.svg")
