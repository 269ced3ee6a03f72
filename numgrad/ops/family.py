"""`elementwise`: an op from a scalar forward and a scalar backward, the way most ops are written.

    tanh = elementwise("tanh", oracle=np.tanh, doc="Hyperbolic tangent.")

    @tanh.forward
    def _(x):
        return scalar.tanh(x)

    @tanh.backward
    def _(g, out):
        return g * (1 - out * out)

The backward's parameters name the saved tensors: after ``g``, the gradient of the output, come inputs of the forward by
name, and ``out``. It returns one gradient, or a tuple with one for each input.

One source serves twice. Compiled, it is the fused backward kernel. Evaluated on tensors, where ``exp`` or ``where`` are the
ops of that name, it is the rule for higher orders.
"""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DtypeError, describe
from numgrad.kernels.elementwise import Formula, broadcast_shapes, formula, plan_check, plan_elementwise
from numgrad.kernels.source import is_written, passed_through, pushed_forward, sliced, tangent_name
from numgrad.layout import Spec, output_strides
from numgrad.ops.declared import check_scalar_function, without_gradient
from numgrad.ops.fused import fused_op
from numgrad.ops.in_place import InPlace
from numgrad.ops.on_tensors import on_tensors
from numgrad.registry import Op, SavedCall, chain, find
from numgrad.runtime.kernel import frozen, python_function
from numgrad.runtime.plan import Operand, PlanBuilder

ScalarFunction = Callable[..., Any]


class Part(NamedTuple):
    """The part of a backward for a pattern of needed gradients."""

    function: ScalarFunction  # returns the computed ones
    reads: tuple[int, ...]  # its arguments: 0 the incoming gradient, else a saved tensor counted from 1
    reads_saved: bool
    sources: tuple[
        int | None, ...
    ]  # for each input None, -1 for the unchanged incoming gradient, or the number of the result
    fused: SavedCall | None  # the same as one op, if there is one


class Elementwise(Op):
    """An op that computes each element of its output from the elements at the same index of its broadcast inputs.

    Parameters
    ----------
    result
        dtype of the output: 'same' as the inputs, 'bool', or 'param', the op's parameter ``dtype``.
    accepts
        Categories of dtype that the op takes: letters of 'b' (bool), 'i' (integers), 'f' (floating point).
    untyped
        Names of inputs whose dtype does not have to agree with the others' (a condition).
    cost
        Rough number of elementary operations for one element.
    modular
        Names of inputs whose integers matter only modulo the dtype's range, so that numbers beyond it may wrap.
    homes
        Where the op is public under its name, as a function of tensors and numbers; see `tensor.surface`. The function
        has the op's ``doc``.
    promotes
        Whether the public function converts integers and bools to the default dtype, for an op of floating point alone.
    tensors
        Whether the public function takes tensors alone, no numbers.
    leads
        Names of inputs whose layout decides that of the gradients before the incoming gradient's does, as in the composite.
    options
        Those of `Op`.
    """

    def __init__(
        self,
        name: str,
        *,
        inputs: Sequence[str] = ("input",),
        doc: str = "",
        oracle: Callable[..., Any] | None = None,
        result: str = "same",
        accepts: str = "f",
        untyped: Sequence[str] = (),
        cost: int = 1,
        modular: Sequence[str] = (),
        homes: Sequence[str] = (),
        promotes: bool = False,
        tensors: bool = False,
        leads: Sequence[str] = (),
        register: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(name, inputs, doc=doc, register=register, elementwise=True, **options)
        self.result = result
        self.accepts = accepts
        self.untyped = tuple(untyped)
        self.cost = cost
        self.modular = tuple(modular)
        self.homes = tuple(homes)
        self.promotes = promotes
        self.tensors = tensors
        self.leads = tuple(leads)
        self.scalar_forward: ScalarFunction | None = None
        self.integer_forward: ScalarFunction | None = None
        self.refused: ScalarFunction | None = None
        self.scalar_backward: ScalarFunction | None = None
        self._parts: dict[tuple[tuple[bool, ...], bool], Part] = {}
        self._pushes: dict[tuple[tuple[int, ...], bool], tuple[tuple[str, ...], ScalarFunction | None]] = {}
        self.plan_function = self._plan_forward
        if oracle is not None:
            self.oracle_function = oracle
        self.in_place: InPlace | None = None
        if register and result == "same":
            self.in_place = InPlace(self)
            self.adopt(self.in_place, "in_place")

    def forward(self, function: ScalarFunction) -> ScalarFunction:
        """Attach the scalar forward.

        Raises
        ------
        ValueError
            It does not have one parameter for each input, without defaults; or one is called ``out``.
        KernelError
            It uses an unknown word, or does not return one result on each path.
        """
        names = _parameter_names(function)
        if len(names) != len(self.inputs) or "out" in names:
            raise ValueError(
                f"op {self.name}: its forward has the parameters {list(names)}, expected one for each of the inputs "
                f"{list(self.inputs)}, none of them called out"
            )
        self._check("forward", function, 1)
        self.scalar_forward = _as_it_is(function)
        return function

    def _check(self, part: str, function: ScalarFunction, results: int) -> None:
        """Check a user's function; a test checks numgrad's own, to keep its import fast."""
        if not (is_written(function) or str(function.__module__).startswith("numgrad.")):
            check_scalar_function(self.name, part, function, results)

    def forward_of_integers(self, function: ScalarFunction) -> ScalarFunction:
        """Attach the scalar forward of integers, if it differs from that of floating point."""
        self.integer_forward = function
        return function

    def refuses(self, function: ScalarFunction) -> ScalarFunction:
        """Attach a condition on inputs, by name, under which there is no result: `on_status` gives the error.

        It is asked of integers, or of floating point where the op takes nothing else.
        """
        self.refused = function
        return function

    def on_status(self, function: Callable[[int, Any], Exception]) -> Callable[[int, Any], Exception]:
        """Attach ``(status, params) -> exception``, for the in-place form as well."""
        if self.in_place is not None:
            self.in_place.status_function = function
        return super().on_status(function)

    def backward(self, function: ScalarFunction) -> ScalarFunction:
        """Attach the scalar backward ``(g, *saved)``; see the module's text.

        Raises
        ------
        ValueError
            Its parameters are not a gradient and then inputs of the forward or ``out``; or there is no forward yet.
        KernelError
            It uses an unknown word, or does not return one gradient for each input.
        """
        names = _parameter_names(function)
        if not names:
            raise ValueError(
                f"op {self.name}: its backward has no parameters, expected the gradient of the output first"
            )
        unknown = [name for name in names[1:] if name != "out" and name not in self._argument_names()]
        if unknown:
            raise ValueError(
                f"op {self.name}: its backward reads {unknown}, expected names of the forward's inputs, or 'out'"
            )
        self._check("backward", function, len(self.inputs))
        self.scalar_backward = function = _as_it_is(function)
        self._grad_word, self.saves = names[0], names[1:]  # under the names that the scalar functions use
        self.backward_function = self._run_backward
        self.prepare_function = self._prepared_backward
        self.jvp_function = self._run_jvp
        if self.in_place is not None:
            self.in_place.take_backward()
        return function

    def in_place_by_result(self, function: ScalarFunction) -> Op:
        """Another in-place form, whose scalar backward reads ``out`` instead of the overwritten input.

        `in_place` copies that input for its backward.
        """
        twin = copy.copy(self)
        twin.in_place, twin._parts, twin._pushes, twin._saving, twin._adopted = None, {}, {}, {}, {}
        twin.backward(function)
        in_place = InPlace(twin)
        in_place.take_backward()
        self.adopt(twin, "by_result")
        return twin.adopt(in_place, "in_place")

    def _argument_names(self) -> tuple[str, ...]:
        return _parameter_names(self._forward())

    def _forward(self) -> ScalarFunction:
        if self.scalar_forward is None:
            raise ValueError(
                f"op {self.name} has no forward; attach one: @{self.name}.forward above a function of numbers"
            )
        return self.scalar_forward

    # ---- forward ------------------------------------------------------------------------------------------------

    def _plan_forward(self, b: PlanBuilder, *inputs: Operand, **params: Any) -> None:
        compute = self._common_dtype(inputs)
        shape = broadcast_shapes(self.name, *(x.spec.shape for x in inputs))
        result = {"same": compute, "bool": dtypes.bool_}.get(self.result) or params["dtype"]
        out = b.output(result, shape, output_strides(shape, [x.spec for x in inputs]))
        self.plan_into(b, inputs, out, compute)

    def plan_into(self, b: PlanBuilder, inputs: Sequence[Operand], out: Operand, compute: Dtype) -> None:
        """Add the launch that writes ``out``."""
        function, gated = self._forward(), False
        if compute.category == 1:
            function = self.integer_forward or function
        if self.refused is not None and out.spec.numel and compute.category == (1 if "i" in self.accepts else 2):
            names = self._argument_names()
            asked = [inputs[names.index(name)] for name in _parameter_names(self.refused)]
            plan_check(b, f"{self.name}_check", self.refused, self.literals(compute), asked)
            gated = True
        plan_elementwise(b, self.name, function, self.literals(compute), inputs, [out], cost=self.cost, gated=gated)

    def literals(self, dtype: Dtype) -> str:
        """The dtype of number literals in the scalar functions."""
        return dtype.code

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec], params: Any) -> Formula | None:
        """That of the forward, unless it asks first whether there is a result."""
        compute = next(x.dtype for n, x in zip(self.inputs, inputs, strict=True) if n not in self.untyped)
        if self.refused is not None and compute.category == (1 if "i" in self.accepts else 2):
            return None
        function = self._forward()
        if compute.category == 1:
            function = self.integer_forward or function
        types = [each.dtype for each in inputs], [each.dtype for each in outputs]
        return formula(self.name, function, self.literals(compute), *types, cost=self.cost)

    def _common_dtype(self, inputs: Sequence[Operand]) -> Dtype:
        typed = [(n, x.spec.dtype) for n, x in zip(self.inputs, inputs, strict=True) if n not in self.untyped]
        first_name, first = typed[0]
        for name, other in typed[1:]:
            if other is not first:
                raise DtypeError(describe(self.name, f"dtype of {name}", other, f"{first} (as {first_name} has)"))
        if "bif"[first.category] not in self.accepts:
            raise DtypeError(f"\"{self.name}\" not implemented for '{first.torch_name}'; convert with .to(dtype) first")
        return first

    # ---- backward -----------------------------------------------------------------------------------------------

    def saved_names(self) -> dict[str, int]:
        arguments = self._argument_names()
        return {name: 0 if name == "out" else arguments.index(name) for name in self.saves}

    def saves_for(self, needs: tuple[bool, ...]) -> tuple[str, ...]:
        if not self.saves:  # also if the backward is not a scalar function (a conversion's)
            return ()
        reads, _ = self._slice(self._computed(needs))
        return tuple(name for name in self.saves if name in reads)

    def _computed(self, needs: tuple[bool, ...]) -> tuple[bool, ...]:
        """The needed gradients that exist: a backward may return None for an input."""
        assert self.scalar_backward is not None
        absent = without_gradient(self.scalar_backward, len(needs))
        return tuple([needed and not none for needed, none in zip(needs, absent, strict=True)])

    def _slice(self, needs: tuple[bool, ...]) -> tuple[tuple[str, ...], ScalarFunction]:
        """The part of the backward for the needed gradients, but for those that are the unchanged incoming one."""
        assert self.scalar_backward is not None
        passed = passed_through(self.scalar_backward, len(needs))
        computed = zip(needs, passed, strict=True)
        return sliced(
            self.scalar_backward, tuple(n for n, (needed, same) in enumerate(computed) if needed and not same)
        )

    def _run_backward(self, ctx: Any, grad: Any) -> tuple[Any, ...]:
        needs, create_graph = ctx.needs, ctx.create_graph
        part = self._part(needs, create_graph)
        values = [grad, *ctx.saved] if part.reads_saved else (grad,)
        results = part.function(*[values[position] for position in part.reads])
        return tuple(
            [
                None if source is None else self._to_input(grad if source < 0 else results[source], grad, spec)
                for source, spec in zip(part.sources, ctx.input_specs, strict=True)
            ]
        )

    def _prepared_backward(self, record: Any) -> Any:
        """`_run_backward` for one record, if nothing is recorded; decisions that depend on shapes are made here."""
        part = self._part(record.needs, create_graph=False)
        fused, inputs, sum_to_size = part.fused, len(record.needs), find("sum_to_size")
        shape = record.output_specs[0].shape
        single = fused is not None and fused.op.public == 1
        rows = [
            (position, source, None if spec.shape == shape else tuple(spec.shape))
            for position, (source, spec) in enumerate(zip(part.sources, record.input_specs, strict=True))
            if source is not None
        ]

        def run(node: Any, grads: Sequence[Any]) -> list[Any]:
            grad = grads[0]
            results = part.function() if fused is None else chain.apply_saved(fused, node, grads)
            gradients: list[Any] = [None] * inputs
            for position, source, size in rows:
                result = grad if source < 0 else results if single else results[source]
                if result.__class__ is float or result.__class__ is int:
                    result = self._flat(result, grad)
                gradients[position] = result if size is None else sum_to_size(result, size=size)
            return gradients

        return run

    def _part(self, needs: tuple[bool, ...], create_graph: bool) -> Part:
        """The computation of the needed gradients, built once."""
        part = self._parts.get((needs, create_graph))
        if part is not None:
            return part
        key, needs = (needs, create_graph), self._computed(needs)
        reads, function = self._slice(needs)
        passed = passed_through(self.scalar_backward, len(needs))  # type: ignore[arg-type]
        positions = tuple([(self._grad_word, *self.saves).index(name) for name in reads])
        computed = itertools.count()
        sources = tuple(
            None if not needed else -1 if same else next(computed) for needed, same in zip(needs, passed, strict=True)
        )
        fused = None
        # If it reads nothing, the gradients are constants, or there is nothing to compute.
        if reads and create_graph:
            function, positions = self._composite(function, positions, sources)
        elif reads:
            op = self.adopt(self._make_fused(needs, reads, function), "backward", *key[0])
            fused = SavedCall(op, [position - 1 for position in positions])
            function = op if op.public > 1 else lambda *inputs: (op(*inputs),)
        part = self._parts[key] = Part(function, positions, any(positions), sources, fused)
        return part

    def part(self, *key: Any) -> Op:
        """Also ``("backward", *needs)``, and ``("jvp", *numbers)`` of the inputs that have tangents."""
        kind, rest = key[0], key[1:]
        if kind == "backward" and [type(each) for each in rest] == [bool] * len(self.inputs):
            if self.scalar_backward is not None:
                self._part(rest, create_graph=False)
        elif (
            kind == "jvp" and self.scalar_backward is not None and all(each in range(len(self.inputs)) for each in rest)
        ):
            self._push(rest, recorded=False)
        return super().part(*key)

    def _composite(
        self, function: ScalarFunction, positions: tuple[int, ...], sources: tuple[int | None, ...]
    ) -> tuple[ScalarFunction, tuple[int, ...]]:
        """The differentiable part of the backward, and the positions of its arguments."""
        return on_tensors(self.name, function), positions

    def _to_input(self, result: Any, grad: Any, spec: Any) -> Any:
        """A gradient in the shape of its input; a plain number is the gradient of a function that is flat everywhere."""
        if isinstance(result, (int, float)):
            result = self._flat(result, grad)
        return (
            result
            if result._spec is spec or result._spec.shape == spec.shape
            else find("sum_to_size")(result, size=tuple(spec.shape))
        )

    @staticmethod
    def _flat(slope: float, grad: Any) -> Any:
        return find("mul")(grad, slope) if slope else find("zeros_like")(grad)

    def _make_fused(self, needs: tuple[bool, ...], reads: tuple[str, ...], part: ScalarFunction) -> Op:
        """The op that computes the gradients in one launch, before they are summed to the inputs' shapes."""
        passed = passed_through(self.scalar_backward, len(needs))  # type: ignore[arg-type]
        rows = zip(self.inputs, needs, passed, strict=True)
        outputs = [f"grad_{name}" for name, needed, same in rows if needed and not same]
        suffix = "" if len(outputs) == len(needs) else "".join(name.removeprefix("grad") for name in outputs)
        items = tuple(range(len(outputs)))
        name = f"{self.name}_backward{suffix}"
        return fused_op(name, reads, outputs, part, items, self.cost, self.literals, leads=self.leads)

    # ---- forward mode -------------------------------------------------------------------------------------------

    def _run_jvp(self, ctx: Any, *tangents: Any) -> Any:
        assert self.scalar_backward is not None
        numbers = tuple(n for n, tangent in enumerate(tangents) if tangent is not None)
        reads, function = self._push(numbers, ctx.differentiable)
        if function is None:
            return None
        values = {tangent_name(self.scalar_backward, n): tangents[n] for n in numbers}
        values.update(zip(self._argument_names(), ctx.inputs, strict=True), out=ctx.outputs[0])
        return function(*[values[name] for name in reads])

    def _push(self, numbers: tuple[int, ...], recorded: bool) -> tuple[tuple[str, ...], ScalarFunction | None]:
        """What the forward derivative by the inputs with these numbers reads, and its function; None: it is 0."""
        push = self._pushes.get((numbers, recorded))
        if push is None:
            assert self.scalar_backward is not None
            reads, function = pushed_forward(self.scalar_backward, numbers)
            if function is not None and recorded:
                function = on_tensors(self.name, function)
            elif function is not None:
                options = ("tangent",), function, (None,), self.cost, self.literals
                function = self.adopt(fused_op(f"{self.name}_jvp", reads, *options), "jvp", *numbers)
            push = self._pushes[numbers, recorded] = reads, function
        return push


def elementwise(function: str | ScalarFunction, **options: Any) -> Elementwise:
    """Declare an elementwise op; the options are those of `Elementwise`.

    Given a name, it returns an op, whose `Elementwise.forward` and `Elementwise.backward` attach the two scalar functions.
    Given a function of numbers, it finds the derivatives of any order from the source: one line makes an op. The function may
    call helpers, branch, and loop over constant ranges; it may use arithmetic, comparisons, and the functions of
    `numgrad.scalar`, ``math`` and NumPy. Parameters with defaults are constants, and globals keep the values that they have
    now. float32 is computed in float64 and rounded at the end, so that intermediate values do not overflow. ``wide=False``
    computes in float32, which is up to twice as fast for exponentials.

    Raises
    ------
    KernelError
        The function does something without a known derivative, or its source is missing or has changed; the message names
        the line.

    >>> import numgrad as ng
    >>> @ng.elementwise
    ... def swish(x):
    ...     return x / (1 + ng.scalar.exp(-x))
    >>> x = ng.tensor([0.0, 1.0], requires_grad=True)
    >>> swish(x).sum().backward()
    >>> x.grad
    tensor([0.5000, 0.9277])
    """
    if isinstance(function, str):
        return Elementwise(function, **options)
    from numgrad.ops.derived import Derived
    from numgrad.ops.formula import read

    program, plain = read(function), getattr(function, "py_func", function)
    options.setdefault("doc", plain.__doc__ or "")
    options.setdefault("oracle", np.vectorize(plain, otypes=[np.float64]))
    return Derived(program, **options)


def is_number(specs: Any, needs: Any, position: int) -> bool:
    """Whether an input of a node may have been a Python number, which is a 0-d tensor without a gradient."""
    return specs[position].ndim == 0 and not needs[position]


def _parameter_names(function: ScalarFunction) -> tuple[str, ...]:
    plain = python_function(function)
    if plain is None:
        raise ValueError(f"got {function!r}, expected a function of numbers that is written in Python")
    code = plain.__code__
    if plain.__defaults__ or code.co_kwonlyargcount or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        raise ValueError(f"{plain.__qualname__}: expected parameters by their places, without defaults")
    return code.co_varnames[: code.co_argcount]


def _as_it_is(function: ScalarFunction) -> ScalarFunction:
    """The function with its present globals: kernels for other dtypes, and derivatives, are compiled later."""
    plain: Any = python_function(function)
    return plain if is_written(plain) or str(plain.__module__).startswith("numgrad.") else frozen(plain)
