"""Says to LLVM which loops have turns that do not need each other.

LLVM puts a loop into vectors if no turn reads or writes what another one writes. Where it cannot see that, it asks before the
loop whether any two arrays overlap: some 50 comparisons in front of a row of a stencil. A loop whose text shows it
(`ops.loops.independent`) calls `kernels.room.independent_turns`, and is told so here: its loads and stores get one
``!llvm.access.group``, its jump back ``!llvm.loop`` with ``llvm.loop.parallel_accesses`` of that group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MARK = "numgrad.independent_turns"  # the function whose call stands in such a loop, until the module is optimised
_CALL = re.compile(rf"^\s*call void @{re.escape(MARK)}\(\)\s*$")
_LABEL = re.compile(r'^("[^"]+"|[-\w.$]+):')
_TARGET = re.compile(r'label %("[^"]+"|[-\w.$]+)')
_LOCAL = re.compile(r'^\s*(%(?:"[^"]+"|[-\w.$]+)) = alloca ')
_ACCESS = re.compile(r'^\s*(?:%(?:"[^"]+"|[-\w.$]+) = load |store ).*ptr (%(?:"[^"]+"|[-\w.$]+))')
_NODE = re.compile(r"^!(\d+) = ", re.MULTILINE)


def annotated(module: str) -> str:
    """The text of a module with its marked loops annotated, and without the marks."""
    if f"call void @{MARK}()" not in module:
        return module
    lines = module.split("\n")
    nodes = [int(number) for number in _NODE.findall(module)]
    first = max(nodes, default=-1) + 1
    more: list[str] = []
    begin = 0
    for number, line in enumerate(lines):
        if line.startswith("define "):
            begin = number
        elif line == "}":
            _annotate(lines, begin, number, first, more)
    return "\n".join([line for line in lines if MARK not in line] + more) + "\n"


def _annotate(lines: list[str], begin: int, end: int, first: int, more: list[str]) -> None:
    """Annotate the marked loops of the function in ``lines[begin:end]``."""
    marked = [number for number in range(begin, end) if _CALL.match(lines[number])]
    if not marked:
        return
    blocks: dict[str, range] = {}
    label, start = "", begin + 1
    for number in range(begin + 1, end):
        matched = _LABEL.match(lines[number])
        if matched:
            if label:
                blocks[label] = range(start, number)
            label, start = matched[1], number + 1
    blocks[label] = range(start, end)
    after = {name: [to for line in span for to in _TARGET.findall(lines[line])] for name, span in blocks.items()}
    bodies: dict[str, tuple[set[str], list[str]]] = {}
    for latch, head in _jumps_back(next(iter(blocks)), after):
        body, latches = bodies.setdefault(head, ({head}, []))
        latches.append(latch)
        body |= _reaching(latch, body, after)
    local = {matched[1] for number in range(begin, end) if (matched := _LOCAL.match(lines[number]))}
    for number in marked:
        [block] = [name for name, span in blocks.items() if number in span]
        body, latches = min((each for each in bodies.values() if block in each[0]), key=lambda each: len(each[0]))
        group = first + len(more)
        more += [
            f"!{group} = distinct !{{}}",
            f'!{group + 1} = !{{!"llvm.loop.parallel_accesses", !{group}}}',
            f"!{group + 2} = distinct !{{!{group + 2}, !{group + 1}}}",
        ]
        for name in body:
            for line in blocks[name]:
                access = _ACCESS.match(lines[line])
                if access and access[1] not in local:
                    lines[line] += f", !llvm.access.group !{group}"
        for name in latches:
            last = max(line for line in blocks[name] if _TARGET.search(lines[line]))
            lines[last] += f", !llvm.loop !{group + 2}"


def _jumps_back(entry: str, after: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """The jumps of a function to a block that it came from."""
    seen, above = {entry}, {entry}
    stack = [(entry, iter(after[entry]))]
    while stack:
        name, rest = stack[-1]
        to = next(rest, None)
        if to is None:
            above.discard(name)
            stack.pop()
        elif to in above:
            yield name, to
        elif to not in seen:
            seen.add(to)
            above.add(to)
            stack.append((to, iter(after[to])))


def _reaching(latch: str, body: set[str], after: dict[str, list[str]]) -> set[str]:
    """The blocks from which a block is reached without the loop's first."""
    before: dict[str, list[str]] = {}
    for name, targets in after.items():
        for to in targets:
            before.setdefault(to, []).append(name)
    matched, queue = {latch}, [latch]
    while queue:
        name = queue.pop()
        if name in body:
            continue
        for each in before.get(name, []):
            if each not in matched and each not in body:
                matched.add(each)
                queue.append(each)
    return matched
