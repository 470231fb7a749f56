"""The frameworks themselves, where they are installed: weights go there and come back, and the outputs are the same.

Each framework is a class: `params` are its own random weights of a cell in its own structure, `run` gives its outputs
over a sequence with such weights.
"""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.interop import export_weights, from_haiku, import_weights

from ..frameworks import need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),  # Keras' own
]

STEPS, BATCH, INPUTS, HIDDEN = 7, 3, 4, 5


def to_numpy(value):
    """Return a structure of tensors as one of float32 arrays."""
    if isinstance(value, dict):
        return {key: to_numpy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [to_numpy(part) for part in value]
    return value.detach().numpy().astype(np.float32)


class Keras:
    def __init__(self, cell, options, monkeypatch):
        monkeypatch.setenv("KERAS_BACKEND", "torch")
        keras = need("keras")
        keras.utils.set_random_seed(0)
        kinds = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
        options = {{"nonlinearity": "activation"}.get(name, name): value for name, value in options.items()}
        self.layer = kinds[cell](HIDDEN, return_sequences=True, bias_initializer="random_normal", **options)
        self.layer.build((BATCH, STEPS, INPUTS))

    def params(self):
        return self.layer.get_weights()

    def run(self, arrays, xs, state):
        self.layer.set_weights(arrays)
        outputs = self.layer(torch.from_numpy(xs).transpose(0, 1), initial_state=[torch.from_numpy(s) for s in state])
        return outputs.detach().transpose(0, 1).numpy()


class Flax:
    """flax.linen; the carry of an LSTM is (c, h)."""

    lstm = "LSTMCell"

    def __init__(self, cell, options, monkeypatch):
        bias_init = need("jax.nn").initializers.normal()
        kind = getattr(need("flax.linen"), {"lstm": self.lstm, "gru": "GRUCell", "rnn": "SimpleCell"}[cell])
        self.tensors = 2 if cell == "lstm" else 1
        self.cell = kind(HIDDEN, bias_init=bias_init, **activation(options))

    def params(self):
        random = need("jax").random.key(0)
        x, h = np.zeros((BATCH, INPUTS)), np.zeros((BATCH, HIDDEN))
        return self.cell.init(random, (h, h) if self.tensors == 2 else h, x)["params"]

    def run(self, params, xs, state):
        carry, outputs = state[::-1] if len(state) > 1 else state[0], []
        for x in xs:
            carry, y = self.cell.apply({"params": params}, carry, x)
            outputs.append(np.asarray(y))
        return np.stack(outputs)


class OptimizedFlax(Flax):
    lstm = "OptimizedLSTMCell"


def activation(options):
    """Return the options of a simple cell as Flax calls them."""
    return {"activation_fn": need("jax.nn").relu} if options == RELU else {}


class Nnx:
    """flax.nnx; the carry of an LSTM is (c, h)."""

    lstm = "OptimizedLSTMCell"

    def __init__(self, cell, options, monkeypatch):
        self.nnx = need("flax.nnx")
        bias_init = need("jax.nn").initializers.normal()
        kind = getattr(self.nnx, {"lstm": self.lstm, "gru": "GRUCell", "rnn": "SimpleCell"}[cell])
        self.cell = kind(INPUTS, HIDDEN, bias_init=bias_init, rngs=self.nnx.Rngs(0), **activation(options))

    def params(self):
        return self.nnx.to_pure_dict(self.nnx.state(self.cell, self.nnx.Param))

    def run(self, params, xs, state):
        held = self.nnx.state(self.cell, self.nnx.Param)
        self.nnx.replace_by_pure_dict(held, params)
        self.nnx.update(self.cell, held)
        carry, outputs = state[::-1] if len(state) > 1 else state[0], []
        for x in xs:
            carry, y = self.cell(carry, x)
            outputs.append(np.asarray(y))
        return np.stack(outputs)


class PlainNnx(Nnx):
    lstm = "LSTMCell"


class Haiku:
    def __init__(self, cell, options, monkeypatch):
        haiku = need("haiku")
        kind = {"lstm": haiku.LSTM, "gru": haiku.GRU, "rnn": haiku.VanillaRNN}[cell]
        self.state, self.tensors = (haiku.LSTMState, 2) if cell == "lstm" else (lambda h: h, 1)
        self.step = haiku.without_apply_rng(haiku.transform(lambda x, state: kind(HIDDEN)(x, state)))

    def params(self):
        start = self.state(*[np.zeros((BATCH, HIDDEN))] * self.tensors)
        params = self.step.init(need("jax").random.key(0), np.zeros((BATCH, INPUTS)), start)
        random = np.random.default_rng(0)
        noise = lambda leaf: leaf + random.normal(scale=0.2, size=leaf.shape).astype(leaf.dtype)  # noqa: E731  (Haiku's biases start at zero)
        return need("jax").tree.map(noise, params)

    def run(self, params, xs, state):
        state, outputs = self.state(*state), []
        for x in xs:
            y, state = self.step.apply(params, x, state)
            outputs.append(np.asarray(y))
        return np.stack(outputs)


class Onnx:
    """A graph of one operator, run by onnxruntime; ONNX has weights and no way to draw them."""

    def __init__(self, cell, options, monkeypatch):
        self.onnx, self.runtime = need("onnx"), need("onnxruntime")
        self.cell, self.operator = cell, {"gru": "GRU", "rnn": "RNN"}.get(cell, "LSTM")
        self.attributes = {}
        if cell == "gru":
            self.attributes["linear_before_reset"] = int(options.get("reset_after", True))
        if options.get("nonlinearity") == "relu":
            self.attributes["activations"] = ["Relu"]

    def params(self):
        random = np.random.default_rng(0)
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[self.operator]
        shapes = {"W": (1, gates * HIDDEN, INPUTS), "R": (1, gates * HIDDEN, HIDDEN), "B": (1, 2 * gates * HIDDEN)}
        if self.cell == "peephole":
            shapes["P"] = (1, 3 * HIDDEN)
        return {name: random.normal(scale=0.5, size=shape).astype(np.float32) for name, shape in shapes.items()}

    def run(self, inputs, xs, state):
        directions = len(inputs["W"])
        held = dict(zip(["initial_h", "initial_c"], (s.reshape(directions, BATCH, -1) for s in state), strict=False))
        order = ["X", "W", "R", "B", "", "initial_h", "initial_c", "P"]
        given = {"X": xs, **inputs, **held}
        helper = self.onnx.helper
        node = helper.make_node(
            self.operator,
            [name if name in given else "" for name in order[: 8 if self.operator == "LSTM" else 6]],
            ["Y"],
            hidden_size=HIDDEN,
            direction="bidirectional" if directions == 2 else "forward",
            **self.attributes,
        )
        number = self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            [node],
            "recurrence",
            [helper.make_tensor_value_info(name, number, array.shape) for name, array in given.items()],
            [helper.make_tensor_value_info("Y", number, [len(xs), directions, BATCH, HIDDEN])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        self.onnx.checker.check_model(model)
        session = self.runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (ys,) = session.run(["Y"], given)
        return ys.transpose(0, 2, 1, 3).reshape(len(xs), BATCH, -1)


RELU = {"nonlinearity": "relu"}
BEFORE, AFTER = {"reset_after": False}, {"reset_after": True}

# Framework, format, cell, the cell's options.
ORACLES = [
    (Keras, "keras", "lstm", {}),
    (Keras, "keras", "gru", AFTER),
    (Keras, "keras", "gru", BEFORE),
    (Keras, "keras", "rnn", {}),
    (Keras, "keras", "rnn", RELU),
    (Flax, "flax", "lstm", {}),
    (OptimizedFlax, "flax", "lstm", {}),
    (Flax, "flax", "gru", {}),
    (Flax, "flax", "rnn", {}),
    (Flax, "flax", "rnn", RELU),
    (Nnx, "nnx", "lstm", {}),
    (Nnx, "nnx", "gru", {}),
    (Nnx, "nnx", "rnn", {}),
    (Nnx, "nnx", "rnn", RELU),
    (Haiku, "haiku", "lstm", {}),
    (Haiku, "haiku", "gru", BEFORE),
    (Haiku, "haiku", "rnn", RELU),
    (Onnx, "onnx", "lstm", {}),
    (Onnx, "onnx", "peephole", {}),
    (Onnx, "onnx", "gru", AFTER),
    (Onnx, "onnx", "gru", BEFORE),
    (Onnx, "onnx", "rnn", {}),
    (Onnx, "onnx", "rnn", RELU),
]


def name_of(row):
    return "-".join([row[0].__name__, row[2], *(f"{key}={value}" for key, value in row[3].items())])


every_oracle = pytest.mark.parametrize(
    ("framework", "format", "cell", "options"), [pytest.param(*row, id=name_of(row)) for row in ORACLES]
)


def layer_of(cell, options, **more):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, INPUTS, HIDDEN, **options, **more)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def assert_same_outputs(oracle, params, layer):
    """Run both from the same random state over the same random input."""
    torch.manual_seed(1)
    xs = torch.randn(STEPS, BATCH, INPUTS)
    state = tuple(torch.randn(len(layer.cells), BATCH, HIDDEN) for _ in layer.state_names)
    with torch.no_grad():
        expected, _ = layer(xs, state if len(state) > 1 else state[0])
    starts = tuple(tensor.squeeze(0).numpy() for tensor in state)
    found = oracle.run(params, xs.numpy(), starts)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)


@every_oracle
def test_exported_weights_run_there(monkeypatch, framework, format, cell, options):
    oracle, layer = framework(cell, options, monkeypatch), layer_of(cell, options)
    if (format, cell) == ("nnx", "gru"):
        layer.bias_hh_l0.data[2 * HIDDEN :] = 0  # b_hn has no place there
    (params,) = export_weights(layer, format)
    assert_same_outputs(oracle, to_numpy(params), layer)


@every_oracle
def test_weights_from_there_run_here(monkeypatch, framework, format, cell, options):
    oracle, layer = framework(cell, options, monkeypatch), layer_of(cell, options)
    params = oracle.params()
    import_weights(layer, format, [params])
    assert_same_outputs(oracle, params, layer)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_keras_without_biases(monkeypatch, cell):
    oracle, layer = Keras(cell, {"use_bias": False}, monkeypatch), layer_of(cell, {}, bias=False)
    (params,) = export_weights(layer, "keras")
    assert len(params) == 2
    assert_same_outputs(oracle, to_numpy(params), layer)


@pytest.mark.parametrize("cell", ["lstm", "gru"])  # Keras' SimpleRNN is 1e-7 off its own equation
def test_keras_in_double_precision(monkeypatch, cell):
    oracle, layer = Keras(cell, {"dtype": "float64"}, monkeypatch), layer_of(cell, {}, dtype=torch.float64)
    import_weights(layer, "keras", [oracle.params()])
    xs = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    state = tuple(torch.randn(1, BATCH, HIDDEN, dtype=torch.float64) for _ in layer.state_names)
    expected = oracle.run(oracle.params(), xs.numpy(), [tensor[0].numpy() for tensor in state])
    with torch.no_grad():
        found, _ = layer(xs, state if len(state) > 1 else state[0])
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


def test_a_bidirectional_layer_of_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = need("keras")
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(HIDDEN, return_sequences=True))
    theirs.build((BATCH, STEPS, INPUTS))
    ours = layer_of("lstm", {}, bidirectional=True, batch_first=True)
    arrays = theirs.get_weights()
    import_weights(ours, "keras", [arrays[:3], arrays[3:]])
    xs = torch.randn(BATCH, STEPS, INPUTS)
    torch.testing.assert_close(ours(xs)[0], theirs(xs), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_a_bidirectional_operator_of_onnx(monkeypatch, cell):
    oracle, layer = Onnx(cell, {}, monkeypatch), layer_of(cell, {}, bidirectional=True)
    (params,) = export_weights(layer, "onnx")
    assert_same_outputs(oracle, to_numpy(params), layer)


def test_the_plain_lstm_of_nnx(monkeypatch):
    oracle, layer = PlainNnx("lstm", {}, monkeypatch), layer_of("lstm", {})
    params = oracle.params()
    assert "if_" in params
    import_weights(layer, "nnx", [params])
    assert_same_outputs(oracle, params, layer)


def test_a_core_of_haiku_within_a_module():
    haiku, jax = need("haiku"), need("jax")

    class Net(haiku.Module):
        def __call__(self, x, state):
            return haiku.LSTM(HIDDEN, name="memory")(x, state)

    step = haiku.without_apply_rng(haiku.transform(lambda x, state: Net()(x, state)))
    x, start = np.ones((BATCH, INPUTS), np.float32), haiku.LSTMState(*[np.ones((BATCH, HIDDEN), np.float32)] * 2)
    params = step.init(jax.random.key(0), x, start)
    cell = layer_of("lstm", {}).cells[0]
    cell.load_state_dict(from_haiku("lstm", params, name="net/memory"))
    expected, _ = step.apply(params, x, start)
    with torch.no_grad():
        found, _ = cell(torch.ones(BATCH, INPUTS), tuple(torch.ones(BATCH, HIDDEN) for _ in "hc"))
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)
