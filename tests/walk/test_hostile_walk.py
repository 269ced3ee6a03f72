"""A short walk over the public surface with hostile arguments; ``python -m tests.walk.hostile`` walks for as long as one likes."""

from __future__ import annotations

import importlib.util
import random
import signal
from typing import Any

import pytest

import numgrad as ng
from numgrad.registry import OPS
from numgrad.runtime import helpers
from tests.ops.hostile_params import ADDRESSES
from tests.walk import aftermath, hostile, processes, programs, recipes, scenes, targets

HAS_TORCH = importlib.util.find_spec("torch") is not None


@pytest.mark.parametrize(("count", "seconds"), [(150, 240), pytest.param(6000, 240, marks=pytest.mark.soak)])
def test_hostile_calls_are_answered_or_refused(count: int, seconds: int) -> None:
    report = hostile.walk(count, with_torch=HAS_TORCH, seconds=seconds, processes=2)
    assert not report.faults, "\n".join(report.faults)
    counts = report.counts
    assert counts.total() > count * 2 / 3, counts
    done = counts["both done"] + counts["done"]
    assert done > counts.total() / 10, "hardly any call succeeds, so hardly anything is compared"


def test_a_walk_reaches_the_whole_surface() -> None:
    names = set(targets.names())
    assert {"function:matmul", "method:view", "operator:iadd", "functional:conv2d", "operator:setitem"} <= names
    assert {name.partition(":")[0] for name in names} >= set(scenes.SCENES)
    modules = [n for n in ng.nn.__all__ if isinstance(v := getattr(ng.nn, n), type) and issubclass(v, ng.nn.Module)]
    assert set(programs.MODULES) == set(modules) - {"Module"}
    modules = ("Optimizer", "lr_scheduler", "swa_utils")
    assert {f"optimizer:{name}" for name in ng.optim.__all__ if name not in modules} <= names
    alone = [
        n for n in dir(ng.optim.lr_scheduler) if n.endswith(("LR", "Plateau")) and n != "SequentialLR"
    ]  # of schedulers
    assert {f"scheduler:{n}" for n in alone} <= names
    assert {f"func:{name}" for name in ng.func.__all__} <= names
    assert {f"in_utils:{name}" for name in programs.OF_PARAMETERS} <= names
    own = {name for name, op in OPS.items() if (op.plan_function.__module__ or "").startswith("numgrad.")}
    # Tables of optimizers' ops hold addresses, which `tensor.updates` proves; the others have any number of inputs or outputs,
    # and no rows of samples: their functions are walked.
    assert {f"op:{name}" for name in own - {*ADDRESSES, "split", "stack", "unbind"}} <= names
    drawn = {hostile.drawn(seed)[0] for seed in range(20000)}
    assert len(drawn) > 0.95 * len(names)


def test_integers_come_in_every_dress() -> None:
    rng = random.Random(0)
    drawn = [recipes.build(ng, recipes.like_an_integer(rng, 2), []) for _ in range(3000)]
    kinds = {type(each).__name__ for each in drawn}
    widths = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"}
    assert kinds >= widths | {
        "int",
        "float",
        "bool",
        "str",
        "NoneType",
        "Fraction",
        "Decimal",
        "Index",
        "Whole",
        "Tensor",
    }
    ints = [each for each in drawn if type(each) is int]
    assert max(ints) > 2**64
    assert min(ints) < -(2**62)
    assert 2 in ints or any(each == 2 for each in drawn if isinstance(each, float))


@pytest.mark.parametrize("kind", sorted(set(scenes.SCENES) - {"op"}))
def test_scenes_succeed_where_nothing_is_changed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "changed", _unchanged)
    names = _of_kind(kind)
    never = never_made(names)
    allowed = {"object", "attribute", "made", "file"}  # draw what is refused as well
    assert len(never) <= (len(names) * 0.8 if kind in allowed else 0), {name: _outcome(name, 0) for name in never}


def test_scenes_of_ops_succeed_where_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their plans, in a process that compiles nothing; those that may be refused by what they compute are run as well."""
    assert helpers.ask("tests.walk.test_hostile_walk:never_planned", {})["result"] == []
    monkeypatch.setattr(recipes, "changed", _unchanged)
    computed = [name for name in _of_kind("op") if OPS[name.removeprefix("op:")].status_function is not None]
    assert len(computed) > 9
    assert never_made(computed) == []


def never_planned() -> list[str]:
    """The ops whose scenes are all refused, in a process that rehearses."""
    recipes.changed = _unchanged
    return never_made(_of_kind("op"))


def never_made(names: list[str]) -> list[str]:
    """Those whose scenes are all refused."""
    return [name for name in names if all(isinstance(_outcome(name, seed), Exception) for seed in range(8))]


def _unchanged(rng: random.Random, recipe: Any, bold: Any) -> Any:
    return recipe


def _of_kind(kind: str) -> list[str]:
    return sorted({name for name in programs.names() if name.startswith(f"{kind}:")})


def _outcome(name: str, seed: int) -> object:
    return hostile.made(ng, (name, *targets.arguments(random.Random(seed), name)))[0]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(ng.ones(2), [3.0, 1.0]), (ng.ones(2), [1.0]), (ng.ones(2, dtype=ng.int64), [1.0, 1.0])]
)
@pytest.mark.parametrize("target", ["function:exp", "module:Linear", "op:exp"])
def test_differences_are_noticed(ours: ng.Tensor, theirs: list[float], target: str, torch: object) -> None:
    with pytest.raises(hostile.WrongError):
        hostile.compared(target, ours, torch.tensor(theirs))  # type: ignore[attr-defined]
    with pytest.raises(hostile.WrongError):
        hostile.compared("scheduler:StepLR", [0.1, 0.2], [0.1, 0.25])


def test_each_kind_of_fault_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = "2:crash,3:exception,4:change,5:neighbour,6:mode,8:memory,9:class"
    monkeypatch.setenv("NUMGRAD_WALK_FAULT", faults)
    found = {fault.split(":")[0]: fault for fault in hostile.walk(11).faults}
    assert list(found) == [f"seed {each.split(':')[0]}" for each in faults.split(",")]
    assert "SIGSEGV" in found["seed 2"]
    assert "_planted" in found["seed 2"], "the traceback of the crash is missing"
    assert "AttributeError" in found["seed 3"]
    assert "an operand has changed" in found["seed 4"]
    assert "memory of another tensor" in found["seed 5"]
    assert "grad mode" in found["seed 6"]
    assert "beyond the storage" in found["seed 8"]
    assert "KernelError" in found["seed 9"]


def test_a_wrong_value_is_noticed(monkeypatch: pytest.MonkeyPatch, torch: object) -> None:
    seed = next(n for n in range(500) if hostile.judge(n, "module:Linear", torch) == "both done")
    monkeypatch.setenv("NUMGRAD_WALK_FAULT", f"{seed}:value")
    report = hostile.walk(1, seed, "module:Linear", with_torch=True)
    assert len(report.faults) == 1, report.summary()
    assert "torch" in report.faults[0]


@pytest.mark.soak  # it waits, and on a busy machine patience is needed
def test_a_hang_is_noticed_and_tells_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_WALK_FAULT", "1:hang,2:deaf")
    monkeypatch.setattr(processes, "PATIENCE", 20.0)
    monkeypatch.setattr(processes, "GRACE", 1.0)
    report = hostile.walk(4)
    assert [fault.split(" (")[0] for fault in report.faults] == [
        "seed 1: hangs",
        "seed 2: hangs and cannot be stopped",
    ]
    assert "_planted" in report.faults[0], "the traceback of the hang is missing"
    assert report.counts.total() == 4, "the walk has to go on after a hang"


def test_results_outside_of_their_memory_and_unfit_ones_are_noticed() -> None:
    for shape, strides in (((5,), (1,)), ((2,), (4,)), ((2,), (-1,)), ((2.0,), (1,)), ((-1,), (1,))):
        spec = object.__new__(type(ng.zeros(1)._spec))
        spec.shape, spec.strides, spec.dtype, spec.numel = shape, strides, ng.float32, 2
        tensor = ng.zeros(3)
        tensor._spec = spec
        with pytest.raises(aftermath.WrongError):
            aftermath.used([tensor])


def test_a_summary_counts_what_came_of_the_calls() -> None:
    report = hostile.walk(40)
    assert report.counts.total() == 40
    done = sum(count for what, count in report.counts.items() if what in processes.DONE)
    assert done + report.refusals.total() == 40, report.summary()
    assert f"40 calls, {done} succeeded, {report.refusals.total()} refused" in report.summary()


def test_several_processes_make_the_same_calls() -> None:
    reports = [hostile.walk(40, begin=1000, processes=count) for count in (1, 3)]
    assert reports[0].counts == reports[1].counts
    assert reports[0].refusals == reports[1].refusals


def test_the_environment_reaches_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """NUMGRAD_DEBUG is for the processes that make the calls: one that is unknown is refused there."""
    monkeypatch.setenv("NUMGRAD_WALK_FAULT", "0:environment")
    monkeypatch.setenv("NUMGRAD_DEBUG", "1")
    assert "NUMGRAD_DEBUG=1" in hostile.walk(1).faults[0]


def test_a_call_is_the_same_each_time() -> None:
    assert [hostile.described(seed) for seed in range(30)] == [hostile.described(seed) for seed in range(30)]
    rng = random.Random(0)
    for _ in range(200):
        recipe = recipes.tensor(rng)
        made = recipes.build(ng, recipe, [])
        assert tuple(made.shape) == recipe.value[1]
        assert made.dtype.name == recipe.value[0]


def test_signals_have_names() -> None:
    assert processes.cause_of(-signal.SIGSEGV) == "SIGSEGV"
    assert processes.cause_of(3) == "exit code 3"
