"""Reader of torch's legacy stream, the format of torch.save before 1.6 and with _use_new_zipfile_serialization=False."""

from __future__ import annotations

from typing import Any

from numgrad.serialization.errors import WeightsFormatError
from numgrad.serialization.pickle_machine import PickleMachine
from numgrad.serialization.source import ByteSource
from numgrad.serialization.stack import MAX_PICKLE_BYTES
from numgrad.serialization.storages import Extent, read_storages
from numgrad.serialization.tensors import Options, TensorReader
from numgrad.serialization.tree import resolve

# A pickle of the integer 0x1950a86a20f9469cfc6c, which begins every such file: in protocol 2, in 0 and 1, 3, and 4 and 5.
_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")
LEGACY_MAGICS = (
    b"\x80\x02" + _MAGIC,
    b"L119547037146038801333356L\n.",
    b"\x80\x03" + _MAGIC,
    *(b"\x80%c\x95\x0d\0\0\0\0\0\0\0" % protocol + _MAGIC for protocol in (4, 5)),
)
_PROTOCOL = 1001
_FIRST_BYTES = 1 << 20


def read_torch_legacy(source: ByteSource, options: Options) -> Any:
    """The object in a legacy stream, which has five pickles, then the element count and the bytes of each storage.

    Raises
    ------
    WeightsFormatError
        The file is damaged, hostile, or holds what numgrad does not read.
    """
    count = _FIRST_BYTES
    while True:
        try:
            tree, machine, storages = _read_pickles(source, min(source.size, count), options)
            break
        except WeightsFormatError as error:
            # The pickles may reach further. That is rare, and reading the whole of a large file at once would take long.
            if not error.more_may_help or count >= min(source.size, MAX_PICKLE_BYTES):
                raise
            count *= 32
    locate_all(machine, options)
    reader = TensorReader(source, read_storages(source, storages), options.make_tensor)
    return resolve(tree, reader, machine)


def locate_all(machine: PickleMachine, options: Options) -> None:
    """Call ``options.locate``, if given, with the device of each storage."""
    if options.locate is not None:
        for storage in machine.storages.values():
            options.locate(storage.location)


def _read_pickles(source: ByteSource, count: int, options: Options) -> tuple[Any, PickleMachine, dict[str, Extent]]:
    """The tree, the machine and the extents of the storages, from pickles within the first ``count`` bytes."""
    head = source.read(0, count)
    magic = next((magic for magic in LEGACY_MAGICS if head.startswith(magic)), None)
    if magic is None:
        raise source.refusal("the file does not begin with the magic number of torch's legacy format")
    protocol, at = _plain(head, source, len(magic))
    if type(protocol) is not int or protocol != _PROTOCOL:
        raise source.refusal(f"the legacy protocol version is not {_PROTOCOL}")
    # The byte order and C's integer sizes of the writing machine. The data are little-endian in any case.
    system, at = _plain(head, source, at)
    if type(system) is not dict:
        raise source.refusal("the description of the writing system is not a dict")
    machine = PickleMachine(head, source.name, at, legacy=True, skip=options.skip, encoding=options.encoding)
    tree = machine.run()
    keys, at = _plain(head, source, machine.end)
    return tree, machine, _storages(source, machine, keys, at)


def _plain(head: bytes, source: ByteSource, start: int) -> tuple[Any, int]:
    machine = PickleMachine(head, source.name, start, legacy=True)
    value = machine.run()
    if machine.storages:
        raise source.refusal("a storage is named outside of the saved object")
    return value, machine.end


def _storages(source: ByteSource, machine: PickleMachine, keys: object, at: int) -> dict[str, Extent]:
    """The extent of every storage, given the list of keys in the order of the data."""
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise source.refusal("the list of storages is not a list of strings")
    if len(set(keys)) != len(keys):
        raise source.refusal("the list of storages names one twice")
    if set(keys) != set(machine.storages):
        missing = len(set(machine.storages) - set(keys))
        unused = len(set(keys) - set(machine.storages))
        raise source.refusal(f"of the storages, {missing} that tensors use are missing, and {unused} are not used")
    extents = {}
    for key in keys:
        storage = machine.storages[key]
        numel = int.from_bytes(source.read(at, 8), "little", signed=True)
        if numel != storage.numel:
            raise source.refusal(f"storage {key} has {numel} elements in the data, but {storage.numel} in the pickle")
        at += 8
        if at + storage.nbytes > source.size:
            raise source.refusal(f"truncated: storage {key} ends at byte {at + storage.nbytes} of {source.size}")
        extents[key] = Extent(at, storage.nbytes)
        at += storage.nbytes
    if at != source.size:
        raise source.refusal(f"the last storage is followed by {source.size - at} bytes")
    return extents
