"""A few hundred interrupts at random points; `interrupts` delivers as many as one likes, and says what it looks at."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import numgrad as ng
from numgrad.autograd.modes import _GradMode
from numgrad.engine import dispatch
from numgrad.engine.tape import modes
from numgrad.runtime import locks
from numgrad.runtime.scope import Scope
from tests.engine import interrupts
from tests.engine.interruptible import SCENARIOS, Scenario, Subject, unsettled

pytestmark = [
    pytest.mark.filterwarnings("ignore:Anomaly Detection"),
    # An interrupt between the return of `open` and the first step of `with` drops the file, and CPython closes it with this
    # warning. No Python code can be free of that; that nothing stays open is looked at by `interrupts`.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_is_interrupted_is_whole(name: str) -> None:
    delivered = interrupts.run(2 if name == "compile" else 14, 0, [name])
    assert delivered["by plan"] + delivered["by signal"] in (2, 14)


def _first_broken(trial: interrupts.Trial) -> str:
    """What is found wrong first, of the points in their order."""
    for number in range(trial.points()):
        try:
            trial.by_plan(number)
        except interrupts.Broken as broken:
            return str(broken)
    return "nothing"


@contextlib.contextmanager
def _by_a_generator() -> Iterator[None]:
    before, modes.grad_enabled = modes.grad_enabled, False
    try:
        yield
    finally:
        modes.grad_enabled = before


class _InPython:
    def __enter__(self) -> None:
        modes.grad_enabled = False

    def __exit__(self, *exception: object) -> None:
        modes.grad_enabled = True


def _entered(context: Callable[[], Any]) -> Callable[[], Subject]:
    def act() -> None:
        with context():
            pass

    return lambda: Subject(act, lambda: [])


@pytest.mark.parametrize("context", [_by_a_generator, _InPython])
def test_a_context_that_ends_in_python_is_found(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_PACKAGE", __file__)
    monkeypatch.setitem(SCENARIOS, "planted", Scenario(_entered(context), again=False))
    try:
        assert "grad mode" in _first_broken(interrupts.Trial("planted"))
    finally:
        modes.grad_enabled = True


def test_a_step_in_pieces_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Subject:
        x, y = ng.ones(1), ng.ones(1)
        return Subject(lambda: (x.add_(1), y.add_(1)), lambda: [x.item(), y.item()])

    monkeypatch.setitem(SCENARIOS, "planted", Scenario(make))
    assert "some of the state is as before" in _first_broken(interrupts.Trial("planted"))


def test_a_file_left_open_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def act() -> None:
        kept.append(open(__file__, "rb"))  # noqa: SIM115 (what is to be found)
        ng.ones(1)
        kept.pop().close()

    monkeypatch.setitem(SCENARIOS, "planted", Scenario(lambda: Subject(act, lambda: []), again=False))
    try:
        assert "left open: " in (broken := _first_broken(interrupts.Trial("planted")))
        assert __file__ in broken
    finally:
        for each in kept:
            each.close()


class _Setting(Scope):
    value = 0

    def __enter__(self) -> None:
        self._undo = ((self, "value", self.value), self._undo)
        self.value = self.value + 1


def test_a_scope_may_be_entered_inside_of_itself() -> None:
    scope = _Setting()
    with scope:
        with scope:
            assert scope.value == 2
        assert scope.value == 1
    assert scope.value == 0
    scope.__exit__(None, None, None)  # not entered: nothing to restore
    assert scope.value == 0


def test_a_scope_lets_exceptions_go_on_and_raises_what_its_last_call_raises() -> None:
    class Failing(_Setting):
        def __enter__(self) -> None:
            super().__enter__()
            self._undo = (self._undo[0], (), self.fail)

        def fail(self) -> None:
            raise ArithmeticError(self.value)

    with pytest.raises(KeyError), _Setting():
        raise KeyError
    with pytest.raises(ArithmeticError, match="0"), Failing():
        pass


def test_a_scope_drops_all_references() -> None:
    class Held:
        pass

    import weakref

    held = Held()
    reference, scope = weakref.ref(held), _Setting()
    with scope:
        scope._undo = (scope._undo[0], (), lambda: None, held)
        del held
        assert reference() is not None
    assert reference() is None


def test_a_switch_is_on_while_a_token_lives() -> None:
    seen: list[str] = []
    switch = locks.Switch(lambda: seen.append("on"), lambda: seen.append("off"))
    one, two = switch.token(), switch.token()
    del one
    switch.settle()
    assert seen == ["on"]
    del two
    switch.settle()
    switch.settle()
    assert seen == ["on", "off"]


def _contexts_for_ever(delay: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, delay)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with ng.no_grad(), ng.enable_grad(), ng.inference_mode(), _GradMode(False):
            pass


def test_ctrl_c_between_contexts_leaves_none_open() -> None:
    def handle(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for turn in range(50):
            with pytest.raises(KeyboardInterrupt):
                _contexts_for_ever(1e-3 + turn * 1e-6)
            assert unsettled() == []
    finally:
        signal.signal(signal.SIGALRM, before)
    with ng.inference_mode():
        pass
    assert dispatch.recorders == []
