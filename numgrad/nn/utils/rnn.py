"""Sequences of several lengths: padded to one length, or packed, step by step, without padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.tensor import creation, indexing, joining, placing, shaping, sorting
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences, the longest first, as the rows of all steps: ``batch_sizes[t]`` of ``data`` belong to step t.

    `pack_padded_sequence` and `pack_sequence` make them; `RNN`, `LSTM` and `GRU` take and return them. ``sorted_indices`` are
    the numbers that the sequences had, None where they had these already; ``unsorted_indices`` lead back.

    >>> import numgrad as ng
    >>> PackedSequence(ng.tensor([1.0, 3.0, 2.0]), ng.tensor([2, 1]))
    PackedSequence(data=tensor([1., 3., 2.]), batch_sizes=tensor([2, 1]), sorted_indices=None, unsorted_indices=None)
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)  # type: ignore[arg-type]

    def _with(self, data: Tensor) -> PackedSequence:
        return self if data is self.data else type(self)(data, *self[1:])

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data converted as `Tensor.to` does; this itself, if there is nothing to do."""
        return self._with(self.data.to(*args, **kwargs))

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """As `Tensor.cpu`."""
        return self._with(self.data.cpu(*args, **kwargs))

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Refused: there is no GPU."""
        return self._with(self.data.cuda(*args, **kwargs))

    def pin_memory(self) -> PackedSequence:
        """Refused: there is no GPU."""
        return self._with(self.data.pin_memory())

    def is_pinned(self) -> bool:
        """False."""
        return self.data.is_pinned()

    @property
    def is_cuda(self) -> bool:
        """False."""
        return self.data.is_cuda

    def double(self) -> PackedSequence:
        """In float64."""
        return self.to(dtypes.float64)

    def float(self) -> PackedSequence:
        """In float32."""
        return self.to(dtypes.float32)

    def half(self) -> PackedSequence:
        """In float16."""
        return self.to(dtypes.float16)

    def long(self) -> PackedSequence:
        """In int64."""
        return self.to(dtypes.int64)

    def int(self) -> PackedSequence:
        """In int32."""
        return self.to(dtypes.int32)

    def short(self) -> PackedSequence:
        """In int16."""
        return self.to(dtypes.int16)

    def char(self) -> PackedSequence:
        """In int8."""
        return self.to(dtypes.int8)

    def byte(self) -> PackedSequence:
        """In uint8."""
        return self.to(dtypes.uint8)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The inverse of a permutation of 0, 1, ...; None of None.

    Raises
    ------
    RuntimeError
        A number is too large.

    >>> import numgrad as ng
    >>> invert_permutation(ng.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    count = check_tensor("invert_permutation", "permutation", permutation).numel()
    return creation.empty_like(permutation).scatter_(0, permutation, creation.arange(count, dtype=permutation.dtype))


def _rows(lengths: np.ndarray, steps: int, batch_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Of each packed row the number that it has among ``steps`` padded ones of each sequence; and the batch sizes."""
    seen = np.arange(lengths.max())[:, None] < lengths
    t, b = np.nonzero(seen)
    return b * steps + t if batch_first else t * len(lengths) + b, seen.sum(1)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences of several lengths.

    Parameters
    ----------
    input
        [T, B, ...], or [B, T, ...] with ``batch_first``.
    lengths
        Of the B sequences: ints, or a tensor of them.
    enforce_sorted
        Whether the sequences have to come in order, the longest first; else they are sorted.

    Raises
    ------
    RuntimeError
        There is nothing to pack, or ``lengths`` are not B numbers from 1 to T, or in another order than the longest first.

    >>> import numgrad as ng
    >>> padded = ng.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> packed = pack_padded_sequence(padded, [2, 1, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes, packed.sorted_indices
    (tensor([4, 1, 3, 5, 2, 6]), tensor([3, 2, 1]), tensor([2, 0, 1]))
    """
    check_tensor("pack_padded_sequence", "input", input)
    if input.ndim < 2:
        raise IndexError(f"Dimension out of range: input has {input.ndim} dimensions, expected steps and batch")
    numbers = creation.as_tensor(lengths, dtype=dtypes.int64)
    if numbers.ndim != 1:
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {numbers.ndim}D cpu {numbers.dtype.torch_name} tensor"
        )
    sorted_indices = None
    if not enforce_sorted:
        numbers, sorted_indices = sorting.sort(numbers, descending=True)
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    array = np.array(numbers.tolist(), np.int64)
    steps, batch = (input.shape[1], input.shape[0]) if batch_first else (input.shape[0], input.shape[1])
    if len(array) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(array)} (batch_size={batch})"
        )
    if array.min() <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (np.diff(array) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need "
            "ONNX exportability."
        )
    if array.max() > steps:
        raise RuntimeError(f"pack_padded_sequence: a length is {array.max()}, but the sequences have {steps} steps")
    if sorted_indices is not None:
        input = indexing.index_select(input, 0 if batch_first else 1, sorted_indices)
    rows, batch_sizes = _rows(array, steps, batch_first)
    data = indexing.index_select(shaping.flatten(input, 0, 1), 0, creation.from_numpy(rows))
    return PackedSequence(data, creation.from_numpy(batch_sizes), sorted_indices, None)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Padded sequences in the order that they had, and their lengths: the inverse of `pack_padded_sequence`.

    Parameters
    ----------
    sequence
        The packed sequences.
    batch_first
        Whether to return [B, T, ...] instead of [T, B, ...].
    padding_value
        Behind the sequences' ends.
    total_length
        T; None: the length of the longest.

    Raises
    ------
    ValueError
        ``total_length`` is less than the length of the longest.

    >>> import numgrad as ng
    >>> pad_packed_sequence(pack_sequence([ng.tensor([1.0, 2.0]), ng.tensor([3.0])]), batch_first=True, padding_value=-1.0)
    (tensor([[ 1.,  2.],
            [ 3., -1.]]), tensor([2, 1]))
    """
    data, sizes = sequence.data, np.array(sequence.batch_sizes.tolist(), np.int64)
    steps, batch = len(sizes), int(sizes[0])
    if total_length is not None:
        total_length = as_int("pad_packed_sequence", "total_length", total_length)
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    lengths = (sizes[:, None] > np.arange(batch)).sum(0)
    rows, _ = _rows(lengths, steps, batch_first)
    rest = data.shape[1:]
    padding = creation.full((steps * batch, *rest), padding_value, dtype=data.dtype)
    padded = placing.index_copy(padding, 0, creation.from_numpy(rows), data)
    padded = shaping.reshape(padded, *((batch, steps) if batch_first else (steps, batch)), *rest)
    counts = creation.from_numpy(lengths)
    if sequence.unsorted_indices is None:
        return padded, counts
    order = sequence.unsorted_indices
    return indexing.index_select(padded, 0 if batch_first else 1, order), indexing.index_select(counts, 0, order)


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences [L, ...] of several lengths as one tensor [T, B, ...], with T the length of the longest.

    Parameters
    ----------
    sequences
        The B sequences.
    batch_first
        Whether to return [B, T, ...].
    padding_value
        Behind the sequences' ends, or before their beginnings.
    padding_side
        "right" or "left".

    Raises
    ------
    RuntimeError
        There is no sequence, they differ in more than their lengths, or the side is neither.

    >>> import numgrad as ng
    >>> pad_sequence([ng.tensor([1.0, 2.0]), ng.tensor([3.0])], batch_first=True)
    tensor([[1., 2.],
            [3., 0.]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    pieces = [check_tensor("pad_sequence", "sequences", each) for each in sequences]
    if not pieces:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    for number, piece in enumerate(pieces):
        if piece.ndim == 0 or piece.shape[1:] != pieces[0].shape[1:]:
            raise RuntimeError(
                f"pad_sequence: sequence {number} has shape {list(piece.shape)}, expected [length, "
                f"{', '.join(map(str, pieces[0].shape[1:]))}]"
            )
    steps = max(piece.shape[0] for piece in pieces)
    rows = []
    for piece in pieces:
        missing = steps - piece.shape[0]
        if missing:
            padding = creation.full((missing, *piece.shape[1:]), padding_value, dtype=pieces[0].dtype)
            piece = joining.cat([padding, piece] if padding_side == "left" else [piece, padding])
        rows.append(piece)
    return joining.stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded tensor, each of its length: the inverse of `pad_sequence`. The tensor itself is not changed.

    Raises
    ------
    ValueError
        There are more or fewer lengths than sequences.

    >>> import numgrad as ng
    >>> unpad_sequence(ng.tensor([[1.0, 2.0], [3.0, 0.0]]), ng.tensor([2, 1]), batch_first=True)
    [tensor([1., 2.]), tensor([3.])]
    """
    check_tensor("unpad_sequence", "padded_sequences", padded_sequences)
    numbers = [int(length) for length in lengths]
    batch, steps = padded_sequences.shape[:2] if batch_first else padded_sequences.shape[1::-1]
    if len(numbers) != batch:
        raise ValueError(f"unpad_sequence: got {len(numbers)} lengths of {batch} sequences")
    return [
        shaping.narrow(
            shaping.select(padded_sequences, 0 if batch_first else 1, number), 0, 0, max(0, min(length, steps))
        )
        for number, length in enumerate(numbers)
    ]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences [L, ...] of several lengths.

    Parameters
    ----------
    sequences
        The sequences.
    enforce_sorted
        Whether they have to come in order, the longest first; else they are sorted.

    Raises
    ------
    RuntimeError
        There is no sequence, or they come in another order, or differ in more than their lengths.

    >>> import numgrad as ng
    >>> pack_sequence([ng.tensor([1, 2]), ng.tensor([3])]).data
    tensor([1, 3, 2])
    """
    padded = pad_sequence(sequences)
    return pack_padded_sequence(padded, [len(each) for each in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed, in their order.

    >>> import numgrad as ng
    >>> unpack_sequence(pack_sequence([ng.tensor([1, 2]), ng.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
