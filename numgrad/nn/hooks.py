"""The hooks of modules: `Hooked` registers them for `Module`, `call_with_hooks` calls a module between them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from numgrad.autograd import Function, is_grad_enabled
from numgrad.engine.hooks import RemovableHandle, add_hook
from numgrad.engine.tape import modes
from numgrad.errors import warn
from numgrad.nn import global_hooks
from numgrad.nn.global_hooks import (
    _global_backward_hooks,
    _global_backward_pre_hooks,
    _global_forward_hooks,
    _global_forward_hooks_always_called,
    _global_forward_hooks_with_kwargs,
    _global_forward_pre_hooks,
    check_kind,
)
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

_CALLED = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_GLOBAL = (_global_forward_pre_hooks, _global_forward_hooks, _global_backward_pre_hooks, _global_backward_hooks)

# ---- a call -----------------------------------------------------------------------------------------------------


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a module's forward between its hooks. The tables are copied first, since a hook may remove itself."""
    if modes.capture is not None:
        for table in (*map(module.__dict__.get, _CALLED), *_GLOBAL):
            for hook in table.values():
                modes.capture.hook(hook)
    return _Call(module, args, kwargs).run()


class _Call:
    """One call of a module with hooks."""

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module, self.args, self.kwargs = module, args, kwargs
        self.output: Any = None
        self.called: set[int] = set()

    def run(self) -> Any:
        """The output, after all hooks; where something raises, hooks that are always called are called before it goes on."""
        try:
            return self._run()
        except Exception:
            always = {*_global_forward_hooks_always_called, *self.module._forward_hooks_always_called}
            for number, hook in self._after():
                if number in always - self.called:
                    self._called_after_an_error(number, hook)
            raise

    def _run(self) -> Any:
        module = self.module
        for number, hook in (*_global_forward_pre_hooks.items(), *module._forward_pre_hooks.items()):
            self._call_before(hook, number in module._forward_pre_hooks_with_kwargs)
        watch, partial_hooks = None, []
        if module._backward_hooks or module._backward_pre_hooks or _global_backward_hooks or _global_backward_pre_hooks:
            full, partial_hooks = module._get_backward_hooks()
            before = module._get_backward_pre_hooks()
            watch = _Watch(module, before, full) if full or before else None
        if watch is not None:
            self.args = watch.inputs(self.args)
        self.output = module.forward(*self.args, **self.kwargs)
        for number, hook in self._after():
            self._call_after(number, hook)
        if watch is not None:
            if not isinstance(self.output, (Tensor, tuple)):
                warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                    f"{type(self.output)}"
                )
            self.output = watch.outputs(self.output)
        if partial_hooks:
            _hook_last_node(module, partial_hooks, self.args, self.output)
        return self.output

    def _after(self) -> tuple[tuple[int, Any], ...]:
        return (*_global_forward_hooks.items(), *self.module._forward_hooks.items())

    def _call_before(self, hook: Callable[..., Any], with_kwargs: bool) -> None:
        changed = hook(self.module, self.args, self.kwargs) if with_kwargs else hook(self.module, self.args)
        if changed is None:
            return
        if not with_kwargs:
            self.args = changed if isinstance(changed, tuple) else (changed,)
        elif isinstance(changed, tuple) and len(changed) == 2:
            self.args, self.kwargs = changed
        else:
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
            )

    def _call_after(self, number: int, hook: Callable[..., Any]) -> None:
        self.called.add(number)
        with_kwargs = number in self.module._forward_hooks_with_kwargs or number in _global_forward_hooks_with_kwargs
        between = (self.kwargs,) if with_kwargs else ()
        changed = hook(self.module, self.args, *between, self.output)
        self.output = self.output if changed is None else changed

    def _called_after_an_error(self, number: int, hook: Callable[..., Any]) -> None:
        try:
            self._call_after(number, hook)
        except Exception as error:  # the first error goes on
            kind = "global module" if number in _global_forward_hooks else "module"
            warn(
                f"{kind} forward hook with ``always_call=True`` raised an exception that was silenced as another error was "
                f"raised in forward: {error}"
            )


def _hook_last_node(module: Any, hooks: list[Any], args: Any, output: Any) -> None:
    """Hooks of the older kind see the gradients of the node that gave the output, whatever that is; warns if that is not all."""
    first = output
    while not isinstance(first, Tensor):
        first = next(v for v in first.values() if isinstance(v, Tensor)) if isinstance(first, dict) else first[0]
    node = first.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(partial(hook, module))
    missing = _what_is_missing(args, output, node)
    if missing:
        warn(missing, FutureWarning)


def _what_is_missing(args: Any, output: Any, node: Any) -> str:
    """torch's words for the gradients that a hook of the older kind does not see; empty for none."""
    better = "Please use register_full_backward_hook to get the documented behavior."
    for values, way, name in ((output, "return", "grad_output"), (args, "take as input", "grad_input")):
        if not isinstance(values, Tensor) and not (
            isinstance(values, tuple) and all(isinstance(value, Tensor) for value in values)
        ):
            return (
                f"Using non-full backward hooks on a Module that does not {way} a single Tensor or a tuple of Tensors is "
                f"deprecated and will be removed in future versions. This hook will be missing some of the {name}. {better}"
            )
    results = (output,) if isinstance(output, Tensor) else output
    nodes = {result.grad_fn for result in results if result.grad_fn is not None}
    if len(nodes) > 1:
        return (
            "Using a non-full backward hook when outputs are generated by different autograd Nodes is deprecated and will be "
            f"removed in future versions. This hook will be missing some grad_output. {better}"
        )
    before = {value.grad_fn for value in args if value.grad_fn is not None}
    if before != {each for each, _ in node.next_functions}:
        return (
            "Using a non-full backward hook when the forward contains multiple autograd Nodes is deprecated and will be "
            f"removed in future versions. This hook will be missing some grad_input. {better}"
        )
    return ""


# ---- hooks of the backward --------------------------------------------------------------------------------------


class _Seam(Function):
    """The identity, as one node through which all gradients of a module's inputs, or of its outputs, pass at once."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Any:
        ctx.mark_non_differentiable(*[tensor for tensor in tensors if not tensor.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads


class _Watch:
    """One call of a module with backward hooks; a seam before and a seam after it see the gradients."""

    def __init__(self, module: Any, before: list[Any], after: list[Any]) -> None:
        self.module, self.before, self.after = module, before, after
        self.has_inputs, self.count = False, 0  # whether an argument needs a gradient, and how many there are
        self.grad_output: tuple[Any, ...] | None = None

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments behind a seam."""
        args, positions, node = _behind_seam(args)
        self.count = len(args)
        if node is not None:
            self.has_inputs, specs = True, _specs(args)
            node.register_hook(lambda grads, _: self._at_inputs(grads, positions, specs))
        return args

    def outputs(self, output: Any) -> Any:
        """The outputs, a tensor or a tuple, behind a seam."""
        results, positions, node = _behind_seam(output if isinstance(output, tuple) else (output,))
        if node is not None:
            specs = _specs(results)
            node.register_prehook(lambda grads: self._at_outputs(grads, positions, specs))
        return results if isinstance(output, tuple) else results[0]

    def _at_outputs(self, grads: Any, positions: list[int], specs: list[Any]) -> Any:
        self.grad_output = _spread(grads, positions, specs)
        for hook in self.before:
            changed = hook(self.module, self.grad_output)
            if changed is not None:
                self.grad_output = _replaced("pre", "grad_output", self.grad_output, changed)
        grad_output = self.grad_output
        if not self.has_inputs:
            warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
                "require gradients.",
            )
            for hook in self.after:
                changed = hook(self.module, (None,) * self.count, grad_output)
                if changed is not None and not (isinstance(changed, tuple) and all(each is None for each in changed)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
            self.grad_output = None
        outgoing = _spread([grad_output[position] for position in positions], positions, specs, zeros=True)
        return tuple(None if grads[n] is None else outgoing[position] for n, position in enumerate(positions))

    def _at_inputs(self, grads: Any, positions: list[int], specs: list[Any]) -> Any:
        if self.grad_output is None:
            return None  # a second derivative, which does not come through the outputs
        grad_input = _spread(grads, positions, specs, zeros=True)
        for hook in self.after:
            changed = hook(self.module, grad_input, self.grad_output)
            if changed is not None:
                grad_input = _replaced("", "grad_input", grad_input, changed)
        self.grad_output = None
        return tuple(None if grads[n] is None else grad_input[position] for n, position in enumerate(positions))


def _specs(values: tuple[Any, ...]) -> list[Any]:
    """The spec of each value, None for what is not a tensor. The hooks keep these, so that the tensors themselves can go."""
    return [value._spec if isinstance(value, Tensor) else None for value in values]


def _behind_seam(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[int], Any]:
    """The values with their tensors passed through a seam, the tensors' positions, and the seam's node.

    The node is None if no gradient is needed.
    """
    positions = [position for position, value in enumerate(values) if isinstance(value, Tensor)]
    if not (is_grad_enabled() and any(values[position].requires_grad for position in positions)):
        return values, positions, None
    seamed = list(values)
    for position, tensor in zip(positions, _Seam.apply(*[values[position] for position in positions]), strict=True):
        seamed[position] = tensor
    node = next(value.grad_fn for value in seamed if isinstance(value, Tensor) and value.grad_fn is not None)
    return tuple(seamed), positions, node


def _spread(grads: Any, positions: list[int], specs: list[Any], zeros: bool = False) -> tuple[Any, ...]:
    """Gradients at the positions of their tensors, None elsewhere; ``zeros``: zeros for a tensor without a gradient."""
    spread: list[Any] = [None] * len(specs)
    for position, grad in zip(positions, grads, strict=True):
        missing = grad is None and zeros
        spread[position] = creation.zeros(specs[position].shape, dtype=specs[position].dtype) if missing else grad
    return tuple(spread)


def _replaced(kind: str, name: str, old: tuple[Any, ...], new: Any) -> tuple[Any, ...]:
    if not isinstance(new, (tuple, list)):
        raise RuntimeError(
            f"Backward {kind}hook returned {type(new).__name__}, but expected None or a tuple of {len(old)} {name}"
        )
    if len(new) != len(old):
        raise RuntimeError(
            f"Backward {kind}hook returned an invalid number of {name}, got {len(new)}, but expected {len(old)}"
        )
    return tuple(new)


class WithoutModule:
    """A hook of a load that does not take the module, as one that does."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, module: Any, *args: Any) -> Any:
        return self.hook(*args)


class MayReplace:
    """A hook of a ``state_dict`` whose result takes its place."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, *args: Any) -> Any:
        return self.hook(*args)


class Hooked:
    """The part of `Module` that registers hooks. Each method returns a handle that removes the hook again."""

    _forward_hooks: OrderedDict[int, Any]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: OrderedDict[int, Any]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _is_full_backward_hook: bool | None
    _backward_hooks: OrderedDict[int, Any]
    _backward_pre_hooks: OrderedDict[int, Any]
    _state_dict_hooks: OrderedDict[int, Any]
    _state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_post_hooks: OrderedDict[int, Any]

    def _has_hooks(self) -> bool:
        """Whether a call of the module has to run hooks."""
        return bool(
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or _global_forward_hooks
            or _global_forward_pre_hooks
            or _global_backward_hooks
            or _global_backward_pre_hooks
        )

    def _get_backward_hooks(self) -> tuple[list[Any], list[Any]]:
        """The hooks of a backward of either kind, those of all modules first: full ones, and those of the last node."""
        tables = (
            (global_hooks._global_is_full_backward_hook, _global_backward_hooks),
            (self._is_full_backward_hook, self._backward_hooks),
        )
        full, last_node = (
            [hook for is_full, table in tables if is_full is kind for hook in table.values()] for kind in (True, False)
        )
        return full, last_node

    def _get_backward_pre_hooks(self) -> list[Any]:
        return [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; what it returns, unless None, replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)`` and returns a pair of both, or None.
        """
        flags = [self._forward_pre_hooks_with_kwargs] * bool(with_kwargs)
        return add_hook(self._forward_pre_hooks, hook, prepend, *flags)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward; what it returns, unless None, replaces the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``. With ``always_call`` it is called, too, when the
        forward or another hook raises, with the output so far or None.
        """
        flags = [self._forward_hooks_with_kwargs] * bool(with_kwargs) + [self._forward_hooks_always_called] * bool(
            always_call
        )
        return add_hook(self._forward_hooks, hook, prepend, *flags)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the backward of each call of the module.

        ``grad_output`` has the gradient of each output, None for an output that is not a tensor. A tuple that the hook
        returns replaces it. The module's output must not be changed in place afterwards.
        """
        return add_hook(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of a module's inputs are known.

        ``grad_input`` has the gradient of each positional argument, None for an argument that is not a tensor or
        requires no gradient. A tuple that the hook returns replaces it. Inputs and output must not be changed in place.

        >>> import numgrad as ng
        >>> from numgrad import nn
        >>> model = nn.Tanh()
        >>> handle = model.register_full_backward_hook(lambda module, grad_input, grad_output: print(grad_output))
        >>> model(ng.zeros(2, requires_grad=True)).sum().backward()
        (tensor([1., 1.]),)

        Raises
        ------
        RuntimeError
            The module has a `register_backward_hook`.
        """
        check_kind(self._is_full_backward_hook is False, "on a single Module")
        self._is_full_backward_hook = True
        return add_hook(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` with the gradients of the last node of the module's forward.

        `register_full_backward_hook` is the better one: if the forward has several nodes, ``grad_input`` has not the gradients
        of the module's inputs, of which there is a warning. A tuple that the hook returns replaces ``grad_input``.

        Raises
        ------
        RuntimeError
            The module has a full backward hook.
        """
        check_kind(self._is_full_backward_hook is True, "on a single Module")
        self._is_full_backward_hook = False
        return add_hook(self._backward_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before this module's entries go into a ``state_dict``."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when this module's tree is in ``state_dict``.

        The hook may change ``state_dict`` in place.
        """
        return add_hook(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`register_state_dict_post_hook`, but that what the hook returns, unless None, takes the place of the dict."""
        return add_hook(self._state_dict_hooks, MayReplace(hook))

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """`register_load_state_dict_pre_hook`, but that the hook does not get the module."""
        return add_hook(self._load_state_dict_pre_hooks, hook if with_module else WithoutModule(hook))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``.

        The call comes before the entries of this module are looked up in ``state_dict``, which the hook may change in place.
        """
        return add_hook(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after `load_state_dict`, before names that do not fit are an error.

        The hook may take names out of ``incompatible_keys.missing_keys`` and ``unexpected_keys``.
        """
        return add_hook(self._load_state_dict_post_hooks, hook)


TABLES = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
