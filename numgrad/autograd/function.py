"""`Function`: a user's op in Python with a backward of its own, its ctx and its nodes."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from numgrad import registry
from numgrad.autograd import batched, duals
from numgrad.engine import dispatch, private
from numgrad.engine.tape import Node, Record, TensorBase, gradient_edge, lost_history, modes, tensor_over
from numgrad.engine.views import CUSTOM, check_in_place, fix, follow, refresh
from numgrad.errors import DETACHED, GradError
from numgrad.node_types import class_of
from numgrad.registry import Saving, find
from numgrad.tensor import creation, inference
from numgrad.tensor.tensor import Tensor


class FunctionCtx:
    """What forward and backward of a `Function` share. Users may set attributes of their own.

    Attributes
    ----------
    needs_input_grad
        For each argument of ``apply``, whether it needs a gradient.
    saved_tensors
        In the backward, the tensors given to `save_for_backward`.
    """

    needs_input_grad: tuple[bool, ...] = ()
    _to_save: tuple[Any, ...] = ()
    _dirty: tuple[Any, ...] = ()
    _inputs: tuple[Any, ...] = ()  # the tensors among the arguments, while the forward runs
    _non_differentiable: tuple[Any, ...] = ()
    _materialize = True
    _node: Any = None  # a weak reference
    _for_forward: tuple[Any, ...] | None = None
    _in_jvp = False
    _recording = False

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other tensors for the backward; call it once.

        Raises
        ------
        TypeError
            An argument is neither a tensor nor None.
        RuntimeError
            A tensor was made in inference mode.
        """
        for position, tensor in enumerate(tensors):
            if tensor is not None and not isinstance(tensor, TensorBase):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {position} is of type {type(tensor).__name__}; "
                    "set other values as attributes of ctx"
                )
        if self._recording and inference.exists():
            for tensor in tensors:
                if tensor is not None:
                    inference.refuse_saving(tensor)
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``jvp``, which reads them as ``ctx.saved_tensors``. Default: those of `save_for_backward`."""
        self._for_forward = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Declare the inputs that the forward changes in place; the forward has to return them as well.

        Raises
        ------
        RuntimeError
            An input is a leaf that requires a gradient, or a view that autograd cannot follow.
        """
        if self._recording:
            for tensor in tensors:
                check_in_place("mark_dirty", tensor, self._inputs, True)
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Declare the outputs that have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether the backward gets zeros (the default) or None as the gradient of an unused output."""
        self._materialize = bool(value)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to `save_for_backward`.

        Raises
        ------
        RuntimeError
            An earlier backward has freed them, or one has been changed in place.
        """
        if self._in_jvp and self._for_forward is not None:
            return self._for_forward
        node = self._node and self._node()
        return tuple(node.unpack(modes.grad_enabled)) if node is not None else self._to_save


class FunctionNode(Node):
    """The record of one call of a `Function`."""

    __slots__ = ("ctx", "function", "with_history")
    ctx: FunctionCtx
    function: type[Function]
    with_history: list[bool]  # for each saved tensor, whether it had a history

    makes_results = False

    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def class_to_see(self) -> type[Node]:
        tensors = tuple([position for position, spec in enumerate(self.input_specs) if spec is not None])
        return class_of(FunctionNode, self.name(), tensors, None)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """As `FunctionCtx.saved_tensors`."""
        return tuple(self.unpack(modes.grad_enabled))

    def unpack(self, create_graph: bool) -> list[Any]:
        saved = super().unpack(create_graph)
        if create_graph:
            for tensor, had_history in zip(saved, self.with_history, strict=True):
                if had_history and lost_history(tensor):
                    raise GradError(DETACHED)
        return saved

    def apply(self, grads: list[Any], create_graph: bool) -> tuple[Any, ...]:
        ctx = self.ctx
        if ctx._materialize:
            for number, grad in enumerate(grads):
                if grad is None and self.output_specs[number] is not None:
                    spec = self.output_specs[number]
                    grads[number] = creation.zeros(spec.shape, dtype=spec.dtype)
        result = self.function._backward_function()(ctx, *grads)
        if not isinstance(result, (tuple, list)):
            result = (result,)
        return self._checked(tuple(result))

    def _checked(self, result: tuple[Any, ...]) -> tuple[Any, ...]:
        specs = self.input_specs
        count = len(specs)
        if len(result) > count and all(extra is None for extra in result[count:]):
            result = result[:count]
        if len(result) != count:
            raise GradError(
                f"function {self.name()} returned an incorrect number of gradients (expected {count}, got {len(result)})"
            )
        checked = []
        for position, (grad, spec, edge) in enumerate(zip(result, specs, self.edges, strict=True)):
            if grad is None or (edge is None and spec is not None):
                grad = None
            elif spec is None:
                raise GradError(
                    f"function {self.name()} returned a gradient different than None at position {position + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
            elif not isinstance(grad, TensorBase):
                raise GradError(
                    f"function {self.name()} returned no tensor at position {position}, expected Variable or None "
                    f"(got {type(grad).__name__})"
                )
            elif grad._spec is not spec:
                grad = self._fitted(position, grad, spec)
            checked.append(grad)
        return tuple(checked)

    def _fitted(self, position: int, grad: Any, spec: Any) -> Any:
        shape, expected = tuple(grad._spec.shape), tuple(spec.shape)
        if shape != expected:
            lead = len(shape) - len(expected)
            if lead < 0 or any(want not in (1, have) for have, want in zip(shape[lead:], expected, strict=True)):
                raise GradError(
                    f"function {self.name()} returned an invalid gradient at index {position} - got {list(shape)} but "
                    f"expected shape compatible with {list(expected)}"
                )
            grad = find("sum_to_size")(grad, size=expected)
        return grad if grad._spec.dtype is spec.dtype else grad.to(spec.dtype)


class Function:
    """Base class of differentiable functions with a backward of their own. Define a subclass and call its ``apply``.

    ``forward(ctx, *args)`` gets any arguments and runs without recording. With ``setup_context(ctx, inputs, output)`` it is
    ``forward(*args)``. ``backward(ctx, *grad_outputs)`` (or ``vjp``) gets one gradient for each output and returns one, or
    None, for each argument. Under ``create_graph`` the backward is recorded itself, so it can be differentiated as far as
    it consists of ops on the gradients and on saved inputs and outputs. ``jvp(ctx, *tangents)`` serves forward mode: it
    returns a tangent for each output. ``vmap(info, in_dims, *args)`` serves `func.vmap`: it returns (outputs, out_dims).
    Without it, examples are computed one by one, with a warning.

    >>> import numgrad as ng
    >>> class Cube(ng.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
    >>> Cube.apply(x).sum().backward()
    >>> x.grad
    tensor([ 3., 12.])
    """

    _separate = False  # whether the class defines setup_context

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._separate = cls.setup_context is not Function.setup_context

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs: a tensor, or a tuple."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep what the backward needs, if ``forward`` takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    # With **more, which nobody passes, type checkers let an override name its arguments.
    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any, **more: Any) -> Any:
        """Gradients of the arguments from those of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward "
            "mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any, **more: Any) -> Any:
        """Tangents of the outputs from those of the arguments, each of which may be None."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any, **more: Any) -> Any:
        """A batching rule for `func.vmap`: (outputs, out_dims) for all examples; ``in_dims`` are the arguments' batch dims."""
        raise NotImplementedError(
            "You must implement the vmap staticmethod for all examples at once; without it they are computed one by one"
        )

    @classmethod
    def _backward_function(cls) -> Callable[..., Any]:
        if cls.vjp is Function.vjp:
            return cls.backward
        if cls.backward is not Function.backward:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one "
                "of them."
            )
        return cls.vjp

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function on these arguments.

        Raises
        ------
        NotImplementedError
            The class has no forward, or an argument is dual and the class has no ``jvp``.
        """
        if registry.is_wrapped():
            return transformed(cls, args)
        return cls._applied(args, FunctionCtx())

    @classmethod
    def _applied(cls, args: tuple[Any, ...], ctx: FunctionCtx) -> Any:
        ctx._recording = recording = modes.grad_enabled
        edges, needs, inputs = [], [], []
        for arg in args:
            is_tensor = isinstance(arg, TensorBase)
            edge = _edge(arg) if is_tensor else None
            edges.append(edge)
            needs.append(edge is not None)
            if is_tensor:
                inputs.append(arg)
        ctx.needs_input_grad = tuple(needs)
        ctx._inputs = tuple(inputs)
        modes.grad_enabled = False
        try:
            if cls._separate:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args)
        finally:
            modes.grad_enabled = recording
            del ctx._inputs
        if not (recording and True in needs):
            ctx._node = None
            return output
        specs = [arg._spec if isinstance(arg, TensorBase) else None for arg in args]
        record = Record(None, None, ctx.needs_input_grad, specs, ())
        node = FunctionNode(record, tuple(edges))
        node.function, node.ctx = cls, ctx
        outputs = output if isinstance(output, tuple) else (output,)
        if len(outputs) > 1 and any(each._base is not None for each in ctx._dirty):
            raise GradError(
                "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more "
                "than one Tensor. Please change a clone() of the input, or make one Function for each output."
            )
        results = tuple([_recorded(node, ctx, number, value, args) for number, value in enumerate(outputs)])
        record.output_specs = [value._spec if isinstance(value, TensorBase) else None for value in outputs]
        _save(node, ctx, outputs, results)
        ctx._node = weakref.ref(node)
        if dispatch.node_watchers:
            for watch in tuple(dispatch.node_watchers):
                watch(node)
        return results if isinstance(output, tuple) else results[0]


def transformed(cls: type[Function], args: tuple[Any, ...]) -> Any:
    """Apply a function to arguments, some of which may be dual or batched."""
    if any(isinstance(arg, batched.BatchedTensor) for arg in args):
        return batched.apply_function(cls, args)
    ctx = FunctionCtx()
    if not any(duals.is_dual(arg) for arg in args):
        return cls._applied(args, ctx)
    if cls.jvp is Function.jvp:
        cls.jvp(ctx)  # raises: it is missing
    with duals.suspended() as levels:
        output = cls._applied(args, ctx)
        ctx._in_jvp = True
        outputs = output if isinstance(output, tuple) else (output,)
        duals.push_function(levels, functools.partial(cls.jvp, ctx), args, outputs, cls.__name__)
    return output


def _edge(tensor: Any) -> Any:
    if tensor._base is not None:
        refresh(tensor)
    return gradient_edge(tensor)


def _recorded(node: FunctionNode, ctx: FunctionCtx, number: int, value: Any, args: tuple[Any, ...]) -> Any:
    """An output with its history. An input that is returned unchanged becomes another tensor over the same memory."""
    if not isinstance(value, TensorBase) or not value._spec.dtype.is_floating_point:
        return value
    if ctx._non_differentiable and any(value is each for each in ctx._non_differentiable):
        return value
    if ctx._dirty and any(value is each for each in ctx._dirty):
        value._storage.version += 1
        value._node, value._output_nr = node, number
        follow(value)
        return value
    if value._node is not None or value._requires_grad or True in [value is arg for arg in args]:
        private.expose(value)
        source, value = value, tensor_over(Tensor, value._storage, value._spec, value._address)
        value._base = source if source._base is None else source._base
    if value._base is not None:  # a view that the forward made, or an input
        fix(value, f"Output {number} of {node.name()}", CUSTOM)
    value._node, value._output_nr = node, number
    return value


def _save(node: FunctionNode, ctx: FunctionCtx, outputs: tuple[Any, ...], results: tuple[Any, ...]) -> None:
    saved: list[Any] = []
    versions, with_history, numbers = [], [], []
    for position, tensor in enumerate(ctx._to_save):
        had_history, version = False, 0
        if tensor is not None:
            number = _number_of(tensor, node, outputs, results)
            if number is None:
                had_history = not lost_history(tensor)
            else:
                numbers.append((position, number))
                tensor = private.alias(tensor, Tensor)  # without its node, which would make a reference cycle
            version = tensor._storage.version
        saved.append(tensor)
        versions.append(version)
        with_history.append(had_history)
    node.saved, node.versions, node.with_history = saved, versions, with_history
    node.record.saving = Saving((None,) * len(saved), tuple(numbers))
    ctx._to_save = ()


def _number_of(tensor: Any, node: FunctionNode, outputs: tuple[Any, ...], results: tuple[Any, ...]) -> int | None:
    """Which output of the node a saved tensor is; None if it is none."""
    for number, output in enumerate(outputs):
        if tensor is output and results[number] is output and output._node is node:
            return number
    return None


class _NotTwice(Node):
    """The history of the results of a backward that cannot be differentiated itself."""

    __slots__ = ()

    is_seen = True

    def name(self) -> str:
        return "NotTwiceDifferentiable"

    def apply(self, grads: list[Any], create_graph: bool) -> tuple[Any, ...]:
        raise GradError("trying to differentiate twice a function that was marked with @once_differentiable")


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Mark the ``backward`` of a `Function` as one that cannot be differentiated itself.

    It runs without recording. Differentiating its results raises a RuntimeError.

    >>> import numgrad as ng
    >>> class Double(ng.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...
    ...     @staticmethod
    ...     @ng.autograd.once_differentiable
    ...     def backward(ctx, grad):
    ...         return grad * 2
    >>> x = ng.ones(1, requires_grad=True)
    >>> grad = ng.autograd.grad(Double.apply(x), x, create_graph=True)[0]
    >>> grad.backward()
    Traceback (most recent call last):
    numgrad.errors.GradError: trying to differentiate twice a function that was marked with @once_differentiable
    """

    @functools.wraps(fn)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        create_graph = modes.grad_enabled
        modes.grad_enabled = False
        try:
            result = fn(ctx, *grads)
        finally:
            modes.grad_enabled = create_graph
        node = ctx._node and ctx._node()
        if not create_graph or node is None:
            return result
        results = result if isinstance(result, tuple) else (result,)
        edges = (*node.edges, *(_edge(grad) for grad in grads if isinstance(grad, TensorBase)))
        specs = [each._spec if isinstance(each, TensorBase) else None for each in results]
        refusing = _NotTwice(Record(None, None, (), (), specs), edges)
        marked = []
        for number, each in enumerate(results):
            if isinstance(each, TensorBase):
                each = private.alias(each, Tensor)
                each._node, each._output_nr = refusing, number
            marked.append(each)
        return tuple(marked) if isinstance(result, tuple) else marked[0]

    return wrapper
