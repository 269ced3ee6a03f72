"""The wheel with compiled kernels: built, installed into a new environment, and nothing is compiled there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from numgrad.runtime import bundle, target
from tests.runtime import processes

FIRST = """
import hashlib, json, sys
from numgrad.runtime import build
compiled = []
build.listeners.append(lambda name, seconds: compiled.append(name))
import numgrad as ng
a = ng.tensor([2.0, 3.0], requires_grad=True)
b = ng.tensor([6.0, 4.0], requires_grad=True)
Q = 3 * a**3 - b**2
Q.backward(gradient=ng.tensor([1.0, 1.0]))
assert (9 * a**2 == a.grad).all()
print(json.dumps([a.grad.tolist(), b.grad.tolist(), len(compiled), "numba" in sys.modules, ng.__file__]))
"""


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != bundle.SYSTEM, reason="objects are ELF files")
def test_a_new_environment_compiles_nothing(tmp_path: Path) -> None:
    level = target.level()
    if level is None:
        pytest.skip("this CPU is of no kind that kernels are brought for")
    command = [sys.executable, "scripts/release_wheel.py", "--out", tmp_path / "dist", "--work", tmp_path / "work"]
    subprocess.run(
        [*command, "--levels", level.name, "--programs", "machine", "readme"], cwd=processes.ROOT, check=True
    )
    (wheel,) = (tmp_path / "dist").glob("numgrad-*-py3-none-any.whl")
    venv.create(tmp_path / "new", with_pip=False)
    scripts = tmp_path / "new" / ("Scripts" if os.name == "nt" else "bin")
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "new")}))
    # Of what numgrad needs, that of this environment; a line of a .pth file comes last on the path.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", scripts / "python", "install", "-q", "--no-deps", wheel], check=True
    )
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("NUMGRAD_", "NUMBA_", "PYTHONPATH"))
    }
    for path in packages.rglob("numgrad"):  # as where an administrator has installed it
        path.chmod(0o555)

    def first(**settings: str) -> list:
        environment = {**kept, "NUMGRAD_KERNEL_STORE": str(tmp_path / "store"), **settings}
        done = subprocess.run(
            [scripts / "python", "-c", FIRST], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return json.loads(done.stdout)

    *values, compiled, with_numba, where = first()
    assert Path(where).is_relative_to(packages)
    assert (compiled, with_numba) == (0, False)
    assert not list((tmp_path / "store").rglob("*.o"))
    *own, compiled, with_numba, _ = first(NUMGRAD_WHEEL_KERNELS="0", NUMGRAD_CPU=level.name)
    assert own == values
    assert compiled > 3
    assert with_numba
