"""`Module`: a tree of parameters, buffers and submodules with a forward."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from numgrad.errors import warn
from numgrad.nn import global_hooks, state
from numgrad.nn.conversions import Converted
from numgrad.nn.hooks import TABLES, Hooked, call_with_hooks
from numgrad.nn.notebook import module_html
from numgrad.nn.parameter import Buffer, Parameter
from numgrad.tensor.conversions import typename
from numgrad.tensor.printing import indented
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.updates import clear_gradients

__all__ = ["Module"]

_M = TypeVar("_M", bound="Module")


class Module(Hooked, Converted, state.Stateful):
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

    call_super_init = False  # whether `__init__` passes its arguments on to the next class, for multiple inheritance
    dump_patches = False
    _version = 1  # of the names and meaning of this class's own entries in a state_dict; saved with them

    # What a call does not depend on; see `compile.visible`.
    _replay_skips = frozenset({"_non_persistent_buffers_set", *(table for table in TABLES if "dict" in table)})
    _replay_tables = tuple(
        table for name, table in sorted(vars(global_hooks).items()) if isinstance(table, OrderedDict)
    )

    training: bool
    # The tables of a module's members. These empty ones are seen until `__init__` makes the module's own.
    _parameters: dict[str, Parameter | None] = MappingProxyType({})  # type: ignore[assignment]
    _buffers: dict[str, Tensor | None] = MappingProxyType({})  # type: ignore[assignment]
    _modules: dict[str, Module | None] = MappingProxyType({})  # type: ignore[assignment]
    _non_persistent_buffers_set: set[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            name = type(self).__name__
            if kwargs:
                raise TypeError(f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
            raise TypeError(f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        # Written into __dict__ directly, since __setattr__ looks into these tables.
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _modules={},
            _is_full_backward_hook=None,
            **{table: OrderedDict() for table in TABLES},
        )
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it. Call the module itself, so that its hooks run."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._has_hooks():
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, args, kwargs)

    _call_impl = __call__  # the name by which wrappers of modules call it

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Accepted and without effect: kernels are compiled when they are first needed, whatever calls them."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for table in TABLES:  # a pickle of an older version has not all of them
            self.__dict__.setdefault(table, OrderedDict())
        self.__dict__.setdefault("_is_full_backward_hook", None)

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
            self._register_module(name, value)
        elif name in self._modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (numgrad.nn.Module or None expected)"
                )
            self._register_module(name, None)
        elif isinstance(value, Buffer) or name in self._buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' (numgrad.nn.Buffer, numgrad.Tensor or None "
                    "expected)"
                )
            persistent = value.persistent if isinstance(value, Buffer) else self._is_persistent(name)
            self.register_buffer(name, value, persistent)
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

    def _two(self, table: dict[str, Any], one: str, two: str) -> tuple[Any, Any]:
        """Two attributes, from the table where they usually are: Python comes to `__getattr__` by way of an exception, 0.4 us."""
        if one in table and two in table:
            return table[one], table[two]
        return getattr(self, one), getattr(self, two)

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._parameters, *self._buffers, *self._modules})

    def _is_persistent(self, name: str) -> bool:
        return name not in self._non_persistent_buffers_set

    def _register_module(self, name: str, module: Module | None) -> None:
        hooks = global_hooks._global_module_registration_hooks
        self._modules[name] = global_hooks.registered(hooks, self, name, module) if hooks else module

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
        hooks = global_hooks._global_parameter_registration_hooks
        if hooks and param is not None:
            param = global_hooks.registered(hooks, self, name, param)
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
        hooks = global_hooks._global_buffer_registration_hooks
        self._buffers[name] = global_hooks.registered(hooks, self, name, tensor) if hooks else tensor
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
        self._register_module(name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """`add_module` by another name."""
        self.add_module(name, module)

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

    # ---- state --------------------------------------------------------------------------------------------------

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Any]:
        """All parameters and persistent buffers by their dotted names; see `numgrad.nn.state.collect`."""
        if args:
            warn("Positional args are being deprecated, use kwargs instead.", FutureWarning)
            given = (*args[:3], *(destination, prefix, keep_vars)[len(args) :])
            destination, prefix, keep_vars = (
                by_name or by_position
                for by_name, by_position in zip((destination, prefix, keep_vars), given, strict=True)
            )
        return state.collect(self, destination, prefix, keep_vars)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Put this module's own entries into ``destination``. A subclass may put others."""
        state.save(self, destination, prefix, keep_vars)

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

    def _repr_html_(self) -> str:
        return module_html(self)
