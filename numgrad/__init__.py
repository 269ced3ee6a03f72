"""numgrad: autograd on the CPU, with kernels that Numba compiles and PyTorch's API."""

from __future__ import annotations

from numgrad import autograd, compile, ops
from numgrad.autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from numgrad.dtypes import (
    bool_ as bool,
)
from numgrad.dtypes import (
    dtype,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from numgrad.layout import Size
from numgrad.ops.custom import custom_op
from numgrad.ops.family import elementwise
from numgrad.runtime.threads import get_num_threads, set_num_threads
from numgrad.tensor.creation import *  # noqa: F403
from numgrad.tensor.functional import *  # noqa: F403
from numgrad.tensor.indexing import gather, index_select, scatter_add
from numgrad.tensor.layers import *  # noqa: F403
from numgrad.tensor.random import *  # noqa: F403
from numgrad.tensor.tensor import Tensor
