"""`gradcheck` and `gradgradcheck` compare gradients, and gradients of gradients, with finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.autograd import batched, forward_ad
from numgrad.autograd.gradients import grad
from numgrad.autograd.modes import enable_grad
from numgrad.dtypes import float64
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


class GradcheckError(RuntimeError):
    """An analytical gradient disagrees with finite differences.

    >>> import numgrad as ng
    >>> wrong = lambda x: x * x.detach()
    >>> try:
    ...     ng.autograd.gradcheck(wrong, ng.ones(1, dtype=ng.float64, requires_grad=True))
    ... except ng.autograd.GradcheckError as error:
    ...     print("refused")
    refused
    """


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-4,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the Jacobians that `backward` gives with central differences.

    Use float64: in float32 the differences are too inexact. If no output requires a gradient, the outputs must not change
    with the inputs.

    Parameters
    ----------
    func
        Takes the inputs, returns a tensor or a tuple of tensors. It is called often and must return the same each time.
    inputs
        Tensors and other values; the tensors that require a gradient are checked.
    eps, atol, rtol
        Step of the differences, and tolerances of the comparison. ``rtol`` is a tenth of torch's, which would let an error
        of 0.05 % in a gradient pass.
    raise_exception
        False: return False instead of raising `GradcheckError`.
    nondet_tol
        The largest difference allowed between two backwards over the same values.
    check_undefined_grad
        Has no effect: the outputs are always checked one by one, with no gradient for the others.
    check_grad_dtypes
        Require gradients to have their inputs' dtypes.
    check_batched_grad
        Require several cotangents together to give the same gradients as one by one.
    check_backward_ad, check_forward_ad
        Whether the Jacobians of reverse mode, and those of forward mode, are checked.
    check_batched_forward_grad
        With ``check_forward_ad``: require several tangents together to give the same results as one by one.
    fast_mode
        Compare one number for each output and input, ``u^T J v`` with random u and v, instead of the whole Jacobian.
    masked
        Has to be False or None: numgrad has no masked tensors.

    Raises
    ------
    GradcheckError
        The gradients are wrong.
    ValueError
        No input requires a gradient.
    NotImplementedError
        ``masked`` is True.

    >>> import numgrad as ng
    >>> x = ng.randn(3, dtype=ng.float64, requires_grad=True)
    >>> ng.autograd.gradcheck(ng.tanh, x)
    True
    """
    _refuse_masked(masked)
    check = _Check(func, inputs, eps, atol, rtol, nondet_tol, check_grad_dtypes, check_batched_grad, fast_mode)
    try:
        if check_backward_ad:
            check.run()
        if check_forward_ad:
            check.run_forward(check_batched_forward_grad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-4,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """As `gradcheck`, for the gradients of the gradients, with respect to the inputs and to the cotangents.

    A first derivative that is not connected to the graph must be constant; this finds a backward that forgets a dependence.

    Parameters
    ----------
    grad_outputs
        The cotangents; None: random ones.
    gen_non_contig_grad_outputs
        Draw random cotangents with gaps in their memory.
    check_rev_over_rev, check_fwd_over_rev
        Whether the gradients are differentiated by reverse mode, and by forward mode.

    >>> import numgrad as ng
    >>> x = ng.randn(3, dtype=ng.float64, requires_grad=True)
    >>> ng.autograd.gradgradcheck(ng.tanh, x)
    True
    """
    _refuse_masked(masked)
    values = _as_values(inputs)
    outputs = [output for output in _outputs(func, values) if output.requires_grad]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        cotangents = [_random_like(output, rng, gen_non_contig_grad_outputs) for output in outputs]
    else:
        cotangents = [g.detach().clone() for g in _as_values(grad_outputs)]
    for cotangent in cotangents:
        cotangent.requires_grad_()

    def first_order(*args: Any) -> Any:
        inner, weights = args[: len(values)], args[len(values) :]
        roots = [output for output in _outputs(func, inner) if output.requires_grad]
        leaves = [value for value in inner if isinstance(value, Tensor) and value.requires_grad]
        gradients = grad(roots, leaves, weights, create_graph=True, allow_unused=True)
        return tuple(gradient for gradient in gradients if gradient is not None)

    if not outputs:
        return True
    try:
        arguments = (*values, *cotangents)
        check = _Check(
            first_order, arguments, eps, atol, rtol, nondet_tol, check_grad_dtypes, check_batched_grad, fast_mode, strict=True
        )  # fmt: skip
        if check_rev_over_rev:
            check.run()
        if check_fwd_over_rev:
            check.run_forward(batch=False)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _refuse_masked(masked: bool | None) -> None:
    if masked:
        raise NotImplementedError("gradcheck: masked=True is not implemented; numgrad has no masked tensors")


class _Check:
    """One check: all outputs against all inputs that require a gradient."""

    def __init__(
        self,
        func: Callable[..., Any],
        inputs: Any,
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
        dtypes: bool,
        batched: bool,
        fast: bool,
        strict: bool = False,
    ) -> None:
        self.func, self.values = func, _as_values(inputs)
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.dtypes, self.batched, self.fast, self.strict = dtypes, batched, fast, strict
        self.checked = [p for p, value in enumerate(self.values) if isinstance(value, Tensor) and value.requires_grad]
        if not self.checked:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
            )
        for position in self.checked:
            if self.values[position].dtype is not float64:
                warnings.warn(
                    f"Input #{position} requires gradient and is not a double precision floating point. This check will likely "
                    "fail if all the inputs are not of double precision floating point.",
                    stacklevel=4,
                )

    def run(self) -> None:
        outputs = _outputs(self.func, self.values)
        none = not any(output.requires_grad for output in outputs)
        rng = np.random.default_rng(0)
        for number, output in enumerate(outputs):
            if output.requires_grad:
                self._compare(number, rng)
            elif none or self.strict:
                self._expect_constant(number)

    def _compare(self, number: int, rng: np.random.Generator) -> None:
        output = _outputs(self.func, self.values)[number]
        if self.fast:
            seeds = rng.uniform(-1, 1, (1, output.numel()))
        else:
            seeds = np.eye(output.numel())
        analytical = self._backwards(output, seeds)
        for matrix, again in zip(analytical, self._backwards(output, seeds), strict=True):
            if matrix.size and np.abs(matrix - again).max() > self.nondet_tol:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    f"different values. The tolerance for nondeterminism was {self.nondet_tol}."
                )
        if self.batched and len(seeds):
            self._compare_batched(number, output, seeds, analytical)
        for position, matrix in zip(self.checked, analytical, strict=True):
            if self.fast:
                direction: Any = rng.uniform(-1, 1, matrix.shape[1])
                moved = self._along(number, position, direction)
                self._judge(number, position, matrix @ direction, seeds @ moved)
            else:
                self._judge(number, position, matrix.T, self._numerical(number, position))

    def run_forward(self, batch: bool) -> None:
        """Compare tangents with finite differences, one input after the other."""
        rng = np.random.default_rng(1)
        for position in self.checked:
            count = self.values[position].numel()
            seeds: Any = rng.uniform(-1, 1, (1, count)) if self.fast else np.eye(count)
            rows = [self._tangents(position, seed) for seed in seeds]
            for number in range(len(rows[0]) if rows else 0):
                analytical = np.array([row[number] for row in rows])
                self._judge(number, position, analytical, np.array([self._along(number, position, s) for s in seeds]))
            if batch and rows:
                with batched.batch_level(len(seeds)) as level:
                    tangents = self._tangents(position, seeds, level)
                for number, together in enumerate(tangents):
                    self._judge(number, position, np.array([row[number] for row in rows]), together)

    def _tangents(self, position: int, seed: np.ndarray, level: Any = None) -> list[np.ndarray]:
        """The tangents of the outputs for a tangent of one input; with a level, for one tangent of each example."""
        value = self.values[position]
        shape = value.shape if level is None else (len(seed), *value.shape)
        tangent = creation.tensor(seed.reshape(shape), dtype=value.dtype)
        with forward_ad.dual_level():
            moved = list(self.values)
            moved[position] = forward_ad.make_dual(
                value, tangent if level is None else batched.BatchedTensor(tangent, level)
            )
            pairs = [forward_ad.unpack_dual(output) for output in _outputs(self.func, moved)]
        results = []
        for primal, each in pairs:
            each = creation.zeros(primal.shape, dtype=primal.dtype) if each is None else each.detach()
            flat = each if level is None else batched.examples_of(each, level)
            results.append(_flat(flat) if level is None else np.array(flat._array(), np.float64).reshape(len(seed), -1))
        return results

    def _judge(self, number: int, position: int, analytical: np.ndarray, numerical: np.ndarray) -> None:
        if np.allclose(analytical, numerical, self.rtol, self.atol, equal_nan=True):
            return
        raise GradcheckError(
            f"Jacobian mismatch for output {number} with respect to input {position},\n"
            f"numerical:{numerical}\nanalytical:{analytical}\n"
            f"largest difference: {np.nanmax(np.abs(numerical - analytical)):.3g}"
        )

    def _expect_constant(self, number: int) -> None:
        for position in self.checked:
            numerical = self._numerical(number, position)
            if not np.allclose(numerical, 0, 0, self.atol, equal_nan=True):
                raise GradcheckError(
                    f"Numerical gradient for function expected to be zero: output {number} requires no gradient, but changes "
                    f"with input {position},\nnumerical:{numerical}"
                )

    def _backwards(self, output: Tensor, seeds: np.ndarray) -> list[np.ndarray]:
        """The rows ``seed^T J`` for each checked input."""
        leaves = [self.values[position] for position in self.checked]
        rows: list[list[np.ndarray]] = [[] for _ in leaves]
        for seed in seeds:
            cotangent = creation.tensor(seed.reshape(output.shape), dtype=output.dtype)
            for index, gradient in enumerate(grad(output, leaves, cotangent, retain_graph=True, allow_unused=True)):
                if gradient is not None and self.dtypes and gradient.dtype is not leaves[index].dtype:
                    raise GradcheckError(f"Gradient has dtype {gradient.dtype}, expected {leaves[index].dtype}")
                rows[index].append(np.zeros(leaves[index].numel()) if gradient is None else _flat(gradient))
        return [
            np.array(each, np.float64).reshape(len(seeds), value.numel())
            for each, value in zip(rows, leaves, strict=True)
        ]

    def _compare_batched(self, number: int, output: Tensor, seeds: np.ndarray, expected: list[np.ndarray]) -> None:
        leaves = [self.values[position] for position in self.checked]
        cotangents = creation.tensor(seeds.reshape(len(seeds), *output.shape), dtype=output.dtype)
        gradients = grad(output, leaves, cotangents, retain_graph=True, allow_unused=True, is_grads_batched=True)
        for position, gradient, matrix in zip(self.checked, gradients, expected, strict=True):
            if gradient is not None and not np.allclose(
                _flat(gradient), matrix.ravel(), self.rtol, self.atol, equal_nan=True
            ):
                raise GradcheckError(
                    f"Batched gradients of output {number} by input {position} differ from those one by one"
                )

    # ---- finite differences --------------------------------------------------------------------------------------

    def _numerical(self, number: int, position: int) -> np.ndarray:
        """The Jacobian from finite differences, with a row for each element of the input."""
        directions: list[Any] = list(np.eye(self.values[position].numel()))
        rows = [self._along(number, position, direction) for direction in directions]
        width = len(rows[0]) if rows else _outputs(self.func, self.values)[number].numel()
        return np.array(rows).reshape(len(rows), width)

    def _along(self, number: int, position: int, direction: np.ndarray) -> np.ndarray:
        """The derivative of the output along one direction of the input."""
        above, below = (self._moved(number, position, sign * self.eps * direction) for sign in (1, -1))
        return (above - below) / (2 * self.eps)

    def _moved(self, number: int, position: int, step: np.ndarray) -> np.ndarray:
        """The output for the input plus a step; the input keeps its memory and its strides."""
        value = self.values[position]
        array = value._array()
        step = step.reshape(array.shape)
        if not value._spec.is_dense and any(n > 1 and s == 0 for n, s in zip(value.shape, value.stride(), strict=True)):
            moved = list(self.values)  # elements share memory, so only a copy can be changed
            moved[position] = creation.tensor(array + step, dtype=value.dtype).requires_grad_()
            return _flat(_outputs(self.func, moved)[number])
        before = array.copy()
        try:
            array += step.astype(array.dtype)
            return _flat(_outputs(self.func, self.values)[number])
        finally:
            array[...] = before


def _as_values(inputs: Any) -> tuple[Any, ...]:
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _outputs(func: Callable[..., Any], values: Sequence[Any]) -> list[Tensor]:
    with enable_grad():
        result = func(*values)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    return [output for output in outputs if isinstance(output, Tensor) and output.is_floating_point()]


def _flat(tensor: Tensor) -> np.ndarray:
    return np.array(tensor._array(), np.float64).ravel()


def _random_like(output: Tensor, rng: np.random.Generator, gaps: bool) -> Tensor:
    if not gaps or output.ndim == 0:
        return creation.tensor(rng.normal(size=output.shape), dtype=output.dtype)
    wide = creation.tensor(rng.normal(size=(*output.shape[:-1], 2 * output.shape[-1])), dtype=output.dtype)
    return wide[..., ::2].detach()
