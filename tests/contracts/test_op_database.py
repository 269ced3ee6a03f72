"""How much of torch's own database of operators numgrad has, and that its values are torch's.

``python -m tests.contracts.test_op_database`` prints the table: what is there, what is missing, and why.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from tests import recorded
from tests.contracts.op_database import Row, compared, dtype_of, lacking, of_torch, rows

ASKED = "contracts/test_op_database.py::test_what_is_missing_is_explained"
ENTRIES: list[Row] = recorded.read()["answers"].get(ASKED, [])

# Reason -> names that are missing, or that refuse all that they are asked for.
EXPLAINED = {
    "the result is complex numbers": "cdouble cfloat chalf complex linalg.eig linalg.eigvals polar stft view_as_complex",
    "the result is a sparse tensor": "to_sparse",
    "a part of torch's own modules that it does not document": """grid_sampler_2d grid_sampler_3d hash_tensor
        max_pool2d_with_indices_backward native_batch_norm native_dropout_backward native_group_norm native_layer_norm slice""",
    "Python 3 does not call it": "__rdiv__",
    "LAPACK's function for it is not among NumPy's": "linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve",
}
REASONS = {name: reason for reason, names in EXPLAINED.items() for name in names.split()}

# Results whose values are drawn, or left as they are in memory: shapes and dtypes are compared.
DRAWN = set(
    """bernoulli cauchy empty empty_like empty_permuted empty_strided exponential geometric log_normal
    multinomial new_empty new_empty_strided nn.functional.alpha_dropout nn.functional.dropout
    nn.functional.dropout2d nn.functional.dropout3d nn.functional.feature_alpha_dropout
    nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d
    nn.functional.multi_head_attention_forward nn.functional.rrelu nn.functional.scaled_dot_product_attention
    normal rand_like randint randint_like randn randn_like uniform""".split()
)
# Vectors that may have either sign: the sizes of their elements are compared.
SIGNS = {"linalg.eigh", "pca_lowrank", "svd_lowrank"}
# Where torch's digits are few.
ROUGH = {"special.bessel_j0": 1e-6, "special.bessel_j1": 1e-6, "special.bessel_y0": 1e-6, "special.bessel_y1": 1e-6}
# What differs in some samples: the reason, and what it says.
DIFFERENT = {
    "linalg.vander": ("a number is no vector", "x must be at least 1D"),
    "nn.functional.linear_cross_entropy": ("options are refused by name", "options are not implemented"),
    "nn.functional.batch_norm": ("no channels in one dimension", "expected [N, C] or [N, C, ...]"),
}


def test_what_is_missing_is_explained(torch_says: Any) -> None:
    """Every operator is there, with its aliases and methods, or in the table; and what is in the table is missing."""
    entries = torch_says(of_torch)
    missing = {entry["name"]: lacking(entry) for entry in entries}
    assert {name: parts for name, parts in missing.items() if parts and name not in REASONS} == {}
    refused = "complex linalg.eig linalg.eigvals polar view_as_complex".split()
    assert [name for name in REASONS if not missing.get(name) and name not in refused] == []
    assert len(entries) - len(REASONS) >= 540


@pytest.mark.parametrize("name", [entry["name"] for entry in ENTRIES if entry["name"] not in REASONS])
def test_the_values_are_torchs(name: str, torch: ModuleType) -> None:
    """Of the first samples that torch tests itself with, in float64 where the operator has it, and in float32.

    Those of an elementwise op of two operands are of shapes that broadcast from the third on: for these, `tests/ops` has all.
    """
    differences = {}
    for row in rows():
        if row.name != name:
            continue
        alike = type(row).__name__ == "BinaryUfuncInfo" and isinstance(OPS.get(name.rpartition(".")[2]), Elementwise)
        for dtype, count, tolerance in (
            (dtype_of(row), 2 if alike else 5, ROUGH.get(name, 1e-7)),
            (dtype_of(row, torch.float32), 1 if alike else 2, 1e-3),
        ):
            for text, sample in compared(row, dtype, count, torch.inf if name in DRAWN else tolerance, name in SIGNS):
                differences[f"{row.variant_test_name} {dtype} {sample}"] = text
    _, allowed = DIFFERENT.get(name, ("", ""))
    assert {sample: text for sample, text in differences.items() if not allowed or allowed not in text} == {}


def test_the_tables_have_nothing_that_is_gone() -> None:
    names = {entry["name"] for entry in ENTRIES}
    assert DRAWN | SIGNS | set(DIFFERENT) | set(REASONS) <= names


def main() -> None:
    """Print what is there and what is not."""
    import torch

    entries = of_torch(torch)
    for entry in entries:
        parts = lacking(entry)
        reason = REASONS.get(entry["name"], "????" if parts else "")
        sys.stdout.write(
            f"{'have' if not reason else 'explained' if reason != '????' else 'missing':10}{entry['name']}"
        )
        sys.stdout.write(f": {reason} ({', '.join(parts)})\n" if reason else "\n")
    there = sum(not lacking(entry) and entry["name"] not in REASONS for entry in entries)
    sys.stdout.write(f"{there} of {len(entries)} are there, {len(REASONS)} are explained\n")


if __name__ == "__main__":
    main()
