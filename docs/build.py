"""Build the site and check it: ``python docs/build.py [FOLDER]`` (`pip install -e '.[docs]'`; default docs/_build/html).

Warnings are errors. Then every link inside of the site has to lead to a page and to a heading or name in it, nothing may be fetched
from elsewhere, and every public name has to be described in the reference.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ROOT = Path(__file__).resolve().parents[1]
# Modules that are the machine's inside, or are described where their names are taken up (numgrad.dtypes in numgrad, and so on).
INSIDE = {
    "accelerator", "backends", "command", "cli", "compile", "config", "cpu", "cuda", "devices", "dtypes", "engine", "files",
    "kernels", "layout", "loops", "mps", "node_types", "random", "registry", "runtime", "serialization", "symbols", "tensor",
    "utils", "__main__",
}  # fmt: skip


class _Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") == "stylesheet":
            self.loads.append(given["href"])
        elif tag in ("img", "script") and "src" in given:
            self.loads.append(given["src"])


def broken_links(folder: Path) -> list[str]:
    """Each link that leads nowhere, and each file that a page would have to fetch, with its page."""
    pages = {path: _Page(path) for path in sorted(folder.rglob("*.html"))}
    problems = []
    for path, page in pages.items():
        for target in page.loads:
            if "://" in target or target.startswith("//"):
                problems.append(f"{path.relative_to(folder)}: fetches {target}")
            elif not (path.parent / unquote(target.partition("?")[0])).exists():
                problems.append(f"{path.relative_to(folder)}: {target} is not there")
        for target in page.links:
            file, anchor = urldefrag(target)
            if "://" in file or file.startswith("mailto:"):
                continue
            goal = (path.parent / unquote(file)).resolve() if file else path
            if not goal.exists():
                problems.append(f"{path.relative_to(folder)}: {target} leads nowhere")
            elif anchor and goal in pages and unquote(anchor) not in pages[goal].anchors:
                problems.append(f"{path.relative_to(folder)}: {target} has no such place")
    return problems


def undescribed(folder: Path) -> list[str]:
    """Each public name that the reference does not have, or that has no text."""
    from sphinx.util.inventory import InventoryFile

    sys.path.insert(0, str(ROOT / "docs"))
    modules = importlib.import_module("conf").MODULES
    inventory = InventoryFile.load((folder / "objects.inv").open("rb"), "", lambda base, path: path)
    described = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    numgrad = importlib.import_module("numgrad")
    problems = [
        f"numgrad.{each.name} is in no page of the reference, nor among what is inside (docs/conf.py, docs/build.py)"
        for each in pkgutil.iter_modules(numgrad.__path__)
        if each.name not in INSIDE and f"numgrad.{each.name}" not in modules
    ]
    objects = {}
    for name in modules:
        module = importlib.import_module(name)
        for each in module.__all__:
            value = getattr(module, each)
            if each.startswith("__"):
                continue
            if not isinstance(value, type) and not inspect.isroutine(value):
                continue  # numbers, dtypes, modules
            if not (value.__module__ or "").startswith("numgrad"):
                continue  # NumPy's own, in numgrad.numpy
            if f"{name}.{each}" in described:
                objects[id(value)] = name
            elif id(value) not in objects and value is not numgrad.Tensor:
                problems.append(f"{name}.{each} is not in the reference")
            if not (value.__doc__ or "").strip():
                problems.append(f"{name}.{each} has no docstring")
    return problems


def main() -> int:
    """Run the command; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "_build" / "html")
    folder = parser.parse_args().folder
    from sphinx.cmd.build import main as build

    if build(["-W", "--keep-going", "-q", "-b", "html", str(ROOT / "docs"), str(folder)]):
        return 1
    problems = [*broken_links(folder), *undescribed(folder)]
    print(
        "\n".join(problems)
        or f"{folder}: {sum(1 for _ in folder.rglob('*.html'))} pages, every link and public name checked"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
