"""`custom_op`: a user's own op from two plain (or ``@njit``) functions over arrays.

    def forward(x, scale, out):
        for i in range(x.shape[0]):
            out[i] = x[i] * scale[i]

    def backward(grad_out, x, scale, grad_x, grad_scale):
        for i in range(x.shape[0]):
            grad_x[i] = grad_out[i] * scale[i]
            grad_scale[i] = grad_out[i] * x[i]

    scaled = custom_op("scaled", forward, backward)

Parameter names say everything: in the forward ``out…`` are outputs, names in ``params`` are numbers, the rest inputs; in
the backward ``grad_out…`` are the outputs' gradients, ``grad_<input>`` what it writes, and other names are inputs or
outputs of the forward, which are saved. Functions get C-contiguous arrays, write into those that they are given, and
allocate nothing. One that ends in ``start, stop`` is run in parallel over parts of the first output's first dimension.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from numgrad import registry
from numgrad.errors import KernelError, ShapeError
from numgrad.ops.layouts import contiguous
from numgrad.registry import Op, SavedCall, find
from numgrad.runtime.kernel import Device, Kernel, python_function
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

ShapeRule = Callable[..., Any]


def custom_op(
    name: str,
    forward: Callable[..., None],
    backward: Callable[..., None] | None = None,
    *,
    shape: ShapeRule | None = None,
    params: dict[str, float] | None = None,
    doc: str = "",
    oracle: Callable[..., Any] | None = None,
    cost: int = 8,
) -> Op:
    """Register an op of your own; it costs as little as a built-in one, and `autograd.gradcheck` checks it.

    Parameters
    ----------
    name
        Unique among all ops.
    forward, backward
        Functions over arrays, plain or decorated by ``numba.njit``; see the module's text. Without a backward, results
        require no gradient.
    shape
        From the inputs' shapes to the output's shape, or a tuple with one for each output; it may raise. Default: every
        output has the first input's shape.
    params
        Names and defaults of numbers that forward and backward take; ints stay ints.
    doc, oracle
        Documentation, and a reference in NumPy for tests.
    cost
        Rough number of elementary operations for one element of the first output, by which work is split.

    Returns
    -------
    Op
        Call it with tensors, parameters by name.

    Raises
    ------
    KernelError
        A parameter's name fits no rule.
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
    numbers = params or {}
    names = _names(forward)
    outputs = [n for n in names if n.startswith("out")]
    inputs = [n for n in names if n not in outputs and n not in numbers]
    if not inputs or not outputs:
        raise KernelError(
            f"custom_op {name}: forward{tuple(names)} has {len(inputs)} inputs and {len(outputs)} outputs, expected some"
        )
    saves = _saves(name, backward, inputs, outputs, numbers) if backward is not None else []
    op = Op(
        name, inputs, dict(numbers), outputs=outputs, public=len(outputs), saves=saves, doc=doc or f"The custom op {name}.",
        differentiable=backward is not None,
    )  # fmt: skip

    @op.plan
    def _(b: PlanBuilder, *operands: Operand, **values: float) -> None:
        shapes = (
            shape(*[tuple(x.spec.shape) for x in operands])
            if shape
            else (tuple(operands[0].spec.shape),) * len(outputs)
        )
        if len(outputs) == 1 and shape and not (shapes and isinstance(shapes[0], (tuple, list))):
            shapes = (shapes,)
        made = [b.output(operands[0].spec.dtype, tuple(s)) for s in shapes]
        given = dict(zip(inputs, operands, strict=True)) | dict(zip(outputs, made, strict=True)) | values
        _launch(b, forward, given, made[0], cost)

    if oracle is not None:
        op.oracle(oracle)
    if backward is not None:
        _add_backward(op, backward, saves, cost)
    return op


def _add_backward(op: Op, function: Callable[..., None], saves: Sequence[str], cost: int) -> None:
    names = _names(function)
    results = [n.removeprefix("grad_") for n in names if n.startswith("grad_") and n.removeprefix("grad_") in op.inputs]
    grads = [f"grad_{output}" for output in op.outputs]
    backward = Op(
        f"{op.name}_backward", [*grads, *saves], {**op.defaults._asdict(), "shapes": ()},
        outputs=[f"grad_{n}" for n in results], public=len(results), register=False,
    )  # fmt: skip

    @backward.plan
    def _(b: PlanBuilder, *operands: Operand, shapes: Any, **values: float) -> None:
        made = [b.output(operands[0].spec.dtype, s) for s in shapes]
        given = (
            dict(zip(backward.inputs, operands, strict=True)) | dict(zip(backward.outputs, made, strict=True)) | values
        )
        _launch(b, function, given, operands[0], cost)

    places = [op.inputs.index(n) for n in results]
    single = len(results) == 1

    def filled(incoming: Sequence[Any], specs: Sequence[Any]) -> list[Any]:
        return [
            find("full")(size=tuple(spec.shape), value=0.0, dtype=spec.dtype) if grad is None else grad
            for grad, spec in zip(incoming, specs, strict=True)
        ]

    def params_of(record: Any) -> Any:
        shapes = tuple([tuple(record.input_specs[place].shape) for place in places])
        return backward.Params(shapes=shapes, **record.params._asdict())

    @op.backward
    def _(ctx: Any, *incoming: Any) -> tuple[Any, ...]:
        grads = filled(incoming, ctx.node.output_specs)
        computed = registry.dispatch(backward, (*grads, *ctx.saved), params_of(ctx))
        by_place = dict(zip(places, (computed,) if single else computed, strict=True))
        return tuple(by_place.get(place) if needed else None for place, needed in enumerate(ctx.needs))

    def prepared(record: Any) -> Any:
        call = SavedCall(backward, [*range(-1, -1 - len(grads), -1), *range(len(saves))], params_of(record))
        rows = [(row, place) for row, place in enumerate(places) if record.needs[place]]

        def run(node: Any, incoming: list[Any]) -> list[Any]:
            for grad in incoming:
                if grad is None:
                    incoming = filled(incoming, record.output_specs)
                    break
            computed = registry.apply_saved(call, node, incoming)
            made: list[Any] = [None] * len(record.needs)
            for row, place in rows:
                made[place] = computed if single else computed[row]
            return made

        return run

    op.prepares(prepared)


def _names(function: Callable[..., None]) -> list[str]:
    names = list(inspect.signature(python_function(function) or function).parameters)
    return names[:-2] if names[-2:] == ["start", "stop"] else names


def _saves(name: str, backward: Callable[..., None], inputs: list[str], outputs: list[str], numbers: Any) -> list[str]:
    known = {*inputs, *outputs}
    gradients = {f"grad_{n}" for n in known}
    names = _names(backward)
    strange = [n for n in names if n not in known and n not in gradients and n not in numbers]
    if strange:
        raise KernelError(
            f"custom_op {name}: backward has parameters {strange}; expected gradients {sorted(gradients)}, inputs or outputs of "
            "the forward, or names in params"
        )
    return [n for n in names if n in known]


def _launch(b: PlanBuilder, function: Callable[..., None], given: dict[str, Any], leading: Operand, cost: int) -> None:
    names = _names(function)
    dense = {n: contiguous(b, v) if isinstance(v, Operand) else v for n, v in given.items() if n in names}
    missing = [n for n in names if n not in dense]
    if missing:
        raise ShapeError(f"custom_op: no value for the parameters {missing}")
    types = tuple(
        (n, dense[n].spec.ndim if isinstance(dense[n], Operand) else None, isinstance(dense[n], int)) for n in names
    )
    arguments = [v.array(*(v.spec.shape or (1,))) if isinstance(v, Operand) else v for v in (dense[n] for n in names)]
    rows = leading.spec.shape[0] if leading.spec.ndim else 1
    parallel = list(inspect.signature(python_function(function) or function).parameters)[-2:] == ["start", "stop"]
    total = leading.spec.numel * cost
    b.launch(
        _kernel(function, types, parallel), *arguments, work=rows if parallel else int(leading.spec.numel > 0),
        grain=max(1, GRAIN_COST * rows // max(1, total)), cost=total,
    )  # fmt: skip


@functools.cache
def _kernel(function: Callable[..., None], types: tuple[tuple[str, int | None, bool], ...], parallel: bool) -> Kernel:
    """The function as a kernel for arrays of these dimensions; a 0-d tensor comes as an array of one element."""
    names = [name for name, _, _ in types]
    declared = [
        ("i8" if is_int else "f8") if ndim is None else f"T{place}[{', '.join(':' * max(ndim, 1))}]"
        for place, (_, ndim, is_int) in enumerate(types)
    ]
    given = ", ".join(names)
    text = f"def custom({given}, start, stop):\n    function({given}{', start, stop' if parallel else ''})\n"
    scope: dict[str, Any] = {"function": Device(python_function(function) or function)}
    exec(compile(text, "<numgrad custom op>", "exec"), scope)
    return Kernel(scope["custom"], ", ".join(declared))
