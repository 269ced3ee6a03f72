"""Devices and layouts of tensors, of which numgrad has one each: the CPU, and strided memory."""

from __future__ import annotations

from typing import Any, Final

from numgrad.errors import DeviceError

# torch's kinds of devices: a program may name each of them, and use the first.
_TYPES: Final = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy",
    "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:  # noqa: N801 (torch's name)
    """Where a tensor is. Others than the CPU can be named and compared, but no tensor can be there.

    Parameters
    ----------
    type
        The kind, with or without a number: 'cpu', 'cuda:0'; or another device.
    index
        The number.

    Attributes
    ----------
    type, index
        The kind, and the number or None.

    Raises
    ------
    RuntimeError
        There is no such kind, or the number is not a number or is given twice.
    TypeError
        An argument has another type.

    >>> import numgrad as ng
    >>> ng.device("cpu"), str(ng.device("cuda", 1)), ng.device("cuda:1").index
    (device(type='cpu'), 'cuda:1', 1)
    >>> ng.ones(2).device == ng.device("cpu")
    True
    """

    __slots__ = ("_before", "index", "type")

    type: str
    index: int | None

    def __init__(self, type: str | device | int, index: int | None = None) -> None:
        if isinstance(type, device) and index is None:
            self.type, self.index = type.type, type.index
        elif isinstance(type, str):
            self.type, self.index = _parsed(type, index)
        elif isinstance(type, int) and not isinstance(type, bool):
            raise DeviceError("Cannot access accelerator device when none is available: numgrad computes on 'cpu' only")
        else:
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        self._before: list[device] = []

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{number})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> Any:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        self._before.append(_default)
        set_default_device(self)
        return self

    def __exit__(self, *error: object) -> None:
        set_default_device(self._before.pop())


def _parsed(text: str, index: int | None) -> tuple[str, int | None]:
    kind, colon, number = text.partition(":")
    if kind not in _TYPES:
        raise RuntimeError(f"Expected one of {', '.join(_TYPES)} device type at start of device string: {text}")
    if colon:
        if not (number.isascii() and number.isdigit()) or (number[0] == "0" and number != "0"):
            raise RuntimeError(f"Invalid device string: '{text}'")
        if index is not None:
            raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {text}")
        return kind, int(number)
    if index is None:
        return kind, None
    if isinstance(index, bool) or not isinstance(index, int):
        raise TypeError(f"device(): argument 'index' must be int, not {index.__class__.__name__}")
    if index < 0:
        raise RuntimeError(f"Device index must not be negative, got {index}")
    return kind, index


CPU: Final = device("cpu")
_default = CPU


def on_cpu(op: str, value: Any) -> None:
    """Refuse an argument ``device`` that is neither the CPU nor None.

    Raises
    ------
    RuntimeError
        The device is another one (the class is an AssertionError as well, as torch's for CUDA), or there is none of this name.
    TypeError
        The argument is no device.

    >>> on_cpu("zeros", "cpu")
    >>> on_cpu("zeros", "cuda")
    Traceback (most recent call last):
    numgrad.errors.DeviceError: zeros: device is 'cuda', expected 'cpu', the only one that numgrad has; ask ...
    """
    if value is None or value is CPU or value == "cpu":
        return
    if isinstance(value, str):
        kind = device(value).type
    elif isinstance(value, device):
        kind = value.type
    elif isinstance(value, int) and not isinstance(value, bool):
        kind = "cuda"
    else:
        raise TypeError(f"{op}(): argument 'device' must be numgrad.device, not {value.__class__.__name__}")
    if kind != "cpu":
        hint = "; ask numgrad.cuda.is_available() first" if kind == "cuda" else ""
        shown = value if isinstance(value, int) else str(value)
        raise DeviceError(f"{op}: device is {shown!r}, expected 'cpu', the only one that numgrad has{hint}")


def get_default_device() -> device:
    """The device of new tensors for which none is given.

    >>> import numgrad as ng
    >>> ng.get_default_device()
    device(type='cpu')
    """
    return _default


def set_default_device(device: Any) -> None:
    """Set the device of new tensors for which none is given: the CPU, as 'cpu', 'cpu:0', a `device`, or None.

    Raises
    ------
    RuntimeError
        The device is not the CPU.
    TypeError
        The argument is no device.

    >>> import numgrad as ng
    >>> ng.set_default_device("cpu")
    """
    global _default
    on_cpu("set_default_device", device)
    _default = CPU if device is None else device if isinstance(device, _device) else _device(device)


_device = device  # where an argument has its name


class layout:  # noqa: N801 (torch's name)
    """How a tensor keeps its elements: `strided`, by an address and steps. There is no other here.

    >>> import numgrad as ng
    >>> ng.zeros(2).layout
    numgrad.strided
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"numgrad.{self.name}"

    def __reduce__(self) -> str:
        return self.name


strided: Final = layout("strided")
