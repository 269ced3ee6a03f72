"""Recurrent networks and their cells against torch's, with the same weights: outputs, states, gradients, training, refusals."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import array, copy_state, ours, outcome, theirs

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

FEATURES, WIDTH = 3, 5
SIZES = (4, 4, 3, 1, 1)  # of the steps of packed sequences
NETWORKS: dict[str, Callable[..., Any]] = {
    "RNN": lambda lib, **options: lib.RNN(FEATURES, WIDTH, **options),
    "RNN relu": lambda lib, **options: lib.RNN(FEATURES, WIDTH, nonlinearity="relu", **options),
    "LSTM": lambda lib, **options: lib.LSTM(FEATURES, WIDTH, **options),
    "LSTM proj": lambda lib, **options: lib.LSTM(FEATURES, WIDTH, proj_size=2, **options),
    "GRU": lambda lib, **options: lib.GRU(FEATURES, WIDTH, **options),
}


def normal(*shape: int, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


def pair(torch: Any, make: Callable[..., Any], dtype: str = "float64", **options: Any) -> tuple[Any, Any]:
    """numgrad's module and torch's, with the same weights."""
    torch.manual_seed(0)
    original = make(torch.nn, dtype=getattr(torch, dtype), **options)
    mine = make(nn, dtype=getattr(ng, dtype), **options)
    assert [(n, tuple(p.shape)) for n, p in mine.named_parameters()] == [
        (n, tuple(p.shape)) for n, p in original.named_parameters()
    ]
    copy_state(original, mine)
    return mine, original


def flat(value: Any) -> list[Any]:
    """The tensors of nested results."""
    if isinstance(value, (tuple, list)):
        return [tensor for each in value for tensor in flat(each)]
    return [] if value is None else [value]


def agree(mine: Any, original: Any, tolerance: float = 1e-12) -> None:
    for got, expected in zip(flat(mine), flat(original), strict=True):
        assert tuple(got.shape) == tuple(expected.shape)
        np.testing.assert_allclose(array(got), array(expected), rtol=tolerance, atol=tolerance)


def with_gradients(module: Any, lib: Any, run: Callable[[Any, list[Any]], Any], inputs: list[np.ndarray]) -> list[Any]:
    """Results, and the gradients of inputs and parameters."""
    leaves = [lib.tensor(x, requires_grad=True) for x in inputs]
    results = flat(run(module, leaves))
    sum(
        (result * result * (number + 1)).sum() for number, result in enumerate(results) if result.requires_grad
    ).backward()
    return results + [leaf.grad for leaf in leaves] + [parameter.grad for parameter in module.parameters()]


def initial(name: str, directions: int, batch: int | None) -> list[np.ndarray]:
    middle = () if batch is None else (batch,)
    hidden = normal(directions, *middle, 2 if name == "LSTM proj" else WIDTH)
    return [hidden, normal(directions, *middle, WIDTH) / 2] if name.startswith("LSTM") else [hidden]


def states_of(leaves: list[Any]) -> Any:
    return tuple(leaves) if len(leaves) > 1 else leaves[0]


@pytest.mark.parametrize("options", [
    {}, {"bias": False}, {"batch_first": True}, {"bidirectional": True}, {"num_layers": 3},
    {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks(torch: Any, name: str, options: dict[str, Any]) -> None:
    mine, original = pair(torch, NETWORKS[name], **options)
    assert repr(mine) == repr(original)
    directions = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    x = normal(2, 6, FEATURES) if options.get("batch_first") else normal(6, 2, FEATURES)

    def plain(module: Any, leaves: list[Any]) -> Any:
        return module(leaves[0])

    def with_states(module: Any, leaves: list[Any]) -> Any:
        return module(leaves[0], states_of(leaves[1:]))

    def one_of(module: Any, leaves: list[Any]) -> Any:
        return module(leaves[0])[1]

    agree(with_gradients(mine, ng, plain, [x]), with_gradients(original, torch, plain, [x]))
    for inputs in ([x, *initial(name, directions, 2)], [x[0], *initial(name, directions, None)]):
        agree(with_gradients(mine, ng, with_states, inputs), with_gradients(original, torch, with_states, inputs))
    agree(with_gradients(mine, ng, one_of, [x]), with_gradients(original, torch, one_of, [x]))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_packed_sequences(torch: Any, name: str, bidirectional: bool) -> None:
    mine, original = pair(torch, NETWORKS[name], bidirectional=bidirectional, num_layers=2)
    inputs = [normal(5, 4, FEATURES), *initial(name, 4 if bidirectional else 2, 4)]

    def run(module: Any, leaves: list[Any]) -> Any:
        rnn = (nn if isinstance(module, nn.Module) else torch.nn).utils.rnn
        packed = rnn.pack_padded_sequence(leaves[0], [2, 5, 3, 3], enforce_sorted=False)
        out, states = module(packed, states_of(leaves[1:]))
        assert type(out) is rnn.PackedSequence
        return rnn.pad_packed_sequence(out)[0], states, module(packed)[1]

    agree(with_gradients(mine, ng, run, inputs), with_gradients(original, torch, run, inputs))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_ten_training_steps(torch: Any, name: str) -> None:
    for dtype, tolerance in (("float64", 1e-10), ("float32", 2e-5)):
        mine, original = pair(torch, NETWORKS[name], dtype, num_layers=2)
        x, goal = normal(7, 4, FEATURES, dtype=dtype), normal(7, 4, 2 if name == "LSTM proj" else WIDTH, dtype=dtype)
        for module, lib, optimizer in ((mine, ng, ng.optim.SGD), (original, torch, torch.optim.SGD)):
            steps = optimizer(module.parameters(), lr=0.1, momentum=0.9)
            for _ in range(10):
                steps.zero_grad()
                loss = ((module(lib.tensor(x))[0] - lib.tensor(goal)) ** 2).mean()
                loss.backward()
                steps.step()
        agree(list(mine.parameters()), list(original.parameters()), tolerance)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_state_dicts_both_ways_and_initial_values(torch: Any, name: str) -> None:
    options = {"num_layers": 2, "bidirectional": True}
    ng.manual_seed(5)
    mine, original = NETWORKS[name](nn, **options), NETWORKS[name](torch.nn, **options)
    assert list(mine.state_dict()) == list(original.state_dict())
    ng.manual_seed(5)
    drawn = [nn.init.uniform_(ng.empty_like(parameter), -(WIDTH**-0.5), WIDTH**-0.5) for parameter in mine.parameters()]
    agree(list(mine.parameters()), drawn, 0)
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.mul_(2)
    mine.load_state_dict({key: ng.from_numpy(value.numpy()) for key, value in original.state_dict().items()})
    agree(list(mine.parameters()), list(original.parameters()), 0)
    with ng.no_grad():
        mine.weight_hh_l1_reverse.zero_()
    original.load_state_dict({key: torch.from_numpy(array(value)) for key, value in mine.state_dict().items()})
    assert not original.weight_hh_l1_reverse.any()
    assert [len(weights) for weights in mine.all_weights] == [len(weights) for weights in original.all_weights]
    assert mine.all_weights[3][1] is mine.weight_hh_l1_reverse
    assert mine.flatten_parameters() is None


def test_dropout_is_between_layers_and_in_training(torch: Any) -> None:
    mine, original = pair(torch, NETWORKS["GRU"], num_layers=3, dropout=0.5)
    x = normal(6, 4, FEATURES)
    mine.eval(), original.eval()
    agree(mine(ng.tensor(x)), original(torch.tensor(x)))
    mine.train()
    ng.manual_seed(0)
    first, again = mine(ng.tensor(x))[0], mine(ng.tensor(x))[0]
    assert (first != again).any()
    mine.dropout = 1.0  # all that the last layer sees are zeros
    last = copy.deepcopy(mine)
    out = mine(ng.tensor(x))[0]
    alone = nn.GRU(WIDTH, WIDTH, dtype=ng.float64)
    alone.load_state_dict({n.replace("_l2", "_l0"): v for n, v in last.state_dict().items() if n.endswith("_l2")})
    agree(out, alone(ng.zeros(6, 4, WIDTH, dtype=ng.float64))[0])


def test_dropout_in_a_single_layer_is_warned_of(torch: Any) -> None:
    for lib in (nn, torch.nn):
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
            lib.LSTM(2, 3, dropout=0.1)


def test_functional_call_and_another_weight() -> None:
    layer = nn.GRU(FEATURES, WIDTH)
    x = ng.tensor(normal(4, 2, FEATURES, dtype="float32"))
    zeros = {name: ng.zeros_like(parameter) for name, parameter in layer.named_parameters()}
    assert not ng.func.functional_call(layer, zeros, (x,))[0].any()
    assert layer(x)[0].any()
    layer.weight_ih_l0 = nn.Parameter(ng.zeros_like(layer.weight_ih_l0))
    agree(layer(x)[0], layer(x * 0)[0], 0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(torch: Any, name: str, bias: bool) -> None:
    def make(lib: Any, **options: Any) -> Any:
        return getattr(lib, name)(FEATURES, WIDTH, bias=bias, **options)

    mine, original = pair(torch, make)
    assert repr(mine) == repr(original)
    for batch in ((2,), ()):
        states = [normal(*batch, WIDTH), normal(*batch, WIDTH) * 2][: 1 + (name == "LSTMCell")]

        def run(module: Any, leaves: list[Any]) -> Any:
            return module(leaves[0]), module(leaves[0], states_of(leaves[1:]))

        inputs = [normal(*batch, FEATURES), *states]
        agree(with_gradients(mine, ng, run, inputs), with_gradients(original, torch, run, inputs))


def test_a_cell_without_width(torch: Any) -> None:
    for lib in (nn, torch.nn):
        cell = lib.LSTMCell(3, 0)
        hidden, state = cell((ng if lib is nn else torch).zeros(2, 3))
        (hidden + state).sum().backward()
        assert hidden.shape == state.shape == (2, 0)
        assert cell.weight_ih.grad.shape == (0, 3)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_functions(torch: Any, name: str) -> None:
    gates = {"lstm": 4, "gru": 3}.get(name, 1)
    shapes = [(gates * WIDTH, FEATURES), (gates * WIDTH, WIDTH), (gates * WIDTH,), (gates * WIDTH,)]
    params = [normal(*shape) for shape in shapes]
    hidden = [normal(1, 4, WIDTH), normal(1, 4, WIDTH) / 2][: 1 + (name == "lstm")]
    results = []
    for lib in (ng, torch):
        hx, weights = [lib.tensor(x) for x in hidden], [lib.tensor(p) for p in params]
        state, function = states_of(hx), getattr(lib, name)
        x = lib.tensor(normal(3, 4, FEATURES))
        rows = lib.tensor(normal(sum(SIZES), FEATURES))
        results.append([
            function(x, state, weights, True, 1, 0.0, False, False, False),
            function(x.transpose(0, 1), state, weights, True, 1, 0.0, False, False, True),
            function(rows, lib.tensor(SIZES), state, weights, True, 1, 0.0, False, False),
            function(input=x, hx=state, params=weights[:2], has_biases=False, num_layers=1, dropout=0.0, train=False,
                     bidirectional=False, batch_first=False),
        ])  # fmt: skip
        cell, state = getattr(lib, f"{name}_cell"), states_of([x[0] for x in hx])
        results[-1] += [cell(x[0], state, *weights), cell(x[0], state, *weights[:2])]
    agree(*results)


def test_one_of_two_biases(torch: Any) -> None:
    x, hx = normal(2, FEATURES), normal(2, WIDTH)
    for name, gates in (("gru_cell", 3), ("rnn_tanh_cell", 1)):
        weights = [normal(gates * WIDTH, FEATURES), normal(gates * WIDTH, WIDTH)]
        bias = normal(gates * WIDTH)
        for biases in ((bias, 0 * bias), (0 * bias, bias)):
            expected = getattr(torch, name)(*map(torch.tensor, (x, hx, *weights, *biases)))
            given = [None if not each.any() else ng.tensor(each) for each in biases]
            agree(getattr(ng, name)(*map(ng.tensor, (x, hx, *weights)), *given), expected)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_the_bits_do_not_depend_on_threads_or_on_the_batch(name: str) -> None:
    layer, threads = getattr(nn, name)(17, 70), ng.get_num_threads()
    for batch in (50, 10):  # register tiles of many rows, and for many threads of few
        # So many steps that the product of all inputs has rows enough for one and the same form, whatever the batch is.
        x, results = ng.tensor(normal(17, batch, 17, dtype="float32")), []
        try:
            for count in (1, 2, 5):
                ng.set_num_threads(count)
                layer.zero_grad()
                out = layer(x)[0]
                (out * out).sum().backward()
                results.append([array(out), *(array(p.grad) for p in layer.parameters())])
        finally:
            ng.set_num_threads(threads)
        for first, *others in zip(*results, strict=True):
            assert all((first == other).all() for other in others)
        for count in (1, 7):
            agree(layer(x[:, :count])[0], layer(x)[0][:, :count], 0)


def test_float16_and_no_sequences(torch: Any) -> None:
    mine, original = pair(torch, NETWORKS["LSTM"], "float32")
    x = normal(3, 2, FEATURES, dtype="float32")
    expected = original(torch.tensor(x))[0]
    got = mine.half()(ng.tensor(x).half())[0]
    assert got.dtype is ng.float16
    np.testing.assert_allclose(array(got), array(expected), atol=4e-3)
    empty, (hidden, cell) = mine.float()(ng.zeros(3, 0, FEATURES, requires_grad=True))
    assert empty.shape == (3, 0, WIDTH)
    assert hidden.shape == cell.shape == (1, 0, WIDTH)
    empty.sum().backward()
    assert not mine.weight_hh_l0.grad.any()


def test_nan_stays_in_its_sequence() -> None:
    for make in NETWORKS.values():
        x = normal(5, 4, FEATURES, dtype="float32")
        x[2, 1] = np.nan
        out = make(nn)(ng.tensor(x))[0]
        spoiled = out.isnan().any(2)
        assert (spoiled == ng.tensor([[t >= 2 and b == 1 for b in range(4)] for t in range(5)])).all()


CONSTRUCTORS = [
    ("dropout", lambda lib: lib.nn.LSTM(3, 4, dropout=1.5)),
    ("dropout a bool", lambda lib: lib.nn.LSTM(3, 4, dropout=True)),
    ("bias", lambda lib: lib.nn.GRU(3, 4, bias=1)),
    ("batch_first", lambda lib: lib.nn.GRU(3, 4, batch_first=1)),
    ("input_size", lambda lib: lib.nn.RNN(3.0, 4)),
    ("input_size 0", lambda lib: lib.nn.RNN(0, 4)),
    ("hidden_size", lambda lib: lib.nn.RNN(3, "4")),
    ("hidden_size 0", lambda lib: lib.nn.RNN(3, 0)),
    ("num_layers", lambda lib: lib.nn.RNN(3, 4, 0)),
    ("proj_size", lambda lib: lib.nn.LSTM(3, 4, proj_size=-1)),
    ("proj_size too large", lambda lib: lib.nn.LSTM(3, 4, proj_size=4)),
    ("proj_size of a GRU", lambda lib: lib.nn.GRU(3, 4, proj_size=2)),
    ("proj_size of an RNN", lambda lib: lib.nn.RNN(3, 4, proj_size=2)),
    ("nonlinearity", lambda lib: lib.nn.RNN(3, 4, nonlinearity="sigmoid")),
    ("nonlinearity by position", lambda lib: lib.nn.RNN(3, 4, 2, "relu", False).extra_repr()),
    ("mode", lambda lib: lib.nn.RNNBase("SRN", 3, 4)),
    ("repr", lambda lib: lib.nn.LSTM(3, 4, 2, False, True, 0.5, True, 2)),
    ("repr of a cell", lambda lib: (lib.nn.RNNCell(3, 4, False, "relu"), lib.nn.LSTMCell(3, 4), lib.nn.GRUCell(0, 4))),
]


def zeros(lib: Any, *shape: int) -> Any:
    return lib.t.zeros(*shape)


CALLS = [
    ("dtype", lambda lib: lib.nn.GRU(3, 4)(zeros(lib, 5, 2, 3).double())),
    ("dims", lambda lib: lib.nn.RNN(3, 4)(zeros(lib, 3))),
    ("dims of an LSTM", lambda lib: lib.nn.LSTM(3, 4)(zeros(lib, 1, 5, 2, 3))),
    ("width", lambda lib: lib.nn.LSTM(3, 4)(zeros(lib, 5, 2, 7))),
    ("hidden size", lambda lib: lib.nn.GRU(3, 4)(zeros(lib, 5, 2, 3), zeros(lib, 1, 3, 4))),
    ("hidden dims", lambda lib: lib.nn.GRU(3, 4)(zeros(lib, 5, 2, 3), zeros(lib, 2, 4))),
    ("hidden dims, one sequence", lambda lib: lib.nn.RNN(3, 4)(zeros(lib, 5, 3), zeros(lib, 1, 2, 4))),
    ("states dims", lambda lib: lib.nn.LSTM(3, 4)(zeros(lib, 5, 2, 3), (zeros(lib, 1, 2, 4), zeros(lib, 2, 4)))),
    ("states dims, one", lambda lib: lib.nn.LSTM(3, 4)(zeros(lib, 5, 3), (zeros(lib, 4), zeros(lib, 1, 4)))),
    ("hidden[0]", lambda lib: lib.nn.LSTM(3, 4)(zeros(lib, 5, 2, 3), (zeros(lib, 2, 2, 4), zeros(lib, 1, 2, 4)))),
    ("hidden[1]", lambda lib: lib.nn.LSTM(3, 4)(zeros(lib, 5, 2, 3), (zeros(lib, 1, 2, 4), zeros(lib, 1, 2, 5)))),
    ("no step", lambda lib: lib.nn.LSTM(3, 4)(zeros(lib, 0, 2, 3))),
    ("two states", lambda lib: lib.t.lstm(
        zeros(lib, 5, 2, 3), (zeros(lib, 1, 2, 4),), [zeros(lib, 16, 3), zeros(lib, 16, 4)], False, 1, 0.0, True, False, False
    )),
    ("cell's dims", lambda lib: lib.nn.RNNCell(3, 4)(zeros(lib, 1, 2, 3))),
    ("cell's hidden", lambda lib: lib.nn.GRUCell(3, 4)(zeros(lib, 2, 3), zeros(lib, 1, 2, 4))),
    ("cell's hx", lambda lib: lib.nn.LSTMCell(3, 4)(zeros(lib, 2, 3), (zeros(lib, 2, 4), zeros(lib, 1, 2, 4)))),
    ("cell's batch", lambda lib: lib.nn.GRUCell(3, 4)(zeros(lib, 2, 3), zeros(lib, 1, 4))),
    ("cell's width", lambda lib: lib.nn.LSTMCell(3, 4)(zeros(lib, 2, 3), (zeros(lib, 2, 4), zeros(lib, 2, 5)))),
    ("cell's input", lambda lib: lib.nn.GRUCell(3, 4)(zeros(lib, 2, 5))),
    ("cell's nonlinearity", lambda lib: lib.nn.RNNCell(3, 4, nonlinearity="sin")(zeros(lib, 2, 3))),
    ("one state", lambda lib: lib.t.lstm_cell(zeros(lib, 2, 3), (zeros(lib, 2, 4),), zeros(lib, 16, 3), zeros(lib, 16, 4))),
    ("rows", lambda lib: lib.t.rnn_tanh_cell(zeros(lib, 2, 3), zeros(lib, 2, 4), zeros(lib, 8, 3), zeros(lib, 4, 4))),
]  # fmt: skip


@pytest.mark.parametrize(("label", "case"), CONSTRUCTORS + CALLS, ids=[label for label, _ in CONSTRUCTORS + CALLS])
def test_words(torch_says: Any, label: str, case: Any) -> None:
    assert list(outcome(case, ours())) == torch_says(lambda torch: outcome(case, theirs(torch)))


def test_what_torch_does_not_refuse_is_refused() -> None:
    x, hx, params = ng.zeros(5, 2, 3), (ng.zeros(1, 2, 4), ng.zeros(1, 2, 4)), [ng.zeros(16, 3), ng.zeros(16, 4)]
    rest = (1, 0.0, True, False, False)
    for inputs, text in (
        ((x, hx, params, True, *rest), "got 2 weights and biases, expected 4: 4 for each of 1 layers in 1 directions"),
        ((x, (ng.zeros(1, 3, 4),) * 2, params, False, *rest), "hidden has shape .3, 4., expected .2, 4."),
        ((x, (ng.zeros(2, 2, 4),) * 2, params, False, *rest), "initial states have shapes"),
        ((x[0], hx, params, False, *rest), "input must have 3 dimensions, got 2"),
        ((x, hx, [ng.zeros(16, 7), params[1]], False, *rest), "weight_ih has shape .16, 7., expected .16, 3."),
        ((x, hx, [ng.zeros(16, 3).double(), params[1]], False, *rest), "weight_ih is of"),
        ((x[0], ng.tensor([1, 2]), hx, params, False, *rest[:-1]), "batch_sizes are .1, 2., expected"),
        ((x[0], ng.tensor([1.0]), hx, params, False, *rest[:-1]), "batch_sizes should be a 1D int64 tensor"),
    ):
        with pytest.raises(RuntimeError, match=text):
            ng.lstm(*inputs)


def test_higher_derivatives_of_a_network() -> None:
    for name, make in NETWORKS.items():
        if name == "RNN relu":
            continue
        layer = make(nn, dtype=ng.float64, bidirectional=True)
        x = ng.tensor(normal(3, 2, FEATURES), requires_grad=True)
        assert ng.autograd.gradcheck(lambda x, layer=layer: layer(x)[0], x, check_forward_ad=True)
        assert ng.autograd.gradgradcheck(lambda x, layer=layer: layer(x)[0], x)


def test_vmap_and_jvp() -> None:
    layer = nn.LSTM(FEATURES, WIDTH, dtype=ng.float64)
    x = ng.tensor(normal(4, 3, 2, FEATURES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one example after the other would be warned of
        many = ng.func.vmap(lambda x: layer(x)[0])(x)
        agree(many, ng.stack([layer(each)[0] for each in x]))
        weights = dict(layer.named_parameters())

        def loss(weights: Any, x: Any) -> Any:
            return (ng.func.functional_call(layer, weights, (x,))[0] ** 2).sum()

        each = ng.func.vmap(ng.func.grad(loss), in_dims=(None, 0))(weights, x)
    for name, grads in each.items():
        agree(grads, ng.stack([ng.func.grad(loss)(weights, one)[name] for one in x]), 1e-10)


def test_sequences_of_any_batch_sizes_are_those_by_themselves() -> None:
    """The networks over packed sequences are the same as over each sequence alone."""
    rng = np.random.default_rng(0)
    for name, batch in itertools.product(NETWORKS, (1, 3, 9)):
        layer = NETWORKS[name](nn, dtype=ng.float64, bidirectional=True)
        sequences = [ng.tensor(rng.normal(size=(length, FEATURES))) for length in rng.integers(1, 7, batch)]
        packed, states = layer(nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False))
        for number, (out, alone) in enumerate(
            zip(nn.utils.rnn.unpack_sequence(packed), map(layer, sequences), strict=True)
        ):
            agree(out, alone[0])
            agree([state[:, number] for state in flat(states)], flat(alone[1]))
