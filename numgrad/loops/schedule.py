"""Which states of a loop that is made in parts are kept, and how often its turns run: Griewank and Walther's revolve.

With ``states`` states at hand, the one it starts from among them, and turns that are run again at most ``r`` times each, a
stretch of ``beta(states, r) = (states + r)! / (states! r!)`` turns can be taken backwards one by one. So a stretch of ``n``
turns takes ``r n - beta(states + 1, r - 1)`` turns that are run again, with the least ``r`` that suffices, and no schedule
takes fewer (Griewank and Walther, Algorithm 799: revolve, ACM Transactions on Mathematical Software 26, 2000).
"""

from __future__ import annotations

import math


def turns_ahead(left, states):  # type: ignore[no-untyped-def]  # compiled as well
    """How many turns to run before the next state is kept, where ``left`` are to be taken backwards, 2 or more."""
    if states == 1:
        return left - 1
    r = 1
    oldest, before, now = 0, 1, states + 1  # beta of r - 2, of r - 1 and of r
    while now < left:
        r += 1
        oldest, before, now = before, now, now * (states + r) // r
    return max(1, oldest, left - (now - before))


def turns_again(turns: int, states: int) -> int:
    """How many turns are run again to take a stretch backwards; the turns that are recorded do not count.

    >>> turns_again(10, 1), turns_again(10, 3), turns_again(10, 9)
    (45, 15, 9)
    """
    if turns <= 1:
        return 0
    r = 1
    while math.comb(states + r, r) < turns:
        r += 1
    return r * turns - math.comb(states + r, r - 1)


def stretches(turns: int, snapshots: int, is_counted: bool) -> list[int]:
    """The lengths of the stretches between the states that the forward sweep keeps; see `parts`."""
    if is_counted:
        count = min(turns, snapshots or max(1, int(math.sqrt(turns))))
        return [(k + 1) * turns // count - k * turns // count for k in range(count)]
    stride = 1
    while turns > (snapshots or 4 * stride) * stride:
        stride *= 2
    return [min(stride, turns - first) for first in range(0, turns, stride)]
