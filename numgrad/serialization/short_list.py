"""All names that a checkpoint's pickle may use, and hints about other names for messages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from numgrad.serialization.dtypes import DTYPES, StoredDtype


@dataclass(frozen=True, eq=False)
class Global:
    """A name on the short list, as the inert thing that it is on the stack."""

    name: str
    kind: str
    dtype: StoredDtype | None = None


def _short_list() -> dict[str, Global]:
    functions = (
        "collections.OrderedDict",
        "collections.Counter",
        "torch.Size",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter",
        "numpy.dtype",
        "_codecs.encode",
        # Python 2's module and Python 3's.
        *(f"{module}.{name}" for module in ("__builtin__", "builtins") for name in ("bytes", "complex")),
        # NumPy's module before 2.0 and since.
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    )
    listed = [Global(name, "function") for name in functions]
    listed.append(Global("numpy.ndarray", "class"))
    listed.append(Global("torch.storage.UntypedStorage", "storage"))
    for dtype in DTYPES:
        listed.append(Global(f"torch.{dtype.name}", "dtype", dtype))
        if dtype.torch_storage:
            listed.append(Global(f"torch.{dtype.torch_storage}", "storage", dtype))
    return {entry.name: entry for entry in listed}


SHORT_LIST = _short_list()

# Hints about names in real checkpoints; the first matching pattern counts.
_HINTS = (
    (r"torch\.Q\w+Storage|torch\.q\w+|torch\._utils\._rebuild_qtensor", "quantized tensors are not read"),
    (r"torch\._utils\._rebuild_sparse\w*|torch\.sparse_\w+", "sparse tensors are not read: save x.to_dense()"),
    (r"torch\.(float8|float4|complex32|bits|u?int\d)\w*", "NumPy has no such dtype: save the tensor in another one"),
    (r"torch\.ComplexHalfStorage", "NumPy has no such dtype: save the tensor in another one"),
    (r"torch\._utils\._rebuild_meta\w*", "the tensor was on the meta device and holds no data"),
    (r"torch\._utils\._rebuild_parameter_with_state|torch\._tensor\.\w+", "tensors with attributes are not read"),
    (r"torch\.(nn|optim)\..*|torchvision\..*", "a whole object was saved: save its state_dict() instead"),
    (r"torch\.device|numpy\..*|argparse\..*", "save plain numbers, strings and tensors instead"),
)
WAY_OUT = "load(..., unknown='skip') reads the rest"


def hint_about(name: str) -> str:
    """A hint about a name that is not on the list.

    Examples
    --------
    >>> hint_about("torch.nn.modules.linear.Linear")
    'a whole object was saved: save its state_dict() instead'
    >>> hint_about("os.system")
    'nothing of it was executed'
    """
    return next((hint for pattern, hint in _HINTS if re.fullmatch(pattern, name)), "nothing of it was executed")
