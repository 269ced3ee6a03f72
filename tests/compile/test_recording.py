"""Recording and replay: the launches of a step are the whole computation."""

import threading

import numpy as np
import pytest

import numgrad as ng
from numgrad.compile import Recording
from numgrad.models import resnet18


def test_replay_of_a_training_steps_gradients_gives_the_same_bits():
    ng.manual_seed(0)
    model, data, labels = resnet18(), ng.rand(1, 3, 64, 64), ng.rand(1, 1000)
    (model(data) - labels).sum().backward()  # buffers of the running statistics are warm, plans are made
    model.zero_grad()
    with Recording() as recording:
        loss = (model(data) - labels).sum()
        loss.backward()
    gradients = {name: np.array(p.grad.numpy()) for name, p in model.named_parameters()}
    value = loss.item()
    kept = np.array(data.numpy())
    for parameter in model.parameters():
        parameter.grad.fill_(float("nan"))
    data.fill_(float("nan"))
    data.copy_(ng.tensor(kept))
    recording.replay()
    assert loss.item() == value
    assert len(gradients) == 62
    for name, parameter in model.named_parameters():
        assert np.array_equal(parameter.grad.numpy(), gradients[name]), name


def test_replay_reads_what_its_inputs_hold_now():
    x, weight = ng.ones(4, 3), ng.ones(3, requires_grad=True)
    with Recording() as recording:
        loss = (x * weight).tanh().sum()
        loss.backward()
    x.fill_(0.5)
    recording.replay()
    again = weight.detach().clone().requires_grad_()
    (x * again).tanh().sum().backward()
    assert np.array_equal(weight.grad.numpy(), again.grad.numpy())


def test_recorded_memory_is_not_used_again():
    x = ng.ones(1000)
    with Recording() as recording:
        y = (x * 2 + 1).sum()
    others = [ng.full((1000,), 7.0) for _ in range(50)]
    recording.replay()
    assert y.item() == 3000
    assert all((other.numpy() == 7).all() for other in others)


def test_each_replay_draws_new_random_numbers():
    with Recording() as recording:
        drawn = ng.rand(100)
    first = np.array(drawn.numpy())
    recording.replay()
    assert not np.array_equal(first, drawn.numpy())


def test_a_status_in_a_replay_is_an_error():
    target = ng.tensor([0, 1])
    with Recording() as recording:
        ng.cross_entropy(ng.zeros(2, 3), target)
    target[0] = 5
    with pytest.raises(RuntimeError, match="status"):
        recording.replay()


def test_other_threads_are_not_recorded():
    with Recording() as recording:
        thread = threading.Thread(target=lambda: ng.ones(5) + 1)
        thread.start()
        thread.join()
    assert len(recording) == 0


def test_a_recording_inside_another_leaves_it_its_memory():
    x = ng.full((1000,), 3.0)
    with Recording() as outer:
        before = x * 2
        with Recording() as inner:
            within = before + 1
        after = (before * within).sum()
    others = [ng.full((1000,), 7.0) for _ in range(50)]
    x.fill_(5.0)
    outer.replay()
    assert after.item() == 1000 * 10 * 11
    within.fill_(0.0)
    inner.replay()
    assert (within.numpy() == 11).all()
    assert all((other.numpy() == 7).all() for other in others)


def test_recordings_in_two_threads_have_their_own_memory():
    begun, ended = threading.Event(), threading.Event()
    results = []

    def record():
        x = ng.full((1000,), 3.0)
        with Recording() as recording:
            begun.set()
            ended.wait()
            results.append((recording, x, (x * 2 + 1).sum()))

    thread = threading.Thread(target=record)
    with Recording() as mine:
        thread.start()
        begun.wait()
        y = ng.ones(1000) * 4
    ended.set()
    thread.join()
    recording, x, total = results[0]
    others = [ng.full((1000,), 7.0) for _ in range(50)]
    x.fill_(5.0)
    recording.replay()
    mine.replay()
    assert total.item() == 11_000
    assert (y.numpy() == 4).all()
    assert all((other.numpy() == 7).all() for other in others)


def test_what_a_recording_cannot_do_is_said():
    with Recording() as recording:
        y = ng.ones(3) + 1
        with pytest.raises(RuntimeError, match="recording already"), recording:
            pass
        with pytest.raises(RuntimeError, match="part of another"):
            recording.replay()
    recording.replay()
    with recording:  # what comes is appended
        z = y * 3
    y.fill_(0)
    z.fill_(0)
    recording.replay()
    assert z.tolist() == [6, 6, 6]
