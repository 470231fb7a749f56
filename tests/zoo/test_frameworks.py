"""Cells of the catalogue beside those of Keras, Flax and Haiku, where they are installed: outputs and gradients.

Each function takes our cell and the input (T, B, D) and returns the framework's outputs (T, B, O), the gradients of
`loss` by the input, and by each of our parameters that it has, in our layout. All is float64.
"""

import numpy as np
import pytest
import torch

import rnnkit

from ..frameworks import need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),  # Keras' own
]

STEPS, BATCH, INPUTS, HIDDEN = 6, 3, 5, 4


def weights_of_loss(shape):
    """Return what the outputs are multiplied by in the loss: each element by a number of its own."""
    return np.cos(np.arange(np.prod(shape), dtype=np.float64)).reshape(shape)


def keras_convlstm(cell, xs, monkeypatch):
    """Without peepholes, channels last, gates i, f, c, o."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = need("keras")
    layer = keras.layers.ConvLSTM1D(
        HIDDEN, cell.kernel_size, padding="same", return_sequences=True, recurrent_activation="sigmoid", dtype="float64"
    )
    steps, rows, width = xs.shape
    inputs = torch.tensor(xs.transpose(1, 0, 2)[..., None], requires_grad=True)  # (B, T, W, 1)
    layer.build(tuple(inputs.shape))
    ours = (cell.input.weight, cell.recurrent.weight, cell.input.bias)
    layer.set_weights([tensor.detach().numpy().transpose(range(tensor.ndim - 1, -1, -1)) for tensor in ours])
    ys = layer(inputs).permute(1, 0, 3, 2).reshape(steps, rows, HIDDEN * width)
    (ys * torch.from_numpy(weights_of_loss(ys.shape))).sum().backward()
    kernel, recurrent, bias = (weight.value.grad.numpy() for weight in layer.weights)
    grads = {"input.weight": kernel.transpose(2, 1, 0), "recurrent.weight": recurrent.transpose(2, 1, 0)}
    return ys.detach().numpy(), inputs.grad[..., 0].numpy().transpose(1, 0, 2), {**grads, "input.bias": bias}


def by_jax(run, params, xs):
    """Return outputs and the gradients of the input and of a tree of parameters, of run(params, xs)."""
    jax = need("jax")
    ys = run(params, xs)
    loss = lambda *given: (run(*given) * weights_of_loss(ys.shape)).sum()  # noqa: E731
    of_params, of_xs = jax.grad(loss, argnums=(0, 1))(params, xs)
    return np.asarray(ys), np.asarray(of_xs), jax.tree.map(np.asarray, of_params)


def i_g_f_o(tensor, forget=0.0):
    """Turn our channels i, f, g, o first into theirs i, g, f, o last; what they add to f is taken off."""
    i, f, g, o = np.split(tensor.detach().numpy(), 4)
    return np.concatenate([i, g, f - forget, o]).transpose(range(tensor.ndim - 1, -1, -1))


def back(array):
    """Turn channels i, g, f, o last into i, f, g, o first."""
    i, g, f, o = np.split(array.transpose(range(array.ndim - 1, -1, -1)), 4)
    return np.concatenate([i, f, g, o])


def convolved(step, start, rows, width):
    """Return the function of parameters and input that steps a convolutional LSTM of channels last."""
    jnp = need("jax.numpy")

    def run(params, xs):
        state, outputs = start(np.zeros((rows, width, HIDDEN))), []
        for x in xs:
            y, state = step(params, x[..., None], state)
            outputs.append(y.transpose(0, 2, 1).reshape(rows, -1))
        return jnp.stack(outputs)

    return run


def flax_convlstm(cell, xs, monkeypatch):
    """Without peepholes, gates i, g, f, o, and 1 is added to f."""
    theirs = need("flax.linen").ConvLSTMCell(HIDDEN, (cell.kernel_size,), param_dtype=np.float64)

    def step(params, x, state):
        after, y = theirs.apply({"params": params}, state, x)
        return y, after

    kernel, bias = i_g_f_o(cell.input.weight), i_g_f_o(cell.input.bias, forget=1.0)
    params = {
        "ih": {"kernel": kernel, "bias": bias},
        "hh": {"kernel": i_g_f_o(cell.recurrent.weight), "bias": np.zeros_like(bias)},
    }
    run = convolved(step, lambda zeros: (zeros, zeros), *xs.shape[1:])
    ys, of_xs, grads = by_jax(run, params, xs)
    kernel, bias, recurrent = grads["ih"]["kernel"], grads["ih"]["bias"], grads["hh"]["kernel"]
    return ys, of_xs, {"input.weight": back(kernel), "input.bias": back(bias), "recurrent.weight": back(recurrent)}


def haiku_convlstm(cell, xs, monkeypatch):
    """Without peepholes, gates i, g, f, o, and 1 is added to f."""
    haiku = need("haiku")
    stepped = haiku.without_apply_rng(
        haiku.transform(
            lambda x, state: haiku.Conv1DLSTM((xs.shape[2], 1), HIDDEN, cell.kernel_size, name="lstm")(x, state)
        )
    )
    bias = i_g_f_o(cell.input.bias, forget=1.0)
    params = {
        "lstm/input_to_hidden": {"w": i_g_f_o(cell.input.weight), "b": bias},
        "lstm/hidden_to_hidden": {"w": i_g_f_o(cell.recurrent.weight), "b": np.zeros_like(bias)},
    }
    run = convolved(stepped.apply, lambda zeros: haiku.LSTMState(zeros, zeros), *xs.shape[1:])
    ys, of_xs, grads = by_jax(run, params, xs)
    ours, recurrent = grads["lstm/input_to_hidden"], grads["lstm/hidden_to_hidden"]["w"]
    found = {"input.weight": back(ours["w"]), "input.bias": back(ours["b"]), "recurrent.weight": back(recurrent)}
    return ys, of_xs, found


def flax_ugrnn(cell, xs, monkeypatch):
    """Flax's minimal gated unit without its reset gate; its biases are in the input's part alone."""
    jnp = need("jax.numpy")
    theirs = need("flax.linen").MGUCell(HIDDEN, reset_gate=False, param_dtype=np.float64)
    blocks = {name: k for k, name in enumerate(cell.blocks)}
    keep, new = blocks["g"], blocks["c"]

    def rows(tensor, block):
        return tensor.detach().numpy()[block * HIDDEN : (block + 1) * HIDDEN]

    bias = cell.bias_ih + cell.bias_hh
    params = {
        "if": {"kernel": rows(cell.weight_ih, keep).T, "bias": rows(bias, keep)},
        "in": {"kernel": rows(cell.weight_ih, new).T, "bias": rows(bias, new)},
        "hf": {"kernel": rows(cell.weight_hh, keep).T},
        "hn": {"kernel": rows(cell.weight_hh, new).T},
    }

    def run(params, xs):
        h, outputs = np.zeros((xs.shape[1], HIDDEN)), []
        for x in xs:
            h, y = theirs.apply({"params": params}, h, x)
            outputs.append(y)
        return jnp.stack(outputs)

    ys, of_xs, grads = by_jax(run, params, xs)
    order = sorted(blocks, key=blocks.get)
    gate = {"g": "f", "c": "n"}
    weight_ih = np.concatenate([grads[f"i{gate[name]}"]["kernel"].T for name in order])
    weight_hh = np.concatenate([grads[f"h{gate[name]}"]["kernel"].T for name in order])
    bias = np.concatenate([grads[f"i{gate[name]}"]["bias"] for name in order])
    return ys, of_xs, {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias, "bias_hh": bias}


ORACLES = {
    "convlstm, Keras": ("convlstm", keras_convlstm),
    "convlstm, Flax": ("convlstm", flax_convlstm),
    "convlstm, Haiku": ("convlstm", haiku_convlstm),
    "ugrnn, Flax": ("ugrnn", flax_ugrnn),
}


@pytest.mark.parametrize("case", ORACLES)
def test_outputs_and_gradients_are_theirs(case, monkeypatch):
    name, oracle = ORACLES[case]
    torch.manual_seed(0)
    layer = rnnkit.RNN(name, INPUTS, HIDDEN, dtype=torch.float64)
    cell = layer.cells[0]
    xs = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    if "Keras" in case:
        ys, of_xs, grads = oracle(cell, xs.detach().numpy(), monkeypatch)
    else:
        with need("jax").enable_x64(True):
            ys, of_xs, grads = oracle(cell, xs.detach().numpy(), monkeypatch)
    assert ys.dtype == np.float64
    outputs = layer(xs)[0]
    (outputs * torch.from_numpy(weights_of_loss(outputs.shape))).sum().backward()
    np.testing.assert_allclose(outputs.detach().numpy(), ys, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(xs.grad.numpy(), of_xs, rtol=1e-9, atol=1e-12)
    ours = dict(cell.named_parameters())
    assert set(ours) - set(grads) <= {"peephole"}
    for parameter, grad in grads.items():
        np.testing.assert_allclose(ours[parameter].grad.numpy(), grad, rtol=1e-9, atol=1e-12, err_msg=parameter)
