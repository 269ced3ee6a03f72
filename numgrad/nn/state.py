"""What `Module.state_dict` collects, and `Module.load_state_dict` with its report.

A state is loaded as a whole or not at all: the tree is checked, everything is converted and every target proved to be
writable before the first value is copied.
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from operator import setitem
from typing import TYPE_CHECKING, Any

from numgrad.autograd import is_inference_mode_enabled, no_grad
from numgrad.layout import Size
from numgrad.nn.hooks import MayReplace
from numgrad.nn.parameter import Parameter, UninitializedTensorMixin, is_lazy
from numgrad.tensor import creation, in_place, shaping
from numgrad.tensor.changes import Changes
from numgrad.tensor.loading import loadable, loaded
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import plan_copy

if TYPE_CHECKING:
    from numgrad.nn.module import Module


EXTRA_STATE = "_extra_state"  # the name under which a dict has the extra state of a module


class Stateful:
    """The part of `Module` that says what it has in a ``state_dict`` besides tensors."""

    def get_extra_state(self) -> Any:
        """What `state_dict` has of a module besides its tensors. A subclass that has something defines it."""
        raise RuntimeError("get_extra_state is called of modules that define it: this one does not")

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` gave. A subclass that defines one defines both."""
        raise RuntimeError("set_extra_state is called of modules that define it: this one does not")

    def _defines(self, method: str) -> bool:
        """Whether the class has a method of its own in the place of one of these."""
        return getattr(type(self), method) is not getattr(Stateful, method)


class StateDict(OrderedDict[str, Any]):
    """Tensors by dotted name; ``_metadata`` holds the version of each module's entries, by the module's name."""

    _metadata: OrderedDict[str, dict[str, Any]]


class LoadResult(namedtuple("LoadResult", ("missing_keys", "unexpected_keys"))):
    """The names that `load` could not match: those that the dict lacks, and those that the modules lack."""

    __slots__ = ()
    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def own_entries(module: Module) -> dict[str, Tensor]:
    """A module's own parameters and persistent buffers, without those of its children."""
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
        The beginning of every name.
    keep_vars
        Collect the parameters themselves, not detached tensors that share their memory.
    """
    if destination is None:
        destination = StateDict()
        destination._metadata = OrderedDict()
    local = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = local
    for hook in tuple(module._state_dict_pre_hooks.values()):
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in tuple(module._state_dict_hooks.values()):
        changed = hook(module, destination, prefix, local)
        if changed is None:
            continue
        if not isinstance(hook, MayReplace):
            raise RuntimeError("state_dict post-hook must return None; it may change the state_dict in place")
        destination = changed
    return destination


def save(module: Module, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
    """Put a module's own entries into a dict: parameters, persistent buffers, and its extra state if it defines one."""
    for name, value in own_entries(module).items():
        destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()
    if module._defines("get_extra_state"):
        destination[prefix + EXTRA_STATE] = module.get_extra_state()


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
        Let the modules take the given tensors themselves, with their dtypes, instead of copies.

    Returns
    -------
    LoadResult
        The missing and the unexpected names.

    Raises
    ------
    TypeError
        ``state_dict`` is not a mapping.
    RuntimeError
        Shapes differ, or names do and ``strict``. The message lists all of them; nothing has been changed.

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

    modules: list[tuple[Module, str]] = []  # children before parents

    def check_tree(each: Module, prefix: str, values: dict[str, Any]) -> None:
        local = dict(metadata.get(prefix[:-1], {}))
        for hook in tuple(each._load_state_dict_pre_hooks.values()):
            hook(each, values, prefix, local, strict, missing, unexpected, errors)
        each._load_from_state_dict(values, prefix, local, strict, missing, unexpected, errors)
        for name, child in each._modules.items():
            if child is not None:
                start = f"{prefix}{name}."
                below = {key: value for key, value in values.items() if key.startswith(start)}
                check_tree(child, start, below)
                values.update(below)
        modules.append((each, prefix))

    check_tree(module, "", values)
    entries = [] if errors else _entries(modules, values, assign, errors)
    hooks = [(each, hook) for each, _ in modules for hook in tuple(each._load_state_dict_post_hooks.values())]
    extras = [
        (each, values[prefix + EXTRA_STATE])
        for each, prefix in modules
        if prefix + EXTRA_STATE in values and each._defines("set_extra_state")
    ]
    names_fit = not (strict and (missing or unexpected))
    if errors or not (names_fit or hooks):
        raise _refusal(module, strict, missing, unexpected, errors)
    with no_grad():
        # Only a hook can still make the names fit. Until it has, and until modules have their extra states, keep the old values.
        kept = not assign and (extras or not names_fit)
        before = [mine if is_lazy(mine) else shaping.clone(mine) for _, _, mine, _ in entries] if kept else []
        changes = (_assignment if assign else _copies)(entries)
        changes.make()
        try:
            for each, extra in extras:
                each.set_extra_state(extra)
            for each, hook in hooks:
                if hook(each, LoadResult(missing, unexpected)) is not None:
                    raise RuntimeError(
                        "Hooks registered with register_load_state_dict_post_hook are not expected to return new values; "
                        "change incompatible_keys in place"
                    )
            if strict and (missing or unexpected):
                raise _refusal(module, strict, missing, unexpected, errors)
        except BaseException:
            if assign:
                _restored(entries).make()
            elif kept:
                _copies(
                    [(*entry[:3], old) for entry, old in zip(entries, before, strict=True) if entry[2] is not old]
                ).make()
            raise
    return LoadResult(missing, unexpected)


def _refusal(
    module: Module, strict: bool, missing: list[str], unexpected: list[str], errors: list[str]
) -> RuntimeError:
    """One error that lists everything that does not fit."""
    lines = [
        f"{kind} key(s) in state_dict: {', '.join(quoted)}. "
        for kind, keys in (("Missing", missing), ("Unexpected", unexpected))
        if strict and (quoted := [f'"{key}"' for key in keys])
    ]
    text = "\n\t".join([*lines, *errors])
    return RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{text}")


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
        value = state_dict[key]
        if not loadable(value):
            errors.append(
                f'While copying the parameter named "{key}", expected numgrad.Tensor or Tensor-like object from '
                "checkpoint "
                f"but received {type(value)}"
            )
        elif is_lazy(mine):
            continue  # it will have the value's shape
        elif tuple(value.shape) != tuple(mine.shape) and not (mine.ndim == 0 and tuple(value.shape) == (1,)):
            errors.append(
                f"size mismatch for {key}: copying a param with shape {Size(value.shape)} from checkpoint, the shape "
                f"in current model is {mine.shape}."
            )
    extra = prefix + EXTRA_STATE
    if module._defines("set_extra_state") and extra not in state_dict:
        missing.append(extra)
    if extra in state_dict and not module._defines("set_extra_state"):
        unexpected.append(extra)
    for key in state_dict:
        if not key.startswith(prefix) or key == extra:
            continue
        name, dot, _ = key[len(prefix) :].partition(".")
        # A name with a dot belongs to a child, which reports its own; there may be no such child.
        if name not in (module._modules if dot else entries):
            unexpected.append(key)


Entry = tuple["dict[str, Any]", str, Tensor, Tensor]  # the module's table, the name in it, its tensor, its replacement


def _check_target(mine: Tensor) -> None:
    """Refuse a tensor that the copy could not write to."""
    in_place.check_writable("load_state_dict", mine.detach())
    if mine.is_inference() and not is_inference_mode_enabled():
        raise RuntimeError("Inplace update to inference tensor outside InferenceMode is not allowed; pass assign=True")


def _entries(
    modules: list[tuple[Module, str]], values: Mapping[str, Any], assign: bool, errors: list[str]
) -> list[Entry]:
    """The dict's values for the modules' own entries, as tensors of their shapes; adds to ``errors`` what cannot be converted."""
    entries: list[Entry] = []
    for module, prefix in modules:
        for name, mine in own_entries(module).items():
            key = prefix + name
            if key not in values:
                continue
            if is_lazy(values[key]):  # as lazy as the module's own, or refused before
                continue
            try:
                value = loaded(values[key])
                if (
                    not is_lazy(mine) and value.shape != mine.shape
                ):  # one element in one dimension: torch saved scalars so before 0.4
                    value = value.reshape(())
                if not assign and not is_lazy(mine):
                    _check_target(mine)
            except Exception as error:  # of any class: it becomes one of the reasons in the refusal
                errors.append(
                    f'While copying the parameter named "{key}", whose dimensions in the model are {mine.shape}, an '
                    f"exception occurred: {error}."
                )
                continue
            entries.append((module._parameters if name in module._parameters else module._buffers, name, mine, value))
    return entries


def _copies(entries: list[Entry]) -> Changes:
    """The copies of the new values into the modules' tensors."""
    changes = Changes()
    for _, _, mine, value in entries:
        target = mine
        if isinstance(mine, UninitializedTensorMixin):
            target = creation.empty(tuple(value.shape), dtype=mine.dtype)
            for step in mine.becoming(target):
                changes.call(setattr, *step)
        plan_copy(changes, target, value)
    return changes


def _assignment(entries: list[Entry]) -> Changes:
    """The replacement of the modules' tensors by the new ones."""
    changes = Changes()
    for table, name, mine, value in entries:
        new = value
        if isinstance(mine, Parameter) and not isinstance(value, Parameter):
            new = Parameter(value.detach(), requires_grad=mine.requires_grad)
        elif isinstance(mine, Parameter) and value.requires_grad != mine.requires_grad:
            value.detach().requires_grad_(mine.requires_grad)  # raises if the dtype cannot require gradients
            changes.call(setattr, value, "_requires_grad", mine.requires_grad)
        changes.call(setitem, table, name, new)
    return changes


def _restored(entries: list[Entry]) -> Changes:
    """The return of the tensors that an assignment replaced."""
    changes = Changes()
    for table, name, mine, _ in entries:
        changes.call(setitem, table, name, mine)
    return changes
