"""Text in a pickle: the lines of protocol 0, and strings of Python 2, whose encoding the file does not state."""

from __future__ import annotations

import re

# The length of an integer of 255 bytes, the largest that is read.
MAX_NUMBER_BYTES = 700

_INTEGER = re.compile(rb"[-+]?[0-9]+")
_FLOAT = re.compile(rb"[-+]?([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?|inf|nan)")
_ESCAPE = re.compile(rb"\\(?:([\\'\"nrt])|x([0-9a-fA-F]{2}))")
_QUOTED = re.compile(rb"(?:[^\\]|\\[\\'\"nrt]|\\x[0-9a-fA-F]{2})*+", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "ascii": "ascii", "latin-1": "latin-1", "latin1": "latin-1"}


class Octets:
    """A string of Python 2 that is not ASCII: text in some encoding, or the bytes of a NumPy array."""

    __slots__ = ("_text", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._text: str | None = None

    def text(self, encoding: str | None) -> str:
        """The text in this encoding; None: UTF-8 if valid, otherwise Latin-1, in which every byte is a character.

        Raises
        ------
        ValueError
            The bytes are not valid in this encoding.
        """
        if self._text is None:
            try:
                self._text = self.raw.decode(encoding or "utf-8")
            except UnicodeDecodeError:
                if encoding is not None:
                    raise
                self._text = self.raw.decode("latin-1")
        return self._text


def checked_encoding(encoding: object) -> str | None:
    """The name of an encoding of Python 2's strings, or None for the default.

    Raises
    ------
    ValueError
        The encoding is not supported.

    Examples
    --------
    >>> checked_encoding("latin1")
    'latin-1'
    """
    if encoding is None:
        return None
    name = _ENCODINGS.get(encoding.lower()) if isinstance(encoding, str) else None
    if name is None:
        raise ValueError(f"load: encoding is {encoding!r}, expected 'utf-8', 'latin1', 'ascii' or None")
    return name


def text_of(raw: bytes) -> str | Octets:
    """A string of Python 2: a str if it is ASCII, otherwise `Octets`."""
    return raw.decode("ascii") if raw.isascii() else Octets(raw)


def integer_of(line: bytes) -> int | bool:
    """The value of an INT or LONG line.

    Raises
    ------
    ValueError
        The line is not an integer.

    Examples
    --------
    >>> integer_of(b"01"), integer_of(b"1"), integer_of(b"140230418563L")
    (True, 1, 140230418563)
    """
    if line in (b"00", b"01"):
        return line == b"01"
    if not _INTEGER.fullmatch(digits := line.removesuffix(b"L")):
        raise ValueError("no integer")
    value = int(digits)
    if value.bit_length() >= 2040:
        raise ValueError("an integer of more than 255 bytes")
    return value


def float_of(line: bytes) -> float:
    """The value of a FLOAT line.

    Raises
    ------
    ValueError
        The line is not a number.
    """
    if not _FLOAT.fullmatch(line):
        raise ValueError("no number")
    return float(line)


def quoted(line: bytes) -> str | Octets:
    """The value of a STRING line, which is Python 2's repr of a string.

    Raises
    ------
    ValueError
        The line is not in quotes, or has a broken escape.

    Examples
    --------
    >>> quoted(b"'a\\\\'b'")
    "a'b"
    """
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise ValueError("no string in quotes")
    if not _QUOTED.fullmatch(line[1:-1]):
        raise ValueError("a broken escape")
    return text_of(_ESCAPE.sub(_unescaped, line[1:-1]))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    letter, digits = escape.groups()
    return bytes.fromhex(digits.decode()) if digits else _LETTERS.get(letter, letter)


def unicode_of(line: bytes) -> str:
    """The value of a UNICODE line.

    Raises
    ------
    ValueError
        The line has a broken escape or a lone surrogate.
    """
    text = line.decode("raw-unicode-escape")
    text.encode("utf-8")
    return text
