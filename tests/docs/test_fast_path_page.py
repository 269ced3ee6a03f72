"""docs/fast-path.md: its links and files are there, and its switch does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from numgrad.runtime.fast import layout
from tests.runtime import processes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fast-path.md"
TEXT = PAGE.read_text("utf-8")


def test_links_and_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    files = [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]
    package = ROOT / "numgrad" / "runtime" / "fast"
    assert links
    assert all((PAGE.parent / link).exists() for link in links)
    assert {*files, "__init__.py"} == {path.name for path in package.glob("*.py")}


def test_limits() -> None:
    assert f"more than {layout.MOST_INPUTS} inputs or {layout.MOST_OPERANDS} operands" in " ".join(TEXT.split())


def test_the_switch() -> None:
    code = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    script = f"""
import numgrad as ng
from numgrad.engine import dispatch
{code}
seen = []
dispatched = dispatch._dispatch
dispatch._dispatch = lambda op, inputs, params: seen.append(op.name) or dispatched(op, inputs, params)
x = ng.ones(2, requires_grad=True)
for _ in range(2):
    (x * x).sum().backward()
print(seen.count("mul") >= 2, x.grad.tolist())
"""
    assert processes.output(script) == "True [4.0, 4.0]\n"
