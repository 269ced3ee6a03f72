"""torch's names around modules: numgrad has each, or the table says why it has not.

``python -m tests.contracts.test_modules`` prints the names that it has not, with the reasons.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng

# The places that are walked, of numgrad and of torch.
PLACES = (
    "nn", "nn.Module", "nn.Parameter", "nn.Sequential", "nn.ModuleList", "nn.ModuleDict", "nn.ParameterList", "nn.ParameterDict",
    "nn.common_types", "nn.grad", "nn.init", "nn.modules", "nn.modules.activation", "nn.modules.batchnorm", "nn.modules.container",
    "nn.modules.conv", "nn.modules.dropout", "nn.modules.instancenorm", "nn.modules.lazy", "nn.modules.linear", "nn.modules.loss",
    "nn.modules.module", "nn.modules.normalization", "nn.modules.padding", "nn.modules.pooling", "nn.modules.rnn",
    "nn.modules.sparse",
    "nn.modules.transformer", "nn.modules.upsampling", "nn.modules.utils", "nn.parallel", "nn.parameter", "nn.utils",
    "nn.utils.clip_grad", "nn.utils.convert_parameters", "nn.utils.fusion", "nn.utils.init", "nn.utils.memory_format",
    "nn.utils.parametrizations", "nn.utils.parametrize", "nn.utils.prune", "nn.utils.rnn", "nn.utils.stateless",
)  # fmt: skip

# Private names that programs use all the same.
PRIVATE = {
    "nn.Module": """_apply _buffers _call_impl _get_name _load_from_state_dict _modules _named_members _parameters
        _register_load_state_dict_pre_hook _register_state_dict_hook _save_to_state_dict _version""",
    "nn.init": "_calculate_fan_in_and_fan_out",
    "nn.modules.batchnorm": "_BatchNorm _NormBase",
    "nn.modules.conv": "_ConvNd _ConvTransposeNd",
    "nn.modules.dropout": "_DropoutNd",
    "nn.modules.instancenorm": "_InstanceNorm",
    "nn.modules.loss": "_Loss",
    "nn.modules.module": "_IncompatibleKeys _addindent _global_forward_hooks",
    "nn.modules.pooling": "_AdaptiveAvgPoolNd _AdaptiveMaxPoolNd _AvgPoolNd _MaxPoolNd",
    "nn.modules.utils": "_ntuple _pair _quadruple _single _triple _list_with_default _reverse_repeat_tuple",
    "nn.common_types": "_size_1_t _size_2_t _size_3_t _size_any_t _ratio_any_t",
}

# Reason -> names, each with its place.
EXPLAINED: dict[str, str] = {
    "there are no quantized numbers": "nn.intrinsic nn.qat nn.quantizable nn.quantized",
    "a loss is not computed piece by piece; F.linear_cross_entropy refuses options by their name": (
        "nn.LinearCrossEntropyOptions nn.modules.LinearCrossEntropyOptions"
    ),
    "a type variable of torch's own annotations": "nn.Module.T_destination",
    "a process has one device; ranks are `nn.parallel.DistributedDataParallel`'s": """nn.parallel.gather
        nn.parallel.parallel_apply nn.parallel.replicate nn.parallel.scatter""",
}
REASONS = {name: reason for reason, names in EXPLAINED.items() for name in names.split()}


def _reach(root: ModuleType, path: str) -> Any:
    value: Any = root
    for number, name in enumerate(path.split(".")):
        if not hasattr(value, name) and isinstance(value, ModuleType):
            importlib.import_module(f"{root.__name__}.{'.'.join(path.split('.')[: number + 1])}")
        value = getattr(value, name)
    return value


def names_of(root: ModuleType, path: str) -> list[str]:
    """The public names at a place, of torch's own: a module's list, or what it defines; the members of a class."""
    owner = _reach(root, path)
    if isinstance(owner, type):
        module: Any = root.nn.Module
        base = next((base for base in (root.Tensor, module) if issubclass(owner, base) and owner is not base), object)
        names = [name for name in dir(owner) if not name.startswith("_") and not hasattr(base, name)]
        return sorted({*names, *PRIVATE.get(path, "").split()})
    listed = getattr(owner, "__all__", None)
    names = listed if listed and path not in ("nn", "nn.utils") else dir(owner)
    own = [
        name
        for name in names
        if not name.startswith("_") and getattr(_module_of(getattr(owner, name, None)), "startswith", bool)("torch")
    ]
    return sorted({*own, *PRIVATE.get(path, "").split()})


def _module_of(value: Any) -> Any:
    """The module that a value comes from; torch itself is not one of the names at a place."""
    if isinstance(value, ModuleType):
        return value.__name__ if value.__name__ != "torch" else ""
    return getattr(value, "__module__", None) or "torch"


@pytest.mark.parametrize("place", PLACES)
def test_it_is_there_or_explained(place: str, torch_says: Any) -> None:
    owner = _reach(ng, place)
    names = torch_says(lambda torch: names_of(torch, place))
    missing = {f"{place}.{name}" for name in names if not hasattr(owner, name)}
    assert not missing - set(REASONS)


def test_nothing_is_explained_that_is_there() -> None:
    for name in REASONS:
        path, _, last = name.rpartition(".")
        assert not hasattr(_reach(ng, path), last), name


def test_a_class_is_one_at_all_of_its_addresses() -> None:
    for name in ng.nn.modules.__all__:
        assert getattr(ng.nn.modules, name) is getattr(ng.nn, name)
    for address in ng.nn.modules._NAMES:
        imported = importlib.import_module(f"numgrad.nn.modules.{address}")
        for name in imported.__all__:
            assert getattr(ng.nn.modules, name, getattr(imported, name)) is getattr(imported, name)


def test_kinds_of_modules_are_torchs(torch: ModuleType) -> None:
    """Programs ask for the class of a module: a subclass in torch is one here, and none else."""
    names = [name for name in ng.nn.__all__ if isinstance(getattr(ng.nn, name), type) and hasattr(torch.nn, name)]
    for first in names:
        for second in names:
            mine, theirs = (issubclass(getattr(lib.nn, first), getattr(lib.nn, second)) for lib in (ng, torch))
            assert mine == theirs or first == "UninitializedBuffer", (first, second)


def main() -> None:
    """Print what is not there."""
    import torch

    for place in PLACES:
        owner = _reach(ng, place)
        for name in names_of(torch, place):
            if not hasattr(owner, name):
                sys.stdout.write(f"{place}.{name}: {REASONS.get(f'{place}.{name}', '????')}\n")


if __name__ == "__main__":
    main()
