"""An op of the common kind in machine code: what `dispatch` does for it, in a fifth of the time.

The common kind has a plan already, and nobody listens. `apply` looks the plan up, takes blocks, makes storages and
tensors, launches, counts the inputs that were changed in place, and records the node. For any other case it returns None
before anything is seen of it, and `dispatch` does the same in Python. What it does is what `engine/dispatch.py` says, line
by line; that file is the one to read first.

How it keeps references right: what is made is put into ``made``, and until the launch each way out drops all of it;
inputs are held by the caller; the plan, which another thread may throw away during the launch, is held here.
"""

from __future__ import annotations

from numgrad.runtime.kernel import device, native
from numgrad.runtime.memory import block_address, fill_storage, put_back, take_block
from numgrad.runtime.objects import (
    decref,
    dict_get,
    error_occurred,
    get_attribute,
    incref,
    is_subtype,
    iterator_next,
    list_get,
    list_new,
    list_set,
    list_size,
    new_like,
    put,
    put_new,
    tuple_new,
    tuple_set,
    type_of,
)
from numgrad.runtime.pool import READY
from numgrad.runtime.quick_edges import (
    ADDRESS,
    BASE,
    FALSE,
    GRAD_ENABLED,
    LIST,
    LISTENER,
    LISTENERS,
    MEMORY,
    MODES,
    NODE,
    NODE_EDGES,
    NODE_RECORD,
    NODE_SAVED,
    NODE_SEQUENCE,
    NODE_TEMPLATE,
    NODE_VERSIONS,
    NONE,
    OUTPUT_NR,
    PLAN_QUICK,
    PLAN_RECORDS,
    POOL,
    RECORD_QUICK,
    RUN,
    SAVED,
    SEQUENCE,
    SPEC,
    STORAGE,
    STORAGE_TEMPLATE,
    STORAGE_VERSION,
    TENSOR_BASE,
    TENSOR_TEMPLATE,
    TRUE,
    VIEW_NODE,
    field,
    new_edges,
    new_none,
    pattern_of,
)
from numgrad.runtime.words import call_native, peek, poke, python_to_word, stack_words, word_to_python

# A plan's words: program (0: nothing is launched), rows, outputs, those that are returned, whether it is differentiable,
# whether launches split, whether the result is a tuple, inputs that are changed. Then for each operand that the plan makes, in
# the order of their addresses, and after them for each other output, a row of: what it is (`NEW`, `SCRATCH`, `ITSELF`, or
# the number of the input that it is a view of); its stack of free blocks or, of a view, bytes from the source's start, or the
# number of the input that it is; its spec; its bytes; which output it is. Then the numbers of the inputs that are changed.
PLAN_HEAD, ROW = 8, 40
NEW, SCRATCH, ITSELF = -1, -2, -3
NOTHING, OUTPUT = -1, 1 << 20  # in a record's words: saved is nothing; or an output (else an input's number)
MOST_INPUTS = 60  # which of them need a gradient has to fit into a word
MOST_OPERANDS = 256  # that a plan makes: what is made lies on the stack


@device
def drop(made, count):
    for place in range(count):
        decref(peek(made + 8 * place))


@device
def listened_to(words):
    """Whether somebody wants to be told of what ops do."""
    items = 0
    for place in range(peek(words + LISTENERS)):
        items += list_size(peek(words + LISTENER + 8 * place))
    return items != 0


@device
def find_plan(words, args, count):
    """The plan for these arguments, borrowed; 0 if there is none (yet), or an error."""
    key = tuple_new(count - 1)
    if key == 0:
        return 0
    params = peek(args + 8)
    incref(params)
    tuple_set(key, 0, params)
    for place in range(2, count):
        tensor = peek(args + 8 * place)
        spec = peek(words + NONE)
        if tensor != spec:
            type_ = type_of(tensor)
            decref(type_)  # the object holds it
            spec = field(words, tensor, SPEC) if is_subtype(type_, peek(words + TENSOR_BASE)) else 0
            if spec == 0:
                decref(key)
                return 0
        incref(spec)
        tuple_set(key, place - 1, spec)
    plan = dict_get(peek(args), key)
    decref(key)
    return plan


@device
def is_recording(words):
    """1 if gradients are recorded, 0 if not; -1 if Python has to see to it, -2 for an error."""
    enabled = get_attribute(peek(words + MODES), peek(words + GRAD_ENABLED))
    if enabled == 0:
        return -2
    decref(enabled)
    return 1 if enabled == peek(words + TRUE) else 0 if enabled == peek(words + FALSE) else -1


@device
def make_all(words, args, made, plan, record):
    """Make all objects, still empty: storages and tensors of the outputs, then the node and what it holds; 0 for an error."""
    missing = 0
    for place in range(peek(plan + 8)):
        row = plan + 8 * PLAN_HEAD + ROW * place
        kind, output = peek(row), made + 16 * peek(row + 32)
        if kind != SCRATCH:
            storage = 0
            if kind == ITSELF:
                tensor = peek(args + 8 * (2 + peek(row + 8)))
                incref(tensor)
            else:
                tensor = new_like(words + peek(words + TENSOR_TEMPLATE))
            if kind == NEW:
                storage = new_like(words + peek(words + STORAGE_TEMPLATE))
                missing += storage == 0
            missing += tensor == 0
            poke(output, storage)
            poke(output + 8, tensor)
    if record:
        place, saved = made + 16 * peek(plan + 16), peek(record)
        poke(place, new_like(words + peek(words + NODE_TEMPLATE)))
        poke(place + 8, list_new(saved))
        poke(place + 16, list_new(saved))
        poke(place + 24, iterator_next(peek(words + SEQUENCE)))
        for number in range(saved):
            what = peek(record + 8 * (1 + number))
            alias = new_like(words + peek(words + TENSOR_TEMPLATE)) if what >= OUTPUT else new_none(words)
            poke(place + 32 + 8 * number, alias)
        for number in range(4 + saved):
            missing += peek(place + 8 * number) == 0
    return missing == 0


@device
def fill_tensor(words, tensor, storage, spec, address):
    put(tensor + peek(words + STORAGE), storage)
    put(tensor + peek(words + SPEC), spec)
    put(tensor + peek(words + ADDRESS), address)


@device
def fill_view(words, tensor, source, row, recording):
    """A view of an input: what `engine/dispatch.py: _view` says; 0 for an error."""
    address = field(words, source, ADDRESS)
    incref(address)
    if peek(row + 8):
        moved = word_to_python(python_to_word(address) + peek(row + 8))
        decref(address)
        address = moved
    if address == 0:
        return 0
    fill_tensor(words, tensor, field(words, source, STORAGE), peek(row + 16), address)
    decref(address)
    base = field(words, source, BASE)
    if base == peek(words + NONE):
        base = source
    # One that cannot be followed was refused by `pattern_of`.
    node = field(words, base, NODE) if recording else field(words, field(words, source, STORAGE), STORAGE_VERSION)
    incref(base)
    put_new(tensor + peek(words + BASE), base)
    incref(node)
    put_new(tensor + peek(words + VIEW_NODE), node)
    return 1


@device
def fill_outputs(words, args, count, made, plan, addresses, blocks, recording):
    """Give the outputs memory, and write the addresses of all operands; 0 if there is no block, or an error."""
    memory_words = peek(words + MEMORY)
    for place in range(2, count):
        tensor = peek(args + 8 * place)
        address = 0 if tensor == peek(words + NONE) else python_to_word(field(words, tensor, ADDRESS))
        poke(addresses + 8 * (place - 2), address)
    for place in range(peek(plan + 8)):
        row = plan + 8 * PLAN_HEAD + ROW * place
        kind, output = peek(row), made + 16 * peek(row + 32)
        if kind >= 0:
            if fill_view(words, peek(output + 8), peek(args + 8 * (2 + kind)), row, recording) == 0:
                return 0
        elif kind != ITSELF:
            block = take_block(memory_words, peek(row + 8))
            if block == 0:
                return 0
            poke(addresses + 8 * (count - 2 + place), python_to_word(block_address(block)))
            if kind == SCRATCH:
                poke(blocks + 8 * place, block)
            else:
                fill_storage(peek(output), block, peek(row + 24))
                fill_tensor(words, peek(output + 8), peek(output), peek(row + 16), block_address(block))
    return 1


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
def keep_inputs(words, args, made, plan, record):
    """Save what the node needs of the inputs, with the versions that they have before changes are counted."""
    place = made + 16 * peek(plan + 16)
    for number in range(peek(record)):
        what, tensor, version = peek(record + 8 * (1 + number)), peek(place + 32 + 8 * number), 0
        if what < OUTPUT:
            poke(place + 32 + 8 * number, 0)
            if what >= 0:
                decref(tensor)  # None
                tensor = peek(args + 8 * (2 + what))
                incref(tensor)
                if tensor != peek(words + NONE):
                    version = field(words, field(words, tensor, STORAGE), STORAGE_VERSION)
            keep(peek(place + 8), peek(place + 16), number, tensor, version)


@device
def count_changes(words, args, plan):
    """Count the changes of the inputs that are changed in place; 0 for an error."""
    places = plan + 8 * PLAN_HEAD + ROW * peek(plan + 8)
    for number in range(peek(plan + 56)):
        storage = field(words, peek(args + 8 * (2 + peek(places + 8 * number))), STORAGE)
        version = word_to_python(python_to_word(field(words, storage, STORAGE_VERSION)) + 1)
        if version == 0:
            return 0
        put_new(storage + peek(words + STORAGE_VERSION), version)
    return 1


@device
def fill_node(words, made, plan, record_object, record, edges):
    """The record of what was done: what `engine/dispatch.py: _record` says."""
    place = made + 16 * peek(plan + 16)
    node, saved, versions, aliases = peek(place), peek(place + 8), peek(place + 16), place + 32
    put(node + peek(words + NODE_RECORD), record_object)
    poke(node + peek(words + NODE_EDGES), edges)
    poke(node + peek(words + NODE_SAVED), saved)
    poke(node + peek(words + NODE_VERSIONS), versions)
    poke(node + peek(words + NODE_SEQUENCE), peek(place + 24))
    count = peek(record)
    for number in range(count):
        what = peek(record + 8 * (1 + number))
        if what >= OUTPUT:
            tensor, output = peek(aliases + 8 * number), peek(made + 16 * (what - OUTPUT) + 8)
            storage = field(words, output, STORAGE)
            fill_tensor(words, tensor, storage, field(words, output, SPEC), field(words, output, ADDRESS))
            keep(saved, versions, number, tensor, field(words, storage, STORAGE_VERSION))
    for number in range(peek(plan + 24)):
        if peek(record + 8 * (1 + count + number)):
            tensor = peek(made + 16 * number + 8)
            incref(node)
            put_new(tensor + peek(words + NODE), node)
            put_new(tensor + peek(words + OUTPUT_NR), word_to_python(number))
    decref(node)


@device
def apply_to(words, args, count):
    """What `apply` does, for an array of its arguments."""
    if listened_to(words) or count > 2 + MOST_INPUTS:
        return new_none(words)
    plan_object = find_plan(words, args, count)
    if plan_object == 0:
        return 0 if error_occurred() else new_none(words)
    plan = field(words, plan_object, PLAN_QUICK)
    if plan == peek(words + NONE):
        return new_none(words)
    plan = python_to_word(plan)
    program, rows, outputs, public = peek(plan), peek(plan + 8), peek(plan + 16), peek(plan + 24)
    if peek(plan + 40) and peek(peek(words + POOL) + READY) == 0:
        return new_none(words)
    recording, record_object, record, saved = 0, 0, 0, 0
    pattern = pattern_of(words, args, count) if peek(plan + 32) else 0
    if pattern or program == 0:  # else the mode does not matter
        recording = is_recording(words)
        if recording == -2:
            return 0
        pattern = pattern if recording else 0
    if pattern < 0 or recording < 0:
        return new_none(words)
    if pattern:
        key = word_to_python(pattern)
        if key == 0:
            return 0
        record_object = dict_get(field(words, plan_object, PLAN_RECORDS), key)
        decref(key)
        if record_object == 0:
            return 0 if error_occurred() else new_none(words)
        record = python_to_word(field(words, record_object, RECORD_QUICK))
        saved = peek(record)
    incref(plan_object)
    incref(record_object)
    total = 2 * outputs + (4 + saved if pattern else 0)
    made, blocks, addresses = stack_words(total + 1), stack_words(rows + 1), stack_words(count + rows)
    for place in range(total):
        poke(made + 8 * place, 0)
    for place in range(rows):
        poke(blocks + 8 * place, 0)
    edges = new_edges(words, args, count, pattern) if pattern else 0
    several = peek(plan + 48)
    result = tuple_new(public) if several else 0
    ready = (edges != 0 or pattern == 0) and (result != 0 or several == 0) and make_all(words, args, made, plan, record)
    ready = ready and fill_outputs(words, args, count, made, plan, addresses, blocks, recording)
    status = 0
    if ready and program:
        status = call_native(peek(words + RUN), peek(words + POOL), program, addresses)
    for place in range(rows):
        if peek(blocks + 8 * place):
            put_back(peek(words + MEMORY), peek(blocks + 8 * place))
    if ready and status == 0:
        if pattern:
            keep_inputs(words, args, made, plan, record)
        ready = count_changes(words, args, plan) != 0
    if not ready or status:
        drop(made, total)
        decref(edges)
        decref(result)
        result = word_to_python(status) if status else 0 if error_occurred() else new_none(words)
    else:
        if pattern:
            fill_node(words, made, plan, record_object, record, edges)
        for number in range(outputs):
            decref(peek(made + 16 * number))
            tensor = peek(made + 16 * number + 8)
            if number >= public:
                decref(tensor)
            elif several:
                tuple_set(result, number, tensor)
            else:
                result = tensor
    decref(record_object)
    decref(plan_object)
    return result


@device
def is_list(words, instance):
    type_ = type_of(instance)
    decref(type_)
    return type_ == peek(words + LIST)


@device
def unchanged(words, saved, versions):
    """Whether what a node saved still holds what it held."""
    none = peek(words + NONE)
    for place in range(list_size(saved)):
        tensor = list_get(saved, place)
        if tensor != none:
            now, then = field(words, field(words, tensor, STORAGE), STORAGE_VERSION), list_get(versions, place)
            if now != then and python_to_word(now) != python_to_word(then):
                return False
    return True


@device
def gathered(words, args, given):
    """Write the arguments of `apply` for those of `apply_saved`, with references; how many there are, 0 for it cannot."""
    saved, grads = field(words, peek(args + 16), NODE_SAVED), peek(args + 24)
    if not (is_list(words, saved) and is_list(words, grads)):
        return 0
    if not unchanged(words, saved, field(words, peek(args + 16), NODE_VERSIONS)):
        return 0
    reads = python_to_word(peek(args + 32))
    inputs = peek(reads)
    if inputs > MOST_INPUTS:
        return 0
    poke(given, peek(args))
    poke(given + 8, peek(args + 8))
    for place in range(inputs):
        read = peek(reads + 8 * (1 + place))
        tensor = list_get(saved, read) if read >= 0 else list_get(grads, -1 - read)
        incref(tensor)  # another thread may free what is saved during the launch
        poke(given + 8 * (2 + place), tensor)
    return 2 + inputs


@native(3, returns=True)
def apply(self, args, count):
    """``apply(plans, params, *inputs)``: the output, or a tuple of them; None if it has done nothing; a status if not 0.

    Or, as the words that it is bound to say, ``apply_saved(plans, params, node, grads, reads)``: the same on gradients and
    on what the node saved. ``reads`` is the address of words that say how many inputs there are, and for each which of the
    saved tensors it is, or from -1 downwards which gradient. Both are one function, since compiling takes long.
    """
    words = python_to_word(self)
    if peek(words + SAVED) == 0:
        return apply_to(words, args, count)
    given = stack_words(2 + MOST_INPUTS)
    inputs = gathered(words, args, given)
    made = apply_to(words, given, inputs) if inputs else new_none(words)
    for place in range(2, inputs):
        decref(peek(given + 8 * place))
    return made
