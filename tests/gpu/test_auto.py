"""What `auto` takes on a device gives the loop's numbers there, whatever a call is like."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnnkit

from ..compiler.test_compiled_law import Call, build, differences
from ..core_cells import CORE_CELLS

TORCH_HAS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
CALLS = {
    "plain": Call(6, 4),
    "lengths": Call(6, 4, lengths=True),
    "reset": Call(6, 4, reset=True, state=True),
    "all of it": Call(7, 18, lengths=True, reset=True, state=True),
    "inference": Call(6, 4, lengths=True, gradients=False),
    "twice": Call(4, 3, order=2),
}
INNER = {name: {"inner": "gru"} for name in ("learnt_state", "norm", "residual", "variational", "zoneout")}


def auto(cell):
    return rnnkit.plugin.resolve.resolve_unroller("auto", cell)


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name", CORE_CELLS)
def test_the_law(name, call, dtype, device):
    cell = build(name, INNER.get(name, {}), 4, 20, dtype)
    assert differences(cell, call, auto(cell)) == []


@pytest.mark.slow
@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("name", [name for name in rnnkit.cells if name not in CORE_CELLS])
def test_the_law_for_the_catalogue(name, device):
    cell = build(name, {}, 4, 20, torch.float64)
    cell = cell if [*cell.parameters()] else cell.double()
    for call in (CALLS["all of it"], CALLS["plain"]):
        assert differences(cell, call, auto(cell)) == []


OTHERS = {
    "checkpoint": "lstm",
    "scan": "lru",
    "newton": "gru",
    "rtrl": "gru",
    "vendor": "lstm",
    "compiled": "layernorm",
}


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("name", OTHERS)
def test_the_law_of_every_unroller_by_name(name, device):
    cell = build(OTHERS[name], {}, 4, 20, torch.float64)
    unroller = rnnkit.unrollers[name]()
    assert not unroller.refusal(cell)
    for call in (CALLS["plain"], CALLS["all of it"]):
        assert differences(cell, call, unroller) == []


def test_every_unroller_is_tried():
    assert OTHERS.keys() | {"loop"} == rnnkit.unrollers.keys()


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_what_auto_takes(name, device):
    layer = rnnkit.RNN(name, 4, 20)
    told = layer.unroller.explain(layer.equipped(0))
    if device.type == "cuda":
        assert str(layer.unroller) == ("vendor" if name == "lstm" else "compiled")
        assert name == "lstm" or told.startswith("backend: triton"), told
    assert layer(torch.randn(3, 2, 4))[0].device == next(layer.parameters()).device


@pytest.mark.parametrize("form", ["packed", "packed, unsorted", "padded"])
@pytest.mark.parametrize("bidirectional", [True, False], ids=["both directions", "one direction"])
@pytest.mark.parametrize("name", TORCH_HAS)
def test_equal_to_torch(name, bidirectional, form, device):
    torch.manual_seed(0)
    theirs = TORCH_HAS[name](4, 20, num_layers=2, bidirectional=bidirectional).to(device)
    ours = rnnkit.RNN(name, 4, 20, num_layers=2, bidirectional=bidirectional, device=device)
    ours.load_state_dict(theirs.state_dict())
    xs = torch.randn(6, 4, 4, device=device)
    if form != "padded":
        lengths = torch.tensor([6, 5, 5, 2] if form == "packed" else [5, 2, 6, 5])
        xs = pack_padded_sequence(xs, lengths, enforce_sorted=form == "packed")
    found = []
    for module in (theirs, ours):
        output, last = module(xs)
        values = output if form == "padded" else output.data
        last = last if isinstance(last, tuple) else (last,)
        grads = torch.autograd.grad(values.sin().sum() + last[0].sum(), [*module.parameters()])
        found.append([values, *last, *grads])
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if device.type == "cpu" else {"rtol": 1e-2, "atol": 1e-3}  # TF32
    torch.testing.assert_close(*found, **tolerance)


@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_lengths_may_be_on_the_cpu_or_on_the_device(name, device):
    torch.manual_seed(0)
    layer, xs = rnnkit.RNN(name, 4, 20, device=device), torch.randn(6, 4, 4, device=device)
    lengths = torch.tensor([6, 2, 5, 3])
    found = [layer(xs, lengths=given)[0] for given in (lengths, lengths.to(device), lengths.tolist())]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_a_layer_that_was_moved_gives_the_same_numbers(name, device):
    torch.manual_seed(0)
    layer, xs = rnnkit.RNN(name, 4, 20, dtype=torch.float64), torch.randn(6, 4, 4, dtype=torch.float64)
    before = layer(xs)[0]
    moved = copy.deepcopy(layer).to(device)
    torch.testing.assert_close(moved(xs.to(device))[0].cpu(), before)
    back = moved.to("cpu")
    assert str(back.unroller) == str(layer.unroller)
    torch.testing.assert_close(back(xs)[0], before)


@pytest.mark.gpu
def test_a_device_that_is_not_the_current_one():
    if torch.cuda.device_count() < 2:
        pytest.skip(f"{torch.cuda.device_count()} GPUs here; it takes two")
    for name in ("lstm", "peephole"):
        torch.manual_seed(0)
        layer, xs = rnnkit.RNN(name, 4, 20, dtype=torch.float64), torch.randn(6, 4, 4, dtype=torch.float64)
        expected = layer(xs)[0]
        with torch.cuda.device(0):
            torch.testing.assert_close(layer.to("cuda:1")(xs.to("cuda:1"))[0].cpu(), expected)
