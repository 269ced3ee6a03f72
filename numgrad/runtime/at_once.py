"""`run_at_once`: a whole replay in one call of machine code, from the look at its arguments to its results.

It does what `compile.captured.Captured.fits` and `replay` do in Python, for programs whose launches are one call, while nothing
has changed at all. Otherwise it returns None, having done nothing, and Python decides: as `fast.apply` stands to `dispatch`.

All guards are read after everything is allocated, since making objects may run the garbage collector, and so any Python; from
there to the end nothing but the launches runs, and no signal's handler.
"""

from __future__ import annotations

from numgrad.runtime.fast.layout import Layout
from numgrad.runtime.guards import FAILED, NONE_CHANGED, first_changed
from numgrad.runtime.kernel import device, native
from numgrad.runtime.memory import fill_storage, storage_address, take_block
from numgrad.runtime.objects import (
    call_none,
    decref,
    dict_get,
    error_occurred,
    get_attribute,
    incref,
    new_like,
    put,
    put_new,
    set_attribute,
    tuple_new,
    tuple_set,
    type_of,
)
from numgrad.runtime.pool import READY
from numgrad.runtime.replay import ENDED, bind_slots, run_stretch
from numgrad.runtime.words import (
    acquire_gil,
    peek,
    poke,
    python_to_word,
    release_gil,
    stack_words,
    word_to_python,
)

ARGUMENT = Layout("an argument")
TENSOR, OBJECT = 0, 1  # kinds: a tensor with such slots, or this very object
ARGUMENT_KIND = ARGUMENT.word("kind", "`TENSOR` or `OBJECT`")
ARGUMENT_CLASS = ARGUMENT.word("class_", "a tensor's class, or the object")
ARGUMENT_SPEC = ARGUMENT.word("spec", "a tensor's spec")
ARGUMENT_REQUIRES_GRAD = ARGUMENT.word("requires_grad", "True or False")
ARGUMENT_SIZE = ARGUMENT.size

MODE = Layout("a mode of the thread")
MODE_NAME = MODE.word("name", "its name")
MODE_VALUE = MODE.word("value", "what it has to be")
MODE_DEFAULT = MODE.word("default", "what it is where the thread has not set it")
MODE_SIZE = MODE.size

MEMORY = Layout("new memory for a result")
MEMORY_STACK = MEMORY.word("stack", "the stack of free blocks")
MEMORY_NBYTES = MEMORY.word("nbytes", "its bytes, an int")
MEMORY_SIZE = MEMORY.size

RESULT = Layout("a tensor of the result")
NEW, GIVEN, HELD = range(3)  # kinds: over new memory, an argument, what the slot of an object holds
RESULT_KIND = RESULT.word("kind", "`NEW`, `GIVEN` or `HELD`")
RESULT_NUMBER = RESULT.word("number", "of the new memory or of the argument; or the object")
RESULT_OFFSET = RESULT.word("offset", "bytes from where the memory begins; or to the object's slot")
RESULT_SPEC = RESULT.word("spec", "its spec")
RESULT_NODE = RESULT.word("node", "its node, or None")
RESULT_REQUIRES_GRAD = RESULT.word("requires_grad", "True or False")
RESULT_SIZE = RESULT.size

COUNT = Layout("a count")
COUNT_OWNER = COUNT.word("owner", "an object")
COUNT_NAME = COUNT.word("name", "the name of its attribute")
COUNT_TIMES = COUNT.word("times", "what is added to it")
COUNT_SIZE = COUNT.size

STEP = Layout("a program that is replayed at once")
LIST = STEP.word("list", "address of the words of its bound launches")
ROW_COUNT = STEP.word("row_count", "how many launches there are")
RELEASES = STEP.word("releases", "whether they are worth giving the GIL away")
SPLITS = STEP.word("splits", "whether a launch may run on several threads")
POOL = STEP.word("pool", "address of the words of the pool of threads")
STORAGES = STEP.word("storages", "address of the words of the pool of storage")
STORAGE_TEMPLATE = STEP.word("storage_template", "address of the template of storages")
TENSOR_TEMPLATE = STEP.word("tensor_template", "address of the template of tensors")
NONE = STEP.word("none", "None")
STORAGE_CLASS = STEP.word("storage_class", "the class of storages")
SPEC = STEP.word("of_spec", "offset of a tensor's slot `_spec`")
ADDRESS = STEP.word("of_address", "of `_address`")
STORAGE = STEP.word("of_storage", "of `_storage`")
GRAD = STEP.word("of_grad", "of `_grad`")
HOOKS = STEP.word("of_hooks", "of `_hooks`")
NODE = STEP.word("of_node", "of `_node`")
REQUIRES_GRAD = STEP.word("of_requires_grad", "of `_requires_grad`")
OWNER = STEP.word("of_owner", "offset of a storage's slot `_owner`")
VERSION = STEP.word("of_version", "of `version`")
MODES = STEP.word("modes", "the threads' modes")
DICT = STEP.word("dict_name", "the text `__dict__`")
MODE_ROWS, MODE_COUNT = STEP.word("mode_rows", "address of the modes"), STEP.word("mode_count", "their number")
OPTIONS, OPTION_COUNT = STEP.word("options", "guards of options"), STEP.word("option_count", "their number")
RENEW = STEP.word("renew", "a function to call when an option has changed")
ARGUMENTS, ARGUMENT_COUNT = STEP.word("arguments", "address of these"), STEP.word("argument_count", "their number")
GUARDS, GUARD_COUNT = STEP.word("guards", "address of these"), STEP.word("guard_count", "their number")
OWN_ROOTS, OWN_ROOT_COUNT = (
    STEP.word("own_roots", "storages that no argument may have"),
    STEP.word("own_root_count", ""),
)
KEPT, KEPT_COUNT = STEP.word("kept", "guards of the gradients, or 0"), STEP.word("kept_count", "their number")
KEPT_ADDRESSES, KEPT_ADDRESS_COUNT = STEP.word("kept_addresses", "of their memory"), STEP.word("kept_address_count", "")
MEMORIES, MEMORY_COUNT = STEP.word("memories", "of the results"), STEP.word("memory_count", "their number")
RESULTS, RESULT_COUNT = STEP.word("results", "address of these"), STEP.word("result_count", "their number")
BUMPED, BUMPED_COUNT = STEP.word("bumped", "storages that count a change"), STEP.word("bumped_count", "")
BUMPED_ARGUMENTS, BUMPED_ARGUMENT_COUNT = (
    STEP.word("bumped_arguments", "their numbers"),
    STEP.word("bumped_argument_count", ""),
)
COUNTS, COUNT_COUNT = STEP.word("counts", "counts of steps"), STEP.word("count_count", "")
SLOT_COUNT = STEP.word("slot_count", "slots of the launches: arguments, gradients, results")


@native(3, returns=True)
def run_at_once(self, args, count):
    """``run_at_once(*arguments) -> results``: a tuple of tensors; None, having done nothing; or the launch that failed."""
    words = python_to_word(self)
    if count != peek(words + ARGUMENT_COUNT) or (peek(words + SPLITS) and peek(peek(words + POOL) + READY) == 0):
        return _missed(words)
    fits = _modes_fit(words)
    if fits < 0:
        return 0
    if fits == 0 or peek(words + KEPT) == 0:
        return _missed(words)
    changed = first_changed(peek(words + OPTIONS), peek(words + OPTION_COUNT))
    if changed != NONE_CHANGED:
        result = 0 if changed == FAILED else call_none(peek(words + RENEW))
        if result == 0:
            return 0
        decref(result)
    slots = stack_words(peek(words + SLOT_COUNT) + 1)
    memories = stack_words(peek(words + MEMORY_COUNT) + 1)
    roots = stack_words(count + 1)
    taken, fits = _new_memory(words, memories), 0
    results = tuple_new(peek(words + RESULT_COUNT)) if taken == peek(words + MEMORY_COUNT) else 0
    if results != 0:
        fits = _new_tensors(words, memories, results)
    if fits:
        tensors = _arguments_fit(words, args, slots, roots)
        changed = NONE_CHANGED if tensors >= 0 else 0
        if changed == NONE_CHANGED:
            changed = first_changed(peek(words + GUARDS), peek(words + GUARD_COUNT))
        if changed == NONE_CHANGED:
            changed = first_changed(peek(words + KEPT), peek(words + KEPT_COUNT))
        fits = changed == NONE_CHANGED
        if fits:
            _fill_slots(words, slots + 8 * tensors, memories)
            for number in range(tensors):  # another thread may change the tensor
                incref(peek(roots + 8 * number))
            failed = _run(words, slots)
            if failed == ENDED:
                _finish(words, args, results)
            else:
                decref(results)
                results = word_to_python(failed)
            for number in range(tensors):
                decref(peek(roots + 8 * number))
    for number in range(taken):
        decref(peek(memories + 8 * number))
    if fits and error_occurred() == 0:
        return results
    decref(results)
    return 0 if error_occurred() else _missed(words)


@device
def _missed(words):
    incref(peek(words + NONE))
    return peek(words + NONE)


@device
def _modes_fit(words):
    """Whether the thread's modes are those of the capture; -1 for an error."""
    modes = get_attribute(peek(words + MODES), peek(words + DICT))
    if modes == 0:
        return -1
    mode, fits = peek(words + MODE_ROWS), 1
    for _ in range(peek(words + MODE_COUNT)):
        value = dict_get(modes, peek(mode + MODE_NAME))
        if value == 0:
            value = peek(mode + MODE_DEFAULT)
        if value != peek(mode + MODE_VALUE):
            fits = 0
        mode += MODE_SIZE
    decref(modes)
    return -1 if error_occurred() else fits


@device
def _new_memory(words, memories):
    """Take storage for the results; how much there was."""
    memory = peek(words + MEMORIES)
    for number in range(peek(words + MEMORY_COUNT)):
        storage = new_like(peek(words + STORAGE_TEMPLATE))
        block = take_block(peek(words + STORAGES), peek(memory + MEMORY_STACK)) if storage != 0 else 0
        if block == 0:
            decref(storage)
            return number
        fill_storage(storage, block, peek(memory + MEMORY_NBYTES))
        poke(memories + 8 * number, storage)
        memory += MEMORY_SIZE
    return peek(words + MEMORY_COUNT)


@device
def _new_tensors(words, memories, results):
    """Make the tensors over new memory; 0 for an error."""
    row = peek(words + RESULTS)
    for number in range(peek(words + RESULT_COUNT)):
        if peek(row + RESULT_KIND) == NEW:
            storage = peek(memories + 8 * peek(row + RESULT_NUMBER))
            template = peek(words + TENSOR_TEMPLATE)
            address = storage_address(storage)
            if peek(row + RESULT_OFFSET):
                address = word_to_python(python_to_word(address) + peek(row + RESULT_OFFSET))
            else:
                incref(address)
            tensor = new_like(template + 24) if address != 0 else 0
            if tensor == 0:
                decref(address)
                return 0
            poke(tensor + peek(words + ADDRESS), address)
            put(tensor + peek(words + STORAGE), storage)
            put(tensor + peek(words + SPEC), peek(row + RESULT_SPEC))
            incref(peek(row + RESULT_NODE))
            put_new(tensor + peek(words + NODE), peek(row + RESULT_NODE))
            incref(peek(row + RESULT_REQUIRES_GRAD))
            put_new(tensor + peek(words + REQUIRES_GRAD), peek(row + RESULT_REQUIRES_GRAD))
            tuple_set(results, number, tensor)
        row += RESULT_SIZE
    return 1


@device
def _arguments_fit(words, args, slots, roots):
    """How many arguments are tensors, whose addresses and storages are noted; -1 if the arguments are of another kind."""
    none, row, tensors = peek(words + NONE), peek(words + ARGUMENTS), 0
    own, own_count = peek(words + OWN_ROOTS), peek(words + OWN_ROOT_COUNT)
    for number in range(peek(words + ARGUMENT_COUNT)):
        argument = peek(args + 8 * number)
        if peek(row + ARGUMENT_KIND) == OBJECT:
            if argument != peek(row + ARGUMENT_CLASS):
                return -1
        else:
            cls = type_of(argument)
            decref(cls)
            if cls != peek(row + ARGUMENT_CLASS):
                return -1
            if peek(argument + peek(words + SPEC)) != peek(row + ARGUMENT_SPEC):
                return -1
            if peek(argument + peek(words + REQUIRES_GRAD)) != peek(row + ARGUMENT_REQUIRES_GRAD):
                return -1
            if peek(argument + peek(words + GRAD)) != none or peek(argument + peek(words + HOOKS)) != none:
                return -1
            storage = peek(argument + peek(words + STORAGE))
            if peek(argument + peek(words + NODE)) != none or storage == 0:
                return -1
            owner = type_of(peek(storage + peek(words + OWNER)))
            decref(owner)
            if owner == peek(words + STORAGE_CLASS):
                return -1
            for other in range(tensors):
                if peek(roots + 8 * other) == storage:
                    return -1
            for other in range(own_count):
                if peek(own + 8 * other) == storage:
                    return -1
            poke(roots + 8 * tensors, storage)
            poke(slots + 8 * tensors, python_to_word(peek(argument + peek(words + ADDRESS))))
            tensors += 1
        row += ARGUMENT_SIZE
    return tensors


@device
def _fill_slots(words, slots, memories):
    """The addresses of the gradients and of the results."""
    slot = slots
    for number in range(peek(words + KEPT_ADDRESS_COUNT)):
        poke(slot, peek(peek(words + KEPT_ADDRESSES) + 8 * number))
        slot += 8
    for number in range(peek(words + MEMORY_COUNT)):
        poke(slot, python_to_word(storage_address(peek(memories + 8 * number))))
        slot += 8


@device
def _run(words, slots):
    """Run the launches; `ENDED`, or the row that left a status."""
    block = peek(words + LIST)
    bind_slots(block, slots)
    if peek(words + RELEASES) == 0:
        return run_stretch(peek(words + POOL), block, 0, peek(words + ROW_COUNT))
    state = release_gil()
    failed = run_stretch(peek(words + POOL), block, 0, peek(words + ROW_COUNT))
    acquire_gil(state)
    return failed


@device
def _finish(words, args, results):
    """Count what has changed, and complete the results."""
    for number in range(peek(words + BUMPED_COUNT)):
        _bump(words, peek(peek(words + BUMPED) + 8 * number))
    for number in range(peek(words + BUMPED_ARGUMENT_COUNT)):
        argument = peek(args + 8 * peek(peek(words + BUMPED_ARGUMENTS) + 8 * number))
        _bump(words, peek(argument + peek(words + STORAGE)))
    row = peek(words + RESULTS)
    for number in range(peek(words + RESULT_COUNT)):
        if peek(row + RESULT_KIND) != NEW:
            thing = peek(args + 8 * peek(row + RESULT_NUMBER))
            if peek(row + RESULT_KIND) == HELD:
                thing = peek(peek(row + RESULT_NUMBER) + peek(row + RESULT_OFFSET))
            incref(thing)
            tuple_set(results, number, thing)
        row += RESULT_SIZE
    row = peek(words + COUNTS)
    for _ in range(peek(words + COUNT_COUNT)):
        before = get_attribute(peek(row + COUNT_OWNER), peek(row + COUNT_NAME))
        if before != 0:
            after = word_to_python(python_to_word(before) + peek(row + COUNT_TIMES))
            if after != 0:
                set_attribute(peek(row + COUNT_OWNER), peek(row + COUNT_NAME), after)
            decref(after)
        decref(before)
        row += COUNT_SIZE


@device
def _bump(words, storage):
    slot = storage + peek(words + VERSION)
    following = word_to_python(python_to_word(peek(slot)) + 1)
    if following != 0:
        put_new(slot, following)
