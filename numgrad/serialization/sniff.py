"""`sniff`: the format of a file, by its first bytes; names and suffixes are not trusted."""

from __future__ import annotations

from typing import Literal

from numgrad.serialization.safetensors import MAX_HEADER_BYTES
from numgrad.serialization.source import ByteSource
from numgrad.serialization.torch_legacy import LEGACY_MAGICS

_TAR_MAGIC_AT = 257

# Files that users pass by mistake, named so that the message can suggest a remedy.
_STRANGERS = (
    (b"\x80", "a pickle that torch.save did not write"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file that it stands for: fetch it with 'git lfs pull'"),
    (b"<", "a web page (HTML or XML), most likely the error message of a download"),
    (b"\x1f\x8b", "gzip-compressed: decompress it first"),
    (b"BZh", "bzip2-compressed: decompress it first"),
    (b"\xfd7zXZ", "xz-compressed: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed: decompress it first"),
    (b"\x89HDF", "an HDF5 file (Keras), which numgrad does not read"),
    (b"\x93NUMPY", "a NumPy .npy file: read it with numpy.load"),
    (b"GGUF", "a GGUF file, which numgrad does not read"),
    (b"{", "JSON text, such as the index of a checkpoint in several files; load those files one by one"),
)


def sniff(source: ByteSource) -> Literal["zip", "legacy", "safetensors"]:
    """The format of a file, from its contents.

    Raises
    ------
    WeightsFormatError
        numgrad does not read this format; the message names it if it is known.

    Examples
    --------
    >>> import io
    >>> sniff(ByteSource(io.BytesIO(b"PK\\3\\4 and so on")))
    'zip'
    """
    head = source.read(0, min(source.size, 512))
    if not head:
        raise source.refusal("the file is empty")
    if head.startswith(b"PK\3\4"):
        return "zip"
    if head.startswith(LEGACY_MAGICS):
        return "legacy"
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        raise source.refusal(
            "this is a tar archive, the format of torch before 0.1.10, which cannot be read safely; load it with an "
            "old torch and save it again"
        )
    # A file with the right suffix, or with a JSON header of a wrong length, goes to the reader, whose refusal says more.
    plausible = len(head) >= 8 and int.from_bytes(head[:8], "little") <= MAX_HEADER_BYTES
    if plausible or head[4:9] == b"\0\0\0\0{" or source.name.endswith(".safetensors"):
        return "safetensors"
    if any(magic.startswith(head) for magic in LEGACY_MAGICS):
        raise source.refusal("truncated: the file ends within its magic number")
    for prefix, what in _STRANGERS:
        if head.startswith(prefix):
            raise source.refusal(f"this is {what}")
    raise source.refusal("this is neither a torch checkpoint nor a safetensors file")
