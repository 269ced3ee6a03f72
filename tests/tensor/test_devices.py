"""Devices: one can be named, asked for and passed everywhere; another than the CPU is refused before anything is changed."""

from __future__ import annotations

import pickle
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.backends import cudnn
from numgrad.errors import DeviceError
from numgrad.tensor.keywords import CREATION

pytestmark = pytest.mark.filterwarnings("ignore:range is deprecated")

CREATED = {
    "arange": (3,), "empty": (2,), "eye": (2,), "full": ((2,), 1.0), "linspace": (0, 1, 3), "ones": (2,), "rand": (2,),
    "randint": (3, (2,)), "randn": (2,), "randperm": (3,), "tensor": ([1.0],), "zeros": (2,), "as_tensor": ([1.0],),
    "asarray": ([1.0],), "empty_permuted": ((2, 3), (1, 0)),
    "tril_indices": (2, 2), "triu_indices": (2, 2), "empty_strided": ((2,), (1,)), "logspace": (0, 1, 3),
    "normal": (0.0, 1.0, (2,)), "range": (0, 3), "scalar_tensor": (1.0,),
    **{f"{name}_window": (4,) for name in ("bartlett", "blackman", "hamming", "hann", "kaiser")},
}  # fmt: skip
LIKE = {
    "randint_like": (3,),
    "empty_like": (),
    "full_like": (1.0,),
    "ones_like": (),
    "rand_like": (),
    "randn_like": (),
    "zeros_like": (),
}
NEW = {
    "new_empty_strided": ((2,), (1,)),
    "new_empty": (2,),
    "new_full": ((2,), 1.0),
    "new_ones": (2,),
    "new_zeros": (2,),
    "new_tensor": ([1.0],),
}
CALLS: dict[str, Any] = {
    **{name: (lambda n=name, a=args, **k: getattr(ng, n)(*a, **k)) for name, args in CREATED.items()},
    **{name: (lambda n=name, a=args, **k: getattr(ng, n)(ng.ones(2), *a, **k)) for name, args in LIKE.items()},
    **{name: (lambda n=name, a=args, **k: getattr(ng.ones(2), n)(*a, **k)) for name, args in NEW.items()},
    "to": lambda **k: ng.ones(2).to(**k),
    "FloatTensor": lambda **k: ng.FloatTensor(2, **k),
    "new": lambda **k: ng.ones(2).new(2, **k),
    "Module.to": lambda **k: nn.Linear(1, 1).to(**k).weight,
    "Linear": lambda **k: nn.Linear(1, 1, **k).weight,
}

DEVICES = [
    "ng.device('cpu')", "ng.device('cpu', 0)", "ng.device('cuda:3')", "ng.device(type='cuda', index=1)",
    "ng.device(ng.device('cuda'))", "str(ng.device('cpu'))", "str(ng.device('cuda', 1))", "ng.device('foo')",
    "ng.device('cpu:a')", "ng.device('cpu:')", "ng.device('cpu:01')", "ng.device('cuda:1', 1)", "ng.device(0)",
    "ng.device(None)", "ng.device('cpu', 'a')", "ng.device('cpu') == 'cpu'", "ng.device('cpu') == ng.device('cpu:0')",
    "ng.device('cuda', 0) == ng.device('cuda:0')", "hash(ng.device('cuda', 0)) == hash(ng.device('cuda:0'))",
    "ng.device('meta').type", "ng.device('cuda').index", "ng.ones(2).get_device()", "ng.ones(2).is_cuda",
    "ng.ones(2).is_pinned()", "ng.get_default_device()", "ng.ones(2).device", "ng.cuda.is_available()",
    "ng.cuda.device_count()", "ng.cuda.memory_allocated()", "ng.backends.mps.is_available()",
    "ng.backends.cudnn.version()", "ng.ones(2, 3).nbytes", "ng.ones(2, device='cpu:0').device", "ng.ones(2, device=[1])",
    "ng.ones(2, device='foo')", "ng.ones(2).to('cpu', ng.float64, False, True).dtype", "ng.ones(2).to(ng.device('cpu'))",
    "ng.ones(2).to(device=ng.device('cpu'), dtype=ng.int32).dtype", "ng.ones(2).to(ng.zeros(1).double()).dtype",
    "ng.is_tensor(3)", "ng.ones(2).is_signed()", "ng.zeros(2, pin_memory=False, layout=ng.strided)",
    "ng.ones(2).cpu().device", "ng.empty(2, 3, 2, 2, memory_format=ng.channels_last).stride()",
    "ng.zeros_like(ng.ones(2, 3, 2, 2), memory_format=ng.channels_last).stride()",
    "ng.ones_like(ng.ones(2, 3).t(), memory_format=ng.contiguous_format).stride()",
    "ng.ones_like(ng.ones(2, 3).t()).stride()", "ng.empty(2, memory_format=ng.channels_last)",
    "ng.rand_like(ng.ones(2, 3, 2, 2), memory_format=ng.channels_last, requires_grad=True).is_leaf",
    "ng.randperm(5, dtype=ng.int32, device='cpu').dtype", "ng.randint(0, 2, (3,), dtype=ng.float32, requires_grad=True).is_leaf",
    "ng.zeros(size=(2, 3), device='cpu').shape", "ng.zeros(2, foo=1)", "ng.ones(2, device='cuda')", "ng.ones(2).cuda()",
    "ng.cuda.current_device()", "ng.cuda.get_device_name(0)", "ng.ones(2, pin_memory=True)", "ng.ones(2).pin_memory()",
    "ng.ones(2).to('cuda')", "ng.nn.Linear(1, 1).cuda()", "ng.nn.Linear(1, 1).to(ng.device('cpu'), ng.float64).weight.dtype",
]  # fmt: skip


def seen(value: Any) -> Any:
    return str(value).replace("torch.", "").replace("numgrad.", "")


def outcome(lib: Any, call: str) -> Any:
    try:
        return seen(eval(call, {"ng": lib}))
    except Exception as error:
        return error


@pytest.mark.torch
@pytest.mark.parametrize("call", DEVICES)
def test_it_is_as_in_torch(call: str) -> None:
    torch = pytest.importorskip("torch")
    mine, theirs = outcome(ng, call), outcome(torch, call)
    if isinstance(theirs, Exception):
        assert isinstance(mine, type(theirs)), (mine, theirs)
    else:
        assert mine == theirs


def test_each_function_that_makes_a_tensor_is_in_the_table() -> None:
    assert {name for name in CREATION if hasattr(ng, name) or hasattr(ng.Tensor, name)} <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_device_is_taken_or_refused(name: str) -> None:
    for device in ("cpu", ng.device("cpu"), ng.device("cpu:0"), None):
        assert CALLS[name](device=device).device == ng.device("cpu")
    for device in ("cuda", "cuda:1", ng.device("mps"), "meta", 0):
        with pytest.raises(RuntimeError, match="expected 'cpu'"):
            CALLS[name](device=device)
    with pytest.raises(AssertionError, match=r"ask numgrad\.cuda\.is_available\(\) first"):
        CALLS[name](device="cuda")


@pytest.mark.parametrize("name", [name for name, options in CREATION.items() if name in CALLS and "layout" in options])
def test_layout_and_pinned_memory_are_taken_or_refused(name: str) -> None:
    CALLS[name](layout=ng.strided, pin_memory=False)
    with pytest.raises(TypeError, match="layout"):
        CALLS[name](layout="sparse")
    with pytest.raises(RuntimeError, match="pin_memory"):
        CALLS[name](pin_memory=True)
    with pytest.raises(TypeError, match="pin_memory"):
        CALLS[name](pin_memory="yes")


def test_a_refused_device_changes_nothing() -> None:
    state = ng.get_rng_state()
    with pytest.raises(DeviceError):
        ng.rand(3, device="cuda")
    assert ng.equal(state, ng.get_rng_state())
    layer = nn.Linear(2, 2)
    with pytest.raises(DeviceError):
        layer.to("cuda", ng.float64)
    assert layer.weight.dtype is ng.float32


def test_devices_are_pickled_and_are_contexts() -> None:
    cuda = ng.device("cuda", 1)
    assert pickle.loads(pickle.dumps(cuda)) == cuda
    assert {cuda: 1}[ng.device("cuda:1")] == 1
    with ng.device("cpu:0") as device:
        assert ng.get_default_device() is device
        with pytest.raises(DeviceError), cuda:
            pass
        assert ng.get_default_device() is device
    assert ng.get_default_device() == ng.device("cpu")
    with pytest.raises(DeviceError):
        ng.set_default_device("cuda")


def test_cudnn_can_be_imported_and_set() -> None:
    before = cudnn.benchmark
    cudnn.benchmark = True
    assert ng.backends.cudnn.benchmark is True
    cudnn.benchmark = before


def test_the_names_of_another_device_are_refused(torch: ModuleType) -> None:
    assert ng.ones(2).type("torch.LongTensor").dtype is ng.int64
    with pytest.raises(DeviceError):
        ng.ones(2).type("torch.cuda.FloatTensor")
    for lib in (ng, torch):
        with pytest.raises(ValueError, match="invalid type: 'foo'"):
            lib.ones(2).type("foo")


def test_a_forked_generator_leaves_the_default_one() -> None:
    state = ng.get_rng_state()
    with pytest.raises(RuntimeError), ng.random.fork_rng(devices=[]):
        ng.matmul(ng.rand(2), ng.rand(3))
    assert ng.equal(state, ng.get_rng_state())
    with ng.random.fork_rng(enabled=False):
        ng.rand(2)
    assert not ng.equal(state, ng.get_rng_state())


def test_what_the_generators_of_arguments_draw() -> None:
    for draw in (
        lambda g: ng.zeros(4).uniform_(generator=g),
        lambda g: ng.zeros(4).normal_(0, 2, generator=g),
        lambda g: ng.rand_like(ng.zeros(4), generator=g),
        lambda g: ng.randn_like(ng.zeros(4), generator=g),
    ):
        state = ng.get_rng_state()
        one, two = (draw(ng.Generator(device="cpu").manual_seed(3)) for _ in range(2))
        assert ng.equal(one, two)
        assert ng.equal(state, ng.get_rng_state())
