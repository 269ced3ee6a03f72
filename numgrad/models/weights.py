"""Pretrained weights as members of enums: ``ResNet18_Weights.DEFAULT``. The data come from `numgrad.weights`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from numgrad import weights
from numgrad.models.transforms import ImageClassification
from numgrad.serialization import checkpoint

_E = TypeVar("_E", bound="WeightsEnum")


@dataclass(frozen=True)
class Weights:
    """One set of weights.

    ``url`` is the file's address. ``transforms`` makes the preprocessing of the model's images. ``meta`` has the keys
    'categories', 'num_params', 'min_size', 'recipe', '_metrics', '_ops' and '_file_size'.
    """

    name: str
    url: str
    transforms: Callable[..., ImageClassification]
    meta: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weights) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class WeightsEnum(enum.Enum):
    """Base class of the enums of weights: the members are the sets of weights of one model, DEFAULT is the best.

    >>> from numgrad.models import ResNet18_Weights
    >>> ResNet18_Weights.DEFAULT
    ResNet18_Weights.IMAGENET1K_V1
    >>> ResNet18_Weights.DEFAULT.meta["categories"][207]
    'golden retriever'
    """

    @classmethod
    def verify(cls: type[_E], obj: Any) -> _E | None:
        """The member for a member or its name, such as 'DEFAULT' or 'ResNet18_Weights.IMAGENET1K_V1'; None for None.

        Raises
        ------
        TypeError
            ``obj`` is neither a member nor a string.
        KeyError
            There is no member with this name.
        """
        if obj is None or isinstance(obj, cls):
            return obj
        if isinstance(obj, str):
            name = obj.removeprefix(f"{cls.__name__}.")
            if name not in cls.__members__:
                raise KeyError(f"{cls.__name__} has no member {name!r}; it has {', '.join(cls.__members__)}")
            return cls[name]
        raise TypeError(f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}.")

    def get_state_dict(self, progress: bool = True, check_hash: bool = True) -> Any:
        """The parameters and buffers by name, as `Module.load_state_dict` takes them.

        The file is downloaded on first use, and its whole SHA-256 is checked each time, whatever ``check_hash`` says.

        Raises
        ------
        WeightsError
            The file cannot be fetched, or its hash is wrong; see `numgrad.weights.fetch`.
        """
        path = weights.fetch(self.value.name, progress=None if progress else False)
        # `fetch` has checked the hash of the whole file, so the checksums inside need no check.
        return checkpoint.load(path, verify=False)

    @property
    def url(self) -> str:
        """The address of the file."""
        return str(self.value.url)

    @property
    def transforms(self) -> Callable[..., ImageClassification]:
        """A function without arguments that makes the preprocessing of images for these weights."""
        return self.value.transforms  # type: ignore[no-any-return]

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about the weights; see `Weights`."""
        return self.value.meta  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self._name_}"


class _Registered(Weights):
    """Weights of the registry, which is read when something is asked of them: importing the models must not take its time."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __getattr__(self, field: str) -> Any:
        if field not in ("url", "transforms", "meta"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {field!r}")
        for name, value in _facts(self.name).items():
            object.__setattr__(self, name, value)
        return self.__dict__[field]


def weights_of(name: str) -> Weights:
    """The weights with this name in `numgrad.weights`, such as 'resnet18.imagenet1k_v1'."""
    return _Registered(name)


def _facts(name: str) -> dict[str, Any]:
    """The fields of `Weights`, but for the name."""
    entry = weights.entry(name)
    images = entry.preprocessing
    source = (entry.usable or entry.sources)[0]

    transforms = partial(
        ImageClassification,
        crop_size=images.crop,
        resize_size=images.resize,
        mean=images.mean,
        std=images.std,
        interpolation=images.interpolation,
    )
    meta = {
        "categories": list(weights.categories(name)),
        "num_params": entry.parameters,
        "min_size": entry.min_size,
        "recipe": entry.recipe,
        "_metrics": {entry.dataset: {"acc@1": entry.acc1, "acc@5": entry.acc5}},
        "_ops": entry.gmacs,
        "_file_size": round(source.size / 2**20, 3),
    }
    return {"url": source.urls[0], "transforms": transforms, "meta": meta}
