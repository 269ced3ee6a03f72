"""The table of pretrained weights: an `Entry` for each set, with the addresses of its files and their hashes.

The data are in the repository's top-level ``weights/`` folder, which a wheel carries as ``numgrad/weights/_registry``.
Nothing here touches the network or the cache; `store` and `cache` do.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from numgrad.weights.errors import UnknownWeightsError, WeightsError

SCHEMA = 1
FORMATS = ("torch-zip", "torch-legacy", "safetensors")
_PREPROCESSING = ("resize", "crop", "interpolation", "mean", "std")


@dataclass(frozen=True)
class Source:
    """One file that holds the weights. Its URLs all serve the same bytes.

    ``size`` is in bytes. Without ``size_exact`` it comes from a figure in MiB with three decimals. ``sha256`` is None
    where only the eight digits in the file's name are known.
    """

    file: str
    format: str
    size: int
    size_exact: bool
    urls: tuple[str, ...]
    sha256: str | None = None


@dataclass(frozen=True)
class Preprocessing:
    """How to prepare an image for the model. Sizes are in pixels, the channels are RGB."""

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Entry:
    """One set of pretrained weights. ``acc1`` and ``acc5`` are in per cent, ``gmacs`` counts one image.

    ``min_size`` is the height and width of the smallest images that the model takes, in pixels.
    """

    name: str
    torchvision: str
    model: str
    default: bool
    parameters: int
    acc1: float
    acc5: float
    gmacs: float
    recipe: str
    dataset: str
    categories: str
    licence: str
    licence_file: str
    min_size: tuple[int, int]
    preprocessing: Preprocessing
    sources: tuple[Source, ...]

    @property
    def usable(self) -> tuple[Source, ...]:
        """The sources whose full hash is known, best first. numgrad downloads and loads no others."""
        return tuple(source for source in self.sources if source.sha256)

    @property
    def verified(self) -> bool:
        """Whether at least one source has a full hash."""
        return bool(self.usable)


def data_folder() -> Traversable:
    """The folder of the registry's data: in the installed package or, in a checkout, beside it.

    Raises
    ------
    WeightsError
        Neither folder exists: the installation is incomplete.
    """
    installed = resources.files("numgrad.weights") / "_registry"
    checkout = Path(__file__).resolve().parents[2] / "weights"
    for folder in (installed, checkout):
        if (folder / "registry.toml").is_file():
            return folder
    raise WeightsError(f"this installation of numgrad lacks its weights registry: neither {installed} nor {checkout}")


@functools.cache
def table() -> dict[str, Entry]:
    """Every entry by its name, in the registry's order; read once."""
    return {entry.name: entry for entry in read((data_folder() / "registry.toml").read_text(encoding="utf-8"))}


def read(text: str) -> tuple[Entry, ...]:
    """Parse a registry.

    Raises
    ------
    WeightsError
        The text is not a registry of this schema. The message names the row and the field.
    """
    data = tomllib.loads(text)
    if data.get("schema") != SCHEMA:
        raise WeightsError(f"weights registry: schema is {data.get('schema')}, this numgrad reads {SCHEMA}")
    common = data.get("common", {})
    return tuple(_entry({**common, **row}) for row in data.get("weights", ()))


def _entry(row: dict[str, Any]) -> Entry:
    try:
        sources = tuple(Source(**{**source, "urls": tuple(source["urls"])}) for source in row.pop("sources"))
        images = {field: row.pop(field) for field in _PREPROCESSING}
        preprocessing = Preprocessing(**{**images, "mean": tuple(images["mean"]), "std": tuple(images["std"])})
        height, width = row.pop("min_size")
        return Entry(**row, min_size=(height, width), sources=sources, preprocessing=preprocessing)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"weights registry: row {row.get('name')!r}: {error}") from error


def list_weights() -> tuple[Entry, ...]:
    """Every set of weights in the table, including those that are not yet verified.

    >>> [entry.name for entry in list_weights()][:2]
    ['resnet18.imagenet1k_v1', 'resnet34.imagenet1k_v1']
    """
    return tuple(table().values())


def entry(name: str) -> Entry:
    """The entry with a name: ``resnet18.imagenet1k_v1``, torchvision's spelling of it, or a model's name for its default.

    Raises
    ------
    UnknownWeightsError
        There is no such entry. The message suggests the nearest names.

    Examples
    --------
    >>> entry("resnet18").name, entry("ResNet50_Weights.IMAGENET1K_V1").name
    ('resnet18.imagenet1k_v1', 'resnet50.imagenet1k_v1')
    """
    # From torchvision's spelling, `Wide_ResNet50_2_Weights.IMAGENET1K_V1`, to ours, `wide_resnet50_2.imagenet1k_v1`.
    key = name.strip().lower().replace("_weights.", ".").removesuffix("_weights").removesuffix(".default")
    if match := table().get(key):
        return match
    models = {each.model: each for each in list_weights() if each.default}
    if match := models.get(key):
        return match
    import difflib

    near = difflib.get_close_matches(key, [*models, *table()], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"models with weights: {', '.join(models)}"
    raise UnknownWeightsError(f"no pretrained weights are called {name!r}; {hint}")


@functools.lru_cache(maxsize=8)
def _lines(file: str) -> tuple[str, ...]:
    return tuple((data_folder() / file).read_text(encoding="utf-8").splitlines())


def categories(name: str) -> tuple[str, ...]:
    """The names of the classes, in the order of the model's outputs.

    Raises
    ------
    UnknownWeightsError
        There are no weights with this name.

    Examples
    --------
    >>> len(categories("resnet18")), categories("resnet18")[207]
    (1000, 'golden retriever')
    """
    return _lines(entry(name).categories)
