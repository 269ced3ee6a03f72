"""The words that `apply` reads, each declared once: its offset, its name and its meaning.

Machine code takes the offset from the constant, ``peek(words + MEMORY)``. Python writes by name, ``ENGINE.filled(memory=...)``.
Constants are plain ints, since Numba reads globals as constants. They are named as the words are, in capitals; a test
says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

WORD = 8  # bytes


class _Field(NamedTuple):
    kind: str  # 'word', 'count' of a list, 'list' whose length another list has, or 'block'
    doc: str
    row: Layout | None = None  # of a list


class Layout:
    """Words of 8 bytes in the order of their declaration; behind them lists of any length, and behind these blocks.

    >>> points, point = Layout("points"), Layout("a point")
    >>> X, Y = point.word("x", "to the right"), point.word("y", "upwards")
    >>> NAME, POINTS = points.word("name", "a number"), points.count("points", "where they are", point)
    >>> X, Y, NAME, POINTS, points.size
    (0, 8, 0, 8, 16)
    >>> points.filled(name=7, points=[point.filled(x=1, y=2), point.filled(x=3, y=4)])
    [7, 2, 1, 2, 3, 4]
    >>> point.filled(x=1, z=2)
    Traceback (most recent call last):
        ...
    TypeError: the words of a point: y is missing (upwards); unknown: z
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0  # bytes of the words, and so where the first list begins
        self.fields: dict[str, _Field] = {}

    def word(self, name: str, doc: str) -> int:
        """Declare the next word; its offset in bytes."""
        return self._declared(name, _Field("word", doc))

    def count(self, name: str, doc: str, row: Layout | None = None) -> int:
        """Declare a list of words, or of rows of words, and the word that counts them; the offset of that word."""
        return self._declared(name, _Field("count", doc, row))

    def uncounted(self, name: str, doc: str) -> None:
        """Declare a list of words whose length is that of another list."""
        self.fields[name] = _Field("list", doc)

    def block(self, name: str, doc: str) -> int:
        """Declare words behind the lists, and the word that holds their offset from the start; the offset of that word."""
        return self._declared(name, _Field("block", doc))

    def _declared(self, name: str, field: _Field) -> int:
        assert name not in self.fields, f"the words of {self.name} have two of the name {name}"
        self.fields[name] = field
        self.size += WORD
        return self.size - WORD

    def filled(self, **values: int | Sequence[int] | Sequence[list[int]]) -> list[int]:
        """All words, given by name: ints, and for lists and blocks their content.

        Raises
        ------
        TypeError
            A word is missing, or a name is not declared.
        """
        if values.keys() != self.fields.keys():
            wrong = [f"{name} is missing ({self.fields[name].doc})" for name in self.fields if name not in values]
            wrong += [f"unknown: {name}" for name in values if name not in self.fields]
            raise TypeError(f"the words of {self.name}: {'; '.join(wrong)}")
        words: list[int] = []
        behind: list[int] = []
        blocks: list[tuple[int, Sequence[int]]] = []  # the index of its word, and its content
        for name, (kind, _, row) in self.fields.items():
            value = values[name]
            if kind == "word":
                words.append(value)  # type: ignore[arg-type]
            elif kind == "block":
                blocks.append((len(words), value))  # type: ignore[arg-type]
                words.append(0)
            else:
                if kind == "count":
                    words.append(len(value))  # type: ignore[arg-type]
                behind += value if row is None else itertools.chain(*value)  # type: ignore[misc,arg-type,operator]
        for index, block in blocks:
            words[index] = WORD * (len(words) + len(behind))
            behind += block
        return words + behind


# ---- the engine: its single objects, and how it makes and reads others ---------------------------------------------

ENGINE = Layout("the engine")
SLOTS: dict[str, tuple[str, str]] = {}  # by word that holds a slot's offset in an object: the owner and the slot
TEMPLATES: dict[
    str, tuple[str, tuple[str, ...]]
] = {}  # by block for `new_like`: the owner, and the slots that it leaves empty


def _slot(name: str, owner: str, slot: str) -> int:
    SLOTS[name] = owner, slot
    return ENGINE.word(name, f"bytes from the start of a {owner} to its slot {slot}")


def _template(owner: str, *empty: str) -> int:
    TEMPLATES[f"{owner}_template"] = owner, empty
    return ENGINE.block(f"{owner}_template", f"a new {owner}, as `objects.template` describes it")


SAVED = ENGINE.word("saved", "whether the function is `apply_saved`")
MOVED = ENGINE.word("moved", "whether the function is `apply_moved`")
KNOWN = ENGINE.word("known", "whether the function is `run_known`")
OVER = ENGINE.word("over", "whether the function is `run_over`")
CLOCK = ENGINE.word("clock", "address of the count of uses of plans")
MEMORY = ENGINE.word("memory", "address of the words of the pool of storage")
POOL = ENGINE.word("pool", "address of the words of the pool of threads")
RUN = ENGINE.word("run", "address of `run_program`")
NONE = ENGINE.word("none", "None")
TRUE = ENGINE.word("true", "True")
FALSE = ENGINE.word("false", "False")
LIST = ENGINE.word("list", "the class `list`")
TENSOR_BASE = ENGINE.word("tensor_base", "the class of all tensors")
TENSOR_CLASS = ENGINE.word("tensor_class", "the class of most of them")
TUPLE_CLASS = ENGINE.word("tuple_class", "the class `tuple`")
SIZE_CLASS = ENGINE.word("size_class", "the class of shapes, whose items are ints")
SLICE_CLASS = ENGINE.word("slice_class", "the class `slice`")
INT_CLASS = ENGINE.word("int_class", "the class `int`")
BOOL_CLASS = ENGINE.word("bool_class", "the class `bool`")
FLOAT_CLASS = ENGINE.word("float_class", "the class `float`")
STR_CLASS = ENGINE.word("str_class", "the class `str`")
DTYPE_CLASS = ENGINE.word("dtype_class", "the class of dtypes")
ELLIPSIS = ENGINE.word("ellipsis", "the object ``...``")
ARRAY_CLASS = ENGINE.word("array_class", "the class of NumPy's arrays")
DTYPE_NAME = ENGINE.word("dtype_name", "the name of an array's attribute")
SHAPE_NAME = ENGINE.word("shape_name", "the name of another one")
ARRAY_DATA = ENGINE.word("array_data", "bytes from the start of an array to its address")
ARRAY_FLAGS = ENGINE.word("array_flags", "bytes from the start of an array to its flags")
NOT_IMPLEMENTED = ENGINE.word("not_implemented", "the object `NotImplemented`")
WRAPPERS = ENGINE.word("wrappers", "the list of wrappers before the engine, which functions have to meet")
TYPE = ENGINE.word("type", "bytes from the start of an object to the address of its class")
TUPLE_ITEMS = ENGINE.word("tuple_items", "bytes from the start of a tuple to its items")
FLOAT_VALUE = ENGINE.word("float_value", "bytes from the start of a float to its number")
SLICE_START = ENGINE.word("slice_start", "bytes from the start of a slice to where it begins")
SLICE_STOP = ENGINE.word("slice_stop", "bytes from the start of a slice to where it ends")
SLICE_STEP = ENGINE.word("slice_step", "bytes from the start of a slice to its step")
MODES = ENGINE.word("modes", "the threads' modes")
GRAD_ENABLED = ENGINE.word("grad_enabled", "the name of the mode that says whether gradients are recorded")
SEQUENCE = ENGINE.word("sequence", "the iterator that numbers nodes")
EDGE_OF = ENGINE.word("edge_of", "the function that gives the edge of a leaf without an accumulator")
LEAF_RECORDS = ENGINE.word("leaf_records", "the accumulators' records by spec, a dict")
SPEC = _slot("spec", "tensor", "_spec")
ADDRESS = _slot("address", "tensor", "_address")
STORAGE = _slot("storage", "tensor", "_storage")
BASE = _slot("base", "tensor", "_base")
NODE = _slot("node", "tensor", "_node")
VIEW_NODE = _slot("view_node", "tensor", "_view_node")
REQUIRES_GRAD = _slot("requires_grad", "tensor", "_requires_grad")
OUTPUT_NR = _slot("output_nr", "tensor", "_output_nr")
ACCUMULATOR = _slot("accumulator", "tensor", "_accumulator")
HOOKS = _slot("hooks", "tensor", "_hooks")
NODE_RECORD = _slot("node_record", "node", "record")
NODE_EDGES = _slot("node_edges", "node", "edges")
NODE_SAVED = _slot("node_saved", "node", "saved")
NODE_VERSIONS = _slot("node_versions", "node", "versions")
NODE_PARAMS = _slot("node_params", "node", "params")
NODE_SEQUENCE = _slot("node_sequence", "node", "sequence")
NODE_HOOKS = _slot("node_hooks", "node", "hooks")
LEAF_VARIABLE = _slot("leaf_variable", "leaf", "variable")
STORAGE_VERSION = _slot("storage_version", "storage", "version")
STORAGE_ADDRESS = _slot("storage_address", "storage", "address")
STORAGE_NBYTES = _slot("storage_nbytes", "storage", "nbytes")
STORAGE_OWNER = _slot("storage_owner", "storage", "_owner")
PLAN_FAST = _slot("plan_fast", "plan", "fast")
PLAN_RECORDS = _slot("plan_records", "plan", "records")
RECORD_FAST = _slot("record_fast", "record", "fast")
LISTENERS = ENGINE.count("listeners", "lists; while one of them has an item, Python applies ops")
TENSOR_TEMPLATE = _template("tensor", "_storage", "_spec", "_address")
STORAGE_TEMPLATE = _template("storage", "_block", "address", "nbytes")
NODE_TEMPLATE = _template("node", "record", "edges", "saved", "versions", "params", "sequence")
LEAF_TEMPLATE = _template("leaf", "record", "sequence", "hooks", "variable")
FIRST_LISTENER = ENGINE.size

# ---- a plan: the words at the address `plan.fast` ------------------------------------------------------------------

ROW = Layout("an operand that a plan allocates, or an output that is an input or a view of one")
NEW, SCRATCH, ITSELF = -1, -2, -3  # kinds of rows; from 0 on, the number of the input that the output is a view of
ROW_KIND = ROW.word("kind", "`NEW` output, `SCRATCH` memory, an input `ITSELF`, or of which input it is a view")
ROW_ORIGIN = ROW.word(
    "origin", "its stack of free blocks; of a view, bytes from where the input begins; of an input itself, its number"
)
ROW_SPEC = ROW.word("spec", "its spec, unless it is scratch memory or an input itself")
ROW_NBYTES = ROW.word("nbytes", "the int that says its bytes, if it is a new output")
ROW_OUTPUT = ROW.word("output", "which output it is, unless it is scratch memory")
ROW_SIZE = ROW.size

PLAN = Layout("a plan")
PLAN_PROGRAM = PLAN.word("program", "address of the program; 0: nothing is launched")
PLAN_USED = PLAN.word("used", "the clock at its last use")
PLAN_ROWS = PLAN.count("rows", "operands that are allocated, in the order of their addresses, then other outputs", ROW)
PLAN_OUTPUTS = PLAN.word("outputs", "how many outputs there are")
PLAN_PUBLIC = PLAN.word("public", "how many of them are returned")
PLAN_DIFFERENTIABLE = PLAN.word("differentiable", "whether the op is")
PLAN_SPLITS = PLAN.word("splits", "whether its launches may run on several threads")
PLAN_SEVERAL = PLAN.word("several", "whether a tuple is returned")
PLAN_WRITES_LAST = PLAN.word("writes_last", "whether inputs are changed after all of them were read")
PLAN_CHANGED = PLAN.count("changed", "numbers of the inputs that are changed in place")
FIRST_ROW = PLAN.size

MOST_INPUTS = 60  # which of them need a gradient has to fit into a word
MOST_OPERANDS = 256  # in rows: addresses of their objects lie on the stack

# ---- a record: the words at the address `record.fast` --------------------------------------------------------------

RECORD = Layout("a record")
NOTHING, OUTPUT = -1, 1 << 20  # sources of saved tensors: none; outputs, from ``OUTPUT`` on; else an input's number
RECORD_SAVED = RECORD.count("saved", "the source of each saved tensor: `NOTHING`, an input or an output")
RECORD.uncounted("differentiable", "for each output that is returned, whether it gets the node")
FIRST_SAVED = RECORD.size

# ---- a saved call: the words at the address `SavedCall.fast` -------------------------------------------------------

CALL = Layout("a saved call")
CALL_READS = CALL.count("reads", "for each input which of the saved tensors it is, or from -1 downwards which gradient")
FIRST_READ = CALL.size

# ---- arguments, as the interpreter passes them --------------------------------------------------------------------

ARGUMENTS = Layout("the arguments of `apply`")
ARG_PLANS = ARGUMENTS.word("plans", "the op's plans by key, a dict")
ARG_PARAMS = ARGUMENTS.word("params", "the op's parameters, a tuple")
FIRST_INPUT = ARGUMENTS.size
BEFORE_INPUTS = ARGUMENTS.size // WORD

SAVED_ARGUMENTS = Layout("the arguments of `apply_saved`, behind the same two")
SAVED_ARGUMENTS.size = ARGUMENTS.size
ARG_NODE = SAVED_ARGUMENTS.word("node", "the node whose backward runs")
ARG_GRADS = SAVED_ARGUMENTS.word("grads", "the gradients of its outputs, a list")
ARG_READS = SAVED_ARGUMENTS.word("reads", "address of the words of the saved call, an int")

MOVED_ARGUMENTS = Layout(
    "the arguments of `apply_moved`, behind the plan, in the place of the plans, and the parameters"
)
MOVED_ARGUMENTS.size = ARGUMENTS.size
ARG_SPEC = MOVED_ARGUMENTS.word("spec", "the spec that the input had when the plan was looked up")
ARG_DISTANCE = MOVED_ARGUMENTS.word("distance", "bytes from where the input begins to where the view does, an int")
ARG_INPUT = MOVED_ARGUMENTS.word("input", "the tensor")

KNOWN_ARGUMENTS = Layout("the arguments of `run_known`, before those of the function")
ARG_TABLE = KNOWN_ARGUMENTS.word("table", "the calls of the function that are known, a dict")
FIRST_KNOWN = KNOWN_ARGUMENTS.size // WORD
ARG_ARRAY = KNOWN_ARGUMENTS.word("array", "of `run_over`, behind the table of arrays that are known: the array")
# Places in a step, the tuple that says what a known call does.
STEP_PLAN, STEP_PARAMS, STEP_DISTANCE, STEP_MARKS, STEP_CLASS, STEP_SOURCES = range(6)
ITEM = 1 << 8  # what the place of a tensor in a list or tuple counts in a source
MOST_ITEMS = 1 << 6  # of a list or tuple that is an argument

# ---- the objects that `apply` makes: for each output a pair, then the parts of the node ----------------------------

PAIR = Layout("the objects of an output")
PAIR_STORAGE = PAIR.word("storage", "of a new output; else 0")
PAIR_TENSOR = PAIR.word("tensor", "the output")
PAIR_SIZE = PAIR.size

PARTS = Layout("the objects of a node")
PARTS_NODE = PARTS.word("node", "the node")
PARTS_SAVED = PARTS.word("saved", "the list of its saved tensors")
PARTS_VERSIONS = PARTS.word("versions", "the list of their versions")
PARTS_SEQUENCE = PARTS.word("sequence", "its number")
FIRST_ALIAS = PARTS.size  # for each that is saved, None, or the tensor that stands for an output
PARTS_WORDS = PARTS.size // WORD
