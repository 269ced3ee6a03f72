"""Module: attributes, the tree, modes, state, hooks, copies."""

from __future__ import annotations

import copy
import io
import pickle
from collections import OrderedDict
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import Library, ours, outcome, theirs


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False))
        self.scale = nn.Parameter(ng.tensor(2.0))
        self.register_buffer("kept", ng.ones(2))
        self.register_buffer("dropped", ng.ones(2), persistent=False)

    def forward(self, x: ng.Tensor) -> ng.Tensor:
        return self.last(self.norm(self.first(x))) * self.scale + self.kept


KEYS = [
    "scale",
    "kept",
    "first.weight",
    "first.bias",
    "norm.weight",
    "norm.bias",
    "norm.running_mean",
    "norm.running_var",
    "norm.num_batches_tracked",
    "last.1.weight",
]


def test_names_and_order() -> None:
    model = Small()
    assert list(model.state_dict()) == KEYS
    parameters = [name for name in KEYS if "running" not in name and "batches" not in name and name != "kept"]
    assert [name for name, _ in model.named_parameters()] == parameters
    buffers = ["kept", "dropped", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"]
    assert [name for name, _ in model.named_buffers()] == buffers
    assert [name for name, _ in model.named_children()] == ["first", "norm", "last"]
    assert [name for name, _ in model.named_modules()] == ["", "first", "norm", "last", "last.0", "last.1"]
    assert [name for name, _ in model.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in model.first.named_parameters(prefix="x")] == ["x.weight", "x.bias"]


def test_shared_members_come_once() -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, layer)
    assert len(list(model.parameters())) == 2
    assert len(list(model.modules())) == 2
    assert len(list(model.named_parameters(remove_duplicate=False))) == 4
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_replacing_attributes_changes_their_kind() -> None:
    model = Small()
    model.first = nn.Linear(3, 4, bias=False)
    assert "first.bias" not in model.state_dict()
    model.norm = None
    assert model.norm is None
    assert not any("norm" in name for name in model.state_dict())
    model.kept = nn.Parameter(ng.ones(2))
    assert "kept" in dict(model.named_parameters())
    assert "kept" not in dict(model.named_buffers())
    del model.scale
    assert not hasattr(model, "scale")
    model.plain = 3
    model.plain = nn.Identity()
    assert isinstance(model._modules["plain"], nn.Identity)
    assert "plain" not in model.__dict__


def test_a_replaced_head_is_the_only_one_that_learns() -> None:
    model = Small()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.last[1] = nn.Linear(4, 2)
    model(ng.ones(5, 3)).sum().backward()
    learnt = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert learnt == ["last.1.weight", "last.1.bias"]


CASES: dict[str, Any] = {
    "module before init": lambda lib: _before_init(lib, lambda m: setattr(m, "a", lib.nn.ReLU())),
    "parameter before init": lambda lib: _before_init(lib, lambda m: setattr(m, "a", lib.nn.Parameter(lib.t.ones(1)))),
    "buffer before init": lambda lib: _before_init(lib, lambda m: m.register_buffer("a", lib.t.ones(1))),
    "no forward": lambda lib: type("Empty", (lib.nn.Module,), {})()(1),
    "tensor as parameter": lambda lib: setattr(lib.nn.Linear(2, 3), "weight", lib.t.ones(3, 2)),
    "int as parameter": lambda lib: setattr(lib.nn.Linear(2, 3), "weight", 3),
    "int as module": lambda lib: setattr(lib.nn.Sequential(lib.nn.ReLU()), "0", 3),
    "no attribute": lambda lib: lib.nn.Linear(2, 3).foo,
    "deleting nothing": lambda lib: delattr(lib.nn.Linear(2, 3), "foo"),
    "parameter name int": lambda lib: lib.nn.ReLU().register_parameter(3, None),
    "parameter name dot": lambda lib: lib.nn.ReLU().register_parameter("a.b", None),
    "parameter name empty": lambda lib: lib.nn.ReLU().register_parameter("", None),
    "parameter name taken": lambda lib: lib.nn.ReLU().register_parameter("forward", None),
    "parameter of tensor": lambda lib: lib.nn.ReLU().register_parameter("w", lib.t.ones(1)),
    "buffer name int": lambda lib: lib.nn.ReLU().register_buffer(3, None),
    "buffer name taken": lambda lib: lib.nn.ReLU().register_buffer("forward", None),
    "module name dot": lambda lib: lib.nn.ReLU().add_module("a.b", lib.nn.ReLU()),
    "module name empty": lambda lib: lib.nn.ReLU().add_module("", lib.nn.ReLU()),
    "module name taken": lambda lib: lib.nn.ReLU().add_module("forward", lib.nn.ReLU()),
    "module of int": lambda lib: lib.nn.ReLU().add_module("a", 3),
    "train of int": lambda lib: lib.nn.ReLU().train(1),
    "submodule": lambda lib: lib.nn.Linear(2, 3).get_submodule("a.b"),
    "submodule parameter": lambda lib: lib.nn.Linear(2, 3).get_submodule("weight"),
    "get parameter": lambda lib: lib.nn.Linear(2, 3).get_parameter("a"),
    "get parameter of method": lambda lib: lib.nn.Linear(2, 3).get_parameter("forward"),
    "get buffer": lambda lib: lib.nn.Linear(2, 3).get_buffer("a"),
    "state of int": lambda lib: lib.nn.Linear(2, 3).load_state_dict(3),
    "state empty": lambda lib: lib.nn.Linear(2, 3).load_state_dict({}),
    "state wrong": lambda lib: lib.nn.Linear(2, 3).load_state_dict({"weight": lib.t.ones(2, 2), "foo": 1}),
    "state of numbers": lambda lib: lib.nn.Linear(2, 3).load_state_dict({"weight": 5, "bias": lib.t.ones(3)}),
    "state nested": lambda lib: lib.nn.Sequential(lib.nn.Sequential(lib.nn.Linear(2, 3))).load_state_dict(
        {"0.0.weight": lib.t.ones(3, 2), "0.0.q": 1, "0": 1, "y.z": 1, "0.0.weight.z": 1}
    ),
    "state right": lambda lib: lib.nn.Linear(2, 3).load_state_dict(lib.nn.Linear(2, 3).state_dict()),
    "state not strict": lambda lib: lib.nn.Linear(2, 3).load_state_dict({"foo": 1}, strict=False).missing_keys,
    "repr empty": lambda lib: lib.nn.Sequential(),
    "repr nested": lambda lib: lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.Sequential(lib.nn.ReLU(), lib.nn.Tanh())),
    "parameter of ints": lambda lib: lib.nn.Parameter(lib.t.ones(2), requires_grad=False),
    "parameter repr": lambda lib: lib.nn.Parameter(lib.t.ones(2)),
    "parameter empty": lambda lib: lib.nn.Parameter(),
}


def _before_init(lib: Library, use: Any) -> None:
    class Early(lib.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            use(self)

    Early()


@pytest.mark.parametrize("name", CASES)
def test_words_are_torchs(name: str, torch_says: Any) -> None:
    assert list(outcome(CASES[name], ours())) == torch_says(lambda torch: outcome(CASES[name], theirs(torch)))


def test_to_int_is_refused() -> None:
    with pytest.raises(TypeError, match=r"nn\.Module\.to only accepts floating point"):
        nn.Linear(2, 3).to(ng.int32)
    with pytest.raises(RuntimeError, match="device is 'cuda:0'"):
        nn.Linear(2, 3).to("cuda:0")


def test_integer_parameters_must_not_require_a_gradient() -> None:
    with pytest.raises(RuntimeError, match="Only Tensors of floating point"):
        nn.Parameter(ng.tensor([1]))
    assert nn.Parameter(ng.tensor([1]), requires_grad=False).dtype is ng.int64


def test_a_refused_state_changes_nothing() -> None:
    model = Small()
    before = {name: np.array(value) for name, value in model.state_dict().items()}
    wrong = OrderedDict((name, value + 1) for name, value in model.state_dict().items())
    wrong["last.1.weight"] = ng.ones(3)
    with pytest.raises(RuntimeError, match=r"size mismatch for last\.1\.weight"):
        model.load_state_dict(wrong)
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(wrong, strict=False)
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


def test_state_is_a_view_and_loading_copies() -> None:
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    state = other.state_dict()
    assert not any(value.requires_grad for value in state.values())
    model.load_state_dict(state)
    state["weight"].zero_()
    assert bool((other.weight == 0).all())
    assert not bool((model.weight == 0).any())


def test_state_of_arrays_and_of_another_dtype() -> None:
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": np.array([3], np.int32)})
    assert model.weight.dtype is ng.float32
    assert model(ng.ones(1, 2)).item() == 6


def test_assign_takes_the_tensors() -> None:
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": ng.ones(1, 2, dtype=ng.float64), "bias": ng.ones(1)}, assign=True)
    assert model.weight.dtype is ng.float64
    assert isinstance(model.weight, nn.Parameter)
    assert model.weight.requires_grad


def test_batch_norm_counter_of_old_checkpoints() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2))
    model[0].num_batches_tracked.fill_(7)
    new = model.state_dict()
    assert new._metadata["0"] == {"version": 2}
    old = OrderedDict((name, value) for name, value in new.items() if "batches" not in name)
    assert str(model.load_state_dict(old)) == "<All keys matched successfully>"
    assert model[0].num_batches_tracked.item() == 7
    del new["0.num_batches_tracked"]
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict(new)


def test_train_and_eval_reach_all() -> None:
    model = Small()
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())


def test_zero_grad() -> None:
    model = nn.Linear(2, 1)
    model(ng.ones(1, 2)).sum().backward()
    held = model.weight.grad
    model.zero_grad(set_to_none=False)
    assert bool((held == 0).all())
    assert bool((model.weight.grad == 0).all())
    model.zero_grad()
    assert model.weight.grad is None


def test_double_keeps_identity_and_layout() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    weight = model[0].weight
    model(ng.ones(1, 3, 5, 5)).sum().backward()
    assert model.double() is model
    assert model[0].weight is weight
    assert weight.dtype is ng.float64
    assert weight.grad.dtype is ng.float64
    assert model[1].running_mean.dtype is ng.float64
    assert model[1].num_batches_tracked.dtype is ng.int64
    assert weight._spec.is_private
    assert model(ng.ones(1, 3, 5, 5, dtype=ng.float64)).dtype is ng.float64
    assert model.float()[0].weight.dtype is ng.float32


def test_apply_goes_children_first() -> None:
    seen: list[str] = []
    nn.Sequential(nn.ReLU(), nn.Tanh()).apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["ReLU", "Tanh", "Sequential"]


def test_hooks() -> None:
    model, calls = nn.Identity(), []
    pre = model.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    post = model.register_forward_hook(lambda module, args, output: calls.append(output) or output + 1)
    assert model(3) == 7
    assert calls == [6]
    pre.remove()
    with post:
        assert model(3) == 4
    assert model(3) == 3
    first = model.register_forward_hook(lambda module, args, output: f"{output}b")
    model.register_forward_hook(lambda module, args, output: f"{output}a", prepend=True)
    assert model("") == "ab"
    first.remove()
    first.remove()
    assert model("") == "a"


def test_hooks_with_keywords() -> None:
    class Sum(nn.Module):
        def forward(self, x: int, *, y: int = 0) -> int:
            return x + y

    model = Sum()
    model.register_forward_pre_hook(lambda module, args, kwargs: (args, {"y": 5}), with_kwargs=True)
    model.register_forward_hook(lambda module, args, kwargs, out: out * kwargs["y"], with_kwargs=True)
    assert model(1) == 30
    model.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="forward pre-hook must return None or a tuple"):
        model(1)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_copies_are_their_own(clone: Any) -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 1))
    model[0].weight.requires_grad_(False)
    twin = clone(model)
    assert str(twin) == str(model)
    assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in model.parameters()]
    assert all(type(p) is nn.Parameter for p in twin.parameters())
    assert twin[0].weight.stride() == model[0].weight.stride()
    x = ng.rand(4, 2, 3, 3)
    assert ng.equal(twin(x), model(x))
    with ng.no_grad():
        twin[3].weight.zero_()
    assert not bool((model[3].weight == 0).all())
    assert twin[1].num_batches_tracked.item() == 1


def test_deepcopy_keeps_ties() -> None:
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    model[1].weight = model[0].weight
    twin = copy.deepcopy(model)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not model[0].weight


def test_scalars_of_old_checkpoints_have_one_dimension() -> None:
    model = nn.BatchNorm2d(2)
    state = dict(model.state_dict())
    state["num_batches_tracked"] = ng.tensor([7])
    model.load_state_dict(state)
    assert model.num_batches_tracked.item() == 7
    assert model.num_batches_tracked.shape == ()


@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_a_state_goes_through_a_file(format: Any) -> None:
    model, other, file = Small(), Small(), io.BytesIO()
    ng.save(model.state_dict(), file, format=format)
    file.seek(0)
    assert str(other.load_state_dict(ng.load(file))) == "<All keys matched successfully>"
    for name, value in model.state_dict().items():
        assert ng.equal(value, other.state_dict()[name])


def test_a_saved_state_loads_into_torch(torch: ModuleType) -> None:
    model, file = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), io.BytesIO()
    model(ng.rand(2, 2, 5, 5))
    ng.save(model.state_dict(), file)
    file.seek(0)
    other = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    other.load_state_dict(torch.load(file, weights_only=True))
    for name, value in other.state_dict().items():
        assert np.array_equal(value.numpy(), model.state_dict()[name].numpy())
    file = io.BytesIO()
    torch.save(other.state_dict(), file)
    file.seek(0)
    state = ng.load(file)
    assert state._metadata["1"] == {"version": 2}
    model.load_state_dict(state)
