"""`summary`: the layers of a model with the shapes of their outputs, their parameters, multiply-adds and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from numgrad.autograd import no_grad
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import get_default_dtype
from numgrad.nn.module import Module
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

__all__ = ["LayerSummary", "ModelSummary", "summary"]

_HEAD = ("layer", "output", "parameters", "multiply-adds")


@dataclass
class LayerSummary:
    """One module of a model. What is counted includes the modules inside of it; a parameter counts where it is met first.

    ``name`` is the dotted name, ``kind`` the class, ``depth`` the number of modules around it, ``calls`` how often it was
    called. ``input_shape`` and ``output_shape`` are those of its first call: a tuple of ints, a tuple of such for several
    tensors, None if there was no call. ``mult_adds`` counts products, convolutions and attention, by their definition.
    ``output_bytes`` is the memory of the outputs of the modules inside of it that have none themselves.

    >>> from numgrad import nn
    >>> layer = nn.summary(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (2, 3)).layers[1]
    >>> layer.name, layer.kind, layer.output_shape, layer.mult_adds
    ('0', 'Linear', (2, 4), 24)
    """

    name: str
    kind: str
    depth: int
    calls: int = 0
    input_shape: Any = None
    output_shape: Any = None
    parameters: int = 0
    trainable_parameters: int = 0
    mult_adds: int = 0
    output_bytes: int = 0
    inside: list[LayerSummary] = field(default_factory=list, repr=False)

    def walk(self) -> Iterator[LayerSummary]:
        """This layer and all inside of it, in the order of their registration."""
        yield self
        for layer in self.inside:
            yield from layer.walk()


@dataclass
class ModelSummary:
    """What `summary` found. Its text is a table; memory is in bytes, everything counts the whole batch.

    ``layers`` has a `LayerSummary` for each module, the model first. ``total_output_bytes`` is the memory of all layers'
    outputs, which training keeps for the backward and which an evaluation needs a part of.

    >>> from numgrad import nn
    >>> of_layer = nn.summary(nn.Linear(3, 4), (2, 3))
    >>> of_layer.total_params, of_layer.total_mult_adds, of_layer.total_output_bytes
    (16, 24, 32)
    """

    layers: list[LayerSummary]
    depth: int
    total_params: int
    trainable_params: int
    total_mult_adds: int
    total_input_bytes: int
    total_output_bytes: int
    total_param_bytes: int
    total_buffer_bytes: int

    def __str__(self) -> str:
        rows = [_HEAD]
        for layer in self.layers:
            if layer.depth > self.depth:
                continue
            # What is inside of a layer is not said twice: only the last level that is shown has the sums.
            opened = bool(layer.inside) and layer.depth < self.depth
            parts = layer.inside if opened else []
            parameters, mult_adds = (
                getattr(layer, name) - sum(getattr(part, name) for part in parts)
                for name in ("parameters", "mult_adds")
            )
            label = f"{layer.name.rpartition('.')[2]}: {layer.kind}" if layer.name else layer.kind
            shape = "--" if layer.output_shape is None else _text(layer.output_shape)
            rows.append(("  " * layer.depth + label, shape, _number(parameters), _number(mult_adds)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]), row[3].rjust(widths[3])]
            )
            for row in rows
        ]
        rule = "-" * len(lines[0])
        frozen = self.total_params - self.trainable_params
        totals = [
            f"parameters     {self.total_params:,}" + (f", {frozen:,} of them frozen" if frozen else ""),
            f"multiply-adds  {_scaled(self.total_mult_adds)}",
            f"memory         input {_scaled(self.total_input_bytes, 'B')}, outputs of the layers "
            f"{_scaled(self.total_output_bytes, 'B')}, parameters {_scaled(self.total_param_bytes, 'B')}, buffers "
            f"{_scaled(self.total_buffer_bytes, 'B')}",
        ]
        return "\n".join([lines[0], rule, *(line.rstrip() for line in lines[1:]), rule, *totals])

    def __repr__(self) -> str:
        return str(self)


def summary(
    model: Module,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
    input_data: Any = None,
    *,
    depth: int = 3,
    dtypes: Sequence[Dtype] | None = None,
    mode: str = "eval",
) -> ModelSummary:
    """Run a model once, and tell for each of its layers the output's shape, parameters, multiply-adds and memory.

    Parameters
    ----------
    model
        The model. Its parameters, buffers and modes are afterwards what they were; with ``mode="train"`` running statistics
        have seen one more batch.
    input_size
        The shape of the input, the batch included, or a list of shapes for several inputs. They are zeros.
    input_data
        In the place of ``input_size``: a tensor, a sequence of arguments, or a dict of named ones.
    depth
        How many modules inside of each other the text shows; the result has all.
    dtypes
        Of the inputs of ``input_size``; None: that of the model's first parameter of floating point.
    mode
        'eval' or 'train': the mode that the modules are in meanwhile.

    Raises
    ------
    TypeError
        ``model`` is no `Module`, or ``input_size`` is a tensor.
    ValueError
        Neither or both of ``input_size`` and ``input_data`` are given, or the mode, the depth or the dtypes make no sense.

    Examples
    --------
    >>> from numgrad import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    >>> nn.summary(net, (5, 1, 4, 4))
    layer         output        parameters  multiply-adds
    -----------------------------------------------------
    Sequential    [5, 2]                --             --
      0: Conv2d   [5, 4, 2, 2]          40            720
      1: ReLU     [5, 4, 2, 2]          --             --
      2: Flatten  [5, 16]               --             --
      3: Linear   [5, 2]                34            160
    -----------------------------------------------------
    parameters     74
    multiply-adds  880
    memory         input 320 B, outputs of the layers 680 B, parameters 296 B, buffers 0 B
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: model is {type(model).__name__}, expected a Module")
    if (input_size is None) == (input_data is None):
        given = "neither" if input_size is None else "both"
        raise ValueError(f"summary: give input_size or input_data; {given} of them came")
    if mode not in ("eval", "train"):
        raise ValueError(f"summary: mode is {mode!r}, expected 'eval' or 'train'")
    if depth < 0:
        raise ValueError(f"summary: depth is {depth}, expected a number of at least 0")
    if isinstance(input_size, Tensor):
        raise TypeError("summary: input_size is a tensor, expected a shape; give tensors as input_data=")
    args, named = _arguments(model, input_size, input_data, dtypes)
    root = _tree(model, "", 0, set())
    watch = _Watch(model, root)
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.train(mode == "train")
        with no_grad(), watch.profile:
            model(*args, **named)
    finally:
        watch.leave()
        for module, training in modes:
            module.training = training
    _add_up(root)
    parameters = list(model.parameters())
    return ModelSummary(
        layers=list(root.walk()),
        depth=depth,
        total_params=root.parameters,
        trainable_params=root.trainable_parameters,
        total_mult_adds=root.mult_adds + watch.outside,
        total_input_bytes=sum(map(_nbytes, _tensors((args, named)))),
        total_output_bytes=root.output_bytes,
        total_param_bytes=sum(map(_nbytes, parameters)),
        total_buffer_bytes=sum(map(_nbytes, model.buffers())),
    )


def _arguments(
    model: Module, input_size: Any, input_data: Any, dtypes: Sequence[Dtype] | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the model's call."""
    if input_size is None:
        if isinstance(input_data, dict):
            return (), input_data
        return (tuple(input_data) if isinstance(input_data, (list, tuple)) else (input_data,)), {}
    sizes = [input_size] if all(hasattr(extent, "__index__") for extent in input_size) else list(input_size)
    if dtypes is None:
        floats = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
        dtypes = [next(floats, get_default_dtype())] * len(sizes)
    if len(dtypes) != len(sizes):
        raise ValueError(f"summary: there are {len(sizes)} inputs and {len(dtypes)} dtypes")
    return tuple(creation.zeros(*size, dtype=dtype) for size, dtype in zip(sizes, dtypes, strict=True)), {}


def _tree(module: Module, name: str, depth: int, counted: set[int]) -> LayerSummary:
    """The rows of a module and of all inside of it, with the parameters that no row before has counted."""
    row = LayerSummary(name, type(module).__name__, depth)
    for parameter in module._parameters.values():
        if parameter is not None and id(parameter) not in counted:
            counted.add(id(parameter))
            row.parameters += parameter.numel()
            row.trainable_parameters += parameter.numel() * parameter.requires_grad
    for key, child in module.named_children():
        row.inside.append(_tree(child, f"{name}.{key}" if name else key, depth + 1, counted))
    return row


class _Watch:
    """Hooks that note what each module gets and gives, and to which module each op belongs: the innermost that runs."""

    def __init__(self, model: Module, root: LayerSummary) -> None:
        from numgrad.profiler import profile  # which most programs never need

        self.profile = profile()
        self.outside = 0
        self._rows = _paired(model, root, {})
        self._running: list[LayerSummary] = []
        self._seen = 0
        self._handles: list[Any] = []
        for module in model.modules():
            self._handles.append(module.register_forward_pre_hook(self._entered))
            self._handles.append(module.register_forward_hook(self._left, always_call=True))

    def _entered(self, module: Module, args: tuple[Any, ...]) -> None:
        self._assign()
        row = self._rows[id(module)]
        if not row.calls:
            row.input_shape = _shapes(args)
        row.calls += 1
        self._running.append(row)

    def _left(self, module: Module, args: tuple[Any, ...], output: Any) -> None:
        self._assign()
        row = self._running.pop()
        if row.output_shape is None:
            row.output_shape = _shapes(output)
        if not row.inside:  # what it changed in place, or shows in another shape, takes no memory
            before = {id(tensor._storage) for tensor in _tensors(args)}
            row.output_bytes += sum(_nbytes(each) for each in _tensors(output) if id(each._storage) not in before)

    def _assign(self) -> None:
        """Give the ops since the last call to the module that runs."""
        events = self.profile.events
        mult_adds = sum(event.flops for event in events[self._seen :]) // 2
        self._seen = len(events)
        if self._running:
            self._running[-1].mult_adds += mult_adds
        else:
            self.outside += mult_adds

    def leave(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()


def _paired(module: Module, row: LayerSummary, known: dict[int, LayerSummary]) -> dict[int, LayerSummary]:
    """The row of each module by its identity; a module that is in several places has that of the first."""
    known.setdefault(id(module), row)
    for child, inner in zip((child for _, child in module.named_children()), row.inside, strict=True):
        _paired(child, inner, known)
    return known


def _add_up(row: LayerSummary) -> None:
    """Add to each row what is inside of it."""
    for layer in row.inside:
        _add_up(layer)
        for name in ("parameters", "trainable_parameters", "mult_adds", "output_bytes"):
            setattr(row, name, getattr(row, name) + getattr(layer, name))


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a nest of sequences and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)


def _shapes(value: Any) -> Any:
    shapes = tuple(tuple(tensor.shape) for tensor in _tensors(value))
    return shapes[0] if len(shapes) == 1 else shapes


def _nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _text(shape: tuple[Any, ...]) -> str:
    return "[" + ", ".join(_text(each) if isinstance(each, tuple) else str(each) for each in shape) + "]"


def _number(value: int) -> str:
    return f"{value:,}" if value else "--"


def _scaled(count: int, unit: str = "") -> str:
    """A number with a unit, in thousands, millions or thousand millions of it."""
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3f} {letter}{unit}"
    return f"{count} {unit}".rstrip()
