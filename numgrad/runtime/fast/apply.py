"""An op of the common kind in machine code: what `dispatch` does for it, in a fifth of the time.

A call is of the common kind if its plan exists and nobody listens. `apply` looks the plan up, takes blocks, makes storages
and tensors, launches, counts the changes of inputs in place, and records the node. In any other case it returns None before
it has changed anything, and `dispatch` does the same in Python. The code follows `engine/dispatch.py` line by line: read that
file first, and docs/fast-path.md next.

Each function stands above those that it calls. All values are words: addresses of objects, ints, and addresses of words that
`layout` describes. ``words`` is the address of the engine's, ``args`` that of the ``count`` arguments.
"""

from __future__ import annotations

from numgrad.runtime.fast.arrays import over_array
from numgrad.runtime.fast.edges import field, is_recording, item_of, new_edges, new_none, pattern_of
from numgrad.runtime.fast.known import (
    class_of,
    drop_inputs,
    fill_item,
    inputs_of_step,
    is_tensor,
    mark_views,
    meets_changed,
    new_key,
)
from numgrad.runtime.fast.layout import (
    ARG_DISTANCE,
    ARG_GRADS,
    ARG_INPUT,
    ARG_NODE,
    ARG_PARAMS,
    ARG_PLANS,
    ARG_READS,
    ARG_SPEC,
    ARG_TABLE,
    BEFORE_INPUTS,
    CALL_READS,
    CLOCK,
    FALSE,
    FIRST_INPUT,
    FIRST_LISTENER,
    FIRST_READ,
    INT_CLASS,
    KNOWN,
    LIST,
    LISTENERS,
    MEMORY,
    MOST_INPUTS,
    MOVED,
    NODE_SAVED,
    NODE_VERSIONS,
    NONE,
    NOT_IMPLEMENTED,
    OVER,
    PAIR_SIZE,
    PAIR_STORAGE,
    PAIR_TENSOR,
    PARTS_WORDS,
    PLAN_DIFFERENTIABLE,
    PLAN_FAST,
    PLAN_OUTPUTS,
    PLAN_PROGRAM,
    PLAN_PUBLIC,
    PLAN_RECORDS,
    PLAN_ROWS,
    PLAN_SEVERAL,
    PLAN_SPLITS,
    PLAN_USED,
    POOL,
    RECORD_FAST,
    RECORD_SAVED,
    RUN,
    SAVED,
    SPEC,
    STEP_CLASS,
    STEP_DISTANCE,
    STEP_MARKS,
    STEP_PLAN,
    STORAGE,
    STORAGE_VERSION,
    TRUE,
    WRAPPERS,
)
from numgrad.runtime.fast.results import count_changes, drop, fill_node, fill_outputs, keep_inputs, make_all
from numgrad.runtime.kernel import device, native
from numgrad.runtime.memory import put_back
from numgrad.runtime.objects import (
    call_one,
    decref,
    dict_get,
    error_occurred,
    incref,
    list_get,
    list_size,
    tuple_new,
    tuple_set,
    tuple_size,
    type_of,
)
from numgrad.runtime.pool import READY
from numgrad.runtime.words import call_native, peek, poke, python_to_word, stack_words, word_to_python


@native(3, returns=True)
def apply(self, args, count):
    """``apply(plans, params, *inputs)``: the output, or a tuple of them; None if it has done nothing; a status if not 0.

    If the word `SAVED` is set, it is ``apply_saved(plans, params, node, grads, reads)``, which takes gradients and saved
    tensors as inputs. ``reads`` is the address of a saved call's words. If the word `MOVED` is set, it is
    ``apply_moved(plan, params, spec, distance, input)``, which makes the view that the plan describes, but ``distance`` bytes
    on. If the word `KNOWN` is set, it is ``run_known(table, *args)``, which does what the table says of these arguments; with the
    word `OVER` it is ``run_over(table, array)``. All are one function, since compiling takes long.
    """
    words = python_to_word(self)
    if peek(words + MOVED):
        return moved_to(words, args)
    if peek(words + KNOWN):
        return known_to(words, args, count)
    if peek(words + OVER):
        return new_none(words) if listened_to(words) else over_array(words, args)
    if peek(words + SAVED) == 0:
        return apply_to(words, args, count, 0, 0)
    call_args = stack_words(BEFORE_INPUTS + MOST_INPUTS)
    inputs = gathered(words, args, call_args)
    result = apply_to(words, call_args, inputs, 0, 0) if inputs else new_none(words)
    for position in range(BEFORE_INPUTS, inputs):
        decref(peek(call_args + 8 * position))
    return result


@device
def apply_to(words, args, count, plan_object, distance):
    """`apply`, on an array of its arguments, with the plan if it is known; views begin ``distance`` bytes farther on.

    References: ``objects`` holds each new object, and every way out before the launch drops them all. The caller holds the
    inputs. The plan and the record are held here, since another thread may drop them during the launch.
    """
    # Python takes over unless nobody listens, the plan exists and is of the common kind, its threads run, no view is stale
    # and the record exists. Nothing is made or changed before all of that is checked.
    if listened_to(words) or count > BEFORE_INPUTS + MOST_INPUTS:
        return new_none(words)
    if plan_object == 0:
        plan_object = find_plan(words, args, count)
        if plan_object == 0:
            return 0 if error_occurred() else new_none(words)
    plan = field(words, plan_object, PLAN_FAST)
    if plan == peek(words + NONE):
        return new_none(words)
    plan = python_to_word(plan)
    program, rows = peek(plan + PLAN_PROGRAM), peek(plan + PLAN_ROWS)
    outputs, public = peek(plan + PLAN_OUTPUTS), peek(plan + PLAN_PUBLIC)
    if peek(plan + PLAN_SPLITS) and peek(peek(words + POOL) + READY) == 0:
        return new_none(words)
    recording, record_object, record, saved = 0, 0, 0, 0
    pattern = pattern_of(words, args, count) if peek(plan + PLAN_DIFFERENTIABLE) else 0
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
        record = python_to_word(field(words, record_object, RECORD_FAST))
        saved = peek(record + RECORD_SAVED)
    # Make all objects and take all blocks. A failure here is undone, and Python starts over.
    incref(plan_object)
    incref(record_object)
    now = peek(peek(words + CLOCK)) + 1
    poke(peek(words + CLOCK), now)
    poke(plan + PLAN_USED, now)
    total = PAIR_SIZE // 8 * outputs + (PARTS_WORDS + saved if pattern else 0)
    objects, blocks, addresses = stack_words(total + 1), stack_words(rows + 1), stack_words(count + rows)
    for position in range(total):
        poke(objects + 8 * position, 0)
    for position in range(rows):
        poke(blocks + 8 * position, 0)
    edges = new_edges(words, args, count, pattern) if pattern else 0
    several = peek(plan + PLAN_SEVERAL)
    result = tuple_new(public) if several else 0
    ready = (
        (edges != 0 or pattern == 0) and (result != 0 or several == 0) and make_all(words, args, objects, plan, record)
    )
    ready = ready and fill_outputs(words, args, count, objects, plan, addresses, blocks, recording, distance)
    # Launch. Other threads run meanwhile.
    status = 0
    if ready and program:
        status = call_native(peek(words + RUN), peek(words + POOL), program, addresses)
    for position in range(rows):
        if peek(blocks + 8 * position):
            put_back(peek(words + MEMORY), peek(blocks + 8 * position))
    # Save inputs before changes are counted, so that a change of what is saved is noticed.
    if ready and status == 0:
        if pattern:
            keep_inputs(words, args, objects, plan, record)
        ready = count_changes(words, args, plan) != 0
    if not ready or status:
        drop(objects, total)
        decref(edges)
        decref(result)
        result = word_to_python(status) if status else 0 if error_occurred() else new_none(words)
    else:
        if pattern:
            fill_node(words, args, objects, plan, record_object, record, edges)
        for number in range(outputs):
            decref(peek(objects + PAIR_SIZE * number + PAIR_STORAGE))
            tensor = peek(objects + PAIR_SIZE * number + PAIR_TENSOR)
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
def listened_to(words):
    """Whether somebody listens to ops."""
    items = 0
    for position in range(peek(words + LISTENERS)):
        items += list_size(peek(words + FIRST_LISTENER + 8 * position))
    return items != 0


@device
def find_plan(words, args, count):
    """The plan for these arguments, borrowed; 0 if there is none (yet), or an error."""
    key = tuple_new(count - 1)
    if key == 0:
        return 0
    params = peek(args + ARG_PARAMS)
    incref(params)
    tuple_set(key, 0, params)
    for position in range(BEFORE_INPUTS, count):
        tensor = peek(args + 8 * position)
        spec = peek(words + NONE)
        if tensor != spec:
            spec = field(words, tensor, SPEC) if is_tensor(words, tensor) else 0
            if spec == 0:
                decref(key)
                return 0
        incref(spec)
        tuple_set(key, position - 1, spec)
    plan = dict_get(peek(args + ARG_PLANS), key)
    decref(key)
    return plan


# ---- `apply_moved`: the caller has the plan ------------------------------------------------------------------------


@device
def moved_to(words, args):
    """`apply_moved`, if the input is a tensor that still is as the plan expects it."""
    tensor = peek(args + ARG_INPUT)
    if not is_tensor(words, tensor) or field(words, tensor, SPEC) != peek(args + ARG_SPEC):
        return new_none(words)
    call_args = stack_words(BEFORE_INPUTS + 1)
    poke(call_args + ARG_PARAMS, peek(args + ARG_PARAMS))
    poke(call_args + FIRST_INPUT, tensor)
    distance = python_to_word(peek(args + ARG_DISTANCE))
    return apply_to(words, call_args, BEFORE_INPUTS + 1, peek(args + ARG_PLANS), distance)


# ---- `run_known`: a table has the plans, the parameters and the inputs ---------------------------------------------


@device
def known_to(words, args, count):
    """`run_known`: the result of a step, or the tuple of the results of several; NotImplemented where the function has to run.

    None: the table does not know the call.
    """
    other = peek(words + NOT_IMPLEMENTED)
    if list_size(peek(words + WRAPPERS)) or listened_to(words):
        incref(other)
        return other
    key = new_key(words, args, count)
    if key == 0 or key == other:
        return key
    result, none, entry = other, peek(words + NONE), dict_get(peek(args + ARG_TABLE), key)
    incref(entry)
    if entry == 0 or entry == peek(words + TRUE):
        result = 0 if error_occurred() else new_none(words)
    elif entry == peek(words + FALSE):
        incref(other)
    elif item_of(words, entry, 0) != none:
        result = result_of_step(words, args, key, entry)
    else:
        steps, position = tuple_size(entry) - 1, 0
        result = tuple_new(steps)
        while result and position < steps:
            part = result_of_step(words, args, key, item_of(words, entry, position + 1))
            if part == 0 or part == other:
                decref(result)
                result, position = part, steps
            else:
                fill_item(words, result, position, part)
                position += 1
    decref(entry)
    decref(key)
    return result


@device
def result_of_step(words, args, key, step):
    """What a step gives, with a reference; NotImplemented where Python has to do it, 0 for an error."""
    call_args, plan = stack_words(BEFORE_INPUTS + MOST_INPUTS), item_of(words, step, STEP_PLAN)
    inputs = inputs_of_step(words, args, key, step, call_args)
    distance = python_to_word(item_of(words, step, STEP_DISTANCE))
    if inputs == 0 or meets_changed(words, call_args, inputs, python_to_word(field(words, plan, PLAN_FAST))):
        result = new_none(words)
    else:
        result = apply_to(words, call_args, inputs, plan, distance)
    drop_inputs(call_args, inputs)
    if result == 0:
        return 0
    # A status, too, is left to Python, which gets it again, and explains it.
    if result == peek(words + NONE) or class_of(words, result) == peek(words + INT_CLASS):
        decref(result)
        result = peek(words + NOT_IMPLEMENTED)
        incref(result)
        return result
    if item_of(words, step, STEP_MARKS) != peek(words + NONE):
        recording = is_recording(words)
        if recording == -2 or mark_views(words, step, result, recording) == 0:
            decref(result)
            return 0
    if item_of(words, step, STEP_CLASS) != peek(words + NONE):
        named = call_one(item_of(words, step, STEP_CLASS), result)
        decref(result)
        return named
    return result


# ---- `apply_saved`: gradients and saved tensors become the inputs -------------------------------------------------


@device
def gathered(words, args, call_args):
    """Write `apply`'s arguments from those of `apply_saved`, with references; their number, or 0 where Python has to do it."""
    saved, grads = field(words, peek(args + ARG_NODE), NODE_SAVED), peek(args + ARG_GRADS)
    if not (is_list(words, saved) and is_list(words, grads)):
        return 0
    if not unchanged(words, saved, field(words, peek(args + ARG_NODE), NODE_VERSIONS)):
        return 0
    reads = python_to_word(peek(args + ARG_READS))
    inputs = peek(reads + CALL_READS)
    if inputs > MOST_INPUTS:
        return 0
    poke(call_args + ARG_PLANS, peek(args + ARG_PLANS))
    poke(call_args + ARG_PARAMS, peek(args + ARG_PARAMS))
    for position in range(inputs):
        read = peek(reads + FIRST_READ + 8 * position)
        tensor = list_get(saved, read) if read >= 0 else list_get(grads, -1 - read)
        incref(tensor)  # another thread may free what is saved during the launch
        poke(call_args + FIRST_INPUT + 8 * position, tensor)
    return BEFORE_INPUTS + inputs


@device
def is_list(words, instance):
    type_ = type_of(instance)
    decref(type_)
    return type_ == peek(words + LIST)


@device
def unchanged(words, saved, versions):
    """Whether no tensor that a node saved has changed since."""
    none = peek(words + NONE)
    for position in range(list_size(saved)):
        tensor = list_get(saved, position)
        if tensor != none:
            now, then = field(words, field(words, tensor, STORAGE), STORAGE_VERSION), list_get(versions, position)
            if now != then and python_to_word(now) != python_to_word(then):
                return False
    return True
