"""``out=``: results that are written into tensors of the caller's, by torch's rules."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from numgrad.engine import private
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import GradError, warn
from numgrad.layout import spec_of
from numgrad.runtime import memory

# The functions to which torch gives the argument, whether numgrad has them yet or not; a test compares.
FUNCTIONS = frozenset(
    """abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr alias_copy all amax amin aminmax angle any
    arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort as_strided_copy asin asinh
    atan atan2 atanh baddbmm bernoulli bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor bmm bucketize cat ceil chain_matmul cholesky cholesky_inverse cholesky_solve clamp clamp_max
    clamp_min clip column_stack complex concat concatenate conj_physical copysign cos cosh cross cummax cummin
    cumprod cumsum deg2rad detach_copy diag diagonal_copy diff digamma div divide dot dstack empty eq erf erfc
    erfinv exp exp2 expand_copy expm1 eye fix float_power floor floor_divide fmax fmin fmod frac frexp full gather
    gcd ge geqrf ger greater greater_equal gt hardshrink heaviside histc histogram hstack hypot i0 igamma igammac
    index_add index_copy index_reduce index_select inner inverse isin isneginf isposinf kron kthvalue lcm ldexp le
    lerp less less_equal lgamma linspace log log10 log1p log2 log_softmax logaddexp logaddexp2 logcumsumexp
    logical_and logical_not logical_or logical_xor logit logspace logsumexp lt lu_solve lu_unpack masked_select
    matmul matrix_power max maximum mean median min minimum mm mode msort mul multinomial multiply mv mvlgamma
    nan_to_num nanmean nanmedian nanquantile nansum narrow_copy ne neg negative nextafter nonzero nonzero_static
    norm normal not_equal ones orgqr ormqr outer permute_copy polar polygamma pow prod qr quantile rad2deg rand
    randint randn randperm range reciprocal remainder renorm round row_stack rsqrt scatter scatter_add
    scatter_reduce searchsorted select_copy sgn sigmoid sign signbit sin sinc sinh slice_copy slice_scatter slogdet
    softmax sort split_copy split_with_sizes_copy sqrt square squeeze_copy stack std sub subtract sum svd t_copy
    take take_along_dim tan tanh tensordot threshold topk transpose_copy triangular_solve tril triu true_divide
    trunc unbind_copy unfold_copy unsqueeze_copy var vdot view_copy vstack where xlogy zeros""".split()
)
OF_MODULES = {"numgrad": FUNCTIONS, "numgrad.nn.functional": frozenset(["normalize"])}


@functools.cache
def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a public function, by name."""
    return dict(inspect.signature(function).parameters)


def written(name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
    """``out``, a tensor or one for each result, with the results of a call; resized, with a warning, if the shape differs.

    Raises
    ------
    RuntimeError
        A tensor requires a gradient, the result's dtype is of a higher category than that of ``out``, or a function that makes a
        tensor was given another ``dtype``.
    TypeError
        ``out`` is no tensor, or not one for each result.
    """
    outs = out if isinstance(out, (tuple, list)) else (out,)
    for each in outs:
        if not isinstance(each, TensorBase):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(each).__name__}")
    if modes.grad_enabled and any(each.requires_grad for each in (*outs, *_tensors((*args, *kwargs.values())))):
        raise GradError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad. Use the result, or copy it under numgrad.no_grad()"
        )
    parameters = parameters_of(function)
    if "dtype" in parameters and "requires_grad" in parameters:  # a function that makes a tensor
        chosen = kwargs.get("dtype")
        if chosen is not None and chosen is not outs[0].dtype:
            raise RuntimeError(
                f"{name}: dtype {chosen.torch_name} does not match dtype of out parameter ({outs[0].dtype.torch_name})"
            )
        kwargs = {**kwargs, "dtype": outs[0].dtype}
    result = function(*args, **kwargs)
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(outs) or isinstance(result, tuple) is isinstance(out, TensorBase):
        raise TypeError(
            f"{name}(): argument 'out' has {len(outs)} tensors, expected {len(results)}, one for each result"
        )
    for value, target in zip(results, outs, strict=True):
        _check_dtype(name, value, target)
    for value, target in zip(results, outs, strict=True):
        _fit(target, value.shape)
        target.copy_(value)
    if isinstance(out, TensorBase):
        return out
    kind = type(result)
    return kind(*outs) if hasattr(kind, "_fields") else kind(outs)  # a named tuple, or another one


def _tensors(values: Any) -> Iterator[Any]:
    """The tensors among arguments and in their sequences."""
    for value in values:
        if isinstance(value, TensorBase):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


def _check_dtype(name: str, value: Any, target: Any) -> None:
    if value.dtype.category > target.dtype.category:
        raise RuntimeError(
            f"{name}: result type {value.dtype.torch_name} can't be cast to the desired output type "
            f"{target.dtype.torch_name}"
        )


def _fit(target: Any, shape: Any) -> None:
    """Give a tensor this shape, row-major, in its own memory if that has the room."""
    if target.shape == shape:
        return
    if target.numel():
        warn(
            "An output with one or more elements was resized since it had shape "
            f"{list(target.shape)}, which does not match the required output shape {list(shape)}. You can explicitly reuse "
            "an out tensor t by resizing it, inplace, to zero elements with t.resize_(0)."
        )
    private.expose(target)
    spec = spec_of(target.dtype, tuple(shape))
    storage = target._storage
    if target._address + spec.nbytes > storage.address + storage.nbytes:
        storage = memory.allocate(spec.nbytes)
        target._storage, target._address = storage, storage.address
    target._spec = spec
    target._base = target._view_node = None
