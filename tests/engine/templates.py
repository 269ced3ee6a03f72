"""What the random programs are made of: templates of expressions and of changes, in groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.engine.statements import DTYPES, FLOATS, INTEGERS, Writer, action, expression, has


def dtype_of(t: Any) -> str:
    return str(t.dtype).removeprefix("torch.")


def is_float(t: Any) -> bool:
    return dtype_of(t) in FLOATS


def differentiable(t: Any) -> bool:
    return is_float(t) and t.requires_grad


# ---- views ---------------------------------------------------------------------------------------------------------


def split(w: Writer, x: str) -> str | None:
    if not w[x].ndim:
        return None
    dim, at = w.dim(x), w.below(2)
    return w.choice(
        [f"{x}.split({1 + w.below(2)}, {dim})[{at}]", f"{x}.chunk(2, {dim})[{at}]", f"{x}.unbind({dim})[{at}]"]
    )


def permute(w: Writer, x: str) -> str:
    return f"{x}.permute({', '.join(str(int(d)) for d in w.rng.permutation(w[x].ndim))})" if w[x].ndim else f"{x}.T"


def basic_index(w: Writer, x: str) -> str | None:
    parts, t = [], w[x]
    for extent in t.shape[: 1 + w.below(max(t.ndim, 1))]:
        first, last = w.below(2), w.choice(["", str(1 + w.below(3)), "-1"])
        step = w.choice(["", "", ":2", ":1"])
        parts.append(w.choice([str(w.below(max(extent, 1))), "-1", ":", f"{first}:{last}{step}", f":{last}{step}"]))
    if w.chance(0.15):
        parts.insert(w.below(len(parts) + 1), w.choice(["None", "..."]))
    return f"{x}[{', '.join(parts)}]" if parts else f"{x}[...]"


VIEWS = {
    "transpose": lambda w, x: f"{x}.transpose({w.dim(x)}, {w.dim(x)})",
    "permute": permute,
    "T": lambda w, x: f"{x}.mT" if w[x].ndim >= 2 else None,
    "view": lambda w, x: (
        w.choice([f"{x}.view(-1)", f"{x}.view(2, -1)", f"{x}.view({w[x].shape[0]}, -1)"])
        if w[x].ndim
        else f"{x}.view(1)"
    ),
    "view dtype": lambda w, x: f"{x}.view_as({w.pick(lambda t: t.shape == w[x].shape)})",
    "reshape": lambda w, x: w.choice(
        [f"{x}.reshape(-1)", f"{x}.flatten()", f"{x}.flatten({w.dim(x)})", f"{x}.reshape(-1, 2)"]
    ),
    "basic index": basic_index,
    "basic index 2": basic_index,
    "unsqueeze": lambda w, x: f"{x}.unsqueeze({w.dim(x)})" if w[x].ndim < 4 else None,
    "squeeze": lambda w, x: w.choice([f"{x}.squeeze()", f"{x}.squeeze({w.dim(x)})"]),
    "narrow": lambda w, x: f"{x}.narrow({w.dim(x)}, {w.below(2)}, {1 + w.below(2)})" if w[x].ndim else None,
    "select": lambda w, x: f"{x}.select({w.dim(x)}, {w.below(4) - 1})" if w[x].ndim else None,
    "expand": lambda w, x: f"{x}.expand(2, {'-1, ' * w[x].ndim})" if w[x].ndim < 4 else None,
    "split": split,
    "detach": lambda w, x: f"{x}.detach()",
    ".data": lambda w, x: f"{x}.data",
}
for name, template in VIEWS.items():
    expression("view", name, template)

# ---- elementwise ---------------------------------------------------------------------------------------------------

UNARY = [
    "abs", "ceil", "cos", "erf", "exp", "expm1", "floor", "log", "log1p", "neg", "reciprocal", "relu", "round", "rsqrt",
    "sigmoid", "sign", "sin", "sqrt", "square", "tanh", "trunc", "isnan", "isfinite", "clone", "contiguous",
    "logical_not", "bitwise_not", "exp2", "log2", "log10", "frac", "isinf", "tan", "sinh", "cosh", "atan", "asin", "acos",
]  # fmt: skip
for name in UNARY:
    if has(name):
        expression("unary", name, lambda w, x, name=name: f"{x}.{name}()")
expression("unary", "-x", lambda w, x: w.choice([f"-{x}", f"+{x}", f"abs({x})"]))
expression("unary", "~x", lambda w, x: f"~{x}")

ACTIVATIONS = {
    "leaky_relu": ", 0.1", "elu": "", "silu": "", "relu": "", "hardtanh": "", "relu6": "", "hardswish": "", "mish": "",
    "selu": "", "celu": "", "hardsigmoid": "", "gelu": "", "softplus": "",
}  # fmt: skip


def activations() -> None:
    import inspect

    import numgrad as ng

    for name, rest in ACTIVATIONS.items():
        function = getattr(ng.nn.functional, name, None)
        if function is None:
            continue
        expression("unary", f"F.{name}", lambda w, x, n=name, r=rest: f"F.{n}({x}{r})")
        if "inplace" in inspect.signature(function).parameters:
            text = lambda w, x, n=name, r=rest: f"F.{n}({x}{r}, inplace=True)"  # noqa: E731
            action("activation in place", f"F.{name} in place", text)
            expression("activation in place", f"F.{name} in place =", text)
    for name in ("relu", "leaky_relu", "elu"):
        if hasattr(ng.nn.functional, name + "_"):
            action("activation in place", f"F.{name}_", lambda w, x, n=name: f"F.{n}_({x})")
    modules = {
        "ReLU": "",
        "LeakyReLU": "0.2, ",
        "ELU": "",
        "SiLU": "",
        "Hardtanh": "-0.5, 0.75, ",
        "ReLU6": "",
        "Dropout": "0.0, ",
    }
    for name, rest in modules.items():
        cls = getattr(ng.nn, name, None)
        if cls is not None and "inplace" in inspect.signature(cls).parameters:
            text = lambda w, x, n=name, r=rest: f"lib.nn.{n}({r}inplace=True)({x})"  # noqa: E731
            action("activation in place", f"nn.{name} in place", text)


activations()

ARITHMETIC = ["+", "-", "*", "/", "//", "%"]
BITS = ["&", "|", "^", "<<", ">>"]
COMPARISONS = ["<", "<=", ">", ">=", "==", "!="]


def beyond(w: Writer, x: str, y: str) -> bool:
    """Whether a number is none that an integer tensor's dtype has: torch wraps it to compare."""
    dtype, other = dtype_of(w[x]), w[y]
    return dtype in INTEGERS and not hasattr(other, "numel") and not np.iinfo(dtype).min <= other <= np.iinfo(dtype).max


def binary(op: str) -> Any:
    def template(w: Writer, x: str) -> str | None:
        y = w.operand(x)
        if op in COMPARISONS and beyond(w, x, y):
            return None
        if op in ("<<", ">>"):
            y = w.choice(["0", "1", "3", "np.int64(2)", "True"]) if y[0] != "t" else y
        if op == "//":  # flat here, and refused by torch's backward
            x = f"{x}.detach()"
            y = f"{y}.detach()" if y[0] == "t" else y
        return f"{x} {op} {y}" if w.chance(0.6) else f"{y} {op} {x}"

    return template


for op in ARITHMETIC:
    expression("binary", f"x {op} y", binary(op))
for op in BITS:
    expression("bits", f"x {op} y", binary(op))
for op in COMPARISONS:
    expression("comparison", f"x {op} y", binary(op))


def power(w: Writer, x: str) -> str:
    y = w.choice(["2", "3", "0.5", "-1", "0", "2.0", "np.float32(2)", "np.int64(2)", "True", w.operand(x)])
    return f"{x} ** {y}" if w.chance(0.7) else f"{y} ** {x}"


expression("binary", "x ** y", power)
expression("binary", "alpha", lambda w, x: f"{x}.{w.choice(['add', 'sub'])}({w.operand(x)}, alpha={w.small()})")
expression("binary", "method", lambda w, x: f"{x}.{w.choice(['add', 'sub', 'mul', 'div', 'eq', 'lt'])}({w.operand(x)})")
expression(
    "binary",
    "function",
    lambda w, x: f"lib.{w.choice(['add', 'sub', 'mul', 'div', 'remainder', 'pow'])}({x}, {w.operand(x)})",
)
expression(
    "binary",
    "maximum",
    lambda w, x: f"{x}.{w.choice(['maximum', 'minimum'])}({w.pick(lambda t: t.shape == w[x].shape)})",
)
expression("mixed", "where", lambda w, x: f"lib.where({w.mask(x)}, {x}, {w.operand(x)})")
expression("mixed", "where turned", lambda w, x: f"lib.where({w.mask(x)}, {w.operand(x)}, {x})")
expression("mixed", "where method", lambda w, x: f"{x}.where({w.mask(x)}, {w.operand(x)})")
expression("mixed", "clamp", lambda w, x: f"{x}.clamp({w.number()}, {w.number()})")
expression("mixed", "clamp min", lambda w, x: f"{x}.clamp({w.choice(['min', 'max'])}={w.operand(x)})")
expression("mixed", "masked_fill", lambda w, x: f"{x}.masked_fill({w.mask(x)}, {w.number()})")
expression("mixed", "to", lambda w, x: f"{x}.to(lib.{w.choice(DTYPES)})")
expression("mixed", "cast", lambda w, x: f"{x}.{w.choice(['float', 'double', 'long', 'int', 'bool'])}()")
expression("mixed", "type_as", lambda w, x: f"{x}.type_as({w.pick()})")
expression("mixed", "like", lambda w, x: f"lib.{w.choice(['zeros_like', 'ones_like'])}({x})")
expression("mixed", "full_like", lambda w, x: f"lib.full_like({x}, {w.number()})")
expression("mixed", "full", lambda w, x: f"lib.full((2, 3), {w.number()})")
expression("mixed", "new_tensor", lambda w, x: f"{x}.new_tensor([{w.number()}, {w.number()}])")
expression("mixed", "tensor", lambda w, x: f"lib.tensor([{w.number()}, {w.number()}])")
expression("mixed", "as_tensor", lambda w, x: f"lib.as_tensor({w.number()})")
expression("mixed", "linspace", lambda w, x: f"lib.arange({w.number('int64')}, 7, {w.choice(['1', '2', '0.5'])})")
expression("bits", "result_type", lambda w, x: f"lib.zeros(2, dtype=lib.result_type({x}, {w.operand(x)}))")

# ---- reductions ----------------------------------------------------------------------------------------------------


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


for name in ("sum", "mean", "amax", "amin", "var", "std"):
    expression(
        "reduction",
        name,
        lambda w, x, name=name: (
            f"{x}.{name}({joined(w.dims(x), w.choice(['', 'keepdim=True']) if name not in ('sum', 'mean') else '')})"
        ),
    )
expression("reduction", "sum dtype", lambda w, x: f"{x}.sum({joined(w.dims(x), f'dtype=lib.{w.choice(DTYPES)}')})")
for name in ("max", "min"):
    expression("reduction", name, lambda w, x, name=name: f"{x}.{name}()")
    expression("reduction", f"{name} dim", lambda w, x, name=name: f"{x}.{name}({w.dim(x)})[{w.below(2)}]")
for name in ("argmax", "argmin"):
    expression("reduction", name, lambda w, x, name=name: f"{x}.{name}({w.choice(['', str(w.dim(x))])})")
for name in ("prod", "cumsum"):
    if has(name):
        expression("reduction", name, lambda w, x, name=name: f"{x}.reshape(-1)[:3].{name}({w.choice(['0', '-1'])})")
for name in ("all", "any"):
    expression("reduction", name, lambda w, x, name=name: f"{x}.{name}()")
expression(  # whose squares do not overflow here
    "reduction", "norm", lambda w, x: None if w.flavour == "special" else f"{x}.norm({w.choice(['', '1', '2', 'inf'])})"
)
expression("reduction", "softmax", lambda w, x: f"{x}.{w.choice(['softmax', 'log_softmax'])}({w.dim(x)})")
expression("reduction", "cat", lambda w, x: f"lib.cat([{x}.reshape(-1), {w.pick()}.reshape(-1)])[:12]")
expression("reduction", "stack", lambda w, x: f"lib.stack([{x}.sum(), {w.pick()}.sum()])")


def product(w: Writer, x: str) -> str | None:
    t = w[x]
    y = w.pick(lambda u: t.ndim and u.ndim and (u.shape[-2] if u.ndim > 1 else u.shape[0]) == t.shape[-1])
    return f"{x} @ {y}" if y else None


expression("reduction", "x @ y", product)
expression("reduction", "outer", lambda w, x: f"{x}.reshape(-1, 1)[:4] @ {w.pick()}.reshape(1, -1)[:, :3]")

# ---- indexing ------------------------------------------------------------------------------------------------------


def advanced_index(w: Writer, x: str) -> str | None:
    """An index that has tensors or masks in it."""
    t = w[x]
    if not t.ndim:
        return None
    kind, many = w.below(8), t.ndim > 1
    if kind == 0:
        return w.mask(x)
    if kind == 1 and many:
        return f"{w.index(t.shape[0], 3)}, {w.index(t.shape[1], 3)}"
    if kind == 2 and many:
        return f":, {w.index(t.shape[1], 2)}"
    if kind == 3 and many:
        return f"{w.index(t.shape[0], 2)}, 1:"
    if kind == 4 and many:
        return f"{w.below(max(t.shape[0], 1))}, {w.mask(f'{x}[0]')}" if t.shape[0] else None
    if kind == 5:
        return f"{[w.below(max(t.shape[0], 1)) for _ in range(2)]}"
    if kind == 6:
        return f"np.array({[w.below(max(t.shape[0], 1)) - 1 for _ in range(2)]})"
    return w.index(t.shape[0], 3)


def index_expression(w: Writer, x: str) -> str | None:
    index = advanced_index(w, x)
    return f"{x}[{index}]" if index else None


for k in range(3):
    expression("index", f"advanced index {k}", index_expression)


def by_dim(w: Writer, x: str) -> str | None:
    t = w[x]
    if not t.ndim:
        return None
    dim = w.dim(x)
    return f"{x}.index_select({dim}, {w.index(t.shape[dim], 3)})"


def gather(w: Writer, x: str) -> str | None:
    t = w[x]
    if t.ndim != 2 or not t.numel():
        return None
    dim, low = w.below(2), 0 if w.chance(0.8) else -1
    numbers = [[low + w.below(max(t.shape[dim], 1)) for _ in range(2)] for _ in range(2)]
    if w.chance(0.5):
        return f"{x}.gather({dim}, lib.tensor({numbers}))"
    source = w.choice([f"{x}.detach() * 2", f"{x}[:2, :2]", f"lib.ones(2, 2, dtype={x}.dtype)"])
    return f"{x}.scatter_add({dim}, lib.tensor({numbers}), {source})"


expression("index", "index_select", by_dim)
expression("index", "gather", gather)


def set_item(w: Writer, x: str) -> str | None:
    if w.chance(0.5):
        index = advanced_index(w, x)
        target = f"{x}[{index}]" if index else None
    else:
        target = basic_index(w, x)
    if target is None:
        return None
    value = w.choice([w.number(), w.operand(x), f"{w.pick()}.sum()"])
    if not is_float(w[x]) and value[0] == "t":  # to torch integers can be parts of graphs
        value += ".detach()"
    if w.chance(0.35):
        operator = w.choice(["+", "-", "*", "/", "%", "**"])
        if operator in "/%" and ".sum()" in value:  # where a sum cancels, it is rounding and nothing else
            value = f"({value} + 7)"
        return f"{target} {operator}= {value}"
    return f"{target} = {value}"


for k in range(4):
    action("write", f"x[...] = {k}", set_item)

# ---- in place ------------------------------------------------------------------------------------------------------


def operator_in_place(op: str) -> Any:
    def template(w: Writer, x: str) -> str:
        y = w.operand(x)
        if op in ("<<", ">>"):
            y = w.choice(["0", "1", "2", "np.uint8(1)"]) if y[0] != "t" else y
        if op == "**":
            y = w.choice(["2", "0.5", "3", "np.int64(2)", "-1", y])
        if op == "@":
            y = w.pick(lambda t: t.ndim == 2) or y
        target = x
        if op == "//" and differentiable(w[x]):
            return None
        if op == "//" and y[0] == "t":
            y = f"{y}.detach()"
        if w.chance(0.25):
            target = basic_index(w, x) or x
        elif w.chance(0.15):
            target = f"{x}.data"
        return f"{target} {op}= {y}"

    return template


for op in [*ARITHMETIC, "**"]:
    action("operator in place", f"x {op}= y", operator_in_place(op))
for op in [*BITS, "@"]:
    action("bits", f"x {op}= y", operator_in_place(op))

for name in ("add_", "sub_", "mul_", "div_", "fill_", "remainder_", "eq_", "logical_and_"):
    if has(name):
        action("method in place", name, lambda w, x, name=name: f"{x}.{name}({w.operand(x)})")
for name in (*UNARY, "zero"):
    if has(name + "_"):
        action(
            "method in place",
            name + "_",
            lambda w, x, name=name: None if name == "logical_not" and differentiable(w[x]) else f"{x}.{name}_()",
        )
action(
    "method in place", "add_ alpha", lambda w, x: f"{x}.{w.choice(['add_', 'sub_'])}({w.operand(x)}, alpha={w.small()})"
)
action("method in place", "pow_", lambda w, x: f"{x}.pow_({w.choice(['2', '3', '0.5', '-1', w.operand(x)])})")
action("method in place", "clamp_", lambda w, x: f"{x}.clamp_({w.number()}, {w.number()})")
action("method in place", "clamp_ min", lambda w, x: f"{x}.clamp_({w.choice(['min', 'max'])}={w.number()})")
action("method in place", "masked_fill_", lambda w, x: f"{x}.masked_fill_({w.mask(x)}, {w.number()})")
action("method in place", "copy_", lambda w, x: f"{x}.copy_({w.pick(lambda t: t.shape == w[x].shape) or x})")
action("method in place", "copy_ any", lambda w, x: f"{x}.copy_({w.pick()})")


def index_put(w: Writer, x: str) -> str | None:
    if not w[x].ndim:
        return None
    index = w.index(w[x].shape[0], 2)
    value = w.choice([f"{x}.sum()", f"lib.tensor({w.value(dtype_of(w[x]))}, dtype={x}.dtype)"])
    return f"{x}.index_put_(({index},), {value}, accumulate={w.choice(['True', 'False'])})"


action("method in place", "index_put_", index_put)
action("method in place", "detach_", lambda w, x: f"{x}.detach_()" if w.chance(0.3) else None)
action("method in place", "requires_grad_", lambda w, x: f"{x}.requires_grad_({w.choice(['True', 'False', 'True'])})")
action(
    "method in place",
    "no_grad in place",
    lambda w, x: f"with lib.no_grad(): {x}.{w.choice(['add_', 'mul_', 'sub_'])}({w.operand(x)})",
)
action(
    "method in place",
    "no_grad operator",
    lambda w, x: f"with lib.no_grad(): {x} {w.choice(['+', '-', '*'])}= {w.operand(x)}",
)

# ---- data, NumPy, gradients ----------------------------------------------------------------------------------------

action("data", "data.add_", lambda w, x: f"{x}.data.{w.choice(['add_', 'mul_', 'sub_'])}({w.operand(x)})")
action("data", "data.zero_", lambda w, x: f"{x}.data.{w.choice(['zero_()', 'fill_(2)', 'abs_()', 'clamp_(-1, 1)'])}")
action("data", "data.copy_", lambda w, x: f"{x}.data.copy_({w.pick(lambda t: t.shape == w[x].shape) or x})")


def new_data(w: Writer, x: str) -> str:
    other = w.pick(lambda t: t.shape == w[x].shape and t.dtype == w[x].dtype) or x
    return f"{x}.data = {other}{w.choice(['.detach().clone()', '.data', '.detach() * 2'])}"


action("data", "data =", new_data)
action("data", "data[...] =", lambda w, x: f"{x}.data[...] = {w.number()}")
action("data", "data view", lambda w, x: f"{x}.data.view(-1)[:2].{w.choice(['zero_()', 'mul_(2)', 'fill_(1)'])}")

expression("numpy", "numpy()", lambda w, x: f"{x}.{w.choice(['detach().', 'data.', ''])}numpy()")
action(
    "numpy", "array[...] =", lambda w, x: f"{w.choice(w.arrays)}[...] {w.choice(['=', '*='])} 2" if w.arrays else None
)
action("numpy", "array.reshape =", lambda w, x: f"{w.choice(w.arrays)}.reshape(-1)[:2] = 1" if w.arrays else None)
expression("numpy", "from_numpy", lambda w, x: f"lib.from_numpy({w.choice(w.arrays)})" if w.arrays else None)


def backward(w: Writer, x: str) -> str | None:
    y = w.pick(differentiable)
    loss = w.choice(["sum()", "tanh().sum()", "mul(2).sum()"])
    return f"{y}.{loss}.backward(retain_graph=True)" if y else None


def grad(w: Writer, x: str) -> str | None:
    y, leaf = w.pick(differentiable), w.pick(lambda t: differentiable(t) and t.is_leaf)
    create = w.choice(["create_graph=True", "retain_graph=True"])
    return f"lib.autograd.grad({y}.sum(), {leaf}, {create})[0]" if y and leaf else None


def of_grad(w: Writer, x: str) -> str | None:
    leaf = w.pick(lambda t: differentiable(t) and t.is_leaf and t.grad is not None)
    return f"{leaf}.grad{w.choice(['', '.view(-1)', '.flatten(1)', '.detach()', '.clone()'])}" if leaf else None


action("gradient", "backward", backward)
expression("gradient", "grad", grad)
expression("gradient", ".grad", of_grad)
action(
    "gradient",
    "grad = None",
    lambda w, x: f"{leaf}.grad = None" if (leaf := w.pick(lambda t: differentiable(t) and t.is_leaf)) else None,
)
action("gradient", "retain_grad", lambda w, x: f"{x}.retain_grad()" if differentiable(w[x]) else None)

# ---- layers --------------------------------------------------------------------------------------------------------


def conv(w: Writer, x: str) -> str | None:
    x = w.pick(lambda t: t.ndim == 4 and is_float(t)) or x
    t = w[x]
    if t.ndim != 4:
        return None
    weight = w.pick(lambda u: u.ndim == 4 and u.shape[1] == t.shape[1] and u.dtype == t.dtype and u is not t)
    count = w[weight].shape[0] if weight else 0
    bias = w.choice(["", f", bias={w.pick(lambda u: u.ndim == 1 and u.dtype == t.dtype and u.shape[0] == count)}"])
    rest = w.choice(["", ", padding=1", ", stride=2", ", padding=1, stride=2", ", dilation=2, padding=1"])
    return f"F.conv2d({x}, {weight}{bias}{rest})" if weight else None


def image(text: str) -> Any:
    def template(w: Writer, x: str) -> str | None:
        x = w.pick(lambda t: t.ndim == 4) or x
        return text.format(x=x, C=w[x].shape[1], N=w[x].shape[-1]) if w[x].ndim == 4 else None

    return template


def linear(w: Writer, x: str) -> str | None:
    t = w[x]
    weight = w.pick(lambda u: u.ndim == 2 and t.ndim and u.shape[1] == t.shape[-1] and u.dtype == t.dtype)
    bias = w.pick(
        lambda u: u.ndim == 1 and weight is not None and u.shape[0] == w[weight].shape[0] and u.dtype == t.dtype
    )
    return f"F.linear({x}, {weight}{f', {bias}' if bias else ''})" if weight else None


for k in range(4):
    expression("layer", f"conv2d {k}", conv)
LAYERS = {
    "max_pool2d": "F.max_pool2d({x}, 2)", "max_pool2d padded": "F.max_pool2d({x}, 3, 1, 1)",
    "avg_pool2d": "F.avg_pool2d({x}, 2)", "avg_pool2d padded": "F.avg_pool2d({x}, 3, 1, 1, count_include_pad=False)",
    "adaptive": "F.adaptive_avg_pool2d({x}, (2, 1))", "batch_norm": "F.batch_norm({x}, None, None, training=True)",
    "channels_last": "{x}.to(memory_format=lib.channels_last)",
    "contiguous last": "{x}.contiguous(memory_format=lib.channels_last)",
    "batch_norm eval": "F.batch_norm({x}, lib.zeros({C}, dtype={x}.dtype), lib.ones({C}, dtype={x}.dtype))",
    "group_norm": "F.group_norm({x}, 1)", "layer_norm": "F.layer_norm({x}, ({N},))", "pad": "F.pad({x}, (1, 0, 0, 1))",
}  # fmt: skip
for name, text in LAYERS.items():
    expression("layer", name, image(text))
expression("layer", "linear", linear)
expression("layer", "dropout 0", lambda w, x: f"F.dropout({x}, 0.0{w.choice(['', ', training=False'])})")
expression(
    "layer",
    "mse_loss",
    lambda w, x: (
        f"F.{w.choice(['mse_loss', 'l1_loss', 'smooth_l1_loss'])}({x}, {w.pick(lambda t: t.shape == w[x].shape)})"
    ),
)
expression("layer", "normalize", lambda w, x: f"F.normalize({x}, dim={w.dim(x)})" if w[x].ndim else None)
