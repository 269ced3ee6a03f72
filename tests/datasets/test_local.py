"""Datasets that need no network: digits, random images, folders."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

import numgrad as ng
from numgrad import datasets
from numgrad.datasets.folder import find_classes, make_dataset
from numgrad.transforms import ToTensor
from numgrad.utils.data import DataLoader, default_collate


def test_digits():
    train, test, both = (datasets.Digits(train=part) for part in (True, False, None))
    assert (len(train), len(test), len(both)) == (1437, 360, 1797)
    assert both.data.shape == (1797, 8, 8)
    assert both.data.numpy().max() == 16
    assert np.bincount(both.targets.numpy()).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert both.data.numpy().sum() == 561718
    image, label = train[10]
    assert (image.dtype, image.shape, label) == (ng.float32, (1, 8, 8), 0)
    quick, slow = train._collated_batch([3, 1]), default_collate([train[3], train[1]])
    assert all(np.array_equal(one.numpy(), two.numpy()) for one, two in zip(quick, slow, strict=True))
    assert datasets.Digits(transform=lambda image: image.numpy().sum())._collated_batch([0]) is None
    assert "Split: Test" in repr(test)
    assert next(iter(DataLoader(test, 360)))[1].tolist() == test.targets.tolist()


def test_fake_data():
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    data = datasets.FakeData(5, (3, 6, 7), num_classes=4, transform=ToTensor())
    state = ng.get_rng_state()
    image, label = data[3]
    assert state.tolist() == ng.get_rng_state().tolist()
    assert image.shape == (3, 6, 7)
    assert 0 <= label < 4
    assert np.array_equal(image.numpy(), data[3][0].numpy())
    assert np.array_equal(
        datasets.FakeData(5, (3, 6, 7), transform=ToTensor(), random_offset=3)[0][0].numpy(), image.numpy()
    )
    with pytest.raises(IndexError, match="FakeData index out of range"):
        data[5]
    assert len(list(DataLoader(data, 2))) == 3


@pytest.fixture
def tree(tmp_path):
    for name in ("dog/1.npy", "cat/b.npy", "cat/deep/a.NPY", "cat/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.save(file, np.full(2, len(name)))
    return tmp_path


def test_dataset_folder(tree):
    data = datasets.DatasetFolder(str(tree), np.load, (".npy",), transform=lambda array: array.sum())
    assert (data.classes, data.class_to_idx, data.targets) == (["cat", "dog"], {"cat": 0, "dog": 1}, [0, 0, 1])
    assert [path.replace(str(tree), "") for path, _ in data.samples] == ["/cat/b.npy", "/cat/deep/a.NPY", "/dog/1.npy"]
    assert (data[2], len(data)) == ((18, 1), 3)
    assert len(datasets.DatasetFolder(tree, np.load, is_valid_file=lambda path: path.endswith(("txt", "1.npy")))) == 2
    assert make_dataset(tree, {"cat": 5}, "txt")[0][1] == 5


def test_folders_refuse(tree):
    (tree / "empty").mkdir()
    text = "Found no valid file for the classes empty. Supported extensions are: .npy"
    with pytest.raises(FileNotFoundError, match=text):
        datasets.DatasetFolder(tree, np.load, (".npy",))
    assert len(datasets.DatasetFolder(tree, np.load, (".npy",), allow_empty=True)) == 3
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder in"):
        find_classes(tree / "empty")
    with pytest.raises(ValueError, match="Both extensions and is_valid_file cannot be None or not None"):
        datasets.DatasetFolder(tree, np.load)
    with pytest.raises(ValueError, match="must have at least one entry"):
        make_dataset(tree, {}, ".npy")
    with pytest.raises(ValueError, match="The class_to_idx parameter cannot be None"):
        datasets.DatasetFolder.make_dataset(tree, None)
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform can be passed"):
        datasets.VisionDataset(transforms=max, transform=abs)


def test_image_folder(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for index, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        pillow.new("L", (3, 2), 51 * index).save(tmp_path / name / "x.PNG")
    data = datasets.ImageFolder(tmp_path, transform=ToTensor(), target_transform=lambda target: -target)
    images, targets = next(iter(DataLoader(data, 2)))
    assert images.shape == (2, 3, 2, 3)
    assert np.unique(images[1].numpy()).tolist() == pytest.approx([0.2])
    assert targets.tolist() == [0, -1]
    assert data.imgs == data.samples
    lines = repr(data).splitlines()
    assert lines[3:] == ["    StandardTransform", *lines[4:]]
    assert "Transform: ToTensor()" in repr(data)


def test_without_pillow(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'numgrad\[image\]'"):
        datasets.FakeData(2)[0]
