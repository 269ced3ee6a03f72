"""Every command under every condition: streams that are closed, full, left or of few characters; no home; settings."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from numgrad import config
from tests.cli.running import ALONE, FORK, needs_fork
from tests.runtime.processes import ROOT, environment, output, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's redirections")

STEP = ("train-step", "--weights", "random", "--image-size", "1")  # too small: refused after a forward's beginning
# Each command, and its exit code where nothing is in its way.
COMMANDS: list[tuple[tuple[str, ...], int]] = [
    (("--help",), 0),
    (("--version",), 0),
    (("nonsense",), 2),
    (("train-step", "--steps", "0"), 2),
    (("info",), 0),
    (("ops",), 0),
    (("ops", "arange"), 0),
    (("ops", "nonsense"), 2),
    (("weights", "list"), 0),
    (("weights", "path", "resnet18"), 4),
    (("weights", "download", "resnet18"), 3),
    (("weights", "download", "--all", "--dry-run"), 0),
    (("weights", "verify", "resnet18"), 4),
    (("weights", "convert", "/nonexistent.pth"), 4),
    (("classify", "/nonexistent.jpg"), 4),
    (("warmup", "--model", "resnet19"), 2),
]
ON_STDOUT = [command for command, code in COMMANDS if code == 0 or command[:2] == ("weights", "path")]
ASCII = {"PYTHONIOENCODING": "ascii"}
NO_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
# What follows the command in a shell, the environment, and the exit code of a command that prints to stdout.
CONDITIONS: dict[str, tuple[str, dict[str, str], int | None]] = {
    "stdout is closed": (">&-", {}, 4),
    "stdout is full": (">/dev/full", {}, 4),
    "the reader leaves at once": ("| true", {}, None),
    "the reader takes a line": ("| head -n 1", {}, None),
    "stderr is closed": ("2>&-", {}, None),
    "stderr is full": ("2>/dev/full", {}, None),
    "stdin is closed": ("<&-", {}, None),
    "all are closed": ("<&- >&- 2>&-", {}, 4),
    "ASCII": ("", ASCII, None),
    "no locale": ("", NO_LOCALE, None),
}


# What a few show in processes of their own: one that prints, one that is refused by argparse, one that prints and fails.
A_FEW = [("info",), ("nonsense",), ("weights", "path", "resnet18")]
# And all, after a fork of one process, with the streams that an interpreter would have: its start takes most of a second.
FORKED = """
import json, os, sys
import numgrad  # so that no child has to
from numgrad import cli

for command, numbers, encoding in json.loads(sys.argv[1]):
    told = os.memfd_create("stderr")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        files = {">": os.open("/dev/null", os.O_RDWR), "f": os.open("/dev/full", os.O_RDWR), "t": told}
        for number, (name, mode, kind) in enumerate(zip(("stdin", "stdout", "stderr"), "rww", numbers)):
            os.close(number)
            if kind != "-":
                os.dup2(files[kind], number)
            errors = "backslashreplace" if number == 2 else "strict"
            stream = None if kind == "-" else open(number, mode, encoding=encoding, errors=errors)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        sys.argv[1:] = command
        sys.exit(cli.main())
    _, status = os.waitpid(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), os.pread(told, 1 << 20, 0).decode()]))
"""
# Of each condition: what stdin, stdout and stderr are (of nothing, full, read by the test, closed), and the encoding.
IN_ONE = {
    "stdout is full": (">ft", "utf-8"), "all are closed": ("---", "utf-8"), "stderr is closed": (">>-", "utf-8"),
    "ASCII": (">>t", "ascii"),
}  # fmt: skip


def shell(command: tuple[str, ...], after: str = "", **settings: str | None) -> subprocess.CompletedProcess[bytes]:
    line = f"{shlex.join([sys.executable, '-m', 'numgrad', *command])} {after}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        env=environment(**{**ALONE, "NUMGRAD_HOME": "/dev/null/x", **settings}),
        cwd=ROOT,
        capture_output=True,
        timeout=250,
        check=False,
    )


def _name(value: tuple[str, ...] | int | str) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(
    ("command", "code", "condition"),
    [
        (command, code, condition)
        for command, code in COMMANDS
        for condition in CONDITIONS
        if command in A_FEW and (condition not in IN_ONE or command == ("info",))
    ],
    ids=_name,
)
def test_commands_under_a_condition(command: tuple[str, ...], code: int, condition: str) -> None:
    after, settings, if_printed = CONDITIONS[condition]
    done = shell(command, after, **settings)
    told = done.stderr.decode("ascii")  # nothing else, in any of these
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    if if_printed is not None and command in ON_STDOUT:
        assert done.returncode == if_printed, told
        assert (told == "") if "2>&-" in after else ("cannot write to stdout: " in told.splitlines()[-1])
    elif after.startswith("|"):  # it may have been quicker than the reader
        assert done.returncode in (code, 1), told
        assert "write" not in told
    else:
        assert done.returncode == code, told


NO_CACHE_FOLDER = {"HOME": "/dev/null/x", "XDG_CACHE_HOME": "", "NUMGRAD_KERNEL_STORE": ""}


def ended(tried: list[tuple[tuple[str, ...], str, str]], **settings: str) -> list[tuple[int, str]]:
    """How forked commands ended, by their arguments, streams and encoding: the exit code, and what was told."""
    lines = output(FORKED, json.dumps(tried), **{**ALONE, "NUMGRAD_HOME": "/dev/null/x", **settings}).splitlines()
    found = [(got, told) for got, told in map(json.loads, lines)]
    for (command, *_), (_, told) in zip(tried, found, strict=True):
        assert "Traceback" not in told, command
        assert "Exception ignored" not in told, command
    return found


@needs_fork
def test_every_command_under_conditions() -> None:
    tried = [(command, code, name) for command, code in COMMANDS for name in IN_ONE]
    results = ended([(command, *IN_ONE[name]) for command, _, name in tried])
    for (command, code, name), (got, told) in zip(tried, results, strict=True):
        if IN_ONE[name][0][1] != ">" and command in ON_STDOUT:
            assert got == 4, (command, name, told)
            assert (told == "") if name == "all are closed" else ("cannot write to stdout: " in told.splitlines()[-1])
        else:
            assert got == code, (command, name, told)


@needs_fork
def test_every_command_without_a_cache_folder() -> None:
    results = ended([(command, ">>t", "utf-8") for command, _ in COMMANDS], **NO_CACHE_FOLDER)
    assert [got for got, _ in results] == [code for _, code in COMMANDS], results


@pytest.mark.parametrize("script", ["train_step.py", "download_weights.py"])
def test_scripts_are_the_commands(script: str) -> None:
    arguments = ["--help"] if script == "train_step.py" else ["--all", "--dry-run"]
    for after, code in (("", 0), (">/dev/full", 4), (">&- 2>&-", 4)):
        line = f"{shlex.join([sys.executable, 'scripts/' + script, *arguments])} {after}"
        done = subprocess.run(line, shell=True, env=environment(**ALONE), cwd=ROOT, capture_output=True, timeout=100)
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr


def test_characters_that_a_stream_lacks() -> None:
    assert b"start + step, ...\n" in shell(("ops", "arange"), **ASCII).stdout
    name = b"/nowhere/caf\xc3\xa9-\xff.pth".decode("utf-8", "surrogateescape")
    done = shell(("weights", "convert", name), **ASCII)
    assert done.returncode == 4
    assert b"/nowhere/caf\\xe9-\xff.pth" in done.stderr
    done = shell(("weights", "convert", name))
    assert b"/nowhere/caf\xc3\xa9-\xff.pth" in done.stderr


WITHOUT_HOME = (
    FORK
    + """
import json, pwd
def nobody(*_): raise KeyError("no such user")
pwd.getpwuid = nobody
from numgrad.cli import main
for command in json.loads(sys.argv[1]):
    ended = forked()
    if ended is None:
        sys.argv[:] = ["numgrad", *command]
        sys.exit(main())
    print(json.dumps(ended))
"""
)


@needs_fork
def test_without_a_home_folder() -> None:
    """Neither HOME nor the system's table of users knows one: nothing comes to lie in the current folder."""
    unset = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TORCH_HOME", "NUMGRAD_HOME", "NUMGRAD_KERNEL_STORE"))
    commands = [
        (["info"], 0),
        (["weights", "list"], 4),
        (["weights", "download", "resnet18"], 4),
        (["weights", "clear", "--all"], 4),
        (["warmup", "--jobs", "1"], 4),
    ]
    lines = output(WITHOUT_HOME, json.dumps([command for command, _ in commands]), **unset).splitlines()
    for (command, code), line in zip(commands, lines, strict=True):
        got, told = json.loads(line)
        assert got == code, (command, told)
        assert "Traceback" not in told
        if command[0] == "weights":
            assert "this user has no home folder, HOME is not set" in told
            assert "set NUMGRAD_HOME" in told


# ---- numbers


INTEGERS = [
    ("train-step", "--batch-size"), ("train-step", "--image-size"), ("train-step", "--steps"), ("train-step", "--threads"),
    ("train-step", "--seed"), ("classify", "--top"), ("warmup", "--batch-size"), ("warmup", "--image-size"),
    ("warmup", "--jobs"), ("info", "--batch-size"), ("info", "--image-size"),
]  # fmt: skip
NO_INTEGERS = ["-1", "1.5", "1e3", "", "nan", "0x10", "1_000", "٣", str(10**23), "9" * 5000, "None"]


@pytest.mark.parametrize(("command", "option"), INTEGERS)
def test_integer_options(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    from numgrad import cli

    for text in [*NO_INTEGERS, *(["0"] if option != "--seed" else [])]:
        with pytest.raises(SystemExit) as leaving:
            cli.main([command, f"{option}={text}", *(["x.jpg"] if command == "classify" else [])])
        assert leaving.value.code == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"argument {option}: " in line
        assert "expected an integer from " in line
        assert len(line) < 6000


@pytest.mark.parametrize("size", ["2147483647", "20000000"])
def test_sizes_beyond_all_memory(size: str) -> None:
    for arguments in (["--batch-size", size], ["--batch-size", size, "--image-size", size]):
        done = shell(("train-step", "--weights", "random", *arguments))
        assert done.returncode in (1, 2)
        assert b"Traceback" not in done.stderr
        assert done.stderr.decode().splitlines()[-1].startswith("numgrad train-step: ")


# ---- settings

NONSENSE = {
    "NUMGRAD_NUM_THREADS": ["0", "-1", "1.5", "many", "1025", "10" * 3000],
    "NUMGRAD_WAIT": ["nonsense", "auto,poll"],
    "NUMGRAD_DEBUG": ["2", "yes please"],
    "NUMGRAD_PYTHON": ["2", "guard"],
    "NUMGRAD_SIMD": ["abacus"],
    "NUMGRAD_CPU": ["z80", "x86-64"],
    "NUMGRAD_WHEEL_KERNELS": ["2"],
    "NUMGRAD_CONV": ["fast"],
    "NUMGRAD_TAPE_MB": ["0", "much"],
    "NUMGRAD_COMPILE_JOBS": ["0", "65", "x"],
    "NUMGRAD_LOG": ["nonsense", "10"],
    "NUMGRAD_WEIGHTS_URL": ["nonsense", "file:///etc"],
    "NUMGRAD_OFFLINE": ["maybe"],
    "NUMGRAD_PROGRESS": ["2", "always"],
}
SENSE = {
    "NUMGRAD_NUM_THREADS": ["1", "1024", " 2 ", ""], "NUMGRAD_WAIT": ["POLL"], "NUMGRAD_DEBUG": ["1", "guard", "false"],
    "NUMGRAD_PYTHON": ["1", "no"],
    "NUMGRAD_SIMD": ["AVX2"], "NUMGRAD_CPU": ["X86-64-v3", "auto"], "NUMGRAD_WHEEL_KERNELS": ["0", "yes"],
    "NUMGRAD_CONV": ["Direct"], "NUMGRAD_TAPE_MB": ["64"],
    "NUMGRAD_COMPILE_JOBS": ["64"], "NUMGRAD_LOG": ["DEBUG"],
    "NUMGRAD_WEIGHTS_URL": ["https://mirror.example:8080/x"], "NUMGRAD_OFFLINE": ["yes"], "NUMGRAD_PROGRESS": ["no"],
    "NUMGRAD_KERNEL_STORE": ["off"], "NUMGRAD_HOME": ["/anywhere"],
}  # fmt: skip


def test_every_setting_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"NUMGRAD_KERNEL_STORE", "NUMGRAD_HOME"}  # any text is a folder's name
    assert {knob.name for knob in config.KNOBS} == NONSENSE.keys() | free == SENSE.keys()
    for name in SENSE:
        monkeypatch.delenv(name, raising=False)
    for knob in config.KNOBS:
        for text in SENSE[knob.name]:
            monkeypatch.setenv(knob.name, text)
            assert config.problem() == ""
        for text in NONSENSE.get(knob.name, ()):
            monkeypatch.setenv(knob.name, text)
            assert config.problem() == f"the environment variable {knob.name} is {text!r}, expected {knob.expected}"
        monkeypatch.delenv(knob.name)


@pytest.mark.parametrize("name", ["NUMGRAD_NUM_THREADS", "NUMGRAD_OFFLINE"])
def test_a_setting_that_means_nothing(name: str) -> None:
    """A library refuses it when it is imported: the first and the last that are looked at."""
    text = NONSENSE[name][0]
    done = run("import numgrad", **{name: text})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"ValueError: the environment variable {name} is {text!r}, expected "
    )


def test_commands_of_settings_that_mean_nothing() -> None:
    """Others are refused with one line, by what refuses an import; ``info`` shows all of them."""
    texts = {name: texts[0] for name, texts in NONSENSE.items()}
    for name in ("NUMGRAD_NUM_THREADS", "NUMGRAD_OFFLINE"):
        done = shell(("ops", "relu"), **{name: texts[name]})
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.decode().startswith(
            f"numgrad: the environment variable {name} is {texts[name]!r}, expected "
        )
        assert done.stderr.count(b"\n") == 1
    done = shell(("info",), **texts)
    assert done.returncode == 0, done.stderr
    for name, text in texts.items():
        assert repr(text).encode() in done.stdout, name


@pytest.mark.parametrize(
    ("setting", "words"),
    [("NUMBA_DISABLE_JIT=1", "NUMBA_DISABLE_JIT is '1'"), ("NUMBA_NUM_THREADS=0", "NUMBA_NUM_THREADS='0'")],
)
def test_settings_of_numbas_that_forbid_compiling(setting: str, words: str) -> None:
    name, _, value = setting.partition("=")
    settings: dict[str, str | None] = {name: value, "NUMGRAD_KERNEL_STORE": "off"}
    done = run("import numgrad as ng; ng.ones(3) + 1", **settings)
    assert "numgrad.errors.KernelError: kernel " in done.stderr
    assert words in done.stderr.splitlines()[-1]
    done = shell(STEP, **settings)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert words in done.stderr.decode().splitlines()[-1]


# Polynomials of exponentials, a sum, and a backward: kernels with multiply-adds that are fused.
SUMS = (
    "import hashlib, numpy as np, numgrad as ng\n"
    "x = ng.from_numpy(np.random.default_rng(0).normal(size=1850)).requires_grad_()\n"
    "y = ng.nn.functional.silu(x).sum()\n"
    "y.backward()\n"
    "print(hashlib.sha256(y.detach().numpy().tobytes() + x.grad.numpy().tobytes()).hexdigest())\n"
)


@pytest.mark.soak  # without a store each process compiles all that launches need
def test_other_settings_of_numbas_change_no_bit() -> None:
    """A dump of LLVM IR used to cost the fused multiply-adds; bounds checks would have come into the store."""
    digests = set()
    dumped = {"NUMBA_DUMP_LLVM": "1", "NUMBA_BOUNDSCHECK": "1"}
    for settings in ({}, dumped, {"NUMBA_DEBUGINFO": "1", "NUMBA_OPT": "0"}):
        done = run(SUMS, **settings, NUMGRAD_KERNEL_STORE="off")
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.splitlines()[-1])
    assert len(digests) == 1
