"""Functions of bools and integers: torch's dtype and values, or refused as there; no sum that is called a mean."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

IMAGE = "x.reshape(1, 1, 2, 2)"
FUNCTIONS = [
    "F.leaky_relu(x, 0.1)", "F.elu(x)", "F.silu(x)", "F.relu(x)", "F.gelu(x)", "F.softplus(x)", "F.softmax(x, 0)",
    "F.log_softmax(x, 0)", "F.mse_loss(x, x)", "F.mse_loss(x, x + 0.5)", "F.smooth_l1_loss(x, x + 0.5)",
    "F.huber_loss(x + 0.5, x)", "F.l1_loss(x, x + 1)", "F.nll_loss(x.reshape(2, 2), lib.tensor([0, 1]))",
    "F.cross_entropy(x.reshape(2, 2), lib.tensor([0, 1]))", f"F.max_pool2d({IMAGE}, 2)", f"F.avg_pool2d({IMAGE}, 2)",
    f"F.adaptive_avg_pool2d({IMAGE}, 1)", f"F.batch_norm({IMAGE}, None, None, training=True)", f"F.pad({IMAGE}, (1, 1))",
    "F.linear(x, x.reshape(2, 2)[:, [0, 1, 0, 1]])", "x @ x", "x.reshape(2, 2) @ x.reshape(2, 2)", "x.dot(x)",
    "lib.bmm(x.reshape(1, 2, 2), x.reshape(1, 2, 2))", "x.mean()", "x.var()", "x.norm()", "x.norm(1)", "x.prod()", "x.sum()",
    "x.max()", "x.amax()", "x.all()", "x.abs()", "x.sign()", "x.floor()", "x.neg()", "x.square()", "x.round()", "x.exp()",
    "x.sign_()", "x.floor_()", "x.trunc_()", "x.round_()", "x.relu_()", "x.exp_()", "x.abs_()", "x.square_()", "x.neg_()",
]  # fmt: skip


# Of others only what is promoted differs: `test_promotion`.
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
@pytest.mark.parametrize("text", FUNCTIONS)
def test_of_integers(text: str, dtype: str, torch: ModuleType) -> None:
    outcomes: list[Any] = []
    for lib in (ng, torch):
        x = lib.tensor([1, 0, 2, 1]).to(getattr(lib, dtype))
        try:
            made = eval(text, {"x": x, "lib": lib, "F": lib.nn.functional})
            outcomes.append((str(made.dtype).rpartition(".")[2], made.tolist(), x.tolist(), x._version))
        except (RuntimeError, TypeError) as error:
            outcomes.append((RuntimeError if isinstance(error, RuntimeError) else TypeError, x.tolist(), x._version))
    ours, theirs = outcomes
    assert len(ours) == len(theirs), (ours, theirs)
    if len(ours) == 4:
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)
        ours, theirs = (ours[0], *ours[2:]), (theirs[0], *theirs[2:])
        if "exp" in text:
            return
    assert ours == theirs
