"""Messages between a loader and its workers: arrays through shared memory, all else through a pipe.

On Linux the arrays of a message are written to one file in memory that has no name, and its descriptor is sent along. The
receiver maps it, and the tensors lie on that memory: a batch is copied once. The system frees such memory with its last
holder, whoever dies when. Elsewhere arrays go through the pipe, too.
"""

from __future__ import annotations

import errno
import os
import pickle
import socket
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from numgrad.runtime.pages import ALIGNMENT, FileMapping

SHARES = hasattr(os, "memfd_create") and hasattr(socket, "send_fds")
_SMALLEST = 1 << 12  # bytes of an array for which a file is worth its time
_PAUSE = 0.01


class Sender:
    """Sends messages to one `Receiver`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._socket = _socket_of(connection)

    def send(self, message: Any) -> None:
        """Send an object; what cannot be pickled raises before anything is sent."""
        arrays: list[memoryview] = []

        def stays(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            is_small = self._socket is None or raw.nbytes < _SMALLEST
            if not is_small:
                arrays.append(raw)
            return is_small

        data = pickle.dumps(message, protocol=5, buffer_callback=stays)
        spans: list[tuple[int, int]] = []
        if arrays:
            descriptor = os.memfd_create("numgrad-batch")
            try:
                spans = _write(descriptor, arrays)
                self._announce([descriptor])
            finally:
                os.close(descriptor)
        else:
            self._announce([])
        self._connection.send_bytes(pickle.dumps((data, spans)))

    def close(self) -> None:
        """Let the receiver see the end."""
        self._connection.close()
        if self._socket is not None:
            self._socket.close()

    def _announce(self, descriptors: list[int]) -> None:
        """Before each message one byte goes, which a descriptor may ride on: if that fails, nothing was sent."""
        while self._socket is not None:
            try:
                socket.send_fds(self._socket, [b"\0"], descriptors)
                return
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    raise
                time.sleep(_PAUSE)  # the system limits how many are on their way: until the loader has taken some


class Receiver:
    """Receives the messages of one `Sender`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._socket = _socket_of(connection)

    def receive(self) -> Any:
        """Wait for the next message and return it.

        Raises
        ------
        EOFError
            The sender is gone.
        RuntimeError
            This process has too many open files.
        """
        descriptors: list[int] = []
        try:
            if self._socket is not None:
                byte, descriptors, *_ = socket.recv_fds(self._socket, 1, 1)
                if not byte:
                    raise EOFError
            data, spans = pickle.loads(self._connection.recv_bytes())
            if not spans:
                return pickle.loads(data)
            if not descriptors:
                raise RuntimeError(
                    "Too many open files. Communication with the workers is no longer possible. Please increase the limit "
                    "using `ulimit -n` in the shell"
                )
            memory = np.asarray(FileMapping(descriptors[0], spans[-1][1]))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return pickle.loads(data, buffers=[memory[start:end] for start, end in spans])

    def close(self) -> None:
        """Let the sender's next message fail."""
        self._connection.close()
        if self._socket is not None:
            self._socket.close()


def _socket_of(connection: Connection) -> socket.socket | None:
    if not SHARES:
        return None
    same = socket.socket(fileno=os.dup(connection.fileno()))
    same.settimeout(None)  # whatever `socket.setdefaulttimeout` says: the connection's own reads have to wait, too
    return same


def _write(descriptor: int, arrays: list[memoryview]) -> list[tuple[int, int]]:
    """Write the arrays one after the other, each at an aligned offset; where each begins and ends."""
    spans: list[tuple[int, int]] = []
    start = 0
    for array in arrays:
        written = 0
        while written < array.nbytes:  # the system takes at most two gigabytes at once
            written += os.pwrite(descriptor, array[written:], start + written)
        spans.append((start, start + array.nbytes))
        start = -(-(start + array.nbytes) // ALIGNMENT) * ALIGNMENT
    return spans
