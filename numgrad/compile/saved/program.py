"""`Program`: a captured step that was loaded from a file; `save` and `load`."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.compile import passes
from numgrad.compile.captured import Captured
from numgrad.compile.results import Number
from numgrad.compile.saved import reading
from numgrad.compile.saved.values import MisfitError, UnsavableError, decoded_spec, expect_list, expect_object, one_of
from numgrad.compile.saved.writing import DIGEST, FORMAT, PROGRAM, VERSION, Writer, digest_of, text_of_document
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.errors import CaptureError
from numgrad.runtime import memory
from numgrad.runtime.memory import Storage
from numgrad.serialization import checkpoint
from numgrad.serialization.safetensors import parse, read_metadata, read_safetensors
from numgrad.serialization.source import ByteSource
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

_KEYS = {"format", "programs", "passes", "tensors", "memory", "options"}


class Options(MutableMapping[str, float]):
    """The numbers of one group of an optimizer, which the next call of the program uses; a truth is 0 or 1."""

    def __init__(self, options: reading.Options) -> None:
        self.of, self.group = options.of, options.group
        self._names = options.names
        self._storage = options.memory

    def _numbers(self) -> np.ndarray:
        numbers: np.ndarray = np.asarray(self._storage).view(np.float64)
        return numbers

    def __getitem__(self, name: str) -> float:
        return float(self._numbers()[self._position(name)])

    def __setitem__(self, name: str, value: float) -> None:
        position = self._position(name)
        if not isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
            raise TypeError(
                f"jit.load: the option {name!r} of {self.of} is {type(value).__name__}, expected a number"
                + ("; take its item()" if isinstance(value, TensorBase) else "")
            )
        self._numbers()[position] = value

    def _position(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(f"{self.of} has no option {name!r}, expected one of {', '.join(self._names)}")
        return self._names.index(name)

    def __delitem__(self, name: str) -> None:
        raise TypeError("the options of a loaded program cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"{self.of}({', '.join(f'{name}={value:g}' for name, value in self.items())})"


class Program:
    """A captured step that was loaded from a file: called as the step was, it does what the step did, and nothing else.

    It has memory of its own: parameters, states, random states, which go on from where they were when the file was written.

    Attributes
    ----------
    options
        For each group of each optimizer, its numbers by name, such as ``program.options[0]["lr"] = 0.01``.
    """

    def __init__(
        self, programs: Sequence[Captured], tensors: Sequence[reading.Named], options: Sequence[reading.Options]
    ) -> None:
        self._programs = list(programs)
        self._tensors = list(tensors)
        self._last: Captured | None = None  # the program that ran last
        self.options = [Options(each) for each in options]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it: arguments as the step took them, with the shapes, dtypes and layouts of the capture.

        Raises
        ------
        TypeError
            There is no program for these arguments; the message says how they differ.
        RuntimeError
            Something listens to each op here: a captured step, a recording, a profile or a transform, which would see none. Or
            the state is not what the program needs, as after a tensor was moved to other memory.
        """
        from numgrad.compile.jit import listens_to_nobody

        last = self._last
        if last is not None and not kwargs and (values := last.run_at_once(args)) is not None:
            return last.results.filled(values)
        differences, reasons = [], []
        for captured in self._programs:
            tensors: list[TensorBase] = [None] * len(captured.recorded.arguments)  # type: ignore[list-item]
            difference = _mismatch((args, kwargs), captured.recorded.call, "", tensors) or _difference(
                tensors, captured
            )
            if difference is not None:
                differences.append(difference)
                continue
            if not listens_to_nobody():
                raise RuntimeError(
                    "jit.load: a loaded program runs no ops that a captured step, a recording, a profile or a transform could see; "
                    "call it outside of these"
                )
            roots = [each._storage.root for each in tensors]
            if len(set(map(id, roots))) < len(roots):
                raise RuntimeError(
                    "jit.load: two arguments share memory, and when the step was captured they did not; clone() one"
                )
            if captured.fits(tensors, roots):
                self._last = captured
                if not kwargs:
                    captured.prepare_at_once(args)
                return captured.replay(tensors)
            reasons.append(str(captured.difference(tensors)))
        if reasons:
            raise RuntimeError(f"jit.load: the program cannot run now: {'; or '.join(reasons)}")
        raise TypeError(f"jit.load: the program was captured for other arguments: {'; or '.join(differences)}")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            "jit.load: a loaded program cannot be copied or pickled, since its launches know where its memory lies; load the file "
            "once more, and copy state_dict()"
        )

    def programs(self) -> list[Captured]:
        """All captured programs."""
        return self._programs

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that have a name, those of optimizers included; they are the program's own, not copies."""
        return {each.name: each.tensor for each in self._tensors}

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, the program's own; those of a module under the names that they had there."""
        return {each.name: each.tensor for each in self._tensors if each.role in ("parameter", "buffer")}

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of the parameters."""
        return iter([(each.name, each.tensor) for each in self._tensors if each.role == "parameter"])

    def parameters(self) -> Iterator[Tensor]:
        """The parameters."""
        return iter([each.tensor for each in self._tensors if each.role == "parameter"])

    def __repr__(self) -> str:
        launches = ", ".join(str(len(each.calls)) for each in self._programs)
        return f"<program of {launches} launches>"


def _mismatch(given: Any, expected: Any, path: str, tensors: list[TensorBase]) -> str | None:
    """How arguments differ from those of the capture; their tensors are put into the list."""
    if isinstance(expected, Number):
        if not isinstance(given, TensorBase) or not hasattr(given, "_spec"):
            return f"{path or 'it'} is {type(given).__name__}, expected a tensor"
        tensors[expected] = given
        return None
    if isinstance(expected, (tuple, list)):
        if not isinstance(given, type(expected)) or len(given) != len(expected):
            return f"{path or 'it'} is {_kind(given)}, expected {_kind(expected)}"
        names = [f"{path}[{n}]" if path else f"argument {n}" for n in range(len(expected))]
        if path == "" and len(expected) == 2:  # the arguments by place, and those by name
            return _mismatch(given[0], expected[0], "the arguments", tensors) or _mismatch(
                given[1], expected[1], "the keyword arguments", tensors
            )
        pairs = zip(given, expected, names, strict=True)
        return next((text for one, other, name in pairs if (text := _mismatch(one, other, name, tensors))), None)
    if isinstance(expected, dict):
        if not isinstance(given, dict) or given.keys() != expected.keys():
            return f"{path} are {_kind(given)}, expected {_kind(expected)}"
        rows = ((name, given[name], each) for name, each in expected.items())
        return next(
            (t for name, one, other in rows if (t := _mismatch(one, other, f"{path}[{name!r}]", tensors))), None
        )
    if type(given) is not type(expected) or repr(given) != repr(expected):
        return f"{path} is {given!r:.60}, expected {expected!r:.60}"
    return None


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"a dict of {list(value)}"
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, (tuple, list)) else type(value).__name__


def _difference(tensors: Sequence[TensorBase], captured: Captured) -> str | None:
    for number, (tensor, (spec, requires_grad)) in enumerate(zip(tensors, captured.recorded.arguments, strict=True)):
        if tensor._spec is not spec and (tensor._spec.shape, tensor._spec.strides, tensor._spec.dtype) != (
            spec.shape, spec.strides, spec.dtype
        ):  # fmt: skip
            return f"tensor {number} is {tensor._spec}, expected {spec}"
        if tensor._requires_grad is not requires_grad or tensor._node is not None:
            return f"tensor {number} requires a gradient: {tensor._requires_grad}, expected {requires_grad}, without a graph"
    return None


# ---- files ------------------------------------------------------------------------------------------------------


def save(programs: Sequence[Captured], names: Sequence[str], version: str, path: str | os.PathLike[str]) -> None:
    """Write captured programs, which go through the passes ``names``, to a file.

    Raises
    ------
    CaptureError
        A program does something that a file cannot hold.
    """
    try:
        writer = Writer(programs)
        text = text_of_document(writer.document(programs, names))
    except UnsavableError as error:
        raise CaptureError(f"jit.save: a file cannot hold {error}") from None
    contents = writer.contents()
    digest = digest_of(text, contents, lambda tensor: tensor._values())
    metadata = {PROGRAM: text, DIGEST: digest, VERSION: version}
    checkpoint.save(contents, path, format="safetensors", metadata=metadata)


def load(path: str | os.PathLike[str], version: str) -> Program:
    """The programs of a file.

    Raises
    ------
    WeightsFormatError
        The file is damaged, is no program, or is one of another version.
    """
    with ByteSource(path) as source:
        metadata = read_metadata(source)
        if PROGRAM not in metadata:
            raise source.refusal(
                "this file holds no program; ng.jit.save(step, path) writes one, and ng.load reads weights"
            )
        text, digest, of_version = (metadata.get(key, "") for key in (PROGRAM, DIGEST, VERSION))
        if of_version != version:
            raise source.refusal(
                f"the program is of numgrad {of_version[:40]!r}, and this is {version}, whose ops may differ; capture and save it "
                "anew. ng.load reads the weights in it"
            )
        arrays = read_safetensors(source, lambda array, dtype_name, requires_grad: (array, dtype_name))
        if digest != digest_of(text, arrays, lambda pair: pair[0]):
            raise source.refusal(
                "the program or its memory is not what its SHA-256 says: the file is damaged, get it again"
            )
        try:
            return _program(parse(source, text.encode(), "the program"), arrays)
        except MisfitError as error:
            raise source.refusal(f"the program is not valid: {error}") from None


def _program(document: Any, arrays: dict[str, tuple[np.ndarray, str]]) -> Program:
    one_of(document.get("format"), "the format of the program", lambda each: each == FORMAT)
    document = expect_object(document, "the program", _KEYS)
    names = expect_list(document["passes"], "passes")
    if any(type(name) is not str or name not in passes.PASSES for name in names):
        raise MisfitError("it goes through passes that this version does not have")
    rows = [expect_list(row, "memory", 2) for row in expect_list(document["memory"], "memory")]
    if sorted(map(str, arrays)) != sorted(str(name) for name, _ in rows):
        raise MisfitError("its memory is not what the file holds")
    reader = reading.Reader([_filled(*arrays[name], spec) for name, spec in rows])
    reader.read_tables(document["tensors"], document["options"])
    recorded = [reader.program(each) for each in expect_list(document["programs"], "programs")]
    if not recorded:
        raise MisfitError("there is none")
    return Program([Captured(each, tuple(names)) for each in recorded], reader.tensors, reader.options)


def _filled(array: np.ndarray, dtype_name: str, spec: Any) -> Storage:
    """Memory for a dense tensor of this spec, with an array's elements; the array's own where it lies like that."""
    spec = decoded_spec(spec)
    if spec.dtype.name != dtype_name or tuple(spec.shape) != array.shape or not spec.is_dense:
        raise MisfitError(f"memory of {dtype_name}{list(array.shape)} is described as {spec}")
    if spec.numel and spec.is_contiguous and spec.dtype is not dtypes.bfloat16:
        return creation.from_numpy(array)._storage.root
    storage = memory.allocate(spec.nbytes)
    if spec.numel:
        if spec.dtype is dtypes.bfloat16:
            array = (array.view(np.uint32) >> 16).astype(np.uint16)
        tensor = tensor_over(Tensor, storage, spec, storage.address)
        strides = [step * spec.dtype.itemsize for step in spec.strides]
        np.ndarray(spec.shape, spec.dtype.numpy, np.asarray(tensor._storage), 0, strides)[...] = array
    return storage
