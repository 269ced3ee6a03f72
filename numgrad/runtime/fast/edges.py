"""The graph's edges in machine code: which inputs need a gradient, and where it goes.

Leaves get their accumulators here, too, as `engine/tape.py: gradient_edge` makes them.
"""

from __future__ import annotations

from numgrad.runtime.fast.layout import (
    ACCUMULATOR,
    BASE,
    BEFORE_INPUTS,
    EDGE_OF,
    FALSE,
    FIRST_INPUT,
    GRAD_ENABLED,
    HOOKS,
    LEAF_RECORDS,
    LEAF_TEMPLATE,
    LEAF_VARIABLE,
    MODES,
    NODE,
    NODE_HOOKS,
    NODE_RECORD,
    NODE_SEQUENCE,
    NONE,
    OUTPUT_NR,
    REQUIRES_GRAD,
    SEQUENCE,
    SPEC,
    STORAGE,
    STORAGE_VERSION,
    TRUE,
    TUPLE_CLASS,
    TUPLE_ITEMS,
    TYPE,
    VIEW_NODE,
)
from numgrad.runtime.kernel import device
from numgrad.runtime.objects import (
    call_none,
    call_one,
    decref,
    dict_get,
    error_occurred,
    get_attribute,
    incref,
    iterator_next,
    list_new,
    list_set,
    new_like,
    new_weak_reference,
    put,
    put_new,
    tuple_new,
    tuple_set,
)
from numgrad.runtime.words import peek, poke, python_to_word, word_to_python


@device
def field(words, instance, name):
    """The object in a slot, borrowed; 0 if it is empty."""
    return peek(instance + peek(words + name))


@device
def input_at(args, number):
    """An input of `apply`, borrowed."""
    return peek(args + FIRST_INPUT + 8 * number)


@device
def new_none(words):
    none = peek(words + NONE)
    incref(none)
    return none


@device
def is_recording(words):
    """1 if gradients are recorded, 0 if not; -1 if Python has to decide, -2 for an error."""
    enabled = get_attribute(peek(words + MODES), peek(words + GRAD_ENABLED))
    if enabled == 0:
        return -2
    decref(enabled)
    return 1 if enabled == peek(words + TRUE) else 0 if enabled == peek(words + FALSE) else -1


@device
def pattern_of(words, args, count):
    """Which inputs need a gradient, as bits; -1 if Python has to decide."""
    none, pattern = peek(words + NONE), 0
    for position in range(BEFORE_INPUTS, count):
        tensor = peek(args + 8 * position)
        if tensor != none:
            base = field(words, tensor, BASE)
            if base != none and may_be_stale(words, tensor, base):
                return -1
            if field(words, tensor, NODE) != none or field(words, tensor, REQUIRES_GRAD) == peek(words + TRUE):
                pattern |= 1 << (position - BEFORE_INPUTS)
    return pattern


@device
def may_be_stale(words, tensor, base):
    """Whether a view may need another node before it is used (`engine/views.py: refresh`).

    A view that cannot be followed, and says why, needs none while its memory is as it was.
    """
    view_node = field(words, tensor, VIEW_NODE)
    if field(words, base, NODE) == view_node:
        return 0
    if field(words, view_node, TYPE) != peek(words + TUPLE_CLASS):
        return 1
    then, now = item_of(words, view_node, 0), field(words, field(words, tensor, STORAGE), STORAGE_VERSION)
    return then != now and python_to_word(then) != python_to_word(now)


@device
def item_of(words, items, position):
    """An item of a tuple that has it, borrowed."""
    return peek(items + peek(words + TUPLE_ITEMS) + 8 * position)


@device
def new_reason(words, tensor, texts, first):
    """Why a view cannot be followed, as `fix` says it: the version of the memory, two texts from ``first`` on; 0: an error."""
    reason = tuple_new(3)
    if reason:
        version = field(words, field(words, tensor, STORAGE), STORAGE_VERSION)
        maker, text = item_of(words, texts, first), item_of(words, texts, first + 1)
        incref(version)
        incref(maker)
        incref(text)
        tuple_set(reason, 0, version)
        tuple_set(reason, 1, maker)
        tuple_set(reason, 2, text)
    return reason


@device
def new_accumulator(words, tensor):
    """The accumulator of a leaf that has none; 0 for an error, or if Python has to make it."""
    record, before = dict_get(peek(words + LEAF_RECORDS), field(words, tensor, SPEC)), field(words, tensor, ACCUMULATOR)
    if record == 0:
        return 0
    incref(record)
    incref(before)
    node, number, reference = new_like(words + peek(words + LEAF_TEMPLATE)), iterator_next(peek(words + SEQUENCE)), 0
    if node and number:
        reference = new_weak_reference(node, 0)
    # New objects may start the garbage collector, which may run anything: another accumulator may exist now.
    if reference == 0 or field(words, tensor, ACCUMULATOR) != before:
        decref(record)
        decref(number)
        decref(reference)
        decref(node)
        node = 0
    else:
        poke(node + peek(words + NODE_RECORD), record)
        poke(node + peek(words + NODE_SEQUENCE), number)
        put(node + peek(words + LEAF_VARIABLE), tensor)
        put(node + peek(words + NODE_HOOKS), field(words, tensor, HOOKS))
        put_new(tensor + peek(words + ACCUMULATOR), reference)
    decref(before)
    return node


@device
def new_pair(first, second):
    """The tuple of two objects, whose references are taken over; 0 for an error, of which one may be a sign by being 0."""
    pair = tuple_new(2) if first and second else 0
    if pair == 0:
        decref(first)
        decref(second)
        return 0
    tuple_set(pair, 0, first)
    tuple_set(pair, 1, second)
    return pair


@device
def new_edge(words, tensor):
    """Where the gradient of a tensor goes: (node, output); 0 for an error."""
    node = field(words, tensor, NODE)
    if node == peek(words + NONE):
        accumulator = field(words, tensor, ACCUMULATOR)
        if accumulator != node:
            node = call_none(accumulator)  # a weak reference
            if node == 0:
                return 0
        else:
            incref(node)
        if node == peek(words + NONE):
            decref(node)
            node = new_accumulator(words, tensor)
            if node == 0:
                return 0 if error_occurred() else call_one(peek(words + EDGE_OF), tensor)
        number = word_to_python(0)
    else:
        incref(node)
        number = field(words, tensor, OUTPUT_NR)
        incref(number)
    return new_pair(node, number)


@device
def new_edges(words, args, count, pattern):
    """The list of a node's edges; 0 for an error."""
    inputs = count - BEFORE_INPUTS
    edges = list_new(inputs)
    if edges == 0:
        return 0
    for number in range(inputs):
        if pattern >> number & 1:
            edge = new_edge(words, input_at(args, number))
            if edge == 0:
                decref(edges)
                return 0
        else:
            edge = new_none(words)
        list_set(edges, number, edge)
    return edges
