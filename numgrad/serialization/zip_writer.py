"""Writer of the zip container of torch's checkpoints, for files that only have ``write``.

Python's zipfile is not used: after an interrupt it completes the broken archive as if it were whole, or raises another
exception instead of the interrupt.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

# torch maps large files into memory, and mapped storages have to be aligned.
_ALIGNMENT = 64
# Above this, sizes and offsets take 64 bits, as in zipfile: some readers treat 32 bits as signed.
_WIDE = (1 << 31) - 1
_SENTINEL = 0xFFFFFFFF
_VERSION, _WIDE_VERSION = 20, 45
_UNIX = 3
_SIZES_FOLLOW = 0x8
# The earliest date of the format, 1 January 1980: the same tree always gives the same bytes.
_TIME, _DATE = 0, 0x21
_PERMISSIONS = 0o600 << 16


class ZipWriter:
    """Writes entries one after the other, uncompressed, each followed by its checksum and sizes; then the directory.

    >>> import io
    >>> file = io.BytesIO()
    >>> archive = ZipWriter(file)
    >>> archive.add("archive/version", b"3\\n")
    >>> archive.finish()
    >>> file.getvalue().index(b"3\\n")
    64
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0
        self._directory: list[bytes] = []

    def add(self, name: str, data: bytes | memoryview) -> None:
        """Write one entry, whose data begin at a multiple of 64 bytes."""
        start, raw_name, size, crc = self._at, name.encode(), len(data), zlib.crc32(data)
        wide = size > _WIDE
        # The field for wide sizes comes before the sizes are known, so it holds zeros.
        field = struct.pack("<2H2Q", 1, 16, 0, 0) if wide else b""
        padding = -(start + 30 + len(raw_name) + 4 + len(field)) % _ALIGNMENT
        fill = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        extra, unknown = fill + field, _SENTINEL if wide else 0
        version = _WIDE_VERSION if wide else _VERSION
        self._write(struct.pack("<4s5H3L2H", b"PK\3\4", version, _SIZES_FOLLOW, 0, _TIME, _DATE, 0, unknown, unknown,
                                len(raw_name), len(extra)) + raw_name + extra)  # fmt: skip
        self._write(data)
        self._write(struct.pack("<4sL2Q" if wide else "<4s3L", b"PK\7\x08", crc, size, size))
        values = (*((size, size) if wide else ()), *((start,) if start > _WIDE else ()))
        if values:
            fill = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) + fill
            version = _WIDE_VERSION
        short, offset = _SENTINEL if wide else size, _SENTINEL if start > _WIDE else start
        self._directory.append(
            struct.pack("<4s2B5H3L5H2L", b"PK\1\2", version, _UNIX, version, _SIZES_FOLLOW, 0, _TIME, _DATE, crc, short, short,
                        len(raw_name), len(fill), 0, 0, 0, _PERMISSIONS, offset) + raw_name + fill
        )  # fmt: skip

    def finish(self) -> None:
        """Write the directory and the end record, which complete the archive."""
        start, count = self._at, len(self._directory)
        for entry in self._directory:
            self._write(entry)
        size, end = self._at - start, self._at
        if start > _WIDE or size > _WIDE or count > 0xFFFF:
            version = _WIDE_VERSION
            self._write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, version, version, 0, 0, count, count, size, start))
            self._write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
        counts = (min(count, 0xFFFF),) * 2
        short = [min(value, _SENTINEL) for value in (size, start)]
        self._write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *counts, *short, 0))
        self._file.flush()

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._at += len(data)
