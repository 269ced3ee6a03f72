"""Derivatives of functions of arrays: ``ng.grad(f)`` and its kin, over the transforms of `numgrad.func`.

Arguments are numbers, arrays of NumPy's or of `numgrad.numpy`, tensors, or containers of these: lists, tuples, dicts, named
tuples and dataclasses. The function gets arrays of `numgrad.numpy`, and tensors for those arguments that are tensors; derivatives
are NumPy's arrays and numbers again, and tensors for tensors. Inside of another such function they are arrays with their
history, so transforms nest.
"""

from __future__ import annotations

import contextvars
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.errors import warn
from numgrad.func import transforms
from numgrad.numpy.array_type import ndarray, owned
from numgrad.numpy.arrays import dtype_of, ng, tensor, values_of
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.trees import flatten as flatten_containers

ArgNums = int | tuple[int, ...] | list[int]
_Build = Callable[[list[Any]], Any]

_depth: contextvars.ContextVar[int] = contextvars.ContextVar("depth of derivatives", default=0)


# ---- containers -------------------------------------------------------------------------------------------------


def flatten(tree: Any) -> tuple[list[Any], _Build]:
    """The leaves of a container, and a function that builds one of the same form; dataclasses are containers, too."""
    leaves, build = flatten_containers(tree)
    parts = [_fields(leaf) for leaf in leaves]
    if all(part is None for part in parts):
        return leaves, build

    def rebuilt(values: list[Any]) -> Any:
        remaining, built = list(values), []
        for leaf, part in zip(leaves, parts, strict=True):
            count = 1 if part is None else len(part[0])
            head, remaining = remaining[:count], remaining[count:]
            built.append(head[0] if part is None else dataclasses.replace(leaf, **part[1](head)))
        return build(built)

    return [x for leaf, part in zip(leaves, parts, strict=True) for x in ([leaf] if part is None else part[0])], rebuilt


def _fields(leaf: Any) -> tuple[list[Any], _Build] | None:
    """The leaves of a dataclass; None for anything else."""
    if not dataclasses.is_dataclass(leaf) or isinstance(leaf, type):
        return None
    return flatten({field.name: getattr(leaf, field.name) for field in dataclasses.fields(leaf) if field.init})


# ---- the two sides of a function --------------------------------------------------------------------------------


def _as_input(name: str, leaf: Any) -> Tensor:
    """A leaf to differentiate by as a tensor.

    Raises
    ------
    TypeError
        It is no number of floating point.
    """
    value = leaf.tensor if isinstance(leaf, ndarray) else leaf
    if not isinstance(value, (TensorBase, np.ndarray, np.generic, float, int)) or isinstance(value, bool):
        raise TypeError(
            f"{name}: cannot differentiate by {type(leaf).__name__}; expected numbers, arrays or containers of these"
        )
    x = tensor(value)
    if not x.dtype.is_floating_point:
        raise TypeError(
            f"{name}: cannot differentiate by {x.dtype.name}; pass floating point numbers, such as 3.0 or x.astype(float)"
        )
    return x


def _as_argument(original: Any, x: Tensor) -> Any:
    """The tensor as the function gets it. It may write over an array, so that is a copy, through which gradients flow."""
    return x if isinstance(original, TensorBase) else owned(ng.clone(x))


def _as_output(value: Any) -> Any:
    """A result of the function's as a tensor; containers and what is no array stay as they are."""
    return value.tensor if isinstance(value, ndarray) else value


class _Call:
    """One call of a differentiated function: which arguments are differentiated by, and what results become.

    Parameters
    ----------
    name
        The transform, for messages.
    fun
        The user's function.
    argnum, args, kwargs
        The positions to differentiate by, and the arguments.
    """

    def __init__(
        self, name: str, fun: Callable[..., Any], argnum: ArgNums, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.name, self.fun, self.args, self.kwargs = name, fun, args, kwargs
        numbers = (argnum,) if isinstance(argnum, int) else tuple(argnum)
        if not numbers or any(not -len(args) <= n < len(args) for n in numbers):
            raise TypeError(
                f"{name}: argnums={argnum}, and the function is called with {len(args)} positional arguments"
            )
        self.numbers = [n % len(args) for n in numbers]
        chosen = args[argnum] if isinstance(argnum, int) else tuple(args[n] for n in numbers)
        self.leaves, self.build = flatten(chosen)
        self.inputs = tuple(_as_input(name, leaf) for leaf in self.leaves)
        self.single = isinstance(argnum, int)

    def run(self, *inputs: Tensor) -> Any:
        """The function's result for tensors in the place of the leaves."""
        values = self.build([_as_argument(leaf, x) for leaf, x in zip(self.leaves, inputs, strict=True)])
        changed = list(self.args)
        for n, value in zip(self.numbers, [values] if self.single else values, strict=True):
            changed[n] = value
        token = _depth.set(_depth.get() + 1)
        try:
            return self.fun(*changed, **self.kwargs)
        finally:
            _depth.reset(token)

    def number(self, *inputs: Tensor) -> Tensor:
        """The result, which has to be one number."""
        result = _as_output(self.run(*inputs))
        if isinstance(result, (int, float, np.generic)):
            result = tensor(result)
        if isinstance(result, TensorBase) and result._spec.numel == 1 and result._spec.dtype.is_floating_point:
            if not result.requires_grad:  # type: ignore[attr-defined]
                warn(
                    f"{self.name}: the result does not depend on the argument, so the gradient is zero; numbers taken out by "
                    "item(), tolist() or detach() have none"
                )
            return result  # type: ignore[return-value]
        what = type(result).__name__
        if isinstance(result, (Tensor, np.ndarray)):
            what = f"an array of shape {tuple(result.shape)} and dtype {dtype_of(result)}"
        raise TypeError(
            f"{self.name}: the function has to return one floating point number, got {what}; take jacobian or elementwise_grad for "
            "several"
        )

    def outputs(self, *inputs: Tensor) -> Any:
        """The results as a container of tensors."""
        leaves, build = flatten(self.run(*inputs))
        return build([_tensor_of(self.name, leaf) for leaf in leaves])

    def shown(self, result: Any) -> Any:
        """A result as the caller gets it: an array or number of NumPy's, or what keeps its history."""
        like_tensors = any(isinstance(leaf, TensorBase) for leaf in self.leaves)
        return _shown(result, like_tensors, any(isinstance(leaf, ndarray) for leaf in self.leaves))


def _tensor_of(name: str, leaf: Any) -> Tensor:
    value = _as_output(leaf)
    if isinstance(value, (TensorBase, np.ndarray, np.generic, float, int)):
        return tensor(value)
    raise TypeError(f"{name}: the function has to return arrays or containers of arrays, got {type(leaf).__name__}")


def _shown(value: Any, as_tensor: bool, as_array: bool) -> Any:
    if isinstance(value, ndarray):
        value = value.tensor
    if not isinstance(value, TensorBase) or as_tensor:
        return value
    if as_array or _depth.get() or value.requires_grad:  # type: ignore[attr-defined]
        return ndarray(value)  # type: ignore[arg-type]
    return values_of(value)[()] if value._spec.ndim == 0 else values_of(value)


def _wrapped(fun: Callable[..., Any], name: str, transform: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fun)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        return transform(*args, **kwargs)

    derivative.__name__ = f"{name}_of_{getattr(fun, '__name__', 'function')}"
    return derivative


# ---- transforms -------------------------------------------------------------------------------------------------


def value_and_grad(
    fun: Callable[..., Any], argnum: ArgNums = 0, *, argnums: ArgNums | None = None, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that computes the value and the gradient of a function of one result.

    Parameters
    ----------
    fun
        Returns one number; with ``has_aux`` a pair of it and anything else, which is returned as it is.
    argnum, argnums
        The position of the argument to differentiate by, or several; the second name is that of JAX.

    Raises
    ------
    TypeError
        An argument is no floating point number or container of such, or the result is not one number.

    >>> import numgrad as ng
    >>> import numgrad.numpy as np
    >>> ng.value_and_grad(lambda w: np.sum(w["a"] ** 2) + w["b"])({"a": np.ones(2), "b": 3.0})[0]
    array(5.)
    """
    chosen = argnum if argnums is None else argnums

    def transform(*args: Any, **kwargs: Any) -> Any:
        call = _Call("grad", fun, chosen, args, kwargs)
        extra: list[Any] = []

        def target(*inputs: Tensor) -> Tensor:
            if not has_aux:
                return call.number(*inputs)
            call.fun = _without_aux(fun, extra)
            return call.number(*inputs)

        gradients, value = transforms.grad_and_value(target, tuple(range(len(call.inputs))))(*call.inputs)
        gradient = call.build([_like(leaf, g, call) for leaf, g in zip(call.leaves, gradients, strict=True)])
        value = call.shown(ng.reshape(value, ()))
        return ((value, extra[-1]), gradient) if has_aux else (value, gradient)

    return _wrapped(fun, "value_and_grad", transform)


def _without_aux(fun: Callable[..., Any], extra: list[Any]) -> Callable[..., Any]:
    def first(*args: Any, **kwargs: Any) -> Any:
        result = fun(*args, **kwargs)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"grad: with has_aux=True the function has to return a pair, got {type(result).__name__}")
        extra.append(result[1])
        return result[0]

    return first


def _like(leaf: Any, gradient: Tensor, call: _Call) -> Any:
    """A gradient as what its argument is."""
    return _shown(gradient, isinstance(leaf, TensorBase), isinstance(leaf, ndarray))


def grad(
    fun: Callable[..., Any], argnum: ArgNums = 0, *, argnums: ArgNums | None = None, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that computes the gradient of a function of one result; for the arguments see `value_and_grad`.

    >>> import numgrad as ng
    >>> import numpy
    >>> ng.grad(lambda x: numpy.sum(x**3))(numpy.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> ng.grad(ng.grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    """
    both = value_and_grad(fun, argnum, argnums=argnums, has_aux=has_aux)

    def transform(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return _wrapped(fun, "grad", transform)


def elementwise_grad(fun: Callable[..., Any], argnum: ArgNums = 0) -> Callable[..., Any]:
    """The function that computes the gradient of the sum of a function's results: their slopes, where each has one argument.

    >>> import numgrad as ng
    >>> import numpy
    >>> ng.elementwise_grad(numpy.square)(numpy.array([1.0, 2.0]))
    array([2., 4.])
    """

    def transform(*args: Any, **kwargs: Any) -> Any:
        def summed(*inner: Any, **options: Any) -> Any:
            result = _as_output(fun(*inner, **options))
            return (
                ng.sum(tensor(result))
                if isinstance(result, (TensorBase, np.ndarray, float, int, np.generic))
                else result
            )

        return grad(summed, argnum)(*args, **kwargs)

    return _wrapped(fun, "elementwise_grad", transform)


def jacobian(fun: Callable[..., Any], argnum: ArgNums = 0, *, argnums: ArgNums | None = None) -> Callable[..., Any]:
    """The function that computes the Jacobian, of the shape of the result and then that of the argument, by reverse mode.

    >>> import numgrad as ng
    >>> import numpy
    >>> ng.jacobian(lambda x: x**2)(numpy.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    chosen = argnum if argnums is None else argnums

    def transform(*args: Any, **kwargs: Any) -> Any:
        call = _Call("jacobian", fun, chosen, args, kwargs)
        blocks = transforms.jacrev(call.outputs, tuple(range(len(call.inputs))))(*call.inputs)
        # Each result has a tuple of blocks, one for each leaf of the arguments.
        return _over_tuples(
            blocks, lambda row: call.build([_like(leaf, b, call) for leaf, b in zip(call.leaves, row, strict=True)])
        )

    return _wrapped(fun, "jacobian", transform)


def _over_tuples(tree: Any, function: Callable[[Any], Any]) -> Any:
    """A function applied to the innermost tuples of a container."""
    if isinstance(tree, tuple) and tree and all(isinstance(each, TensorBase) for each in tree):
        return function(tree)
    if isinstance(tree, dict):
        return type(tree)((key, _over_tuples(value, function)) for key, value in tree.items())
    if isinstance(tree, (tuple, list)):
        parts = [_over_tuples(value, function) for value in tree]
        return type(tree)._make(parts) if hasattr(tree, "_fields") else type(tree)(parts)  # type: ignore[union-attr]
    return tree


def hessian(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The function that computes the matrix of second derivatives of a function of one result: the Jacobian of the gradient.

    >>> import numgrad as ng
    >>> import numpy
    >>> ng.hessian(lambda x: x[0] ** 2 * x[1])(numpy.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """

    def transform(*args: Any, **kwargs: Any) -> Any:
        return jacobian(lambda *inner, **options: jacobian(_scalar(fun), argnum)(*inner, **options), argnum)(
            *args, **kwargs
        )

    return _wrapped(fun, "hessian", transform)


def _scalar(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a result of one element as a number."""

    def number(*args: Any, **kwargs: Any) -> Any:
        result = fun(*args, **kwargs)
        return result.reshape(()) if isinstance(result, ndarray) and result.size == 1 else result

    return number


def make_vjp(fun: Callable[..., Any], argnum: ArgNums = 0) -> Callable[..., Any]:
    """The function that returns ``(vjp, value)``, where ``vjp(cotangent)`` is the cotangent times the Jacobian.

    >>> import numgrad as ng
    >>> import numpy
    >>> vjp, value = ng.make_vjp(lambda x: x**2)(numpy.array([1.0, 2.0]))
    >>> vjp(numpy.array([1.0, 10.0])), value
    (array([ 2., 40.]), array([1., 4.]))
    """

    def transform(*args: Any, **kwargs: Any) -> Any:
        call = _Call("make_vjp", fun, argnum, args, kwargs)
        output, back = transforms.vjp(call.outputs, *call.inputs)
        primals, build = flatten(output)

        def vjp(cotangent: Any) -> Any:
            leaves, _ = flatten(cotangent)
            vectors = [tensor(_as_output(leaf), x.dtype) for leaf, x in zip(leaves, primals, strict=True)]
            vectors = [ng.broadcast_to(v, x.shape) for v, x in zip(vectors, primals, strict=True)]
            products = back(build(vectors))
            return call.build([_like(leaf, p, call) for leaf, p in zip(call.leaves, products, strict=True)])

        return vjp, build([call.shown(p) for p in primals])

    return _wrapped(fun, "make_vjp", transform)


def make_jvp(fun: Callable[..., Any], argnum: ArgNums = 0) -> Callable[..., Any]:
    """The function that returns ``jvp``, where ``jvp(tangent)`` is (value, the Jacobian times the tangent), by forward mode.

    >>> import numgrad as ng
    >>> import numpy
    >>> ng.make_jvp(lambda x: x**2)(numpy.array([1.0, 2.0]))(numpy.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """

    def transform(*args: Any, **kwargs: Any) -> Any:
        call = _Call("make_jvp", fun, argnum, args, kwargs)

        def jvp(tangent: Any) -> Any:
            leaves, _ = flatten(tangent)
            vectors = tuple(tensor(_as_output(leaf), x.dtype) for leaf, x in zip(leaves, call.inputs, strict=True))
            vectors = tuple(ng.clone(ng.broadcast_to(v, x.shape)) for v, x in zip(vectors, call.inputs, strict=True))
            output, pushed = transforms.jvp(call.outputs, call.inputs, vectors)
            return tuple(_shown_tree(tree, call) for tree in (output, pushed))

        return jvp

    return _wrapped(fun, "make_jvp", transform)


def _shown_tree(tree: Any, call: _Call) -> Any:
    leaves, build = flatten(tree)
    return build([call.shown(leaf) for leaf in leaves])


__all__ = ["elementwise_grad", "grad", "hessian", "jacobian", "make_jvp", "make_vjp", "value_and_grad"]
