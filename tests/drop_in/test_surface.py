"""What code around a layer touches beside its call: weights, copies, files, dtypes and devices, and how it is shown."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

import rnnkit

from ..core_cells import CORE_CELLS

ORACLES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
D, H = 3, 5
DEEP = {"num_layers": 2, "bidirectional": True}
PROJECTED = {**DEEP, "proj_size": 2}
DEFAULTS = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0}

every_cell = pytest.mark.parametrize("name", CORE_CELLS)
every_oracle = pytest.mark.parametrize(
    ("name", "options"),
    [("lstm", DEEP), ("gru", DEEP), ("rnn", DEEP), ("lstm", PROJECTED), ("lstm", {**DEEP, "bias": False})],
    ids=["lstm", "gru", "rnn", "lstm with a projection", "lstm without biases"],
)


def pair(name, **options):
    """Return torch's module and the layer, each with weights of its own."""
    torch.manual_seed(0)
    return ORACLES[name](D, H, **options), rnnkit.RNN(name, D, H, **options)


def run(layer, xs, tensors):
    """Return output and states, in evaluation mode."""
    layer.eval()
    with torch.no_grad():
        output, state = layer(xs)
    return output, *tensors(state)


@every_oracle
def test_state_dicts_go_both_ways(name, options):
    reference, layer = pair(name, **options)
    given = {key: tensor.clone() for key, tensor in reference.state_dict().items()}
    assert list(layer.state_dict()) == list(given)
    layer.load_state_dict(given, strict=True)
    assert all(torch.equal(tensor, given[key]) for key, tensor in layer.state_dict().items())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1)
    reference.load_state_dict(layer.state_dict(), strict=True)
    assert all(torch.equal(tensor, given[key] + 1) for key, tensor in reference.state_dict().items())


@every_oracle
def test_all_weights_are_torch_s(name, options):
    reference, layer = pair(name, **options)
    layer.load_state_dict(reference.state_dict())
    assert len(layer.all_weights) == len(reference.all_weights) == 4
    for position, (found, expected) in enumerate(zip(layer.all_weights, reference.all_weights, strict=True)):
        assert len(found) == len(expected)
        assert all(map(torch.equal, found, expected))
        assert all(tensor is own for tensor, own in zip(found, layer.parameters_of(position).values(), strict=True))
    owned = {id(parameter) for parameter in layer.parameters()}
    assert {id(tensor) for tensors in layer.all_weights for tensor in tensors} == owned


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop("weight_hh_l1"),
        lambda weights: weights.update(weight_hh_l2=torch.zeros(1)),
        lambda weights: weights.update(weight_ih_l0=torch.zeros(2, 2)),
        lambda weights: weights.clear(),
    ],
    ids=["missing", "unexpected", "another shape", "nothing"],
)
@every_oracle
def test_a_state_dict_that_does_not_fit_reads_as_torch_s(name, options, change):
    reference, layer = pair(name, **options)
    weights = reference.state_dict()
    change(weights)
    complaints = []
    for module in (reference, layer):
        with pytest.raises(RuntimeError) as caught:
            module.load_state_dict(weights)
        complaints.append(str(caught.value).replace(f"for {type(module).__name__}:", "for the module:"))
    assert complaints[0] == complaints[1]
    assert "weight_" in complaints[0]


@every_oracle
def test_attributes_and_what_is_shown(name, options):
    options = {**options, "dropout": 0.25, "batch_first": True}
    reference, layer = pair(name, **options)
    for attribute in ("input_size", "hidden_size", *DEFAULTS):
        assert getattr(layer, attribute) == getattr(reference, attribute), attribute
    for key, value in options.items():
        assert f"{key}={value}" in repr(layer)
        assert f"{key}=" not in repr(rnnkit.RNN(name, D, H))
    assert repr(layer).startswith(f"RNN('{name}', {D}, {H}, ")


@every_cell
def test_flatten_parameters_changes_nothing(name, tensors):
    layer, xs = rnnkit.RNN(name, D, H), torch.randn(4, 2, D)
    before, weights = run(layer, xs, tensors), dict(layer.named_parameters())
    assert layer.flatten_parameters() is None
    assert all(parameter is weights[key] for key, parameter in layer.named_parameters())
    assert all(map(torch.equal, run(layer, xs, tensors), before))


def pickled(layer):
    return pickle.loads(pickle.dumps(layer))


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy], ids=["pickled", "deepcopied"])
@pytest.mark.parametrize("options", [{}, {"trainable_state": True}], ids=["", "trainable state"])
@every_cell
def test_a_copy_gives_the_same_and_is_trained_alone(name, options, copied, tensors):
    torch.manual_seed(0)
    layer, xs = rnnkit.RNN(name, D, H, **DEEP, **options), torch.randn(4, 2, D)
    layer.train()(xs)
    other = copied(layer)
    before = run(layer, xs, tensors)
    assert all(map(torch.equal, run(other, xs, tensors), before))
    assert repr(other) == repr(layer)
    optimiser = torch.optim.SGD(other.parameters(), lr=1.0)
    other(xs)[0].square().sum().backward()
    optimiser.step()
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert all(map(torch.equal, run(layer, xs, tensors), before))
    assert not torch.equal(run(other, xs, tensors)[0], before[0])


@every_cell
def test_weights_go_through_a_file_without_pickled_code(name, tensors):
    torch.manual_seed(0)
    layer, other, xs = rnnkit.RNN(name, D, H, **DEEP), rnnkit.RNN(name, D, H, **DEEP), torch.randn(4, 2, D)
    assert not torch.equal(run(layer, xs, tensors)[0], run(other, xs, tensors)[0])
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert all(map(torch.equal, run(layer, xs, tensors), run(other, xs, tensors)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@every_cell
def test_a_layer_changes_its_dtype(name, dtype, tensors):
    layer, xs = rnnkit.RNN(name, D, H, **DEEP), torch.randn(4, 2, D)
    before = run(layer, xs, tensors)
    assert layer.to(dtype) is layer
    after = run(layer, xs.to(dtype), tensors)
    assert {tensor.dtype for tensor in after} == {dtype} == {p.dtype for p in layer.parameters()}
    tolerance = 1e-5 if dtype == torch.float64 else 0.1
    torch.testing.assert_close(after, tuple(tensor.to(dtype) for tensor in before), rtol=0, atol=tolerance)


@every_oracle
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_double_gives_torch_s_numbers(name, options, tensors):
    reference, layer = pair(name, **options)
    layer.load_state_dict(reference.state_dict())
    xs = torch.randn(4, 2, D, dtype=torch.float64)
    found, expected = run(layer.double(), xs, tensors), run(reference.double(), xs, tensors)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@every_oracle
def test_a_layer_without_memory_takes_shape_and_is_filled_later(name, options, tensors):
    _, filled = pair(name, **options)
    layer = rnnkit.RNN(name, D, H, **options, device="meta")
    assert {parameter.device.type for parameter in layer.parameters()} == {"meta"}
    shapes = [tensor.shape for tensor in run(layer, torch.empty(4, 2, D, device="meta"), tensors)]
    xs = torch.randn(4, 2, D)
    assert shapes == [tensor.shape for tensor in run(filled, xs, tensors)]
    layer.to_empty(device="cpu").load_state_dict(filled.state_dict())
    assert all(map(torch.equal, run(layer, xs, tensors), run(filled, xs, tensors)))
    other = rnnkit.RNN(name, D, H, **options, device="meta")
    other.load_state_dict(filled.state_dict(), assign=True)
    assert all(map(torch.equal, run(other, xs, tensors), run(filled, xs, tensors)))
    other(xs)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in other.parameters())
