"""What goes out comes back: every cell, format and bias, and from the other side too."""

import numpy as np
import pytest
import torch

from rnnkit import interop
from rnnkit.interop.layers import FORMATS, options_of

# Format, cell, the cell's options, and how many biases the format keeps.
PAIRS = [
    ("torch", "lstm", {}, 2),
    ("torch", "gru", {}, 2),
    ("torch", "rnn", {}, 2),
    ("torch", "lstm", {"proj_size": 2}, 2),
    ("keras", "lstm", {}, 1),
    ("keras", "gru", {"reset_after": True}, 2),
    ("keras", "gru", {"reset_after": False}, 1),
    ("keras", "rnn", {}, 1),
    ("flax", "lstm", {}, 1),
    ("flax", "gru", {}, 1),
    ("flax", "rnn", {}, 1),
    ("nnx", "lstm", {}, 1),
    ("nnx", "gru", {}, 1),
    ("nnx", "rnn", {}, 1),
    ("haiku", "lstm", {}, 1),
    ("haiku", "gru", {"reset_after": False}, 1),
    ("haiku", "rnn", {"nonlinearity": "relu"}, 2),
    ("onnx", "lstm", {}, 2),
    ("onnx", "peephole", {}, 2),
    ("onnx", "gru", {}, 2),
    ("onnx", "rnn", {}, 2),
]
KEEPS_ABSENCE = {"torch", "keras", "onnx"}


def name_of(row):
    return "-".join([*row[:2], *(f"{key}={value}" for key, value in row[2].items())])


every_pair = pytest.mark.parametrize(
    ("format", "cell", "options", "kept"), [pytest.param(*row, id=name_of(row)) for row in PAIRS]
)
with_and_without_bias = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])


@pytest.fixture
def converted(build, tensors_of):
    """Return a cell's weights, what they become, and the functions that lead there and back."""

    def converted(format, cell, options, bias=True, dtype=torch.float64):
        module, form = build(cell, 3, 4, dtype, bias=bias, **options), FORMATS[format]
        weights, relevant = tensors_of(module), options_of(module, form)
        if (format, cell, bias) == ("nnx", "gru", True):
            weights["bias_hh"][8:] = 0  # b_hn has no place there

        def write(weights):
            return form.write(cell, weights, **relevant)

        def read(foreign):
            return form.read(cell, foreign, **relevant)

        return weights, write(weights), write, read

    return converted


def test_every_cell_of_every_format_is_here():
    assert {row[:2] for row in PAIRS} == {(f, cell) for f, orders in interop.gates.ORDERS.items() for cell in orders}


@with_and_without_bias
@every_pair
def test_out_and_back(converted, format, cell, options, kept, bias):
    weights, foreign, _, read = converted(format, cell, options, bias)
    found = read(foreign)
    if not bias and format not in KEEPS_ABSENCE:
        weights |= {name: torch.zeros_like(weights["weight_ih"][:, 0]) for name in ("bias_ih", "bias_hh")}
    assert found.keys() == weights.keys()
    if bias and kept == 1:
        for each in (weights, found):
            assert each["bias_ih"].any()
            each["bias_ih"] = each["bias_ih"] + each["bias_hh"]
        if (format, cell) == ("flax", "gru"):  # n has both
            assert torch.equal(found["bias_hh"][8:], weights["bias_hh"][8:])
            found["bias_hh"][8:] = 0
        assert not found.pop("bias_hh").any()
        weights.pop("bias_hh")
    for name, tensor in weights.items():
        torch.testing.assert_close(
            found[name], tensor, rtol=0, atol=1e-15, msg=lambda text, name=name: f"{name}: {text}"
        )


@every_pair
def test_in_and_out_again(converted, tensors_of, format, cell, options, kept):
    _, foreign, write, read = converted(format, cell, options)
    expected, found = tensors_of(foreign), tensors_of(write(read(foreign)))
    assert found.keys() == expected.keys()
    for path, tensor in expected.items():
        torch.testing.assert_close(found[path], tensor, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
@every_pair
def test_numpy_arrays_come_in_with_their_dtype(converted, format, cell, options, kept, dtype):
    _, foreign, _, read = converted(format, cell, options, dtype=dtype)
    found, expected = read(read_only_arrays(foreign)), read(foreign)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert tensor.dtype == dtype
        assert torch.equal(tensor, expected[name])
        tensor.add_(1)  # ours to write on


def read_only_arrays(value):
    """Turn tensors into arrays of which views must not be written on, as those of JAX are."""
    if isinstance(value, torch.Tensor):
        array = value.numpy().copy()
        array.flags.writeable = False
        return array
    if isinstance(value, dict):
        return {key: read_only_arrays(part) for key, part in value.items()}
    return [read_only_arrays(part) for part in value]


@every_pair
def test_no_two_tensors_share_memory(converted, tensors_of, format, cell, options, kept):
    weights, foreign, _, read = converted(format, cell, options)
    there, back = tensors_of(foreign), read(foreign)
    tensors = [*weights.values(), *there.values(), *back.values()]
    assert len(back) == len(weights)
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == len(tensors)


@every_pair
def test_gradients_pass_through(converted, tensors_of, format, cell, options, kept):
    weights, _, write, _ = converted(format, cell, options)
    leaves = {name: tensor.requires_grad_() for name, tensor in weights.items()}
    sum(tensor.square().sum() for tensor in tensors_of(write(leaves)).values()).backward()
    assert all(tensor.grad.any() for tensor in leaves.values() if tensor.any())


@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_both_directions_of_onnx(build, tensors_of, cell):
    forward, reverse = tensors_of(build(cell)), {name: -tensor for name, tensor in tensors_of(build(cell)).items()}
    inputs = interop.to_onnx(cell, forward, reverse)
    assert {len(tensor) for tensor in inputs.values()} == {2}
    for direction, weights in enumerate([forward, reverse]):
        found = interop.from_onnx(cell, inputs, direction, directions=2)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


def test_the_plain_lstm_of_nnx(build, tensors_of):
    weights = tensors_of(build("lstm"))
    linen = interop.to_flax("lstm", weights)
    plain = {"if_" if name == "if" else name: leaves for name, leaves in linen.items()}
    expected, found = interop.from_flax("lstm", linen), interop.from_nnx("lstm", plain)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_core_of_haiku_has_a_path(build, tensors_of):
    for cell, options in (("lstm", {}), ("gru", {"reset_after": False}), ("rnn", {"nonlinearity": "relu"})):
        weights = tensors_of(build(cell))
        params = interop.to_haiku(cell, weights, name="net/~/core_1", **options)
        assert all(name.startswith("net/~/core_1") for name in params)
        others = {"net/linear": {"w": np.zeros((1, 1))}}
        found = interop.from_haiku(cell, params | others, name="net/~/core_1", **options)
        torch.testing.assert_close(found["weight_hh"], weights["weight_hh"], rtol=0, atol=0)


def test_a_vanilla_rnn_of_haiku_with_one_bias(build, tensors_of):
    weights = tensors_of(build("rnn"))
    params = interop.to_haiku("rnn", weights, nonlinearity="relu")
    del params["vanilla_rnn/linear_1"]["b"]  # double_bias=False
    found = interop.from_haiku("rnn", params, nonlinearity="relu")
    assert torch.equal(found["bias_ih"], weights["bias_ih"])
    assert not found["bias_hh"].any()


def test_peepholes_absent_from_onnx_are_zero(build, tensors_of):
    weights = tensors_of(build("lstm"))
    found = interop.from_onnx("peephole", interop.to_onnx("lstm", weights))
    assert {name: tuple(found[name].shape) for name in found.keys() - weights.keys()} == {
        f"peephole_{gate}": (4,) for gate in "ifo"
    }
    assert not any(found[f"peephole_{gate}"].any() for gate in "ifo")


def test_zero_peepholes_of_onnx_are_an_lstm(build, tensors_of):
    inputs = interop.to_onnx("lstm", tensors_of(build("lstm")))
    assert interop.from_onnx("lstm", inputs | {"P": torch.zeros(1, 12)}).keys() == tensors_of(build("lstm")).keys()
