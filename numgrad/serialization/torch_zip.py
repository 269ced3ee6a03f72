"""Reader of torch's zip checkpoints, the format of torch.save since 1.6."""

from __future__ import annotations

from typing import Any

from numgrad.serialization.pickle_machine import PickleMachine
from numgrad.serialization.source import ByteSource
from numgrad.serialization.stack import MAX_PICKLE_BYTES
from numgrad.serialization.storages import Extent, read_storages
from numgrad.serialization.tensors import Options, TensorReader
from numgrad.serialization.torch_legacy import locate_all
from numgrad.serialization.tree import resolve
from numgrad.serialization.zip_archive import Entry, read_checked, read_entries

_MAX_VERSION = 10


def read_torch_zip(source: ByteSource, options: Options) -> Any:
    """The object in a zip checkpoint, written by torch since 1.6 or by a writer that imitates it.

    The archive needs ``data.pkl``, ``version`` and the storages under ``data/``, in any order, in one folder of any name.
    ``byteorder`` is read; other entries of torch's are ignored. The checksums of storages are compared if the options ask
    for it, those of the other three always.

    Raises
    ------
    WeightsFormatError
        The file is damaged, hostile, or holds what numgrad does not read.
    """
    entries = read_entries(source)
    records = _under_one_folder(source, entries)
    if "constants.pkl" in records:
        raise source.refusal("this is a TorchScript program (torch.jit.save): save the module's state_dict() instead")
    for name in ("data.pkl", "version"):
        if name not in records:
            raise source.refusal(f"the zip archive has no {name!r}, so it is not a torch checkpoint")
    version = read_checked(source, records["version"], limit=32).strip()
    if not version.isdigit() or not 1 <= int(version) <= _MAX_VERSION:
        raise source.refusal(f"the checkpoint has format version {version!r}, expected 1 to {_MAX_VERSION}")
    byteorder = "little"
    if "byteorder" in records:
        byteorder = read_checked(source, records["byteorder"], limit=32).decode("ascii", "backslashreplace")
        if byteorder not in ("little", "big"):
            raise source.refusal(f"the checkpoint's byteorder is {byteorder!r}, expected 'little' or 'big'")
    pickled = read_checked(source, records["data.pkl"], MAX_PICKLE_BYTES)
    machine = PickleMachine(pickled, source.name, skip=options.skip, encoding=options.encoding)
    tree = machine.run()
    if machine.end != len(pickled):
        raise source.refusal(f"the pickle is followed by {len(pickled) - machine.end} bytes")
    extents = _storages(source, records, machine, options.verify)
    locate_all(machine, options)
    reader = TensorReader(source, read_storages(source, extents), options.make_tensor, byteorder)
    return resolve(tree, reader, machine)


def _under_one_folder(source: ByteSource, entries: dict[str, Entry]) -> dict[str, Entry]:
    folders = {name.partition("/")[0] if "/" in name else "" for name in entries}
    if len(folders) != 1 or "" in folders:
        raise source.refusal("the zip archive's entries do not lie in one folder, so it is not a torch checkpoint")
    return {name.partition("/")[2]: entry for name, entry in entries.items()}


def _storages(source: ByteSource, records: dict[str, Entry], machine: PickleMachine, verify: bool) -> dict[str, Extent]:
    """The extents of the pickle's storages. Each has to exist with the right size, and there may be no others."""
    extents = {}
    for key, storage in machine.storages.items():
        entry = records.get(f"data/{key}")
        if entry is None and storage.nbytes == 0:
            # Some writers leave empty storages out.
            extents[key] = Extent(0, 0)
            continue
        if entry is None:
            raise source.refusal(f"storage {key} is missing from the archive")
        if entry.size != storage.nbytes:
            raise source.refusal(
                f"storage {key} has {entry.size} bytes in the archive, but {storage.nbytes} in the pickle"
            )
        extents[key] = Extent(entry.start, entry.size, entry.crc if verify else None)
    named = machine.storages.keys() | machine.skipped_storages
    for name in records:
        if name.startswith("data/") and name.removeprefix("data/") not in named:
            raise source.refusal(f"the archive holds {name!r}, which the pickle does not use")
    return extents
