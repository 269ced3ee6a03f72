"""The declared parameters of a kernel: scalars, arrays and records.

A **record** is a `NamedTuple` of numbers that belong together, such as the steps of a loop or the geometry of a window.
Its fields are annotated ``int`` (an int64), ``float`` (a float64) or with another record, and a kernel reads them by
name. A launch passes an instance; compiled code sees the numbers, so a record costs nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

from numgrad.errors import KernelError

SCALAR_TYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
_FIELD_TYPES = {int: "i8", float: "f8"}
_DECLARED = re.compile(r"^(?P<const>const )?(?P<type>\w+)(?P<dims>\[\s*:(\s*,\s*:)*\s*\])?$")


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: a scalar (``ndim == 0``), a C-contiguous array, or a record."""

    name: str
    type: str  # one of SCALAR_TYPES, a type variable, or a record's name
    ndim: int = 0
    const: bool = False  # an array that the kernel may only read: it does not compile if it writes to it
    record: Any = None  # its class

    @property
    def fields(self) -> tuple[Parameter, ...]:
        """A record's fields."""
        return () if self.record is None else fields_of(self.record)

    @property
    def words(self) -> int:
        """Slots that the argument takes: an address and the extents, a value's bits, or those of all fields."""
        return 1 + self.ndim if self.record is None else sum(field.words for field in self.fields)

    def bound(self, binding: dict[str, str]) -> Parameter:
        """The parameter with its type variable replaced."""
        return replace(self, type=binding.get(self.type, self.type)) if self.record is None else self

    def scalars(self, value: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
        """(name, type, value) of a scalar, or of each number of a record.

        Raises
        ------
        TypeError
            A record is declared and ``value`` is not an instance of it.
        """
        name = prefix + self.name
        if self.record is None:
            yield name, self.type, value
        elif value.__class__ is not self.record:
            raise TypeError(f"{name} is {value!r}, expected a record {self.type}")
        else:
            for field, item in zip(self.fields, value, strict=True):
                yield from field.scalars(item, f"{name}.")

    def __str__(self) -> str:
        """The declared type, with a record's fields, as in the key of a stored kernel."""
        if self.record is not None:
            return f"{self.type}({', '.join(f'{field.name} {field}' for field in self.fields)})"
        dims = f"[{', '.join(':' * self.ndim)}]" if self.ndim else ""
        return f"{'const ' * self.const}{self.type}{dims}"


@functools.cache
def fields_of(record: type) -> tuple[Parameter, ...]:
    """The fields of a record, each a scalar or a record.

    Raises
    ------
    KernelError
        A field is neither.
    """
    fields = []
    for name, hint in get_type_hints(record).items():
        if hint in _FIELD_TYPES:
            fields.append(Parameter(name, _FIELD_TYPES[hint]))
        elif isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
            fields.append(Parameter(name, hint.__name__, record=hint))
        else:
            raise KernelError(
                f"record {record.__name__}: field {name} is of type {hint!r}, expected int, float or a record"
            )
    return tuple(fields)


def declared_parameters(
    function: Callable[..., Any], declaration: str, records: Sequence[type]
) -> tuple[tuple[Parameter, ...], bool]:
    """The parameters of a kernel before its range, and whether it takes the number of its worker.

    Raises
    ------
    KernelError
        The declaration does not fit the function.
    """
    kernel = f"kernel {function.__name__}"
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    takes_worker = names[-1:] == ("worker",)
    span = names[-3:-1] if takes_worker else names[-2:]
    if span != ("start", "stop"):
        raise KernelError(f"{kernel}: the last parameters are {span}, expected ('start', 'stop')")
    names = names[: -3 if takes_worker else -2]
    declared = [text.strip() for text in re.split(r",(?![^\[]*\])", declaration) if text.strip()]
    if len(declared) != len(names):
        raise KernelError(
            f"{kernel}: {len(declared)} types are declared, expected {len(names)} (for {', '.join(names)})"
        )
    records_by_name = {record.__name__: record for record in records}
    parameters = []
    for name, text in zip(names, declared, strict=True):
        match = _DECLARED.match(text)
        if not match:
            raise KernelError(f"{kernel}: type of {name} is {text!r}, expected such as 'f4' or 'T[:, :]'")
        record, ndim = records_by_name.get(match["type"]), (match["dims"] or "").count(":")
        if record is not None and (ndim or match["const"]):
            raise KernelError(f"{kernel}: type of {name} is {text!r}, but a record is passed by itself")
        parameters.append(Parameter(name, match["type"], ndim, bool(match["const"]), record))
    unused = set(records_by_name) - {parameter.type for parameter in parameters}
    if unused:
        raise KernelError(f"{kernel}: no parameter is of type {', '.join(sorted(unused))}, though the record was given")
    return tuple(parameters), takes_worker
