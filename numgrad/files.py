"""Files that are opened with flags that Python's `open` does not offer."""

from __future__ import annotations

import io
import os


def opened(path: str | os.PathLike[str], flags: int, mode: int = 0o666, access: str = "rb") -> io.FileIO:
    """Open a file by the system's ``flags`` and ``mode``: a raw file, which owns its descriptor from the first moment.

    Python handles signals after each call that Python code makes, so a descriptor that `os.open` returns would stay open for
    ever if Ctrl-C came right then. Here C code puts it where an interrupt finds it.

    Raises
    ------
    OSError
        As `os.open`.

    Examples
    --------
    >>> with opened(__file__, os.O_RDONLY | os.O_NOFOLLOW) as file:
    ...     len(file.read(3))
    3
    """
    held: list[int] = []
    try:
        held.extend(map(os.open, [path], [flags], [mode]))
    except BaseException:
        for descriptor in held:
            os.close(descriptor)
        raise
    try:
        return io.FileIO(held[0], access)
    except OSError:  # a folder; of an interrupt that comes here, the file has been made and closes itself
        os.close(held[0])
        raise
