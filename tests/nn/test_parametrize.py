"""Parametrizations, weight and spectral norm, pruning, and batch norms that are fused; as torch."""

from __future__ import annotations

import copy
import importlib
import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import array, copy_state, ours, outcome, theirs


def _utils(lib: Any, name: str) -> Any:
    return importlib.import_module(f"{lib.nn.__name__}.utils.{name}")


def _symmetric(lib: Any) -> Any:
    class Symmetric(lib.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, x: Any) -> Any:
            return x.triu() + x.triu(1).T

        def right_inverse(self, x: Any) -> Any:
            return x.triu()

    return Symmetric()


def _plain(lib: Any, forward: Any, inverse: Any = None) -> Any:
    class Plain(lib.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, *x: Any) -> Any:
            return forward(*x)

    if inverse is not None:
        Plain.right_inverse = lambda self, x: inverse(x)
    return Plain()


def _linear(lib: Any, size: int = 2) -> Any:
    layer = lib.nn.Linear(size, size)
    values = lib.tensor(np.arange(float(size * size), dtype=np.float32).reshape(size, size))
    layer.weight = lib.nn.Parameter(values)
    layer.bias = lib.nn.Parameter(values[0] * 1)
    return layer


def _shown(layer: Any) -> Any:
    """What there is to see of a parametrized module."""
    return (
        str(layer),
        type(layer).__name__,
        [(name, value.tolist()) for name, value in layer.named_parameters()],
        [(name, value.tolist()) for name, value in layer.named_buffers()],
        sorted(layer.state_dict()),
    )


def _registered(change: Any) -> Any:
    """A case: what a change makes of a layer with a symmetric weight."""

    def case(lib: Any) -> Any:
        p = _utils(lib, "parametrize")
        layer = p.register_parametrization(_linear(lib), "weight", _symmetric(lib))
        result = change(lib, p, layer)
        return _shown(layer), layer.weight.tolist(), str(result)

    return case


def _register(lib: Any, p: Any, layer: Any, forward: Any, inverse: Any = None, **options: Any) -> Any:
    return p.register_parametrization(layer, "weight", _plain(lib, forward, inverse), **options)


def _set(lib: Any, layer: Any, values: Any) -> None:
    layer.weight = lib.tensor(np.array(values, np.float32))


PARAMETRIZE: dict[str, Any] = {
    "registered": _registered(lambda lib, p, layer: p.is_parametrized(layer, "weight")),
    "of nothing": _registered(lambda lib, p, layer: p.register_parametrization(layer, "other", _symmetric(lib))),
    "of a buffer": lambda lib: _shown(
        _utils(lib, "parametrize").register_parametrization(
            lib.nn.BatchNorm1d(2), "running_mean", _plain(lib, lambda x: x + 1)
        )
    ),
    "set": _registered(lambda lib, p, layer: _set(lib, layer, [[1, 2], [3, 4]])),
    "set without inverse": _registered(
        lambda lib, p, layer: (_register(lib, p, layer, lambda x: x * 2), _set(lib, layer, [[1, 2], [2, 4]]))
    ),
    "twice": _registered(lambda lib, p, layer: _register(lib, p, layer, lambda x: x * 2, lambda x: x / 2)),
    "twice, another shape": _registered(lambda lib, p, layer: _register(lib, p, layer, lambda x: x[0])),
    "twice, another dtype": _registered(lambda lib, p, layer: _register(lib, p, layer, lambda x: x.double())),
    "twice, no tensor": _registered(lambda lib, p, layer: _register(lib, p, layer, lambda x: 3)),
    "twice, inverse of another shape": _registered(
        lambda lib, p, layer: _register(lib, p, layer, lambda x: x, lambda x: x[0])
    ),
    "twice, inverse of no tensor": _registered(
        lambda lib, p, layer: _register(lib, p, layer, lambda x: x, lambda x: 3)
    ),
    "removed": _registered(lambda lib, p, layer: p.remove_parametrizations(layer, "weight")),
    "removed as learnt": _registered(lambda lib, p, layer: p.remove_parametrizations(layer, "weight", False)),
    "removed of nothing": _registered(lambda lib, p, layer: p.remove_parametrizations(layer, "bias")),
    "type before": _registered(lambda lib, p, layer: p.type_before_parametrizations(layer).__name__),
    "cached": _registered(lambda lib, p, layer: _cached(p, layer)),
    "transferred": _registered(
        lambda lib, p, layer: _shown(p.transfer_parametrizations_and_params(layer, _linear(lib)))[1:3]
    ),
    "copied": _registered(lambda lib, p, layer: _shown(copy.deepcopy(layer))),
    "pickled": _registered(lambda lib, p, layer: pickle.dumps(layer)),
    "listed": _registered(lambda lib, p, layer: "weight" in dir(layer)),
    "another shape": lambda lib: _register(lib, _utils(lib, "parametrize"), _linear(lib), lambda x: x[0]),
    "another shape, unsafe": lambda lib: _shown(
        _register(lib, _utils(lib, "parametrize"), _linear(lib), lambda x: x[0], unsafe=True)
    ),
    "inverse of another dtype": lambda lib: _register(
        lib, _utils(lib, "parametrize"), _linear(lib), lambda x: x, lambda x: x.double()
    ),
    "inverse of no tensor": lambda lib: _register(
        lib, _utils(lib, "parametrize"), _linear(lib), lambda x: x, lambda x: 3
    ),
    "several": lambda lib: _shown(
        _register(lib, _utils(lib, "parametrize"), _linear(lib), lambda x, y: x + y, lambda x: (x, x * 0))
    ),
    "several, not all tensors": lambda lib: _register(
        lib, _utils(lib, "parametrize"), _linear(lib), lambda x, y: x + y, lambda x: (x, 3)
    ),
    "several, removed as learnt": lambda lib: _utils(lib, "parametrize").remove_parametrizations(
        lib.nn.utils.parametrizations.weight_norm(_linear(lib)), "weight", False
    ),
    "several, removed": lambda lib: _shown(
        _utils(lib, "parametrize").remove_parametrizations(
            lib.nn.utils.parametrizations.weight_norm(_linear(lib)), "weight"
        )
    ),
    "several, set": lambda lib: _several_set(lib),
    "no list": lambda lib: _utils(lib, "parametrize").ParametrizationList([], lib.t.ones(2)),
    "orthogonal of a vector": lambda lib: lib.nn.utils.parametrizations.orthogonal(_linear(lib), "bias"),
    "orthogonal of nothing": lambda lib: lib.nn.utils.parametrizations.orthogonal(_linear(lib), "other"),
    "orthogonal by what": lambda lib: lib.nn.utils.parametrizations.orthogonal(_linear(lib), orthogonal_map="x"),
    "orthogonal set": lambda lib: _orthogonal_set(lib),
    "orthogonal not set": lambda lib: _set(
        lib,
        lib.nn.utils.parametrizations.orthogonal(_linear(lib), orthogonal_map="cayley", use_trivialization=False),
        [[0, 1], [1, 0]],
    ),
    "orthogonal of another shape": lambda lib: _set(
        lib, lib.nn.utils.parametrizations.orthogonal(_linear(lib)), [[0, 1, 1]]
    ),
    "spectral norm iterations": lambda lib: lib.nn.utils.parametrizations.spectral_norm(
        _linear(lib), n_power_iterations=0
    ),
    "spectral norm dim": lambda lib: lib.nn.utils.parametrizations.spectral_norm(_linear(lib), dim=2),
    "spectral norm of a vector": lambda lib: [
        round(x, 5) for x in lib.nn.utils.parametrizations.spectral_norm(_linear(lib), "bias").bias.tolist()
    ],
    # ---- the older forms
    "weight norm": lambda lib: _shown(lib.nn.utils.weight_norm(_linear(lib))),
    "weight norm of all": lambda lib: _shown(lib.nn.utils.weight_norm(_linear(lib), dim=None)),
    "weight norm of a vector": lambda lib: _shown(lib.nn.utils.weight_norm(_linear(lib), "bias")),
    "weight norm twice": lambda lib: lib.nn.utils.weight_norm(lib.nn.utils.weight_norm(_linear(lib))),
    "weight norm removed": lambda lib: _shown(lib.nn.utils.remove_weight_norm(lib.nn.utils.weight_norm(_linear(lib)))),
    "weight norm not there": lambda lib: lib.nn.utils.remove_weight_norm(_linear(lib)),
    "weight norm lazy": lambda lib: lib.nn.utils.weight_norm(lib.nn.LazyLinear(2)),
    "spectral norm": lambda lib: [name for name, _ in lib.nn.utils.spectral_norm(_linear(lib)).named_buffers()],
    "spectral norm twice": lambda lib: lib.nn.utils.spectral_norm(lib.nn.utils.spectral_norm(_linear(lib))),
    "spectral norm of none": lambda lib: lib.nn.utils.spectral_norm(lib.nn.Linear(2, 2, bias=False), "bias"),
    "spectral norm lazy": lambda lib: lib.nn.utils.spectral_norm(lib.nn.LazyLinear(2)),
    "spectral norm not there": lambda lib: lib.nn.utils.remove_spectral_norm(_linear(lib)),
    "spectral norm removed": lambda lib: [
        [name for name, _ in layer.named_parameters()] + [len(layer._state_dict_hooks), len(layer._forward_pre_hooks)]
        for layer in [lib.nn.utils.remove_spectral_norm(lib.nn.utils.spectral_norm(_linear(lib)))]
    ],
    "spectral norm metadata": lambda lib: dict(lib.nn.utils.spectral_norm(_linear(lib)).state_dict()._metadata),
}  # fmt: skip


def _cached(p: Any, layer: Any) -> Any:
    with p.cached():
        first = layer.weight
        with p.cached():
            inner = layer.weight is first
        return inner, layer.weight is first
    return layer.weight is first


def _several_set(lib: Any) -> Any:
    layer = lib.nn.utils.parametrizations.weight_norm(_linear(lib))
    _set(lib, layer, [[3, 4], [6, 8]])
    return [value.tolist() for value in layer.parameters()]


def _orthogonal_set(lib: Any) -> Any:
    """Orthogonal matrices that are assigned, and come back."""
    results = []
    for name in ("matrix_exp", "cayley", "householder"):
        for trivial in (True, False):
            if name != "householder" and not trivial:
                continue
            layer = lib.nn.utils.parametrizations.orthogonal(
                _linear(lib), orthogonal_map=name, use_trivialization=trivial
            )
            for values in ([[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0.6, -0.8], [0.8, 0.6]]):
                _set(lib, layer, values)
                results.append(
                    [[abs(round(x, 4)) * (1 if x > 0 else -1) for x in row] for row in layer.weight.tolist()]
                )
    return results


PRUNE: dict[str, Any] = {
    "identity": lambda lib, p, layer: p.identity(layer, "weight"),
    "l1": lambda lib, p, layer: p.l1_unstructured(layer, "weight", 3),
    "l1 part": lambda lib, p, layer: p.l1_unstructured(layer, "weight", 0.3),
    "l1 scores": lambda lib, p, layer: p.l1_unstructured(layer, "weight", 4, -1 / (1 + layer.weight.detach())),
    "l1 scores of another shape": lambda lib, p, layer: p.l1_unstructured(layer, "weight", 4, layer.bias),
    "ln": lambda lib, p, layer: p.ln_structured(layer, "weight", 1, 2, 0),
    "ln columns": lambda lib, p, layer: p.ln_structured(layer, "weight", 0.5, 1, -1),
    "ln infinite": lambda lib, p, layer: p.ln_structured(layer, "weight", 2, float("inf"), 1),
    "ln of a vector": lambda lib, p, layer: p.ln_structured(layer, "bias", 1, 2, 0),
    "ln dim": lambda lib, p, layer: p.ln_structured(layer, "weight", 1, 2, 3),
    "nothing": lambda lib, p, layer: p.ln_structured(p.l1_unstructured(layer, "bias", 0), "weight", 0, 2, 0),
    "too many": lambda lib, p, layer: p.l1_unstructured(layer, "weight", 10),
    "negative": lambda lib, p, layer: p.l1_unstructured(layer, "weight", -1),
    "more than all": lambda lib, p, layer: p.random_unstructured(layer, "weight", 1.5),
    "no number": lambda lib, p, layer: p.random_structured(layer, "weight", "a", 0),
    "mask": lambda lib, p, layer: p.custom_from_mask(layer, "bias", lib.t.tensor([1, 0, 1])),
    "mask of another shape": lambda lib, p, layer: p.custom_from_mask(layer, "bias", lib.t.tensor([1, 0])),
    "further": lambda lib, p, layer: p.l1_unstructured(p.ln_structured(layer, "weight", 1, 2, 0), "weight", 2),
    "further slices": lambda lib, p, layer: p.ln_structured(p.l1_unstructured(layer, "weight", 4), "weight", 1, 2, 1),
    "thrice": lambda lib, p, layer: p.custom_from_mask(
        p.ln_structured(p.l1_unstructured(layer, "weight", 4), "weight", 1, 2, 1), "weight", lib.t.eye(3)
    ),
    "removed": lambda lib, p, layer: p.remove(p.l1_unstructured(layer, "weight", 4), "weight"),
    "removed of nothing": lambda lib, p, layer: p.remove(layer, "weight"),
    "global": lambda lib, p, layer: (
        p.global_unstructured([(layer, "weight"), (layer, "bias")], p.L1Unstructured, amount=4) or layer
    ),
    "global scores": lambda lib, p, layer: (
        p.global_unstructured(
            [(layer, "weight"), (layer, "bias")], p.L1Unstructured, {(layer, "bias"): lib.t.zeros(3)}, amount=0.5
        )
        or layer
    ),
    "global slices": lambda lib, p, layer: p.global_unstructured([(layer, "weight")], p.LnStructured, amount=1, n=2),
    "global of what": lambda lib, p, layer: p.global_unstructured(3, p.L1Unstructured, amount=1),
    "global scores of what": lambda lib, p, layer: p.global_unstructured([], p.L1Unstructured, 3, amount=1),
    "container": lambda lib, p, layer: (
        p.l1_unstructured(p.l1_unstructured(layer, "bias", 1), "bias", 1)
        and [type(each).__name__ for each in next(iter(layer._forward_pre_hooks.values()))]
    ),
    "container of what": lambda lib, p, layer: p.PruningContainer().add_pruning_method(3),
    "prune": lambda lib, p, layer: p.L1Unstructured(2).prune(lib.tensor([1.0, -2.0, 3.0])).abs().tolist(),
    "is pruned": lambda lib, p, layer: [p.is_pruned(layer), p.is_pruned(lib.nn.Sequential(p.identity(layer, "bias")))],
}


def _pruned(name: str) -> Any:
    def case(lib: Any) -> Any:
        layer = _linear(lib, 3)
        result = PRUNE[name](lib, _utils(lib, "prune"), layer)
        if result is not layer:
            return result
        return (*_shown(layer), layer.weight.tolist(), layer.bias.tolist())

    return case


ALL = PARAMETRIZE | {f"prune {name}": _pruned(name) for name in PRUNE}


@pytest.mark.parametrize("name", ALL)
def test_it_is_torchs(name: str, torch_says: Any) -> None:
    mine, wanted = outcome(ALL[name], ours()), torch_says(lambda torch: outcome(ALL[name], theirs(torch)))
    assert mine[0] == wanted[0], mine
    assert mine[0] or mine[1] == wanted[1]


def test_a_refused_parametrization_changes_nothing() -> None:
    layer = _linear(ours())
    before = layer.weight.tolist()
    with pytest.raises(ValueError, match="may not change the shape"):
        nn.utils.parametrize.register_parametrization(layer, "weight", _plain(ours(), lambda x: x[0], lambda x: x * 2))
    assert type(layer) is nn.Linear
    assert layer.weight.tolist() == before


def test_a_copy_keeps_its_parametrization_where_the_original_loses_it() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    copied = copy.deepcopy(layer)
    nn.utils.parametrize.remove_parametrizations(layer, "weight")
    assert ng.allclose(copied.weight, layer.weight)
    assert copied.weight.grad_fn is not None


def test_older_states_are_read(torch: ModuleType) -> None:
    with pytest.warns(FutureWarning, match="weight_norm` is deprecated"):
        older = nn.utils.weight_norm(nn.Linear(3, 2))
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    layer.load_state_dict(older.state_dict())
    np.testing.assert_allclose(array(layer.weight), array(older.weight), rtol=1e-6)
    state = nn.utils.spectral_norm(nn.Linear(3, 2)).double().state_dict()  # without v, as torch's before 1.0
    sigma = 1.5
    original = state["weight_orig"]
    old = {"weight_orig": original, "weight": original / sigma, "weight_u": state["weight_u"], "bias": state["bias"]}
    layers = [lib.nn.utils.spectral_norm(lib.nn.Linear(3, 2)).double() for lib in (ng, torch)]
    layers[0].load_state_dict(dict(old))
    layers[1].load_state_dict({name: torch.tensor(array(value)) for name, value in old.items()})
    np.testing.assert_allclose(array(layers[0].weight_v), array(layers[1].weight_v), rtol=1e-9)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_batch_norms_are_fused_as_torchs(affine: bool, bias: bool, transpose: bool, torch: ModuleType) -> None:
    rng = np.random.default_rng(1)
    pairs = []
    for lib in (torch, ng):
        cls = lib.nn.ConvTranspose2d if transpose else lib.nn.Conv2d
        pairs.append((cls(2, 3, 2, bias=bias).double().eval(), lib.nn.BatchNorm2d(3, affine=affine).double().eval()))
    for buffer in (pairs[0][1].running_mean, pairs[0][1].running_var, *pairs[0][1].parameters()):
        buffer.data.copy_(torch.tensor(rng.uniform(0.5, 2, 3)))
    for source, target in zip(*pairs, strict=True):
        copy_state(source, target)
    wanted, got = (
        lib.nn.utils.fuse_conv_bn_eval(*pair, transpose) for lib, pair in zip((torch, ng), pairs, strict=True)
    )
    for key, value in wanted.state_dict().items():
        np.testing.assert_allclose(array(got.state_dict()[key]), array(value), rtol=1e-12)
    x = ng.tensor(rng.normal(size=(1, 2, 4, 4)))
    np.testing.assert_allclose(array(got(x)), array(pairs[1][1](pairs[1][0](x))), rtol=1e-9, atol=1e-12)
    with pytest.raises(AssertionError, match="Fusion only for eval!"):
        nn.utils.fuse_conv_bn_eval(pairs[1][0].train(), pairs[1][1])


def test_linear_layers_are_fused() -> None:
    linear, norm = nn.Linear(3, 2, bias=False).double().eval(), nn.BatchNorm1d(2).double().eval()
    norm.running_mean.fill_(0.5)  # type: ignore[union-attr]
    norm.weight.data.fill_(3)  # type: ignore[union-attr]
    x = ng.randn(4, 3, dtype=ng.float64)
    fused = nn.utils.fuse_linear_bn_eval(linear, norm)
    np.testing.assert_allclose(array(fused(x)), array(norm(linear(x))), rtol=1e-12, atol=1e-14)
    assert fused.weight.requires_grad
    assert not fused.bias.requires_grad  # type: ignore[union-attr]
    with pytest.raises(AssertionError, match=r"To fuse, linear\.out_features == bn\.num_features"):
        nn.utils.fuse_linear_bn_eval(linear, nn.BatchNorm1d(3).eval())


def test_draws_of_pruning() -> None:
    layer = nn.utils.prune.random_structured(nn.Linear(3, 8), "weight", 0.5, 0)
    assert sorted(layer.weight_mask.sum(1).tolist()) == [0] * 4 + [3] * 4
    assert nn.utils.prune.random_unstructured(nn.Linear(3, 8), "weight", 10).weight_mask.sum() == 14
    before = nn.Linear(3, 3)
    with pytest.raises(ValueError, match="should be smaller than the number"):
        nn.utils.prune.l1_unstructured(nn.utils.prune.identity(before, "bias"), "bias", 4)
    assert len(before._forward_pre_hooks) == 1  # a refused pruning changes nothing
    before(ng.ones(1, 3)).sum().backward()
    assert before.bias_orig.grad.tolist() == [1, 1, 1]
