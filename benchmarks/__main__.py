"""``python -m benchmarks``: run every benchmark against torch; a table, a plot and all numbers go into a folder.

Each benchmark can be run by itself, too (``python -m benchmarks surface``): ``--list`` names them. Leave
the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.report import as_markdown, draw
from benchmarks.sections import SECTIONS, Row

_HELPERS = ("__init__.py", "__main__.py", "common.py", "report.py", "sections.py", "worker.py", "torch_resnet.py",
            "torch_twins.py", "jax_steps.py", "surface_cases.py", "surface_operands.py", "surface_reasons.py",
            "surface_results.py", "accuracy_functions.py")  # fmt: skip


def single() -> dict[str, Path]:
    """The files of the single benchmarks, by name."""
    paths = sorted(Path(__file__).parent.glob("*.py"))
    return {path.stem: path for path in paths if path.name not in _HELPERS}


def show_list() -> None:
    """Print each benchmark's command and the first line of its text."""
    for name, path in single().items():
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        print(f"python -m benchmarks {name:20} {text.partition(chr(10))[0]}")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run the benchmarks, numgrad and torch turn by turn, and write results.json, results.md and (with "
        "matplotlib) results.svg. About 12 minutes on 2 cores; 5 with --quick.",
    )
    parser.add_argument("--list", action="store_true", help="only list the single benchmarks and what they measure")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SECTIONS,
        metavar="SECTION",
        help=f"only these, the others' results stay as they are; of: {', '.join(SECTIONS)}",
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats: the numbers are noisier")
    parser.add_argument("--output", type=Path, default=common.ROOT / "docs" / "benchmarks", metavar="FOLDER",
                        help="where the results go (default: docs/benchmarks)")  # fmt: skip
    parser.add_argument("--redraw", action="store_true", help="only make table and plot again from results.json")
    return parser


def main() -> int:
    """Run the command line; 1 if a benchmark failed (the others' results are written all the same)."""
    if sys.argv[1:2] and sys.argv[1] in single():
        sys.argv[:2] = [f"{sys.argv[0]} {sys.argv[1]}"]
        return int(import_module(f"benchmarks.{sys.argv[0].rpartition(' ')[2]}").main() or 0)
    args = make_parser().parse_args()
    if args.list:
        show_list()
        return 0
    place = args.output / "results.json"
    if args.redraw:
        results = json.loads(place.read_text())
    else:
        results = measure(args.only or list(SECTIONS), args.quick)
        if args.only and place.exists():
            results["sections"] = {**json.loads(place.read_text())["sections"], **results["sections"]}
    write(results, args.output)
    return 1 if results["failed"] else 0


def measure(names: list[str], quick: bool) -> dict[str, Any]:
    """Run sections; everything that results.json holds."""
    results: dict[str, Any] = {"machine": common.machine(), "quick": quick, "sections": {}, "failed": []}
    common.print_machine(results["machine"])
    for name in names:
        started = time.perf_counter()
        try:
            results["sections"][name] = SECTIONS[name](quick).as_json()
        except RuntimeError as error:
            print(f"{name}: {error}", file=sys.stderr)
            results["failed"].append(name)
            continue
        spent = results["sections"][name]["seconds"] = time.perf_counter() - started
        print(f"\n{name} ({spent:.0f} s)")
        show([Row(**row) for row in results["sections"][name]["rows"]])
    return results


def show(rows: list[Row]) -> None:
    """Print what a section found."""
    for row in rows:
        values = "   ".join(f"{side} {value:.4g}" for side, value in row.values.items())
        ratios = f"   × {row.ratios['best']:.2f}" if row.ratios else ""
        print(f"  {row.name:44} {row.unit:8} {values}{ratios}")


def write(results: dict[str, Any], folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    drawn = draw(results, folder / "results.svg")
    (folder / "results.md").write_text(as_markdown(results, picture="results.svg" if drawn else None))
    print(f"\nwritten to {folder}: results.json, results.md{', results.svg' if drawn else ''}")


if __name__ == "__main__":
    sys.exit(main())
