"""Modules as functions of their parameters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from operator import setitem
from typing import Any

from numgrad.tensor.functional import stack
from numgrad.tensor.tensor import Tensor


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in the place of its parameters and buffers; afterwards it has its own again.

    Parameters
    ----------
    module
        A `nn.Module`.
    parameter_and_buffer_dicts
        Tensors by qualified name, or several such dicts.
    args, kwargs
        Of the call; one argument that is no tuple is taken as ``(args,)``.
    tie_weights
        A parameter that the module has under several names is replaced under all of them.
    strict
        All parameters and buffers have to be given, and nothing else.

    Raises
    ------
    ValueError
        The dicts overlap.
    RuntimeError
        A name is unknown, or with ``strict`` one is missing. The module is as before.

    >>> import numgrad as ng
    >>> layer = ng.nn.Linear(2, 1)
    >>> weights = {"weight": ng.ones(1, 2), "bias": ng.zeros(1)}
    >>> ng.func.functional_call(layer, weights, ng.tensor([3.0, 4.0]))
    tensor([7.])
    """
    dicts = (
        [parameter_and_buffer_dicts]
        if isinstance(parameter_and_buffer_dicts, Mapping)
        else list(parameter_and_buffer_dicts)
    )
    tensors: dict[str, Tensor] = {}
    for each in dicts:
        again = set(tensors) & set(each)
        if again:
            raise ValueError(
                f"{sorted(again)} appeared in multiple dictionaries; behavior of functional call is ambiguous"
            )
        tensors.update(each)
    places = _places(module)
    unknown = sorted(set(tensors) - set(places))
    missing = sorted(set(places) - set(tensors)) if strict else []
    if unknown or missing:
        raise RuntimeError(
            "functional_call: "
            + "; ".join(
                text
                for names, text in ((unknown, f"Unexpected key(s): {unknown}"), (missing, f"Missing key(s): {missing}"))
                if names
            )
        )
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    kwargs = dict(kwargs or {})
    there, back = _swaps(places, tensors, tie_weights)
    try:
        deque(there, maxlen=0)
        return module(*args, **kwargs)
    finally:
        deque(back, maxlen=0)


def _places(module: Any) -> dict[str, tuple[dict[str, Any], str]]:
    """For each qualified name the table that holds the tensor, and its name there."""
    return {
        f"{prefix}.{name}" if prefix else name: (table, name)
        for prefix, part in module.named_modules(remove_duplicate=False)
        for table in (part._parameters, part._buffers)
        for name, tensor in table.items()
        if tensor is not None
    }


def _swaps(
    places: dict[str, tuple[dict[str, Any], str]], tensors: dict[str, Tensor], tie: bool
) -> tuple[Iterator[None], Iterator[None]]:
    """Who goes through the first puts the tensors into their places, through the second what was there before.

    It is a loop in C that calls functions in C, so that Ctrl-C comes before it or after it.
    """
    wanted = dict(tensors)
    if tie:
        by_id = {id(places[key][0][places[key][1]]): tensor for key, tensor in tensors.items()}
        for key, (table, name) in places.items():
            if id(table[name]) in by_id:
                wanted.setdefault(key, by_id[id(table[name])])
    tables, names = [places[key][0] for key in wanted], [places[key][1] for key in wanted]
    before = [table[name] for table, name in zip(tables, names, strict=True)]
    return map(setitem, tables, names, wanted.values()), map(setitem, tables, names, before)


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers of several modules of one class, stacked by name, for `vmap` over an ensemble.

    Raises
    ------
    RuntimeError
        There is no model, or they are of different classes.

    >>> import numgrad as ng
    >>> params, buffers = ng.func.stack_module_state([ng.nn.Linear(2, 3), ng.nn.Linear(2, 3)])
    >>> params["weight"].shape
    numgrad.Size([2, 3, 2])
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(type(model) is not type(models[0]) for model in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(tables: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        found = {}
        for name in tables[0]:
            column = [table[name] for table in tables]
            needed = any(tensor.requires_grad for tensor in column)
            found[name] = stack([tensor.detach() for tensor in column]).requires_grad_(needed)
        return found

    return (
        stacked([dict(model.named_parameters()) for model in models]),
        stacked([dict(model.named_buffers()) for model in models]),
    )
