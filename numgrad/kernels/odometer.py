"""The text of loops over operands of any strides: an odometer over the outer dimensions, and the inner loop."""

from __future__ import annotations


def rows_head(operands: list[str], outer: int) -> list[str]:
    """The odometer: where the first row starts, and where each operand's row does."""
    lines = ["    rest = start"] if outer > 1 else []
    for d in reversed(range(1, outer)):
        lines += [f"    i{d} = rest % n{d}", f"    rest = rest // n{d}"]
    lines += (
        ["    i0 = rest", "    for row in range(start, stop):"] if outer > 1 else ["    for i0 in range(start, stop):"]
    )
    for operand in operands:
        offset = " + ".join(f"i{d} * {operand}_s{d}" for d in range(outer))
        lines.append(f"        {operand}_o = {offset}")
    return lines


def rows_tail(outer: int) -> list[str]:
    """The odometer's step: a division for each dimension would take longer than a short row."""
    lines = []
    for d in reversed(range(outer)):
        indent = "    " * (outer - d + 1)
        lines.append(f"{indent}i{d} += 1")
        if d:
            lines += [f"{indent}if i{d} == n{d}:", f"{indent}    i{d} = 0"]
    return lines


def loop(
    operands: list[str],
    pattern: str,
    outputs: tuple[int | None, ...],
    count_in: int,
    extent: str,
    base: str,
    over: int | None,
) -> list[str]:
    """The inner loop; ``base`` is 'start' (flat) or '_o' (a row's offsets)."""
    lines: list[str] = []
    reads: list[str] = []
    writes: list[str] = []
    for operand, letter in zip(operands, pattern, strict=True):
        first = f"{operand}_o" if base == "_o" else "start"
        if letter == "a":
            lines.append(f"{operand}_v = {operand}[{first}:{first} + ({extent})]")
            access = f"{operand}_v[i]"
        elif letter == "s":
            lines.append(f"{operand}_v = {operand}[{first if base == '_o' else '0'}]")
            access = f"{operand}_v"
        else:
            lines.append(f"{operand}_b = {first}" + ("" if base == "_o" else f" * {operand}_t"))
            access = f"{operand}[{operand}_b + i * {operand}_t]"
        (reads if len(reads) < count_in else writes).append(access)
    if over is not None:
        writes = [reads[over]]
    lines.append(f"for i in range({extent}):")
    call = f"function({', '.join(reads)})"
    if not outputs:
        lines.append(f"    holds = holds | {call}")
    elif outputs == (None,):
        lines.append(f"    {writes[0]} = {call}")
    else:
        lines.append(f"    result = {call}")
        lines += [f"    {write} = result[{item}]" for write, item in zip(writes, outputs, strict=True)]
    return lines
