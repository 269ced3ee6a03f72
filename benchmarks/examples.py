"""The programs of examples/ and the same programs in torch: results, times, figures, and the page docs/examples.md.

Each is run as a process of its own: in numgrad with an empty store of kernels, so that all is compiled, then for some seeds, and
once in torch. The program is the same but for its lines of import. All have one thread, and their time is the
processor's, of the whole process: so the numbers can be compared though other programs were running.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.report import machine_line
from tests.examples.table import EXAMPLES, Example

FOLDER = common.ROOT / "docs" / "examples"
PAGE = common.ROOT / "docs" / "examples.md"
_TWINS = ("numgrad.datasets", "numgrad.models")
_IMPORT = re.compile(r"^( *)(import|from) (numgrad[\w.]*)", re.MULTILINE)


def in_torch(text: str) -> str:
    """A program of numgrad's as one of torch's: its lines of import are changed, nothing else.

    >>> in_torch("import numgrad as ng\\nfrom numgrad.datasets import Digits")
    'import torch as ng\\nfrom benchmarks.torch_twins import Digits'
    """

    def changed(match: re.Match[str]) -> str:
        module = match[3]
        new = "benchmarks.torch_twins" if module in _TWINS else module.replace("numgrad", "torch", 1)
        return f"{match[1]}{match[2]} {new}"

    return _IMPORT.sub(changed, text)


def run(example: Example, program: Path, *arguments: str, **environ: str) -> dict[str, Any]:
    """Run a program once, by one thread: the processor's seconds that it took, and what it found.

    Raises
    ------
    RuntimeError
        It failed.
    """
    begin = _cpu_seconds()
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        capture_output=True,
        text=True,
        cwd=common.ROOT,
        env=common.environment(MPLBACKEND="agg", NUMGRAD_NUM_THREADS="1", OMP_NUM_THREADS="1", **environ),
        check=False,
    )
    seconds = _cpu_seconds() - begin
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{done.stderr}")
    text, numbers = example.found(done.stdout)
    return {"seconds": seconds, "text": text, "numbers": numbers}


def _cpu_seconds() -> float:
    """Of all processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(example: Example, seeds: int, torch: bool) -> dict[str, Any]:
    """All runs of one example, by side; the figure is that of the first seed, made by the run that compiles."""
    program = common.ROOT / "examples" / f"{example.name}.py"
    sides: dict[str, list[dict[str, Any]]] = {"first": [], "numgrad": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        figure = FOLDER / f"{example.name}.png"
        store = os.path.join(folder, "kernels")
        sides["first"].append(run(example, program, "--out", str(figure), NUMGRAD_KERNEL_STORE=store))
        twin = Path(folder, program.name)
        twin.write_text(in_torch(program.read_text("utf-8")), "utf-8")
        for text in program.parent.glob("*.txt"):  # what a program reads stands beside it
            shutil.copy(text, folder)
        for seed in range(seeds):
            sides["numgrad"].append(run(example, program, "--seed", str(seed), NUMGRAD_KERNEL_STORE=store))
            if torch and not seed:
                sides["torch"].append(run(example, twin, "--seed", str(seed)))
            show(example, sides)
    return {name: runs for name, runs in sides.items() if runs}


def show(example: Example, sides: dict[str, list[dict[str, Any]]]) -> None:
    """Print the latest run of each side."""
    latest = [f"{name} {runs[-1]['seconds']:.1f} s {runs[-1]['numbers']}" for name, runs in sides.items() if runs]
    print(f"{example.name}: {'; '.join(latest)}", flush=True)


def as_page(results: dict[str, Any]) -> str:
    """docs/examples.md."""
    drawn = [example for example in EXAMPLES if example.drawn]
    lines = [
        "# Examples",
        "",
        "Each is a program of at most 100 lines that can be read by itself; a test runs it and asserts its result.",
        "`python examples/digits.py --out digits.png` runs one and saves its figure; `--seed` changes its random numbers.",
        "",
        "The results are those of seed 0, and in brackets the range over the seeds that were run. The seconds are the processor's,",
        "for the whole process with one thread, at the median: with the kernels in the store, in the first run of all, which",
        "compiles them, and for the same program with its lines of import changed to torch's. `python -m benchmarks.examples`",
        "measures all of it and writes this page.",
        "",
        machine_line(results) + ".",
        "",
        "| example | shows | result | torch's | seconds | first run | torch's seconds |",
        "|---|---|---|---|---:|---:|---:|",
    ]
    for example in drawn:
        sides = results["examples"].get(example.name, {})
        seconds = {name: statistics.median(run["seconds"] for run in runs) for name, runs in sides.items()}
        cells = [f"[{example.name}](../examples/{example.name}.py)", example.shows]
        cells += [_result(sides.get("numgrad", [])), _numbers(sides.get("torch", []))]
        cells += [f"{seconds[name]:.1f}" if name in seconds else "" for name in ("numgrad", "first", "torch")]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Shorter ones show a single idea, in words and without a figure:", ""]
    lines += [f"- [{each.name}](../examples/{each.name}.py): {each.shows}" for each in EXAMPLES if not each.drawn]
    for example in drawn:
        if not (FOLDER / f"{example.name}.png").exists():
            continue
        lines += ["", f"## {example.name}", "", f"![{example.shows}](examples/{example.name}.png)"]
    return "\n".join([*lines, ""])


def _result(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return "not measured yet"
    text = " ".join(runs[0]["text"].replace("|", "\\|").split())
    return f"{text} ({_ranges(runs)})"


def _numbers(runs: list[dict[str, Any]]) -> str:
    return ", ".join(f"{number:g}" for number in runs[0]["numbers"]) if runs else ""


def _ranges(runs: list[dict[str, Any]]) -> str:
    columns = zip(*(run["numbers"] for run in runs), strict=True)
    return ", ".join(f"{min(column):g} to {max(column):g}" for column in columns)


def _kept(place: Path) -> dict[str, Any]:
    """What was measured so far."""
    return json.loads(place.read_text("utf-8")) if place.exists() else {"examples": {}}


def main() -> int:
    """Run the command line."""
    parser = common.parser(__doc__, seeds=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these; the others' results stay as they are")
    parser.add_argument("--redraw", action="store_true", help="only write the page again, from results.json")
    args = parser.parse_args()
    place = FOLDER / "results.json"
    if not args.redraw:
        facts = common.machine()
        common.print_machine(facts)
        torch = common.has("torch")
        for example in EXAMPLES:
            if example.drawn and example.name in (args.only or [example.name]):
                found = measure(example, args.seeds, torch)
                results = _kept(place)  # read late: others may be measured at the same time
                results["machine"], results["examples"][example.name] = facts, found
                place.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    results = _kept(place)
    if args.json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
        return 0
    PAGE.write_text(as_page(results), "utf-8")
    print(f"written: {PAGE}, {place} and figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
