"""Fuzzing of the readers: whatever the bytes, a result or WeightsFormatError, soon and in little memory.

Run by hand, from the root of the repository::

    python -m tests.serialization.fuzz --inputs 200000

With atheris installed the search is guided by code coverage. Without it, an input that is refused for a new reason is
kept as a seed: every check has its own reason, so reasons are a coverage of the checks.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.serialization.dialects import (
    Call,
    Legacy,
    Name,
    Raw,
    Storage,
    Str2,
    new_zip,
    numpy_array,
    numpy_scalar,
    old_zip,
    old_zip_entries,
    pickled,
    safetensors_bytes,
    tensor,
    zip_bytes,
)

MAX_SECONDS = 1.0
MAX_EXTRA_BYTES = 200 << 20


@dataclass
class Target:
    """One way into the readers: inputs to start from, how an input becomes a file, and words to mix in."""

    seeds: list[bytes]
    as_file: Callable[[bytes], bytes]
    words: list[bytes]
    skip: bool = False  # whether names beyond the short list become placeholders


def example() -> dict[str, Any]:
    """An object that reaches most of the pickle machine."""
    six = np.arange(6, dtype=np.float32).reshape(2, 3)
    shared = Storage("140000000000001", "HalfStorage", bytes(24), 12, "cuda:0")
    untyped = Storage("3", "storage.UntypedStorage", bytes(8), 8)
    v3 = (untyped, 0, (2,), (2,), False, OrderedDict(), Name("torch", "uint16"))
    state = Call(Name("collections", "OrderedDict"), (), {"_metadata": {"": {"version": 1}}})
    return {
        "parameter": tensor(six, "0", parameter=True),
        "transposed": tensor(six, "1", size=(3, 2), stride=(1, 3)),
        "views": [tensor(six, "", storage=shared, offset=i) for i in (0, 3, 6)],
        "other": (tensor(np.array(True), "2"), Call(Name("torch._utils", "_rebuild_tensor_v3"), v3)),
        "state": state,
        "plain": [1, 300, -1, 2**40, 1.5, None, True, "text", (), (1,), (1, 2, 3, 4), Raw(b"U\1a")],
        "text": [
            Str2(b"caf\xe9"),
            Raw(b"I01\n"),
            Raw(b"L-99L\n"),
            Raw(b"F1.5\n"),
            Raw(b"S'a\\xff'\np900\n"),
            Raw(b"Vab\n"),
            Raw(b"(lp901\ng901\n0"),
        ],
        "numpy": [numpy_array(six), numpy_array(six.astype(">f8"), python_2=True), numpy_scalar(np.int16(3))],
        "bytes": [
            Call(Name("_codecs", "encode"), ("\xff\0", "latin1")),
            Raw(b"C\1a"),
            Call(Name("__builtin__", "complex"), (1.0, 2.0)),
        ],
        "pairs": Call(Name("collections", "OrderedDict"), ([["b", 1], [2**40, 2]],)),
        "counter": Call(Name("collections", "Counter"), ({1: 2},)),
        7: Call(Name("torch", "Size"), ((2, 3),)),
    }


def with_classes() -> dict[str, Any]:
    """An object that is read with ``unknown="skip"`` alone."""
    options = Call(Name("argparse", "Namespace"), (), {"lr": 0.1, "names": ["a"], "weight": tensor(np.ones(2), "9")})
    return {
        "args": options,
        "set": Call(Name("__builtin__", "set"), ([1, 2],)),
        "new": Raw(b"ca\nb\n)\x81}b"),
        "old": Raw(b"(K\1ia\nb\n}b"),
        "object": Raw(b"(ca\nb\no"),
        "dict": Raw(b"ccollections\ndefaultdict\n(c__builtin__\nlist\ntR(K\1]u"),
        "sets": Raw(b"(\x8f(K\1\x90(K\2\x91t"),
        "named": Raw(b"X\1\0\0\0aX\1\0\0\0b\x93)R"),
        "cycle": Raw(b"ca\nb\n)\x81q\xc8}X\1\0\0\0ah\xc8sb"),
        "objects": numpy_array(np.zeros(2), code="O8"),
        "keys": Raw(b"}(G?\xf8\0\0\0\0\0\0K\1)K\2u"),
        "quantized": tensor(np.ones(2), "8", storage=Storage("8", "QInt8Storage", bytes(2), 2)),
    } | example()


def targets() -> dict[str, Target]:
    """The ways in. The pickle is mutated inside of an archive with right checksums too, or none would be reached."""
    small = {"a": tensor(np.arange(3, dtype=np.int64), "0")}
    by_python_2 = {name: part for name, part in example().items() if name != "bytes"}
    by_python_2["numpy"] = [numpy_array(np.ones(2), "core", python_2=True), numpy_scalar(np.float64(3), python_2=True)]
    opcodes = [bytes([opcode]) for opcode in b"(N\x88\x89KMJ\x8aGXU)t\x85\x86\x87]}aesuqrhjcQRb."
               b"TILFSVldpg01io\x81\x8bBC\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96"]  # fmt: skip
    names = [b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n)R", b"ctorch._utils\n_rebuild_tensor_v2\n",
             b"ctorch._utils\n_rebuild_parameter\n", b"cos\nsystem\n", b"X\1\0\0\0a",
             b"}K\1K\2s", b"\x89)R", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"c_codecs\nencode\n",
             b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy._core.multiarray\nscalar\n", b"cargparse\nNamespace\n",
             b")\x81", b"}b", b"I01\n", b"\n", b"L99999999999L\n", b"c__builtin__\nset\n"]  # fmt: skip
    header = (b'{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},'
              b'"v":{"dtype":"I8","shape":[],"data_offsets":[16,17]},"e":{"dtype":"BF16","shape":[0],'
              b'"data_offsets":[17,17]}}')  # fmt: skip
    zip_words = [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08", b"archive/", b"../"]
    json_words = [b'"dtype":', b'"shape":', b'"F8_E4M3"', b"[", b"]", b"{", b"}", b",", b"1e9", b"NaN", b"-1",
                  b"\\ud800", b"18446744073709551616", b"true", b"null", b" "]  # fmt: skip

    def in_archive(data: bytes, obj: Any = None) -> bytes:
        entries = old_zip_entries(obj or example())
        entries[0].data = data
        return zip_bytes(entries)

    def in_archive_with_classes(data: bytes) -> bytes:
        return in_archive(data, with_classes())

    return {
        "archive": Target([old_zip(small), new_zip(small), zip_bytes(old_zip_entries(small), zip64=False)],
                          lambda data: data, zip_words),
        "pickle": Target([pickled(example())[0]], in_archive, opcodes + names),
        "classes": Target([pickled(with_classes())[0]], in_archive_with_classes, opcodes + names, skip=True),
        "python 2": Target([Legacy(by_python_2, python_2=True).data(), Legacy(small, python_2=True).data()],
                           lambda data: data, opcodes + names, skip=True),
        "legacy": Target([Legacy(example()).data(), Legacy(small).data()], lambda data: data, opcodes + names),
        "safetensors": Target([safetensors_bytes(header, bytes(17)), safetensors_bytes({})], lambda data: data,
                              json_words),
        "header": Target([header], lambda data: safetensors_bytes(data, bytes(17)), json_words),
    }  # fmt: skip


def mutated(generator: random.Random, seeds: list[bytes], words: list[bytes]) -> bytes:
    """One seed with one to a few random changes."""
    data = bytearray(generator.choice(seeds))
    for _ in range(1 << generator.choice((0, 0, 1, 2, 3))):
        at = generator.randrange(len(data) + 1)
        end = min(len(data), at + (1 << generator.randrange(6)))
        kind = generator.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << generator.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = generator.randrange(256)
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = generator.choice(words)
        elif kind == 4:
            word = generator.choice(words)
            data[at : at + len(word)] = word
        elif kind == 5:
            data[at:at] = data[at:end] * generator.choice((1, 2, 100))
        elif kind == 6:
            other = generator.choice(seeds)
            start = generator.randrange(len(other) + 1)
            data[at:end] = other[start : start + end - at]
        else:
            size = generator.choice((1, 2, 4, 8))
            edge = generator.choice((0, 1, 2, -1, -2, 1 << (8 * size - 1), (1 << (8 * size - 1)) - 1, len(data)))
            data[at : at + size] = (edge % (1 << (8 * size))).to_bytes(size, "little")
    return bytes(data[: 1 << 16])


def has_placeholders(tree: Any) -> bool:
    """Whether something in a result stands for an object that was not read."""
    from numgrad.serialization import Placeholder

    if isinstance(tree, dict):
        parts = [*tree, *tree.values(), getattr(tree, "_metadata", None)]
        return any(map(has_placeholders, parts))
    return isinstance(tree, Placeholder) or (isinstance(tree, (list, tuple)) and any(map(has_placeholders, tree)))


def check(data: bytes, skip: bool = False) -> str:
    """Read a file; gives the kind of outcome, and raises for whatever no reader may do."""
    from numgrad.serialization import WeightsFormatError, load, save

    started = time.process_time()
    try:
        result = load(io.BytesIO(data), unknown="skip" if skip else "refuse")
    except WeightsFormatError as error:
        outcome = re.sub(r"b?'.*'|b?\".*\"|[0-9a-f]{8}|\d+", "*", error.reason)
    else:
        outcome = "read"
    seconds = time.process_time() - started
    if seconds > MAX_SECONDS:
        raise TimeoutError(f"{seconds:.1f} s to read {len(data)} bytes")
    if outcome == "read" and skip and has_placeholders(result):
        return "read with placeholders"
    if outcome == "read":
        # What can be read can be saved, and then is the same: the second file has the bytes of the first.
        first, second = io.BytesIO(), io.BytesIO()
        save(result, first)
        save(load(io.BytesIO(first.getvalue())), second)
        assert first.getvalue() == second.getvalue(), "what was saved is read as something else"
    return outcome


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Bound the address space and the CPU time of a single call, where the system can."""
    try:
        import resource
    except ImportError:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm")
    if pages.exists():
        now = int(pages.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MAX_EXTRA_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run_guided_by_reasons(name: str, inputs: int, seed: int) -> dict[str, int]:
    """Fuzz one target; gives how often each outcome came."""

    def too_slow(*_: object) -> None:
        raise TimeoutError(f"more than {MAX_SECONDS} s")

    target = targets()[name]
    generator = random.Random(seed)
    seeds = list(target.seeds)
    outcomes: dict[str, int] = {}
    # The first call imports modules and makes caches, which are not the input's memory.
    for start in target.seeds:
        check(target.as_file(start), target.skip)
    previous = signal.signal(signal.SIGPROF, too_slow)
    try:
        with limited():
            for _ in range(inputs):
                # Half of the inputs come from the valid seeds, since what is refused early reaches little.
                data = mutated(generator, generator.choice((target.seeds, seeds)), target.words)
                try:
                    # The clock of the check itself sees what ends; the alarm ends what does not.
                    signal.setitimer(signal.ITIMER_PROF, 5 * MAX_SECONDS)
                    outcome = check(target.as_file(data), target.skip)
                except BaseException as error:
                    signal.setitimer(signal.ITIMER_PROF, 0)
                    error.add_note(f"target {name}, input {data!r}") if hasattr(error, "add_note") else None
                    raise
                if outcome not in outcomes and len(seeds) < 500:
                    seeds.append(data)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    return outcomes


def run_guided_by_coverage(name: str, inputs: int, seed: int) -> None:
    """Fuzz one target with atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["numgrad.serialization"]):
        import numgrad.serialization  # noqa: F401
    target = targets()[name]
    with tempfile.TemporaryDirectory() as corpus:
        for index, start in enumerate(target.seeds):
            (Path(corpus) / str(index)).write_bytes(start)
        (Path(corpus) / "words").write_text("\n".join('"' + "".join(f"\\x{b:02x}" for b in word) + '"'
                                                      for word in target.words) + "\n")  # fmt: skip
        for start in target.seeds:
            check(target.as_file(start), target.skip)
        options = [f"-runs={inputs}", f"-seed={seed + 1}", "-max_len=65536", "-timeout=300", f"-dict={corpus}/words",
                   "-print_final_stats=1", f"-rss_limit_mb={(MAX_EXTRA_BYTES >> 20) + 400}"]  # fmt: skip
        atheris.Setup([sys.argv[0], *options, corpus], lambda data: void(check(target.as_file(data), target.skip)))
        atheris.Fuzz()


def void(_: object) -> None:
    """atheris wants functions without a result."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=200_000, help="in total, over all targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=[*targets(), "all"], default="all")
    parser.add_argument("--engine", choices=["auto", "atheris", "reasons"], default="auto")
    arguments = parser.parse_args()
    engine = arguments.engine
    if engine == "auto":
        try:
            import atheris  # noqa: F401

            engine = "atheris"
        except ImportError:
            engine = "reasons"
    names = list(targets()) if arguments.target == "all" else [arguments.target]
    for name in names:
        count = -(-arguments.inputs // len(names))
        if engine == "atheris" and len(names) > 1:
            command = [sys.executable, "-m", "tests.serialization.fuzz", "--target", name, "--engine", engine,
                       "--inputs", str(count), "--seed", str(arguments.seed)]  # fmt: skip
            subprocess.run(command, check=True)
        elif engine == "atheris":
            run_guided_by_coverage(name, count, arguments.seed)
        else:
            started = time.perf_counter()
            outcomes = run_guided_by_reasons(name, count, arguments.seed)
            seconds, reasons = time.perf_counter() - started, len(outcomes.keys() - {"read", "read with placeholders"})
            read = sum(count for outcome, count in outcomes.items() if outcome.startswith("read"))
            sys.stdout.write(f"{name}: {count} inputs in {seconds:.0f} s, {read} read, {reasons} reasons of refusal\n")


if __name__ == "__main__":
    main()
