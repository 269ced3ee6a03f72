"""The classes by which nodes are seen: viewers of graphs read ``type(node).__name__`` and the attributes ``_saved_...``.

Nodes are recorded as plain `tape.Node`, all of one class, since the machine code that makes them copies an example. The
class that has a node's name is made when somebody looks at the node, and given to it then.
"""

from __future__ import annotations

from typing import Any

_of_functions: dict[Any, type] = {}
_MOST_CLASSES = 1 << 12


class SeenNode:
    """What a node shows of itself; the engine's are made of it."""

    __slots__ = ()

    op: Any
    edges: Any
    params: Any
    needs: Any
    input_specs: Any

    is_seen = False  # of the class of its name
    slots: tuple[int | None, ...] | None = None  # of a class of a name: which inputs `next_functions` lists

    def name(self) -> str:
        """The name that torch would print, such as 'MulBackward0'."""
        return str(self.op.graph_node(self.input_specs, self.needs, self.params)[0])

    def seen(self) -> Any:
        """This node, of the class of its name from now on: to be called before others get it."""
        if not self.is_seen:
            self.__class__ = self.class_to_see()
        return self

    def class_to_see(self) -> type:
        """The class that has this node's name, and attributes for what it saved."""
        name, slots = self.op.graph_node(self.input_specs, self.needs, self.params)
        return class_of(type(self), name, slots, self.op)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each input the node that made it and which of that node's outputs it is; (None, 0) where none is needed.

        Inputs are torch's, in its order: those that no gradient could be of, such as indices, are left out.
        """
        edges, slots = self.seen().edges, self.slots
        listed = edges if slots is None else [None if slot is None else edges[slot] for slot in slots]
        return tuple((None, 0) if edge is None else (edge[0].seen(), edge[1]) for edge in listed)


def class_of(base: type, name: str, slots: tuple[int | None, ...] | None, op: Any) -> type:
    """The subclass of ``base`` for nodes of this name.

    Parameters
    ----------
    base
        The class that the nodes have.
    name
        What the class is called, such as 'MulBackward0'.
    slots
        For each of `next_functions` the number of the op's input, or None where torch lists what the op does not have;
        None for all inputs in their order.
    op
        The op, whose saved tensors and parameters become attributes; None for the functions of users.
    """
    classes = _of_functions if op is None else op.node_classes
    made = classes.get((name, slots))
    if made is None:
        if len(classes) >= _MOST_CLASSES:
            classes.clear()
        members = {"__slots__": (), "__module__": "numgrad.autograd.graph", "is_seen": True, "slots": slots}
        made = classes.setdefault((name, slots), type(name, (base,), members | _saved(op)))
    return made


def saved_names(op: Any) -> dict[str, tuple[bool, int]]:
    """The names of what an op may save, as torch's attributes have them: whether it is an output, and its number.

    The first input has the op's ``self_name``, and the first output is torch's ``result``.
    """
    names = {}
    for save, number in op.saved_names().items():
        if save in op.outputs:
            names[op.outputs[number] if number else "result"] = (True, number)
        else:
            names[op.inputs[number] if number else op.self_name] = (False, number)
    return names


def _saved(op: Any) -> dict[str, property]:
    if op is None:
        return {}
    attributes = {f"_saved_{name}": _parameter(name) for name in op.param_names}
    return attributes | {f"_saved_{name}": _tensor(*entry) for name, entry in saved_names(op).items()}


def _parameter(name: str) -> property:
    return property(lambda self: getattr(self.params, name))


def _tensor(is_output: bool, number: int) -> property:
    return property(lambda self: self.saved_tensor(is_output, number))


def stem_of(name: str) -> str:
    """What a node does, without the part that says that it is a node.

    >>> stem_of("PowBackward1"), stem_of("CopySlices")
    ('Pow', 'CopySlices')
    """
    return name.rstrip("0123456789").removesuffix("Backward") if "Backward" in name else name
