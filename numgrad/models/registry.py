"""Models by name: `get_model`, `list_models`, and the weights that belong to them."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from numgrad.models.weights import WeightsEnum
from numgrad.nn import Module

BUILDERS: dict[str, Callable[..., Module]] = {}
ENUMS: dict[str, type[WeightsEnum]] = {}

_F = TypeVar("_F", bound=Callable[..., Any])


def register(enum: type[WeightsEnum]) -> Callable[[_F], _F]:
    """Decorator of a function that builds a model: it is known by its name from now on, with its weights."""

    def keep(builder: _F) -> _F:
        BUILDERS[builder.__name__] = builder
        ENUMS[builder.__name__] = enum
        return builder

    return keep


def list_models(include: Iterable[str] | str | None = None, exclude: Iterable[str] | str | None = None) -> list[str]:
    """Names of all models, sorted; those that match a shell pattern of ``include``, and none of ``exclude``.

    >>> from numgrad import models
    >>> models.list_models("wide*")
    ['wide_resnet101_2', 'wide_resnet50_2']
    """
    wanted = ["*"] if include is None else [include] if isinstance(include, str) else list(include)
    unwanted = [] if exclude is None else [exclude] if isinstance(exclude, str) else list(exclude)

    def matches(name: str, patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return sorted(name for name in BUILDERS if matches(name, wanted) and not matches(name, unwanted))


def get_model_builder(name: str) -> Callable[..., Module]:
    """The function that builds the model of this name.

    Raises
    ------
    ValueError
        There is none.

    >>> from numgrad import models
    >>> models.get_model_builder("resnet18").__name__
    'resnet18'
    """
    builder = BUILDERS.get(name.lower())
    if builder is None:
        raise ValueError(f"Unknown model {name}; known are {', '.join(list_models())}")
    return builder


def get_model(name: str, **config: Any) -> Module:
    """Build a model by its name, with the arguments of its function.

    Raises
    ------
    ValueError
        There is none of this name.

    >>> from numgrad import models
    >>> models.get_model("resnet18", num_classes=10).fc
    Linear(in_features=512, out_features=10, bias=True)
    """
    return get_model_builder(name)(**config)


def get_model_weights(name: Callable[..., Module] | str) -> type[WeightsEnum]:
    """The enum of the weights of a model, given by its name or its function.

    Raises
    ------
    ValueError
        There is none.

    >>> from numgrad import models
    >>> list(models.get_model_weights("resnet50"))
    [ResNet50_Weights.IMAGENET1K_V1, ResNet50_Weights.IMAGENET1K_V2]
    """
    known = name if isinstance(name, str) else getattr(name, "__name__", "")
    get_model_builder(known)
    return ENUMS[known.lower()]


def get_weight(name: str) -> WeightsEnum:
    """The weights of a full name.

    Raises
    ------
    ValueError
        There are none.

    >>> from numgrad import models
    >>> models.get_weight("ResNet50_Weights.IMAGENET1K_V2")
    ResNet50_Weights.IMAGENET1K_V2
    """
    enum_name, dot, member = name.partition(".")
    if not dot:
        raise ValueError(f"Invalid weight name provided: '{name}'; expected one such as 'ResNet18_Weights.DEFAULT'.")
    for enum in ENUMS.values():
        if enum.__name__ == enum_name:
            if member not in enum.__members__:
                raise ValueError(f"{enum_name} has no member '{member}'; it has {', '.join(enum.__members__)}")
            return enum[member]
    raise ValueError(
        f"The weight enum '{enum_name}' for the model was not found; known are "
        f"{', '.join(sorted(enum.__name__ for enum in ENUMS.values()))}"
    )
