"""The `Op` record and the table of ops. An op is added in one place: a spec in ``ops/`` that makes an `Op`."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numgrad.dtypes import dtype as Dtype
from numgrad.errors import GradError, ProofError, ShapeError
from numgrad.layout import Spec
from numgrad.runtime import locks, threads
from numgrad.runtime.fast.write import backward_words
from numgrad.runtime.plan import Plan, PlanBuilder

OPS: dict[str, Op] = {}
_all: weakref.WeakSet[Op] = weakref.WeakSet()  # also those that have no name of their own: parts of other ops

# Applies an op to tensors, by way of the wrappers; ops can so call each other without knowing the engine.
dispatch: Callable[[Op, tuple[Any, ...], tuple[Any, ...]], Any]

_MOST_PLANS = 1 << 12  # of all ops together, some 3 KB each
_HEAVIEST_PLAN = 1 << 9  # of these; what is heavier, with some 30,000 operands, is made anew each time
EVERY = 1 << 62  # as the number of public outputs: all that the plan has

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], Any], Any]  # (inner, op, inputs, params)
_engine: Callable[..., Any]
wrappers: list[tuple[int, Wrapper]] = []  # what stands before the engine; replaced as a whole
_wrapping = locks.awaited()


def set_engine(function: Callable[..., Any], saved: Callable[[SavedCall, Any, Any], Any]) -> None:
    """What applies ops in the end, and what does a `SavedCall`: ``saved(call, node, grads)``."""
    global _engine, apply_saved
    _engine, apply_saved = function, saved
    _chain()


def wrap_dispatch(rank: int, wrapper: Wrapper) -> None:
    """Put ``wrapper(inner, op, inputs, params)`` between all ops and the engine; of two the higher rank is outside.

    It sees the ops of all threads. Where no wrapper is, nothing is paid for it.
    """
    global wrappers
    with _wrapping:
        others = [pair for pair in wrappers if pair[1] is not wrapper]
        wrappers = sorted([*others, (rank, wrapper)], key=lambda pair: pair[0])
        _chain()


def unwrap_dispatch(wrapper: Wrapper) -> None:
    """Take a wrapper away again."""
    global wrappers
    with _wrapping:
        wrappers = [pair for pair in wrappers if pair[1] is not wrapper]
        _chain()


def is_wrapped() -> bool:
    """Whether a wrapper stands before the engine."""
    return bool(wrappers)


def _chain() -> None:
    global dispatch
    made = _engine
    for _, wrapper in wrappers:
        made = functools.partial(wrapper, made)
    dispatch = made


# Makes a `SavedCall`: ``apply_saved(call, node, grads)``.
apply_saved: Callable[[SavedCall, Any, Any], Any]


class SavedCall:
    """An op to be applied to incoming gradients and to what a node saved.

    ``reads`` says for each of the op's inputs which saved tensor it is, or, as -1, -2 and so on, which gradient.
    """

    def __init__(self, op: Op, reads: Sequence[int], params: Any = None) -> None:
        self.op = op
        self.reads = tuple(reads)
        self.params = op.defaults if params is None else params
        self._words = backward_words(reads)
        self.quick: int = self._words.ctypes.data  # for `fast.apply`


def saved_calls(inputs: int, *calls: tuple[SavedCall, int | Sequence[int]]) -> Callable[[Any, Any], list[Any]]:
    """A prepared backward of ``inputs`` gradients: for each call the place of its result, or those of its results."""
    rows = tuple([(call, place if isinstance(place, int) else -1, place) for call, place in calls])

    def run(node: Any, grads: Any) -> list[Any]:
        made: list[Any] = [None] * inputs
        for call, place, places in rows:
            result = apply_saved(call, node, grads)
            if place >= 0:
                made[place] = result
            else:
                for position, gradient in zip(places, result, strict=True):  # type: ignore[arg-type]
                    made[position] = gradient
        return made

    return run


def first_run(record: Any, run: Any) -> Any:
    """A prepared backward whose gradients are checked when it first runs. They have the same shapes each time after."""
    if run is None:
        return None

    def checked(node: Any, grads: Any) -> Any:
        result = check_gradients(node, run(node, grads))
        record.run = run
        return result

    return checked


def check_gradients(node: Any, grads: Any) -> Any:
    """What an op's backward returned, as a tuple or list, each of its input's shape and dtype.

    Raises
    ------
    RuntimeError
        One is not: sums and optimizers would go beyond it, or broadcast it. Or it is no tensor.
    """
    grads = grads if isinstance(grads, (tuple, list)) else (grads,)
    for position, (grad, spec, edge) in enumerate(zip(grads, node.input_specs, node.edges, strict=False)):
        if grad is None or edge is None:
            continue
        own = getattr(grad, "_spec", None)
        if own is None:
            raise GradError(
                f"function {node.name()} returned no tensor at index {position}, expected a Tensor or None (got "
                f"{type(grad).__name__})"
            )
        if own is not spec and (own.shape != spec.shape or own.dtype is not spec.dtype):
            raise GradError(
                f"function {node.name()} returned an invalid gradient at index {position} - got {list(own.shape)} of "
                f"{own.dtype} but expected shape {list(spec.shape)} and {spec.dtype}, as the input has"
            )
    return grads


class Saving(NamedTuple):
    """What a node keeps: for each of the op's saves the input's number or None, and (place, number) of the outputs'."""

    inputs: tuple[int | None, ...]
    outputs: tuple[tuple[int, int], ...]


_NOTHING_SAVED = Saving((), ())


@functools.cache
def _params_type(names: tuple[str, ...], defaults: tuple[Any, ...]) -> Any:
    """The named tuple for an op's parameters; making one takes longer than the rest of an op, and most have none."""
    return namedtuple("Params", names, defaults=defaults)  # type: ignore[misc]


class Op:
    """A forward/backward pair with its shape rule, its declared saves, its documentation and its oracle.

    Parameters
    ----------
    name
        The op's name, unique in the registry.
    inputs
        Names of the tensor inputs.
    params
        Names and defaults of the other arguments; values must be hashable.
    outputs
        Names of the outputs; the first ``public`` of them are returned, the others are kept for the backward. With
        `EVERY` the plan tells how many there are.
    saves
        Which inputs and outputs the backward reads.
    doc
        Documentation: what it computes, shapes, dtypes, errors, the source of a formula.
    differentiable
        False for ops whose outputs carry no gradient (comparisons, indices).
    grad_name
        Stem of the node's name, as torch prints it; default: the op's name in camel case.
    variadic
        It takes any number of inputs, and ``inputs`` is the one name of them all.

    Raises
    ------
    ValueError
        The name is taken, a name is there twice, or ``saves`` names what there is not.

    A planning function is attached by `plan`, the backward by `backward`, a NumPy oracle by `oracle`; see `ops` for
    examples. `jvp` (or `linear_in`) says how tangents go through it, `batch` how a batch of examples does; those of
    numgrad's own ops are in `ops.rules`, which is imported when somebody needs one.
    """

    bilinear = False  # a product of its first two inputs: the gradient of either reads the other, and not itself
    elementwise = False  # each element of the outputs from those at its place of the broadcast inputs
    commutes = False  # the order of the inputs changes nothing
    graph_inputs: tuple[int | None, ...] | None = None  # see `graph_node`

    def __init__(
        self,
        name: str,
        inputs: Sequence[str],
        params: dict[str, Any] | None = None,
        outputs: Sequence[str] = ("out",),
        public: int = 1,
        saves: Sequence[str] = (),
        doc: str = "",
        differentiable: bool = True,
        grad_name: str = "",
        register: bool = True,
        variadic: bool = False,
    ) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.public = public
        self.saves = tuple(saves)
        self.variadic = variadic
        self.doc = inspect.cleandoc(doc)
        self.__doc__ = self.doc
        self.differentiable = differentiable
        stem = grad_name or "".join(part.capitalize() for part in name.split("_"))
        self.grad_name = stem if stem.endswith("Backwards") else stem + "Backward0"  # torch's CopyBackwards
        params = params or {}
        self.param_names = tuple(params)
        self.Params = _params_type(self.param_names, tuple(params.values()))
        self.defaults = self.Params()
        self.plan_function: Callable[..., None] | None = None
        self.backward_function: Callable[..., Any] | None = None
        self.oracle_function: Callable[..., Any] | None = None
        self.status_function: Callable[[int, Any], Exception] | None = None
        self.jvp_function: Callable[..., Any] | None = None
        self.linear_groups: tuple[tuple[str, ...], ...] = ()
        self.batch_function: Callable[..., Any] | None = None
        self.composite_function: Callable[..., Any] | None = None
        self.ties: dict[int, tuple[tuple[int, ...], bool]] = {}  # by the number of the input; see `tie`
        self.plans: dict[tuple[Any, ...], Plan] = {}
        self.node_classes: dict[Any, type] = {}  # of its nodes, as they are seen
        self._saving: dict[tuple[bool, ...], Saving] = {}
        names = (*self.inputs, *self.param_names)
        if len(set(names)) < len(names) or len(set(self.outputs)) < len(self.outputs):
            raise ValueError(
                f"op {name}: inputs and parameters are {names}, outputs {self.outputs}, expected each name once"
            )
        unknown = set(self.saves) - set(self.inputs) - set(self.outputs)
        if unknown:
            raise ValueError(f"op {name}: saves {sorted(unknown)}, expected names of its inputs or outputs")
        _all.add(self)
        if register:
            if name in OPS:
                raise ValueError(f"op {name} is registered already; choose another name")
            OPS[name] = self

    # ---- the parts of a spec -----------------------------------------------------------------------------------

    def plan(self, function: Callable[..., None]) -> Callable[..., None]:
        """Attach the planning function ``(builder, *input operands, **params)``: the shape rule and the launches."""
        self.plan_function = function
        return function

    def backward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach ``(ctx, *grad_outputs)``, which returns a gradient, or None, for each input.

        It is written in ops, so it can be differentiated again. ``ctx`` has the saved tensors (``ctx.saved``, in the
        order of `saves`), ``ctx.params``, ``ctx.needs`` (a bool for each input) and ``ctx.input_specs``.
        """
        self.backward_function = function
        return function

    def oracle(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the reference in NumPy: ``(*arrays, **params)``."""
        self.oracle_function = function
        return function

    def on_status(self, function: Callable[[int, Any], Exception]) -> Callable[[int, Any], Exception]:
        """Attach ``(status, params) -> exception`` for the status words that the op's kernels leave."""
        self.status_function = function
        return function

    def jvp(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the forward derivative ``(ctx, *tangents)``: tangents of the public outputs from those of the inputs.

        A tangent is None where an input has none. ``ctx`` has ``inputs``, ``outputs`` and ``params``, and
        ``ctx.differentiable``: whether the result will be differentiated, and so has to be made of ops.
        """
        self.jvp_function = function
        return function

    def linear_in(self, *names: str) -> None:
        """The op is linear in these inputs together, the others fixed: its forward derivative is the op itself.

        A product is linear in each of its factors alone: one call for each.
        """
        self.linear_groups = (*self.linear_groups, names)

    def tie(self, gradients: Sequence[str], to: Sequence[str], zeros: bool = True) -> None:
        """Where the backward is recorded, let the gradients of some inputs depend on others, though by no slope.

        A gradient that is a step function of an input, or that torch computes together with what depends on it, requires a
        gradient itself in torch, and so it does here. That gradient is 0, or with ``zeros=False`` there is none.
        """
        numbers = tuple(self.inputs.index(name) for name in to)
        self.ties.update({self.inputs.index(name): (numbers, zeros) for name in gradients})

    def tied(self, node: Any, grads: Sequence[Any]) -> tuple[Any, ...]:
        """The gradients that came out of a node, with what `tie` says of them."""
        made = list(grads)
        for place, (numbers, zeros) in self.ties.items():
            for number in numbers:
                grad, edge = made[place], node.edges[number]
                if grad is not None and edge is not None:
                    spec = node.input_specs[number]
                    zero = find("full")(size=(), value=0.0, dtype=spec.dtype)
                    input = find("expand")(zero, size=tuple(spec.shape))  # stands for it: nothing is read
                    input._base = input._view_node = None
                    input._node, input._output_nr = edge
                    made[place] = tied = find("tie_backward")(grad, input, zeros=zeros)
                    tied._base = tied._view_node = None  # nobody else has the gradient without the tie
        return tuple(made)

    def composite(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach ``(*inputs, **params)``: the same in other ops, which forward mode and `vmap` apply in its place."""
        self.composite_function = function
        return function

    def batch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the batching rule ``(batch, *inputs, **params)``: the op for many examples at once.

        Inputs that are batched have the examples in dimension 0, the others are the same for all; see
        `ops.rules.batch.Batch`. It returns the outputs, with the examples in dimension 0, or NotImplemented.
        """
        self.batch_function = function
        return function

    def saves_for(self, needs: tuple[bool, ...]) -> tuple[str, ...]:
        """Which of `saves` the gradients of the needed inputs read; the others are not kept."""
        if self.bilinear:
            return tuple([name for name, other in zip(self.inputs, (needs[1], needs[0]), strict=False) if other])
        return self.saves

    def saving(self, needs: tuple[bool, ...]) -> Saving:
        """What a node keeps when the gradients of these inputs are needed."""
        if not self.saves:
            return _NOTHING_SAVED
        found = self._saving.get(needs)
        if found is None:
            wanted = self.saves_for(needs)
            names = self.saved_names()
            found = self._saving[needs] = Saving(
                tuple(names[s] if s in wanted and s not in self.outputs else None for s in self.saves),
                tuple((place, names[s]) for place, s in enumerate(self.saves) if s in wanted and s in self.outputs),
            )
        return found

    def prepares(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Attach what finds `prepared_backward`, such as `saved_calls`."""
        self.prepared_backward = function  # type: ignore[method-assign,assignment]
        return function

    def prepared_backward(self, record: Any) -> Any:
        """None, or what may run in place of `backward` for nodes of this record, if they are not recorded themselves."""
        return None

    def saved_names(self) -> dict[str, int]:
        """For each name in ``saves``, which input or output it is."""
        return {s: (self.outputs if s in self.outputs else self.inputs).index(s) for s in self.saves}

    def graph_node(self, specs: Any, needs: Any, params: Any) -> tuple[str, tuple[int | None, ...] | None]:
        """How graphs show a node of this op: its name, and which inputs it lists, both as torch.

        By default `grad_name` and `graph_inputs`: the numbers of the inputs in torch's order, None where torch has another
        one, or None for all as they are. Replaced by `shown_as`.
        """
        return self.grad_name, self.graph_inputs

    def shown_as(self, function: Callable[[Any, Any, Any], tuple[str, Any]]) -> Callable[[Any, Any, Any], Any]:
        """Attach ``(specs of the inputs, needs, params) -> (name, graph_inputs)``, where torch has several nodes for the op."""
        self.graph_node = function  # type: ignore[method-assign,assignment]
        return function

    # ---- use ---------------------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Apply the op to tensors; parameters by name."""
        if not params:
            values = self.defaults
        elif tuple(params) == self.param_names:  # without `Params` itself, which takes as long as the op
            values = tuple.__new__(self.Params, params.values())
        else:
            try:
                values = self.Params(**params)
            except TypeError:
                unknown = next(name for name in params if name not in self.param_names)
                raise TypeError(
                    f"{self.name}: got a parameter {unknown!r}, expected some of {list(self.param_names)}"
                ) from None
        return dispatch(self, inputs, values)

    def apply(self, inputs: tuple[Any, ...], *values: Any) -> Any:
        """Apply the op, all parameters given in their order, which takes half a microsecond less than by name."""
        return dispatch(self, inputs, tuple.__new__(self.Params, values))

    def make_plan(self, specs: tuple[Spec | None, ...], params: Any) -> Plan:
        """The plan for one signature; kept in `plans`, unless it is one of very many operands.

        Raises
        ------
        ShapeError, DtypeError, TypeError, ValueError, IndexError
            The op's shape rule refuses the signature.
        """
        plan = self.planned(specs, params).finish()
        plan.prepare(self.public, self.differentiable)
        if plan.weight <= _HEAVIEST_PLAN:
            self.plans[(params, *specs)] = plan
            _count_plan(plan.weight)
        return plan

    def planned(self, specs: tuple[Spec | None, ...], params: Any) -> PlanBuilder:
        """What the planning function makes of one signature, which is proved; nothing is compiled. Errors as `make_plan`."""
        if self.plan_function is None:
            raise ValueError(
                f"op {self.name} has no plan; attach one: @{self.name}.plan above a function of a builder and operands"
            )
        if len(specs) != len(self.inputs) and not self.variadic:
            raise TypeError(
                f"{self.name}: got {len(specs)} inputs, expected {len(self.inputs)}: {', '.join(self.inputs)}; None for one "
                "that is left out"
            )
        builder = PlanBuilder(specs)
        try:
            self.plan_function(builder, *builder.inputs, **params._asdict())
        except ProofError as error:
            raise ShapeError(f"{self.name}: the operands do not fit: {error}") from error
        except (AttributeError, OverflowError) as error:  # of something that is no tensor, no dtype, no finite number
            raise TypeError(f"{self.name}: {self._misfit(specs, params)} ({error})") from error
        if not builder.outputs and self.public not in (0, EVERY):
            raise ValueError(
                f"op {self.name}: its plan makes no output, expected {', '.join(self.outputs)}; b.output(dtype, shape) makes one"
            )
        return builder

    def _misfit(self, specs: tuple[Spec | None, ...], params: Any) -> str:
        """What is likely to be wrong with the arguments of a plan that asked one of them for what it does not have."""
        for name, value, default in zip(self.param_names, params, self.defaults, strict=True):
            if isinstance(default, Dtype) and not isinstance(value, Dtype):
                return f"{name} is {value!r}, expected a dtype"
        if None in specs:
            return f"input {specs.index(None)} is None, expected a Tensor (its inputs are {', '.join(self.inputs)})"
        return f"the parameters {params} are not of the types that it takes"

    def __repr__(self) -> str:
        return f"<numgrad op {self.name}>"


_plans_made = 0  # since the last count of those that are kept, and that number; by their weight


def _count_plan(weight: int) -> None:
    """Count a new plan. Where shapes never end, the older half of each op's goes when there are too many."""
    global _plans_made
    _plans_made += weight
    if _plans_made < _MOST_PLANS:
        return
    for op in list(_all):
        keys = list(op.plans)
        for key in keys[: len(keys) // 2]:
            op.plans.pop(key, None)
    _plans_made = sum([plan.weight for op in list(_all) for plan in list(op.plans.values())])


def forget_plans() -> None:
    """Drop all plans: after a change of the number of threads, for which scratch memory was sized."""
    for op in list(_all):
        op.plans.clear()


threads.count_listeners.append(forget_plans)


def find(name: str) -> Op:
    """The op of this name.

    Raises
    ------
    KeyError
        There is none; the message lists similar names.
    """
    if name in OPS:
        return OPS[name]
    import difflib

    similar = difflib.get_close_matches(name, OPS, n=3)
    raise KeyError(f"no op {name!r} is registered" + (f"; similar: {', '.join(similar)}" if similar else ""))
