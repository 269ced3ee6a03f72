"""`custom_op`: a user's own op from two plain (or ``@njit``) functions over arrays.

    def forward(x, scale, out):
        for i in range(x.shape[0]):
            out[i] = x[i] * scale[i]

    def backward(grad_out, x, scale, grad_x, grad_scale):
        for i in range(x.shape[0]):
            grad_x[i] = grad_out[i] * scale[i]
            grad_scale[i] = grad_out[i] * x[i]

    scaled = custom_op("scaled", forward, backward)

The names of parameters declare their kinds. In the forward, ``out``, ``out_<anything>`` and ``out<number>`` are outputs, names
in ``params`` are numbers, parameters with a default are constants, and all others are inputs. In the backward, ``grad_out…``
are the outputs' gradients, ``grad_<input>`` are the gradients to write, and other names are saved inputs or outputs of the
forward. Functions get C-contiguous arrays, read inputs, write outputs, which hold zeros at first, and allocate nothing. A
function whose last parameters are ``start, stop`` runs in parallel over parts of the first output's first dimension.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import promote_types
from numgrad.errors import KernelError, ShapeError
from numgrad.kernels.fill import plan_fill
from numgrad.ops.layouts import contiguous
from numgrad.registry import Op, SavedCall, chain, find
from numgrad.runtime.kernel import Device, Kernel, frozen, nested_codes, python_function, references
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

ShapeRule = Callable[..., Any]

# Attributes that reach an array's memory without an index.
_PAST_CHECKS = {"as_strided", "carray", "ctypes", "data", "farray", "flat"}
_OUTPUT = re.compile(r"out(put)?(\d+|_\w+)?$")


class _NegativeZero(float):
    """-0.0 as a parameter: plans are found by equal parameters, and -0.0 equals 0.0."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _NegativeZero)

    def __hash__(self) -> int:
        return hash(_NegativeZero)


_NEGATIVE_ZERO = _NegativeZero(-0.0)


def custom_op(
    name: str,
    forward: Callable[..., None],
    backward: Callable[..., None] | None = None,
    *,
    shape: ShapeRule | None = None,
    dtype: Dtype | Sequence[Dtype] | None = None,
    params: dict[str, float] | None = None,
    doc: str = "",
    oracle: Callable[..., Any] | None = None,
    cost: int = 8,
    checked: bool = True,
) -> Op:
    """Register an op of your own; it costs as little as a built-in one, and `autograd.gradcheck` checks it.

    Parameters
    ----------
    name
        Unique among all ops.
    forward, backward
        Functions over arrays, plain or decorated by ``numba.njit``; see the module's text. Globals keep the values that they
        have now. Without a backward, results require no gradient.
    shape
        A function from the inputs' shapes to the output's shape, or to a tuple with one for each output; it may raise.
        Default: all inputs have one shape, and so have the outputs.
    dtype
        dtype of the outputs, or one for each. Default: the promoted dtype of the inputs.
    params
        Names and defaults of numbers that forward and backward take; those with an int as default take ints.
    doc, oracle
        Documentation, and a reference in NumPy for tests.
    cost
        Rough number of elementary operations for one element of the first output, by which work is split.
    checked
        Whether each index is checked (a wrong one raises IndexError), and results are zeros before they are written. If
        not, a wrong index reads or writes foreign memory, and elements that are not written are undefined.
        `benchmarks.overhead` shows the cost of both.

    Returns
    -------
    Op
        Call it with tensors, parameters by name. Gradients have the dtypes of their inputs.

    Raises
    ------
    KernelError
        A parameter's name or kind fits no rule, or a function refers to a missing name.
    ValueError
        The name is taken.

    >>> import numgrad as ng
    >>> def forward(x, out):
    ...     for i in range(x.shape[0]):
    ...         out[i] = x[i] * x[i] * x[i]
    >>> def backward(grad_out, x, grad_x):
    ...     for i in range(x.shape[0]):
    ...         grad_x[i] = 3 * x[i] * x[i] * grad_out[i]
    >>> cubed = ng.custom_op("doctest_cubed", forward, backward)
    >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
    >>> cubed(x).sum().backward()
    >>> x.grad
    tensor([ 3., 12.])
    """
    numbers = dict(params or {})
    written = _Function(name, forward, numbers, checked)
    names = written.names
    outputs = [n for n in names if _OUTPUT.match(n)]
    inputs = [n for n in names if n not in outputs and n not in numbers]
    if not inputs or not outputs:
        raise KernelError(
            f"custom_op {name}: forward{tuple(names)} has {len(inputs)} inputs and {len(outputs)} outputs, expected some"
        )
    for parameter, default in numbers.items():
        _number(name, parameter, default, default)
    dtypes = _output_dtypes(name, dtype, len(outputs))
    derived = _Function(f"{name}_backward", backward, numbers, checked) if backward is not None else None
    saves = _saves(name, derived, inputs, outputs, numbers) if derived is not None else []
    op = CustomOp(
        name, inputs, numbers, outputs=outputs, public=len(outputs), saves=saves, doc=doc or f"The custom op {name}.",
        differentiable=backward is not None,
    )  # fmt: skip

    @op.plan
    def _(b: PlanBuilder, *operands: Operand, **values: float) -> None:
        shapes = _output_shapes(op, shape, operands)
        common = functools.reduce(promote_types, [x.spec.dtype for x in operands])
        results = [b.output(declared or common, each) for declared, each in zip(dtypes, shapes, strict=True)]
        arguments = dict(zip(inputs, operands, strict=True)) | dict(zip(outputs, results, strict=True)) | values
        written.launch(b, arguments, results, results[0], cost)

    op.on_status(written.error)
    if oracle is not None:
        op.oracle(oracle)
    if derived is not None:
        _add_backward(op, derived, saves, cost)
    return op


class CustomOp(Op):
    """An op that `custom_op` made."""

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Apply the op to tensors; parameters by name.

        Raises
        ------
        TypeError
            A parameter is not a number, or not an int where one is expected; or a parameter's name or the number of inputs
            is wrong.
        """
        defaults = self.defaults._asdict()
        for name, value in params.items():
            if name in defaults:  # else it is refused below
                params[name] = _number(self.name, name, value, defaults[name])
        return super().__call__(*inputs, **params)


def _number(op: str, name: str, value: Any, default: float) -> float:
    """A parameter's value, of its default's type."""
    if hasattr(value, "__index__") and not hasattr(value, "shape"):
        value = operator.index(value)
        if isinstance(default, int) and not -(1 << 63) <= value < 1 << 63:
            raise OverflowError(f"{op}: parameter {name} is {value}, expected an int of 64 bits")
        return value if isinstance(default, int) else float(value)
    if hasattr(value, "dtype") and getattr(value, "shape", None) == () and hasattr(value, "tobytes"):  # NumPy's
        return _number(op, name, value.item(), default)
    if not isinstance(value, float) or isinstance(default, int):
        kind = "an int, as its default is" if isinstance(default, int) else "a number; tensors are inputs"
        raise TypeError(f"{op}: parameter {name} is {value!r}, expected {kind}")
    return _NEGATIVE_ZERO if value == 0 and math.copysign(1.0, value) < 0 else value


def _output_dtypes(name: str, dtype: Any, count: int) -> tuple[Dtype | None, ...]:
    declared = tuple(dtype) if isinstance(dtype, (tuple, list)) else (dtype,) * count
    if len(declared) != count or not all(each is None or isinstance(each, Dtype) for each in declared):
        raise TypeError(
            f"custom_op {name}: dtype is {dtype!r}, expected a numgrad dtype, or one for each of {count} outputs"
        )
    return declared


def _output_shapes(op: Op, rule: ShapeRule | None, operands: Sequence[Operand]) -> list[tuple[int, ...]]:
    shapes = [tuple(x.spec.shape) for x in operands]
    count = len(op.outputs)
    if rule is None:
        for name, other in zip(op.inputs, shapes, strict=True):
            if other != shapes[0]:
                raise ShapeError(
                    f"{op.name}: {op.inputs[0]} has shape {list(shapes[0])} and {name} {list(other)}, expected one shape; "
                    f"expand() the smaller one, make numbers params= of the op, or give custom_op a rule, such as "
                    f"shape=lambda {', '.join(op.inputs)}: {op.inputs[0]}"
                )
        return [shapes[0]] * count
    result = rule(*shapes)
    if count == 1 and not (len(result) and isinstance(result[0], (tuple, list))):
        result = (result,)
    try:
        output_shapes = [tuple(operator.index(extent) for extent in each) for each in result]
    except TypeError:
        output_shapes = []
    if len(output_shapes) != count or any(extent < 0 for each in output_shapes for extent in each):
        raise ShapeError(
            f"{op.name}: its shape rule returned {result!r} for {shapes}, expected {count} shapes of extents not below 0"
        )
    return output_shapes


def _add_backward(op: Op, function: _Function, saves: Sequence[str], cost: int) -> None:
    results = [n for n in op.inputs if f"grad_{n}" in function.names]
    grads = [f"grad_{output}" for output in op.outputs]
    likes = _free("likes", op.param_names)  # shapes and dtypes of the results
    backward = Op(
        f"{op.name}_backward", [*grads, *saves], {**op.defaults._asdict(), likes: ()},
        outputs=[f"grad_{n}" for n in results], public=len(results), register=False,
    )  # fmt: skip

    @backward.plan
    def _(b: PlanBuilder, *operands: Operand, **values: Any) -> None:
        gradients = [b.output(dtype, shape) for shape, dtype in values.pop(likes)]
        arguments = dict(zip(backward.inputs, operands, strict=True))
        arguments |= dict(zip(backward.outputs, gradients, strict=True)) | values
        function.launch(b, arguments, gradients, operands[0], cost)

    op.adopt(backward, "backward")
    backward.on_status(function.error)
    numbers = [op.inputs.index(n) for n in results]  # of the inputs that have a gradient
    single = len(results) == 1

    def filled(incoming: Sequence[Any], specs: Sequence[Any]) -> list[Any]:
        return [
            find("full")(size=tuple(spec.shape), value=0.0, dtype=spec.dtype) if grad is None else grad
            for grad, spec in zip(incoming, specs, strict=True)
        ]

    def params_of(record: Any) -> Any:
        floating = next(spec.dtype for spec in record.output_specs if spec.dtype.is_floating_point)
        specs = [record.input_specs[number] for number in numbers]
        like = tuple((tuple(x.shape), x.dtype if x.dtype.is_floating_point else floating) for x in specs)
        return backward.Params(**record.params._asdict(), **{likes: like})

    @op.backward
    def _(ctx: Any, *incoming: Any) -> tuple[Any, ...]:
        grads = filled(incoming, ctx.node.output_specs)
        computed = chain.dispatch(backward, (*grads, *ctx.saved), params_of(ctx.node.record))
        gradients = dict(zip(numbers, (computed,) if single else computed, strict=True))
        return tuple(gradients.get(number) if needed else None for number, needed in enumerate(ctx.needs))

    def prepared(record: Any) -> Any:
        call = SavedCall(backward, [*range(-1, -1 - len(grads), -1), *range(len(saves))], params_of(record))
        rows = [(row, number) for row, number in enumerate(numbers) if record.needs[number]]

        def run(node: Any, incoming: list[Any]) -> list[Any]:
            for grad in incoming:
                if grad is None:
                    incoming = filled(incoming, record.output_specs)
                    break
            computed = chain.apply_saved(call, node, incoming)
            gradients: list[Any] = [None] * len(record.needs)
            for row, number in rows:
                gradients[number] = computed if single else computed[row]
            return gradients

        return run

    op.prepares(prepared)


class _Function:
    """A user's function over arrays, and the kinds of its parameters.

    Attributes
    ----------
    names
        The parameters that a launch passes: all but constants, which have a default and are not numbers of the op.
    parallel
        Whether its last parameters are ``start, stop``.
    """

    def __init__(self, op: str, function: Callable[..., None], numbers: dict[str, float], checked: bool) -> None:
        plain = python_function(function)
        if plain is None:
            raise KernelError(f"custom_op {op}: got {function!r}, expected a Python function, plain or by numba.njit")
        self.op, self.checked = op, checked
        self.function = frozen(plain)
        parameters = list(inspect.signature(plain).parameters.values())
        strange = [p.name for p in parameters if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if strange:
            raise KernelError(
                f"custom_op {op}: {plain.__name__} has the parameters {strange}, expected each by its name and place"
            )
        past = sorted(_words(self.function, set()) & _PAST_CHECKS) if checked else []
        if past:
            raise KernelError(
                f"custom_op {op}: {plain.__name__} uses {', '.join(past)}, of which no index can be checked; index the arrays "
                "themselves, or pass checked=False"
            )
        self.parallel = [p.name for p in parameters[-2:]] == ["start", "stop"]
        whole = parameters[:-2] if self.parallel else parameters
        self.constants = {p.name: p.default for p in whole if p.default is not p.empty and p.name not in numbers}
        self.order = tuple(p.name for p in whole)
        self.names = [n for n in self.order if n not in self.constants]

    def launch(
        self, b: PlanBuilder, values: dict[str, Any], results: Sequence[Operand], leading: Operand, cost: int
    ) -> None:
        """Add the launch, with ``results`` filled with zeros first."""
        if self.checked:
            for result in results:
                plan_fill(b, result, 0)
        result_indices = {result.index for result in results}
        dense = {n: contiguous(b, v) if isinstance(v, Operand) else v for n, v in values.items() if n in self.names}
        declared: list[tuple[str, int | str, bool]] = []
        arguments: list[Any] = []
        for n in self.names:
            value = dense[n]
            if isinstance(value, Operand):
                declared.append((n, value.spec.ndim, value.index not in result_indices))
                arguments.append(value.array(*(value.spec.shape or (1,))))
            else:
                declared.append((n, "i8" if isinstance(value, int) else "f8", False))
                arguments.append(value)
        rows = leading.spec.shape[0] if leading.spec.ndim else 1
        total = leading.spec.numel * cost
        some = any(result.spec.numel for result in results)
        b.launch(
            self._kernel(tuple(declared)), *arguments, work=rows if self.parallel else int(some),
            grain=max(1, GRAIN_COST * rows // max(1, total)), cost=total,
        )  # fmt: skip

    def error(self, status: int, params: Any) -> Exception:
        """The error for a status word."""
        return IndexError(
            f"{self.op}: {self.function.__name__}{self.order} indexed an array beyond its shape, or assigned to a slice of "
            "another shape. Nothing outside of the array was read or written, and there is no result; shape= is where inputs "
            "are refused"
        )

    @functools.cache  # noqa: B019 (ops live for ever)
    def _kernel(self, declared: tuple[tuple[str, int | str, bool], ...]) -> Kernel:
        """The function as a kernel for arrays of these dimensions; a 0-d tensor becomes an array of one element."""
        types = [
            kind if isinstance(kind, str) else f"{'const ' * const}T{number}[{', '.join(':' * max(kind, 1))}]"
            for number, (_, kind, const) in enumerate(declared)
        ]
        names = {name: f"a{number}" for number, (name, _, _) in enumerate(declared)}
        constants = {f"c{number}": value for number, value in enumerate(self.constants.values())}
        names.update(zip(self.constants, constants, strict=True))
        called = ", ".join(names[name] for name in self.order) + ", start, stop" * self.parallel
        text = f"def custom({', '.join(names[name] for name in self.names)}, start, stop):\n    function({called})\n"
        scope: dict[str, Any] = {"function": Device(self.function), **constants}
        exec(compile(text, "<numgrad custom op>", "exec"), scope)
        kernel = Kernel(scope["custom"], ", ".join(types), checked=self.checked)
        kernel.name = self.op
        return kernel


def _words(function: Any, seen: set[int]) -> set[str]:
    """Names of globals and attributes in a function and in those that it calls."""
    plain = python_function(function)
    if plain is None or id(plain) in seen:
        return set()
    seen.add(id(plain))
    names = {word for code in nested_codes(plain.__code__) for word in code.co_names}
    return names.union(*[_words(value, seen) for _, value in references(plain)])


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _saves(name: str, backward: _Function, inputs: list[str], outputs: list[str], numbers: Any) -> list[str]:
    tensors = {*inputs, *outputs}
    gradients = {f"grad_{n}" for n in tensors}
    twice = sorted(tensors & gradients)
    if twice:
        raise KernelError(
            f"custom_op {name}: {twice} would name inputs and gradients in the backward; choose other names"
        )
    strange = [n for n in backward.names if n not in tensors and n not in gradients and n not in numbers]
    if strange:
        raise KernelError(
            f"custom_op {name}: backward has parameters {strange}; expected gradients {sorted(gradients)}, inputs or outputs of "
            "the forward, or names in params"
        )
    return [n for n in backward.names if n in tensors]
