"""`Parameter`, a tensor that a module learns, `Buffer`, one that it keeps, and both before their shapes are known."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, NoReturn

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine import private
from numgrad.engine.tape import TensorBase
from numgrad.layout import Size, Spec
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]


class Parameter(Tensor):
    """A leaf tensor that a `Module` registers when it is assigned to one of its attributes.

    Parameters
    ----------
    data
        The values, any shape; memory and layout are shared with this tensor. None: an empty tensor.
    requires_grad
        Whether gradients flow to it.

    Raises
    ------
    TypeError
        ``data`` is not a tensor.
    RuntimeError
        ``requires_grad`` is True and the dtype is not a floating-point dtype.

    >>> import numgrad as ng
    >>> Parameter(ng.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """An empty object; the constructor fills it."""
        return object.__new__(cls)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = creation.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data is {type(data).__name__}, expected a Tensor")
        if requires_grad and not data.is_floating_point():
            raise RuntimeError(
                f"Only Tensors of floating point dtype can require gradients, this one is {data.dtype}; pass "
                "requires_grad=False"
            )
        TensorBase.__init__(self, data._storage, data._spec, data._address)
        if data._spec.is_private:
            private.moves_with(data, self)
        self._requires_grad = bool(requires_grad)


class Buffer(Tensor):
    """A tensor that a `Module` keeps in its state when it is assigned to one of its attributes, and does not learn.

    Parameters
    ----------
    data
        The values, any shape; memory and layout are shared with this tensor. None: an empty tensor.
    persistent
        Whether it is part of `Module.state_dict`.

    Raises
    ------
    TypeError
        ``data`` is not a tensor.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.Module()
    >>> layer.mean = Buffer(ng.zeros(2))
    >>> list(layer.state_dict())
    ['mean']
    """

    persistent = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """An empty object; the constructor fills it."""
        return object.__new__(cls)

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        if data is None:
            data = creation.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Buffer: data is {type(data).__name__}, expected a Tensor")
        TensorBase.__init__(self, data._storage, data._spec, data._address)
        if data._spec.is_private:
            private.moves_with(data, self)
        self._requires_grad = data.requires_grad
        self.persistent = persistent


# ---- before the shape is known ----------------------------------------------------------------------------------


class _Unknown(Spec):
    """The spec of a tensor without a shape. No op has a plan for it, and none can make one: each asks for the shape."""

    __slots__ = ()

    def __init__(self, dtype: Dtype) -> None:
        self.dtype = dtype
        self.is_private = False

    def _refuse(self) -> NoReturn:
        raise ValueError(
            "Attempted to use an uninitialized parameter. This error happens when you are using a `LazyModule` or explicitly "
            "manipulating `numgrad.nn.parameter.UninitializedParameter` objects. When using LazyModules call `forward` with a "
            "dummy batch to initialize the parameters before calling functions of tensors"
        )

    shape = strides = ndim = numel = extent = kind = is_contiguous = is_dense = property(_refuse)  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Spec({self.dtype.name}, unknown)"


class UninitializedTensorMixin(Tensor):
    """A tensor whose dtype is known and whose shape is not. `materialize` gives it memory; nothing else can be done with it."""

    cls_to_become: type[Tensor] = Tensor

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """An empty object; the constructor fills it."""
        return object.__new__(cls)

    def _begin(self, dtype: Dtype, requires_grad: bool) -> None:
        TensorBase.__init__(self, creation.empty(0)._storage, _Unknown(dtype), 0)
        self._requires_grad = bool(requires_grad)

    @property
    def shape(self) -> Size:
        """Not known yet.

        Raises
        ------
        RuntimeError
            Always.
        """
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` "
            "when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the "
            "parameters before accessing their attributes."
        )

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: Dtype | None = None) -> None:
        """Become an ordinary parameter or buffer of a shape, without initial values.

        >>> import numgrad as ng
        >>> weight = UninitializedParameter()
        >>> weight.materialize((2, 3))
        >>> type(weight).__name__, weight.shape
        ('Parameter', numgrad.Size([2, 3]))
        """
        on_cpu("materialize", device)
        for target, name, value in self.becoming(creation.empty(tuple(shape), dtype=dtype or self.dtype)):
            setattr(target, name, value)

    def becoming(self, tensor: Tensor) -> list[tuple[Tensor, str, Any]]:
        """The attributes to set, by which this becomes an ordinary parameter or buffer over another tensor's memory."""
        memory = (("_storage", tensor._storage), ("_spec", tensor._spec), ("_address", tensor._address))
        return [(self, name, value) for name, value in (*memory, ("__class__", self.cls_to_become))]

    def converted(self, tensor: Tensor) -> None:
        """Take the dtype of another tensor."""
        self._spec = _Unknown(tensor.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied: Tensor = type(self)(self._requires_grad, dtype=self.dtype)
        copied.__dict__.update(self.__dict__)
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self._requires_grad, None, self.dtype), self.__dict__ or None


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known before the first call of its module; see `LazyLinear`.

    Parameters
    ----------
    requires_grad
        Whether gradients will flow to it.
    device
        'cpu', the only device, or None.
    dtype
        The dtype that it will have; None: the default dtype.

    Raises
    ------
    ValueError
        It is used before `materialize`.

    >>> UninitializedParameter()
    <UninitializedParameter>
    """

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Dtype | None = None) -> None:
        on_cpu("UninitializedParameter", device)
        self._begin(creation.chosen_dtype("UninitializedParameter", dtype), requires_grad)


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape is not known before the first call of its module; see `LazyBatchNorm2d`.

    Parameters
    ----------
    requires_grad
        Whether gradients will flow to it.
    device
        'cpu', the only device, or None.
    dtype
        The dtype that it will have; None: the default dtype.
    persistent
        Whether it is part of `Module.state_dict`.

    Raises
    ------
    ValueError
        It is used before `materialize`.

    >>> UninitializedBuffer()
    <UninitializedBuffer>
    """

    cls_to_become = Tensor

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Dtype | None = None, persistent: bool = True
    ) -> None:
        on_cpu("UninitializedBuffer", device)
        self._begin(creation.chosen_dtype("UninitializedBuffer", dtype), requires_grad)
        self.persistent = persistent


def is_lazy(param: Any) -> bool:
    """Whether something is an `UninitializedParameter` or an `UninitializedBuffer`.

    >>> is_lazy(UninitializedBuffer()), is_lazy(3)
    (True, False)
    """
    return isinstance(param, UninitializedTensorMixin)


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The device, dtype and memory format among the keywords of a module, for the functions that make its tensors.

    Those in ``kwargs["factory_kwargs"]`` count as well.

    Raises
    ------
    TypeError
        There are others, or one is there twice.

    >>> factory_kwargs({"dtype": "a", "factory_kwargs": {"device": "cpu"}})
    {'device': 'cpu', 'dtype': 'a'}
    """
    if kwargs is None:
        return {}
    names = "device", "dtype", "memory_format"
    unknown = set(kwargs) - {*names, "factory_kwargs"}
    if unknown:
        raise TypeError(f"unexpected kwargs {unknown}")
    given = dict(kwargs.get("factory_kwargs", {}))
    for name in names:
        if name in kwargs:
            if name in given:
                raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
            given[name] = kwargs[name]
    return given
