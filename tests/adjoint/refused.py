"""Functions that have no derivative, or none that the translation can find: each says which line is refused, and how.

A function's refused line ends with a comment that has what the refusal has to say: ``# refused: words``.
"""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass

import numpy as np

TABLE = {"decay": 0.5}
WEIGHTS = [0.1, 0.2]


@dataclass
class Point:
    x: float


class Doubler:
    def __call__(self, u):
        return 2 * u


double = Doubler()


# ---- names of arrays --------------------------------------------------------------------------------------------


def two_names_for_one_array(x, n):
    a = np.zeros(3)
    b = np.zeros(3)
    if n > 0:
        b = a  # refused: copy
    b[0] = x[0]
    return a[0]


def one_of_two_arrays(x, n):
    a = np.zeros(3)
    b = np.ones(3)
    c = a if n > 0 else b  # refused: branch|copy|element
    c[0] = x[0]
    return a[0] + b[0]


def array_in_a_tuple_that_grows(x, n):
    made = ()
    for _ in range(n):
        made = (*made, x)  # refused: tuple|array
    return made[0][0]


def view_by_a_mask(x, n):
    y = x[x > 0]  # refused: loop|mask|index
    return y[0]


def view_by_a_list(x, n):
    y = x[[0, 1]]  # refused: loop|index
    return y[0]


def reshaped_by_what_it_holds(x, n):
    y = x.reshape(int(x[0]), -1)  # refused: reshape
    return y[0, 0]


def extent_that_depends_on_a_number(x, n):
    y = np.zeros(int(x[0]))
    y[0] = x[1]
    return y  # refused: extent|shape


def array_of_another_dtype(x, n):
    y = np.zeros(3, np.float16)  # refused: float32
    y[0] = x[0]
    return y[0]


def array_of_objects(x, n):
    y = np.zeros(3, object)  # refused: dtype|float
    y[0] = x[0]
    return y[0]


def complex_numbers(x, n):
    y = np.zeros(3, np.complex128)  # refused: complex|float
    y[0] = x[0]
    return y[0]


def complex_literal(x, n):
    return abs(x[0] + 2j)  # refused: complex|real


# ---- loops and control flow -------------------------------------------------------------------------------------


def loop_over_an_array(x, n):
    s = 0.0
    for v in x:  # refused: range
        s += v
    return s


def loop_over_pairs(x, n):
    s = 0.0
    for i, v in enumerate(x):  # refused: range
        s += i * v
    return s


def loop_with_else(x, n):
    for i in range(3):  # refused: else
        if x[i] > 0:
            break
    else:
        return 1.0
    return x[0]


def while_with_else(x, n):
    i = 0
    while i < n:  # refused: else
        i += 1
    else:
        return 1.0
    return x[0]


def loop_by_real_steps(x, n):
    s = 0.0
    for i in range(x[0]):  # refused: int
        s += x[i]
    return s


def exceptions(x, n):
    try:  # refused: try|exception
        s = x[n]
    except IndexError:
        s = 0.0
    return s


def raising(x, n):
    if n < 0:
        raise ValueError("n")  # refused: raise|before
    return x[0]


def context(x, n):
    with np.errstate(all="ignore"):  # refused: with
        return x[0] * 2


def generator(x, n):
    for i in range(n):
        yield x[i]  # refused: yield|generator


async def coroutine(x, n):  # refused: async|coroutine
    return x[0]


def matching(x, n):
    match n:  # refused: if
        case 0:
            return x[0]
        case _:
            return x[1]


def deleting(x, n):
    y = x[0]
    del y  # refused: del
    return x[1]


def asserting_by_number(x, n):
    s = 0.0
    for i in range(n):
        s += x[i]
        global FOUND  # refused: global
        FOUND = s
    return s


# ---- functions --------------------------------------------------------------------------------------------------


def calls_itself(x, n):
    return x[0] if n == 0 else calls_itself(x, n - 1)  # refused: itself|recurs|loop


def inner_function(x, n):
    def twice(u):  # refused: outside|module|inside
        return 2 * u

    return twice(x[0])


def anonymous_function(x, n):
    f = lambda u: 2 * u  # noqa: E731  # refused: function|def
    return f(x[0])


def function_without_a_derivative(x, n):
    return np.linalg.det(x.reshape(1, 1))  # refused: rule


def function_of_the_library(x, n):
    return math.lgamma(os.getpid() + x[0])  # refused: rule|known


def random_numbers(x, n):
    return x[0] * np.random.rand()  # refused: random


def random_numbers_of_python(x, n):
    return x[0] * random.random()  # refused: random|rule


def object_that_is_called(x, n):
    return double(x[0])  # refused: function|rule


def method_that_nobody_knows(x, n):
    return x.ptp()  # refused: ptp


def sorting(x, n):
    y = np.sort(x)  # refused: sort
    return y[0]


def keywords_that_nobody_knows(x, n):
    return np.sum(x, where=x > 0)  # refused: where


def printing(x, n):
    print(x[0])  # noqa: T201  # refused: print
    return x[0]


def many_arguments(x, *n):  # refused: argument
    return x[0]


def named_arguments(x, n, **more):  # refused: argument
    return x[0]


def starred_call(x, n):
    return math.hypot(*x)  # refused: \*|argument


def unfolded_call(x, n):
    return math.hypot(x[0], **{"y": n})  # refused: \*\*|argument|keyword


# ---- values -----------------------------------------------------------------------------------------------------


def list_of_numbers(x, n):
    made = []  # refused: array
    for i in range(n):
        made.append(x[i])
    return made[0]


def list_comprehension(x, n):
    return sum([v * v for v in x])  # refused: loop


def generator_expression(x, n):
    return sum(v * v for v in x)  # refused: loop


def dictionary(x, n):
    made = {"a": x[0]}  # refused: dict|tuple
    return made["a"]


def set_of_numbers(x, n):
    return x[0] if n in {1, 2} else 0.0  # refused: set|or


def table_from_outside(x, n):
    return TABLE["decay"] * x[0]  # refused: TABLE


def list_from_outside(x, n):
    return WEIGHTS[n] * x[0]  # refused: WEIGHTS


def text(x, n):
    kind = f"{n}"  # refused: text|string
    return x[0] if kind == "1" else x[1]


def attribute_of_an_object(x, n):
    p = Point(x[0])  # refused: Point
    return p.x


def no_result(x, n):  # refused: return
    y = x[0] * 2
    y += 1


def sometimes_no_result(x, n):
    if n > 0:
        return x[0]  # refused: return


def results_of_different_lengths(x, n):
    if n > 0:
        return x[0], x[1]
    return x[0]  # refused: return


def name_without_a_value(x, n):
    return x[0] * somewhere  # noqa: F821  # refused: somewhere


def kind_that_changes(x, n):
    y = x[0]
    if n > 0:
        y = x  # refused: array
    return y


def tuple_by_a_computed_index(x, n):
    pair = x[0], x[1]
    return pair[n]  # refused: constant|array


def walrus_in_a_condition(x, n):
    s = 0.0
    while (v := x[n] - s) > 0.5:  # refused: :=|assign
        s += v
    return s


def slice_by_a_name(x, n):
    part = slice(0, 2)  # refused: slice
    return x[part][0]


def ufunc_into_an_array(x, n):
    y = np.zeros(3)
    np.exp(x, out=y)  # refused: out
    return y[0]


def unequal_whole_arrays(x, n):
    y = np.zeros((2, 3))
    y[:] = np.zeros((2, 3, 4)) * x[0]  # refused: dimension|shape
    return y[0, 0]


def item_of_an_item(x, n):
    return x[0][1]  # refused: index|number|dimension


def too_many_indices(x, n):
    return x[0, 1]  # refused: dimension
