"""docs/glossary.md: each word is defined where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "glossary.md").read_text("utf-8")
ENTRIES = re.findall(r"^- \*\*(.+?)\*\*: (.*?)(?=^- \*\*|^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)


def test_there_are_entries() -> None:
    words = [word for word, _ in ENTRIES]
    assert len(words) >= 15
    assert len(set(words)) == len(words) == TEXT.count("- **")


@pytest.mark.parametrize(("word", "text"), ENTRIES, ids=[word for word, _ in ENTRIES])
def test_the_word_is_defined_there(word: str, text: str) -> None:
    match = re.search(r"\(`(numgrad/\S+\.py)`:\s+`(\w+)`\)\s*$", text)
    assert match, f"{word}: the entry does not end with a file and a name in it"
    path, name = match.groups()
    assert re.search(rf"\b{name}\b", (ROOT / path).read_text("utf-8")), f"{word}: {path} has no {name}"
