"""The arguments of a step: what is to be looked at in them, and what the step may not leave changed."""

from __future__ import annotations

from typing import Any

from numgrad.dtypes import get_default_dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import CaptureError
from numgrad.runtime import threads

PLAIN = (bool, int, str, bytes, type(None))
_BARE = (list, tuple, dict)  # their objects have no attributes


def requires_grad(value: Any) -> bool:
    """Whether a tensor among arguments requires a gradient."""
    if isinstance(value, TensorBase):
        return value._requires_grad or value._node is not None
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return any(map(requires_grad, values))


def surroundings(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What a step may not leave changed: a name, a value, and what the value's id belongs to."""
    state: list[tuple[str, Any, Any]] = [
        ("the grad mode", modes.grad_enabled, None),
        ("the inference mode", modes.inference, None),
        ("the default dtype", get_default_dtype(), None),
        ("the number of threads", threads.get_num_threads(), None),
    ]
    stack: list[Any] = [args, kwargs]
    while stack:
        value = stack.pop()
        if isinstance(value, TensorBase):
            state.append(("an argument's memory or layout", (id(value), value._address, value._spec), value))
            state.append(("requires_grad of an argument", value._requires_grad, value))
        elif isinstance(value, (tuple, list, dict)):
            items = list(value.values()) if isinstance(value, dict) else value
            state.append(("the items of an argument", (id(value), *map(id, items)), tuple(items)))
            stack += items
    return state


def check_surroundings(before: list[tuple[str, Any, Any]], after: list[tuple[str, Any, Any]]) -> None:
    """Refuse a step that changed them."""
    for (name, value, _), (_, now, _) in zip(before, after, strict=False):
        if value != now:
            raise CaptureError(
                f"jit: the step changes {name}, and a replay would not; change it outside, or within a copy"
            )


def others(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments that are no tensors, numbers or containers."""
    others: list[Any] = []
    stack: list[Any] = [*args, *kwargs.values()]
    while stack:
        value = stack.pop()
        if isinstance(value, (tuple, list, dict)):
            stack += value.values() if isinstance(value, dict) else value
            others += [each for _, each in _attributes_besides(value) if not isinstance(each, (float, complex, *PLAIN))]
        elif not isinstance(value, (TensorBase, float, complex, *PLAIN)):
            others.append(value)
    return others


def attributes_of(container: Any) -> tuple[Any, ...]:
    """What a call's signature says of the attributes of a container, which is of a class that has some."""
    if container.__class__ in _BARE:
        return ()
    return tuple([
        (name, each.__class__, repr(each)) if isinstance(each, (float, complex, *PLAIN)) else (name, id(each))
        for name, each in _attributes_besides(container)
    ])  # fmt: skip


def _attributes_besides(container: Any) -> list[tuple[str, Any]]:
    """The attributes of a container that are none of its items."""
    attributes = getattr(container, "__dict__", None)
    if not attributes:
        return []
    items = {id(each) for each in (container.values() if isinstance(container, dict) else container)}
    return [(name, each) for name, each in attributes.items() if id(each) not in items]
