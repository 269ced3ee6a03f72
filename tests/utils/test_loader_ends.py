"""How loaders with workers end: errors, deaths, Ctrl-C, iterators that nobody finishes; and that nothing is left of them."""

from __future__ import annotations

import contextlib
import errno
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing import resource_tracker

import pytest

import numgrad as ng
from numgrad.utils import data
from numgrad.utils.data import messages
from tests.runtime import processes
from tests.utils.loading import Acts, Images, ToldError, children, same, segments, shared_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux's files about processes and memory")


@pytest.fixture(autouse=True)
def nothing_left():
    """No process, no mapping, no descriptor, and no file of shared memory that was not there before."""
    multiprocessing.active_children()  # waits for those of other tests that have ended
    resource_tracker.ensure_running()  # multiprocessing's own, from the first spawn on
    before = children(), segments()
    yield
    gc.collect()
    assert (children(), segments()) == before


def loader(*keys, **words):
    words = {"num_workers": 2, "multiprocessing_context": "fork", **words}
    return data.DataLoader(Acts(), None, sampler=keys, **words)


# ---- errors of datasets ---------------------------------------------------------------------------------------------


KINDS = [
    ("value", ValueError, "ValueError"),
    ("key", KeyError, "KeyError"),
    ("odd", RuntimeError, "OddError"),
    ("told", ToldError, "ToldError"),
    ("stop", (RuntimeError, StopIteration), "StopIteration"),
]


def check_error(batches, kind, name):
    assert next(batches) == 1
    with pytest.raises(kind) as caught:
        next(batches)
    assert str(caught.value).startswith(
        f"Caught {name} in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File "
    )
    assert ", in __getitem__\n" in str(caught.value)
    assert next(batches) == 1, "the others go on"
    assert next(batches, None) is None


@pytest.mark.parametrize(("key", "kind", "name"), KINDS)
def test_an_error_keeps_its_class_and_traceback(key, kind, name):
    check_error(iter(loader("fine", key, "fine", num_workers=1)), kind, name)


@pytest.mark.parametrize(("key", "kind", "name"), KINDS)
def test_so_they_do_in_torch(torch, key, kind, name):
    words = {"num_workers": 1, "multiprocessing_context": "fork"}
    check_error(iter(torch.utils.data.DataLoader(Acts(), None, sampler=["fine", key, "fine"], **words)), kind, name)


def test_errors_that_cannot_be_sent_as_they_are():
    with pytest.raises(
        RuntimeError, match=r"Caught RuntimeError in DataLoader worker process 0 \(.*Local\).\nOriginal"
    ):
        list(loader("local"))
    with pytest.raises((AttributeError, RuntimeError), match=r"Caught .* in DataLoader worker process 0.\nOriginal"):
        list(loader("unpicklable"))


def test_an_error_of_worker_init_fn():
    def fail(worker_id):
        raise ValueError("cannot begin")

    with pytest.raises(
        ValueError, match=r"Caught ValueError in DataLoader worker process 0.\nOriginal(.|\n)*cannot begin"
    ):
        list(loader("fine", "fine", worker_init_fn=fail))


def test_unequal_shapes():
    batches = data.DataLoader(Acts(), 2, sampler=["array", "unequal"], num_workers=1, multiprocessing_context="fork")
    text = r"Caught RuntimeError in DataLoader worker process 0.\nOriginal(.|\n)*stack expects each tensor to be equal size"
    with pytest.raises(RuntimeError, match=text):
        list(batches)


def test_samples_with_a_history_cannot_be_sent():
    leaf = ng.ones(2, 2, requires_grad=True)
    dataset = data.TensorDataset(leaf)
    with pytest.raises(RuntimeError, match="only leaf tensors can be pickled"):
        list(data.DataLoader(dataset, 2, num_workers=1, multiprocessing_context="fork"))


# ---- deaths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "end"), [("die", ": killed by SIGKILL"), ("leave", "")])
def test_a_worker_that_dies(key, end):
    batches = iter(loader("fine", key, "fine", "fine", persistent_workers=True))
    pids = [worker.pid for worker in batches._workers]
    with pytest.raises(RuntimeError) as caught:
        list(batches)
    assert str(caught.value) == f"DataLoader worker (pid(s) {pids[1]}) exited unexpectedly{end}"
    assert batches.is_over
    del caught


def test_persistent_workers_start_again_after_a_death():
    keys = ["fine", "die"]
    words = {"num_workers": 2, "multiprocessing_context": "fork", "persistent_workers": True}
    batches = data.DataLoader(Acts(), None, sampler=keys, **words)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(batches)
    keys[1] = "fine"
    assert list(batches) == list(batches) == [1, 1]


def test_a_worker_that_hangs():
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"^DataLoader timed out after 0.2 seconds$"):
        list(loader("wait", "fine", timeout=0.2))
    assert time.monotonic() - start < 20


def test_iterators_that_nobody_finishes():
    for words in ({}, {"persistent_workers": True}):
        batches = iter(
            data.DataLoader(Images(200), 8, num_workers=2, multiprocessing_context="fork", prefetch_factor=8, **words)
        )
        images, labels = next(batches)
        workers = [worker.pid for worker in batches._workers]
        start = time.monotonic()
        del batches
        gc.collect()
        assert time.monotonic() - start < 4
        assert not set(workers) & children()
        assert images[3].mean().item() == 3, "a batch outlives its workers"
        assert segments()[0] == 1
        del images, labels


def test_more_batches_than_files():
    script = """
import resource
import numgrad as ng
from numgrad.utils.data import DataLoader
from tests.utils.loading import Images
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
batches = list(DataLoader(Images(200), 1, num_workers=2, multiprocessing_context="fork"))
print(sum(label.item() for _, label in batches), sum(images.mean().item() for images, _ in batches))
"""
    assert processes.output(script) == "19900 19900.0\n"


def test_too_many_open_files_are_told():
    script = """
import os, resource
from numgrad.utils.data import DataLoader
from tests.utils.loading import Images
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
batches = iter(DataLoader(Images(200), 1, num_workers=1, multiprocessing_context="fork"))
next(batches)
opened = []
try:
    while True:
        opened.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    os.close(opened.pop())
    os.close(opened.pop())
    opened.append(os.open("/dev/null", os.O_RDONLY))
try:
    kept = [next(batches) for _ in range(3)]
    opened.append(os.open("/dev/null", os.O_RDONLY))
    list(batches)
except RuntimeError as error:
    print(len(kept), error)
"""
    told = "Too many open files. Communication with the workers is no longer possible. Please increase the limit using"
    assert processes.output(script).startswith(f"3 {told}")


def test_descriptors_wait_for_their_turn(monkeypatch):
    ours, theirs = multiprocessing.Pipe()
    sender, receiver = messages.Sender(theirs), messages.Receiver(ours)
    real, refused = socket.send_fds, iter([OSError(errno.ETOOMANYREFS, "too many"), None])

    def send_fds(*arguments):
        if (error := next(refused, None)) is not None:
            raise error
        return real(*arguments)

    monkeypatch.setattr(socket, "send_fds", send_fds)
    sender.send(ng.ones(10_000))
    monkeypatch.setattr(socket, "send_fds", lambda *arguments: (_ for _ in ()).throw(OSError(errno.EIO, "refused")))
    with pytest.raises(OSError, match="refused"):
        sender.send(ng.ones(10_000))
    monkeypatch.undo()
    sender.send("after")
    assert receiver.receive().sum().item() == 10_000
    assert receiver.receive() == "after"
    receiver.close()
    sender.close()


def test_large_messages_block_nobody():
    # More indices ahead, and larger samples, than fit into a pipe: neither side may wait for the other.
    text = "x" * 300_000
    batches = data.DataLoader(
        [text] * 12,
        batch_sampler=[list(range(12)) * 5000] * 3,
        num_workers=1,
        multiprocessing_context="fork",
        prefetch_factor=3,
        collate_fn=lambda samples: [len(samples), samples[0], samples[1]],
    )
    assert [batch[0] for batch in batches] == [60_000] * 3


# ---- Ctrl-C and the end of the program ------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys, time
import numgrad as ng
from numgrad.utils.data import DataLoader
from tests.utils.loading import Images
if __name__ == "__main__":
    words = {"num_workers": 2, "multiprocessing_context": sys.argv[1], "persistent_workers": sys.argv[2] == "persistent"}
    loader = DataLoader(Images(1_000_000), 8, **words)
    iterator = iter(loader)
    next(iterator)
    print(*[worker.pid for worker in iterator._workers], flush=True)
    end = sys.argv[3]
    if end == "exit":
        sys.exit(0)
    if end == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    for batch in iterator:
        pass
"""


def _alive(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("end", ["interrupted", "exit", "killed"])
@pytest.mark.parametrize(("method", "keeps"), [("fork", "fresh"), ("fork", "persistent"), ("spawn", "fresh")])
def test_workers_end_with_their_program(tmp_path, method, keeps, end):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(script), method, keeps, end],
        env=processes.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        pids = [int(word) for word in program.stdout.readline().split()]
        assert len(pids) == 2
        if end == "interrupted":
            time.sleep(0.2)
            os.killpg(program.pid, signal.SIGINT)  # as a terminal does: all of the group get it
        _, errors = program.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, pids))
    if end == "interrupted":
        assert errors.count("KeyboardInterrupt") == 1, errors
        assert errors.count("Traceback") == 1, errors
    else:
        assert errors == ""


def test_a_fork_of_the_program_leaves_the_workers_alone():
    batches = iter(data.DataLoader(Images(40), 4, num_workers=2, multiprocessing_context="fork"))
    next(batches)
    child = os.fork()
    if child == 0:
        batches._end()
        del batches
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(batches)) == 9


def test_ctrl_c_that_the_program_survives():
    batches = loader("fine", "wait", "wait", collate_fn=same)
    iterator = iter(batches)
    assert next(iterator) == 1
    previous = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            next(iterator)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert iterator.is_over


def test_ctrl_c_while_workers_start(monkeypatch):
    start = multiprocessing.context.ForkProcess.start

    def interrupted(process):
        os.kill(os.getpid(), signal.SIGINT)
        start(process)

    monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        iter(loader("fine"))
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_pickle_that_fails_leaves_no_worker():
    with (
        pytest.warns(UserWarning, match="Got pickle error when attempting to start a worker Process"),
        pytest.raises((AttributeError, TypeError, Exception), match="pickle"),
    ):
        iter(loader("fine", multiprocessing_context="spawn", collate_fn=lambda samples: samples))


@pytest.mark.soak
def test_many_epochs_leave_nothing():
    for _ in range(100):
        for images, _ in data.DataLoader(Images(), 4, num_workers=2, multiprocessing_context="fork"):
            assert images.shape[0] == 4


# ---- the check itself -----------------------------------------------------------------------------------------------


def test_what_is_left_is_seen_and_what_others_hold_is_not(tmp_path):
    name = f"psm_numgrad_{os.getpid()}"
    path = f"/dev/shm/{name}"
    script = f"""
import mmap, os, subprocess, sys
if len(sys.argv) == 1:  # a grandchild, which is no child of the test
    subprocess.Popen([sys.executable, "-c", sys.orig_argv[2], "hold"], stdin=0)
    sys.exit()
with open({path!r}, "r+b") as file:
    memory = mmap.mmap(file.fileno(), 8)
open({str(tmp_path / "held")!r}, "w").close()
sys.stdin.read()
"""
    with open(path, "wb") as file:
        file.write(bytes(8))
    try:
        assert name in shared_files()
        read, write = os.pipe()
        subprocess.run([sys.executable, "-c", script], stdin=read, check=True)
        os.close(read)
        deadline = time.monotonic() + 30
        while not (tmp_path / "held").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        held = name in shared_files()
        os.close(write)  # it ends
        assert not held
        while name not in shared_files() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert name in shared_files()
    finally:
        os.unlink(path)
