"""Ops of the common kind, applied in machine code. What it promises is in docs/fast-path.md.

`start` decides whether it is used, `layout` says what it reads, `write` writes that, and `apply` does it, with `results`
and `edges`.
"""
