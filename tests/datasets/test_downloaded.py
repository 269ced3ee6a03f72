"""MNIST and CIFAR, from small files that the tests make: read, downloaded from loopback, corrupt, cut off."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

import numgrad as ng
from numgrad import datasets
from numgrad.transforms import Compose, Normalize, ToTensor
from numgrad.utils.data import DataLoader, default_collate
from numgrad.weights import DownloadError, HashMismatchError, OfflineError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def idx(array):
    extents = b"".join(extent.to_bytes(4, "big") for extent in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + extents + array.tobytes()


@pytest.fixture
def mnist(monkeypatch, server):
    """A class like MNIST with files of five images, which the server has; and the files."""
    arrays = [IMAGES, LABELS, IMAGES[:2], LABELS[:2]]
    names = [name for name, _, _ in datasets.MNIST.resources]
    packed = {name: gzip.compress(idx(array), mtime=0) for name, array in zip(names, arrays, strict=True)}
    resources = tuple((name, len(body), hashlib.sha256(body).hexdigest()) for name, body in packed.items())
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", (server.url + "/gone/", server.url + "/"))
    serve_all(server, "/", packed)
    return datasets.MNIST, packed


def serve_all(server, path, files):
    from weights_loopback import serve

    for name, body in files.items():
        server.on(path + name, serve(body))


def raw(root, files):
    folder = Path(root) / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)
    return folder


# ---- MNIST ----------------------------------------------------------------------------------------------------------


def test_download_and_read(tmp_path, mnist, server):
    kind, packed = mnist
    train = kind(tmp_path, download=True)
    assert train.data.dtype is ng.uint8
    assert np.array_equal(train.data.numpy(), IMAGES)
    assert train.targets.tolist() == LABELS.tolist()
    assert train.targets.dtype is ng.int64
    assert len(kind(tmp_path, train=False)) == 2
    assert sorted(path.name for path in (tmp_path / "MNIST" / "raw").iterdir()) == sorted(packed)
    count = len(server.requests)
    kind(tmp_path, download=True)
    assert len(server.requests) == count, "what is there is not asked for again"
    assert train.class_to_idx["3 - three"] == 3
    assert repr(train).splitlines()[:3] == [
        "Dataset MNIST",
        "    Number of datapoints: 5",
        f"    Root location: {tmp_path}",
    ]
    assert "Split: Train" in repr(train)


def test_without_a_root_files_are_numgrads_own(tmp_path, mnist):
    kind, _ = mnist
    assert kind(download=True).raw_folder == str(tmp_path / "home" / "datasets" / "MNIST" / "raw")


def test_unpacked_files_of_torchvision(tmp_path, mnist):
    kind, packed = mnist
    raw(tmp_path, {name.removesuffix(".gz"): gzip.decompress(body) for name, body in packed.items()})
    assert np.array_equal(kind(tmp_path).data.numpy(), IMAGES)
    kind(tmp_path, download=True)  # and nothing is fetched
    assert not list(Path(tmp_path).rglob("*.gz"))


def test_a_server_of_a_closed_network(tmp_path, mnist, server, monkeypatch):
    kind, packed = mnist
    monkeypatch.setenv("NUMGRAD_WEIGHTS_URL", server.url + "/mirror/")
    serve_all(server, "/mirror/MNIST/", packed)
    kind(tmp_path, download=True)
    assert {path for path, _ in server.requests} == {f"/mirror/MNIST/{name}" for name in packed}


def test_what_is_not_there(tmp_path, mnist, monkeypatch):
    kind, _ = mnist
    with pytest.raises(RuntimeError, match=r"^Dataset not found. You can use download=True to download it \("):
        kind(tmp_path)
    monkeypatch.setenv("NUMGRAD_OFFLINE", "1")
    with pytest.raises(OfflineError, match=r"(?s)is not there, and NUMGRAD_OFFLINE is set.*sha256  [0-9a-f]{64}"):
        kind(tmp_path, download=True)
    assert not list(tmp_path.rglob("*.gz"))


def test_a_corrupt_file_is_told_and_replaced(tmp_path, mnist, monkeypatch):
    kind, packed = mnist
    name = next(iter(packed))
    folder = raw(tmp_path, {**packed, name: packed[name][:-1] + b"x"})
    with pytest.raises(RuntimeError, match=f"{name} is corrupt: its SHA-256 is not"):
        kind(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("NUMGRAD_OFFLINE", "1")
        with pytest.raises(HashMismatchError, match="is corrupt, and NUMGRAD_OFFLINE is set"):
            kind(tmp_path, download=True)
    assert np.array_equal(kind(tmp_path, download=True).data.numpy(), IMAGES)
    assert (folder / name).read_bytes() == packed[name]


def test_wrong_bytes_from_a_server_are_not_kept(tmp_path, mnist, server):
    kind, packed = mnist
    name = next(iter(packed))
    serve_all(server, "/", {name: b"x" * len(packed[name])})
    with pytest.raises((HashMismatchError, DownloadError)):
        kind(tmp_path, download=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix == ".gz"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "does not begin as an IDX file"),
        (b"\0\0\x0d\3" + bytes(12), "does not begin as an IDX file"),
        (idx(IMAGES)[:-1], r"has 3935 bytes, expected 3936 for \[5, 28, 28\]"),
        (idx(IMAGES) + b"x", "has 3937 bytes"),
        (idx(IMAGES[:4]), "do not fit to"),
    ],
)
def test_unpacked_files_that_are_cut_off(tmp_path, mnist, content, text):
    kind, packed = mnist
    files = {name.removesuffix(".gz"): gzip.decompress(body) for name, body in packed.items()}
    raw(tmp_path, {**files, "train-images-idx3-ubyte": content})
    with pytest.raises(RuntimeError, match=text):
        kind(tmp_path)


def test_samples_and_batches(tmp_path, mnist):
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    kind, _ = mnist
    image, label = kind(tmp_path, download=True)[2]
    assert (image.mode, image.size, label) == ("L", (28, 28), 4)
    assert kind(tmp_path, target_transform=lambda label: -label)[2][1] == -4
    for transform in (ToTensor(), Compose([ToTensor(), Normalize((0.1307,), (0.3081,))]), Compose([ToTensor()])):
        dataset = kind(tmp_path, transform=transform)
        quick = dataset._collated_batch([4, 0, 4])
        slow = default_collate([dataset[index] for index in (4, 0, 4)])
        for one, two in zip(quick, slow, strict=True):
            assert one.dtype is two.dtype
            assert np.array_equal(one.numpy(), two.numpy())
        assert next(iter(DataLoader(dataset, 3)))[0].shape == (3, 1, 28, 28)
    for transform in (None, Compose([]), lambda image: image, Compose([ToTensor(), lambda image: image])):
        assert kind(tmp_path, transform=transform)._collated_batch([0]) is None
    assert kind(tmp_path, transform=ToTensor(), target_transform=str)._collated_batch([0]) is None


def test_kinds():
    assert {kind.resources[0][2] for kind in (datasets.MNIST, datasets.FashionMNIST, datasets.KMNIST)} == {
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    }
    for kind in (datasets.MNIST, datasets.FashionMNIST, datasets.KMNIST):
        assert len(kind.classes) == 10
        assert all(len(sha256) == 64 for _, _, sha256 in kind.resources)


# ---- CIFAR ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[datasets.CIFAR10, datasets.CIFAR100], ids=["10", "100"])
def cifar(request, monkeypatch, server):
    """A class like CIFAR with files of three images, which the server has; the archive, and the arrays to train with."""
    kind = request.param
    labels = kind.labels_per_image
    records = {
        name: RNG.integers(0, 10, (3, labels + 3072), dtype=np.uint8) for name in (*kind.train_list, *kind.test_list)
    }
    names = "\n".join(f"name{index}" for index in range(10)) + "\n\n"
    members = {name: array.tobytes() for name, array in records.items()} | {
        kind.meta: names.encode(),
        "readme.html": b"x",
    }
    body = archive(kind, members)
    use(monkeypatch, server, kind, body)
    return kind, members, np.concatenate([records[name] for name in kind.train_list])


def archive(kind, members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{kind.base_folder}/{name}")
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return file.getvalue()


def use(monkeypatch, server, kind, body):
    serve_all(server, "/", {kind.filename: body})
    monkeypatch.setattr(kind, "images_per_file", (3, 3))
    monkeypatch.setattr(kind, "size", len(body))
    monkeypatch.setattr(kind, "sha256", hashlib.sha256(body).hexdigest())
    monkeypatch.setattr(kind, "url", f"{server.url}/{kind.filename}")


def test_cifar(tmp_path, cifar, server):
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    kind, _, records = cifar
    labels = kind.labels_per_image
    with pytest.raises(RuntimeError, match="^Dataset not found or corrupted. You can use download=True to download it"):
        kind(tmp_path)
    train = kind(tmp_path, download=True)
    assert np.array_equal(train.data.transpose(0, 3, 1, 2).reshape(len(records), -1), records[:, labels:])
    assert train.targets == records[:, labels - 1].tolist()
    assert len(kind(tmp_path, train=False)) == 3
    assert (train.classes[1], train.class_to_idx["name2"]) == ("name1", 2)
    image, label = train[1]
    assert (image.mode, image.size, label) == ("RGB", (32, 32), train.targets[1])
    dataset = kind(tmp_path, transform=Compose([ToTensor(), Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))]))
    quick, slow = dataset._collated_batch([1, 0]), default_collate([dataset[1], dataset[0]])
    assert all(np.array_equal(one.numpy(), two.numpy()) for one, two in zip(quick, slow, strict=True))
    kind(tmp_path, download=True)
    assert len(server.requests) == 1


def test_an_archive_that_is_there_is_unpacked(tmp_path, cifar, server):
    kind, _, records = cifar
    kind(tmp_path, download=True)
    first = tmp_path / kind.base_folder / kind.train_list[0]
    first.write_bytes(first.read_bytes()[:-1])
    assert len(kind(tmp_path)) == len(records)
    archived = tmp_path / kind.filename
    archived.write_bytes(archived.read_bytes()[:-1])
    first.unlink()
    with pytest.raises(RuntimeError, match="is corrupt: its SHA-256 is not"):
        kind(tmp_path)
    assert not first.exists()
    kind(tmp_path, download=True)
    assert first.exists()


def test_archives_with_other_contents(tmp_path, cifar, server, monkeypatch):
    kind, members, _ = cifar
    missing = {name: content for name, content in members.items() if name != kind.test_list[0]}
    use(monkeypatch, server, kind, archive(kind, missing))
    with pytest.raises(RuntimeError, match=f"has no {kind.test_list[0]} of the right size"):
        kind(tmp_path, download=True)
    few = {**members, kind.meta: b"one\n"}
    use(monkeypatch, server, kind, archive(kind, few))
    with pytest.raises(RuntimeError, match="labels beyond its 1 classes"):
        kind(tmp_path, download=True)
    use(monkeypatch, server, kind, archive(kind, members)[:3000])
    for path in tmp_path.rglob("*.bin"):
        path.unlink()
    with pytest.raises(RuntimeError, match="cannot be unpacked|of the right size"):
        kind(tmp_path, download=True)


def test_members_stay_in_their_folder(tmp_path, cifar, server, monkeypatch):
    kind, members, _ = cifar
    outside = {f"../../{name}" if name == kind.meta else name: content for name, content in members.items()}
    use(monkeypatch, server, kind, archive(kind, outside))
    root = tmp_path / "a" / "b"
    kind(root, download=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a"}
    assert sorted(path.name for path in root.iterdir()) == sorted([kind.base_folder, kind.filename])
