"""The pool: results, counts, fork, exit, and a short form of the stress test."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from numgrad.runtime import cpus, pool, program, threads, workers
from numgrad.runtime.kernel import kernel
from numgrad.runtime.program import Address, Array, Launch, Program

from . import processes, stress_pool


@kernel("f8[:], f8[:]")
def partial_sums(x, sums, start, stop):
    total = 0.0
    for i in range(start, stop):
        total += x[i]
    sums[start] = total


@kernel("i8[:]")
def note_worker(workers, start, stop, worker):
    for i in range(start, stop):
        for _ in range(2000):
            workers[i] = max(workers[i], worker + 1)


@pytest.fixture(autouse=True)
def _same_number_of_threads_afterwards():
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def _sums(count: int, grain: int) -> np.ndarray:
    x, sums = np.random.default_rng(0).standard_normal(count), np.zeros(count)
    arrays = (Array(Address(0), (count,)), Array(Address(1), (count,)))
    made = Program([Launch(partial_sums, (), arrays, count, grain, 1, threads.MOST_THREADS)], 2)
    program.launch(made, x.ctypes.data, sums.ctypes.data)
    return sums


@pytest.mark.parametrize(("count", "grain"), [(1, 1), (7, 7), (8, 7), (1000, 1), (4099, 64)])
def test_same_bits_for_any_number_of_threads(count, grain):
    threads.set_num_threads(1)
    alone = _sums(count, grain)
    for number in (2, 3, 8):
        threads.set_num_threads(number)
        assert _sums(count, grain).tobytes() == alone.tobytes()


def test_a_region_of_more_chunks_than_a_ticket_counts():
    count = pool.MOST_CHUNKS + 3
    threads.set_num_threads(3)
    values = np.zeros(count, np.int64)
    inside = np.zeros(16 * 3, np.int64)
    arguments = (Array(Address(0), (count,)), Array(Address(1), (48,)), 5, 3, Array(Address(-1), (1,)))
    made = Program([Launch(stress_pool.advance, (), arguments, count, 1, 1 << 20, 3)], 2)
    assert program.launch(made, values.ctypes.data, inside.ctypes.data) == 0
    assert (values == 5).all()


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_worker_index_is_below_the_launchs_workers(limit):
    threads.set_num_threads(4)
    workers = np.zeros(400, np.int64)
    made = Program([Launch(note_worker, (), (Array(Address(0), (400,)),), 400, 1, 1 << 20, limit)], 1)
    for _ in range(20):
        program.launch(made, workers.ctypes.data)
    assert workers.min() >= 1
    assert workers.max() <= limit


def test_workers_take_part_and_sleep_when_there_is_nothing_to_do():
    threads.set_num_threads(2)
    seen = set()
    made = Program([Launch(note_worker, (), (Array(Address(0), (400,)),), 400, 1, 1 << 20, 2)], 1)
    deadline = time.monotonic() + 20
    while seen != {1, 2} and time.monotonic() < deadline:
        workers = np.zeros(400, np.int64)
        program.launch(made, workers.ctypes.data)
        seen |= set(workers.tolist())
        time.sleep(0.001)
    assert seen == {1, 2}
    time.sleep(0.05)
    begin = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - begin < 0.1


def test_set_num_threads_while_launches_run():
    stop = threading.Event()
    errors = []

    def launches():
        try:
            launcher = stress_pool.Launcher(7, programs=5)
            while not stop.is_set():
                launcher.one()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=launches) for _ in range(2)]
    for thread in running:
        thread.start()
    for number in (1, 4, 2, 6, 1, 3) * 3:
        threads.set_num_threads(number)
        assert threads.get_num_threads() == number
        time.sleep(0.005)
    stop.set()
    for thread in running:
        thread.join()
    assert not errors


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_stop_and_start_leave_no_thread_behind():
    script = """
import os
from tests.runtime import stress_pool
from numgrad.runtime import pool, threads
def count():
    return len(os.listdir("/proc/self/task"))
launcher, before = stress_pool.Launcher(1, programs=5), count()
for number in (3, 2, 5):
    threads.set_num_threads(number)
    threads.start()
    launcher.many()
    print(count() - before)
threads.stop()
print(count() - before, threads._words[pool.ALIVE // 8])
"""
    assert processes.output(script) == "2\n1\n4\n0 0\n"


def _start_with(monkeypatch, replacement):
    """Let ``replacement(start, *arguments)`` start the workers."""
    called = threads._called

    def replaced(native, arity):
        start = called(native, arity)
        return (lambda *arguments: replacement(start, *arguments)) if native is workers.start else start

    monkeypatch.setattr(threads, "_called", replaced)


def test_an_interrupted_start_is_made_good(monkeypatch):
    threads.set_num_threads(3)
    threads.stop()
    calls = []

    def interrupted(start, *arguments):
        error = start(*arguments)
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return error

    _start_with(monkeypatch, interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads.start()
    assert not threads.ready
    threads.start()
    time.sleep(0.05)
    assert threads._words[pool.ALIVE // 8] == 2


@pytest.mark.parametrize("started", [0, 1])
def test_a_system_without_threads_launches_with_those_that_there_are(started, monkeypatch, caplog):
    threads.set_num_threads(3)
    threads.stop()
    calls = []

    def refuse(start, *arguments):
        calls.append(arguments)
        return start(*arguments) if len(calls) <= started else errno.EAGAIN

    with monkeypatch.context() as patch:
        _start_with(patch, refuse)
        assert _sums(1000, 10)[::10].all()
        assert f"launches use {started + 1} threads, expected 3: Resource temporarily" in caplog.text
        assert threads._words[pool.THREADS // 8] == started
    threads.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_no_room_for_stacks_is_told_and_waited_for_by_nobody():
    script = """
import resource
from tests.runtime import stress_pool
from numgrad.runtime import threads
threads.set_num_threads(2)
launcher = stress_pool.Launcher(1, programs=5)
launcher.one()
threads.stop()
now = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (now + (20 << 20), now + (20 << 20)))
threads.set_num_threads(16)
threads.start()
for _ in range(20):
    launcher.one()
threads.stop()
print("well")
"""
    done = processes.run(script, timeout=60)
    assert done.stdout == "well\n", done.stderr
    assert re.search(r"launches use [1-6] threads, expected 16: Resource temporarily unavailable", done.stderr)


@pytest.mark.parametrize("bad", [0, -1, 1.0, "2", True, None, threads.MOST_THREADS + 1])
def test_set_num_threads_refuses(bad):
    before = threads.get_num_threads()
    with pytest.raises(ValueError, match=r"set_num_threads: count is .*expected an int from 1 to"):
        threads.set_num_threads(bad)
    assert threads.get_num_threads() == before


@pytest.mark.parametrize("bad", ["0", "-2", "two", "1.5", "999999"])
def test_the_environments_number_of_threads_is_checked(bad, monkeypatch):
    monkeypatch.setattr(threads, "_count", 0)
    monkeypatch.setenv("NUMGRAD_NUM_THREADS", bad)
    with pytest.raises(ValueError, match=r"NUMGRAD_NUM_THREADS is .* expected an integer"):
        threads.get_num_threads()
    monkeypatch.setenv("NUMGRAD_NUM_THREADS", " 5 ")
    assert threads.get_num_threads() == 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_affinity_gives_the_default():
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from numgrad.runtime import threads; print(threads.get_num_threads())"
    )
    assert processes.output(script, NUMGRAD_NUM_THREADS=None) == "1\n"


def _group(root, path, text):
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_quota_of_control_groups_version_2(tmp_path):
    assert cpus.cgroup_quota(tmp_path) is None
    _group(tmp_path, "proc/self/cgroup", "0::/a/b\n")
    assert cpus.cgroup_quota(tmp_path) is None
    _group(tmp_path, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    assert cpus.cgroup_quota(tmp_path) is None
    _group(tmp_path, "sys/fs/cgroup/a/cpu.max", "150000 100000\n")
    assert cpus.cgroup_quota(tmp_path) == 1.5
    _group(tmp_path, "sys/fs/cgroup/cpu.max", "50000 100000\n")
    assert cpus.cgroup_quota(tmp_path) == 0.5
    _group(tmp_path, "sys/fs/cgroup/cpu.max", "nonsense\n")
    assert cpus.cgroup_quota(tmp_path) == 1.5


def test_quota_of_control_groups_version_1(tmp_path):
    _group(tmp_path, "proc/self/cgroup", "5:memory:/x\n2:cpu,cpuacct:/docker/abc\n0::/\n")
    _group(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    _group(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert cpus.cgroup_quota(tmp_path) is None
    _group(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n")
    assert cpus.cgroup_quota(tmp_path) == 2.5


def test_quota_is_rounded_up(monkeypatch):
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: range(8), raising=False)
    for quota, count in ((None, 8), (0.2, 1), (1.0, 1), (1.5, 2), (64.0, 8)):
        monkeypatch.setattr(cpus, "cgroup_quota", lambda quota=quota: quota)
        assert cpus.available_cpus() == count


# ---- fork, exit, signals ----------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

FORK_SCRIPT = """
import os, threading, time
from tests.runtime import stress_pool
from numgrad.runtime import threads
threads.set_num_threads(3)
launcher = stress_pool.Launcher(1, programs=5)
other, stop = stress_pool.Launcher(2, programs=5), threading.Event()
def launches():
    while not stop.is_set():
        other.many()
thread = threading.Thread(target=launches)
thread.start()
for round in range(6):
    launcher.one()
    stress_pool._fork_once(round)
    launcher.many()
stop.set()
thread.join()
print("parent is well")
"""


@needs_fork
def test_fork_while_another_thread_holds_the_pool():
    assert processes.run(FORK_SCRIPT).stdout == "parent is well\n"


@needs_fork
def test_fork_while_another_thread_compiles():
    script = """
import os, threading, time
from numgrad.runtime.kernel import kernel
from tests.runtime import stress_pool
@kernel("f4[:]")
def one(x, start, stop):
    x[start] = x[start] + x[start]
thread = threading.Thread(target=one.entry)
thread.start()
time.sleep(0.1)
child = os.fork()
if not child:
    os._exit(0 if one.entry() else 1)
thread.join()
print(os.waitpid(child, 0)[1])
"""
    assert processes.run(script, NUMGRAD_KERNEL_STORE="off").stdout == "0\n"


@needs_fork
def test_multiprocessing_by_fork():
    script = """
import multiprocessing
from tests.runtime import stress_pool
launcher = stress_pool.Launcher(3, programs=5)
launcher.one()
def task(seed):
    return launcher.one()
with multiprocessing.get_context("fork").Pool(2) as workers:
    print(sum(workers.map(task, range(40))))
launcher.one()
"""
    assert processes.run(script).stdout == "40\n"


@pytest.mark.parametrize("how", ["awake", "asleep", "launching"])
def test_exit(how):
    assert processes.output(stress_pool.EXIT_SCRIPT, how) == ""


def test_launch_while_the_interpreter_exits():
    script = """
import atexit
launcher = None
atexit.register(lambda: print(launcher.one(), launcher.one()))  # runs after numgrad's own
from tests.runtime import stress_pool
launcher = stress_pool.Launcher(1, programs=3)
launcher.one()
"""
    assert processes.output(script) == "1 1\n"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer here")
def test_signals_during_launches_and_sleep():
    count = []
    before = signal.signal(signal.SIGALRM, lambda *_: count.append(1))
    try:
        threads.set_num_threads(3)
        launcher = stress_pool.Launcher(5, programs=5)
        signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
        for _ in range(50):
            launcher.many()
            time.sleep(1e-4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert count


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_control_c_during_launches():
    script = """
import os, signal, threading
from tests.runtime import stress_pool
launcher = stress_pool.Launcher(1, programs=5)
print("ready", flush=True)
try:
    while True:
        launcher.many()
except KeyboardInterrupt:
    print("interrupted")
"""
    command, settings = [sys.executable, "-c", script], processes.environment()
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=processes.ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=30)[0] == "interrupted\n"
        finally:
            process.kill()
    assert process.returncode == 0


# ---- the whole protocol -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "poll"])
def test_short_stress(method):
    script = """
import os, sys
from tests.runtime import stress_pool
stress_pool.stress(int(sys.argv[1]), forks=hasattr(os, "fork"))
"""
    done = processes.run(script, "8000" if method == "auto" else "1000", timeout=120, NUMGRAD_WAIT=method)
    assert done.returncode == 0, done.stderr


def test_the_ways_to_wait_are_checked():
    done = processes.run("import numgrad.runtime.wait", NUMGRAD_WAIT="wish")
    assert "NUMGRAD_WAIT is 'wish', expected one of auto, futex" in done.stderr
