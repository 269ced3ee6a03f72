"""Writing a file so that a crash at any moment leaves the old file or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``path`` when the block ends well, and vanishes when it does not.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and only then get the name. The file
    has the permissions that any new file would have (0666 without the umask). A symbolic link is followed. What is no
    regular file, such as a pipe or ``/dev/null``, cannot be replaced and is written to directly.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, or the disk is full; ``path`` is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(os.path.join(folder, "a.bin")) as file:
    ...         _ = file.write(b"whole")
    ...     os.listdir(folder)
    ['a.bin']
    """
    # torch.save writes through a link as well; a rename onto it would leave its target stale.
    target = os.path.realpath(path)
    if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
        with open(target, "wb") as special:
            yield special
        return
    folder, name = os.path.split(target)
    # The name is cut so that the temporary one stays within the 255 bytes that file systems allow.
    temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        new = open(temporary, "xb")  # noqa: SIM115 - closed below
    except OSError as error:
        # The name that the caller knows says more.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    try:
        with new as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        # KeyboardInterrupt too must not leave the temporary file behind.
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Flush the new name itself; systems that cannot open folders (Windows) have no need or no way to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
