"""Each page's blocks of Python run, in order, as one program; what its sessions print is what numgrad prints."""

from __future__ import annotations

import doctest
import linecache
import re
import warnings
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
# Pages with blocks that tests of their own run.
ELSEWHERE = {
    "adding-an-op", "distributed", "fast-path", "glossary", "loops", "models", "numba", "one-backward", "seeing", "weights",
}  # fmt: skip
# Pages whose blocks show a form and are no program: names in them stand for the reader's.
FORMS = {"replay"}
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"^```pycon\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = {"scipy": "scipy"}
TEXTS = {path.stem: path.read_text("utf-8") for path in sorted(DOCS.glob("*.md"))}
PROGRAMS = [name for name, text in TEXTS.items() if BLOCK.search(text) and name not in ELSEWHERE | FORMS]


def test_every_page_with_code_is_tested() -> None:
    tests = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    for name in ELSEWHERE:
        own = f"test_{name.replace('-', '_')}"
        assert any(each.startswith(own) for each in tests) or name in ("adding-an-op", "numba"), name
    assert {"quickstart", "tutorial", "training", "numerics", "performance", "moving", "scipy"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name: str) -> None:
    for module in NEEDS.get(name, "").split():
        pytest.importorskip(module)
    text, file = "\n".join(BLOCK.findall(TEXTS[name])), f"<docs/{name}.md>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # where functions' texts are read
    exec(compile(text, file, "exec"), {"__name__": name})


@pytest.mark.parametrize(
    "name", [name for name, text in TEXTS.items() if SESSION.search(text) and name not in ELSEWHERE]
)
def test_a_session(name: str) -> None:
    text = "\n".join(SESSION.findall(TEXTS[name]))
    session = doctest.DocTestParser().get_doctest(text, {}, name, f"docs/{name}.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out: list[str] = []
        failed = runner.run(session, out=out.append).failed
    assert not failed, "".join(out)


@pytest.mark.parametrize("name", list(TEXTS))
def test_links(name: str) -> None:
    for path in re.findall(r"\]\(((?!https?:|#)[^)#\s]+)", TEXTS[name]):
        assert (DOCS / path).exists(), path
