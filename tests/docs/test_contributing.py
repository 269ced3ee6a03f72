"""CONTRIBUTING.md: its op in twelve lines is one, and passes the tests that its rows drive."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import numgrad as ng
from numgrad.registry import OPS
from tests.ops import rows, test_backward, test_forward

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SPEC, ROWS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_op_takes_twelve_lines() -> None:
    lines = [line for line in SPEC.splitlines() if line.strip() and not re.match(r"(import|from) ", line)]
    assert len(lines) + len([line for line in ROWS.splitlines() if line.startswith(("good", "bad"))]) <= 12


def test_the_op_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SAMPLES", {})
    monkeypatch.setattr(rows, "REFUSALS", {})
    path = tmp_path / "page.py"  # a file, since the source of a formula is read
    path.write_text(SPEC + ROWS)
    try:
        exec(compile(path.read_text(), str(path), "exec"), {"__name__": "page"})
        (sample,), (refusal,) = rows.SAMPLES["softsign"], rows.REFUSALS["softsign"]
        for dtype in ("float64", "float32"):
            test_forward.test_forward_is_the_oracle_and_operands_stay(sample, dtype)
        for layout in test_forward.LAYOUTS:
            test_forward.test_layouts_do_not_matter(sample, layout)
        test_forward.test_what_is_wrong_is_refused_before_anything_changes(refusal)
        test_backward.test_finite_differences(sample)
        test_backward.test_second_derivatives(sample)
        test_backward.test_the_fused_backward_is_the_composite_rule(sample)
        x = ng.randn(3, dtype=ng.float64, requires_grad=True)
        assert ng.autograd.gradcheck(OPS["softsign"], x)
    finally:
        OPS.pop("softsign", None)


def test_every_link_and_path_is_there() -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", PAGE):
        assert (ROOT / path).exists(), path
    for folder in ("numgrad/ops", "tests/ops", ".ci/run"):
        assert (ROOT / folder).exists()
