"""Names that are given one array after another: what other names stand for stays what it was, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.errors import TranslationError
from numgrad.loops.translation import translate
from tests.loops.running import Run, kind_of
from tests.loops.test_translate import agree

# ---- functions that are called -----------------------------------------------------------------------------------------


def squared(a):
    out = np.zeros_like(a)
    for i in range(a.shape[0]):
        out[i] = a[i] * a[i]
    return out


def renames_its_argument(a):
    a = a * 2.0
    return a.sum()


def renames_in_a_loop(a, n):
    for i in range(n):
        a = a * 2.0 + i
    return a


def returned_as_it_is(a):
    return a


def rest(a):
    return a[1:]


def one_array_twice(a):
    new = a * 2.0
    return new, new


def renames_one_of_two(a, b):
    a = a * 2.0
    return a + b


def step(x, v):
    force = squared(x)
    x = x + 0.1 * v
    v = v - 0.1 * force
    return x, v


def shifted(x, v):
    out = np.zeros_like(x)
    for i in range(x.shape[0]):
        out[i] = 2.0 * x[i] + v[i]
    return out, x


def writes_what_it_renamed(a):
    a = a * 2.0
    a[0] = 3.0 * a[1]
    return a


def exchanged(x, v):
    return v, x


# ---- programs ----------------------------------------------------------------------------------------------------------


def argument_renamed_by_a_call(q):
    x = q * 1.0
    total = renames_its_argument(x)
    return x * total, x + renames_in_a_loop(x, 3)


def result_of_a_call_is_an_argument(q):
    x = q * 1.0
    y = returned_as_it_is(x)
    part = rest(x)
    x = x * 2.0
    return x + 10.0 * y, part


def result_of_a_call_has_two_names(q):
    y, z = one_array_twice(q)
    y = y * 2.0
    return y + 10.0 * z


def one_array_for_two_arguments(q):
    x = q * 1.0
    return renames_one_of_two(x, x) + x


def result_of_a_call_renamed(q):
    a = squared(q)
    for _ in range(3):
        q = q - 0.1 * a
        a = squared(q)
    return q, a


def steps_of_two(q):
    x, v = q * 1.0, q * 0.5
    for _ in range(3):
        x, v = step(x, v)
    return x + 10.0 * v


def shifted_by_a_call(q):
    x, v = q * 1.0, q * q
    for _ in range(3):
        x, v = shifted(x, v)
    return x + 10.0 * v


def exchanged_by_a_call(q):
    x, v = q * 1.0, q * q
    for _ in range(3):
        x, v = exchanged(x, v)
    return x + 10.0 * v


def shifted_at_once(q):
    a, b, c = q * 1.0, q * q, q * 3.0
    for _ in range(3):
        a, b, c = b, c, a + b
    return a + 10.0 * b + 100.0 * c


def shifted_in_a_tuple(q):
    pair = (q * 1.0, q * 2.0)
    for _ in range(2):
        pair = (pair[1], pair[0] + pair[1])
    return pair[0] + 10.0 * pair[1]


def shifted_between_tuples(q):
    (a, b), c = (q * 1.0, q * 2.0), q * 3.0
    for _ in range(2):
        (a, c), b = (b + c, a), c
    return a + 10.0 * b + 100.0 * c


def state_in_a_tuple(q):
    state = (q * 1.0, q * 2.0, 0.5)
    for _ in range(3):
        x, v, t = state
        state = (x + t * v, v - t * x, t * 0.9)
    return state[0] + 10.0 * state[1]


def elements_at_once(q):
    a, b = q * 1.0, q * q
    for k in range(3):
        a[:], b[:] = b * 1.0, a * 1.0 + k
    c, d = q * 1.0, q * q
    c[:], d[:] = d, c
    return a + 10.0 * b, c + 10.0 * d


def row_and_its_number(q):
    m = np.outer(q, q)
    i = 0
    r = q * 0.0
    t = q * 0.0
    for _ in range(2):
        i, r = i + 1, m[i]
        t += r
    return t


def kept_from_before(q):
    a, b = q * 1.0, q * 2.0
    for _ in range(3):
        t = a
        a = b
        b = t + b
    return a + 10.0 * b


def kept_in_a_turn(q):
    a = q * 1.0
    for _ in range(2):
        b = a
        part = a[::-1]
        a = a * 2.0
        a = a + b * part
    return a


def kept_for_the_next_turn(q):
    x = q * 1.0
    prev = q * 0.0
    for _ in range(3):
        old = x
        x = x * 1.5 - 0.3 * prev
        prev = old
    return x + 10.0 * prev


def read_before_it_is_renamed(q):
    x = q * 1.0
    s = q * 0.0
    for _ in range(3):
        head = x[:2]
        s[:2] += head
        x = x * 2.0
    return x + s


def changed_before_it_has_two_names(q):
    a = q * 1.0
    a[0] = 0.5 * q[0]
    b = q * q
    b = a
    return a + 10.0 * b


def changed_when_the_other_is_gone(q):
    a, b = q * 1.0, q * q
    for k in range(3):
        b = a
        s = b.sum()
        a = a * 0.5
        a[k] = s
        b = b + a
    a[0] = 7.0 * q[1]
    return a + 10.0 * b


def changed_where_nobody_looks(q):
    a, b = q * 1.0, q * q
    if q[0] > 0.1:
        b = a
        total = b[1]
        b[1] = 0.3
        a = q * 3.0
    else:
        total = b[2]
    return a * total, b


def argument_changed_after_it_is_another(q):
    x = q * 1.0
    return writes_what_it_renamed(x) + x


def one_name_before_a_loop_that_makes_another(q):
    a = q.copy()
    if q[0] > 0.0:
        b = a
        a = b * b
    for _ in range(3):
        a = a * q
    return a


def part_used_in_a_loop_that_makes_another(q):
    a = q.copy()
    b = a[1:]
    s = b.sum()
    for i in range(3):
        a = a * q
        s += b[0] * a[i]
    return a * s


def part_used_in_the_next_turn_of_an_inner_loop(q):
    a = q.copy()
    s = 0.0
    for i in range(2):
        v = a[1:]
        for k in range(3):
            s += v[i] * q[k]
            a = a * (q + 0.5)
    return a * s


def one_of_two_that_are_swapped(q):
    a, c = q * 1.0, q * q
    v = a
    for i in range(3):
        a, c = c, a
        c = c * q[i]
    return v * a + c


def filled(q):
    a = np.zeros(3)
    a.fill(q[1] * 3.0)
    return a * q


PROGRAMS = [
    f for f in list(globals().values()) if getattr(f, "__code__", None) and f.__code__.co_varnames[:1] == ("q",)
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_as_in_numpy(program: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    q = np.array([0.2, 0.3, 0.7])
    wanted = program(q.copy())
    run = Run(program, [q])
    grads = agree(run, rng, wanted if isinstance(wanted, tuple) else (wanted,))
    assert all(np.all(g != 0.0) for g in grads.values())


def element_of_one_of_two(q):
    x = q * 1.0
    return writes_one_renames_one(x, x) + x


def writes_one_renames_one(a, b):
    b[0] = 7.0
    a = a * 2.0
    return a + b


def part_of_itself_stays_the_same_array(q):
    a, c = q * 1.0, q * q
    c = a
    a = a[::-1]
    a[0] = 5.0
    return a + c


def changed_in_the_next_turn(q):
    a, b = q * 1.0, q * q
    for k in range(2):
        a[k] = b[k] * 2.0
        b = a
    return a + b


def loop_over_what_is_renamed(q):
    a, s = q * 1.0, 0.0
    for v in a:
        a = a * 2.0
        s += v
    return s * a


@pytest.mark.parametrize(
    ("program", "words"),
    [(part_of_itself_stays_the_same_array, "c is another name for an array that is changed"),
     (changed_in_the_next_turn, "b is another name for an array that is changed"),
     (element_of_one_of_two, "a is an argument, and then another array, and its elements are changed"),
     (loop_over_what_is_renamed, "the array that it goes over is made anew in it; copy it")],
)  # fmt: skip
def test_refused(program: Callable[..., Any], words: str) -> None:
    with pytest.raises(TranslationError, match=words):
        translate(program, [kind_of(np.ones(3))])
