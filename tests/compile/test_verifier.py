"""The verifier of programs: a program that is broken in any of these ways is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import numgrad as ng
from numgrad.compile import arena, verifier
from numgrad.compile.passes.memory import lives_of
from numgrad.compile.steps import Again, Applied, Block
from numgrad.errors import KernelError


class Program:
    """What the verifier is given, of a step that doubles twice, calls the host in between, and updates a parameter."""

    def __init__(self) -> None:
        weight = ng.ones(16, requires_grad=True)
        optimizer = ng.optim.SGD([weight], lr=0.5)
        note = ng.jit.host(lambda loss: None)

        @ng.jit
        def step(x: ng.Tensor) -> ng.Tensor:
            optimizer.zero_grad()
            loss = ((x * weight).exp() * weight).sum()
            note(loss.detach())
            loss.backward()
            optimizer.step()
            note(loss.detach())
            return loss.detach()

        for _ in range(2):
            step(ng.ones(16))
        recorded = step.programs()[0].recorded
        self.captured, self.kept = recorded.steps, recorded.kept
        self.steps: list[Any] = [
            step if isinstance(step, Again) else copy.copy(step) for step in recorded.steps
        ]  # each may be broken
        lives = lives_of(self.steps, self.kept)
        layout = arena.lay_out(list(lives.values()))
        self.spots: dict[Block, Any] = {b: ("arena", o) for b, o in zip(lives, layout.offsets, strict=True)}
        self.regions: dict[Any, int] = {"arena": layout.nbytes}
        self.lives = lives

    def verify(self) -> None:
        verifier.verify(self.captured, self.steps, self.kept, self.spots, self.regions)

    def number(self, name: str) -> int:
        return next(k for k, s in enumerate(self.steps) if isinstance(s, Applied) and s.op.name == name)

    def step(self, name: str) -> Any:
        return self.steps[self.number(name)]


def drop(name: str) -> Callable[[Program], None]:
    return lambda p: p.steps.pop(p.number(name))


def swap(p: Program) -> None:
    first, second = p.number("exp"), p.number("mul")
    p.steps[first], p.steps[second] = p.steps[second], p.steps[first]


def twice(p: Program) -> None:
    p.steps.insert(1, p.steps[0])


def at_one_place(p: Program) -> None:
    one, two = p.step("mul").makes[0], p.step("exp").makes[0]
    p.spots[two] = p.spots[one]


def on_a_kept_one(p: Program) -> None:
    kept = next(block for block in p.spots if block in p.kept)
    p.spots[p.step("exp_backward").makes[0]] = p.spots[kept]


def outside(p: Program) -> None:
    p.spots[p.step("exp").makes[0]] = ("arena", p.regions["arena"] - 32)


def nowhere(p: Program) -> None:
    del p.spots[p.step("exp").makes[0]]


def shifted(p: Program) -> None:
    exp = p.step("exp")
    exp.places = [(exp.places[0][0], 4), *exp.places[1:]]


def other_dtype(p: Program) -> None:
    exp = p.step("exp")
    (spec,) = exp.specs[0]
    exp.specs = ([ng.empty(tuple(spec.shape), dtype=ng.int32)._spec], exp.specs[1])


def not_given(p: Program) -> None:
    exp = p.step("exp")
    exp.places = [None, *exp.places[1:]]


def fewer_operands(p: Program) -> None:
    exp = p.step("exp")
    exp.places = exp.places[:1]


def smaller(p: Program) -> None:
    p.step("exp").makes[0].nbytes = 32


def no_host(p: Program) -> None:
    p.steps.pop(p.number("host_callback"))


def hosts_swapped(p: Program) -> None:
    first = p.number("host_callback")
    last = next(k for k in reversed(range(len(p.steps))) if getattr(p.steps[k], "op", None) is p.steps[first].op)
    p.steps[first], p.steps[last] = p.steps[last], p.steps[first]


def no_options(p: Program) -> None:
    p.steps[:] = [step for step in p.steps if not isinstance(step, Again)]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (drop("mul"), "reads a block of 64 bytes .* before it is written"),
        (swap, "before it is written"),
        (twice, "makes .* again"),
        (at_one_place, "live at the same time"),
        (on_a_kept_one, "live at the same time"),
        (outside, "memory plan: a block lies at"),
        (nowhere, "has no memory"),
        (shifted, "touches bytes 4 to 68 of a block of 64 bytes"),
        (other_dtype, "takes operand 0, Spec.int32.* for f4"),
        (not_given, "uses operand 0, which it is not given"),
        (fewer_operands, "has 1 operands, expected 2"),
        (smaller, "touches bytes 0 to 64 of .* which has 32"),
        (drop("sgd"), "outlives the step, and is not written"),
        (no_host, "what runs in Python"),
        (hosts_swapped, "what runs in Python"),
        (no_options, "what runs in Python"),
    ],
)
def test_a_broken_program_is_refused(broken: Callable[[Program], Any], message: str) -> None:
    program = Program()
    program.verify()
    broken(program)
    with pytest.raises(KernelError, match=message):
        program.verify()
