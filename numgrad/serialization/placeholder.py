"""`Placeholder`, which stands in a loaded checkpoint for an object that was not read."""

from __future__ import annotations

from typing import Any

from numgrad.serialization.errors import shortened


class Placeholder:
    """Stands for an object of a class that numgrad does not read; ``load(..., unknown="skip")`` makes them.

    It holds the file's data about the object; no class was looked up or imported, and nothing was called. It has only the
    four attributes below, so a program that takes it for the object gets an error that explains it.

    Attributes
    ----------
    name
        The name in the file, such as ``argparse.Namespace``. For a dict's key of an unsupported type (a float, a tuple), the
        name of that type, with the key as the one argument. If the file calls the result of an unknown function, the
        function's name with "()", with that result as the first argument.
    arguments
        The arguments with which the file calls the name; None if it only names it.
    state
        The attributes that the file gives the object, most often a dict; None if it has none.
    items
        The items that the file adds to the object: elements of a list, or (key, value) pairs of a dict.

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
        if name in Placeholder.__slots__:  # not initialised yet, for example in `copy`
            raise AttributeError(name)
        raise AttributeError(
            f"{name!r} is not known of this placeholder of {shortened(self.name)}: load reads no objects of that class; "
            "what the file says of it is in .arguments, .state and .items"
        )

    def __repr__(self) -> str:
        return f"<placeholder of {shortened(self.name)}>"
