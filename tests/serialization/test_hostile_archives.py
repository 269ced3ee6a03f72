"""What a hostile or damaged zip archive can be, and files that are no checkpoints: each is refused with its reason."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from numgrad.serialization import WeightsFormatError, load, torch_zip
from tests.serialization.dialects import Entry, new_zip, old_zip, old_zip_entries, tensor, zip_bytes

SIX = np.arange(6, dtype=np.float32)


def honest() -> list[Entry]:
    """data.pkl, data/7, version"""
    return old_zip_entries({"weight": tensor(SIX, "7")})


def changed(index: int, **fields: object) -> list[Entry]:
    entries = honest()
    for name, value in fields.items():
        setattr(entries[index], name, value)
    return entries


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def patched(data: bytes, at: int, new: bytes) -> bytes:
    at %= len(data)
    return data[:at] + new + data[at + len(new) :]


def deflated() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in honest():
            archive.writestr(entry.name, entry.data * 50)
    return out.getvalue()


def bomb() -> bytes:
    """The classic: a gigabyte of zeros in a megabyte."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as entry:
        for _ in range(64):
            entry.write(bytes(1 << 20))
    return out.getvalue()


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bit flipped in a storage": (
        lambda: flipped(zip_bytes(honest()), _data_at("archive/data/7")),
        "checksum of storage 7",
    ),
    "a bit flipped in the pickle": (
        lambda: flipped(zip_bytes(honest()), _data_at("archive/data.pkl")),
        "checksum of 'archive/data.pkl'",
    ),
    "another checksum of the version": (lambda: zip_bytes(changed(2, crc=1)), "checksum of 'archive/version'"),
    "encrypted": (lambda: zip_bytes(changed(1, flags=0x0809)), "'archive/data/7' is encrypted"),
    "strongly encrypted": (lambda: zip_bytes(changed(1, flags=0x0848)), "'archive/data/7' is encrypted"),
    "deflated": (deflated, "'archive/data.pkl' is compressed \\(method 8\\)"),
    "a zip bomb": (bomb, "'archive/data.pkl' is compressed \\(method 8\\)"),
    "method 99": (lambda: zip_bytes(changed(1, method=99)), "compressed \\(method 99\\)"),
    "packed size is not the size": (lambda: zip_bytes(changed(1, packed=23)), "stored in 23 bytes, but has 24"),
    "size beyond the file": (lambda: zip_bytes(changed(2, size=10**6)), "lies outside of the file"),
    "size into the next entry": (lambda: zip_bytes(changed(1, size=100)), "overlap"),
    "two entries of one header": (lambda: zip_bytes([*honest(), Entry("archive/a", b"", header=0)]), "disagree"),
    "a header that is none": (lambda: zip_bytes(changed(1, header=3)), "outside of the file"),
    "a header beyond the file": (lambda: zip_bytes(changed(1, header=10**6)), "lies outside of the file"),
    "one name twice": (lambda: zip_bytes([*honest(), honest()[1]]), "two entries named 'archive/data/7'"),
    "two names for one entry": (lambda: zip_bytes(changed(1, local_name="archive/data/8")), "headers of .* disagree"),
    "no name": (lambda: zip_bytes([*honest(), Entry("", b"")]), "malformed"),
    "a name of 2000 bytes": (lambda: zip_bytes([*honest(), Entry("archive/" + "a" * 2000, b"")]), "malformed"),
    "..": (lambda: zip_bytes([*honest(), Entry("archive/../x", b"")]), "not a plain relative path"),
    "absolute": (lambda: zip_bytes([*honest(), Entry("/archive/x", b"")]), "not a plain relative path"),
    "backslash": (lambda: zip_bytes([*honest(), Entry("archive\\x", b"")]), "not a plain relative path"),
    "NUL": (lambda: zip_bytes([*honest(), Entry("archive/x\0y", b"")]), "not a plain relative path"),
    "a folder": (lambda: zip_bytes([*honest(), Entry("archive/data/", b"")]), "not a plain relative path"),
    "not UTF-8": (lambda: zip_bytes([*honest(), Entry("archive/xyz", b"")]).replace(b"/xyz", b"/x\xffz"), "not UTF-8"),
    "two folders": (lambda: zip_bytes([*honest(), Entry("other/x", b"")]), "do not lie in one folder"),
    "no folder": (lambda: zip_bytes([*honest(), Entry("x", b"")]), "do not lie in one folder"),
    "TorchScript": (lambda: zip_bytes([*honest(), Entry("archive/constants.pkl", b"")]), "TorchScript"),
    "no pickle": (lambda: zip_bytes(honest()[1:]), "has no 'data.pkl'"),
    "no version": (lambda: zip_bytes(honest()[:2]), "has no 'version'"),
    "version 0": (lambda: zip_bytes(changed(2, data=b"0\n")), "format version b'0'"),
    "version 11": (lambda: zip_bytes(changed(2, data=b"11\n")), "format version b'11'"),
    "version x": (lambda: zip_bytes(changed(2, data=b"x")), "format version b'x'"),
    "a long version": (lambda: zip_bytes(changed(2, data=b"1" * 5000)), "'archive/version' has 5000 bytes"),
    "byteorder middle": (lambda: new_zip({}, byteorder="middle"), "byteorder is 'middle'"),
    "a storage is missing": (lambda: zip_bytes([honest()[0], honest()[2]]), "storage 7 is missing"),
    "a storage too short": (lambda: zip_bytes(changed(1, data=bytes(20))), "20 bytes in the archive, but 24"),
    "a storage too long": (lambda: zip_bytes(changed(1, data=bytes(28))), "28 bytes in the archive, but 24"),
    "a storage that is not used": (lambda: zip_bytes([*honest(), Entry("archive/data/8", b"x")]), "does not use"),
    "bytes before": (lambda: b"PK\3\4" + zip_bytes(honest()), "does not end at its end record|where its locator"),
    "bytes after": (lambda: zip_bytes(honest()) + b"x", "does not end with its end record"),
    "a comment": (lambda: zip_bytes(honest(), comment=b"hello"), "does not end with its end record"),
    "a comment that is missing": (lambda: patched(zip_bytes(honest()), -2, b"\1\0"), "has a comment"),
    "several disks": (lambda: patched(zip_bytes(honest(), zip64=False), -18, b"\1\0"), "several disks"),
    "two counts": (lambda: patched(zip_bytes(honest()), -14, b"\2\0\2\0"), "two end records disagree"),
    "count too small": (
        lambda: patched(zip_bytes(honest(), zip64=False), -14, b"\2\0\2\0"),
        "bytes beyond its 2 entries",
    ),
    "count too large": (lambda: patched(zip_bytes(honest(), zip64=False), -14, b"\4\0\4\0"), "directory is truncated"),
    "a million entries": (lambda: patched(zip_bytes(honest()), -98 + 24, struct.pack("<2Q", 10**6, 10**6)),
                          "two end records disagree|1000000 entries"),
    "a directory of 4 GiB": (lambda: patched(zip_bytes(honest(), zip64=False), -10, b"\xff" * 4), "does not end at"),
    "a locator to elsewhere": (lambda: patched(zip_bytes(honest()), -22 - 12, bytes(8)), "where its locator"),
    "a directory entry that is none": (lambda: zip_bytes(honest()).replace(b"PK\1\2", b"PK\1\3"), "is malformed"),
    "zip64 sizes that are missing": (lambda: zip_bytes(changed(1, size=0xFFFFFFFF, extra=b"\1\0\x04\0abcd")), "zip64"),
    "a huge zip64 size": (
        lambda: zip_bytes(changed(1, size=0xFFFFFFFF, extra=struct.pack("<2H2Q", 1, 16, 2**62, 2**62))),
        "outside of the file",
    ),
}  # fmt: skip


def _data_at(name: str) -> int:
    data = zip_bytes(honest())
    header = data.index(name.encode()) - 30
    return header + 30 + sum(struct.unpack_from("<2H", data, header + 26)) + 10


@pytest.mark.parametrize("row", ARCHIVES)
def test_archive_is_refused_with_its_reason(row: str) -> None:
    make, reason = ARCHIVES[row]
    with pytest.raises(WeightsFormatError, match=reason):
        load(io.BytesIO(make()))


def test_the_honest_archive_is_read() -> None:
    for data in (zip_bytes(honest()), zip_bytes(honest(), zip64=False)):
        np.testing.assert_array_equal(load(io.BytesIO(data))["weight"], SIX)


def test_checksums_of_storages_are_compared_on_demand() -> None:
    damaged = ARCHIVES["a bit flipped in a storage"][0]()
    assert not np.array_equal(load(io.BytesIO(damaged), verify=False)["weight"], SIX)
    with pytest.raises(WeightsFormatError, match=r"checksum of 'archive/data\.pkl'"):
        load(io.BytesIO(ARCHIVES["a bit flipped in the pickle"][0]()), verify=False)


def test_checksums_of_large_storages() -> None:
    large = np.arange(1 << 20, dtype=np.float32)
    data = zip_bytes(old_zip_entries([tensor(large, "1"), tensor(large + 1, "2")]))
    np.testing.assert_array_equal(load(io.BytesIO(data))[1], large + 1)
    with pytest.raises(WeightsFormatError, match="checksum of storage 2"):
        load(io.BytesIO(flipped(data, len(data) - (1 << 20))))


def test_too_many_entries() -> None:
    entries = [Entry(f"archive/{index}", b"") for index in range(100_001)]
    with pytest.raises(WeightsFormatError, match="100001 entries, more than 100000"):
        load(io.BytesIO(zip_bytes_of_many(entries)))


def zip_bytes_of_many(entries: list[Entry]) -> bytes:
    """Beyond 65,535 entries the short end record holds a sentinel."""
    data = zip_bytes(entries[:3])
    count = struct.pack("<2Q", len(entries), len(entries))
    return patched(patched(data, -98 + 24, count), -14, b"\xff" * 4)


def test_a_pickle_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_zip, "MAX_PICKLE_BYTES", 1 << 20)
    with pytest.raises(WeightsFormatError, match="more than 1048576"):
        load(io.BytesIO(zip_bytes(changed(0, data=bytes((1 << 20) + 1)))))


def test_every_truncation_of_an_archive_is_refused() -> None:
    whole = old_zip({"weight": tensor(SIX, "7")})
    for length in range(len(whole)):
        with pytest.raises(WeightsFormatError):
            load(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\x80", "truncated: the file ends within its magic number"),
        (b"\x80\x04\x95\x0f\0\0\0\0\0\0\0}\x94.", "a pickle that torch.save did not write"),
        (b"a/pickle" + bytes(249) + b"ustar\x0000" + bytes(2000), "tar archive, .* save it again"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc", "git lfs pull"),
        (b"\x1f\x8b\x08\x08aaaaaaa", "gzip"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0\0\4", "xz-compressed"),
        (b"\x28\xb5\x2f\xfdaaaa", "zstd"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x93NUMPY\1\0v\0{'descr'", "numpy.load"),
        (b"GGUF\3\0\0\0aaaa", "GGUF"),
        (b'{"weight_map": {"a": "b"}}', "JSON text"),
        (b"hello, world, here is some text", "neither a torch checkpoint nor a safetensors file"),
        (b"PK\5\6" + bytes(18), "neither a torch checkpoint"),
    ],
)
def test_strangers_are_told_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(WeightsFormatError, match=reason):
        load(io.BytesIO(data))


def test_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=SIX)
    with pytest.raises(WeightsFormatError, match="do not lie in one folder"):
        load(tmp_path / "a.npz")


def test_the_name_of_a_file_decides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(old_zip({"weight": tensor(SIX, "7")}))
    np.testing.assert_array_equal(load(path)["weight"], SIX)
    path.write_bytes(b"hello, world")
    with pytest.raises(WeightsFormatError, match="safetensors header has 8583909746840200552 bytes") as caught:
        load(path)
    assert caught.value.path == str(path)
