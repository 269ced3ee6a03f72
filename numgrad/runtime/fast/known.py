"""`run_known`: a call of a public function whose op and plan are known, without the Python between them.

Which op a function such as `transpose` applies, with which parameters, depends on the specs of its tensors and on its other
arguments alone, and on whether a gradient is needed. So all is kept in the function's table (`tensor/known.py` fills it), under a
key that is made of them here. An argument that is not of a common class has no key, and the function runs in Python as ever.

NotImplemented says that the function has to run; None, that the table does not know the call.

A value in a table is False for a call that is left to the function, and True for one of which more has to be seen. Else it is a
*step*, the tuple (plan, params, distance, marks, class, sources ...), or None and steps, one for each tensor of a tuple. A source
is an input of the op: a tensor, or the number of an argument; for a tensor in a list or tuple, 1 + its place there counts 256 each.
``distance`` are the bytes that a view lies farther on than its plan says. ``marks`` are None, or for each output a pair of texts:
why the view cannot be followed (`engine/views.py: fix`). The class is None, or what makes the result of the tuple of the outputs.
"""

from __future__ import annotations

from numgrad.runtime.fast.edges import field, is_recording, item_of, may_be_stale, new_pair, new_reason
from numgrad.runtime.fast.layout import (
    ARG_PARAMS,
    BASE,
    BEFORE_INPUTS,
    BOOL_CLASS,
    DTYPE_CLASS,
    ELLIPSIS,
    FALSE,
    FIRST_INPUT,
    FIRST_KNOWN,
    FIRST_ROW,
    FLOAT_CLASS,
    FLOAT_VALUE,
    INT_CLASS,
    ITEM,
    LIST,
    MOST_INPUTS,
    MOST_ITEMS,
    NODE,
    NONE,
    NOT_IMPLEMENTED,
    PLAN_CHANGED,
    PLAN_ROWS,
    PLAN_WRITES_LAST,
    REQUIRES_GRAD,
    ROW_SIZE,
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
    STORAGE_ADDRESS,
    STORAGE_NBYTES,
    STR_CLASS,
    TENSOR_BASE,
    TENSOR_CLASS,
    TRUE,
    TUPLE_CLASS,
    TUPLE_ITEMS,
    TYPE,
    VIEW_NODE,
)
from numgrad.runtime.kernel import device
from numgrad.runtime.objects import (
    decref,
    error_occurred,
    incref,
    is_subtype,
    list_get,
    list_size,
    put_new,
    tuple_new,
    tuple_size,
)
from numgrad.runtime.words import peek, poke, python_to_word, stack_words, word_to_python

NEEDED, STALE = 1, 2  # of a call: a gradient is needed if gradients are recorded; a view may be stale


@device
def class_of(words, instance):
    """The class of an object, borrowed."""
    return peek(instance + peek(words + TYPE))


@device
def is_tensor(words, instance):
    cls = class_of(words, instance)
    return cls == peek(words + TENSOR_CLASS) or is_subtype(cls, peek(words + TENSOR_BASE)) != 0


@device
def fill_item(words, items, position, item):
    """Put an item, whose reference is taken over, into a new tuple."""
    poke(items + peek(words + TUPLE_ITEMS) + 8 * position, item)


@device
def new_key(words, args, count):
    """The key of these arguments, a new reference; NotImplemented if they have none, 0 for an error."""
    other, needs = peek(words + NOT_IMPLEMENTED), stack_words(1)
    poke(needs, 0)
    key = tuple_new(count - FIRST_KNOWN)
    if key == 0:
        return 0
    for position in range(FIRST_KNOWN, count):
        piece = piece_of(words, peek(args + 8 * position), needs)
        if piece == 0:
            decref(key)
            if error_occurred():
                return 0
            incref(other)
            return other
        fill_item(words, key, position - FIRST_KNOWN, piece)
    if peek(needs) == 0:
        return key
    recording, longer = is_recording(words), key
    if recording < 0 or (recording and peek(needs) & STALE):
        decref(key)
        longer = 0 if recording == -2 else other
        incref(longer)
    elif recording:
        longer = tuple_new(count - FIRST_KNOWN + 1)
        if longer:
            incref(peek(words + TENSOR_BASE))
            fill_item(words, longer, count - FIRST_KNOWN, peek(words + TENSOR_BASE))
            for position in range(count - FIRST_KNOWN):
                incref(item_of(words, key, position))
                fill_item(words, longer, position, item_of(words, key, position))
        decref(key)
    return longer


@device
def piece_of_tensor(words, tensor, needs):
    """A tensor's spec, a new reference; in ``needs`` is noted whether a gradient is needed for it or for its base."""
    spec = field(words, tensor, SPEC)
    if spec == 0:  # it was never initialized
        return 0
    none, true, base = peek(words + NONE), peek(words + TRUE), field(words, tensor, BASE)
    if base != none:
        if may_be_stale(words, tensor, base):
            poke(needs, peek(needs) | STALE)
        if field(words, base, NODE) != none or field(words, base, REQUIRES_GRAD) == true:
            poke(needs, peek(needs) | NEEDED)
    if field(words, tensor, NODE) != none or field(words, tensor, REQUIRES_GRAD) == true:
        poke(needs, peek(needs) | NEEDED)
    incref(spec)
    return spec


@device
def piece_of(words, value, needs):
    """What stands in a key for an argument, a new reference; 0 if it has no key, or an error."""
    if is_tensor(words, value):
        return piece_of_tensor(words, value, needs)
    cls = class_of(words, value)
    if cls == peek(words + TUPLE_CLASS) or cls == peek(words + SIZE_CLASS):
        return pieces_of_tuple(words, value, needs)
    if cls == peek(words + LIST):
        return pieces_of_list(words, value, needs)
    return simple_piece(words, cls, value)


@device
def piece_of_item(words, item, needs):
    """What stands in a key for an item of a list or tuple, a new reference; 0 if it has no key, or an error."""
    if is_tensor(words, item):
        return piece_of_tensor(words, item, needs)
    return simple_piece(words, class_of(words, item), item)


@device
def pieces_of_tuple(words, value, needs):
    """A tuple with the pieces of the items; the tuple itself where these are ints."""
    size, first_other, ints = tuple_size(value), -1, peek(words + INT_CLASS)
    for position in range(size):
        if first_other < 0 and class_of(words, item_of(words, value, position)) != ints:
            first_other = position
    if first_other < 0:
        incref(value)
        return value
    pieces = tuple_new(size) if size <= MOST_ITEMS else 0
    if pieces == 0:
        return 0
    for position in range(size):
        piece = piece_of_item(words, item_of(words, value, position), needs)
        if piece == 0:
            decref(pieces)
            return 0
        fill_item(words, pieces, position, piece)
    return pieces


@device
def pieces_of_list(words, value, needs):
    """A tuple of the class of lists and the pieces of the items."""
    size = list_size(value)
    pieces = tuple_new(size + 1) if size <= MOST_ITEMS else 0
    if pieces == 0:
        return 0
    incref(peek(words + LIST))
    fill_item(words, pieces, 0, peek(words + LIST))
    for position in range(size):
        # Making tuples may run the garbage collector, and so any Python, which may change the list.
        piece = piece_of_item(words, list_get(value, position), needs) if position < list_size(value) else 0
        if piece == 0:
            decref(pieces)
            return 0
        fill_item(words, pieces, position + 1, piece)
    return pieces


@device
def simple_piece(words, cls, value):
    """What stands in a key for an argument without items. True, 1 and 1.0 are equal, and so are 0.0 and -0.0; pieces are not.

    For False this is no class that a piece begins with: a float's piece would be that of the tuple of False and its bits.
    """
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
        piece = peek(words + BOOL_CLASS) if value == peek(words + TRUE) else peek(words + DTYPE_CLASS)
        incref(piece)
        return piece
    if cls == peek(words + FLOAT_CLASS):
        bits = word_to_python(peek(value + peek(words + FLOAT_VALUE)))
        incref(cls)
        return new_pair(cls, bits)
    if cls == peek(words + SLICE_CLASS):
        return piece_of_slice(words, value)
    return 0


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
    fill_item(words, piece, 0, peek(words + SLICE_CLASS))
    fill_item(words, piece, 1, start)
    fill_item(words, piece, 2, stop)
    fill_item(words, piece, 3, step)
    return piece


@device
def inputs_of_step(words, args, key, step, call_args):
    """Write `apply`'s arguments from those of `run_known`, with references to the inputs; their number, with the two before them.

    0 if there are too many, or one is not any more what the key says: other Python may have run.
    """
    inputs = tuple_size(step) - STEP_SOURCES
    if inputs > MOST_INPUTS:
        return 0
    poke(call_args + ARG_PARAMS, item_of(words, step, STEP_PARAMS))
    for number in range(inputs):
        source = item_of(words, step, STEP_SOURCES + number)
        if class_of(words, source) == peek(words + INT_CLASS):
            source = argument_at(words, args, key, python_to_word(source))
            if source == 0:
                drop_inputs(call_args, BEFORE_INPUTS + number)
                return 0
        incref(source)
        poke(call_args + FIRST_INPUT + 8 * number, source)
    return BEFORE_INPUTS + inputs


@device
def drop_inputs(call_args, count):
    """Drop the references to the inputs."""
    for position in range(BEFORE_INPUTS, count):
        decref(peek(call_args + 8 * position))


@device
def argument_at(words, args, key, source):
    """The tensor among the arguments that a source names, borrowed; 0 if it is not what the key says."""
    argument, item = source & ITEM - 1, source // ITEM - 1
    tensor, spec = peek(args + 8 * (FIRST_KNOWN + argument)), item_of(words, key, argument)
    if item >= 0:
        if class_of(words, tensor) != peek(words + LIST):
            tensor, spec = item_of(words, tensor, item), item_of(words, spec, item)
        elif item < list_size(tensor):
            tensor, spec = list_get(tensor, item), item_of(words, spec, item + 1)
        else:
            return 0
    return tensor if is_tensor(words, tensor) and field(words, tensor, SPEC) == spec else 0


@device
def memory_of(words, tensor):
    """Where the memory of a tensor's storage begins and ends."""
    storage = field(words, tensor, STORAGE)
    first = python_to_word(field(words, storage, STORAGE_ADDRESS))
    return first, first + python_to_word(field(words, storage, STORAGE_NBYTES))


@device
def meets_changed(words, call_args, count, plan):
    """Whether an input that the plan changes shares memory with another input, which may be read later."""
    if peek(plan + PLAN_WRITES_LAST):
        return 0
    changed, meets = plan + FIRST_ROW + ROW_SIZE * peek(plan + PLAN_ROWS), 0
    for number in range(peek(plan + PLAN_CHANGED)):
        written = BEFORE_INPUTS + peek(changed + 8 * number)
        first, end = memory_of(words, peek(call_args + 8 * written))
        for position in range(BEFORE_INPUTS, count):
            tensor = peek(call_args + 8 * position)
            if position != written and tensor != peek(words + NONE):
                other_first, other_end = memory_of(words, tensor)
                if first < other_end and other_first < end:
                    meets = 1
    return meets


@device
def mark_views(words, step, result, recording):
    """Say of each of the views of one call why it cannot be followed, as `fix` does; 0 for an error."""
    marks = item_of(words, step, STEP_MARKS)
    if marks == peek(words + NONE) or recording == 0:
        return 1
    for number in range(tuple_size(marks)):
        tensor, mark = item_of(words, result, number), item_of(words, marks, number)
        reason = new_reason(words, tensor, mark, 0)
        if reason == 0:
            return 0
        put_new(tensor + peek(words + VIEW_NODE), reason)
    return 1
