"""`Optimizer`: parameter groups with their options, and a state for each parameter."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from numgrad.autograd import enable_grad, no_grad
from numgrad.dtypes import float32
from numgrad.tensor import arguments, creation, shaping
from numgrad.tensor.changes import Changes
from numgrad.tensor.loading import loadable, loaded
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import clear_gradients

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class Optimizer:
    """Base class of the optimizers. A subclass defines `update`, which changes one group's parameters, or `plan`, which
    describes the changes. A planned step is taken as a whole or not at all, even after an error or Ctrl-C.

    Parameters
    ----------
    params
        Tensors, ``(name, tensor)`` pairs, or dicts: groups with their own options, their tensors under 'params'.
    defaults
        The options of a group that does not set them itself.

    Attributes
    ----------
    param_groups
        The groups: dicts with 'params' and every option. Options may be changed between steps.
    state
        The state of each parameter, such as its momentum.

    Raises
    ------
    TypeError
        ``params`` is one tensor, holds something that is not a tensor, or is a set, which has no order.
    ValueError
        There is no parameter, one is not a leaf, one is in two groups, or an option is invalid.

    >>> import numgrad as ng
    >>> class SignDescent(ng.optim.Optimizer):
    ...     def update(self, group, params, grads):
    ...         for parameter, grad in zip(params, grads):
    ...             parameter.sub_(grad.sign(), alpha=group["lr"])
    >>> x = ng.tensor([1.0, -1.0], requires_grad=True)
    >>> optimizer = SignDescent([x], {"lr": 0.5})
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.5000, -0.5000], requires_grad=True)
    """

    _moments: tuple[str, ...] = ()  # names of the states that have the parameter's shape

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"numgrad.{params.dtype.torch_name}Tensor"
            )
        if not isinstance(defaults, dict):
            raise TypeError(f"Optimizer: defaults is of type {type(defaults).__name__}, expected a dict of options")
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._step_count = 0  # read by schedulers: was a step taken?
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, such as layers that were frozen before; missing options get their defaults.

        Raises
        ------
        TypeError, ValueError
            As for the class; nothing has been added.

        >>> import numgrad as ng
        >>> optimizer = ng.optim.SGD([ng.ones(2, requires_grad=True)], lr=0.1)
        >>> optimizer.add_param_group({"params": [ng.ones(3, requires_grad=True)], "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in "
                "sets will change between runs. Please use a list instead."
            )
        group["params"], names = _without_names(list(params))
        if names:
            group["param_names"] = names
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(parameter).__name__}"
                )
            if not (parameter.is_leaf or parameter.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        if len({id(parameter) for parameter in group["params"]}) != len(group["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each would be updated more than "
                "once in a step",
                UserWarning,
                stacklevel=3,
            )
        earlier = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        if any(id(parameter) in earlier for parameter in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in self.param_groups[0]) != bool(names):
            raise ValueError("all optimizer param groups should be with/without names. Name all or none.")
        self.check_options(group)
        self.param_groups.append(group)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse invalid options; subclasses define it.

        Raises
        ------
        ValueError
            An option is invalid.
        """

    # ---- a step -------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, in all groups; after an error no parameter has been changed.

        ``closure``, if given, is called first to compute the loss and its gradients again; its result is returned.

        Raises
        ------
        RuntimeError
            A gradient or a state does not have its parameter's shape and dtype, or a parameter's memory is not dense.

        >>> import numgrad as ng
        >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = ng.optim.SGD([x], lr=0.5)
        >>> x.sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([0.5000, 1.5000], requires_grad=True)
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            changes = self._planned()
            while changes.is_stale:  # the plan holds addresses that have changed
                changes = self._planned()
            changes.make()
        return loss

    def _planned(self) -> Changes:
        changes = Changes()
        for group in self.param_groups:
            params = [parameter for parameter in group["params"] if parameter._grad is not None]
            if params:
                self.plan(changes, group, params, [parameter._grad for parameter in params])
        changes.call(setattr, self, "_step_count", self._step_count + 1)
        return changes

    def plan(self, changes: Changes, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        """Add one step of ``params``, the group's parameters that have gradients, and of their states to ``changes``.

        Nothing may be changed here. The method of the base class adds a call of `update`.
        """
        changes.call(self.update, group, params, grads)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        """Change ``params``; a subclass defines this or `plan`. Nothing is recorded."""
        raise NotImplementedError

    def _keep(self, changes: Changes, parameter: Tensor, values: dict[str, Any]) -> None:
        """Add the update of a parameter's state to ``changes``."""
        if parameter in self.state:
            changes.call(self.state[parameter].update, values)
        else:
            changes.call(self.state.__setitem__, parameter, values)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or, with ``set_to_none=False``, fill them with zeros.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> x.sum().backward()
        >>> ng.optim.SGD([x]).zero_grad()
        >>> x.grad is None
        True
        """
        clear_gradients([parameter for group in self.param_groups for parameter in group["params"]], set_to_none)

    # ---- state --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The options and the state, with parameters replaced by their numbers, in torch's form.

        The tensors are the optimizer's own, not copies.

        >>> import numgrad as ng
        >>> optimizer = ng.optim.SGD([ng.ones(2, requires_grad=True)], lr=0.1)
        >>> saved = optimizer.state_dict()
        >>> saved["state"], saved["param_groups"][0]["params"]
        ({}, [0])
        """
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers.setdefault(id(parameter), len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            groups.append({**packed, "params": [numbers[id(parameter)] for parameter in group["params"]]})
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load options and state from a `state_dict`, so that training resumes with the same bits.

        Tensors and NumPy arrays are copied, all but 'step' with the dtype and layout of their parameter. A 'step' that is a
        number becomes a tensor. After an error nothing has been changed.

        Raises
        ------
        ValueError
            The groups, or their numbers of parameters, differ.
        RuntimeError
            The shape of a running mean differs from its parameter's.
        TypeError
            A value is not a tensor, or is an array of something other than real numbers.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> one, two = ng.optim.SGD([x], lr=0.1), ng.optim.SGD([x], lr=0.2)
        >>> two.load_state_dict(one.state_dict())
        >>> two.param_groups[0]["lr"]
        0.1
        """
        saved_groups = state_dict["param_groups"]
        if len(saved_groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, saved_groups, strict=True))
        if any(len(mine["params"]) != len(saved["params"]) for mine, saved in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        by_number = {
            number: parameter
            for mine, saved in pairs
            for number, parameter in zip(saved["params"], mine["params"], strict=True)
        }
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        if not isinstance(state_dict["state"], Mapping):
            raise TypeError(f"loaded state dict: 'state' is {type(state_dict['state']).__name__}, expected a dict")
        for number, values in state_dict["state"].items():
            if number not in by_number:
                state[number] = values
                continue
            parameter = by_number[number]
            self._check_state(number, values, parameter)
            state[parameter] = {name: _loaded(name, value, parameter) for name, value in values.items()}
        groups = []
        for mine, saved in pairs:
            options = {name: copy.deepcopy(value) for name, value in saved.items() if name != "params"}
            groups.append({**options, "params": mine["params"]})
        for group, (mine, _) in zip(groups, pairs, strict=True):
            for name in (*self.defaults, "param_names"):
                if name in mine and name not in group:
                    group[name] = mine[name]
            self._complete(group)
        self.state, self.param_groups = state, groups  # two stores, between which nothing can interrupt

    def _complete(self, group: dict[str, Any]) -> None:
        """Complete a group that is being loaded from a saved state; for subclasses."""

    def _check_state(self, number: Any, values: Any, parameter: Tensor) -> None:
        """Refuse a saved state with which a later step would fail or compute something else."""
        where = f"loaded state dict: the state of parameter {number}"
        if not isinstance(values, Mapping):
            raise TypeError(f"{where} is {type(values).__name__}, expected a dict")
        for name, value in values.items():
            if name == "step" and not (
                isinstance(value, (int, float)) or (loadable(value) and np.prod(value.shape) == 1)
            ):
                raise TypeError(f"{where} has {type(value).__name__} as 'step', expected a number or a tensor of one")
            if name not in self._moments or value is None:
                continue
            if not loadable(value):
                raise TypeError(f"{where} has {type(value).__name__} as '{name}', expected a tensor")
            if tuple(value.shape) != tuple(parameter.shape):
                raise RuntimeError(
                    f"{where} has shape {list(value.shape)} as '{name}', expected the parameter's, {list(parameter.shape)}"
                )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_plan"}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def check_execution(foreach: Any, fused: Any, differentiable: Any) -> None:
    """Check torch's options that choose an implementation; numgrad has one, which gives the same results.

    Raises
    ------
    NotImplementedError
        ``differentiable`` is True.
    RuntimeError
        Both ``foreach`` and ``fused`` are True.
    """
    if differentiable:
        raise NotImplementedError("optimizer: differentiable=True is not implemented; leave it False")
    if foreach and fused:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def _without_names(params: list[Any]) -> tuple[list[Any], list[str]]:
    """Tensors and names of ``(name, tensor)`` pairs; for plain tensors, the tensors and no names."""
    named = [isinstance(each, tuple) for each in params]
    if not any(named):
        return params, []
    if not all(named):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return [tensor for _, tensor in params], [name for name, _ in params]


def _loaded(name: str, value: Any, parameter: Tensor) -> Any:
    """A saved value for this parameter's state; floating-point tensors get its dtype and, with its shape, its layout.

    A number of steps becomes a float32 tensor: old checkpoints hold a Python number.
    """
    if name == "step" and isinstance(value, (int, float)):
        return creation.tensor(float(value), dtype=float32)
    if isinstance(value, Mapping):
        return {key: _loaded(key, each, parameter) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_loaded("", each, parameter) for each in value)
    if not loadable(value):
        return copy.deepcopy(value)
    tensor = loaded(value)
    with no_grad():
        if name == "step":
            return shaping.clone(tensor)
        if not parameter.is_floating_point():
            return shaping.clone(tensor)
        if tensor.shape == parameter.shape:
            return creation.zeros_like(parameter).copy_(tensor)
        return shaping.clone(tensor) if tensor.dtype is parameter.dtype else arguments.cast(tensor, parameter.dtype)
