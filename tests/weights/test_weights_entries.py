"""The registry's data are complete and consistent, and names are understood."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from weights_loopback import ROOT

from numgrad import weights
from numgrad.weights import entries

ENTRIES = weights.list_weights()
SOURCES = [source for entry in ENTRIES for source in entry.sources]

# What torchvision publishes for its residual networks: number of parameters, and the versions it has.
MODELS = {
    "resnet18": (11_689_512, "v1"),
    "resnet34": (21_797_672, "v1"),
    "resnet50": (25_557_032, "v1 v2"),
    "resnet101": (44_549_160, "v1 v2"),
    "resnet152": (60_192_808, "v1 v2"),
    "resnext50_32x4d": (25_028_904, "v1 v2"),
    "resnext101_32x8d": (88_791_336, "v1 v2"),
    "resnext101_64x4d": (83_455_272, "v1"),
    "wide_resnet50_2": (68_883_240, "v1 v2"),
    "wide_resnet101_2": (126_886_696, "v1 v2"),
}
SWAG = "CC-BY-NC-4.0"  # of weights that were trained first on other pictures than ImageNet's


def test_every_torchvision_resnet_is_listed() -> None:
    expected = {f"{model}.imagenet1k_{v}": p for model, (p, versions) in MODELS.items() for v in versions.split()}
    assert {entry.name: entry.parameters for entry in ENTRIES if entry.model in MODELS} == expected


def test_how_many_there_are() -> None:
    assert len(ENTRIES) == 107
    assert sum(entry.verified for entry in ENTRIES) == 34
    assert sum(entry.licence == SWAG for entry in ENTRIES) == 12


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_row_is_well_formed(entry: weights.Entry) -> None:
    assert entry.torchvision.lower().replace("_weights", "") == entry.name
    assert entry.name.startswith(entry.model + ".")
    assert 50 < entry.acc1 < entry.acc5 < 100
    assert 0.03 < entry.gmacs < 1020
    assert entry.recipe.startswith("https://github.com/")
    if "swag" in entry.name:
        assert (entry.licence, entry.verified) == (SWAG, False)
        assert entry.licence_file.startswith("https://github.com/facebookresearch/SWAG/")
    else:
        assert entry.licence == "BSD-3-Clause"
        assert (entries.data_folder() / entry.licence_file).is_file()
    assert len(weights.categories(entry.name)) == 1000
    images = entry.preprocessing
    assert images.interpolation in ("bilinear", "bicubic")
    assert 0 < entry.min_size[0] == entry.min_size[1] <= images.crop <= images.resize <= 600
    if entry.model in MODELS:
        assert (images.crop, images.interpolation) == (224, "bilinear")
        assert images.resize == (232 if entry.name.endswith("v2") or "64x4d" in entry.name else 256)
    if entry.name != "efficientnet_v2_l.imagenet1k_v1":  # whose images are only scaled
        assert images.mean == (0.485, 0.456, 0.406)
        assert images.std == (0.229, 0.224, 0.225)
    assert entry.sources


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.file)
def test_source_is_well_formed(source: weights.Source) -> None:
    assert re.fullmatch(r"[a-z0-9_.-]+-[0-9a-f]{8,10}\.(pth|safetensors)", source.file)
    assert source.format in entries.FORMATS
    assert (source.format == "safetensors") == source.file.endswith(".safetensors")
    assert source.size > 0
    assert source.urls
    assert all(url.startswith("https://") for url in source.urls)
    if source.sha256 is not None:
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
        assert source.sha256[:8] in source.file


def test_size_fits_the_number_of_parameters() -> None:
    for entry in ENTRIES:
        for source in entry.sources:
            # Wide-ResNet V1 keeps float16. Buffers and headers add some per cent to small files of many layers, and the
            # further classifiers of GoogLeNet are not counted.
            width = 2 if source.format == "torch-legacy" and entry.model.startswith("wide") else 4
            most = 1.01 if entry.model in MODELS else 2 if entry.model == "googlenet" else 1.07
            assert width * entry.parameters < source.size < width * entry.parameters * most


def test_names_files_and_hashes_are_unique() -> None:
    for values in (
        [entry.name for entry in ENTRIES],
        [entry.torchvision for entry in ENTRIES],
        [source.file for source in SOURCES],
        [source.sha256 for source in SOURCES if source.sha256],
        [url for source in SOURCES for url in source.urls],
    ):
        assert len(values) == len(set(values))


def test_each_model_has_one_default_the_newest() -> None:
    defaults = {entry.model: entry.name for entry in ENTRIES if entry.default}
    for model, (_, versions) in MODELS.items():
        assert defaults[model] == f"{model}.imagenet1k_{versions.split()[-1]}"
    assert len(defaults) == sum(entry.default for entry in ENTRIES) == len({entry.model for entry in ENTRIES})


def test_sources_of_copies_are_pinned_to_a_revision() -> None:
    for source in SOURCES:
        if source.format == "safetensors":
            assert all(re.search(r"/resolve/[0-9a-f]{40}/", url) for url in source.urls)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("resnet18", "resnet18.imagenet1k_v1"),
        ("resnet50", "resnet50.imagenet1k_v2"),
        ("ResNet50_Weights.IMAGENET1K_V1", "resnet50.imagenet1k_v1"),
        ("ResNet50_Weights.DEFAULT", "resnet50.imagenet1k_v2"),
        ("resnet50.default", "resnet50.imagenet1k_v2"),
        ("ResNeXt101_64X4D_Weights.IMAGENET1K_V1", "resnext101_64x4d.imagenet1k_v1"),
        ("Wide_ResNet101_2_Weights", "wide_resnet101_2.imagenet1k_v2"),
        (" RESNET18.imagenet1k_V1 ", "resnet18.imagenet1k_v1"),
    ],
)
def test_names_are_understood(name: str, found: str) -> None:
    assert weights.entry(name).name == found


def test_unknown_names_are_refused_with_near_ones() -> None:
    with pytest.raises(weights.UnknownWeightsError, match=r"'resnet19'.*did you mean resnet18"):
        weights.entry("resnet19")
    with pytest.raises(ValueError, match="models with weights: resnet18, resnet34"):
        weights.entry("")


def test_class_names() -> None:
    names = weights.categories("resnet18")
    assert len(set(names)) == 1000
    assert all(name == name.strip() and name.isascii() for name in names)
    known = {0: "tench", 134: "crane bird", 207: "golden retriever", 264: "Cardigan", 474: "cardigan", 517: "crane"}
    known |= {638: "maillot", 639: "maillot tank suit", 806: "sock", 998: "ear", 999: "toilet tissue"}
    assert {index: names[index] for index in known} == known


def test_a_broken_registry_names_row_and_field() -> None:
    whole = (entries.data_folder() / "registry.toml").read_text()
    with pytest.raises(weights.WeightsError, match="schema is None"):
        entries.read("")
    with pytest.raises(weights.WeightsError, match=r"'resnet18.imagenet1k_v1'.*colour"):
        entries.read(whole.replace("gmacs =", "colour =", 1))


def test_the_data_are_found_in_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "numgrad"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("command.py", "config.py", "files.py"):
        shutil.copy(ROOT / "numgrad" / name, package)
    shutil.copytree(ROOT / "numgrad" / "weights", package / "weights")
    code = "from numgrad.weights import entry, categories; print(entry('resnet18').name, len(categories('resnet18')))"
    command = [sys.executable, "-c", code]
    bare = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTHONPATH": "."})
    assert "lacks its weights registry" in bare.stderr
    shutil.copytree(ROOT / "weights", package / "weights" / "_registry")
    whole = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env={"PYTHONPATH": "."})
    assert whole.stdout == "resnet18.imagenet1k_v1 1000\n"


def test_importing_is_cheap() -> None:
    code = (
        "import sys, numgrad.weights; print(sorted({'pooch', 'requests', 'tqdm', 'platformdirs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
