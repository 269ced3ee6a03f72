"""In-place forms: elementwise ops that write over their first input, and results of other functions copied there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import change_in_place, check_in_place
from numgrad.errors import GradError, OperandError
from numgrad.registry import OPS, chain, find
from numgrad.tensor.arguments import as_element, as_input, as_number, cast, check_tensor, result_type
from numgrad.tensor.known import knowing

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def named_result_type(name: str, *values: Any) -> Dtype:
    """As `result_type`; the error names the operation."""
    try:
        return result_type(*values)
    except OperandError as error:
        raise OperandError(f"{name}: {error}") from None


def joint_dtype(name: str, tensor: Tensor, *others: Any) -> Dtype:
    """The dtype of a tensor combined with others: mostly its own, which the first checks show quickly."""
    dtype = tensor._spec.dtype
    for other in others:
        kind = other.__class__
        if (kind is int and dtype.category) or (kind is float and dtype.is_floating_point):
            continue
        if not isinstance(other, TensorBase) or other._spec.dtype is not dtype:
            return named_result_type(name, tensor, *others)
    return dtype


def form_of(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The in-place form of a public function, ``name_``: a method of its first argument.

    An elementwise op of the function's name writes over its first input; any other result is copied there.
    """
    op: Any = OPS.get(name)
    accepts = {*op.accepts, "f"} if getattr(op, "in_place", None) is not None else ()

    def method(self: Tensor, *others: Any, **options: Any) -> Tensor:
        if "bif"[self._spec.dtype.category] in accepts and not options:
            return overwrite(name, self, *others)
        return assign(f"{name}_", self, function(kept(self, *others, *options.values()), *others, **options))

    first, *others = inspect.signature(function).parameters.values()
    parameters = [inspect.Parameter("self", first.kind, annotation="Tensor"), *others]
    method.__signature__ = inspect.Signature(parameters, return_annotation="Tensor")  # type: ignore[attr-defined]
    method.__name__, method.__qualname__ = f"{name}_", f"Tensor.{name}_"
    method.__doc__ = f"""`{name}` of this tensor, written over it. Returns this tensor, whose shape and dtype stay.

    Raises
    ------
    RuntimeError
        The result has another shape, or a dtype of a higher category (floating point for integers, either for bools), or
        autograd cannot follow the change, for example of a leaf that requires a gradient. Nothing has been changed.
    TypeError
        As `{name}`.
    """
    return method


def kept(target: Tensor, *others: Any) -> Tensor:
    """A tensor that is written over, or a copy where a backward may read what it was."""
    needs = modes.grad_enabled and any(getattr(each, "requires_grad", False) for each in (target, *others))
    return ops.elementwise.clone(target) if needs else target  # type: ignore[no-any-return]


def overwrite(name: str, target: Tensor, *others: Any) -> Tensor:
    """Apply an elementwise op and write its result over ``target``.

    The operands are promoted to one dtype, whose category must not be higher than the target's.

    Raises
    ------
    RuntimeError
        The change would make a gradient wrong (the target is a leaf that requires one, or a view in a graph), or the result
        does not fit the target's dtype or shape. Nothing has been changed.
    """
    op: Any = find(name)
    dtype = target._spec.dtype
    is_alike = len(others) == 1 and isinstance(others[0], TensorBase) and others[0]._spec.dtype is dtype
    if is_alike and dtype.is_floating_point and op.differentiable and op.result == "same" and op.in_place is not None:
        return change_in_place(op.in_place, target, apart(target, others[0]))  # type: ignore[no-any-return]
    common = joint_dtype(f"{name}_", target, *others)
    if op.accepts == "f" and not common.is_floating_point:
        common = dtypes.get_default_dtype()
    if op.result == "same":  # a comparison's result is 1 or 0 in any dtype, without a gradient
        check_result(f"{name}_", target, common)
        if not op.differentiable and modes.grad_enabled and target.requires_grad:
            raise GradError(
                f"derivative for {name}_ is not implemented; do it in no_grad(), or on a detach() of the tensor"
            )
    if common is not dtype or dtype.is_half or op.in_place is None:
        operands = [as_input(op, position, other, common) for position, other in enumerate(others, 1)]
        return assign(f"{name}_", target, op(cast(target, common), *operands))
    operands = [apart(target, as_input(op, position, other, dtype)) for position, other in enumerate(others, 1)]
    return change_in_place(op.in_place, target, *operands)  # type: ignore[no-any-return]


def assign(name: str, target: Tensor, result: Tensor) -> Tensor:
    """Write the ``result`` of ``name`` over ``target``; it has to fit the target's shape and dtype."""
    if result._spec.shape != target._spec.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(target.shape)} doesn't match the broadcast shape {list(result.shape)}"
        )
    check_result(name, target, result._spec.dtype)
    return copy_(target, result)


def check_result(name: str, target: Tensor, result: Dtype) -> None:
    """Refuse to write a result into a tensor whose dtype is of a lower category."""
    dtype = target._spec.dtype
    if result.category > dtype.category:
        raise RuntimeError(
            f"{name}: result type {result.torch_name} can't be cast to the desired output type {dtype.torch_name}"
        )


@knowing
def copy_(target: Tensor, src: Any) -> Tensor:
    """Copy ``src``, broadcast and converted, into ``target``'s memory."""
    if not isinstance(src, TensorBase):
        if as_number(src) is not None:
            return fill_(target, src)
        check_tensor("copy_", "src", src)
    return change_in_place(ops.creation.copy_, target, apart(target, src))  # type: ignore[no-any-return]


@knowing
def fill_(target: Tensor, value: Any) -> Tensor:
    """Set all elements to one value, a number or a tensor without dimensions."""
    if isinstance(value, TensorBase) and value._spec.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value._spec.ndim} dimensions."
        )
    spec = target._spec
    is_number = not isinstance(value, TensorBase)
    repeated = [n > 1 and s == 0 for n, s in zip(spec.shape, spec.strides, strict=True)]
    if is_number and True in repeated:  # write an element that an expanded view repeats only once
        sizes = tuple(1 if twice else n for twice, n in zip(repeated, spec.shape, strict=True))
        fill_(ops.view.slice_(target, starts=(0,) * spec.ndim, steps=(1,) * spec.ndim, sizes=sizes), value)
        return target
    return copy_(target, as_element("fill_", value, spec.dtype))


def apart(target: Tensor, other: Tensor, *, moved: bool = False) -> Tensor:
    """``other``, or a copy of it if it overlaps the target's memory, which would be read while it is written.

    ``moved``: elements go elsewhere than to those beside them, so that the target itself is copied, too.
    """
    storage, read = target._storage, other._storage
    if storage is not read and (storage._owner is read._owner is None or storage.root is not read.root):
        return other
    same = other._address == target._address and other._spec is target._spec
    return other if same and not moved else ops.elementwise.clone(other)


def check_writable(name: str, target: Tensor) -> None:
    """Refuse what `copy_` would refuse, before something else is changed, such as the state of a generator."""
    if target._base is not None or target._node is not None or target._requires_grad:
        check_in_place(name, target, ())
    spec = target._spec
    if not spec.is_dense and any(n > 1 and s == 0 for n, s in zip(spec.shape, spec.strides, strict=True)):
        raise RuntimeError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )


def takes_draws(target: Tensor) -> bool:
    """Whether numbers may be drawn directly into the tensor's memory: nothing is recorded, and the memory is dense.

    In a tensor with neither graph nor base nothing is recorded, since a leaf that requires a gradient was refused.
    """
    spec = target._spec
    if modes.grad_enabled and not (target._node is None and target._base is None and spec.kind.is_exact):
        return False
    return spec.is_dense and not spec.dtype.is_half and not chain.wrappers
