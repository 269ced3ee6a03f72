"""Reader of the zip container of torch's checkpoints, stricter than other zip readers.

Scanners are fooled by files that two readers understand differently: of two entries with one name, torch takes the first
and Python's zipfile the last; some readers use the directory at the end, others the headers before the data. So everything
ambiguous is refused here, and only the part of the format that torch writes is supported.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

from numgrad.serialization.source import ByteSource

MAX_ENTRIES = 100_000
MAX_DIRECTORY_BYTES = 64 << 20
_MAX_NAME_BYTES = 1024

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_ENCRYPTED = 0x1 | 0x40 | 0x2000
_SIZES_FOLLOW = 0x8


@dataclass(frozen=True)
class Entry:
    """One stored file: its name, the position and number of its bytes, and their CRC-32."""

    name: str
    header: int
    start: int
    size: int
    crc: int


@dataclass(frozen=True)
class _Directory:
    offset: int
    size: int
    count: int


def read_entries(source: ByteSource) -> dict[str, Entry]:
    """The entries of a zip archive, by name, in the directory's order.

    Raises
    ------
    WeightsFormatError
        The archive is damaged, compressed, encrypted, or could be read in more than one way.
    """
    directory = _find_directory(source)
    if directory.count > MAX_ENTRIES:
        raise source.refusal(f"the zip archive has {directory.count} entries, more than {MAX_ENTRIES}")
    if directory.size > MAX_DIRECTORY_BYTES:
        raise source.refusal(f"the zip directory has {directory.size} bytes, more than {MAX_DIRECTORY_BYTES}")
    data = source.read(directory.offset, directory.size)
    entries: dict[str, Entry] = {}
    at = 0
    for _ in range(directory.count):
        entry, at = _read_entry(source, data, at, directory.offset)
        if entry.name in entries:
            raise source.refusal(f"the zip archive has two entries named {entry.name!r}")
        entries[entry.name] = entry
    if at != directory.size:
        raise source.refusal(f"the zip directory has {directory.size - at} bytes beyond its {directory.count} entries")
    in_order = sorted(entries.values(), key=lambda entry: entry.header)
    if in_order and in_order[0].header != 0:
        raise source.refusal("the zip archive begins with bytes that belong to no entry")
    for before, after in pairwise(in_order):
        if before.start + before.size > after.header:
            raise source.refusal(f"the zip entries {before.name!r} and {after.name!r} overlap")
    return entries


def read_checked(source: ByteSource, entry: Entry, limit: int) -> bytes:
    """The bytes of a small entry, with the checksum verified.

    Raises
    ------
    WeightsFormatError
        The entry is larger than ``limit``, or its checksum differs from the directory's.
    """
    if entry.size > limit:
        raise source.refusal(f"{entry.name!r} has {entry.size} bytes, more than {limit}")
    data = source.read(entry.start, entry.size)
    crc = zlib.crc32(data)
    if crc != entry.crc:
        raise source.refusal(
            f"the checksum of {entry.name!r} is {crc:08x}, expected {entry.crc:08x}: the file is damaged, get it again"
        )
    return data


def _find_directory(source: ByteSource) -> _Directory:
    end_at = source.size - _END.size
    if end_at < 0 or source.read(end_at, 4) != b"PK\5\6":
        raise source.refusal(
            "the zip archive does not end with its end record: the file is truncated (get it again) or has bytes added"
        )
    _, disk, disk_of_directory, count_here, count, size, offset, comment = _END.unpack(source.read(end_at, _END.size))
    if comment:
        raise source.refusal("the zip archive has a comment, whose bytes are missing")
    directory_end = end_at
    locator_at = end_at - _END64_LOCATOR.size
    if locator_at >= 0 and source.read(locator_at, 4) == b"PK\6\7":
        _, disk64, end64_at, disks = _END64_LOCATOR.unpack(source.read(locator_at, _END64_LOCATOR.size))
        if disk64 or disks > 1 or end64_at + _END64.size != locator_at:
            raise source.refusal("the zip64 end record is not where its locator must point to")
        fields = _END64.unpack(source.read(end64_at, _END64.size))
        if fields[0] != b"PK\6\6" or fields[1] != _END64.size - 12:
            raise source.refusal("the zip64 end record is malformed")
        wide = fields[4:]
        narrow = (disk, disk_of_directory, count_here, count, size, offset)
        for short, long, sentinel in zip(narrow, wide, (0xFFFF,) * 4 + (0xFFFFFFFF,) * 2, strict=True):
            if short not in (long, sentinel):
                raise source.refusal("the zip archive's two end records disagree")
        disk, disk_of_directory, count_here, count, size, offset = wide
        directory_end = end64_at
    if disk or disk_of_directory or count_here != count:
        raise source.refusal("the zip archive is one of several disks")
    if offset + size != directory_end:
        raise source.refusal(f"the zip directory (bytes {offset} to {offset + size}) does not end at its end record")
    return _Directory(offset, size, count)


def _read_entry(source: ByteSource, directory: bytes, at: int, data_end: int) -> tuple[Entry, int]:
    """The directory's entry at byte ``at``, checked against the header before its data; and the next ``at``."""
    if at + _CENTRAL.size > len(directory):
        raise source.refusal("the zip directory is truncated")
    fields = _CENTRAL.unpack_from(directory, at)
    magic, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size = fields[:13]
    disk, _, _, header = fields[13:]
    name_at = at + _CENTRAL.size
    extra_at = name_at + name_size
    following = extra_at + extra_size + comment_size
    if magic != b"PK\1\2" or following > len(directory) or not 0 < name_size <= _MAX_NAME_BYTES:
        raise source.refusal("an entry of the zip directory is malformed")
    raw_name = directory[name_at:extra_at]
    name = _checked_name(source, raw_name)
    size, packed, header = _wide_fields(source, name, directory[extra_at : extra_at + extra_size], size, packed, header)
    if flags & _ENCRYPTED:
        raise source.refusal(f"{name!r} is encrypted")
    if method != 0:
        raise source.refusal(
            f"{name!r} is compressed (method {method}), which torch.save never does; of a TorchScript program, save "
            "the state_dict(), and save anything else with torch.save again"
        )
    if packed != size or disk:
        raise source.refusal(f"{name!r} is stored in {packed} bytes, but has {size}")
    if header + _LOCAL.size > data_end:
        raise source.refusal(f"the header of {name!r} lies outside of the file")
    beginning = source.read(header, min(_LOCAL.size + name_size, data_end - header))
    local = _LOCAL.unpack_from(beginning)
    start = header + _LOCAL.size + local[9] + local[10]
    if local[0] != b"PK\3\4" or start + size > data_end:
        raise source.refusal(f"the header or the data of {name!r} lies outside of the file")
    if local[2] != flags or local[3] != method or local[9] != name_size or beginning[_LOCAL.size :] != raw_name:
        raise source.refusal(f"the two headers of {name!r} disagree")
    if not flags & _SIZES_FOLLOW and (local[6] != crc or local[8] not in (size, 0xFFFFFFFF)):
        raise source.refusal(f"the two headers of {name!r} disagree")
    return Entry(name, header, start, size, crc), following


def _checked_name(source: ByteSource, raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise source.refusal(f"the zip entry name {raw!r} is not UTF-8") from None
    if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise source.refusal(f"the zip entry name {name!r} is not a plain relative path")
    return name


def _wide_fields(
    source: ByteSource, name: str, extra: bytes, size: int, packed: int, header: int
) -> tuple[int, int, int]:
    """The sizes and the offset; values that do not fit 32 bits come from the zip64 extra field."""
    values = [size, packed, header]
    while len(extra) >= 4:
        kind, count = struct.unpack_from("<2H", extra)
        if kind == 1:
            wide = [index for index, value in enumerate(values) if value == 0xFFFFFFFF]
            if count < 8 * len(wide) or len(extra) < 4 + count:
                break
            for number, index in enumerate(wide):
                (values[index],) = struct.unpack_from("<Q", extra, 4 + 8 * number)
            return values[0], values[1], values[2]
        extra = extra[4 + count :]
    if 0xFFFFFFFF in values:
        raise source.refusal(f"{name!r} has no zip64 sizes though it needs them")
    return size, packed, header
