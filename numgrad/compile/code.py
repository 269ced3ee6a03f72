"""What functions name, and whose they are."""

from __future__ import annotations

import dis
import functools
import sys
import types
from typing import Any


class Code:
    """What a function's code names: globals, modules that it imports, and attributes of anything (or texts that may name some)."""

    def __init__(self, code: types.CodeType) -> None:
        self.globals: set[str] = set()
        self.attributes: set[str] = set()
        self.imports: set[str] = set()
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                self.globals.add(instruction.argval)
            elif "ATTR" in instruction.opname or "METHOD" in instruction.opname or instruction.opname == "IMPORT_FROM":
                self.attributes.add(instruction.argval)
            elif instruction.opname == "IMPORT_NAME":
                self.imports.add(instruction.argval)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                inner = code_of(constant)
                self.globals |= inner.globals
                self.attributes |= inner.attributes
                self.imports |= inner.imports
            elif isinstance(constant, str) and constant.isidentifier():
                self.attributes.add(constant)  # of getattr


code_of = functools.lru_cache(1024)(Code)


@functools.lru_cache(1024)
def is_library(module: str | None) -> bool:
    """Whether a module is none of the user's: its globals do not change a step."""
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return True
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return top in ("numgrad", "numpy", "builtins") or "site-packages" in file or "dist-packages" in file


def is_foreign(thing: Any) -> bool:
    """Whether a function or class is the user's."""
    return not is_library(getattr(thing, "__module__", None))
