"""No positional argument means something else than in torch: it is taken with torch's meaning, or refused.

Two comparisons. The first calls every function with arguments by position, in both libraries, and compares what comes back.
The second compares names and order of arguments with torch's signatures and operator schemas.
``python -m tests.contracts.test_positions`` prints both, with the reasons for what differs.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng
from tests.contracts.positions import CALLS, extras, outcome, same

# Calls that torch takes and numgrad refuses, otherwise than by TypeError or NotImplementedError.
REFUSED = {
    "F.embedding": "torch takes a negative max_norm",
    "F.scaled_dot_product_attention": "torch takes negative probabilities",
    "nn.Conv2d": "a kernel of one extent is refused at once, and not by the first call",
    **dict.fromkeys(
        ("nn.MSELoss", "nn.L1Loss", "nn.SmoothL1Loss", "nn.HuberLoss"), "an unknown reduction is refused at once"
    ),
    **dict.fromkeys(
        ("nn.BCEWithLogitsLoss", "nn.NLLLoss", "nn.CrossEntropyLoss"), "an unknown reduction is refused at once"
    ),
}


@pytest.fixture
def single_torch(torch: ModuleType) -> Iterator[ModuleType]:
    """torch on one thread: starting many takes longer than these small cases."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)


def differences(name: str, torch: Any) -> Iterator[tuple[str, tuple[Any, ...], Any, Any]]:
    """Calls that give another value, or that only torch takes: how, the further arguments, and what came back."""
    for further in extras(name):
        mine, theirs = outcome(ng, name, further), outcome(torch, name, further)
        if isinstance(theirs, Exception):
            continue  # numgrad may take more: that gives no call of torch's another meaning
        if isinstance(mine, Exception):
            yield "refuses", further, mine, theirs
        elif not same(mine, theirs):
            yield "value", further, mine, theirs


@pytest.mark.parametrize("name", CALLS)
def test_what_is_taken_by_position_means_the_same(name: str, single_torch: ModuleType) -> None:
    for how, further, mine, theirs in differences(name, single_torch):
        clear = isinstance(mine, (TypeError, NotImplementedError)) or name in REFUSED
        text = f"{name}{further}: {how}: {mine!r}, torch: {theirs!r}"
        assert how == "refuses", text
        assert clear, text


LEGACY: dict[str, Any] = {
    "var of one bool": lambda lib, x, t: x.var(False),
    "var": lambda lib, x, t: lib.var(x, 0, False),
    "var and keepdim": lambda lib, x, t: lib.var(x, 0, False, True),
    "std": lambda lib, x, t: x.std(1, True, True),
    "std by name": lambda lib, x, t: x.std(dim=0, unbiased=False, keepdim=True),
    "correction": lambda lib, x, t: lib.std(x, (0, 1), correction=2),
    "fractional correction": lambda lib, x, t: lib.var(x, 1, correction=0.5),
    "norm": lambda lib, x, t: x.norm(1, 0, True),
    "norm of frobenius": lambda lib, x, t: lib.norm(x, "fro", 1),
    "norm of any p": lambda lib, x, t: lib.norm(x, 2.5, 0),
    "norm of -inf": lambda lib, x, t: x.norm(-float("inf"), 1),
    "norm in float64": lambda lib, x, t: x.norm(2, 1, False, lib.float64),
    "nll sum": lambda lib, x, t: lib.nn.functional.nll_loss(x, t, None, False),
    "nll not reduced": lambda lib, x, t: lib.nn.functional.nll_loss(x, t, None, True, -100, False),
    "nll ignoring": lambda lib, x, t: lib.nn.functional.nll_loss(x, t, None, None, 0),
    "cross entropy sum": lambda lib, x, t: lib.nn.functional.cross_entropy(x, t, None, False),
    "cross entropy by name": lambda lib, x, t: lib.nn.functional.cross_entropy(x, t, reduce=False),
    "cross entropy to the end": lambda lib, x, t: lib.nn.functional.cross_entropy(
        x, t, None, None, 2, None, "sum", 0.1
    ),
    "mse sum": lambda lib, x, t: lib.nn.functional.mse_loss(x, x * 2, False),
    "mse not reduced": lambda lib, x, t: lib.nn.functional.mse_loss(x, x * 2, True, False),
    "mse weighted": lambda lib, x, t: lib.nn.functional.mse_loss(x, x * 2, weight=x * x),
    "l1 weighted": lambda lib, x, t: lib.nn.functional.l1_loss(x, x * 2, None, None, "sum", x * x),
    "smooth l1": lambda lib, x, t: lib.nn.functional.smooth_l1_loss(x, x * 2, False, True, "none", 0.5),
    "bce": lambda lib, x, t: lib.nn.functional.binary_cross_entropy_with_logits(x, x * x, None, False),
    "modules": lambda lib, x, t: [
        lib.nn.MSELoss(False)(x, x * 2),
        lib.nn.L1Loss(True, False)(x, x * 2),
        lib.nn.SmoothL1Loss(None, None, "sum", 0.5)(x, x * 2),
        lib.nn.NLLLoss(None, False)(x, t),
        lib.nn.CrossEntropyLoss(None, None, 2, None, "sum", 0.1)(x, t),
        lib.nn.BCEWithLogitsLoss(None, size_average=False)(x, x * x),
    ],
    "max pool": lambda lib, x, t: lib.nn.MaxPool2d(2, 1, 0, 1, True)(x.reshape(1, 1, 2, 3)),
    "softmax": lambda lib, x, t: [lib.softmax(x, 1, lib.float64), x.log_softmax(0, lib.float64)],
    "functional softmax": lambda lib, x, t: lib.nn.functional.softmax(x, 1, 3, lib.float64),
    "batch norm": lambda lib, x, t: lib.batch_norm(x, x[0], x[1], x[1], x[0] * x[0], False, 0.1, 1e-5, False),
    "embedding": lambda lib, x, t: lib.embedding(x, t - t, 0),
}


@pytest.mark.parametrize("name", LEGACY)
def test_older_forms(name: str, single_torch: ModuleType) -> None:
    from tests.contracts.positions import seen, tensor, x

    values = []
    for lib in (ng, single_torch):
        with pytest.warns() if name in WARNS else _quietly():
            values.append(seen(LEGACY[name](lib, x(lib), tensor(lib, [2, 0]))))
    assert same(*values), values


WARNS = {
    name
    for name in LEGACY
    if any(word in name for word in ("sum", "not reduced", "by name", "smooth", "bce", "modules"))
} - {"std by name"}


def _quietly() -> Any:
    import warnings

    return warnings.catch_warnings()


BUILT: dict[str, Any] = {
    "linear": lambda lib: lib.nn.Linear(3, 2, True, "cpu", lib.float64),
    "linear by name": lambda lib: lib.nn.Linear(3, 2, device="cpu", dtype=lib.float64),
    "conv": lambda lib: lib.nn.Conv2d(2, 3, 1, 1, 0, 1, 1, False, "zeros", None, lib.float64),
    "batch norm": lambda lib: lib.nn.BatchNorm2d(3, 1e-5, 0.1, True, True, "cpu", lib.float64, bias=False),
    "layer norm": lambda lib: lib.nn.LayerNorm(3, 1e-5, True, False, "cpu", lib.float64),
    "group norm": lambda lib: lib.nn.GroupNorm(1, 3, 1e-5, True, "cpu", lib.float64, bias=False),
    "embedding": lambda lib: lib.nn.Embedding(3, 2, 0, None, 2.0, False, False, None, False, "cpu", lib.float64),
    "frozen embedding": lambda lib: lib.nn.Embedding(3, 2, _weight=lib.ones(3, 2), _freeze=True),
    "attention": lambda lib: lib.nn.MultiheadAttention(4, 2, 0.0, True, False, False, 3, 3, True, "cpu", lib.float64),
    "transformer": lambda lib: lib.nn.TransformerEncoderLayer(
        4, 2, 8, 0.0, "relu", 1e-5, True, True, False, "cpu", lib.float64
    ),
}


@pytest.mark.parametrize("name", BUILT)
def test_modules_take_device_and_dtype_where_torchs_do(name: str, torch: ModuleType) -> None:
    found = [
        [
            (key, tuple(p.shape), str(p.dtype).split(".")[-1], p.requires_grad)
            for key, p in BUILT[name](lib).named_parameters()
        ]
        for lib in (ng, torch)
    ]
    assert found[0] == found[1]


def test_other_devices_are_refused() -> None:
    for make in (lambda: ng.nn.Linear(1, 1, device="cuda"), lambda: ng.nn.TransformerEncoderLayer(2, 1, device="mps")):
        with pytest.raises(RuntimeError, match="expected 'cpu'"):
            make()


def test_how_an_optimizer_computes_may_be_said() -> None:
    p = ng.ones(2, requires_grad=True)
    for make in (ng.optim.SGD, ng.optim.Adam, ng.optim.AdamW):
        make([p], lr=0.1, foreach=True)
        make([p], lr=0.1, fused=True, differentiable=False)
        with pytest.raises(RuntimeError, match="together"):
            make([p], lr=0.1, foreach=True, fused=True)
        with pytest.raises(NotImplementedError, match="differentiable"):
            make([p], lr=0.1, differentiable=True)


# ---- names and order --------------------------------------------------------------------------------------------

# numgrad's name of an argument, where torch's is another one, or Python's keyword.
RENAMED = {
    "self": "input", "tensor": "other", "train": "training", "from": "a", "to": "b", "size": "shape",
    "split_size_or_sections": "split_size", "sections": "indices_or_sections", "indices": "indices_or_sections",
    "tensor_indices_or_sections": "indices_or_sections",
}  # fmt: skip
# Arguments that numgrad does not have: they say where or how to compute, or stand behind all that it has.
ABSENT = {
    "out", "layout", "device", "pin_memory", "memory_format", "generator", "non_blocking", "foreach", "fused", "capturable",
    "differentiable", "requires_grad", "cudnn_enable", "cudnn_enabled", "implicit", "sparse_grad", "out_dtype", "epoch",
    "always_call", "dtype", "pickle_module", "pickle_protocol", "map_location", "weights_only", "mmap",
}  # fmt: skip
# Functions whose own order differs: why no call by position can go wrong.
ORDER = {
    "binary_cross_entropy_with_logits": "the function of nn.functional; a tensor in the place of size_average is refused",
    "std": "checked above: (unbiased), (dim, unbiased, keepdim)",
    "var": "checked above: (unbiased), (dim, unbiased, keepdim)",
    "T.std": "checked above: (unbiased), (dim, unbiased, keepdim)",
    "T.var": "checked above: (unbiased), (dim, unbiased, keepdim)",
    "T.to": "takes a dtype, a tensor or a device",
    "T.where": "torch's schema names the condition first, its method does not",
    "where": "the schema for one argument; it is not taken",
    "T.view": "sizes may be given one by one",
    "T.uniform_": "from is a keyword of Python",
    "save": "its further arguments are given by name only",
    "load": "its further arguments are given by name only",
    "split": "the first two have other names",
    "gelu": "approximate may also be given by position",
    **dict.fromkeys(
        (
            "cosine_embedding_loss",
            "hinge_embedding_loss",
            "kl_div",
            "margin_ranking_loss",
            "poisson_nll_loss",
            "triplet_margin_loss",
        ),
        "as in nn.functional: the number that torch's own form has for a reduction is refused",
    ),
}


def parameters_of(function: Any, torch: Any) -> list[list[str]]:
    """The names that may be given by position, for each of torch's overloads."""
    try:
        found = [inspect.signature(function)]
    except (ValueError, TypeError):
        schemas = torch._C._jit_get_schemas_for_operator(f"aten::{function.__name__}")
        tensors = [s for s in schemas if any("Tensor" in str(a.type) for a in (*s.arguments, *s.returns))]
        return [[a.name for a in s.arguments if not a.kwarg_only and not a.is_out] for s in tensors]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [[p.name for p in signature.parameters.values() if p.kind in kinds] for signature in found]


def public() -> Iterator[tuple[str, str]]:
    """Everything public that can be called and that torch has under the same name: its name here, and its place there."""
    for name in sorted(ng.__all__):
        if inspect.isfunction(getattr(ng, name)):
            yield name, name
    for name in sorted(vars(ng.Tensor)):
        if not name.startswith("_") and inspect.isfunction(getattr(ng.Tensor, name)):
            yield f"T.{name}", f"Tensor.{name}"
    for name in sorted(ng.nn.functional.__all__):
        yield f"F.{name}", f"nn.functional.{name}"
    for owner, prefix in ((ng.nn, "nn"), (ng.optim, "optim"), (ng.optim.lr_scheduler, "schedulers")):
        for name in sorted(vars(owner)):
            if inspect.isclass(getattr(owner, name)) and not name.startswith("_"):
                yield f"{prefix}.{name}", f"{prefix.replace('schedulers', 'optim.lr_scheduler')}.{name}"
    for name in sorted(ng.nn.utils.__all__):
        if inspect.isfunction(getattr(ng.nn.utils, name)):
            yield f"nn.utils.{name}", f"nn.utils.{name}"
    for name in sorted(ng.nn.utils.rnn.__all__):
        yield f"nn.utils.rnn.{name}", f"nn.utils.rnn.{name}"
    for name in sorted(vars(ng.nn.init)):
        if name.endswith("_") and not name.startswith("_"):
            yield f"nn.init.{name}", f"nn.init.{name}"
    for name in sorted(dir(ng.nn.Module)):
        if not name.startswith("_") and inspect.isfunction(getattr(ng.nn.Module, name)):
            yield f"nn.Module.{name}", f"nn.Module.{name}"


def _reach(root: Any, path: str) -> Any:
    for part in path.split("."):
        root = getattr(root, part, None)
    return root


def order_of(name: str, place: str, torch: Any) -> str:
    """How the order of the arguments differs from every one of torch's overloads; '' if it fits one."""
    theirs = _reach(torch, place)
    mine = _reach(ng, place)
    if theirs is None or mine is None:
        return ""
    own = parameters_of(mine, torch)[0]
    texts = []
    for overload in parameters_of(theirs, torch):
        named = [RENAMED.get(each, each) for each in overload]
        ours = [RENAMED.get(each, each) for each in own]
        shared = [each for each in named if each not in ABSENT or each in ours]
        # What torch has behind the arguments that numgrad has is missing, and giving it is refused.
        if shared[: len(ours)] == ours[: len(shared)] or ours[: len(shared)] == shared:
            return ""
        texts.append(f"{own} / {overload}")
    return "; ".join(texts)


def test_the_order_is_torchs(torch: ModuleType) -> None:
    texts = [(name, order_of(name, place, torch)) for name, place in public() if name not in ORDER]
    assert [(name, text) for name, text in texts if text] == []


def main() -> None:
    """Print what differs."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in CALLS:
        for how, further, mine, _ in differences(name, torch):
            sys.stdout.write(f"{how:8} {name}{further}: {str(mine)[:100]} ({REFUSED.get(name, 'a clear refusal')})\n")
    for name, place in public():
        text = order_of(name, place, torch)
        if text:
            sys.stdout.write(f"order    {name}: {text} ({ORDER.get(name, '????')})\n")


if __name__ == "__main__":
    main()
