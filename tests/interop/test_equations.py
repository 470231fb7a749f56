"""The equations of every framework, as it documents them, in numpy: exported weights give rnnkit's outputs."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.interop.layers import FORMATS, options_of

SIZES = [(3, 4), (1, 1), (5, 2)]  # D, H


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def lstm(i, f, g, o, c):
    """Return the new h and c from the gates before their nonlinearities."""
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def keras_lstm(arrays, x, h, c):
    kernel, recurrent_kernel, *bias = arrays
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + sum(bias), 4, axis=-1)
    return lstm(i, f, g, o, c)


def keras_gru_after(arrays, x, h):
    kernel, recurrent_kernel, *bias = arrays
    input_bias, recurrent_bias = bias[0] if bias else (0, 0)
    x_z, x_r, x_h = np.split(x @ kernel + input_bias, 3, axis=-1)
    h_z, h_r, h_h = np.split(h @ recurrent_kernel + recurrent_bias, 3, axis=-1)
    z = sigmoid(x_z + h_z)
    candidate = np.tanh(x_h + sigmoid(x_r + h_r) * h_h)
    return (z * h + (1 - z) * candidate,)


def keras_gru_before(arrays, x, h):
    kernel, recurrent_kernel, *bias = arrays
    x_z, x_r, x_h = np.split(x @ kernel + sum(bias), 3, axis=-1)
    u_z, u_r, u_h = np.split(recurrent_kernel, 3, axis=-1)
    z = sigmoid(x_z + h @ u_z)
    candidate = np.tanh(x_h + (sigmoid(x_r + h @ u_r) * h) @ u_h)
    return (z * h + (1 - z) * candidate,)


def keras_rnn(arrays, x, h):
    kernel, recurrent_kernel, *bias = arrays
    return (np.tanh(x @ kernel + h @ recurrent_kernel + sum(bias)),)


def dense(params, name, value):
    """Apply flax' dense layer."""
    return value @ params[name]["kernel"] + params[name].get("bias", 0)


def flax_lstm(params, x, h, c):
    return lstm(*(dense(params, f"i{gate}", x) + dense(params, f"h{gate}", h) for gate in "ifgo"), c)


def flax_gru(params, x, h):
    r, z = (sigmoid(dense(params, f"i{gate}", x) + dense(params, f"h{gate}", h)) for gate in "rz")
    n = np.tanh(dense(params, "in", x) + r * dense(params, "hn", h))
    return ((1 - z) * n + z * h,)


def flax_rnn(params, x, h):
    return (np.tanh(dense(params, "i", x) + dense(params, "h", h)),)


def nnx_lstm(params, x, h, c):
    return lstm(*np.split(dense(params, "dense_i", x) + dense(params, "dense_h", h), 4, axis=-1), c)


def nnx_gru(params, x, h):
    x_r, x_z, x_n = np.split(dense(params, "dense_i", x), 3, axis=-1)
    h_r, h_z, h_n = np.split(dense(params, "dense_h", h), 3, axis=-1)
    z = sigmoid(x_z + h_z)
    return ((1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h,)


def nnx_rnn(params, x, h):
    return (np.tanh(dense(params, "dense_i", x) + dense(params, "dense_h", h)),)


def haiku_lstm(params, x, h, c):
    linear = params["lstm/linear"]
    i, g, f, o = np.split(np.concatenate([x, h], axis=-1) @ linear["w"] + linear["b"], 4, axis=-1)
    return lstm(i, f + 1, g, o, c)


def haiku_gru(params, x, h):
    w_iz, w_ir, w_ia = np.split(params["gru"]["w_i"], 3, axis=-1)
    w_hz, w_hr, w_ha = np.split(params["gru"]["w_h"], 3, axis=-1)
    b_z, b_r, b_a = np.split(params["gru"]["b"], 3)
    z = sigmoid(x @ w_iz + h @ w_hz + b_z)
    r = sigmoid(x @ w_ir + h @ w_hr + b_r)
    a = np.tanh(x @ w_ia + (r * h) @ w_ha + b_a)
    return ((1 - z) * h + z * a,)


def haiku_rnn(params, x, h):
    inner, recurrent = params["vanilla_rnn/linear"], params["vanilla_rnn/linear_1"]
    return (np.maximum(x @ inner["w"] + inner["b"] + h @ recurrent["w"] + recurrent["b"], 0),)


def onnx_gates(inputs, gates):
    """Return W, R, Wb and Rb of each gate, of the first direction."""
    (w,), (r,) = inputs["W"], inputs["R"]
    b = inputs["B"][0] if "B" in inputs else np.zeros(2 * len(w))
    return zip(*(np.split(part, gates) for part in (w, r, *np.split(b, 2))), strict=True)


def onnx_lstm(inputs, x, h, c):
    i, o, f, g = (x @ w.T + h @ r.T + wb + rb for w, r, wb, rb in onnx_gates(inputs, 4))
    p_i, p_o, p_f = np.split(inputs["P"][0], 3) if "P" in inputs else (0, 0, 0)
    new_c = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * np.tanh(g)
    return sigmoid(o + p_o * new_c) * np.tanh(new_c), new_c


def onnx_gru(linear_before_reset):
    def step(inputs, x, h):
        z, r, (w_h, r_h, wb_h, rb_h) = onnx_gates(inputs, 3)
        z, r = (sigmoid(x @ w.T + h @ u.T + wb + rb) for w, u, wb, rb in (z, r))
        recurrent = r * (h @ r_h.T + rb_h) if linear_before_reset else (r * h) @ r_h.T + rb_h
        return ((1 - z) * np.tanh(x @ w_h.T + recurrent + wb_h) + z * h,)

    return step


def onnx_rnn(inputs, x, h):
    ((w, r, wb, rb),) = onnx_gates(inputs, 1)
    return (np.tanh(x @ w.T + h @ r.T + wb + rb),)


def torch_cell(kind, **options):
    """Step torch's own cell, which holds the weights as its state dict."""

    def step(state_dict, x, h, *c):
        weights = {name: torch.tensor(array) for name, array in state_dict.items()}
        inputs = weights["weight_ih"].shape[1]
        cell = kind(inputs, h.shape[-1], bias="bias_ih" in weights, dtype=torch.float64, **options)
        cell.load_state_dict(weights)
        before = tuple(torch.from_numpy(tensor) for tensor in (h, *c))
        after = cell(torch.from_numpy(x), before if c else before[0])
        return tuple(tensor.detach().numpy() for tensor in (after if c else (after,)))

    return step


# Format, cell, the cell's options, the framework's step.
EQUATIONS = [
    ("torch", "lstm", {}, torch_cell(torch.nn.LSTMCell)),
    ("torch", "gru", {}, torch_cell(torch.nn.GRUCell)),
    ("torch", "rnn", {}, torch_cell(torch.nn.RNNCell)),
    ("torch", "rnn", {"nonlinearity": "relu"}, torch_cell(torch.nn.RNNCell, nonlinearity="relu")),
    ("keras", "lstm", {}, keras_lstm),
    ("keras", "gru", {"reset_after": True}, keras_gru_after),
    ("keras", "gru", {"reset_after": False}, keras_gru_before),
    ("keras", "rnn", {}, keras_rnn),
    ("flax", "lstm", {}, flax_lstm),
    ("flax", "gru", {}, flax_gru),
    ("flax", "rnn", {}, flax_rnn),
    ("nnx", "lstm", {}, nnx_lstm),
    ("nnx", "gru", {}, nnx_gru),
    ("nnx", "rnn", {}, nnx_rnn),
    ("haiku", "lstm", {}, haiku_lstm),
    ("haiku", "gru", {"reset_after": False}, haiku_gru),
    ("haiku", "rnn", {"nonlinearity": "relu"}, haiku_rnn),
    ("onnx", "lstm", {}, onnx_lstm),
    ("onnx", "peephole", {}, onnx_lstm),
    ("onnx", "gru", {"reset_after": True}, onnx_gru(linear_before_reset=True)),
    ("onnx", "gru", {"reset_after": False}, onnx_gru(linear_before_reset=False)),
    ("onnx", "rnn", {}, onnx_rnn),
]


def tensors_of(module):
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def as_numpy(value):
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {key: as_numpy(part) for key, part in value.items()}
    return [as_numpy(part) for part in value]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(
    ("format", "cell", "options", "step"),
    [
        pytest.param(*row, id="-".join([*row[:2], *(f"{key}={value}" for key, value in row[2].items())]))
        for row in EQUATIONS
    ],
)
def test_exported_weights_give_the_same_outputs(build, format, cell, options, step, sizes, bias):
    inputs, hidden = sizes
    module = build(cell, inputs, hidden, bias=bias, **options)
    if (format, cell, bias) == ("nnx", "gru", True):
        module.bias_hh.data[2 * hidden :] = 0  # b_hn has no place there
    form = FORMATS[format]
    foreign = form.write(cell, tensors_of(module), **options_of(module, form))

    xs = torch.randn(6, 2, inputs, dtype=torch.float64)
    start = tuple(torch.randn(2, hidden, dtype=torch.float64) for _ in module.state_names)
    with torch.no_grad():
        expected, last = rnnkit.unrollers["loop"]()(module, xs, start)

    state, arrays, outputs = tuple(tensor.numpy() for tensor in start), as_numpy(foreign), []
    for x in xs.numpy():
        state = step(arrays, x, *state)
        outputs.append(state[0])
    np.testing.assert_allclose(np.stack(outputs), expected.numpy(), rtol=0, atol=1e-12)
    for found, wanted in zip(state, last, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-12)
