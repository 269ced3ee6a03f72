"""The hooks of a module: `Hooked` registers them for `Module`, `call_with_hooks` calls a module between them."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from numgrad.autograd import Function, is_grad_enabled
from numgrad.engine.hooks import RemovableHandle
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


def register(hooks: OrderedDict[int, Any], hook: Any, prepend: bool, with_kwargs: bool) -> RemovableHandle:
    """Add a hook, last or (``prepend``) first."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = (hook, with_kwargs)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a module's forward between its hooks. The tables are copied first, since a hook may remove itself."""
    for hook, with_kwargs in tuple(module._forward_pre_hooks.values()):
        changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if changed is None:
            continue
        if not with_kwargs:
            args = changed if isinstance(changed, tuple) else (changed,)
            continue
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
            )
        args, kwargs = changed
    watch = _Watch(module) if module._backward_hooks or module._backward_pre_hooks else None
    if watch is not None:
        args = watch.inputs(args)
    output = module.forward(*args, **kwargs)
    for hook, with_kwargs in tuple(module._forward_hooks.values()):
        changed = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if changed is None else changed
    return output if watch is None else watch.outputs(output)


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

    def __init__(self, module: Any) -> None:
        self.module = module
        self.before = tuple(module._backward_pre_hooks.values())
        self.after = tuple(module._backward_hooks.values())
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
        for hook, _ in self.before:
            changed = hook(self.module, self.grad_output)
            if changed is not None:
                self.grad_output = _replaced("pre", "grad_output", self.grad_output, changed)
        grad_output = self.grad_output
        if not self.has_inputs:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
                "require gradients.",
                stacklevel=2,
            )
            for hook, _ in self.after:
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
        for hook, _ in self.after:
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


class Hooked:
    """The part of `Module` that registers hooks. Each method returns a handle that removes the hook again."""

    _forward_hooks: OrderedDict[int, Any]
    _forward_pre_hooks: OrderedDict[int, Any]
    _backward_hooks: OrderedDict[int, Any]
    _backward_pre_hooks: OrderedDict[int, Any]
    _state_dict_hooks: OrderedDict[int, Any]
    _state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_post_hooks: OrderedDict[int, Any]

    def _has_hooks(self) -> bool:
        """Whether a call of the module has to run hooks."""
        return bool(self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; what it returns, unless None, replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)`` and returns a pair of both, or None.
        """
        return register(self._forward_pre_hooks, hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward; what it returns, unless None, replaces the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``.
        """
        return register(self._forward_hooks, hook, prepend, with_kwargs)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the backward of each call of the module.

        ``grad_output`` has the gradient of each output, None for an output that is not a tensor. A tuple that the hook
        returns replaces it. The module's output must not be changed in place afterwards.
        """
        return register(self._backward_pre_hooks, hook, prepend, False)

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
        """
        return register(self._backward_hooks, hook, prepend, False)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before this module's entries go into a ``state_dict``."""
        return register(self._state_dict_pre_hooks, hook, False, False)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when this module's tree is in ``state_dict``.

        The hook may change ``state_dict`` in place.
        """
        return register(self._state_dict_hooks, hook, False, False)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``.

        The call comes before the entries of this module are looked up in ``state_dict``, which the hook may change in place.
        """
        return register(self._load_state_dict_pre_hooks, hook, False, False)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after `load_state_dict`, before names that do not fit are an error.

        The hook may take names out of ``incompatible_keys.missing_keys`` and ``unexpected_keys``.
        """
        return register(self._load_state_dict_post_hooks, hook, False, False)


TABLES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
