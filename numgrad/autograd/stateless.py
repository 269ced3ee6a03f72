"""`functional_call` and `stack_module_state`: modules as functions of their parameters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import setitem
from typing import Any, TypeVar

from numgrad.tensor.joining import stack
from numgrad.tensor.surface import guarded
from numgrad.tensor.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def _of_func(function: F) -> F:
    """The public form of a function of ``numgrad.func``, which explains errors."""
    return guarded(function, function.__name__, "numgrad.func")  # type: ignore[no-any-return]


@_of_func
def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in place of its parameters and buffers; afterwards it has its own again.

    Parameters
    ----------
    module
        A `nn.Module`.
    parameter_and_buffer_dicts
        Tensors by qualified name, or several such dicts.
    args, kwargs
        Arguments of the call; an ``args`` that is not a tuple stands for ``(args,)``.
    tie_weights
        Replace a parameter that the module has under several names under all of them.
    strict
        Require all parameters and buffers.

    Raises
    ------
    ValueError
        The dicts overlap.
    RuntimeError
        A name is unknown or, with ``strict``, missing. The module is unchanged.

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
        repeated = set(tensors) & set(each)
        if repeated:
            raise ValueError(
                f"{sorted(repeated)} appeared in multiple dictionaries; behavior of functional call is ambiguous"
            )
        tensors.update(each)
    entries = _entries(module)
    unknown = sorted(set(tensors) - set(entries))
    missing = sorted(set(entries) - set(tensors)) if strict else []
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
    replacing, restoring = _swaps(entries, tensors, tie_weights)
    try:
        deque(replacing, maxlen=0)
        return module(*args, **kwargs)
    finally:
        deque(restoring, maxlen=0)


def _entries(module: Any) -> dict[str, tuple[dict[str, Any], str]]:
    """For each qualified name the table that has the tensor, and the name in this table."""
    return {
        f"{prefix}.{name}" if prefix else name: (table, name)
        for prefix, part in module.named_modules(remove_duplicate=False)
        for table in (part._parameters, part._buffers)
        for name, tensor in table.items()
        if tensor is not None
    }


def _swaps(
    entries: dict[str, tuple[dict[str, Any], str]], tensors: dict[str, Tensor], tie: bool
) -> tuple[Iterator[None], Iterator[None]]:
    """Two iterators: exhausting the first puts the tensors into the tables, exhausting the second the former ones.

    `deque` does that with a loop in C that calls functions in C, so that Ctrl-C can come only before or after it.
    """
    new = dict(tensors)
    if tie:
        by_id = {id(entries[key][0][entries[key][1]]): tensor for key, tensor in tensors.items()}
        for key, (table, name) in entries.items():
            if id(table[name]) in by_id:
                new.setdefault(key, by_id[id(table[name])])
    tables, names = [entries[key][0] for key in new], [entries[key][1] for key in new]
    former = [table[name] for table, name in zip(tables, names, strict=True)]
    return map(setitem, tables, names, new.values()), map(setitem, tables, names, former)


@_of_func
def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers of several modules of one class, stacked by name, for `vmap` over an ensemble.

    Raises
    ------
    RuntimeError
        There is no model, or the models are of different classes.

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
        stacks = {}
        for name in tables[0]:
            column = [table[name] for table in tables]
            needed = any(tensor.requires_grad for tensor in column)
            stacks[name] = stack([tensor.detach() for tensor in column]).requires_grad_(needed)
        return stacks

    return (
        stacked([dict(model.named_parameters()) for model in models]),
        stacked([dict(model.named_buffers()) for model in models]),
    )
