"""Ops of the common kind, applied in machine code; docs/fast-path.md lists its promises.

`start` decides when machine code takes over. `layout` declares the words that it reads, and `write` writes them. `apply` is
the code, with `results` and `edges`.
"""
