"""What `Module.state_dict` collects, and `Module.load_state_dict` with its report.

Loading goes twice over the tree: the first pass only checks, so that an error leaves every module as it was.
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.autograd import no_grad
from numgrad.layout import Size
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

if TYPE_CHECKING:
    from numgrad.nn.module import Module


class StateDict(OrderedDict[str, Any]):
    """Tensors by dotted name; ``_metadata`` holds, by the name of each module, the version of its entries."""

    _metadata: OrderedDict[str, dict[str, Any]]


class LoadResult(namedtuple("LoadResult", ("missing_keys", "unexpected_keys"))):
    """What `load` did not use: names that the modules have and the dict lacks, and the other way round."""

    __slots__ = ()
    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def own_entries(module: Module) -> dict[str, Tensor]:
    """A module's own parameters and persistent buffers, those of its children left out."""
    entries: dict[str, Any] = {**module._parameters, **module._buffers}
    kept = {name: value for name, value in entries.items() if name not in module._non_persistent_buffers_set}
    return {name: value for name, value in kept.items() if value is not None}


def collect(module: Module, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """All parameters and persistent buffers of a tree by their dotted names.

    Parameters
    ----------
    module
        The root of the tree.
    destination
        A dict to add to; None: a new one.
    prefix
        What stands before every name.
    keep_vars
        Give the parameters themselves, not detached tensors over their memory.
    """
    if destination is None:
        destination = StateDict()
        destination._metadata = OrderedDict()
    local = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = local
    for hook, _ in tuple(module._state_dict_pre_hooks.values()):
        hook(module, prefix, keep_vars)
    for name, value in own_entries(module).items():
        destination[prefix + name] = value if keep_vars else value.detach()
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook, _ in tuple(module._state_dict_hooks.values()):
        if hook(module, destination, prefix, local) is not None:
            raise RuntimeError("state_dict post-hook must return None; it may change the state_dict in place")
    return destination


def load(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> LoadResult:
    """Copy the values of a `collect` into the parameters and buffers of a tree; dtypes are converted.

    Parameters
    ----------
    module
        The root of the tree.
    state_dict
        Tensors or NumPy arrays by name.
    strict
        Refuse names that are missing or not expected.
    assign
        Let the modules take the given tensors themselves, in their dtype, in place of copies.

    Returns
    -------
    LoadResult
        The missing and the unexpected names.

    Raises
    ------
    TypeError
        ``state_dict`` is no mapping.
    RuntimeError
        Shapes differ, or (``strict``) names do; the message lists all of them, and nothing has been changed.

    >>> from numgrad import nn
    >>> nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3).state_dict())
    <All keys matched successfully>
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    metadata = getattr(state_dict, "_metadata", None) or {}
    values = dict(state_dict)  # modules may add to it, to read an older version
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []

    def check_tree(each: Module, prefix: str, values: dict[str, Any]) -> None:
        local = dict(metadata.get(prefix[:-1], {}))
        for hook, _ in tuple(each._load_state_dict_pre_hooks.values()):
            hook(each, values, prefix, local, strict, missing, unexpected, errors)
        each._load_from_state_dict(values, prefix, local, strict, missing, unexpected, errors)
        for name, child in each._modules.items():
            if child is not None:
                start = f"{prefix}{name}."
                below = {key: value for key, value in values.items() if key.startswith(start)}
                check_tree(child, start, below)
                values.update(below)
        for hook, _ in tuple(each._load_state_dict_post_hooks.values()):
            if hook(each, LoadResult(missing, unexpected)) is not None:
                raise RuntimeError(
                    "Hooks registered with register_load_state_dict_post_hook are not expected to return new values; change "
                    "incompatible_keys in place"
                )

    check_tree(module, "", values)
    if strict:
        if unexpected:
            errors.insert(
                0, "Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{key}"' for key in unexpected))
            )
        if missing:
            errors.insert(0, "Missing key(s) in state_dict: {}. ".format(", ".join(f'"{key}"' for key in missing)))
    if errors:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(errors))
    for prefix, each in module.named_modules(remove_duplicate=False):
        _take(each, values, f"{prefix}." if prefix else "", assign)
    return LoadResult(missing, unexpected)


def check(
    module: Module,
    state_dict: Mapping[str, Any],
    prefix: str,
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
) -> None:
    """Compare a module's own entries with those of the dict, and note what does not fit."""
    entries = own_entries(module)
    for name, mine in entries.items():
        key = prefix + name
        if key not in state_dict:
            missing.append(key)
            continue
        given = state_dict[key]
        if not isinstance(given, (Tensor, np.ndarray, np.generic)):
            errors.append(
                f'While copying the parameter named "{key}", expected numgrad.Tensor or Tensor-like object from '
                "checkpoint "
                f"but received {type(given)}"
            )
        elif tuple(given.shape) != tuple(mine.shape) and not (mine.ndim == 0 and tuple(given.shape) == (1,)):
            errors.append(
                f"size mismatch for {key}: copying a param with shape {Size(given.shape)} from checkpoint, the shape "
                f"in current model is {mine.shape}."
            )
    for key in state_dict:
        if not key.startswith(prefix):
            continue
        name, dot, _ = key[len(prefix) :].partition(".")
        # A dotted rest belongs to a child that reports its own; but not if there is no such child.
        if name not in (module._modules if dot else entries):
            unexpected.append(key)


def _take(module: Module, values: Mapping[str, Any], prefix: str, assign: bool) -> None:
    """Copy, or assign, what the dict has of a module's own entries."""
    with no_grad():
        for name, mine in own_entries(module).items():
            if prefix + name not in values:
                continue
            given = creation.as_tensor(values[prefix + name])
            if given.shape != mine.shape:  # one element in one dimension: how scalars were kept before torch 0.4
                given = given.reshape(())
            if not assign:
                mine.copy_(given)
            elif name in module._parameters:
                module._parameters[name] = Parameter(given.detach(), requires_grad=mine.requires_grad)
            else:
                module._buffers[name] = given
