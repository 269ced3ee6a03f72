"""What a user sees of layouts is torch's: row-major, unless he asked for another; what numgrad chooses inside is its own."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, optim
from numgrad.engine.private import expose
from numgrad.layout import PrivateStrides
from numgrad.nn import functional as F


def images(*shape: int) -> ng.Tensor:
    return ng.tensor(np.random.default_rng(0).normal(size=shape or (4, 3, 16, 16)).astype(np.float32))


def private() -> ng.Tensor:
    """A tensor that a convolution made: its channels are last, and nobody asked for it."""
    made = F.conv2d(images(2, 3, 5, 6), images(4, 3, 2, 2))
    assert made._spec.is_private
    return made


MAKERS: dict[str, Callable[[ModuleType, Any], Any]] = {
    "conv": lambda lib, x: x,
    "relu": lambda lib, x: lib.relu(x),
    "leaky": lambda lib, x: lib.nn.functional.leaky_relu(x, 0.1),
    "max_pool": lambda lib, x: lib.nn.functional.max_pool2d(x, 2),
    "avg_pool": lambda lib, x: lib.nn.functional.avg_pool2d(x, 2),
    "adaptive": lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, (3, 2)),
    "batch_norm": lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True),
    "clone": lambda lib, x: x.clone(),
    "sum of two": lambda lib, x: x + lib.relu(x),
    "scaled": lambda lib, x: x * 2,
    "with a vector": lambda lib, x: x + lib.ones(x.shape[-1]),
    "softmax": lambda lib, x: lib.nn.functional.softmax(x, 1),
    "dropout": lambda lib, x: lib.nn.functional.dropout(x, 0.0),
    "zeros_like": lambda lib, x: lib.zeros_like(x),
    "double": lambda lib, x: x.double(),
    "compared": lambda lib, x: x > 0,
    "where": lambda lib, x: lib.where(x > 0, x, x * 3),
    "second conv": lambda lib, x: lib.nn.functional.conv2d(x, lib.ones(2, 8, 3, 3), groups=1),
}

VIEWS: dict[str, Callable[[Any], Any]] = {
    "view(4, -1)": lambda y: y.view(y.shape[0], -1),
    "flatten": lambda y: y.flatten(1),
    "reshape": lambda y: y.reshape(-1),
    "permute": lambda y: y.permute(0, 2, 3, 1),
    "transpose": lambda y: y.transpose(1, 3),
    "select": lambda y: y[1],
    "slice": lambda y: y[:, 1:, ::2],
    "narrow": lambda y: y.narrow(2, 1, 2),
    "unsqueeze": lambda y: y.unsqueeze(2),
    "expand": lambda y: y.unsqueeze(0).expand(3, *y.shape),
    "squeeze": lambda y: y[:1].squeeze(0),
    "contiguous": lambda y: y.contiguous(),
    "detach": lambda y: y.detach(),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_seen_of_a_result_is_torchs(maker: str, view: str, torch: ModuleType) -> None:
    x, weight = images(), images(8, 3, 3, 3)
    ours = MAKERS[maker](ng, F.conv2d(x, weight))
    theirs = MAKERS[maker](torch, torch.conv2d(torch.tensor(x.numpy()), torch.tensor(weight.numpy())))
    assert ours.stride() == theirs.stride()
    assert ours.is_contiguous()
    assert not ours.is_contiguous(memory_format=ng.channels_last)
    mine, his = VIEWS[view](ours), VIEWS[view](theirs)
    assert (mine.shape, mine.stride()) == (tuple(his.shape), his.stride())
    assert (mine.storage_offset(), mine.is_contiguous()) == (his.storage_offset(), his.is_contiguous())
    np.testing.assert_allclose(mine.numpy(), his.numpy(), rtol=1e-4, atol=1e-5)
    if view != "expand":  # one memory: a change of the view is seen in what it is a view of
        same = view == "reshape" or mine._storage is ours._storage
        assert same == (his.untyped_storage().data_ptr() == theirs.untyped_storage().data_ptr())
        mine.fill_(1)
        his.fill_(1)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_numpy_of_a_weight_is_row_major_and_the_weights_memory() -> None:
    conv = nn.Conv2d(3, 8, 3)
    array = conv.weight.detach().numpy()
    assert array.flags.c_contiguous
    array.reshape(-1)[:] = np.arange(array.size)
    assert conv.weight.reshape(-1).tolist() == list(range(array.size))
    assert conv.weight.data_ptr() == array.ctypes.data
    x = images(1, 3, 5, 5)
    np.testing.assert_allclose(conv(x).detach().numpy(), F.conv2d(x, ng.tensor(array), conv.bias).detach().numpy())


def test_gradients_of_weights_can_be_laid_out_in_one_vector(torch: ModuleType) -> None:
    conv = nn.Conv2d(3, 8, 3, dtype=ng.float64)
    twin = torch.nn.Conv2d(3, 8, 3, dtype=torch.float64)
    twin.load_state_dict({name: torch.tensor(np.array(value.tolist())) for name, value in conv.state_dict().items()})
    x = images().double()
    conv(x).square().sum().backward()
    twin(torch.tensor(x.numpy())).square().sum().backward()
    flat = ng.cat([p.grad.view(-1) for p in conv.parameters()])
    np.testing.assert_allclose(flat.numpy(), torch.cat([p.grad.view(-1) for p in twin.parameters()]).numpy(), 1e-10)
    assert conv.weight.view(8, -1).tolist() == twin.weight.view(8, -1).tolist()


# ---- aliases move together ---------------------------------------------------------------------------------------


def alias_of(kind: str, y: ng.Tensor) -> ng.Tensor:
    if kind == "parameter":
        return nn.Parameter(y, requires_grad=False)
    if kind == "assigned":
        alias = ng.zeros(1)
        alias.data = y
        return alias
    return y.detach() if kind == "detach" else y.data


@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize("kind", ["detach", "data", "parameter", "assigned"])
def test_aliases_stay_aliases(kind: str, which: str) -> None:
    y = private()
    values = y.tolist()
    alias = alias_of(kind, y)
    assert alias._spec.is_private
    flat = (y if which == "first" else alias).view(-1)
    assert y.tolist() == alias.tolist() == values
    flat[3] = 100
    assert flat.data_ptr() == y.data_ptr() == alias.data_ptr()
    assert y.view(-1)[3].item() == alias.view(-1)[3].item() == 100
    if kind not in ("data", "assigned"):  # which count by themselves
        assert y._version == alias._version


def test_an_alias_that_was_given_other_memory_does_not_move() -> None:
    y = private()
    alias = y.detach()
    alias.data = other = private() * 2
    values = other.tolist()
    y.view(-1).zero_()
    assert alias.tolist() == values
    alias.view(-1).zero_()
    assert not other.any()


def test_a_saved_result_moves_and_changes_of_it_are_noticed() -> None:
    weight = images(4, 3, 2, 2).requires_grad_()
    y = F.conv2d(images(2, 3, 5, 6), weight).sigmoid()
    assert y._spec.is_private
    flat = y.view(-1)
    flat.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    y = F.conv2d(images(2, 3, 5, 6), weight).sigmoid()
    y.sum().backward()
    plain, weight.grad = weight.grad, None
    y = F.conv2d(images(2, 3, 5, 6), weight).sigmoid()
    y.view(-1).sum().backward()
    np.testing.assert_allclose(weight.grad.numpy(), plain.numpy(), rtol=1e-5)


def test_changes_in_place_through_views_have_their_gradients(torch: ModuleType) -> None:
    x, w = images(2, 3, 5, 6).double(), images(4, 3, 2, 2).double()
    grads = []
    for lib in (ng, torch):
        weight = lib.tensor(np.array(w.tolist()), requires_grad=True)
        y = lib.conv2d(lib.tensor(np.array(x.tolist())), weight)
        flat = y.view(2, -1)
        flat[:, ::3] *= 2
        y.permute(0, 2, 3, 1)[1, 0].mul_(y.detach().sum())
        (y * y.tanh()).sum().backward()
        grads.append(np.array(weight.grad.tolist()))
    np.testing.assert_allclose(*grads, rtol=1e-9)


def test_a_window_of_channels_last_gets_its_part_of_a_private_gradient(torch: ModuleType) -> None:
    x, image, weight = images(2, 4, 4, 5).double(), images(2, 3, 5, 6).double(), images(4, 3, 2, 2).double()
    grads = []
    for lib in (ng, torch):
        leaf = lib.tensor(x.numpy()).contiguous(memory_format=lib.channels_last).requires_grad_()
        factor = lib.conv2d(lib.tensor(image.numpy()), lib.tensor(weight.numpy()))
        y = leaf.clone()
        y[:, 1:3].mul_(3)
        (factor * y * factor).sum().backward()
        grads.append(leaf.grad.numpy())
    np.testing.assert_allclose(*grads, rtol=1e-10)


def test_versions_go_on_and_exposing_is_no_change() -> None:
    y = private()
    y.mul_(2)
    version = y._version
    expose(y)
    assert y._version == version
    y.add_(1)
    assert y._version == version + 1


# ---- what keeps a private layout, and what does not --------------------------------------------------------------


@pytest.mark.parametrize(
    "look",
    [
        ng.Tensor.stride, ng.Tensor.is_contiguous, ng.Tensor.storage_offset, ng.Tensor.clone, ng.Tensor.tolist, repr,
        ng.Tensor.sum, copy.deepcopy, pickle.dumps, ng.Tensor.contiguous, lambda y: y.sum((2, 3)), lambda y: y.add_(1),
        lambda y: y.detach(), lambda y: ng.save({"y": y}, io.BytesIO()),
    ],
)  # fmt: skip
def test_questions_about_values_move_nothing(look: Callable[[ng.Tensor], Any]) -> None:
    y = private()
    look(y)
    assert y._spec.is_private


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda y: pickle.loads(pickle.dumps(y)), ng.Tensor.clone])
def test_copies_are_row_major_for_their_user(copied: Callable[[ng.Tensor], ng.Tensor]) -> None:
    y = private()
    other = copied(y)
    assert other.is_contiguous()
    assert other.stride() == y.stride()
    assert other.view(-1).tolist() == y.view(-1).tolist()


def test_a_checkpoint_is_row_major(torch: ModuleType) -> None:
    file = io.BytesIO()
    y = private()
    ng.save({"y": y}, file)
    file.seek(0)
    loaded = torch.load(file)["y"]
    assert loaded.is_contiguous()
    assert loaded.tolist() == y.tolist()


def test_strides_that_are_private_are_equal_to_none_that_are_not() -> None:
    mine = PrivateStrides((6, 1, 2))
    assert mine == PrivateStrides((6, 1, 2))
    assert mine.__eq__((6, 1, 2)) is False
    assert mine != (6, 1, 2)
    assert len({mine, (6, 1, 2), PrivateStrides((6, 1, 2))}) == 2


# ---- channels last, when it is asked for ------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["input", "weight", "both"])
def test_channels_last_that_is_asked_for_is_seen(asked: str, torch: ModuleType) -> None:
    seen = []
    for lib in (ng, torch):
        x, weight = lib.tensor(images().numpy()), lib.tensor(images(8, 3, 3, 3).numpy())
        if asked != "weight":
            x = x.to(memory_format=lib.channels_last)
        if asked != "input":
            weight = weight.contiguous(memory_format=lib.channels_last)
        weight.requires_grad_()
        y = lib.conv2d(x, weight)
        steps = [y, lib.relu(y), y * 2, lib.nn.functional.max_pool2d(y, 2)]
        steps.append(lib.nn.functional.batch_norm(y, None, None, training=True))
        steps.append(y.clone(memory_format=lib.contiguous_format))
        seen.append([(each.stride(), each.is_contiguous(memory_format=lib.channels_last)) for each in steps])
        y.sum().backward()
        seen[-1].append((weight.grad.stride(), weight.is_contiguous()))
    assert seen[0] == seen[1]


def test_a_whole_network_in_channels_last(torch: ModuleType) -> None:
    seen = []
    for lib in (ng, torch):
        net = lib.nn.Sequential(lib.nn.Conv2d(3, 4, 3), lib.nn.BatchNorm2d(4), lib.nn.ReLU(), lib.nn.Conv2d(4, 2, 3))
        net = net.to(memory_format=lib.channels_last)
        y = net(lib.ones(2, 3, 8, 8))
        y.sum().backward()
        seen.append([y.stride(), *[(p.stride(), p.grad.stride()) for p in net.parameters()]])
    assert seen[0] == seen[1]


def test_memory_formats_are_checked() -> None:
    assert repr(ng.channels_last) == "numgrad.channels_last"
    assert pickle.loads(pickle.dumps(ng.channels_last)) is ng.channels_last
    with pytest.raises(RuntimeError, match="required rank 4 tensor to use channels_last format"):
        ng.ones(2).contiguous(memory_format=ng.channels_last)
    with pytest.raises(TypeError, match=r"clone: memory_format is 3, expected numgrad\.contiguous_format"):
        ng.ones(2).clone(memory_format=3)
    y = private()
    last = y.contiguous(memory_format=ng.channels_last)
    last.zero_()
    assert y.any(), "what was asked for in another format is a copy"


# ---- the rest of the house ---------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_who_looks_at_parameters_changes_no_training(name: str) -> None:
    results = []
    for look in (False, True):
        ng.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
        optimizer, x = OPTIMIZERS[name](net.parameters()), images(2, 3, 9, 9)
        for step in range(4):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            if look and step == 1:
                net[0].weight.view(8, -1)
                net[2].weight.grad.flatten()
                net[0].bias.data.view(-1)
            if look and step == 2:
                net[2].weight.detach().numpy()
                for state in optimizer.state.values():
                    [value.view(-1) for value in state.values() if isinstance(value, ng.Tensor)]
            optimizer.step()
        results.append(np.array(net(x).tolist()))
        assert net[0].weight._spec.is_private != look
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


def test_a_recording_goes_on_after_somebody_looked() -> None:
    ng.manual_seed(0)
    conv, x = nn.Conv2d(3, 4, 3), images(2, 3, 6, 6)
    conv(x).sum().backward()
    conv.zero_grad()
    with ng.compile.Recording() as recording:
        y = conv(x)
        y.sum().backward()
    shown, weight, grad = y.detach().numpy(), conv.weight.detach().numpy(), conv.weight.grad.numpy()
    before = shown.copy()
    weight[...] *= 2
    conv.bias.data.zero_()
    grad[...] = np.nan
    recording.replay()
    assert not np.array_equal(shown, before)
    np.testing.assert_allclose(shown, F.conv2d(x, conv.weight).tolist(), rtol=1e-5, atol=1e-5)
    assert np.isfinite(grad).all()
    assert np.isfinite(conv.weight.grad.numpy()).all()


def test_threads_that_look_disturb_none_that_compute() -> None:
    x = images(2, 8, 12, 12)
    weights = images(8, 8, 3, 3)
    expected = F.conv2d(x, weights).tolist()

    def work(conv: nn.Conv2d, number: int) -> bool:
        for turn in range(6):
            if number % 3 == 0 and turn == 2:
                conv.weight.view(-1)
            with ng.no_grad():
                if conv(x).tolist() != expected:
                    return False
        return True

    for _ in range(25):
        conv = nn.Conv2d(8, 8, 3, bias=False)
        conv.load_state_dict({"weight": weights})
        assert conv.weight._spec.is_private
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, [conv] * 4, range(4)))


def test_forward_mode_and_batches_see_row_major_tensors() -> None:
    conv, x = nn.Conv2d(3, 4, 3), images(2, 3, 6, 6)

    def f(x: ng.Tensor) -> ng.Tensor:
        return conv(x).view(x.shape[0], -1).square().sum(1)

    value, tangent = ng.func.jvp(f, (x,), (ng.ones(2, 3, 6, 6),))
    step = (f(x + 1e-2) - f(x - 1e-2)) / 2e-2
    np.testing.assert_allclose(tangent.tolist(), step.tolist(), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(value.tolist(), f(x).tolist(), rtol=1e-5)
    batched = ng.func.vmap(lambda each: f(each.unsqueeze(0)).view(-1))(x)
    np.testing.assert_allclose(batched.view(-1).tolist(), value.tolist(), rtol=1e-4)


def test_inference_memory_stays_what_it_is() -> None:
    with ng.inference_mode():
        y = private()
    alias = y.data
    y.view(-1)
    assert y.is_inference()
    assert alias.is_inference()
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode"):
        y.add_(1)


REARRANGED: dict[str, Callable[[Any], Any]] = {
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 3),
    "zeros around": lambda x: F.pad(x, (1, 2, 3, 0)),
    "channels of zeros": lambda x: F.pad(x, (0, 1, 1, 0, 2, 1)),
    "cut": lambda x: F.pad(x, (-1, 2, 3, -2), mode="reflect"),
    **{mode: lambda x, mode=mode: F.pad(x, (1, 2, 3, 2), mode=mode) for mode in ("reflect", "replicate", "circular")},
}


@pytest.mark.parametrize("name", REARRANGED)
def test_what_moves_pixels_keeps_the_channels_last(name: str) -> None:
    function, shape = REARRANGED[name], (2, 8, 6, 9)
    results = []
    for memory_format in (ng.contiguous_format, ng.channels_last):
        x = images(*shape).to(memory_format=memory_format).requires_grad_()
        y = function(x)
        assert y.is_contiguous(memory_format=memory_format)
        y.backward(images(*y.shape))
        assert x.grad is not None
        assert x.grad.stride() == x.stride()
        results.append((y.detach().numpy(), x.grad.numpy()))
    (rows, by_rows), (last, by_last) = results
    np.testing.assert_array_equal(last, rows)
    np.testing.assert_allclose(by_last, by_rows, rtol=1e-6)
