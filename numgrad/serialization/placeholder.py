"""What stands in a loaded checkpoint for the objects that were not read."""

from __future__ import annotations

from typing import Any

from numgrad.serialization.errors import shortened


class Placeholder:
    """Stands for an object of a class that numgrad does not read; ``load(..., unknown="skip")`` makes them.

    It holds what the file says of the object and is nothing but data: no class was looked up or imported, nothing was
    called. It knows no attribute but the four below, so that a program which takes it for the object is told what it is.

    Attributes
    ----------
    name
        The name in the file, such as ``argparse.Namespace``. Where a dict had a key that is read as no key (a float, a
        tuple), the name of its type, with the key as the one argument. Where the file calls what an unknown function
        gave, the function's name with "()", with that as the first argument.
    arguments
        What the file calls the name with; None where it only names it.
    state
        The attributes that the file gives the object, most often a dict; None if it has none.
    items
        What the file adds to it: of an object like a list its items, of one like a dict (key, value) pairs.

    Examples
    --------
    >>> options = Placeholder("argparse.Namespace", ())
    >>> options.state = {"lr": 0.1}
    >>> options, options.state["lr"]
    (<placeholder of 'argparse.Namespace'>, 0.1)
    >>> options.lr
    Traceback (most recent call last):
        ...
    AttributeError: 'lr' is not known of this placeholder of 'argparse.Namespace': load reads no objects of that class; \
what the file says of it is in .arguments, .state and .items
    """

    __slots__ = ("__weakref__", "arguments", "items", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] | None = None) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None
        self.items: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name in Placeholder.__slots__:  # one that is only being made, by `copy` for example
            raise AttributeError(name)
        raise AttributeError(
            f"{name!r} is not known of this placeholder of {shortened(self.name)}: load reads no objects of that class; "
            "what the file says of it is in .arguments, .state and .items"
        )

    def __repr__(self) -> str:
        return f"<placeholder of {shortened(self.name)}>"
