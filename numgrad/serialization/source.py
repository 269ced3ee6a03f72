"""`ByteSource`: random access to the bytes of a file or an open file object."""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import IO, Any, NoReturn

import numpy as np

from numgrad.runtime import locks
from numgrad.serialization.errors import WeightsFormatError


class ByteSource:
    """The bytes of one file, which any number of threads may read at any offset.

    Bytes are read by system calls, not through a memory map. Both cost one copy, but if another process truncates the file,
    a read is short where a map would kill the process with SIGBUS.

    Parameters
    ----------
    file:
        A path, or a binary file object, which is read from its position to its end.

    Examples
    --------
    >>> import io
    >>> with ByteSource(io.BytesIO(b"numgrad")) as source:
    ...     source.size, source.read(3, 4)
    (7, b'grad')
    """

    def __init__(self, file: str | os.PathLike[str] | IO[bytes]) -> None:
        self._file: Any = None
        self._memory: memoryview | None = None
        self._position = locks.renewed()
        if isinstance(file, (str, os.PathLike)):
            self.name = os.fsdecode(file)
            self._file = open(file, "rb", buffering=0)  # noqa: SIM115 - closed by __exit__
            status = os.fstat(self._file.fileno())
            self.size = status.st_size
            if not stat.S_ISREG(status.st_mode):
                with self._file as pipe:
                    if stat.S_ISCHR(status.st_mode) and pipe.read(1):
                        raise self.refusal("this is a device, which may never end; expected a file")
                    self._hold(pipe.read())
        elif hasattr(file, "read"):
            name = getattr(file, "name", None)
            self.name = name if isinstance(name, str) else f"<{type(file).__name__}>"
            self._hold(file.read())
        else:
            raise TypeError(f"load: file is {type(file).__name__}, expected a path or a binary file object")

    def _hold(self, data: object) -> None:
        if not isinstance(data, (bytes, bytearray)):
            raise TypeError(f"load: {self.name} gives {type(data).__name__}, expected bytes; open it in mode 'rb'")
        self._memory = memoryview(data)
        self.size = len(data)

    def __enter__(self) -> ByteSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def refusal(self, reason: str) -> WeightsFormatError:
        """The exception to raise for this file."""
        return WeightsFormatError(self.name, reason)

    def read(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``offset``; raises WeightsFormatError if the file does not have them."""
        self._check(offset, count)
        if self._memory is not None:
            return bytes(self._memory[offset : offset + count])
        pieces = []
        done = 0
        while done < count:
            # One call reads at most 2 GiB.
            pieces.append(self._some(offset + done, count - done))
            done += len(pieces[-1])
        return b"".join(pieces)

    def read_into(self, offset: int, out: np.ndarray) -> None:
        """Fill ``out`` (one-dimensional uint8) from ``offset``; raises WeightsFormatError as :meth:`read` does."""
        self._check(offset, out.size)
        if self._memory is not None:
            out[:] = np.frombuffer(self._memory, np.uint8)[offset : offset + out.size] if out.size else 0
            return
        view = out.data
        done = 0
        while done < len(view):
            done += self._some_into(offset + done, view[done:])

    if hasattr(os, "preadv"):

        def _some(self, offset: int, count: int) -> bytes:
            return os.pread(self._file.fileno(), count, offset) or self._ended(offset)

        def _some_into(self, offset: int, view: memoryview) -> int:
            return os.preadv(self._file.fileno(), [view], offset) or self._ended(offset)

    else:  # pragma: no cover - Windows, where a file has one position for all threads

        def _some(self, offset: int, count: int) -> bytes:
            with self._position:
                self._file.seek(offset)
                return self._file.read(count) or self._ended(offset)

        def _some_into(self, offset: int, view: memoryview) -> int:
            with self._position:
                self._file.seek(offset)
                return self._file.readinto(view) or self._ended(offset)

    def _ended(self, position: int) -> NoReturn:
        raise self.refusal(f"the file ends at byte {position}, though it had {self.size} bytes when it was opened")

    def _check(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise self.refusal(f"truncated: bytes {offset} to {offset + count} are needed, the file has {self.size}")
