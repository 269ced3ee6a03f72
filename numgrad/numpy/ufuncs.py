"""NumPy's ufuncs over tensors: `ufunc` has their call with ``out``, ``where`` and ``dtype``, and their methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
from numgrad.numpy import places
from numgrad.numpy.array_type import ndarray, operand, owned
from numgrad.numpy.arrays import (
    BY_NAME,
    axes_of,
    axis_of,
    cast,
    dtype_of,
    ng,
    operands,
    tensor,
)
from numgrad.numpy.table import public_form
from numgrad.tensor.tensor import Tensor


class ufunc:  # noqa: N801 (NumPy's name)
    """A function of elements, with NumPy's arguments: ``np.add(x, y, out=, where=, dtype=, casting=)``.

    Where ``where`` is False, the result is that of ``out``, or 0 without it; these elements have no gradient.
    ``reduce``, ``accumulate``, ``reduceat`` and ``outer`` are those of NumPy, for any function of two arguments; ``at`` is there
    for sums, products, maxima and minima.

    Attributes
    ----------
    nin, nout, identity
        Numbers of inputs and outputs; the value of an empty reduction, or None.

    >>> import numgrad.numpy as np
    >>> np.multiply.outer([1.0, 2.0], [3.0, 4.0]), np.maximum.reduce([[1, 5], [7, 2]])
    (array([[3., 4.],
           [6., 8.]]), array([7, 5]))
    """

    def __init__(
        self,
        original: np.ufunc,
        function: Callable[..., Any],
        kind: str,
        *,
        guard: float = 0.5,
        reduced: str = "",
        accumulated: str = "",
        takes_numbers: bool = False,
    ) -> None:
        self._original, self._function, self._kind, self._guard = original, function, kind, guard
        self._takes_numbers = takes_numbers  # of Python's, as the second argument
        self._is_plain = original.nout == 1 and kind in ("floats", "numbers")
        self._as_reduced, self._as_accumulated = reduced, accumulated  # functions of the table that do the same
        self.__name__ = original.__name__
        self.__doc__ = original.__doc__
        self.nin, self.nout, self.identity = original.nin, original.nout, original.identity
        for name in ("reduce", "accumulate", "reduceat", "outer", "at"):
            setattr(self, name, public_form(getattr(self, f"_{name}"), f"{self.__name__}.{name}", writes=name == "at"))
        self._call = public_form(self._computed, self.__name__, elementwise=kind != "raw", reads=True)

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r} of numgrad.numpy>"

    def __reduce__(self) -> Any:
        return _found_again, (self.__name__,)

    def __call__(self, *args: Any, **options: Any) -> Any:
        if not options and self._is_plain and len(args) == self.nin:
            tensors = self._of_one_dtype(args)
            if tensors is not None:
                return owned(self._function(*tensors))
        if len(args) > self.nin and "out" not in options:
            args, options["out"] = args[: self.nin], args[self.nin :]
        return self._call(*args, **options)

    def _of_one_dtype(self, args: tuple[Any, ...]) -> list[Any] | None:
        """The operands of the common call, arrays of one floating dtype and Python's numbers; None for any other."""
        dtype, tracked = None, False
        for value in args:
            if value.__class__ is ndarray:
                other = value.tensor._spec.dtype
                if not other.is_floating_point or (dtype is not None and other is not dtype):
                    return None
                dtype, tracked = other, tracked or value.tensor.requires_grad
            elif value.__class__ is not float and value.__class__ is not int:
                return None
        if dtype is None:
            return None
        tensors: list[Any] = []
        for value in args:
            if value.__class__ is ndarray:
                tensors.append(operand(value, True) if tracked else value.tensor)
            else:
                tensors.append(value if self._takes_numbers and tensors else constant(value, dtype))
        return tensors

    def _computed(
        self, *args: Any, out: Any = None, where: Any = True, dtype: Any = None, casting: str = "same_kind", order: str = "K",
        subok: bool = True, signature: Any = None, axes: Any = None,
    ) -> Any:  # fmt: skip
        if len(args) != self.nin:
            raise TypeError(f"{self.__name__}() takes {self.nin} positional arguments but {len(args)} were given")
        if signature is not None:
            raise TypeError(f"numpy.{self.__name__}: signature= is refused; say the dtype of the result by dtype=")
        if axes is not None and axes != [(-2, -1)] * 3:  # those that NumPy's ``x @= y`` gives
            raise TypeError(f"numpy.{self.__name__}: axes= is refused; move the axes by moveaxis")
        if where is True:
            return self._of(args, dtype)
        mask = tensor(where, np.bool_)
        if self._kind == "floats":  # numbers that are not asked for may have no slope
            guard = operands(args, to_float=True)
            shape = np.broadcast_shapes(*(tuple(g.shape) for g in guard), tuple(mask.shape))
            args = tuple(ng.where(mask, ng.broadcast_to(g, shape), self._guard) for g in guard)
        result = self._of(args, dtype)
        if isinstance(result, tuple):
            return tuple(ng.where(mask, each, ng.zeros_like(each)) for each in result)
        return ng.where(mask, result, ng.zeros_like(result))

    def _of(self, args: Any, dtype: Any) -> Any:
        kind = self._kind
        if kind == "floats":
            return self._function(*operands(args, dtype, to_float=True))
        if kind == "numbers":
            return self._function(*operands(args, dtype))
        if kind == "compared":
            try:
                return self._function(*operands(args))
            except (
                OverflowError
            ):  # a number of Python's that the other's dtype does not have is less or greater than all
                return self._function(*operands(args, np.int64))
        if kind == "truths":
            return self._function(*(tensor(a) for a in args))
        return cast(self._function(*args), dtype) if dtype is not None else self._function(*args)

    # ---- methods ------------------------------------------------------------------------------------------------

    def _two(self, method: str) -> None:
        if self.nin != 2 or self.nout != 1:
            raise ValueError(f"{method} only supported for binary functions, not for {self.__name__}")

    def _reduce(
        self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Tensor:  # fmt: skip
        self._two("reduce")
        if self._as_reduced and initial is None and where is True:
            options = {} if dtype is None else {"dtype": dtype}
            return BY_NAME[self._as_reduced](tensor(array), axis=axis, keepdims=keepdims, **options)  # type: ignore[no-any-return]
        x = cast(tensor(array), dtype)
        if where is not True:
            identity = self.identity if self.identity is not None else initial
            if identity is None:
                raise ValueError(
                    f"reduction operation '{self.__name__}' does not have an identity: where= needs initial="
                )
            x = ng.where(tensor(where, np.bool_), x, tensor(identity, dtype_of(x)))
        axes = axes_of(axis, x.ndim)
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        for a in sorted(axes, reverse=True):
            parts = list(ng.unbind(x, a))
            if not parts and initial is None and self.identity is None:
                raise ValueError(f"zero-size array to reduction operation {self.__name__} which has no identity")
            x = (
                self._folded(parts)
                if parts
                else ng.full(tuple(np.delete(x.shape, a)), self.identity or 0, dtype=x.dtype)
            )
            if not parts and self.identity is None:
                x = ng.broadcast_to(tensor(initial, dtype_of(x)), x.shape)
        if initial is not None:
            x = self._of((initial, x), None)
        return ng.reshape(x, shape) if keepdims else x  # type: ignore[no-any-return]

    def _folded(self, parts: list[Tensor]) -> Tensor:
        result = parts[0]
        if self.identity is not None and len(parts) == 1 and self._kind in ("compared", "truths"):
            return self._of((result, self.identity), None)  # type: ignore[no-any-return]
        for part in parts[1:]:
            result = self._of((result, part), None)
        return result

    def _accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Tensor:
        self._two("accumulate")
        if self._as_accumulated:
            return BY_NAME[self._as_accumulated](tensor(array), axis=axis, dtype=dtype)  # type: ignore[no-any-return]
        x = cast(tensor(array), dtype)
        axis = axis_of(axis, x.ndim)
        rows = list(ng.unbind(x, axis))
        for i in range(1, len(rows)):
            rows[i] = self._of((rows[i - 1], rows[i]), None)
        if not rows:
            return x
        common = dtype_of(rows[-1])
        return ng.stack([cast(row, common) for row in rows], axis)  # type: ignore[no-any-return]

    def _reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Tensor:
        self._two("reduceat")
        x = cast(tensor(array), dtype)
        axis = axis_of(axis, x.ndim)
        starts = [int(i) for i in np.asarray(tensor(indices).detach().numpy())]
        if not all(0 <= i < x.shape[axis] for i in starts):
            raise IndexError(f"an index of {starts} is out of bounds for an axis of {x.shape[axis]} elements")
        parts = list(ng.unbind(x, axis))
        ends = [*starts[1:], x.shape[axis]]
        sums = [self._folded(parts[a:b] if a < b else [parts[a]]) for a, b in zip(starts, ends, strict=True)]
        return ng.stack(sums, axis) if sums else ng.narrow(x, axis, 0, 0)  # type: ignore[no-any-return]

    def _outer(self, A: Any, B: Any, /, **options: Any) -> Any:  # noqa: N803 (NumPy's names)
        self._two("outer")
        first, second = (v if isinstance(v, (bool, int, float)) else tensor(v) for v in (A, B))
        if isinstance(first, TensorBase) and isinstance(second, TensorBase):
            first = ng.reshape(first, (*first.shape, *(1,) * second.ndim))
        return self._computed(first, second, **options)

    def _at(self, a: Any, indices: Any, b: Any = None, /) -> None:
        name = self.__name__
        how = {"add": "sum", "subtract": "sum", "multiply": "prod", "maximum": "amax", "minimum": "amin"}.get(name)
        if how is None or b is None:
            raise TypeError(
                f"numpy.{name}.at: only add, subtract, multiply, maximum and minimum may meet one element twice"
            )
        if isinstance(a, np.ndarray):
            b = tensor(b)
            if b.requires_grad:
                raise TypeError(
                    f"numpy.{name}.at: the values require a gradient, which an array of NumPy's would lose; make it numgrad's"
                )
            self._original.at(a, indices, b.numpy())
            return
        x: Tensor = a
        positions = places.get(tensor(np.arange(x.numel()).reshape(tuple(x.shape))), indices)
        values = ng.broadcast_to(tensor(b, dtype_of(x)), positions.shape)
        values, positions = ng.reshape(-values if name == "subtract" else values, (-1,)), ng.reshape(positions, (-1,))
        flat = ng.reshape(ng.clone(x), (-1,))
        if how == "sum":
            result = ng.index_add(flat, 0, positions, values)
        else:
            result = ng.scatter_reduce(flat, 0, positions, values, how)
        x.copy_(ng.reshape(result, x.shape))


def _found_again(name: str) -> Any:
    return BY_NAME[name]
