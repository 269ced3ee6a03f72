"""The `Op` record and the table of ops. An op is added in one place: a spec in ``ops/`` that makes an `Op`."""

from __future__ import annotations

import functools
import inspect
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DtypeError, ProofError, ShapeError
from numgrad.layout import Spec
from numgrad.registry import chain, plans
from numgrad.runtime.fast import start as fast
from numgrad.runtime.plan import Plan, PlanBuilder

OPS: dict[str, Op] = {}
EVERY = 1 << 62  # as the number of public outputs: all of the plan's


class Saving(NamedTuple):
    """The tensors that a node saves: for each of the op's saves the input's number or None, and (slot, number) of outputs."""

    inputs: tuple[int | None, ...]
    outputs: tuple[tuple[int, int], ...]


_NOTHING_SAVED = Saving((), ())


@functools.cache
def _params_type(names: tuple[str, ...], defaults: tuple[Any, ...]) -> Any:
    """The named tuple for an op's parameters; making one takes longer than the rest of an op, and most ops have none."""
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
        `EVERY` the plan decides how many there are.
    saves
        Which inputs and outputs the backward reads.
    doc
        Documentation: the formula and its source, shapes, dtypes, errors.
    differentiable
        False for ops whose outputs carry no gradient (comparisons, indices).
    node_name
        Name of its nodes, as torch prints it; default: the op's name in camel case, and Backward0.
    graph_inputs
        Numbers of the inputs that its nodes list, in torch's order: those that may have a gradient, and None for an input
        that only torch's op has. Default: all inputs.
    self_name
        Name of the first input in graphs, if a node has saved it: torch's ``self``, for layers ``input``.
    variadic
        It takes any number of inputs; ``inputs`` is one name for all of them.
    mutates
        It writes its result over its first input, and returns that.
    overwrites
        It mutates, and does not read the old values; no forward derivative needs them.
    aliases
        It returns its first input as it is, whose memory has its tangents already.
    random
        It draws numbers, and advances the state of a generator; see `draw`.
    bilinear
        A product of its first two inputs: the gradient of either reads the other, and not itself.
    elementwise
        Each element of the outputs depends on the elements of the broadcast inputs at the same index.
    commutes
        The order of the inputs changes nothing.
    moving
        A view of its one input, and the first parameter says where it begins, in each dimension. A plan serves all
        beginnings, as `PlanBuilder.window` declares, and so do records: only a node's own params say where it began.

    Raises
    ------
    ValueError
        The name is taken, a name occurs twice, or ``saves`` has a name that is neither an input nor an output.

    A planning function is attached by `plan`, the backward by `backward`, a NumPy oracle by `oracle`; see `ops` for
    examples. `jvp` (or `linear_in`) attaches the forward derivative, `batch` the batching rule; `ops.rules` has the rules
    that many ops share. No code decides by the name of an op.
    """

    # What is attached, see below; most ops lack most of it, as do the many that known calls are.
    plan_function: Callable[..., None] | None = None
    backward_function: Callable[..., Any] | None = None
    oracle_function: Callable[..., Any] | None = None
    prepare_function: Callable[[Any], Any] | None = None
    status_function: Callable[[int, Any], Exception] | None = None
    node_function: Callable[[Any, Any, Any], tuple[str, Any]] | None = None
    jvp_function: Callable[..., Any] | None = None
    linear_groups: tuple[tuple[str, ...], ...] = ()
    batch_function: Callable[..., Any] | None = None
    draw_function: Callable[..., Any] | None = None
    draw_once_function: Callable[..., Any] | None = None
    composite_function: Callable[..., Any] | None = None
    flops_function: Callable[..., int] | None = None
    sums_function: Callable[..., Any] | None = None
    nan_function: Callable[[Any, Any], str] | None = None
    join_function: Callable[[Spec, Any, bool], Any] | None = None
    cheap_by: tuple[Op, tuple[str, ...]] | None = None
    halves = False  # whether the plan takes float16 and bfloat16 as they are
    origin: tuple[Op, tuple[Any, ...]] | None = None  # see `adopt`
    node_class: type | None = None  # of its nodes once they are seen, if it is not made of their names

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
        node_name: str = "",
        graph_inputs: tuple[int | None, ...] | None = None,
        self_name: str = "self",
        register: bool = True,
        variadic: bool = False,
        mutates: bool = False,
        overwrites: bool = False,
        aliases: bool = False,
        random: bool = False,
        bilinear: bool = False,
        elementwise: bool = False,
        commutes: bool = False,
        moving: bool = False,
    ) -> None:
        self.name = name
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.public = public
        self.saves = tuple(saves)
        self.variadic = variadic
        self.mutates, self.overwrites, self.aliases = mutates or overwrites, overwrites, aliases
        self.random, self.bilinear, self.elementwise = random, bilinear, elementwise
        self.commutes, self.moving = commutes, moving
        self.cheap_launches = 0 if elementwise and not (self.mutates or random or aliases) else None  # see `cheap`
        self.doc = inspect.cleandoc(doc)
        self.__doc__ = self.doc
        self.differentiable = differentiable
        self.node_name = node_name or "".join(part.capitalize() for part in name.split("_")) + "Backward0"
        self.graph_inputs, self.self_name = graph_inputs, self_name
        params = params or {}
        self.param_names = tuple(params)
        self.Params = _params_type(self.param_names, tuple(params.values()))
        self.defaults = self.Params()
        self.ties: dict[int, tuple[tuple[int, ...], bool]] = {}  # by the number of the input; see `tie`
        self.plans: dict[tuple[Any, ...], Plan] = {}
        self.templates: dict[tuple[Any, ...], tuple[Any, ...]] = {}  # by structure, see `plans`
        self.exposing: dict[tuple[Any, ...], int] = {}  # signatures that need an input to be moved first, and which
        self.untraced: set[tuple[Any, ...]] = set()  # structures for which there can be none
        self.node_classes: dict[Any, type] = {}  # of its nodes, once they are seen
        self._saving: dict[tuple[bool, ...], Saving] = {}
        self._adopted: dict[tuple[Any, ...], Op] = {}
        names = (*self.inputs, *self.param_names)
        if len(set(names)) < len(names) or len(set(self.outputs)) < len(self.outputs):
            raise ValueError(
                f"op {name}: inputs and parameters are {names}, outputs {self.outputs}, expected each name once"
            )
        unknown = set(self.saves) - set(self.inputs) - set(self.outputs)
        if unknown:
            raise ValueError(f"op {name}: saves {sorted(unknown)}, expected names of its inputs or outputs")
        plans.ops.add(self)
        if register:
            if name in OPS:
                raise ValueError(f"op {name} is registered already; choose another name")
            OPS[name] = self

    # ---- ops outside of the registry ---------------------------------------------------------------------------

    def adopt(self, op: Op, *key: Any) -> Op:
        """Take in an op outside of the registry, such as the in-place form: `part` finds it by its key."""
        op.origin = self, key
        self._adopted[key] = op
        return op

    def part(self, *key: Any) -> Op:
        """The op outside of the registry that belongs to this one under a key.

        Raises
        ------
        KeyError
            There is none.
        """
        return self._adopted[key]

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
        ``ctx.differentiable``: whether the result will be differentiated, and so must be computed by ops.
        """
        self.jvp_function = function
        return function

    def linear_in(self, *names: str) -> None:
        """The op is linear in these inputs together, the others fixed: its forward derivative is the op itself.

        A product is linear in each of its factors alone: one call for each.

        Raises
        ------
        ValueError
            A name is not an input of the op.
        """
        self._check_inputs("linear_in", names)
        self.linear_groups = (*self.linear_groups, names)

    def cheap(self, last: int = 0, by: Op | None = None, reads: Sequence[str] = ()) -> None:
        """Declare that its outputs take little time to compute again, so that a replay need not keep them for a backward.

        With ``last`` so many of the plan's last launches alone give the first output again, from what the others left in the other
        outputs and in scratch memory. Or ``by``, an op of the same parameters, does, from the inputs and outputs named ``reads``.
        Else the whole op runs again, which changes no input and draws no numbers. Elementwise ops are cheap by themselves.
        """
        self.cheap_launches = last
        self.cheap_by = None if by is None else (by, tuple(reads))

    def tie(self, gradients: Sequence[str], to: Sequence[str], zeros: bool = True) -> None:
        """In a recorded backward, let the gradients of some inputs depend on other inputs, with slope 0.

        In torch, a gradient that is a step function of an input requires a gradient itself, and so does one that torch
        computes together with a gradient that depends on the input. The same holds here. That second gradient is 0, or None
        with ``zeros=False``.

        Raises
        ------
        ValueError
            A name is not an input of the op.
        """
        self._check_inputs("tie", (*gradients, *to))
        numbers = tuple(self.inputs.index(name) for name in to)
        self.ties.update({self.inputs.index(name): (numbers, zeros) for name in gradients})

    def join_windows(self, function: Callable[[Spec, Any, bool], Any]) -> Callable[[Spec, Any, bool], Any]:
        """Attach ``(spec, pairs of params and gradients, strided) -> gradient of the tensor`` of which the op gave windows.

        Or None, where they overlap for instance: then each backward runs, and the gradients add up. With ``strided`` the
        result may be a view with the strides of the tensor, else it is in rows.
        """
        self.join_function = function
        return function

    def _check_inputs(self, method: str, names: Sequence[str]) -> None:
        unknown = sorted(set(names) - set(self.inputs))
        if unknown:
            raise ValueError(
                f"op {self.name}: {method} got {unknown}, expected names of its inputs {list(self.inputs)}"
            )

    def composite(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach ``(*inputs, **params)``: the op in terms of other ops, which forward mode and `vmap` apply instead."""
        self.composite_function = function
        return function

    def batch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the batching rule ``(batch, *inputs, **params)``: the op for many examples at once.

        Batched inputs have the examples in dimension 0, the others are the same for all examples; see `ops.rules.Batch`. The
        rule returns the outputs, with the examples in dimension 0, or NotImplemented. The rule of an op that mutates changes
        the first input.
        """
        self.batch_function = function
        return function

    def draw(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the rule that draws other numbers for each example: ``(draw, *inputs, **params)``, like a batching rule.

        ``draw`` has the ``op``, the ``size``, and ``examples``: the first input with the examples in dimension 0, or None
        if it is the same for all. The result has the examples in dimension 0.
        """
        self.draw_function = function
        return function

    def draw_once(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the rule that draws the same numbers for all examples of a batched first input.

        It is ``(draw, *inputs, **params)``, with ``draw`` as in `draw`; its ``examples`` are never None.
        """
        self.draw_once_function = function
        return function

    def flops(self, function: Callable[..., int]) -> Callable[..., int]:
        """Attach ``(specs of the inputs, spec of the first output) -> int``: its multiplications and additions.

        The profiler counts them for products, by their definition, whatever algorithm computes them.
        """
        self.flops_function = function
        return function

    def finds_nan(self, function: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
        """Attach ``(node, gradients of the outputs) -> text``: where in the backward a NaN arose, for anomaly mode."""
        self.nan_function = function
        return function

    def saves_for(self, needs: tuple[bool, ...]) -> tuple[str, ...]:
        """The names in `saves` that the gradients of the needed inputs read; the others are not saved."""
        if self.bilinear:
            factors = [name for name, other in zip(self.inputs, (needs[1], needs[0]), strict=False) if other]
            return (*factors, *[name for name in self.saves if name not in self.inputs[:2]])
        return self.saves

    def saving(self, needs: tuple[bool, ...]) -> Saving:
        """The tensors that a node saves if the gradients of these inputs are needed."""
        if not self.saves:
            return _NOTHING_SAVED
        saving = self._saving.get(needs)
        if saving is None:
            read = self.saves_for(needs)
            names = self.saved_names()
            saving = self._saving[needs] = Saving(
                tuple(names[s] if s in read and s not in self.outputs else None for s in self.saves),
                tuple((slot, names[s]) for slot, s in enumerate(self.saves) if s in read and s in self.outputs),
            )
        return saving

    def prepares(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Attach ``(record) -> prepared backward``, such as a function that calls `saved_calls`."""
        self.prepare_function = function
        return function

    def saved_names(self) -> dict[str, int]:
        """For each name in ``saves`` the number of the input or output."""
        return {s: (self.outputs if s in self.outputs else self.inputs).index(s) for s in self.saves}

    def graph_node(self, specs: Any, needs: Any, params: Any) -> tuple[str, tuple[int | None, ...] | None]:
        """The name of a node of this op in graphs, and the inputs that it lists, both as in torch.

        These are ``node_name`` and ``graph_inputs``, unless `shown_as` attached a function.
        """
        if self.node_function is not None:
            return self.node_function(specs, needs, params)
        return self.node_name, self.graph_inputs

    def shown_as(self, function: Callable[[Any, Any, Any], tuple[str, Any]]) -> Callable[[Any, Any, Any], Any]:
        """Attach ``(specs of the inputs, needs, params) -> (name, graph_inputs)``, for an op with several nodes in torch."""
        self.node_function = function
        return function

    # ---- use ---------------------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Apply the op to tensors; parameters by name."""
        if not params:
            values = self.defaults
        elif tuple(params) == self.param_names:  # `Params` itself would take as long as the op
            values = tuple.__new__(self.Params, params.values())
        else:
            try:
                values = self.Params(**params)
            except TypeError:
                unknown = next(name for name in params if name not in self.param_names)
                raise TypeError(
                    f"{self.name}: got a parameter {unknown!r}, expected some of {list(self.param_names)}"
                ) from None
        return chain.dispatch(self, inputs, values)

    def apply(self, inputs: tuple[Any, ...], *values: Any) -> Any:
        """Apply the op, all parameters given in their order, which takes half a microsecond less than by name."""
        return chain.dispatch(self, inputs, tuple.__new__(self.Params, values))

    def apply_moved(self, input: Any, starts: tuple[int, ...], *rest: Any) -> Any:
        """`apply`, for an op that moves, in less time: its plans serve all beginnings, of which this one is proved here."""
        spec = input._spec
        plan = self.plans.get((rest, spec))
        begin = None if plan is None or plan.fast is None or chain.wrappers else plan.begin(starts)
        if begin is not None:
            params = tuple.__new__(self.Params, (starts, *rest))
            view = fast.run_moved(plan, params, spec, begin * spec.dtype.itemsize, input)
            if view is not None:
                return view
        return self.apply((input,), starts, *rest)

    make_plan = plans.make_plan

    def begin(self, plan: Plan, specs: tuple[Spec | None, ...], params: Any) -> int:
        """The element of the input where the view of an op that moves begins. Errors as `make_plan`."""
        element = plan.begin(params[0])
        if element is None:
            self.planned(specs, params)  # which says what is wrong
            raise ProofError(f"{self.name}: its plan declares a window in which {params} do not lie")
        return element

    def planned(self, specs: tuple[Spec | None, ...], params: Any) -> PlanBuilder:
        """The builder after the planning function, for one signature; nothing is compiled. Errors as `make_plan`."""
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
        except (AttributeError, OverflowError) as error:  # an argument that is not a tensor, a dtype or a finite number
            raise TypeError(f"{self.name}: {self._misfit(specs, params)} ({error})") from error
        if not builder.outputs and self.public not in (0, EVERY):
            raise ValueError(
                f"op {self.name}: its plan makes no output, expected {', '.join(self.outputs)}; b.output(dtype, shape) makes one"
            )
        half = None if self.halves or not builder.launches else plans.half_of(specs, params)
        if half is not None:  # its kernels would take the bits for an int16
            raise DtypeError(f"\"{self.name}\" not implemented for '{half.torch_name}'; convert with .float() first")
        first = builder.outputs[0] if builder.outputs else None
        writes_first = first is not None and first.spec is None and first.source == 0 and 0 in builder.changed
        if self.mutates is not writes_first:
            raise ValueError(
                f"op {self.name}: its plan {'does not write' if self.mutates else 'writes'} over its first input, expected "
                f"the declared mutates={self.mutates}"
            )
        return builder

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec], params: Any) -> Any:
        """The `kernels.elementwise.Formula` that computes the outputs' elements from the inputs'; None if none does."""
        return None

    def sums(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Attach ``(input spec, **params) -> (axes, divisor)``, for a sum of the one input, over a divisor.

        ``axes`` has for each axis of the input that of the output, or None if it is added up.
        """
        self.sums_function = function
        return function

    def _misfit(self, specs: tuple[Spec | None, ...], params: Any) -> str:
        """The likely mistake in the arguments of a planning function that failed on one of them."""
        for name, value, default in zip(self.param_names, params, self.defaults, strict=True):
            if isinstance(default, Dtype) and not isinstance(value, Dtype):
                return f"{name} is {value!r}, expected a dtype"
        if None in specs:
            return f"input {specs.index(None)} is None, expected a Tensor (its inputs are {', '.join(self.inputs)})"
        return f"the parameters {params} are not of the types that it takes"

    def __repr__(self) -> str:
        return f"<numgrad op {self.name}>"


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
