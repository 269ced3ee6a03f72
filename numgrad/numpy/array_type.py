"""`ndarray`: an array with NumPy's methods, operators and promotion that remembers how it was computed."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.autograd.modes import is_grad_enabled
from numgrad.engine.tape import TensorBase
from numgrad.errors import OperandError
from numgrad.numpy import places
from numgrad.numpy.arrays import BY_NAME, cast, dtype_of, ng, stored, tensor, values_of
from numgrad.numpy.flat import flatiter
from numgrad.tensor.tensor import Tensor

if TYPE_CHECKING:
    from numgrad.numpy.array_methods import Declared
else:
    Declared = object


class ndarray(Declared):  # noqa: N801 (NumPy's name)
    """An array of NumPy's kind over a tensor, `ndarray.tensor`, which holds the elements and the history.

    ``ndarray(tensor)`` is an array over a tensor's memory and history. Methods, attributes and operators are NumPy's, where those
    of a `Tensor` are torch's: ``x.size`` is a number, ``x.std()`` divides by n, ``x.max(0)`` is one array. Beyond NumPy's there
    are ``requires_grad``, ``grad``, ``backward()`` and ``detach()``, which are the tensor's.

    Writing is differentiable, and harmless to what was computed before: an array whose elements a function may need for its
    gradient moves to other memory when it or a view of it is written to, with all of its views; and elementwise functions copy
    views. So loops that fill or update arrays have gradients. An array over a tensor of yours stays where it is.

    Parameters
    ----------
    value
        A tensor. Shapes, for which NumPy's class gives memory without values, are refused: take ``empty``.

    Raises
    ------
    TypeError
        ``value`` is no tensor.

    >>> import numgrad.numpy as np
    >>> x = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> x.T @ x - 1, x.size, x.std()
    (array([[ 9., 16.],
           [16., 28.]]), 4, array(1.47901995))
    """

    # Views know who owns their memory, and how they are made of which array; owners know their living views, whether tensors
    # outside share the memory, and whether a function may need the elements since they were last written to.
    __slots__ = ("__weakref__", "_is_read", "_is_shared", "_origin", "_owner", "_views", "tensor")
    __array_priority__ = 1000.0

    def __init__(self, value: Tensor) -> None:
        if not isinstance(value, TensorBase):
            raise TypeError(f"ndarray: expected a Tensor, got {type(value).__name__}; numgrad.numpy.array makes arrays")
        self.tensor = value
        self._is_shared, self._is_read = True, False
        self._owner: ndarray | None = None
        self._origin: tuple[ndarray, Callable[[Tensor], Tensor]] | None = None
        self._views: weakref.WeakValueDictionary[int, ndarray] | None = None

    # ---- protocols ----------------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise RuntimeError(
                "an array that requires grad cannot become one of NumPy's, which would lose the gradient: take numgrad.numpy's "
                "function (numgrad.numpy.array for a list of arrays), or x.detach() where no gradient is meant"
            )
        return self.tensor.__array__(dtype, copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from numgrad.numpy.table import implementation

        function = implementation(ufunc)
        return (function if method == "__call__" else getattr(function, method))(*inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from numgrad.numpy.table import implementation, wrapped

        return wrapped(implementation(function)(*args, **kwargs))

    def __reduce__(self) -> Any:
        return ndarray, (self.tensor,)

    def __deepcopy__(self, memo: dict[int, Any]) -> ndarray:
        return ndarray(self.tensor.__deepcopy__(memo))

    # ---- the gradient -------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this array."""
        return self.tensor.requires_grad

    @property
    def grad(self) -> ndarray | None:
        """The gradient of a leaf after `backward`, or None."""
        grad = self.tensor.grad
        return None if grad is None else ndarray(grad)

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add the gradients of this array to the ``grad`` of the leaves that it was computed from; as the tensor's."""
        cotangent = None if gradient is None else tensor(_taken(gradient), self.dtype)
        self.tensor.backward(cotangent, retain_graph, create_graph)

    def detach(self) -> ndarray:
        """The same memory without history.

        >>> import numgrad.numpy as np
        >>> np.ones(2).detach().requires_grad
        False
        """
        return ndarray(self.tensor.detach())

    # ---- attributes ---------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the elements."""
        return dtype_of(self.tensor)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.tensor.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.tensor.numel()

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.tensor.element_size()

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one index to the next, for each dimension."""
        return tuple(step * self.itemsize for step in self.tensor.stride())

    @property
    def T(self) -> ndarray:  # noqa: N802 (NumPy's name)
        """A view with the axes in the reverse order."""
        return BY_NAME["transpose"](self)  # type: ignore[no-any-return]

    @property
    def mT(self) -> ndarray:  # noqa: N802 (NumPy's name)
        """A view with the last two axes exchanged."""
        return BY_NAME["matrix_transpose"](self)  # type: ignore[no-any-return]

    @property
    def flat(self) -> flatiter:
        """The elements in a row, to be read, iterated over and written to: ``x.flat[::n + 1] += 1`` changes a diagonal."""
        return flatiter(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[:] = value

    @property
    def real(self) -> ndarray:
        """The array itself: there are no complex numbers."""
        return self

    @property
    def imag(self) -> ndarray:
        """Zeros: there are no complex numbers."""
        return BY_NAME["imag"](self)  # type: ignore[no-any-return]

    # ---- elements -----------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> ndarray:
        taken = _taken(index)
        part = places.get(self.tensor, taken)
        if part._base is None:
            return owned(part)
        if part._spec.ndim == 0 and places.names_one(taken):  # a number, which NumPy copies
            return owned(ng.clone(part))
        return view_of(self, part, functools.partial(places.get, index=taken))

    def __setitem__(self, index: Any, value: Any) -> None:
        before_write(self)
        places.put(self.tensor, _taken(index), _taken(value))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return self._parts()

    def _parts(self) -> Iterator[ndarray]:
        x = self.tensor
        version = x._storage.version
        numbers = ng.unbind(ng.clone(x)) if self.ndim == 1 and len(self) else ()
        for i in range(len(self)):
            unchanged = numbers and self.tensor is x and x._storage.version == version
            yield owned(numbers[i]) if unchanged else self[i]

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
                if self.size
                else "The truth value of an empty array is ambiguous. Use `array.size > 0` to check that an array is not empty."
            )
        return bool(self.tensor)

    def __float__(self) -> float:
        self._refuse_scalar("float")
        return float(self.item())

    def __int__(self) -> int:
        self._refuse_scalar("int")
        return int(self.item())

    def _refuse_scalar(self, name: str) -> None:
        if self.size != 1:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        if self.requires_grad:
            raise TypeError(
                f"{name}() of an array that requires a gradient would lose it; compute with the array itself (numgrad.numpy.sin in "
                f"the place of math.sin), or take {name}(x.detach()) where no gradient is meant"
            )

    def __round__(self, digits: int | None = None) -> Any:
        return round(float(self)) if digits is None else self.round(digits)  # type: ignore[attr-defined]

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        return int(self.item())

    def __hash__(self) -> int:
        raise TypeError("unhashable type: 'numgrad.numpy.ndarray'")

    def __repr__(self) -> str:
        return repr(self._shown())

    def __str__(self) -> str:
        return str(self._shown())

    def __format__(self, specification: str) -> str:
        return format(self._shown()[()], specification)

    def _shown(self) -> np.ndarray:
        return values_of(self.tensor)  # type: ignore[no-any-return]

    def item(self, *index: Any) -> Any:
        """One element as a number of Python's, without its gradient.

        >>> import numgrad.numpy as np
        >>> np.array([1.5, 2.5]).item(1)
        2.5
        """
        return values_of(self.tensor).item(*index)

    def tolist(self) -> Any:
        """Nested lists of numbers, without gradients."""
        return self.tensor.tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """The elements' bytes."""
        return values_of(self.tensor).tobytes(order)  # type: ignore[no-any-return]

    def numpy(self) -> np.ndarray:
        """An array of NumPy's over the same memory; refused as `Tensor.numpy` refuses it."""
        return self.tensor.numpy()

    # ---- changes in place ---------------------------------------------------------------------------------------

    def fill(self, value: Any) -> None:
        """Set all elements to one value."""
        self[...] = value

    def sort(self, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        """Sort in place."""
        self[...] = BY_NAME["sort"](self, axis, kind, order, stable=stable)

    def partition(self, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
        """Partition in place."""
        self[...] = BY_NAME["partition"](self, kth, axis, kind, order)

    # ---- forms --------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> ndarray:
        """The elements in another shape, a view where that is possible.

        >>> import numgrad.numpy as np
        >>> np.arange(6).reshape(2, -1).shape
        (2, 3)
        """
        extents = shape[0] if len(shape) == 1 else shape
        return BY_NAME["reshape"](self, extents, order, copy=copy)  # type: ignore[no-any-return]

    def transpose(self, *axes: Any) -> ndarray:
        """A view with the axes in another order; without arguments in the reverse one."""
        chosen = None if not axes else axes[0] if len(axes) == 1 else axes
        return BY_NAME["transpose"](self, chosen)  # type: ignore[no-any-return]

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> ndarray:
        """The elements in another dtype.

        Raises
        ------
        TypeError
            numgrad does not have the dtype, or ``casting`` forbids it.

        >>> import numgrad.numpy as np
        >>> np.array([1.7]).astype(int)
        array([1])
        """
        if not np.can_cast(self.dtype, dtype, casting):  # type: ignore[arg-type]
            raise TypeError(
                f"Cannot cast array data from {self.dtype!r} to {np.dtype(dtype)!r} according to the rule {casting!r}"
            )
        converted = cast(self.tensor, dtype)
        return ndarray(ng.clone(converted) if copy and converted is self.tensor else converted)

    def flatten(self, order: str = "C") -> ndarray:
        """A copy in one dimension."""
        return BY_NAME["ravel"](self.copy(), order)  # type: ignore[no-any-return]

    def copy(self, order: str = "C") -> ndarray:
        """A copy, through which gradients flow."""
        return owned(ng.clone(self.tensor))

    __copy__ = copy

    def view(self, *args: Any) -> ndarray:
        """A view of the same elements; another dtype is refused."""
        if args:
            raise TypeError("view: another dtype or class over the same memory is refused; take astype")
        return self[...]

    def compress(self, condition: Any, axis: int | None = None, out: Any = None) -> ndarray:
        """The parts along an axis for which the condition holds."""
        return BY_NAME["compress"](condition, self, axis, out)  # type: ignore[no-any-return]

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        """A view with two axes exchanged."""
        return BY_NAME["swapaxes"](self, axis1, axis2)  # type: ignore[no-any-return]

    # ---- operators ----------------------------------------------------------------------------------------------

    def __pos__(self) -> ndarray:
        return BY_NAME["positive"](self)  # type: ignore[no-any-return]

    def __neg__(self) -> ndarray:
        return BY_NAME["negative"](self)  # type: ignore[no-any-return]

    def __abs__(self) -> ndarray:
        return BY_NAME["absolute"](self)  # type: ignore[no-any-return]

    def __invert__(self) -> ndarray:
        return BY_NAME["invert"](self)  # type: ignore[no-any-return]


def owner_of(array: ndarray) -> ndarray:
    """The array that owns the memory: itself, unless it is a view. (A reference to itself would keep it until a collection.)"""
    return array if array._owner is None else array._owner


def owned(value: Tensor) -> ndarray:
    """An array over memory that nobody else has, but for the op that computed it: it may need its result for its gradient."""
    array = ndarray(value)
    array._is_shared, array._is_read = False, value.requires_grad
    return array


def view_of(array: ndarray, value: Tensor, derive: Callable[[Tensor], Tensor]) -> ndarray:
    """An array over a part of the memory of another, which ``derive`` makes of its tensor."""
    view, owner = ndarray(value), owner_of(array)
    view._owner, view._origin = owner, (array, derive)
    if owner._views is None:
        owner._views = weakref.WeakValueDictionary()
    owner._views[id(view)] = view
    return view


def before_write(array: ndarray) -> None:
    """Give an array and its views other memory, if the gradient of anything computed before may need the old elements."""
    owner = owner_of(array)
    if owner._is_shared or not owner._is_read or not is_grad_enabled():
        return
    owner.tensor, owner._is_read = ng.clone(owner.tensor), False
    for view in list(owner._views.values()) if owner._views else ():  # in the order in which they were made
        origin, derive = view._origin  # type: ignore[misc]
        view.tensor = derive(origin.tensor)


def overwrite(array: ndarray, result: Tensor, name: str, casting: str = "same_kind", mask: Any = True) -> None:
    """Give an array the elements of a result; `arrays.stored` says what is refused."""
    owner = owner_of(array)
    is_alone = owner is array and not owner._is_shared and not owner._views
    if is_alone and mask is True and result._spec is array.tensor._spec and result._base is None and is_grad_enabled():
        array.tensor, array._is_read = result, result.requires_grad
        return
    before_write(array)
    stored(result, array.tensor, name, casting, mask)


def operand(array: ndarray, copies_views: bool) -> Tensor:
    """The tensor of an array that a function reads whose backward may read it again.

    With ``copies_views`` it is a copy of a view, so that writing beside the view later does not move all of the memory.
    """
    x, owner = array.tensor, owner_of(array)
    if (copies_views and x._base is not None) or (owner._is_shared and x._storage.version):
        return ng.clone(x)  # type: ignore[no-any-return]
    owner._is_read = True
    return x


def _taken(value: Any) -> Any:
    """A value with tensors in the place of arrays."""
    if isinstance(value, ndarray):
        return value.tensor
    if isinstance(value, (tuple, list)):
        return type(value)([_taken(each) for each in value])
    return value


def _method(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return BY_NAME[name](self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"ndarray.{name}"
    method.__doc__ = f"As ``numgrad.numpy.{name}`` of this array."
    return method


def _binary(name: str, reflected: bool) -> Callable[..., Any]:
    def operator(self: ndarray, other: Any) -> Any:
        try:
            return BY_NAME[name](other, self) if reflected else BY_NAME[name](self, other)
        except OperandError:
            return NotImplemented

    return operator


def _in_place(name: str) -> Callable[..., Any]:
    def operator(self: ndarray, other: Any) -> Any:
        try:
            result = BY_NAME[name](self, other)
        except OperandError:
            return NotImplemented
        overwrite(self, result.tensor, name)
        return self

    return operator


METHODS = """
all any argmax argmin argpartition argsort choose clip conj conjugate cumprod cumsum diagonal dot max mean min nonzero
prod put ravel repeat round searchsorted squeeze std sum take trace var
""".split()
OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "power", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift", "divmod": "divmod",
}  # fmt: skip
COMPARISONS = dict(eq="equal", ne="not_equal", lt="less", le="less_equal", gt="greater", ge="greater_equal")  # noqa: C408

for _name in METHODS:
    setattr(ndarray, _name, _method(_name))
for _name, _ufunc in OPERATORS.items():
    setattr(ndarray, f"__{_name}__", _binary(_ufunc, False))
    setattr(ndarray, f"__r{_name}__", _binary(_ufunc, True))
    if _name != "divmod":
        setattr(ndarray, f"__i{_name}__", _in_place(_ufunc))
for _name, _ufunc in COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", _binary(_ufunc, False))
