"""Captured programs in files: the same bits in a new process, and files that are damaged, hostile, or of something else."""

from __future__ import annotations

import copy
import json
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import numgrad as ng
from numgrad.errors import CaptureError
from numgrad.serialization import WeightsFormatError
from tests.compile import saved_steps
from tests.compile.saved_steps import CALLS, VERSION, data, digest, forge, parts, perceptron


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """By kind, a file that was written after some steps, and the bits of the `CALLS` steps that follow."""
    folder, found = tmp_path_factory.mktemp("programs"), {}
    for kind in ("sgd", "adam"):
        step, model = perceptron(kind)
        for number in range(3):
            step(*data(100 + number))
        path = folder / f"{kind}.program"
        ng.jit.save(step, path)
        results = [step(*data(number)) for number in range(CALLS)]
        assert ng.jit.stats(step).captures == 1
        found[kind] = path, digest(results, model.state_dict())
    return found


def test_another_process_goes_on_with_the_same_bits(saved: dict[str, tuple[Path, str]]) -> None:
    command = [sys.executable, "-m", "tests.compile.saved_steps", *[str(path) for path, _ in saved.values()]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line, (_, bits) in zip(done.stdout.splitlines(), saved.values(), strict=True):
        assert json.loads(line) == [bits, False]


def test_the_weights_are_read_as_those_of_any_file(saved: dict[str, tuple[Path, str]]) -> None:
    path, _ = saved["adam"]
    _, model = perceptron("adam")
    program, weights = ng.jit.load(path), ng.load(path)
    assert list(program.state_dict()) == list(model.state_dict())
    model.load_state_dict(program.state_dict())
    for name, tensor in model.state_dict().items():
        assert ng.equal(weights[name], tensor)
    assert len(list(program.parameters())) == 4
    assert {"optimizer.state.0.weight.exp_avg", "optimizer.state.3.bias.step"} <= program.tensors().keys()


def test_options_are_changed_as_in_the_step(tmp_path: Path) -> None:
    def run(save: Path | None) -> list[bytes]:
        weight = ng.tensor([1.0, 2.0], requires_grad=True)
        optimizer = ng.optim.SGD([weight], lr=0.5, momentum=0.5)

        @ng.jit
        def step(x: ng.Tensor) -> ng.Tensor:
            optimizer.zero_grad()
            loss = (weight * x).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        program, options, state = step, optimizer.param_groups[0], weight
        for _ in range(3):
            step(ng.ones(2))
        if save is not None:
            ng.jit.save(step, save)
            program = ng.jit.load(save)
            (options,), (state,) = program.options, program.parameters()
        found = []
        for lr in (0.25, 0.0, 0.125):
            options["lr"] = lr
            found += [program(ng.ones(2)), state.clone()]
        return [each.detach().numpy().tobytes() for each in found]

    assert run(tmp_path / "step") == run(None)
    program = ng.jit.load(tmp_path / "step")
    for value in (None, "1", ng.tensor(0.5)):
        with pytest.raises(TypeError, match="option 'lr' of SGD is .* expected a number"):
            program.options[0]["lr"] = value
    assert program.options[0]["lr"] == 0.5
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copied(program)


def test_programs_of_several_shapes_and_results_in_containers(tmp_path: Path) -> None:
    model = ng.nn.BatchNorm1d(3)
    total = ng.zeros(())

    @ng.jit
    def step(batch: dict[str, Any], scale: float = 1.0) -> dict[str, Any]:
        out = model(batch["x"]) * scale
        total.add_(out.detach().sum())
        out.square().mean().backward()
        return {
            "out": [out.detach(), batch["x"]],
            "mean": model.running_mean,
            "grad": model.weight.grad,
            "scale": scale,
        }

    def inputs(rows: int) -> dict[str, Any]:
        return {"x": ng.arange(3 * rows, dtype=ng.float32).reshape(rows, 3), "name": "x"}

    for _ in range(3):  # gradients are added to those that are there
        step(inputs(4), scale=2.0), step(inputs(2))
    ng.jit.save(step, tmp_path / "step")
    program = ng.jit.load(tmp_path / "step")
    for _ in range(2):
        for rows, options in ((2, {}), (4, {"scale": 2.0})):
            given = inputs(rows)
            (one, other), expected = (each := program(given, **options))["out"], step(given, **options)
            assert other is given["x"]
            assert ng.equal(one, expected["out"][0])
            assert ng.equal(each["mean"], expected["mean"])
            assert ng.equal(each["grad"], expected["grad"])
            assert each["scale"] == expected["scale"]
    assert ng.equal(program.tensors()["total"], total)
    assert each["mean"] is program.state_dict()["running_mean"]
    for args, options, word in (
        ((inputs(3),), {}, r"tensor 0 is .*\(3, 3\)"),
        ((inputs(4),), {"scale": 3.0}, "'scale'.* is 3.0, expected 2.0"),
        ((), {}, "a tuple of 0, expected a tuple of 1"),
        (({"x": inputs(2)["x"]},), {}, "a dict of"),
        (({"x": inputs(2)["x"].requires_grad_(), "name": "x"},), {}, "requires a gradient"),
        ((inputs(2)["x"],), {}, "are Tensor"),
    ):
        with pytest.raises(TypeError, match=word):
            program(*args, **options)

    @ng.jit
    def around(x: ng.Tensor) -> Any:
        return program({"x": x, "name": "x"})

    with pytest.raises(RuntimeError, match="call it outside"):
        around(inputs(2)["x"])


def test_a_users_op_and_a_callback_are_captured_and_the_op_is_saved(tmp_path: Path) -> None:
    def forward(x: Any, scale: Any, out: Any) -> None:
        for i in range(x.shape[0]):
            out[i] = x[i] * x[i] * scale

    def backward(grad_out: Any, x: Any, scale: Any, grad_x: Any) -> None:
        for i in range(x.shape[0]):
            grad_x[i] = 2 * x[i] * scale * grad_out[i]

    scaled = ng.custom_op("saved_scaled_square", forward, backward, params={"scale": 1.0})
    seen: list[float] = []
    note = ng.jit.host(lambda loss: seen.append(loss.item()))

    def build(callback: bool) -> tuple[Any, ng.Tensor]:
        weight = ng.tensor([1.0, 2.0], requires_grad=True)
        optimizer = ng.optim.SGD([weight], lr=0.125)

        def step(x: ng.Tensor) -> ng.Tensor:
            optimizer.zero_grad()
            loss = scaled(weight * x, scale=-0.5).sum()
            if callback:
                note(loss)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step, weight

    x = ng.tensor([1.0, -1.0])
    eager, expected = build(True)
    losses = [eager(x).item() for _ in range(6)]
    step, weight = build(True)
    step = ng.jit(step)
    assert [step(x).item() for _ in range(6)] == losses
    assert ng.jit.stats(step).replays == 5
    assert seen == losses + losses
    assert ng.equal(weight, expected)
    with pytest.raises(CaptureError, match="a callback of jit.host"):
        ng.jit.save(step, tmp_path / "step")

    step, weight = build(False)
    step = ng.jit(step)
    assert [step(x).item() for _ in range(3)] == losses[:3]
    ng.jit.save(step, tmp_path / "step")
    program = ng.jit.load(tmp_path / "step")
    assert [program(x).item() for _ in range(3)] == losses[3:]
    (of_program,) = program.parameters()
    assert ng.equal(of_program, expected)


def test_what_a_file_cannot_hold_is_named(tmp_path: Path) -> None:
    weight = ng.ones(2, requires_grad=True)
    optimizer = ng.optim.SGD([weight], lr=0.5)
    schedule = ng.optim.lr_scheduler.StepLR(optimizer, 2)
    swish = ng.elementwise(lambda x: x / (1 + ng.scalar.exp(-x)))

    def train(x: ng.Tensor) -> None:
        optimizer.zero_grad()
        (weight * x).sum().backward()
        optimizer.step()
        schedule.step()

    x = ng.ones(2)
    model = ng.nn.Linear(2, 2)
    for step, args, word in (
        (train, (x,), "a call of .*StepLR.*which each replay makes in Python"),
        (lambda x, module: module(x).detach(), (x, model), "a Linear as argument 1"),
        (lambda x: swish(x), (x,), "the op .*, which is not in the registry"),
        (lambda x, y: x + y, (x, x[:1]), "arguments that share memory"),
    ):
        jitted = ng.jit(step)
        with pytest.raises(CaptureError, match="no captured program yet"):
            ng.jit.save(jitted, tmp_path / "step")
        for _ in range(3):
            jitted(*args)
        with pytest.raises(CaptureError, match=word):
            ng.jit.save(jitted, tmp_path / "step")
    assert not (tmp_path / "step").exists()
    with pytest.raises(TypeError, match="what jit returned"):
        ng.jit.save(train, tmp_path / "step")


# ---- files that are refused ---------------------------------------------------------------------------------------


def test_damaged_files_are_refused(saved: dict[str, tuple[Path, str]], tmp_path: Path) -> None:
    whole, path = saved["sgd"][0].read_bytes(), tmp_path / "damaged"
    (header,) = struct.unpack("<Q", whole[:8])
    cuts = [0, 7, 8, 100, header, header + 8, len(whole) - 1]
    flips = [*range(8), *range(8, len(whole), 97), len(whole) - 1]
    for content in (
        *[whole[:cut] for cut in cuts],
        whole + b"\0",
        *[whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :] for place in flips],
    ):
        path.write_bytes(content)
        with pytest.raises(WeightsFormatError):
            ng.jit.load(path)


def test_files_of_something_else_are_refused(saved: dict[str, tuple[Path, str]], tmp_path: Path) -> None:
    document, memory, metadata = parts(saved["sgd"][0])
    path = tmp_path / "other"
    ng.save({"weight": ng.ones(2)}, path)
    with pytest.raises(WeightsFormatError):
        ng.jit.load(path)
    ng.save({"weight": ng.ones(2)}, path, format="safetensors")
    with pytest.raises(WeightsFormatError, match="holds no program"):
        ng.jit.load(path)
    forge(path, document, memory, {**metadata, VERSION: "0.0.1"})
    with pytest.raises(WeightsFormatError, match="the program is of numgrad '0.0.1'"):
        ng.jit.load(path)
    forge(path, {**document, "format": 2}, memory, metadata)
    with pytest.raises(WeightsFormatError, match="format of the program is 2"):
        ng.jit.load(path)
    ng.save(memory, path, format="safetensors", metadata={**metadata, "numgrad.sha256": "0" * 64})
    with pytest.raises(WeightsFormatError, match="SHA-256"):
        ng.jit.load(path)
    with pytest.raises(FileNotFoundError):
        ng.jit.load(tmp_path / "nowhere")


def test_places_beyond_memory_and_before_their_making_are_refused(
    saved: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    document, memory, metadata = parts(saved["sgd"][0])
    path = tmp_path / "forged"
    steps = document["programs"][0]["steps"]
    first, update = steps[0], steps[-1]
    assert (first["op"], update["op"]) == (["linear"], ["sgd"])

    def refused(number: int, **changes: Any) -> str:
        changed = [{**row, **changes} if n == number else row for n, row in enumerate(steps)]
        forge(path, {**document, "programs": [{**document["programs"][0], "steps": changed}]}, memory, metadata)
        with pytest.raises(WeightsFormatError) as caught:
            ng.jit.load(path)
        return str(caught.value)

    x, weight, bias = first["inputs"]
    assert "does not lie in" in refused(0, inputs=[[*x[:2], 4, x[3]], weight, bias])
    assert "does not lie in" in refused(0, inputs=[[*x[:2], 2, x[3]], weight, bias])
    assert "is -4" in refused(0, inputs=[[*x[:2], -4, x[3]], weight, bias])
    assert "made memory is 0" in refused(0, inputs=[["made", 0, *x[2:]], weight, bias])
    assert "an extent is -1" in refused(0, inputs=[[*x[:3], ["float32", [-1, 8], [8, 1], False]], weight, bias])
    assert "an extent is -1" in refused(0, inputs=[[*x[:3], ["float32", [32, 8], [-1, 1], False]], weight, bias])
    assert "refuses its operands" in refused(0, inputs=[x, x, bias])
    assert "no op 'sgd_'" in refused(0, op=["sgd_"])
    assert "has no part" in refused(0, op=["relu", ["nothing"]])
    assert "changes memory that it reads in another way" in refused(
        0, op=["add", ["in_place"]], inputs=[weight, [*weight[:3], ["float32", [8], [1], False]]], params=[]
    )
    with_params = next(number for number, row in enumerate(steps[:-1]) if row["params"])
    count = len(steps[with_params]["params"])
    assert "expected a list of 0" in refused(0, params=[1])
    assert "is no value" in refused(with_params, params=[{"pickle": "x"}] * count)
    assert "an optimizer's step is a dict" in refused(0, op=["sgd"])
    columns = update["columns"]
    assert "other columns" in refused(len(steps) - 1, columns=columns[:2])
    assert "other columns" in refused(len(steps) - 1, columns=[columns[0][:1], *columns[1:]])
    assert "refuses its operands" in refused(len(steps) - 1, columns=[columns[0], columns[1], columns[2][::-1]])
    assert "expected an object" in refused(len(steps) - 1, inputs=[])


def test_changed_documents_are_refused_or_run(saved: dict[str, tuple[Path, str]], tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(saved["adam"][0].read_bytes())
    command = [sys.executable, "-m", "tests.compile.saved_steps", "attack", str(path), "0", "80"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert seen["refused"] > 60
    assert sum(seen.values()) == 80


@pytest.mark.soak
def test_many_changed_documents_are_refused_or_run(saved: dict[str, tuple[Path, str]]) -> None:
    assert sum(saved_steps.attack(saved["adam"][0], range(1000, 4000)).values()) == 3000


def test_programs_that_fit_no_longer_are_not_saved(tmp_path: Path) -> None:
    model = ng.nn.Sequential(ng.nn.Linear(3, 2), ng.nn.Dropout(0.5))
    step = ng.jit(lambda x: model(x).detach())
    x = ng.ones(4, 3)
    for mode in (True, False):
        model.train(mode)
        for _ in range(2):
            step(x)
    assert ng.jit.stats(step).captures == 2
    ng.jit.save(step, tmp_path / "step")
    assert len(ng.jit.load(tmp_path / "step").programs()) == 1
    assert ng.equal(ng.jit.load(tmp_path / "step")(x), model(x))
    model[0].weight.data = ng.zeros(2, 3)
    with pytest.raises(CaptureError, match="no program of .* fits what it sees now: .*weight.* has other memory"):
        ng.jit.save(step, tmp_path / "step")
