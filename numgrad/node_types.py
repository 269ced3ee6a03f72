"""Classes of nodes for viewers of graphs, which read ``type(node).__name__`` and the attributes ``_saved_...``.

Nodes are recorded as plain `tape.Node`, all of one class, since the machine code that makes them copies an example. A node
gets the class of its name when somebody looks at it.
"""

from __future__ import annotations

from typing import Any

_of_functions: dict[Any, type] = {}
_MOST_CLASSES = 1 << 12


class SeenNode:
    """The public attributes of a node; base class of the engine's nodes."""

    __slots__ = ()

    op: Any
    edges: Any
    params: Any
    needs: Any
    input_specs: Any

    is_seen = False  # whether it has the class of its name
    slots: tuple[int | None, ...] | None = None  # the inputs that `next_functions` lists

    def name(self) -> str:
        """The name that torch would print, such as 'MulBackward0'."""
        return str(self.op.graph_node(self.input_specs, self.needs, self.params)[0])

    def seen(self) -> Any:
        """This node, of the class of its name from now on; called before users get it."""
        if not self.is_seen:
            self.__class__ = self.class_to_see()
        return self

    def class_to_see(self) -> type:
        """The class with this node's name, and attributes for its saved tensors."""
        if self.op.node_class is not None:
            return self.op.node_class  # type: ignore[no-any-return]
        name, slots = self.op.graph_node(self.input_specs, self.needs, self.params)
        return class_of(type(self), name, slots, self.op)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each input the node that made it and its output number; (None, 0) if no gradient is needed.

        Inputs are torch's, in its order: those that never have a gradient, such as indices, are left out.
        """
        edges, slots = self.seen().edges, self.slots
        listed = edges if slots is None else [None if slot is None else edges[slot] for slot in slots]
        return tuple((None, 0) if edge is None else (edge[0].seen(), edge[1]) for edge in listed)


def class_of(base: type, name: str, slots: tuple[int | None, ...] | None, op: Any) -> type:
    """The subclass of ``base`` for nodes of this name.

    Parameters
    ----------
    base
        The class of the nodes until then.
    name
        The name of the class, such as 'MulBackward0'.
    slots
        For each of `next_functions` the number of the op's input, or None where torch lists an input that the op lacks;
        None for all inputs in their order.
    op
        The op, whose saved tensors and parameters become attributes; None for the functions of users.
    """
    classes = _of_functions if op is None else op.node_classes
    node_class = classes.get((base, name, slots))
    if node_class is None:
        if len(classes) >= _MOST_CLASSES:
            classes.clear()
        members = {"__slots__": (), "__module__": "numgrad.autograd.graph", "is_seen": True, "slots": slots}
        node_class = classes.setdefault((base, name, slots), type(name, (base,), members | _saved(op)))
    return node_class


def saved_names(op: Any) -> dict[str, tuple[bool, int]]:
    """The tensors that an op may save, by the name of torch's attribute: whether it is an output, and its number.

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
    """The name of a node without the suffix of nodes.

    >>> stem_of("PowBackward1"), stem_of("CopySlices")
    ('Pow', 'CopySlices')
    """
    return name.rstrip("0123456789").removesuffix("Backward") if "Backward" in name else name
