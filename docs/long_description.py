"""The README as a package index shows it: a page of its own, where links into the repository lead nowhere.

A build hook of hatchling's (pyproject.toml names it). Relative pictures are left out, of relative links the words stay;
absolute ones are kept. Nothing of it has to be remembered when the README changes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_ELSEWHERE = r"(?:[a-z]+:|#)"  # a URL, or a heading of the same page
_PICTURE = re.compile(rf"^!\[[^\]]*\]\((?!{_ELSEWHERE})[^)]*\)\n*", re.MULTILINE)
_LINK = re.compile(rf"(?<!!)\[([^\]]+)\]\((?!{_ELSEWHERE})[^)]*\)")


def for_index(text: str) -> str:
    """A Markdown text without what only its repository has.

    >>> for_index("See [docs/a.md](docs/a.md), [Numba](https://numba.org).\\n\\n![x](docs/a.svg)\\n\\nMore.")
    'See docs/a.md, [Numba](https://numba.org).\\n\\nMore.'
    """
    return _LINK.sub(r"\1", _PICTURE.sub("", text))


class LongDescription(MetadataHookInterface):
    """Puts the text into the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the field ``readme``, which pyproject.toml calls dynamic."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_index(text)}
