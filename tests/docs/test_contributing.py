"""CONTRIBUTING.md: its op and layer take fourteen lines, pass the tests that the rows drive, and are public everywhere."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numgrad as ng

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SPEC, LAYER, ROWS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

# In a process of its own, with a copy of the package to which the page's text was added.
USE = """
import sys, types
import numpy as np
import numgrad as ng
from numgrad.nn import functional as F
from tests.ops import rows, rows_of_the_page, test_backward, test_forward

(sample,), (refusal,) = rows.SAMPLES["squash"], rows.REFUSALS["squash"]
for dtype in ("float64", "float32"):
    test_forward.test_forward_is_the_oracle_and_operands_stay(sample, dtype)
for layout in test_forward.LAYOUTS:
    test_forward.test_layouts_do_not_matter(sample, layout)
test_forward.test_what_is_wrong_is_refused_before_anything_changes(refusal)
test_backward.test_finite_differences(sample)
test_backward.test_second_derivatives(sample)
test_backward.test_the_fused_backward_is_the_composite_rule(sample)

x = ng.tensor([1.0, -3.0], dtype=ng.float64, requires_grad=True)
for y in (ng.squash(x), x.squash(), F.squash(x), ng.nn.Squash()(x), ng.ops.elementwise.squash(x)):
    assert y.tolist() == [0.5, -0.75], y
assert ng.autograd.gradcheck(ng.squash, x) and ng.autograd.gradgradcheck(ng.squash, x)
primal, tangent = ng.func.jvp(ng.squash, (x.detach(),), (ng.ones(2, dtype=ng.float64),))
assert np.allclose(tangent.numpy(), [0.25, 1 / 16])
assert ng.func.vmap(ng.squash)(x.detach().reshape(2, 1)).shape == (2, 1)
assert "ng.squash(" in ng.squash.__doc__
print("public")
"""


def test_the_op_and_its_layer_take_fourteen_lines() -> None:
    docstrings = sum(
        len(node.value.splitlines())
        for text in (SPEC, LAYER)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    )
    written = [line for line in (SPEC + LAYER).splitlines() if line.strip() and not re.match(r"(import|from) ", line)]
    rows = [line for line in ROWS.splitlines() if line.startswith(("good", "bad"))]
    assert len(written) - docstrings + len(rows) <= 14


def test_the_op_passes_and_is_public(tmp_path: Path) -> None:
    for folder in ("numgrad", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "numgrad/ops/elementwise/activation.py").open("a") as file:
        file.write(SPEC)
    layers = tmp_path / "numgrad/nn/activation.py"
    layers.write_text(layers.read_text("utf-8").replace("__all__ = [", '__all__ = ["Squash", ', 1) + LAYER, "utf-8")
    (tmp_path / "tests/ops/rows_of_the_page.py").write_text(ROWS, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", USE], capture_output=True, text=True, cwd=tmp_path, timeout=600, env=environment
    )
    assert done.stdout.strip() == "public", done.stderr


def test_every_link_and_path_is_there() -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", PAGE):
        assert (ROOT / path).exists(), path
    for folder in ("numgrad/ops", "tests/ops", ".ci/run"):
        assert (ROOT / folder).exists()


def test_the_page_is_about_this_package() -> None:
    assert not hasattr(ng, "squash")
