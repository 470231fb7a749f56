"""What cannot be converted is refused in one sentence that names it."""

import re

import numpy as np
import pytest
import torch

from rnnkit import interop
from rnnkit.errors import ShapeError, UsageError

BEFORE, RELU = {"reset_after": False}, {"nonlinearity": "relu"}

# Format, cell, the options that the cell is said to have, and what the sentence says.
IMPOSSIBLE = [
    (
        "torch",
        "peephole",
        {},
        "format 'torch' has no counterpart of cell 'peephole', only of lstm, gru, rnn; only onnx",
    ),
    ("keras", "peephole", {}, "format 'keras' has no counterpart of cell 'peephole'"),
    ("flax", "peephole", {}, "format 'flax' has no counterpart of cell 'peephole'"),
    ("nnx", "peephole", {}, "format 'nnx' has no counterpart of cell 'peephole'"),
    ("haiku", "peephole", {}, "format 'haiku' has no counterpart of cell 'peephole'"),
    ("keras", "layernorm", {}, "has no counterpart of cell 'layernorm', only of lstm, gru, rnn; nor has any other"),
    ("onnx", "layernorm", {}, "has no counterpart of cell 'layernorm', only of lstm, peephole, gru, rnn; nor has any"),
    ("torch", "gru", BEFORE, "'torch' resets after the recurrent product; use rnnkit's with reset_after=True"),
    ("flax", "gru", BEFORE, "'flax' resets after the recurrent product; use rnnkit's with reset_after=True"),
    ("nnx", "gru", BEFORE, "'nnx' resets after the recurrent product; use rnnkit's with reset_after=True"),
    ("haiku", "gru", {}, "'haiku' resets before the recurrent product; use rnnkit's with reset_after=False"),
    ("haiku", "rnn", {}, "the VanillaRNN of format 'haiku' is relu; use rnnkit's with nonlinearity='relu'"),
]


@pytest.mark.parametrize("way", ["to", "from"])
@pytest.mark.parametrize(
    ("format", "cell", "options", "sentence"), IMPOSSIBLE, ids=[f"{row[0]}-{row[1]}" for row in IMPOSSIBLE]
)
def test_what_a_format_cannot_express(format, cell, options, sentence, way):
    with refusal(UsageError, sentence):
        getattr(interop, f"{way}_{format}")(cell, {}, **options)


def refusal(kind, sentence):
    return pytest.raises(kind, match=re.escape(sentence))


def test_nnx_has_no_place_for_the_candidates_recurrent_bias(build, tensors_of):
    with refusal(UsageError, "the GRU of format 'nnx' has no place for b_hn, which is not zero; use format 'flax'"):
        interop.to_nnx("gru", tensors_of(build("gru")))


@pytest.mark.parametrize("format", ["keras", "flax", "nnx", "haiku", "onnx"])
def test_only_torch_has_a_projection(build, tensors_of, format):
    weights = tensors_of(build("lstm", proj_size=2))
    with refusal(
        UsageError, "'weight_hr' of cell 'lstm' has no place: of all formats only torch's LSTM has a projection"
    ):
        getattr(interop, f"to_{format}")("lstm", weights)


def test_only_the_lstm_of_torch_has_a_projection(build, tensors_of):
    with refusal(UsageError, "'weight_hr' of cell 'gru' has no place"):
        interop.to_torch("gru", tensors_of(build("gru", proj_size=2)))


SPOILT = {
    "missing": ({"weight_hh": None}, UsageError, "'weight_hh' of cell 'lstm' is missing; there are weight_ih, bias_ih"),
    "one bias": ({"bias_hh": None}, UsageError, "'bias_hh' of cell 'lstm' is missing"),
    "the other": ({"bias_ih": None}, UsageError, "'bias_ih' of cell 'lstm' is missing"),
    "unknown": ({"gain": (4,)}, UsageError, "'gain' has no place in the weights of cell 'lstm'"),
    "suffixed": ({"weight_ih_l0": (16, 3)}, UsageError, "'weight_ih_l0' has no place"),
    "rank": ({"weight_hh": (16,)}, ShapeError, "weight_hh has shape (16,); it must be (any, any)"),
    "gates": ({"weight_hh": (12, 4)}, ShapeError, "weight_hh has shape (12, 4); it must be (16, 4)"),
    "rows": ({"weight_ih": (12, 3)}, ShapeError, "weight_ih has shape (12, 3); it must be (16, any)"),
    "bias": ({"bias_ih": (4,)}, ShapeError, "bias_ih has shape (4,); it must be (16,)"),
}


@pytest.mark.parametrize("format", ["torch", "keras", "flax", "nnx", "haiku", "onnx"])
@pytest.mark.parametrize("fault", SPOILT)
def test_weights_that_are_none(build, tensors_of, fault, format):
    changes, kind, sentence = SPOILT[fault]
    with refusal(kind, sentence):
        getattr(interop, f"to_{format}")("lstm", spoil(tensors_of(build("lstm")), changes))


def spoil(weights, changes):
    """Replace tensors by zeros of another shape; None takes one away."""
    changed = {name: None if shape is None else torch.zeros(shape) for name, shape in changes.items()}
    return {name: tensor for name, tensor in (weights | changed).items() if tensor is not None}


def test_peepholes_must_be_there(build, tensors_of):
    with refusal(UsageError, "'peephole_i' of cell 'peephole' is missing"):
        interop.to_onnx("peephole", tensors_of(build("lstm")))
    with refusal(ShapeError, "peephole_f has shape (3,); it must be (4,)"):
        interop.to_onnx("peephole", spoil(tensors_of(build("peephole")), {"peephole_f": (3,)}))


KERAS = [
    ("lstm", [(3, 16)], UsageError, "keras: 1 arrays given; one direction has kernel, recurrent_kernel and"),
    ("lstm", [(3, 16), (4, 16), (16,)] * 2, UsageError, "keras: 6 arrays given"),
    ("lstm", [(3, 16), (16,)], ShapeError, "keras: recurrent_kernel has shape (16,); it must be (any, any)"),
    ("lstm", [(3, 16), (4, 12)], ShapeError, "keras: recurrent_kernel has shape (4, 12); it must be (4, 16)"),
    ("lstm", [(3, 12), (4, 16)], ShapeError, "keras: kernel has shape (3, 12); it must be (any, 16)"),
    ("lstm", [(3, 16), (4, 16), (4,)], ShapeError, "keras: bias has shape (4,); it must be (16,)"),
    ("gru", [(3, 12), (4, 12), (12,)], ShapeError, "a GRU with reset_after=True has shape (12,); it must be (2, 12)"),
]


@pytest.mark.parametrize(("cell", "shapes", "kind", "sentence"), KERAS, ids=[row[3] for row in KERAS])
def test_arrays_that_are_not_keras(cell, shapes, kind, sentence):
    with refusal(kind, sentence):
        interop.from_keras(cell, [np.zeros(shape) for shape in shapes])


def test_a_bias_of_keras_that_belongs_to_the_other_gru():
    with refusal(ShapeError, "bias of a GRU with reset_after=False has shape (2, 12); it must be (12,)"):
        interop.from_keras("gru", [np.zeros((3, 12)), np.zeros((4, 12)), np.zeros((2, 12))], reset_after=False)


# Format, cell, options, module and name of the array that is spoilt, its shape or None for its absence, what is said.
DICTS = [
    ("flax", "lstm", {}, "hf", None, None, "flax: 'hf' is missing; in its place: ii, if, ig, io, hi, hg, ho"),
    ("flax", "lstm", {}, "hf", "bias", None, "flax: 'bias' of 'hf' is missing; in its place: kernel"),
    ("flax", "lstm", {}, "hf", "kernel", (4, 3), "flax: 'kernel' of 'hf' has shape (4, 3); it must be (4, 4)"),
    ("flax", "lstm", {}, "if", "kernel", (4, 4), "flax: 'kernel' of 'if' has shape (4, 4); it must be (3, 4)"),
    ("flax", "gru", {}, "hn", "bias", (3,), "flax: 'bias' of 'hn' has shape (3,); it must be (4,)"),
    ("flax", "gru", {}, "ir", "bias", None, "flax: 'bias' of 'ir' is missing"),
    ("flax", "rnn", {}, "i", None, None, "flax: 'i' is missing; in its place: h"),
    ("nnx", "gru", {}, "dense_i", "kernel", (3, 8), "'kernel' of 'dense_i' has shape (3, 8); it must be (any, 12)"),
    ("nnx", "gru", {}, "dense_h", "kernel", (4, 8), "'kernel' of 'dense_h' has shape (4, 8); it must be (4, 12)"),
    ("nnx", "lstm", {}, "dense_h", "bias", None, "nnx: 'bias' of 'dense_h' is missing; in its place: kernel"),
    ("haiku", "lstm", {}, "lstm/linear", None, None, "haiku: 'lstm/linear' is missing; in its place: nothing"),
    ("haiku", "lstm", {}, "lstm/linear", "w", (7, 15), "has shape (7, 15); it must be (any, 12)"),
    ("haiku", "lstm", {}, "lstm/linear", "w", (3, 16), "the state's part of 'w' of 'lstm/linear' has shape (3, 16)"),
    ("haiku", "lstm", {}, "lstm/linear", "b", (4,), "'b' of 'lstm/linear' has shape (4,); it must be (16,)"),
    ("haiku", "gru", BEFORE, "gru", "w_h", (4, 9), "haiku: 'w_h' of 'gru' has shape (4, 9); it must be (4, 12)"),
    ("haiku", "gru", BEFORE, "gru", "w_i", (3, 9), "haiku: 'w_i' of 'gru' has shape (3, 9); it must be (any, 12)"),
    (
        "haiku",
        "rnn",
        RELU,
        "vanilla_rnn/linear",
        "b",
        (1,),
        "'b' of 'vanilla_rnn/linear' has shape (1,); it must be (4,)",
    ),
    ("haiku", "rnn", RELU, "vanilla_rnn/linear_1", "w", (4, 5), "has shape (4, 5); it must be (4, 4)"),
]


@pytest.mark.parametrize(
    ("format", "cell", "options", "module", "name", "shape", "sentence"), DICTS, ids=[row[-1] for row in DICTS]
)
def test_parameters_that_are_not_the_cells(build, tensors_of, format, cell, options, module, name, shape, sentence):
    params = getattr(interop, f"to_{format}")(cell, tensors_of(build(cell, bias=format != "nnx")), **options)
    if name is None:
        del params[module]
    else:
        params[module] = spoil(params[module], {name: shape})
    with refusal(UsageError, sentence):
        getattr(interop, f"from_{format}")(cell, params, **options)


ONNX = [
    ({"R": None}, UsageError, "onnx: R is missing; there are W, B"),
    ({"W": None}, UsageError, "onnx: W is missing; there are R, B"),
    ({"R": (16, 4)}, ShapeError, "onnx: R has shape (16, 4); it must be (1, any, any)"),
    ({"R": (1, 12, 4)}, ShapeError, "onnx: R has shape (1, 12, 4); it must be (1, 16, 4)"),
    ({"R": (2, 16, 4)}, ShapeError, "onnx: R has shape (2, 16, 4); it must be (1, any, any)"),
    ({"W": (1, 12, 3)}, ShapeError, "onnx: W has shape (1, 12, 3); it must be (1, 16, any)"),
    ({"B": (1, 16)}, ShapeError, "onnx: B has shape (1, 16); it must be (1, 32)"),
    ({"P": (1, 4)}, ShapeError, "onnx: P has shape (1, 4); it must be (1, 12)"),
]


@pytest.mark.parametrize(("changes", "kind", "sentence"), ONNX, ids=[row[2] for row in ONNX])
def test_inputs_that_are_not_the_operators(build, tensors_of, changes, kind, sentence):
    inputs = interop.to_onnx("lstm", tensors_of(build("lstm")))
    with refusal(kind, sentence):
        interop.from_onnx("lstm", spoil(inputs, changes))


def test_peepholes_are_not_dropped(build, tensors_of):
    inputs = interop.to_onnx("peephole", tensors_of(build("peephole")))
    with refusal(UsageError, "onnx: P is not zero, and cell 'lstm' has no peepholes; use cell 'peephole'"):
        interop.from_onnx("lstm", inputs)


@pytest.mark.parametrize("direction", [1, -1, 2])
def test_a_direction_that_is_not_there(build, tensors_of, direction):
    inputs = interop.to_onnx("lstm", tensors_of(build("lstm")))
    with refusal(UsageError, f"onnx: direction is {direction} of 1; they are counted from 0"):
        interop.from_onnx("lstm", inputs, direction)


def test_directions_of_onnx_that_differ(build, tensors_of):
    forward = tensors_of(build("lstm"))
    with refusal(UsageError, "onnx: one direction has biases and the other has none"):
        interop.to_onnx("lstm", forward, tensors_of(build("lstm", bias=False)))
    with refusal(ShapeError, "onnx: W of the reverse direction has shape (1, 16, 2); it must be (1, 16, 3)"):
        interop.to_onnx("lstm", forward, tensors_of(build("lstm", 2)))


def test_what_is_no_array():
    with refusal(UsageError, "keras: recurrent_kernel cannot become a tensor: "):
        interop.from_keras("lstm", [None, None])
    with refusal(UsageError, "flax: 'kernel' of 'hi' is missing; in its place: a list"):
        interop.from_flax("lstm", {"hi": [1, 2]})
    with refusal(UsageError, "torch: weight_ih cannot become a tensor: "):
        interop.from_torch("lstm", {"weight_ih": "weights"})


@pytest.mark.parametrize("format", ["torch", "keras", "flax", "nnx", "haiku", "onnx"])
@pytest.mark.parametrize("weights", [None, 3.0, np.zeros(3)], ids=["nothing", "number", "array"])
def test_what_is_no_structure(format, weights):
    with refusal(UsageError, type(weights).__name__):
        getattr(interop, f"from_{format}")("lstm", weights)
