"""numgrad under torch's name, in a process of its own: the real torch is the oracle of this one."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from numgrad.utils import as_torch
as_torch()
as_torch()
import torch, torchvision
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.data
import torch.jit
from torch import Tensor, optim
from torch.jit import script
from torch.nn.modules.module import Module
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms
from torchvision.utils import make_grid
import numgrad
assert torch.nn is numgrad.nn and F is numgrad.nn.functional and Module is numgrad.nn.Module and script(len) is len
assert torch.utils.data.DataLoader is DataLoader is numgrad.utils.data.DataLoader
assert numgrad.nn.__spec__.name == numgrad.nn.__name__ == "numgrad.nn", "its modules are left as they are"
assert torch.__version__ >= "2" and torch.__version__.endswith(numgrad.__version__) and torch.version.cuda is None
assert "ones" in dir(torch) and isinstance(torch.ones(2), Tensor) and torchvision.models is numgrad.models
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
optimizer = optim.SGD(model.parameters(), lr=0.1)
for x, y in DataLoader(TensorDataset(torch.ones(4, 3), torch.ones(4, 1)), batch_size=2):
    F.mse_loss(model(x), y).backward()
    optimizer.step()
for name in ("torch.fft", "torch.no_such_module", "torchvision.nn", "torchvision.ops"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        assert name in str(error), error
    else:
        raise AssertionError(name)
try:
    torch.fft
except AttributeError as error:
    assert "numpy.fft" in str(error)
assert not hasattr(torchvision, "ones") and "torch" not in repr(type(torch.ones(1)))
print("done")
"""


def _output(program: str) -> str:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert not run.returncode, run.stderr
    return run.stdout


def test_what_imports_torch_gets_numgrad() -> None:
    assert _output(PROGRAM).split() == ["done"]


def test_the_real_one_stays() -> None:
    pytest.importorskip("torch")
    program = """
import torch
from numgrad.utils import as_torch
try:
    as_torch()
except RuntimeError as error:
    print(error)
"""
    assert "as_torch: torch was imported before" in _output(program)
