"""`FormulaOptimizer`: optimizers whose step is a formula for each element, in one launch for all parameters of a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter, is_
from typing import Any, ClassVar

from numgrad.dtypes import float32, float64
from numgrad.engine.tape import modes
from numgrad.ops.update import Update
from numgrad.optim.optimizer import Optimizer
from numgrad.optim.states import count_dtype
from numgrad.tensor import creation
from numgrad.tensor.changes import Changes
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import filled_like, plan_update

_PAIRS = {
    "betas": ("beta1", "beta2"),
    "etas": ("etaminus", "etaplus"),
    "step_sizes": ("step_size_min", "step_size_max"),
}
_FLAGS = {"nesterov", "maximize", "decoupled_weight_decay"}  # of which a truth is taken
_COUNTED = {float32, float64}

Columns = dict[str, list[Tensor]]


class FormulaOptimizer(Optimizer):
    """Base class of the optimizers whose formulas stand in `ops.update`. The names of the options and of the states there
    are those of the groups and of the saved states.
    """

    _op: ClassVar[Update]
    # What states begin with that do not begin with 0: a number, or the name of an option.
    _beginnings: ClassVar[Mapping[str, float | str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        rule = cls._op.rule
        cls._moments, cls._counts = rule.states, rule.counts
        pairs = {name for name, both in _PAIRS.items() if both[0] in rule.options}
        cls._replay_switches = frozenset(rule.switches)
        cls._replay_options = frozenset({*rule.options, *pairs}) - cls._replay_switches

    def plan(self, changes: Changes, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        on, states, counts = self._columns(changes, group, params)
        renewed = None if modes.capture is None else _Renewed(self, group)
        options = self._options(group) if renewed is None else modes.capture.aside(renewed)
        turns = _turns(params)
        for positions in turns:
            some = [params, grads, *states.values(), *counts.values()]
            if len(turns) > 1:
                some = [[column[position] for position in positions] for column in some]
            columns = dict(zip(states, some[2:], strict=False))
            tallies = dict(zip(counts, some[2 + len(states) :], strict=True))
            before = {name: list(column) for name, column in columns.items()} if len(turns) > 1 else {}
            moved = plan_update(changes, self._op, some[0], some[1], columns, tallies, options, on, renewed)
            for name, index in moved:
                self._keep(changes, some[0][index], {name: columns[name][index]})
                if before:  # a later turn goes on from there
                    old, new = before[name][index], columns[name][index]
                    states[name] = [new if each is old else each for each in states[name]]

    def _options(self, group: dict[str, Any]) -> list[float]:
        """The numbers of a group, in the rule's order."""
        values = dict(group)
        for name, (one, two) in _PAIRS.items():
            if name in values:
                values[one], values[two] = values[name]
        try:
            return [float(bool(values[k]) if k in _FLAGS else values[k]) for k in self._op.rule.options]
        except ValueError as error:  # a text
            raise TypeError(f"{type(self).__name__}: an option is not a number: {error}") from None

    def _columns(
        self, changes: Changes, group: dict[str, Any], params: list[Tensor]
    ) -> tuple[tuple[str, ...], Columns, Columns]:
        """The switches that are on, and for each state and each count that are there then, the tensors of the parameters."""
        rule = self._op.rule
        on = tuple([switch for switch in rule.switches if group[switch]])
        held: list[Any] = [self.state.get(parameter) for parameter in params]
        if not all(held):
            begun: dict[Tensor, Any] = {}  # a parameter that is listed twice has one state
            for index, parameter in enumerate(params):
                if not held[index]:
                    if parameter not in begun:
                        begun[parameter] = self._begun(parameter, group, on)
                        self._keep(changes, parameter, begun[parameter])
                    held[index] = begun[parameter]
        states = {name: [state[name] for state in held] for name in rule.present(rule.states, on)}
        counts = {name: [state[name] for state in held] for name in rule.present(rule.counts, on)}
        for name, column in counts.items():
            try:
                kinds = set(map(_dtype_of, column))
            except AttributeError:
                raise RuntimeError(f"{type(self).__name__}: '{name}' of a parameter's state is not a tensor") from None
            if not kinds <= _COUNTED:
                counts[name] = self._counted(changes, name, params, column)
        return on, states, counts

    def _begun(self, parameter: Tensor, group: dict[str, Any], on: Sequence[str]) -> dict[str, Tensor]:
        """A parameter's first state."""
        rule, state = self._op.rule, {}
        for name in (*rule.present(rule.counts, on), *rule.present(rule.states, on)):
            value = self._beginnings.get(name, 0.0)
            number = float(group[value]) if isinstance(value, str) else value
            if name in rule.counts:
                state[name] = creation.tensor(number, dtype=count_dtype())
            else:
                state[name] = filled_like(parameter, number)
        return state

    def _counted(self, changes: Changes, name: str, params: list[Tensor], column: list[Tensor]) -> list[Tensor]:
        """Counts of other dtypes, as integers in a checkpoint, replaced by such that a formula counts with."""
        changed = {
            parameter: creation.tensor(float(count.item()), dtype=count_dtype())
            for parameter, count in zip(params, column, strict=True)
            if count.dtype not in _COUNTED
        }
        for parameter, count in changed.items():
            self._keep(changes, parameter, {name: count})
        return [changed.get(parameter, count) for parameter, count in zip(params, column, strict=True)]


class _Renewed:
    """The numbers of a group, or None while each option is what it was at the last call."""

    def __init__(self, optimizer: FormulaOptimizer, group: dict[str, Any]) -> None:
        self.optimizer, self.group = optimizer, group
        self.before: tuple[Any, ...] = ()

    def __call__(self) -> list[float] | None:
        values = tuple(self.group.values())
        if len(values) == len(self.before) and all(map(is_, values, self.before)):
            return None
        tensors = any(
            isinstance(each, Tensor) for value in values for each in (value if type(value) is tuple else [value])
        )
        self.before = () if tensors else values  # a tensor may be another number the next time
        return self.optimizer._options(self.group)


_dtype_of = attrgetter("_spec.dtype")


def _turns(params: list[Tensor]) -> list[Sequence[int]]:
    """The positions of the parameters in turns, so that no turn has the same memory twice: a launch writes it once.

    A parameter that is listed twice takes two steps, the second from the result of the first, as in torch.
    """
    addresses = [parameter._address for parameter in params]
    if len(set(addresses)) == len(addresses):
        return [range(len(addresses))]
    turns: list[list[int]] = []
    seen: Counter[int] = Counter()
    for position, address in enumerate(addresses):
        turn = seen[address]
        seen[address] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(position)
    return turns  # type: ignore[return-value]
