"""Modules that hold other modules in order: `Sequential`, `ModuleList`, `ModuleDict`."""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from numgrad.errors import warn
from numgrad.nn.module import Module
from numgrad.tensor.conversions import typename
from numgrad.tensor.printing import indented

__all__ = ["Container", "ModuleDict", "ModuleList", "Sequential"]


def position_in(index: Any, length: int) -> int:
    position = operator.index(index)
    if not -length <= position < length:
        raise IndexError(f"index {position} is out of range")
    return position % length


class _Numbered(Module):
    """Modules under the names '0', '1', ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        members = list(self._modules.values())
        if isinstance(index, slice):
            return self._of(dict(list(self._modules.items())[index]))
        return members[position_in(index, len(members))]

    def _of(self, members: dict[str, Any]) -> Any:
        """A slice of this container; a Sequential keeps the names, as torch's does."""
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[position_in(index, len(self))], module)

    def __delitem__(self, index: int | slice) -> None:
        members = list(self._modules.values())
        if isinstance(index, slice):
            del members[index]
        else:
            del members[position_in(index, len(members))]
        self._renumber(members)

    def _renumber(self, members: Iterable[Any]) -> None:
        self._modules = {}
        for number, module in enumerate(members):
            self.add_module(str(number), module)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, module: Module) -> Any:
        """Add a module at the end.

        Raises
        ------
        TypeError
            ``module`` is not a module.
        """
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend should be called with an iterable, but got {type(modules).__name__}"
            )
        members = list(modules)
        for module in members:
            if module is not None and not isinstance(module, Module):
                raise TypeError(f"{typename(module)} is not a Module subclass")
        for module in members:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before the one at ``index``; the later ones move up by one number.

        Raises
        ------
        AssertionError
            ``module`` is not a module.
        IndexError
            The index is out of range.
        KeyError
            A module that would have to move has a name that is not a number.
        """
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}, but got {typename(module)}")
        count, members = len(self), self._modules
        if not -count <= index <= count:
            raise IndexError(f"Index out of range: {index}")
        index = index + count if index < 0 else index
        for number in range(index, count):
            if str(number) not in members:
                raise KeyError(str(number))
        for number in range(count, index, -1):
            members[str(number)] = members[str(number - 1)]
        members[str(index)] = module
        return self

    def pop(self, key: int | slice) -> Any:
        """Remove a module, or a slice, and return it."""
        module = self[key]
        del self[key]
        return module


class Sequential(_Numbered):
    """Modules called one after the other, each with its predecessor's output.

    Takes modules, or one dict from names to modules.

    >>> from numgrad import nn
    >>> nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=4, out_features=2, bias=True)
    )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input

    def _of(self, members: dict[str, Any]) -> Sequential:
        return type(self)(members)

    def __add__(self, other: Sequential) -> Sequential:
        return Sequential(*self, *_sequential(other))

    def __iadd__(self, other: Sequential) -> Sequential:
        return self.extend(_sequential(other))  # type: ignore[no-any-return]

    def __mul__(self, other: int) -> Sequential:
        return Sequential(*list(self) * self._times(other))

    __rmul__ = __mul__

    def __imul__(self, other: int) -> Sequential:
        return self.extend(list(self) * (self._times(other) - 1))  # type: ignore[no-any-return]

    def _times(self, count: Any) -> int:
        """How often the modules are repeated; they share their parameters."""
        if not isinstance(count, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(count)}")
        if count <= 0:
            raise ValueError(f"Non-positive multiplication factor {count} for {type(self)}")
        if count > sys.maxsize:
            raise ValueError(f"multiplication factor {count} for {type(self)} is more than a list can hold")
        return count


def _sequential(other: Any) -> Sequential:
    if not isinstance(other, Sequential):
        raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
    return other


class ModuleList(_Numbered):
    """A list of modules, registered with the module that holds it; it has no forward.

    >>> from numgrad import nn
    >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> layers
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _of(self, members: dict[str, Any]) -> ModuleList:
        return type(self)(members.values())

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)  # type: ignore[no-any-return]

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        if not len(self):
            return f"{self._get_name()}()"
        lines, begin = [], 0
        for text, group in itertools.groupby(repr(module) for module in self):
            count = len(list(group))
            name = f"({begin})" if count == 1 else f"({begin}-{begin + count - 1})"
            lines.append(f"{name}: {'' if count == 1 else f'{count} x '}{indented(text)}")
            begin += count
        return "\n  ".join([f"{self._get_name()}(", *lines]) + "\n)"


class ModuleDict(Module):
    """A dict of modules in order of insertion, registered with the module that holds it; it has no forward.

    >>> from numgrad import nn
    >>> nn.ModuleDict({"a": nn.ReLU()})
    ModuleDict(
      (a): ReLU()
    )
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Remove the module called ``key`` and return it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Pairs of name and module."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules from a mapping or from pairs; existing names are replaced.

        Raises
        ------
        TypeError
            ``modules`` is neither, or a value is not a module.
        ValueError
            An element of ``modules`` is not a pair.
        """
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, but got "
                f"{type(modules).__name__}"
            )
        pairs: list[Any] = list(modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules)
        for number, each in enumerate(pairs):
            what = f"ModuleDict update sequence element #{number}"
            if not isinstance(each, Iterable):
                raise TypeError(f"{what} should be Iterable; is {type(each).__name__}")
            if len(each) != 2:  # type: ignore[arg-type]
                raise ValueError(f"{what} has length {len(each)}; 2 is required")  # type: ignore[arg-type]
        for name, module in pairs:
            self[name] = module


class Container(Module):
    """A module with the given modules under their names; older than `Sequential` and `ModuleList`, which are the better ones.

    >>> import warnings
    >>> from numgrad import nn
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     nn.Container(a=nn.ReLU())
    Container(
      (a): ReLU()
    )
    """

    def __init__(self, **kwargs: Any) -> None:
        warn(
            "`nn.Container` is deprecated. All of its functionality is now implemented in `nn.Module`. Subclass that instead.",
            FutureWarning,
        )
        super().__init__()
        for name, module in kwargs.items():
            self.add_module(name, module)
