"""`Module`: a tree of parameters, buffers and submodules with a forward."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from numgrad.devices import on_cpu
from numgrad.dtypes import bfloat16, float16, float32, float64
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DeviceError
from numgrad.nn import state
from numgrad.nn.hooks import TABLES, Hooked, call_with_hooks
from numgrad.nn.parameter import Parameter, typename
from numgrad.tensor import arguments, legacy, shaping
from numgrad.tensor.printing import indented
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import clear_gradients

__all__ = ["Module"]

_M = TypeVar("_M", bound="Module")


class Module(Hooked):
    """Base class of everything with parameters.

    A subclass calls ``super().__init__()``, assigns parameters and submodules to attributes, and defines ``forward``.

    Attributes
    ----------
    training
        True in train mode (the default), False in eval mode; see `train`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(ng.tensor(2.0))
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> model = Scale()
    >>> model(ng.tensor([1.0, 2.0]))
    tensor([2., 4.], grad_fn=<MulBackward0>)
    >>> [name for name, _ in model.named_parameters()]
    ['factor']
    """

    _version = 1  # of the names and meaning of this class's own entries in a state_dict; saved with them

    training: bool
    # The tables of a module's members. These empty ones are seen until `__init__` makes the module's own.
    _parameters: dict[str, Parameter | None] = MappingProxyType({})  # type: ignore[assignment]
    _buffers: dict[str, Tensor | None] = MappingProxyType({})  # type: ignore[assignment]
    _modules: dict[str, Module | None] = MappingProxyType({})  # type: ignore[assignment]
    _non_persistent_buffers_set: set[str]

    def __init__(self) -> None:
        # Written into __dict__ directly, since __setattr__ looks into these tables.
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _modules={},
            **{table: OrderedDict() for table in TABLES},
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it. Call the module itself, so that its hooks run."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._has_hooks():
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, args, kwargs)

    # ---- attributes ---------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._require_tables("parameters")
            self._forget(name, but="_parameters")
            self.register_parameter(name, value)
        elif name in self._parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as parameter '{name}' (numgrad.nn.Parameter or None expected)"
                )
            self._parameters[name] = None
        elif isinstance(value, Module):
            self._require_tables("module")
            self._forget(name, but="_modules")
            self._modules[name] = value
        elif name in self._modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (numgrad.nn.Module or None expected)"
                )
            self._modules[name] = None
        elif name in self._buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' (numgrad.Tensor or None expected)"
                )
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in (parameters := self._parameters):
            return parameters[name]
        if name in (modules := self._modules):
            return modules[name]
        if name in (buffers := self._buffers):
            return buffers[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._parameters, *self._buffers, *self._modules})

    def _forget(self, name: str, but: str = "") -> bool:
        """Remove an attribute from every table, so that it can come back as another kind; False if there is none.

        It stays in the table ``but``: a member that is replaced by one of its kind keeps its position in the order of a
        state_dict, of `parameters` and of a `Sequential`.
        """
        removed = False
        tables = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if table != but and name in tables[table]:
                del tables[table][name]
                removed = True
        if name in tables:
            del tables[name]
            removed = True
        self._non_persistent_buffers_set.discard(name)
        return removed

    def _require_tables(self, what: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")

    def _check_name(self, kind: str, name: Any, table: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in self.__dict__[table]:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name; None keeps the name without a parameter.

        Raises
        ------
        AttributeError
            ``Module.__init__`` was not called yet.
        TypeError
            The name is not a string, or ``param`` is not a `Parameter`.
        KeyError
            The name is empty, has a dot, or is taken by another attribute.
        """
        self._require_tables("parameter")
        self._check_name("parameter", name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' (numgrad.nn.Parameter or None "
                "required)"
            )
        if param is not None and param._node is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To "
                f"express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module's state but is not learnt, such as a running mean.

        Parameters
        ----------
        name
            The attribute's name.
        tensor
            The values; None keeps the name.
        persistent
            Whether it is part of `state_dict`.

        Raises
        ------
        AttributeError, TypeError, KeyError
            As for `register_parameter`.
        """
        self._require_tables("buffer")
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (numgrad.Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name; the errors of `register_parameter`."""
        self._require_tables("module")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = module

    register_module = add_module

    # ---- walking the tree ---------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names, each module once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def _named_members(self, table: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix=prefix, remove_duplicate=once) if recurse else iter([(prefix, self)])
        seen: set[int] = set()
        for path, module in modules:
            for name, value in module.__dict__[table].items():
                if value is None or id(value) in seen:
                    continue
                if once:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters of this module (and of all below it) with their dotted names, each parameter once."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Parameters of this module (and of all below it)."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers of this module (and of all below it) with their dotted names."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Buffers of this module (and of all below it)."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted name; '' is this one.

        Raises
        ------
        AttributeError
            There is no such module.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def _get_member(self, target: str, table: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in module.__dict__[table]:
            raise AttributeError(f"`{name}` is not {kind}")
        return module.__dict__[table][name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name; AttributeError if there is none."""
        return self._get_member(target, "_parameters", "an nn.Parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name; AttributeError if there is none."""
        return self._get_member(target, "_buffers", "a buffer")  # type: ignore[no-any-return]

    # ---- modes and gradients ------------------------------------------------------------------------------------

    def apply(self: _M, fn: Callable[[Module], Any]) -> _M:
        """Call ``fn`` with every module of the tree, children first; used to initialise."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: _M, mode: bool = True) -> _M:
        """Set train mode (or, with False, eval mode) here and in all modules below.

        Raises
        ------
        ValueError
            ``mode`` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self: _M) -> _M:
        """Set eval mode: dropout passes everything, batch norm uses its running statistics."""
        return self.train(False)

    def requires_grad_(self: _M, requires_grad: bool = True) -> _M:
        """Freeze (False) or unfreeze all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or, with ``set_to_none=False``, fill them with zeros."""
        clear_gradients(self.parameters(), set_to_none)

    # ---- conversions --------------------------------------------------------------------------------------------

    def to(
        self: _M,
        *args: Any,
        device: Any = None,
        dtype: Dtype | None = None,
        non_blocking: bool = False,
        memory_format: Any = None,
    ) -> _M:
        """Convert floating-point parameters and buffers in place to ``dtype``, or to a memory format.

        Parameters
        ----------
        args
            A dtype, a tensor (whose dtype is taken), or the CPU, by its name or as a device.
        device
            The CPU.
        dtype
            A floating-point dtype.
        memory_format
            'channels_last' or 'contiguous_format', for four-dimensional parameters and buffers.

        Raises
        ------
        TypeError
            The dtype is not a floating-point dtype, or an argument has another type.
        RuntimeError
            The device is not the CPU.
        """
        dtype, _ = arguments.conversion("nn.Module.to", args, dtype, device, False)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")

        def convert(tensor: Tensor) -> Tensor:
            if dtype is not None and tensor.is_floating_point():
                tensor = arguments.cast(tensor, dtype)
            return (
                shaping.contiguous(tensor, memory_format) if memory_format is not None and tensor.ndim == 4 else tensor
            )

        return self._apply(convert)

    def _apply(self: _M, function: Callable[[Tensor], Tensor]) -> _M:
        """Replace the memory of each parameter, gradient and buffer by the function's result for it."""
        for module in self.modules():
            for parameter in module._parameters.values():
                if parameter is not None:
                    parameter.data = function(parameter.detach())
                    if parameter._grad is not None:
                        parameter._grad = function(parameter._grad.detach())
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = function(buffer)
        return self

    def float(self: _M) -> _M:
        """Convert to float32."""
        return self.to(float32)

    def double(self: _M) -> _M:
        """Convert to float64."""
        return self.to(float64)

    def half(self: _M) -> _M:
        """Convert to float16."""
        return self.to(float16)

    def bfloat16(self: _M) -> _M:
        """Convert to bfloat16."""
        return self.to(bfloat16)

    def cpu(self: _M) -> _M:
        """This module: everything is on the CPU."""
        return self

    def cuda(self: _M, device: Any = None) -> _M:
        """Refused, with a RuntimeError that is an AssertionError as well, as torch's: numgrad computes on the CPU."""
        on_cpu("nn.Module.cuda", "cuda" if device is None else device)
        raise DeviceError(f"nn.Module.cuda: Invalid device, must be cuda device, and is {device!r}")

    def to_empty(self: _M, *, device: Any, recurse: bool = True) -> _M:
        """This module: its memory is on the only device already."""
        on_cpu("nn.Module.to_empty", device)
        return self

    def type(self: _M, dst_type: Any) -> _M:
        """Convert all parameters and buffers to a dtype, or to a type such as `FloatTensor`; see `Tensor.type`."""
        chosen = legacy.dtype_of(dst_type)
        return self._apply(lambda tensor: arguments.cast(tensor, chosen))

    # ---- state --------------------------------------------------------------------------------------------------

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Tensor]:
        """All parameters and persistent buffers by their dotted names; see `numgrad.nn.state.collect`."""
        return state.collect(self, destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.LoadResult:
        """Copy parameters and buffers from a `state_dict`; see `numgrad.nn.state.load` for arguments and errors."""
        return state.load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Check this module's own entries. A subclass that reads older versions changes ``state_dict`` first."""
        state.check(self, state_dict, prefix, strict, missing_keys, unexpected_keys, error_msgs)

    # ---- text ---------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The text between the parentheses of the module's own line in its repr; subclasses define it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return "\n  ".join([f"{self._get_name()}(", *lines, *children]) + "\n)"
