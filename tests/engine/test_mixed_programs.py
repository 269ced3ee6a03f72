"""Random programs of all dtypes against torch; see `mixed_programs`, whose command line runs more of them."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.engine import mixed_programs
from tests.engine.statements import Statement, Writer

COUNT, PARTS = 240, 8
PART = [part if part < 1 else pytest.param(part, marks=pytest.mark.soak) for part in range(PARTS)]


@pytest.mark.parametrize("part", PART)
def test_no_mismatch(part: int, torch: ModuleType) -> None:
    wrong = mixed_programs.mismatches(torch, range(part * COUNT // PARTS, (part + 1) * COUNT // PARTS))
    assert not wrong, "\n\n".join(text for _, text in wrong)


OURS = "lib.__name__ == 'numgrad'"
PLANTED = {
    "values": f"t1 = t0 * (2 if {OURS} else 2.001)",
    "dtype": f"t1 = t0.to(lib.float32 if {OURS} else lib.float64)",
    "shape": f"t1 = t0.sum() if {OURS} else t0.sum(0)",
    "strides": f"t1 = (t0 * 2).T.contiguous() if {OURS} else (t0 * 2).T",
    "version": f"t1 = (t0 * 1).zero_() if {OURS} else (t0 * 1).zero_().zero_()",
    "refused by us": f"t1 = t0 @ t0 if {OURS} else t0 + 0",
    "refused by torch": f"t1 = t0 + 0 if {OURS} else t0 @ t0",
    "class of error": f"t1 = t0[9] if {OURS} else t0 + 'text'",
    "requires_grad": f"t1 = t0.detach() * 2 if {OURS} else t0 * 2",
    "is_leaf": f"t1 = t0 if {OURS} else t0.view(2, 3)",
    "grads": f"t1 = t0 * t0 if {OURS} else t0 * t0.detach()",
    "second": f"t1 = t0 * t0 * t0 if {OURS} else (t0 * t0).detach() * t0 + t0 * t0 * 2 - (t0 * t0).detach() * 2 + t0 * 0",
    ".grad": f"(t0 * (2 if {OURS} else 3)).sum().backward()",
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_difference_is_noticed(what: str, torch: ModuleType) -> None:
    text = PLANTED[what]
    program = [
        Statement("t0 = lib.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)", "t0", "leaf"),
        Statement("t9 = t0.sum()", "t9", "sum"),
        Statement(text, "t1" if text.startswith("t1") else "", "planted"),
    ]
    mismatch, statements = mixed_programs.compare(torch, program)
    assert mismatch is not None
    if what != "second":
        assert mismatch.what == what
    smaller, again = mixed_programs.smallest(torch, statements, mismatch)
    assert again.what == mismatch.what
    assert [s.text for s in smaller] == [program[0].text, text]
    compile(mixed_programs.as_program(smaller, again), "<program>", "exec")


def test_memory_that_is_shared_in_one_library_alone_is_noticed(torch: ModuleType) -> None:
    program = [
        Statement("t0 = lib.ones(3)", "t0", "leaf"),
        Statement(f"t1 = t0.clone() if {OURS} else t0.view(3)", "t1", "planted"),
        Statement("t1.mul_(2)", "", "change"),
    ]
    mismatch, _ = mixed_programs.compare(torch, program)
    assert mismatch is not None
    assert mismatch.at == 2


def test_a_program_is_that_of_its_seed(torch: ModuleType) -> None:
    assert Writer(torch, 5).write() == Writer(torch, 5).write()


LEAF = "t0 = lib.tensor([[2.0, -3.0, 0.5], [1.0, 4.0, -0.25]], requires_grad=True)"
FOUND = {
    "numbers beside integers are cut": (
        "t0 = lib.tensor([-3, 0, 5])", "t1 = F.hardtanh(t0, -0.5, 2.5)", "F.hardtanh(t0, -0.5, 2.5, inplace=True)",
        "F.threshold(t0, 0.5, 1.5, inplace=True)",
    ),
    "changes in place keep what their backward reads": (
        LEAF, "t1 = (t0 * 1).cumprod_(1)", "t2 = (t0 * 1).renorm_(2, 0, 1.5)", "t3 = (t0.double() * 1).float_power_(2)",
        "t4 = (t0.detach() * 1).scatter_reduce_(0, lib.tensor([[0, 1, 1]]), t0[:1], 'amax')",
    ),
    "a rounded quotient is flat": (
        LEAF, "t1 = lib.div(t0, 0.75, rounding_mode='floor')", "t2 = lib.div(2.0, t0, rounding_mode='trunc')",
    ),
    "the gradient of an extreme NaN": ("t0 = lib.tensor([1.0, nan, 3.0], requires_grad=True)", "t1 = t0.max().sigmoid()"),
    "volumes are row-major": (
        "t0 = lib.arange(144.0).reshape(1, 2, 3, 4, 6)", "t1 = F.conv3d(t0, lib.ones(2, 2, 2, 2, 2))",
        "t2 = F.conv_transpose3d(t0, lib.ones(2, 2, 2, 2, 2), padding=1)",
    ),
    "a diagonal is a view": ("t0 = lib.zeros(2, 3, 3)", "t1 = lib.linalg.diagonal(t0)", "t1 += 2"),
    "a tensor of a tensor is its alias": (LEAF, "t1 = lib.Tensor(t0)", "t2 = lib.FloatTensor(t0 * 2)"),
    "lengths of what broadcasts": (
        LEAF, "t1 = F.cosine_similarity(t0, t0[:, :1])", "t2 = lib.broadcast_tensors(t0, t0[0])[0]",
    ),
    "Vandermonde's matrices of integers": (
        "t0 = lib.tensor([1, 2, 3], dtype=lib.int8)", "t1 = lib.vander(t0)", "t2 = lib.linalg.vander(t0)",
    ),
    "margins of NaN": (
        "t0 = lib.tensor([[nan, 1.0, 2.0]], requires_grad=True)", "t1 = F.multi_margin_loss(t0, lib.tensor([1]))",
        "t2 = F.multilabel_margin_loss(t0, lib.tensor([[1, -1, 0]]))",
    ),
    "nothing in a pool of powers": ("t0 = lib.zeros(1, 1, 4, requires_grad=True)", "t1 = F.lp_pool1d(t0, 2.0, 2)"),
    "NaN among integers counts": ("t0 = lib.arange(3)", "t0.nan_to_num_()", "t1 = F.softsign(t0)"),
    "a gradient of `where` lies as its condition": (
        "t0 = lib.ones(2, 3, 2, 2).to(memory_format=lib.channels_last).requires_grad_()", "t1 = lib.where(t0.detach() > 0, t0, 0)",
        "t2 = lib.autograd.grad(t1[:, :, :1].sum(), t0)[0]",
    ),
    "new data leaves a leaf its place in the graph": (LEAF, "t1 = t0[lib.tensor([0, 1, 1])]", "t0.data = t0.detach() * 3"),
    "new data is no change": (LEAF, "t1 = t0 * t0", "t0.data = t0.detach() * 3", "t2 = t0.tanh()"),
    "data assigned to itself": ("t0 = lib.ones(3)", "t1 = t0[1:]", "t1.data += 1", "t1.mul_(2)"),
    "a root may be changed": (LEAF, "t1 = t0.abs() ** 0.5", "t1 += 1", "t2 = t0 ** -1", "t2 *= 2"),
    "flatten of a vector": ("t0 = lib.ones(3, requires_grad=True)", "t1 = t0.flatten()"),
    "views without dimensions": ("t0 = lib.tensor(1.0, requires_grad=True)", "t1 = t0.transpose(0, -1)", "t2 = t0.t()"),
    "a sum of integers has no gradient": (LEAF, "t1 = t0.sum(dtype=lib.int64)", "t2 = t0.prod(0, dtype=lib.bool)"),
    "flat ones have ties": (LEAF, "t1 = (t0 * 1).relu()", "t2 = F.leaky_relu(t0 * 2, 0.1)", "t3 = t0.abs()"),
    "a root in place": ("t0 = lib.tensor([4.0, -inf, -0.0])", "t1 = 1 / t0.pow_(0.5)", "t2 = 1 / t0 ** 0.5"),
    "roundings of integers count": ("t0 = lib.arange(4)", "t0.floor_()", "t0.round_()", "t1 = t0 > 1", "t1.sign_()"),
    "errors of masks": ("t0 = lib.tensor([2.0, -3.0])", "t1 = F.mse_loss(t0, t0 > 0)", "t2 = F.huber_loss(t0, t0 > 0)"),
    "layers of integers": (
        "t0 = lib.arange(16).reshape(1, 1, 4, 4)", "t1 = F.adaptive_avg_pool2d(t0, 2)", "t2 = F.elu(t0)", "t3 = t0[0, 0] > 3",
        "t4 = t3 @ t3", "t5 = F.max_pool2d(t0 > 3, 2)",
    ),
    "strides of results": (
        "t0 = lib.zeros(4, 6, 2).permute(2, 0, 1)[:, ::2]", "t1 = t0 * 2", "t2 = lib.full_like(t0, 3)", "t3 = t0.softmax(0)",
        "t4 = lib.zeros(2, 3).T.expand(1, 3, 2) + 0", "t5 = lib.zeros(2, 1).T[:, ::1].mT + 1", "t6 = lib.ones_like(t0.mT)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_programs_found(name: str, torch: ModuleType) -> None:
    program = [Statement(text, text[:2] if text[2:5] == " = " else "", name) for text in FOUND[name]]
    mismatch, left = mixed_programs.compare(torch, program)
    assert mismatch is None, mismatch
    assert left == program, "nothing of it is excused"
