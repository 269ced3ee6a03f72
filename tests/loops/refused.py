"""Functions that have no derivative, or none that the translation can find: each says which line is refused, and how.

A function's refused line ends with a comment that has what the refusal has to say: ``# refused: words``.
"""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass

import numpy as np

import numgrad as ng

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
        b = a  # refused: copy it
    b[0] = x[0]
    return a[0]


def one_of_two_arrays(x, n):
    a = np.zeros(3)
    b = np.ones(3)
    c = a if n > 0 else b  # refused: write the loop
    c[0] = x[0]
    return a[0] + b[0]


def array_in_a_tuple_that_grows(x, n):
    made = ()
    for _ in range(n):
        made = (*made, x)  # refused: take two names
    return made[0][0]


def view_by_a_mask(x, n):
    y = x[x > 0]  # refused: write the loop
    return y[0]


def view_by_a_list(x, n):
    y = x[[0, 1]]  # refused: write the loop
    return y[0]


def reshaped_by_what_it_holds(x, n):
    y = x.reshape(int(x[0]), -1)  # refused: write the loop
    return y[0, 0]


def extent_that_depends_on_a_number(x, n):
    y = np.zeros(int(x[0]))  # refused: extents that shapes and integer arguments determine
    y[0] = x[1]
    return y


def array_of_another_dtype(x, n):
    y = np.zeros(3, np.float16)  # refused: take one of f8, f4
    y[0] = x[0]
    return y[0]


def array_of_objects(x, n):
    y = np.zeros(3, object)  # refused: take one of f8, f4
    y[0] = x[0]
    return y[0]


def complex_numbers(x, n):
    y = np.zeros(3, np.complex128)  # refused: take one of f8, f4
    y[0] = x[0]
    return y[0]


def complex_literal(x, n):
    return abs(x[0] + 2j)  # refused: keep real and imaginary part apart


# ---- loops and control flow -------------------------------------------------------------------------------------


def loop_by_real_steps(x, n):
    s = 0.0
    for i in range(x[0]):  # refused: convert by int
        s += x[i]
    return s


def exceptions(x, n):
    try:  # refused: look at the condition before
        s = x[n]
    except IndexError:
        s = 0.0
    return s


def context(x, n):
    with np.errstate(all="ignore"):  # refused: leave it outside
        return x[0] * 2


def generator(x, n):
    for i in range(n):
        yield x[i]  # refused: store the values in an array


def matching(x, n):
    match n:  # refused: write it by `if`
        case 0:
            return x[0]
        case _:
            return x[1]


def deleting(x, n):
    y = x[0]
    del y  # refused: leave it out
    return x[1]


def asserting_by_number(x, n):
    s = 0.0
    for i in range(n):
        s += x[i]
        global FOUND  # refused: return the value
        FOUND = s
    return s


# ---- functions --------------------------------------------------------------------------------------------------


def calls_itself(x, n):
    return x[0] if n == 0 else calls_itself(x, n - 1)  # refused: a loop with a stack of its own


def inner_function(x, n):
    def twice(u):  # refused: define the function outside
        return 2 * u

    return twice(x[0])


def anonymous_function(x, n):
    f = lambda u: 2 * u  # noqa: E731  # refused: define a function outside
    return f(x[0])


def function_without_a_derivative(x, n):
    return np.linalg.det(x.reshape(1, 1))  # refused: declare its derivative by a rule


def function_of_the_library(x, n):
    return math.lgamma(os.getpid() + x[0])  # refused: declare its derivative by a rule


def random_numbers(x, n):
    return x[0] * np.random.rand()  # refused: rule


def random_numbers_of_python(x, n):
    return x[0] * random.random()  # refused: declare its derivative by a rule


def object_that_is_called(x, n):
    return double(x[0])  # refused: declare its derivative by a rule


def method_that_nobody_knows(x, n):
    return x.ptp()  # refused: write the loop


def method_that_numpy_has_as_a_function(x, n):
    return x.sin()  # refused: call `np.sin`


def method_of_a_number(x, n):
    return x[0].item()  # refused: a number has no method `item` here; leave it out


def misspelled(x, n):
    return np.sinn(x)  # refused: numpy has no `sinn`


def function_of_tensors(x, n):
    return ng.sin(x)  # refused: sin is a function of tensors, and here are arrays; call NumPy's


def pairs(x, n):
    total = 0.0
    for a, b in zip(x, x, strict=True):  # refused: loop over a range, and read both by the index
        total += a * b
    return total


def sorting(x, n):
    y = np.sort(x)  # refused: write it in numbers and loops
    return y[0]


def keywords_that_nobody_knows(x, n):
    return np.sum(x, where=x > 0)  # refused: only `axis` is supported


def printing(x, n):
    print(x[0])  # noqa: T201  # refused: has no derivative
    return x[0]


def many_arguments(x, *n):  # refused: name each argument
    return x[0]


def named_arguments(x, n, **more):  # refused: name each argument
    return x[0]


def starred_call(x, n):
    return math.hypot(*x)  # refused: only a tuple can be unpacked


def unfolded_call(x, n):
    return math.hypot(x[0], **{"y": n})  # refused: name each argument


# ---- values -----------------------------------------------------------------------------------------------------


def list_of_numbers(x, n):
    made = []
    for i in range(n):
        made.append(x[i])  # refused: a tuple has no method `append` here; store into the elements of an array
    return made[0]


def list_comprehension(x, n):
    return sum([v * v for v in x])  # refused: write the loop


def generator_expression(x, n):
    return sum(v * v for v in x)  # refused: write the loop


def dictionary(x, n):
    made = {"a": x[0]}  # refused: take a tuple
    return made["a"]


def set_of_numbers(x, n):
    return x[0] if n in {1, 2} else 0.0  # refused: compare numbers by


def table_from_outside(x, n):
    return TABLE["decay"] * x[0]  # refused: give the function an array


def list_from_outside(x, n):
    return WEIGHTS[n] * x[0]  # refused: give the function an array


def text(x, n):
    kind = f"{n}"  # refused: leave texts outside
    return x[0] if kind == "1" else x[1]


def attribute_of_an_object(x, n):
    p = Point(x[0])  # refused: declare its derivative by a rule
    return p.x


def sometimes_no_result(x, n):
    if n > 0:
        return x[0]  # refused: return a value everywhere


def results_of_different_lengths(x, n):
    if n > 0:
        return x[0], x[1]
    return x[0]  # refused: 1 values here and 2 elsewhere


def name_without_a_value(x, n):
    return x[0] * somewhere  # noqa: F821  # refused: is not defined


def kind_that_changes(x, n):
    y = x[0]
    if n > 0:
        y = x  # refused: take two names
    return y


def tuple_by_a_computed_index(x, n):
    pair = x[0], x[1]
    return pair[n]  # refused: take an array


def walrus_in_a_condition(x, n):
    s = 0.0
    while (v := x[n] - s) > 0.5:  # refused: assign the value in a statement of its own
        s += v
    return s


def slice_by_a_name(x, n):
    part = slice(0, 2)  # refused: rule
    return x[part][0]


def ufunc_into_an_array(x, n):
    y = np.zeros(3)
    np.exp(x, out=y)  # refused: by their places
    return y[0]


def unequal_whole_arrays(x, n):
    y = np.zeros((2, 3))
    y[:] = np.zeros((2, 3, 4)) * x[0]  # refused: 3 dimensions do not fit into 2
    return y[0, 0]


def item_of_an_item(x, n):
    return x[0][1]  # refused: give the function an array


def too_many_indices(x, n):
    return x[0, 1]  # refused: 2 indices for an array with 1 dimension
