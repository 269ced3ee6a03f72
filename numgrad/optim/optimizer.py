"""`Optimizer`: parameter groups with their options, and a state for each parameter."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from numgrad.autograd import enable_grad, no_grad
from numgrad.engine.tape import modes
from numgrad.optim.hooks import TABLES, HookedOptimizer, after_every_step, before_every_step
from numgrad.optim.hooks import register_optimizer_step_post_hook as register_optimizer_step_post_hook
from numgrad.optim.hooks import register_optimizer_step_pre_hook as register_optimizer_step_pre_hook
from numgrad.optim.states import check_state, loaded_state
from numgrad.runtime import kernel
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import clear_gradients

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class _RequiredParameter:
    """The type of `required`."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()  # as a default: each group has to set the option


def hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A ``step`` between its optimizer's hooks and those of all optimizers, which counts its calls."""

    @functools.wraps(step)
    def with_hooks(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        everything: Any = (self, *args)
        if modes.capture is not None:
            modes.capture.steps_with(self, (before_every_step, after_every_step))
        if before_every_step or self._optimizer_step_pre_hooks:
            for hook in (*before_every_step.values(), *self._optimizer_step_pre_hooks.values()):
                changed = hook(self, everything, kwargs)
                if changed is None:
                    continue
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                everything, kwargs = changed
        count = self._step_count
        result = step(*everything, **kwargs)
        if self._step_count == count:
            self._step_count = count + 1
        if after_every_step or self._optimizer_step_post_hooks:
            for hook in (*self._optimizer_step_post_hooks.values(), *after_every_step.values()):
                hook(self, everything, kwargs)
        return result

    with_hooks.hooked = True  # type: ignore[attr-defined]
    return with_hooks


class Optimizer(HookedOptimizer):
    """Base class of the optimizers. A subclass defines `update`, which changes one group's parameters, or `plan`, which
    describes the changes. A planned step is taken as a whole or not at all, even after an error or Ctrl-C. A subclass that is
    written for torch may define `step` itself.

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
    _counts: tuple[str, ...] = ("step",)  # names of those that are one number
    _step_count = 0  # read by schedulers: was a step taken?
    _replay_options: frozenset[str] = frozenset()  # see `compile.visible`
    _replay_switches: frozenset[str] = frozenset()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        step = cls.__dict__.get("step")
        if step is not None and not hasattr(step, "hooked"):
            cls.step = hooked(step)  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"numgrad.{params.dtype.torch_name}Tensor"
            )
        if not isinstance(defaults, dict):
            raise TypeError(f"Optimizer: defaults is of type {type(defaults).__name__}, expected a dict of options")
        self.defaults = defaults
        self._make_tables()
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)
        if type(self).__module__.startswith("numgrad."):
            dtypes = {parameter.dtype: None for group in self.param_groups for parameter in group["params"]}
            options = tuple(defaults.items())
            facts = {"optimizer": type(self).__name__, "options": options, "dtypes": tuple(dtypes)}
            kernel.foreseen("numgrad.optim.foreseen:step", **facts)

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
            if value is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
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
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if names else 'without'} names to the optimizer"
            )
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

    @hooked
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
        for hook in tuple(self._optimizer_state_dict_pre_hooks.values()):
            hook(self)
        numbers: dict[int, int] = {}
        groups, start = [], 0
        for group in self.param_groups:
            for number, parameter in enumerate(group["params"], start):
                numbers.setdefault(id(parameter), number)
            start += len(group["params"])
            packed = {name: value for name, value in group.items() if name != "params"}
            groups.append({**packed, "params": [numbers[id(parameter)] for parameter in group["params"]]})
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        saved = {"state": state, "param_groups": groups}
        for hook in tuple(self._optimizer_state_dict_post_hooks.values()):
            changed = hook(self, saved)
            saved = saved if changed is None else changed
        return saved

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
        state_dict = dict(state_dict)
        for hook in tuple(self._optimizer_load_state_dict_pre_hooks.values()):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
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
            check_state(number, values, parameter, self._moments, self._counts)
            state[parameter] = {
                name: loaded_state(name, value, parameter, self._counts) for name, value in values.items()
            }
        groups = []
        for mine, saved in pairs:
            options = {name: copy.deepcopy(value) for name, value in saved.items() if name != "params"}
            groups.append({**options, "params": mine["params"]})
        for group, (mine, _) in zip(groups, pairs, strict=True):
            for name in (*self.defaults, "param_names"):
                if name in mine and name not in group:
                    group[name] = mine[name]
            self._complete(group)
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in tuple(self._optimizer_load_state_dict_post_hooks.values()):
            hook(self)

    def _complete(self, group: dict[str, Any]) -> None:
        """Complete a group that is being loaded from a saved state; for subclasses."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in TABLES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take attributes from a copy, or the state and the groups from a `state_dict`; at once, so nothing can interrupt."""
        tables: dict[str, Any] = {name: OrderedDict() for name in TABLES if name not in self.__dict__}
        self.__dict__.update({**tables, **state})

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def check_execution(foreach: Any = None, fused: Any = None, differentiable: Any = False) -> None:
    """Check torch's options that choose an implementation; numgrad has one, which gives the same results.

    Raises
    ------
    NotImplementedError
        ``differentiable`` is True.
    RuntimeError
        Both ``foreach`` and ``fused`` are True.
    """
    if differentiable and fused:
        raise RuntimeError("`fused` does not support `differentiable`")
    if differentiable:
        raise NotImplementedError(
            "optimizer: differentiable=True is not implemented; leave it False, or write the step in ops of your own"
        )
    if foreach and fused:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_lr(lr: Any) -> None:
    """Refuse a learning rate that is a tensor of several numbers.

    Raises
    ------
    ValueError
        It is one.
    """
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")


def check_numbers(options: Mapping[str, Any], texts: Mapping[str, str], prefix: str = "Invalid {}: {}") -> None:
    """Refuse options that are negative or NaN; ``texts`` has what each is called in the message.

    Raises
    ------
    ValueError
        One is negative or NaN, or the learning rate is a tensor of several numbers.
    """
    check_lr(options["lr"])
    for name, text in texts.items():
        if not options[name] >= 0.0:
            raise ValueError(prefix.format(text, options[name]))


def _without_names(params: list[Any]) -> tuple[list[Any], list[str]]:
    """Tensors and names of ``(name, tensor)`` pairs; for plain tensors, the tensors and no names."""
    named = [isinstance(each, tuple) for each in params]
    if not any(named):
        return params, []
    if not all(named):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return [tensor for _, tensor in params], [name for name, _ in params]
