"""`Changes`: a step, a load or another set of changes that is made as a whole or not at all.

First everything is planned: ops are checked and their plans looked up, memory is allocated, and errors are raised while
nothing has been changed. Then one call makes all changes. Ctrl-C cannot interrupt it. CPython runs signal handlers, and
raises their exceptions, in the main thread between steps of Python code: at the entry of a Python function, at a jump
backwards and after a call. Here a loop written in C calls functions written in C, so the exception comes before or after the
whole loop. No signal has to be held back, and nothing has to be undone.
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
    """Changes that are planned one after the other and made together by `make`. Nothing is recorded for a backward."""

    __slots__ = ("_calls", "_changed", "_launches", "_moves", "_ops", "_scratch", "_touched")

    def __init__(self) -> None:
        self._launches: list[tuple[int, ...]] = []  # program, addresses
        self._ops: list[tuple[Plan, Op, tuple[Any, ...], Any]] = []  # plan, op, inputs and params of each launch
        self._changed: list[memory.Storage] = []  # the storages that the launches change, by their plans
        self._touched: list[memory.Storage] = []  # and those that the plans do not mention
        self._calls: list[tuple[Any, ...]] = []  # function, arguments
        self._scratch: list[memory.Storage] = []
        self._moves = private.moves

    @property
    def is_stale(self) -> bool:
        """Whether a tensor has got other memory since the planning began, through the planning or in another thread.

        Then everything has to be planned renewed. `make` itself does that for launches planned by `apply`.
        """
        return self._moves != private.moves

    def apply(self, op: Op, inputs: tuple[Any, ...], params: Any) -> None:
        """Plan an op that has no outputs and changes inputs in place; ``params`` are its ``op.Params``.

        Raises
        ------
        Exception
            The errors of applying the op; nothing has been changed.
        """
        self.run(_checked(op, inputs, params), op, inputs, params)

    def apply_to_each(self, op: Op, targets: Iterable[TensorBase], others: tuple[Any, ...], params: Any) -> None:
        """`apply` for each of the targets, with the same other inputs."""
        spec = plan = None
        for target in targets:
            if target._spec is not spec or dispatch.guards:
                plan, spec = _checked(op, (target, *others), params), target._spec
            self.run(plan, op, (target, *others), params)  # type: ignore[arg-type]

    def run(self, plan: Plan, op: Op, inputs: tuple[Any, ...], params: Any) -> None:
        """As `apply`, for a caller that has the op's plan for these inputs."""
        if plan.program is None:  # there are no elements
            return
        addresses = [0 if tensor is None else tensor._address for tensor in inputs]
        for nbytes in plan.allocations:
            self._scratch.append(memory.allocate(nbytes))  # type: ignore[arg-type]
            addresses.append(self._scratch[-1].address)
        self._launches.append((plan.program.address, *addresses))  # type: ignore[union-attr]  # no call of the host changes one
        self._ops.append((plan, op, inputs, params))
        for position in plan.changed:
            self._changed.append(inputs[position]._storage)

    def touch(self, tensors: Iterable[TensorBase | None]) -> None:
        """Declare that a launch changes these tensors, of which it has only the addresses."""
        self._touched += [tensor._storage for tensor in tensors if tensor is not None]

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Plan the call of a function after the launches. It should be written in C, such as `setattr` or ``dict.update``.

        A Python function may be interrupted, and then the calls after it are not made.
        """
        self._calls.append((function, *args))

    def make(self) -> None:
        """Make all changes: the launches, then the calls, each in the order in which they were planned.

        While a profile, a `vmap` or a dual level sees all ops, the ops pass through it one by one. Then an interrupt may leave
        only a part of the changes.

        Raises
        ------
        KernelError
            In the debug mode: a kernel indexed an array out of its bounds.
        """
        launches, storages = self._launches, self._changed + self._touched
        if chain.wrappers:
            for _, op, inputs, params in self._ops:
                chain.dispatch(op, inputs, params)
            launches, storages = [], self._touched
        elif self._moves != private.moves:
            renewed = Changes()
            for _, op, inputs, params in self._ops:
                renewed.apply(op, inputs, params)
            self._ops, self._scratch, launches = renewed._ops, renewed._scratch, renewed._launches
            storages = renewed._changed + self._touched
        if not threads.ready:
            for plan, _, _, _ in self._ops:
                program.make_ready(plan.program)  # type: ignore[arg-type]
        results = list(
            itertools.chain(
                starmap(program.executor(), launches),
                map(versions.counter(), (storages,)),
                starmap(call, self._calls),
            )
        )
        if launches and (program.observers or dispatch.recorders or any(results[: len(launches)])):
            for planned_op, launch, status in zip(self._ops, launches, results, strict=False):
                self._report(planned_op, launch, status)

    def _report(self, planned_op: tuple[Plan, Op, tuple[Any, ...], Any], launch: tuple[int, ...], status: int) -> None:
        """Report a launch to observers and recorders."""
        plan, op, inputs, params = planned_op
        program.report(plan.program, launch[1:], status)  # type: ignore[arg-type]
        for recorder in dispatch.recorders:
            recorder.applied(op, inputs, [inputs[position] for position in plan.changed], plan, params)


def planned(op: Op, specs: tuple[Spec | None, ...], params: Any) -> Plan:
    """The op's plan for inputs of these specs."""
    plan: Plan | None = op.plans.get((params, *specs))
    return op.make_plan(specs, params) if plan is None else plan


def _checked(op: Op, inputs: tuple[Any, ...], params: Any) -> Plan:
    """The plan for these inputs, after the guards' checks."""
    try:
        plan = planned(op, tuple([None if tensor is None else tensor._spec for tensor in inputs]), params)
    except PrivateOperandError as operand:
        private.expose(inputs[operand.position])
        return _checked(op, inputs, params)
    for guard in dispatch.guards:
        guard(op, inputs, plan, None)
    return plan
