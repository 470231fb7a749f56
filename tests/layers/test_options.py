"""What a layer is built from: options, names, unrollers; and what it says of what cannot be."""

import inspect
import re

import pytest
import torch

import rnnkit
from rnnkit.errors import ShapeError, UnknownNameError, UsageError
from rnnkit.plugin.cell_spec import RESERVED

from ..core_cells import CORE_CELLS


class Plain(rnnkit.Cell):
    """A cell with an option of its own and none of the usual ones."""

    name = "plain"

    def __init__(self, input_size, hidden_size, *, slope=1.0):
        super().__init__(input_size, hidden_size)
        self.slope = slope
        self.weight = torch.nn.Parameter(torch.zeros(hidden_size, input_size))

    def step(self, p, state):
        h = torch.tanh(self.slope * (p @ self.weight.mT) + state[0])
        return h, (h,)


REFUSED = {
    "unknown cell 'lsmt' (did you mean 'lstm'?)": ("lsmt", {}),
    "cell is a list of 2 for 3 layers; give one for each layer": (["lstm", "gru"], {"num_layers": 3}),
    "cell is a list of 0 for 0 layers; give one for each layer": ([], {}),
    "the cell is 3; it must be a registered name or a class derived from Cell": (3, {}),
    "the cell is <class 'torch.nn.modules.rnn.LSTM'>; it must be": (torch.nn.LSTM, {}),
    "cell 'lstm' has no option 'forget'; its options: bias, proj_size": ("lstm", {"forget": 1.0}),
    "cell 'rnn' has no option 'nonlinear' (did you mean 'nonlinearity'?); its options:": ("rnn", {"nonlinear": 1}),
    "cell 'plain' has no option 'bias'; its options: slope": (Plain, {"bias": False}),
    "cell 'plain' has no option 'proj_size'; its options: slope": (Plain, {"proj_size": 2}),
    "num_layers is 0; it must be a whole number >= 1": ("lstm", {"num_layers": 0}),
    "num_layers is 1.5; it must be a whole number >= 1": ("lstm", {"num_layers": 1.5}),
    "dropout is 2; it must be a rate from 0 to 1": ("lstm", {"dropout": 2}),
    "dropout is -0.1; it must be a rate from 0 to 1": ("lstm", {"dropout": -0.1}),
    "dropout is nan; it must be a rate from 0 to 1": ("lstm", {"dropout": float("nan")}),
    "dropout is 'half'; it must be a rate from 0 to 1": ("lstm", {"dropout": "half"}),
    "unknown unroller 'lop' (did you mean 'loop'?)": ("lstm", {"unroller": "lop"}),
    "the unroller is None; it must be a registered name or a class derived from Unroller": ("lstm", {"unroller": None}),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_built_is_said_in_a_sentence(sentence):
    cell, options = REFUSED[sentence]
    with pytest.raises(UsageError, match=re.escape(sentence)):
        rnnkit.RNN(cell, 3, 4, **options)


def test_an_unknown_name_is_a_key_error_too():
    with pytest.raises(UnknownNameError) as caught:
        rnnkit.RNN("lsmt", 3, 4)
    assert isinstance(caught.value, KeyError)


def test_an_option_reaches_every_cell():
    layer = rnnkit.RNN(Plain, 3, 4, num_layers=2, bidirectional=True, slope=2.0)
    assert [cell.slope for cell in layer.cells] == [2.0] * 4
    relu = rnnkit.RNN("rnn", 3, 4, nonlinearity="relu")
    assert (relu(torch.randn(5, 2, 3))[0] >= 0).all()


def test_auto_says_which_unroller_it_took():
    ranked = [kind for kind in rnnkit.unrollers.values() if kind.auto_rank is not None]
    best = max(ranked, key=lambda kind: kind.auto_rank)
    assert type(rnnkit.RNN("lstm", 3, 4).unroller) is best
    assert str(rnnkit.RNN("lstm", 3, 4).unroller) == best.name


def test_an_unroller_by_name_class_or_instance():
    checkpoint = rnnkit.unrollers["checkpoint"]
    instance = checkpoint(segment=5)
    assert isinstance(rnnkit.RNN("lstm", 3, 4, unroller="checkpoint").unroller, checkpoint)
    assert isinstance(rnnkit.RNN("lstm", 3, 4, unroller=checkpoint).unroller, checkpoint)
    assert rnnkit.RNN("lstm", 3, 4, unroller=instance).unroller is instance


@pytest.mark.parametrize("name", CORE_CELLS)
def test_dtype_and_device_hold_for_every_parameter(name):
    before = torch.get_default_dtype()
    layer = rnnkit.RNN(name, 3, 4, num_layers=2, device="meta", dtype=torch.float64)
    assert {(p.dtype, p.device.type) for p in layer.parameters()} == {(torch.float64, "meta")}
    assert {(p.dtype, p.device.type) for p in rnnkit.RNN(name, 3, 4).parameters()} == {(before, "cpu")}
    assert torch.get_default_dtype() == before


def test_the_default_dtype_is_restored_when_building_fails():
    with pytest.raises(UsageError):
        rnnkit.RNN("lstm", 0, 4, dtype=torch.float64)
    assert torch.get_default_dtype() == torch.float32


def test_shows_what_differs_from_the_defaults():
    assert repr(rnnkit.RNN("lstm", 3, 4)) == f"RNN('lstm', 3, 4, unroller={rnnkit.RNN('lstm', 3, 4).unroller})"
    layer = rnnkit.RNN("gru", 3, 4, 2, bias=False, dropout=0.1, unroller=rnnkit.unrollers["checkpoint"](segment=9))
    assert repr(layer) == "RNN('gru', 3, 4, num_layers=2, bias=False, dropout=0.1, unroller=checkpoint(segment=9))"


X = torch.zeros(7, 2, 3)
H = torch.zeros(1, 2, 4)
MISFITS = {
    "the input is (3,); it must be (time, batch, input_size), or (time, input_size) for one sequence": (X[0, 0], None),
    "the input is a list; it must be a tensor or a PackedSequence": ([1.0], None),
    "hx has 1 tensor; cell 'lstm' takes a tuple of 2 tensors: h, c": (X, H),
    "hx has 3 tensors; cell 'lstm' takes a tuple of 2 tensors: h, c": (X, (H, H, H)),
    "hx: 'h' has shape (2, 4); it must be (layers * directions, batch, ...)": (X, (H[0], H[0])),
    "hx: 'c' has shape (2, 2, 4); it must be (layers * directions, batch, ...)": (X, (H, torch.zeros(2, 2, 4))),
    "hx: 'h' has shape (1, 5, 4); it must be (layers * directions, batch, ...)": (X, (torch.zeros(1, 5, 4),) * 2),
    "hx: 'h' has shape (1, 2, 9); it must be (layers * directions, batch, ...) = (1, 2, 4)": (
        X,
        (torch.zeros(1, 2, 9),) * 2,
    ),
    "the input has 9 features a step; input_size is 3": (torch.zeros(7, 2, 9), None),
}


@pytest.mark.parametrize("sentence", MISFITS)
def test_what_does_not_fit_at_the_call_is_said_in_a_sentence(sentence):
    input, hx = MISFITS[sentence]
    with pytest.raises(UsageError, match=re.escape(sentence)):
        rnnkit.RNN("lstm", 3, 4)(input, hx)


def test_a_state_for_a_cell_with_one_name_is_a_tensor():
    with pytest.raises(ShapeError, match=r"hx has 2 tensors; cell 'gru' takes a tensor: h"):
        rnnkit.RNN("gru", 3, 4)(X, (H, H))


def test_parameters_are_drawn_again_from_the_seed():
    layer = rnnkit.RNN("lstm", 3, 4, num_layers=2)
    torch.manual_seed(5)
    layer.reset_parameters()
    torch.manual_seed(5)
    expected = rnnkit.RNN("lstm", 3, 4, num_layers=2).state_dict()
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    with pytest.raises(UsageError, match=r"cell 'plain' has no reset_parameters"):
        rnnkit.RNN(Plain, 3, 4).reset_parameters()


def test_words_of_the_layer_are_no_options_of_a_cell():
    taken = {name for call in (rnnkit.RNN, rnnkit.Model) for name in inspect.signature(call).parameters}
    assert taken - {"bias", "proj_size", "cell_options"} == RESERVED

    class Taken(rnnkit.Cell):
        name = "taken"

        def __init__(self, input_size, hidden_size, *, dropout=0.0):
            super().__init__(input_size, hidden_size)

        def step(self, p, state):
            return p, state

    with pytest.raises(UsageError, match="cell 'taken' has an option 'dropout', a word of the layer's own"):
        rnnkit.RNN(Taken, 4, 4, dropout=0.5)


def test_a_model_takes_options_of_the_cell_alone():
    with pytest.raises(UsageError, match="cell 'gru' has no option 'batch_first'"):
        rnnkit.Model(rnnkit.tasks["adding"](), "gru", 4, batch_first=True)


def test_options_are_shown():
    assert "nonlinearity='relu'" in repr(rnnkit.RNN("rnn", 2, 3, nonlinearity="relu"))


def test_a_parametrized_layer_does_not_pretend_to_draw_anew():
    layer = torch.nn.utils.parametrizations.weight_norm(rnnkit.RNN("gru", 2, 3), "weight_hh_l0")
    with pytest.raises(UsageError, match="parametrized"):
        layer.reset_parameters()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda layer: layer(torch.zeros(5, 2, 3, dtype=torch.long)), "the input is torch.int64; it must be floating"),
        (lambda layer: layer(torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4).double(),) * 2), "'h' is torch.float64"),
        (lambda layer: layer(torch.zeros(5, 2, 3), (None, None)), "hx is .*NoneType"),
        (lambda layer: layer(torch.zeros(5, 2, 3), reset=[[0, 1]] * 5), "reset has shape"),
    ],
)
def test_other_dtypes_and_kinds_are_refused_in_a_sentence(call, sentence):
    with pytest.raises(ShapeError, match=sentence):
        call(rnnkit.RNN("lstm", 3, 4))


@pytest.mark.parametrize(
    "word", sorted(RESERVED - {"cell", "input_size", "hidden_size", "num_layers", "dropout", "embedding_size"})
)
def test_a_wrapper_lets_no_word_of_the_layer_through(word):
    with pytest.raises((UsageError, TypeError), match=word):
        rnnkit.Model(rnnkit.tasks["adding"](), "zoneout(gru)", 4, **{word: True})


def test_the_sizes_of_a_cell_may_be_called_otherwise():
    class Short(Plain):
        def __init__(self, i, h, *, slope=1.0):
            super().__init__(i, h, slope=slope)

    assert rnnkit.RNN(Short, 3, 4, slope=2.0).cells[0].slope == 2.0
    with pytest.raises(UsageError, match=r"has no option 'i'.*; its options: slope$"):
        rnnkit.RNN(Short, 3, 4, i=5)


def test_a_refused_layer_has_drawn_nothing():
    before = torch.get_rng_state()
    for options in ({"unroller": "lop"}, {"dropout": 2}, {"slope": 1}):
        with pytest.raises(UsageError):
            rnnkit.RNN("lstm", 3, 4, **options)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("word", ["hidden_size", "input_size", "self", "dtype", "num_layers"])
def test_an_expression_lets_no_word_of_the_layer_through(word):
    with pytest.raises(UsageError, match=f"cell 'zoneout' has no option '{word}'; it is a word of the layer's own"):
        rnnkit.RNN(f"zoneout(lstm, {word}=3)", 4, 5)


def test_lists_of_one_are_lists_too():
    with pytest.raises(UsageError, match="cell is a list of 1 for 2 layers; give one for each layer"):
        rnnkit.RNN(["lstm"], 4, [8, 8])


def test_a_stack_is_drawn_again_whole_or_not_at_all():
    layer = rnnkit.RNN(["lstm", Plain], 3, 4)
    before = layer.weight_hh_l0.detach().clone()
    with pytest.raises(UsageError, match="cell 'plain' has no reset_parameters"):
        layer.reset_parameters()
    assert torch.equal(layer.weight_hh_l0, before)
