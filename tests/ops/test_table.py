"""The registry and the table of samples speak of the same ops; each has documentation and an oracle."""

from __future__ import annotations

import pytest

from numgrad.registry import OPS, find
from tests.ops.samples import REFUSALS, SAMPLES

# Steps of optimizers work on tables of addresses: nobody but the optimizers calls them, and their tests do.
UPDATES = {name for name, op in OPS.items() if op.public == 0}
# Ops that only backwards apply: what they could refuse was refused by the op that they belong to.
INNER = {name for name in OPS if "_backward" in name} | {"log_gamma_slope"}


def test_every_op_has_samples_and_no_sample_is_without_an_op() -> None:
    assert sorted(SAMPLES) == sorted(set(OPS) - UPDATES)


def test_every_op_has_refusals() -> None:
    assert sorted(set(REFUSALS) | INNER) == sorted(set(OPS) - UPDATES)


REGISTERED = dict(OPS)  # before tests register others


def test_an_op_is_documented_and_has_an_oracle() -> None:
    for name, op in REGISTERED.items():
        assert len(op.doc) > 5, f"op {name} has no documentation"
        assert op.oracle_function is not None or name in UPDATES, f"op {name} has no oracle"
        # One of a fused backward may be without one: the composite rule takes its place where gradients are differentiated.
        assert not op.differentiable or op.backward_function is not None or name in INNER, f"op {name} has no backward"


def test_an_unknown_op_names_similar_ones() -> None:
    with pytest.raises(KeyError, match="no op 'sofmax' is registered; similar: .*softmax"):
        find("sofmax")
