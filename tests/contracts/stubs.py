"""What type checkers and editors see of the public functions: ``python -m tests.contracts.stubs`` writes it anew.

The functions say themselves where they are public (`numgrad.tensor.surface`), which is done when numgrad is imported. The
stubs say the same without an import: ``numgrad/__init__.pyi``, ``numgrad/linalg.pyi``, ``numgrad/nn/functional.pyi``,
``numgrad/special.pyi`` and ``numgrad/tensor/methods.pyi``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numgrad
from numgrad.tensor.legacy import TensorType
from numgrad.tensor.operators import operators
from numgrad.tensor.surface import functions_of

PACKAGE = Path(numgrad.__file__).parent
HEAD = "# Written by: python -m tests.contracts.stubs"


def _is_plain(function: Callable[..., Any]) -> bool:
    """Whether a type checker finds the function where it is defined, by its own name."""
    return function.__code__.co_name == function.__name__ and "<locals>" not in function.__code__.co_qualname


# Where the names of annotations come from.
IMPORTS = {
    "Any": "from typing import Any",
    "Callable": "from collections.abc import Callable",
    "Dtype": "from numgrad.dtypes import dtype as Dtype",
    "Generator": "from numgrad.tensor.random import Generator",
    "Sequence": "from collections.abc import Sequence",
    "Tensor": "from numgrad.tensor.tensor import Tensor",
    "TypedStorage": "from numgrad.tensor.storages import TypedStorage",
    "UntypedStorage": "from numgrad.tensor.storages import UntypedStorage",
    "builtins": "import builtins",
}


def _definition(name: str, function: Callable[..., Any], method: bool = False) -> str:
    """The function's head, with annotations as they are written, and the defaults that are numbers, strings or names."""
    signature = inspect.signature(function)
    shown = []
    for place, parameter in enumerate(signature.parameters.values()):
        if method and not place:
            parameter = parameter.replace(name="self", annotation=inspect.Parameter.empty)
        elif not isinstance(parameter.default, (int, float, str, type(None), type)):
            parameter = parameter.replace(default=...)
        shown.append(parameter)
    text = str(inspect.Signature(shown, return_annotation=signature.return_annotation))
    for parameter in (*shown, signature):
        note = getattr(parameter, "annotation", getattr(parameter, "return_annotation", ""))
        if isinstance(note, str):
            text = text.replace(repr(note), note)
    return f"def {name}{text.replace('Ellipsis', '...')}: ..."


def _imports(text: str) -> list[str]:
    """What the annotations in a text need."""
    words = set(re.findall(r"\w+", re.sub(r"^from.*", "", text, flags=re.MULTILINE)))
    return sorted(line for name, line in IMPORTS.items() if name in words and f" as {name}\n" not in text)


def _function(name: str, function: Callable[..., Any]) -> str:
    inner = inspect.unwrap(function)
    if _is_plain(inner) and inspect.signature(function) == inspect.signature(inner):
        return f"from {inner.__module__} import {inner.__name__} as {name}"
    return _definition(name, function)


def functional_stub() -> str:
    """The text of ``numgrad/nn/functional.pyi``."""
    return _module([_function(name, function) for name, function in functions_of("functional").items()])


def special_stub() -> str:
    """The text of ``numgrad/special.pyi``."""
    return _module([_function(name, function) for name, function in functions_of("special").items()])


def linalg_stub() -> str:
    """The text of ``numgrad/linalg.pyi``."""
    rows = [_function(name, function) for name, function in functions_of("linalg").items()]
    return _module(["from numgrad.errors import LinAlgError as LinAlgError", *rows])


def package_stub() -> str:
    """The text of ``numgrad/__init__.pyi``."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    functions = functions_of("function")
    # The package's own int, float and bool are dtypes.
    rows = [
        re.sub(r"(?<![.\w])(int|float|bool)\b(?! *[:(])", r"builtins.\1", row) if row.startswith("def ") else row
        for row in (_function(name, function) for name, function in functions.items())
    ]
    known, values = set(functions) | {"__version__"}, ["__version__: str"]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                if name in numgrad.__all__ and not isinstance(getattr(numgrad, name), numgrad.dtype):
                    rows.append(f"from {node.module} import {alias.name} as {name}")
                    known.add(name)
    lazy = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "__getattr__")
    names = {each.value for tuple_ in ast.walk(lazy) if isinstance(tuple_, ast.Tuple) for each in tuple_.elts}
    for name in sorted({*numgrad.__all__, *names} - known):
        value = getattr(numgrad, name)
        if isinstance(value, ModuleType):
            rows.append(f"from numgrad import {name} as {name}")
        elif isinstance(value, numgrad.dtype):
            values.append(f"{name}: dtype")
        elif isinstance(value, TensorType):
            values.append(f"class {name}(Tensor): ...")
        elif value is None or isinstance(value, float):
            values.append(f"{name}: {'None' if value is None else 'builtins.float'}")
        else:
            rows.append(f"from {value.__module__} import {name} as {name}")
    return "\n".join([_module(["import builtins", *rows]), *values, ""])


def methods_stub() -> str:
    """The text of ``numgrad/tensor/methods.pyi``."""
    rows = [
        "    " + _definition(name, function, method=True) for name, function in sorted(functions_of("method").items())
    ]
    for name, method in operators().items():
        unary = len(inspect.signature(method).parameters) == 1
        ignored = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
        rows.append(f"    def {name}(self{'' if unary else ', other: Any'}) -> Tensor: ...{ignored}")
    body = "\n".join(["class Methods:", *rows, ""])
    return "\n".join([HEAD, *_imports(body), "", body])


def _module(rows: list[str]) -> str:
    imports = "\n".join(sorted(row for row in rows if not row.startswith("def "))) + "\n"
    definitions = "\n".join(sorted(row for row in rows if row.startswith("def "))) + "\n"
    return "\n".join([HEAD, *_imports(imports + definitions), imports, definitions])


STUBS: dict[str, Callable[[], str]] = {
    "__init__.pyi": package_stub,
    "linalg.pyi": linalg_stub,
    "nn/functional.pyi": functional_stub,
    "special.pyi": special_stub,
    "tensor/methods.pyi": methods_stub,
}


def main() -> None:
    for path, text in STUBS.items():
        (PACKAGE / path).write_text(text(), "utf-8")
        sys.stdout.write(f"numgrad/{path}\n")


if __name__ == "__main__":
    importlib.import_module("numgrad.nn.functional")
    importlib.import_module("numgrad.special")
    main()
