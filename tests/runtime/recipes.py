"""What `numgrad.runtime.helpers` is asked to rehearse in tests."""

from __future__ import annotations

from numgrad.runtime.kernel import kernel


@kernel("T[:], T")
def write(out, value, start, stop):
    for i in range(start, stop):
        out[i] = value


@kernel("f8[:], f8")
def multiply(out, factor, start, stop):
    for i in range(start, stop):
        out[i] = out[i] * factor


def small() -> None:
    """Three kernels that compile quickly."""
    write.entry(("f4",))
    multiply.entry()
    write.entry(("f8",))


def refused() -> None:
    """A recipe that makes no sense."""
    raise ValueError("no such thing")


def endless() -> None:
    """A recipe that never ends by itself."""
    while True:
        pass
