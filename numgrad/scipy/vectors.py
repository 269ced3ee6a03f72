"""A tree of tensors, or a module's parameters, as the one vector of float64 that SciPy works with; and functions of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.autograd.duals import detached, is_dual
from numgrad.autograd.gradients import grad
from numgrad.autograd.graph import nodes_behind
from numgrad.autograd.modes import enable_grad, no_grad
from numgrad.autograd.stateless import functional_call
from numgrad.compile import jit
from numgrad.dtypes import float64
from numgrad.engine.tape import AccumulateGrad, Node
from numgrad.func.transforms import grad as grad_of
from numgrad.func.transforms import grad_and_value, jacfwd, jacrev, jvp
from numgrad.nn import Module, ModuleList
from numgrad.tensor import creation, joining
from numgrad.tensor.tensor import Tensor
from numgrad.tensor.trees import flatten


def scipy(module: str) -> Any:
    """A module of SciPy's, imported by the first call that needs it.

    Raises
    ------
    ImportError
        SciPy is not installed.
    """
    try:
        return importlib.import_module(f"scipy.{module}")
    except ModuleNotFoundError as error:
        raise ImportError(
            "numgrad.scipy runs SciPy's solvers, and SciPy is not installed; "
            "install it with: python -m pip install 'numgrad[scipy]'"
        ) from error


def depends_on_others(outputs: list[Tensor], known: list[Tensor]) -> bool:
    """Whether a graph leads to a leaf other than by the known tensors."""
    own, ends = _as_places(known)
    nodes = nodes_behind(outputs, ends)
    return any(isinstance(node, AccumulateGrad) and id(node.variable) not in own for node in nodes)


def leads_to(output: Tensor, others: list[Tensor]) -> bool:
    """Whether the graph of a tensor leads to one of the others."""
    own, ends = _as_places(others)
    return any(
        node in ends or (isinstance(node, AccumulateGrad) and id(node.variable) in own)
        for node in nodes_behind([output], ends)
    )


def _as_places(tensors: list[Tensor]) -> tuple[set[int], set[Node]]:
    """Where tensors stand in a graph: the identities of the leaves among them, and the nodes of the others."""
    nodes = [tensor.grad_fn for tensor in tensors]
    return {id(tensor) for tensor, node in zip(tensors, nodes, strict=True) if node is None}, set(filter(None, nodes))


def has_tangent(values: list[Any]) -> bool:
    """Whether one of the values is differentiated in forward mode."""
    return any(is_dual(each) for each in values)


def tensor_of(vector: Any) -> Tensor:
    """A tensor of float64 with a copy of a vector; SciPy may change its own later."""
    return creation.from_numpy(np.array(vector, np.float64).reshape(-1))


def joined(what: str, tree: Any) -> Tensor:
    """The tensors of a tree as one vector of float64.

    Raises
    ------
    TypeError
        A leaf is no tensor.
    """
    leaves, _ = flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise TypeError(
                f"{what}: expected the function to return a tensor or a tree of them, got a leaf of type {type(leaf).__name__}; "
                "compute with numgrad's functions from start to end, so that there is a gradient"
            )
    return joining.cat([leaf.reshape(-1).double() for leaf in leaves])


class Form:
    """How the values of a tree lie in one vector: one leaf after the other, each in C order.

    Parameters
    ----------
    name
        The public function, for errors.
    tree
        A module, a tensor or a tree of tensors, arrays and numbers. Arrays and numbers become tensors of float64.

    Raises
    ------
    TypeError
        A leaf is none of these, or is not of floating point.
    """

    def __init__(self, name: str, tree: Any) -> None:
        self.name = name
        self.module = tree if isinstance(tree, Module) else None
        if self.module is not None:
            tree = {key: each for key, each in self.module.named_parameters() if each.requires_grad}
            if not tree:
                raise ValueError(f"{name}: the module has no parameter that requires a gradient")
        leaves, self.build = flatten(tree)
        self.leaves = [self._leaf(leaf) for leaf in leaves]
        self.sizes = [leaf.numel() for leaf in self.leaves]
        self.count = sum(self.sizes)

    def _leaf(self, leaf: Any) -> Tensor:
        if not isinstance(leaf, Tensor):
            array = np.asarray(leaf)
            if array.dtype.kind not in "fiub":
                raise TypeError(
                    f"{self.name}: expected tensors, arrays or numbers to start from, got {type(leaf).__name__}"
                )
            return creation.from_numpy(np.array(array, np.float64))
        if not leaf.is_floating_point():
            raise TypeError(f"{self.name}: expected tensors of floating point to start from, got {leaf.dtype}")
        return detached(leaf)

    def refuse_empty(self) -> None:
        """Check that there is something to solve for.

        Raises
        ------
        ValueError
            The tree has no element.
        """
        if not self.count:
            raise ValueError(f"{self.name}: x0 has no element, so there is nothing to solve for")

    def start(self) -> np.ndarray[Any, Any]:
        """The vector of the tree's own values."""
        return np.concatenate([np.zeros(0), *(leaf.numpy().astype(np.float64).ravel() for leaf in self.leaves)])

    def vector(self, what: str, tree: Any) -> np.ndarray[Any, Any]:
        """Another tree of this form as a vector; a number in place of a leaf stands for all of its elements.

        Raises
        ------
        ValueError
            The tree has another form.
        """
        leaves, _ = flatten(tree)
        if len(leaves) != len(self.leaves):
            raise ValueError(
                f"{self.name}: {what} has {len(leaves)} leaves, expected {len(self.leaves)}, as what it belongs to"
            )
        rows = [
            np.broadcast_to(np.asarray(detached(leaf) if isinstance(leaf, Tensor) else leaf, np.float64), own.shape)
            for leaf, own in zip(leaves, self.leaves, strict=True)
        ]
        return np.concatenate([np.zeros(0), *(row.ravel() for row in rows)])

    def tree(self, flat: Tensor) -> Any:
        """The tree of which ``flat`` [count] is the vector, with a graph to it."""
        if len(self.leaves) == 1:
            parts: Any = [flat]
        else:
            parts = flat.split(self.sizes)
        return self.build(
            [
                part.reshape(leaf.shape) if leaf.dtype is float64 else part.reshape(leaf.shape).to(leaf.dtype)
                for part, leaf in zip(parts, self.leaves, strict=True)
            ]
        )

    def given(self, vector: Any) -> Any:
        """What the user gets of a vector: a new tree, or the parameters by name."""
        with no_grad():
            return self.tree(tensor_of(vector))

    def settle(self, vector: Any) -> Any:
        """The end: the tree or, with its parameters set, the module."""
        tree = self.given(vector)
        if self.module is None:
            return tree
        parameters = dict(self.module.named_parameters())
        with no_grad():
            for key, value in tree.items():
                parameters[key].copy_(value)
        return self.module


class Call(Module):
    """A function that gets modules, as a module: `functional_call` puts other tensors in place of their parameters."""

    def __init__(self, fun: Callable[..., Any], modules: list[Module]) -> None:
        super().__init__()
        self.fun = fun
        self.given = ModuleList(modules)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.fun(*args, **kwargs)


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """What stands in the place of `numgrad.jit` where nothing is captured."""
    return function


class Function:
    """A function of the user's, of a tree and of ``args``, as one of a vector.

    The last point at which it was asked is kept with its graph, since SciPy asks for the value, the gradient and products with
    the Hessian of one point one after the other. Tensors that the function uses beside x are constants, whether or not they
    require a gradient: derivatives are taken without a graph to them.

    Parameters
    ----------
    what
        ``minimize: fun``: function and argument, for errors.
    fun
        Returns a tensor.
    trees
        Whether ``fun`` may also return a tree of tensors, which then are one vector.
    """

    wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = staticmethod(as_it_is)

    def __init__(
        self, what: str, fun: Callable[..., Any], form: Form, args: tuple[Any, ...] = (), trees: bool = False
    ) -> None:
        self.what, self.fun, self.form, self.args, self.trees = what, fun, form, args, trees
        self.call = None if form.module is None else Call(fun, [form.module])
        self.point: np.ndarray[Any, Any] | None = None
        self.gradient: Tensor | None = None
        self.size: int | None = None
        of, single = self.of, self._single
        self._hessian = self.wrap(jacfwd(jacrev(single)))
        self._forward = self.wrap(jacfwd(lambda flat: of(flat).reshape(-1)))
        self._reverse = self.wrap(jacrev(lambda flat: of(flat).reshape(-1)))
        self._weighted = self.wrap(jacfwd(jacrev(lambda flat, weight: (of(flat).reshape(-1) * weight).sum())))

    def of(self, flat: Tensor) -> Tensor:
        """The result, a tensor, at a flat tensor; with a graph if that requires a gradient.

        Raises
        ------
        TypeError
            The result is no tensor.
        """
        tree = self.form.tree(flat)
        if self.call is None:
            result = self.fun(tree, *self.args)
        else:
            result = functional_call(
                self.call, {f"given.0.{key}": value for key, value in tree.items()}, (self.form.module, *self.args)
            )
        if self.trees and isinstance(result, (tuple, list, dict)):
            return joined(self.what, result)
        if not isinstance(result, Tensor):
            raise TypeError(
                f"{self.what}: expected the function to return a tensor, got {type(result).__name__}; "
                "compute with numgrad's functions from start to end, so that there is a gradient"
            )
        return result

    def at(self, vector: np.ndarray[Any, Any]) -> Tensor:
        """The result at a vector, with its graph."""
        if self.point is None or not np.array_equal(self.point, vector):
            self.point = self.gradient = None
            point = np.array(vector, np.float64)
            with enable_grad():
                self.flat = tensor_of(point).requires_grad_()
                self.result = self.of(self.flat)
            self.point = point
        return self.result

    def number(self, vector: np.ndarray[Any, Any]) -> float:
        """The result as a number.

        Raises
        ------
        ValueError
            It has more than one element, or none.
        """
        return self._number(self.at(vector))

    def value(self, vector: np.ndarray[Any, Any]) -> float:
        """The result as a number, for methods that ask for no gradient: without a graph."""
        with no_grad():
            return self._number(self.of(tensor_of(vector)))

    def _number(self, result: Tensor) -> float:
        return float(self._one(result).item())

    def _one(self, result: Tensor) -> Tensor:
        if result.numel() != 1:
            raise ValueError(
                f"{self.what}: expected the function to return a tensor of one element, got one of shape {list(result.shape)}"
            )
        return result

    def _single(self, flat: Tensor) -> Tensor:
        return self._one(self.of(flat)).reshape(())

    def number_and_gradient(self, vector: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        """The result as a number, and its gradient [count]."""
        number = self.number(vector)
        if not self.result.requires_grad:
            return number, np.zeros(self.form.count)
        (gradient,) = grad(self.result, [self.flat], retain_graph=True, materialize_grads=True)
        return number, gradient.numpy()

    def product(self, vector: np.ndarray[Any, Any], direction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The Hessian at a vector times a direction: the gradient of the gradient's product with it."""
        self.number(vector)
        if self.gradient is None:
            with enable_grad():
                if self.result.requires_grad:
                    (self.gradient,) = grad(self.result, [self.flat], create_graph=True, materialize_grads=True)
                else:
                    self.gradient = creation.zeros_like(self.flat)
        if not self.gradient.requires_grad:
            return np.zeros(self.form.count)
        cotangent = tensor_of(direction)
        (product,) = grad(self.gradient, [self.flat], cotangent, retain_graph=True, materialize_grads=True)
        return product.numpy()

    def hessian(self, vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The Hessian [count, count]."""
        with no_grad():
            return self._matrix(self._hessian(tensor_of(vector)))

    def values(self, vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The result as a vector."""
        return self._matrix(self.at(vector).detach()).reshape(-1)

    def jacobian(self, vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The Jacobian [m, count] of the result's m elements: by forward or reverse mode, whichever takes fewer passes."""
        if self.size is None:
            self.size = self.at(vector).numel()
        transformed = self._reverse if self.size < self.form.count else self._forward
        with no_grad():
            return self._matrix(transformed(tensor_of(vector)))

    def weighted_hessian(self, vector: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The sum of the Hessians of the result's elements, each times its weight [count, count]."""
        with no_grad():
            return self._matrix(self._weighted(tensor_of(vector), tensor_of(weights)))

    @staticmethod
    def _matrix(tensor: Tensor) -> np.ndarray[Any, Any]:
        return tensor.numpy().astype(np.float64)  # type: ignore[no-any-return]


class Replayed(Function):
    """As `Function`, with each of its evaluations captured by `numgrad.jit`."""

    wrap = staticmethod(jit)

    def __init__(
        self, what: str, fun: Callable[..., Any], form: Form, args: tuple[Any, ...] = (), trees: bool = False
    ) -> None:
        super().__init__(what, fun, form, args, trees)
        of, single = self.of, self._single
        self._value = jit(of)
        self._pair = jit(grad_and_value(single))
        self._product = jit(lambda flat, direction: jvp(grad_of(single), (flat,), (direction,))[1])

    def at(self, vector: np.ndarray[Any, Any]) -> Tensor:
        with no_grad():
            return self._value(tensor_of(vector))

    def value(self, vector: np.ndarray[Any, Any]) -> float:
        return self._number(self.at(vector))

    def number_and_gradient(self, vector: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        with no_grad():
            gradient, value = self._pair(tensor_of(vector))
        return float(value.item()), gradient.numpy()

    def product(self, vector: np.ndarray[Any, Any], direction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with no_grad():
            return self._product(tensor_of(vector), tensor_of(direction)).numpy()  # type: ignore[no-any-return]
