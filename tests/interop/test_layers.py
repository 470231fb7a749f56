"""Whole layers: every cell of every layer and direction, all or nothing."""

import pytest
import torch
import torch.nn.utils.prune
from torch.nn.utils.parametrizations import weight_norm

import rnnkit
from rnnkit import interop
from rnnkit.errors import ShapeError, UnknownNameError, UsageError

FORMATS = ["flax", "haiku", "keras", "nnx", "onnx", "torch"]
OF_HAIKU = {"gru": {"reset_after": False}, "rnn": {"nonlinearity": "relu"}}


def layer_of(cell, seed=0, num_layers=2, bidirectional=True, **options):
    torch.manual_seed(seed)
    return rnnkit.RNN(cell, 3, 4, num_layers, bidirectional=bidirectional, dtype=torch.float64, **options)


def outputs_of(layer):
    torch.manual_seed(9)
    with torch.no_grad():
        return layer(torch.randn(5, 2, 3, dtype=torch.float64))[0]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_layer_goes_out_and_comes_back(format, cell):
    options = OF_HAIKU.get(cell, {}) if format == "haiku" else {}
    ours, other = layer_of(cell, 0, **options), layer_of(cell, 1, **options)
    if (format, cell) == ("nnx", "gru"):
        for name, parameter in ours.named_parameters():
            if name.startswith("bias_hh"):
                torch.nn.init.zeros_(parameter)  # b_hn has no place there
    assert not torch.allclose(outputs_of(ours), outputs_of(other))
    interop.import_weights(other, format, interop.export_weights(ours, format))
    torch.testing.assert_close(outputs_of(other), outputs_of(ours), rtol=0, atol=1e-12)


@pytest.mark.parametrize("format", ["flax", "keras", "torch"])
def test_the_entries_are_the_cells_in_the_order_of_the_states(tensors_of, format):
    layer = layer_of("lstm")
    entries = interop.export_weights(layer, format)
    assert len(entries) == 4
    for suffix, entry in zip(["l0", "l0_reverse", "l1", "l1_reverse"], entries, strict=True):
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        weights = {name: getattr(layer, f"{name}_{suffix}").detach() for name in names}
        expected, found = tensors_of(getattr(interop, f"to_{format}")("lstm", weights)), tensors_of(entry)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[path], tensor) for path, tensor in expected.items())


def test_onnx_stacks_the_directions():
    layer = layer_of("peephole")
    entries = interop.export_weights(layer, "onnx")
    assert [tuple(entry["W"].shape) for entry in entries] == [(2, 16, 3), (2, 16, 8)]
    assert torch.equal(entries[1]["P"][1, :4], layer.peephole_i_l1_reverse)
    other = layer_of("peephole", 1)
    interop.import_weights(other, "onnx", entries)
    assert all(torch.equal(found, wanted) for found, wanted in zip(other.parameters(), layer.parameters(), strict=True))


def test_a_direction_too_many_is_refused():
    entries = interop.export_weights(layer_of("lstm"), "onnx")
    with pytest.raises(ShapeError, match=r"cell 0: onnx: R has shape \(2, 16, 4\); it must be \(1, any, any\)"):
        interop.import_weights(layer_of("lstm", bidirectional=False), "onnx", entries)


def test_a_stack_of_different_cells():
    ours, other = (layer_of(["lstm", "gru"], seed, 1) for seed in (0, 1))
    entries = interop.export_weights(ours, "keras")
    assert [tuple(entry[2].shape) for entry in entries] == [(16,), (16,), (2, 12), (2, 12)]
    interop.import_weights(other, "keras", entries)
    torch.testing.assert_close(outputs_of(other), outputs_of(ours), rtol=0, atol=1e-12)


def test_what_is_exported_is_a_copy_without_a_graph():
    layer = layer_of("lstm")
    before = outputs_of(layer)
    for entry in interop.export_weights(layer, "torch") + interop.export_weights(layer, "keras"):
        for tensor in entry.values() if isinstance(entry, dict) else entry:
            assert not tensor.requires_grad
            tensor.fill_(7)
    assert torch.equal(outputs_of(layer), before)


def test_a_computed_weight_is_exported_as_it_is_used():
    layer = layer_of("lstm", num_layers=1, bidirectional=False)
    weight_norm(layer, "weight_hh_l0")
    torch.nn.init.constant_(layer.parametrizations.weight_hh_l0.original0, 0.5)
    other = layer_of("lstm", 1, num_layers=1, bidirectional=False)
    interop.import_weights(other, "onnx", interop.export_weights(layer, "onnx"))
    torch.testing.assert_close(outputs_of(other), outputs_of(layer), rtol=0, atol=1e-12)
    with pytest.raises(UsageError, match="the layer is parametrized, so its weights cannot be written"):
        interop.import_weights(layer, "onnx", interop.export_weights(other, "onnx"))


def test_parameters_stay_the_same_objects_in_the_same_dtype():
    layer = layer_of("lstm", 1).float()
    before = list(layer.parameters())
    interop.import_weights(layer, "keras", interop.export_weights(layer_of("lstm"), "keras"))
    after = list(layer.parameters())
    assert all(one is two for one, two in zip(before, after, strict=True))
    assert {parameter.dtype for parameter in after} == {torch.float32}
    assert all(parameter.requires_grad for parameter in after)


def test_a_zero_bias_is_no_bias():
    plain = layer_of("lstm", bias=False)
    biased, other = layer_of("lstm", 1), layer_of("lstm", 2, bias=False)
    interop.import_weights(biased, "keras", interop.export_weights(plain, "keras"))
    torch.testing.assert_close(outputs_of(biased), outputs_of(plain), rtol=0, atol=1e-12)
    interop.import_weights(other, "flax", interop.export_weights(plain, "flax"))
    torch.testing.assert_close(outputs_of(other), outputs_of(plain), rtol=0, atol=1e-12)


def test_a_bias_is_not_dropped():
    with pytest.raises(UsageError, match="cell 0: the weights hold 'bias_ih', which the layer lacks"):
        interop.import_weights(layer_of("lstm", bias=False), "keras", interop.export_weights(layer_of("lstm"), "keras"))


def test_a_projection_goes_to_torch_and_back():
    ours, other = layer_of("lstm", proj_size=2), layer_of("lstm", 1, proj_size=2)
    interop.import_weights(other, "torch", interop.export_weights(ours, "torch"))
    assert torch.equal(outputs_of(other), outputs_of(ours))


def test_a_projection_is_neither_dropped_nor_made_up():
    plain, projected = layer_of("lstm"), layer_of("lstm", proj_size=2)
    with pytest.raises(UsageError, match="cell 0: the weights hold 'weight_hr', which the layer lacks"):
        interop.import_weights(plain, "torch", interop.export_weights(projected, "torch"))
    with pytest.raises(UsageError, match="cell 0: the weights lack 'weight_hr', which the layer has"):
        interop.import_weights(projected, "torch", interop.export_weights(plain, "torch"))


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_written_unless_all_fits(format):
    layer = layer_of("lstm")
    before = {name: parameter.clone() for name, parameter in layer.named_parameters()}
    entries = interop.export_weights(layer_of("lstm", 1), format)
    entries[-1] = interop.export_weights(layer_of("lstm", 1, num_layers=1), format)[-1]  # D = 3 where 8 are wanted
    at = 2 if format == "onnx" else 3
    with pytest.raises(
        ShapeError, match=rf"^cell {at}: 'weight_ih' is \(16, 3\) in the weights, \(16, 8\) in the layer$"
    ):
        interop.import_weights(layer, format, entries)
    assert all(torch.equal(parameter, before[name]) for name, parameter in layer.named_parameters())


def test_an_entry_that_is_wrong_is_named():
    entries = interop.export_weights(layer_of("lstm"), "flax")
    del entries[2]["hf"]
    with pytest.raises(UsageError, match=r"^cell 2: flax: 'hf' is missing"):
        interop.import_weights(layer_of("lstm"), "flax", entries)


@pytest.mark.parametrize(
    ("format", "entries", "sentence"),
    [
        ("keras", [], "format 'keras': 0 given; it must be a list of 4, one for each cell"),
        ("onnx", [{}], "format 'onnx': 1 given; it must be a list of 2, one for each layer"),
        ("flax", {}, "format 'flax': a dict; it must be a list of 4, one for each cell"),
    ],
)
def test_another_number_of_entries(format, entries, sentence):
    with pytest.raises(UsageError, match=sentence):
        interop.import_weights(layer_of("lstm"), format, entries)


@pytest.mark.parametrize("function", [interop.export_weights, lambda *words: interop.import_weights(*words, [])])
def test_an_unknown_format(function):
    with pytest.raises(UnknownNameError, match=r"no format 'kears' \(did you mean 'keras'\?\); there are flax, haiku"):
        function(layer_of("lstm"), "kears")


def test_a_cell_that_no_format_has():
    with pytest.raises(UsageError, match="no counterpart of cell 'layernorm'"):
        interop.export_weights(layer_of("layernorm"), "keras")


def test_the_cells_options_count():
    with pytest.raises(UsageError, match="'flax' resets after"):
        interop.export_weights(layer_of("gru", reset_after=False), "flax")
    with pytest.raises(UsageError, match="'haiku' is relu"):
        interop.export_weights(layer_of("rnn"), "haiku")
    shapes = [tuple(entry[2].shape) for entry in interop.export_weights(layer_of("gru", reset_after=False), "keras")]
    assert shapes == [(12,)] * 4


@pytest.mark.parametrize("options", [{"cell": "zoneout(lstm)"}, {"cell": "lstm", "trainable_state": True}], ids=str)
def test_what_wraps_a_cell_is_not_dropped(options):
    layer = layer_of(**options, num_layers=1, bidirectional=False)
    with pytest.raises(UsageError, match=f"no counterpart of cell '{layer.cells[0].name}'"):
        interop.export_weights(layer, "keras")
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    inner = {name: layer.parameters_of(0)[name].detach() for name in names}
    assert torch.equal(interop.to_keras("lstm", inner)[0], layer.weight_ih_l0.t())


def test_what_is_dropped_in_training_is_exported_whole():
    layer = rnnkit.RNN("lstm", 4, 5)
    whole = layer.weight_hh_l0.detach().clone()
    rnnkit.weight_drop(layer, 0.5)
    ((_, recurrent, _),) = rnnkit.interop.export_weights(layer, "keras")
    assert torch.equal(recurrent.T, whole)
    assert layer.training


def test_another_layer_than_rnnkit_s_is_refused():
    for call in (rnnkit.interop.export_weights, lambda *given: rnnkit.interop.import_weights(*given, [])):
        with pytest.raises(rnnkit.errors.KindError, match=r"the layer is a LSTM; it must be an rnnkit\.RNN"):
            call(torch.nn.LSTM(3, 4), "keras")


def test_weights_are_not_written_where_they_are_computed():
    layer = rnnkit.RNN("lstm", 4, 5)
    entries = rnnkit.interop.export_weights(layer, "keras")
    torch.nn.utils.prune.l1_unstructured(layer, "weight_hh_l0", 0.3)
    with pytest.raises(rnnkit.errors.UsageError, match="the layer is parametrized, so its weights cannot be written"):
        rnnkit.interop.import_weights(layer, "keras", entries)
