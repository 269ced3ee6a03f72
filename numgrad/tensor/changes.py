"""`Changes`: a step, a load or another set of changes that is made as a whole or not at all.

Everything is planned first: ops are proved and looked up, memory is made, and what is refused is refused while nothing has
been changed. Then one call makes all changes. Ctrl-C cannot cut it: CPython handles signals, and raises what their handlers
raise, in the main thread, between steps of Python code (at the entry of a Python function, at a jump backwards and after a
call); here a loop that is written in C calls functions that are written in C. So the signal is not held back by anybody, and
nothing has to be undone: it comes before the loop or after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from itertools import starmap
from operator import call
from typing import Any

from numgrad.engine import dispatch, private
from numgrad.engine.tape import TensorBase
from numgrad.layout import Spec
from numgrad.registry import Op, chain
from numgrad.runtime import memory, program, threads, versions
from numgrad.runtime.plan import Plan, PrivateOperandError


class Changes:
    """Changes that are planned one after the other, and made at once by `make`. Nothing is recorded for a backward."""

    __slots__ = ("_calls", "_changed", "_launches", "_moves", "_scratch", "_told", "_touched")

    def __init__(self) -> None:
        self._launches: list[tuple[int, ...]] = []  # program, addresses
        self._told: list[tuple[Plan, Op, tuple[Any, ...], Any]] = []  # for each launch, what it is
        self._changed: list[memory.Storage] = []  # what the launches change, as their plans say
        self._touched: list[memory.Storage] = []  # and what they do not say
        self._calls: list[tuple[Any, ...]] = []  # function, arguments
        self._scratch: list[memory.Storage] = []
        self._moves = private.moves

    @property
    def is_stale(self) -> bool:
        """Whether a tensor was laid over other memory since this was begun, by what was planned or by another thread; then
        all has to be planned again. `make` does that by itself for what was planned by `apply`.
        """
        return self._moves != private.moves

    def apply(self, op: Op, inputs: tuple[Any, ...], params: Any) -> None:
        """Plan an op that makes nothing and changes inputs in place; ``params`` are its ``op.Params``.

        Raises
        ------
        Exception
            What applying the op raises; nothing has been changed.
        """
        self.run(_proved(op, inputs, params), op, inputs, params)

    def apply_to_each(self, op: Op, targets: Iterable[TensorBase], others: tuple[Any, ...], params: Any) -> None:
        """`apply` for each of the targets, with the same other inputs."""
        spec = plan = None
        for target in targets:
            if target._spec is not spec or dispatch.guards:
                plan, spec = _proved(op, (target, *others), params), target._spec
            self.run(plan, op, (target, *others), params)  # type: ignore[arg-type]

    def run(self, plan: Plan, op: Op, inputs: tuple[Any, ...], params: Any) -> None:
        """As `apply`, for who has the op's plan for these inputs."""
        if plan.program is None:  # there are no elements
            return
        addresses = [0 if tensor is None else tensor._address for tensor in inputs]
        for nbytes in plan.made:
            self._scratch.append(memory.allocate(nbytes))  # type: ignore[arg-type]
            addresses.append(self._scratch[-1].address)
        self._launches.append((plan.program.address, *addresses))
        self._told.append((plan, op, inputs, params))
        for position in plan.changed:
            self._changed.append(inputs[position]._storage)

    def touch(self, tensors: Iterable[TensorBase | None]) -> None:
        """Say that a launch, which has only their addresses, changes these tensors."""
        self._touched += [tensor._storage for tensor in tensors if tensor is not None]

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function after the launches: one that is written in C, such as `setattr` or ``dict.update``.

        One in Python is called as well, but it may be interrupted, and the calls after it are not made then.
        """
        self._calls.append((function, *args))

    def make(self) -> None:
        """Make all changes: the launches, then the calls, each in the order in which they were planned.

        While a profile, a `vmap` or a dual level sees all ops, these go through it one by one; what an interrupt leaves then
        is a part of them.

        Raises
        ------
        KernelError
            In the debug mode: a kernel indexed an array out of its bounds.
        """
        launches, storages = self._launches, self._changed + self._touched
        if chain.wrappers:
            for _, op, inputs, params in self._told:
                chain.dispatch(op, inputs, params)
            launches, storages = [], self._touched
        elif self._moves != private.moves:
            again = Changes()
            for _, op, inputs, params in self._told:
                again.apply(op, inputs, params)
            self._told, self._scratch, launches = again._told, again._scratch, again._launches
            storages = again._changed + self._touched
        if not threads.ready:
            for plan, _, _, _ in self._told:
                program.make_ready(plan.program)  # type: ignore[arg-type]
        results = list(
            itertools.chain(
                starmap(program.executor(), launches),
                map(versions.counter(), (storages,)),
                starmap(call, self._calls),
            )
        )
        if launches and (program.observers or dispatch.recorders or any(results[: len(launches)])):
            for told, launch, status in zip(self._told, launches, results, strict=False):
                self._tell(told, launch, status)

    def _tell(self, told: tuple[Plan, Op, tuple[Any, ...], Any], launch: tuple[int, ...], status: int) -> None:
        """Tell of a launch that was made."""
        plan, op, inputs, _ = told
        program.report(plan.program, launch[1:], status)  # type: ignore[arg-type]
        for recorder in dispatch.recorders:
            recorder.applied(op, inputs, [inputs[position] for position in plan.changed])


def planned(op: Op, specs: tuple[Spec | None, ...], params: Any) -> Plan:
    """The op's plan for inputs of these specs."""
    plan: Plan | None = op.plans.get((params, *specs))
    return op.make_plan(specs, params) if plan is None else plan


def _proved(op: Op, inputs: tuple[Any, ...], params: Any) -> Plan:
    """The plan for these inputs, if nobody refuses it."""
    try:
        plan = planned(op, tuple([None if tensor is None else tensor._spec for tensor in inputs]), params)
    except PrivateOperandError as operand:
        private.expose(inputs[operand.position])
        return _proved(op, inputs, params)
    for guard in dispatch.guards:
        guard(op, inputs, plan, None)
    return plan
