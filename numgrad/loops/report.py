"""What a translation decided, in words."""

from __future__ import annotations

from typing import Any

from numgrad.loops.language import Assign, Loop, Store, walk


def report_of(translation: Any) -> str:
    """Lines about what is recorded, what is computed again and what is kept."""
    rec, versions, unit = translation.rec, translation.versions, translation.unit
    lines = [f"{unit.name}: gradients of {', '.join(translation.needs) or 'nothing'}"]
    pushed = sorted(
        {_where(versions.where[n][1], n) for n, how in rec.choice.items() if how == "push" and n in rec.demanded}
    )
    saved = sorted(
        {
            _where(s, getattr(s, "name", getattr(s, "array", "")))
            for s in walk(versions.top)
            if getattr(s, "save", False)
        }
    )
    again = sorted(
        {_where(versions.where[n][1], n) for n, how in rec.choice.items() if how == "again" and n in rec.demanded}
    )
    for title, entries in (
        ("recorded when computed", pushed), ("recorded before it is overwritten", saved), ("computed again", again),
    ):  # fmt: skip
        lines.append(f"{title}: {'; '.join(entries) or 'nothing'}")
    kept = [n for n in unit.locals if translation._is_kept(n)]
    lines.append(f"local arrays that the reverse reads: {', '.join(kept) or 'none'}")
    loops = [s for s in walk(versions.top) if isinstance(s, Loop)]
    silent = [s for s in loops if not rec.reversible(s)]
    lines.append(f"loops: {len(loops)}, of which {len(silent)} have no reverse")
    lines += unit.notes
    return "\n".join(lines)


def _where(s: Any, name: str) -> str:
    what = {Assign: "", Store: "[...]"}[type(s)]
    return f"line {s.line.number} {name.rstrip('0123456789').rstrip('_')}{what}"
