"""What programs do with modules besides calling them: hooks of all kinds, extra state, buffers, submodules; as torch."""

from __future__ import annotations

import copy
import os
import pickle
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.test_module_hooks import plain
from tests.nn.twins import ours, outcome, theirs


def _modules(lib: Any) -> Any:
    return __import__(f"{lib.nn.__name__}.modules.module", fromlist=["module"])


def _watched(lib: Any, register: str, *, module: Any = None, **options: Any) -> Any:
    """What global hooks of one kind see of a forward and a backward, and that they see nothing after they are removed."""
    seen: list[Any] = []
    layer = lib.nn.Sequential(lib.nn.Tanh(), lib.nn.Sigmoid()) if module is None else module
    hook = lambda module, *args: seen.append((type(module).__name__, plain(args[:2])))  # noqa: E731
    handle = getattr(_modules(lib), register)(hook, **options)
    x = lib.tensor(np.array([0.0, 1.0], np.float32), requires_grad=True)
    layer(x).sum().backward()
    handle.remove()
    layer(x).sum().backward()
    return seen


class _Fails:
    """A module whose forward raises, with hooks that are always called."""

    def __new__(cls, lib: Any, everywhere: bool = False) -> Any:
        class Fails(lib.nn.Module):  # type: ignore[name-defined,misc]
            def forward(self, x: Any) -> Any:
                raise KeyError("forward")

        return Fails()


def _always(lib: Any) -> Any:
    seen: list[Any] = []
    module = _Fails(lib)
    module.register_forward_hook(lambda m, a, o: seen.append(("always", o)), always_call=True)
    module.register_forward_hook(lambda m, a, o: seen.append("not called"))
    module.register_forward_hook(lambda m, a, k, o: seen.append((k, o)), always_call=True, with_kwargs=True)
    handle = _modules(lib).register_module_forward_hook(lambda m, a, o: seen.append("global"), always_call=True)
    try:
        module(x=1)
    except KeyError as error:
        seen.append(str(error))
    finally:
        handle.remove()
    return seen


def _always_after_a_hook(lib: Any) -> Any:
    seen: list[Any] = []
    module = lib.nn.Identity()
    module.register_forward_hook(lambda m, a, o: seen.append(("first", o)), always_call=True)
    module.register_forward_hook(lambda m, a, o: 1 / 0)
    module.register_forward_hook(lambda m, a, o: seen.append(("last", o)), always_call=True)
    module.register_forward_hook(lambda m, a, o: [][1], always_call=True)
    try:
        module(3)
    except ZeroDivisionError as error:
        seen.append(str(error))
    return seen


def _older_backward_hook(lib: Any) -> Any:
    seen: list[Any] = []
    layer = lib.nn.Tanh()
    layer.register_backward_hook(lambda m, i, o: seen.append(plain((i, o))))
    x = lib.tensor(np.array([0.0, 1.0], np.float32), requires_grad=True)
    (layer(x * 1) * 2).sum().backward()
    return seen


def _both_kinds(lib: Any) -> Any:
    layer = lib.nn.Tanh()
    layer.register_full_backward_hook(lambda m, i, o: None)
    layer.register_backward_hook(lambda m, i, o: None)


def _registrations(lib: Any) -> Any:
    seen: list[Any] = []
    source = _modules(lib)
    handles = [
        getattr(source, f"register_module_{kind}_registration_hook")(
            lambda m, name, value, kind=kind: seen.append((kind, type(m).__name__, name))
        )
        for kind in ("buffer", "module", "parameter")
    ]
    module = lib.nn.Sequential(lib.nn.BatchNorm1d(2))
    module.other = lib.nn.Linear(1, 1)
    module.register_buffer("b", lib.t.ones(1))
    module.add_module("last", lib.nn.ReLU())
    for handle in handles:
        handle.remove()
    module.more = lib.nn.Linear(1, 1)
    return seen


def _replaced_registration(lib: Any) -> Any:
    with _modules(lib).register_module_module_registration_hook(lambda m, n, v: lib.nn.Tanh()):
        module = lib.nn.Sequential(lib.nn.ReLU())
    return module


def _extra(lib: Any, keep: bool = True) -> Any:
    class Extra(lib.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = lib.nn.Parameter(lib.t.ones(1))
            self.extra = 1

        def get_extra_state(self) -> Any:
            return {"extra": self.extra}

        def set_extra_state(self, state: Any) -> None:
            self.extra = state["extra"]

    return lib.nn.Sequential(Extra(), lib.nn.Linear(1, 1))


def _extra_state(lib: Any) -> Any:
    one, other = _extra(lib), _extra(lib)
    one[0].extra = 5
    state = one.state_dict()
    result = other.load_state_dict(state)
    return list(state), other[0].extra, str(result)


def _extra_missing(lib: Any) -> Any:
    state = _extra(lib).state_dict()
    del state["0._extra_state"]
    return _extra(lib).load_state_dict(state)


def _extra_unexpected(lib: Any) -> Any:
    state = lib.nn.Linear(1, 1).state_dict()
    state["_extra_state"] = 3
    return lib.nn.Linear(1, 1).load_state_dict(state)


def _buffers(lib: Any) -> Any:
    module = lib.nn.Module()
    module.a = lib.nn.Buffer(lib.t.ones(2))
    module.b = lib.nn.Buffer(lib.t.zeros(1), persistent=False)
    module.b = lib.t.ones(3)
    module.a = lib.nn.Buffer(lib.t.zeros(4), persistent=False)
    module.c = lib.nn.Buffer()
    return [(n, tuple(b.shape)) for n, b in module.named_buffers()], list(module.state_dict()), repr(module.c)


def _buffer_over_attribute(lib: Any) -> Any:
    module = lib.nn.Module()
    module.a = 3
    module.a = lib.nn.Buffer(lib.t.ones(2))


def _submodules(lib: Any) -> Any:
    return lib.nn.Sequential(lib.nn.Sequential(lib.nn.ReLU(), lib.nn.Tanh()), lib.nn.Linear(1, 1))


def _set(target: str, strict: bool = False, make: Any = lambda lib: lib.nn.ELU()) -> Any:
    def case(lib: Any) -> Any:
        model = _submodules(lib)
        model.set_submodule(target, make(lib), strict=strict)
        return model

    return case


def _super(lib: Any) -> Any:
    class Other:
        def __init__(self, a: int, b: int = 0) -> None:
            self.sum = a + b

    class Both(lib.nn.Module, Other):  # type: ignore[name-defined,misc]
        call_super_init = True

    return Both(1, b=2).sum, Both(3).sum


def _replacing_state_hook(lib: Any) -> Any:
    layer = lib.nn.Linear(1, 1)
    layer._register_state_dict_hook(lambda m, state, prefix, meta: {prefix + "all": len(state)})
    return dict(layer.state_dict())


def _without_module(lib: Any) -> Any:
    seen: list[Any] = []
    layer = lib.nn.Sequential(lib.nn.Linear(1, 1))
    layer[0]._register_load_state_dict_pre_hook(lambda state, prefix, *rest: seen.append((sorted(state), prefix)))
    layer[0]._register_load_state_dict_pre_hook(
        lambda m, s, prefix, *rest: seen.append((str(m), prefix)), with_module=True
    )
    layer.load_state_dict(layer.state_dict())
    return seen


def _save(lib: Any) -> Any:
    class Saves(lib.nn.Linear):  # type: ignore[name-defined,misc]
        def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
            super()._save_to_state_dict(destination, prefix, keep_vars)
            destination[prefix + "more"] = 1

    return list(lib.nn.Sequential(Saves(1, 1)).state_dict())


def _twice(lib: Any) -> Any:
    layer = lib.nn.ReLU()
    both = lib.nn.ModuleList([layer, layer])
    return [len(list(both.modules(remove_duplicate=once))) for once in (True, False)]


CASES: dict[str, Any] = {
    **{
        f"global {kind}": lambda lib, kind=kind: _watched(lib, f"register_module_{kind}_hook")
        for kind in ("forward_pre", "forward", "full_backward_pre", "full_backward")
    },
    "always called": _always,
    "always called after a hook": _always_after_a_hook,
    "older backward hook": _older_backward_hook,
    "both kinds of backward hooks": _both_kinds,
    "registrations": _registrations,
    "replaced registration": _replaced_registration,
    "extra state": _extra_state,
    "extra state missing": _extra_missing,
    "extra state unexpected": _extra_unexpected,
    "extra state of none": lambda lib: sorted(lib.nn.Linear(1, 1).state_dict()),
    "buffers": _buffers,
    "buffer over an attribute": _buffer_over_attribute,
    "set": _set("0.1"),
    "set new": _set("0.new"),
    "set new strictly": _set("0.new", True),
    "set nothing": _set(""),
    "set below nothing": _set("5.1"),
    "set over no module": _set("1.weight"),
    "set no module": _set("1", False, lambda lib: 3),
    "positional state": lambda lib: list(_submodules(lib).state_dict(None, "a.")),
    "modules as often as named": _twice,
    "multiple inheritance": _super,
    "arguments": lambda lib: lib.nn.Module(1),
    "keywords": lambda lib: lib.nn.Module(a=1),
    "state hook that replaces": _replacing_state_hook,
    "load hooks": _without_module,
    "saved besides": _save,
    "compile": lambda lib: lib.nn.Linear(1, 1).compile() if lib.t is ng else None,
    "apply to itself": lambda lib: [
        str(next(m.parameters()).dtype).rpartition(".")[2]
        for model in [_submodules(lib)]
        for m in [model._apply(lambda t: t.double(), recurse=False), model._apply(lambda t: t.double())]
    ],
    "to empty": lambda lib: [tuple(p.shape) for p in lib.nn.Linear(2, 3).to_empty(device="cpu").parameters()],
    "factory": lambda lib: sorted(lib.nn.factory_kwargs({"dtype": 1, "factory_kwargs": {"device": "cpu"}}).items()),
    "factory twice": lambda lib: lib.nn.factory_kwargs({"dtype": 1, "factory_kwargs": {"dtype": 2}}),
    "factory unknown": lambda lib: lib.nn.factory_kwargs({"a": 1}),
    "container": lambda lib: lib.nn.Container(a=lib.nn.ReLU(), b=lib.nn.Tanh()),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_torchs(name: str, torch_says: Any) -> None:
    mine, wanted = outcome(CASES[name], ours()), torch_says(lambda torch: outcome(CASES[name], theirs(torch)))
    assert mine[0] == wanted[0], mine
    assert mine[0] or mine[1] == wanted[1]
    assert mine[1].replace("numgrad.nn.Buffer, ", "").startswith(wanted[1].replace("numgrad.nn.Buffer, ", "")[:40])


def test_hooks_of_the_older_kind_warn_of_what_they_miss() -> None:
    x = ng.ones(2, requires_grad=True)
    for forward, match in (
        (lambda x: [x * 2], "does not return a single Tensor"),
        (lambda x: (x * 2, x * 3), "generated by different autograd Nodes"),
        (lambda x: (x * 2).tanh(), "contains multiple autograd Nodes"),
    ):
        layer = nn.Identity()
        layer.forward = forward  # type: ignore[method-assign]
        layer.register_backward_hook(lambda m, i, o: None)
        with pytest.warns(FutureWarning, match=match):
            layer(x * 1)
    layer = nn.Identity()
    layer.register_full_backward_hook(lambda m, i, o: None)
    layer.forward = lambda x: [x]  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match="module output should be a Tensor or a tuple of Tensors"):
        layer(x)
    with pytest.warns(FutureWarning, match="Positional args are being deprecated"):
        layer.state_dict(None)


def test_a_load_that_fails_in_an_extra_state_changes_nothing() -> None:
    class Refuses(nn.Linear):
        def get_extra_state(self) -> Any:
            return 1

        def set_extra_state(self, state: Any) -> None:
            raise ValueError("no")

    layer = Refuses(2, 2)
    before = layer.weight.tolist()
    with pytest.raises(ValueError, match="no"):
        layer.load_state_dict(Refuses(2, 2).state_dict())
    assert layer.weight.tolist() == before


def test_hooks_are_functions_in_their_tables_and_copied_with_the_module() -> None:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(_double, with_kwargs=True)
    assert list(layer._forward_hooks.values()) == [_double]
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert ng.equal(copied(ng.ones(1, 2)), layer(ng.ones(1, 2)))
        assert ng.equal(copied(ng.ones(1, 2)), 2 * copied.forward(ng.ones(1, 2)))
    state = layer.__dict__.copy()
    del state["_forward_hooks_always_called"]
    older = nn.Linear.__new__(nn.Linear)
    older.__setstate__(state)
    assert ng.equal(older(ng.ones(1, 2)), layer(ng.ones(1, 2)))


def _double(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
    return 2 * output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Linux and macOS")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_memory_is_shared_with_forked_processes() -> None:
    layer = nn.BatchNorm1d(2).share_memory()
    process = os.fork()
    if process == 0:
        layer.weight.detach()._array()[...] = 7
        layer.num_batches_tracked._array()[...] = 3  # type: ignore[union-attr]
        os._exit(0)
    os.waitpid(process, 0)
    assert layer.weight.tolist() == [7, 7]
    assert layer.num_batches_tracked == 3
    assert layer.half().share_memory().weight.tolist() == [7, 7]


def test_parameters_without_a_shape_are_refused_everywhere() -> None:
    weight = nn.UninitializedParameter(dtype=ng.float64)
    assert (repr(weight), weight.dtype, weight.requires_grad) == ("<UninitializedParameter>", ng.float64, True)
    for use in (lambda: weight + 1, lambda: weight.sum(), lambda: ng.cat([weight, weight]), lambda: weight.numel()):
        with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
            use()
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        weight.shape
    copied = copy.deepcopy(weight)
    assert isinstance(copied, nn.UninitializedParameter)
    again = pickle.loads(pickle.dumps(weight))
    again.materialize((2, 3))
    assert (type(again), again.shape, again.dtype) == (nn.Parameter, (2, 3), ng.float64)
    buffer = nn.UninitializedBuffer()
    buffer.materialize((2,), dtype=ng.float64)
    assert (type(buffer), buffer.dtype) == (ng.Tensor, ng.float64)
    assert isinstance(nn.UninitializedBuffer(), nn.Buffer)
    assert nn.parameter.is_lazy(nn.UninitializedBuffer())


def test_lazy_modules_and_their_states() -> None:
    def model() -> Any:
        return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))

    x = ng.randn(2, 3, 5, 5)
    fresh = model()
    assert repr(fresh.state_dict()["0.weight"]) == "<UninitializedParameter>"
    copied = copy.deepcopy(fresh)
    fresh(x)
    assert [type(layer).__name__ for layer in fresh] == ["Conv2d", "BatchNorm2d", "Flatten", "Linear"]
    assert copied[0].has_uninitialized_params()
    other = model().double()
    other.load_state_dict(fresh.state_dict())  # shapes come from the state, dtypes stay
    assert other[0].weight.dtype is ng.float64
    np.testing.assert_allclose(other.eval()(x.double()).detach(), fresh.eval()(x).detach(), rtol=1e-5, atol=1e-5)
    assert other[3].in_features == 36
    copied.load_state_dict(model().state_dict())  # both lazy
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        fresh.load_state_dict(model().state_dict())
    copied.load_state_dict(fresh.state_dict(), assign=True)
    assert ng.equal(copied.eval()(x), fresh.eval()(x))
    assert copied[0].weight.shape == (4, 3, 3, 3)
    loaded = nn.LazyLinear(2)
    loaded.load_state_dict(nn.Linear(4, 2).state_dict())
    with pytest.raises(AssertionError, match="The in_features inferred from input: 3 is not equal"):
        loaded(ng.ones(1, 3))
    with pytest.raises(RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input to LazyConv2d"):
        nn.LazyConv2d(2, 1)(ng.ones(2, 2))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        nn.LazyConv1d(2, 1, groups=2)(ng.ones(1, 3, 4))
    assert nn.LazyLinear(3).half().weight.dtype is ng.float16


def test_a_lazy_module_of_ones_own() -> None:
    class Lazy(nn.modules.lazy.LazyModuleMixin, nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.UninitializedParameter()

        def initialize_parameters(self, x: Any) -> None:  # type: ignore[override]
            self.scale.materialize(x.shape[-1:])
            nn.init.ones_(self.scale)

        def forward(self, x: Any) -> Any:
            return self.scale * x

    layer = Lazy()
    assert layer(ng.ones(2, 3)).shape == (2, 3)
    assert type(layer) is Lazy
    assert not layer._forward_pre_hooks

    class Forgets(Lazy):
        def initialize_parameters(self, x: Any) -> None:  # type: ignore[override]
            pass

    with pytest.raises(RuntimeError, match="module Forgets has not been fully initialized"):
        Forgets()(ng.ones(2))
