"""NUMGRAD_PYTHON=1: kernels as plain Python, which a debugger steps through; the same results."""

from __future__ import annotations

from tests.runtime.processes import run

DEBUGGED = """
import bdb
import numgrad as ng

x = ng.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
loops = {name: set() for name in ("elementwise_tanh", "reduce_inner", "elementwise_tanh_backward")}

class Debugger(bdb.Bdb):
    def user_line(self, frame):
        if frame.f_code.co_name in loops:
            loops[frame.f_code.co_name].add(frame.f_locals.get("i"))
        self.set_step()

debugger = Debugger()
debugger.set_trace()
x.tanh().sum().backward()
debugger.set_quit()
print(loops)
print(x.grad)
"""


def test_a_debugger_steps_from_a_method_into_its_loop():
    done = run(DEBUGGED, NUMGRAD_PYTHON="1")
    assert not done.returncode, done.stderr
    loops, grad = done.stdout.splitlines()
    assert loops.count("{0, 1, 2, None}") == 2
    assert "'reduce_inner': {None}" in loops  # its loop is in a device function
    assert grad == "tensor([[0.7864, 0.4200, 0.0707]])"


EVERY_OP = """
from tests.ops.test_forward import has_floats, test_forward_is_the_oracle_and_operands_stay as check
from tests.ops.rows import SAMPLES

samples = [next((row for row in rows if not row.moments and has_floats(row)), None) for rows in SAMPLES.values()]
samples = [sample for sample in samples if sample is not None]
for sample in samples:
    check(sample, "float32")
print(len(samples))
"""


def test_every_op_computes_the_same_in_plain_python():
    done = run(EVERY_OP, NUMGRAD_PYTHON="1")
    assert not done.returncode, done.stderr
    assert int(done.stdout) > 120


TRAINING = """
import numgrad as ng
from numgrad import nn

ng.manual_seed(0)
model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
for make in (ng.optim.SGD, ng.optim.Adam):
    optimizer = make(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model(ng.ones(2, 2, 4, 4)), ng.tensor([1, 3]))
    loss.backward()
    optimizer.step()
print(*[f"{value:.4f}" for p in model.parameters() for value in p.reshape(-1).tolist()[:4]])
"""


def test_a_training_step_runs_among_compiled_launches():
    plain, compiled = run(TRAINING, NUMGRAD_PYTHON="1"), run(TRAINING, NUMGRAD_PYTHON="0")
    assert not plain.returncode, plain.stderr
    assert plain.stdout == compiled.stdout


REFUSED = """
import numgrad as ng

x = ng.tensor([4, 7])
try:
    x // ng.tensor([2, 0])
except RuntimeError as error:
    print(error)
try:
    x.gather(0, ng.tensor([5]))
except IndexError as error:
    print(error)
"""


def test_a_kernels_status_becomes_the_same_error():
    plain, compiled = run(REFUSED, NUMGRAD_PYTHON="1"), run(REFUSED, NUMGRAD_PYTHON="0")
    assert not plain.returncode, plain.stderr
    assert len(plain.stdout.splitlines()) == 2
    assert plain.stdout == compiled.stdout
