"""An op of the common kind in machine code: what `dispatch` does for it, in a fifth of the time.

The common kind has a plan already, makes all of its outputs anew, needs no scratch memory, and nobody listens. `apply`
looks the plan up, takes blocks, makes storages and tensors, launches, and records the node. For any other case it
returns None before it has done anything, and `dispatch` does the same in Python. What it does is what
`engine/dispatch.py` says, line by line; that file is the one to read first.

How it keeps references right: what is made is put into ``made``, and until the launch each way out drops all of it;
inputs are held by the caller; the plan, which another thread may throw away during the launch, is held here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.runtime import memory, objects, program, threads
from numgrad.runtime.kernel import device, native
from numgrad.runtime.memory import fill_storage, take_block
from numgrad.runtime.objects import (
    call_none,
    call_one,
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
from numgrad.runtime.program import run_program
from numgrad.runtime.words import call_native, peek, poke, python_to_word, stack_words, word_to_python

_TENSOR_SLOTS = (
    "_spec", "_address", "_storage", "_base", "_node", "_view_node", "_requires_grad", "_output_nr", "_accumulator",
)  # fmt: skip
_NODE_SLOTS = ("record", "edges", "saved", "versions", "sequence")
# Offsets of the words that `apply` reads, as `bind` writes them: what there is one of, then where slots lie.
(
    _MEMORY, _POOL, _NONE, _TRUE, _FALSE, _LIST, _TENSOR_BASE, _MODES, _GRAD_ENABLED, _SEQUENCE, _EDGE_OF,
    _SPEC, _ADDRESS, _STORAGE, _BASE, _NODE, _VIEW_NODE, _REQUIRES_GRAD, _OUTPUT_NR, _ACCUMULATOR,
    _NODE_RECORD, _NODE_EDGES, _NODE_SAVED, _NODE_VERSIONS, _NODE_SEQUENCE, _STORAGE_VERSION, _STORAGE_ADDRESS,
    _PLAN_QUICK, _PLAN_RECORDS, _RECORD_QUICK, _APPLY, _LISTENERS, _TENSOR_TEMPLATE, _STORAGE_TEMPLATE,
    _NODE_TEMPLATE, _LISTENER,
) = (8 * place for place in range(36))  # fmt: skip

# A plan's words: program, outputs, public ones, whether it is differentiable, whether launches split; then for each output
# its stack of free blocks, its spec, its bytes.
_PLAN_HEAD = 5
_NOTHING, _OUTPUT = -1, 1 << 20  # in a record's words: saved is nothing; or an output (else an input's number)


def plan_words(plan: Any, public: int, differentiable: bool) -> np.ndarray | None:
    """The words for a plan of the common kind, else None. What they refer to lives as long as the plan."""
    outputs, launches = plan.outputs, plan.program
    if launches is None or plan.changed or plan.takes_scratch or any(output.source is not None for output in outputs):
        return None
    stacks = [memory.stack_of(output.nbytes) for output in outputs]
    words = [launches.address, len(outputs), public, differentiable, launches.splits]
    for output, stack in zip(outputs, stacks, strict=True):
        words += [id(stack), id(output.spec), id(output.nbytes)]
    return np.array(words, np.int64)


def record_words(
    inputs: Sequence[int | None], outputs: Sequence[tuple[int, int]], differentiable: Sequence[bool]
) -> Any:
    """The words for a record: how many are saved, what each is; then for each public output whether it has a gradient."""
    saved = [_NOTHING if place is None else place for place in inputs]
    for place, position in outputs:
        saved[place] = _OUTPUT + position
    return np.array([len(saved), *saved, *map(int, differentiable)], np.int64)


@device
def field(words, instance, name):
    """What a slot holds, borrowed; 0 if it is empty."""
    return peek(instance + peek(words + name))


@device
def new_none(words):
    none = peek(words + _NONE)
    incref(none)
    return none


@device
def drop(made, count):
    for place in range(count):
        decref(peek(made + 8 * place))


@device
def listened_to(words):
    """Whether somebody wants to be told of what ops do."""
    items = 0
    for place in range(peek(words + _LISTENERS)):
        items += list_size(peek(words + _LISTENER + 8 * place))
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
        spec = peek(words + _NONE)
        if tensor != spec:
            type_ = type_of(tensor)
            decref(type_)  # the object holds it
            spec = field(words, tensor, _SPEC) if is_subtype(type_, peek(words + _TENSOR_BASE)) else 0
            if spec == 0:
                decref(key)
                return 0
        incref(spec)
        tuple_set(key, place - 1, spec)
    plan = dict_get(peek(args), key)
    decref(key)
    return plan


@device
def pattern_of(words, args, count):
    """Which inputs need a gradient, as bits; -1 if Python has to see to it, -2 for an error."""
    enabled = get_attribute(peek(words + _MODES), peek(words + _GRAD_ENABLED))
    if enabled == 0:
        return -2
    decref(enabled)
    if enabled == peek(words + _FALSE):
        return 0
    if enabled != peek(words + _TRUE):
        return -1
    none, pattern = peek(words + _NONE), 0
    for place in range(2, count):
        tensor = peek(args + 8 * place)
        if tensor != none:
            base = field(words, tensor, _BASE)
            if base != none and field(words, base, _NODE) != field(words, tensor, _VIEW_NODE):
                return -1  # it may be stale
            if field(words, tensor, _NODE) != none or field(words, tensor, _REQUIRES_GRAD) == peek(words + _TRUE):
                pattern |= 1 << (place - 2)
    return pattern


@device
def new_edge(words, tensor):
    """Where the gradient of a tensor goes: (node, output); 0 for an error."""
    node = field(words, tensor, _NODE)
    if node == peek(words + _NONE):
        accumulator = field(words, tensor, _ACCUMULATOR)
        if accumulator != node:
            node = call_none(accumulator)  # a weak reference
            if node == 0:
                return 0
        else:
            incref(node)
        if node == peek(words + _NONE):
            decref(node)
            return call_one(peek(words + _EDGE_OF), tensor)
        number = word_to_python(0)
    else:
        incref(node)
        number = field(words, tensor, _OUTPUT_NR)
        incref(number)
    edge = tuple_new(2)
    if edge == 0:
        decref(node)
        decref(number)
        return 0
    tuple_set(edge, 0, node)
    tuple_set(edge, 1, number)
    return edge


@device
def new_edges(words, args, count, pattern):
    """The list of a node's edges; 0 for an error."""
    edges = list_new(count - 2)
    if edges == 0:
        return 0
    for place in range(count - 2):
        if pattern >> place & 1:
            edge = new_edge(words, peek(args + 8 * (2 + place)))
            if edge == 0:
                decref(edges)
                return 0
        else:
            edge = new_none(words)
        list_set(edges, place, edge)
    return edges


@device
def make_all(words, made, outputs, record, edges):
    """Make all objects, still empty: storages and tensors of the outputs, then the node and what it holds."""
    place = made
    for _ in range(outputs):
        poke(place, new_like(words + peek(words + _STORAGE_TEMPLATE)))
        poke(place + 8, new_like(words + peek(words + _TENSOR_TEMPLATE)))
        place += 16
    if record:
        saved = peek(record)
        poke(place, new_like(words + peek(words + _NODE_TEMPLATE)))
        poke(place + 8, list_new(saved))
        poke(place + 16, list_new(saved))
        poke(place + 24, iterator_next(peek(words + _SEQUENCE)))
        place += 32
        for number in range(saved):
            what = peek(record + 8 * (1 + number))
            poke(place, new_like(words + peek(words + _TENSOR_TEMPLATE)) if what >= _OUTPUT else new_none(words))
            place += 8
    while made < place:
        if peek(made) == 0:
            return False
        made += 8
    return True


@device
def fill_tensor(words, tensor, storage, spec):
    put(tensor + peek(words + _STORAGE), storage)
    put(tensor + peek(words + _SPEC), spec)
    put(tensor + peek(words + _ADDRESS), peek(storage + peek(words + _STORAGE_ADDRESS)))


@device
def fill_node(words, args, made, outputs, plan, record_object, record, edges):
    """The record of what was done: what `engine/dispatch.py: _record` says."""
    place = made + 16 * outputs
    node, saved, versions, aliases = peek(place), peek(place + 8), peek(place + 16), place + 32
    put(node + peek(words + _NODE_RECORD), record_object)
    poke(node + peek(words + _NODE_EDGES), edges)
    poke(node + peek(words + _NODE_SAVED), saved)
    poke(node + peek(words + _NODE_VERSIONS), versions)
    poke(node + peek(words + _NODE_SEQUENCE), peek(place + 24))
    count = peek(record)
    for number in range(count):
        what, tensor = peek(record + 8 * (1 + number)), peek(aliases + 8 * number)  # None, or an empty tensor
        storage = 0
        if what >= _OUTPUT:
            output = what - _OUTPUT
            storage = peek(made + 16 * output)
            fill_tensor(words, tensor, storage, peek(plan + 8 * (_PLAN_HEAD + 3 * output + 1)))
        elif what >= 0:
            decref(tensor)
            tensor = peek(args + 8 * (2 + what))
            incref(tensor)
            storage = field(words, tensor, _STORAGE)
        list_set(saved, number, tensor)
        if storage == 0:
            version = word_to_python(0)
        else:
            version = field(words, storage, _STORAGE_VERSION)
            incref(version)
        list_set(versions, number, version)
    for number in range(peek(plan + 16)):
        if peek(record + 8 * (1 + count + number)):
            tensor = peek(made + 16 * number + 8)
            incref(node)
            put_new(tensor + peek(words + _NODE), node)
            put_new(tensor + peek(words + _OUTPUT_NR), word_to_python(number))
    decref(node)


@native(3, returns=True)
def apply(self, args, count):
    """``apply(plans, params, *inputs)``: the output, or a tuple of them; None if it has done nothing; a status if not 0."""
    words = python_to_word(self)
    if listened_to(words):
        return new_none(words)
    plan_object = find_plan(words, args, count)
    if plan_object == 0:
        return 0 if error_occurred() else new_none(words)
    plan = field(words, plan_object, _PLAN_QUICK)
    if plan == peek(words + _NONE):
        return new_none(words)
    plan = python_to_word(plan)
    outputs, public = peek(plan + 8), peek(plan + 16)
    if peek(plan + 32) and peek(peek(words + _POOL) + READY) == 0:
        return new_none(words)
    pattern, record_object, record, saved = 0, 0, 0, 0
    if peek(plan + 24):
        pattern = pattern_of(words, args, count)
        if pattern < 0:
            return new_none(words) if pattern == -1 else 0
    if pattern:
        key = word_to_python(pattern)
        record_object = dict_get(field(words, plan_object, _PLAN_RECORDS), key)
        decref(key)
        if record_object == 0:
            return 0 if error_occurred() else new_none(words)
        record = python_to_word(field(words, record_object, _RECORD_QUICK))
        saved = peek(record)
    incref(plan_object)
    incref(record_object)
    edges = 0
    if pattern:
        edges = new_edges(words, args, count, pattern)
    total = 2 * outputs + (4 + saved if pattern else 0)
    made = stack_words(total + 1)
    addresses = stack_words(count + outputs)
    if (pattern and edges == 0) or not make_all(words, made, outputs, record, edges):
        drop(made, total if edges or not pattern else 0)
        decref(edges)
        decref(record_object)
        decref(plan_object)
        return 0
    result = tuple_new(public) if public != 1 else 0
    for place in range(2, count):
        tensor = peek(args + 8 * place)
        poke(
            addresses + 8 * (place - 2),
            0 if tensor == peek(words + _NONE) else python_to_word(field(words, tensor, _ADDRESS)),
        )
    enough = result != 0 or public == 1
    for number in range(outputs):
        row = plan + 8 * (_PLAN_HEAD + 3 * number)
        block = take_block(peek(words + _MEMORY), peek(row)) if enough else 0
        if block == 0:
            enough = False
        else:
            storage, tensor = peek(made + 16 * number), peek(made + 16 * number + 8)
            fill_storage(storage, block, peek(row + 16))
            fill_tensor(words, tensor, storage, peek(row + 8))
            poke(addresses + 8 * (count - 2 + number), python_to_word(field(words, tensor, _ADDRESS)))
    status = 0
    if enough:
        status = run_program(peek(words + _POOL), peek(plan), addresses)
    if not enough or status:
        drop(made, total)
        decref(edges)
        decref(result)
        decref(record_object)
        decref(plan_object)
        if status:
            return word_to_python(status)
        return 0 if error_occurred() else new_none(words)
    if pattern:
        fill_node(words, args, made, outputs, plan, record_object, record, edges)
        decref(record_object)
    for number in range(outputs):
        decref(peek(made + 16 * number))
        tensor = peek(made + 16 * number + 8)
        if public == 1 and number == 0:
            result = tensor
        elif number < public:
            tuple_set(result, number, tensor)
        else:
            decref(tensor)
    decref(plan_object)
    return result


@device
def unchanged(words, saved, versions):
    """Whether what a node saved still holds what it held."""
    none = peek(words + _NONE)
    for place in range(list_size(saved)):
        tensor = list_get(saved, place)
        if tensor != none:
            now, then = field(words, field(words, tensor, _STORAGE), _STORAGE_VERSION), list_get(versions, place)
            if now != then and python_to_word(now) != python_to_word(then):
                return False
    return True


@native(3, returns=True)
def apply_backward(self, args, count):
    """``apply_backward(plans, params, node, grad, reads)``: `apply` on the gradient and on what the node saved.

    ``reads`` is the address of words that say how many inputs there are, and for each 0 for the gradient, else which of the
    saved tensors, from 1.
    """
    words = python_to_word(self)
    saved = field(words, peek(args + 16), _NODE_SAVED)
    type_ = type_of(saved)
    decref(type_)
    if type_ != peek(words + _LIST) or not unchanged(words, saved, field(words, peek(args + 16), _NODE_VERSIONS)):
        return new_none(words)
    reads = python_to_word(peek(args + 32))
    inputs = peek(reads)
    given = stack_words(2 + inputs)
    poke(given, peek(args))
    poke(given + 8, peek(args + 8))
    for place in range(inputs):
        read = peek(reads + 8 * (1 + place))
        tensor = list_get(saved, read - 1) if read else peek(args + 24)
        incref(tensor)  # another thread may free what is saved during the launch
        poke(given + 8 * (2 + place), tensor)
    made = call_native(peek(words + _APPLY), self, given, 2 + inputs)  # compiled once: it takes seconds
    for place in range(inputs):
        decref(peek(given + 8 * (2 + place)))
    return made


def backward_words(reads: Sequence[int]) -> np.ndarray:
    """The words that `apply_backward` takes the address of."""
    return np.array([len(reads), *reads], np.int64)


run: Callable[..., Any]  # `apply`
run_saved: Callable[..., Any]  # `apply_backward`


def connect(facts: Callable[[], tuple[Any, ...]]) -> None:
    """Set `run` and `run_saved`: loaded at the first call, for the engine's ``facts``, the arguments of `_load`."""
    global run, run_saved
    loading = threading.RLock()

    def first_run(*args: Any) -> Any:
        with loading:
            if run is first_run:
                _load(*facts())
        return run(*args)

    run, run_saved = first_run, lambda *args: None


def _load(
    tensor: Any, node: Any, plan: type, record: type, known: Sequence[Any], listeners: Sequence[list[Any]]
) -> None:
    """Set `run` and `run_saved` for the engine's classes.

    Parameters
    ----------
    tensor, node
        A new one of each, with the values that their slots have at first; empty slots are filled by `apply`.
    plan, record
        The classes.
    known
        The class of all tensors, the threads' modes, the iterator that numbers nodes, and a function that gives the edge
        of a leaf that has no accumulator.
    listeners
        Lists; while one of them has an item, `apply` does nothing.
    """
    global run, run_saved
    memory.allocate(0)  # what the pool has to know it gets with the first block
    storage = memory.Storage(0, 0, None)
    owners = {"tensor": tensor, "node": node, "plan": object.__new__(plan), "record": object.__new__(record)}
    templates = {
        "tensor_template": objects.template(tensor, ("_storage", "_spec", "_address")),
        "storage_template": objects.template(storage, ("_block", "address", "nbytes")),
        "node_template": objects.template(node, ("record", "edges", "saved", "versions", "sequence")),
    }
    base, modes, sequence, edge_of = known
    listeners = [*listeners, program.observers]
    singletons = (None, True, False, list, base, modes, "grad_enabled", sequence, edge_of)
    head = [memory.WORDS, threads.ADDRESS, *objects.addresses_of(singletons)]
    head += [objects.offset_of(tensor, name) for name in _TENSOR_SLOTS]
    head += [objects.offset_of(node, name) for name in _NODE_SLOTS]
    head += [objects.offset_of(storage, name) for name in ("version", "address")]
    head += [objects.offset_of(owners["plan"], name) for name in ("quick", "records")]
    head += [objects.offset_of(owners["record"], "quick"), apply.address(), len(listeners)]
    place = 8 * (len(head) + len(templates) + len(listeners))
    for made in templates.values():
        head.append(place)
        place += 8 * len(made)
    words, address = objects.words_for_ever(place // 8)
    words[:] = [*head, *objects.addresses_of(listeners), *itertools.chain(*templates.values())]
    run_saved = objects.built_in(apply_backward, address, rehearsed=lambda *_: None)
    run = objects.built_in(apply, address, rehearsed=lambda *_: None)
