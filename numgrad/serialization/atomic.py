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

    The bytes go to a temporary file in the same folder, are flushed to the disk, and only then get the name. Where the
    system can, the temporary file has no name until then, so that even a killed process leaves nothing. The file has
    the permissions of the one that it replaces, and its owner and group if this process may give them away; without one,
    those that any new file would have (0666 without the umask). A symbolic link is followed. What is no regular file,
    such as a pipe or ``/dev/null``, cannot be replaced and is written to directly.

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
    try:
        before = os.stat(target)
    except FileNotFoundError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):
        with open(target, "wb") as special:
            yield special
        return
    folder, name = os.path.split(target)
    # The name is cut so that the temporary one stays within the 255 bytes that file systems allow.
    temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        with _opened(temporary, folder, before, os.fspath(path)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if before is not None:
                _take_over(file.fileno(), before)
            if isinstance(file.name, int):
                _give_name(file.name, temporary)
        os.replace(temporary, target)
    except BaseException:
        # KeyboardInterrupt too must not leave the temporary file behind, wherever it came.
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _opened(
    temporary: str, folder: str, before: os.stat_result | None, path: str | os.PathLike[str] | bytes
) -> BinaryIO:
    """A new file, without a name where the system has such files; nobody can read it who could not read the old one."""
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode) & 0o600
    try:
        try:
            descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE, mode)
        except (AttributeError, OSError):  # another system or file system, or a folder that is not there: said below
            return open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode))
        return open(descriptor, "wb")
    except OSError as error:
        # The name that the caller knows says more.
        raise OSError(error.errno, error.strerror, path) from None


def _give_name(descriptor: int, name: str) -> None:
    """Give a file that has none its name; where the system does not let files be linked, as Android, give it to a copy."""
    try:
        # With a folder, which an absolute path makes no use of, os.link goes through the link that /proc has.
        os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)
    except OSError:
        with open(name, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as copy:
            while piece := os.pread(descriptor, 1 << 20, copy.tell()):
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
            _take_over(copy.fileno(), os.fstat(descriptor))


def _take_over(descriptor: int, before: os.stat_result) -> None:
    """Give a file the owner, group and permissions of another, as far as this process may."""
    if not hasattr(os, "fchmod"):  # Windows, where permissions are the folder's
        return
    now = os.fstat(descriptor)
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        if (owner, group) not in ((now.st_uid, -1), (-1, now.st_gid)):
            with suppress(PermissionError):
                os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _sync_folder(folder: str) -> None:
    """Flush the new name itself; systems that cannot open folders (Windows) have no need or no way to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
