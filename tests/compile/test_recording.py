"""Recording and replay: the launches of a step are the whole computation."""

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
    import threading

    with Recording() as recording:
        thread = threading.Thread(target=lambda: ng.ones(5) + 1)
        thread.start()
        thread.join()
    assert len(recording) == 0
