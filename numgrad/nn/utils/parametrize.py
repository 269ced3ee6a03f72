"""Parameters that are functions of others: a module's tensor is computed, by modules, each time that it is asked for."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import Any, TypeVar

from numgrad.autograd import no_grad
from numgrad.nn.containers import ModuleDict, ModuleList
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.runtime.scope import Scope
from numgrad.tensor.tensor import Tensor

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_M = TypeVar("_M", bound=Module)


class _Cache(threading.local):
    values: dict[tuple[int, str], Tensor] | None = None  # by module and name, while a `cached` is entered


_cache = _Cache()


class cached(Scope):  # noqa: N801 (a context)
    """While entered, each parametrized tensor is computed once; for modules that use one several times in a forward.

    >>> from numgrad import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> with cached():
    ...     layer.weight is layer.weight
    True
    """

    def __enter__(self) -> None:
        values = {} if _cache.values is None else _cache.values
        self._undo = ((_cache, "values", _cache.values), self._undo)
        _cache.values = values


def _register(module: Module, name: str, tensor: Tensor) -> None:
    """Give a module a tensor, as a parameter if it is one."""
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _check_tensor(value: Any, dtype: Any, shape: Any, names: tuple[str, str]) -> None:
    """Refuse the value of a parametrization that is not a tensor of this dtype and shape."""
    if not isinstance(value, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
    for what, before, after in (("dtype", dtype, value.dtype), ("shape", shape, value.shape)):
        if before != after:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag is enabled.\n"
                f"{names[0].format(what)}: {before}\n{names[1].format(what)}: {after}"
            )


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order in which they are applied, with the tensors that are learnt instead.

    Those are ``original``, or ``original0``, ``original1`` and so on if the first parametrization takes several.

    Parameters
    ----------
    modules
        The parametrizations.
    original
        The tensor, which becomes what the ``right_inverse`` of each gives for it, from the last to the first.
    unsafe
        Whether dtype and shape may change; then it is not tried whether they do.

    Raises
    ------
    ValueError
        There is no parametrization, or one gives something else than a tensor of the same dtype and shape.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> ParametrizationList([nn.Tanh()], nn.Parameter(ng.zeros(2)))
    ParametrizationList(
      (0): Tanh()
    )
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        new: Any = original
        with no_grad():
            for module in reversed(list(self)):
                try:
                    new = module.right_inverse(new) if hasattr(module, "right_inverse") else new
                except NotImplementedError:
                    pass  # one that has none starts from the tensor as it is
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if isinstance(new, Tensor) else len(new)
        if isinstance(new, Tensor):
            self._hold_one(original, new)
        else:
            self._hold_several(original, new)
        if not unsafe:
            value = self()
            try:
                _check_tensor(value, dtype, shape, ("unparametrized {}", "parametrized {}"))
            except ValueError:
                if self.is_tensor:
                    original.data = self._before
                raise
        del self._before

    def _hold_one(self, original: Tensor, new: Tensor) -> None:
        if original.dtype != new.dtype:
            raise ValueError(
                "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
            )
        self._before = original.detach()
        original.data = new.detach()
        _register(self, "original", original)

    def _hold_several(self, original: Tensor, new: Sequence[Any]) -> None:
        for number, tensor in enumerate(new):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                    f"Got element {number} of the sequence with type {type(tensor).__name__}."
                )
        self._before = original.detach()
        for number, tensor in enumerate(new):
            needs_grad = original.requires_grad and tensor.is_floating_point()
            held = tensor.detach().requires_grad_(needs_grad)
            if isinstance(original, Parameter):
                held = Parameter(tensor.detach(), needs_grad)
            _register(self, f"original{number}", held)

    def right_inverse(self, value: Tensor) -> None:
        """Set what is learnt, so that the parametrizations give ``value``; an assignment to the tensor does that.

        Raises
        ------
        RuntimeError
            A parametrization has no ``right_inverse``.
        ValueError
            One gives something else than what is learnt.
        """
        new: Any = value
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                new = module.right_inverse(new)
        if self.is_tensor:
            if not isinstance(new, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(new).__name__}")
            if new.dtype != self.original.dtype:
                raise ValueError(
                    f"The tensor returned by `right_inverse` has dtype {new.dtype} while `original` has dtype "
                    f"{self.original.dtype}"
                )
            self.original.data = new.detach()
            return
        if not isinstance(new, Sequence):
            raise ValueError(f"'right_inverse' must return a sequence of tensors. Got {type(new).__name__}.")
        if len(new) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length "
                f"{len(new)}."
            )
        for number, (tensor, held) in enumerate(zip(new, self._originals(), strict=True)):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors or reference-type opaques. Got element "
                    f"{number} of type {type(tensor).__name__}."
                )
            if tensor.dtype != held.dtype:
                raise ValueError(
                    f"Tensor {number} returned by `right_inverse` has dtype {tensor.dtype} while `original{number}` has "
                    f"dtype {held.dtype}"
                )
        for tensor, held in zip(new, self._originals(), strict=True):
            held.data = tensor.detach()

    def _originals(self) -> list[Tensor]:
        names = ["original"] if self.is_tensor else [f"original{number}" for number in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def forward(self) -> Any:
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        return value


# ---- modules with such tensors ----------------------------------------------------------------------------------


def _lists_of(module: Module) -> dict[str, Any]:
    """The parametrizations of a module's tensors, by name."""
    lists = module.__dict__.get("_modules", {}).get("parametrizations")
    return lists._modules if isinstance(lists, ModuleDict) else {}  # type: ignore[return-value]


def _class_for(cls: type[Module]) -> type[Module]:
    """A class that is ``cls``, but that parametrized tensors are computed where they are asked for and set by their inverse."""

    def __getattr__(self: Module, name: str) -> Any:  # noqa: N807 (a method)
        lists = _lists_of(self)
        if name not in lists:
            return cls.__getattr__(self, name)
        if _cache.values is None:
            return lists[name]()
        key = (id(self), name)
        if key not in _cache.values:
            _cache.values[key] = lists[name]()
        return _cache.values[key]

    def __setattr__(self: Module, name: str, value: Any) -> None:  # noqa: N807
        lists = _lists_of(self)
        if name in lists:
            lists[name].right_inverse(value)
        else:
            cls.__setattr__(self, name, value)

    def __dir__(self: Module) -> list[str]:  # noqa: N807
        return sorted({*cls.__dir__(self), *_lists_of(self)})

    def __getstate__(self: Module) -> Any:  # noqa: N807
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See:\n"
            "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
            "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    def __deepcopy__(self: Module, memo: dict[int, Any]) -> Module:  # noqa: N807
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    methods: dict[str, Any] = {
        "__getattr__": __getattr__,
        "__setattr__": __setattr__,
        "__dir__": __dir__,
        "__getstate__": __getstate__,
    }
    if not hasattr(cls, "__deepcopy__"):
        methods["__deepcopy__"] = __deepcopy__
    return type(f"Parametrized{cls.__name__}", (cls,), methods)


def register_parametrization(module: _M, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> _M:
    """Let a tensor of a module be computed by a parametrization, and return the module.

    What is learnt instead is the tensor ``module.parametrizations.<tensor_name>.original``. A second parametrization is
    applied to what the first gives. If a parametrization has a method ``right_inverse``, the tensor can be set, and begins as
    what this method makes of its value; the method may return several tensors, which the forward then takes.

    Parameters
    ----------
    module
        The module.
    tensor_name
        The name of a parameter or of a buffer.
    parametrization
        A module from a tensor to a tensor.
    unsafe
        Whether dtype and shape may change; then it is not tried whether they do.

    Raises
    ------
    ValueError
        There is no such tensor, or the parametrization gives something else than a tensor of the same dtype and shape. The
        module is unchanged.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> ng.equal(layer.weight, layer.weight.T)
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        lists = _lists_of(module)[tensor_name]
        if not unsafe:
            before = getattr(module, tensor_name)
            after = parametrization(before)
            names = f"module.{tensor_name}.{{}}", f"parametrization(module.{tensor_name}).{{}}"
            _check_tensor(after, before.dtype, before.shape, names)
            _check_inverse(parametrization, after, before, tensor_name)
        lists.append(parametrization)
        lists.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        held = ParametrizationList([parametrization], original, unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.__class__ = _class_for(type(module))  # type: ignore[assignment]
            module.parametrizations = ModuleDict()
        module.parametrizations._modules[tensor_name] = held
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    return module


def _check_inverse(parametrization: Module, value: Tensor, before: Tensor, name: str) -> None:
    """Refuse a further parametrization whose ``right_inverse`` gives something else than what those before it give."""
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        inverse = parametrization.right_inverse(value)
    except NotImplementedError:
        return
    if not isinstance(inverse, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(inverse).__name__}")
    for what, expected, got in (
        ("dtype", before.dtype, inverse.dtype),
        ("shape", before.shape, inverse.shape),
    ):
        if expected != got:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}, unless the "
                f"`unsafe` flag is enabled.\nmodule.{name}.{what}: {expected}\nreturned {what}: {got}"
            )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module is parametrized; None: whether any is.

    >>> from numgrad import nn
    >>> is_parametrized(nn.Linear(2, 3))
    False
    """
    lists = _lists_of(module)
    return bool(lists) if tensor_name is None else tensor_name in lists


def remove_parametrizations(module: _M, tensor_name: str, leave_parametrized: bool = True) -> _M:
    """Make a parametrized tensor an ordinary one again, and return the module.

    Parameters
    ----------
    module
        The module.
    tensor_name
        The name of the tensor.
    leave_parametrized
        Whether it keeps the value that the parametrizations give; otherwise it has that of what was learnt.

    Raises
    ------
    ValueError
        The tensor is not parametrized, or by several tensors without ``leave_parametrized``.

    >>> from numgrad import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> [name for name, _ in remove_parametrizations(layer, "weight").named_parameters()]
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    held = _lists_of(module)[tensor_name]
    if held.is_tensor:
        original = held.original
        if leave_parametrized:
            with no_grad():
                original.data = getattr(module, tensor_name).detach()
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of "
            "tensors."
        )
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    _register(module, tensor_name, original)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before its tensors were parametrized.

    >>> from numgrad import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> type(layer).__name__, type_before_parametrizations(layer).__name__
    ('ParametrizedLinear', 'Linear')
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module: Module, to_module: _M, tensor_name: str | None = None) -> _M:
    """Give a module the parametrizations of another, and what these have learnt, and return it.

    Parameters
    ----------
    from_module
        The module that has them.
    to_module
        The module that gets them; it gets tensors that it lacks, too.
    tensor_name
        The name of one tensor; None: all that are parametrized.

    >>> from numgrad import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> transfer_parametrizations_and_params(layer, nn.Linear(2, 3)).weight.equal(layer.weight)
    True
    """
    lists = _lists_of(from_module)
    names = [] if not lists else list(lists) if tensor_name is None else [tensor_name]
    for name in names:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach()))
        for parametrization in lists[name]:
            register_parametrization(to_module, name, parametrization)
        held = _lists_of(to_module)[name]
        originals = ["original"] if lists[name].is_tensor else [f"original{n}" for n in range(lists[name].ntensors)]
        for each in originals:
            setattr(held, each, getattr(lists[name], each))
    return to_module
