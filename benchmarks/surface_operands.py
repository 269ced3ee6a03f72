"""What the calls of ``python -m benchmarks surface`` name, by size, dtype and layout: the same numbers for both libraries."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

SIDES: dict[str, tuple[int, int, tuple[int, int, int]]] = {
    # A side of the square operands (x, y, ...), of the matrices of linear algebra, and (batch, channels, side) of images.
    "1e2": (10, 8, (1, 4, 8)),
    "1e4": (100, 32, (2, 8, 24)),
    "1e6": (1000, 128, (8, 32, 56)),
    "1e7": (3162, 384, (16, 64, 96)),
}
DTYPES = ("float32", "float64")
LAYOUTS = ("contiguous", "strided", "channels_last")
DIRECTIONS = ("forward", "backward")
LEAVES = ("x", "y", "w", "z", "v", "A", "B", "stack", "points", "line", "image", "volume", "queries")
_IMAGES = ("image",)
_IN_ROWS = ("array", "kernel1", "kernel2", "kernel3", "cube", "theta")  # in every layout
_SHAPE_ALONE = re.compile(r"\b\w+\.(?:numel\(\)|shape)")


class Point(NamedTuple):
    """Where a call is measured."""

    size: str
    dtype: str
    layout: str
    direction: str
    threads: int

    def __str__(self) -> str:
        return " ".join(map(str, self))


def point_of(text: str) -> Point:
    """The point that a text names."""
    size, dtype, layout, direction, threads = text.split()
    return Point(size, dtype, layout, direction, int(threads))


def points(sizes: Any, dtypes: Any, layouts: Any, directions: Any, threads: Any) -> Iterator[Point]:
    """Their product, the threads outermost: each number of them has processes of its own."""
    for count in threads:
        for size in sizes:
            for dtype in dtypes:
                for layout in layouts:
                    for direction in directions:
                        yield Point(size, dtype, layout, direction, count)


def names_in(text: str) -> list[str]:
    """The operands that a call names."""
    return [name for name in dict.fromkeys(re.findall(r"(?<![.\w])[A-Za-z]\w*", text)) if name in _KNOWN]


def has_layout(text: str, layout: str) -> bool:
    """Whether a call differs in this layout from the contiguous one: it reads an operand that has it."""
    read = set(names_in(_SHAPE_ALONE.sub("", text)))
    if layout == "channels_last":
        return not read.isdisjoint(_IMAGES)
    return layout == "contiguous" or not read <= set(_IN_ROWS)


def operand(lib: Any, name: str, size: str, dtype: str, layout: str) -> Any:
    """The operand of this name, as a tensor of a library (``array`` is NumPy's)."""
    import numpy as np

    numbers = _numbers(name, *SIDES[size])
    if numbers.dtype == np.float64:
        numbers = numbers.astype(dtype)
    if name == "array":
        return numbers
    if layout == "strided" and name not in _IN_ROWS:
        return lib.tensor(np.repeat(numbers, 2, axis=-1))[..., ::2]
    tensor = lib.tensor(numbers)
    return tensor.to(memory_format=lib.channels_last) if layout == "channels_last" and name in _IMAGES else tensor


def operands(lib: Any, text: str, size: str, dtype: str = "float32", layout: str = "contiguous") -> dict[str, Any]:
    """All that a call names."""
    return {name: operand(lib, name, size, dtype, layout) for name in names_in(text)}


_FLOATS = {
    "x": "n n", "y": "n n", "w": "n n", "z": "n n", "e": "n n", "v": "n", "signs": "n n", "sorted_v": "n", "B": "k k", "A": "k k",
    "stack": "g k k", "spd": "g k k", "points": "p d", "cube": "b d d", "line": "N C L", "image": "N C H H",
    "volume": "N C D S S", "kernel1": "C C d", "kernel2": "C C d d", "kernel3": "C C d d d", "grid": "N H H two",
    "theta": "N two d", "queries": "N b H s", "array": "n", "m": "n n",
}  # fmt: skip
_INTEGERS = {"i": "n n", "j": "n n", "rows": "n", "classes": "n"}
_KNOWN = {**_FLOATS, **_INTEGERS}


def _numbers(name: str, n: int, k: int, images: tuple[int, int, int]) -> Any:
    """Floats are uniform from 0.1 to 0.9, integers from 0 to the side, but for what the names say."""
    import numpy as np

    batch, channels, side = images
    extents = {
        "n": n, "k": k, "N": batch, "C": channels, "H": side, "L": side * 8, "D": 8, "S": side // 2, "p": min(n, 256),
        "d": 3, "b": 4, "g": 8, "s": 16, "two": 2,
    }  # fmt: skip
    shape = [extents[letter] for letter in _KNOWN[name].split()]
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name in _INTEGERS:
        return random.integers(0, n, shape) + (name == "j")
    floats = random.uniform(0.1, 0.9, shape)
    if name == "w":
        return floats + 1
    if name == "z":
        return (floats - 0.5) * 5
    if name == "A":
        return floats + k * np.eye(k)
    if name == "spd":
        return floats @ floats.swapaxes(1, 2) + np.eye(k)
    if name == "sorted_v":
        return np.sort(floats)
    if name == "grid":
        return floats * 2 - 1
    if name == "signs":
        return np.sign(floats - 0.5)
    return floats > 0.5 if name == "m" else floats
