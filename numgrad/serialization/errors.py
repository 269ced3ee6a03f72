"""`WeightsFormatError`, the one exception of this package, and values shortened for its messages."""

from __future__ import annotations


class WeightsFormatError(ValueError):
    """A file of weights was refused: it is damaged, hostile, or of a kind that numgrad does not read.

    Every reader raises this class and no other for the contents of a file. The file system's own errors
    (``FileNotFoundError``, ``PermissionError``) pass through unchanged. It is a ``ValueError`` because the file is a
    value without the expected form. Nothing in the file has been executed, and there is no partial result.

    Parameters
    ----------
    path:
        The file, or a description such as ``<BytesIO>`` of an in-memory one.
    reason:
        What the file has, what was expected and, if possible, what to do.

    Examples
    --------
    >>> str(WeightsFormatError("a.pth", "the file is empty"))
    'a.pth: the file is empty'
    """

    more_may_help = False  # True if the bytes ended too early, for readers that begin with a part of a file

    def __init__(self, path: str, reason: str) -> None:
        # Both go to the base class, so that the exception can be pickled and cross process boundaries.
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def shortened(value: object) -> str:
    """A value from a file as a short text for messages.

    Examples
    --------
    >>> shortened("weight"), shortened(7), shortened([7])
    ("'weight'", '7', 'a list')
    """
    if type(value) is str:
        return repr(value if len(value) <= 60 else value[:57] + "...")
    # Python refuses to print integers of thousands of digits.
    if type(value) is int:
        return str(value) if value.bit_length() < 128 else f"an integer of {value.bit_length()} bits"
    return "None" if value is None else str(value) if type(value) is bool else f"a {type(value).__name__}"
