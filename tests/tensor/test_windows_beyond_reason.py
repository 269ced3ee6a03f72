"""Windows, steps and paddings far beyond the image: the work is bounded by the elements that there are, or it is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

import numgrad as ng

FAR = (1_000, 2**30, 2**40, 2**61)
SHAPES = {  # input and weight; each takes another kernel
    "few channels": ((1, 3, 5, 5), (4, 3, 3, 3), 1),
    "many channels": ((2, 16, 8, 8), (16, 16, 3, 3), 1),
    "depthwise": ((2, 8, 8, 8), (8, 1, 3, 3), 8),
    "groups": ((2, 64, 8, 8), (64, 16, 3, 3), 4),
    "one tap": ((1, 4, 6, 6), (4, 4, 1, 1), 1),
    "few pixels": ((1, 16, 6, 6), (32, 16, 1, 1), 1),
}


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize("name", SHAPES)
def test_convolutions_with_far_steps(name: str, far: int) -> None:
    shape, weight, groups = SHAPES[name]
    taps = weight[2]
    for params in (
        {"stride": far},
        {"stride": far, "padding": far},
        {"stride": (far, 1), "padding": (far, 1)},
        {"stride": (1, far), "padding": (1, far)},
        *([{"padding": far, "dilation": far}] if taps == 3 else [{"dilation": far}]),
    ):
        x = ng.ones(*shape, requires_grad=True)
        w = ng.ones(*weight, requires_grad=True)
        begin = time.perf_counter()
        y = ng.nn.functional.conv2d(x, w, None, groups=groups, **params)
        y.sum().backward()
        assert time.perf_counter() - begin < 20  # kernels may have to be compiled
        extents = [_seen(shape[2 + axis], taps, params, axis) for axis in range(2)]
        pairs = shape[0] * weight[0] * weight[1] * extents[0] * extents[1]
        assert x.grad is not None
        assert w.grad is not None
        assert x.grad.sum().item() == w.grad.sum().item() == y.sum().item() == pairs


def _seen(extent: int, taps: int, params: dict[str, Any], axis: int) -> int:
    """Pairs of an output and a tap that see a pixel, along one axis."""
    step, pad, spread = (
        value[axis] if isinstance(value, tuple) else value
        for value in (params.get("stride", 1), params.get("padding", 0), params.get("dilation", 1))
    )
    outputs = (extent + 2 * pad - spread * (taps - 1) - 1) // step + 1
    return sum(0 <= q * step - pad + t * spread < extent for q in range(outputs) for t in range(taps))


@pytest.mark.parametrize("step", [2, 3, 7])
def test_gradients_of_strided_convolutions_are_torchs(step: int, torch: Any) -> None:
    for shape, weight in (
        ((2, 8, 11, 9), (8, 8, 3, 3)),
        ((1, 16, 5, 13), (16, 16, 5, 1)),
        ((2, 4, 6, 6), (4, 4, 1, 1)),
    ):
        results = []
        for lib in (ng, torch):
            x = (lib.arange(float(_count(shape))).reshape(shape) % 7).requires_grad_()
            w = (lib.arange(float(_count(weight))).reshape(weight) % 5 - 2).requires_grad_()
            y = lib.nn.functional.conv2d(x, w, None, stride=step, padding=0 if weight[2] == 1 else (weight[2] // 2, 0))
            (y * y).sum().backward()
            results.append((y.tolist(), x.grad.tolist(), w.grad.tolist()))
        assert results[0] == results[1]


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


LARGEST = 2**31 - 1
POOLS = (
    (LARGEST, 1, LARGEST // 2, 1),
    (LARGEST, LARGEST, LARGEST // 2, 1),
    ((LARGEST, 3), (2**30, 1), (LARGEST // 2, 1), 1),
    ((3, LARGEST), (1, 2**30), (1, LARGEST // 2), 1),
    (3, LARGEST, 1, 1),
    (2**20 + 1, 3, 2**19, 1),
    (2, 2, 1, 4),
    ((5, 2), 1, (2, 1), (1, 3)),
)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("window", POOLS, ids=str)
def test_pooling_with_far_windows(window: tuple[Any, ...], channels_last: bool) -> None:
    size, stride, padding, dilation = window
    image = ng.arange(50.0).reshape(1, 2, 5, 5)
    layout = ng.channels_last if channels_last else ng.contiguous_format
    functional = ng.nn.functional
    x = image.clone(memory_format=layout).requires_grad_()
    begin = time.perf_counter()
    y = functional.max_pool2d(x, size, stride, padding, dilation)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.sum().item() == y.numel()
    assert y.max().item() <= 49
    if dilation == 1:
        x = image.clone(memory_format=layout).requires_grad_()
        z = functional.avg_pool2d(x, size, stride, padding, count_include_pad=False)
        z.sum().backward()
        assert x.grad is not None
        assert x.grad.sum().item() == pytest.approx(z.numel(), rel=1e-5)
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize("argument", ["kernel_size", "stride", "padding", "dilation"])
def test_extents_of_windows_are_of_32_bits(argument: str) -> None:
    given = {"kernel_size": 2, "stride": 1, "padding": 0, argument: 2**31}
    with pytest.raises(RuntimeError, match=f"integer out of range: {argument}"):
        ng.nn.functional.max_pool2d(ng.ones(1, 1, 4, 4), **given)
    if argument != "dilation":
        with pytest.raises(RuntimeError, match=f"integer out of range: {argument}"):
            ng.nn.functional.avg_pool2d(ng.ones(1, 1, 4, 4), **given)


def test_padding_beyond_what_can_be_counted_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expected padding to be at most"):
        ng.nn.functional.conv2d(ng.ones(1, 1, 4, 4), ng.ones(1, 1, 2, 2), stride=2**62, padding=2**62)


def test_the_calls_of_the_report_end() -> None:
    text = (
        "import numgrad as ng\n"
        "F = ng.nn.functional\n"
        "x = ng.ones(1, 3, 8, 8, requires_grad=True)\n"
        "w = ng.ones(4, 3, 3, 3, requires_grad=True)\n"
        "F.conv2d(x, w, stride=2**40, padding=2**40).sum().backward()\n"
        "try:\n"
        "    F.max_pool2d(x, 2**31, padding=2**30)\n"
        "except RuntimeError:\n"
        "    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr[-2000:]


def test_work_of_months_is_refused() -> None:
    x = ng.ones(1).expand(2**60)
    for reduce in (ng.sum, ng.max, ng.argmax, ng.all, ng.norm, ng.softmax):
        with pytest.raises((RuntimeError, MemoryError)):
            reduce(*((x, 0) if reduce is ng.softmax else (x,)))
    assert x[:5].sum().item() == 5
