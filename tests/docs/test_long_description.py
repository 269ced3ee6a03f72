"""What a package index shows of the README: nothing that leads nowhere there."""

from __future__ import annotations

import re
import sys
import tomllib
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.runtime.processes import ROOT


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the build hook's file; hatchling, which is there only when a package is built, is a stand-in."""
    interface = ModuleType("hatchling.metadata.plugin.interface")
    interface.MetadataHookInterface = object  # type: ignore[attr-defined]
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert settings["project"]["dynamic"] == ["readme"]
    path = ROOT / settings["tool"]["hatch"]["metadata"]["hooks"]["custom"]["path"]
    names: dict[str, Any] = {"__name__": "hook"}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), names)
    return names


def test_no_relative_link_and_no_relative_picture(hook: dict[str, Any]) -> None:
    metadata: dict[str, Any] = {}
    hook["LongDescription"].update(SimpleNamespace(root=str(ROOT)), metadata)
    text = metadata["readme"]["text"]
    assert metadata["readme"]["content-type"] == "text/markdown"
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert targets
    assert all(target.startswith("https://") for target in targets)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert text.count("```") == readme.count("```")
    assert "docs/adding-an-op.md" in text  # the words of a link stay
    assert 0.9 * len(readme) < len(text) < len(readme)


def test_what_is_kept(hook: dict[str, Any]) -> None:
    convert = hook["for_index"]
    kept = "[a](https://x.y) ![p](https://x.y/p.svg) [h](#heading) [m](mailto:a@b.c)"
    assert convert(kept) == kept
    assert convert("[a](b.md)[c](d/e.md)") == "ac"
    assert convert("![p](p.svg)\n\nText") == "Text"
