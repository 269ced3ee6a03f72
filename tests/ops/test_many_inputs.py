"""Ops of any number of inputs: tables of addresses in the place of arguments on the stack."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

import numgrad as ng
from numgrad.registry import OPS
from numgrad.runtime import program

SIZES = (1, 16, 17, 61, 300, 2_048, 10_000)


@pytest.mark.parametrize("count", SIZES)
def test_cat_and_stack_of_many(count: int) -> None:
    arrays = [np.arange(6.0).reshape(2, 3) + number for number in range(count)]
    parts = [ng.tensor(array) for array in arrays]
    assert np.array_equal(ng.cat(parts).numpy(), np.concatenate(arrays))
    assert np.array_equal(ng.cat(parts, 1).numpy(), np.concatenate(arrays, 1))
    for dim in range(3):
        assert np.array_equal(ng.stack(parts, dim).numpy(), np.stack(arrays, dim))


@pytest.mark.parametrize("dtype", [ng.float32, ng.float64, ng.int64, ng.int32, ng.uint8, ng.bool])
def test_of_every_dtype_and_layout(dtype: ng.dtype) -> None:
    rng = np.random.default_rng(0)
    base = ng.tensor(rng.integers(0, 2, (4, 6, 5))).to(dtype)
    kinds = [
        base,
        base.permute(2, 1, 0)[:4, :, :4].permute(0, 1, 2),
        base[:, ::2],
        base[:, :0],
        base[:1].expand(4, 6, 5),
    ]
    parts = [kind[:, :, :4] if kind.shape[2] > 4 else kind for kind in kinds] * 9
    expected = np.concatenate([part.numpy() for part in parts], 1)
    assert np.array_equal(ng.cat(parts, 1).numpy(), expected)


def test_large_ones_among_many_are_cut() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, extent)) for extent in [1, 40_000, 5, 20_000] * 30]
    assert np.array_equal(ng.cat([ng.tensor(a) for a in arrays], 1).numpy(), np.concatenate(arrays, 1))


@pytest.mark.parametrize("count", [17, 2_048])
def test_gradients_of_the_first_and_second_order(count: int) -> None:
    leaves = [ng.full((2,), float(number), requires_grad=True) for number in range(count)]
    for join in (ng.cat, ng.stack):
        grads = ng.autograd.grad((join(leaves) ** 3).sum(), leaves, create_graph=True)
        assert [grad.tolist() for grad in grads[-2:]] == [[3.0 * n * n] * 2 for n in (count - 2, count - 1)]
        seconds = ng.autograd.grad(sum((grad * grad).sum() for grad in grads[::5]), leaves, materialize_grads=True)
        for number, second in enumerate(seconds):
            expected = 36.0 * number**3 if number % 5 == 0 else 0.0
            assert second.tolist() == pytest.approx([expected] * 2, rel=1e-5)


def test_gradients_of_pieces_come_back_by_one_node() -> None:
    x = ng.arange(12.0).reshape(6, 2).requires_grad_()
    for pieces in (x.unbind(), x.split(1), x.split([1, 2, 3]), list(x), x.chunk(6)):
        nodes = {piece.grad_fn for piece in pieces}
        assert len(nodes) == 1
        (grad,) = ng.autograd.grad((pieces[0] ** 2).sum() + pieces[-1].sum(), x)
        assert grad[0].tolist() == [0.0, 2.0]
        assert grad[-1].tolist() == [1.0, 1.0]
        assert grad[1].tolist()[0] in (0.0, 1.0)


def test_parameters_as_a_vector_and_their_norm() -> None:
    parameters = [ng.nn.Parameter(ng.ones(3)) for _ in range(2_100)]
    (ng.nn.utils.parameters_to_vector(parameters) ** 2).sum().backward()
    assert ng.nn.utils.clip_grad_norm_(parameters, 1.0).item() == pytest.approx((4 * 6_300) ** 0.5)
    assert parameters[-1].grad is not None
    assert parameters[-1].grad[0].item() == pytest.approx(6_300**-0.5, rel=1e-4)


def test_a_recording_of_many_inputs_reads_what_they_hold_now() -> None:
    parts = [ng.full((2,), float(number)) for number in range(1_500)]
    with ng.compile.Recording() as recording:
        joined = ng.cat(parts)
    joined.fill_(0)
    parts[1_499].fill_(-1.0)
    OPS["cat"].plans.clear()
    recording.replay()
    assert joined[-4:].tolist() == [1498.0, 1498.0, -1.0, -1.0]
    assert joined[2].item() == 1.0


def test_wide_plans_are_not_kept_for_ever() -> None:
    one = ng.ones(1)
    OPS["cat"].plans.clear()
    ng.cat([one] * 40_000)
    assert not OPS["cat"].plans
    for count in range(5_000, 5_150):
        ng.cat([one] * count)
    assert sum(len(key) for key in OPS["cat"].plans) < 1 << 19  # of some 760,000 specs


def test_the_time_is_linear() -> None:
    def seconds(count: int) -> float:
        leaves = [ng.ones(1, requires_grad=True) for _ in range(count)]
        begin = time.process_time()  # others may be at work on the machine
        ng.stack(leaves).sum().backward()
        return time.process_time() - begin

    seconds(1_000)
    few, many = min(seconds(1_000) for _ in range(3)), min(seconds(16_000) for _ in range(2))
    assert many < 16 * 6 * few  # 256 times, were it quadratic


def test_more_inputs_than_a_stack_holds_do_not_end_the_process() -> None:
    """A million addresses take 8 MB, the usual stack; a hundred thousand are more than a thread has here."""
    text = (
        "import threading\n"
        "import numgrad as ng\n"
        "x = ng.ones(1, requires_grad=True)\n"
        "def use(count):\n"
        "    y = ng.cat([x] * count)\n"
        "    y.sum().backward()\n"
        "    assert y.shape == (count,) and x.grad.item() == count, y\n"
        "    x.grad = None\n"
        "    print(count)\n"
        "use(2_000)\n"  # compiles, which takes more stack
        "threading.stack_size(1 << 18)\n"
        "thread = threading.Thread(target=use, args=(100_000,))\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "2000\n100000\n"), done.stderr[-2000:]


def test_a_table_is_what_the_executor_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [ng.full((3,), float(number)) for number in range(200)]
    OPS["cat"].plans.clear()
    expected = ng.cat(parts)
    monkeypatch.setattr(program, "_MOST_ADDRESSES", 20)
    OPS["cat"].plans.clear()
    assert ng.equal(ng.cat(parts), expected)
