"""The progress bar of a download: tqdm's where tqdm is installed, otherwise one plain line on stderr."""

from __future__ import annotations

import sys
import time

from numgrad import config


class Bar:
    """The interface through which a download reports its progress. This class shows nothing."""

    def update(self, n: int, /) -> None:
        """`n` more bytes have arrived."""

    def reset(self) -> None:
        """The download begins again at the first byte."""

    def close(self) -> None:
        """The download is over."""


class Line(Bar):
    """Name, percentage and megabytes, rewritten in place at most ten times a second."""

    def __init__(self, name: str, total: int, done: int) -> None:
        self.name, self.total, self.done = name, total, done
        self._shown = 0.0

    def update(self, n: int, /) -> None:
        """Count the bytes, and show the line again after a tenth of a second."""
        self.done += n
        if time.monotonic() - self._shown >= 0.1:
            self._show()

    def reset(self) -> None:
        """Count from zero again."""
        self.done = 0

    def close(self) -> None:
        """Show the final count and end the line."""
        self._show()
        sys.stderr.write("\n")

    def _show(self) -> None:
        self._shown = time.monotonic()
        share = min(self.done / max(self.total, 1), 1.0)
        sys.stderr.write(f"\r{self.name}: {share:4.0%} of {self.total / 1e6:.1f} MB")
        sys.stderr.flush()


def make_bar(name: str, total: int, done: int, *, show: bool | None) -> Bar:
    """A bar for a download of `total` bytes, `done` of which are on disk; `show=None`: as `config.shows_progress` says."""
    if sys.stderr is None or not (config.shows_progress() if show is None else show):
        return Bar()
    try:
        from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return Line(name, total, done)
    bar: Bar = tqdm(desc=name, total=total, initial=done, unit="B", unit_scale=True, dynamic_ncols=True)
    return bar
