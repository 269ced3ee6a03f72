"""The objects that `apply` makes: outputs with their memory, and the node that records the op.

They lie in one array, ``objects``: a pair for each output, then the parts of the node (`layout.PAIR`, `PARTS`).
"""

from __future__ import annotations

from numgrad.runtime.fast.edges import field, input_at, new_none, new_reason
from numgrad.runtime.fast.layout import (
    ADDRESS,
    ARG_PARAMS,
    BASE,
    BEFORE_INPUTS,
    FIRST_ALIAS,
    FIRST_ROW,
    FIRST_SAVED,
    ITSELF,
    MEMORY,
    NEW,
    NODE,
    NODE_EDGES,
    NODE_PARAMS,
    NODE_RECORD,
    NODE_SAVED,
    NODE_SEQUENCE,
    NODE_TEMPLATE,
    NODE_VERSIONS,
    NONE,
    OUTPUT,
    OUTPUT_NR,
    PAIR_SIZE,
    PAIR_STORAGE,
    PAIR_TENSOR,
    PARTS_NODE,
    PARTS_SAVED,
    PARTS_SEQUENCE,
    PARTS_VERSIONS,
    PARTS_WORDS,
    PLAN_CHANGED,
    PLAN_OUTPUTS,
    PLAN_PUBLIC,
    PLAN_ROWS,
    RECORD_SAVED,
    ROW_KIND,
    ROW_NBYTES,
    ROW_ORIGIN,
    ROW_OUTPUT,
    ROW_SIZE,
    ROW_SPEC,
    SCRATCH,
    SEQUENCE,
    SPEC,
    STORAGE,
    STORAGE_TEMPLATE,
    STORAGE_VERSION,
    TENSOR_TEMPLATE,
    TUPLE_CLASS,
    TYPE,
    VIEW_NODE,
)
from numgrad.runtime.kernel import device
from numgrad.runtime.memory import block_address, fill_storage, take_block
from numgrad.runtime.objects import (
    decref,
    incref,
    iterator_next,
    list_new,
    list_set,
    new_like,
    put,
    put_new,
)
from numgrad.runtime.words import peek, poke, python_to_word, word_to_python


@device
def drop(objects, count):
    """Drop all new objects."""
    for position in range(count):
        decref(peek(objects + 8 * position))


@device
def parts_of(objects, plan):
    """Where the parts of the node lie: behind the outputs."""
    return objects + PAIR_SIZE * peek(plan + PLAN_OUTPUTS)


@device
def make_all(words, args, objects, plan, record):
    """Make all objects, still empty: the outputs' storages and tensors, then the parts of the node; 0 for an error."""
    missing = 0
    for position in range(peek(plan + PLAN_ROWS)):
        row = plan + FIRST_ROW + ROW_SIZE * position
        kind, pair = peek(row + ROW_KIND), objects + PAIR_SIZE * peek(row + ROW_OUTPUT)
        if kind != SCRATCH:
            storage = 0
            if kind == ITSELF:
                tensor = input_at(args, peek(row + ROW_ORIGIN))
                incref(tensor)
            else:
                tensor = new_like(words + peek(words + TENSOR_TEMPLATE))
            if kind == NEW:
                storage = new_like(words + peek(words + STORAGE_TEMPLATE))
                missing += storage == 0
            missing += tensor == 0
            poke(pair + PAIR_STORAGE, storage)
            poke(pair + PAIR_TENSOR, tensor)
    if record:
        parts, saved = parts_of(objects, plan), peek(record + RECORD_SAVED)
        poke(parts + PARTS_NODE, new_like(words + peek(words + NODE_TEMPLATE)))
        poke(parts + PARTS_SAVED, list_new(saved))
        poke(parts + PARTS_VERSIONS, list_new(saved))
        poke(parts + PARTS_SEQUENCE, iterator_next(peek(words + SEQUENCE)))
        for number in range(saved):
            source = peek(record + FIRST_SAVED + 8 * number)
            alias = new_like(words + peek(words + TENSOR_TEMPLATE)) if source >= OUTPUT else new_none(words)
            poke(parts + FIRST_ALIAS + 8 * number, alias)
        for number in range(PARTS_WORDS + saved):
            missing += peek(parts + 8 * number) == 0
    return missing == 0


@device
def fill_outputs(words, args, count, objects, plan, addresses, blocks, recording, distance):
    """Give the outputs memory, and write the addresses of all operands; 0 if there is no block, or an error."""
    memory_words = peek(words + MEMORY)
    for position in range(BEFORE_INPUTS, count):
        tensor = peek(args + 8 * position)
        address = 0 if tensor == peek(words + NONE) else python_to_word(field(words, tensor, ADDRESS))
        poke(addresses + 8 * (position - BEFORE_INPUTS), address)
    for position in range(peek(plan + PLAN_ROWS)):
        row = plan + FIRST_ROW + ROW_SIZE * position
        kind, pair = peek(row + ROW_KIND), objects + PAIR_SIZE * peek(row + ROW_OUTPUT)
        if kind >= 0:
            if fill_view(words, peek(pair + PAIR_TENSOR), input_at(args, kind), row, recording, distance) == 0:
                return 0
        elif kind != ITSELF:
            block = take_block(memory_words, peek(row + ROW_ORIGIN))
            if block == 0:
                return 0
            poke(addresses + 8 * (count - BEFORE_INPUTS + position), python_to_word(block_address(block)))
            if kind == SCRATCH:
                poke(blocks + 8 * position, block)
            else:
                storage, tensor = pair + PAIR_STORAGE, pair + PAIR_TENSOR
                fill_storage(peek(storage), block, peek(row + ROW_NBYTES))
                fill_tensor(words, peek(tensor), peek(storage), peek(row + ROW_SPEC), block_address(block))
    return 1


@device
def fill_tensor(words, tensor, storage, spec, address):
    put(tensor + peek(words + STORAGE), storage)
    put(tensor + peek(words + SPEC), spec)
    put(tensor + peek(words + ADDRESS), address)


@device
def fill_view(words, tensor, source, row, recording, distance):
    """Make a tensor a view of an input, as `engine/dispatch.py: _view` does; 0 for an error."""
    address = field(words, source, ADDRESS)
    incref(address)
    distance += peek(row + ROW_ORIGIN)
    if distance:
        moved = word_to_python(python_to_word(address) + distance)
        decref(address)
        address = moved
    if address == 0:
        return 0
    fill_tensor(words, tensor, field(words, source, STORAGE), peek(row + ROW_SPEC), address)
    decref(address)
    base, before, version = field(words, source, BASE), 0, field(words, field(words, source, STORAGE), STORAGE_VERSION)
    if base == peek(words + NONE):
        base = source
    else:
        before = field(words, source, VIEW_NODE)
    # `pattern_of` has left to Python the views that were made while nothing was recorded.
    node = field(words, base, NODE) if recording else version
    if before and recording and field(words, before, TYPE) == peek(words + TUPLE_CLASS):
        node = new_reason(words, source, before, 1)
        if node == 0:
            return 0
    else:
        incref(node)
    incref(base)
    put_new(tensor + peek(words + BASE), base)
    put_new(tensor + peek(words + VIEW_NODE), node)
    return 1


@device
def keep_inputs(words, args, objects, plan, record):
    """Save the inputs that the node needs, with their versions from before changes are counted."""
    parts = parts_of(objects, plan)
    for number in range(peek(record + RECORD_SAVED)):
        source, version = peek(record + FIRST_SAVED + 8 * number), 0
        tensor = peek(parts + FIRST_ALIAS + 8 * number)
        if source < OUTPUT:
            poke(parts + FIRST_ALIAS + 8 * number, 0)
            if source >= 0:
                decref(tensor)  # None
                tensor = input_at(args, source)
                incref(tensor)
                if tensor != peek(words + NONE):
                    version = field(words, field(words, tensor, STORAGE), STORAGE_VERSION)
            keep(peek(parts + PARTS_SAVED), peek(parts + PARTS_VERSIONS), number, tensor, version)


@device
def keep(saved, versions, number, tensor, version):
    """Put a tensor, whose reference is taken over, and its storage's version (0: there is none) into a node's lists."""
    list_set(saved, number, tensor)
    if version == 0:
        version = word_to_python(0)
    else:
        incref(version)
    list_set(versions, number, version)


@device
def count_changes(words, args, plan):
    """Count the changes of the inputs that are changed in place; 0 for an error."""
    changed = plan + FIRST_ROW + ROW_SIZE * peek(plan + PLAN_ROWS)
    for number in range(peek(plan + PLAN_CHANGED)):
        storage = field(words, input_at(args, peek(changed + 8 * number)), STORAGE)
        version = word_to_python(python_to_word(field(words, storage, STORAGE_VERSION)) + 1)
        if version == 0:
            return 0
        put_new(storage + peek(words + STORAGE_VERSION), version)
    return 1


@device
def fill_node(words, args, objects, plan, record_object, record, edges):
    """Fill the node, as `engine/dispatch.py: _record` does."""
    parts = parts_of(objects, plan)
    node, saved, versions = peek(parts + PARTS_NODE), peek(parts + PARTS_SAVED), peek(parts + PARTS_VERSIONS)
    aliases = parts + FIRST_ALIAS
    put(node + peek(words + NODE_RECORD), record_object)
    put(node + peek(words + NODE_PARAMS), peek(args + ARG_PARAMS))
    poke(node + peek(words + NODE_EDGES), edges)
    poke(node + peek(words + NODE_SAVED), saved)
    poke(node + peek(words + NODE_VERSIONS), versions)
    poke(node + peek(words + NODE_SEQUENCE), peek(parts + PARTS_SEQUENCE))
    count = peek(record + RECORD_SAVED)
    for number in range(count):
        source = peek(record + FIRST_SAVED + 8 * number)
        if source >= OUTPUT:
            tensor = peek(aliases + 8 * number)
            output = peek(objects + PAIR_SIZE * (source - OUTPUT) + PAIR_TENSOR)
            storage = field(words, output, STORAGE)
            fill_tensor(words, tensor, storage, field(words, output, SPEC), field(words, output, ADDRESS))
            keep(saved, versions, number, tensor, field(words, storage, STORAGE_VERSION))
    differentiable = record + FIRST_SAVED + 8 * count
    for number in range(peek(plan + PLAN_PUBLIC)):
        if peek(differentiable + 8 * number):
            tensor = peek(objects + PAIR_SIZE * number + PAIR_TENSOR)
            incref(node)
            put_new(tensor + peek(words + NODE), node)
            put_new(tensor + peek(words + OUTPUT_NR), word_to_python(number))
    decref(node)
