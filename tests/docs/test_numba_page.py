"""docs/numba.md shows the tables of `numgrad.runtime.numba_changes`; ``python -m tests.docs.test_numba_page`` writes them."""

from __future__ import annotations

import re
from pathlib import Path

from numgrad.runtime.numba_changes import CHANGES, NEEDED

PAGE = Path(__file__).parents[2] / "docs" / "numba.md"


def _link(module: str, path: str) -> str:
    file = "numba/__init__.py" if module == "numba" else f"{module.replace('.', '/')}.py"
    package = module.partition(".")[0]
    return f"[`{module}.{path}`](https://github.com/numba/{package}/blob/main/{file})"


def _table(*rows: tuple[str, ...]) -> str:
    head, *rest = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rest))


def written(text: str) -> str:
    """The page with the tables as they are in the code."""
    changes = _table(
        ("what is changed", "which is in Numba", "why that is valid", "it can go when"),
        *((c.what, "<br>".join(_link(p.module, p.path) for p in c.places), c.why, c.until) for c in CHANGES),
    )
    needed = _table(("what is needed", "what for"), *((_link(m, p), what_for) for m, p, what_for in NEEDED))
    for name, table in (("changes", changes), ("needed", needed)):
        text, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\1{table}\n\2", text, flags=re.DOTALL)
        assert count == 1, name
    return text


def test_the_page_shows_the_tables():
    text = PAGE.read_text("utf-8")
    assert text == written(text)
    assert text.count("\n| the pass ") == 11


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
