"""Schedulers: torch's rates to the last bit, torch's words, resuming."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.nn.twins import Library, ours, outcome, theirs
from tests.recorded import plain


def _optimizer(lib: Library, name: str = "SGD", **options: Any) -> Any:
    options = {"lr": 0.3, **({"momentum": 0.9} if name == "SGD" else {}), **options}
    groups = [{"params": [lib.nn.Parameter(lib.t.ones(1))]}, {"params": [lib.nn.Parameter(lib.t.ones(1))], "lr": 0.7}]
    return getattr(lib.optim, name)(groups, **options)


SCHEDULERS: dict[str, Any] = {
    "step": lambda lib, o: lib.schedulers.StepLR(o, 3, 0.3),
    "milestones": lambda lib, o: lib.schedulers.MultiStepLR(o, [2, 5, 5, 9], 0.7),
    "exponential": lambda lib, o: lib.schedulers.ExponentialLR(o, 0.9),
    "cosine": lambda lib, o: lib.schedulers.CosineAnnealingLR(o, 4, 0.01),
    "linear": lambda lib, o: lib.schedulers.LinearLR(o, 0.2, 0.9, 6),
    "lambda": lambda lib, o: lib.schedulers.LambdaLR(o, lambda epoch: 0.8**epoch),
    "lambdas": lambda lib, o: lib.schedulers.LambdaLR(o, [lambda epoch: 0.8**epoch, lambda epoch: 1 / (epoch + 1)]),
    "multiplicative": lambda lib, o: lib.schedulers.MultiplicativeLR(o, lambda epoch: 0.9 + 0.01 * epoch),
    "multiplicatives": lambda lib, o: lib.schedulers.MultiplicativeLR(o, [lambda epoch: 0.9, lambda epoch: 0.8]),
    "constant": lambda lib, o: lib.schedulers.ConstantLR(o, 0.3, 4),
    "polynomial": lambda lib, o: lib.schedulers.PolynomialLR(o, 12, 0.9),
    "restarts": lambda lib, o: lib.schedulers.CosineAnnealingWarmRestarts(o, 3, eta_min=0.05),
    "restarts, longer": lambda lib, o: lib.schedulers.CosineAnnealingWarmRestarts(o, 2, 2),
    "triangles": lambda lib, o: lib.schedulers.CyclicLR(o, [0.1, 0.2], 0.9, 3, 4),
    "triangles, half": lambda lib, o: lib.schedulers.CyclicLR(o, 0.1, [0.9, 0.5], 3, mode="triangular2"),
    "triangles, lower": lambda lib, o: lib.schedulers.CyclicLR(o, 0.1, 0.9, 3, mode="exp_range", gamma=0.9),
    "triangles, own": lambda lib, o: lib.schedulers.CyclicLR(
        o, 0.1, 0.9, 2, scale_fn=lambda x: 1 / (x + 1), scale_mode="iterations", base_momentum=[0.7, 0.6]
    ),
    "triangles, no momentum": lambda lib, o: lib.schedulers.CyclicLR(o, 0.1, 0.9, 3, cycle_momentum=False),
    "averaging": lambda lib, o: lib.averages.SWALR(o, [0.05, 0.1], 4),
    "averaging, linear": lambda lib, o: lib.averages.SWALR(o, 0.05, 5, "linear"),
    "averaging, at once": lambda lib, o: lib.averages.SWALR(o, 0.05, 0),
    "one after the other": lambda lib, o: lib.schedulers.SequentialLR(
        o,
        [
            lib.schedulers.LinearLR(o, 0.1, 1.0, 4),
            lib.schedulers.ConstantLR(o, 0.5, 2),
            lib.schedulers.CosineAnnealingLR(o, 8),
        ],
        [4, 8],
    ),
    "one at once": lambda lib, o: lib.schedulers.SequentialLR(
        o, [lib.schedulers.StepLR(o, 2), lib.schedulers.ExponentialLR(o, 0.9)], [0]
    ),
    "nested": lambda lib, o: lib.schedulers.SequentialLR(
        o,
        [
            lib.schedulers.SequentialLR(
                o, [lib.schedulers.ConstantLR(o, 0.5, 2), lib.schedulers.ExponentialLR(o, 0.8)], [2]
            ),
            lib.schedulers.StepLR(o, 2, 0.5),
        ],
        [6],
    ),
    "together": lambda lib, o: lib.schedulers.ChainedScheduler(
        [
            lib.schedulers.ExponentialLR(o, 0.9),
            lib.schedulers.LinearLR(o, 0.2, 1.0, 5),
            lib.schedulers.StepLR(o, 3, 0.5),
        ]
    ),
    "one cycle": lambda lib, o: lib.schedulers.OneCycleLR(o, [1.0, 2.0], total_steps=20),
    "one cycle, linear": lambda lib, o: lib.schedulers.OneCycleLR(
        o, 1.0, epochs=4, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.4
    ),
    "one cycle, three phases": lambda lib, o: lib.schedulers.OneCycleLR(
        o, 1.0, total_steps=20, three_phase=True, cycle_momentum=False, div_factor=10.0, final_div_factor=5.0
    ),
}


def _rates(lib: Library, make: Any, name: str, steps: int) -> list[Any]:
    optimizer = _optimizer(lib, name)
    scheduler = make(lib, optimizer)
    seen = []
    for _ in range(steps):
        seen.append(
            [(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups] + [scheduler.get_last_lr()]
        )
        optimizer.step()
        scheduler.step()
    return seen


CYCLING = [name for name in SCHEDULERS if "cycle" in name or "triangles" in name]


@pytest.mark.parametrize(
    ("name", "optimizer"), [(name, "SGD") for name in SCHEDULERS] + [(name, "Adam") for name in CYCLING]
)
@pytest.mark.filterwarnings("ignore:Detected call")  # of nested ones, also in torch
def test_rates_are_torchs(name: str, optimizer: str, torch_says: Any) -> None:
    wanted = torch_says(lambda torch: _rates(theirs(torch), SCHEDULERS[name], optimizer, 20))
    assert plain(_rates(ours(), SCHEDULERS[name], optimizer, 20)) == wanted


def _state(lib: Library, make: Any) -> Any:
    """What a scheduler saves after some steps, without what JSON has not."""
    optimizer = _optimizer(lib)
    scheduler = make(lib, optimizer)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    state = scheduler.state_dict()
    return {name: dict(value) if type(value).__name__ == "Counter" else value for name, value in state.items()}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.filterwarnings("ignore:Detected call")  # of nested ones, also in torch
def test_saved_states_are_torchs(name: str, torch_says: Any) -> None:
    wanted = torch_says(lambda torch: dict(sorted(_state(theirs(torch), SCHEDULERS[name]).items())))
    assert plain(dict(sorted(_state(ours(), SCHEDULERS[name]).items()))) == wanted


def _at_epochs(lib: Library, make: Any) -> list[Any]:
    optimizer = _optimizer(lib)
    scheduler = make(lib, optimizer)
    optimizer.step()
    rates = []
    for epoch in (3, 1, 7, 20):
        scheduler.step(epoch)
        rates.append(scheduler.get_last_lr())
    return rates


CLOSED = [n for n in SCHEDULERS if not n.startswith(("one", "nested", "together", "averaging"))]


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_rates_at_an_epoch_are_torchs(name: str, torch_says: Any) -> None:
    assert plain(_at_epochs(ours(), SCHEDULERS[name])) == torch_says(
        lambda torch: _at_epochs(theirs(torch), SCHEDULERS[name])
    )


def test_parts_of_epochs(torch_says: Any) -> None:
    def rates(lib: Library) -> list[Any]:
        optimizer = _optimizer(lib)
        scheduler = lib.schedulers.CosineAnnealingWarmRestarts(optimizer, 2, 3)
        seen = []
        for step in range(40):
            optimizer.step()
            scheduler.step(step / 4)
            seen.append(scheduler.get_last_lr())
        return seen

    assert plain(rates(ours())) == torch_says(lambda torch: rates(theirs(torch)))


PLATEAUS: dict[str, dict[str, Any]] = {
    "plain": {"patience": 1},
    "max": {"mode": "max", "patience": 2, "factor": 0.3},
    "absolute": {"threshold_mode": "abs", "threshold": 0.2, "patience": 1, "cooldown": 2},
    "max, absolute": {"mode": "max", "threshold_mode": "abs", "threshold": 0.2, "patience": 0},
    "limits": {"patience": 0, "min_lr": [0.1, 0.2], "factor": 0.2},
    "tiny": {"patience": 0, "eps": 0.2},
}


def _plateau(lib: Library, name: str) -> list[Any]:
    metrics = [3, 2, 2.5, 2.1, 1.95, 1.9, 1.9, 1.9, float("nan"), 1.0, 1.0, 1.5, 1.5, 1.5, 0.5, 1, 1, 1]
    scheduler = lib.schedulers.ReduceLROnPlateau(_optimizer(lib), **PLATEAUS[name])
    seen = []
    for metric in metrics:
        scheduler.step(lib.t.tensor(metric))
        seen.append((scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.cooldown_counter))
    return seen


@pytest.mark.parametrize("name", PLATEAUS)
def test_plateau_is_torchs(name: str, torch_says: Any) -> None:
    assert plain(_plateau(ours(), name)) == torch_says(lambda torch: _plateau(theirs(torch), name))


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.filterwarnings("ignore:Detected call")  # of nested ones, also in torch
def test_resuming_gives_the_same_rates(name: str) -> None:
    lib = ours()
    wanted = _rates(lib, SCHEDULERS[name], "SGD", 12)
    first = _optimizer(lib)
    clock = SCHEDULERS[name](lib, first)
    for _ in range(5):
        first.step()
        clock.step()
    kept = first.state_dict(), clock.state_dict()
    second = _optimizer(lib, lr=5.0)
    again = SCHEDULERS[name](lib, second)
    second.load_state_dict(kept[0])
    again.load_state_dict(kept[1])
    for step in range(5, 12):
        assert again.get_last_lr() == wanted[step][-1]
        second.step()
        again.step()


def _resumed(lib: Library, name: str) -> list[Any]:
    optimizer = _optimizer(lib)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    scheduler = getattr(lib.schedulers, name)(optimizer, 4 if name != "ExponentialLR" else 0.5, last_epoch=2)
    optimizer.step()
    rates = [scheduler.get_last_lr()]
    scheduler.step()
    return [*rates, scheduler.get_last_lr()]


@pytest.mark.parametrize(
    "name", ["StepLR", "ExponentialLR", "CosineAnnealingLR", "PolynomialLR", "CosineAnnealingWarmRestarts"]
)
def test_last_epoch_resumes(name: str, torch_says: Any) -> None:
    assert plain(_resumed(ours(), name)) == torch_says(lambda torch: _resumed(theirs(torch), name))


CASES: dict[str, Any] = {
    "no optimizer": lambda lib: lib.schedulers.StepLR(3, 2),
    "no optimizer to plateau": lambda lib: lib.schedulers.ReduceLROnPlateau(3),
    "lambdas": lambda lib: lib.schedulers.LambdaLR(_optimizer(lib), [abs]),
    "linear start": lambda lib: lib.schedulers.LinearLR(_optimizer(lib), start_factor=0),
    "linear end": lambda lib: lib.schedulers.LinearLR(_optimizer(lib), end_factor=3),
    "factor": lambda lib: lib.schedulers.ConstantLR(_optimizer(lib), 2),
    "no function": lambda lib: lib.schedulers.MultiplicativeLR(_optimizer(lib), 0.5),
    "restarts of 0": lambda lib: lib.schedulers.CosineAnnealingWarmRestarts(_optimizer(lib), 0),
    "restarts shorter": lambda lib: lib.schedulers.CosineAnnealingWarmRestarts(_optimizer(lib), 1, 0),
    "restarts to text": lambda lib: lib.schedulers.CosineAnnealingWarmRestarts(_optimizer(lib), 1, eta_min="x"),
    "restarts before": lambda lib: lib.schedulers.CosineAnnealingWarmRestarts(_optimizer(lib), 1).step(-1),
    "triangles mode": lambda lib: lib.schedulers.CyclicLR(_optimizer(lib), 0.1, 0.2, mode="x"),
    "triangles rates": lambda lib: lib.schedulers.CyclicLR(_optimizer(lib), [0.1], 0.2),
    "triangles momentum": lambda lib: lib.schedulers.CyclicLR(
        lib.optim.Adagrad([lib.nn.Parameter(lib.t.ones(1))]), 0.1, 1
    ),
    "none in a row": lambda lib: lib.schedulers.SequentialLR(_optimizer(lib), [], []),
    "none together": lambda lib: lib.schedulers.ChainedScheduler([]),
    "milestones missing": lambda lib: _of_two(lib, lambda o, both: lib.schedulers.SequentialLR(o, both, [])),
    "metric in a row": lambda lib: _of_two(
        lib, lambda o, _: lib.schedulers.SequentialLR(o, [lib.schedulers.ReduceLROnPlateau(o)], [])
    ),
    "metric together": lambda lib: _of_two(
        lib, lambda o, _: lib.schedulers.ChainedScheduler([lib.schedulers.ReduceLROnPlateau(o)])
    ),
    "no scheduler": lambda lib: lib.schedulers.SequentialLR(_optimizer(lib), [3], []),
    "averaging strategy": lambda lib: lib.averages.SWALR(_optimizer(lib), 0.1, anneal_strategy="x"),
    "averaging epochs": lambda lib: lib.averages.SWALR(_optimizer(lib), 0.1, -1),
    "averaging rates": lambda lib: lib.averages.SWALR(_optimizer(lib), [0.1]),
    "cycle unknown": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1),
    "cycle negative": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=-1),
    "cycle epochs": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, epochs=0, steps_per_epoch=3),
    "cycle steps": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, epochs=3, steps_per_epoch=0),
    "cycle start": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=9, pct_start=3),
    "cycle strategy": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=9, anneal_strategy="x"),
    "cycle tops": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), [0.1], total_steps=9),
    "cycle over": lambda lib: _beyond(lib),
    "plateau factor": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), factor=1.0),
    "plateau mode": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), mode="x"),
    "plateau threshold": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), threshold_mode="x"),
    "plateau lowest": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), min_lr=[1]),
}


def _of_two(lib: Library, make: Any) -> None:
    optimizer = _optimizer(lib)
    make(optimizer, [lib.schedulers.StepLR(optimizer, 1), lib.schedulers.StepLR(optimizer, 2)])


def _beyond(lib: Library) -> None:
    scheduler = lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=2)
    for _ in range(4):
        scheduler.step()


@pytest.mark.parametrize("name", CASES)
def test_words_are_torchs(name: str, torch_says: Any) -> None:
    assert list(outcome(CASES[name], ours())) == torch_says(lambda torch: outcome(CASES[name], theirs(torch)))


def test_scheduler_before_optimizer_warns() -> None:
    scheduler = optim.lr_scheduler.StepLR(_optimizer(ours()), 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


def test_resuming_needs_the_optimizers_state() -> None:
    with pytest.raises(KeyError, match="initial_lr"):
        optim.lr_scheduler.StepLR(optim.SGD([nn.Parameter(ng.ones(1))]), 2, last_epoch=3)


def test_get_lr_outside_of_a_step_warns() -> None:
    scheduler = optim.lr_scheduler.StepLR(_optimizer(ours()), 2)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()


def test_an_epoch_warns() -> None:
    optimizer = _optimizer(ours())
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()
    with pytest.warns(UserWarning, match="The epoch parameter"):
        scheduler.step(3)


def test_a_step_that_was_replaced_warns() -> None:
    optimizer = _optimizer(ours())
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step = lambda: None
    optimizer.step()
    with pytest.warns(UserWarning, match="overridden after"):
        scheduler.step()


def test_a_scheduler_of_ones_own_is_as_in_torch(torch: ModuleType) -> None:
    """It may define `step`, keep its own attributes, and hold closed forms."""
    rates = []
    for lib in (ours(), theirs(torch)):

        class Warm(lib.schedulers._LRScheduler):  # type: ignore[name-defined, misc]
            def __init__(self, optimizer: Any, length: int) -> None:
                self.length, self.seen = length, 0
                super().__init__(optimizer)

            def get_lr(self) -> list[float]:
                self.seen += 1
                return [base * min(1.0, (self.last_epoch + 1) / self.length) for base in self.base_lrs]

        class Manual(lib.schedulers.LRScheduler):  # type: ignore[name-defined, misc]
            def step(self, epoch: int | None = None) -> None:
                self.last_epoch += 1
                for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
                    group["lr"] = base / (self.last_epoch + 1)

        seen = []
        for make in (lambda o: Warm(o, 4), Manual):
            optimizer = _optimizer(lib)
            scheduler = make(optimizer)
            for _ in range(6):
                seen.append([group["lr"] for group in optimizer.param_groups])
                optimizer.step()
                scheduler.step()
            seen.append([scheduler.last_epoch, getattr(scheduler, "seen", None)])
        rates.append(seen)
    assert rates[0] == rates[1]


def test_functions_that_are_objects_are_saved(torch: ModuleType) -> None:
    class Factor:
        def __init__(self, base: float) -> None:
            self.base = base

        def __call__(self, epoch: float) -> float:
            return self.base**epoch

    for lib in (ours(), theirs(torch)):
        for make in (
            lambda o, f, lib=lib: lib.schedulers.MultiplicativeLR(o, f),
            lambda o, f, lib=lib: lib.schedulers.CyclicLR(o, 0.1, 1.0, scale_fn=f),
        ):
            saved = make(_optimizer(lib), Factor(0.5)).state_dict()
            function = Factor(0.9)
            make(_optimizer(lib), function).load_state_dict(dict(saved))
            assert function.base == 0.5


def test_a_chain_that_fails_is_not_taken() -> None:
    def factor(epoch: int) -> float:
        if epoch == 2:
            raise ArithmeticError
        return 0.5

    optimizer = _optimizer(ours())
    parts = [optim.lr_scheduler.ExponentialLR(optimizer, 0.9), optim.lr_scheduler.MultiplicativeLR(optimizer, factor)]
    chain = optim.lr_scheduler.ChainedScheduler(parts)
    optimizer.step()
    chain.step()
    before = [group["lr"] for group in optimizer.param_groups], [part.last_epoch for part in parts]
    with pytest.raises(ArithmeticError):
        chain.step()
    assert ([group["lr"] for group in optimizer.param_groups], [part.last_epoch for part in parts]) == before


def test_a_plateau_with_a_new_group() -> None:
    optimizer = _optimizer(ours())
    several = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.01, 0.01])
    one = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.01)
    optimizer.add_param_group({"params": [nn.Parameter(ng.ones(1))], "lr": 0.5})
    for scheduler in (one, several):
        scheduler.step(1.0)
    one.step(2.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.03, 0.07, 0.05])
    with pytest.raises(RuntimeError, match="number of param groups"):
        several.step(2.0)
