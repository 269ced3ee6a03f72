"""Kernels that a wheel brings: their keys, what is refused, and that they are those of their kind of CPU, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from numgrad.runtime import bundle, levels, store, target
from numgrad.runtime.kernel import device, kernel

from . import processes

LEVEL = levels.LEVELS["x86-64-v3"]


def an_object(machine: int = LEVEL.elf_machine, kind: int = 1) -> bytes:
    """The head of an object file, and something after it."""
    return (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + kind.to_bytes(2, "little")
        + machine.to_bytes(2, "little")
        + bytes(range(80))
    )


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """A file with one kernel, where numgrad looks for it."""
    monkeypatch.setattr(bundle, "FOLDER", tmp_path)
    monkeypatch.setattr(bundle.sys, "platform", bundle.SYSTEM)
    monkeypatch.setattr(target, "level", lambda: LEVEL)
    monkeypatch.setattr(bundle, "_broken", False)
    for name in ("NUMGRAD_DEBUG", "NUMGRAD_WHEEL_KERNELS", *store.NUMBA_SETTINGS):
        monkeypatch.delenv(name, raising=False)
    path = bundle.path_of(LEVEL)
    path.write_bytes(bundle.written(LEVEL, {"key": bundle.Entry("symbol", an_object())}))
    bundle.bundle.cache_clear()
    yield path
    bundle.bundle.cache_clear()


def test_a_kernel_comes_out_as_it_went_in(brought):
    found = bundle.bundle()
    assert found is not None
    assert len(found) == 1
    assert found.get("key") == bundle.Entry("symbol", an_object())
    assert found.get("another") is None


@pytest.mark.parametrize("name", ["NUMGRAD_WHEEL_KERNELS=0", "NUMGRAD_DEBUG=1", "NUMBA_OPT=1"])
def test_settings_that_leave_it_alone(brought, monkeypatch, name):
    monkeypatch.setenv(*name.split("="))
    assert bundle.bundle() is None


def test_every_damage_is_noticed(brought, caplog):
    whole = brought.read_bytes()
    for place in (0, 20, 50, 60, len(whole) // 2, len(whole) - 1):
        brought.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="is damaged"):
            bundle.read(brought, LEVEL)
    for length in (0, 10, 52, len(whole) - 1):
        brought.write_bytes(whole[:length])
        bundle.bundle.cache_clear()
        assert bundle.bundle() is None
    assert "compiled kernels that came with numgrad are not used" in caplog.text
    assert str(brought) in caplog.text


@pytest.mark.parametrize("word", ["level", "system", "source"])
def test_what_was_made_for_others_is_refused(brought, monkeypatch, word):
    if word == "level":
        content = bundle.written(levels.LEVELS["arm64"], {})
    else:
        with monkeypatch.context() as other:
            if word == "system":
                other.setattr(bundle, "SYSTEM", "plan9")
            else:
                other.setattr(store, "runtime_sources", lambda: "others")
            content = bundle.written(LEVEL, {})
    brought.write_bytes(content)
    with pytest.raises(ValueError, match=f"made for another {word} "):
        bundle.read(brought, LEVEL)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (an_object(machine=levels.LEVELS["arm64"].elf_machine), "is for the architecture 183, not 62"),
        (an_object(kind=3), "is no relocatable object"),
        (b"MZ" + bytes(100), "is no object file"),
        (b"", "is no object file"),
    ],
)
def test_code_for_others_is_refused_once_and_with_all_that_is_beside_it(brought, monkeypatch, caplog, payload, words):
    brought.write_bytes(
        bundle.written(LEVEL, {"key": bundle.Entry("symbol", payload), "good": bundle.Entry("s", an_object())})
    )
    monkeypatch.setattr(bundle, "source_key", lambda function: function())
    for key in ("key", "key", "good"):
        assert bundle.get(lambda key=key: key) is None
    assert [words in record.getMessage() for record in caplog.records] == [True]


# ---- keys ---------------------------------------------------------------------------------------------------------


@device
def _helper(x):
    return x + 1


@kernel("f8[:]")
def _of_a_user(x, start, stop):
    for i in range(start, stop):
        x[i] = _helper(x[i])


def test_kernels_of_users_have_no_key():
    assert bundle.source_key(_of_a_user.py_func) is None
    assert bundle.source_key(_helper.py_func) is None


def test_a_key_is_that_of_the_source_and_its_values(monkeypatch):
    from numgrad.kernels import fill, scalar

    functions = [value.py_func for value in vars(fill).values() if hasattr(value, "py_func")]
    keys = {bundle.source_key(function) for function in functions}
    assert None not in keys
    assert len(keys) == len(functions)
    function = scalar.sigmoid.py_func
    before = bundle.source_key(function)
    assert before != bundle.source_key(function, "f4")
    monkeypatch.setattr(np, "__version__", "3.0")
    assert bundle.source_key(function) == before
    monkeypatch.setitem(function.__globals__, next(name for name, _ in bundle_references(function)), 7)
    assert bundle.source_key(function) != before


def bundle_references(function):
    """What a function names."""
    from numgrad.runtime.kernel import references

    return [(name, value) for name, value in references(function) if "." not in name]


def test_two_functions_in_a_line_have_no_key(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "_PACKAGE", tmp_path)
    (tmp_path / "one.py").write_text("a = lambda x: x + 1\n")
    (tmp_path / "two.py").write_text("a, b = lambda x: x + 1, lambda x: x + 2\n")
    for name, is_known in (("one", True), ("two", False)):
        scope: dict = {}
        exec(compile((tmp_path / f"{name}.py").read_text(), str(tmp_path / f"{name}.py"), "exec"), scope)
        assert (bundle.source_key(scope["a"]) is not None) == is_known


COUNT = """
import json
from numgrad.runtime import bundle, kernel
import numgrad as ng
from numgrad import nn
from numgrad.cli.step import rehearse
kernel.rehearsal = []
counts, before = {}, 0
def count(name):
    global before
    total = len({(job.name, job.key) for job in kernel.rehearsal})
    counts[name], before = total - before, total
def step(model, loss):
    for optimizer in (ng.optim.Adam(model.parameters()),):
        loss().backward()
        optimizer.step()
model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 10))
step(model, lambda: nn.functional.cross_entropy(model(ng.rand(16, 20)), ng.zeros(16, dtype=ng.int64)))
count("perceptron")
layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
step(layer, lambda: layer(ng.rand(2, 32, 64)).sum())
count("transformer")
rehearse(None, model="resnet18", batch_size=1, image_size=64, dtype="float32")
count("resnet18")
keys = {(job.name, job.key): bundle.source_key(job.function, *job.extra) for job in kernel.rehearsal}
print(json.dumps([counts, len(keys), len(set(keys.values()) - {None})]))
"""
# Kernels of a first training step, each model's beyond those of the models before it. Each takes a tenth of a second to
# three; before a number is raised, see whether a kernel that there is could do it.
MOST_KERNELS = {"perceptron": 27, "transformer": 19, "resnet18": 41}


def test_training_steps_need_few_kernels_and_all_can_be_brought():
    counts, kernels, keys = json.loads(processes.output(COUNT))
    assert counts.keys() == MOST_KERNELS.keys()
    assert all(counts[name] <= most for name, most in MOST_KERNELS.items()), counts
    assert keys == kernels == sum(counts.values())


# ---- kinds of CPU, and the whole way --------------------------------------------------------------------------------

STEP = """
import hashlib, json, sys
from pathlib import Path
from numgrad.runtime import build, bundle, kernel, store, target
mode, folder = sys.argv[1:]
if mode == "brought":
    bundle.FOLDER = Path(folder)
compiled, jobs = [], []
build.listeners.append(lambda name, seconds: compiled.append(name))
build_it = build.build
def noted(job):
    jobs.append(job)
    return build_it(job)
build.build = noted
import numgrad as ng
x = ng.arange(1000, dtype=ng.float32) / 7
x.requires_grad_()
(x.tanh().sum() / x.std()).backward()
bits = hashlib.sha256(x.grad.numpy().tobytes()).hexdigest()
if mode == "write":
    entries = {bundle.source_key(job.function, *job.extra):
               bundle.Entry(job.symbol(), store.get(job.file_name, job.key)) for job in jobs}
    level = target.level()
    Path(folder, f"{level.name}.kernels").write_bytes(bundle.written(level, entries))
print(json.dumps([bits, len(compiled), "numba" in sys.modules]))
"""


def test_what_was_brought_has_the_bits_of_its_kind_and_needs_no_numba(tmp_path):
    level = target.level()
    if level is None:
        pytest.skip("this CPU is of no kind that kernels are brought for")
    plain = {"NUMGRAD_DEBUG": None, "NUMGRAD_SIMD": None, "NUMGRAD_WHEEL_KERNELS": None}

    def step(mode: str, place: str, **settings: str | None) -> list:
        store_of = {"NUMGRAD_KERNEL_STORE": str(tmp_path / place)}
        return json.loads(processes.output(STEP, mode, str(tmp_path), **{**plain, **store_of, **settings}))

    bits, count, _ = step("write", "first", NUMGRAD_CPU=level.name)
    assert count > 3
    assert step("brought", "second") == [bits, 0, False]
    assert not list(Path(tmp_path, "second").rglob("*.o"))
    assert step("brought", "off", NUMGRAD_KERNEL_STORE="off") == [bits, 0, False]
    (tmp_path / f"{level.name}.kernels").write_bytes(b"nothing")
    done = processes.run(
        STEP,
        "brought",
        str(tmp_path),
        **{**plain, "NUMGRAD_KERNEL_STORE": str(tmp_path / "first"), "NUMGRAD_CPU": level.name},
    )
    assert json.loads(done.stdout) == [bits, 0, False]  # the store has them
    assert "is damaged, or no file of kernels" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_cpu_of_another_kind_is_refused():
    other = "arm64" if LEVEL.is_native() else "x86-64-v3"
    done = processes.run("import numgrad as ng; ng.ones(3) + 1", NUMGRAD_CPU=other)
    assert done.returncode == 1
    assert f"NUMGRAD_CPU is {other}, and this CPU (" in done.stderr.splitlines()[-1]
