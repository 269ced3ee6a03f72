"""Promises about the code itself: layers, imports, sizes, no prints, documentation, the names that are public."""

from __future__ import annotations

import ast
import functools
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import numgrad
from numgrad.tensor.surface import functions_of

PACKAGE = Path(numgrad.__file__).parent
ROOT = Path(__file__).parents[2]
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]
MOST_LINES, MOST_ENGINE_LINES = 500, 1300
# What a Tensor is, half of it examples: one class, which is no easier to read in two files.
LONGER = {"tensor/tensor.py": 920}


@functools.cache
def trees() -> dict[Path, ast.Module]:
    """The syntax tree of each file."""
    return {path: ast.parse(path.read_text("utf-8")) for path in FILES}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def test_importing_numgrad_imports_no_compiler_and_no_torch() -> None:
    heavy = ["numba", "llvmlite", "torch", "pooch", "PIL", "matplotlib", "igraph", "scipy", "hypothesis", "pytest"]
    seldom = [
        f"numgrad.{name}" for name in ("compile", "distributed", "loops", "models", "profiler", "serialization", "viz")
    ]
    code = f"import numgrad, sys; print([name for name in {heavy + seldom} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_no_part_of_the_package_has_the_name_of_a_function() -> None:
    """It would take the function's place when it is imported, but for one that is imported before functions get their names."""
    parts = {part.name for part in pkgutil.iter_modules(numgrad.__path__)}
    assert parts & functions_of("function").keys() == {"tensor"}


def test_importing_numgrad_writes_and_warns_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import numgrad"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_layers() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed: pip install '.[dev]'")
    done = subprocess.run([command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]


def test_compilers_are_imported_inside_functions_or_by_those_who_compile() -> None:
    """A kernel's file that imported Numba at its top would make every process pay for it."""
    compiling = {f"runtime/{name}.py" for name in ("codegen", "numba_ir", "numba_ssa", "numba_values")}
    for path, tree in trees().items():
        if str(path.relative_to(PACKAGE)) in compiling:
            continue
        for node in tree.body:
            names = (
                [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            )
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert not {name.split(".")[0] for name in names} & {"numba", "llvmlite"}, path


def test_no_file_is_too_long() -> None:
    lines = {name: len((PACKAGE / name).read_text("utf-8").splitlines()) for name in NAMES}
    assert {name: count for name, count in lines.items() if count > LONGER.get(name, MOST_LINES)} == {}


def test_the_engine_can_be_read_in_one_sitting() -> None:
    assert (
        sum(len(path.read_text("utf-8").splitlines()) for path in (PACKAGE / "engine").glob("*.py"))
        <= MOST_ENGINE_LINES
    )


def test_the_library_does_not_print() -> None:
    for path, tree in trees().items():
        if path.relative_to(PACKAGE).parts[0] in ("cli", "__main__.py"):
            continue
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        assert not [call.lineno for call in calls if call.func.id == "print"], path  # type: ignore[attr-defined]


def test_no_error_is_swallowed_whole() -> None:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                silent = all(isinstance(statement, ast.Pass) for statement in node.body)
                everything = node.type is None or (
                    isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
                )
                assert not (silent and everything), f"{path}:{node.lineno}"


def test_only_the_config_reads_the_environment() -> None:
    allowed = {"config.py"}
    for path, tree in trees().items():
        if str(path.relative_to(PACKAGE)) in allowed:
            continue
        reads = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in ("environ", "getenv")
            and isinstance(node.value, ast.Name)
        ]
        others = [line for line in reads if "NUMGRAD" in path.read_text("utf-8").splitlines()[line - 1]]
        assert not others, path


def test_only_plans_and_replays_launch() -> None:
    """All numbers come through one door."""
    for path, tree in trees().items():
        name = str(path.relative_to(PACKAGE))
        if name.split("/")[0] in ("runtime", "compile"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "numgrad.runtime.program":
                assert "launch" not in [alias.name for alias in node.names], name
            if isinstance(node, ast.Attribute) and node.attr == "launch" and isinstance(node.value, ast.Name):
                assert node.value.id != "program", name


def test_locks_are_made_in_one_place() -> None:
    """A fork knows all of them, and what is done about it: `runtime.locks`. So nobody else's handlers run at a fork."""
    makers = set(
        "Barrier BoundedSemaphore Condition Event Lock LockType RLock Semaphore Timer allocate_lock cached_property "
        "Queue LifoQueue PriorityQueue SimpleQueue register_at_fork".split()
    )  # in Python 3.11 a cached_property has a lock, too
    allowed = {
        "runtime/locks.py": makers,
        "profiler.py": {"Event"},  # a class of its own
        "cli/warmup.py": {"Queue"},  # of one call of a command, which does not fork
        "runtime/ahead.py": {"SimpleQueue"},  # in a process of its own, which does not fork
        "utils/data/worker.py": {"SimpleQueue"},  # between the two threads of a loader's worker, made after the fork
    }
    for path, tree in trees().items():
        name = str(path.relative_to(PACKAGE))
        nodes = list(ast.walk(tree))
        names = {
            *[node.attr for node in nodes if isinstance(node, ast.Attribute)],
            *[node.id for node in nodes if isinstance(node, ast.Name)],
            *[a.name for node in nodes if isinstance(node, ast.ImportFrom) for a in node.names],
        }
        assert not names & makers - allowed.get(name, set()), name
