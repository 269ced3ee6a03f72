"""The parameters of each public function, beside those of torch: names, order, kind and defaults.

``python -m tests.contracts.test_schemas`` prints what differs and why. A difference that is not in the table fails.
"""

from __future__ import annotations

import inspect
import re
import sys
from types import ModuleType
from typing import Any

import numgrad as ng
from numgrad.tensor.keywords import CREATION, RENAMED
from numgrad.tensor.outputs import FUNCTIONS
from tests.contracts.schemas import differences, overloads, parameters_of
from tests.contracts.test_positions import public

# Reason -> name -> how it differs.
ACCEPTED: dict[str, dict[str, str]] = {
    "None means 0 too": {"nan_to_num": "nan=0.0, not None", "nan_to_num_": "nan=0.0, not None"},
    "None means all dimensions too": {"amax": "dim=None, not ()", "amin": "dim=None, not ()"},
    "None means the kernel's extents too": dict.fromkeys(
        ("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "F.avg_pool1d"), "stride=None, not ()"
    ),
    "not implemented; giving it is refused by its name": {
        "bernoulli": "no p",
        "expand_copy": "no implicit",
        "view_copy": "no dtype",
        "bmm": "no out_dtype",
        "gather": "no sparse_grad",
        "mm": "no out_dtype",
        "save": "no pickle_module; no pickle_protocol; no _use_new_zipfile_serialization; no _disable_byteorder_record",
        "F.huber_loss": "no weight",
        "rrelu": "no generator",
        "rrelu_": "no generator",
        "F.rrelu_": "no generator",
        "tril_indices": "no requires_grad",
        "triu_indices": "no requires_grad",
        "T.copy_": "no other; no non_blocking",
        "T.numpy": "no force",
    },
    "a switch of a library that numgrad does not use": {
        "group_norm": "no cudnn_enabled",
        "layer_norm": "no cudnn_enable",
    },
    "dimensions have no names": {"full": "no names"},
    "the older name of torch's is taken by `keywords.RENAMED`": {
        "dot": "no tensor",
        "isin": "no element; no test_element",
        "dropout": "no train",
        "alpha_dropout": "no train",
        "feature_alpha_dropout": "no train",
        "tensor_split": "no tensor_indices_or_sections; no indices; no sections",
        "hsplit": "no sections; no indices",
        "vsplit": "no sections; no indices",
        "dsplit": "no sections; no indices",
        "split": "no tensor; no split_size_or_sections",
    },
    "torch takes it by position only": {
        "from_numpy": "no ndarray",
        "set_num_threads": "no num",
        "T.requires_grad_": "no mode",
        "where": "no self",
    },
    "torch's stub has it by position, torch itself by name only": {
        "tensor": "dtype by name only; device by name only; requires_grad by name only; pin_memory by name only",
    },
    "its further arguments are given by name only": {
        "norm": "out by name only; dtype by name only",
        "tensordot": "out by name only",
        "F.normalize": "out by name only",
        "T.to": "non_blocking by name only; copy by name only",
    },
    "packed rows are given by position": dict.fromkeys(
        ("gru", "lstm", "rnn_relu", "rnn_tanh"), "no batch_sizes; no data"
    ),
    "the function of nn.functional": {
        "binary_cross_entropy_with_logits": "pos_weight at 6, not 3; reduction at 5, not 4; reduction='mean', not 1",
        "ctc_loss": "reduction='mean', not 1",
        "cosine_embedding_loss": "reduction at 6, not 4; reduction='mean', not 1",
        "hinge_embedding_loss": "reduction at 5, not 3; reduction='mean', not 1",
        "kl_div": "reduction at 4, not 2; reduction='mean', not 1",
        "margin_ranking_loss": "reduction at 6, not 4; reduction='mean', not 1",
        "poisson_nll_loss": "eps at 5, not 4; reduction at 7, not 5",
        "triplet_margin_loss": "reduction at 9, not 7; reduction='mean', not 1",
    },
    "torch chooses between two functions": dict.fromkeys(
        """unique unique_consecutive F.max_pool1d F.max_pool2d F.max_pool3d F.adaptive_max_pool1d F.adaptive_max_pool2d
        F.adaptive_max_pool3d F.fractional_max_pool2d F.fractional_max_pool3d lu""".split(),
        "no args",
    ),
    "torch's older forms name the tensor self, after numbers": {
        "addbmm": "no self",
        "addmm": "no out_dtype; no self",
        "addmv": "no self",
        "addr": "no self",
        "baddbmm": "no out_dtype; no self",
        "searchsorted": "no self",
    },
}
TEXTS = {name: (text, reason) for reason, rows in ACCEPTED.items() for name, text in rows.items()}
COMPARED = [(name, place) for name, place in public() if name.rpartition(".")[0] in ("", "T", "F")]


def _reach(root: Any, path: str) -> Any:
    for part in path.split("."):
        root = getattr(root, part, None)
    return root


def difference(name: str, place: str, torch: Any) -> str:
    """How a function's parameters differ from torch's; an in-place function calls its tensor ``self``, as its method."""
    theirs = _reach(torch, place)
    return "" if theirs is None else differences(parameters_of(_reach(ng, place)), overloads(name, theirs, torch))


def test_the_parameters_are_torchs(torch: ModuleType) -> None:
    """A new difference goes into the table, with its reason, or away."""
    texts = [(name, difference(name, place, torch)) for name, place in COMPARED]
    assert [(name, text) for name, text in texts if text != TEXTS.get(name, ("",))[0]] == []


def test_the_table_has_no_name_twice_and_none_that_is_gone() -> None:
    assert sum(map(len, ACCEPTED.values())) == len(TEXTS)
    assert set(TEXTS) <= {name for name, _ in COMPARED}


def test_out_is_taken_where_torch_takes_it(torch: ModuleType) -> None:
    """torch's own lists; internal functions, copies of views and other devices' are left out."""
    left_out = re.compile(
        r"(.*indices|values|view_as_.*)_copy|.*_|_.*|(cudnn|mkldnn|batch_norm|native|sparse|hspmm|sspaddmm|saddmm).*|hash_tensor|"
        "frobenius_norm|nuclear_norm|lstsq|matrix_rank|solve|symeig"
    )
    takes = {
        name
        for name in dir(torch)
        if callable(getattr(torch, name)) and not left_out.fullmatch(name)
        if any(each.name == "out" for overload in overloads(name, getattr(torch, name), torch) for each in overload)
    }
    assert takes == FUNCTIONS


def test_options_are_taken_where_torch_takes_them(torch: ModuleType) -> None:
    for name, options in CREATION.items():
        prefix, owner = ("T.", torch.Tensor) if name.startswith("new_") else ("", torch)
        found = {
            each.name for overload in overloads(f"{prefix}{name}", getattr(owner, name), torch) for each in overload
        }
        assert not found or set(options) - {"layout"} <= found, name


def test_another_name_is_no_longer_needed_once_it_is_the_arguments() -> None:
    for name, names in RENAMED.items():
        own = inspect.signature(getattr(ng, name, None) or getattr(ng.Tensor, name)).parameters
        assert not set(names) & set(own)
        assert set(names.values()) <= set(own)


def main() -> None:
    """Print what differs, by reason."""
    import torch

    for name, place in COMPARED:
        text = difference(name, place, torch)
        if text:
            sys.stdout.write(f"{name}: {text} ({TEXTS.get(name, ('', '????'))[1]})\n")


if __name__ == "__main__":
    main()
