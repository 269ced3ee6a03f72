"""`run_known`: a call of a public function whose op and plan are known, without the Python between them.

Which op a function such as `transpose` applies, with which parameters, depends on the specs of its tensors and on its other
arguments alone. So both are kept in the function's table (`tensor/known.py` fills it), under a key that is made of them here. An
argument that is not of a common class has no key, and the function runs in Python as ever.

NotImplemented says that the function has to run; None, that the table does not know the call.

A value in a table is False for a call that is left to the function. Else it is a *step*, the tuple (plan, params, distance, marks,
sources ...), or None and steps, one for each tensor of a tuple. A source is an input of the op: the number of an argument, or a
tensor. ``distance`` are the bytes that a view lies farther on than its plan says. ``marks`` are None, or for each output a pair of
texts: why the view cannot be followed (`engine/views.py: fix`).
"""

from __future__ import annotations

from numgrad.runtime.fast.edges import field
from numgrad.runtime.fast.layout import (
    ARG_PARAMS,
    ARG_TABLE,
    BEFORE_INPUTS,
    BOOL_CLASS,
    DTYPE_CLASS,
    ELLIPSIS,
    FALSE,
    FIRST_INPUT,
    FIRST_KNOWN,
    FLOAT_CLASS,
    FLOAT_VALUE,
    INT_CLASS,
    LIST,
    MOST_INPUTS,
    NONE,
    NOT_IMPLEMENTED,
    SIZE_CLASS,
    SLICE_CLASS,
    SLICE_START,
    SLICE_STEP,
    SLICE_STOP,
    SPEC,
    STEP_MARKS,
    STEP_PARAMS,
    STEP_SOURCES,
    STORAGE,
    STORAGE_VERSION,
    STR_CLASS,
    TENSOR_BASE,
    TENSOR_CLASS,
    TRUE,
    TUPLE_CLASS,
    TYPE,
    VIEW_NODE,
)
from numgrad.runtime.kernel import device
from numgrad.runtime.objects import (
    decref,
    dict_get,
    error_occurred,
    incref,
    is_subtype,
    list_get,
    list_size,
    put_new,
    tuple_get,
    tuple_new,
    tuple_set,
    tuple_size,
)
from numgrad.runtime.words import peek, poke, python_to_word, word_to_python


@device
def class_of(words, instance):
    """The class of an object, borrowed."""
    return peek(instance + peek(words + TYPE))


@device
def known_entry(words, args, count):
    """The value in the table for these arguments, with a reference; 0 if there is none, or an error.

    NotImplemented, if they have no key.
    """
    other = peek(words + NOT_IMPLEMENTED)
    key = tuple_new(count - FIRST_KNOWN)
    if key == 0:
        return 0
    for position in range(FIRST_KNOWN, count):
        piece = piece_of(words, peek(args + 8 * position))
        if piece == 0:
            decref(key)
            if error_occurred():
                return 0
            incref(other)
            return other
        tuple_set(key, position - FIRST_KNOWN, piece)
    entry = dict_get(peek(args + ARG_TABLE), key)
    decref(key)
    incref(entry)
    return entry


@device
def piece_of(words, value):
    """What stands in a key for an argument, a new reference; 0 if it has no key, or an error."""
    cls = class_of(words, value)
    if cls == peek(words + TENSOR_CLASS) or is_subtype(cls, peek(words + TENSOR_BASE)):
        spec = field(words, value, SPEC)
        incref(spec)  # of 0, nothing
        return spec
    if cls == peek(words + TUPLE_CLASS) or cls == peek(words + SIZE_CLASS):
        return pieces_of_tuple(words, value)
    if cls == peek(words + LIST):
        return pieces_of_list(words, value)
    return simple_piece(words, cls, value)


@device
def pieces_of_tuple(words, value):
    """A tuple with the pieces of the items; the tuple itself where these are ints."""
    size, first_other, ints = tuple_size(value), -1, peek(words + INT_CLASS)
    for position in range(size):
        if first_other < 0 and class_of(words, tuple_get(value, position)) != ints:
            first_other = position
    if first_other < 0:
        incref(value)
        return value
    pieces = tuple_new(size)
    if pieces == 0:
        return 0
    for position in range(size):
        item = tuple_get(value, position)
        piece = simple_piece(words, class_of(words, item), item)
        if piece == 0:
            decref(pieces)
            return 0
        tuple_set(pieces, position, piece)
    return pieces


@device
def pieces_of_list(words, value):
    """A tuple of the class of lists and the items, which have to be ints."""
    size, ints = list_size(value), peek(words + INT_CLASS)
    for position in range(size):
        if class_of(words, list_get(value, position)) != ints:
            return 0
    pieces = tuple_new(size + 1)
    if pieces == 0:
        return 0
    incref(peek(words + LIST))
    tuple_set(pieces, 0, peek(words + LIST))
    for position in range(size):
        item = list_get(value, position)
        incref(item)
        tuple_set(pieces, position + 1, item)
    return pieces


@device
def simple_piece(words, cls, value):
    """What stands in a key for an argument without items. True, 1 and 1.0 are equal, and so are 0.0 and -0.0; pieces are not."""
    if (
        cls == peek(words + INT_CLASS)
        or value == peek(words + NONE)
        or cls == peek(words + DTYPE_CLASS)
        or cls == peek(words + STR_CLASS)
        or value == peek(words + ELLIPSIS)
    ):
        incref(value)
        return value
    if value == peek(words + TRUE) or value == peek(words + FALSE):
        piece = peek(words + BOOL_CLASS) if value == peek(words + TRUE) else peek(words + FLOAT_CLASS)
        incref(piece)
        return piece
    if cls == peek(words + FLOAT_CLASS):
        bits = word_to_python(peek(value + peek(words + FLOAT_VALUE)))
        return pair_of(cls, bits)
    if cls == peek(words + SLICE_CLASS):
        return piece_of_slice(words, value)
    return 0


@device
def pair_of(first, second):
    """The tuple of two objects, whose second reference is taken over; 0 for an error."""
    pair = tuple_new(2) if second else 0
    if pair == 0:
        decref(second)
        return 0
    incref(first)
    tuple_set(pair, 0, first)
    tuple_set(pair, 1, second)
    return pair


@device
def piece_of_slice(words, value):
    """A tuple of the class of slices and the bounds, ints or None."""
    none, ints = peek(words + NONE), peek(words + INT_CLASS)
    start = peek(value + peek(words + SLICE_START))
    stop = peek(value + peek(words + SLICE_STOP))
    step = peek(value + peek(words + SLICE_STEP))
    if (
        (start != none and class_of(words, start) != ints)
        or (stop != none and class_of(words, stop) != ints)
        or (step != none and class_of(words, step) != ints)
    ):
        return 0
    piece = tuple_new(4)
    if piece == 0:
        return 0
    incref(peek(words + SLICE_CLASS))
    incref(start)
    incref(stop)
    incref(step)
    tuple_set(piece, 0, peek(words + SLICE_CLASS))
    tuple_set(piece, 1, start)
    tuple_set(piece, 2, stop)
    tuple_set(piece, 3, step)
    return piece


@device
def inputs_of_step(words, args, step, call_args):
    """Write `apply`'s arguments from those of `run_known`; their number, with the two before the inputs."""
    inputs = tuple_size(step) - STEP_SOURCES
    if inputs > MOST_INPUTS:
        return 0
    poke(call_args + ARG_PARAMS, tuple_get(step, STEP_PARAMS))
    for number in range(inputs):
        source = tuple_get(step, STEP_SOURCES + number)
        if class_of(words, source) == peek(words + INT_CLASS):
            source = peek(args + 8 * (FIRST_KNOWN + python_to_word(source)))
        poke(call_args + FIRST_INPUT + 8 * number, source)
    return BEFORE_INPUTS + inputs


@device
def mark_views(words, step, result, recording):
    """Say of each of the views of one call why it cannot be followed, as `fix` does; 0 for an error."""
    marks = tuple_get(step, STEP_MARKS)
    if marks == peek(words + NONE) or recording == 0:
        return 1
    for number in range(tuple_size(marks)):
        tensor, mark = tuple_get(result, number), tuple_get(marks, number)
        reason = tuple_new(3)
        if reason == 0:
            return 0
        version = field(words, field(words, tensor, STORAGE), STORAGE_VERSION)
        incref(version)
        incref(tuple_get(mark, 0))
        incref(tuple_get(mark, 1))
        tuple_set(reason, 0, version)
        tuple_set(reason, 1, tuple_get(mark, 0))
        tuple_set(reason, 2, tuple_get(mark, 1))
        put_new(tensor + peek(words + VIEW_NODE), reason)
    return 1
