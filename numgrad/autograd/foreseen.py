"""Recipes for the process that compiles ahead of a program (`runtime.ahead`): it rehearses them, so nothing is computed."""

from __future__ import annotations

from typing import Any

from numgrad import registry
from numgrad.engine import dispatch
from numgrad.engine.tape import Node, Record, tensor_over
from numgrad.layout import Spec, spec_of
from numgrad.runtime.ahead import told
from numgrad.runtime.fast import start as fast
from numgrad.runtime.kernel import NO_ADDRESS
from numgrad.runtime.memory import Storage
from numgrad.tensor.creation import zeros
from numgrad.tensor.layers import linear

# Rows, inputs and outputs of layers that take each form of a product, those that are needed first as the last.
_LAYERS = (500, 4, 32), (16, 64, 32), (1, 4, 32), (64, 784, 200)


def layers() -> None:
    """What most programs need, and take long to compile: layers of a network, and ops that are applied in machine code."""
    fast.load()
    for rows, inputs, outputs in _LAYERS:
        x, weight, bias = (
            zeros(*shape, requires_grad=True) for shape in ((rows, inputs), (outputs, inputs), (outputs,))
        )
        linear(x, weight, bias).backward(zeros(rows, outputs))


def backward(op: str, specs: Any, params: Any, needs: Any) -> None:
    """The backward of a call that was recorded; the parameters are those of `engine.tape.Record`."""
    called = registry.find(op)
    inputs = told(specs)
    values = tuple.__new__(called.Params, told(params))
    results = [output.spec or inputs[output.source] for output in called.planned(inputs, values).outputs]
    record = Record(called, values, told(needs), inputs, results[: called.public])
    saved = [None if number is None else _tensor(inputs[number]) for number in record.saving.inputs]
    for slot, number in record.saving.outputs:
        saved[slot] = _tensor(results[number])
    end = Node(Record(None, None, (), (), ()), ()), 0
    node = Node(record, [end if need else None for need in needs], saved, [0] * len(saved), values)
    node.apply([_tensor(spec_of(spec.dtype, spec.shape)) for spec in record.output_specs], create_graph=False)


def _tensor(spec: Spec | None) -> Any:
    if spec is None:
        return None
    return tensor_over(dispatch.tensor_class, Storage(NO_ADDRESS, spec.nbytes, None), spec, NO_ADDRESS)
