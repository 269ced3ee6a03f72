"""`replacing`: writes a file so that a crash at any moment leaves either the old file or the new one."""

from __future__ import annotations

import functools
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from numgrad import files


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that replaces ``path`` when the block succeeds, and is removed when it fails.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and only then renamed. If the system
    allows, the temporary file has no name until then, so that even a killed process leaves nothing. The file gets the
    permissions of the one that it replaces and, if this process may set them, its owner and group. A file without a
    predecessor gets the permissions of any new file (0666 without the umask). A symbolic link is followed. Special files,
    such as a pipe or ``/dev/null``, cannot be replaced and are written to directly.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, or the disk is full. ``path`` is unchanged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(os.path.join(folder, "a.bin")) as file:
    ...         _ = file.write(b"whole")
    ...     os.listdir(folder)
    ['a.bin']
    """
    # As torch.save, write through a link; a rename onto the link would leave its target stale.
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
    # The name is cut so that the temporary name stays within the 255 bytes that file systems allow.
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
        # A KeyboardInterrupt must not leave the temporary file behind either.
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _opened(
    temporary: str, folder: str, before: os.stat_result | None, path: str | os.PathLike[str] | bytes
) -> BinaryIO:
    """A new file, without a name if the system allows, that is not readable for more users than the old one."""
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode) & 0o600
    try:
        try:
            raw = files.opened(folder, os.O_RDWR | os.O_TMPFILE, mode, "wb")
        except (AttributeError, OSError):  # unsupported here, or the folder does not exist, which `open` reports
            return open(temporary, "xb", opener=functools.partial(os.open, mode=mode))
        return io.BufferedWriter(raw)
    except OSError as error:
        # Name the caller's path, not the temporary one.
        raise OSError(error.errno, error.strerror, path) from None


def _give_name(descriptor: int, name: str) -> None:
    """Give a nameless file its name. Where the system does not allow links, as on Android, a copy gets the name."""
    try:
        # The unused src_dir_fd makes os.link follow the link in /proc.
        os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)
    except OSError:
        with open(name, "xb", opener=functools.partial(os.open, mode=0o600)) as copy:
            while piece := os.pread(descriptor, 1 << 20, copy.tell()):
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
            _take_over(copy.fileno(), os.fstat(descriptor))


def _take_over(descriptor: int, before: os.stat_result) -> None:
    """Give a file the owner, group and permissions in ``before``, as far as this process may."""
    if not hasattr(os, "fchmod"):  # Windows: permissions come from the folder
        return
    now = os.fstat(descriptor)
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        if (owner, group) not in ((now.st_uid, -1), (-1, now.st_gid)):
            with suppress(PermissionError):
                os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _sync_folder(folder: str) -> None:
    """Flush the new name to the disk. Windows cannot open folders, and is skipped."""
    held: list[int] = []
    with suppress(OSError):
        try:
            held.extend(
                map(os.open, [folder], [os.O_RDONLY])
            )  # within one call: an interrupt finds it held, or not open
            os.fsync(held[0])
        finally:
            for descriptor in held:
                os.close(descriptor)
