"""torch's errors and warnings around gradients, modules and optimizers: each has its class and its meaning here.

Every case runs on both libraries. What numgrad says has to be of the same built-in class and hold the words of the first
sentence of what torch says; where numgrad says it better on purpose, `BETTER` has the words that it uses instead.
"""

from __future__ import annotations

import builtins
import copy
import re
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng
from tests.tensor.test_messages import told, words


def leaf(lib: Any, *shape: int) -> Any:
    return lib.ones(shape, requires_grad=True)


def twice(lib: Any) -> None:
    y = leaf(lib, 3).exp().sum()
    y.backward()
    y.backward()


def saved_after_free(lib: Any) -> None:
    y = leaf(lib, 3).exp()
    y.sum().backward()
    y.grad_fn._saved_result


def modified(lib: Any) -> None:
    y = leaf(lib, 3).exp()
    z = (y * y).sum()
    y.add_(1)
    z.backward()


def multiple_views(lib: Any) -> None:
    (leaf(lib, 4) * 1).split(2)[0].mul_(2)


def multiple_views_by_iteration(lib: Any) -> None:
    for row in leaf(lib, 2, 3) * 1:
        row.mul_(2)


def base_of_multiple_views(lib: Any) -> None:
    y = leaf(lib, 4) * 1
    first, _ = y.chunk(2)
    y.mul_(2)
    first + 1


def view_in_no_grad(lib: Any) -> None:
    y = leaf(lib, 4) * 1
    with lib.no_grad():
        v = y[0]
    v.mul_(2)


def base_of_view_in_no_grad(lib: Any) -> None:
    y = leaf(lib, 4) * 1
    with lib.no_grad():
        v = y[0]
    y.mul_(2)
    v + 1


def detach_view(lib: Any) -> None:
    (leaf(lib, 4) * 1)[0].detach_()


def inference_saved(lib: Any) -> None:
    with lib.inference_mode():
        x = lib.ones(2) * 1
    x * leaf(lib, 2)


def inference_requires_grad(lib: Any) -> None:
    with lib.inference_mode():
        x = lib.ones(2) * 1
    x.requires_grad_()


def inference_in_place(lib: Any) -> None:
    with lib.inference_mode():
        x = lib.ones(2) * 1
    x.add_(leaf(lib, 2))


def anomaly(lib: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with lib.autograd.detect_anomaly():
            (lib.zeros(1, requires_grad=True) * 0).sqrt().sum().backward()


def function(lib: Any, backward: Callable[..., Any], **more: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    body = {"forward": staticmethod(forward), "backward": staticmethod(backward), **more}
    return type("F", (lib.autograd.Function,), {k: v for k, v in body.items() if v.__func__ is not None})


def apply(lib: Any, backward: Any, **more: Any) -> None:
    function(lib, backward, **more).apply(leaf(lib, 3)).sum().backward()


def differentiated_twice(lib: Any) -> None:
    once = lib.autograd.function.once_differentiable(lambda ctx, g: g * 2)
    x = leaf(lib, 3)
    (g,) = lib.autograd.grad((function(lib, once).apply(x) ** 2).sum(), x, create_graph=True)
    g.sum().backward()


def saves_a_number(lib: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(3)
        return x * 2

    apply(lib, lambda ctx, g: g, forward=staticmethod(forward))


def checked(lib: Any, wrong: Any) -> None:
    lib.autograd.gradcheck(function(lib, wrong).apply, lib.ones(3, dtype=lib.float64, requires_grad=True))


def load(lib: Any) -> None:
    lib.nn.Linear(2, 3).load_state_dict({"weight": lib.ones(2, 2), "foo": lib.ones(1)})


class WithoutInit:
    """A module whose constructor forgot the base's."""

    def __call__(self, lib: Any) -> None:
        class Model(lib.nn.Module):  # type: ignore[name-defined,misc]
            def __init__(self) -> None:
                self.layer = lib.nn.Linear(1, 1)

        Model()


def without_forward(lib: Any) -> None:
    class Model(lib.nn.Module):  # type: ignore[name-defined,misc]
        pass

    Model()(1)


def tensor_as_parameter(lib: Any) -> None:
    lib.nn.Linear(2, 2).weight = lib.ones(2, 2)


def hook_of_another_size(lib: Any) -> None:
    x = leaf(lib, 3)
    x.register_hook(lambda g: g[:2])
    (x * 2).sum().backward()


def hook_of_a_number(lib: Any) -> None:
    x = leaf(lib, 3)
    x.register_hook(lambda g: 3)
    (x * 2).sum().backward()


def disabled_hooks(lib: Any) -> None:
    with (
        lib.autograd.graph.disable_saved_tensors_hooks("not here"),
        lib.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x),
    ):
        pass


def pack_in_place(lib: Any) -> None:
    with lib.autograd.graph.saved_tensors_hooks(lambda x: x.mul_(2), lambda x: x):
        (leaf(lib, 2) * 1).exp()


CASES: dict[str, Callable[[Any], Any]] = {
    "second backward": twice,
    "saved after free": saved_after_free,
    "modified": modified,
    "several views": multiple_views,
    "several views by iteration": multiple_views_by_iteration,
    "base of several views": base_of_multiple_views,
    "view in no_grad": view_in_no_grad,
    "base of a view in no_grad": base_of_view_in_no_grad,
    "leaf in place": lambda lib: leaf(lib, 3).mul_(2),
    "leaf += ": lambda lib: leaf(lib, 3).__iadd__(1),
    "view of a leaf": lambda lib: leaf(lib, 3)[1:].mul_(2),
    "leaf[i] = ": lambda lib: leaf(lib, 3).__setitem__(0, 1.0),
    "leaf[mask] = ": lambda lib: leaf(lib, 3).__setitem__(lib.ones(3) > 0, 1.0),
    "leaf.fill_": lambda lib: leaf(lib, 3).fill_(1),
    "leaf.copy_": lambda lib: leaf(lib, 3).copy_(lib.ones(3)),
    "leaf.masked_fill_": lambda lib: leaf(lib, 3).masked_fill_(lib.ones(3) > 0, 1.0),
    "leaf.index_put_": lambda lib: leaf(lib, 3).index_put_((lib.tensor([0]),), lib.ones(1)),
    "leaf.uniform_": lambda lib: leaf(lib, 3).uniform_(),
    "leaf.clamp_": lambda lib: leaf(lib, 3).clamp_(0, 1),
    "detach_ of a view": detach_view,
    "not scalar": lambda lib: (leaf(lib, 3) * 2).backward(),
    "no grad_fn": lambda lib: lib.ones(1).sum().backward(),
    "number as gradient": lambda lib: (leaf(lib, 3) * 2).backward(1.0),
    "gradient of another shape": lambda lib: (leaf(lib, 3) * 2).backward(lib.ones(4)),
    "inputs empty": lambda lib: leaf(lib, 1).sum().backward(inputs=[]),
    "inputs without gradient": lambda lib: lib.autograd.grad(leaf(lib, 1).sum(), lib.ones(1)),
    "unused": lambda lib: lib.autograd.grad(leaf(lib, 1).sum(), leaf(lib, 1)),
    "materialize and not unused": lambda lib: lib.autograd.grad(
        leaf(lib, 1).sum(), leaf(lib, 1), allow_unused=False, materialize_grads=True
    ),
    "grad of nothing": lambda lib: lib.autograd.grad(leaf(lib, 1).sum(), []),
    "edge of a constant": lambda lib: lib.autograd.graph.get_gradient_edge(lib.ones(1)),
    "multi_grad_hook mode": lambda lib: lib.autograd.graph.register_multi_grad_hook(
        [leaf(lib, 1)], lambda g: None, mode="some"
    ),
    "integers in the constructor": lambda lib: lib.tensor([1], requires_grad=True),
    "integers": lambda lib: lib.tensor([1]).requires_grad_(),
    "not a leaf's flag": lambda lib: (leaf(lib, 1) * 2).requires_grad_(False),
    "numpy()": lambda lib: leaf(lib, 1).numpy(),
    "item": lambda lib: leaf(lib, 3).item(),
    "bool": lambda lib: bool(leaf(lib, 3)),
    "retain_grad": lambda lib: lib.ones(1).retain_grad(),
    "hook of a constant": lambda lib: lib.ones(1).register_hook(lambda g: g),
    "post hook of a result": lambda lib: (leaf(lib, 1) * 1).register_post_accumulate_grad_hook(lambda p: None),
    "post hook of a constant": lambda lib: lib.ones(1).register_post_accumulate_grad_hook(lambda p: None),
    "hook of another size": hook_of_another_size,
    "hook of a number": hook_of_a_number,
    ".grad of another shape": lambda lib: setattr(leaf(lib, 3), "grad", lib.ones(4)),
    ".grad of another dtype": lambda lib: setattr(leaf(lib, 3), "grad", lib.ones(3).double()),
    ".grad of another type": lambda lib: setattr(leaf(lib, 3), "grad", 1.0),
    "inference saved": inference_saved,
    "inference requires_grad": inference_requires_grad,
    "inference in place": inference_in_place,
    "anomaly": anomaly,
    "two gradients": lambda lib: apply(lib, lambda ctx, g: (g, g)),
    "gradient's shape": lambda lib: apply(lib, lambda ctx, g: g[:2]),
    "gradient's type": lambda lib: apply(lib, lambda ctx, g: 3.0),
    "no backward": lambda lib: apply(lib, None),
    "no forward": lambda lib: type("F", (lib.autograd.Function,), {}).apply(lib.ones(1)),
    "once_differentiable": differentiated_twice,
    "save a number": saves_a_number,
    "gradcheck mismatch": lambda lib: checked(lib, lambda ctx, g: g * 2.1),
    "gradcheck of constants": lambda lib: lib.autograd.gradcheck(lambda x: x, lib.ones(2, dtype=lib.float64)),
    "saved hooks disabled": disabled_hooks,
    "pack hook in place": pack_in_place,
    "deepcopy": lambda lib: copy.deepcopy(leaf(lib, 1) * 2),
    "optimizer of nothing": lambda lib: lib.optim.SGD([], lr=0.1),
    "optimizer of a result": lambda lib: lib.optim.SGD([leaf(lib, 1) * 2], lr=0.1),
    "optimizer of a tensor": lambda lib: lib.optim.SGD(leaf(lib, 1), lr=0.1),
    "learning rate": lambda lib: lib.optim.SGD([leaf(lib, 1)], lr=-1),
    "nesterov": lambda lib: lib.optim.SGD([leaf(lib, 1)], lr=0.1, nesterov=True),
    "betas": lambda lib: lib.optim.Adam([leaf(lib, 1)], betas=(1.5, 0.9)),
    "state_dict": load,
    "module before init": WithoutInit(),
    "no forward method": without_forward,
    "tensor as parameter": tensor_as_parameter,
    "index shapes": lambda lib: lib.ones(3, 3)[lib.tensor([0, 1]), lib.tensor([0, 1, 2])],
    "index dtype": lambda lib: lib.ones(3)[lib.tensor([0.5])],
    "mask shape": lambda lib: lib.ones(3)[lib.ones(2) > 0],
    "index_put_ dtype": lambda lib: lib.ones(3).index_put_((lib.tensor([0]),), lib.tensor([1])),
    "value's shape": lambda lib: lib.ones(3, 3).__setitem__(lib.tensor([0, 1]), lib.ones(2)),
    "select": lambda lib: lib.ones(3).select(0, 3),
    "unbind a scalar": lambda lib: lib.tensor(1.0).unbind(),
    "unpack a scalar": lambda lib: list(lib.tensor(1.0)),
    "masked_fill_ value": lambda lib: lib.ones(3).masked_fill_(lib.ones(3) > 0, lib.ones(2)),
    "clamp_ without bounds": lambda lib: lib.ones(3).clamp_(),
}

# Where numgrad's text is its own: the class it raises, and what the message has to hold.
BETTER: dict[str, tuple[type[Exception], str]] = {
    ".grad of another dtype": (RuntimeError, r"attempting to assign a gradient of .*float64 to a tensor of .*float32"),
    "number as gradient": (TypeError, r"gradient is the number 1\.0, expected a Tensor of the root's shape"),
}


def raised(lib: ModuleType, case: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (which one is what is compared)
        CASES[case](lib)
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_errors(case: str, torch_says: Any) -> None:
    ours, (kind, theirs) = raised(ng, case), torch_says(lambda torch: told(raised(torch, case)))
    if case in BETTER:
        error, text = BETTER[case]
        assert isinstance(ours, error)
        assert re.search(text, str(ours))
        return
    assert isinstance(ours, getattr(builtins, kind)), f"{type(ours).__name__}: {ours}\n{kind}: {theirs}"
    first = re.split(r"\.(?=[A-Z ])|\n", theirs)[0]
    missing = words(first) - words(str(ours))
    assert len(missing) <= 0.25 * len(words(first)), f"missing {missing}\nours:   {ours}\ntheirs: {theirs}"


def grad_of_a_result(lib: Any) -> None:
    assert (leaf(lib, 1) * 2).grad is None


def scheduler_first(lib: Any) -> None:
    optimizer = lib.optim.SGD([leaf(lib, 1)], lr=0.1)
    scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 1)
    scheduler.step()
    scheduler.step()


WARNINGS: dict[str, Callable[[Any], Any]] = {
    ".grad of a result": grad_of_a_result,
    "create_graph in backward()": lambda lib: leaf(lib, 1).exp().sum().backward(create_graph=True),
    "mse sizes": lambda lib: lib.nn.functional.mse_loss(lib.ones(3, 1), lib.ones(3)),
    "scheduler before optimizer": scheduler_first,
    "anomaly mode": lambda lib: lib.autograd.detect_anomaly(),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_warnings(case: str, torch_says: Any) -> None:
    def warning(lib: Any) -> warnings.WarningMessage:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            WARNINGS[case](lib)
        return next(w for w in caught if w.category is UserWarning)

    ours, theirs = warning(ng), torch_says(lambda torch: str(warning(torch).message))
    first = re.split(r"\.(?=[A-Z ])|\n", theirs)[0]
    missing = words(first) - words(str(ours.message))
    assert len(missing) <= 0.25 * len(words(first)), f"missing {missing}\nours: {ours.message}\ntheirs: {theirs}"
    assert "test_errors_table" in ours.filename or "create_graph" in case, f"points at {ours.filename}"
