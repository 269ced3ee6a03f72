"""The models by name: each model's builder and the enum of its weights. `register` adds a pair; the rest looks them up.

`build` makes a model, with pretrained weights or without; every builder ends in it.
"""

from __future__ import annotations

import difflib
import fnmatch
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from numgrad.models.weights import WeightsEnum
from numgrad.nn import Module, init

BUILDERS: dict[str, Callable[..., Module]] = {}
ENUMS: dict[str, type[WeightsEnum]] = {}

_F = TypeVar("_F", bound=Callable[..., Any])
_M = TypeVar("_M", bound=Module)


def register(enum: type[WeightsEnum]) -> Callable[[_F], _F]:
    """Decorator of a function that builds a model: enters it, with the enum of its weights, under its own name."""

    def enter(builder: _F) -> _F:
        BUILDERS[builder.__name__] = builder
        ENUMS[builder.__name__] = enum
        return builder

    return enter


def chosen(
    enum: type[WeightsEnum], weights: WeightsEnum | str | bool | None, config: dict[str, Any], stacklevel: int = 3
) -> WeightsEnum | None:
    """The member that a builder's arguments name, and its number of classes in ``config``; None for random weights.

    ``pretrained=True``, torchvision's older argument, means the first weights of ImageNet, with a warning.

    Raises
    ------
    TypeError, KeyError
        As `WeightsEnum.verify`.
    ValueError
        num_classes is not that of the weights, or there are no first weights of ImageNet.
    """
    if "pretrained" in config or isinstance(weights, bool):
        pretrained = config.pop("pretrained", weights)
        if pretrained and "IMAGENET1K_V1" not in enum.__members__:
            raise ValueError(f"pretrained=True has no meaning here; choose one of weights={', '.join(map(repr, enum))}")
        warnings.warn(
            "The parameter 'pretrained' is deprecated, please use 'weights' instead"
            + (f", such as weights={enum.__name__}.IMAGENET1K_V1." if "IMAGENET1K_V1" in enum.__members__ else "."),
            UserWarning,
            stacklevel=stacklevel,
        )
        weights = enum["IMAGENET1K_V1"] if pretrained else None
    member = enum.verify(weights)
    if member is not None:
        fixed(config, "num_classes", len(member.meta["categories"]))
    return member


def fixed(config: dict[str, Any], name: str, value: Any) -> None:
    """Set an argument whose value the model's name or its weights imply.

    Raises
    ------
    ValueError
        The caller gave another value.
    """
    if config.setdefault(name, value) != value:
        raise ValueError(f"The parameter '{name}' expected value {value} but got {config[name]} instead.")


def assembled(member: WeightsEnum | None, progress: bool, make: Callable[..., _M], *args: Any, **config: Any) -> _M:
    """What ``make`` makes of these arguments, with the member's weights or, for None, random ones."""
    if member is None:
        return make(*args, **config)
    # The file comes first: without it there is no need to build the model.
    state = member.get_state_dict(progress=progress, check_hash=True)
    with init.skipped():
        model = make(*args, **config)
    model.load_state_dict(state)
    return model


def build(
    enum: type[WeightsEnum],
    weights: WeightsEnum | str | bool | None,
    progress: bool,
    config: dict[str, Any],
    make: Callable[..., _M],
    *args: Any,
) -> _M:
    """What a builder returns: `assembled` of what is `chosen`. ``make`` is called with ``args`` and ``config``.

    Raises
    ------
    TypeError, KeyError, ValueError
        As `chosen`.
    WeightsError
        The weights cannot be fetched; see `numgrad.weights.fetch`.
    """
    member = chosen(enum, weights, config, stacklevel=4)
    return assembled(member, progress, make, *args, **config)


def list_models(include: Iterable[str] | str | None = None, exclude: Iterable[str] | str | None = None) -> list[str]:
    """The sorted names of the models that match a shell pattern of ``include`` and none of ``exclude``.

    >>> from numgrad import models
    >>> models.list_models("wide*")
    ['wide_resnet101_2', 'wide_resnet50_2']
    """
    included = ["*"] if include is None else [include] if isinstance(include, str) else list(include)
    excluded = [] if exclude is None else [exclude] if isinstance(exclude, str) else list(exclude)

    def matches(name: str, patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return sorted(name for name in BUILDERS if matches(name, included) and not matches(name, excluded))


def get_model_builder(name: str) -> Callable[..., Module]:
    """The function that builds the model of this name.

    Raises
    ------
    ValueError
        There is no such model.

    >>> from numgrad import models
    >>> models.get_model_builder("resnet18").__name__
    'resnet18'
    """
    builder = BUILDERS.get(name.lower())
    if builder is None:
        near = difflib.get_close_matches(name.lower(), BUILDERS, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"Unknown model {name}; {hint}numgrad.models.list_models() has the {len(BUILDERS)} names")
    return builder


def get_model(name: str, **config: Any) -> Module:
    """Build a model by its name, with the arguments of its function.

    Raises
    ------
    ValueError
        There is no such model.

    >>> from numgrad import models
    >>> models.get_model("resnet18", num_classes=10).fc
    Linear(in_features=512, out_features=10, bias=True)
    """
    return get_model_builder(name)(**config)


def get_model_weights(name: Callable[..., Module] | str) -> type[WeightsEnum]:
    """The enum of a model's weights; the model is given by its name or by its function.

    Raises
    ------
    ValueError
        There is no such model.

    >>> from numgrad import models
    >>> list(models.get_model_weights("resnet50"))
    [ResNet50_Weights.IMAGENET1K_V1, ResNet50_Weights.IMAGENET1K_V2]
    """
    model = name if isinstance(name, str) else getattr(name, "__name__", "")
    get_model_builder(model)
    return ENUMS[model.lower()]


def get_weight(name: str) -> WeightsEnum:
    """The weights with this full name.

    Raises
    ------
    ValueError
        There are no such weights.

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
