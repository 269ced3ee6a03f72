"""How Sphinx builds the site: the pages of this folder, and a reference made from the docstrings.

CONTRIBUTING.md has the command. Each page of the reference is written here, into docs/reference (which git ignores), from the table
of public modules, and has all names of the module's ``__all__``; tests/docs/test_site.py asks whether a public name is missing.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import numgrad

project = "numgrad"
author = copyright = "the numgrad contributors"
version = release = numgrad.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
nitpicky = False
myst_heading_anchors = 3
default_role = "py:obj"
# Signatures are read at a glance; what an argument may be is said in words.
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
html_theme = "furo"
html_title = "numgrad"
html_show_sourcelink = False
html_copy_source = False

# The public modules, as pages of the reference, in the order of the contents.
MODULES = {
    "numgrad": "functions, dtypes, modes",
    "numgrad.nn": "layers",
    "numgrad.nn.functional": "layers as functions, losses",
    "numgrad.nn.init": "initial values",
    "numgrad.nn.utils": "norms of gradients, parametrizations, pruning, padded sequences",
    "numgrad.nn.parallel": "data parallel training",
    "numgrad.optim": "optimizers",
    "numgrad.optim.lr_scheduler": "schedules of learning rates",
    "numgrad.autograd": "gradients, functions with their own backward",
    "numgrad.autograd.functional": "Jacobians and products, of functions of tensors",
    "numgrad.autograd.forward_ad": "forward mode",
    "numgrad.autograd.graph": "nodes, hooks, saved tensors",
    "numgrad.func": "transforms of functions",
    "numgrad.linalg": "linear algebra",
    "numgrad.special": "special functions",
    "numgrad.signal": "windows",
    "numgrad.distributions": "random variables",
    "numgrad.numpy": "NumPy's names, differentiable",
    "numgrad.array_api": "the array API standard",
    "numgrad.scipy": "SciPy's solvers",
    "numgrad.implicit": "gradients of solutions",
    "numgrad.utils.data": "datasets and loaders",
    "numgrad.utils.checkpoint": "memory for time",
    "numgrad.utils.tensorboard": "TensorBoard's files",
    "numgrad.datasets": "data sets of images",
    "numgrad.transforms": "changes of images",
    "numgrad.models": "networks for images",
    "numgrad.weights": "pretrained weights",
    "numgrad.viz": "pictures",
    "numgrad.profiler": "times of ops",
    "numgrad.distributed": "several processes",
    "numgrad.amp": "scaled losses",
    "numgrad.quasirandom": "Sobol's points",
    "numgrad.testing": "comparisons",
    "numgrad.ops": "what ops are made of",
    "numgrad.errors": "exceptions",
}
_REFERENCE = Path(__file__).parent / "reference"


# Classes of another package, whose texts are for another tool.
_WITHOUT_MEMBERS = {"numgrad.utils.tensorboard": ["SummaryWriter"]}
_TENSOR = "numgrad.Tensor"


def write_reference(app: Any) -> None:
    """Write the reference's pages; a page that has not changed keeps its time, so that it is not read again."""
    pages: dict[str, str] = {}
    documented = {id(numgrad.Tensor): f"{_TENSOR} itself"}  # which has a page of its own
    for name, words in MODULES.items():
        pages[f"{name}.rst"] = _title(name, words) + _page(name, documented)
    pages[f"{_TENSOR}.rst"] = _title(_TENSOR, "the tensor") + f".. autoclass:: {_TENSOR}\n   :members:\n"
    order = ["numgrad", _TENSOR, *[name for name in MODULES if name != "numgrad"]]
    listed = "".join(f"   {name}\n" for name in order)
    pages["index.rst"] = _title("Reference") + f".. toctree::\n   :maxdepth: 1\n\n{listed}"
    _REFERENCE.mkdir(exist_ok=True)
    for path in _REFERENCE.glob("*.rst"):
        if path.name not in pages:
            path.unlink()
    for file, text in pages.items():
        path = _REFERENCE / file
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def _title(name: str, words: str = "") -> str:
    title = f"{name}: {words}" if words else name
    return f"{title}\n{'=' * len(title)}\n\n"


def _page(name: str, documented: dict[int, str]) -> str:
    """A module's text and what is public in it; what an earlier page has is only linked to."""
    module = importlib.import_module(name)
    elsewhere = []
    # One by one: those without their members, and those that the module imports when they are asked for.
    lazy = [each for each in module.__all__ if each not in vars(module) and callable(getattr(module, each))]
    bare = _WITHOUT_MEMBERS.get(name, []) + lazy
    foreign = []  # NumPy's own names and ufuncs: docs/numpy-functions.md has them
    for each in module.__all__:
        value = getattr(module, each)
        is_plain = not isinstance(value, type) and not inspect.isroutine(value)
        if name == "numgrad.numpy" and (is_plain or not (value.__module__ or "").startswith("numgrad")):
            foreign.append(each)
        elif not is_plain:
            before = documented.setdefault(id(value), f"{name}.{each}")
            if before != f"{name}.{each}":
                elsewhere.append((each, before))
    bare = [each for each in bare if each not in dict(elsewhere) and each not in foreign]
    left_out = [each for each, _ in elsewhere] + bare + foreign
    text = f".. automodule:: {name}\n   :members:\n"
    if left_out:
        text += f"   :exclude-members: {', '.join(left_out)}\n"
    for each in bare:
        kind = "autoclass" if isinstance(getattr(module, each), type) else "autofunction"
        text += f"\n.. {kind}:: {name}.{each}\n"
    if elsewhere:
        text += "\nAlso here, and described elsewhere: "
        text += ", ".join(f":py:obj:`{each} <{before.split()[0]}>`" for each, before in elsewhere) + ".\n"
    return text


_CODE = re.compile(r"(``.*?``|`[^`]*`)")
_NAMES = re.compile(r"\*{0,2}\w+(, \*{0,2}\w+)*")


def plain_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """A docstring as it is meant: ``*`` and ``|`` are products, arguments and magnitudes, never markup.

    A heading comes before the first example: after a section, its lines would else be read as part of that.
    """
    first = next((n for n, line in enumerate(lines) if line.startswith(">>>")), len(lines))
    for n, line in enumerate(lines[:first]):
        if not _NAMES.fullmatch(line):  # of parameters, which are known to be names
            parts = _CODE.split(line)
            parts[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in parts[::2]]
            lines[n] = "".join(parts)
    if first < len(lines) and any(line and set(line) == {"-"} for line in lines[:first]):
        lines[first:first] = ["Examples", "--------"]


_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]*)(?:#[^)]*)?\)")


def without_links_out(app: Any, page: str, source: list[str]) -> None:
    """Of a link to a folder or a page outside of this one, which the site does not have, the words stay."""
    here = (Path(__file__).parent / page).parent

    def shown(link: re.Match[str]) -> str:
        goal = (here / link[2]).resolve()
        inside = goal.is_relative_to(Path(__file__).resolve().parent)
        return link[0] if inside or (goal.is_file() and goal.suffix != ".md") else link[1]

    source[0] = _LINK.sub(shown, source[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", without_links_out)
    app.connect("builder-inited", write_reference)
    app.connect("autodoc-process-docstring", plain_text, priority=400)  # before napoleon
