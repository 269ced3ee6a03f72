"""`as_torch`: numgrad under the name of torch, for libraries whose imports nobody wants to change."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

__all__ = ["as_torch"]

API = "2.13.0"  # the torch whose names and defaults numgrad has
_VISION = ("datasets", "models", "transforms", "utils")


def _package() -> Any:
    return sys.modules["numgrad"]


class _StandIn(ModuleType):
    """A module of another's name, which has that one's version and numgrad's names."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or (self.__name__ == "torchvision" and name not in _VISION):
            raise AttributeError(f"module {self.__name__!r}, for which numgrad stands in, has no attribute {name!r}")
        return getattr(_package(), name)

    def __dir__(self) -> list[str]:
        return list(_VISION) if self.__name__ == "torchvision" else dir(_package())


class _Finder(MetaPathFinder, Loader):
    """Finds ``torch`` and what lies in it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, rest = name.partition(".")
        if top not in ("torch", "torchvision") or (top == "torchvision" and rest and rest.split(".")[0] not in _VISION):
            return None
        if rest and _ours(rest) is None:
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        rest = module.__name__.partition(".")[2]
        if rest:
            sys.modules[module.__name__] = _ours(rest)  # the import goes on with what it finds there
        elif module.__name__ == "torch":
            version = f"{API}+numgrad.{_package().__version__}"
            vars(module).update(__version__=version, version=SimpleNamespace(__version__=version, cuda=None, hip=None))
        else:
            vars(module).update(__version__=f"0.28.0+numgrad.{_package().__version__}")


def _ours(rest: str) -> Any:
    """The module, or what else numgrad has under the name, such as ``jit``; None if there is none."""
    try:
        return importlib.import_module(f"numgrad.{rest}")
    except ModuleNotFoundError as error:
        if error.name is None or not f"numgrad.{rest}.".startswith(f"{error.name}."):
            raise
    value: Any = _package()
    for part in rest.split("."):
        value = getattr(value, part, None)
    return value


def as_torch() -> None:
    """From here on, ``import torch`` and ``import torchvision`` import numgrad, in this process, in libraries too.

    Libraries that build on torch then run on numgrad as they are. ``torch.__version__`` is that of the torch whose names numgrad
    has, with numgrad's own at its end, since programs choose by it. A second call does nothing.

    Raises
    ------
    RuntimeError
        The real torch was imported before.

    >>> from numgrad.utils import as_torch
    >>> as_torch()  # doctest: +SKIP
    >>> import torch  # doctest: +SKIP
    >>> torch.ones(2)  # doctest: +SKIP
    tensor([1., 1.])
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    for name in ("torch", "torchvision"):
        if name in sys.modules:
            raise RuntimeError(f"as_torch: {name} was imported before; call it before anything imports {name}")
    sys.meta_path.insert(0, _Finder())
