"""Activation checkpointing: the forward keeps no saved tensors, and the backward computes them again.

While the function runs, each tensor that an op saves is replaced by a ticket. The first ticket that the backward
redeems runs the function once more; the tensors saved by this second run go to the tickets in the same order.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from numgrad.autograd.graph import saved_tensors_hooks
from numgrad.autograd.modes import enable_grad
from numgrad.engine.tape import modes
from numgrad.tensor import random
from numgrad.tensor.tensor import Tensor

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]


class CheckpointError(RuntimeError):
    """The second run of the function saved other tensors than the first."""


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Call ``function(*args, **kwargs)`` without keeping the tensors that its ops save; the backward calls it again.

    The gradients are the same bits as without checkpointing. Second derivatives, several backwards and keyword arguments
    work.

    Parameters
    ----------
    function
        Must do the same when it is called again. Its side effects (running averages of batch norm) happen twice.
    use_reentrant
        Chooses between torch's two implementations; numgrad has one, which can do what either can.
    context_fn
        Returns two context managers, one for the first run and one for the second.
    determinism_check
        'default': compare shapes and dtypes of the saved tensors; 'none': do not.
    debug
        Has no effect: the errors are as detailed without it.
    early_stop
        Leave the second run as soon as all tensors have been saved again.
    preserve_rng_state
        Draw the same random numbers (dropout) in the second run.

    Raises
    ------
    CheckpointError
        In the backward: the second run saved other tensors.
    RuntimeError
        In the backward: an argument has been changed in place.

    >>> import numgrad as ng
    >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
    >>> ng.utils.checkpoint.checkpoint(lambda x: (x * x).exp(), x).sum().backward()
    >>> x.grad
    tensor([  5.4366, 218.3926])
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check is {determinism_check!r}, expected 'default' or 'none'")
    first, second = context_fn() if context_fn is not None else (contextlib.nullcontext(), contextlib.nullcontext())
    run = _Run(function, args, kwargs, second, determinism_check == "default", early_stop, preserve_rng_state)
    with first, saved_tensors_hooks(run.give_ticket, _Ticket.redeem):
        return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Call functions one after the other in a number of segments, all but the last of which are checkpointed.

    ``functions`` is a `nn.Sequential` or a sequence; ``kwargs`` go to `checkpoint`.

    Raises
    ------
    ValueError
        ``segments`` is less than 1 or more than the number of functions.
    """
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= max(len(steps), 1):
        raise ValueError(
            f"checkpoint_sequential: segments is {segments}, expected 1 to {len(steps)}, one function each at most"
        )
    size = len(steps) // segments

    def chain(part: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
        def call(value: Any) -> Any:
            for step in part:
                value = step(value)
            return value

        return call

    end = size * (segments - 1)
    for begin in range(0, end, size):
        input = checkpoint(chain(steps[begin : begin + size]), input, use_reentrant=use_reentrant, **kwargs)
    return chain(steps[end:])(input)


class _Ticket:
    """Stands for one saved tensor until the backward needs it."""

    __slots__ = ("__weakref__", "run", "tensor")

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.tensor: Tensor | None = None

    def redeem(self) -> Tensor:
        """The tensor, from the second run."""
        if self.tensor is None:
            self.run.again()
        tensor = self.tensor
        if tensor is None:
            raise CheckpointError(
                "checkpoint: a different number of tensors was saved during the original forward and the recomputation; the "
                "function must do the same when it is called again"
            )
        if modes.backward is None:
            self.run.forget()
        return tensor


class _Enough(Exception):  # noqa: N818 (no error)
    """The second run has saved as many tensors as the first."""


class _Run:
    """One checkpointed call, with everything that is needed to repeat it."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: Any,
        check: bool,
        early_stop: bool,
        preserve_rng_state: bool,
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.context = context
        self.check = check
        self.early_stop = early_stop
        self.rng_state = random.get_rng_state() if preserve_rng_state else None
        self.tickets: list[weakref.ref[_Ticket]] = []
        self.specs: list[Any] = []
        self.position = 0
        self.tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        self.versions = [tensor._version for tensor in self.tensors]

    def give_ticket(self, tensor: Tensor) -> _Ticket:
        """The pack hook of the first run."""
        ticket = _Ticket(self)
        self.tickets.append(weakref.ref(ticket))
        self.specs.append((tuple(tensor.shape), tensor.dtype))
        return ticket

    def again(self) -> None:
        """Make the second run, which fills the tickets still in use until the end of the backward."""
        for tensor, version in zip(self.tensors, self.versions, strict=True):
            if tensor._version != version:
                raise RuntimeError(
                    f"checkpoint: an argument of shape {list(tensor.shape)} was changed in place after the checkpointed call "
                    f"(it is at version {tensor._version}; expected version {version}), so the call cannot be repeated"
                )
        if modes.backward is not None:
            modes.backward.at_end.append(self.forget)
        self.position = 0
        restore = None if self.rng_state is None else _with_state(self.rng_state)
        try:
            with self.context, enable_grad(), saved_tensors_hooks(self._take, _refuse):
                self.function(*self.args, **self.kwargs)
        except _Enough:
            pass
        finally:
            if restore is not None:
                restore()

    def _take(self, tensor: Tensor) -> None:
        """The pack hook of the second run."""
        number, self.position = self.position, self.position + 1
        if number >= len(self.tickets):
            return
        metadata = tuple(tensor.shape), tensor.dtype
        if self.check and metadata != self.specs[number]:
            raise CheckpointError(
                f"checkpoint: recomputed values have different metadata than during the forward pass: saved tensor {number} had "
                f"{self.specs[number]}, now {metadata}; the function must do the same when it is called again"
            )
        ticket = self.tickets[number]()
        if ticket is not None:
            ticket.tensor = tensor
        if self.early_stop and self.position == len(self.tickets):
            raise _Enough

    def forget(self) -> None:
        """Drop the second run's tensors."""
        for reference in self.tickets:
            ticket = reference()
            if ticket is not None:
                ticket.tensor = None


def _with_state(state: Tensor) -> Callable[[], Any]:
    """Set the default generator's state; a function that sets it back."""
    restore: Callable[[], Any]
    if modes.capture is not None:  # each replay does it again
        restore = functools.partial(random.set_rng_state, random.get_rng_state())
    else:
        words = random.default_generator.words()
        restore = functools.partial(words.__setitem__, ..., words.copy())  # one store, which Ctrl-C cannot prevent
    random.set_rng_state(state)
    return restore


def _refuse(packed: Any) -> Any:
    raise RuntimeError("checkpoint: the graph of a second run is never used")
