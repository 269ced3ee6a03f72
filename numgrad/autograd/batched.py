"""The machinery of `vmap`: batched tensors, and the wrapper that applies ops to all examples at once.

`func.batching` (the public `vmap`) opens a level here and wraps its arguments; for each op, the wrapper here calls the op's
rule from `ops.rules.batching` or the op's own file.

A `BatchedTensor` has the shape of one example, and a *payload* with the examples in its dimension 0. While a level is open,
ops go through `_batched` on their way to the engine. It takes the payloads, applies the op's batching rule
(`registry.Op.batch`), and wraps the results. An op without a rule is applied to one example after the other, and a warning
says so. A payload may be any tensor: recorded in a graph, dual, or batched at another level. So transforms of functions nest
in any order.
"""

from __future__ import annotations

import html
import itertools
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from numgrad import registry
from numgrad.engine import dispatch as engine
from numgrad.engine.tape import TensorBase
from numgrad.engine.views import change_in_place
from numgrad.layout import spec_of
from numgrad.ops import rules
from numgrad.registry import Op, find
from numgrad.runtime import locks
from numgrad.runtime.scope import Scope
from numgrad.tensor.tensor import Tensor

_numbers = itertools.count(1)


def next_number() -> int:
    """The number of a new level, of a batch or of tangents: levels are numbered as they are opened."""
    return next(_numbers)


class BatchLevel:
    """One batch of examples; levels that are opened later have higher numbers."""

    def __init__(self, size: int, randomness: str = "error") -> None:
        self.size, self.randomness = size, randomness
        self.number = next_number()
        self.is_open = True


class _State(threading.local):
    levels: tuple[BatchLevel, ...] = ()  # of `vmap`, the outermost first


_state = _State()
_opened = locks.Switch(lambda: registry.wrap_dispatch(1, _batched), lambda: registry.unwrap_dispatch(_batched))


class batch_level(Scope):  # noqa: N801 (a context, as its siblings)
    """A level for the length of a ``with`` block; with ``randomness``, random ops draw for it."""

    def __init__(self, size: int, randomness: str | None = None) -> None:
        super().__init__()
        self.level = BatchLevel(size, randomness or "same")
        self.levels = _state.levels if randomness is None else (*_state.levels, self.level)

    def __enter__(self) -> BatchLevel:
        token = _opened.token()
        before = (self.level, "is_open", False, _state, "levels", _state.levels)
        self._undo = (before, self._undo, _opened.settle, token)
        _state.levels = self.levels
        return self.level


def _outside(*_: Any) -> Any:
    raise RuntimeError("vmap: a tensor of a single example is used after its vmap has ended; return it instead")


class BatchedTensor(Tensor):
    """One example of a batch, for the function that `vmap` calls; its values cannot be read."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """An empty instance; the constructor fills it."""
        return object.__new__(cls)

    def __init__(self, payload: Tensor, level: BatchLevel) -> None:
        spec = payload._spec
        self.payload, self.level = payload, level
        example = spec_of(spec.dtype, tuple(spec.shape[1:]), tuple(spec.seen_strides[1:]))
        TensorBase.__init__(self, payload._storage, example, payload._address)
        self.levels: frozenset[BatchLevel] = frozenset((level,)) | levels_of(payload)

    @property
    def _spec(self) -> Any:  # type: ignore[override]
        return self._example_spec if self.level.is_open else _outside()

    @_spec.setter
    def _spec(self, spec: Any) -> None:
        self._example_spec = spec

    def _array(self) -> Any:
        raise RuntimeError(
            "vmap: It looks like you're calling .item() (or .numpy(), .tolist()) on a Tensor, or indexing by the values of one. "
            "We don't support vmap over reading values, please try to rewrite what you're doing with other operations, such as "
            "gather or where."
        )

    # Reading in machine code looks at a slot that is a property here.
    def item(self) -> Any:
        return self._array()

    def __float__(self) -> float:
        return self._array()  # type: ignore[no-any-return]

    def __int__(self) -> int:
        return self._array()  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        raise RuntimeError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that "
            "yet; use numgrad.where, which takes both branches."
        )

    def __repr__(self) -> str:
        return f"BatchedTensor(level={self.level.number}, size={self.level.size}, payload=\n{self.payload!r})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self._array()  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._array()

    # ---- the graph is the payload's --------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self.payload.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.payload.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """As for other tensors."""
        self.payload.requires_grad_(requires_grad)
        return self

    @property
    def grad_fn(self) -> Any:
        return self.payload.grad_fn

    @property
    def grad(self) -> Any:
        return None

    @grad.setter
    def grad(self, value: Any) -> None:
        self._refuse()

    def detach(self) -> Tensor:
        """Outside of the graph."""
        return BatchedTensor(self.payload.detach(), self.level)

    def backward(self, *args: Any, **kwargs: Any) -> None:
        """Refused: `func.grad` computes gradients of single examples."""
        raise RuntimeError("vmap: backward() inside of vmap would mix the examples; use numgrad.func.grad")

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("vmap: hooks and retained gradients of single examples are not supported inside of vmap")

    register_hook = register_post_accumulate_grad_hook = retain_grad = _refuse


def levels_of(tensor: Any) -> frozenset[BatchLevel]:
    """The levels at which a tensor is batched."""
    return tensor.levels if isinstance(tensor, BatchedTensor) else frozenset()


def bottom(tensor: Any) -> Any:
    """The tensor that holds all examples of all levels."""
    while isinstance(tensor, BatchedTensor):
        tensor = tensor.payload
    return tensor


def deepest(tensors: Sequence[Any]) -> BatchLevel | None:
    """The last-opened level at which one of the tensors is batched."""
    last: BatchLevel | None = None
    for tensor in tensors:
        for level in levels_of(tensor):
            if last is None or level.number > last.number:
                last = level
    return last


def at_level(tensor: Any, level: BatchLevel) -> Any:
    """The examples of a level, in dimension 0; None if the tensor is the same for all of them."""
    if level not in levels_of(tensor):
        return None
    if tensor.level is level:
        return tensor.payload
    inner = at_level(tensor.payload, level)
    return BatchedTensor(find("transpose")(inner, dim0=0, dim1=1), tensor.level)


def examples_of(tensor: Any, level: BatchLevel) -> Any:
    """The examples of a level in dimension 0, also if they are all the same."""
    examples = at_level(tensor, level)
    return rules.repeated(tensor, level.size) if examples is None else examples


def lifted(tensor: Any, like: Any) -> Any:
    """The tensor, batched at all levels at which ``like`` is."""
    return _lifted(tensor, levels_of(like), copy=True)


def for_each_example(tensor: Any) -> Any:
    """The tensor, batched at the levels of all running `vmap` calls, so that gradients with respect to it are batched, too.

    Its outer level is the one opened last: gradients remove the levels in that order.
    """
    inner: Any = tensor
    number: int | None = None
    while isinstance(inner, BatchedTensor):
        if number is not None and inner.level.number > number:
            tensor = find("permute")(tensor, dims=tuple(range(tensor._spec.ndim)))  # puts the levels in order
            break
        inner, number = inner.payload, inner.level.number
    return _lifted(tensor, _state.levels, copy=False)


def _lifted(tensor: Any, levels: Any, copy: bool) -> Any:
    missing = sorted(set(levels) - levels_of(tensor), key=lambda level: level.number)
    for level in missing:
        tensor = _at_one_more(tensor, level)
    return find("clone")(tensor) if missing and copy else tensor


def _at_one_more(tensor: Any, level: BatchLevel) -> Any:
    if isinstance(tensor, BatchedTensor) and tensor.level.number > level.number:
        return BatchedTensor(_at_one_more(tensor.payload, level), tensor.level)
    return BatchedTensor(rules.repeated(tensor, level.size), level)


# ---- the wrapper around ops -------------------------------------------------------------------------------------


def _batched(inner: Any, op: Op, inputs: tuple[Any, ...], params: Any) -> Any:
    """Apply the op to all examples at once."""
    level = deepest(inputs)
    if op.random and _state.levels:
        return _drawn(op, inputs, params, level)
    if level is None:
        return inner(op, inputs, params)
    if any(isinstance(value, (bool, int, float)) for value in inputs):
        inputs = engine.with_constants(op, inputs)
    payloads = [at_level(tensor, level) for tensor in inputs]
    flags = tuple([payload is not None for payload in payloads])
    values = [
        tensor if payload is None else payload for tensor, payload in zip(inputs, payloads, strict=True)
    ]  # fmt: skip
    return _applied(op, inputs, values, flags, params, level)


def _applied(
    op: Op, inputs: Sequence[Any], values: Sequence[Any], flags: tuple[bool, ...], params: Any, level: BatchLevel
) -> Any:
    batch = rules.Batch(op, level.size, flags)
    arguments = params._asdict()
    if op.mutates and not flags[0]:
        raise RuntimeError(
            f"vmap: {op.name}: inplace arithmetic is not possible because there is an input with more elements than self: it "
            "differs from example to example, and self does not. Use the operation that returns a new tensor, or make self "
            "by zeros_like of a batched tensor"
        )
    if op.mutates and op.elementwise and op.batch_function is None:
        target, *others = rules.elementwise(batch, *values, apply=False)
        if target._spec.ndim != values[0]._spec.ndim:
            raise RuntimeError(
                f"{op.name}: output with shape {list(inputs[0]._spec.shape)} doesn't match the broadcast shape"
            )
        change_in_place(op, values[0], *others, **arguments)
        return inputs[0]
    result: Any = NotImplemented
    if op.batch_function is not None:
        result = op.batch_function(batch, *values, **arguments)
        if result is not NotImplemented:
            _check_examples(op, result, level)
    elif op.elementwise:
        result = rules.elementwise(batch, *values, **arguments)
    elif op.composite_function is not None:
        return op.composite_function(*inputs, **arguments)
    if result is NotImplemented:
        result = _one_by_one(op, values, flags, arguments, level)
    if op.mutates:
        return inputs[0]
    if isinstance(result, tuple):
        return tuple([BatchedTensor(each, level) for each in result])
    return BatchedTensor(result, level)


def _check_examples(op: Op, result: Any, level: BatchLevel) -> None:
    """Refuse results of a batching rule that do not have one row for each example."""
    for each in result if isinstance(result, tuple) else (result,):
        if not each._spec.ndim or each._spec.shape[0] != level.size:
            raise RuntimeError(
                f"{op.name}: its batching rule returned shape {list(each._spec.shape)}, expected {level.size} examples in "
                "dimension 0"
            )


def _one_by_one(
    op: Op, values: Sequence[Any], flags: tuple[bool, ...], params: dict[str, Any], level: BatchLevel
) -> Any:
    warnings.warn(
        f"There is a performance drop because we have not yet implemented the batching rule for {op.name}: it is applied to "
        f"{level.size} examples one after the other. Op.batch attaches a rule.",
        UserWarning,
        stacklevel=5,
    )
    if level.size == 0:
        raise ValueError(
            f"vmap: the batch has no example, and {op.name} has no batching rule to tell the form of its result"
        )
    results = []
    for index in range(level.size):
        example = [_example(value, index) if flag else value for value, flag in zip(values, flags, strict=True)]
        results.append(change_in_place(op, *example, **params) if op.mutates else op(*example, **params))
    if not isinstance(results[0], tuple):
        return stacked(results)
    return tuple(stacked(column) for column in zip(*results, strict=True))


def _example(value: Any, index: int) -> Any:
    from numgrad.ops.view import narrow

    return find("squeeze")(narrow(value, 0, index, 1), dims=(0,))


def stacked(values: Sequence[Any]) -> Any:
    """Tensors of one shape along a new dimension 0."""
    return find("cat")(*[find("unsqueeze")(value, dim=0) for value in values], dim=0)


# ---- random numbers ---------------------------------------------------------------------------------------------


def _drawn(op: Op, inputs: tuple[Any, ...], params: Any, level: BatchLevel | None) -> Any:
    """Random numbers, as the innermost `vmap` asks for them."""
    running = _state.levels
    inner = running[-1]
    if level is not None and level.number > inner.number:
        inner = level
    if inner.randomness == "error":
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness "
            "flags on vmap or perform the randomness operation out of vmap"
        )
    draw = rules.Draw(op, inner.size, at_level(inputs[0], inner))
    is_different = inner.randomness == "different"
    rule = op.draw_function if is_different else op.draw_once_function
    _state.levels = tuple(each for each in running if each is not inner)
    try:
        if draw.examples is None and not is_different:
            return op(*inputs, **params._asdict())
        if rule is None:
            raise NotImplementedError(
                f"vmap: {op.name} has no rule for random numbers that are {inner.randomness!r}; attach one by Op."
                f"{'draw' if is_different else 'draw_once'}, or draw them out of vmap"
            )
        return BatchedTensor(rule(draw, *inputs, **params._asdict()), inner)
    finally:
        _state.levels = running


# ---- functions of users -----------------------------------------------------------------------------------------


def apply_function(cls: Any, args: tuple[Any, ...]) -> Any:
    """A `Function` on batched arguments: by its ``vmap``, else one example after the other, with a warning."""
    level = deepest(args)
    assert level is not None
    payloads = [at_level(arg, level) for arg in args]
    from numgrad.autograd.function import Function

    rule = cls.vmap
    if rule is not Function.vmap:
        in_dims = tuple(None if each is None else 0 for each in payloads)
        values = tuple(arg if each is None else each for arg, each in zip(args, payloads, strict=True))
        outputs, out_dims = rule(_Info(level), in_dims, *values)
        if not isinstance(outputs, tuple):
            return _at_front(outputs, out_dims, level)
        dims = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(outputs)
        return tuple(_at_front(output, dim, level) for output, dim in zip(outputs, dims, strict=True))
    warnings.warn(
        f"There is a performance drop because {cls.__name__} has no vmap staticmethod: it is applied to {level.size} examples "
        "one after the other.",
        UserWarning,
        stacklevel=4,
    )
    results = []
    for index in range(level.size):
        results.append(
            cls.apply(*[arg if e is None else _example(e, index) for arg, e in zip(args, payloads, strict=True)])
        )
    if not isinstance(results[0], tuple):
        return BatchedTensor(stacked(results), level)
    return tuple(BatchedTensor(stacked(column), level) for column in zip(*results, strict=True))


class _Info:
    """The first argument of a ``vmap`` staticmethod."""

    def __init__(self, level: BatchLevel) -> None:
        self.batch_size, self.randomness = level.size, level.randomness


def _at_front(output: Any, dim: int | None, level: BatchLevel) -> Any:
    if dim is None or not isinstance(output, Tensor):
        return output
    order = [dim % output.ndim, *(axis for axis in range(output.ndim) if axis != dim % output.ndim)]
    return BatchedTensor(find("permute")(output, dims=tuple(order)), level)
