"""`auto` goes by where the layer's parameters are now, and in what dtype."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

import rnnkit
from rnnkit.layers.unroller_report import passed_over
from rnnkit_unrollers import vendor

XS = torch.randn(5, 2, 3)


def layer_of(cell="lstm", **options):
    return rnnkit.RNN(cell, 3, 4, **options)


@pytest.fixture
def fastest_on_meta(monkeypatch):
    """Let "meta", where every machine has room, stand for a GPU."""
    monkeypatch.setattr(vendor, "FASTEST_ON", ("meta",))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
def test_parameters_on_cuda_are_left_to_torch_s_kernels(cell):
    layer = layer_of(cell, device="meta")
    assert str(layer.unroller) != "vendor"
    with FakeTensorMode(allow_non_fake_inputs=True):  # any device, without its memory
        layer.to_empty(device="cuda:0")
        assert next(layer.parameters()).device == torch.device("cuda:0")
        assert (str(layer.unroller) == "vendor") == (cell != "peephole")


MOVES = {
    "to": lambda layer: layer.to("meta"),
    "inside a module": lambda layer: nn.Sequential(layer).to("meta"),
    "assigned": lambda layer: [
        setattr(layer, name, nn.Parameter(p.to("meta"))) for name, p in list(layer.named_parameters())
    ],
    "loaded": lambda layer: layer.load_state_dict(
        {name: tensor.to("meta") for name, tensor in layer.state_dict().items()}, assign=True
    ),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("called", [True, False], ids=["called", "asked"])
@pytest.mark.usefixtures("fastest_on_meta")
def test_a_layer_that_moves_is_chosen_for_anew(move, called):
    layer = layer_of("gru", num_layers=2)
    assert str(layer.unroller) == "compiled"
    move(layer)
    if called:
        assert layer(XS.to("meta"))[0].is_meta
        assert str(layer._unroller) == "vendor"
    assert str(layer.unroller) == "vendor"
    layer.to_empty(device="cpu").reset_parameters()
    assert str(layer.unroller) == "compiled"
    assert layer(XS)[0].shape == (5, 2, 4)


@pytest.mark.filterwarnings("ignore:Complex modules", "ignore:Casting complex")
def test_another_dtype_is_chosen_for_anew():
    layer = layer_of()
    chosen = {dtype: str(layer.to(dtype).unroller) for dtype in (torch.float32, torch.complex64, torch.float16)}
    assert chosen == {torch.float32: "compiled", torch.complex64: "loop", torch.float16: "compiled"}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.usefixtures("fastest_on_meta")
def test_copies_choose_for_themselves(copied):
    layer = layer_of()
    other = copied(layer).to("meta")
    assert (str(layer.unroller), str(other.unroller)) == ("compiled", "vendor")
    assert str(copied(other).unroller) == "vendor"


@pytest.mark.usefixtures("fastest_on_meta")
def test_weights_of_one_call_are_chosen_for():
    layer = layer_of()
    moved = {name: tensor.to("meta") for name, tensor in layer.state_dict().items()}
    assert functional_call(layer, moved, (XS.to("meta"),))[0].is_meta
    assert str(layer._unroller) == "vendor"
    assert torch.equal(layer(XS)[0], layer(XS)[0])
    assert str(layer._unroller) == "compiled"


@pytest.mark.usefixtures("fastest_on_meta")
def test_parametrized_weights_are_chosen_for():
    layer = layer_of()
    for name in list(dict(layer.named_parameters())):
        nn.utils.parametrize.register_parametrization(layer, name, nn.Identity())
    assert not layer._parameters
    assert str(layer.to("meta").unroller) == "vendor"


@pytest.mark.usefixtures("fastest_on_meta")
def test_what_was_asked_for_by_name_stays():
    layer = layer_of(unroller="loop").to("meta")
    assert str(layer.unroller) == "loop"
    layer.unroller = "auto"
    assert str(layer.unroller) == "vendor"
    layer.unroller = "checkpoint"
    assert str(layer.to_empty(device="cpu").unroller) == "checkpoint"


@pytest.mark.usefixtures("fastest_on_meta")
def test_a_choice_put_back_after_a_trial_is_still_one():
    layer = layer_of()
    own = layer.unroller
    layer.unroller = rnnkit.unrollers["loop"]()
    layer.to("meta")
    assert str(layer.unroller) == "loop"
    layer.unroller = own
    assert str(layer.unroller) == "vendor"


@pytest.mark.filterwarnings("ignore")  # torch's own, about its compiler
def test_a_compiled_layer_is_chosen_for_anew():
    layer = layer_of("gru")
    run = torch.compile(layer, backend="eager")
    assert torch.equal(run(XS)[0], layer(XS)[0])
    layer.to(torch.complex64)
    assert run(XS.to(torch.complex64))[0].dtype == torch.complex64
    assert str(layer.unroller) == "loop"


def test_an_unroller_that_ranks_by_the_cell_is_told_of_where_it_is_passed_over(monkeypatch):
    class Picky(rnnkit.unrollers["loop"]):
        """Comes first, by its own answer, and runs nothing."""

        name = "picky"
        auto_rank = None

        def rank(self, cell):
            return 99

        def applies(self, cell):
            return False

        def explain(self, cell):
            return "not today"

    monkeypatch.setattr("rnnkit.plugin.resolve.unrollers", {**rnnkit.unrollers, "picky": Picky})
    assert passed_over(layer_of()) == {"picky": "not today"}


def test_a_rank_that_no_cell_gets_is_passed_over():
    class Never(rnnkit.unrollers["loop"]):
        def rank(self, cell):
            return None

    names = [str(unroller) for _, unroller in rnnkit.plugin.resolve.ranked([layer_of().cells[0]])]
    assert names == ["compiled", "loop"]
    assert Never().rank(layer_of().cells[0]) is None
