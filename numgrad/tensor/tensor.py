"""`Tensor`: attributes, gradient, values in Python and NumPy. Its other methods are functions that `surface` adds."""

from __future__ import annotations

import builtins
import ctypes
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.engine import dispatch, hooks, private, views
from numgrad.engine.tape import Node, TensorBase, modes, tensor_over
from numgrad.layout import Size, preserve_format, repeats_elements, spec_of
from numgrad.runtime import memory
from numgrad.tensor import (
    arguments,
    in_place,
    inference,
    items,
    joining,
    pointwise,
    printing,
    shaping,
)
from numgrad.tensor.attributes import Attributes
from numgrad.tensor.legacy import as_subclass, constructed
from numgrad.tensor.methods import Methods
from numgrad.tensor.operators import Operators

_bytes_of = functools.lru_cache(1 << 10)(lambda count: ctypes.c_char * count)  # so many bytes of memory
Number: TypeAlias = bool | int | float
Dims: TypeAlias = int | Sequence[int] | None


class Tensor(Operators, Attributes, Methods):
    """An array of one dtype that remembers how it was computed.

    Made by `numgrad.tensor`, `zeros`, `rand`, `from_numpy` and the like; arithmetic, methods and functions are torch's.

    Attributes
    ----------
    shape, dtype, ndim
        As in NumPy; `size` is the method that torch has.
    requires_grad
        Whether gradients flow to this tensor. Set it on leaves only.
    grad
        After `backward`, the gradient of a leaf; gradients of several backward calls add up.
    grad_fn
        The node that made this tensor; None for a leaf.

    >>> import numgrad as ng
    >>> x = ng.tensor([2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([4., 6.])
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        """torch's old constructor; see `numgrad.tensor.legacy`."""
        tensor = constructed(None, args, kwargs)
        return tensor if cls is Tensor else as_subclass(tensor, cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: users' subclasses need not call it."""

    @property
    def _numba_type_(self) -> Any:
        """Numba reads this for an argument of a compiled function; without it, its error message would not help."""
        raise TypeError(
            "a numgrad Tensor was given to a function compiled by Numba (@njit), which works on arrays and would lose the "
            "gradient. Make the function an op: numgrad.elementwise(f) for a formula of numbers, numgrad.custom_op(name, "
            "forward, backward) for loops over arrays (docs/adding-an-op.md). For the values alone, pass "
            "tensor.detach().numpy()"
        )

    # ---- attributes --------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The extents, a tuple; `size` is torch's method.

        >>> import numgrad as ng
        >>> x = ng.zeros(2, 3)
        >>> x.shape, x.shape[0], x.shape.numel()
        (numgrad.Size([2, 3]), 2, 6)
        """
        return self._spec.shape

    @property
    def dtype(self) -> Dtype:
        """The type of the elements.

        >>> import numgrad as ng
        >>> ng.tensor([1.5]).dtype, ng.tensor([1]).dtype
        (numgrad.float32, numgrad.int64)
        """
        return self._spec.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3).ndim, ng.tensor(7).ndim
        (2, 0)
        """
        return self._spec.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one extent of it.

        Raises
        ------
        IndexError
            There is no such dimension.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3).size(), ng.zeros(2, 3).size(-1)
        (numgrad.Size([2, 3]), 3)
        """
        shape = self._spec.shape
        if dim is None:
            return shape
        if dim.__class__ is int and 0 <= dim < len(shape):
            return tuple.__getitem__(shape, dim)
        return shape[arguments.wrap_dim("size", dim, len(shape))]

    def dim(self) -> int:
        """Number of dimensions, as `ndim`.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3).dim()
        2
        """
        return self._spec.ndim

    def numel(self) -> int:
        """Number of elements; `nelement` is the same.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3).numel(), ng.tensor(7).numel()
        (6, 1)
        """
        return self._spec.numel

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element.

        >>> import numgrad as ng
        >>> ng.zeros(3).element_size(), ng.zeros(3, dtype=ng.bool).element_size()
        (4, 1)
        """
        return self.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Elements from one index to the next, for each dimension or for one.

        Raises
        ------
        IndexError
            There is no such dimension.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3).stride(), ng.zeros(2, 3).t().stride(0)
        ((3, 1), 1)
        """
        strides = self._spec.seen_strides
        return strides if dim is None else strides[arguments.wrap_dim("stride", dim, self.ndim)]

    def storage_offset(self) -> int:
        """Elements between the start of the storage and this tensor.

        >>> import numgrad as ng
        >>> ng.zeros(2, 3)[1].storage_offset()
        3
        """
        return (self._address - self._storage.address) // self.dtype.itemsize

    def data_ptr(self) -> int:
        """Address of the first element.

        >>> import numgrad as ng
        >>> x = ng.zeros(2, 3)
        >>> x[1].data_ptr() - x.data_ptr()
        12
        """
        private.expose(self)
        return self._address

    def is_floating_point(self) -> bool:
        """Whether the dtype is float32 or float64.

        >>> import numgrad as ng
        >>> ng.tensor(1.5).is_floating_point(), ng.tensor(1).is_floating_point()
        (True, False)
        """
        return self.dtype.is_floating_point

    @property
    def real(self) -> Tensor:
        """The real part: of a real tensor the tensor itself.

        >>> import numgrad as ng
        >>> ng.tensor([1.0, 2.0]).real
        tensor([1., 2.])
        """
        return self

    @property
    def imag(self) -> Tensor:
        """The imaginary part, which real tensors do not have.

        Raises
        ------
        RuntimeError
            Always: numgrad has no complex dtypes.

        >>> import numgrad as ng
        >>> ng.ones(2).imag
        Traceback (most recent call last):
        RuntimeError: imag is not implemented for tensors with non-complex dtypes.
        """
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")

    @property
    def _version(self) -> int:
        return self._storage.version

    # ---- gradient ----------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor: it is a leaf that requires them, or was computed from such a leaf.

        Setting it is `requires_grad_`.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> (x * 2).requires_grad, x.detach().requires_grad
        (True, False)
        """
        return views.requires_grad(self)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Start or stop tracking gradients of this leaf, which is returned.

        Raises
        ------
        RuntimeError
            The dtype is not floating point, or the tensor is not a leaf.
        TypeError
            ``requires_grad`` is not a bool.

        >>> import numgrad as ng
        >>> ng.ones(2).requires_grad_()
        tensor([1., 1.], requires_grad=True)
        """
        if not isinstance(requires_grad, (bool, np.bool_)):
            raise TypeError(
                f"requires_grad_(): argument 'requires_grad' must be bool, not {type(requires_grad).__name__}"
            )
        if requires_grad and not self.dtype.is_floating_point:
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients, this one is {self.dtype}")
        if self._node is not None:
            if not requires_grad:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                    "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            return self
        if requires_grad:
            inference.refuse_requires_grad(self)
        self._requires_grad = bool(requires_grad)
        return self

    def is_inference(self) -> bool:
        """Whether this tensor's memory was made in `inference_mode`.

        >>> import numgrad as ng
        >>> with ng.inference_mode():
        ...     x = ng.ones(2)
        >>> x.is_inference(), x.clone().is_inference()
        (True, False)
        """
        return inference.is_inference(self)

    @property
    def output_nr(self) -> int:
        """The number of this tensor among the outputs of its `grad_fn`; 0 for a leaf.

        >>> import numgrad as ng
        >>> first, second = ng.ones(2, 3, requires_grad=True).unbind()
        >>> first.output_nr, second.output_nr
        (0, 1)
        """
        return self._output_nr if self.grad_fn is not None else 0

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user, not by a recorded op, or requires no gradient.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> x.is_leaf, (x * 2).is_leaf, ng.ones(2).is_leaf
        (True, False, True)
        """
        return not views.requires_grad(self) or (self._node is None and self._requires_grad)

    @property
    def grad_fn(self) -> Node | None:
        """The node of the graph that made this tensor; None for a leaf.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> (x * 2).grad_fn, x.grad_fn
        (<MulBackward0>, None)
        """
        if self._base is not None:
            views.refresh(self)
        node = self._node
        return None if node is None else node.seen()

    @property
    def grad(self) -> Tensor | None:
        """The gradient of a leaf, with its shape and dtype; None until a backward reaches the leaf. Several backwards add up.

        Assigning a tensor or None replaces it. For tensors that are not leaves see `retain_grad`.

        Raises
        ------
        TypeError
            The assigned value is neither a tensor nor None.
        RuntimeError
            The assigned tensor has another shape or dtype.

        >>> import numgrad as ng
        >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * 3).sum().backward()
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([5., 7.])
        """
        if self._node is not None and self._grad is None and not self._retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                "won't be populated during autograd.backward(). If you indeed want the .grad field to be populated for "
                "a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor.",
                UserWarning,
                stacklevel=2,
            )
        if modes.capture is not None:
            modes.capture.looks(self)
        return self._grad  # type: ignore[no-any-return]

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value.shape != self.shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
                    f"'{list(self.shape)}'. Please ensure that the gradient and the tensor are the same size"
                )
            if value.dtype is not self.dtype:
                raise RuntimeError(f"attempting to assign a gradient of {value.dtype} to a tensor of {self.dtype}")
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def detach(self) -> Tensor:
        """A tensor over the same memory outside of the graph; it requires no gradient.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> (x * 2).detach()
        tensor([2., 2.])
        """
        return private.alias(self, Tensor)  # type: ignore[no-any-return]

    def detach_(self) -> Tensor:
        """Take this tensor out of its graph, and return it.

        Raises
        ------
        RuntimeError
            The tensor is a view, which has the history of its base.

        >>> import numgrad as ng
        >>> y = ng.ones(2, requires_grad=True) * 2
        >>> y.detach_().requires_grad, y.is_leaf
        (False, True)
        """
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._view_node = self._storage.version  # views keep their histories until the memory changes
        self._node, self._output_nr, self._requires_grad, self._retains_grad = None, 0, False, False
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> hooks.RemovableHandle:
        """Call ``hook(grad)`` whenever the gradient of this tensor is known; a tensor that it returns replaces it.

        Hooks are called in the order of their registration. The ``remove()`` of the result takes the hook away.

        Raises
        ------
        RuntimeError
            The tensor requires no gradient.

        >>> import numgrad as ng
        >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda grad: grad * 2)
        >>> x.sum().backward()
        >>> x.grad
        tensor([2., 2.])
        """
        return hooks.add_hook(hooks.tensor_hooks(self), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> hooks.RemovableHandle:
        """Call ``hook(self)`` whenever a backward has added to the ``.grad`` of this leaf.

        The ``remove()`` of the result takes the hook away.

        Raises
        ------
        RuntimeError
            The tensor is not a leaf, or requires no gradient.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda leaf: print(leaf.grad))
        >>> (x * 3).sum().backward()
        tensor([3., 3.])
        """
        return hooks.add_hook(hooks.accumulation_hooks(self), hook)

    def retain_grad(self) -> None:
        """Keep the gradient in ``.grad``, though this tensor is not a leaf. It is the gradient after all hooks.

        Raises
        ------
        RuntimeError
            The tensor requires no gradient.

        >>> import numgrad as ng
        >>> y = ng.ones(2, requires_grad=True) * 2
        >>> y.retain_grad()
        >>> (y * y).sum().backward()
        >>> y.grad
        tensor([4., 4.])
        """
        hooks.retain(self)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this tensor and it is not a leaf.

        >>> import numgrad as ng
        >>> y = ng.ones(2, requires_grad=True) * 2
        >>> y.retain_grad()
        >>> y.retains_grad
        True
        """
        return self._retains_grad

    @property
    def data(self) -> Tensor:
        """The same memory outside of the graph, where autograd does not notice changes: they may falsify gradients.

        A change through `detach`, in contrast, is noticed by a backward that needs the old values. Assigning a tensor takes
        over its memory, shape and dtype.

        Raises
        ------
        TypeError
            The assigned value is not a tensor.

        >>> import numgrad as ng
        >>> x = ng.ones(2, requires_grad=True)
        >>> x.data[0] = 5
        >>> x
        tensor([5., 1.], requires_grad=True)
        """
        alias: Tensor = private.alias(self, Tensor, self._storage.share())
        inference.carry(self, alias)
        return alias

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if value._storage.root is self._storage.root and value._address == self._address and value._spec is self._spec:
            return  # the memory is the same already, for example after ``x.data += 1``
        storage = value._storage.share()
        # A graph that saved this tensor does not notice the assignment, as with any change through `data`. But it cannot
        # read another shape or dtype as the saved one, so it has to notice that.
        storage.version = self._storage.version
        if value.shape != self.shape or value.dtype is not self.dtype:
            storage.version += 1
            self._accumulator = None
        self._storage, self._spec, self._address = storage, value._spec, value._address
        if value._spec.is_private:
            private.moves_with(value, self)
        self._base = self._view_node = None

    # ---- values in Python and NumPy ----------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """A NumPy array over the same memory: changes of either show in the other.

        It cannot be written to where several indices are one element, as after `expand`.

        Raises
        ------
        RuntimeError
            The tensor requires a gradient, which NumPy would lose.

        >>> import numgrad as ng
        >>> x = ng.zeros(3)
        >>> x.numpy()[1] = 7
        >>> x
        tensor([0., 7., 0.])
        """
        if views.requires_grad(self):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        spec = self._spec
        if spec.dtype is dtypes.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16: NumPy has no such dtype; convert with .float() first")
        if spec.is_private:
            private.expose(self)
            spec = self._spec
        array = self._array()
        if not spec.is_dense and repeats_elements(spec.shape, spec.strides):
            array.flags.writeable = False
        return array

    def _values(self) -> np.ndarray:
        """The elements as numbers of NumPy's: of bfloat16, which it lacks, a copy in float32."""
        return (arguments.cast(self.detach(), dtypes.float32) if self.dtype is dtypes.bfloat16 else self)._array()

    def _array(self) -> np.ndarray:
        if modes.capture is not None:
            modes.capture.reads(self)
        return self._memory()

    def _memory(self) -> np.ndarray:
        """The elements, for who fills new memory."""
        spec = self._spec
        if spec.numel == 0:
            return np.empty(spec.shape, spec.dtype.numpy)
        storage = self._storage
        held = _bytes_of(storage.nbytes).from_address(storage.address)
        held.storage = storage  # lives as long as the array, whose base this is
        steps = None if spec.kind.is_exact else [s * spec.dtype.itemsize for s in spec.strides]
        return np.ndarray(spec.shape, spec.dtype.numpy, held, self._address - storage.address, steps)  # type: ignore[call-overload]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype, copy=copy)

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python bool, int or float.

        Raises
        ------
        RuntimeError
            The tensor does not have exactly one element.

        >>> import numgrad as ng
        >>> ng.tensor([[2.5]]).item()
        2.5
        """
        if self._spec.numel != 1:
            raise RuntimeError(f"a Tensor with {self._spec.numel} elements cannot be converted to Scalar")
        return self._values().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers; one number if there are no dimensions.

        >>> import numgrad as ng
        >>> ng.tensor([[1, 2], [3, 4]]).tolist(), ng.tensor(5).tolist()
        ([[1, 2], [3, 4]], 5)
        """
        return self._values().tolist() if self._spec.ndim else self.item()

    def __float__(self) -> float:
        return float(self._only())

    def __int__(self) -> int:
        return int(self._only())

    def _only(self) -> Any:
        if self._spec.numel != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def __index__(self) -> int:
        if self.dtype.is_floating_point:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self._spec.numel != 1:
            raise RuntimeError(
                "Boolean value of Tensor with no values is ambiguous"
                if self._spec.numel == 0
                else "Boolean value of Tensor with more than one value is ambiguous"
            )
        return bool(self.item())

    def __len__(self) -> int:
        if not self._spec.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._spec.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(joining.unbind(self))

    def __contains__(self, value: Number | Tensor) -> bool:
        if not isinstance(value, TensorBase) and arguments.as_number(value) is None:
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(value)}."
            )
        return bool((self == value).any())

    def __repr__(self) -> str:
        return printing.tensor_text(self)

    def _repr_html_(self) -> str:
        return printing.tensor_html(self)

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if self.ndim == 0 else object.__format__(self, specification)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment; "
                "use .detach().clone()"
            )
        spec = self._spec if self._spec.is_dense else spec_of(self.dtype, self.shape)
        storage = memory.allocate(spec.nbytes)
        copied: Tensor = tensor_over(type(self), storage, spec, storage.address)
        memo[id(self)] = copied
        copied._array()[...] = self._array()
        copied._requires_grad = self._requires_grad
        if self._grad is not None:
            copied._grad = self._grad.__deepcopy__(memo)
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be pickled; use .detach() first")
        # Pickle keeps the order in memory only for C and Fortran order, so the axes are sorted by their strides.
        strides = self._spec.seen_strides
        order = tuple(sorted(range(self.ndim), key=lambda axis: -strides[axis]))
        in_memory = np.ascontiguousarray(self._array().transpose(order))
        # The bits of bfloat16 are no numbers of NumPy's.
        bits = (self.dtype,) if self.dtype is dtypes.bfloat16 else ()
        return _unpickled, (type(self), in_memory, order, self._requires_grad, *bits)

    __getitem__, __setitem__ = items.get_item, items.set_item

    # ---- methods that are not functions -------------------------------------------------------------------------

    def copy_(self, src: Tensor) -> Tensor:
        """Copy ``src``, broadcast and converted, into this tensor's memory. Returns this tensor.

        Raises
        ------
        RuntimeError
            ``src`` does not broadcast to this shape, or autograd cannot follow the change.
        TypeError
            ``src`` is neither a tensor nor a number.

        >>> import numgrad as ng
        >>> ng.zeros(3).copy_(ng.tensor(2))
        tensor([2., 2., 2.])
        """
        return in_place.copy_(self, src)

    def fill_(self, value: Number | Tensor) -> Tensor:
        """Set all elements to one value, a number or a tensor without dimensions. Returns this tensor.

        Raises
        ------
        RuntimeError
            The dtype does not have the number, ``value`` has dimensions, or autograd cannot follow the change.
        TypeError
            ``value`` is neither a tensor nor a number.

        >>> import numgrad as ng
        >>> ng.zeros(3).fill_(7)
        tensor([7., 7., 7.])
        """
        return in_place.fill_(self, value)

    def zero_(self) -> Tensor:
        """Set all elements to 0. Returns this tensor.

        Raises
        ------
        RuntimeError
            Autograd cannot follow the change, for example of a leaf that requires a gradient.

        >>> import numgrad as ng
        >>> ng.ones(3).zero_()
        tensor([0., 0., 0.])
        """
        return self.fill_(0)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """This tensor's elements where the bool condition is True, otherwise those of ``other``, broadcast and promoted.

        Raises
        ------
        RuntimeError
            The condition is not of bools, or the shapes do not broadcast.

        >>> import numgrad as ng
        >>> x = ng.tensor([-1.0, 2.0])
        >>> x.where(x > 0, 0)
        tensor([0., 2.])
        """
        return pointwise.where(condition, self, other)

    def squeeze(self, dim: Dims = None, *more: builtins.int) -> Tensor:
        """A view without the dimensions of extent 1: all of them, or only the given ones.

        Raises
        ------
        IndexError
            There is no such dimension.

        >>> import numgrad as ng
        >>> ng.zeros(1, 2, 1).squeeze(0).shape
        numgrad.Size([2, 1])
        """
        return shaping.squeeze(self, (dim, *more) if more else dim)  # type: ignore[arg-type]

    # ---- copies and conversions --------------------------------------------------------------------------------

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
        memory_format: Any = preserve_format,
    ) -> Tensor:
        """This tensor in another dtype and memory format; itself if it has both already, unless ``copy``.

        Positional arguments may be a dtype, a tensor whose dtype is taken, and the only device, by its name or as a `device`.

        Raises
        ------
        RuntimeError
            The device is not the CPU.
        TypeError
            An argument is something else.

        >>> import numgrad as ng
        >>> x = ng.tensor([1.7, -1.7])
        >>> x.to(ng.int64), x.to("cpu") is x
        (tensor([ 1, -1]), True)
        """
        chosen, copy = arguments.conversion("to", args, dtype, device, copy)
        converted = self if chosen is None else arguments.cast(self, chosen)
        if memory_format is not None:
            converted = shaping.to_format(converted, memory_format)
        return shaping.clone(self) if copy and converted is self else converted

    def cpu(self, memory_format: Any = preserve_format) -> Tensor:
        """This tensor itself, since there is no other device; in another memory format if one is given.

        >>> import numgrad as ng
        >>> x = ng.ones(2)
        >>> x.cpu() is x
        True
        """
        return self if memory_format is preserve_format else shaping.to_format(self, memory_format)

    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in the dtype of another; itself if it has that dtype already.

        Raises
        ------
        TypeError
            ``other`` is not a tensor.

        >>> import numgrad as ng
        >>> ng.tensor([1, 2]).type_as(ng.zeros(1))
        tensor([1., 2.])
        """
        return arguments.cast(self, arguments.check_tensor("type_as", "other", other).dtype)

    def float(self, memory_format: Any = preserve_format) -> Tensor:
        """This tensor in float32; itself if it has that dtype.

        >>> import numgrad as ng
        >>> ng.tensor([1, 2]).float()
        tensor([1., 2.])
        """
        return shaping.converted(self, dtypes.float32, memory_format)

    def half(self, memory_format: Any = preserve_format) -> Tensor:
        """This tensor in float16, each number rounded to the nearest; itself if it has that dtype.

        >>> import numgrad as ng
        >>> ng.tensor([0.1]).half()
        tensor([0.1000], dtype=numgrad.float16)
        """
        return shaping.converted(self, dtypes.float16, memory_format)

    def bfloat16(self, memory_format: Any = preserve_format) -> Tensor:
        """This tensor in bfloat16, each number rounded to the nearest; itself if it has that dtype.

        >>> import numgrad as ng
        >>> ng.tensor([0.1]).bfloat16()
        tensor([0.1001], dtype=numgrad.bfloat16)
        """
        return shaping.converted(self, dtypes.bfloat16, memory_format)

    def double(self, memory_format: Any = preserve_format) -> Tensor:
        """This tensor in float64; itself if it has that dtype.

        >>> import numgrad as ng
        >>> ng.tensor([0.5]).double()
        tensor([0.5000], dtype=numgrad.float64)
        """
        return shaping.converted(self, dtypes.float64, memory_format)

    def long(self, memory_format: Any = preserve_format) -> Tensor:
        """This tensor in int64, cut towards 0; itself if it has that dtype.

        >>> import numgrad as ng
        >>> ng.tensor([1.7, -1.7]).long()
        tensor([ 1, -1])
        """
        return shaping.converted(self, dtypes.int64, memory_format)

    def int(self, memory_format: Any = preserve_format) -> Tensor:
        """This tensor in int32, cut towards 0; itself if it has that dtype.

        >>> import numgrad as ng
        >>> ng.tensor([2.9]).int()
        tensor([2], dtype=numgrad.int32)
        """
        return shaping.converted(self, dtypes.int32, memory_format)

    def bool(self, memory_format: Any = preserve_format) -> Tensor:
        """Whether each element is not 0; itself if it is a tensor of bools.

        >>> import numgrad as ng
        >>> ng.tensor([0.0, 0.5, ng.nan]).bool()
        tensor([False,  True,  True])
        """
        return shaping.converted(self, dtypes.bool_, memory_format)


def _unpickled(
    cls: type[Tensor], in_memory: np.ndarray, order: tuple[int, ...], requires_grad: bool, dtype: Dtype | None = None
) -> Tensor:
    from numgrad.tensor import creation

    if dtype is None:
        tensor = creation.from_numpy(in_memory)
    else:
        tensor = creation.empty(in_memory.shape, dtype=dtype)
        tensor._array()[...] = in_memory
    tensor = tensor.permute(*(order.index(axis) for axis in range(len(order)))) if order else tensor.reshape(())
    result: Tensor = tensor_over(cls, tensor._storage, tensor._spec, tensor._address)
    result._requires_grad = requires_grad
    return result


dispatch.set_tensor_class(Tensor)
