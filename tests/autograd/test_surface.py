"""What a user of torch.autograd reaches for is there, under torch's name and with torch's arguments."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn

NAMES = """
    autograd: Function Variable backward detect_anomaly enable_grad forward_ad functional grad gradcheck gradgradcheck graph
        inference_mode is_anomaly_check_nan_enabled is_anomaly_enabled no_grad set_detect_anomaly set_grad_enabled
    autograd.graph: GradientEdge Node allow_mutation_on_saved_tensors disable_saved_tensors_hooks get_gradient_edge
        increment_version register_multi_grad_hook save_on_cpu saved_tensors_hooks
    autograd.functional: hessian hvp jacobian jvp vhp vjp
    autograd.forward_ad: dual_level enter_dual_level exit_dual_level make_dual unpack_dual
    autograd.function: Function FunctionCtx once_differentiable
    autograd.Function: apply backward forward jvp setup_context vjp vmap
    autograd.function.FunctionCtx: mark_dirty mark_non_differentiable save_for_backward save_for_forward
        set_materialize_grads
    autograd.graph.Node: metadata name next_functions register_hook register_prehook
    Tensor: backward data detach detach_ grad grad_fn index_put_ is_inference is_leaf masked_fill_ output_nr
        register_hook register_post_accumulate_grad_hook requires_grad requires_grad_ retain_grad retains_grad
    nn.Module: register_forward_hook register_forward_pre_hook register_full_backward_hook
        register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
        register_state_dict_post_hook register_state_dict_pre_hook
    utils.checkpoint: checkpoint checkpoint_sequential
    profiler: profile record_function
"""


def listed() -> list[str]:
    found, owner = [], ""
    for word in NAMES.split():
        if word.endswith(":"):
            owner = word[:-1]
        else:
            found.append(f"{owner}.{word}")
    return found


def reach(root: Any, path: str) -> Any:
    for part in path.split("."):
        root = getattr(root, part)
    return root


@pytest.mark.parametrize("path", listed())
def test_the_name_is_there(path: str) -> None:
    assert reach(ng, path) is not None or path == "Tensor.grad"


@pytest.mark.parametrize(
    "path",
    [
        "autograd.backward",
        "autograd.grad",
        "autograd.gradcheck",
        "autograd.gradgradcheck",
        "Tensor.backward",
        "autograd.functional.jacobian",
        "autograd.functional.hessian",
        "autograd.functional.vjp",
        "autograd.functional.jvp",
        "autograd.functional.hvp",
        "autograd.functional.vhp",
        "autograd.detect_anomaly",
        "autograd.set_detect_anomaly",
        "autograd.graph.register_multi_grad_hook",
        "autograd.graph.save_on_cpu",
        "nn.Module.register_full_backward_hook",
        "nn.Module.register_forward_hook",
    ],
)
def test_the_arguments_are_torch_s(path: str, torch: Any) -> None:
    ours, theirs = (list(inspect.signature(reach(lib, path)).parameters) for lib in (ng, torch))
    devices = {"always_call", "vectorize", "strategy", "outer_jacobian_strategy", "masked", "tuple_of_tensors"}
    assert [name for name in theirs if name not in devices and name not in ours] == []


def test_graphs_can_be_walked() -> None:
    x = ng.ones(2, requires_grad=True)
    y = (x * 2).exp()
    assert y.grad_fn.name() == "ExpBackward0"
    (product, number), *_ = y.grad_fn.next_functions
    assert (product.name(), number) == ("MulBackward0", 0)
    assert product.next_functions[0][0].variable is x
    product.metadata["mine"] = 1
    assert y.grad_fn.next_functions[0][0].metadata == {"mine": 1}
    assert y.grad_fn._saved_result.tolist() == y.tolist()
    assert isinstance(y.grad_fn, ng.autograd.graph.Node)
    first, second = ng.ones(4, 2, requires_grad=True).max(0)
    assert (first.output_nr, second.output_nr, x.output_nr) == (0, 0, 0)


def test_edges_are_roots_and_inputs() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x * 3
    at_y, at_x = (ng.autograd.graph.get_gradient_edge(t) for t in (y, x))
    assert ng.autograd.grad((y * y).sum(), [at_y, at_x], retain_graph=True)[0].tolist() == [6, 6]
    ng.autograd.backward(at_y, ng.ones(2), retain_graph=True)
    assert x.grad.tolist() == [3, 3]
    assert ng.autograd.grad({"a": y}["a"].sum(), {"x": x})["x"].tolist() == [3, 3]


def test_leaves_can_be_copied_and_pickled() -> None:
    x = ng.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    assert twin.grad.tolist() == [2, 4]
    assert twin.grad is not x.grad
    twin.grad.zero_()
    assert x.grad.tolist() == [2, 4]
    again = pickle.loads(pickle.dumps(nn.Parameter(x.detach(), requires_grad=False)))
    assert isinstance(again, nn.Parameter)
    assert not again.requires_grad
    assert again.tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="only leaf tensors"):
        pickle.dumps(x * 2)


def test_rules_of_grad() -> None:
    x = ng.ones(3, requires_grad=True)
    given = ng.ones(3)
    x.grad = given
    assert x.grad is given
    (x * 2).sum().backward()
    assert given.tolist() == [3, 3, 3]  # added to in place
    x.grad = None
    (x * 2).sum().backward()
    assert given.tolist() == [3, 3, 3]
    with pytest.raises(TypeError, match="assigned grad expected to be a Tensor or None"):
        x.grad = 0.0
    del x.grad
    assert x.grad is None


def test_only_named_inputs_are_accumulated_into() -> None:
    x, w = ng.ones(2, requires_grad=True), ng.ones(2, requires_grad=True)
    hidden = x * w
    hidden.retain_grad()
    (hidden * hidden).sum().backward(inputs=[w, hidden])
    assert x.grad is None
    assert (w.grad.tolist(), hidden.grad.tolist()) == ([2, 2], [2, 2])
