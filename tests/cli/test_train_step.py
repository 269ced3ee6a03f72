"""``numgrad train-step``: what it reports."""

from __future__ import annotations

import argparse
import io
import math

import pytest

import numgrad as ng
from numgrad.cli import ranks, step, train_step
from numgrad.cli.progress import CompileProgress
from numgrad.runtime import build
from tests.cli.running import numgrad, report
from tests.distributed.running import launcher

PARTS = ("forward", "backward", "optimizer", "total")
BITS = ("loss", "gradient_norm")


@pytest.fixture(scope="module")
def usual() -> dict[str, object]:
    """The report of two steps with the usual settings."""
    return report("--steps", "2", "--weights", "random")


def test_the_report_has_what_it_promises(usual: dict[str, object]) -> None:
    assert set(usual) == {
        "model", "weights", "batch_size", "image_size", "dtype", "threads", "seed", "lr", "momentum", "seconds", "loss",
        "gradient_norm", "memory", "compiled", "replay", "versions",
    }  # fmt: skip
    assert usual["replay"] is None
    assert usual["weights"] == "random (seed 0)"
    assert set(usual["seconds"]) == set(PARTS)
    for part in PARTS:
        spent = usual["seconds"][part]
        assert len(spent["all"]) == 2
        assert spent["first"] == spent["all"][0] > 0
        assert spent["median"] == spent["all"][1]
    assert usual["seconds"]["total"]["first"] == pytest.approx(sum(usual["seconds"][p]["first"] for p in PARTS[:3]))
    assert usual["memory"]["peak_resident_bytes"] > usual["memory"]["peak_storage_bytes"] > 4 * 11_689_512


def test_a_step_goes_downhill(usual: dict[str, object]) -> None:
    assert usual["loss"]["after"] < usual["loss"]["before"]
    assert usual["gradient_norm"] > 0


def test_two_runs_and_any_number_of_threads_give_the_same_bits(usual: dict[str, object]) -> None:
    for threads in ("1", "3"):
        other = report("--steps", "2", "--weights", "random", "--threads", threads)
        assert other["threads"] == int(threads)
        assert [other[name] for name in BITS] == [usual[name] for name in BITS]


def test_the_seed_matters(usual: dict[str, object]) -> None:
    other = report("--steps", "1", "--weights", "random", "--seed", "1")
    assert other["loss"]["before"] != usual["loss"]["before"]
    assert other["seconds"]["total"]["median"] is None  # there is no other step


def test_float64_is_close_to_float32() -> None:
    arguments = ("--steps", "1", "--weights", "random", "--lr", "1e-6")
    single, double = report(*arguments), report(*arguments, "--dtype", "float64")
    assert double["dtype"] == "float64"
    # Random numbers are drawn in the precision asked for, so only the distribution is the same.
    assert math.isfinite(double["loss"]["after"])
    assert double["gradient_norm"] == pytest.approx(single["gradient_norm"], rel=0.5)


def test_the_table() -> None:
    done = numgrad("train-step", "--steps", "2", "--batch-size", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("resnet18, 2 x 3 x 64 x 64, float32, ")
    assert [line.split()[0] for line in lines[2:6]] == list(PARTS)
    assert {"loss", "gradient", "peak"} <= {line.split()[0] for line in lines[6:]}


def test_replayed_steps_stand_beside_the_others() -> None:
    done = numgrad("train-step", "--jit", "--steps", "3", "--weights", "random")
    assert done.returncode == 0, done.stderr
    replayed, more = done.stdout.splitlines()[6:8]
    assert replayed.split()[0] == "replayed"
    assert all(float(number) > 0 for number in replayed.split()[1:3])
    assert more.strip().endswith("planned; loss: the same bits")
    found = report("--jit", "--steps", "2", "--weights", "random")["replay"]
    assert (found["all"], found["median"], found["has_the_same_bits"]) == ([], None, True)
    assert found["capture"] > 0


def test_a_loss_that_is_not_finite_is_null_in_json() -> None:
    times = {part: {"first": 1.0, "median": None, "all": [1.0]} for part in PARTS}
    found = step.Report(
        model="m", weights="w", batch_size=1, image_size=64, dtype="float32", threads=1, seed=0, lr=0.1, momentum=0.0,
        seconds=times, loss={"before": 1.0, "after": math.nan}, gradient_norm=math.inf, memory={}, compiled={},
    )  # fmt: skip
    document = train_step.as_json(found)
    assert document["loss"] == {"before": 1.0, "after": None}
    assert document["gradient_norm"] is None


def test_steps_stop_when_the_check_says_so() -> None:
    args = argparse.Namespace(
        model="resnet18", seed=0, dtype="float32", batch_size=2, image_size=32, lr=0.1, momentum=0.9, steps=10**9
    )
    calls = iter([None, None])

    def check() -> None:
        if next(calls, "stop") == "stop":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step.measure(args, None, check)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def compiled(stream: io.StringIO) -> str:
    before = list(build.listeners)
    with CompileProgress(stream) as progress:
        (listener,) = [each for each in build.listeners if each not in before]
        listener("matmul", 0.25)
        listener("conv2d", 0.5)
    assert (progress.kernels, progress.seconds) == (2, 0.75)
    assert build.listeners == before
    return stream.getvalue()


def test_progress_on_a_terminal_is_one_line() -> None:
    text = compiled(Terminal())
    assert text.count("\n") == 1
    assert text.count("\r") == 3
    assert text.rstrip().endswith("compiled 2 kernels in 0.8 s; they are kept for the next run")


def test_progress_elsewhere_is_a_few_plain_lines() -> None:
    lines = compiled(io.StringIO()).splitlines()
    assert lines[0] == "compiling kernels, which happens only once: 1 in 0.2 s"
    assert lines[-1].startswith("compiled 2 kernels")
    assert len(lines) == 2


def test_no_progress_where_nothing_is_compiled() -> None:
    stream = io.StringIO()
    with CompileProgress(stream):
        pass
    assert stream.getvalue() == ""


def test_ranks_report_their_times_and_have_the_same_parameters() -> None:
    launcher()
    seen = report("--ranks", "2", "--steps", "2", "--weights", "random")
    assert [row["rank"] for row in seen["ranks"]] == [0, 1]
    assert seen["parameters_are_equal"] is True
    assert 0 < seen["exchange_share"] < 1
    for row in seen["ranks"]:
        spent = row["seconds"]
        assert set(spent) == {"forward", "backward", "exchange", "optimizer", "total"}
        assert spent["total"] > spent["exchange"] > 0
    assert seen["ranks"][0]["loss"] != seen["ranks"][1]["loss"]  # each has images of its own
    assert "parameters after the last step: the same bits on all ranks" in ranks.as_text(seen)


def test_ranks_without_mpi_are_a_matter_of_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("numgrad.distributed.groups.is_mpi_available", lambda: False)
    assert train_step.main(["--ranks", "2", "--weights", "random"]) == 2
    assert "pip install 'numgrad[mpi]'" in capsys.readouterr().err


def test_the_loss_sums_over_all_classifiers() -> None:
    """GoogLeNet and Inception return one tensor for each in training."""
    from numgrad import models
    from numgrad.cli.step import loss_of

    labels = ng.ones(2, 3)
    outputs = models.inception.InceptionOutputs(ng.full((2, 3), 2.0), ng.full((2, 3), 4.0))
    assert loss_of(outputs, labels).item() == 6 * (1 + 3)
    assert loss_of(outputs.logits, labels).item() == 6
