"""The calls that a checkpoint's pickle may make: checks of their arguments, and their inert results."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numgrad.serialization import numpy_pickles
from numgrad.serialization.errors import shortened
from numgrad.serialization.numpy_pickles import ArrayRecord, DtypeRecord
from numgrad.serialization.pickle_text import Octets
from numgrad.serialization.placeholder import Placeholder
from numgrad.serialization.records import StorageRecord, StorageView, TensorRecord, why_not_a_view, without_idle_strides
from numgrad.serialization.short_list import WAY_OUT, Global

if TYPE_CHECKING:
    from numgrad.serialization.pickle_machine import PickleMachine

Arguments = tuple[Any, ...]


def kind_of(value: object) -> str:
    """The kind of a value for messages, such as 'a list' or 'the name torch.FloatStorage'."""
    if type(value) is Global:
        return f"the name {value.name}"
    names: dict[type, str] = {
        StorageRecord: "storage",
        StorageView: "storage",
        TensorRecord: "tensor",
        OrderedDict: "OrderedDict",
    }
    names |= {Octets: "str", ArrayRecord: "ndarray", DtypeRecord: "NumPy dtype"}
    name = names.get(type(value), type(value).__name__)
    return "None" if value is None else f"an {name}" if name[0] in "aeiouO" else f"a {name}"


def _is_text(value: object, *texts: str | bytes) -> bool:
    return type(value) in (str, bytes) and value in texts


# Containers -----------------------------------------------------------------------------------------------------------


def _ordered_dict(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    ordered: OrderedDict[Any, Any] = OrderedDict()
    if not arguments:
        return ordered
    # Python 2 passes the items as a list of pairs.
    pairs = arguments[0] if len(arguments) == 1 else None
    if type(pairs) is list:
        machine.spend_items(pairs)
    if type(pairs) is not list or not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
        raise machine.refusal(f"{name} is called with something other than nothing or one list of pairs")
    for key, value in pairs:
        machine.set_item(ordered, key, value)
    return ordered


def _counter(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    counts = arguments[0] if len(arguments) == 1 else None
    if type(counts) is dict:
        machine.spend_items(counts)
    if type(counts) is not dict or not all(type(count) is int for count in counts.values()):
        raise machine.refusal(f"{name} is called with something other than one dict of integers")
    return Counter(counts)


def _size(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    extents = arguments[0] if len(arguments) == 1 else None
    if type(extents) is tuple:
        machine.spend_items(extents)
    if type(extents) is not tuple or not all(type(extent) is int for extent in extents):
        raise machine.refusal(f"{name} is called with something other than one tuple of integers")
    return extents


# Bytes and numbers ----------------------------------------------------------------------------------------------------


def _encode(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    """Bytes as Python 3 writes them in protocol 2: as text in which each character is a byte."""
    if len(arguments) != 2 or type(arguments[0]) is not str or not _is_text(arguments[1], "latin1", "latin-1"):
        raise machine.refusal(f"{name} is called with something other than (text, 'latin1')")
    return _raw(machine, arguments[0])


def _bytes(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    if arguments:
        raise machine.refusal(f"{name} is called with arguments, expected none")
    return b""


def _complex(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    if len(arguments) != 2 or not all(type(part) is float for part in arguments):
        raise machine.refusal(f"{name} is called with something other than two floats")
    return complex(*arguments)


def _raw(machine: PickleMachine, value: object) -> bytes:
    """The bytes of an array: bytes, or a string of Python 2."""
    if type(value) is Octets:
        return value.raw
    if type(value) is bytes:
        return value
    if type(value) is not str:
        raise machine.refusal(f"the pickle gives {kind_of(value)} where the bytes of an array were expected")
    machine.spend(len(value))
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise machine.refusal("bytes that are written as text have a character beyond the 255th") from None


# NumPy ----------------------------------------------------------------------------------------------------------------


def _dtype(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    # The flags align and copy; Python 2 wrote them as integers.
    if len(arguments) != 3 or not all(type(flag) in (bool, int) and flag in (0, 1) for flag in arguments[1:]):
        raise machine.refusal(f"{name} is called with something other than (code, align, copy)")
    dtype = numpy_pickles.dtype_of_code(arguments[0])
    if dtype is not None:
        return DtypeRecord(dtype)
    if machine.skip:
        return Placeholder(name, arguments)
    raise machine.refusal(f"NumPy's dtype {shortened(arguments[0])} is not numeric; {WAY_OUT}")


def _scalar(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    if len(arguments) != 2:
        raise machine.refusal(f"{name} is called with {len(arguments)} arguments, expected a dtype and bytes")
    return _array(machine, arguments[0], (), arguments[1])[()]


def _reconstruct(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    """An array that is still empty; see `build_array`."""
    if len(arguments) != 3 or arguments[1] != (0,) or not _is_text(arguments[2], "b", b"b"):
        raise machine.refusal(f"{name} is called with something other than (ndarray, (0,), 'b')")
    if type(arguments[0]) is not Global or arguments[0].kind != "class":
        raise machine.refusal(f"{name} is called with {kind_of(arguments[0])}, expected numpy.ndarray")
    return ArrayRecord()


def _frombuffer(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    if len(arguments) != 4 or not _is_text(arguments[3], "C", "F"):
        raise machine.refusal(f"{name} is called with something other than (bytes, dtype, shape, 'C' or 'F')")
    raw, dtype, shape, order = arguments
    return ArrayRecord(_array(machine, dtype, shape, raw, order == "F"))


def build_array(machine: PickleMachine, record: ArrayRecord, state: object) -> None:
    """Fill an array from `_reconstruct`; the state is (version, shape, dtype, whether in Fortran order, bytes)."""
    if record.value is not None:
        raise machine.refusal("the contents of a NumPy array come twice")
    if type(state) is not tuple or len(state) != 5 or type(state[0]) is not int:
        raise machine.refusal("the state of a NumPy array is not (version, shape, dtype, order, bytes)")
    _, shape, dtype, fortran, raw = state
    if type(dtype) is Placeholder:
        record.value = Placeholder("numpy.ndarray", ())
        record.value.state = state
        return
    if type(fortran) not in (bool, int) or fortran not in (0, 1):
        raise machine.refusal(f"a NumPy array's order is {shortened(fortran)}, expected a bool")
    record.value = _array(machine, dtype, shape, raw, bool(fortran))


def build_dtype(machine: PickleMachine, record: DtypeRecord, state: object) -> None:
    """Set the byte order of a dtype from `_dtype`."""
    if record.is_complete:
        raise machine.refusal("the state of a NumPy dtype comes twice")
    if reason := numpy_pickles.why_no_byteorder(state):
        raise machine.refusal(reason)
    assert isinstance(state, tuple)
    numpy_pickles.set_byteorder(record, state)


def _array(machine: PickleMachine, dtype: object, shape: object, value: object, fortran: bool = False) -> Any:
    raw = _raw(machine, value)
    if reason := numpy_pickles.why_no_array(dtype, shape, raw):
        raise machine.refusal(reason)
    assert isinstance(dtype, DtypeRecord)
    assert isinstance(shape, tuple)
    # One string may be copied into many arrays.
    machine.spend(len(raw))
    try:
        return numpy_pickles.array_of(dtype, shape, raw, fortran)
    except ValueError as error:
        raise machine.refusal(f"NumPy has no array of {len(shape)} dimensions: {error}") from None


# Tensors --------------------------------------------------------------------------------------------------------------


def _tensor(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    """All versions of _rebuild_tensor: (storage, offset, size, stride, [grad, hooks, [dtype], [metadata]])."""
    least, most = {"_rebuild_tensor": (4, 4), "_rebuild_tensor_v2": (6, 7)}.get(name.rpartition(".")[2], (7, 8))
    if not least <= len(arguments) <= most:
        raise machine.refusal(f"{name} is called with {len(arguments)} arguments, expected {least} to {most}")
    storage, offset, size, stride = arguments[:4]
    if type(storage) not in (StorageRecord, StorageView):
        raise machine.refusal(f"a tensor's storage is {kind_of(storage)}, expected a storage")
    requires_grad, hooks, options = (*arguments[4:6], arguments[6:]) if least > 4 else (False, None, ())
    dtype = storage.dtype
    if name.endswith("_v3"):
        token, *options = options
        if type(token) is not Global or token.kind != "dtype":
            raise machine.refusal(f"a tensor's dtype is {kind_of(token)}, expected one of torch's dtypes")
        dtype = token.dtype
    if dtype is None:
        raise machine.refusal(f"storage {storage.key} is untyped, and {name} gives its tensor no dtype")
    if options and not (options[0] is None or (type(options[0]) in (dict, OrderedDict) and not options[0])):
        raise machine.refusal("a tensor is marked as conjugated or negated: save x.resolve_conj().resolve_neg()")
    reason = why_not_a_view(storage, dtype, offset, size, stride) or _why_not_plain(machine, requires_grad, hooks)
    if reason:
        raise machine.refusal(reason)
    if isinstance(storage, StorageView):
        offset += storage.offset
        storage = storage.root
    return TensorRecord(storage, dtype, offset, size, without_idle_strides(size, stride), requires_grad)


def _parameter(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    if len(arguments) != 3 or type(arguments[0]) is not TensorRecord:
        raise machine.refusal(f"{name} is called with something other than (tensor, requires_grad, hooks)")
    tensor, requires_grad, hooks = arguments
    reason = _why_not_plain(machine, requires_grad, hooks)
    if reason:
        raise machine.refusal(reason)
    return TensorRecord(tensor.storage, tensor.dtype, tensor.offset, tensor.size, tensor.stride, requires_grad)


def bare_tensor(machine: PickleMachine, name: str, arguments: Arguments) -> object:
    """A tensor with attributes, without them; None if the call of an unknown name does not make such a tensor."""
    if name == "torch._utils._rebuild_parameter_with_state" and len(arguments) == 4:
        if type(arguments[0]) is TensorRecord:
            return _parameter(machine, name, arguments[:3])
    elif name == "torch._tensor._rebuild_from_type_v2" and len(arguments) == 4 and type(arguments[2]) is tuple:
        function = arguments[0]
        if type(function) is Global and function.name.startswith("torch._utils._rebuild_tensor"):
            return _tensor(machine, function.name, arguments[2])
    return None


def _why_not_plain(machine: PickleMachine, requires_grad: object, hooks: object) -> str:
    if type(requires_grad) is not bool:
        return f"a tensor's requires_grad is {kind_of(requires_grad)}, expected a bool"
    if hooks is not None and (type(hooks) is not OrderedDict or (hooks and not machine.skip)):
        return "a tensor comes with backward hooks, which are code"
    return ""


REBUILDERS: dict[str, Callable[[PickleMachine, str, Arguments], object]] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "_codecs.encode": _encode,
    "__builtin__.bytes": _bytes,
    "builtins.bytes": _bytes,
    "__builtin__.complex": _complex,
    "builtins.complex": _complex,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy._core.numeric._frombuffer": _frombuffer,
}
